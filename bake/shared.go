package bake

import (
	"context"
	"strings"

	"github.com/goldline-dev/goldline/internal/cloud"
)

// shared is something temporary that the bakes of one Baker use together: the
// first that needs it makes it, the last that used it removes it. Whoever makes
// or removes it holds the gate.
type shared struct {
	name     string
	gate     chan struct{}
	users    int
	thing    made
	ready    bool
	builders map[string]bool // those that it was given to, and whether they are being terminated
	value    any
}

// sharing gives what is shared under a kind and all that it must be like.
func (b *Baker) sharing(kind string, like ...string) *shared {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := kind + digestOf(like...)
	s, ok := b.shares[key]
	if !ok {
		name := strings.Join([]string{"goldline", b.options.Project, b.options.Run, short(digestOf(b.nonce, key))}, "-")
		s = &shared{name: name, gate: make(chan struct{}, 1), builders: map[string]bool{}}
		b.shares[key] = s
	}
	return s
}

// join makes the thing unless it is there. After an error too the caller is one
// of its users, who leaves.
func (s *shared) join(ctx context.Context, make func(context.Context) error) error {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.ready {
		if err := make(ctx); err != nil {
			if s.users == 0 && !s.thing.tried {
				return err
			}
			s.users++
			return joined{err}
		}
		s.ready = true
	}
	s.users++
	return nil
}

// joined is the error of a make that may have made something, whose caller has
// become a user.
type joined struct{ error }

func (j joined) Unwrap() error { return j.error }

// leave removes the thing when nobody else uses it. A failed removal leaves the
// caller a user, so that leaving can be tried again.
func (s *shared) leave(ctx context.Context, remove func(context.Context) error) error {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.users > 1 {
		s.users--
		return nil
	}
	if s.thing.tried {
		if err := remove(ctx); err != nil {
			return err
		}
	}
	s.users, s.thing, s.ready, s.value = 0, made{}, false, nil
	clear(s.builders)
	return nil
}

// gatherShare is the part of the first interval between two polls that a call
// waits for others to join it.
const gatherShare = 20

// batch makes one call for all who ask for it at about the same time.
type batch struct {
	call func(ctx context.Context, ids []string) error
	open chan *round // holds the round that can still be joined, or nil
}

type round struct {
	ids  []string
	done chan struct{}
	err  error
}

func newBatch(call func(context.Context, []string) error) *batch {
	b := &batch{call: call, open: make(chan *round, 1)}
	b.open <- nil
	return b
}

// do is the call for one ID. Others are awaited where alone says that there are
// none to await. What fails for several is done for each alone, since
// one of them may be why.
func (b *batch) do(ctx context.Context, id string, c *cloud.Cloud, alone bool) error {
	if alone {
		return b.call(ctx, []string{id})
	}
	r := <-b.open
	first := r == nil
	if first {
		r = &round{done: make(chan struct{})}
	}
	r.ids = append(r.ids, id)
	b.open <- r
	if first {
		_ = cloud.Sleep(ctx, c.Pace()/gatherShare) // an end of ctx shows in the call
		<-b.open
		b.open <- nil
		r.err = b.call(ctx, r.ids)
		close(r.done)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.err != nil && len(r.ids) > 1 {
		return b.call(ctx, []string{id})
	}
	return r.err
}
