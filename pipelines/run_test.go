package pipelines

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// recorded keeps events as lines: stage/item kind message.
type recorded struct {
	mu     sync.Mutex
	lines  []string
	notify func(event.Event)
}

func (r *recorded) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := e.Stage
	if e.Item != "" {
		name += "/" + e.Item
	}
	r.lines = append(r.lines, strings.TrimSpace(name+" "+string(e.Kind)+" "+e.Message))
	if r.notify != nil {
		r.notify(e)
	}
}

func (r *recorded) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// runPipeline compiles and runs a pipeline that needs no cloud.
func runPipeline(t *testing.T, ctx context.Context, text string, sink event.Sink) (Options, Result, error) {
	t.Helper()
	o := loadPipeline(t, text)
	o.Provider, o.Sink, o.retryPause = cloud.NewProvider(cloud.Config{}), sink, time.Millisecond
	p, err := Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(ctx, o, p)
	return o, result, err
}

// states gives stage=state for each stage.
func states(r Result) string {
	var list []string
	for _, s := range r.Stages {
		list = append(list, s.Name+"="+s.State)
	}
	return strings.Join(list, " ")
}

func TestRunPaths(t *testing.T) {
	for _, test := range []struct {
		name, pipeline string
		states         string
		code           int
		order          string // of what ran, where one way is possible
		mentions       string // in the error
	}{
		{
			name: "one after another",
			pipeline: `stages:
  - {name: a, run: echo a >> order}
  - {name: b, run: echo b >> order}
  - {name: c, run: echo c >> order}`,
			states: "a=succeeded b=succeeded c=succeeded", order: "a b c",
		},
		{
			name: "needs, not the file's order",
			pipeline: `stages:
  - {name: a, needs: [c], run: echo a >> order}
  - {name: b, needs: [a], run: echo b >> order}
  - {name: c, needs: [], run: echo c >> order}`,
			states: "a=succeeded b=succeeded c=succeeded", order: "c a b",
		},
		{
			name: "a failure stops what depends on it and lets the rest end",
			pipeline: `stages:
  - {name: bad, run: exit 7}
  - {name: after, run: echo after >> order}
  - {name: after-that, run: echo after >> order}
  - {name: beside, needs: [], run: echo beside >> order}`,
			states: "bad=failed after=skipped after-that=skipped beside=succeeded", code: fail.CodeClean, order: "beside",
			mentions: "stage bad: exit 7: exit status 7",
		},
		{
			name: "both failures are told, in the order of the file",
			pipeline: `stages:
  - {name: one, run: sleep 0.1; exit 1}
  - {name: two, needs: [], run: exit 2}`,
			states: "one=failed two=failed", code: fail.CodeClean,
			mentions: "exit status 1\nstage two:",
		},
		{
			name: "retry until it is well",
			pipeline: `stages:
  - {name: flaky, retry: 3, run: 'echo try >> order; test $(wc -l < order) -eq 3'}
  - {name: after, run: echo after >> order}`,
			states: "flaky=succeeded after=succeeded", order: "try try try after",
		},
		{
			name: "retry has an end",
			pipeline: `stages:
  - {name: flaky, retry: 1, run: echo try >> order; exit 1}`,
			states: "flaky=failed", code: fail.CodeClean, order: "try try",
		},
		{
			name: "timeout",
			pipeline: `stages:
  - {name: slow, timeout: 1s, run: echo begun >> order; sleep 60}`,
			states: "slow=failed", code: fail.CodeClean, order: "begun", mentions: "timeout of 1s",
		},
		{
			name: "a command that is not there",
			pipeline: `stages:
  - {name: lost, run: [no-such-program-anywhere]}`,
			states: "lost=failed", code: fail.CodeClean, mentions: "no-such-program-anywhere",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, result, err := runPipeline(t, context.Background(), test.pipeline, nil)
			if got := states(result); got != test.states {
				t.Errorf("states %s, want %s", got, test.states)
			}
			if fail.ExitCode(err) != test.code {
				t.Errorf("exit code %d, want %d: %v", fail.ExitCode(err), test.code, err)
			}
			if test.mentions != "" && (err == nil || !strings.Contains(err.Error(), test.mentions)) {
				t.Errorf("error %v does not mention %q", err, test.mentions)
			}
			order, _ := os.ReadFile(filepath.Join(o.Project.Dir, "order"))
			if got := strings.Join(strings.Fields(string(order)), " "); test.order != "" && got != test.order {
				t.Errorf("ran %q, want %q", got, test.order)
			}
		})
	}
}

func TestRunStageSeesTheRun(t *testing.T) {
	sink := &recorded{}
	o, _, err := runPipeline(t, context.Background(), `stages:
  - {name: first, run: 'true'}
  - name: second
    run:
      command: 'echo "$GOLDLINE_PROJECT $GOLDLINE_PIPELINE $GOLDLINE_STAGE $GOLDLINE_RUN $EXTRA"; cat "$GOLDLINE_RESULTS"; printf tail >&2'
      env: {EXTRA: more}
`, sink)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"first started", "first succeeded exit 0", "second output shop p second " + o.Run + " more", `"name": "first"`, `"state": "succeeded"`, "second output tail", "second succeeded",
	} {
		if !strings.Contains(sink.text(), want) {
			t.Errorf("no %q in\n%s", want, sink.text())
		}
	}
}

// TestInterrupt: the command's whole process group ends, what has not begun is
// not begun, and the run says that it was interrupted.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var child int
	sink := &recorded{notify: func(e event.Event) {
		if e.Kind == event.Output {
			child, _ = strconv.Atoi(e.Message)
			cancel()
		}
	}}
	_, result, err := runPipeline(t, ctx, `stages:
  - {name: long, run: 'sleep 300 & echo $!; wait'}
  - {name: after, run: echo}`, sink)
	if fail.ExitCode(err) != fail.CodeInterrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, exit code %d", err, fail.ExitCode(err))
	}
	if got := states(result); got != "long=interrupted after=skipped" {
		t.Errorf("states %s", got)
	}
	if because := result.Stages[1].Because; because != "interrupted" {
		t.Errorf("the second was not begun because: %s", because)
	}
	if child == 0 {
		t.Fatalf("the command printed no process ID:\n%s", sink.text())
	}
	// Killed processes are collected by whoever adopts them, a moment later.
	for deadline := time.Now().Add(5 * time.Second); syscall.Kill(child, 0) == nil && !zombie(child); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives the run", child)
		}
		if err := cloud.Sleep(context.Background(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func zombie(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(text), ") Z ")
}

func TestInterruptBeforeTheFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, result, err := runPipeline(t, ctx, `stages: [{name: a, run: echo}]`, nil)
	if fail.ExitCode(err) != fail.CodeInterrupted || states(result) != "a=skipped" {
		t.Errorf("states %s, error %v", states(result), err)
	}
}
