package pipelines

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
)

// step does a node's work.
type step func(context.Context) (outcome, error)

// outcome is what a node's work came to.
type outcome struct {
	made    []string // what it changed
	verb    string   // in a word or two: baked, reused, 3 created
	ami     string   // of the build that it made or moved
	version string
	// architectures are the AMIs of a build for several, by architecture.
	architectures map[string]string
	// rollouts are how instances took up a new build, also where that failed.
	rollouts []launch.RolloutResult
}

// longestRetryPause bounds the time between two tries.
const longestRetryPause = 30 * time.Second

// timed ends a step after a time; 0 is none.
func timed(limit time.Duration, do step) step {
	if limit <= 0 {
		return do
	}
	return func(ctx context.Context) (outcome, error) {
		within, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		out, err := do(within)
		if err != nil && ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded) {
			err = fail.WithHint(fmt.Errorf("timeout of %s: %w", limit, err), "raise the stage's `timeout`, or run the same command again: it goes on from where this one stopped")
		}
		return out, err
	}
}

// retried tries a step again after a failure, up to a number of times. Wrong
// input stays wrong, who was interrupted does not want more, and who has to agree
// does not do so sooner.
func retried(times int, pause time.Duration, sink event.Sink, do step) step {
	if times <= 0 {
		return do
	}
	return func(ctx context.Context) (outcome, error) {
		wait := pause
		for try := 1; ; try++ {
			out, err := do(ctx)
			if err == nil || try > times || ctx.Err() != nil || fail.ExitCode(err) == fail.CodeInput || fail.ExitCode(err) == fail.CodeWaiting {
				return out, err
			}
			sink.Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("try %d of %d failed: %v; again in %s", try, times+1, err, wait)})
			if cloud.Sleep(ctx, wait) != nil {
				return out, err
			}
			wait = min(2*wait, longestRetryPause)
		}
	}
}

// told tells how a step begins and ends.
func told(sink event.Sink, do step) step {
	return func(ctx context.Context) (outcome, error) {
		sink.Emit(event.Event{Kind: event.Started})
		out, err := do(ctx)
		if err != nil {
			kind := event.Failed
			if fail.ExitCode(err) == fail.CodeWaiting {
				kind = event.Waiting
			}
			sink.Emit(event.Event{Kind: kind, Message: err.Error()})
			return out, err
		}
		sink.Emit(event.Event{Kind: event.Succeeded, Message: out.verb})
		return out, nil
	}
}
