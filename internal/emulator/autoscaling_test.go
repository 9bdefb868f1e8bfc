package emulator

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// fleet is an Auto Scaling group over two of the default subnets.
type fleet struct {
	*testCloud
	clock    *DrivenClock
	scaling  *autoscaling.Client
	template string
	subnets  []string
}

func newFleet(t *testing.T, size int32, change func(*autoscaling.CreateAutoScalingGroupInput)) *fleet {
	t.Helper()
	c, clock := driven(t)
	f := &fleet{testCloud: c, clock: clock, scaling: autoscaling.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion))}
	f.template = newTemplate(t, c, "web")
	for _, s := range must(c.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: where("default-for-az", "true")}))(t).Subnets[:2] {
		f.subnets = append(f.subnets, *s.SubnetId)
	}
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("web"), MinSize: new(int32(0)), MaxSize: new(int32(10)), DesiredCapacity: &size,
		LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: &f.template, Version: new("1")}, VPCZoneIdentifier: new(strings.Join(f.subnets, ",")),
		Tags: []types.Tag{{Key: new("env"), Value: new("dev"), PropagateAtLaunch: new(true)}, {Key: new("owner"), Value: new("ops"), PropagateAtLaunch: new(false)}},
	}
	if change != nil {
		change(in)
	}
	must(f.scaling.CreateAutoScalingGroup(t.Context(), in))(t)
	return f
}

func (f *fleet) group(t *testing.T) types.AutoScalingGroup {
	t.Helper()
	return must(f.scaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}))(t).AutoScalingGroups[0]
}

// members are the instances of the group by their state and template version.
func (f *fleet) members(t *testing.T) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, i := range f.group(t).Instances {
		count[string(i.LifecycleState)+" "+*i.LaunchTemplate.Version]++
	}
	return count
}

// settle lets time pass until nothing changes any more, and returns how few
// instances were in service at the worst.
func (f *fleet) settle(t *testing.T) (least int) {
	t.Helper()
	least, still := 1000, 0
	for range 200 {
		before := f.members(t)
		f.clock.Advance(time.Second)
		now := f.members(t)
		for _, seen := range []map[string]int{before, now} {
			n := 0
			for state, count := range seen {
				if strings.HasPrefix(state, "InService") {
					n += count
				}
			}
			least = min(least, n)
		}
		if maps.Equal(before, now) {
			still++
		} else {
			still = 0
		}
		if still == 12 {
			return least
		}
	}
	t.Fatalf("the group does not settle: %v", f.members(t))
	return 0
}

func (f *fleet) newVersion(t *testing.T, change ec2types.RequestLaunchTemplateData) {
	t.Helper()
	must(f.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &f.template, SourceVersion: new("1"), LaunchTemplateData: &change}))(t)
}

