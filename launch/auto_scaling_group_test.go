package launch

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

// scaling is a project with an Auto Scaling group.
func scaling() map[string]string {
	files := templated()
	files["topology/subnets/all.yaml"] = "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n---\nname: b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\n"
	files["topology/auto_scaling_groups/web.yaml"] = "launch_template: web\nmin_size: 2\nmax_size: 6\nsubnets: [a, b]\nhealth_check_grace_period: 30\nrefresh: {min_healthy_percentage: 50}\n"
	return files
}

func newScaled(t *testing.T) *site {
	t.Helper()
	s := newSite(t, scaling())
	s.promote("web", "1.0.0")
	return s
}

const scalingFile = "topology/auto_scaling_groups/web.yaml"

func (s *site) group() types.AutoScalingGroup {
	s.t.Helper()
	out, err := s.cloud.AutoScaling.DescribeAutoScalingGroups(context.Background(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		s.t.Fatalf("groups %+v, %v", out, err)
	}
	return out.AutoScalingGroups[0]
}

// builds are the builds that the instances of groups run, by the version on
// their tags.
func (s *site) builds() map[string]int {
	s.t.Helper()
	list, err := Instances(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	count := map[string]int{}
	for _, i := range list {
		if i.Address != "auto_scaling_group.web" || i.Image != "web" {
			s.t.Errorf("instance %+v", i)
		}
		count[i.Version]++
	}
	return count
}

func (s *site) wantBuilds(what string, want map[string]int) {
	s.t.Helper()
	if got := s.builds(); !maps.Equal(got, want) {
		s.t.Errorf("%s: the group runs %v, not %v", what, got, want)
	}
}

func TestAutoScalingGroup(t *testing.T) {
	s := newScaled(t)
	before := s.platformOnly()
	s.launch()
	s.settled()
	s.wantBuilds("launched", map[string]int{"1.0.0": 2})
	g := s.group()
	if *g.AutoScalingGroupName != "shop-dev-web" || *g.LaunchTemplate.Version != "1" {
		t.Errorf("made %s with version %s", *g.AutoScalingGroupName, *g.LaunchTemplate.Version)
	}
	for _, tag := range g.Tags {
		if own := *tag.Key == tags.UUID || *tag.Key == tags.Run; *tag.PropagateAtLaunch == own {
			t.Errorf("tag %s: for instances %v", *tag.Key, *tag.PropagateAtLaunch)
		}
	}
	first := *g.Instances[0].InstanceId
	s.promote("web", "2.0.0")
	plan := s.plan()
	if got := summaryOf(plan); !strings.Contains(got, "change auto_scaling_group.web: launch_template; refresh") || plan.Counts.Change != 2 || len(plan.Changes) != 2 {
		t.Errorf("the plan is\n%s", got)
	}
	s.launch()
	s.settled()
	s.wantBuilds("a new build", map[string]int{"2.0.0": 2})
	if g := s.group(); *g.LaunchTemplate.Version != "2" || *g.Instances[0].InstanceId == first {
		t.Errorf("version %s, instances %+v", *g.LaunchTemplate.Version, g.Instances)
	}
	for _, change := range []struct{ name, old, new, reason string }{
		{"more", "min_size: 2", "min_size: 3", "min_size"},
		{"another grace period", "period: 30", "period: 60", "health_check_grace_period"},
		{"one subnet", "[a, b]", "[b]", "subnets"},
		{"policies", "refresh:", "termination_policies: [OldestInstance]\nrefresh:", "termination_policies"},
		{"processes", "refresh:", "suspended_processes: [AZRebalance]\nrefresh:", "suspended_processes"},
		{"no processes", "[AZRebalance]", "[]", "suspended_processes"},
		{"several types", "refresh:", "mixed_instances_policy: {overrides: [t3.micro, t3.small], on_demand_base_capacity: 1}\nrefresh:", "mixed_instances_policy"},
		{"other types", "[t3.micro, t3.small]", "[t3.medium]", "mixed_instances_policy.overrides; refresh"},
	} {
		s.edit(scalingFile, change.old, change.new)
		plan := s.plan()
		if want := "change auto_scaling_group.web: " + change.reason; summaryOf(plan) != want {
			t.Errorf("%s: the plan is %s, not %s", change.name, summaryOf(plan), want)
		}
		s.launch()
		s.settled()
	}
	if g := s.group(); *g.Instances[0].InstanceType != "t3.medium" || len(g.Instances) != 3 || g.AvailabilityZones[0] != testRegion+"b" {
		t.Errorf("in the end: %+v", g)
	}
	s.edit("topology/subnets/all.yaml", "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n---\n", "")
	s.launch()
	s.settled()
	s.edit("goldline.yaml", "{team: shop}", "{team: shop, cost: \"7\"}")
	s.launch()
	s.settled()
	s.destroy()
	sameInventory(t, "destroyed", before, s.platformOnly())
}

// The instances of a group are registered in its target groups, which go after
// it, and a name is what a replacement is for.
func TestScalingTargetGroups(t *testing.T) {
	files := scaling()
	files["topology/target_groups/all.yaml"] = "name: blue\nvpc: main\nprotocol: HTTP\nport: 8080\n---\nname: green\nvpc: main\nprotocol: HTTP\nport: 8080\n"
	files["topology/internet_gateways/main.yaml"] = "vpc: main\n"
	s := newSite(t, files)
	s.promote("web", "1.0.0")
	before := s.platformOnly()
	s.edit(scalingFile, "refresh:", "target_groups: [blue]\nhealth_check_type: ELB\nrefresh:")
	s.launch()
	s.settled()
	s.edit(scalingFile, "[blue]", "[green]")
	if got := summaryOf(s.plan()); got != "change auto_scaling_group.web: target_groups" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	if g := s.group(); len(g.TargetGroupARNs) != 1 || !strings.Contains(g.TargetGroupARNs[0], "green") {
		t.Errorf("target groups %v", g.TargetGroupARNs)
	}
	s.edit(scalingFile, "launch_template: web", "launch_template: web\nauto_scaling_group_name: fleet")
	if got := summaryOf(s.plan()); got != "replace auto_scaling_group.web: auto_scaling_group_name: shop-dev-web -> fleet" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	s.wantBuilds("replaced", map[string]int{"1.0.0": 2})
	if g := s.group(); *g.AutoScalingGroupName != "fleet" {
		t.Errorf("the group is %s", *g.AutoScalingGroupName)
	}
	s.destroy()
	sameInventory(t, "destroyed", before, s.platformOnly())
}

// What scaling policies have set is theirs; a group that is no longer defined
// goes, although no group is defined any more.
func TestAutoScalingGroupOwnership(t *testing.T) {
	s := newScaled(t)
	s.launch()
	if _, err := s.cloud.AutoScaling.SetDesiredCapacity(context.Background(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("shop-dev-web"), DesiredCapacity: aws.Int32(4)}); err != nil {
		t.Fatal(err)
	}
	s.settled()
	s.write(map[string]string{scalingFile: ""})
	if got := summaryOf(s.plan()); got != "delete auto_scaling_group.web: no definition has it" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	if n := len(s.builds()); n != 0 {
		t.Errorf("instances of %d builds are left", n)
	}
}

// Who uses no groups needs no permission to read them.
func TestScalingDenied(t *testing.T) {
	s := newScaled(t)
	s.write(map[string]string{scalingFile: ""})
	deny := func() {
		s.fault("autoscaling", "DescribeAutoScalingGroups", emulator.Error, "AccessDenied", 1)
	}
	deny()
	s.launch()
	s.local.ClearFaults()
	deny()
	if _, err := Audit(context.Background(), s.options()); err != nil {
		t.Errorf("audit: %v", err)
	}
	s.local.ClearFaults()
	s.write(map[string]string{scalingFile: scaling()[scalingFile]})
	deny()
	if _, err := NewPlan(context.Background(), s.options()); err == nil || !strings.Contains(err.Error(), "auto_scaling_group") {
		t.Errorf("plan: %v", err)
	}
}

func TestRefreshNone(t *testing.T) {
	s := newScaled(t)
	s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "refresh: none")
	s.launch()
	s.promote("web", "2.0.0")
	s.launch()
	s.settled()
	s.wantBuilds("left alone", map[string]int{"1.0.0": 2})
	s.edit(scalingFile, "refresh: none", "refresh: rolling")
	if got := summaryOf(s.plan()); got != "change auto_scaling_group.web: refresh" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.wantBuilds("refreshed later", map[string]int{"2.0.0": 2})
}

// A refresh that fails puts the old instances back, says why, and is tried again
// by the next launch.
func TestRefreshFails(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("auto_rollback ", back), func(t *testing.T) {
			s := newScaled(t)
			s.edit(scalingFile, "percentage: 50", fmt.Sprintf("percentage: 50, auto_rollback: %v", back))
			s.launch()
			s.promote("web", "2.0.0")
			s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
			_, err := s.tryLaunch(context.Background())
			became := map[bool]string{true: "was rolled back", false: "failed: "}[back]
			code := map[bool]int{true: fail.CodeClean, false: fail.CodeDirty}[back]
			if err == nil || !strings.Contains(err.Error(), became) || !strings.Contains(err.Error(), "key pair 'nobody' does not exist") || exitCode(err) != code {
				t.Errorf("error %v", err)
			}
			if back {
				s.wantBuilds("rolled back", map[string]int{"1.0.0": 2})
			}
			s.edit("topology/launch_templates/web.yaml", "key_name: nobody\n", "")
			s.launch()
			s.settled()
			s.wantBuilds("mended", map[string]int{"2.0.0": 2})
		})
	}
}

