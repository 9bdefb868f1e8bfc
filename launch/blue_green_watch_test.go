package launch

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// when does something at the first event whose message holds a text.
type when struct {
	text string
	do   func()

	mu   sync.Mutex
	done bool
}

func (w *when) Emit(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done && strings.Contains(e.Message, w.text) {
		w.done = true
		w.do()
	}
}

// launchWhen launches, and does something at the first event that holds a text.
func (s *site) launchWhen(ctx context.Context, text string, do func()) error {
	s.t.Helper()
	o, w := s.options(), &when{text: text, do: do}
	o.Sink = w
	plan, err := NewPlan(ctx, o)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = Apply(ctx, o, plan)
	if !w.done {
		s.t.Errorf("nobody said %q: %v", text, err)
	}
	return err
}

// diesWatching launches and ends the process in the watch of a group with all
// of the traffic.
func (s *site) diesWatching() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.launchWhen(ctx, "watched with 100%", func() { s.wire.cut.Store(true); cancel() }); err == nil {
		s.t.Fatal("the launch went on")
	}
	s.reconnect()
}

// sickens makes an instance of a group ill for good.
func (s *site) sickens(group string) {
	s.t.Helper()
	ctx, name := context.Background(), aws.String(group)
	out, err := s.cloud.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err == nil {
		_, err = s.cloud.AutoScaling.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: name, ScalingProcesses: []string{"ReplaceUnhealthy", "HealthCheck"}})
	}
	if err == nil {
		_, err = s.cloud.AutoScaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: out.AutoScalingGroups[0].Instances[0].InstanceId,
			HealthStatus: aws.String("Unhealthy"), ShouldRespectGracePeriod: aws.Bool(false)})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// newWatched has a second build to roll out, to a group that is watched.
func newWatched(t *testing.T) (s *site, before map[string]string) {
	t.Helper()
	s, _ = newBlueGreen(t)
	s.edit(scalingFile, "steps: [10%, 50%, 100%]", "steps: [50%, 100%], bake_time: 20ms, health: {target_group: false}")
	s.launch()
	s.settled()
	before = s.groups()
	s.promote("web", "2.0.0")
	return s, before
}

func (s *site) wantPutBack(err error, before map[string]string, want string) {
	s.t.Helper()
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), want) {
		s.t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
	}
	s.wantGroups("put back", before)
}

// TestBlueGreenWatch: a group that goes ill with any share of the traffic gives
// it back, and goes.
func TestBlueGreenWatch(t *testing.T) {
	for _, share := range []string{"50%", "100%"} {
		s, before := newWatched(t)
		err := s.launchWhen(context.Background(), "watched with "+share, func() { s.sickens("shop-dev-web-2") })
		s.wantPutBack(err, before, "with "+share+" of the traffic: shop-dev-web-2 did not stay healthy: after ")
		s.launch()
		s.settled()
		s.wantGroups("again, with a good build", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})
	}
}

// TestBlueGreenWatchKilled: a group whose watch was cut short is watched anew.
func TestBlueGreenWatchKilled(t *testing.T) {
	t.Parallel()
	s, _ := newWatched(t)
	s.diesWatching()
	if got := summaryOf(s.plan()); !strings.Contains(got, "change auto_scaling_group.web: traffic") {
		t.Errorf("the plan is\n%s", got)
	}
	if r := s.launch(); len(r.Changes) != 1 || r.Changes[0].Action != Update {
		t.Errorf("carried out: %+v", r.Changes)
	}
	s.settled()
	s.wantGroups("watched to the end", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})

	s, before := newWatched(t)
	s.diesWatching()
	s.sickens("shop-dev-web-2")
	_, err := s.tryLaunch(context.Background())
	s.wantPutBack(err, before, "with 100% of the traffic: shop-dev-web-2 did not stay healthy: after ")
}

// TestBlueGreenWatchDecides: a watch whose time is over while something is ill
// goes on until that is decided.
func TestBlueGreenWatchDecides(t *testing.T) {
	s, before := newWatched(t)
	s.edit(scalingFile, "bake_time: 20ms", "bake_time: 20ms, healthy_after: 3")
	err := s.launchWhen(context.Background(), "watched with 100%", func() { s.sickens("shop-dev-web-2") })
	s.wantPutBack(err, before, "with 100% of the traffic: shop-dev-web-2 did not stay healthy: after ")
}

