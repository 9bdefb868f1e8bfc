package pipelines

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/promote"
)

// The process is gone right before or right after the Nth call; the same
// command again brings what an undisturbed one brings, and nothing exists
// twice.

const oneRung = `stages:
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: launch, launch: dev}
`

// shape counts what exists by kind, and says what runs.
func (w *world) shape() map[string]string {
	w.t.Helper()
	all, err := w.local.Inventory()
	if err != nil {
		w.t.Fatal(err)
	}
	shape := map[string]string{"deployed": w.deployed()}
	for kind, things := range all {
		shape[kind] = fmt.Sprint(len(things))
	}
	history, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).History(w.t.Context(), "web", "dev")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range history {
		shape["history"] += " " + e.Action + " " + e.Version
	}
	return shape
}

// killedAt does something in a process that dies at its Nth call.
func (w *world) killedAt(n int, kind emulator.FaultKind, do func(ctx context.Context)) {
	w.killedBy(emulator.Fault{Kind: kind, Nth: n}, do)
}

func (w *world) killedBy(fault emulator.Fault, do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.life, w.die = ctx, cancel
	w.local.Inject(fault)
	do(ctx)
	w.local.ClearFaults()
	w.life = w.t.Context()
}

func TestRunKilledAtEveryCall(t *testing.T) {
	undisturbed := newWorld(t)
	undisturbed.build("1")
	undisturbed.local.ResetCalls()
	if _, err := undisturbed.run(oneRung, nil); err != nil {
		t.Fatal(err)
	}
	calls, want := len(undisturbed.local.Calls()), undisturbed.shape()
	everyCall(t, calls, func(t *testing.T, n int, kind emulator.FaultKind) {
		w := newWorld(t)
		w.build("1")
		w.killedAt(n, kind, func(ctx context.Context) { w.runIn(ctx, oneRung, nil) })
		if _, err := w.run(oneRung, nil); err != nil {
			t.Fatal(err)
		}
		if got := w.shape(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// threeReleases is a world in which three builds were current, one after the other.
func threeReleases(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, version := range []string{"1", "2", "3"} {
		w.build(version)
		if _, err := w.run(oneRung, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.local.ResetCalls()
	return w
}

func TestRollbackKilledAtEveryCall(t *testing.T) {
	undisturbed := threeReleases(t)
	if _, _, err := undisturbed.rollback(""); err != nil {
		t.Fatal(err)
	}
	calls, want := len(undisturbed.local.Calls()), undisturbed.shape()
	everyCall(t, calls, func(t *testing.T, n int, kind emulator.FaultKind) {
		w := threeReleases(t)
		w.killedAt(n, kind, func(ctx context.Context) { w.rollbackIn(ctx, "") })
		if w.deployed() == want["deployed"] {
			return // all was done: once more would go back further
		}
		if _, _, err := w.rollback(""); err != nil {
			t.Fatal(err)
		}
		if got := w.shape(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// Going back to a run, killed at every call that changes something.
func TestRollbackToARunKilledAtEveryChange(t *testing.T) {
	undisturbed := threeReleases(t)
	if _, _, err := undisturbed.back(promote.Moment{Run: "run-1"}); err != nil {
		t.Fatal(err)
	}
	want := undisturbed.shape()
	everyChange(t, undisturbed.local.Calls(), 0, kills, func(t *testing.T, fault emulator.Fault) {
		w := threeReleases(t)
		w.killedBy(fault, func(ctx context.Context) { w.backIn(ctx, promote.Moment{Run: "run-1"}) })
		if _, _, err := w.back(promote.Moment{Run: "run-1"}); err != nil {
			t.Fatal(err)
		}
		if got := w.shape(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

var kills = []emulator.FaultKind{emulator.Die, emulator.DieAfter}

// everyChange tries those of the calls that change something, from one on, with a
// fault of each kind. A kill at a call that changes nothing is one after the call
// before.
func everyChange(t *testing.T, calls []emulator.Call, from int, kinds []emulator.FaultKind, f func(t *testing.T, fault emulator.Fault)) {
	seen := map[string]int{}
	for i, c := range calls {
		seen[c.Action]++
		if i < from || strings.HasPrefix(c.Action, "Describe") || strings.HasPrefix(c.Action, "Get") {
			continue
		}
		for _, kind := range kinds {
			fault := emulator.Fault{Action: c.Action, Kind: kind, Nth: seen[c.Action], Code: "UnauthorizedOperation"}
			t.Run(fmt.Sprintf("%s %s %d", kind, c.Action, fault.Nth), func(t *testing.T) {
				t.Parallel()
				f(t, fault)
			})
		}
	}
}

func everyCall(t *testing.T, calls int, f func(t *testing.T, n int, kind emulator.FaultKind)) {
	began := time.Now()
	t.Run("killed", func(t *testing.T) {
		for n := 1; n <= calls; n++ {
			for _, kind := range kills {
				t.Run(fmt.Sprintf("%s call %d", kind, n), func(t *testing.T) {
					t.Parallel()
					f(t, n, kind)
				})
			}
		}
	})
	t.Logf("%d calls, each twice, in %s", calls, time.Since(began).Round(time.Millisecond))
}
