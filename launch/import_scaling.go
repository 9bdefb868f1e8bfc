package launch

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// express leaves the desired capacity out: scaling policies own it.
func (autoScalingGroups) express(x *expression, g types.AutoScalingGroup) autoScalingGroupSpec {
	s := autoScalingGroupSpec{
		LaunchTemplate: x.template("launch_template", mainTemplate(g)), Subnets: x.refs("subnets", groupSubnets(g)), TargetGroups: x.refs("target_groups", g.TargetGroupARNs),
		MinSize: whole(g.MinSize, -1), MaxSize: whole(g.MaxSize, -1), HealthCheckGracePeriod: whole(g.HealthCheckGracePeriod, 0), DefaultCooldown: whole(g.DefaultCooldown, 300),
		DefaultInstanceWarmup: whole(g.DefaultInstanceWarmup, -1), MaxInstanceLifetime: whole(g.MaxInstanceLifetime, 0),
		CapacityRebalance: ifOn(g.CapacityRebalance), NewInstancesProtectedFromScaleIn: ifOn(g.NewInstancesProtectedFromScaleIn),
	}
	if mainTemplate(g) == nil {
		x.leave("launch_template", "it launches from a launch configuration, which Goldline does not know")
	}
	switch kind := aws.ToString(g.HealthCheckType); {
	case kind == "EC2", kind == "ELB" && len(s.TargetGroups) > 0:
		s.HealthCheckType = kind
	case kind != "":
		x.leave("health_check_type", "%s cannot be said", kind)
	}
	if !slices.Equal(g.TerminationPolicies, []string{"Default"}) {
		s.TerminationPolicies = x.within("termination_policies", g.TerminationPolicies)
	}
	s.SuspendedProcesses = x.within("suspended_processes", suspendedIn(g))
	if len(g.LoadBalancerNames) > 0 {
		x.leave("target_groups", "it registers its instances with classic load balancers, too")
	}
	s.MixedInstancesPolicy = x.mixed(s, g.MixedInstancesPolicy)
	return s
}

// with are the target groups that it fills.
func (autoScalingGroups) with(g types.AutoScalingGroup) []string { return g.TargetGroupARNs }

// whole is a number as a definition gives it, nil where it is the usual one.
func whole(n *int32, usual int) *int {
	if n == nil || int(*n) == usual {
		return nil
	}
	return aws.Int(int(*n))
}

func ifOn(on *bool) *bool {
	if !aws.ToBool(on) {
		return nil
	}
	return on
}

// within is a list of words, or nil with a note where a definition does not know
// one of them.
func (x *expression) within(path string, list []string) []string {
	for _, word := range list {
		if !has(project.Enum(&autoScalingGroupSpec{}, path), word) {
			x.leave(path, "%s cannot be said", word)
			return nil
		}
	}
	return slices.Clone(list)
}

// template is the launch template that a group uses, in a version that a
// definition can state: the latest.
func (x *expression) template(path string, t *types.LaunchTemplateSpecification) string {
	if t == nil {
		return ""
	}
	name := x.ref(path, t.LaunchTemplateId)
	if name == "" {
		return ""
	}
	if latest := x.byID[aws.ToString(t.LaunchTemplateId)].attributes["versioned_id"]; latest != versionedID(t) && aws.ToString(t.Version) != latestVersion {
		x.leave(path, "it launches version %s of %s, and a definition means the latest", aws.ToString(t.Version), name)
		return ""
	}
	return name
}

// mixed is a policy of several instance types, or nil with a note for one that a
// definition cannot say.
func (x *expression) mixed(s autoScalingGroupSpec, p *types.MixedInstancesPolicy) *mixedInstancesSpec {
	const path = "mixed_instances_policy"
	if p == nil {
		return nil
	}
	m := &mixedInstancesSpec{}
	if p.LaunchTemplate != nil {
		for _, o := range p.LaunchTemplate.Overrides {
			override := overrideSpec{InstanceType: aws.ToString(o.InstanceType), LaunchTemplate: x.template(path, o.LaunchTemplateSpecification)}
			if override.InstanceType == "" || o.WeightedCapacity != nil || o.LaunchTemplateSpecification != nil && override.LaunchTemplate == "" {
				x.leave(path, "its overrides cannot be said")
				return nil
			}
			m.Overrides = append(m.Overrides, override)
		}
	}
	if s.LaunchTemplate == "" {
		x.leave(path, "it goes with the launch template")
		return nil
	}
	d := p.InstancesDistribution
	if d == nil {
		return m
	}
	m.OnDemandBaseCapacity, m.OnDemandPercentageAboveBaseCapacity = whole(d.OnDemandBaseCapacity, -1), whole(d.OnDemandPercentageAboveBaseCapacity, -1)
	m.OnDemandAllocationStrategy, m.SpotAllocationStrategy, m.SpotMaxPrice = aws.ToString(d.OnDemandAllocationStrategy), aws.ToString(d.SpotAllocationStrategy), aws.ToString(d.SpotMaxPrice)
	return m
}
