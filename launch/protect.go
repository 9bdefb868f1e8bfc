package launch

import (
	"context"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// protection is the tag by which a protected resource stays protected when its
// definition is gone.
func protection(r *project.Resource) map[string]string {
	if !r.Protect {
		return nil
	}
	return map[string]string{tags.Protect: "true"}
}

func (f *found) protected() bool { return f.tags[tags.Protect] == "true" }

// protected reports what a launch may not delete or replace: what is protected,
// and what something else made.
func (p *planner) protected() error {
	var problems diag.List
	for _, it := range p.items {
		if it.action != Replace {
			continue
		}
		reason := strings.Join(it.diffs.replaces(), "; ")
		switch {
		case it.Adopt != nil:
			problems.AddHint(it.At("adopt"), "let the definition say what the resource is, or make a resource of its own", "%s is adopted, and would have to be replaced: %s", it.Address, reason)
		case it.Protect:
			problems.AddHint(it.At("protect"), "take the change back, or take protect: true away first", "%s is protected, and would have to be replaced: %s", it.Address, reason)
		}
	}
	return fail.Join(problems.Err(), refuse(p.environment, p.strays, nil))
}

// refuse reports what carries the tag of protection among what goes.
func refuse(environment string, going []*found, definitions []*project.Resource) error {
	defined := map[string]*project.Resource{}
	for _, r := range definitions {
		if r.Protect {
			defined[r.UUID] = r
		}
	}
	var problems diag.List
	for _, f := range going {
		if r := defined[f.uuid()]; r != nil {
			problems.AddHint(r.At("protect"), "take protect: true away and launch before it is deleted", "%s (%s) is protected, and would be deleted", f.address(), f.id)
		} else if f.protected() {
			problems.AddHint(diag.Pos{}, "define it again without protect and launch, or take its tag "+tags.Protect+" away, before it is deleted", "%s: %s (%s) is protected, and would be deleted", environment, f.address(), f.id)
		}
	}
	return problems.Err()
}

// kept reports what is to go and keeps something that goes with it and cannot
// be made again.
func (w *world) kept(ctx context.Context, going []*found) error {
	problems := make([]error, len(going))
	err := graph.Each(ctx, 0, len(going), func(ctx context.Context, i int) error {
		f := going[i]
		if err := f.kind.keeps(ctx, w.Cloud, f); err != nil {
			problems[i] = fmt.Errorf("%s (%s) cannot be deleted: %w", f.address(), f.id, err)
		}
		return nil
	})
	return fail.Join(append(problems, err)...)
}

// Loses names what loses its contents when the plan is carried out.
func (p *Plan) Loses() []string {
	var lost []string
	for _, c := range p.Changes {
		if c.Loses {
			lost = append(lost, c.Address+" ("+c.ID+")")
		}
	}
	return lost
}
