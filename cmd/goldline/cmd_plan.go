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
	none        string          // what to say where there is nothing
	next        []string
}

func newPlanReport(plan *launch.Plan, none string) planReport {
	return planReport{Environment: plan.Environment, Digest: plan.Digest, Counts: plan.Counts, Changes: changes(plan.Changes), none: none}
}

func (r planReport) text(t *text) {
	changeTable(t, r.none, r.Changes)
	if len(r.Changes) > 0 {
		t.linef("\n%s: %s (plan %s)", r.Environment, count(r.Counts), short(r.Digest))
	}
	t.next(r.next)
}

func count(c launch.Counts) string {
	return fmt.Sprintf("%d to create, %d to change, %d to replace, %d to delete, %d as they should be", c.Create, c.Change, c.Replace, c.Delete, c.None)
}

// changeTable lists changes, and below each the values that differ.
func changeTable(t *text, none string, list []launch.Change) {
	if len(list) == 0 {
		t.linef("%s", none)
		return
	}
	width := 0
	for _, c := range list {
		width = max(width, len(c.Address))
	}
	for _, c := range list {
		line := fmt.Sprintf("%s  %-*s  %s", t.paint(meaning(string(c.Action)), fmt.Sprintf("%-7s", c.Action)), width, c.Address, c.ID)
		t.linef("%s", strings.TrimRight(line, " "))
		if c.Reason != "" {
			t.linef("         because %s", strings.ReplaceAll(c.Reason, "\n", "\n           "))
		}
		if c.Action == launch.Create || c.Action == launch.Delete {
			continue
		}
		for _, f := range c.Fields {
			t.linef("         %s: %s -> %s", f.Path, oneLine(f.Old), oneLine(f.New))
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
	exitCode, destroy bool
	vars              vars
}

func newPlan(p *program) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan ENV",
		Short: "Say what a launch would create, change, replace and delete, and why",
		Long: `Compares an environment's topology with what there is and says what a launch
would do about it. Changes nothing.`,
		Example: `  goldline plan prod --local
  goldline plan prod --local --exit-code   # 4 where there is something to do`,
		Args: takes("ENV"),
	}
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "exit with 4 where there is something to do")
	c.Flags().BoolVar(&o.destroy, "destroy", false, "say what destroying the environment would do instead")
	o.vars = varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runPlan(ctx, p, args[0], o) })
	return c
}

func runPlan(ctx context.Context, p *program, env string, o planOptions) (report, error) {
	options, err := p.topology(ctx, env, o.vars, event.Scope(p.progress, "plan", env), "")
	if err != nil {
		return nil, err
	}
	planOf, command := launch.NewPlan, "goldline launch "+env
	if o.destroy {
		planOf, command = launch.NewDestroyPlan, "goldline destroy "+env
	}
	plan, err := planOf(ctx, options)
	if err != nil {
		return nil, err
	}
	r := newPlanReport(plan, "no changes: "+env+" is as its topology says")
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
