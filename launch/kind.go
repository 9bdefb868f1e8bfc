package launch

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// handler is what the file of a kind implements, and all that the rest of the
// room knows of it: S is the struct of its fields in definitions, R what EC2
// answers about one resource. A new kind is a file with a handler and a line in
// kinds.
type handler[S, R any] interface {
	// about is the kind's entry in the language of definitions, without New.
	about() project.Kind
	// check reports what is wrong with a definition beyond single fields. It
	// sees references as they are written.
	check(c *checker, d definition[S])
	// list describes all resources in the query's scope: one paginated call,
	// however many there are.
	list(ctx context.Context, q query) ([]R, error)
	// read says what the room has to know of a resource.
	read(r R) state
	// compare says how what is there differs from what is wanted. It is pure.
	compare(w want[S], have R) differences
	// create makes the resource, with t's tags in the call that makes it. What
	// that call does not take, update adds: it is called with what compare says
	// about the new resource.
	create(ctx context.Context, t *task, w want[S]) (R, error)
	// update carries out the differences that need no replacement.
	update(ctx context.Context, t *task, w want[S], have R, d differences) error
	// remove removes the resource and returns when it is gone. One that is gone
	// already is no error.
	remove(ctx context.Context, t *task, have R) error
}

// Some kinds do more.
type (
	// excluder is a kind whose resources can be in each other's way: one that is
	// wanted cannot be made before another is gone.
	excluder[S, R any] interface {
		excludes(w want[S], have R) bool
	}
	// settler is a kind that takes its time to be of use once it is made.
	settler[R any] interface {
		settle(ctx context.Context, t *task, have R) (R, error)
		// fresh tells whether one that needs no change may still have to settle.
		fresh(have R) bool
	}
	// restorer is a kind whose replacement takes something away from the old
	// resource, which is given back when the replacement fails.
	restorer[R any] interface {
		restore(ctx context.Context, t *task) error
	}
	// restorable is a restorer that some replacements give nothing to put back.
	restorable interface{ restorable(t *task) bool }
	// sparer is a kind whose replaced resources may stay for a while, so that what
	// they gave away can come back. kept is false for one that goes now.
	sparer[S, R any] interface {
		spare(ctx context.Context, t *task, w want[S], have R) (kept bool, err error)
	}
	// displacer is a kind whose kept resources may have to go before their time,
	// for what another one needs. already says that it has given that away,
	// perhaps that the replacement of the newest one may take it.
	displacer[S, R any] interface {
		displaces(w want[S], have, kept R) (already, perhaps bool)
	}
	// tagger is a kind with tags beside those that every kind has.
	tagger[S any] interface {
		tags(w want[S]) map[string]string
	}
	// retagger is a kind of another service than EC2: its tags are set there.
	retagger[R any] interface {
		retag(ctx context.Context, c *cloud.Cloud, have []R, set map[string]string) error
	}
	// follower is a kind whose resources cannot be made before others that they
	// do not name: their addresses.
	follower[S any] interface {
		follows(w want[S]) []string
	}
	// loosener is a kind whose resources hold on to each other in rings, which
	// have to be cut before any of them can be removed.
	loosener[R any] interface {
		loosen(ctx context.Context, t *task, have R) error
	}
)

type (
	// foreseer is a kind some of whose attributes, the ID among them or not, are
	// known before the resource is made: what its definition names.
	foreseer[S any] interface {
		foresee(w want[S]) map[string]string
	}
	// refuser is a kind whose definitions can be wrong in ways that only the plan
	// can tell.
	refuser[S any] interface {
		refuse(w want[S]) error
	}
	// keeper is a kind whose resources carry what goes with them and cannot be
	// made again: the access keys of a user, the members that others gave a group.
	// Something that is to be removed and keeps such a thing is refused by the plan.
	keeper[R any] interface {
		keeps(ctx context.Context, c *cloud.Cloud, have R) error
	}
	// mover is a kind whose attributes a change in place moves: until it is
	// carried out nobody knows what they are going to be.
	mover interface {
		moves(d differences) []string
	}
	// belonger is a kind whose resources adopt can tell by what they belong to:
	// one of the kinds that about names as Owners.
	belonger[R any] interface {
		belongs(have R, key string, to *found) bool
	}
	// named is a kind whose resources are known by names that are taken once in
	// the account, and carry no generation: a replacement takes the name over
	// when the old one is gone.
	named interface{ named() }
)

