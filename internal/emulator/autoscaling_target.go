package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// A group keeps its instances registered in target groups. AWS calls these
// traffic sources, too, of the type elbv2.

func (s *scalingService) addTargets() {
	scalingOn(s, "AttachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs", func(c apiCall, in *autoscaling.AttachLoadBalancerTargetGroupsInput) (*autoscaling.AttachLoadBalancerTargetGroupsOutput, error) {
		return &autoscaling.AttachLoadBalancerTargetGroupsOutput{}, s.attachTargets(c, in.AutoScalingGroupName, in.TargetGroupARNs)
	})
	scalingOn(s, "DetachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs", func(c apiCall, in *autoscaling.DetachLoadBalancerTargetGroupsInput) (*autoscaling.DetachLoadBalancerTargetGroupsOutput, error) {
		return &autoscaling.DetachLoadBalancerTargetGroupsOutput{}, s.detachTargets(c, in.AutoScalingGroupName, in.TargetGroupARNs)
	})
	scalingOn(s, "AttachTrafficSources", "AutoScalingGroupName TrafficSources.*", func(c apiCall, in *autoscaling.AttachTrafficSourcesInput) (*autoscaling.AttachTrafficSourcesOutput, error) {
		return &autoscaling.AttachTrafficSourcesOutput{}, s.attachTargets(c, in.AutoScalingGroupName, sourcesOf(in.TrafficSources))
	})
	scalingOn(s, "DetachTrafficSources", "AutoScalingGroupName TrafficSources.*", func(c apiCall, in *autoscaling.DetachTrafficSourcesInput) (*autoscaling.DetachTrafficSourcesOutput, error) {
		return &autoscaling.DetachTrafficSourcesOutput{}, s.detachTargets(c, in.AutoScalingGroupName, sourcesOf(in.TrafficSources))
	})
	scalingOn(s, "DescribeLoadBalancerTargetGroups", "AutoScalingGroupName MaxRecords NextToken", s.describeTargets)
	scalingOn(s, "DescribeTrafficSources", "AutoScalingGroupName TrafficSourceType MaxRecords NextToken", s.describeSources)
}

func sourcesOf(list []types.TrafficSourceIdentifier) []string {
	var arns []string
	for _, t := range list {
		arns = append(arns, deref(t.Identifier))
	}
	return arns
}

// attachTarget adds a target group to a group that is not kept yet.
func (s *scalingService) attachTarget(c apiCall, row *scalingRow, arn string) error {
	if _, ok := s.cloud.elb.groups.get(c.w, arn); !ok {
		return refuse("ValidationError", "Provided Target Groups may not be valid. Please ensure they exist and try again.")
	}
	if !slices.Contains(row.Group.TargetGroupARNs, arn) {
		row.Group.TargetGroupARNs = append(slices.Clone(row.Group.TargetGroupARNs), arn)
		row.Group.TrafficSources = append(slices.Clone(row.Group.TrafficSources), types.TrafficSourceIdentifier{Identifier: &arn, Type: new("elbv2")})
	}
	return nil
}

func (s *scalingService) attachTargets(c apiCall, name *string, arns []string) error {
	row, err := s.standing(c.w, name)
	for _, arn := range arns {
		if err == nil {
			err = s.attachTarget(c, &row, arn)
		}
	}
	if err == nil {
		s.groups.put(c.w, row.name(), row)
	}
	return err
}

func (s *scalingService) detachTargets(c apiCall, name *string, arns []string) error {
	row, err := s.group(c.w, name)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		if !slices.Contains(row.Group.TargetGroupARNs, arn) {
			return refuse("ValidationError", "Trying to remove Target Groups that are not part of the group")
		}
		row.Group.TargetGroupARNs = keep(row.Group.TargetGroupARNs, func(have string) bool { return have != arn })
		row.Group.TrafficSources = keep(row.Group.TrafficSources, func(t types.TrafficSourceIdentifier) bool { return *t.Identifier != arn })
		for _, m := range s.of(c.w, row.name()) {
			s.deregister(c, arn, m.ID)
		}
	}
	s.groups.put(c.w, row.name(), row)
	return nil
}

func (s *scalingService) deregister(c apiCall, arn, instance string) {
	_, _ = s.cloud.elb.deregisterTargets(c, &elb.DeregisterTargetsInput{TargetGroupArn: &arn,
		Targets: []elbtypes.TargetDescription{{Id: &instance}}}) // a group that is gone has no targets left
}

