package launch

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// state is what the room has to know of a resource of whatever kind.
type state struct {
	id         string
	tags       map[string]string
	attributes map[string]string // what `${...}` may ask, beside the ID
	// uses are the IDs of what cannot be removed before it.
	uses []string
	// stops are the IDs of what stands still for a while when it changes: that
	// has to be at rest before.
	stops []string
	// names are the IDs that it refers to without standing on them: the groups
	// that a group's rules name.
	names []string
	// freedBy are the IDs of what, by going, saves cutting it loose.
	freedBy []string
	// gates, of a gateway, is the VPC whose addresses go through it; mapped, of
	// an instance, the VPC in which it has one. EC2 detaches a gateway only when
	// no such address is left, though neither names the other.
	gates, mapped string
	// launchesIn, of what launches instances by itself, is a subnet of theirs: it
	// counts as mapped in the VPC of that.
	launchesIn string
	// identity is that of a resource which has no tags of its own yet.
	identity identity
	// along are the IDs of what lacks the same tags.
	along []string
	// gone is a resource that is only still shown, such as a terminated
	// instance. It counts for generations alone.
	gone bool
	// untagged says that its tags cannot be read, or that it has none: they are
	// not compared.
	untagged bool
}

// found is a resource in the cloud.
type found struct {
	state
	kind kind
	raw  any // the kind's own type
}

func (f *found) uuid() string     { return cmp.Or(f.tags[tags.UUID], f.identity.uuid) }
func (f *found) kindName() string { return f.kind.definition().Name }

// generation tells apart what was made for one definition: the newest counts.
func (f *found) generation() int {
	if n, err := strconv.Atoi(f.tags[tags.Generation]); err == nil && n > 0 {
		return n
	}
	return 1
}

// kept tells whether it stays for a while although another has taken its place.
func (f *found) kept() bool {
	until, err := time.Parse(time.RFC3339, f.tags[tags.KeepUntil])
	return err == nil && time.Now().Before(until)
}

// address is the one on its tags, or one for messages.
func (f *found) address() string {
	if a := cmp.Or(f.tags[tags.Address], f.identity.address); a != "" {
		return a
	}
	return f.kindName() + " " + f.id
}

// elsewhere tells whether it is another's to look after: the root volume of an
// instance carries the instance's address and goes with it; what has an expiry
// is temporary.
func (f *found) elsewhere() bool {
	if _, temporary := f.tags[tags.Expires]; temporary {
		return true
	}
	address := f.tags[tags.Address]
	return address != "" && !strings.HasPrefix(address, f.kindName()+".")
}

func (f *found) attribute(name string) (string, bool) {
	if name == "id" || name == "" {
		return f.id, true
	}
	v, ok := f.attributes[name]
	return v, ok
}

// query is the scope of a description.
type query struct {
	cloud   *cloud.Cloud
	world   *world
	memo    *memo
	shared  *memo // what the inventory and adoption read of one place
	filters []types.Filter
	// specs are the definitions by UUID, for kinds that ask more about what a
	// definition states.
	specs map[string]any
	// identify gives the UUID of an address, also of one that no definition has.
	identify func(address string) string
	// exact looks for what is as a definition wants it, not for what it replaces.
	exact bool
	// adopting are definitions whose resources carry none of Goldline's tags.
	adopting []*project.Resource
	// attachments are the definitions of attachments by their volumes' addresses.
	attachments map[string]*project.Resource
	// importing asks for everything, whatever made it.
	importing bool
}

// stated is the definition of a resource with given tags, or an empty one.
func stated[S any](q query, list []types.Tag) *S {
	if q.importing {
		return everything[S]()
	}
	set := cloud.TagSet(list)
	if s, ok := q.specs[set[tags.UUID]].(*S); ok {
		return s
	}
	var meant []*S
	for _, r := range q.adopting {
		if name, ok := r.Adopt.Keys["name"]; carries(set, r.Adopt) && (!ok || name == set[tags.Name]) {
			if s, ok := r.Spec.(*S); ok {
				meant = append(meant, s)
			}
		}
	}
	switch len(meant) {
	case 0:
	case 1:
		return meant[0]
	default:
		return everything[S]() // other keys tell them apart
	}
	return new(S)
}

// everything is a definition that states all that one can, so that all of it is
// asked for.
func everything[S any]() *S {
	s := new(S)
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case !f.CanSet():
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case f.Kind() == reflect.String:
			f.SetString(Unknown)
		}
	}
	return s
}

