package cloud

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
)

// Poller waits for things of one kind. However many wait, one of them at a
// time describes everything that is waited for, so the calls do not grow with
// the waiters. It starts no goroutine.
type Poller[T any] struct {
	describe func(ctx context.Context, ids []string) (map[string]T, error)
	min, max time.Duration

	mu       sync.Mutex
	waiting  map[string]int // IDs and how many wait for each
	interval time.Duration
	next     time.Time
	polling  bool
	hurry    bool // somebody began to wait during a poll, who is to be answered soon after it
	round    int
	changed  chan struct{} // closed after each round
	seen     map[string]*T
	asked    map[string]bool // what the last round asked for
	err      error
}

func newPoller[T any](c Config, describe func(context.Context, []string) (map[string]T, error)) *Poller[T] {
	return &Poller[T]{
		describe: describe, min: c.PollMin, max: c.PollMax,
		waiting: map[string]int{}, changed: make(chan struct{}),
	}
}

// Wait is what is waited for.
type Wait[T any] struct {
	ID string
	// For names the wait in messages: "instance i-1 to run".
	For string
	// Deadline is how long the wait may take; at its end the error says what was
	// last seen.
	Deadline time.Duration
	// Done tells whether the wait is over. found is false when the thing is not
	// there, or not there yet. An error ends the wait.
	Done func(thing T, found bool) (bool, error)
	// Show says in a few words what was seen: "pending". It may be nil.
	Show func(thing T) string
	// Soon asks without the pause that lets others join in: for something that is
	// often done at once, and for which each step has to wait.
	Soon bool
	// Progress is called with what Show says, when that changes. It may be nil.
	Progress func(shown string)
}

// Wait waits until done says so, and returns what was seen last.
func (p *Poller[T]) Wait(ctx context.Context, w Wait[T]) (T, error) {
	thing, err := p.See(ctx, w)
	return valueOf(thing), err
}

// See is Wait for those who wait by the thousand: all share what was seen, which
// none of them may change. It is nil when nothing was.
func (p *Poller[T]) See(ctx context.Context, w Wait[T]) (*T, error) {
	deadline := time.NewTimer(w.Deadline)
	defer deadline.Stop()
	first := p.enter(w.ID, w.Soon)
	defer p.leave(w.ID)
	var last *T
	shown := "nothing"
	for round := -1; ; {
		thing, current, asked, err := p.look(ctx, w.ID, round)
		round = current
		if current < first {
			asked, err = false, nil // what was seen before the wait began says nothing about it
		}
		if err != nil {
			return last, fmt.Errorf("wait for %s: %w", w.For, err)
		}
		if asked {
			if thing != nil {
				last = thing
				w.tell(thing, &shown)
			}
			if done, err := w.done(thing); err != nil || done {
				return last, err
			}
		}
		if err := p.pause(ctx, round, deadline.C); err != nil {
			if err == errDeadline {
				err = fail.WithHint(fmt.Errorf("%s: not within %s; last seen: %s", w.For, w.Deadline, shown), "run the same command again: it goes on from where this one stopped")
			}
			return last, err
		}
	}
}

// done asks with a copy of its own: waiters keep none on their stacks while
// they wait.
//
//go:noinline
func (w *Wait[T]) done(thing *T) (bool, error) { return w.Done(valueOf(thing), thing != nil) }

// tell says what is seen, when that changes.
func (w *Wait[T]) tell(thing *T, shown *string) {
	s := "it exists"
	if w.Show != nil {
		s = w.Show(*thing)
	}
	if s == *shown {
		return
	}
	*shown = s
	if w.Progress != nil {
		w.Progress(s)
	}
}

// valueOf is what there is, or the zero value.
func valueOf[T any](thing *T) (value T) {
	if thing != nil {
		value = *thing
	}
	return value
}

var errDeadline = fmt.Errorf("deadline")

// soonShare is the part of the first interval that a wait which asks soon leaves
// for others to join in.
const soonShare = 50

// enter notes a waiter and returns the first round whose call begins after it.
func (p *Poller[T]) enter(id string, soon bool) (first int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		// Those who begin to wait at the same moment get their first answer from
		// one call: it is held back for a little while.
		p.interval, p.next = p.min, time.Now().Add(p.min/2)
	}
	if p.waiting[id] == 0 && p.interval > p.min {
		p.interval = p.min // something new changes soon
	}
	p.waiting[id]++
	if p.polling {
		p.hurry = p.hurry || soon
		return p.round + 2
	}
	if at := time.Now().Add(p.min / soonShare); soon && at.Before(p.next) {
		p.next = at
	}
	return p.round + 1
}

func (p *Poller[T]) leave(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[id]--
	if p.waiting[id] == 0 {
		delete(p.waiting, id)
	}
}

// look gives the newest round's answer, polling itself when a round is due and
// nobody else polls. thing is nil for what is not there.
func (p *Poller[T]) look(ctx context.Context, id string, seen int) (thing *T, round int, asked bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.polling && !time.Now().Before(p.next) {
		p.poll(ctx)
	}
	if p.round == seen {
		return nil, p.round, false, nil
	}
	if p.err != nil && p.asked[id] {
		return nil, p.round, true, p.err
	}
	return p.seen[id], p.round, p.asked[id], nil
}

// poll makes one round. It is called, and returns, with the lock held.
func (p *Poller[T]) poll(ctx context.Context) {
	ids := make([]string, 0, len(p.waiting))
	for id := range p.waiting {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	p.polling = true
	p.mu.Unlock()
	seen, err := p.describe(ctx, ids)
	p.mu.Lock()
	p.polling = false
	if p.hurry {
		p.next, p.hurry = time.Now().Add(p.min/soonShare), false
	} else {
		p.next = time.Now().Add(p.interval)
		p.interval = min(p.max, p.interval*3/2)
	}
	if err != nil && ctx.Err() != nil {
		// The one who polled was told to stop; the others poll for themselves.
		p.next = time.Time{}
	} else {
		p.round++
		// A thousand waiters share one copy of what was seen: an instance is a
		// kilobyte, and each of them would have several on its stack.
		p.seen, p.err = make(map[string]*T, len(seen)), err
		for id, thing := range seen {
			p.seen[id] = &thing
		}
		p.asked = make(map[string]bool, len(ids))
		for _, id := range ids {
			p.asked[id] = true
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// pause waits for the next round.
func (p *Poller[T]) pause(ctx context.Context, seen int, deadline <-chan time.Time) error {
	p.mu.Lock()
	changed, wait := p.changed, time.Until(p.next)
	if p.polling {
		wait = p.max // whoever polls closes changed
	}
	newer := p.round != seen
	p.mu.Unlock()
	if newer {
		return ctx.Err()
	}
	timer := time.NewTimer(max(wait, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-deadline:
		return errDeadline
	case <-changed:
		return nil
	case <-timer.C:
		return nil
	}
}
