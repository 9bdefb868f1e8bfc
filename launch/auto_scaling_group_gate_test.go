package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// newGated is a group with a roll-out, and a second build to roll out.
func newGated(t *testing.T, rollout string) *site {
	t.Helper()
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: "+rollout)
	s.launch()
	s.settled()
	s.promote("web", "2.0.0")
	return s
}

// wantNoHook wants a group without what a roll-out adds to it.
func (s *site) wantNoHook() {
	s.t.Helper()
	g := s.group()
	out, err := s.cloud.AutoScaling.DescribeLifecycleHooks(context.Background(), &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: g.AutoScalingGroupName})
	if err != nil || len(out.LifecycleHooks) > 0 {
		s.t.Errorf("left: %+v, %v", out, err)
	}
	if left := (autoScalingGroups{}).read(g).tags[tags.Gate]; left != "" {
		s.t.Errorf("the tag %s is left", left)
	}
}

// noted is what hooks have written down, a line each.
func (s *site) noted() []string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "noted"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

const note = `"echo $GOLDLINE_HOOK:$GOLDLINE_ADDRESS:$GOLDLINE_INSTANCE_ID:$GOLDLINE_VERSION >> noted"`

// TestGateHooks: local commands run around the refresh of a group, and for each
// new instance.
func TestGateHooks(t *testing.T) {
	s := newGated(t, "{health: {command: 'true'}, healthy_after: 2, hooks: {before_replace: "+note+", after_replace: "+note+", after_rollout: "+note+"}}")
	r := s.launch()
	s.settled()
	s.wantBuilds("rolled out", map[string]int{"2.0.0": 2})
	s.wantNoHook()
	got := s.noted()
	if len(got) != 4 || got[0] != "before_replace:auto_scaling_group.web::2.0.0" || got[3] != "after_rollout:auto_scaling_group.web::2.0.0" {
		t.Fatalf("hooks: %v", got)
	}
	for _, i := range s.group().Instances {
		if want := "after_replace:auto_scaling_group.web:" + *i.InstanceId + ":2.0.0"; got[1] != want && got[2] != want {
			t.Errorf("hooks: %v, not %s", got, want)
		}
	}
	if len(r.Rollouts) != 1 || len(r.Rollouts[0].Instances) != 2 || r.Rollouts[0].Instances[0].State != StateTaken {
		t.Errorf("roll-outs %+v", r.Rollouts)
	}
}

// TestGateRefuses: a build whose instances do not pass never goes into service,
// and the group goes back. Its own hooks stay.
func TestGateRefuses(t *testing.T) {
	for name, c := range map[string]struct{ rollout, want string }{
		// Within a second a busy machine, too, gets to the end of a look.
		"health":         {"{health: {command: 'exit 1'}, deadline: 1s}", "i-0"},
		"all at once":    {"{strategy: AllAtOnce, health: {command: 'exit 1'}, deadline: 1s}", ": exit 1: exit status 1"},
		"after_replace":  {"{hooks: {after_replace: 'echo no; exit 7'}}", "after_replace: echo no; exit 7: exit status 7: no"},
		"before_replace": {"{hooks: {before_replace: 'echo no; exit 7'}}", "before_replace: echo no; exit 7: exit status 7: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGated(t, c.rollout)
			before := s.group()
			served := map[string]bool{}
			_, err := s.tryLaunch(context.Background())
			if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
			}
			for _, a := range s.activities() {
				if strings.HasPrefix(*a.Description, "Launching") && a.StatusCode == types.ScalingActivityStatusCodeSuccessful {
					served[*a.Description] = true
				}
			}
			if len(served) > 2+len(s.group().Instances) {
				t.Errorf("in service were %v", served)
			}
			s.wantBuilds("put back", map[string]int{"1.0.0": 2})
			s.wantNoHook()
			if _, version := s.template(t); *version.VersionNumber != 1 || *before.LaunchTemplate.Version != "1" {
				t.Errorf("template version %d", *version.VersionNumber)
			}
			s.edit(scalingFile, c.rollout, "{health: {command: 'true'}}")
			s.launch()
			s.settled()
			s.wantBuilds("mended", map[string]int{"2.0.0": 2})
		})
	}
}

// TestGateStops: with on_failure: stop nothing goes back, and what has not proved
// itself goes all the same.
func TestGateStops(t *testing.T) {
	for _, strategy := range []string{"OneAtATime", "HalfAtATime"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			s := newGated(t, "{strategy: "+strategy+", on_failure: stop, health: {command: 'exit 1'}, deadline: 1s}")
			_, err := s.tryLaunch(context.Background())
			if fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(err.Error(), ": exit 1: exit status 1") {
				t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
			}
			s.until("shop-dev-web", 2, "")
			s.wantBuilds(strategy, map[string]int{"1.0.0": 2})
			s.wantNoHook()
		})
	}
}

func (s *site) activities() []types.Activity {
	s.t.Helper()
	out, err := s.cloud.AutoScaling.DescribeScalingActivities(context.Background(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: s.group().AutoScalingGroupName})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Activities
}

