package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// groupStateAPI is what a group is told beside what an update takes.
type groupStateAPI interface {
	AttachLoadBalancerTargetGroups(context.Context, *autoscaling.AttachLoadBalancerTargetGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.AttachLoadBalancerTargetGroupsOutput, error)
	DetachLoadBalancerTargetGroups(context.Context, *autoscaling.DetachLoadBalancerTargetGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DetachLoadBalancerTargetGroupsOutput, error)
	SuspendProcesses(context.Context, *autoscaling.SuspendProcessesInput, ...func(*autoscaling.Options)) (*autoscaling.SuspendProcessesOutput, error)
	ResumeProcesses(context.Context, *autoscaling.ResumeProcessesInput, ...func(*autoscaling.Options)) (*autoscaling.ResumeProcessesOutput, error)
}

const (
	// groupDeadline is how long a group may take to have its instances in
	// service, and to let go of them: draining alone takes five minutes by default.
	groupDeadline = 20 * time.Minute
	// newGroup is for how long a group is waited for that lacks instances although
	// its definition has not changed: the launch that made it was interrupted.
	newGroup = time.Hour
	// failedLaunches in a row end the wait for a group's instances.
	failedLaunches = 3
	// maxTargetGroups is how many one call attaches or detaches.
	maxTargetGroups = 10
)

func (k autoScalingGroups) create(ctx context.Context, t *task, w want[autoScalingGroupSpec]) (types.AutoScalingGroup, error) {
	if t.old != nil && w.blueGreen() != nil && len(t.pairsOf(w.UUID)) > 0 {
		return k.successor(ctx, t, w)
	}
	return k.make(ctx, t, w.Resource, w.spec)
}

func (k autoScalingGroups) make(ctx context.Context, t *task, r *project.Resource, s *autoScalingGroupSpec) (types.AutoScalingGroup, error) {
	name := s.AutoScalingGroupName
	if name == "" {
		name = t.name(r, maxScalingName)
	}
	set := t.birthSet()
	if t.generation > 1 {
		set[tags.Generation] = strconv.Itoa(t.generation)
	}
	sizes := &autoscaling.UpdateAutoScalingGroupInput{}
	for _, n := range s.numbers() {
		n.set(sizes, optionalNumber(n.want))
	}
	config := s.configuration()
	_, err := k.api(t.Cloud).CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(name), LaunchTemplate: config.LaunchTemplate, MixedInstancesPolicy: config.MixedInstancesPolicy,
		MinSize: sizes.MinSize, MaxSize: sizes.MaxSize, DesiredCapacity: sizes.DesiredCapacity, DefaultCooldown: sizes.DefaultCooldown,
		HealthCheckGracePeriod: sizes.HealthCheckGracePeriod, DefaultInstanceWarmup: sizes.DefaultInstanceWarmup, MaxInstanceLifetime: sizes.MaxInstanceLifetime,
		HealthCheckType: optional(s.HealthCheckType), VPCZoneIdentifier: aws.String(strings.Join(s.Subnets, ",")), TargetGroupARNs: s.TargetGroups,
		TerminationPolicies: s.TerminationPolicies, CapacityRebalance: s.CapacityRebalance, NewInstancesProtectedFromScaleIn: s.NewInstancesProtectedFromScaleIn,
		Tags: scalingTags(name, set),
	})
	if err != nil && !cloud.AlreadyExists(err) {
		return types.AutoScalingGroup{}, err
	}
	if err == nil {
		t.begun = name
	}
	made, found, lookErr := k.byName(ctx, t, name)
	switch {
	case lookErr != nil:
		return types.AutoScalingGroup{}, errors.Join(err, lookErr)
	case err != nil && (!found || k.read(made).tags[tags.UUID] != t.uuid):
		return types.AutoScalingGroup{}, taken(err, "auto scaling group", name)
	case !found: // not yet
		made = types.AutoScalingGroup{AutoScalingGroupName: aws.String(name), Tags: describedTags(scalingTags(name, set)), LaunchTemplate: config.LaunchTemplate,
			MixedInstancesPolicy: config.MixedInstancesPolicy, VPCZoneIdentifier: aws.String(strings.Join(s.Subnets, ",")), TargetGroupARNs: s.TargetGroups}
	}
	return made, nil
}

func describedTags(list []types.Tag) (all []types.TagDescription) {
	for _, t := range list {
		all = append(all, types.TagDescription{Key: t.Key, Value: t.Value})
	}
	return all
}

// byName finds a group by its name.
func (k autoScalingGroups) byName(ctx context.Context, t *task, name string) (types.AutoScalingGroup, bool, error) {
	out, err := k.api(t.Cloud).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil || len(out.AutoScalingGroups) == 0 {
		return types.AutoScalingGroup{}, false, err
	}
	return out.AutoScalingGroups[0], true, nil
}