// pager is a paginator of the SDK.
type pager[O any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*ec2.Options)) (O, error)
}

// each hands every page to take.
func each[O any](ctx context.Context, p pager[O], take func(O)) error {
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		take(page)
	}
	return nil
}

// pageSize is the page that describes ask for; EC2 gives at most this many.
const pageSize = 1000

// scope is the query for everything that carries the environment's tags.
func (w *world) scope() query {
	q := query{cloud: w.Cloud, world: w, memo: &memo{}, shared: &memo{}, specs: map[string]any{}, attachments: w.attachmentsDefined(), filters: []types.Filter{
		cloud.Filter("tag:"+tags.Project, w.Project),
		cloud.Filter("tag:"+tags.Environment, w.environment),
	}}
	uuids := map[string]string{}
	for _, r := range w.resources() {
		q.specs[r.UUID], uuids[r.Address] = r.Spec, r.UUID
	}
	q.identify = func(address string) string {
		return cmp.Or(uuids[address], project.Identity(w.Project, w.environment, address))
	}
	return q
}

// inventory is what the environment has: by UUID the generations of each
// resource, newest first.
type inventory struct {
	all         []*found // in the order of kinds, then of address and ID
	byUUID      map[string][]*found
	byAddress   map[string][]*found // of those that lost their UUID
	generations map[string]int      // the highest that was seen of each UUID
	byID        map[string]*found
}

// readInventory asks once for every kind, all at the same time.
func (w *world) readInventory(ctx context.Context) error { return w.readKinds(ctx, nil) }

// readKinds asks once for every kind of the given names; none gives all that
// the environment may have something of.
func (w *world) readKinds(ctx context.Context, names []string) error {
	all := slices.DeleteFunc(kinds(), func(k kind) bool { return len(names) > 0 && !has(names, k.definition().Name) })
	all, err := w.present(ctx, all)
	if err != nil {
		return err
	}
	lists := make([][]*found, len(all))
	q := w.scope()
	q.shared = w.reading
	w.memo = q.memo
	err = graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		var err error
		lists[i], err = all[i].list(ctx, q)
		if err != nil {
			return fmt.Errorf("describe every %s of %s: %w", all[i].definition().Name, w.environment, err)
		}
		lists[i] = slices.DeleteFunc(lists[i], w.foreign)
		return nil
	})
	if err != nil {
		return err
	}
	w.inventory = newInventory(lists)
	return nil
}

// foreign tells whether something carries the tags of another environment. What
// no definition has is deleted, so that a filter which was not heeded must not
// be all that stands before it.
func (w *world) foreign(f *found) bool {
	of, in := f.tags[tags.Project], f.tags[tags.Environment]
	return of != "" && in != "" && (of != w.Project || in != w.environment)
}

func newInventory(lists [][]*found) *inventory {
	v := &inventory{byUUID: map[string][]*found{}, byAddress: map[string][]*found{}, generations: map[string]int{}, byID: map[string]*found{}}
	for _, list := range lists {
		sort.Slice(list, func(i, j int) bool {
			a, b := list[i], list[j]
			if a.address() != b.address() {
				return a.address() < b.address()
			}
			return a.id < b.id
		})
		for _, f := range list {
			if f.elsewhere() {
				continue
			}
			if u := f.uuid(); u != "" {
				v.generations[u] = max(v.generations[u], f.generation())
			}
			if f.gone {
				continue
			}
			v.all = append(v.all, f)
			v.byID[f.id] = f
			if u := f.uuid(); u != "" {
				v.byUUID[u] = append(v.byUUID[u], f)
			} else if a := f.tags[tags.Address]; a != "" {
				v.byAddress[a] = append(v.byAddress[a], f)
			}
		}
	}
	for _, f := range v.all {
		if subnet := v.byID[f.launchesIn]; subnet != nil && len(subnet.uses) > 0 {
			f.mapped = subnet.uses[0]
		}
	}
	for _, list := range v.byUUID {
		sort.SliceStable(list, func(i, j int) bool { return list[i].generation() > list[j].generation() })
	}
	return v
}

// of gives the generations of a resource, newest first. What lost its UUID but
// kept its address is still the resource: only its tags need mending.
func (v *inventory) of(uuid, address, kind string) []*found {
	list := v.byUUID[uuid]
	if len(list) == 0 {
		list = v.byAddress[address]
	}
	var same []*found
	for _, f := range list {
		if f.kindName() == kind {
			same = append(same, f)
		}
	}
	return same
}
