package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// A roll-out is the replacement of the instances of one definition, in batches.
// Its steps stand in the same graph as everything else that a launch does:
//
//	roll DEFINITION N   batch N may begin: what took the new build before it is
//	                    still healthy
//	make ADDRESS        one instance is replaced, and is healthy in the end; if
//	                    not, it is put back
//	watch DEFINITION N  the canaries, or batch N, stay healthy for their bake_time;
//	                    if not, they are put back
//	end DEFINITION      all run the new build, and the old ones are gone
//
// The old instance goes when its successor has proved itself, so that until
// then everything can be put back.

// rolling is a roll-out, planned and under way.
type rolling struct {
	definition string // instance.web
	spec       *project.Rollout
	size       int  // instances of the definition that there are
	spare      bool // each successor serves before the one whose place it takes goes
	batches    [][]*item
	canaries   int       // how many batches are first
	watches    []watched // in order
	done       []*item   // run the new build already
	of         *item     // the group whose instances take the new build; nil where each is an item
	from       string    // the AMI of the group's instances before
	inService  int       // instances of the group in service, as last seen

	mu      sync.Mutex
	members map[string]*member // by address, those of batches; of a group by instance
	order   []string
}

// State of an instance in a roll-out.
const (
	StateWaiting   = "not begun"
	StateReplacing = "under way"
	StateTaken     = "new build"
	StatePutBack   = "put back"
	StateFailed    = "failed"
)

// member is an instance in a roll-out.
type member struct {
	Rolled
	began time.Time
	task  *task
}

// watched are the batches with the indices from to to-1. They are watched together,
// for limit, before the next one begins.
type watched struct {
	from, to int
	limit    time.Duration
}

func (r *rolling) gateStep(batch int) string { return fmt.Sprintf("roll %s %d", r.definition, batch+1) }
func (r *rolling) watchStep(w watched) string {
	return fmt.Sprintf("watch %s %d", r.definition, w.from+1)
}
func (r *rolling) endStep() string { return "end " + r.definition }

// rollouts are the roll-outs of a plan, in the order of definitions. Instances
// that have to go before their successors can be made because something else
// is replaced, their subnet for one, are no part of one: nothing could be put back.
func (p *planner) rollouts() ([]*rolling, error) {
	byName := map[string]*rolling{}
	var all []*rolling
	todo := map[string][]*item{}
	for _, it := range p.items {
		if it.Kind != "instance" || it.have == nil || it.Adopt != nil {
			continue
		}
		spec := p.Topology.Effective(p.Rollout, it.Resource)
		if spec == nil {
			continue
		}
		name := definitionAddress(it.Resource)
		r := byName[name]
		if r == nil {
			r = &rolling{definition: name, spec: spec, members: map[string]*member{}}
			byName[name] = r
			all = append(all, r)
		}
		r.size++
		switch {
		case it.resumed:
			todo[name] = append([]*item{it}, todo[name]...)
		case it.swaps() || it.action == Replace && (!it.first || p.inItsOwnWay(it)):
			todo[name] = append(todo[name], it)
		case it.action != Replace:
			r.done = append(r.done, it)
		}
	}
	var rolls []*rolling
	var problems diag.List
	for _, r := range all {
		list := todo[r.definition]
		if len(list) == 0 {
			continue
		}
		r.spare = p.spare(list)
		batches, err := batchesOf(r.spec, r.size, len(list), r.spare)
		if err != nil {
			problems.AddHint(r.spec.Pos, "give "+r.definition+" a rollout of its own, or change this one", "%s: %v", r.definition, err)
			continue
		}
		r.divide(batches, list)
		rolls = append(rolls, r)
	}
	return rolls, problems.Err()
}

// inItsOwnWay tells whether an instance has to go before its successor is made
// because of itself: a private address is given once.
func (p *planner) inItsOwnWay(it *item) bool {
	return it.kind.excludes(p.world, it.Resource, it.spec, it.have)
}

// spare tells whether the successors of instances serve before these go: they
// hold nothing that has to be handed over.
func (p *planner) spare(list []*item) bool {
	for _, it := range list {
		if it.first || it.swaps() || movesVolumes(it) || len(it.Spec.(*instanceSpec).NetworkInterfaces) > 0 {
			return false
		}
	}
	return true
}

