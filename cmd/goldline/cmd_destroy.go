package main

import (
	"context"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

func newDestroy(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "destroy ENV",
		Short: "Remove everything that was launched in an environment",
		Long: `Deletes everything that carries the environment's tags, in the reverse order of
its references. Builds and their history stay, and so does what is adopted. Asks first, except with --local.`,
		Example: "  goldline destroy dev --local",
		Args:    takes("ENV"),
	}
	var adopted bool
	c.Flags().BoolVar(&adopted, "adopted", false, "remove what the definitions adopt, too")
	values := varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		return runDestroy(ctx, p, args[0], adopted, values)
	})
	return c
}

func runDestroy(ctx context.Context, p *program, env string, adopted bool, values vars) (report, error) {
	_, named, err := p.environment(env)
	if err != nil {
		return nil, err
	}
	if err := p.agreeTo(ctx, "destroy", named, true); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		options, err := p.topology(ctx, env, values, event.Scope(sink, "destroy", env), run)
		if err != nil {
			return nil, err
		}
		options.Adopted = adopted
		plan, err := launch.NewDestroyPlan(ctx, options)
		if err != nil {
			return nil, err
		}
		return p.apply(ctx, options, plan, "nothing is left of "+env, p.here("goldline images list"))
	})
}
