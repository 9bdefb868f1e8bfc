package pipelines

import (
	"context"
	"errors"
	"fmt"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// tenants are the stages of a run that are at work in an environment that is put
// back when one of them fails.
type tenants struct {
	busy   int
	idle   chan struct{} // closed when none is at work any more
	looked chan struct{} // closed when it is known whether it was put back; nil while nobody looks
	back   bool          // it was put back: no other stage begins there
}

// errPutBack is the end of a stage that finds its environment put back.
var errPutBack = errors.New("not begun: the environment is put back")

// undone puts a stage's environment back when the stage fails, as soon as no
// other is at work there.
func (r *run) undone(s PlannedStage, sink event.Sink, do step) step {
	t := r.tenants[s.Environment]
	if t == nil || s.Kind == KindBake || s.Kind == KindApproval {
		return do
	}
	return func(ctx context.Context) (outcome, error) {
		if err := r.enters(ctx, t); err != nil {
			return outcome{}, err
		}
		out, err := do(ctx)
		if err == nil || !undoable(s, err) || !r.claims(t) {
			r.leaves(t)
			return out, err
		}
		r.leaves(t)
		<-t.idle // the others end: an interrupt reaches them too
		back, err := r.putBack(ctx, s, sink, err)
		r.looked(t, back)
		return out, err
	}
}

// undoable tells whether an error of a stage is one after which its environment
// is put back at once. What else failed is looked at when all has ended.
func undoable(s PlannedStage, err error) bool {
	var failed *promote.FailedError
	switch s.Kind {
	case KindLaunch, KindCheck:
		return true
	case KindPromote:
		return errors.As(err, &failed) // perhaps taking it back was stopped half way
	}
	return false
}

// putBack puts a stage's environment back, where something is to be put back.
func (r *run) putBack(ctx context.Context, s PlannedStage, sink event.Sink, cause error) (bool, error) {
	r.mu.Lock()
	moves, launched := r.moves[s.Environment], r.launched[s.Environment]
	r.mu.Unlock()
	stopped := errors.Is(cause, context.Canceled) || ctx.Err() != nil
	u := undo{
		promoter: r.promoter.Telling(sink), options: r.launchOptions(r.launching(s), sink), environment: s.Environment, moves: moves, launched: launched,
		blame: !stopped && (s.Kind == KindCheck || s.Kind == KindLaunch && launched && fail.ExitCode(cause) != fail.CodeInput && !launch.Blameless(cause)),
	}
	back, err := u.run(ctx, cause)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back = append(r.back, back.Moves...)
	return err != cause, err
}

// launching is the stage whose definitions an environment is launched from: its
// launch, or else the stage itself.
func (r *run) launching(s PlannedStage) PlannedStage {
	for _, other := range r.plan.Stages {
		if other.Kind == KindLaunch && other.Environment == s.Environment {
			return other
		}
	}
	return s
}

// settle looks at every environment that is put back after a failure when all
// stages have ended: where all of them passed, so have the builds; where some
// did not and this run made builds current, those before are current again.
func (r *run) settle(ctx context.Context, results []graph.Result) error {
	var errs []error
	for _, env := range r.plan.Environments() {
		t := r.tenants[env]
		if t == nil || t.back {
			continue
		}
		s, launches, passed := r.ended(env, results)
		if !launches {
			continue // whoever launches it will see
		}
		sink := event.Scope(r.options.Sink, s.Name, "")
		if passed {
			errs = append(errs, r.promoter.Telling(sink).Pass(ctx, env))
			continue
		}
		if len(r.moves[env]) == 0 {
			continue
		}
		cause := fmt.Errorf("not all stages of %s were gone through", env)
		if ctx.Err() != nil {
			cause = fmt.Errorf("%w: %w", cause, context.Canceled)
		}
		if back, err := r.putBack(ctx, PlannedStage{Name: s.Name, Environment: env}, sink, cause); back {
			errs = append(errs, err)
		}
	}
	return fail.Join(errs...)
}

// ended is how an environment's stages ended: its launch, if it has one, and
// whether all of them did well.
func (r *run) ended(env string, results []graph.Result) (launch PlannedStage, launches, passed bool) {
	passed = true
	for i, n := range r.plan.Nodes {
		s := r.plan.stage(n.Stage)
		if s.Environment != env || s.Kind == KindBake {
			continue
		}
		passed = passed && results[i].Err == nil && !results[i].Skipped
		if s.Kind == KindLaunch {
			launch, launches = s, true
		}
	}
	return launch, launches, passed
}

// enters begins a stage's work in an environment.
func (r *run) enters(ctx context.Context, t *tenants) error {
	for {
		r.mu.Lock()
		looked := t.looked
		switch {
		case t.back:
			r.mu.Unlock()
			return fail.Clean(errPutBack)
		case looked == nil:
			t.busy++
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		select {
		case <-looked:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// claims tells a stage that failed whether it is to put the environment back:
// the first that fails does.
func (r *run) claims(t *tenants) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.looked != nil || t.back {
		return false
	}
	t.looked, t.idle = make(chan struct{}), make(chan struct{})
	return true
}

func (r *run) leaves(t *tenants) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.busy--; t.busy == 0 && t.looked != nil {
		close(t.idle)
	}
}

// looked lets stages begin again in an environment that was not put back.
func (r *run) looked(t *tenants, back bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.back = back
	close(t.looked)
	t.looked = nil
}