// want is a resource as it should be: its definition with values in the places
// of references, or Unknown where there is none yet.
type want[S any] struct {
	*project.Resource
	spec  *S
	world *world
}

// kind is a handler with its types hidden, so that kinds can stand in one list.
type kind interface {
	definition() project.Kind
	check(c *checker, r *project.Resource)
	list(ctx context.Context, q query) ([]*found, error)
	compare(w *world, r *project.Resource, spec any, have *found) differences
	tags(w *world, r *project.Resource, spec any) map[string]string
	excludes(w *world, r *project.Resource, spec any, have *found) bool
	ownTags() bool
	retag(ctx context.Context, c *cloud.Cloud, have []*found, set map[string]string) error
	tagService() string
	follows(w *world, r *project.Resource, spec any) []string
	foresee(w *world, r *project.Resource) map[string]string
	refuse(w *world, r *project.Resource, spec any) error
	moves(d differences) []string
	create(ctx context.Context, t *task, r *project.Resource, spec any) (*found, error)
	update(ctx context.Context, t *task, r *project.Resource, spec any, have *found, d differences) error
	settle(ctx context.Context, t *task, have *found) (*found, error)
	fresh(have *found) bool
	restore(ctx context.Context, t *task) (bool, error)
	spare(ctx context.Context, t *task, r *project.Resource, spec any, have *found) (bool, error)
	displaces(w *world, r *project.Resource, spec any, have, kept *found) (already, perhaps bool)
	loosens() bool
	loosen(ctx context.Context, t *task, have *found) error
	keeps(ctx context.Context, c *cloud.Cloud, have *found) error
	remove(ctx context.Context, t *task, have *found) error
	together(r *project.Resource) string
	createAll(ctx context.Context, t *task, items []*item, specs []any) ([]*found, error)
	nameMember(ctx context.Context, t *task, have *found) (*found, error)
	belongs(have *found, key string, to *found) bool
	imports() bool
	express(x *expression, have *found) any
	madeByAWS(m *importing, have *found) string
	unsayable(have *found) string
	key() []string
	called(have *found) string
	needs(have *found) []string
}

// kinds lists every kind, in the order in which a platform is built up.
func kinds() []kind {
	return []kind{
		of(vpcs{}), of(internetGateways{}), of(subnets{}),
		of(elasticIPs{}), of(natGateways{}), of(vpcPeerings{}), of(vpcEndpoints{}), of(dhcpOptions{}), of(networkACLs{}),
		of(routeTables{}), of(securityGroups{}), of(networkInterfaces{}), of(keyPairs{}),
		of(iamPolicies{}), of(iamGroups{}), of(iamUsers{}), of(iamRoles{}), of(instanceProfiles{}),
		of(targetGroups{}), of(loadBalancers{}), of(listeners{}), of(listenerRules{}),
		of(volumes{}), of(snapshots{}), of(instances{}), of(attachments{}), of(launchTemplates{}),
		of(autoScalingGroups{}),
		of(zones{}), of(records{}),
	}
}

// Kinds are the kinds of resources that a topology may define.
func Kinds() []project.Kind {
	var all []project.Kind
	for _, k := range kinds() {
		all = append(all, k.definition())
	}
	return all
}

func kindsByName() map[string]kind {
	byName := map[string]kind{}
	for _, k := range kinds() {
		byName[k.definition().Name] = k
	}
	return byName
}

func of[S, R any](h handler[S, R]) kind { return adapter[S, R]{h} }

type adapter[S, R any] struct{ h handler[S, R] }

