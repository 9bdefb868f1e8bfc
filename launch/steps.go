package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// A plan is carried out as one graph. A resource has up to four steps:
//
//	make ADDRESS    it is made, or changed in place
//	join ADDRESS    what it says of others that are made at the same time: rules
//	                that name groups
//	loosen ID       it lets go of others that go, too
//	drop ID         it is removed
//
// Nothing waits but for what it names. What goes away goes after all that is
// new is there, unless it stands in the way.

func makeStep(it *item) string      { return "make " + it.Address }
func joinStep(it *item) string      { return "join " + it.Address }
func loosenStep(f *found) string    { return "loosen " + f.id }
func dropStep(f *found) string      { return "drop " + f.id }
func settleStep(it *item) string    { return "settle " + it.Address }
func tagStep(address string) string { return "tag " + address }

// works tells whether an item has a step beyond tags.
func (it *item) works() bool { return it.made() || len(it.diffs) > 0 || it.resumed }

func (it *item) late() bool {
	for _, ref := range it.Refs {
		if ref.Late {
			return true
		}
	}
	return false
}

// last is the step after which others can use the item; "" for none.
func (it *item) last() string {
	if it != nil && it.watched != "" {
		return it.watched
	}
	return it.ready()
}

// ready is the step after which the item is as it is defined; "" for none.
func (it *item) ready() string {
	switch {
	case it == nil || !it.works():
		return ""
	case it.late():
		return joinStep(it)
	}
	return makeStep(it)
}

// steps builds the graph of a plan.
func (e *execution) steps() []graph.Node {
	nodes := append(e.tagSteps(), e.rollSteps()...)
	for _, it := range e.items {
		if g := e.groups[it.Address]; g != nil && g.items[0] == it {
			nodes = append(nodes, e.groupNode(g))
		}
		if it.works() {
			nodes = append(nodes, e.makeSteps(it)...)
		} else if e.settles(it) {
			nodes = append(nodes, e.node(settleStep(it), it.Address, nil, func(ctx context.Context) error { return e.settle(ctx, it) }))
		}
	}
	going := e.going()
	gone := map[string]bool{}
	for _, f := range going {
		gone[f.id] = true
	}
	for _, f := range going {
		if loose(f, gone) {
			nodes = append(nodes, e.node(loosenStep(f), f.address(), e.loosenNeeds(f, going), func(ctx context.Context) error { return e.loosen(ctx, f) }))
		}
		nodes = append(nodes, e.node(dropStep(f), f.address(), e.dropNeeds(f, going, gone), func(ctx context.Context) error { return e.drop(ctx, f) }))
	}
	return nodes
}

// acyclic fails where no order of the steps works.
func acyclic(nodes []graph.Node) error {
	var names []string
	needs := map[string][]string{}
	for _, n := range nodes {
		names = append(names, n.Name)
		needs[n.Name] = n.Needs
	}
	if _, cycle := graph.Order(names, func(n string) []string { return needs[n] }); cycle != nil {
		return fmt.Errorf("no order works for these changes, since each waits for the next: %v; make them in two launches", cycle)
	}
	return nil
}

// settles tells whether an item that needs no change may still have to settle.
func (e *execution) settles(it *item) bool {
	return it.have != nil && !it.works() && e.selected(it.Resource) && it.kind.fresh(it.have)
}

// used is the step after which an item can be used, or taken from: its last, or
// the one in which it settles.
func (e *execution) used(it *item) string {
	if it != nil && e.settles(it) {
		return settleStep(it)
	}
	return it.last()
}

func (e *execution) makeSteps(it *item) []graph.Node {
	var needs []string
	if g := e.groups[it.Address]; g != nil {
		needs = []string{g.step()} // which waits for all that its items need
	} else {
		needs = e.makeNeeds(it)
	}
	nodes := []graph.Node{e.node(makeStep(it), it.Address, needs, func(ctx context.Context) error { return e.make(ctx, it) })}
	if it.late() {
		needs := []string{makeStep(it)}
		for _, ref := range it.Refs {
			if other := e.byAddress[ref.Address]; ref.Late && other != nil && other != it && other.works() {
				needs = append(needs, makeStep(other))
			}
		}
		nodes = append(nodes, e.node(joinStep(it), it.Address, needs, func(ctx context.Context) error { return e.join(ctx, it) }))
	}
	return nodes
}

func (e *execution) makeNeeds(it *item) []string {
	var needs []string
	add := func(step string) {
		if step != "" && !has(needs, step) {
			needs = append(needs, step)
		}
	}
	add(it.gate)
	add(e.turn(it))
	for _, ref := range it.Refs {
		if !ref.Late {
			add(e.used(e.byAddress[ref.Address]))
		}
	}
	for _, other := range e.items {
		if it.have != nil && other.have != nil && has(it.have.stops, other.have.id) {
			add(e.used(other))
		}
	}
	for _, address := range it.kind.follows(e.world, it.Resource, it.spec) {
		add(e.byAddress[address].last())
	}
	if it.first {
		add(dropStep(it.have))
		for _, f := range it.stale {
			add(dropStep(f))
		}
	}
	excluded := func(f *found) bool { return it.kind.excludes(e.world, it.Resource, it.spec, f) }
	for _, f := range e.strays {
		if it.made() && e.early[f.id] && excluded(f) {
			add(dropStep(f))
		}
	}
	for _, other := range e.items {
		if other == it || other.Kind != it.Kind || other.have == nil || !other.works() || !excluded(other.have) {
			continue
		}
		if other.action == Replace {
			add(dropStep(other.have))
		} else {
			add(other.last()) // it gives up what is wanted here
		}
	}
	return needs
}

