package cloud

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goldline-dev/goldline/internal/graph"
)

// states is a cloud of things that each describe moves on by one state.
type states struct {
	mu    sync.Mutex
	calls int
	after int // describes until everything is "running"
	err   error
}

func (s *states) describe(_ context.Context, ids []string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	found := map[string]string{}
	for _, id := range ids {
		if s.calls >= s.after {
			found[id] = "running"
		} else {
			found[id] = "pending"
		}
	}
	return found, s.err
}

func quick() Config { return Config{PollMin: time.Millisecond, PollMax: 4 * time.Millisecond} }

func untilRunning(id string, deadline time.Duration) Wait[string] {
	return Wait[string]{
		ID: id, For: id + " to run", Deadline: deadline,
		Done: func(state string, found bool) (bool, error) { return found && state == "running", nil },
		Show: func(state string) string { return state },
	}
}

// The bubble's clock moves on when all who are going to wait do.
func TestManyWaitersShareTheirPolls(t *testing.T) { synctest.Test(t, shareTheirPolls) }

func shareTheirPolls(t *testing.T) {
	s := &states{after: 5}
	p := newPoller(quick(), s.describe)
	err := graph.Each(context.Background(), 0, 200, func(ctx context.Context, i int) error {
		got, err := p.Wait(ctx, untilRunning(string(rune('A'+i)), time.Minute))
		if err == nil && got != "running" {
			return errors.New("ended at " + got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.calls > 30 {
		t.Errorf("200 waiters made %d calls", s.calls)
	}
	if len(p.waiting) != 0 {
		t.Errorf("%d still wait", len(p.waiting))
	}
}

func TestDeadlineSaysWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPoller(quick(), (&states{after: 1 << 30}).describe)
		_, err := p.Wait(context.Background(), untilRunning("i-1", 20*time.Millisecond))
		if err == nil || !strings.Contains(err.Error(), "i-1 to run: not within 20ms; last seen: pending") {
			t.Errorf("error %v", err)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	broken := errors.New("access denied")
	p := newPoller(quick(), (&states{err: broken}).describe)
	if _, err := p.Wait(context.Background(), untilRunning("i-1", time.Minute)); !errors.Is(err, broken) {
		t.Errorf("error %v, want the describe's", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p = newPoller(quick(), func(context.Context, []string) (map[string]string, error) { cancel(); return nil, nil })
	if _, err := p.Wait(ctx, untilRunning("i-1", time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want cancelled", err)
	}
}

func TestOneWhoIsCancelledDoesNotStopTheOthers(t *testing.T) {
	first, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &states{after: 3}
	entered := make(chan struct{})
	var once sync.Once
	p := newPoller(quick(), func(ctx context.Context, ids []string) (map[string]string, error) {
		if ctx == first {
			once.Do(func() { close(entered) })
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return s.describe(ctx, ids)
	})
	wait := graph.Background(func() error {
		_, err := p.Wait(first, untilRunning("i-1", time.Minute))
		return err
	})
	<-entered
	second := graph.Background(func() error {
		_, err := p.Wait(context.Background(), untilRunning("i-2", time.Minute))
		return err
	})
	cancel()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	if err := second(); err != nil {
		t.Errorf("second: %v", err)
	}
}

func TestAWaitSeesNothingFromBeforeIt(t *testing.T) {
	refused := errors.New("refused")
	s := &states{err: refused}
	p := newPoller(quick(), s.describe)
	if _, err := p.Wait(context.Background(), untilRunning("i-1", time.Minute)); !errors.Is(err, refused) {
		t.Fatalf("error %v", err)
	}
	s.mu.Lock()
	s.err = nil
	s.mu.Unlock()
	if _, err := p.Wait(context.Background(), untilRunning("i-1", time.Minute)); err != nil {
		t.Errorf("the wait ends with the error of the one before it: %v", err)
	}
}

// Who asks soon is not kept waiting until others have joined in.
func TestAWaitThatAsksSoon(t *testing.T) {
	s := &states{}
	p := newPoller(Config{PollMin: 20 * time.Second, PollMax: time.Minute}, s.describe)
	w := untilRunning("a", 9*time.Second)
	w.Soon = true
	if got, err := p.Wait(t.Context(), w); err != nil || got != "running" {
		t.Errorf("got %q, %v", got, err)
	}
}
