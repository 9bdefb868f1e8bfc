package main

import (
	"context"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

func newDestroy(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "destroy [ENV]",
		Short: "Remove everything that was launched in an environment",
		Long: `Deletes everything that carries the environment's tags, in the reverse order of
its references. Builds and their history stay, and so does what is adopted. Asks first, except with --local.`,
		Example: "  goldline destroy dev --local",
		Args:    takes("[ENV]"),
	}
	var o destroyOptions
	c.Flags().BoolVar(&o.adopted, "adopted", false, "remove what the definitions adopt, too")
	planFlag(c, &o.plan)
	o.vars = p.varFlag(c)
	p.lockFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runDestroy(ctx, p, c, args, o) })
	return c
}

type destroyOptions struct {
	adopted bool
	plan    string
	vars    vars
}

func runDestroy(ctx context.Context, p *program, c *cobra.Command, args []string, o destroyOptions) (report, error) {
	var kept *keptPlan
	if o.plan != "" {
		var err error
		if kept, err = readPlan(o.plan, true, args); err != nil {
			return nil, err
		}
		o.adopted = kept.Adopted
	}
	env, err := environmentOf(c, args, kept)
	if err != nil {
		return nil, err
	}
	_, named, err := p.environment(env)
	if err != nil {
		return nil, err
	}
	if err := p.agreeTo(ctx, "destroy", named, true); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		options, err := p.topology(ctx, env, o.vars, event.Scope(sink, "destroy", env), run)
		if err != nil {
			return nil, err
		}
		options.Adopted = o.adopted
		if kept != nil {
			return p.apply(ctx, options, &kept.Plan, "nothing was to be done", p.here("goldline images list"))
		}
		plan, err := launch.NewDestroyPlan(ctx, options)
		if err != nil {
			return nil, err
		}
		return p.apply(ctx, options, plan, "nothing is left of "+env, p.here("goldline images list"))
	})
}