// after is what has to be made before something that is not in the way goes:
// whatever still uses it, and for what no definition has everything.
func (e *execution) after(f *found) []string {
	owner := e.owner[f.id]
	if e.early[f.id] {
		if owner != nil && owner.gate != "" {
			return []string{owner.gate} // it is its batch's turn
		}
		return nil
	}
	var needs []string
	for _, it := range e.items {
		step := it.last()
		if step == "" {
			continue
		}
		uses := it.have != nil && (has(it.have.uses, f.id) || has(it.have.names, f.id))
		if owner == nil || owner == it || uses {
			needs = append(needs, step)
		}
	}
	return needs
}

func (e *execution) dropNeeds(f *found, going []*found, gone map[string]bool) []string {
	needs := e.after(f)
	if loose(f, gone) {
		needs = append(needs, loosenStep(f))
	}
	for _, other := range going {
		if other == f {
			continue
		}
		if has(other.uses, f.id) || has(f.freedBy, other.id) && e.early[f.id] == e.early[other.id] || f.gates != "" && other.mapped == f.gates {
			needs = append(needs, dropStep(other))
		}
		if has(other.names, f.id) && loose(other, gone) {
			needs = append(needs, loosenStep(other))
		}
	}
	return needs
}

func (e *execution) loosenNeeds(f *found, going []*found) []string {
	needs := e.after(f)
	for _, other := range going {
		if other != f && has(other.uses, f.id) {
			needs = append(needs, dropStep(other))
		}
	}
	return needs
}

// loose tells whether something that goes names others that go.
func loose(f *found, gone map[string]bool) bool {
	if !f.kind.loosens() {
		return false
	}
	for _, id := range f.names {
		if gone[id] {
			return true
		}
	}
	return false
}

// tagSteps mend tags, one call for all resources that miss the same.
func (e *execution) tagSteps() []graph.Node {
	groups := map[string][]*item{}
	for _, it := range e.items {
		if it.action == Update && len(it.retag) > 0 {
			text, _ := json.Marshal(it.retag) // text to text: it cannot fail
			key := string(text)
			if it.kind.ownTags() {
				key = it.Kind + " " + key
			}
			groups[key] = append(groups[key], it)
		}
	}
	var nodes []graph.Node
	for _, key := range union(groups) {
		items := groups[key]
		name := tagStep(items[0].Address)
		if len(items) > 1 {
			name = fmt.Sprintf("%s and %d others", name, len(items)-1)
		}
		nodes = append(nodes, e.node(name, items[0].Address, nil, func(ctx context.Context) error { return e.tag(ctx, items) }))
		for _, it := range items {
			e.tagged[it.Address] = name
		}
	}
	return nodes
}

// resourceTask is the task for making or changing an item.
func (e *execution) resourceTask(it *item, spec any) *task {
	t := e.task(it.Address)
	t.uuid, t.tags = it.UUID, e.tagsOf(it.Resource, it.kind, spec)
	t.wanted, t.generation = spec, 1
	if it.have != nil {
		t.generation = it.have.generation()
	}
	if it.made() {
		t.generation = e.inventory.generations[it.UUID] + 1
		if it.have != nil {
			t.generation = max(t.generation, it.have.generation()+1)
		}
	}
	before := slices.Concat(it.stale, it.kept)
	if it.action == Replace && !it.first {
		t.old = append([]*found{it.have}, before...)
	} else if it.action != Replace {
		t.old = before
	}
	t.replacing, t.resumed = it.action == Replace || it.resumed, it.resumed
	t.roll = e.grouped[it.Address]
	if r := e.rolled[it.Address]; r != nil {
		t.answers = func(ctx context.Context, id string) error { return e.answers(ctx, r, t, id) }
		t.becomesHealthy = func(ctx context.Context, i types.Instance) error { return e.serves(ctx, r, t, i) }
	}
	return t
}

func (e *execution) fill(it *item) (any, error) {
	spec, err := project.Fill(it.Spec, e.lookup)
	if err != nil {
		return nil, fmt.Errorf("references: %w", err)
	}
	return spec, nil
}

// lookup gives the values of references as they are now.
func (e *execution) lookup(ref project.Ref) (string, bool) {
	it, ok := e.byAddress[ref.Address]
	if !ok || ref.Kind == "image" {
		return "", false
	}
	if f := e.now(it.Address); f != nil {
		if it.moves() {
			if value, ok := it.kind.foresee(e.world, it.Resource)[ref.Attribute]; ok {
				return value, true
			}
		}
		value, _ := f.attribute(ref.Attribute)
		return value, true
	}
	return Unknown, true
}
