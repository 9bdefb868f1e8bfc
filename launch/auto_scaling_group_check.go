package launch

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// scalingName is the form of names of groups.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
var scalingName = regexp.MustCompile(`^[^:\x00-\x1f]{1,255}$`)

// check reports what Auto Scaling would refuse, or what would never come to
// rest.
func (autoScalingGroups) check(c *checker, d definition[autoScalingGroupSpec]) {
	s := d.spec
	if s.AutoScalingGroupName != "" && !unresolved(s.AutoScalingGroupName) && !scalingName.MatchString(s.AutoScalingGroupName) {
		c.problems.AddHint(d.At("auto_scaling_group_name"), "at most 255 characters, and no colon", "%q is no name of a group", s.AutoScalingGroupName)
	}
	checkSizes(c, d)
	checkGroupSubnets(c, d.Resource, s)
	if s.HealthCheckType == "ELB" && len(s.TargetGroups) == 0 && d.Adopt == nil {
		c.problems.AddHint(d.At("health_check_type"), "name target_groups, or leave the health check with EC2", "no target group tells whether an instance is well")
	}
	if n := s.MaxInstanceLifetime; n != nil && *n != 0 && (*n < 86400 || *n > 31536000) {
		c.problems.AddHint(d.At("max_instance_lifetime"), "86400 is a day", "%d: Auto Scaling takes 0, or 86400 to 31536000 seconds", *n)
	}
	if m := s.MixedInstancesPolicy; m != nil {
		for i, o := range m.Overrides {
			if !instanceType.MatchString(o.InstanceType) && !unresolved(o.InstanceType) {
				c.problems.AddHint(d.At(fmt.Sprintf("mixed_instances_policy.overrides[%d]", i)), "as in t3.micro", "%q is no instance type", o.InstanceType)
			}
		}
	}
	checkRefresh(c, d.Resource, s.Refresh)
	checkAlternates(c, d)
	s.checkRollout(c.rollout(d.Resource), d.Rollout != nil, c.resources, d.Resource, &c.problems)
}

// refuse: what the roll-out of a pipeline's stage cannot do is known only now.
func (autoScalingGroups) refuse(w want[autoScalingGroupSpec]) error {
	s, ok := w.Resource.Spec.(*autoScalingGroupSpec)
	if !ok || w.world.Options.Rollout == nil {
		return nil
	}
	var problems diag.List
	s.checkRollout(w.world.Options.Rollout, false, w.world.resources(), w.Resource, &problems)
	return problems.Err()
}

func checkSizes(c *checker, d definition[autoScalingGroupSpec]) {
	s := d.spec
	if s.MinSize == nil || s.MaxSize == nil {
		return // which is reported
	}
	if *s.MinSize > *s.MaxSize {
		c.problems.Addf(d.At("min_size"), "min_size is %d and max_size %d", *s.MinSize, *s.MaxSize)
		return
	}
	if n := s.DesiredCapacity; n != nil && (*n < *s.MinSize || *n > *s.MaxSize) {
		c.problems.Addf(d.At("desired_capacity"), "desired_capacity is %d: it lies between min_size, %d, and max_size, %d", *n, *s.MinSize, *s.MaxSize)
	}
}

// checkGroupSubnets: all subnets lie in one VPC, and each stands once.
func checkGroupSubnets(c *checker, r *project.Resource, s *autoScalingGroupSpec) {
	if len(s.Subnets) == 0 && r.Adopt == nil {
		c.problems.Addf(r.At("subnets"), "a group needs at least one subnet")
	}
	first, seen := "", map[string]bool{}
	for i, name := range s.Subnets {
		path := fmt.Sprintf("subnets[%d]", i)
		if seen[name] {
			c.problems.Addf(r.At(path), "subnet %s stands here twice", name)
		}
		seen[name] = true
		_, other, ok := referred[subnetSpec](c, r, path)
		if !ok {
			continue
		}
		vpc := c.target(other, "vpc")
		if first != "" && vpc != "" && vpc != first {
			c.problems.Addf(r.At(path), "subnet %s lies in %s, the others in %s: the subnets of a group lie in one VPC", name, vpc, first)
		}
		if first == "" {
			first = vpc
		}
	}
}

func checkRefresh(c *checker, r *project.Resource, s *refreshSpec) {
	if s == nil {
		return
	}
	least := 90
	if s.MinHealthyPercentage != nil {
		least = *s.MinHealthyPercentage
	}
	if s.MaxHealthyPercentage != nil && *s.MaxHealthyPercentage-least > 100 {
		c.problems.Addf(r.At("refresh.max_healthy_percentage"), "between min_healthy_percentage, %d, and max_healthy_percentage, %d, lie more than 100", least, *s.MaxHealthyPercentage)
	}
	points := s.CheckpointPercentages
	switch {
	case s.CheckpointDelay != nil && len(points) == 0:
		c.problems.Addf(r.At("refresh.checkpoint_delay"), "checkpoint_delay needs checkpoint_percentages")
	case !slices.IsSorted(points) || len(slices.Compact(slices.Clone(points))) != len(points):
		c.problems.Addf(r.At("refresh.checkpoint_percentages"), "checkpoint_percentages rise: [20, 50, 100]")
	case len(points) > 0 && points[len(points)-1] != 100:
		c.problems.AddHint(r.At("refresh.checkpoint_percentages"), "[20, 50, 100]", "checkpoint_percentages end with 100: the rest would never be replaced")
	}
	if s.off() && (s.MinHealthyPercentage != nil || s.MaxHealthyPercentage != nil || len(points) > 0 || s.AutoRollback != nil) {
		c.problems.Addf(r.At("refresh.strategy"), "with the strategy none there is no refresh to tell anything")
	}
}