// A group whose instances cannot be launched is not waited for in vain.
func TestLaunchesFail(t *testing.T) {
	s := newScaled(t)
	s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
	_, err := s.tryLaunch(context.Background())
	if err == nil || !strings.Contains(err.Error(), "its launches fail") || !strings.Contains(err.Error(), "key pair 'nobody' does not exist") {
		t.Errorf("error %v", err)
	}
	s.destroy()
}

// A refresh that another began is followed if it goes to the same version, and
// cancelled otherwise.
func TestRefreshUnderWay(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("same version ", same), func(t *testing.T) {
			s := newScaled(t)
			s.launch()
			s.promote("web", "2.0.0")
			g := s.group()
			version := "1"
			if same {
				s.edit(scalingFile, "refresh: {min_healthy_percentage: 50}", "refresh: none")
				o := s.options()
				o.Only = []string{"launch_template.web"}
				plan, err := NewPlan(context.Background(), o)
				if err == nil {
					_, err = Apply(context.Background(), o, plan)
				}
				if err != nil {
					t.Fatal(err)
				}
				s.edit(scalingFile, "refresh: none", "refresh: {min_healthy_percentage: 50}")
				version = "2"
			}
			// Suspended, it does not go on by itself.
			suspend := func(on bool) {
				t.Helper()
				var err error
				if on {
					_, err = s.cloud.AutoScaling.SuspendProcesses(context.Background(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: []string{"InstanceRefresh"}})
				} else {
					_, err = s.cloud.AutoScaling.ResumeProcesses(context.Background(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: []string{"InstanceRefresh"}})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			suspend(true)
			_, err := s.cloud.AutoScaling.StartInstanceRefresh(context.Background(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: g.AutoScalingGroupName,
				DesiredConfiguration: &types.DesiredConfiguration{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: g.LaunchTemplate.LaunchTemplateId, Version: &version}}})
			if err != nil {
				t.Fatal(err)
			}
			o := s.options()
			seen := &resumer{do: func() { suspend(false) }}
			o.Sink = seen
			plan, err := NewPlan(context.Background(), o)
			if err == nil {
				_, err = Apply(context.Background(), o, plan)
			}
			if err != nil {
				t.Fatal(err)
			}
			s.settled()
			s.wantBuilds("refreshed", map[string]int{"2.0.0": 2})
			out, err := s.cloud.AutoScaling.DescribeInstanceRefreshes(context.Background(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: g.AutoScalingGroupName})
			if want := map[bool]int{true: 1, false: 2}[same]; err != nil || len(out.InstanceRefreshes) != want {
				t.Errorf("%d refreshes, not %d (%v)", len(out.InstanceRefreshes), want, err)
			}
		})
	}
}