// until waits until a group has n instances, all in service, and not a certain one.
func (s *site) until(group string, n int, without string) {
	s.t.Helper()
	_, err := s.cloud.ScalingGroups.Wait(context.Background(), cloud.Wait[types.AutoScalingGroup]{ID: group, For: group, Deadline: time.Minute,
		Done: func(g types.AutoScalingGroup, found bool) (bool, error) {
			return found && len(g.Instances) == n && !slices.ContainsFunc(g.Instances, func(i types.Instance) bool {
				return i.LifecycleState != types.LifecycleStateInService || *i.InstanceId == without
			}), nil
		}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestVigil: an ill instance that Auto Scaling has replaced between two looks is
// not forgotten; one that goes because the group shrinks was not ill.
func TestVigil(t *testing.T) {
	s, _ := newBlueGreen(t)
	s.launch()
	s.settled()
	ctx, k := context.Background(), autoScalingGroups{}
	w, err := newWorld(s.options())
	if err != nil {
		t.Fatal(err)
	}
	v := newVigil(&task{world: w, sink: event.Discard}, s.group(), &project.Rollout{})
	look := func(what, want string) {
		t.Helper()
		ill, err := v.look(ctx, k, s.group())
		if err != nil || !strings.Contains(strings.Join(ill, "; "), want) || want == "" && len(ill) > 0 {
			t.Errorf("%s: %v, %v", what, ill, err)
		}
	}
	look("at first", "")
	id := *s.group().Instances[0].InstanceId
	if _, err := s.cloud.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	s.until("shop-dev-web", 2, id)
	look("replaced", id+" was replaced: At ")
	v = newVigil(v.task, s.group(), &project.Rollout{})
	look("from anew", "")
	id = *s.group().Instances[0].InstanceId
	if _, err := s.cloud.AutoScaling.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: s.group().AutoScalingGroupName, MinSize: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cloud.AutoScaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: aws.String(id), ShouldDecrementDesiredCapacity: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	s.until("shop-dev-web", 1, id)
	look("smaller", "")
}

// TestBlueGreenRevivalFails: a kept group that cannot take over has the size
// again that it had, and stays.
func TestBlueGreenRevivalFails(t *testing.T) {
	s, first := newBlueGreen(t)
	s.edit(scalingFile, "steps: [10%, 50%, 100%]", "steps: [50%, 100%], bake_time: 20ms, health: {target_group: false}")
	s.launch()
	s.promote("web", "2.0.0")
	s.launch()
	s.settled()
	if _, err := s.cloud.AutoScaling.SetDesiredCapacity(context.Background(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("shop-dev-web-2"), DesiredCapacity: aws.Int32(4)}); err != nil {
		t.Fatal(err)
	}
	s.until("shop-dev-web-2", 4, "")
	before := map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "4 of version 2, 100%"}
	s.wantGroups("before", before)
	s.point("web", first)
	err := s.launchWhen(context.Background(), "watched with 50%", func() { s.sickens("shop-dev-web") })
	s.until("shop-dev-web", 2, "")
	if fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v (%d), left %v", err, fail.ExitCode(err), leftOf(err))
	}
	s.wantGroups("put back", before)
}

// TestDrains: what is put back has as long as connections have to end, as the
// target groups are and as they are to be.
func TestDrains(t *testing.T) {
	s, _ := newBlueGreen(t)
	drains := func(want time.Duration) {
		t.Helper()
		w, err := newWorld(s.options())
		if err == nil {
			err = w.readInventory(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(w.resources(), func(r *project.Resource) bool { return r.Kind == "auto_scaling_group" })
		if got := w.drains(w.resources()[at]); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	drains(5 * time.Minute)
	s.edit("topology/target_groups/all.yaml", "name: blue\n", "name: blue\nderegistration_delay: 700\n")
	drains(700 * time.Second)
	s.edit("topology/target_groups/all.yaml", "name: green\n", "name: green\nderegistration_delay: 1\n")
	s.launch()
	s.edit("topology/target_groups/all.yaml", "deregistration_delay: 700", "deregistration_delay: 2")
	drains(700 * time.Second)
}
