package launch

import (
	"context"
	"fmt"
	"sort"
	"strconv"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// grouper is a kind of which EC2 makes several equal ones in one call.
type grouper[S, R any] interface {
	// together is a key that is equal for definitions which may be made in one
	// call; "" for one that has to be made alone.
	together(r *project.Resource, s *S) string
	// createAll makes all, in the order of their indices, which have no gap. The
	// task is the first one's.
	createAll(ctx context.Context, t *task, all []want[S]) ([]R, error)
	// nameMember gives one that createAll has made the tags of its own, and takes
	// in what it has become. Thousands wait in it at a time: it gets no copy.
	nameMember(ctx context.Context, t *task, have *R) error
}

func (a adapter[S, R]) together(r *project.Resource) string {
	h, ok := a.h.(grouper[S, R])
	s, same := r.Spec.(*S)
	if !ok || !same {
		return ""
	}
	return h.together(r, s)
}

func (a adapter[S, R]) createAll(ctx context.Context, t *task, items []*item, specs []any) ([]*found, error) {
	var all []want[S]
	for i, it := range items {
		all = append(all, a.want(t.world, it.Resource, specs[i]))
	}
	made, err := a.h.(grouper[S, R]).createAll(ctx, t, all)
	if err != nil {
		return nil, err
	}
	list := make([]*found, len(made))
	for i, r := range made {
		list[i] = a.found(r)
	}
	return list, nil
}

func (a adapter[S, R]) nameMember(ctx context.Context, t *task, have *found) (*found, error) {
	r := new(R)
	*r = have.raw.(R)
	if err := a.h.(grouper[S, R]).nameMember(ctx, t, r); err != nil {
		return have, err
	}
	return a.found(*r), nil
}

// group is a number of items that are made in one call.
type group struct {
	items []*item // by index, without a gap
}

func (g *group) step() string {
	return fmt.Sprintf("launch %s to %s", g.items[0].Address, g.items[len(g.items)-1].Address)
}

// findGroups gathers the items that are made together. One that takes volumes
// over from what it replaces is made alone: they have to be taken off first. So is
// each instance of a roll-out, since each is put back by itself.
func (e *execution) findGroups() {
	lists := map[string][]*item{}
	for _, it := range e.items {
		if !it.made() || it.first || it.action == Replace && movesVolumes(it) || e.rolled[it.Address] != nil {
			continue
		}
		if key := it.kind.together(it.Resource); key != "" {
			key += " " + strconv.Itoa(e.resourceTask(it, it.spec).generation)
			lists[key] = append(lists[key], it)
		}
	}
	for _, key := range union(lists) {
		list := lists[key]
		sort.Slice(list, func(i, j int) bool { return number10(list[i].Index) < number10(list[j].Index) })
		for len(list) > 0 {
			n := 1
			for n < len(list) && n < launchGroup && number10(list[n].Index) == number10(list[n-1].Index)+1 {
				n++
			}
			if n > 1 {
				g := &group{items: list[:n]}
				for _, it := range g.items {
					e.groups[it.Address] = g
				}
			}
			list = list[n:]
		}
	}
}

func movesVolumes(it *item) bool {
	s, ok := it.spec.(*instanceSpec)
	return ok && len(s.Volumes) > 0
}

func number10(index string) int {
	n, err := strconv.Atoi(index)
	if err != nil {
		return -1
	}
	return n
}

// groupNode is the step that makes a group; it waits for what any of its items
// needs.
func (e *execution) groupNode(g *group) graph.Node {
	var needs []string
	for _, it := range g.items {
		for _, step := range e.makeNeeds(it) {
			if !has(needs, step) {
				needs = append(needs, step)
			}
		}
	}
	return e.node(g.step(), g.items[0].Address, needs, func(ctx context.Context) error { return e.makeGroup(ctx, g) })
}

func (e *execution) makeGroup(ctx context.Context, g *group) error {
	first := g.items[0]
	var specs []any
	for _, it := range g.items {
		spec, err := e.fill(it)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
		e.task(it.Address).emit(event.Started, nil, "%s", it.action)
	}
	t := e.resourceTask(first, specs[0])
	var made []*found
	err := t.eventually(ctx, func() (err error) {
		made, err = first.kind.createAll(ctx, t, g.items, specs)
		return err
	})
	if err != nil {
		for _, it := range g.items {
			e.noteBegun(it, t, err)
		}
		return fmt.Errorf("with %d others in one call: %w", len(g.items)-1, err)
	}
	for i, it := range g.items {
		e.noteMade(it, made[i])
	}
	return nil
}
