package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

// planReport is a plan: what would be done, or what differs.
type planReport struct {
	Environment string          `json:"environment"`
	Digest      string          `json:"digest"`
	Counts      launch.Counts   `json:"counts"`
	Changes     []launch.Change `json:"changes"`
	// Planned is how instances are going to be replaced, or were to be.
	Planned []launch.PlannedRollout `json:"planned_rollouts,omitempty"`
	Destroy bool                    `json:"destroy,omitempty"`
	Notes   []string                `json:"notes,omitempty"`
	Later   []string                `json:"later,omitempty"`
	Only    []string                `json:"only,omitempty"`    // of a launch
	Adopted bool                    `json:"adopted,omitempty"` // of a destruction
	none    string                  // what to say where there is nothing
	next    []string
}

func newPlanReport(plan *launch.Plan, none string) planReport {
	return planReport{Environment: plan.Environment, Digest: plan.Digest, Counts: plan.Counts, Changes: changes(plan.Changes), Planned: plan.Rollouts, Destroy: plan.Destroy, Notes: plan.Notes, Later: plan.Later, none: none}
}

func (r planReport) text(t *text) {
	changeTable(t, r.none, r.Changes, true)
	plannedRollouts(t, r.Planned)
	for _, note := range r.Notes {
		t.linef("not compared: %s", note)
	}
	for _, later := range r.Later {
		t.linef("left out for now: %s", later)
	}
	if len(r.Changes) > 0 {
		t.linef("%s: %s (plan %s)", r.Environment, count(r.Counts), short(r.Digest))
	}
	t.next(r.next)
}

func count(c launch.Counts) string {
	return fmt.Sprintf("%d to create, %d to change, %d to replace, %d to delete, %d as they should be", c.Create, c.Change, c.Replace, c.Delete, c.None)
}

// actionWords head the groups of a plan.
func actionWords() []struct {
	action     launch.Action
	sign, says string
} {
	return []struct {
		action     launch.Action
		sign, says string
	}{
		{launch.Create, "+", "create"},
		{launch.Update, "~", "change in place"},
		{launch.Replace, "!", "replace: a new one is made, then the old one is deleted"},
		{launch.Delete, "-", "delete"},
	}
}

// changeTable lists changes, grouped by what is done, in the order in which
// they depend on each other. Below each stand the reason and the values that
// differ, or, in full, those of what is made.
func changeTable(t *text, none string, list []launch.Change, full bool) {
	if len(list) == 0 {
		t.linef("%s", none)
		return
	}
	width := 0
	for _, c := range list {
		width = max(width, len(c.Address))
	}
	for _, g := range actionWords() {
		group := slices.DeleteFunc(slices.Clone(list), func(c launch.Change) bool { return c.Action != g.action })
		if len(group) == 0 {
			continue
		}
		t.linef("%s", t.paint(bold, fmt.Sprintf("%d to %s", len(group), g.says)))
		for _, c := range group {
			sign := t.paint(meaning(string(c.Action)), g.sign)
			t.linef("%s", strings.TrimRight(fmt.Sprintf("  %s %-*s  %s", sign, width, c.Address, c.ID), " "))
			changeLines(t, c, full)
		}
		t.linef("")
	}
}

func changeLines(t *text, c launch.Change, full bool) {
	if c.Reason != "" && c.Action != launch.Update {
		t.linef("      because %s", strings.ReplaceAll(c.Reason, "\n", "\n        "))
	}
	if c.Loses {
		t.linef("      %s", t.paint(red, "its contents are lost"))
	}
	for _, f := range c.Fields {
		switch {
		case c.Action != launch.Create:
			how := ""
			if f.How != "" {
				how = " (" + f.How + ")"
			}
			t.linef("      %s: %s -> %s%s", f.Path, oneLine(f.Old), oneLine(f.New), how)
		case full:
			t.linef("      %s: %s", f.Path, oneLine(f.New))
		}
	}
}

// oneLine keeps a value that fills pages, such as user data, to a line.
func oneLine(s string) string {
	if s == "" {
		return `""`
	}
	if first, _, more := strings.Cut(s, "\n"); more {
		s = first + " ..."
	}
	if runes := []rune(s); len(runes) > 100 {
		s = string(runes[:100]) + " ..."
	}
	return s
}

func changes(list []launch.Change) []launch.Change { return append([]launch.Change{}, list...) }

func instances(list []launch.Instance) []launch.Instance { return append([]launch.Instance{}, list...) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

type planOptions struct {
	exitCode, destroy, adopted bool
	only                       []string
	vars                       vars
}

func newPlan(p *program) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan ENV",
		Short: "Say what a launch would create, change, replace and delete, and why",
		Long: `Compares an environment's topology with what there is and says what a launch
would do about it: grouped, in the order of dependencies, with the reason for each
replacement and the values old and new. Changes nothing. Kept as JSON, launch
--plan carries out exactly that.`,
		Example: `  goldline plan prod --local
  goldline plan prod --local --exit-code   # 4 where there is something to do
  goldline plan prod --local -o json > p.json`,
		Args: takes("ENV"),
	}
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "exit with 4 where there is something to do")
	c.Flags().BoolVar(&o.destroy, "destroy", false, "say what destroying the environment would do instead")
	c.Flags().BoolVar(&o.adopted, "adopted", false, "with --destroy: what the definitions adopt, too")
	onlyFlag(c, &o.only)
	o.vars = p.varFlag(c)
	c.RunE = p.reads(func(ctx context.Context, args []string) (report, error) { return runPlan(ctx, p, args[0], o) })
	return c
}

func runPlan(ctx context.Context, p *program, env string, o planOptions) (report, error) {
	options, err := p.topology(ctx, env, o.vars, event.Scope(p.progress, "plan", env), "")
	if err != nil {
		return nil, err
	}
	if o.destroy && len(o.only) > 0 || o.adopted && !o.destroy {
		return nil, fail.Inputf("plan: --only is for a launch, and --adopted for --destroy")
	}
	options.Only, options.Adopted = o.only, o.adopted
	planOf, command := launch.NewPlan, "goldline launch "+env
	if o.destroy {
		planOf, command = launch.NewDestroyPlan, "goldline destroy "+env
	}
	plan, err := planOf(ctx, options)
	if err != nil {
		return nil, err
	}
	r := newPlanReport(plan, "no changes: "+env+" is as its topology says")
	r.Only, r.Adopted = o.only, o.adopted
	if o.destroy {
		r.none = "nothing is left of " + env
	}
	if !plan.Empty() {
		r.next = []string{p.here(command)}
		if o.exitCode {
			return r, fail.ErrDifferences
		}
	}
	return r, nil
}
