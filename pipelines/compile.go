package pipelines

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Compile makes the plan of a pipeline. It reads the definitions that the
// selected stages work from and makes no cloud call. What is wrong with them is
// reported at once, with positions.
func Compile(o Options) (*Plan, error) {
	c := &compiler{options: o, stages: map[string]*compiled{}, plan: &Plan{Pipeline: o.Pipeline.Name, definitions: map[string]definitions{}}}
	c.read()
	c.checkRing()
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	if err := c.selectStages(); err != nil {
		return nil, err
	}
	c.checkConflicts()
	for _, s := range c.order {
		if s.selected {
			c.plan.Stages = append(c.plan.Stages, s.PlannedStage)
			c.define(s)
		}
	}
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	if c.failed != nil {
		return nil, c.failed
	}
	c.connect()
	return c.plan, nil
}

// compiled is a stage on its way into the plan.
type compiled struct {
	PlannedStage
	needs    []string // names of stages, with the default filled in
	items    []string // images that it goes over; nil where it is one node
	selected bool
}

type compiler struct {
	options  Options
	order    []*compiled
	stages   map[string]*compiled
	plan     *Plan
	problems diag.List
	failed   error // the first that is no problem of a file
}

func (c *compiler) read() {
	var before string
	for _, s := range c.options.Pipeline.Stages {
		n := &compiled{needs: s.Needs, PlannedStage: PlannedStage{Name: s.Name, Timeout: time.Duration(s.Timeout), Retry: s.Retry, stage: s}}
		if s.Needs == nil && before != "" {
			n.needs = []string{before}
		}
		before = s.Name
		c.kind(n, s)
		c.order = append(c.order, n)
		c.stages[s.Name] = n
	}
}

// kind fills in what depends on what the stage does.
func (c *compiler) kind(n *compiled, s *project.Stage) {
	switch {
	case s.Bake != nil:
		n.Kind, n.Environment = KindBake, c.options.Project.Ladder[0]
		n.items = c.images(s.Bake.Images)
		n.Images = n.items
	case s.Promote != nil:
		n.Kind, n.Environment = KindPromote, s.Promote.To
		n.items = c.images(s.Promote.Images)
		n.Images = n.items
	case s.Launch != nil:
		n.Kind, n.Environment = KindLaunch, s.Launch.Environment
	case s.Destroy != nil:
		n.Kind, n.Environment = KindDestroy, s.Destroy.Environment
	case s.Rollback != nil:
		// One node for all its images: an environment is launched as a whole, and
		// once, when every pointer has gone back.
		n.Kind, n.Environment, n.Images = KindRollback, s.Rollback.Environment, c.images(s.Rollback.Images)
	case s.Run != nil:
		n.Kind = KindRun
	case s.Check != nil:
		n.Kind, n.Environment, n.Images = KindCheck, s.Check.Environment, s.Check.Images.Names
		c.checkNames(s)
	case s.Approval != nil:
		n.Kind, n.Environment, n.Images = KindApproval, s.Approval.Environment, c.images(s.Approval.Images)
	default:
		c.problems.Addf(s.Pos, "the stage %q does nothing", s.Name)
	}
}

func (c *compiler) images(n project.Names) []string {
	list := n.Names
	if n.All {
		list = c.options.Project.ImageNames()
	}
	unique := []string{}
	for _, name := range list {
		if !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

// checkRing reports stages that come before themselves. That explicit needs
// form no ring is known; together with the default ones they may.
func (c *compiler) checkRing() {
	var names []string
	for _, s := range c.order {
		names = append(names, s.Name)
	}
	_, ring := graph.Order(names, func(n string) []string { return c.stages[n].needs })
	if ring != nil {
		c.problems.AddHint(c.stages[ring[0]].stage.Pos, "a stage without `needs` comes after the one before it; `needs: []` starts at once",
			"stages need each other in a ring: %s", strings.Join(append(ring, ring[0]), " -> "))
	}
}

func (c *compiler) selectStages() error {
	o := c.options
	if len(o.Only) > 0 && len(o.From) > 0 {
		return fail.Inputf("--only and --from cannot be given together")
	}
	var names []string
	for _, s := range c.order {
		names = append(names, s.Name)
	}
	for _, name := range slices.Concat(o.Only, o.From) {
		if c.stages[name] == nil {
			err := fail.Inputf("pipeline %s has no stage %q", o.Pipeline.Name, name)
			if hint := diag.DidYouMean(name, names); hint != "" {
				return fail.WithHint(err, "%s", hint)
			}
			return fail.WithHint(err, "its stages are %s", strings.Join(names, ", "))
		}
	}
	for _, s := range c.order {
		switch {
		case len(o.Only) > 0:
			s.selected = slices.Contains(o.Only, s.Name)
		case len(o.From) > 0:
			s.selected = slices.ContainsFunc(o.From, func(from string) bool { return s.Name == from || c.after(s.Name, from) })
		default:
			s.selected = true
		}
	}
	return nil
}

// after tells whether a stage comes after another, directly or not.
func (c *compiler) after(stage, other string) bool {
	return slices.ContainsFunc(c.stages[stage].needs, func(need string) bool { return need == other || c.after(need, other) })
}

// define reads the definitions that a stage works from.
func (c *compiler) define(s *compiled) {
	vars := tags.Merge(c.options.Pipeline.Vars, s.stage.Vars, c.options.Vars)
	var d definitions
	switch s.Kind {
	case KindBake:
		images, err := c.options.Project.Images(s.Environment, vars)
		if c.collect(err) {
			return
		}
		d.images = map[string]*project.Image{}
		var ordered []string // an image stands after the one that it starts from
		for _, image := range images {
			d.images[image.Name] = image
			if slices.Contains(s.items, image.Name) {
				ordered = append(ordered, image.Name)
			}
		}
		s.items = ordered
	case KindLaunch, KindDestroy, KindRollback, KindCheck:
		topology, err := c.options.Project.Topology(s.Environment, vars)
		if c.collect(err) {
			return
		}
		d.topology = topology
	}
	c.plan.definitions[s.Name] = d
}

// collect takes in what is wrong with definitions.
func (c *compiler) collect(err error) bool {
	var wrong *diag.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &wrong):
		c.problems = append(c.problems, wrong.Problems...)
	case c.failed == nil:
		c.failed = err
	}
	return true
}
