package launch

import (
	"context"
	"errors"
	"fmt"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/lease"
)

// outcome is the error of a walk, with its named end state.
func (e *execution) outcome(ctx context.Context, results []graph.Result) error {
	var errs []error
	skipped, blameless := false, true
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, e.failure(r))
			var untouched *untouchedError
			blameless = blameless && errors.As(r.Err, &untouched)
		}
		skipped = skipped || r.Skipped
	}
	err := fail.Join(errs...)
	switch text := e.rolledText(); {
	case text == "" || err == nil:
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("%w; %s", err, text) // it stays an interrupt
	default:
		err = fail.Join(append(errs, fmt.Errorf("%s: %s", e.title(), text))...)
	}
	if err != nil && blameless {
		err = &blamelessError{err}
	}
	if lost := lease.Lost(ctx); lost != nil && (err != nil || skipped) {
		left := append(e.left(), fail.Left{What: "the rest of the plan for " + e.environment, Command: e.command()})
		return fail.WithHint(fail.Dirty(fmt.Errorf("%s: stopped: %w", e.title(), lost), left...), "`goldline lock show %s` tells who changes it now", e.environment)
	}
	if err == nil && skipped {
		err = fmt.Errorf("%s: interrupted: %w", e.title(), context.Cause(ctx))
	}
	if err == nil {
		return nil
	}
	if left := e.left(); len(left) > 0 {
		return fail.WithHint(fail.Dirty(err, left...), "run `%s` again: it goes on from here", e.command())
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fail.Clean(err)
}

// left is what a run that failed leaves: what it made, and what it was to
// remove and has not.
func (e *execution) left() []fail.Left {
	var left []fail.Left
	add := func(f *found, what string) {
		left = append(left, fail.Left{What: f.address() + " " + f.id + what, Command: e.command()})
	}
	for _, f := range e.new {
		add(f, "")
	}
	for _, what := range e.unfinished() {
		left = append(left, fail.Left{What: what, Command: e.command()})
	}
	for _, f := range e.changed {
		add(f, " (changed)")
	}
	if len(left) == 0 && !e.touched {
		return nil
	}
	for _, f := range e.going() {
		owner := e.owner[f.id]
		if !e.finished[dropStep(f)] && (owner == nil || e.finished[owner.last()]) {
			add(f, " (to be removed)")
		}
	}
	if len(left) == 0 {
		left = append(left, fail.Left{What: "the rest of the plan for " + e.environment, Command: e.command()})
	}
	return left
}

// result is what was carried out.
func (e *execution) result() Result {
	r := Result{Changes: []Change{}, Instances: []Instance{}}
	for _, c := range e.plan.Changes {
		if !e.carriedOut(c) {
			continue
		}
		if it := e.byAddress[c.Address]; it != nil && c.Action != Delete {
			c.ID = e.current[c.Address].id
		}
		r.Changes = append(r.Changes, c)
	}
	var list []*found
	for _, it := range e.items {
		f := e.current[it.Address]
		if f == nil && it.action == Replace && !e.finished[dropStep(it.have)] {
			f = it.have // its turn has not come
		}
		if f != nil {
			list = append(list, f)
		}
	}
	r.Instances = shown(list)
	for _, roll := range e.rolls {
		if result := roll.result(); len(result.Instances) > 0 {
			r.Rollouts = append(r.Rollouts, result)
		}
	}
	return r
}

func (e *execution) carriedOut(c Change) bool {
	if c.Action == Delete {
		return e.finished["drop "+c.ID] && !e.spared[c.ID]
	}
	it := e.byAddress[c.Address]
	if it == nil || e.current[c.Address] == nil {
		return false
	}
	if has(e.undone, e.current[c.Address].id) {
		return false
	}
	if step := it.last(); step != "" && !e.finished[step] {
		return false
	}
	step := e.tagged[c.Address]
	return step == "" || e.finished[step]
}
