package launch

import (
	"fmt"
	"strings"
	"testing"
)

// plannedText is a planned roll-out in a line.
func plannedText(r PlannedRollout) string {
	var batches []string
	for _, b := range r.Batches {
		text := strings.ReplaceAll(strings.Join(b.Addresses, " "), r.Definition, "")
		if b.Canary {
			text += " canary"
		}
		if b.BakeSeconds > 0 {
			text += fmt.Sprintf(" %gs", b.BakeSeconds)
		}
		batches = append(batches, text)
	}
	text := fmt.Sprintf("%s %s %q %d/%d (%s) %v %g/%g %v %dx %gs %s", r.Definition, r.Method, r.Strategy, r.Serving, r.Instances,
		strings.Join(batches, "; "), r.Steps, r.BakeSeconds, r.KeepSeconds, r.Health, r.HealthyAfter, r.DeadlineSeconds, r.OnFailure)
	if len(r.Hooks)+len(r.Irreversible) > 0 {
		text += fmt.Sprint(" ", r.Hooks, r.Irreversible)
	}
	return text
}

// TestPlannedRollouts: a plan says how a launch is going to replace instances.
func TestPlannedRollouts(t *testing.T) {
	for _, test := range []struct {
		name, rollout string
		data          bool
		edit          func(s *site)
		want          string
	}{
		{"one at a time", "{strategy: OneAtATime, healthy_after: 3, deadline: 5m, health: {http: {port: 8080, path: /health}}, hooks: {after_replace: ./smoke.sh}}", true, nil,
			`instance.web instance "OneAtATime" 3/4 ([0]; [1]; [2]; [3]) [] 0/0 [status target_group http 8080/health] 3x 300s stop [after_replace] []`},
		{"capacity stays", "{strategy: HalfAtATime, health: {status: false, tcp: 22, console: ^ready}}", false, nil,
			`instance.web instance "HalfAtATime" 4/4 ([0] [1]; [2] [3]) [] 0/0 [target_group tcp 22 console ^ready] 1x 600s stop`},
		{"canary", "{canary: {instances: 1, bake_time: 10m}, minimum_healthy: 50%}", true, nil,
			`instance.web instance "Canary, minimum_healthy 50%" 2/4 ([0] canary 600s; [1] [2]; [3]) [] 0/0 [status target_group] 1x 600s stop`},
		{"roots", "{strategy: AllAtOnce, replace: root-volume}", false, nil,
			`instance.web root-volume "AllAtOnce" 0/4 ([0] [1] [2] [3]) [] 0/0 [status target_group] 1x 600s stop`},
		{"the rest of one that was stopped", "{minimum_healthy: 3, bake_time: 1m}", true, func(s *site) {
			s.fault("ec2", "RunInstances", "error", "InsufficientInstanceCapacity", 3)
			if _, err := s.tryLaunch(t.Context()); err == nil {
				t.Error("it was not stopped")
			}
		}, `instance.web instance "minimum_healthy 3" 3/4 ([2] 60s; [3] 60s) [] 0/0 [status target_group] 1x 600s stop`},
		{"no roll-out", "", true, nil,
			`instance.web instance "" 0/4 ([0] [1] [2] [3]) [] 0/0 [status target_group] 1x 900s stop`},
		{"fixed addresses", "{strategy: OneAtATime}", false, func(s *site) {
			s.edit(webFile, "subnet: a", "subnet: a\nprivate_ip: 10.0.1.1${index}")
			s.launch()
			s.promote("web", "3.0.0")
		}, `instance.web instance "OneAtATime" 3/4 ([0]; [1]; [2]; [3]) [] 0/0 [status target_group] 1x 600s stop [] [instance.web[0] instance.web[1] instance.web[2] instance.web[3]]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := rollingFleet(4, test.data, test.rollout)
			if test.rollout == "" {
				files[webFile] = strings.Replace(files[webFile], "rollout: \n", "", 1)
			}
			if strings.Contains(test.rollout, "bake_time: 1m") {
				files[webFile] = strings.Replace(files[webFile], "bake_time: 1m", "bake_time: 1ms", 1)
			}
			s := newSite(t, files)
			s.promote("web", "1.0.0")
			s.launch()
			s.promote("web", "2.0.0")
			if test.edit != nil {
				test.edit(s)
			}
			if strings.Contains(test.rollout, "bake_time: 1m") {
				s.edit(webFile, "bake_time: 1ms", "bake_time: 1m")
			}
			plan := s.plan()
			if len(plan.Rollouts) != 1 {
				t.Fatalf("roll-outs %+v", plan.Rollouts)
			}
			if got := plannedText(plan.Rollouts[0]); got != test.want {
				t.Errorf("it is\n%s\nwant\n%s", got, test.want)
			}
			digest := plan.Digest
			s.edit(webFile, "count: 4", "count: 4\ntags: {}")
			if s.plan().Digest != digest {
				t.Error("the digest is not that of the same plan")
			}
		})
	}
}

// TestPlannedRolloutsOfGroups: so it does of groups, and another strategy is
// another plan.
func TestPlannedRolloutsOfGroups(t *testing.T) {
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "rollout: {canary: {instances: 1, bake_time: 1m}, deadline: 5m}")
	s.launch()
	if plan := s.plan(); len(plan.Rollouts) > 0 {
		t.Errorf("nothing is replaced: %+v", plan.Rollouts)
	}
	s.promote("web", "2.0.0")
	plan := s.plan()
	if got, want := plannedText(plan.Rollouts[0]), `auto_scaling_group.web instance-refresh "Canary" 1/2 () [50% 100%] 60/0 [in service] 1x 300s rollback`; got != want {
		t.Errorf("a refresh:\n%s\nwant\n%s", got, want)
	}
	s.edit(scalingFile, "{canary: {instances: 1, bake_time: 1m}, deadline: 5m}", "{strategy: OneAtATime}")
	if other := s.plan(); other.Digest == plan.Digest || other.Rollouts[0].Serving != 2 {
		t.Errorf("one at a time: %+v", other.Rollouts)
	}
	b, _ := newBlueGreen(t)
	b.launch()
	b.promote("web", "2.0.0")
	if got, want := plannedText(b.plan().Rollouts[0]), `auto_scaling_group.web blue-green "BlueGreen" 2/2 () [10% 50% 100%] 0/3600 [in service target_group] 1x 600s rollback`; got != want {
		t.Errorf("blue-green:\n%s\nwant\n%s", got, want)
	}
}
