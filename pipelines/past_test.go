package pipelines

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// back takes dev back to a moment.
func (w *world) back(m promote.Moment) ([]promote.Move, launch.Result, error) {
	w.t.Helper()
	return w.backIn(w.t.Context(), m)
}

func (w *world) backIn(ctx context.Context, m promote.Moment) ([]promote.Move, launch.Result, error) {
	w.t.Helper()
	returns, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).Past(ctx, "dev", nil, m)
	if err != nil {
		return nil, launch.Result{}, err
	}
	w.runs++
	return RollbackTo(ctx, RollbackOptions{Project: w.project(), Provider: w.provider(), Environment: "dev", Run: fmt.Sprintf("run-%d", w.runs)}, returns)
}

func TestAnEnvironmentGoesBackToARunAndATime(t *testing.T) {
	w := newWorld(t)
	times := []time.Time{time.Now()}
	for _, version := range []string{"1", "2", "3"} {
		w.build(version)
		if _, err := w.run(oneRung, nil); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Now())
	}
	moves, result, err := w.back(promote.Moment{Run: "run-1"})
	if err != nil || len(moves) != 1 || moves[0].To.Version != "1" || len(result.Changes) != 2 {
		t.Errorf("moves %+v, changes %+v, %v", moves, result.Changes, err)
	}
	w.on("1")
	if moves, result, err = w.back(promote.Moment{Run: "run-1"}); err != nil || len(moves) != 0 || len(result.Changes) != 0 {
		t.Errorf("again: moves %+v, changes %+v, %v", moves, result.Changes, err)
	}
	if _, _, err = w.back(promote.Moment{At: times[2]}); err != nil {
		t.Fatal(err)
	}
	w.on("2")

	for what, m := range map[string]promote.Moment{"a run that did nothing": {Run: "run-9"}, "a time before all": {At: times[0]}} {
		if _, _, err := w.back(m); fail.ExitCode(err) != fail.CodeInput {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).Revoke(t.Context(), amiOf(w, "1"), "bad"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.back(promote.Moment{Run: "run-1"}); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "web 1") {
		t.Errorf("to a build that is revoked: %v", err)
	}
	w.on("2")
}

// amiOf gives the AMI of a version.
func amiOf(w *world, version string) string {
	w.t.Helper()
	builds, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).List(w.t.Context(), "web")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range builds {
		if b.Version == version {
			return b.AMI
		}
	}
	w.t.Fatalf("no build %s", version)
	return ""
}

// TestGoingBackToARunIsFinished: stopped between the pointer and the launch, the
// same command launches.
func TestGoingBackToARunIsFinished(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"1", "2"} {
		w.build(version)
		if _, err := w.run(oneRung, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.local.Inject(emulator.Fault{Action: "TerminateInstances", Kind: emulator.Error, Code: "UnauthorizedOperation", Times: -1})
	if _, _, err := w.back(promote.Moment{Run: "run-1"}); err == nil {
		t.Fatal("it went through")
	}
	w.local.ClearFaults()
	if _, _, err := w.back(promote.Moment{Run: "run-1"}); err != nil {
		t.Fatal(err)
	}
	w.on("1")
}
