package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestRefreshPreferences: what each strategy asks of an instance refresh.
func TestRefreshPreferences(t *testing.T) {
	minute := project.Duration(time.Minute)
	for _, test := range []struct {
		name    string
		rollout project.Rollout
		n       int
		want    string
	}{
		{"one", project.Rollout{}, 6, "100 117 [] 0"},
		{"one of one", project.Rollout{Strategy: project.OneAtATime}, 1, "100 200 [] 0"},
		{"half", project.Rollout{Strategy: project.HalfAtATime}, 6, "50 100 [] 0"},
		{"all", project.Rollout{Strategy: project.AllAtOnce}, 6, "0 100 [] 0"},
		{"per cent", project.Rollout{MinimumHealthy: "75%"}, 6, "75 100 [] 0"},
		{"count", project.Rollout{MinimumHealthy: "5"}, 6, "83 100 [] 0"},
		{"all stay", project.Rollout{MinimumHealthy: "6"}, 6, "100 117 [] 0"},
		{"more than there are", project.Rollout{MinimumHealthy: "9"}, 6, "100 117 [] 0"},
		{"canary", project.Rollout{Canary: &project.Canary{Instances: "1", BakeTime: minute}}, 6, "50 100 [16 100] 60"},
		{"canary by per cent", project.Rollout{Canary: &project.Canary{Instances: "10%"}, MinimumHealthy: "100%"}, 20, "100 105 [10 100] 0"},
		{"half, and watched", project.Rollout{Strategy: project.HalfAtATime, BakeTime: minute}, 6, "50 100 [] 0 bake 60"},
		{"canary by the roll-out's time", project.Rollout{Canary: &project.Canary{Instances: "1"}, BakeTime: minute}, 6, "50 100 [16 100] 60 bake 60"},
		{"all are canaries", project.Rollout{Canary: &project.Canary{Instances: "2", BakeTime: minute}}, 2, "50 100 [] 0 bake 60"},
	} {
		got := (*refreshSpec)(nil).with(&test.rollout, test.n)
		text := fmt.Sprint(aws.ToInt(got.MinHealthyPercentage), aws.ToInt(got.MaxHealthyPercentage), got.CheckpointPercentages, aws.ToInt(got.CheckpointDelay))
		if got.BakeTime != nil {
			text += fmt.Sprint(" bake ", *got.BakeTime)
		}
		if text != test.want {
			t.Errorf("%s: %s, not %s", test.name, text, test.want)
		}
	}
	stated := (&refreshSpec{MinHealthyPercentage: aws.Int(20)}).with(&project.Rollout{OnFailure: project.FailureStop}, 4)
	if *stated.MinHealthyPercentage != 20 || stated.MaxHealthyPercentage != nil || stated.putsBack() {
		t.Errorf("what is stated does not win: %+v", stated)
	}
}

// hold lets new instances wait for a lifecycle action that nobody completes.
func (s *site) hold() {
	s.t.Helper()
	_, err := s.cloud.AutoScaling.PutLifecycleHook(context.Background(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: s.group().AutoScalingGroupName,
		LifecycleHookName: aws.String("never"), LifecycleTransition: aws.String("autoscaling:EC2_INSTANCE_LAUNCHING"), HeartbeatTimeout: aws.Int32(7200)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestRefreshDeadline: a new instance that never becomes healthy ends the
// refresh when the roll-out's deadline is over, and everything is put back.
func TestRefreshDeadline(t *testing.T) {
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: {strategy: OneAtATime, deadline: 1s}")
	s.launch()
	s.settled()
	before := s.group()
	s.promote("web", "2.0.0")
	s.hold()
	_, err := s.tryLaunch(context.Background())
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "not healthy within 1s: i-") || !strings.Contains(err.Error(), "is Pending:Wait") {
		t.Errorf("error %v", err)
	}
	s.wantBuilds("put back", map[string]int{"1.0.0": 2})
	after := s.group()
	if _, version := s.template(t); *version.VersionNumber != 1 || *after.LaunchTemplate.Version != "1" {
		t.Errorf("template version %d, the group's %s", *version.VersionNumber, *after.LaunchTemplate.Version)
	}
	old := map[string]bool{}
	for _, i := range before.Instances {
		old[*i.InstanceId] = true
	}
	for _, i := range after.Instances {
		if !old[*i.InstanceId] && i.LifecycleState == "InService" {
			t.Errorf("instance %s is new", *i.InstanceId)
		}
	}
}

// TestRefreshStrategies: a refresh by each strategy ends with the new build
// everywhere.
func TestRefreshStrategies(t *testing.T) {
	for _, rollout := range []string{"{strategy: OneAtATime}", "{strategy: AllAtOnce}", "{minimum_healthy: 1}", "{canary: 1}", "{canary: {instances: 2, bake_time: 1s}}"} {
		t.Run(rollout, func(t *testing.T) {
			s := newScaled(t)
			s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: "+rollout)
			s.launch()
			s.promote("web", "2.0.0")
			s.launch()
			s.settled()
			s.wantBuilds("rolled out", map[string]int{"2.0.0": 2})
		})
	}
}

// TestRefreshKilled: a launch that ends while a refresh is under way leaves it
// going, and the next one follows it.
func TestRefreshKilled(t *testing.T) {
	t.Parallel()
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: {strategy: HalfAtATime}")
	s.launch()
	s.promote("web", "2.0.0")
	// It goes on when somebody follows it, however long that takes here.
	ctx, name, processes := context.Background(), s.group().AutoScalingGroupName, []string{"InstanceRefresh"}
	if _, err := s.cloud.AutoScaling.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: name, ScalingProcesses: processes}); err != nil {
		t.Fatal(err)
	}
	s.dies(emulator.Fault{Service: "autoscaling", Action: "StartInstanceRefresh", Nth: 1, Kind: emulator.DieAfter})
	err := s.launchWhen(ctx, "instance refresh: ", func() {
		if _, err := s.cloud.AutoScaling.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: name, ScalingProcesses: processes}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.settled()
	s.wantBuilds("in the end", map[string]int{"2.0.0": 2})
	out, err := s.cloud.AutoScaling.DescribeInstanceRefreshes(context.Background(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("shop-dev-web")})
	if err != nil || len(out.InstanceRefreshes) != 1 {
		t.Errorf("%d refreshes (%v)", len(out.InstanceRefreshes), err)
	}
}

func TestRefreshRolloutMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"refresh: {min_healthy_percentage: 50}\nrollout: {strategy: AllAtOnce}":             "the definition's rollout says already",
		"refresh: none\nrollout: {strategy: AllAtOnce}":                                     "there is nothing to roll out",
		"rollout: {replace: root-volume}":                                                   "a group launches instances",
		"target_groups: [web]\nhealth_check_type: ELB\nrollout: {canary: {bake_time: 30s}}": "nothing would be seen in a bake_time of 30s",
		"target_groups: [web]\nrollout: {strategy: OneAtATime}":                             "only where the group's health check asks them",
	} {
		s := newSite(t, scaling())
		s.write(map[string]string{"topology/target_groups/web.yaml": "vpc: main\nprotocol: HTTP\nport: 8080\n"})
		s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", text)
		if _, err := s.topology(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "web.yaml:") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}
