package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/lease"
)

// restoreDeadline bounds how long a failed replacement is put back, also after
// an interrupt, beside the time in which connections end.
const restoreDeadline = 5 * time.Minute

// Apply carries out a plan, also one of destruction. The first error stops new
// work; what is under way ends and is recorded. What then remains is listed in
// the error, and carries its tags: the same command goes on from there.
func Apply(ctx context.Context, o Options, plan *Plan) (Result, error) {
	if len(plan.Notes) > 0 {
		return Result{}, fail.Inputf("launch %s: %s", plan.Environment, plan.Notes[0])
	}
	if lost := plan.Loses(); len(lost) > 0 && !plan.Destroy && !o.LoseContents {
		return Result{}, fail.WithHint(fail.Inputf("launch %s: the contents of %s would be lost", plan.Environment, strings.Join(lost, ", ")),
			"make a snapshot, take the change back, or agree with `goldline launch %s --yes`", plan.Environment)
	}
	ctx, moved, err := hold(ctx, o, plan)
	if err != nil {
		return Result{}, err
	}
	if moved || plan.steps == nil {
		now, err := again(ctx, o, plan)
		if err != nil {
			return Result{}, err
		}
		if now.Digest != plan.Digest && !(plan.Destroy && now.within(plan)) {
			return Result{}, fail.WithHint(fail.Inputf("launch %s: the definitions or the cloud are not what they were when the plan was made (plan %.12s, now %.12s)", plan.Environment, plan.Digest, now.Digest),
				"give the same --var and --only as then, or make the plan anew and look at it again")
		}
		plan = now
	}
	e, err := newExecution(o, plan)
	if err != nil {
		return Result{}, err
	}
	nodes := e.steps()
	if err := acyclic(nodes); err != nil {
		return Result{}, fail.Clean(fmt.Errorf("%s: %w", e.title(), err))
	}
	results := graph.Walk(ctx, nodes, graph.Options{})
	return e.result(), e.outcome(ctx, results)
}

// within tells whether a plan of destruction removes nothing that another one
// does not: what was going already is gone meanwhile.
func (p *Plan) within(agreed *Plan) bool {
	return !slices.ContainsFunc(p.Changes, func(c Change) bool {
		return !slices.ContainsFunc(agreed.Changes, func(a Change) bool { return a.Kind == c.Kind && a.ID == c.ID && a.Address == c.Address })
	})
}

// Hold takes the environment's lease for a plan that changes something, and
// gives the context to apply it in. Where another run held the lease since the
// plan was made, it makes it anew; one that was read from JSON it leaves for
// Apply to compare.
func Hold(ctx context.Context, o Options, plan *Plan) (context.Context, *Plan, error) {
	held, moved, err := hold(ctx, o, plan)
	if err == nil && moved && plan.steps != nil {
		plan, err = again(held, o, plan)
	}
	return held, plan, err
}

func hold(ctx context.Context, o Options, plan *Plan) (context.Context, bool, error) {
	if plan.Empty() {
		return ctx, false, nil
	}
	held, moved, err := o.Lease.Hold(ctx, o.Cloud, plan.Environment, plan.looked)
	return held, moved, fail.Unchanged(err)
}

// again makes a plan anew.
func again(ctx context.Context, o Options, plan *Plan) (*Plan, error) {
	if plan.Destroy {
		return NewDestroyPlan(ctx, o)
	}
	return NewPlan(ctx, o)
}

// execution is a plan that is being carried out.
type execution struct {
	*planner
	plan    *Plan
	sink    event.Sink
	started time.Time
	owner   map[string]*item  // whose old generations the things that go are, by ID
	tagged  map[string]string // the step that mends the tags of an address
	address map[string]string // of each step
	groups  map[string]*group // of the items that are made in one call, by address
	rolls   []*rolling        // roll-outs, and by the addresses that are part of one
	rolled  map[string]*rolling
	grouped map[string]*groupRoll // the roll-outs of groups that have probes or hooks, by address

	mu       sync.Mutex
	current  map[string]*found // by address
	new      []*found          // what this run made and is there
	begun    map[string]string // what is there, or may be, although its making failed: words for it, by address
	changed  []*found          // what this run has changed, perhaps not to the end
	undone   []string          // the IDs of what was changed and has been put back
	touched  bool              // this run has asked for something to be removed
	finished map[string]bool   // steps that ended well
	spared   map[string]bool   // the IDs of what was to be removed and is kept for a while
}