// resumer does something at the first event about an instance refresh.
type resumer struct {
	events
	do   func()
	done bool
}

func (r *resumer) Emit(x event.Event) {
	r.events.Emit(x)
	if !r.done && strings.Contains(x.Message, "instance refresh") {
		r.done = true
		r.do()
	}
}

// TestScalingCallsFailOnce is TestEveryCallFailsOnce for a group: its launch, a
// refresh to a new build, and its end.
func TestScalingCallsFailOnce(t *testing.T) {
	t.Parallel()
	for _, story := range []story{
		{"launch", func(*site) {}, launchIt},
		{"refresh", func(s *site) {
			s.launch()
			s.promote("web", "2.0.0")
			s.edit(scalingFile, "min_size: 2", "min_size: 3")
		}, launchIt},
		{"destroy", func(s *site) { s.launch() }, func(ctx context.Context, s *site) error { return s.tryDestroy(ctx) }},
	} {
		t.Run(story.name, func(t *testing.T) {
			calm := newScaled(t)
			story.prepare(calm)
			calm.local.ResetCalls()
			if err := story.do(context.Background(), calm); err != nil {
				t.Fatal(err)
			}
			want := calm.shape()
			var faults []emulator.Fault
			made := map[string]int{}
			for n, call := range calm.local.Calls() {
				if made[call.Action]++; made[call.Action] > 1 || call.Service != "autoscaling" && !strings.HasSuffix(call.Action, "LaunchTemplateVersion") {
					continue // polls are alike, and calls of other kinds have their own test
				}
				for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
					faults = append(faults, emulator.Fault{Nth: n + 1, Kind: kind, Code: codeFor(kind)})
				}
			}
			t.Logf("%d faults", len(faults))
			err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
				disturbedOn(t, newScaled(t), story, want, faults[i])
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAutoScalingGroupAdopted(t *testing.T) {
	s := newSite(t, scaling())
	s.promote("web", "1.0.0")
	s.write(map[string]string{scalingFile: ""})
	s.launch()
	template, _ := s.template(t)
	subnets, err := s.cloud.EC2.DescribeSubnets(context.Background(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var zone string
	for _, n := range subnets.Subnets {
		if *n.CidrBlock == "10.0.1.0/24" {
			zone = *n.SubnetId
		}
	}
	_, err = s.cloud.AutoScaling.CreateAutoScalingGroup(context.Background(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("legacy"),
		MinSize: aws.Int32(1), MaxSize: aws.Int32(2), VPCZoneIdentifier: &zone, LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: template.LaunchTemplateId, Version: aws.String("$Latest")}})
	if err != nil {
		t.Fatal(err)
	}
	s.write(map[string]string{scalingFile: "adopt: {name: legacy}\nmax_size: 3\n"})
	if got := summaryOf(s.plan()); got != "change auto_scaling_group.web: max_size" {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	if g := s.group(); *g.MaxSize != 3 || *g.MinSize != 1 || len(g.Tags) != 0 {
		t.Errorf("adopted: %+v", g)
	}
}

func TestAutoScalingGroupDefinitions(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"no template":             {"launch_template: web\n", "", "launch_template"},
		"a template nowhere":      {"launch_template: web", "launch_template: wbe", "did you mean"},
		"too few at most":         {"max_size: 6", "max_size: 1", "min_size is 2 and max_size 1"},
		"desired beyond":          {"max_size: 6", "max_size: 6\ndesired_capacity: 7", "desired_capacity is 7"},
		"a subnet twice":          {"[a, b]", "[a, a]", "subnet a stands here twice"},
		"no subnet":               {"[a, b]", "[]", "at least one subnet"},
		"nobody to ask":           {"health_check_grace", "health_check_type: ELB\nhealth_check_grace", "no target group tells"},
		"a lifetime too short":    {"health_check_grace", "max_instance_lifetime: 60\nhealth_check_grace", "60: Auto Scaling takes 0"},
		"a policy of no kind":     {"health_check_grace", "termination_policies: [Oldest]\nhealth_check_grace", "OldestInstance"},
		"a process of no kind":    {"health_check_grace", "suspended_processes: [Lunch]\nhealth_check_grace", "Launch"},
		"a type that is none":     {"health_check_grace", "mixed_instances_policy: {overrides: [big]}\nhealth_check_grace", "\"big\" is no instance type"},
		"too far apart":           {"percentage: 50", "percentage: 50, max_healthy_percentage: 160", "more than 100"},
		"checkpoints that fall":   {"percentage: 50", "percentage: 50, checkpoint_percentages: [50, 20, 100]", "rise"},
		"checkpoints without end": {"percentage: 50", "percentage: 50, checkpoint_percentages: [50]", "end with 100"},
		"a delay without points":  {"percentage: 50", "percentage: 50, checkpoint_delay: 60", "needs checkpoint_percentages"},
		"an unknown strategy":     {"refresh: {min_healthy_percentage: 50}", "refresh: rollling", "did you mean"},
		"none, and how":           {"percentage: 50", "percentage: 50, strategy: none", "no refresh to tell"},
		"a name with a colon":     {"launch_template: web", "launch_template: web\nauto_scaling_group_name: \"a:b\"", "no colon"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, scaling())
			s.edit(scalingFile, test.old, test.new)
			_, err := s.topology()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "web.yaml:") {
				t.Errorf("error %v", err)
			}
		})
	}
}
