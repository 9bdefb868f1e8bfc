package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/pipelines"
	"github.com/spf13/cobra"
)

type runReport struct {
	pipelines.Result
	next []string
}

func (r runReport) text(t *text) {
	var rows [][]string
	for _, s := range r.Stages {
		made := madeBy(s)
		rows = append(rows, []string{s.Name, s.State, fmt.Sprintf("%.1f s", s.Seconds), made[0]})
		for _, more := range made[1:] {
			rows = append(rows, []string{"", "", "", more})
		}
	}
	t.table("no stage was selected", []string{"STAGE", "STATE", "TOOK", "MADE"}, rows)
	for _, s := range r.Stages {
		rolloutTable(t, s.Rollouts)
	}
	putBack(t, r.RolledBack)
	t.next(r.next)
}

// madeBy says what a stage did, a line each: in sum, then what it made.
func madeBy(s pipelines.StageResult) []string {
	switch {
	case s.State == pipelines.StateSkipped && s.Because != "":
		return []string{s.Because}
	case len(s.Made) == 1 && strings.HasSuffix(s.Made[0], s.Summary):
		return s.Made
	case s.Summary != "":
		return append([]string{s.Summary}, s.Made...)
	case len(s.Made) > 0:
		return s.Made
	}
	return []string{"-"}
}

type runOptions struct {
	only, from  []string
	vars        vars
	retryFailed bool
	resume      string
}

func newRun(p *program) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run PIPELINE|--resume RUN",
		Short: "Run a pipeline: bake, promote, launch, check",
		Long: `Runs a pipeline's stages at the same time as far as they do not need each other.
A stage that fails stops what depends on it and lets the rest end. Run again, it
goes on from what the cloud shows: nothing is made twice.

With --resume it goes on with a run of this machine that ended before its last
stage: one that waits for an approval, failed, or was killed. What succeeded then
is left out, and promotions take that run's builds.`,
		Example: `  goldline run release --local
  goldline run hotfix --local --var banner=Hello
  goldline run release --local --from launch-prod
  goldline run --resume 20261121T101500Z-1f2e3d --local`,
		Args: takes("[PIPELINE]"),
	}
	c.Flags().StringSliceVar(&o.only, "only", nil, "run this stage alone; may be repeated")
	c.Flags().StringSliceVar(&o.from, "from", nil, "run this stage and what comes after it; may be repeated")
	c.Flags().StringVar(&o.resume, "resume", "", "go on with this run, after the stages that succeeded in it")
	c.Flags().BoolVar(&o.retryFailed, "retry-failed", false, "promote builds also to environments in which they failed before")
	o.vars = p.varFlag(c)
	p.lockFlag(c)
	c.PreRunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && o.resume == "":
			return usage(c, "%s: PIPELINE is missing", c.CommandPath())
		case o.resume != "" && len(args)+len(o.only)+len(o.from) > 0:
			return usage(c, "%s: --resume knows the pipeline and its stages; give neither PIPELINE nor --only or --from", c.CommandPath())
		}
		return nil
	}
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		if o.resume != "" {
			return runResumed(ctx, p, o)
		}
		return runRun(ctx, p, args[0], o, nil)
	})
	return c
}

// runRun runs a pipeline; builds are those of the run that it goes on with, by
// image.
func runRun(ctx context.Context, p *program, name string, o runOptions, builds map[string]string) (report, error) {
	loaded, err := p.read()
	if err != nil {
		return nil, err
	}
	pipeline, err := loaded.Pipeline(name, o.vars)
	if err != nil {
		return nil, err
	}
	options := pipelines.Options{
		Project: loaded, Pipeline: pipeline, Vars: o.vars, Only: o.only, From: o.from, ToolVersion: version(), RetryFailed: o.retryFailed, Builds: builds,
		LoseContents: p.flags.local || p.flags.yes,
		DeadRun:      func(run string) bool { return ledger.Dead(loaded.Dir, run) },
	}
	plan, err := pipelines.Compile(options)
	if err != nil {
		return nil, err
	}
	images, err := loaded.Images("", o.vars)
	if err != nil {
		return nil, err
	}
	p.secrets = secretsOf(images)
	if err := p.agreeToPlan(ctx, loaded, plan); err != nil {
		return nil, err
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		provider, err := p.clouds(ctx)
		if err != nil {
			return nil, err
		}
		if reaches(pipeline) || rolls(loaded, pipeline, plan, o.vars) {
			if err := p.wake(ctx); err != nil {
				return nil, err
			}
		}
		options.Provider, options.Sink, options.Run, options.Lease = provider, sink, run, p.lease
		options.Record = func(so pipelines.Result) { p.record.Keep(so) }
		result, err := pipelines.Run(ctx, options, plan)
		r := runReport{Result: result}
		if err != nil {
			return r, err
		}
		for _, env := range plan.Environments() {
			if !slices.Contains(plan.Destroys(), env) {
				r.next = append(r.next, p.here("goldline images deployed "+env))
			}
		}
		r.next = append(r.next, p.here("goldline images list"))
		return r, nil
	})
}

// agreeToPlan asks for each environment that the plan destroys, or changes
// although it is protected.
func (p *program) agreeToPlan(ctx context.Context, loaded *project.Project, plan *pipelines.Plan) error {
	for _, name := range plan.Environments() {
		env, err := loaded.Environment(name)
		if err != nil {
			return err
		}
		verb, destroys := "change", slices.Contains(plan.Destroys(), name)
		if destroys {
			verb = "destroy"
		}
		if err := p.agreeTo(ctx, verb, env, destroys); err != nil {
			return err
		}
	}
	return nil
}

// rolls tells whether a pipeline launches environments in which instances take
// up new builds by a roll-out, which looks at their health.
func rolls(loaded *project.Project, pipeline *project.Pipeline, plan *pipelines.Plan, vars vars) bool {
	own := slices.ContainsFunc(pipeline.Stages, func(s *project.Stage) bool {
		return s.Launch != nil && s.Launch.Rollout != nil || s.Rollback != nil && s.Rollback.Rollout != nil
	})
	return own || slices.ContainsFunc(plan.Environments(), func(env string) bool {
		topology, err := loaded.Topology(env, vars)
		return err == nil && topology.Rolls()
	})
}

// reaches tells whether a pipeline speaks to instances, those of earlier runs
// included: on the local cloud they have to be awake for that.
func reaches(pipeline *project.Pipeline) bool {
	return slices.ContainsFunc(pipeline.Stages, func(s *project.Stage) bool {
		return s.Run != nil || s.Check != nil && (s.Check.HTTP != nil || len(s.Check.Command) > 0)
	})
}
