package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type autoScalingAPI interface {
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	CreateAutoScalingGroup(context.Context, *autoscaling.CreateAutoScalingGroupInput, ...func(*autoscaling.Options)) (*autoscaling.CreateAutoScalingGroupOutput, error)
	UpdateAutoScalingGroup(context.Context, *autoscaling.UpdateAutoScalingGroupInput, ...func(*autoscaling.Options)) (*autoscaling.UpdateAutoScalingGroupOutput, error)
	DeleteAutoScalingGroup(context.Context, *autoscaling.DeleteAutoScalingGroupInput, ...func(*autoscaling.Options)) (*autoscaling.DeleteAutoScalingGroupOutput, error)
	CreateOrUpdateTags(context.Context, *autoscaling.CreateOrUpdateTagsInput, ...func(*autoscaling.Options)) (*autoscaling.CreateOrUpdateTagsOutput, error)
	DescribeScalingActivities(context.Context, *autoscaling.DescribeScalingActivitiesInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error)
}

type autoScalingGroupSpec struct {
	AutoScalingGroupName             string              `yaml:"auto_scaling_group_name" doc:"The group's name in the region." default:"PROJECT-ENVIRONMENT-NAME" change:"replaces"`
	LaunchTemplate                   string              `yaml:"launch_template" ref:"launch_template" attribute:"versioned_id" required:"true" doc:"What its instances are launched with: always the default version."`
	MinSize                          *int                `yaml:"min_size" min:"0" required:"true" doc:"How many instances it has at least."`
	MaxSize                          *int                `yaml:"max_size" min:"0" required:"true" doc:"How many it has at most."`
	DesiredCapacity                  *int                `yaml:"desired_capacity" min:"0" doc:"How many it should have. Where it is left out it begins with min_size, and scaling policies own it."`
	Subnets                          []string            `yaml:"subnets" ref:"subnet" required:"true" doc:"The subnets of one VPC that the instances are spread over."`
	TargetGroups                     []string            `yaml:"target_groups" ref:"target_group" doc:"The target groups that the instances are registered in."`
	AlternateTargetGroups            []string            `yaml:"alternate_target_groups" ref:"target_group" doc:"With the roll-out strategy BlueGreen: for each of target_groups another like it, which nothing else uses. Groups take turns with them, and the roll-out shifts the weights of listeners and rules that forward to target_groups."`
	HealthCheckType                  string              `yaml:"health_check_type" enum:"EC2,ELB" doc:"Whether an instance that its target groups call unhealthy is replaced, too." default:"EC2"`
	HealthCheckGracePeriod           *int                `yaml:"health_check_grace_period" min:"0" doc:"How many seconds a new instance is not checked." default:"0"`
	DefaultCooldown                  *int                `yaml:"default_cooldown" min:"0" doc:"How many seconds lie between two simple scalings." default:"300"`
	DefaultInstanceWarmup            *int                `yaml:"default_instance_warmup" min:"0" doc:"After how many seconds in service an instance counts." default:"none"`
	MaxInstanceLifetime              *int                `yaml:"max_instance_lifetime" doc:"After how many seconds an instance is replaced: 86400 to 31536000, or 0 for never." default:"0"`
	TerminationPolicies              []string            `yaml:"termination_policies" enum:"AllocationStrategy,ClosestToNextInstanceHour,Default,NewestInstance,OldestInstance,OldestLaunchConfiguration,OldestLaunchTemplate" doc:"Which instance goes first when there are too many." default:"[Default]"`
	SuspendedProcesses               []string            `yaml:"suspended_processes" enum:"Launch,Terminate,AddToLoadBalancer,AlarmNotification,AZRebalance,HealthCheck,InstanceRefresh,ReplaceUnhealthy,ScheduledActions" doc:"What the group does not do by itself; [] for nothing. Where it is left out, whoever suspends a process owns it."`
	CapacityRebalance                *bool               `yaml:"capacity_rebalance" doc:"Whether spot instances at risk are replaced before they are interrupted." default:"false"`
	NewInstancesProtectedFromScaleIn *bool               `yaml:"new_instances_protected_from_scale_in" doc:"Whether scaling in leaves new instances alone." default:"false"`
	MixedInstancesPolicy             *mixedInstancesSpec `yaml:"mixed_instances_policy" doc:"Several instance types, on demand and spot."`
	Refresh                          *refreshSpec        `yaml:"refresh" doc:"How running instances take up a new version of the launch template; none leaves them." default:"rolling"`
}

