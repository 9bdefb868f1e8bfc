package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

// moveReport is what became of a pointer.
type moveReport struct {
	promote.Move
	next []string
}

func (r moveReport) text(t *text) {
	switch {
	case !r.Changed:
		t.linef("%s %s is current in %s already", r.Image, r.To, r.Environment)
	case r.From.AMI == "":
		t.linef("%s %s is current in %s, the first build there", r.Image, r.To, r.Environment)
	default:
		t.linef("%s %s is current in %s, in place of %s", r.Image, r.To, r.Environment, r.From)
	}
	if len(r.Regions) > 0 {
		t.linef("also in %s", strings.Join(r.Regions, ", "))
	}
	t.next(r.next)
}

// next says where to look, or what to do, after a command.
func (t *text) next(commands []string) {
	if len(commands) == 0 {
		return
	}
	t.gap()
	t.linef("Next:")
	for _, c := range commands {
		t.linef("  %s", c)
	}
}

type promoteOptions struct {
	to, build, reason                  string
	skipLadder, skipGates, retryFailed bool
}

func newPromote(p *program) *cobra.Command {
	var o promoteOptions
	c := &cobra.Command{
		Use:   "promote IMAGE --to ENV",
		Short: "Make a build current in an environment",
		Long: `Makes a build of an image current in an environment: the one that is current
one rung below on the ladder or, on the lowest rung, the newest. What the
environment requires of a build and this one has not is told all at once.
Launching the environment then runs it.`,
		Example: `  goldline promote web --to test --local
  goldline promote web --to prod --build 20261121.101500 --local`,
		Args: takes("IMAGE"),
	}
	c.Flags().StringVar(&o.to, "to", "", "the environment")
	c.Flags().StringVar(&o.build, "build", "", "an AMI, a version, or the beginning of a fingerprint")
	c.Flags().BoolVar(&o.skipLadder, "skip-ladder", false, "promote a build that was never current one rung below; needs --reason")
	c.Flags().BoolVar(&o.skipGates, "skip-gates", false, "promote a build that has not what the environment requires; needs --reason")
	c.Flags().BoolVar(&o.retryFailed, "retry-failed", false, "promote a build that failed there before")
	c.Flags().StringVar(&o.reason, "reason", "", "why; kept in the history")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if o.skipLadder && o.reason == "" {
			return usage(c, "%s: --skip-ladder needs --reason, which the history keeps", c.CommandPath())
		}
		if o.skipGates && o.reason == "" {
			return usage(c, "%s: --skip-gates needs --reason, which the history keeps", c.CommandPath())
		}
		return required(c, "to", o.to)
	}
	p.lockFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runPromote(ctx, p, args[0], o) })
	return c
}

func runPromote(ctx context.Context, p *program, name string, o promoteOptions) (report, error) {
	loaded, env, err := p.environment(o.to)
	if err != nil {
		return nil, err
	}
	if err := image(loaded, name); err != nil {
		return nil, err
	}
	if err := p.agreeTo(ctx, fmt.Sprintf("promote %s to", name), env, false); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		promoter, err := p.promoter(ctx, loaded, event.Scope(sink, "promote", name), run)
		if err != nil {
			return nil, err
		}
		move, err := promoter.Promote(ctx, promote.Request{Image: name, To: o.to, Build: o.build, SkipLadder: o.skipLadder, SkipGates: o.skipGates, Reason: o.reason, RetryFailed: o.retryFailed})
		if err != nil {
			return nil, err
		}
		r := moveReport{Move: move}
		if move.Changed {
			r.next = []string{p.here("goldline launch " + o.to)}
		}
		return r, nil
	})
}
