package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// RollbackOptions say what to roll back.
type RollbackOptions struct {
	Project     *project.Project
	Provider    *cloud.Provider
	Image       string
	Environment string
	To          string // an AMI, version or fingerprint that was current; empty is the previous build
	Vars        map[string]string
	Sink        event.Sink
	Run         string
	// LoseContents and Lease are those of Options.
	LoseContents bool
	Lease        *lease.Keeper
}

// restoreTime is how long putting a pointer back may take.
const restoreTime = 5 * time.Second // a CI system kills 10 seconds after an interrupt

// Rollback makes an image's previous build current in an environment and
// launches it. When nothing could be launched, what was current before is
// current again. Run again after it was stopped half way, it finishes what it
// had begun and goes back no further.
func Rollback(ctx context.Context, o RollbackOptions) (promote.Move, launch.Result, error) {
	b, err := newGoBack(ctx, o)
	if err != nil {
		return promote.Move{}, launch.Result{}, err
	}
	_, result, err := b.run(ctx, []target{{o.Image, o.To}})
	if len(b.moves) == 0 {
		return promote.Move{Image: o.Image, Environment: o.Environment}, result, err
	}
	return b.moves[0], result, err
}

// RollbackTo makes an environment what it was at a moment in its past, as
// promote.Past says, and launches it once. Image and To of the options stand for
// nothing here. Run again after it was stopped half way, it goes on.
func RollbackTo(ctx context.Context, o RollbackOptions, returns []promote.Return) ([]promote.Move, launch.Result, error) {
	b, err := newGoBack(ctx, o)
	if err != nil {
		return nil, launch.Result{}, err
	}
	var targets []target
	for _, r := range returns {
		if r.Moves() {
			targets = append(targets, target{r.Image, r.To.AMI})
		}
	}
	_, result, err := b.run(ctx, targets)
	return append([]promote.Move{}, b.moves...), result, err
}

func newGoBack(ctx context.Context, o RollbackOptions) (*goBack, error) {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	env, err := o.Project.Environment(o.Environment)
	if err != nil {
		return nil, err
	}
	topology, err := o.Project.Topology(o.Environment, o.Vars)
	if err != nil {
		return nil, err
	}
	c, err := enter(ctx, o.Provider, env)
	if err != nil {
		return nil, err
	}
	sink := event.Scope(o.Sink, "rollback", "")
	return &goBack{
		promoter: promote.New(promote.Options{Project: o.Project, Provider: o.Provider, Sink: o.Sink, Run: o.Run, Lease: o.Lease}).Telling(sink),
		options: launch.Options{
			Project: o.Project.Name, Tags: o.Project.Tags, Topology: topology, Dir: o.Project.Dir, Cloud: c, Sink: sink, Run: o.Run, Lease: o.Lease, LoseContents: o.LoseContents,
			Elsewhere: launch.Elsewhere(o.Project, o.Provider, o.Vars),
		},
		environment: o.Environment,
	}, nil
}

// rollback is a stage's work.
func (r *run) rollback(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		b := &goBack{promoter: r.promoter.Telling(sink), options: r.launchOptions(s, sink), environment: s.Environment}
		var targets []target
		for _, image := range s.Images {
			targets = append(targets, target{image, ""})
		}
		plan, result, err := b.run(ctx, targets)
		if err != nil {
			return outcome{rollouts: result.Rollouts}, err
		}
		out := applied(plan)
		out.rollouts = result.Rollouts
		var made []string
		for _, m := range b.moves {
			made = append(made, fmt.Sprintf("%s %s current in %s", m.Image, m.To, m.Environment))
		}
		out.made = append(made, out.made...)
		return out, nil
	}
}

// goBack takes images of an environment back and launches it once.
type goBack struct {
	promoter    *promote.Promoter
	options     launch.Options
	environment string
	moves       []promote.Move
	applying    bool
}

// target is an image and what it goes back to: an AMI, version or fingerprint, or
// the previous build when that is empty.
type target struct{ image, to string }

func (b *goBack) run(ctx context.Context, targets []target) (*launch.Plan, launch.Result, error) {
	plan, result, err := b.forward(ctx, targets)
	if err == nil {
		return plan, result, nil
	}
	if b.applying && fail.ExitCode(err) != fail.CodeClean {
		// Some of it may run the build that was gone back to: its pointer stays.
		return plan, result, b.unfinished(err)
	}
	return plan, result, b.restore(ctx, err)
}

func (b *goBack) forward(ctx context.Context, targets []target) (*launch.Plan, launch.Result, error) {
	for _, t := range targets {
		if t.to == "" {
			move, found, err := b.promoter.Unfinished(ctx, t.image, b.environment)
			if err != nil {
				return nil, launch.Result{}, fail.Unchanged(err)
			}
			if found {
				// The earlier run may have been one that took its move back, and had begun with
				// further regions.
				again, err := b.promoter.Rollback(ctx, t.image, b.environment, move.To.AMI)
				if err != nil {
					return nil, launch.Result{}, err
				}
				move.Regions = again.Regions
				move.Changed = true // by the earlier run: this one takes it back if it cannot finish it
				b.moves = append(b.moves, move)
				continue
			}
		}
		move, err := b.promoter.Rollback(ctx, t.image, b.environment, t.to)
		if move.Changed || err == nil {
			b.moves = append(b.moves, move)
		}
		if err != nil {
			return nil, launch.Result{}, err
		}
	}
	return b.launch(ctx)
}

// launch launches the environment with the builds that are current now.
func (b *goBack) launch(ctx context.Context) (*launch.Plan, launch.Result, error) {
	plan, err := launch.NewPlan(ctx, b.options)
	if err != nil {
		return nil, launch.Result{}, fail.Unchanged(err)
	}
	ctx, plan, err = launch.Hold(ctx, b.options, plan)
	if err != nil {
		return nil, launch.Result{}, fail.Unchanged(err)
	}
	b.applying = true
	result, err := launch.Apply(ctx, b.options, plan)
	return plan, result, err
}

// restore makes current again what was so before.
func (b *goBack) restore(ctx context.Context, err error) error {
	living, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
	defer cancel()
	for i := len(b.moves) - 1; i >= 0; i-- {
		m := b.moves[i]
		if restoreErr := b.promoter.Restore(living, m); restoreErr != nil {
			left := fail.Left{
				What:    fmt.Sprintf("%s %s is current in %s, but not launched", m.Image, m.To, m.Environment),
				Command: "goldline launch " + m.Environment,
			}
			err = fail.Dirty(fail.Join(err, restoreErr), left)
			continue
		}
		b.moves[i].To, b.moves[i].Changed = m.From, false // as if it had never moved
		if m.Changed && fail.ExitCode(err) == fail.CodeInput {
			err = fail.Clean(err) // something was called
		}
	}
	return err
}

// unfinished says what a launch that stopped half way leaves.
func (b *goBack) unfinished(err error) error {
	var names []string
	for _, m := range b.moves {
		if m.To.AMI != "" {
			names = append(names, m.Image+" "+m.To.String())
		}
	}
	return fail.Dirty(err, fail.Left{
		What:    fmt.Sprintf("%s current in %s, but not all of it is launched", strings.Join(names, ", "), b.environment),
		Command: "goldline launch " + b.environment,
	})
}