func (k autoScalingGroups) update(ctx context.Context, t *task, w want[autoScalingGroupSpec], g types.AutoScalingGroup, d differences) error {
	if d.has("target_groups") {
		if err := k.retarget(ctx, t, g, w.spec.wantedTargets(g)); err != nil {
			return err
		}
	}
	if d.has("suspended_processes") {
		if err := k.suspend(ctx, t, g, w.spec.SuspendedProcesses); err != nil {
			return err
		}
	}
	if in, any := changes(w.spec, g, d); any {
		if _, err := k.api(t.Cloud).UpdateAutoScalingGroup(ctx, in); err != nil {
			return err
		}
	}
	if d.has(gateLeft) {
		left := &gate{k: k, t: t, group: aws.ToString(g.AutoScalingGroupName), opened: true}
		if err := left.shut(ctx, true); err != nil {
			return err
		}
	}
	if d.has("refresh") {
		if err := k.refresh(ctx, t, w, g, d.about("launch_template", "mixed_instances_policy", "refresh")); err != nil {
			return err
		}
	}
	if d.has(traffic) {
		return k.takeOver(ctx, t, w, g)
	}
	return nil
}

// changes are what an update of the group carries. What its instances are
// launched with comes with the refresh, where there is one.
func changes(s *autoScalingGroupSpec, g types.AutoScalingGroup, d differences) (in *autoscaling.UpdateAutoScalingGroupInput, any bool) {
	in = &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName}
	change := func(path string, set func()) {
		if d.below(path) {
			set()
			any = true
		}
	}
	for _, n := range s.numbers() {
		change(n.path, func() { n.set(in, optionalNumber(n.want)) })
	}
	change("subnets", func() { in.VPCZoneIdentifier = aws.String(strings.Join(s.Subnets, ",")) })
	change("health_check_type", func() { in.HealthCheckType = aws.String(s.HealthCheckType) })
	change("termination_policies", func() { in.TerminationPolicies = s.TerminationPolicies })
	change("capacity_rebalance", func() { in.CapacityRebalance = s.CapacityRebalance })
	change("new_instances_protected_from_scale_in", func() { in.NewInstancesProtectedFromScaleIn = s.NewInstancesProtectedFromScaleIn })
	if !d.has("refresh") {
		config := s.configuration()
		launches := func() {
			in.LaunchTemplate, in.MixedInstancesPolicy = config.LaunchTemplate, config.MixedInstancesPolicy
		}
		change("launch_template", launches)
		change("mixed_instances_policy", launches)
	}
	return in, any
}

func (autoScalingGroups) stateAPI(c *cloud.Cloud) groupStateAPI { return c.AutoScaling }

// retarget attaches the target groups that are missing before it detaches
// those that are too many.
func (k autoScalingGroups) retarget(ctx context.Context, t *task, g types.AutoScalingGroup, wanted []string) error {
	add := slices.DeleteFunc(slices.Clone(wanted), func(arn string) bool { return has(g.TargetGroupARNs, arn) })
	drop := slices.DeleteFunc(slices.Clone(g.TargetGroupARNs), func(arn string) bool { return has(wanted, arn) })
	err := cloud.Batches(add, maxTargetGroups, func(arns []string) error {
		_, err := k.stateAPI(t.Cloud).AttachLoadBalancerTargetGroups(ctx, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g.AutoScalingGroupName, TargetGroupARNs: arns})
		return err
	})
	if err != nil {
		return fmt.Errorf("attach target groups: %w", err)
	}
	err = cloud.Batches(drop, maxTargetGroups, func(arns []string) error {
		_, err := k.stateAPI(t.Cloud).DetachLoadBalancerTargetGroups(ctx, &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g.AutoScalingGroupName, TargetGroupARNs: arns})
		return err
	})
	if err != nil {
		return fmt.Errorf("detach target groups: %w", err)
	}
	return nil
}

func suspendedIn(g types.AutoScalingGroup) []string {
	var names []string
	for _, p := range g.SuspendedProcesses {
		names = append(names, aws.ToString(p.ProcessName))
	}
	return names
}

func (k autoScalingGroups) suspend(ctx context.Context, t *task, g types.AutoScalingGroup, wanted []string) error {
	now := suspendedIn(g)
	add := slices.DeleteFunc(slices.Clone(wanted), func(p string) bool { return has(now, p) })
	drop := slices.DeleteFunc(slices.Clone(now), func(p string) bool { return has(wanted, p) })
	if len(add) > 0 {
		if _, err := k.stateAPI(t.Cloud).SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: add}); err != nil {
			return fmt.Errorf("suspend processes: %w", err)
		}
	}
	if len(drop) > 0 {
		if _, err := k.stateAPI(t.Cloud).ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: drop}); err != nil {
			return fmt.Errorf("resume processes: %w", err)
		}
	}
	return nil
}

