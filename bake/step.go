package bake

import (
	"context"
	"errors"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
)

// step is one step of a bake.
type step interface {
	name() string
	// run does the step. errDone ends the bake well, before its last step.
	run(ctx context.Context, b *bake) error
	// undo removes what the step made, unless that is gone already or is the
	// result. It is called, also after a failed run and more than once, with a
	// context of its own. Its error is made with bake.stays.
	undo(ctx context.Context, b *bake) error
}

// errDone says that there is nothing left to do.
var errDone = errors.New("done")

// cleanUpTime is how long undoing one step may take. A builder's termination,
// which a security group waits for, takes a minute or two.
const cleanUpTime = 5 * time.Minute

// grace is how long a call that makes something may go on after an interrupt,
// so that it is known what it made.
const grace = 5 * time.Second

// stateKey is where the bake lies in multistep's bag.
const stateKey = "bake"

// follow runs the steps and cleans up behind them.
func (b *bake) follow(ctx context.Context, steps []step) {
	list := make([]multistep.Step, len(steps))
	for i, s := range steps {
		list[i] = adapter{s, ctx}
	}
	bag := &multistep.BasicStateBag{}
	bag.Put(stateKey, b)
	(&multistep.BasicRunner{Steps: list}).Run(ctx, bag)
}

// aside does something beside the steps, none of which waits for it; the bake
// does.
func (b *bake) aside(f func() error) {
	wait := graph.Background(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asides = append(b.asides, wait)
}

// joinAsides waits for what was begun beside the steps, which tells itself what
// goes wrong.
func (b *bake) joinAsides() {
	for _, wait := range b.asides {
		_ = wait()
	}
}

// adapter is a step as multistep knows it: its error is kept in the bake, and
// its clean-up, to which multistep gives no context, gets one that lives on
// when the bake is interrupted.
type adapter struct {
	step
	ctx context.Context
}

// Run implements multistep.Step.
func (a adapter) Run(ctx context.Context, bag multistep.StateBag) multistep.StepAction {
	b := bag.Get(stateKey).(*bake)
	err := b.time(ctx, a.step)
	if err == nil {
		return multistep.ActionContinue
	}
	if err != errDone {
		b.err = err
	}
	return multistep.ActionHalt
}

// Cleanup implements multistep.Step.
func (a adapter) Cleanup(bag multistep.StateBag) {
	b := bag.Get(stateKey).(*bake)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), cleanUpTime)
	defer cancel()
	b.putBack(ctx, a.step)
}

// putBack undoes a step and keeps what it says. A later attempt that works
// makes good for an earlier one that did not.
func (b *bake) putBack(ctx context.Context, s step) {
	err := graph.Guard(func() error { return s.undo(ctx, b) })
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.stuck, s.name())
	if err != nil {
		b.stuck[s.name()] = err
	}
}

// cleanUpError joins what could not be put back.
func (b *bake) cleanUpError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			errs = append(errs, b.stuck[name])
		}
	}
	for _, s := range append(recipe(), retest()...) {
		add(s.name())
		if t, ok := s.(together); ok {
			for _, s := range t.steps {
				add(s.name())
			}
		}
	}
	return fail.Join(errs...)
}

// time runs a step and notes how long it took.
func (b *bake) time(ctx context.Context, s step) error {
	began := time.Now()
	err := graph.Guard(func() error { return s.run(ctx, b) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, several := s.(together); !several {
		b.steps = append(b.steps, StepTime{Name: s.name(), Seconds: time.Since(began).Seconds(), Waited: b.waited[s.name()].what, WaitedSeconds: b.waited[s.name()].took.Seconds()})
	}
	return err
}

// together is several steps at once. They share nothing that one of them
// writes.
type together struct {
	title string
	steps []step
}

func (t together) name() string { return t.title }

func (t together) run(ctx context.Context, b *bake) error {
	return graph.Each(ctx, 0, len(t.steps), func(ctx context.Context, i int) error { return b.time(ctx, t.steps[i]) })
}

func (t together) undo(ctx context.Context, b *bake) error {
	_ = graph.Each(ctx, 0, len(t.steps), func(ctx context.Context, i int) error {
		b.putBack(ctx, t.steps[i]) // which keeps what goes wrong
		return nil
	})
	return nil
}

// outlive is a context for a call that makes something: it ends a while after
// ctx does, so that an interrupt does not leave it unknown what was made.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}
