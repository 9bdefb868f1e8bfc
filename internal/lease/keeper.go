package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/sourcegraph/conc"
)

// Options are what a Keeper works with.
type Options struct {
	Project string
	Run     string
	Command string // as it was typed, for those who wait
	Sink    event.Sink
	// Wait is how long to wait for a lease that another run holds; 0 fails at once.
	Wait time.Duration
	// Dead tells whether a run has certainly ended: its lease is free at once.
	Dead func(run string) bool
}

// Keeper takes the leases of a run and keeps them until it is closed. The nil
// Keeper takes none: whoever uses it answers for being alone. It is safe for
// concurrent use.
type Keeper struct {
	options Options
	lasts   time.Duration
	keepFor time.Duration
	now     func() time.Time
	beats   conc.WaitGroup

	mu   sync.Mutex
	held map[string]*holding // by environment
}

// New returns a Keeper that has made no call yet.
func New(o Options) *Keeper {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	if o.Dead == nil {
		o.Dead = func(string) bool { return false }
	}
	return &Keeper{options: o, lasts: lasts, keepFor: keepFor, now: time.Now, held: map[string]*holding{}}
}

// holding is one lease that is held, or being taken.
type holding struct {
	store store
	taken chan struct{} // closed when taking it has ended

	// Set before taken is closed.
	err     error
	stopped bool // who was taking it was told to stop
	record  Record
	before  Record // the generation before

	lost context.Context // ends when the lease is lost, with the reason as its cause
	lose context.CancelCauseFunc
	stop chan struct{} // closed when the lease is given back

	confirmed atomic.Pointer[time.Time] // when the last sign of life that went through began
}

// LostError says that a lease was lost while its holder was at work.
type LostError struct{ reason string }

func (e *LostError) Error() string { return e.reason }

// HeldError says that a run waited in vain for a lease that another holds. It has
// changed nothing there.
type HeldError struct {
	Environment string
	By          Record
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("environment %s is being changed by %s", e.Environment, e.By)
}

// Lost gives the reason why a context from Hold has ended, or is about to, if it
// is the loss of the lease.
func Lost(ctx context.Context) error {
	var lost *LostError
	if errors.As(cloud.Barred(ctx), &lost) || errors.As(context.Cause(ctx), &lost) {
		return lost
	}
	return nil
}

// Hold takes an environment's lease unless this Keeper has it. The context that
// it gives ends when the lease is lost: nothing may be changed after that, and no
// call is sent with it or with a context made of it, not even with one that goes
// on after its end. moved tells that another run may have changed the environment
// after since, when the caller looked: it has to look again.
func (k *Keeper) Hold(ctx context.Context, c *cloud.Cloud, environment string, since time.Time) (held context.Context, moved bool, err error) {
	if k == nil {
		return ctx, false, nil
	}
	h, err := k.holding(ctx, c, environment)
	if err != nil {
		return ctx, false, err
	}
	held, cancel := context.WithCancelCause(cloud.Bar(ctx, func() error { return k.check(h) }))
	context.AfterFunc(h.lost, func() { cancel(context.Cause(h.lost)) })
	return held, h.movedSince(since), nil
}

// check tells whether a lease is lost. It asks the clock before every call: a
// process that was stopped for a while, or a machine that slept, goes on wherever
// it was, and that may be right before a call, while beat has not run yet.
func (k *Keeper) check(h *holding) error {
	var lost *LostError
	if h.lost.Err() == nil && k.left(h) <= 0 {
		h.lose(&LostError{fmt.Sprintf("the lease of environment %s could not be kept: nothing was heard of this run for %s", h.store.environment, k.silence(h).Round(time.Millisecond))})
	}
	if errors.As(context.Cause(h.lost), &lost) {
		return lost
	}
	return nil
}

// left is how long a lease is held yet unless it is confirmed: before it ends by
// any clock this one has stopped.
func (k *Keeper) left(h *holding) time.Duration { return k.lasts*3/4 - k.silence(h) }

// silence is how long ago a lease was confirmed. The monotonic clock stands still
// while a machine sleeps, and the other one may be set back: the longer time
// counts.
func (k *Keeper) silence(h *holding) time.Duration {
	now, confirmed := k.now(), *h.confirmed.Load()
	return max(now.Sub(confirmed), now.Round(0).Sub(confirmed.Round(0)))
}

// holding takes a lease, or waits for who is taking it. Where that one is told
// to stop meanwhile, it is for who waits to take it.
func (k *Keeper) holding(ctx context.Context, c *cloud.Cloud, environment string) (*holding, error) {
	for {
		h, first := k.join(c, environment)
		if first {
			h.err = k.take(ctx, h)
			if h.err != nil {
				k.forget(environment)
			}
			h.stopped = ctx.Err() != nil
			close(h.taken)
			return h, h.err
		}
		select {
		case <-h.taken:
		case <-ctx.Done():
			return h, ctx.Err()
		}
		if h.err == nil || !h.stopped {
			return h, h.err
		}
	}
}

// clockError is how far the clocks of this machine and of Parameter Store are
// taken to differ at most where a mistake only costs another look.
const clockError = 5 * time.Minute

// movedSince tells whether whoever held the lease before may have been at work
// after a moment.
func (h *holding) movedSince(t time.Time) bool {
	if h.before.Generation == 0 || t.After(h.record.Since) {
		return false
	}
	lastSign := h.before.Expires.Add(-h.store.lasts)
	return lastSign.Add(clockError).After(t)
}

