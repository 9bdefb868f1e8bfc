package cloud

import (
	"context"
	"sync"
	"time"
)

// Gather makes one call of several that are asked for at the same time, where
// an API takes many IDs. It starts no goroutine: who comes first waits a moment
// for the others and calls for all.
type Gather struct {
	hold time.Duration
	max  int
	call func(ctx context.Context, ids []string) error

	mu   sync.Mutex
	open *gathering
}

type gathering struct {
	ids  []string
	done chan struct{}
	err  error
}

// NewGather gathers at most max IDs a call, within a quarter of the cloud's
// shortest pause between two polls: who waits for the outcome polls anyway.
func (c *Cloud) NewGather(max int, call func(ctx context.Context, ids []string) error) *Gather {
	return &Gather{hold: c.patience / 4, max: max, call: call}
}

// Do calls for an ID and whatever else is asked for in the meantime. Where the
// common call fails, each is called for alone, so that it fails for its own
// reason: EC2 refuses the whole call for one of its IDs.
func (g *Gather) Do(ctx context.Context, id string) error {
	b, first := g.join(id)
	if first {
		g.lead(ctx, b)
	} else {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if b.err == nil || len(b.ids) == 1 || ctx.Err() != nil {
		return b.err
	}
	return g.call(ctx, []string{id})
}

func (g *Gather) join(id string) (b *gathering, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open, first = &gathering{done: make(chan struct{})}, true
	}
	b = g.open
	b.ids = append(b.ids, id)
	if len(b.ids) == g.max {
		g.open = nil
	}
	return b, first
}

func (g *Gather) lead(ctx context.Context, b *gathering) {
	defer close(b.done)
	b.err = Sleep(ctx, g.hold)
	g.mu.Lock()
	if g.open == b {
		g.open = nil
	}
	g.mu.Unlock()
	if b.err == nil {
		b.err = g.call(ctx, b.ids)
	}
}
