package launch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// item is one definition beside what there is of it.
type item struct {
	*project.Resource
	kind   kind
	have   *found   // the newest generation; nil if there is none
	stale  []*found // earlier generations, which an interrupted replacement left
	kept   []*found // earlier generations, which stay for a while
	room   []*found // those of kept that the replacement may take something from, so that they go
	spec   any      // with values in the places of references
	action Action
	diffs  differences
	retag  map[string]string // tags that are missing or differ
	// first is a replacement that has to remove the old before it makes the new.
	first bool
	// resumed is part of a roll-out that was interrupted in it: its predecessor
	// is still there.
	resumed bool
	// gate and watched are the steps of a roll-out before and after the item's own;
	// empty for none.
	gate, watched string
}

// made tells whether the item's ID is not known before the launch.
func (it *item) made() bool { return it.action == Create || it.action == Replace }

// moves tells whether the item, of IAM, gets another path in place, and with it
// another ARN than it has.
func (it *item) moves() bool { return it.action == Update && it.diffs.has("path") }

// planner decides what happens to each resource.
type planner struct {
	*world
	items     []*item
	byAddress map[string]*item
	strays    []*found // what no definition has
	// early are the IDs of what has to be removed before something else can be
	// made. Everything else is removed after all has been made.
	early map[string]bool
}

func newPlanner(w *world) (*planner, error) {
	p := &planner{world: w, byAddress: map[string]*item{}}
	byName := kindsByName()
	known := map[string]*project.Resource{}
	var problems diag.List
	var errs []error
	for _, r := range w.resources() {
		k, ok := byName[r.Kind]
		if !ok {
			errs = append(errs, fail.Inputf("%s: no kind of resource is called %q", r.Address, r.Kind))
			continue
		}
		it := &item{Resource: r, kind: k}
		list := w.inventory.of(r.UUID, r.Address, r.Kind)
		if r.Adopt != nil {
			list = nil
			if f := w.adopted[r.UUID]; f != nil {
				list = []*found{f}
			}
		}
		if err := twins(r, list); err != nil {
			errs = append(errs, err)
		}
		if len(list) > 0 {
			it.have = list[0]
			for _, f := range list[1:] {
				if f.kept() {
					it.kept = append(it.kept, f)
				} else {
					it.stale = append(it.stale, f)
				}
			}
		}
		if !w.selected(r) {
			it.stale = nil
		}
		for _, f := range list {
			if other := known[f.id]; other != nil {
				at, first := r, other
				if at.Adopt == nil {
					at, first = other, r
				}
				problems.AddHint(at.At("adopt"), "a resource has one definition", "%s adopts %s, which is %s", at.Address, f.id, first.Address)
			}
			known[f.id] = r
		}
		p.items = append(p.items, it)
		p.byAddress[r.Address] = it
	}
	for _, f := range w.inventory.all {
		if known[f.id] == nil && len(w.Only) == 0 {
			p.strays = append(p.strays, f)
		}
	}
	return p, fail.Join(append(errs, problems.Err())...)
}

// twins reports two resources of one identity: two runs raced, or someone
// copied tags. Which of them is meant only a person can tell.
func twins(r *project.Resource, list []*found) error {
	if len(list) < 2 || list[0].generation() != list[1].generation() {
		return nil
	}
	var ids []string
	for _, f := range list {
		if f.generation() == list[0].generation() {
			ids = append(ids, f.id)
		}
	}
	err := fail.Inputf("%s: %d resources carry its identity: %s", r.Address, len(ids), strings.Join(ids, ", "))
	return fail.WithHint(err, "keep one of them: delete the others, or take their tag %s away", tags.UUID)
}