// inService counts the instances of a group that are, and well.
func inService(g types.AutoScalingGroup) (n int) {
	for _, i := range g.Instances {
		if i.LifecycleState == types.LifecycleStateInService && aws.ToString(i.HealthStatus) == "Healthy" {
			n++
		}
	}
	return n
}

// complete tells whether a group has what it should have, or does not try.
func complete(g types.AutoScalingGroup) bool {
	return inService(g) >= int(aws.ToInt32(g.DesiredCapacity)) || has(suspendedIn(g), "Launch")
}

// fresh: a group that has been there for long may lack an instance now and then.
func (autoScalingGroups) fresh(g types.AutoScalingGroup) bool {
	return !complete(g) && time.Since(aws.ToTime(g.CreatedTime)) < newGroup
}

// settle waits until a group has its instances in service. Launches that fail
// one after the other end the wait, with what EC2 said.
func (k autoScalingGroups) settle(ctx context.Context, t *task, g types.AutoScalingGroup) (types.AutoScalingGroup, error) {
	name := aws.ToString(g.AutoScalingGroupName)
	return t.Cloud.ScalingGroups.Wait(ctx, cloud.Wait[types.AutoScalingGroup]{
		ID: name, For: "the instances of " + name, Deadline: groupDeadline, Progress: t.waiting("instances"),
		Show: func(g types.AutoScalingGroup) string {
			return fmt.Sprintf("%d of %d in service", inService(g), aws.ToInt32(g.DesiredCapacity))
		},
		Done: func(g types.AutoScalingGroup, found bool) (bool, error) {
			if !found || complete(g) {
				return found, nil
			}
			if slices.ContainsFunc(g.Instances, func(i types.Instance) bool { return i.LifecycleState != types.LifecycleStateInService }) {
				return false, nil // something is under way
			}
			return false, k.failing(ctx, t, name)
		},
	})
}

// failing is the error of a group whose launches fail.
func (k autoScalingGroups) failing(ctx context.Context, t *task, name string) error {
	out, err := k.api(t.Cloud).DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(failedLaunches)})
	if err != nil {
		return fmt.Errorf("describe the scaling activities: %w", err)
	}
	for _, a := range out.Activities {
		if a.StatusCode != types.ScalingActivityStatusCodeFailed {
			return nil
		}
	}
	if len(out.Activities) < failedLaunches {
		return nil
	}
	return fail.WithHint(fmt.Errorf("its launches fail: %s", aws.ToString(out.Activities[0].StatusMessage)), "mend what EC2 says, and run the same command again")
}

// remove deletes a group with its instances, and waits for both: what the
// instances use can only be removed after them.
func (k autoScalingGroups) remove(ctx context.Context, t *task, have types.AutoScalingGroup) error {
	name := aws.ToString(have.AutoScalingGroupName)
	g, found, err := k.byName(ctx, t, name)
	if err != nil || !found {
		return err
	}
	err = t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: have.AutoScalingGroupName, ForceDelete: aws.Bool(true)})
		return err
	})
	if err != nil {
		// The code is the one of any wrong parameter: whether it is gone already
		// only a look can tell.
		if _, found, lookErr := k.byName(ctx, t, name); lookErr != nil || found {
			return err
		}
	}
	if err := k.ended(ctx, t, g.Instances); err != nil {
		return err
	}
	_, err = t.Cloud.ScalingGroups.Wait(ctx, cloud.Wait[types.AutoScalingGroup]{
		ID: name, For: name + " to be gone", Deadline: groupDeadline, Progress: t.waiting("delete"),
		Show: func(g types.AutoScalingGroup) string { return fmt.Sprintf("%d instances left", len(g.Instances)) },
		Done: func(_ types.AutoScalingGroup, found bool) (bool, error) { return !found, nil },
	})
	return err
}

// ended waits until the instances of a group are terminated.
func (autoScalingGroups) ended(ctx context.Context, t *task, list []types.Instance) error {
	return graph.Each(ctx, 0, len(list), func(ctx context.Context, i int) error {
		id := aws.ToString(list[i].InstanceId)
		_, err := t.Cloud.Instances.Wait(ctx, cloud.Wait[ec2types.Instance]{
			ID: id, For: id + " to be terminated", Deadline: groupDeadline,
			Done: func(i ec2types.Instance, found bool) (bool, error) {
				return !found || stateOf(i) == ec2types.InstanceStateNameTerminated, nil
			},
			Show: func(i ec2types.Instance) string { return string(stateOf(i)) },
		})
		return err
	})
}
