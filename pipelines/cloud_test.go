package pipelines

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
	"github.com/rogpeppe/go-internal/txtar"
)

// world is a local cloud without machines, and builds of web in it.
type world struct {
	t        *testing.T
	local    *emulator.Cloud
	cloud    *cloud.Cloud
	dir      string
	instance string // that builds are made of
	runs     int
	retry    bool // builds that failed before
	// life is that of the process that is played, and die ends it.
	life context.Context
	die  func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), life: t.Context()}
	local, err := emulator.Open(t.Context(), emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond, OnDie: func() { w.die() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	w.local = local
	for _, path := range []string{"testdata/project.txtar", "testdata/topology.txtar"} {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, w.dir, archive.Files...)
	}
	if w.cloud, err = w.provider().For(t.Context(), cloud.Target{Region: "eu-central-1"}); err != nil {
		t.Fatal(err)
	}
	w.builder()
	return w
}

func (w *world) provider() *cloud.Provider {
	return cloud.NewProvider(cloud.Config{Transport: mortal{w.life, w.local.Transport()}, PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
}

// mortal is how a process that may die reaches the cloud: not at all when it is
// dead, whatever it would still clean up.
type mortal struct {
	life context.Context
	next http.RoundTripper
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.life.Err() != nil {
		return nil, gone{syscall.ECONNREFUSED}
	}
	return m.next.RoundTrip(r)
}

// gone is an error that the SDK does not try again.
type gone struct{ err error }

func (g gone) Error() string     { return g.err.Error() }
func (g gone) Unwrap() error     { return g.err }
func (gone) CanceledError() bool { return true }

func (w *world) builder() {
	w.t.Helper()
	public, err := w.cloud.EC2.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("architecture", "x86_64"), cloud.Filter("name", "debian-12-*")}})
	if err != nil || len(public.Images) == 0 {
		w.t.Fatalf("source images: %v", err)
	}
	out, err := w.cloud.EC2.RunInstances(w.t.Context(), &ec2.RunInstancesInput{
		ImageId: public.Images[0].ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.instance = aws.ToString(out.Instances[0].InstanceId)
	_, err = w.cloud.Instances.Wait(w.t.Context(), cloud.Wait[types.Instance]{
		ID: w.instance, For: "the instance", Deadline: 10 * time.Second,
		Done: func(i types.Instance, found bool) (bool, error) {
			return found && i.State.Name == types.InstanceStateNameRunning, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// build makes a build of web and gives its AMI.
func (w *world) build(version string) string {
	w.t.Helper()
	out, err := w.cloud.EC2.CreateImage(w.t.Context(), &ec2.CreateImageInput{
		InstanceId: aws.String(w.instance), Name: aws.String("web/" + version), NoReboot: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{
			tags.Project: "shop", tags.Image: "web", tags.Version: version, tags.Fingerprint: "f" + version,
		})},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ami := aws.ToString(out.ImageId)
	_, err = w.cloud.Images.Wait(w.t.Context(), cloud.Wait[types.Image]{
		ID: ami, For: "the image", Deadline: 10 * time.Second,
		Done: func(i types.Image, found bool) (bool, error) {
			return found && i.State == types.ImageStateAvailable, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ami
}

func (w *world) project() *project.Project {
	w.t.Helper()
	p, err := project.Load(w.dir, project.Vocabulary{
		Resources: launch.Kinds(), Provisioners: bake.Provisioners(), CheckTopology: launch.CheckTopology, CheckImage: bake.CheckImage,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// run runs a pipeline as a new process would.
func (w *world) run(text string, sink event.Sink) (Result, error) {
	w.t.Helper()
	return w.runIn(w.t.Context(), text, sink)
}

func (w *world) runIn(ctx context.Context, text string, sink event.Sink) (Result, error) {
	w.t.Helper()
	writeFiles(w.t, w.dir, txtar.File{Name: "pipelines/p.yaml", Data: []byte(text)})
	p := w.project()
	pipeline, err := p.Pipeline("p", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.runs++
	o := Options{Project: p, Pipeline: pipeline, Provider: w.provider(), Sink: sink, Run: fmt.Sprintf("run-%d", w.runs), RetryFailed: w.retry}
	plan, err := Compile(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return Run(ctx, o, plan)
}

func (w *world) rollback(to string) (promote.Move, launch.Result, error) {
	w.t.Helper()
	return w.rollbackIn(w.t.Context(), to)
}

func (w *world) rollbackIn(ctx context.Context, to string) (promote.Move, launch.Result, error) {
	w.t.Helper()
	w.runs++
	return Rollback(ctx, RollbackOptions{
		Project: w.project(), Provider: w.provider(), Image: "web", Environment: "dev", To: to, Run: fmt.Sprintf("run-%d", w.runs),
	})
}

// deployed gives the versions that run in dev, and whether they are current.
func (w *world) deployed() string {
	w.t.Helper()
	list, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider()}).Deployed(w.t.Context(), "dev")
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, d := range list {
		all = append(all, fmt.Sprintf("%s=%s/%t", d.Address, d.Version, d.Current))
	}
	return strings.Join(all, " ")
}

func (w *world) actions() map[string]int {
	counts := map[string]int{}
	for _, c := range w.local.Calls() {
		counts[c.Action]++
	}
	return counts
}

const twoRungs = `stages:
  - {name: promote-dev, promote: {images: [web], to: dev}}
  - {name: launch-dev, launch: dev}
  - name: check-dev
    check: {environment: dev, command: 'grep -q "\"version\": \"$GOLDLINE_VERSION_WEB\"" "$GOLDLINE_INSTANCES"'}
  - {name: promote-test, promote: {images: [web], to: test}}
  - {name: launch-test, launch: test}
`

func TestRunTwice(t *testing.T) {
	w := newWorld(t)
	ami := w.build("1")
	sink := &recorded{}
	result, err := w.run(twoRungs, sink)
	if err != nil {
		t.Fatalf("%v\n%s", err, sink.text())
	}
	if got := states(result); got != "promote-dev=succeeded launch-dev=succeeded check-dev=succeeded promote-test=succeeded launch-test=succeeded" {
		t.Errorf("states %s", got)
	}
	if got := result.Stages[0]; got.Summary != "1 promoted" || len(got.Made) != 1 || len(got.Items) != 1 || got.Items[0].AMI != ami {
		t.Errorf("first stage %+v", got)
	}
	if got := result.Stages[2]; got.Summary != "2 instances pass" {
		t.Errorf("check %+v", got)
	}
	if got := w.deployed(); got != "instance.web[0]=1/true instance.web[1]=1/true" {
		t.Errorf("deployed %s", got)
	}
	for _, line := range strings.Split(sink.text(), "\n") {
		if !slices.ContainsFunc(result.Stages, func(s StageResult) bool { return strings.HasPrefix(line, s.Name) }) {
			t.Errorf("event of no stage: %s", line)
		}
	}

	w.local.ResetCalls()
	result, err = w.run(twoRungs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range result.Stages {
		if len(s.Made) != 0 || s.State != StateSucceeded {
			t.Errorf("second run: %+v", s)
		}
	}
	for action, n := range w.actions() {
		if !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get") {
			t.Errorf("second run: %d %s", n, action)
		}
	}
	if n := len(w.local.Calls()); n > 40 {
		t.Errorf("second run: %d calls: %v", n, w.actions())
	}
}

func TestRollbackLaunches(t *testing.T) {
	w := newWorld(t)
	v1 := w.build("1")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.rollback(""); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("rollback without a previous build: %v", err)
	}
	v2 := w.build("2")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	move, result, err := w.rollback("")
	if err != nil {
		t.Fatal(err)
	}
	if move.From.AMI != v2 || move.To.AMI != v1 || !move.Changed || len(result.Changes) == 0 {
		t.Errorf("move %+v, result %+v", move, result)
	}
	if got := w.deployed(); got != "instance.web[0]=1/true instance.web[1]=1/true" {
		t.Errorf("deployed %s", got)
	}
}

func TestRollbackWhoseLaunchCannotBegin(t *testing.T) {
	w := newWorld(t)
	w.build("1")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	v2 := w.build("2")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	w.local.Inject(emulator.Fault{Action: "DescribeVpcs", Kind: emulator.Error, Code: "UnauthorizedOperation", Times: -1})
	_, _, err := w.rollback("")
	if fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v, exit code %d", err, fail.ExitCode(err))
	}
	w.local.ClearFaults()
	if got := w.deployed(); got != "instance.web[0]=2/true instance.web[1]=2/true" {
		t.Errorf("deployed %s, want %s current again", got, v2)
	}
}

// TestRollbackStoppedHalfWay: the pointer has moved and nothing was launched,
// as after kill -9. The same command finishes that, and goes back no further.
func TestRollbackStoppedHalfWay(t *testing.T) {
	w := newWorld(t)
	w.build("1")
	for _, version := range []string{"2", "3"} {
		if _, err := w.run(twoRungs, nil); err != nil {
			t.Fatal(err)
		}
		w.build(version)
	}
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := promote.New(promote.Options{Project: w.project(), Provider: w.provider(), Run: "killed"}).Rollback(t.Context(), "web", "dev", ""); err != nil {
		t.Fatal(err)
	}
	move, _, err := w.rollback("")
	if err != nil || move.To.Version != "2" || move.From.Version != "3" {
		t.Errorf("move %+v, %v", move, err)
	}
	if got := w.deployed(); got != "instance.web[0]=2/true instance.web[1]=2/true" {
		t.Errorf("deployed %s", got)
	}
}

func TestAFailedCheckSaysWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.build("1")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	w.build("2")
	failing := strings.Replace(twoRungs, "command: 'grep", "deadline: 100ms, interval: 10ms, command: 'exit 1; grep", 1)
	result, err := w.run(failing, nil)
	if got := states(result); got != "promote-dev=succeeded launch-dev=succeeded check-dev=failed promote-test=skipped launch-test=skipped" {
		t.Errorf("states %s", got)
	}
	left := fail.LeftOf(err)
	if fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || left[0].Command != "goldline rollback web --env dev" {
		t.Errorf("error %v (exit code %d), left %+v", err, fail.ExitCode(err), left)
	}
	// Again, with nothing promoted or launched: the check alone fails, and it changes nothing.
	if _, err = w.run(failing, nil); fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v, exit code %d", err, fail.ExitCode(err))
	}
}

func TestRollbackAndDestroyStages(t *testing.T) {
	w := newWorld(t)
	w.build("1")
	if _, err := w.run(twoRungs, nil); err != nil {
		t.Fatal(err)
	}
	w.build("2")
	result, err := w.run(`stages:
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: launch, launch: dev}
  - {name: back, rollback: {images: [web], environment: dev}}
  - {name: check, check: {environment: dev, images: [web], command: 'grep -q "\"version\": \"1\"" "$GOLDLINE_INSTANCES"'}}
`, nil)
	if err != nil {
		t.Fatalf("%v: %+v", err, result)
	}
	if made := result.Stages[2].Made; len(made) != 2 {
		t.Errorf("the rollback made %q", made)
	}
	if _, err := w.run("stages:\n  - {name: down, destroy: dev}\n  - {name: down-test, destroy: test}\n", nil); err != nil {
		t.Fatal(err)
	}
	if got := w.deployed(); got != "" {
		t.Errorf("deployed %s", got)
	}
}

func TestAnAccountThatIsNotTheCallers(t *testing.T) {
	w := newWorld(t)
	w.build("1")
	if err := os.WriteFile(w.dir+"/environments/test.yaml", []byte("account: \"111111111111\"\nregion: eu-central-1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.local.ResetCalls()
	_, err := w.run(twoRungs, nil)
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "account 111111111111") {
		t.Errorf("error %v", err)
	}
	if n := w.actions()["PutParameter"]; n != 0 {
		t.Errorf("dev was changed before test was refused")
	}
}
