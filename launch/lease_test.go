package launch

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
)

// alone gives options whose launches need the environment for themselves.
func (s *site) alone(run string, wait time.Duration) Options {
	o := s.options()
	o.Run = run
	o.Lease = lease.New(lease.Options{Project: o.Project, Run: run, Command: "goldline launch dev", Wait: wait, Sink: o.Sink})
	s.t.Cleanup(func() { o.Lease.Close(context.Background()) })
	return o
}

func TestAnotherRunHoldsTheEnvironment(t *testing.T) {
	s := newPlatform(t)
	ctx := context.Background()
	first, second := s.alone("first", 0), s.alone("second", 0)
	if _, _, err := first.Lease.Hold(ctx, s.cloud, "dev", time.Now()); err != nil {
		t.Fatal(err)
	}
	before := s.shape()
	plan, err := NewPlan(ctx, second)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Apply(ctx, second, plan)
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "environment dev is being changed by run first") {
		t.Errorf("while another run holds it: %v", err)
	}
	sameInventory(t, "refused", before, s.shape())

	// The first run launches what the second has planned, and gives it back: the
	// second's plan is old.
	mine, err := NewPlan(ctx, first)
	if err == nil {
		_, err = Apply(ctx, first, mine)
	}
	if err != nil {
		t.Fatal(err)
	}
	first.Lease.Close(ctx)
	if _, err := Apply(ctx, second, plan); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("an old plan: %v", err)
	}
	second.Lease.Close(ctx)
	second = s.alone("third", 0)
	_, anew, err := Hold(ctx, second, plan)
	if err != nil || !anew.Empty() {
		t.Errorf("planned anew: %v, %v", anew, err)
	}
}

// A launch whose lease is taken away makes no further call that changes
// something, and says what it leaves.
func TestLostLeaseStopsALaunch(t *testing.T) {
	s := newPlatform(t)
	o := s.alone("first", 0)
	ctx := context.Background()
	plan, err := NewPlan(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	held, plan, err := Hold(ctx, o, plan)
	if err != nil {
		t.Fatal(err)
	}
	stop, lost := context.WithCancelCause(held)
	o.Sink = event.Func(func(e event.Event) {
		if e.Item == "vpc.main" && e.Kind == event.Succeeded {
			lost(&lease.LostError{})
		}
	})
	_, err = Apply(stop, o, plan)
	if fail.ExitCode(err) != fail.CodeDirty || lease.Lost(stop) == nil || len(fail.LeftOf(err)) < 2 {
		t.Errorf("%v, left %v", err, fail.LeftOf(err))
	}
	for _, call := range s.local.Calls() {
		if call.Action == "RunInstances" {
			t.Error("instances were launched without the lease")
		}
	}
}
