package project

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

func (p *Project) loadPipelines() {
	for _, s := range p.readFolder("pipelines") {
		p.named(s, "a pipeline")
		if first := p.pipelines[s.base()]; first != nil {
			p.problems.Addf(s.whole(), "pipeline %q is defined twice: first in %s", s.base(), first.file)
			continue
		}
		p.pipelines[s.base()] = s
		if p.single(s) == nil {
			s.broken = true
		}
	}
}

// PipelineNames lists the pipelines by name.
func (p *Project) PipelineNames() []string {
	names := make([]string, 0, len(p.pipelines))
	for n := range p.pipelines {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Pipeline decodes a pipeline for its values of variables and the given ones,
// which win; its Vars and its stages' Vars come back with them. One that does
// not exist is an error of the user's input.
func (p *Project) Pipeline(name string, vars map[string]string) (*Pipeline, error) {
	s := p.pipelines[name]
	if s == nil {
		err := fail.Inputf("no pipeline %q in project %s", name, p.Name)
		if hint := diag.DidYouMean(name, p.PipelineNames()); hint != "" {
			return nil, fail.WithHint(err, "%s", hint)
		}
		return nil, fail.WithHint(err, "add pipelines/%s.yaml", name)
	}
	var problems diag.List
	pl := p.pipeline(name, s, vars, false, &problems)
	return pl, problems.Err()
}

func (p *Project) pipeline(name string, s *source, vars map[string]string, open bool, problems *diag.List) *Pipeline {
	pl := &Pipeline{Name: name, Pos: s.whole()}
	if s.broken {
		return pl
	}
	n := follow(s.docs[0])
	d := &decoder{src: s, problems: problems, positions: map[string]diag.Pos{}, scope: &scope{
		project: p.Name, given: vars, open: open, set: func(string) []string { return []string{s.file} },
		// They mean something when a stage runs, not before.
		later: []string{"environment", "instance"},
	}}
	entries := d.entries(n)
	d.scope.layers = []map[string]string{d.rawVars(entries)}
	d.structure(s.at(n), entries, reflect.ValueOf(pl).Elem(), "")
	pl.Vars = tags.Merge(pl.Vars, vars)
	for _, stage := range pl.Stages {
		if stage == nil {
			continue
		}
		for k := range stage.Vars {
			if v, ok := vars[k]; ok {
				stage.Vars[k] = v
			}
		}
	}
	c := &pipelineCheck{p: p, d: d, pipeline: pl, problems: problems}
	c.check()
	return pl
}

// rawVars reads the texts under vars, before names in them have values. What
// is wrong with them is reported when they are decoded.
func (d *decoder) rawVars(entries []entry) map[string]string {
	set := map[string]string{}
	n := follow(lookup(entries, "vars"))
	if n == nil || n.Kind != yaml.MappingNode {
		return set
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := follow(n.Content[i+1]); v.Kind == yaml.ScalarNode {
			set[follow(n.Content[i]).Value] = v.Value
		}
	}
	return set
}

// stageScope is the scope of a stage, whose own vars come first.
func stageScope(d *decoder, n *yaml.Node) *scope {
	quiet := *d
	quiet.problems = &diag.List{}
	sc := *d.scope
	sc.layers = append([]map[string]string{quiet.rawVars(quiet.entries(n))}, sc.layers...)
	return &sc
}

// pipelineCheck reports what is wrong with a pipeline beyond single values.
type pipelineCheck struct {
	p        *Project
	d        *decoder
	pipeline *Pipeline
	problems *diag.List
}

func (c *pipelineCheck) at(i int, path string) diag.Pos {
	r := Resource{Pos: c.pipeline.Pos, positions: c.d.positions}
	if path == "" {
		return r.At(fmt.Sprintf("stages[%d]", i))
	}
	return r.At(fmt.Sprintf("stages[%d].%s", i, path))
}

func (c *pipelineCheck) check() {
	if at, ok := c.d.positions["stages"]; ok && len(c.pipeline.Stages) == 0 && len(*c.problems) == 0 {
		c.problems.Addf(at, "the pipeline has no stage")
	}
	var names []string
	needs := map[string][]string{}
	first := map[string]int{}
	for i, s := range c.pipeline.Stages {
		if s == nil {
			continue
		}
		if other, twice := first[s.Name]; twice && s.Name != "" {
			c.problems.Addf(c.at(i, "name"), "two stages are named %q: the first stands at %s", s.Name, c.at(other, "name"))
			continue
		}
		if s.Name != "" && !name.MatchString(s.Name) {
			c.problems.Addf(c.at(i, "name"), "%q is no name for a stage: letters, digits, - and _ are", s.Name)
		}
		first[s.Name] = i
		names = append(names, s.Name)
		needs[s.Name] = s.Needs
	}
	for i, s := range c.pipeline.Stages {
		if s != nil {
			c.stage(i, s, names)
		}
	}
	known := func(n string) []string {
		var to []string
		for _, need := range needs[n] {
			if _, ok := first[need]; ok {
				to = append(to, need)
			}
		}
		return to
	}
	for _, ring := range rings(names, known) {
		c.problems.Addf(c.at(first[ring[0]], "needs"), "stages need each other in a ring: %s", strings.Join(ring, " -> "))
	}
}

func (c *pipelineCheck) stage(i int, s *Stage, names []string) {
	for j, need := range s.Needs {
		if need != "" && !slices.Contains(names, need) {
			c.problems.AddHint(c.at(i, fmt.Sprintf("needs[%d]", j)), diag.DidYouMean(need, names), "no stage %q", need)
		}
	}
	if s.Retry < 0 {
		c.problems.Addf(c.at(i, "retry"), "a stage cannot be tried again %d times", s.Retry)
	}
	given := c.actions(i)
	switch len(given) {
	case 1:
	case 0:
		if !c.broken(i) {
			c.problems.AddHint(c.at(i, ""), "give it one of bake, promote, launch, destroy, rollback, run, check, approval", "the stage %q does nothing", s.Name)
		}
	default:
		c.problems.AddHint(c.at(i, given[1]), "make them stages of their own", "a stage does one thing, and this one has %s", strings.Join(given, " and "))
	}
	c.names(i, s)
	if s.Check != nil {
		c.checkStage(i, s.Check)
	}
}

// actions are the keys of a stage that say what it does.
func (c *pipelineCheck) actions(i int) []string {
	var given []string
	for _, key := range []string{"bake", "promote", "launch", "destroy", "rollback", "run", "check", "approval"} {
		if _, ok := c.d.positions[fmt.Sprintf("stages[%d].%s", i, key)]; ok {
			given = append(given, key)
		}
	}
	return given
}

// broken tells whether a stage has a problem already, which may be why it does
// nothing.
func (c *pipelineCheck) broken(i int) bool {
	at := c.at(i, "")
	next := c.at(i+1, "")
	for _, p := range *c.problems {
		if p.Pos.Line >= at.Line && (i+1 >= len(c.pipeline.Stages) || p.Pos.Line < next.Line) && strings.HasPrefix(p.Message, "unknown key") {
			return true
		}
	}
	return false
}

// names checks the names of images and environments that a stage gives.
func (c *pipelineCheck) names(i int, s *Stage) {
	if s.Bake != nil {
		c.images(s.Bake.Images)
	}
	if s.Promote != nil {
		c.images(s.Promote.Images)
		c.environment(i, "promote.to", s.Promote.To)
		if c.p.environments[s.Promote.To] != nil && !slices.Contains(c.p.Ladder, s.Promote.To) {
			c.problems.AddHint(c.at(i, "promote.to"), "the ladder is "+strings.Join(c.p.Ladder, ", "), "environment %q is not on the ladder", s.Promote.To)
		}
	}
	if s.Launch != nil {
		c.environment(i, "launch.environment", s.Launch.Environment)
		c.d.checkRollout(s.Launch.Rollout, c.at(i, "launch"), fmt.Sprintf("stages[%d].launch.rollout", i))
	}
	if s.Destroy != nil {
		c.environment(i, "destroy.environment", s.Destroy.Environment)
	}
	if s.Rollback != nil {
		c.images(s.Rollback.Images)
		c.environment(i, "rollback.environment", s.Rollback.Environment)
		c.d.checkRollout(s.Rollback.Rollout, c.at(i, "rollback"), fmt.Sprintf("stages[%d].rollback.rollout", i))
	}
	if s.Check != nil {
		c.images(s.Check.Images)
		c.environment(i, "check.environment", s.Check.Environment)
	}
	if s.Approval != nil {
		c.approval(i, s.Approval)
	}
}

func (c *pipelineCheck) images(names Names) {
	for _, n := range names.Names {
		if n != "" && c.p.recipe(n) == nil && !slices.Contains(c.p.lostImages, n) {
			at := c.d.src.locate(names.Pos, n, 0)
			c.problems.AddHint(at, diag.DidYouMean(n, c.p.ImageNames()), "no image %q: there is no images/%s.yaml", n, n)
		}
	}
}

func (c *pipelineCheck) environment(i int, path, n string) {
	if n != "" && c.p.environments[n] == nil {
		c.problems.AddHint(c.at(i, path), c.p.suggestEnvironment(n), "no environment %q: there is no environments/%s.yaml", n, n)
	}
}

func (c *pipelineCheck) approval(i int, s *ApprovalStage) {
	if !s.Images.All && s.Images.Names == nil {
		s.Images.All = true
	}
	c.images(s.Images)
	c.environment(i, "approval.environment", s.Environment)
	if env := c.p.environments[s.Environment]; env != nil && (env.Requires == nil || env.Requires.Approval == nil) {
		c.problems.AddHint(c.at(i, "approval"), "write requires: {approval: {count: 1}} in environments/"+env.Name+".yaml", "environment %s asks for no approval", env.Name)
	}
}

func (c *pipelineCheck) checkStage(i int, s *CheckStage) {
	if !s.Images.All && s.Images.Names == nil {
		s.Images.All = true
	}
	if s.Console == "" && s.HTTP == nil && len(s.Command) == 0 && !c.broken(i) {
		c.problems.AddHint(c.at(i, "check"), "give it console, http or command", "the check checks nothing")
	}
	pattern := rewrite(s.Console, true, func(string) (string, bool) { return "x", true })
	if _, err := regexp.Compile(pattern); err != nil {
		c.problems.Addf(c.at(i, "check.console"), "not a regular expression: %v", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}