func (r *rolling) divide(batches []batch, list []*item) {
	for n, b := range batches {
		r.batches = append(r.batches, list[:b.size])
		for _, it := range list[:b.size] {
			m := &member{Rolled: Rolled{Address: it.Address, Batch: n + 1, State: StateWaiting, Old: it.have.id, From: it.have.attributes["ami"]}}
			if it.resumed {
				m.Old, m.From = it.stale[0].id, it.stale[0].attributes["ami"]
			}
			r.members[it.Address] = m
			r.order = append(r.order, it.Address)
		}
		if b.canary {
			r.canaries = n + 1
		}
		r.watch(n, b.canary)
		list = list[b.size:]
	}
}

// watch says how batch n is watched: alone, and canaries all together.
func (r *rolling) watch(n int, canary bool) {
	limit := r.spec.BakeTime.Or(0)
	if canary {
		limit = r.spec.Canary.BakeTime.Or(limit)
	}
	switch {
	case limit == 0:
	case canary && n > 0:
		r.watches[0].to = n + 1
	default:
		r.watches = append(r.watches, watched{n, n + 1, limit})
	}
}

// rollSteps are the steps of the roll-outs beside those that make instances.
func (e *execution) rollSteps() []graph.Node {
	var nodes []graph.Node
	for _, r := range e.rolls {
		for n := range r.batches {
			nodes = append(nodes, e.node(r.gateStep(n), r.definition, r.gateNeeds(n), func(ctx context.Context) error { return e.openBatch(ctx, r, n) }))
		}
		for _, w := range r.watches {
			nodes = append(nodes, e.node(r.watchStep(w), r.definition, r.readySteps(w.from, w.to), func(ctx context.Context) error { return e.watchBatches(ctx, r, w) }))
		}
		if h := r.spec.Hooks; h != nil && len(h.AfterRollout) > 0 {
			nodes = append(nodes, e.node(r.endStep(), r.definition, e.endNeeds(r), func(ctx context.Context) error { return e.endRollout(ctx, r) }))
		}
	}
	return nodes
}

// gateNeeds: a batch waits for the one before it, and for the end of its watch.
func (r *rolling) gateNeeds(n int) []string {
	var needs []string
	if n > 0 {
		needs = r.readySteps(n-1, n)
	}
	for _, w := range r.watches {
		if w.to == n {
			needs = append(needs, r.watchStep(w))
		}
	}
	return needs
}

// readySteps are the steps that replace the instances of some batches.
func (r *rolling) readySteps(from, to int) []string {
	var steps []string
	for _, batch := range r.batches[from:to] {
		for _, it := range batch {
			steps = append(steps, it.ready())
		}
	}
	return steps
}

func (e *execution) endNeeds(r *rolling) []string {
	needs := r.readySteps(0, len(r.batches))
	if r.of != nil {
		needs = append(needs, r.of.ready())
	}
	for _, w := range r.watches {
		needs = append(needs, r.watchStep(w))
	}
	for _, f := range e.going() {
		if it := e.owner[f.id]; it != nil && (it == r.of || r.members[it.Address] != nil) {
			needs = append(needs, dropStep(f))
		}
	}
	return needs
}

// findRolls notes which items are part of a roll-out.
func (e *execution) findRolls() error {
	rolls, err := e.planner.rollouts()
	if err != nil {
		return err
	}
	e.rolls = append(rolls, e.groupRolls()...)
	for n, r := range rolls {
		for b, batch := range r.batches {
			for _, it := range batch {
				e.rolled[it.Address] = rolls[n]
				it.gate = r.gateStep(b)
				for _, w := range r.watches {
					if w.from <= b && b < w.to {
						it.watched = r.watchStep(w)
					}
				}
			}
		}
	}
	return nil
}

// openBatch lets a batch begin when all that took the new build are healthy.
func (e *execution) openBatch(ctx context.Context, r *rolling, n int) error {
	canary := ""
	if n < r.canaries {
		canary = ", canary"
	}
	e.tell(r, r.definition, event.Started, "batch %d of %d%s: %s (%s healthy)", n+1, len(r.batches), canary, strings.Join(addressesOf(r.batches[n]), ", "), r.fields("")["healthy"])
	var looked []*item
	if n == 0 {
		looked = r.done
	}
	for _, batch := range r.batches[:n] {
		looked = append(looked, batch...)
	}
	return graph.Each(ctx, 0, len(looked), func(ctx context.Context, i int) error {
		it := looked[i]
		if err := e.healthyNow(ctx, r, it); err != nil {
			return fmt.Errorf("%s runs the new build already, and no other follows: %w", it.Address, err)
		}
		return nil
	})
}

