package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/pipelines"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

// launchReport is a plan that was carried out.
type launchReport struct {
	planReport
	// RolledBack are the builds that the launch went back to by itself.
	RolledBack []promote.Move         `json:"rolled_back,omitempty"`
	Instances  []launch.Instance      `json:"instances"`
	Rollouts   []launch.RolloutResult `json:"rollouts,omitempty"`
}

func (r launchReport) text(t *text) {
	changeTable(t, r.none, r.Changes, false)
	if len(r.Instances) > 0 {
		var rows [][]string
		for _, i := range r.Instances {
			rows = append(rows, []string{i.Address, i.ID, orDash(i.Image), i.AMI, orDash(i.Version), i.State, orDash(i.PrivateIP), orDash(i.PublicIP)})
		}
		t.gap()
		t.table("", []string{"ADDRESS", "INSTANCE", "IMAGE", "AMI", "VERSION", "STATE", "PRIVATE", "PUBLIC"}, rows)
	}
	rolloutTable(t, r.Rollouts)
	putBack(t, r.RolledBack)
	for _, later := range r.Later {
		t.linef("left out for now: %s", later)
	}
	t.next(r.next)
}

// putBack says which builds were gone back to after a failure.
func putBack(t *text, moves []promote.Move) {
	for i, m := range moves {
		if i == 0 {
			t.gap()
			t.linef("Put back:")
		}
		t.linef("  %s: %s %s is current again, in place of %s", m.Environment, m.Image, m.To, m.From)
	}
}

func newLaunch(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "launch [ENV]",
		Short: "Make an environment what its topology says",
		Long: `Creates, changes, replaces and deletes what plan shows, concurrently along the
references, and waits until the instances answer their status checks. Run again
after it was stopped, it goes on where it was.

With --only it does so for the definitions of some files or addresses alone, and
says what they need that is not there. With --plan it carries out a plan that
was kept as JSON, and refuses when the cloud or the definitions have moved.`,
		Example: `  goldline launch dev --local
  goldline launch dev --local --only 'vpcs/*.yaml'
  goldline plan dev --local -o json > p.json
  goldline launch --plan p.json --local`,
		Args: takes("[ENV]"),
	}
	var o launchOptions
	planFlag(c, &o.plan)
	onlyFlag(c, &o.only)
	p.lockFlag(c)
	o.vars = p.varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runLaunch(ctx, p, c, args, o) })
	return c
}

type launchOptions struct {
	plan string
	only []string
	vars vars
}

func runLaunch(ctx context.Context, p *program, c *cobra.Command, args []string, o launchOptions) (report, error) {
	var kept *keptPlan
	if o.plan != "" {
		var err error
		if kept, err = readPlan(o.plan, false, args); err != nil {
			return nil, err
		}
		if len(o.only) > 0 {
			return nil, fail.Inputf("launch: --only belongs to the plan that was kept")
		}
		o.only = kept.Only
	}
	env, err := environmentOf(c, args, kept)
	if err != nil {
		return nil, err
	}
	loaded, named, err := p.environment(env)
	if err != nil {
		return nil, err
	}
	if err := p.agreeTo(ctx, "launch", named, false); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		options, err := p.topology(ctx, env, o.vars, event.Scope(sink, "launch", env), run)
		if err != nil {
			return nil, err
		}
		if options.Topology.Rolls() {
			if err := p.wake(ctx); err != nil {
				return nil, err
			}
		}
		options.Only = o.only
		plan, none := (*launch.Plan)(nil), "no changes: "+env+" is as its topology says"
		if kept != nil {
			plan, none = &kept.Plan, "nothing was to be done"
		} else if plan, err = launch.NewPlan(ctx, options); err != nil {
			return nil, err
		}
		r, err := p.apply(ctx, options, plan, none, p.here("goldline images deployed "+env))
		if r == nil {
			return nil, err // it has not begun
		}
		promoter, problem := p.promoter(ctx, loaded, event.Scope(sink, "launch", env), run)
		if problem != nil {
			return r, fail.Join(err, problem)
		}
		undone, err := pipelines.Conclude(ctx, promoter, options, !plan.Empty(), err)
		if made, ok := r.(launchReport); ok && undone.Launched {
			made.Instances, made.RolledBack = instances(undone.Instances), undone.Moves
			r = made
		}
		return r, err
	})
}

// apply carries a plan out; what was done stands in the report beside an error. There
// is none where nothing was begun.
func (p *program) apply(ctx context.Context, options launch.Options, plan *launch.Plan, none, next string) (report, error) {
	ctx, plan, err := launch.Hold(ctx, options, plan)
	if err != nil {
		return nil, err
	}
	if lost := plan.Loses(); len(lost) > 0 && !plan.Destroy {
		if err := p.agree(ctx, fmt.Sprintf("launch %s and lose the contents of %s", plan.Environment, strings.Join(lost, ", "))); err != nil {
			return nil, err
		}
		options.LoseContents = true
	}
	result, err := launch.Apply(ctx, options, plan)
	if err != nil && result.Changes == nil {
		return nil, err
	}
	r := launchReport{planReport: newPlanReport(plan, none), Instances: instances(result.Instances), Rollouts: result.Rollouts}
	r.Changes = changes(result.Changes)
	if err == nil {
		r.next = []string{next}
	} else {
		r.none = "nothing has changed"
	}
	return r, err
}