func (k *Keeper) join(c *cloud.Cloud, environment string) (h *holding, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h = k.held[environment]; h != nil {
		return h, false
	}
	h = &holding{
		store: store{c, k.options.Project, environment, k.lasts},
		taken: make(chan struct{}), stop: make(chan struct{}),
	}
	h.lost, h.lose = context.WithCancelCause(context.Background())
	k.held[environment] = h
	return h, true
}

func (k *Keeper) forget(environment string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.held, environment)
}

// take waits until the lease is free, and takes it.
func (k *Keeper) take(ctx context.Context, h *holding) error {
	s, began, told := h.store, k.now(), int64(0)
	var watched Record // the holder, and since when nothing was heard of it
	var silent time.Time
	for pause := 10 * s.cloud.Pace(); ; {
		all, err := s.generations(ctx)
		if err != nil {
			return err
		}
		now, last := k.now(), newest(all)
		if last.Generation != watched.Generation || last.version != watched.version {
			watched, silent = last, now
		}
		if last.Free() || k.expired(last, silent, now) {
			done, err := k.next(ctx, h, all)
			if done || err != nil {
				return err
			}
			continue
		}
		if now.Sub(began) >= k.options.Wait {
			return k.refused(s, last)
		}
		if told != last.Generation {
			told = last.Generation
			k.options.Sink.Emit(event.Event{Item: s.environment, Kind: event.Waiting, Message: fmt.Sprintf("waiting for environment %s, which another holds: %s", s.environment, last)})
		}
		if err := cloud.Sleep(ctx, min(pause, k.lasts/4)); err != nil {
			return err
		}
	}
}

// surely is how long after its end a lease needs no watching any more: no clock
// is that wrong.
const surely = time.Hour

// expired tells whether the holder of a lease has fallen silent for good: its
// run is known to have ended, or nothing was heard of it for as long as a lease
// lasts.
func (k *Keeper) expired(r Record, silent, now time.Time) bool {
	return r.Host == host() && k.options.Dead(r.Run) || now.Sub(silent) > k.lasts || now.After(r.Expires.Add(surely))
}

func (k *Keeper) refused(s store, by Record) error {
	err := fail.Clean(&HeldError{Environment: s.environment, By: by})
	return fail.WithHint(err, "wait until that has ended, with --lock-timeout for longer than %s; or look with `goldline lock show %s`", k.options.Wait, s.environment)
}

// next makes the generation after the newest. It is not done where another run
// was faster.
func (k *Keeper) next(ctx context.Context, h *holding, all []Record) (done bool, err error) {
	last, began := newest(all), k.now()
	r := Record{
		Generation: last.Generation + 1, Owner: h.store.cloud.Caller, Host: host(), Run: k.options.Run, Command: k.options.Command, Since: began.UTC(),
	}
	made, err := h.store.create(ctx, r)
	if err != nil || !made {
		return false, err
	}
	h.record, h.before = r, last
	h.confirmed.Store(&began)
	h.store.prune(ctx, all, began.Add(-k.keepFor))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.beats.Go(func() { k.beat(h) })
	return true, nil
}

// beat says again and again that the lease is held, until it is given back or
// lost.
func (k *Keeper) beat(h *holding) {
	tick := time.NewTicker(k.lasts / 4)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		if k.check(h) != nil {
			return
		}
		began := k.now()
		ctx, cancel := context.WithTimeout(context.Background(), k.left(h))
		err := h.renew(ctx)
		cancel()
		var lost *LostError
		switch {
		case err == nil:
			h.confirmed.Store(&began)
		case errors.As(err, &lost):
			h.lose(lost)
			return
		case k.left(h) <= 0:
			h.lose(&LostError{fmt.Sprintf("the lease of environment %s could not be kept: %v", h.store.environment, err)})
			return
		default:
			k.options.Sink.Emit(event.Event{Item: h.store.environment, Kind: event.Warning, Message: fmt.Sprintf("the lease of environment %s: %v; trying again", h.store.environment, err)})
		}
	}
}

func (h *holding) renew(ctx context.Context) error {
	all, err := h.store.generations(ctx)
	if err != nil {
		return err
	}
	if last := newest(all); last.Generation > h.record.Generation {
		return &LostError{fmt.Sprintf("the lease of environment %s was taken away by %s", h.store.environment, last)}
	}
	return h.store.put(ctx, h.record, false)
}

// giveBackTime bounds how long a lease takes to be given back: a CI system kills
// 10 seconds after an interrupt.
const giveBackTime = 5 * time.Second

// Close gives all leases back, once nothing holds or takes one any more. One
// that cannot be given back ends by itself.
func (k *Keeper) Close(ctx context.Context) {
	if k == nil {
		return
	}
	k.mu.Lock()
	held := k.held
	k.held = map[string]*holding{}
	k.mu.Unlock()
	for _, h := range held {
		<-h.taken
		close(h.stop)
	}
	k.beats.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	for _, h := range held {
		if h.err != nil || h.lost.Err() != nil {
			continue
		}
		h.record.Released = true
		if err := h.store.put(ctx, h.record, false); err != nil {
			k.options.Sink.Emit(event.Event{Item: h.store.environment, Kind: event.Warning, Message: fmt.Sprintf("the lease of environment %s could not be given back, and ends by itself in %s: %v", h.store.environment, k.lasts, err)})
		}
		h.lose(nil)
	}
}
