package cloud

import (
	"context"
	"time"
)

// Once makes something that EC2 takes no client token for. When the call's
// answer is lost it looks for what the call may have made, for as long as the
// API may hide new things, and makes it again only if nothing turns up. find
// returns ok=false for nothing; a caller that has not yet looked for what an
// earlier run left does so before.
func Once[T any](ctx context.Context, c *Cloud, find func(context.Context) (thing T, ok bool, err error), make func(context.Context) (T, error)) (T, error) {
	thing, err := make(ctx)
	if !Ambiguous(err) || ctx.Err() != nil {
		return thing, err
	}
	// Describes follow creates within a few seconds: 6.5 s of pauses at AWS's pace
	// of polling. Waiting longer costs nothing but time in a rare case.
	for _, share := range []time.Duration{0, 1, 4, 8} {
		if err := Sleep(ctx, c.patience*share); err != nil {
			return thing, err
		}
		if found, ok, lookErr := find(ctx); lookErr == nil && ok {
			return found, nil
		}
	}
	return make(ctx)
}

// Sleep waits, or returns ctx's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