type autoScalingGroups struct{}

func (autoScalingGroups) api(c *cloud.Cloud) autoScalingAPI { return c.AutoScaling }

func (autoScalingGroups) about() project.Kind {
	return project.Kind{
		Name: "auto_scaling_group", Doc: "Instances of a launch template, as many as are wanted, replaced when they fail and when the template changes.",
		Attributes: []string{"id", "arn", "name"}, Rolls: true,
	}
}

// groupPage is the largest page of groups that Auto Scaling gives.
const groupPage = 100

func (k autoScalingGroups) list(ctx context.Context, q query) ([]types.AutoScalingGroup, error) {
	in := &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(groupPage)}
	for _, f := range q.filters {
		in.Filters = append(in.Filters, types.Filter{Name: f.Name, Values: f.Values})
	}
	var all []types.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(k.api(q.cloud), in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, q.unlessUnused(err, "auto_scaling_group")
		}
		all = append(all, page.AutoScalingGroups...)
	}
	return all, nil
}

func (autoScalingGroups) read(g types.AutoScalingGroup) state {
	name := aws.ToString(g.AutoScalingGroupName)
	s := state{
		id: name, tags: map[string]string{}, uses: slices.Concat(groupSubnets(g), g.TargetGroupARNs),
		attributes: map[string]string{"arn": aws.ToString(g.AutoScalingGroupARN), "name": name},
	}
	for _, t := range g.Tags {
		s.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	for _, spec := range templatesOf(g) {
		s.uses = append(s.uses, aws.ToString(spec.LaunchTemplateId))
	}
	if subnets := groupSubnets(g); len(subnets) > 0 {
		s.launchesIn = subnets[0]
	}
	return s
}

func groupSubnets(g types.AutoScalingGroup) []string {
	var all []string
	for id := range strings.SplitSeq(aws.ToString(g.VPCZoneIdentifier), ",") {
		if id = strings.TrimSpace(id); id != "" {
			all = append(all, id)
		}
	}
	return all
}

func (k autoScalingGroups) compare(w want[autoScalingGroupSpec], g types.AutoScalingGroup) (d differences) {
	s := w.spec
	if s.AutoScalingGroupName != "" {
		d.fixed("auto_scaling_group_name", aws.ToString(g.AutoScalingGroupName), s.AutoScalingGroupName, "")
	}
	if w.blueGreen() != nil && !sameConfiguration(g, groupOf(s.configuration())) {
		have := versionedID(mainTemplate(g))
		why := fmt.Sprintf("launch_template: %s -> %s, blue-green beside %s%s", have, s.LaunchTemplate, aws.ToString(g.AutoScalingGroupName), inTheWay(w, g))
		return append(d, difference{path: "launch_template", old: have, new: s.LaunchTemplate, replace: why})
	}
	d.set("launch_template", launched(w.Adopt != nil, mainTemplate(g), s.LaunchTemplate), s.LaunchTemplate)
	for _, n := range s.numbers() {
		if n.want != nil {
			d.set(n.path, numberText(n.have(g)), fmt.Sprint(*n.want))
		}
	}
	if !w.leaves("subnets") {
		d.set("subnets", sortedList(groupSubnets(g)), sortedList(s.Subnets))
	}
	if !w.leaves("target_groups") {
		d.set("target_groups", sortedList(g.TargetGroupARNs), sortedList(s.wantedTargets(g)))
	}
	if s.HealthCheckType != "" {
		d.set("health_check_type", aws.ToString(g.HealthCheckType), s.HealthCheckType)
	}
	if s.TerminationPolicies != nil {
		d.set("termination_policies", strings.Join(g.TerminationPolicies, ", "), strings.Join(s.TerminationPolicies, ", "))
	}
	if w.States("suspended_processes") {
		d.set("suspended_processes", sortedList(suspendedIn(g)), sortedList(s.SuspendedProcesses))
	}
	d.flag("capacity_rebalance", aws.ToBool(g.CapacityRebalance), s.CapacityRebalance)
	d.flag("new_instances_protected_from_scale_in", aws.ToBool(g.NewInstancesProtectedFromScaleIn), s.NewInstancesProtectedFromScaleIn)
	s.MixedInstancesPolicy.compare(&d, w.Adopt != nil, g.MixedInstancesPolicy)
	compareRefresh(&d, w, g)
	compareGate(&d, g)
	compareTraffic(&d, w, g)
	return d
}

// groupNumber is a number of a group: where it stands, and what a definition
// says.
type groupNumber struct {
	path string
	want *int
	have func(types.AutoScalingGroup) *int32
	set  func(*autoscaling.UpdateAutoScalingGroupInput, *int32)
}

func (s *autoScalingGroupSpec) numbers() []groupNumber {
	type in = autoscaling.UpdateAutoScalingGroupInput
	type group = types.AutoScalingGroup
	return []groupNumber{
		{"min_size", s.MinSize, func(g group) *int32 { return g.MinSize }, func(i *in, n *int32) { i.MinSize = n }},
		{"max_size", s.MaxSize, func(g group) *int32 { return g.MaxSize }, func(i *in, n *int32) { i.MaxSize = n }},
		{"desired_capacity", s.DesiredCapacity, func(g group) *int32 { return g.DesiredCapacity }, func(i *in, n *int32) { i.DesiredCapacity = n }},
		{"health_check_grace_period", s.HealthCheckGracePeriod, func(g group) *int32 { return g.HealthCheckGracePeriod }, func(i *in, n *int32) { i.HealthCheckGracePeriod = n }},
		{"default_cooldown", s.DefaultCooldown, func(g group) *int32 { return g.DefaultCooldown }, func(i *in, n *int32) { i.DefaultCooldown = n }},
		{"default_instance_warmup", s.DefaultInstanceWarmup, func(g group) *int32 { return g.DefaultInstanceWarmup }, func(i *in, n *int32) { i.DefaultInstanceWarmup = n }},
		{"max_instance_lifetime", s.MaxInstanceLifetime, lifetimeOf, func(i *in, n *int32) { i.MaxInstanceLifetime = n }},
	}
}

// lifetimeOf: AWS says nothing of a lifetime that was never limited.
func lifetimeOf(g types.AutoScalingGroup) *int32 {
	return aws.Int32(aws.ToInt32(g.MaxInstanceLifetime))
}

// excludes: a name is taken once in the region.
func (autoScalingGroups) excludes(w want[autoScalingGroupSpec], g types.AutoScalingGroup) bool {
	name := w.spec.AutoScalingGroupName
	if name == "" && (autoScalingGroups{}).read(g).tags[tags.UUID] == w.UUID {
		return false // each generation has a name of its own
	}
	if name == "" {
		name = resourceName(w.world.Project, w.world.environment, w.Resource, 1, maxScalingName)
	}
	return aws.ToString(g.AutoScalingGroupName) == name
}

// staysWithGroup are the tags that instances do not get: what belongs to the group
// alone.
var staysWithGroup = []string{tags.UUID, tags.Generation, tags.KeepUntil, tags.Revived, tags.Run, tags.Protect, tags.Gate}

func scalingTags(name string, set map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range tags.Keys(set) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(set[key]), ResourceId: aws.String(name), ResourceType: aws.String("auto-scaling-group"),
			PropagateAtLaunch: aws.Bool(!has(staysWithGroup, key))})
	}
	return list
}

func (k autoScalingGroups) retag(ctx context.Context, c *cloud.Cloud, have []types.AutoScalingGroup, set map[string]string) error {
	var list []types.Tag
	for _, g := range have {
		list = append(list, scalingTags(aws.ToString(g.AutoScalingGroupName), set)...)
	}
	_, err := k.api(c).CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: list})
	return err
}