// register keeps an instance in service registered wherever its group says so.
func (s *scalingService) register(c apiCall, row scalingRow, instance string) {
	if row.suspended("AddToLoadBalancer") {
		return
	}
	for _, arn := range row.Group.TargetGroupARNs {
		if len(s.targetsOf(c.w, arn, instance)) == 0 {
			_, _ = s.cloud.elb.registerTargets(c, &elb.RegisterTargetsInput{TargetGroupArn: &arn,
				Targets: []elbtypes.TargetDescription{{Id: &instance}}}) // what is refused is tried again the next time
		}
	}
}

// targetsOf are the places of an instance in a target group.
func (s *scalingService) targetsOf(w world, arn, instance string) []targetRow {
	return keep(s.cloud.elb.targets.all(w), func(t targetRow) bool { return t.Group == arn && t.Instance == instance })
}

// serving tells what the target groups say of an instance: whether all of them
// call it healthy, and whether one calls it unhealthy. A target group that no
// load balancer uses says nothing.
func (s *scalingService) serving(w world, row scalingRow, instance string) (healthy, ill bool) {
	healthy = true
	for _, arn := range row.Group.TargetGroupARNs {
		if len(s.cloud.elb.usedBy(w, arn)) == 0 {
			continue
		}
		targets := s.targetsOf(w, arn, instance)
		healthy = healthy && len(targets) > 0
		for _, t := range targets {
			state, _ := s.cloud.elb.health(w, t, true)
			healthy = healthy && state == elbtypes.TargetHealthStateEnumHealthy
			ill = ill || state == elbtypes.TargetHealthStateEnumUnhealthy
		}
	}
	return healthy, ill
}

// drained tells whether an instance has left every target group of its group.
func (s *scalingService) drained(c apiCall, row scalingRow, instance string) bool {
	left := false
	for _, arn := range row.Group.TargetGroupARNs {
		targets := s.targetsOf(c.w, arn, instance)
		for _, t := range targets {
			if t.Ends.IsZero() {
				s.deregister(c, arn, instance)
				break
			}
		}
		left = left || len(targets) > 0
	}
	return !left
}

func (s *scalingService) targetState(w world, row scalingRow, arn string) string {
	if len(s.cloud.elb.usedBy(w, arn)) == 0 {
		return "Added"
	}
	for _, m := range s.of(w, row.name()) {
		if m.State == types.LifecycleStateInService && len(s.targetsOf(w, arn, m.ID)) == 0 {
			return "Adding"
		}
	}
	return "InService"
}

func (s *scalingService) describeTargets(c apiCall, in *autoscaling.DescribeLoadBalancerTargetGroupsInput) (*autoscaling.DescribeLoadBalancerTargetGroupsOutput, error) {
	row, err := s.group(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	arns, next, err := page(slices.Sorted(slices.Values(row.Group.TargetGroupARNs)), func(arn string) string { return arn }, scalingPages(in.MaxRecords, in.NextToken))
	out := &autoscaling.DescribeLoadBalancerTargetGroupsOutput{NextToken: next}
	for _, arn := range arns {
		out.LoadBalancerTargetGroups = append(out.LoadBalancerTargetGroups, types.LoadBalancerTargetGroupState{
			LoadBalancerTargetGroupARN: &arn, State: new(s.targetState(c.w, row, arn))})
	}
	return out, err
}

func (s *scalingService) describeSources(c apiCall, in *autoscaling.DescribeTrafficSourcesInput) (*autoscaling.DescribeTrafficSourcesOutput, error) {
	row, err := s.group(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	var arns []string
	if in.TrafficSourceType == nil || *in.TrafficSourceType == "elbv2" {
		arns = slices.Sorted(slices.Values(row.Group.TargetGroupARNs))
	}
	arns, next, err := page(arns, func(arn string) string { return arn }, scalingPages(in.MaxRecords, in.NextToken))
	out := &autoscaling.DescribeTrafficSourcesOutput{NextToken: next}
	for _, arn := range arns {
		out.TrafficSources = append(out.TrafficSources, types.TrafficSourceState{Identifier: &arn, TrafficSource: &arn, Type: new("elbv2"), State: new(s.targetState(c.w, row, arn))})
	}
	return out, err
}