func TestScalingGroupLife(t *testing.T) {
	f := newFleet(t, 3, nil)
	ctx := t.Context()
	f.settle(t)
	g := f.group(t)
	zones := map[string]int{}
	for _, i := range g.Instances {
		zones[*i.AvailabilityZone]++
		if i.LifecycleState != types.LifecycleStateInService || *i.HealthStatus != "Healthy" {
			t.Errorf("member %+v", i)
		}
	}
	if len(g.Instances) != 3 || len(zones) != 2 {
		t.Fatalf("%d instances over %v", len(g.Instances), zones)
	}
	victim := *g.Instances[0].InstanceId
	set := map[string]string{}
	for _, tag := range instanceNow(t, f.testCloud, victim).Tags {
		set[*tag.Key] = *tag.Value
	}
	if set[scalingTag] != "web" || set["env"] != "dev" || set["owner"] != "" || set["from"] != "template" || set[templateVersionTag] != "1" {
		t.Errorf("an instance has the tags %v", set)
	}
	must(f.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{victim}}))(t)
	f.settle(t)
	if got := f.members(t); !maps.Equal(got, map[string]int{"InService 1": 3}) {
		t.Errorf("a terminated instance is not replaced: %v", got)
	}
	must(f.scaling.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: new("web"), ScalingProcesses: []string{"Launch"}}))(t)
	must(f.scaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new("web"), DesiredCapacity: new(int32(5))}))(t)
	f.settle(t)
	if got := f.members(t); got["InService 1"] != 3 {
		t.Errorf("launched although suspended: %v", got)
	}
	must(f.scaling.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: new("web")}))(t)
	f.settle(t)
	if got := f.members(t); got["InService 1"] != 5 {
		t.Errorf("not launched: %v", got)
	}
	all := f.group(t).Instances
	id := all[0].InstanceId
	must(f.scaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: id, HealthStatus: new("Unhealthy")}))(t)
	must(f.scaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: all[1].InstanceId, ShouldDecrementDesiredCapacity: new(true)}))(t)
	f.settle(t)
	if g := f.group(t); len(g.Instances) != 4 || slices.ContainsFunc(g.Instances, func(i types.Instance) bool { return *i.InstanceId == *id }) {
		t.Errorf("after ill health: %+v", g.Instances)
	}
	if a := must(f.scaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: new("web"), MaxRecords: new(int32(3))}))(t); len(a.Activities) != 3 || a.NextToken == nil || a.Activities[0].StatusCode != types.ScalingActivityStatusCodeSuccessful {
		t.Errorf("activities %+v", a)
	}
	_, err := f.scaling.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("web")})
	wantCode(t, err, "ResourceInUse")
	must(f.scaling.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("web"), MinSize: new(int32(0)), MaxSize: new(int32(0))}))(t)
	f.group(t)
	_, err = f.scaling.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("web")})
	wantCode(t, err, "ScalingActivityInProgress")
	f.settle(t)
	must(f.scaling.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("web")}))(t)
	must(f.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &f.template}))(t)
	if left := must(f.Inventory())(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInstanceRefresh(t *testing.T) {
	pref := func(least, most int32) *types.RefreshPreferences {
		return &types.RefreshPreferences{MinHealthyPercentage: &least, MaxHealthyPercentage: &most, InstanceWarmup: new(int32(60))}
	}
	skipping := pref(50, 100)
	skipping.SkipMatching = new(true)
	points := pref(50, 100)
	points.CheckpointPercentages, points.CheckpointDelay = []int32{25, 100}, new(int32(60))
	reversed := pref(90, 100)
	reversed.AutoRollback = new(true)
	bad := ec2types.RequestLaunchTemplateData{KeyName: new("nobody")}
	for _, test := range []struct {
		name     string
		data     ec2types.RequestLaunchTemplateData
		pref     *types.RefreshPreferences
		least    int // in service all the time
		status   types.InstanceRefreshStatus
		version  string // of the group and its instances in the end
		disturbs func(t *testing.T, f *fleet)
	}{
		{"half at a time", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, pref(50, 100), 2, types.InstanceRefreshStatusSuccessful, "2", nil},
		{"launch before terminating", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, pref(100, 150), 4, types.InstanceRefreshStatusSuccessful, "2", nil},
		{"all at once", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, pref(0, 100), 0, types.InstanceRefreshStatusSuccessful, "2", nil},
		{"checkpoints", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, points, 2, types.InstanceRefreshStatusSuccessful, "2", nil},
		{"nothing to replace", ec2types.RequestLaunchTemplateData{}, skipping, 4, types.InstanceRefreshStatusSuccessful, "1", nil},
		{"what cannot be launched", bad, pref(50, 100), 2, types.InstanceRefreshStatusFailed, "1", nil},
		{"what cannot be launched, rolled back", bad, reversed, 3, types.InstanceRefreshStatusRollbackSuccessful, "1", nil},
		{"cancelled", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, pref(90, 100), 3, types.InstanceRefreshStatusCancelled, "1", func(t *testing.T, f *fleet) {
			must(f.scaling.CancelInstanceRefresh(t.Context(), &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: new("web")}))(t)
		}},
		{"rolled back", ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"}, pref(50, 100), 2, types.InstanceRefreshStatusRollbackSuccessful, "1", func(t *testing.T, f *fleet) {
			for range 3 {
				f.clock.Advance(time.Second)
				f.group(t)
			}
			must(f.scaling.RollbackInstanceRefresh(t.Context(), &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: new("web")}))(t)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(t, 4, nil)
			f.settle(t)
			version := "1"
			if test.data.InstanceType != "" || test.data.KeyName != nil {
				f.newVersion(t, test.data)
				version = "2"
			}
			start := &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: new("web"), Preferences: test.pref,
				DesiredConfiguration: &types.DesiredConfiguration{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: &f.template, Version: &version}}}
			id := must(f.scaling.StartInstanceRefresh(t.Context(), start))(t).InstanceRefreshId
			if version == "2" {
				_, err := f.scaling.StartInstanceRefresh(t.Context(), start)
				wantCode(t, err, "InstanceRefreshInProgress")
			}
			if test.disturbs != nil {
				test.disturbs(t, f)
			}
			least := f.settle(t)
			r := must(f.scaling.DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: new("web"), InstanceRefreshIds: []string{*id}}))(t).InstanceRefreshes[0]
			if r.Status != test.status || (r.StatusReason == nil) != (test.status == types.InstanceRefreshStatusSuccessful || strings.HasPrefix(test.name, "rolled")) {
				t.Errorf("status %s (%s), not %s", r.Status, deref(r.StatusReason), test.status)
			}
			if least != test.least {
				t.Errorf("at the worst %d instances were in service, not %d", least, test.least)
			}
			g := f.group(t)
			if *g.LaunchTemplate.Version != test.version || len(g.Instances) != 4 {
				t.Errorf("the group has version %s and %d instances", *g.LaunchTemplate.Version, len(g.Instances))
			}
			if got := f.members(t); test.name != "cancelled" && got["InService "+test.version] != 4 {
				t.Errorf("the instances are %v", got)
			}
		})
	}
}

