package bake

import (
	"context"
	"fmt"

	"github.com/goldline-dev/goldline/internal/event"
)

// sweepStep removes what dead runs of this project left. The first bake of a
// Baker does it for all, by one call where there is nothing to remove.
type sweepStep struct{}

func (sweepStep) name() string                      { return "left-overs" }
func (sweepStep) undo(context.Context, *bake) error { return nil }

func (sweepStep) run(ctx context.Context, b *bake) error {
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
	return s.remove(ctx, orphans)
}

// sweeper is one that removes what is known to be over, and looks for no more.
func (b *bake) sweeper() *sweeper {
	return &sweeper{
		cloud: b.cloud, project: b.options.Project, dead: b.options.DeadRun, finishing: true,
		alive: func(run string) bool { return run == b.options.Run },
		told:  func(o Orphan) { b.tell(event.Removed, o.ID, "%s, left by an earlier run", o) },
	}
}
