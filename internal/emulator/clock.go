package emulator

import (
	"sync"
	"time"
)

// Clock is the local cloud's time. Transitions of state, buckets and
// expiries read it; tests drive it.
type Clock interface {
	Now() time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now().UTC() }

// DrivenClock is a clock that stands still until it is told to advance.
type DrivenClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewDrivenClock returns a clock that stands at start.
func NewDrivenClock(start time.Time) *DrivenClock { return &DrivenClock{now: start} }

// Now is where the clock stands.
func (c *DrivenClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *DrivenClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