// A group's instances are in its target groups while they are in service, and
// no longer.
func TestScalingTargets(t *testing.T) {
	c, clock := driven(t)
	front := newFront(t, c, elbtypes.LoadBalancerTypeEnumApplication, elbtypes.ProtocolEnumHttp, 80)
	front.listen(t, elbtypes.ProtocolEnumHttp)
	f := &fleet{testCloud: c, clock: clock, scaling: autoscaling.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion)), template: newTemplate(t, c, "web")}
	must(f.scaling.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("web"), MinSize: new(int32(2)), MaxSize: new(int32(4)), VPCZoneIdentifier: &front.subnets[0], HealthCheckType: new("ELB"),
		LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("$Latest")}, TargetGroupARNs: []string{front.group},
	}))(t)
	f.settle(t)
	healthy := func() (n int) {
		for _, d := range must(front.elb.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &front.group}))(t).TargetHealthDescriptions {
			if d.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				n++
			}
		}
		return n
	}
	if n := healthy(); n != 2 {
		t.Errorf("%d healthy targets, not 2", n)
	}
	id := *f.group(t).Instances[0].InstanceId
	must(f.scaling.EnterStandby(t.Context(), &autoscaling.EnterStandbyInput{AutoScalingGroupName: new("web"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(false)}))(t)
	f.settle(t)
	if got := f.members(t); got["Standby 1"] != 1 || got["InService 1"] != 2 || healthy() != 2 {
		t.Errorf("in standby: %v, %d healthy targets", got, healthy())
	}
	must(f.scaling.ExitStandby(t.Context(), &autoscaling.ExitStandbyInput{AutoScalingGroupName: new("web"), InstanceIds: []string{id}}))(t)
	must(f.scaling.DetachInstances(t.Context(), &autoscaling.DetachInstancesInput{AutoScalingGroupName: new("web"), InstanceIds: []string{*f.group(t).Instances[1].InstanceId}, ShouldDecrementDesiredCapacity: new(true)}))(t)
	f.settle(t)
	if got := f.members(t); got["InService 1"] != 2 || healthy() != 2 {
		t.Errorf("after a detachment: %v, %d healthy targets", got, healthy())
	}
	must(f.scaling.DetachTrafficSources(t.Context(), &autoscaling.DetachTrafficSourcesInput{AutoScalingGroupName: new("web"), TrafficSources: []types.TrafficSourceIdentifier{{Identifier: &front.group}}}))(t)
	f.settle(t)
	if n := healthy(); n != 0 {
		t.Errorf("%d healthy targets of a group without target groups", n)
	}
	must(f.scaling.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("web"), ForceDelete: new(true)}))(t)
	for range 5 {
		clock.Advance(time.Second)
		must(f.scaling.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{}))(t)
	}
	if list := must(f.scaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}))(t).AutoScalingGroups; len(list) > 0 {
		t.Errorf("the group is still there: %+v", list)
	}
}

func TestMixedInstances(t *testing.T) {
	f := newFleet(t, 5, func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.MixedInstancesPolicy = &types.MixedInstancesPolicy{
			LaunchTemplate:        &types.LaunchTemplate{LaunchTemplateSpecification: in.LaunchTemplate, Overrides: []types.LaunchTemplateOverrides{{InstanceType: new("t3.small")}, {InstanceType: new("t3.medium")}}},
			InstancesDistribution: &types.InstancesDistribution{OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(50))},
		}
		in.LaunchTemplate = nil
	})
	f.settle(t)
	count := map[string]int{}
	for _, i := range f.group(t).Instances {
		count[*i.InstanceType+" "+string(instanceNow(t, f.testCloud, *i.InstanceId).InstanceLifecycle)]++
	}
	if want := map[string]int{"t3.small ": 3, "t3.small spot": 2}; !maps.Equal(count, want) {
		t.Errorf("launched %v, not %v", count, want)
	}
}

