package pipelines

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// checked is one rung that is checked: build 2 never passes.
const checked = `stages:
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: launch, launch: dev}
  - {name: check, check: {environment: dev, deadline: 1s, interval: 10ms, command: '! grep -q "\"version\": \"2\"" "$GOLDLINE_INSTANCES"'}}
`

// protected is a world whose dev environment is put back, and runs build 1. more are
// lines of that environment's file.
func protected(t *testing.T, more ...string) *world {
	w := newWorld(t)
	lines := append([]string{`account: "000000000000"`, "region: eu-central-1", "protected: true"}, more...)
	if err := os.WriteFile(w.dir+"/environments/dev.yaml", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	w.build("1")
	if _, err := w.run(checked, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// on tells that dev runs one build, which is current.
func (w *world) on(version string) {
	w.t.Helper()
	if got, want := w.deployed(), fmt.Sprintf("instance.web[0]=%s/true instance.web[1]=%[1]s/true", version); got != want {
		w.t.Errorf("deployed %s, want %s", got, want)
	}
}

// inOtherRegions tells that dev's further region shows a build, which is the one that
// is current, and with how many that failed beside it.
func (w *world) inOtherRegions(version string, failed int) {
	w.t.Helper()
	promoter := promote.New(promote.Options{Project: w.project(), Provider: w.provider()})
	board, err := promoter.Further(w.t.Context(), "dev")
	board = slices.DeleteFunc(board, func(s promote.Standing) bool { return s.Image != "web" })
	if err != nil || len(board) != 1 || board[0].Regions[0].Version != version || board[0].Regions[0].Lags {
		w.t.Errorf("further regions: %+v, %v, want build %s", board, err, version)
	}
	builds, err := promoter.List(w.t.Context(), "web")
	for _, b := range builds {
		if b.Region == "us-east-1" && b.Failed["dev"] != "" {
			failed--
		}
	}
	if err != nil || failed != 0 {
		w.t.Errorf("%d more builds should have failed there, %v", failed, err)
	}
}

func TestABadBuildGoesBack(t *testing.T) {
	w := protected(t, "regions: [us-east-1]")
	w.build("2")
	result, err := w.run(checked, nil)
	if fail.ExitCode(err) != fail.CodeClean || len(fail.LeftOf(err)) > 0 || !strings.Contains(fmt.Sprint(err), "dev is put back: web 1") {
		t.Errorf("error %v (exit code %d)", err, fail.ExitCode(err))
	}
	if got := states(result); got != "promote=succeeded launch=succeeded check=failed" {
		t.Errorf("states %s", got)
	}
	if len(result.RolledBack) != 1 || result.RolledBack[0].To.Version != "1" || result.RolledBack[0].From.Version != "2" {
		t.Errorf("rolled back %+v", result.RolledBack)
	}
	w.on("1")
	w.inOtherRegions("1", 1)

	// Not again unasked.
	_, err = w.run(checked, nil)
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "failed in dev before") || !strings.Contains(strings.Join(fail.Hints(err), " "), "--retry-failed") {
		t.Errorf("error %v (exit code %d), hints %v", err, fail.ExitCode(err), fail.Hints(err))
	}
	w.on("1")
	// Nor back to it.
	if _, _, err := w.rollback(""); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("rollback to a build that failed: %v", err)
	}
	// A mended one is taken.
	w.build("3")
	if _, err = w.run(checked, nil); err != nil {
		t.Fatal(err)
	}
	w.on("3")
	w.inOtherRegions("3", 1)
}

func TestABadBuildIsTriedAgainWhenAsked(t *testing.T) {
	w := protected(t)
	w.build("2")
	if _, err := w.run(checked, nil); fail.ExitCode(err) != fail.CodeClean {
		t.Fatal(err)
	}
	w.retry = true
	if _, err := w.run(oneRung, nil); err != nil {
		t.Fatal(err)
	}
	w.on("2")
}

func TestALaunchThatFailsGoesBack(t *testing.T) {
	w := protected(t)
	w.build("2")
	w.local.Inject(emulator.Fault{Action: "RunInstances", Kind: emulator.Error, Code: "InvalidParameterValue", Nth: 1})
	_, err := w.run(checked, nil)
	if fail.ExitCode(err) != fail.CodeClean || len(fail.LeftOf(err)) > 0 {
		t.Errorf("error %v (exit code %d), left %v", err, fail.ExitCode(err), fail.LeftOf(err))
	}
	w.local.ClearFaults()
	w.on("1")
}

func TestGoingBackThatFailsSaysWhatIsLeft(t *testing.T) {
	w := protected(t)
	w.build("2")
	w.local.Inject(emulator.Fault{Action: "PutParameter", Kind: emulator.Error, Code: "AccessDeniedException", Nth: 2})
	_, err := w.run(checked, nil)
	left := fail.LeftOf(err)
	if fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || !strings.HasPrefix(left[0].Command, "goldline rollback web --env dev --to ami-") {
		t.Errorf("error %v (exit code %d), left %+v", err, fail.ExitCode(err), left)
	}
	w.local.ClearFaults()
	// The same command goes on with it.
	if _, err = w.run(checked, nil); fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v (exit code %d)", err, fail.ExitCode(err))
	}
	w.on("1")
}