func (a adapter[S, R]) definition() project.Kind {
	k := a.h.about()
	k.Example = example(k.Name)
	k.New = func() any { return new(S) }
	return k
}

func (a adapter[S, R]) want(w *world, r *project.Resource, spec any) want[S] {
	s, _ := spec.(*S)
	return want[S]{Resource: r, spec: s, world: w}
}

func (a adapter[S, R]) found(r R) *found { return &found{kind: a, state: a.h.read(r), raw: r} }

func (a adapter[S, R]) check(c *checker, r *project.Resource) {
	if s, ok := r.Spec.(*S); ok {
		a.h.check(c, definition[S]{Resource: r, spec: s})
	}
}

func (a adapter[S, R]) list(ctx context.Context, q query) ([]*found, error) {
	list, err := a.h.list(ctx, q)
	if errors.Is(err, errUnused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make([]*found, 0, len(list))
	for _, r := range list {
		all = append(all, a.found(r))
	}
	return all, nil
}

func (a adapter[S, R]) compare(w *world, r *project.Resource, spec any, have *found) differences {
	d := a.h.compare(a.want(w, r, spec), have.raw.(R))
	if r.Adopt != nil {
		return ofDefinition(r, d)
	}
	return d
}

func (a adapter[S, R]) belongs(have *found, key string, to *found) bool {
	h, ok := a.h.(belonger[R])
	return ok && h.belongs(have.raw.(R), key, to)
}

func (a adapter[S, R]) tags(w *world, r *project.Resource, spec any) map[string]string {
	if h, ok := a.h.(tagger[S]); ok {
		return h.tags(a.want(w, r, spec))
	}
	return nil
}

func (a adapter[S, R]) excludes(w *world, r *project.Resource, spec any, have *found) bool {
	h, ok := a.h.(excluder[S, R])
	raw, same := have.raw.(R)
	return ok && same && h.excludes(a.want(w, r, spec), raw)
}

func (a adapter[S, R]) foresee(w *world, r *project.Resource) map[string]string {
	if h, ok := a.h.(foreseer[S]); ok {
		return h.foresee(a.want(w, r, r.Spec))
	}
	return nil
}

func (a adapter[S, R]) refuse(w *world, r *project.Resource, spec any) error {
	if h, ok := a.h.(refuser[S]); ok {
		return h.refuse(a.want(w, r, spec))
	}
	return nil
}

func (a adapter[S, R]) moves(d differences) []string {
	if h, ok := a.h.(mover); ok {
		return h.moves(d)
	}
	return nil
}

// retag sets tags of resources of the kind, in as few calls as that takes.
func (a adapter[S, R]) retag(ctx context.Context, c *cloud.Cloud, have []*found, set map[string]string) error {
	if h, ok := a.h.(retagger[R]); ok {
		raw := make([]R, 0, len(have))
		for _, f := range have {
			raw = append(raw, f.raw.(R))
		}
		return h.retag(ctx, c, raw, set)
	}
	ids := make([]string, 0, len(have))
	for _, f := range have {
		ids = append(append(ids, f.id), f.along...)
	}
	return createTags(ctx, c, ids, set)
}

// createTags gives resources the same tags; EC2 takes 1000 of them a call.
func createTags(ctx context.Context, c *cloud.Cloud, ids []string, set map[string]string) error {
	return cloud.Batches(ids, 1000, func(ids []string) error {
		_, err := c.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ids, Tags: cloud.Tags(set)})
		return err
	})
}

// ownTags tells whether the kind's tags are another service's than EC2's.
func (a adapter[S, R]) ownTags() bool {
	_, ok := a.h.(retagger[R])
	return ok
}

func (a adapter[S, R]) follows(w *world, r *project.Resource, spec any) []string {
	if h, ok := a.h.(follower[S]); ok {
		return h.follows(a.want(w, r, spec))
	}
	return nil
}

// maxGenerations bounds how many client tokens are tried for one resource. A
// token stays taken for a day after its resource is gone, and each tells the
// tries of that day apart.
const maxGenerations = 200

