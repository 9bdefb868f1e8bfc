package launch

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// selected tells whether a resource is among those that are launched.
func (w *world) selected(r *project.Resource) bool {
	return len(w.Only) == 0 || slices.ContainsFunc(w.Only, func(pattern string) bool { return selects(pattern, r) })
}

// selects tells whether a pattern is that of a resource's file below topology/,
// or of its address, with its index or without.
func selects(pattern string, r *project.Resource) bool {
	file := fileOf(r)
	base := r.Kind + "." + r.Name
	names := []string{file, r.Address, base}
	if r.From != "" { // what it follows from takes it along
		definition, _, _ := strings.Cut(r.From, "[")
		names = append(names, r.From, definition)
	}
	for _, name := range names {
		if pattern == name {
			return true
		}
		if ok, err := path.Match(strings.TrimPrefix(pattern, "topology/"), name); err == nil && ok {
			return true
		}
	}
	return false
}

func fileOf(r *project.Resource) string { return strings.TrimPrefix(r.Pos.File, "topology/") }

// checkOnly refuses patterns that select nothing: they are mistyped.
func (w *world) checkOnly() error {
	var errs []error
	for _, pattern := range w.Only {
		if slices.ContainsFunc(w.resources(), func(r *project.Resource) bool { return selects(pattern, r) }) {
			continue
		}
		var names []string
		for _, r := range w.resources() {
			names = append(names, fileOf(r), r.Address)
		}
		err := fail.Inputf("--only %s: no definition of %s has this file or address", pattern, w.environment)
		if hint := diag.DidYouMean(pattern, names); hint != "" {
			err = fail.WithHint(err, "%s", hint)
		}
		errs = append(errs, err)
	}
	return fail.Join(errs...)
}

// lacking reports everything that the selected resources need, and that is
// neither there nor selected: also what those need in turn.
func (p *planner) lacking() error {
	var problems diag.List
	seen := map[string]bool{}
	var visit func(it *item)
	visit = func(it *item) {
		for _, ref := range it.Refs {
			other := p.byAddress[ref.Address]
			if other == nil || ref.Kind == "image" || p.selected(other.Resource) || other.have != nil || seen[other.Address] {
				continue
			}
			seen[other.Address] = true
			problems.AddHint(ref.Pos, fmt.Sprintf("add --only %s, or launch everything", fileOf(other.Resource)), "%s needs %s, which is not there", it.Address, other.Address)
			visit(other)
		}
	}
	for _, it := range p.items {
		if p.selected(it.Resource) {
			visit(it)
		}
	}
	return problems.Err()
}