// decide settles every action. A replaced resource changes those that refer to
// it, so it goes round until nothing changes any more: references are no
// rings but for late ones, which never replace, so that is soon.
func (p *planner) decide() error {
	for _, it := range p.items {
		it.action = None
		if it.have == nil && p.selected(it.Resource) {
			it.action = Create
		}
	}
	for range len(p.items) + 1 {
		changed := false
		for _, it := range p.items {
			before := it.action
			if err := p.decideOne(it); err != nil {
				return err
			}
			changed = changed || it.action != before
		}
		if !changed {
			p.order()
			p.resume()
			p.displace()
			return p.refusals()
		}
	}
	return fmt.Errorf("the plan of %s does not settle", p.environment)
}

func (p *planner) decideOne(it *item) error {
	spec, err := project.Fill(it.Spec, p.lookup)
	if err != nil {
		return fail.Input(fmt.Errorf("%s: %w", it.Address, err))
	}
	it.spec = spec
	if it.have == nil || !p.selected(it.Resource) {
		return nil
	}
	it.diffs = p.comparable(it, it.kind.compare(p.world, it.Resource, spec, it.have))
	it.retag = nil
	switch {
	case len(it.diffs.replaces()) > 0:
		it.action = Replace
		return nil
	case len(it.diffs) > 0:
		it.action = Update
	default:
		it.action = None
	}
	if it.have.untagged {
		return nil
	}
	wanted := p.tagsOf(it.Resource, it.kind, spec)
	if _, ok := wanted[tags.Protect]; !ok && it.have.protected() && it.Adopt == nil {
		wanted[tags.Protect] = "false"
	}
	if p.unbuiltOf(it) {
		delete(wanted, tags.Version)
		delete(wanted, tags.Digest)
	}
	if it.swaps() {
		for _, key := range rootTags {
			delete(wanted, key) // they change with the root
		}
	}
	for _, key := range tags.Keys(wanted) {
		if have, ok := it.have.tags[key]; !ok || have != wanted[key] {
			if it.retag == nil {
				it.retag = map[string]string{}
			}
			it.retag[key] = wanted[key]
			it.action = Update
		}
	}
	return nil
}

// lookup gives the values of references as far as the plan knows them.
func (p *planner) lookup(ref project.Ref) (string, bool) {
	it, ok := p.byAddress[ref.Address]
	if !ok || ref.Kind == "image" {
		return "", false
	}
	if it.made() || it.have == nil || it.moves() {
		if value, ok := it.kind.foresee(p.world, it.Resource)[ref.Attribute]; ok {
			return value, true
		}
		return Unknown, true
	}
	if it.action == Update && has(it.kind.moves(it.diffs), ref.Attribute) {
		return Unknown, true
	}
	value, _ := it.have.attribute(ref.Attribute)
	return value, true
}

// tagsOf are the tags that a resource should have.
func (w *world) tagsOf(r *project.Resource, k kind, spec any) map[string]string {
	if r.Adopt != nil {
		return tags.Merge(r.Tags)
	}
	return tags.Merge(
		map[string]string{tags.Name: nameTag(k, r)},
		w.Tags, r.Tags,
		map[string]string{tags.Project: w.Project, tags.Environment: w.environment, tags.Address: r.Address, tags.UUID: r.UUID},
		protection(r),
		k.tags(w, r, spec),
	)
}

// refusals are what the plan itself can tell EC2 would refuse.
func (p *planner) refusals() error {
	_, err := p.rollouts()
	errs := []error{p.protected(), err}
	for _, it := range p.items {
		if err := it.kind.refuse(p.world, it.Resource, it.spec); err != nil {
			errs = append(errs, fail.Input(fmt.Errorf("%s: %w", it.Address, err)))
		}
		if s := runsOf(it.spec); s != nil {
			if _, err := p.userData(it.Resource, s); err != nil {
				at := it.At("user_data").String()
				if at != "" {
					at += ": "
				}
				errs = append(errs, fail.Input(fmt.Errorf("%s%s: %w", at, it.Address, err)))
			}
		}
	}
	return fail.Join(errs...)
}