func newExecution(o Options, plan *Plan) (*execution, error) {
	e := &execution{
		planner: plan.steps, plan: plan, sink: o.sink(), started: time.Now(),
		owner: map[string]*item{}, tagged: map[string]string{}, address: map[string]string{},
		current: map[string]*found{}, begun: map[string]string{}, finished: map[string]bool{}, spared: map[string]bool{}, groups: map[string]*group{}, rolled: map[string]*rolling{}, grouped: map[string]*groupRoll{},
	}
	for _, it := range e.items {
		if it.have != nil && it.action != Replace {
			e.current[it.Address] = it.have
		}
		if it.action == Replace {
			e.owner[it.have.id] = it
		}
		for _, f := range slices.Concat(it.stale, it.room) {
			e.owner[f.id] = it
		}
	}
	if err := e.findRolls(); err != nil {
		return nil, err
	}
	e.findGroups()
	return e, nil
}

func (e *execution) title() string {
	if e.plan.Destroy {
		return "destroy " + e.environment
	}
	return "launch " + e.environment
}

func (e *execution) command() string { return "goldline " + e.title() }

// node is a step that is recorded when it ends.
func (e *execution) node(name, address string, needs []string, run func(ctx context.Context) error) graph.Node {
	e.address[name] = address
	return graph.Node{Name: name, Needs: needs, Run: func(ctx context.Context) error {
		err := graph.Guard(func() error { return run(ctx) })
		if err != nil {
			e.sink.Emit(event.Event{Item: address, Kind: event.Failed, Message: err.Error()})
			return err
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.finished[name] = true
		return nil
	}}
}

func (e *execution) task(address string) *task {
	return &task{world: e.world, address: address, sink: e.sink, started: e.started, destroying: e.plan.Destroy}
}

func (e *execution) now(address string) *found {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current[address]
}

func (e *execution) set(address string, f *found) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current[address] = f
}

// change notes that something is being changed.
func (e *execution) change(f *found) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(e.changed, func(o *found) bool { return o.id == f.id }) {
		e.changed = append(e.changed, f)
	}
}

// unchange notes that changes were taken back.
func (e *execution) unchange(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.undone = append(e.undone, ids...)
	e.changed = slices.DeleteFunc(e.changed, func(f *found) bool { return has(ids, f.id) })
}

func (e *execution) touch() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.touched = true
}

// make makes an item, or changes it.
func (e *execution) make(ctx context.Context, it *item) error {
	spec, err := e.fill(it)
	if err != nil {
		return err
	}
	t := e.resourceTask(it, spec)
	if r := e.rolled[it.Address]; r != nil {
		return e.take(ctx, r, t, it, spec)
	}
	err = e.bring(ctx, t, it, spec)
	if err != nil && len(t.old) > 0 && (it.action == Replace || it.diffs.has(traffic)) {
		_, problem := e.restore(ctx, t, it)
		return fail.Join(err, problem)
	}
	return err
}

// bring makes an item, or changes it, and puts nothing back.
func (e *execution) bring(ctx context.Context, t *task, it *item, spec any) error {
	if !it.made() {
		if it.late() {
			return nil // join changes it
		}
		return e.converge(ctx, t, it, spec)
	}
	var err error
	if e.groups[it.Address] == nil {
		t.emit(event.Started, nil, "%s", it.action)
		err = e.create(ctx, t, it, spec)
	} else {
		err = e.name(ctx, t, it)
	}
	if err == nil && !it.late() {
		err = e.converge(ctx, t, it, spec)
	}
	return err
}

func (e *execution) create(ctx context.Context, t *task, it *item, spec any) error {
	var made *found
	err := t.eventually(ctx, func() (err error) {
		made, err = it.kind.create(ctx, t, it.Resource, spec)
		return err
	})
	if err != nil {
		e.noteBegun(it, t, err)
		return err
	}
	e.noteMade(it, made)
	return nil
}

// name gives a member of a group the tags of its own.
func (e *execution) name(ctx context.Context, t *task, it *item) error {
	t.made = e.now(it.Address)
	return t.eventually(ctx, func() error {
		named, err := it.kind.nameMember(ctx, t, t.made)
		if err == nil {
			e.set(it.Address, named)
		}
		return err
	})
}