func TestLifecycleHooks(t *testing.T) {
	f := newFleet(t, 1, func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.LifecycleHookSpecificationList = []types.LifecycleHookSpecification{{LifecycleHookName: new("ready"), LifecycleTransition: new(launching), HeartbeatTimeout: new(int32(7200))}}
	})
	f.settle(t)
	if got := f.members(t); got["Pending:Wait 1"] != 1 {
		t.Fatalf("the instance does not wait: %v", got)
	}
	must(f.scaling.CompleteLifecycleAction(t.Context(), &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: new("web"), LifecycleHookName: new("ready"),
		InstanceId: f.group(t).Instances[0].InstanceId, LifecycleActionResult: new("CONTINUE")}))(t)
	f.settle(t)
	if got := f.members(t); got["InService 1"] != 1 {
		t.Errorf("the instance does not go on: %v", got)
	}
}

// An instance waits for each hook that its group had, until each is completed, its
// time is up, or it is deleted.
func TestLifecycleActions(t *testing.T) {
	hooks := func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.LifecycleHookSpecificationList = []types.LifecycleHookSpecification{
			{LifecycleHookName: new("one"), LifecycleTransition: new(launching), HeartbeatTimeout: new(int32(600)), DefaultResult: new("CONTINUE")},
			{LifecycleHookName: new("two"), LifecycleTransition: new(launching), HeartbeatTimeout: new(int32(60)), DefaultResult: new("CONTINUE")},
		}
	}
	ready := func() *fleet {
		f := newFleet(t, 1, hooks)
		f.settle(t)
		return f
	}
	complete := func(f *fleet, hook, result string) error {
		_, err := f.scaling.CompleteLifecycleAction(t.Context(), &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: new("web"), LifecycleHookName: &hook,
			InstanceId: f.group(t).Instances[0].InstanceId, LifecycleActionResult: &result})
		return err
	}
	want := func(f *fleet, what, state string) {
		t.Helper()
		f.settle(t)
		if got := f.members(t); got[state+" 1"] != 1 {
			t.Errorf("%s: %v", what, got)
		}
	}
	f := ready()
	if err := complete(f, "one", "CONTINUE"); err != nil {
		t.Fatal(err)
	}
	want(f, "one of two", "Pending:Wait")
	wantCode(t, complete(f, "one", "CONTINUE"), "ValidationError")
	must(f.scaling.RecordLifecycleActionHeartbeat(t.Context(), &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: new("web"), LifecycleHookName: new("two"), InstanceId: f.group(t).Instances[0].InstanceId}))(t)
	if err := complete(f, "two", "CONTINUE"); err != nil {
		t.Fatal(err)
	}
	want(f, "both", "InService")

	f = ready()
	first := *f.group(t).Instances[0].InstanceId
	must(f.scaling.DeleteLifecycleHook(t.Context(), &autoscaling.DeleteLifecycleHookInput{AutoScalingGroupName: new("web"), LifecycleHookName: new("one")}))(t)
	want(f, "the hook is deleted", "Pending:Wait")
	if *f.group(t).Instances[0].InstanceId == first {
		t.Error("an instance that waited for a hook that is deleted is not abandoned")
	}

	f = ready()
	f.clock.Advance(2 * time.Minute)
	want(f, "one's time is up", "Pending:Wait")
	f.clock.Advance(10 * time.Minute)
	want(f, "both are over", "InService")
}

