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

// Undone is what putting an environment back came to.
type Undone struct {
	Moves     []promote.Move
	Launched  bool // something had to be launched
	Instances []launch.Instance
}

// run puts the environment back, whatever has become of ctx, and gives the error
// that the run ends with in place of cause. Where there is nothing to put back
// that is cause itself.
func (u undo) run(ctx context.Context, cause error) (Undone, error) {
	var lost *lease.LostError
	var held *lease.HeldError
	if errors.As(cause, &lost) || errors.As(cause, &held) {
		return Undone{}, cause // another run may be at work there
	}
	if fail.ExitCode(cause) == fail.CodeInput && len(u.moves) == 0 && !u.half(ctx, cause) {
		return Undone{}, cause // nothing was begun, and what is current was not brought by this run
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	undoes, err := u.promoter.Undoes(ctx, u.environment, u.moves)
	if err != nil {
		return Undone{}, u.stuck(cause, err, nil)
	}
	if len(undoes) == 0 && !u.half(ctx, cause) {
		return Undone{}, cause
	}
	if u.blame {
		if err := u.mark(ctx, undoes, cause); err != nil {
			return Undone{}, u.stuck(cause, err, undoes)
		}
	}
	return u.back(ctx, undoes, cause)
}

// half tells whether an earlier run has put the pointers back, and was stopped
// before it had launched them.
func (u undo) half(ctx context.Context, cause error) bool {
	var failed *promote.FailedError
	if !errors.As(cause, &failed) {
		return false
	}
	half, err := u.promoter.HalfUndone(ctx, u.environment)
	return half && err == nil
}

// mark says on the builds that they failed.
func (u undo) mark(ctx context.Context, undoes []promote.Undo, cause error) error {
	var amis []string
	for _, b := range undoes {
		if b.To.AMI != "" {
			amis = append(amis, b.From.AMI)
		}
	}
	return u.promoter.Fail(ctx, u.environment, amis, firstLine(cause))
}

func (u undo) back(ctx context.Context, undoes []promote.Undo, cause error) (Undone, error) {
	var done Undone
	var first []fail.Left
	for _, one := range undoes {
		if one.To.AMI == "" {
			first = append(first, fail.Left{
				What:    fmt.Sprintf("%s %s current in %s, the first build there", one.Image, one.From, u.environment),
				Command: "goldline images history " + one.Image + " --env " + u.environment,
			})
			continue
		}
		move, err := u.promoter.PutBack(ctx, u.environment, one, firstLine(cause))
		if err != nil {
			return done, u.stuck(cause, err, undoes)
		}
		done.Moves = append(done.Moves, move)
	}
	if len(done.Moves) == 0 && len(first) > 0 {
		return Undone{}, cause // nothing ran there before
	}
	plan, err := u.launch(ctx, &done)
	if err != nil {
		return done, u.stuck(cause, err, undoes)
	}
	err = fmt.Errorf("%w\n%s is put back: %s", ended(cause), u.environment, u.summary(done.Moves, plan))
	if len(first) > 0 {
		return done, fail.Dirty(err, first...)
	}
	return done, fail.Clean(err)
}

// launch launches what is current again, where something else may run: a launch
// that never began is not made up for here.
func (u undo) launch(ctx context.Context, done *Undone) (*launch.Plan, error) {
	if !u.launched {
		deployed, err := u.promoter.Deployed(ctx, u.environment)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(deployed, func(d promote.Deployment) bool { return d.Image != "" && !d.Current }) {
			return nil, nil
		}
	}
	b := &goBack{options: u.options}
	b.options.GoingBack = true
	plan, result, err := b.launch(ctx)
	done.Launched, done.Instances = true, result.Instances
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

// Conclude ends a launch that is no stage of a run as a run ends its own, in an
// environment that goes back after a failure: builds that were launched well are
// known to run well there; after a failure what ran before is launched again.
// changes tells whether the launch had anything to do, and err what became of it.
func Conclude(ctx context.Context, promoter *promote.Promoter, o launch.Options, changes bool, err error) (Undone, error) {
	env := o.Topology.Environment
	switch {
	case !o.Topology.RollsBack(nil):
		return Undone{}, err
	case err == nil && len(o.Only) > 0:
		return Undone{}, nil
	case err == nil:
		return Undone{}, promoter.Pass(ctx, env.Name)
	}
	stopped := errors.Is(err, context.Canceled) || ctx.Err() != nil
	u := undo{
		promoter: promoter, options: o, environment: env.Name, launched: changes,
		blame: !stopped && changes && fail.ExitCode(err) != fail.CodeInput && !launch.Blameless(err),
	}
	return u.run(ctx, err)
}

// firstLine is what an error says first, without the outputs that follow.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
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
