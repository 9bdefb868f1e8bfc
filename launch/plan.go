package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// NewPlan reads what there is and says what a launch would do. What the input
// gets wrong (an image without a current build, user data that is too large) is
// reported all at once, as wrong input.
func NewPlan(ctx context.Context, o Options) (*Plan, error) {
	plan, err := newPlan(ctx, o, false)
	return plan, fail.Unchanged(err)
}

func newPlan(ctx context.Context, o Options, audit bool) (*Plan, error) {
	began := time.Now()
	p, err := prepare(ctx, o, audit)
	if err != nil {
		return nil, fail.Each("plan "+environmentOf(o), err)
	}
	plan := &Plan{Environment: p.environment, Changes: []Change{}, Later: p.later, definitions: p.definitions(), steps: p, looked: began}
	for _, it := range p.inOrder() {
		switch {
		case !p.selected(it.Resource):
		case it.action == None:
			plan.Counts.None++
		default:
			plan.add(p.change(it))
		}
	}
	for _, it := range p.items {
		for _, f := range it.stale {
			plan.add(deletion(f, staleReason(it, f)))
		}
	}
	for _, f := range goingOrder(p.strays) {
		plan.add(deletion(f, "no definition has it"))
	}
	if !audit {
		if plan.Rollouts, err = p.planned(); err != nil {
			return nil, fail.Each("plan "+environmentOf(o), err)
		}
	}
	return plan, plan.seal()
}

// NewDestroyPlan plans the removal of everything that carries the environment's
// tags, also of what no definition knows.
func NewDestroyPlan(ctx context.Context, o Options) (*Plan, error) {
	plan, err := newDestroyPlan(ctx, o)
	return plan, fail.Unchanged(err)
}