// A group is looked after by whichever process has the cloud open.
func TestScalingSurvives(t *testing.T) {
	dir := t.TempDir()
	var first []types.Instance
	for range 2 {
		c := newTestCloud(t, Options{Dir: dir})
		client := autoscaling.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion))
		if first == nil {
			newTemplate(t, c, "web")
			must(client.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: new("web"), MinSize: new(int32(2)), MaxSize: new(int32(2)),
				AvailabilityZones: []string{testRegion + "a"}, LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: new("web")}}))(t)
		}
		out := must(client.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}))(t)
		got := out.AutoScalingGroups[0].Instances
		if len(got) != 2 || first != nil && (*got[0].InstanceId != *first[0].InstanceId || *got[1].InstanceId != *first[1].InstanceId) {
			t.Errorf("instances %+v", got)
		}
		first = got
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScalingErrors(t *testing.T) {
	f := newFleet(t, 1, nil)
	ctx := t.Context()
	create := func(change func(*autoscaling.CreateAutoScalingGroupInput)) error {
		in := &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: new("other"), MinSize: new(int32(0)), MaxSize: new(int32(1)), VPCZoneIdentifier: &f.subnets[0],
			LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: &f.template}}
		change(in)
		_, err := f.scaling.CreateAutoScalingGroup(ctx, in)
		return err
	}
	refresh := func(p types.RefreshPreferences) error {
		_, err := f.scaling.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: new("web"), Preferences: &p})
		return err
	}
	_, unknown := f.scaling.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("nobody")})
	_, beyond := f.scaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new("web"), DesiredCapacity: new(int32(11))})
	_, filter := f.scaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: new("colour"), Values: []string{"red"}}}})
	_, idle := f.scaling.CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: new("web")})
	_, process := f.scaling.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: new("web"), ScalingProcesses: []string{"Dance"}})
	for _, test := range []struct {
		name, code string
		err        error
	}{
		{"a name twice", "AlreadyExists", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = new("web") })},
		{"no launch template", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate = nil })},
		{"a version nowhere", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate.Version = new("9") })},
		{"a subnet nowhere", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = new("subnet-0") })},
		{"nowhere at all", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = nil })},
		{"more at least than at most", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.MinSize = new(int32(2)) })},
		{"a target group nowhere", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.TargetGroupARNs = []string{"arn:aws:none"} })},
		{"a policy of no kind", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.TerminationPolicies = []string{"Any"} })},
		{"a lifetime too short", "ValidationError", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.MaxInstanceLifetime = new(int32(60)) })},
		{"what is not carried out", "UnsupportedOperation", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.PlacementGroup = new("p") })},
		{"a group nowhere", "ValidationError", unknown},
		{"too many", "ValidationError", beyond},
		{"an unknown filter", "ValidationError", filter},
		{"no refresh to cancel", "ActiveInstanceRefreshNotFound", idle},
		{"a process of no kind", "ValidationError", process},
		{"rollback to nothing stated", "ValidationError", refresh(types.RefreshPreferences{AutoRollback: new(true)})},
		{"most without least", "ValidationError", refresh(types.RefreshPreferences{MaxHealthyPercentage: new(int32(120))})},
		{"a delay without checkpoints", "ValidationError", refresh(types.RefreshPreferences{CheckpointDelay: new(int32(1))})},
	} {
		t.Run(test.name, func(t *testing.T) { wantCode(t, test.err, test.code) })
	}
}

func TestScalingWithOthers(t *testing.T) {
	c := newTestCloud(t, Options{})
	newTemplate(t, c, "web")
	url := serve(t, c.Cloud)
	awsCLI(t, url, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "web", "--min-size", "2", "--max-size", "4",
		"--availability-zones", testRegion+"a", "--launch-template", "LaunchTemplateName=web,Version=1", "--tags", "Key=env,Value=dev,PropagateAtLaunch=true")
	out := python(t, url, `
import boto3
from botocore.exceptions import ClientError
asg = boto3.client("autoscaling")
def group(): return asg.describe_auto_scaling_groups(Filters=[{"Name": "tag:env", "Values": ["dev"]}])["AutoScalingGroups"][0]
def until(f):
    while not f(): pass
until(lambda: [i["LifecycleState"] for i in group()["Instances"]] == ["InService"] * 2)
print(group()["HealthCheckType"], group()["Tags"][0]["ResourceId"], group()["Instances"][0]["LaunchTemplate"]["Version"])
r = asg.start_instance_refresh(AutoScalingGroupName="web", Preferences={"MinHealthyPercentage": 50})["InstanceRefreshId"]
refresh = lambda: asg.describe_instance_refreshes(AutoScalingGroupName="web", InstanceRefreshIds=[r])["InstanceRefreshes"][0]
until(lambda: refresh()["Status"] == "Successful")
print(refresh()["PercentageComplete"], refresh()["InstancesToUpdate"])
try:
    asg.delete_auto_scaling_group(AutoScalingGroupName="web")
except ClientError as e:
    print(e.response["Error"]["Code"])
asg.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
until(lambda: not asg.describe_auto_scaling_groups()["AutoScalingGroups"])
`)
	if want := "EC2 web 1\n100 0\nResourceInUse\n"; out != want {
		t.Errorf("boto3 saw:\n%s\nnot:\n%s", out, want)
	}
}