// TestGateLetsOthersThrough: an instance that the roll-out is not about goes into
// service at once, and is no cause to end anything.
func TestGateLetsOthersThrough(t *testing.T) {
	s := newScaled(t)
	s.launch()
	ctx, name := context.Background(), "shop-dev-web"
	world, err := newWorld(s.options())
	if err != nil {
		t.Fatal(err)
	}
	w := &gate{t: &task{world: world, sink: event.Discard}, roll: &groupRoll{r: &rolling{spec: &project.Rollout{}}}, group: name, new: []string{"lt-0:2"}, hold: leastHold, proofs: map[string]*proof{}}
	if err := w.open(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cloud.AutoScaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: aws.Int32(3)}); err != nil {
		t.Fatal(err)
	}
	waits := func(i types.Instance) bool { return i.LifecycleState == types.LifecycleStatePendingWait }
	_, err = s.cloud.ScalingGroups.Wait(ctx, cloud.Wait[types.AutoScalingGroup]{ID: name, For: "the hook", Deadline: time.Minute,
		Done: func(g types.AutoScalingGroup, _ bool) (bool, error) {
			return slices.ContainsFunc(g.Instances, waits), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if busy, err := w.tend(ctx, s.group(), types.InstanceRefreshStatusInProgress); busy || err != nil {
		t.Errorf("busy %t, %v", busy, err)
	}
	s.until(name, 3, "")
	if err := w.shut(ctx, false); err != nil {
		t.Error(err)
	}
	s.wantNoHook()
}

// TestGateLeft: a hook that an earlier run left is seen in the plan, and taken off by
// the next launch, also where there is nothing to roll out any more.
func TestGateLeft(t *testing.T) {
	s := newGated(t, "{health: {command: 'true'}}")
	s.dies(emulator.Fault{Service: "autoscaling", Action: "DeleteLifecycleHook", Nth: 1, Kind: emulator.Die})
	if got := summaryOf(s.plan()); got != "change auto_scaling_group.web: lifecycle_hook" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	s.wantNoHook()
	s.wantBuilds("rolled out", map[string]int{"2.0.0": 2})
}

// TestGateCallsFailOnce is TestEveryCallFailsOnce for a refresh whose instances
// prove themselves, of a good build and of one that goes back.
func TestGateCallsFailOnce(t *testing.T) {
	t.Parallel()
	ready := func() *site { return newScaled(t) }
	it := story{"gated refresh", func(s *site) {
		s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: {strategy: HalfAtATime, health: {command: 'true'}, hooks: {after_replace: 'true'}}")
		s.launch()
		s.promote("web", "2.0.0")
	}, launchIt}
	calm := ready()
	it.prepare(calm)
	calm.local.ResetCalls()
	if err := it.do(context.Background(), calm); err != nil {
		t.Fatal(err)
	}
	want := calm.shape()
	var faults []emulator.Fault
	for n, action := range []string{"CreateOrUpdateTags", "PutLifecycleHook", "StartInstanceRefresh", "CompleteLifecycleAction", "DeleteLifecycleHook", "DeleteTags"} {
		for _, kind := range [][]emulator.FaultKind{{emulator.Error, emulator.DieAfter}, {emulator.LostAnswer, emulator.Die}}[n%2] {
			faults = append(faults, emulator.Fault{Service: "autoscaling", Action: action, Nth: 1 + n%2, Kind: kind, Code: codeFor(kind)})
			if action != "CompleteLifecycleAction" {
				faults[len(faults)-1].Nth = 1
			}
		}
	}
	err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
		s := ready()
		disturbedOn(t, s, it, want, faults[i])
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestGateWatches: a canary that turns ill while it is watched ends the refresh.
func TestGateWatches(t *testing.T) {
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: {canary: {instances: 1, bake_time: 47h}, health: {command: 'test ! -e ill'}, healthy_after: 2}")
	s.launch()
	s.promote("web", "2.0.0")
	err := s.launchWhen(context.Background(), "is healthy: 1 of 2 run the new build", func() {
		if err := os.WriteFile(filepath.Join(s.dir, "ill"), nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "did not stay healthy: ") {
		t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
	}
	s.wantBuilds("put back", map[string]int{"1.0.0": 2})
	s.wantNoHook()
}

// TestGateKilledGoingBack: wherever a launch ends that goes back, the next one ends
// where it would have ended.
func TestGateKilledGoingBack(t *testing.T) {
	for _, at := range []emulator.Fault{
		{Action: "RollbackInstanceRefresh", Kind: emulator.Die}, {Action: "RollbackInstanceRefresh", Kind: emulator.DieAfter},
		{Action: "DeleteLifecycleHook", Kind: emulator.DieAfter}, {Action: "DeleteTags", Kind: emulator.Die},
	} {
		t.Run(fmt.Sprint(at.Action, " ", at.Kind), func(t *testing.T) {
			s := newGated(t, "{strategy: HalfAtATime, health: {command: 'exit 1'}, deadline: 100ms}")
			at.Service, at.Nth = "autoscaling", 1
			s.dies(at)
			_, err := s.tryLaunch(context.Background())
			if fail.ExitCode(err) != fail.CodeClean {
				t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
			}
			s.wantBuilds("in the end", map[string]int{"1.0.0": 2})
			s.wantNoHook()
		})
	}
}
