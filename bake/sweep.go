package bake

import (
	"context"
	"fmt"

	"github.com/goldline-dev/goldline/internal/event"
)

// sweepStep removes what dead runs of this project left. The first bake of a
// Baker does it for all, by one call where there is nothing to remove.
//
// A bake that ends with the build it finds makes that call only where this
// machine knows of an earlier bake that may have left something. Baking, it is
// made in any case, and beside the other steps: none of them needs its outcome.
type sweepStep struct{ baking bool }

func (s sweepStep) name() string {
	if s.baking {
		return "sweep"
	}
	return "left-overs"
}

func (sweepStep) undo(context.Context, *bake) error { return nil }

func (s sweepStep) run(ctx context.Context, b *bake) error {
	switch {
	case s.baking:
		b.leaveTrace()
		b.aside(func() error { return b.sweepOnce(ctx) })
		return nil
	case b.traced():
		return b.sweepOnce(ctx)
	}
	return nil
}

func (b *bake) sweepOnce(ctx context.Context) error {
	_, err := b.swept.get(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.sweep(ctx)
	})
	if err != nil && ctx.Err() == nil {
		// A bake doesn't need it: the next one tries again.
		b.say(event.Warning, "left-overs of earlier bakes could not all be removed: %v", err)
		return nil
	}
	return err
}

func (b *bake) sweep(ctx context.Context) error {
	s := b.sweeper()
	orphans, err := s.find(ctx)
	if err != nil {
		return fmt.Errorf("look for left-overs: %w", err)
	}
	if err := s.remove(ctx, orphans); err != nil {
		return err
	}
	b.forgetTraces()
	return nil
}

// sweeper is one that removes what is known to be over, and looks for no more.
func (b *bake) sweeper() *sweeper {
	return &sweeper{
		cloud: b.cloud, project: b.options.Project, dead: b.options.DeadRun, finishing: true,
		alive: func(run string) bool { return run == b.options.Run },
		told:  func(o Orphan) { b.tell(event.Removed, o.ID, "%s, left by an earlier run", o) },
	}
}
