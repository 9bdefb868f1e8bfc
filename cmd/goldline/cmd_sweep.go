package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/spf13/cobra"
)

type sweepReport struct {
	Orphans []bake.Orphan `json:"orphans"`
	Counts  sweepCounts   `json:"counts"`
	Places  []sweptPlace  `json:"places"`
	next    []string
}

type sweepCounts struct {
	Remove  int `json:"remove"`  // may be removed
	Keep    int `json:"keep"`    // are left, each with why
	Removed int `json:"removed"` // were removed
	Others  int `json:"others"`  // temporary things of other projects, which nothing else is said of
}

type sweptPlace struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

func newSweepReport(found *bake.Sweep, clouds []*cloud.Cloud) sweepReport {
	r := sweepReport{Orphans: found.Orphans, Counts: sweepCounts{Remove: found.Removable(), Others: found.Others}, Places: []sweptPlace{}}
	r.Counts.Keep = len(found.Orphans) - r.Counts.Remove
	for _, o := range found.Orphans {
		if o.Removed {
			r.Counts.Removed++
		}
	}
	for _, c := range clouds {
		r.Places = append(r.Places, sweptPlace{Account: c.Account, Region: c.Region})
	}
	return r
}

func (r sweepReport) text(t *text) {
	var rows [][]string
	for _, o := range r.Orphans {
		what := "left"
		switch {
		case o.Removed:
			what = "removed"
		case o.Remove:
			what = "orphan"
		}
		rows = append(rows, []string{what, o.Kind, o.ID, o.Region, orDash(o.Image), orDash(o.Run), o.Why})
	}
	t.table("no bake left anything", []string{"", "KIND", "ID", "REGION", "IMAGE", "RUN", "WHY"}, rows)
	if len(rows) > 0 {
		t.linef("%d to be removed, %d removed, %d left", r.Counts.Remove, r.Counts.Removed, r.Counts.Keep)
	}
	if r.Counts.Others > 0 {
		t.linef("%d temporary things of other projects are not looked at", r.Counts.Others)
	}
	t.next(r.next)
}

type sweepOptions struct {
	olderThan time.Duration
	regions   []string
	plan      bool
	exitCode  bool
}

func newSweep(p *program) *cobra.Command {
	var o sweepOptions
	c := &cobra.Command{
		Use:   "sweep [ENV...]",
		Short: "Find and remove what bakes left that were killed",
		Long: `Finds builders, volumes, key pairs, security groups, images, snapshots and
temporary roles with their instance profiles that a bake of this project made for
itself and did not come to remove, and copies of images that AWS could not make, in
the accounts and regions of the environments (all of them without arguments), their
further regions, and the regions that recipes copy images to.

Removes only what is proved to be nobody's: its tags name this project, an image
and a run, its time is over or its run is known to have ended on this machine,
and nothing uses it. Whatever else is temporary is listed with why it is left.
Asks first, except with --local.`,
		Example: `  goldline sweep --plan --local
  goldline sweep dev --older-than 6h --yes --local`,
		Args: takes("[ENV...]"),
	}
	c.Flags().DurationVar(&o.olderThan, "older-than", 0, "leave what is younger, such as 6h")
	c.Flags().StringSliceVar(&o.regions, "regions", nil, "more regions to look in, with the environments' accounts")
	c.Flags().BoolVar(&o.plan, "plan", false, "say what would be removed, and remove nothing")
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "with --plan: exit with 4 where something would be removed")
	p.varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		if o.olderThan < 0 {
			return nil, usage(c, "%s: --older-than %s: an age is not below zero", c.CommandPath(), o.olderThan)
		}
		return runSweep(ctx, p, args, o)
	})
	return c
}

func runSweep(ctx context.Context, p *program, envs []string, o sweepOptions) (report, error) {
	loaded, err := p.read()
	if err != nil {
		return nil, err
	}
	clouds, err := p.places(ctx, loaded, envs, o.regions)
	if err != nil {
		return nil, err
	}
	options := bake.SweepOptions{
		Project: loaded.Name, Clouds: clouds, OlderThan: o.olderThan, Sink: event.Scope(p.progress, "sweep", ""),
		DeadRun: func(run string) bool { return ledger.Dead(loaded.Dir, run) },
	}
	held := sync.OnceValue(func() map[string]bool { return p.heldRuns(ctx, loaded) })
	options.LiveRun = func(run string) bool { return ledger.Alive(loaded.Dir, run) || held()[run] }
	found, err := bake.FindOrphans(ctx, options)
	r := newSweepReport(found, clouds)
	switch {
	case err != nil:
		return r, err
	case r.Counts.Remove == 0:
		return r, nil
	case o.plan && o.exitCode:
		return r, fail.ErrDifferences
	case o.plan:
		r.next = []string{p.here("goldline sweep")}
		return r, nil
	}
	for _, orphan := range found.Orphans {
		if orphan.Remove {
			options.Sink.Emit(event.Event{Kind: event.Progress, Item: orphan.Region, Message: fmt.Sprintf("%s of image %s: %s", orphan, orphan.Image, orphan.Why)})
		}
	}
	if err := p.agree(ctx, "remove "+strconv.Itoa(r.Counts.Remove)+" left-overs"); err != nil {
		return r, err
	}
	return p.changing(ctx, func(ctx context.Context, _ string, sink event.Sink) (report, error) {
		// Once more: while it was asked, and until other commands were done, things
		// went on.
		options.Sink = event.Scope(sink, "sweep", "")
		found, err := bake.FindOrphans(ctx, options)
		if err == nil {
			err = found.Remove(ctx)
		}
		return newSweepReport(found, clouds), err
	})
}