func addressesOf(list []*item) []string {
	var all []string
	for _, it := range list {
		all = append(all, it.Address)
	}
	return all
}

// take replaces one instance of a roll-out, or goes on where an earlier run was
// interrupted in it. What fails is put back.
func (e *execution) take(ctx context.Context, r *rolling, t *task, it *item, spec any) error {
	r.note(it.Address, func(m *member) { m.State, m.began, m.task = StateReplacing, time.Now(), t })
	t.groups = spec.(*instanceSpec).TargetGroups
	if !it.resumed {
		if err := e.hook(ctx, r, it.Address, e.instanceNow(it.Address), "before_replace"); err != nil {
			r.note(it.Address, func(m *member) { m.fail(StateWaiting, err) })
			return err
		}
	}
	err := e.bring(ctx, t, it, spec)
	if now := e.now(it.Address); now != nil && (err == nil || now.id != r.member(it.Address).Old) {
		r.note(it.Address, func(m *member) { m.New, m.To = now.id, e.ami(spec.(*instanceSpec)) })
	}
	if err == nil {
		err = e.hook(ctx, r, it.Address, e.instanceNow(it.Address), "after_replace")
	}
	if err == nil && it.watched == "" {
		err = e.prove(ctx, t, it)
	}
	if err != nil {
		return e.putBack(ctx, r, it, err)
	}
	r.note(it.Address, func(m *member) { m.State, m.Seconds = StateTaken, time.Since(m.began).Seconds() })
	m := r.member(it.Address)
	how := "in the place of " + m.Old
	if m.Old == m.New {
		how = "over another root volume"
	}
	e.tell(r, it.Address, event.Progress, "%s serves %s after %.1f s: %s run the new build", m.New, how, m.Seconds, r.fields("")["taken"])
	return nil
}

// prove notes on an instance over another root that it has proved itself.
func (e *execution) prove(ctx context.Context, t *task, it *item) error {
	if len(t.proof) == 0 {
		return nil
	}
	if err := createTags(ctx, e.Cloud, []string{it.have.id}, t.proof); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	return nil
}

// putBack gives an instance its place again.
func (e *execution) putBack(ctx context.Context, r *rolling, it *item, cause error) error {
	e.tell(r, it.Address, event.Warning, "going back to %s: %v", r.member(it.Address).Old, cause)
	restored, err := e.restore(ctx, r.member(it.Address).task, it)
	state := StateFailed
	if restored {
		state = StatePutBack
	}
	r.note(it.Address, func(m *member) { m.fail(state, cause); m.Seconds = time.Since(m.began).Seconds() })
	return fail.Join(cause, err)
}

func (m *member) fail(state string, err error) { m.State, m.Reason = state, err.Error() }

// watchBatches watches all that has taken the new build. Where one fails, the
// batches that were to prove themselves are put back; of those before them
// nothing is left to go back to.
func (e *execution) watchBatches(ctx context.Context, r *rolling, w watched) error {
	looked, proving := slices.Concat(r.done, slices.Concat(r.batches[:w.to]...)), slices.Concat(r.batches[w.from:w.to]...)
	err := e.watch(ctx, r, looked, w.limit)
	if err == nil {
		err = graph.Each(ctx, 0, len(proving), func(ctx context.Context, i int) error {
			return e.prove(ctx, r.member(proving[i].Address).task, proving[i])
		})
	}
	if err == nil {
		return nil
	}
	return graph.Each(context.WithoutCancel(ctx), 0, len(proving), func(ctx context.Context, i int) error {
		return e.putBack(ctx, r, proving[i], err)
	})
}

func (e *execution) endRollout(ctx context.Context, r *rolling) error {
	return e.hook(ctx, r, r.definition, types.Instance{}, "after_rollout")
}

func (r *rolling) note(address string, change func(*member)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.members[address])
}

// member is a copy of what is known of an instance.
func (r *rolling) member(address string) member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[address]; m != nil {
		return *m
	}
	return member{}
}

// tell emits an event with how far the roll-out is.
func (e *execution) tell(r *rolling, address string, kind event.Kind, format string, args ...any) {
	e.sink.Emit(event.Event{Item: address, Kind: kind, Message: fmt.Sprintf(format, args...), Fields: r.fields(address)})
}