// create makes a resource once. After an ambiguous failure, and where the
// client token was used before, it looks for what is there by identity.
func (a adapter[S, R]) create(ctx context.Context, t *task, r *project.Resource, spec any) (*found, error) {
	find := func(ctx context.Context) (R, bool, error) { return a.find(ctx, t) }
	for range maxGenerations {
		made, err := cloud.Once(ctx, t.Cloud, find, func(ctx context.Context) (R, error) {
			return a.h.create(ctx, t, a.want(t.world, r, spec))
		})
		if err == nil && a.h.read(made).gone || cloud.Code(err) == "IdempotentParameterMismatch" {
			if earlier, ok, err := find(ctx); err != nil {
				return nil, err
			} else if ok {
				return a.found(earlier), nil
			}
			t.generation++
			t.begun = "" // that one is gone
			continue
		}
		if err != nil {
			return nil, err
		}
		return a.found(made), nil
	}
	return nil, errGenerations
}

// find looks for the task's resource by its identity.
func (a adapter[S, R]) find(ctx context.Context, t *task) (r R, ok bool, err error) {
	list, err := a.h.list(ctx, t.query())
	if err != nil {
		return r, false, err
	}
	_, named := a.h.(named)
	for _, r := range list {
		if f := a.found(r); !f.gone && f.uuid() == t.uuid && (named || f.generation() == t.generation) && !f.elsewhere() {
			return r, true, nil
		}
	}
	return r, false, nil
}

func (a adapter[S, R]) update(ctx context.Context, t *task, r *project.Resource, spec any, have *found, d differences) error {
	return a.h.update(ctx, t, a.want(t.world, r, spec), have.raw.(R), d)
}

func (a adapter[S, R]) settle(ctx context.Context, t *task, have *found) (*found, error) {
	h, ok := a.h.(settler[R])
	if !ok {
		return have, nil
	}
	r, err := h.settle(ctx, t, have.raw.(R))
	if err != nil {
		return have, err
	}
	return a.found(r), nil
}

func (a adapter[S, R]) fresh(have *found) bool {
	h, ok := a.h.(settler[R])
	return ok && h.fresh(have.raw.(R))
}

// restore gives back what a failed replacement took. done is false for a kind
// whose replacement takes nothing away.
func (a adapter[S, R]) restore(ctx context.Context, t *task) (done bool, err error) {
	if h, ok := a.h.(restorable); ok && !h.restorable(t) {
		return false, nil
	}
	if h, ok := a.h.(restorer[R]); ok {
		return true, h.restore(ctx, t)
	}
	return false, nil
}

func (a adapter[S, R]) spare(ctx context.Context, t *task, r *project.Resource, spec any, have *found) (bool, error) {
	if h, ok := a.h.(sparer[S, R]); ok {
		return h.spare(ctx, t, a.want(t.world, r, spec), have.raw.(R))
	}
	return false, nil
}

func (a adapter[S, R]) displaces(w *world, r *project.Resource, spec any, have, kept *found) (already, perhaps bool) {
	if h, ok := a.h.(displacer[S, R]); ok {
		return h.displaces(a.want(w, r, spec), have.raw.(R), kept.raw.(R))
	}
	return false, false
}

func (a adapter[S, R]) loosens() bool {
	_, ok := a.h.(loosener[R])
	return ok
}

func (a adapter[S, R]) loosen(ctx context.Context, t *task, have *found) error {
	if h, ok := a.h.(loosener[R]); ok {
		return h.loosen(ctx, t, have.raw.(R))
	}
	return nil
}

func (a adapter[S, R]) keeps(ctx context.Context, c *cloud.Cloud, have *found) error {
	if h, ok := a.h.(keeper[R]); ok {
		return h.keeps(ctx, c, have.raw.(R))
	}
	return nil
}

func (a adapter[S, R]) remove(ctx context.Context, t *task, have *found) error {
	return a.h.remove(ctx, t, have.raw.(R))
}