func TestAnInterruptPutsBack(t *testing.T) {
	w := protected(t)
	w.build("2")
	ctx, cancel := context.WithCancel(t.Context())
	slow := strings.Replace(checked, "deadline: 1s", "deadline: 1m", 1)
	_, err := w.runIn(ctx, slow, event.Func(func(e event.Event) {
		if e.Stage == "check" {
			cancel()
		}
	}))
	if fail.ExitCode(err) != fail.CodeInterrupted || len(fail.LeftOf(err)) > 0 {
		t.Errorf("error %v (exit code %d), left %v", err, fail.ExitCode(err), fail.LeftOf(err))
	}
	w.on("1")
	entries, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).History(t.Context(), "web", "dev")
	if err != nil || entries[1].Failed != "" {
		t.Errorf("the build is blamed for an interrupt: %+v, %v", entries, err)
	}
}

func TestWhatWasNotLaunchedGoesBackToo(t *testing.T) {
	w := protected(t)
	w.build("2")
	_, err := w.run(`stages:
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: look, run: [sh, -c, exit 1]}
  - {name: launch, launch: dev}
`, nil)
	if fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v (exit code %d)", err, fail.ExitCode(err))
	}
	w.on("1")
	if _, err := w.run(oneRung, nil); err != nil { // the build is not to blame
		t.Error(err)
	}
	w.on("2")
}

