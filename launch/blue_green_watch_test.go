package launch

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
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
	s.edit(scalingFile, "steps: [10%, 50%, 100%]", "steps: [50%, 100%], bake_time: 20ms")
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
	s.wantPutBack(err, before, "with 100% of the traffic: shop-dev-web-2 did not stay healthy: after 0s of 20ms")
}