func newDestroyPlan(ctx context.Context, o Options) (*Plan, error) {
	began := time.Now()
	w, err := newWorld(o)
	if err == nil {
		w.thorough, w.destroying = true, true
		err = w.readInventory(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("plan to destroy %s: %w", environmentOf(o), err)
	}
	if err := w.readAdopted(ctx); err != nil {
		return nil, fmt.Errorf("plan to destroy %s: %w", w.environment, err)
	}
	going := w.destroyed()
	if err := refuse(w.environment, going, w.resources()); err != nil {
		return nil, fmt.Errorf("plan to destroy %s: %w", w.environment, err)
	}
	if err := w.kept(ctx, going); err != nil {
		return nil, fmt.Errorf("plan to destroy %s: %w", w.environment, err)
	}
	p := &planner{world: w, strays: going, byAddress: map[string]*item{}}
	plan := &Plan{Environment: w.environment, Changes: []Change{}, Destroy: true, steps: p, looked: began}
	for _, f := range goingOrder(p.strays) {
		plan.add(deletion(f, "destroy"))
	}
	return plan, plan.seal()
}

// destroyed is what a destruction removes: never what is adopted, unless that
// is asked for.
func (w *world) destroyed() []*found {
	var going []*found
	adopted := map[string]bool{}
	for _, f := range w.adopted {
		adopted[f.id] = true
	}
	for _, f := range w.inventory.all {
		if !adopted[f.id] {
			going = append(going, f)
		}
	}
	if w.Adopted {
		for _, r := range w.resources() {
			if f := w.adopted[r.UUID]; f != nil && !goesAlong(f) {
				going = append(going, f)
			}
		}
	}
	return going
}

// goesAlong tells whether EC2 made something with a VPC: it goes with that, and
// cannot be deleted by itself.
func goesAlong(f *found) bool {
	return f.attributes["main"] == "true" || f.attributes["default"] == "true" || f.kindName() == "security_group" && f.attributes["group_name"] == "default"
}

// Audit compares what is there with the definitions, with calls that read only:
// what differs, what is missing, tags that are missing, and what carries the
// environment's tags without a definition. The plan says what a launch would
// do about it; nothing is changed. What cannot be compared because an image has
// no current build is left out of the comparison, and named; such a plan cannot
// be applied.
func Audit(ctx context.Context, o Options) (*Plan, error) {
	plan, err := newPlan(ctx, o, true)
	if err != nil {
		return nil, err
	}
	for _, image := range union(plan.steps.unbuilt) {
		plan.Notes = append(plan.Notes, plan.steps.unbuilt[image].Error())
	}
	return plan, nil
}

// RenderUserData gives the user data that an instance would be launched with
// now. Values that only a launch gives stand as Unknown.
func RenderUserData(ctx context.Context, o Options, address string) ([]byte, error) {
	p, err := prepare(ctx, o, false)
	if err != nil {
		return nil, fmt.Errorf("user data of %s: %w", address, err)
	}
	if it, ok := p.byAddress[address]; ok {
		if s, ok := it.spec.(*instanceSpec); ok {
			return p.userData(it.Resource, s)
		}
	}
	return nil, notInstance(p, address)
}

// UserDataOf gives the user data that an environment gives to instances of an
// image, whichever build of it is current there, if any: that of the definition
// at an address, or of the only one that runs the image when address is empty.
// Of several instances of one definition the first one's counts. Values that
// only a launch gives stand as Unknown.
func UserDataOf(ctx context.Context, o Options, image, address string) ([]byte, error) {
	// As in an audit, an image without a build is nothing to stumble over.
	p, err := prepare(ctx, o, true)
	if err != nil {
		return nil, err
	}
	var first *item
	var definitions []string
	for _, it := range p.items {
		s, ok := it.spec.(*instanceSpec)
		name, _, _ := strings.Cut(it.Address, "[")
		switch {
		case !ok || address == "" && s.Image != image || address != "" && address != it.Address && address != name:
			continue
		case first == nil:
			first = it
		}
		if !slices.Contains(definitions, name) {
			definitions = append(definitions, name)
		}
	}
	switch {
	case first == nil && address != "":
		return nil, notInstance(p, address)
	case first == nil:
		return nil, fail.Inputf("no instance of %s runs image %s", environmentOf(o), image)
	case len(definitions) > 1:
		return nil, fail.WithHint(fail.Inputf("%d definitions of %s run image %s", len(definitions), environmentOf(o), image), "name one of %s", strings.Join(definitions, ", "))
	}
	return p.userData(first.Resource, first.spec.(*instanceSpec))
}

func prepare(ctx context.Context, o Options, audit bool) (*planner, error) {
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	w.thorough = audit
	if err := w.checkOnly(); err != nil {
		return nil, err
	}
	if err := w.read(ctx); err != nil {
		return nil, err
	}
	p, err := newPlanner(w)
	if err != nil {
		return nil, err
	}
	if err := p.decide(); err != nil {
		return nil, err
	}
	if audit {
		return p, nil
	}
	errs := []error{p.lacking()}
	for _, image := range union(w.unbuilt) {
		errs = append(errs, w.unbuilt[image])
	}
	if err := fail.Join(errs...); err != nil {
		return nil, err
	}
	return p, fail.Join(p.verify(ctx), p.kept(ctx, p.going()))
}

func environmentOf(o Options) string {
	if o.Topology == nil || o.Topology.Environment == nil {
		return "nothing"
	}
	return o.Topology.Environment.Name
}

func deletion(f *found, reason string) Change {
	return Change{Address: f.address(), Kind: f.kindName(), Action: Delete, ID: f.id, Reason: reason}
}

// staleReason says why an earlier generation goes.
func staleReason(it *item, f *found) string {
	if f.kept() {
		return "it was kept, and made room for another group in a run that was interrupted"
	}
	if until := f.tags[tags.KeepUntil]; until != "" {
		return fmt.Sprintf("%s has replaced it, and it was kept until %s", it.have.id, until)
	}
	return it.have.id + " has replaced it, in a run that was interrupted"
}

func (p *Plan) add(c Change) {
	c.Loses = c.Kind == "volume" && (c.Action == Replace || c.Action == Delete)
	switch c.Action {
	case Create:
		p.Counts.Create++
	case Update:
		p.Counts.Change++
	case Replace:
		p.Counts.Replace++
	case Delete:
		p.Counts.Delete++
	}
	p.Changes = append(p.Changes, c)
}

// seal gives the plan its digest: over the environment, the changes and the
// roll-outs, as JSON.
func (p *Plan) seal() error {
	text, err := json.Marshal(struct {
		Environment string
		Destroy     bool
		Definitions string
		Changes     []Change
		Rollouts    []PlannedRollout `json:",omitempty"`
	}{p.Environment, p.Destroy, p.definitions, p.Changes, p.Rollouts})
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.Environment, err)
	}
	sum := sha256.Sum256(text)
	p.Digest = hex.EncodeToString(sum[:])
	return nil
}
