package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc/pool"
)

// The bubble's clock moves on when all who are going to ask have asked.
func TestGather(t *testing.T) { synctest.Test(t, gatherAll) }

func gatherAll(t *testing.T) {
	var mu sync.Mutex
	var calls [][]string
	c := &Cloud{patience: 200 * time.Millisecond}
	g := c.NewGather(10, func(_ context.Context, ids []string) error {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, slices.Clone(ids))
		if slices.Contains(ids, "i-13") {
			return errors.New("i-13 is protected")
		}
		return nil
	})
	p := pool.New()
	for n := range 25 {
		p.Go(func() {
			err := g.Do(context.Background(), fmt.Sprintf("i-%d", n))
			if (err != nil) != (n == 13) {
				t.Errorf("i-%d: %v", n, err)
			}
		})
	}
	p.Wait()
	whole := 0
	for _, ids := range calls {
		if len(ids) > 1 {
			whole += len(ids)
		}
	}
	if whole != 25 {
		t.Errorf("%d of 25 were gathered: %v", whole, calls)
	}
}

// TestGatherGivenUp: whoever leads may be interrupted; the others call for
// themselves.
func TestGatherGivenUp(t *testing.T) { synctest.Test(t, gatherGivenUp) }

func gatherGivenUp(t *testing.T) {
	c := &Cloud{patience: time.Minute}
	var called []string
	g := c.NewGather(10, func(_ context.Context, ids []string) error {
		called = append(called, ids...)
		return nil
	})
	led, cancel := context.WithCancel(context.Background())
	b, _ := g.join("i-1")
	p := pool.New()
	p.Go(func() {
		synctest.Wait() // until the other has joined
		cancel()
		g.lead(led, b)
	})
	if err := g.Do(context.Background(), "i-2"); err != nil || !slices.Equal(called, []string{"i-2"}) {
		t.Errorf("called %v, %v", called, err)
	}
	p.Wait()
}
