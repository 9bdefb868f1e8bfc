package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// result gathers what became of each stage.
func (r *run) result(results []graph.Result) Result {
	all := Result{Run: r.options.Run, Pipeline: r.plan.Pipeline, Stages: []StageResult{}, RolledBack: []promote.Move{}, Builds: r.options.Builds}
	r.mu.Lock()
	all.RolledBack = append(all.RolledBack, r.back...)
	r.mu.Unlock()
	for _, s := range r.plan.Stages {
		g := gathered{stage: s}
		for i, n := range r.plan.Nodes {
			if n.Stage == s.Name {
				g.rollouts = append(g.rollouts, r.rolled(n.Name)...)
				g.add(n, r.item(n, results[i]), results[i], r.outcome(n.Name))
			}
		}
		all.Stages = append(all.Stages, g.result())
	}
	return all
}

// soFar is the result of a run that goes on: what is not done counts as not
// begun.
func (r *run) soFar() Result {
	results := make([]graph.Result, len(r.plan.Nodes))
	r.mu.Lock()
	for i, n := range r.plan.Nodes {
		results[i] = graph.Result{Name: n.Name}
		if _, done := r.outcomes[n.Name]; !done {
			results[i].Skipped, results[i].Because = true, "the run has not come so far"
		}
	}
	r.mu.Unlock()
	return r.result(results)
}

// keepRecord hands out the result so far, so that also a run which is killed can be
// gone on with.
func (r *run) keepRecord() {
	if r.options.Record == nil {
		return
	}
	r.recording.Lock()
	defer r.recording.Unlock()
	r.options.Record(r.soFar())
}

// item is what became of a node.
func (r *run) item(n Node, result graph.Result) ItemResult {
	out := r.outcome(n.Name)
	item := ItemResult{Item: n.Item, AMI: out.ami, Version: out.version, Summary: out.verb, Because: result.Because}
	switch {
	case result.Skipped:
		item.State = StateSkipped
	case errors.Is(result.Err, context.Canceled):
		item.State, item.Error = StateInterrupted, cloud.Plain(result.Err.Error())
	case fail.ExitCode(result.Err) == fail.CodeWaiting:
		item.State, item.Error = StateWaiting, cloud.Plain(result.Err.Error())
	case result.Err != nil:
		item.State, item.Error = StateFailed, cloud.Plain(result.Err.Error())
	default:
		item.State = StateSucceeded
	}
	if !result.Skipped {
		item.Seconds = seconds(result.Ended.Sub(result.Started))
	}
	return item
}

// gathered is a stage's nodes put together.
type gathered struct {
	stage        PlannedStage
	items        []ItemResult
	made         []string
	rollouts     []launch.RolloutResult
	verbs        []string
	count        map[string]int
	errors       []string
	because      []string
	states       map[string]bool
	begun, ended time.Time
}

func (g *gathered) add(n Node, item ItemResult, result graph.Result, out outcome) {
	if g.states == nil {
		g.states, g.count = map[string]bool{}, map[string]int{}
	}
	if n.Item != "" {
		g.items = append(g.items, item)
	}
	g.states[item.State] = true
	g.made = append(g.made, out.made...)
	if out.verb != "" {
		if g.count[out.verb] == 0 {
			g.verbs = append(g.verbs, out.verb)
		}
		g.count[out.verb]++
	}
	if item.Error != "" {
		g.errors = append(g.errors, item.Error)
	}
	if item.Because != "" {
		because := item.Because
		if n.Item != "" {
			because = n.Item + ": " + because
		}
		g.because = append(g.because, because)
	}
	if result.Skipped {
		return
	}
	if g.begun.IsZero() || result.Started.Before(g.begun) {
		g.begun = result.Started
	}
	if result.Ended.After(g.ended) {
		g.ended = result.Ended
	}
}

// result of a stage: the worst that became of its nodes.
func (g *gathered) result() StageResult {
	s := StageResult{
		Name: g.stage.Name, Kind: g.stage.Kind, Environment: g.stage.Environment, State: StateSucceeded, Made: []string{}, Items: g.items, Rollouts: g.rollouts,
		Error: strings.Join(g.errors, "\n"), Because: strings.Join(g.because, "; "), Seconds: seconds(g.ended.Sub(g.begun)),
	}
	s.Made = append(s.Made, g.made...)
	for _, state := range []string{StateSkipped, StateInterrupted, StateWaiting, StateFailed} {
		if g.states[state] {
			s.State = state
		}
	}
	verbs := make([]string, len(g.verbs))
	for i, verb := range g.verbs {
		verbs[i] = verb
		if g.stage.Kind == KindBake || g.stage.Kind == KindPromote {
			verbs[i] = fmt.Sprintf("%d %s", g.count[verb], verb)
		}
	}
	s.Summary = strings.Join(verbs, ", ")
	return s
}

// seconds rounds to milliseconds: more would be noise.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