// heldRuns are the runs that hold an environment's lease, on whatever machine. An
// environment that cannot be asked has none: then the expiry of what a run made
// decides alone.
func (p *program) heldRuns(ctx context.Context, loaded *project.Project) map[string]bool {
	runs := map[string]bool{}
	for _, env := range loaded.Environments() {
		c, err := p.cloud(ctx, env)
		if err != nil {
			continue // of which places has told
		}
		record, err := lease.Show(ctx, c, loaded.Name, env.Name)
		if err != nil {
			p.progress.Emit(event.Event{Stage: "sweep", Kind: event.Warning, Message: fmt.Sprintf("whose run changes %s cannot be read: %v", env.Name, err)})
			continue
		}
		if !record.Free() && time.Now().Before(record.Expires) {
			runs[record.Run] = true
		}
	}
	return runs
}

// places are the accounts and regions that bakes of a project work in, each
// once. An environment that the caller does not get into is told of and passed
// over, unless it was named or is every one.
func (p *program) places(ctx context.Context, loaded *project.Project, names, given []string) ([]*cloud.Cloud, error) {
	envs := loaded.Environments()
	if len(names) > 0 {
		envs = nil
		for _, name := range names {
			env, err := loaded.Environment(name)
			if err != nil {
				return nil, err
			}
			envs = append(envs, env)
		}
	}
	provider, err := p.clouds(ctx)
	if err != nil {
		return nil, err
	}
	regions := append(slices.Clone(given), copyRegions(loaded, p.vars)...)
	for _, env := range loaded.Environments() { // of every account: what one shares, another has copied there for it
		regions = append(regions, env.Regions...)
	}
	var clouds []*cloud.Cloud
	var refused []error
	for _, env := range envs {
		for _, region := range append([]string{env.Region}, regions...) {
			c, err := provider.For(ctx, cloud.Target{Account: env.Account, Region: region, Role: env.Role})
			if err != nil {
				refused = append(refused, fmt.Errorf("environment %s: %w", env.Name, err))
				break
			}
			if !slices.ContainsFunc(clouds, func(other *cloud.Cloud) bool { return other.Account == c.Account && other.Region == c.Region }) {
				clouds = append(clouds, c)
			}
		}
	}
	if len(refused) > 0 && (len(names) > 0 || len(clouds) == 0 || ctx.Err() != nil) {
		return nil, refused[0]
	}
	for _, err := range refused {
		p.progress.Emit(event.Event{Stage: "sweep", Kind: event.Warning, Message: "left out: " + err.Error()})
	}
	if len(clouds) == 0 {
		return nil, fail.Input(errors.New("the project has no environment"))
	}
	return clouds, knownRegions(ctx, clouds[0], given)
}

// knownRegions refuses regions that there are not, before a call to one of them
// is tried for long.
func knownRegions(ctx context.Context, c *cloud.Cloud, given []string) error {
	if len(given) == 0 {
		return nil
	}
	out, err := c.EC2.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil {
		return fail.Input(fmt.Errorf("which regions there are: %w", err))
	}
	var names []string
	for _, r := range out.Regions {
		names = append(names, aws.ToString(r.RegionName))
	}
	for _, name := range given {
		if !slices.Contains(names, name) {
			err := fail.Inputf("--regions: account %s has no region %q", c.Account, name)
			if hint := diag.DidYouMean(name, names); hint != "" {
				err = fail.WithHint(err, "%s", hint)
			}
			return err
		}
	}
	return nil
}

// copyRegions are the regions that recipes copy their images to. A recipe that
// cannot be read, since a variable has no value, says none.
func copyRegions(loaded *project.Project, values vars) []string {
	images, err := loaded.Images("", values)
	if err != nil {
		return nil
	}
	var regions []string
	for _, i := range images {
		for _, region := range i.AMIRegions {
			if !slices.Contains(regions, region) {
				regions = append(regions, region)
			}
		}
	}
	return regions
}