// join carries out what had to wait for others that are made at the same time.
func (e *execution) join(ctx context.Context, it *item) error {
	spec, err := e.fill(it)
	if err != nil {
		return err
	}
	return e.converge(ctx, e.resourceTask(it, spec), it, spec)
}

// converge changes in place what differs, and waits until the item is of use.
func (e *execution) converge(ctx context.Context, t *task, it *item, spec any) error {
	have := e.now(it.Address)
	if d := it.kind.compare(e.world, it.Resource, spec, have).inPlace(); len(d) > 0 {
		if !it.made() {
			e.change(have)
		}
		err := t.eventually(ctx, func() error { return it.kind.update(ctx, t, it.Resource, spec, have, d) })
		if err != nil {
			e.unchange(t.undone)
			return err
		}
		if !it.made() {
			t.emit(event.Changed, map[string]string{"id": have.id, "kind": it.Kind}, "%s is changed: %s", have.id, it.change().Reason)
		}
	}
	settled, err := it.kind.settle(ctx, t, have)
	if err != nil {
		return err
	}
	e.set(it.Address, settled)
	t.emit(event.Succeeded, map[string]string{"id": have.id, "kind": it.Kind}, "%s is as defined", have.id)
	return nil
}

func (e *execution) settle(ctx context.Context, it *item) error {
	settled, err := it.kind.settle(ctx, e.task(it.Address), it.have)
	if err == nil {
		e.set(it.Address, settled)
	}
	return err
}

// restore puts a failed replacement back, on a context of its own, so that an
// interrupt doesn't leave the old resource without what was taken from it. It
// tells whether that was done.
func (e *execution) restore(ctx context.Context, t *task, it *item) (bool, error) {
	if lease.Lost(ctx) != nil {
		return false, nil // another run may be at work here
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreDeadline+e.drains(it.Resource))
	defer cancel()
	old := it.have
	if len(t.old) > 0 {
		old = t.old[0]
	} else if t.swapped == nil {
		return false, nil // nothing was taken from it
	}
	done, err := it.kind.restore(ctx, t)
	if err != nil {
		e.touch()
		return false, fmt.Errorf("put %s back: %w", old.id, err)
	}
	if !done {
		return false, nil
	}
	e.unchange(t.undone)
	e.mu.Lock()
	defer e.mu.Unlock()
	gone := func(f *found) bool { return f.id == old.id }
	if made := e.current[it.Address]; made != nil { // by this run, or an earlier one
		gone = func(f *found) bool { return f.id == old.id || f.id == made.id }
		e.new = slices.DeleteFunc(e.new, func(f *found) bool { return f.id == made.id })
	}
	e.changed = slices.DeleteFunc(e.changed, gone)
	delete(e.begun, it.Address)
	e.current[it.Address] = old
	t.emit(event.Warning, map[string]string{"id": old.id, "kind": it.Kind}, "%s is put back in its place", old.id)
	return true, nil
}

func (e *execution) tag(ctx context.Context, items []*item) error {
	var have []*found
	for _, it := range items {
		have = append(have, it.have)
	}
	if err := items[0].kind.retag(ctx, e.Cloud, have, items[0].retag); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	for _, it := range items {
		e.change(it.have)
		e.task(it.Address).emit(event.Changed, map[string]string{"id": it.have.id, "kind": it.Kind}, "%s has its tags", it.have.id)
	}
	return nil
}

func (e *execution) loosen(ctx context.Context, f *found) error {
	e.touch()
	return f.kind.loosen(ctx, e.task(f.address()), f)
}

func (e *execution) drop(ctx context.Context, f *found) error {
	t := e.task(f.address())
	t.replacing = e.owner[f.id] != nil
	if it := e.owner[f.id]; it != nil {
		if now := e.now(it.Address); now != nil && now.id == f.id {
			return nil // it was kept, and is in its place again
		}
		if kept, err := f.kind.spare(ctx, t, it.Resource, it.spec, f); kept || err != nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.spared[f.id] = kept
			return err
		}
	}
	e.touch() // first: what fails may be the wait for what was asked for
	if err := f.kind.remove(ctx, t, f); err != nil {
		return fmt.Errorf("remove %s: %w", f.id, err)
	}
	t.emit(event.Removed, map[string]string{"id": f.id, "kind": f.kindName()}, "%s is removed", f.id)
	return nil
}
