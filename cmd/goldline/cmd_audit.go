package main

import (
	"context"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

func newAudit(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "audit ENV",
		Short: "Find what differs between an environment and its definitions",
		Long: `Compares everything that carries the environment's tags with its topology.
Exits with 4 where something differs. Changes nothing.`,
		Example: "  goldline audit prod --local",
		Args:    takes("ENV"),
	}
	values := p.varFlag(c)
	c.RunE = p.reads(func(ctx context.Context, args []string) (report, error) { return runAudit(ctx, p, args[0], values) })
	return c
}

func runAudit(ctx context.Context, p *program, env string, values vars) (report, error) {
	options, err := p.topology(ctx, env, values, event.Scope(p.progress, "audit", env), "")
	if err != nil {
		return nil, err
	}
	plan, err := launch.Audit(ctx, options)
	if err != nil {
		return nil, err
	}
	r := newPlanReport(plan, "no differences: "+env+" is as its topology says")
	if !plan.Empty() {
		r.next = []string{p.here("goldline plan " + env), p.here("goldline launch " + env)}
		return r, fail.ErrDifferences
	}
	return r, nil
}
