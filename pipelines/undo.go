package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// undoTime bounds how long an environment is put back, also after an interrupt:
// about what launching a few dozen instances twice takes.
const undoTime = 30 * time.Minute

// undo puts an environment back in which something went wrong: the builds that
// were brought there are marked as failed, the ones before are current again and
// are launched, in this order, so that whoever finds it half done knows which
// way it was going.
type undo struct {
	promoter    *promote.Promoter
	options     launch.Options // of a launch of the environment
	environment string
	moves       []promote.Move // of this run, in the environment
	launched    bool           // by this run
	blame       bool           // the builds are at fault, not who stopped the run
}

// run puts the environment back, whatever has become of ctx, and gives the moves
// and the error that the run ends with in place of cause. Where there is nothing
// to put back that is cause itself.
func (u undo) run(ctx context.Context, cause error) ([]promote.Move, error) {
	var lost *lease.LostError
	if errors.As(cause, &lost) {
		return nil, cause // another run may be at work there
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	undoes, err := u.promoter.Undoes(ctx, u.environment, u.moves)
	if err != nil {
		return nil, u.stuck(cause, err, nil)
	}
	half := false
	if len(undoes) == 0 {
		var failed *promote.FailedError
		if !errors.As(cause, &failed) {
			return nil, cause
		}
		if half, err = u.promoter.HalfUndone(ctx, u.environment); err != nil || !half {
			return nil, cause
		}
	}
	if u.blame {
		if err := u.mark(ctx, undoes, cause); err != nil {
			return nil, u.stuck(cause, err, undoes)
		}
	}
	return u.back(ctx, undoes, cause)
}

// mark says on the builds that they failed.
func (u undo) mark(ctx context.Context, undoes []promote.Undo, cause error) error {
	var amis []string
	for _, b := range undoes {
		if b.To.AMI != "" {
			amis = append(amis, b.From.AMI)
		}
	}
	why, _, _ := strings.Cut(cause.Error(), "\n")
	return u.promoter.Fail(ctx, u.environment, amis, why)
}

func (u undo) back(ctx context.Context, undoes []promote.Undo, cause error) ([]promote.Move, error) {
	b := &goBack{promoter: u.promoter, options: u.options, environment: u.environment}
	var first []promote.Undo
	for _, one := range undoes {
		if one.To.AMI == "" {
			first = append(first, one)
			continue
		}
		move, err := u.promoter.PutBack(ctx, u.environment, one, "a run failed")
		if err != nil {
			return b.moves, u.stuck(cause, err, undoes)
		}
		b.moves = append(b.moves, move)
	}
	if len(b.moves) == 0 && len(first) > 0 {
		return nil, cause // nothing ran there before
	}
	plan, err := u.launch(ctx, b)
	if err != nil {
		return b.moves, u.stuck(cause, err, undoes)
	}
	done := fmt.Errorf("%w; %s is put back: %s", ended(cause), u.environment, u.summary(b.moves, plan))
	if len(first) > 0 {
		var left []fail.Left
		for _, one := range first {
			left = append(left, fail.Left{
				What:    fmt.Sprintf("%s %s current in %s, the first build there", one.Image, one.From, u.environment),
				Command: "goldline images history " + one.Image + " --env " + u.environment,
			})
		}
		return b.moves, fail.Dirty(done, left...)
	}
	return b.moves, fail.Clean(done)
}

// launch launches what is current again, where something else may run: a launch
// that never began is not made up for here.
func (u undo) launch(ctx context.Context, b *goBack) (*launch.Plan, error) {
	if !u.launched {
		deployed, err := u.promoter.Deployed(ctx, u.environment)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(deployed, func(d promote.Deployment) bool { return d.Image != "" && !d.Current }) {
			return nil, nil
		}
	}
	plan, _, err := b.launch(ctx)
	return plan, err
}

func (u undo) summary(moves []promote.Move, plan *launch.Plan) string {
	var parts []string
	for _, m := range moves {
		parts = append(parts, fmt.Sprintf("%s %s", m.Image, m.To))
	}
	if plan == nil || plan.Empty() {
		return strings.Join(append(parts, "nothing had to be launched"), ", ")
	}
	return strings.Join(append(parts, applied(plan).verb), ", ")
}

// stuck is the end of a run that could not put an environment back.
func (u undo) stuck(cause, err error, undoes []promote.Undo) error {
	left := []fail.Left{{What: "environment " + u.environment + ", which is not put back", Command: "goldline launch " + u.environment}}
	for _, b := range undoes {
		if b.To.AMI != "" {
			left = append(left, fail.Left{
				What:    fmt.Sprintf("%s in %s, to be %s in place of %s", b.Image, u.environment, b.To, b.From),
				Command: fmt.Sprintf("goldline rollback %s --env %s --to %s", b.Image, u.environment, b.To.AMI),
			})
		}
	}
	if len(left) > 1 {
		left = left[1:] // a rollback launches too
	}
	return fail.Dirty(fail.Join(ended(cause), fmt.Errorf("put %s back: %w", u.environment, ended(err))), left...)
}

// endedError is an error after whose end something else was done: what it says
// of things that were left, and what to do about them, holds no more.
type endedError struct {
	text string
	is   error
}

func (e *endedError) Error() string { return e.text }
func (e *endedError) Unwrap() error { return e.is }

func ended(err error) error {
	e := &endedError{text: err.Error()}
	if errors.Is(err, context.Canceled) {
		e.is = context.Canceled
	}
	return e
}
