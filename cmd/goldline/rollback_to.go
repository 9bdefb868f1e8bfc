package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/pipelines"
	"github.com/goldline-dev/goldline/promote"
)

// rollbackToReport is an environment that went back to how it was.
type rollbackToReport struct {
	Environment string                 `json:"environment"`
	Moves       []promote.Move         `json:"moves"`
	Changes     []launch.Change        `json:"changes"`
	Instances   []launch.Instance      `json:"instances"`
	Rollouts    []launch.RolloutResult `json:"rollouts,omitempty"`
	next        []string
}

func (r rollbackToReport) text(t *text) {
	if len(r.Moves) == 0 {
		t.linef("what was current then is current in %s", r.Environment)
	}
	for _, m := range r.Moves {
		moveReport{Move: m}.text(t)
	}
	t.linef("")
	changeTable(t, "nothing had to be launched", r.Changes, false)
	rolloutTable(t, r.Rollouts)
	t.next(r.next)
}

// moment is the point in the past that the flags name.
func (o rollbackOptions) moment() (promote.Moment, error) {
	if o.toRun != "" {
		return promote.Moment{Run: o.toRun}, nil
	}
	at, err := time.Parse(time.RFC3339, o.toTime)
	if err != nil {
		if at, err = time.ParseInLocation(time.DateTime, o.toTime, time.Local); err != nil {
			return promote.Moment{}, fail.WithHint(fail.Inputf("--to-time %s is no time", o.toTime), "write it as %s, or as %q for local time", "2026-11-21T10:15:00Z", "2026-11-21 10:15:00")
		}
		at = at.Add(time.Second - 1) // the history shows whole seconds
	}
	if at.After(time.Now().Add(time.Second)) {
		return promote.Moment{}, fail.Inputf("--to-time %s lies in the future", o.toTime)
	}
	return promote.Moment{At: at}, nil
}

func runRollbackTo(ctx context.Context, p *program, images []string, o rollbackOptions) (report, error) {
	loaded, env, err := p.environment(o.env)
	if err != nil {
		return nil, err
	}
	for _, name := range images {
		if err := image(loaded, name); err != nil {
			return nil, err
		}
	}
	moment, err := o.moment()
	if err != nil {
		return nil, err
	}
	promoter, err := p.asked(ctx, "rollback")
	if err != nil {
		return nil, err
	}
	returns, err := promoter.Past(ctx, o.env, images, moment)
	if err != nil {
		return nil, err
	}
	p.tellReturns(o.env, moment, returns)
	if err := p.agreeTo(ctx, fmt.Sprintf("take back to %s", moment), env, false); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		topology, err := loaded.Topology(o.env, o.vars)
		if err == nil && topology.Rolls() {
			err = p.wake(ctx)
		}
		if err != nil {
			return nil, err
		}
		moves, result, err := pipelines.RollbackTo(ctx, pipelines.RollbackOptions{
			Project: loaded, Provider: p.provider, Environment: o.env, Vars: o.vars, Sink: sink, Run: run, Lease: p.lease,
			LoseContents: p.flags.local || p.flags.yes,
		}, returns)
		r := rollbackToReport{Environment: o.env, Moves: moves, Changes: changes(result.Changes), Instances: instances(result.Instances), Rollouts: result.Rollouts}
		if moves == nil {
			return nil, err
		}
		r.next = []string{p.here("goldline images deployed " + o.env)}
		return r, err
	})
}

// tellReturns says what going back would move, before it does.
func (p *program) tellReturns(environment string, m promote.Moment, returns []promote.Return) {
	p.progress.line(fmt.Sprintf("%s goes back to %s:", environment, m))
	for _, r := range returns {
		switch {
		case r.Moves() && r.To == r.From:
			p.progress.line(fmt.Sprintf("  %s: %s, in %s too", r.Image, r.To, strings.Join(r.Regions, " and ")))
		case r.Moves():
			p.progress.line(fmt.Sprintf("  %s: %s, in place of %s", r.Image, r.To, r.From))
		case r.To.AMI == "":
			p.progress.line(fmt.Sprintf("  %s: %s stays, since none was current then", r.Image, r.From))
		default:
			p.progress.line(fmt.Sprintf("  %s: %s stays", r.Image, r.From))
		}
	}
}
