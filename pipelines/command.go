package pipelines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/tags"
)

// longestLine is where a line of output is cut in two.
const longestLine = 64 << 10

// command is a local command.
type command struct {
	argv []string
	dir  string
	env  []string // beside this process's own
	line func(string)
}

// run runs the command and gives its output to line, line by line. What
// it started ends with it when ctx does, or this process.
func (c command) run(ctx context.Context) error {
	if len(c.argv) == 0 {
		return fail.Inputf("the command is empty")
	}
	out := &lines{emit: c.line}
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = out, out
	err := leash.Run(cmd)
	out.flush()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c.argv[0], ctx.Err())
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well and left something that holds its output
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %s", c, exit)
	}
	return err
}

// String is the command as it would be typed, cut to a readable length.
func (c command) String() string {
	text := strings.Join(c.argv, " ")
	if len(c.argv) == 3 && c.argv[0] == "sh" && c.argv[1] == "-c" {
		text = c.argv[2]
	}
	text, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(text); len(runes) > 60 {
		text, more = string(runes[:60]), true
	}
	if more {
		text += " ..."
	}
	return text
}

// lines cuts what is written to it into lines.
type lines struct {
	emit func(string)
	mu   sync.Mutex
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 && len(l.rest) >= longestLine {
			l.emit(string(l.rest[:longestLine]))
			l.rest = l.rest[longestLine:]
			continue
		}
		if end < 0 {
			return len(p), nil
		}
		l.emit(strings.TrimSuffix(string(l.rest[:end]), "\r"))
		l.rest = l.rest[end+1:]
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
		l.rest = nil
	}
}

// command is the work of a run stage.
func (r *run) command(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		env, err := r.environ(s)
		if err != nil {
			return outcome{}, clean(err)
		}
		c := command{argv: s.stage.Run.Command, dir: r.options.Project.Dir, env: env, line: func(text string) {
			sink.Emit(event.Event{Kind: event.Output, Message: text})
		}}
		for _, k := range tags.Keys(s.stage.Run.Environment) {
			c.env = append(c.env, k+"="+s.stage.Run.Environment[k])
		}
		if err := c.run(ctx); err != nil {
			return outcome{}, clean(err)
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
			env = append(env, "GOLDLINE_BUILD_"+variable(n.Item)+"="+out.ami, "GOLDLINE_VERSION_"+variable(n.Item)+"="+out.version)
		}
	}
	return env, nil
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
	results := make([]graph.Result, len(r.plan.Nodes))
	r.mu.Lock()
	for i, n := range r.plan.Nodes {
		_, done := r.outcomes[n.Name]
		results[i] = graph.Result{Name: n.Name, Skipped: !done}
	}
	r.mu.Unlock()
	so := r.result(results)
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
