package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/tags"
)

// command is the work of a run stage.
func (r *run) command(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		env, err := r.environ(s)
		if err != nil {
			return outcome{}, fail.Unchanged(err)
		}
		c := leash.Command{Argv: s.stage.Run.Command, Dir: r.options.Project.Dir, Env: env, Line: func(text string) {
			sink.Emit(event.Event{Kind: event.Output, Message: text})
		}}
		for _, k := range tags.Keys(s.stage.Run.Environment) {
			c.Env = append(c.Env, k+"="+s.stage.Run.Environment[k])
		}
		if err := c.Run(ctx); err != nil {
			return outcome{}, fail.Unchanged(err)
		}
		return outcome{verb: "exit 0"}, nil
	}
}

// environ tells a local command about the run. The builds are those that this
// run baked or promoted so far.
func (r *run) environ(s PlannedStage) ([]string, error) {
	results, err := r.writeResults(s.Name)
	if err != nil {
		return nil, fmt.Errorf("results for the command: %w", err)
	}
	env := []string{
		"GOLDLINE_PROJECT=" + r.options.Project.Name,
		"GOLDLINE_PIPELINE=" + r.plan.Pipeline,
		"GOLDLINE_STAGE=" + s.Name,
		"GOLDLINE_RUN=" + r.options.Run,
		"GOLDLINE_RESULTS=" + results,
	}
	if s.Environment != "" {
		env = append(env, "GOLDLINE_ENVIRONMENT="+s.Environment)
	}
	for _, n := range r.plan.Nodes {
		if out := r.outcome(n.Name); out.ami != "" {
			env = append(env, out.environ(n.Item)...)
		}
	}
	return env, nil
}

// environ tells of a build of an image: of the main AMI, of each where there are
// several, and of their version.
func (o outcome) environ(image string) []string {
	env := []string{"GOLDLINE_BUILD_" + variable(image) + "=" + o.ami, "GOLDLINE_VERSION_" + variable(image) + "=" + o.version}
	for _, architecture := range tags.Keys(o.architectures) {
		env = append(env, "GOLDLINE_BUILD_"+variable(image)+"_"+variable(architecture)+"="+o.architectures[architecture])
	}
	return env
}

// variable is an image's name as part of an environment variable's.
func variable(image string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToUpper(image))
}

// writeResults writes the results so far, in the form of the run's own, to the
// run's folder and gives the file's path.
func (r *run) writeResults(stage string) (string, error) {
	so := r.soFar()
	var ended []StageResult
	for _, s := range so.Stages {
		if s.State == StateSucceeded {
			ended = append(ended, s)
		}
	}
	so.Stages = ended
	return writeJSON(r.options.Project.Dir, r.options.Run, "results-"+stage+".json", so)
}

func writeJSON(dir, run, name string, v any) (string, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", err
	}
	folder := ledger.Dir(dir, run)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, name)
	return path, os.WriteFile(path, append(text, '\n'), 0o644)
}
