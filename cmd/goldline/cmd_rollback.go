package main

import (
	"context"
	"fmt"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/pipelines"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

type rollbackReport struct {
	promote.Move
	Changes   []launch.Change        `json:"changes"`
	Instances []launch.Instance      `json:"instances"`
	Rollouts  []launch.RolloutResult `json:"rollouts,omitempty"`
	next      []string
}

func (r rollbackReport) text(t *text) {
	moveReport{Move: r.Move}.text(t)
	t.linef("")
	changeTable(t, "nothing had to be launched", r.Changes, false)
	rolloutTable(t, r.Rollouts)
	t.next(r.next)
}

type rollbackOptions struct {
	env, to, toRun, toTime string
	vars                   vars
}

func newRollback(p *program) *cobra.Command {
	var o rollbackOptions
	c := &cobra.Command{
		Use:   "rollback [IMAGE] --env ENV",
		Short: "Make the previous build current again and launch it",
		Long: `Makes the build that was current before current again, and launches the
environment with it. Once more goes back one build further.

With --to-run or --to-time the whole environment, or one image of it, becomes
what it was at the end of a run or at a time: what was current then of every
image is current again, and launched once.`,
		Example: `  goldline rollback web --env prod --local
  goldline rollback --env prod --to-run 20261121T101500Z-1f2e3d --local
  goldline rollback --env prod --to-time 2026-11-21T10:15:00Z --local`,
		Args: takes("[IMAGE]"),
	}
	c.Flags().StringVar(&o.env, "env", "", "the environment")
	c.Flags().StringVar(&o.to, "to", "", "an AMI or a version that was current there, in place of the previous one")
	c.Flags().StringVar(&o.toRun, "to-run", "", "the run at whose end the environment was as it is to be")
	c.Flags().StringVar(&o.toTime, "to-time", "", "the time at which it was (RFC 3339, or local as 2006-01-02 15:04:05)")
	o.vars = p.varFlag(c)
	c.PreRunE = func(c *cobra.Command, args []string) error { return o.check(c, args) }
	p.lockFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		if o.toRun != "" || o.toTime != "" {
			return runRollbackTo(ctx, p, args, o)
		}
		return runRollback(ctx, p, args[0], o)
	})
	return c
}

// check refuses flags that do not go together.
func (o rollbackOptions) check(c *cobra.Command, args []string) error {
	given := 0
	for _, value := range []string{o.to, o.toRun, o.toTime} {
		if value != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return usage(c, "%s: give one of --to, --to-run and --to-time", c.CommandPath())
	case len(args) == 0 && o.toRun == "" && o.toTime == "":
		return usage(c, "%s: IMAGE is missing; a whole environment goes back with --to-run or --to-time", c.CommandPath())
	}
	return required(c, "env", o.env)
}

func runRollback(ctx context.Context, p *program, name string, o rollbackOptions) (report, error) {
	loaded, env, err := p.environment(o.env)
	if err != nil {
		return nil, err
	}
	if err := image(loaded, name); err != nil {
		return nil, err
	}
	if err := p.agreeTo(ctx, fmt.Sprintf("roll %s back in", name), env, false); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		provider, err := p.clouds(ctx)
		if err != nil {
			return nil, err
		}
		topology, err := loaded.Topology(o.env, o.vars)
		if err == nil && topology.Rolls() {
			err = p.wake(ctx)
		}
		if err != nil {
			return nil, err
		}
		move, result, err := pipelines.Rollback(ctx, pipelines.RollbackOptions{
			Project: loaded, Provider: provider, Image: name, Environment: o.env, To: o.to, Vars: o.vars, Sink: sink, Run: run, Lease: p.lease,
			LoseContents: p.flags.local || p.flags.yes,
		})
		r := rollbackReport{Move: move, Changes: changes(result.Changes), Instances: instances(result.Instances), Rollouts: result.Rollouts}
		if err != nil && !move.Changed && result.Changes == nil {
			return nil, err
		}
		r.next = []string{
			p.here("goldline images deployed " + o.env),
			p.here("goldline images history " + name + " --env " + o.env),
		}
		return r, err
	})
}