// The process is gone right before or after the Nth call of going back, or with
// FAULTS=all that call fails or loses its answer; the same command again ends where
// an undisturbed one does.
func TestGoingBackKilledAtEveryChange(t *testing.T) {
	prepare := func(t *testing.T) *world {
		w := protected(t)
		w.build("2")
		return w
	}
	bad := strings.Replace(checked, "deadline: 1s", "deadline: 100ms", 1)
	undisturbed := prepare(t)
	undisturbed.local.ResetCalls()
	if _, err := undisturbed.run(bad, nil); fail.ExitCode(err) != fail.CodeClean {
		t.Fatal(err)
	}
	want, calls := undisturbed.shape(), undisturbed.local.Calls()
	back := slices.IndexFunc(calls, func(c emulator.Call) bool { return c.Action == "GetParameterHistory" }) // what to go back to is looked for
	if back < 0 {
		t.Fatal("it did not go back")
	}
	kinds := kills
	if os.Getenv("FAULTS") == "all" {
		kinds = slices.Concat(kills, []emulator.FaultKind{emulator.Error, emulator.LostAnswer})
	}
	everyChange(t, calls, back, kinds, func(t *testing.T, fault emulator.Fault) {
		w := prepare(t)
		w.killedBy(fault, func(ctx context.Context) { w.runIn(ctx, bad, nil) })
		_, err := w.run(bad, nil)
		if code := fail.ExitCode(err); code != fail.CodeClean && code != fail.CodeInput {
			t.Fatalf("exit code %d: %v", code, err)
		}
		if got := w.shape(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// A launch that is no stage of a pipeline ends in the same way.
func TestALaunchOfItsOwnGoesBack(t *testing.T) {
	w := protected(t)
	w.build("2")
	p := w.project()
	env, err := p.Environment("dev")
	if err != nil {
		t.Fatal(err)
	}
	topology, err := p.Topology("dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := launch.Options{Project: p.Name, Topology: topology, Cloud: w.cloud, Run: "launch"}
	apply := func() error {
		promoter := promote.New(promote.Options{Project: p, Provider: w.provider(), Run: "launch"})
		plan, err := launch.NewPlan(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = launch.Apply(t.Context(), o, plan)
		_, err = Conclude(t.Context(), promoter, o, !plan.Empty(), err)
		return err
	}
	forward := func() {
		t.Helper()
		_, err := promote.New(promote.Options{Project: p, Provider: w.provider(), Run: "promote"}).Promote(t.Context(), promote.Request{Image: "web", To: "dev", RetryFailed: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	broken := func() {
		w.local.Inject(emulator.Fault{Action: "RunInstances", Kind: emulator.Error, Code: "InvalidParameterValue", Nth: 1})
	}

	forward()
	broken()
	if err := apply(); fail.ExitCode(err) != fail.CodeClean || !strings.Contains(fmt.Sprint(err), env.Name+" is put back: web 1") {
		t.Errorf("error %v (exit code %d)", err, fail.ExitCode(err))
	}
	w.local.ClearFaults()
	w.on("1")
	forward()
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	w.on("2")
	// What has passed is not taken back for what goes wrong later on.
	w.terminate()
	broken()
	if err := apply(); err == nil || strings.Contains(err.Error(), "put back") {
		t.Errorf("error %v", err)
	}
	w.local.ClearFaults()
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	w.on("2")
}

// A launch that never began takes nothing back: neither one that another run kept
// out, nor one that was refused.
func TestALaunchThatNeverBeganTakesNothingBack(t *testing.T) {
	w := protected(t)
	second := w.build("2")
	p := w.project()
	topology, err := p.Topology("dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	promoter := promote.New(promote.Options{Project: p, Provider: w.provider(), Run: "launch"})
	if _, err := promoter.Promote(t.Context(), promote.Request{Image: "web", To: "dev"}); err != nil {
		t.Fatal(err)
	}
	o := launch.Options{Project: p.Name, Topology: topology, Cloud: w.cloud, Run: "launch"}
	for _, cause := range []error{fail.Clean(&lease.HeldError{Environment: "dev"}), fail.Inputf("not agreed, nothing was done")} {
		if _, err := Conclude(t.Context(), promoter, o, true, cause); err != cause {
			t.Errorf("%v became %v", cause, err)
		}
	}
	entries, err := promoter.History(t.Context(), "web", "dev")
	if err != nil || entries[len(entries)-1].AMI != second {
		t.Errorf("history: %+v, %v", entries, err)
	}
}

// terminate ends what runs in dev from outside.
func (w *world) terminate() {
	w.t.Helper()
	list, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).Deployed(w.t.Context(), "dev")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range list {
		if _, err := w.cloud.EC2.TerminateInstances(w.t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{d.Instance}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A hook that fails before anything is touched says nothing about the build, and
// no hook keeps an environment from going back.
func TestHooksThatFail(t *testing.T) {
	for hook, blamed := range map[string]bool{"before_replace": false, "after_rollout": true} {
		t.Run(hook, func(t *testing.T) {
			w := protected(t)
			w.build("2")
			_, err := w.run(`stages:
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: launch, launch: {environment: dev, rollout: {hooks: {`+hook+`: exit 1}}}}
`, nil)
			if fail.ExitCode(err) != fail.CodeClean {
				t.Errorf("error %v (exit code %d)", err, fail.ExitCode(err))
			}
			w.on("1")
			if _, err := w.run(oneRung, nil); (err != nil) != blamed {
				t.Errorf("the build again: %v", err)
			}
		})
	}
}