// order finds what has to be removed before something is made: what excludes
// it, and then everything that stands on such a one, since it has to go first.
func (p *planner) order() {
	p.early = map[string]bool{}
	for _, it := range p.items {
		if !it.made() {
			continue
		}
		for _, f := range p.strays {
			if it.kind.excludes(p.world, it.Resource, it.spec, f) {
				p.early[f.id] = true
			}
		}
		for _, other := range p.items {
			if other.action == Replace && other.Kind == it.Kind && it.kind.excludes(p.world, it.Resource, it.spec, other.have) {
				p.early[other.have.id] = true
			}
		}
	}
	going := p.going()
	for again := true; again; {
		again = false
		for _, f := range going {
			for _, id := range f.uses {
				if p.early[id] && !p.early[f.id] {
					p.early[f.id], again = true, true
				}
			}
		}
	}
	for _, it := range p.items {
		it.first = it.action == Replace && p.early[it.have.id]
	}
}

// resume finds the instances that an interrupted roll-out has replaced without
// finding them healthy: their predecessors are there still.
func (p *planner) resume() {
	for _, it := range p.items {
		it.resumed = it.Kind == "instance" && it.have != nil && len(it.stale) > 0 && it.action != Replace && p.Topology.Effective(p.Rollout, it.Resource) != nil
	}
}

// displace finds what is kept and has to go before its time. What gave away
// already what it had is as good as any other earlier generation.
func (p *planner) displace() {
	for _, it := range p.items {
		if it.have == nil || !p.selected(it.Resource) {
			continue
		}
		var kept []*found
		for _, f := range it.kept {
			already, perhaps := it.kind.displaces(p.world, it.Resource, it.spec, it.have, f)
			switch {
			case already:
				it.stale = append(it.stale, f)
				continue
			case perhaps && it.action == Replace:
				it.room = append(it.room, f)
			}
			kept = append(kept, f)
		}
		it.kept = kept
	}
}

// going is everything that the plan removes, or may have to.
func (p *planner) going() []*found {
	var all []*found
	for _, it := range p.items {
		if it.action == Replace {
			all = append(all, it.have)
		}
		all = append(append(all, it.stale...), it.room...)
	}
	return append(all, p.strays...)
}

// unbuiltOf tells whether an item's image has no build, so that what it should
// run is not known.
func (p *planner) unbuiltOf(it *item) bool {
	s := runsOf(it.Resource.Spec)
	return s != nil && s.Image != "" && p.unbuilt[s.Image] != nil
}

// comparable leaves out what follows from a build that is not there.
func (p *planner) comparable(it *item, d differences) differences {
	if !p.unbuiltOf(it) {
		return d
	}
	return slices.DeleteFunc(d, func(x difference) bool {
		return x.path == "ami" || x.path == "image" || x.path == "user_data" || x.path == "root_block_device"
	})
}

// change is an item's line in the plan, with what a new one is made as.
func (p *planner) change(it *item) Change {
	c := it.change()
	if it.action == Create {
		c.Fields = p.stated(it)
	}
	return c
}

// change is an item's line in the plan.
func (it *item) change() Change {
	c := Change{Address: it.Address, Kind: it.Kind, Action: it.action, Fields: it.diffs.fields()}
	if it.have != nil {
		c.ID = it.have.id
	}
	var parts []string
	switch it.action {
	case Replace:
		parts = it.diffs.replaces()
	case Update:
		for _, f := range it.diffs {
			part := f.path
			if f.how != "" {
				part += fmt.Sprintf(": %s -> %s, %s", orNothing(f.old), orNothing(f.new), f.how)
			}
			if !has(parts, part) {
				parts = append(parts, part)
			}
		}
		if len(it.retag) > 0 {
			parts = append(parts, "tags")
		}
		for _, key := range tags.Keys(it.retag) {
			c.Fields = append(c.Fields, FieldChange{Path: "tags." + key, Old: it.have.tags[key], New: it.retag[key]})
		}
	}
	c.Reason = strings.Join(parts, "; ")
	return c
}
