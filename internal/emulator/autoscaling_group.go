package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

const groupPaths = "AutoScalingGroupName MinSize MaxSize DesiredCapacity DefaultCooldown AvailabilityZones VPCZoneIdentifier HealthCheckType HealthCheckGracePeriod" +
	" TerminationPolicies NewInstancesProtectedFromScaleIn MaxInstanceLifetime CapacityRebalance DefaultInstanceWarmup ServiceLinkedRoleARN Context" +
	" LaunchTemplate.* InstanceMaintenancePolicy.* MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.*" +
	" MixedInstancesPolicy.LaunchTemplate.Overrides.InstanceType MixedInstancesPolicy.LaunchTemplate.Overrides.LaunchTemplateSpecification.*" +
	" MixedInstancesPolicy.InstancesDistribution.*"

func (s *scalingService) addGroups() {
	scalingOn(s, "CreateAutoScalingGroup", groupPaths+" TargetGroupARNs TrafficSources.* Tags.* LifecycleHookSpecificationList.*", s.createGroup)
	scalingOn(s, "UpdateAutoScalingGroup", groupPaths, s.updateGroup)
	scalingOn(s, "DeleteAutoScalingGroup", "AutoScalingGroupName ForceDelete", s.deleteGroup)
	scalingOn(s, "DescribeAutoScalingGroups", "AutoScalingGroupNames Filters.* IncludeInstances MaxRecords NextToken", s.describeGroups)
}

func (s *scalingService) createGroup(c apiCall, in *autoscaling.CreateAutoScalingGroupInput) (*autoscaling.CreateAutoScalingGroupOutput, error) {
	name := *in.AutoScalingGroupName
	if !scalingNameForm.MatchString(name) {
		return nil, refuse("ValidationError", "'%s' is not a valid name of an Auto Scaling group", name)
	}
	if _, ok := s.groups.get(c.w, name); ok {
		return nil, refuse("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
	}
	arn := fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", c.Region, c.Account, requestID(), name)
	row := scalingRow{Group: types.AutoScalingGroup{
		AutoScalingGroupName: in.AutoScalingGroupName, AutoScalingGroupARN: &arn, CreatedTime: new(c.now), DefaultCooldown: new(int32(300)),
		HealthCheckType: new("EC2"), HealthCheckGracePeriod: new(int32(0)), TerminationPolicies: []string{"Default"},
		NewInstancesProtectedFromScaleIn: new(false), ServiceLinkedRoleARN: new(s.self(c.w).ARN), CapacityRebalance: new(false),
	}}
	err := s.change(c, &row.Group, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: in.AutoScalingGroupName, MinSize: in.MinSize, MaxSize: in.MaxSize, DesiredCapacity: cmp.Or(in.DesiredCapacity, in.MinSize),
		DefaultCooldown: in.DefaultCooldown, AvailabilityZones: in.AvailabilityZones, VPCZoneIdentifier: in.VPCZoneIdentifier, HealthCheckType: in.HealthCheckType,
		HealthCheckGracePeriod: in.HealthCheckGracePeriod, TerminationPolicies: in.TerminationPolicies, NewInstancesProtectedFromScaleIn: in.NewInstancesProtectedFromScaleIn,
		MaxInstanceLifetime: in.MaxInstanceLifetime, CapacityRebalance: in.CapacityRebalance, DefaultInstanceWarmup: in.DefaultInstanceWarmup,
		ServiceLinkedRoleARN: in.ServiceLinkedRoleARN, Context: in.Context, LaunchTemplate: in.LaunchTemplate,
		InstanceMaintenancePolicy: in.InstanceMaintenancePolicy, MixedInstancesPolicy: in.MixedInstancesPolicy,
	})
	if err != nil {
		return nil, err
	}
	if row.Group.LaunchTemplate == nil && row.Group.MixedInstancesPolicy == nil {
		return nil, refuse("ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if len(row.subnets()) == 0 && len(row.Group.AvailabilityZones) == 0 {
		return nil, refuse("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
	}
	for _, arn := range append(slices.Clone(in.TargetGroupARNs), sourcesOf(in.TrafficSources)...) {
		if err := s.attachTarget(c, &row, arn); err != nil {
			return nil, err
		}
	}
	if row.Group.Tags, err = setScalingTags(nil, name, in.Tags); err != nil {
		return nil, err
	}
	for _, h := range in.LifecycleHookSpecificationList {
		err := s.setHook(c, name, types.LifecycleHook{LifecycleHookName: h.LifecycleHookName, LifecycleTransition: h.LifecycleTransition,
			DefaultResult: h.DefaultResult, HeartbeatTimeout: h.HeartbeatTimeout, NotificationMetadata: h.NotificationMetadata,
			NotificationTargetARN: h.NotificationTargetARN, RoleARN: h.RoleARN})
		if err != nil {
			return nil, err
		}
	}
	s.groups.put(c.w, name, row)
	return &autoscaling.CreateAutoScalingGroupOutput{}, nil
}

// change carries the parameters that are given over to a group, and refuses
// what AWS refuses.
func (s *scalingService) change(c apiCall, g *types.AutoScalingGroup, in *autoscaling.UpdateAutoScalingGroupInput) error {
	if err := resize(g, in); err != nil {
		return err
	}
	if in.LaunchTemplate != nil && in.MixedInstancesPolicy != nil {
		return refuse("ValidationError", "Only one of LaunchTemplate and MixedInstancesPolicy may be given")
	}
	config := types.DesiredConfiguration{LaunchTemplate: in.LaunchTemplate, MixedInstancesPolicy: in.MixedInstancesPolicy}
	if in.LaunchTemplate != nil || in.MixedInstancesPolicy != nil {
		if err := s.setConfiguration(c, g, config); err != nil {
			return err
		}
	}
	if in.HealthCheckType != nil {
		for part := range strings.SplitSeq(*in.HealthCheckType, ",") {
			if !slices.Contains([]string{"EC2", "ELB", "EBS", "VPC_LATTICE"}, part) {
				return refuse("ValidationError", "'%s' is not a valid health check type", part)
			}
		}
	}
	for _, policy := range in.TerminationPolicies {
		if !slices.Contains(terminationPolicies, policy) {
			return refuse("ValidationError", "'%s' is not a valid termination policy", policy)
		}
	}
	if life := deref(in.MaxInstanceLifetime); life != 0 && (life < 86400 || life > 31536000) {
		return refuse("ValidationError", "MaxInstanceLifetime must be 0, or between 86400 and 31536000 seconds")
	}
	if p := in.InstanceMaintenancePolicy; p != nil {
		if err := checkHealthyPercentages(p.MinHealthyPercentage, p.MaxHealthyPercentage); err != nil {
			return err
		}
	}
	give(&g.DefaultCooldown, in.DefaultCooldown)
	give(&g.HealthCheckType, in.HealthCheckType)
	give(&g.HealthCheckGracePeriod, in.HealthCheckGracePeriod)
	give(&g.NewInstancesProtectedFromScaleIn, in.NewInstancesProtectedFromScaleIn)
	give(&g.MaxInstanceLifetime, in.MaxInstanceLifetime)
	give(&g.CapacityRebalance, in.CapacityRebalance)
	give(&g.DefaultInstanceWarmup, in.DefaultInstanceWarmup)
	give(&g.ServiceLinkedRoleARN, in.ServiceLinkedRoleARN)
	give(&g.Context, in.Context)
	give(&g.InstanceMaintenancePolicy, in.InstanceMaintenancePolicy)
	if in.TerminationPolicies != nil {
		g.TerminationPolicies = in.TerminationPolicies
	}
	if deref(g.DefaultInstanceWarmup) == -1 {
		g.DefaultInstanceWarmup = nil // AWS's way to take it away
	}
	return s.setSubnets(c, g, in)
}

// give sets what is given.
func give[T any](to **T, value *T) {
	if value != nil {
		*to = value
	}
}

// resize sets the sizes. Bounds that move take the desired capacity along.
func resize(g *types.AutoScalingGroup, in *autoscaling.UpdateAutoScalingGroupInput) error {
	least, most, desired := deref(cmp.Or(in.MinSize, g.MinSize)), deref(cmp.Or(in.MaxSize, g.MaxSize)), deref(cmp.Or(in.DesiredCapacity, g.DesiredCapacity))
	switch {
	case least < 0 || most < 0:
		return refuse("ValidationError", "Sizes of a group are not negative")
	case least > most:
		return refuse("ValidationError", "Max bound, %d, must be greater than or equal to min bound, %d", most, least)
	case in.DesiredCapacity == nil:
		desired = min(max(desired, least), most)
	case desired < least || desired > most:
		return refuse("ValidationError", "Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, least, most)
	}
	g.MinSize, g.MaxSize, g.DesiredCapacity = &least, &most, &desired
	return nil
}

// setSubnets settles the zones that a group spreads over.
func (s *scalingService) setSubnets(c apiCall, g *types.AutoScalingGroup, in *autoscaling.UpdateAutoScalingGroupInput) error {
	if len(in.AvailabilityZones) > 0 {
		for _, name := range in.AvailabilityZones {
			if _, err := findZone(c.Region, &name, nil); err != nil {
				return refuse("ValidationError", "Invalid availability zones: [%s]", name)
			}
		}
		g.AvailabilityZones = in.AvailabilityZones
	}
	if in.VPCZoneIdentifier == nil {
		return nil
	}
	g.VPCZoneIdentifier = in.VPCZoneIdentifier
	zones, vpc := []string{}, ""
	for _, id := range (scalingRow{Group: *g}).subnets() {
		subnet, ok := s.cloud.ec2.subnets.get(c.w, id)
		switch {
		case !ok:
			return refuse("ValidationError", "The subnet ID '%s' does not exist", id)
		case vpc != "" && vpc != *subnet.Subnet.VpcId:
			return refuse("ValidationError", "The subnets of an Auto Scaling group must be in one VPC")
		}
		vpc = *subnet.Subnet.VpcId
		if zone := *subnet.Subnet.AvailabilityZone; !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	if len(in.AvailabilityZones) > 0 && !slices.Equal(slices.Sorted(slices.Values(zones)), slices.Sorted(slices.Values(in.AvailabilityZones))) {
		return refuse("ValidationError", "The availability zones of the specified subnets and the Auto Scaling group do not match")
	}
	g.AvailabilityZones = zones
	return nil
}

func (s *scalingService) updateGroup(c apiCall, in *autoscaling.UpdateAutoScalingGroupInput) (*autoscaling.UpdateAutoScalingGroupOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := s.change(c, &row.Group, in); err != nil {
		return nil, err
	}
	row.Failures, row.Retry = 0, c.now
	s.groups.put(c.w, row.name(), row)
	return &autoscaling.UpdateAutoScalingGroupOutput{}, nil
}

func (s *scalingService) deleteGroup(c apiCall, in *autoscaling.DeleteAutoScalingGroupInput) (*autoscaling.DeleteAutoScalingGroupOutput, error) {
	row, err := s.group(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	members := s.of(c.w, row.name())
	if !deref(in.ForceDelete) && !row.Deleting {
		for _, m := range members {
			if m.active() || m.State == types.LifecycleStateStandby {
				return nil, refuse("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
			}
		}
		if len(members) > 0 {
			return nil, refuse("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
		}
	}
	if len(members) == 0 {
		s.forget(c.w, row.name())
		return &autoscaling.DeleteAutoScalingGroupOutput{}, nil
	}
	row.Deleting, row.Refresh = true, ""
	row.Group.Status = new("Delete in progress")
	row.Group.MinSize, row.Group.DesiredCapacity = new(int32(0)), new(int32(0))
	s.groups.put(c.w, row.name(), row)
	return &autoscaling.DeleteAutoScalingGroupOutput{}, nil
}

// forget removes a group with all that belongs to it.
func (s *scalingService) forget(w world, name string) {
	s.groups.remove(w, name)
	for _, a := range s.activities.all(w) {
		if *a.AutoScalingGroupName == name {
			s.activities.remove(w, *a.ActivityId)
		}
	}
	for _, r := range s.refreshes.all(w) {
		if *r.Refresh.AutoScalingGroupName == name {
			s.refreshes.remove(w, r.id())
		}
	}
	for _, h := range s.hooks.all(w) {
		if *h.AutoScalingGroupName == name {
			s.hooks.remove(w, hookKey(h))
		}
	}
}

func (s *scalingService) describeGroups(c apiCall, in *autoscaling.DescribeAutoScalingGroupsInput) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	rows := s.groups.all(c.w)
	if len(in.AutoScalingGroupNames) > 0 {
		rows = keep(rows, func(r scalingRow) bool { return slices.Contains(in.AutoScalingGroupNames, r.name()) })
	}
	for _, f := range in.Filters {
		value, err := scalingFilter(deref(f.Name))
		if err != nil {
			return nil, err
		}
		rows = keep(rows, func(r scalingRow) bool {
			return slices.ContainsFunc(r.Group.Tags, func(t types.TagDescription) bool {
				text, ok := value(t)
				return ok && slices.Contains(f.Values, text)
			})
		})
	}
	rows, next, err := page(rows, scalingRow.name, scalingPages(in.MaxRecords, in.NextToken))
	out := &autoscaling.DescribeAutoScalingGroupsOutput{NextToken: next}
	for _, r := range rows {
		out.AutoScalingGroups = append(out.AutoScalingGroups, s.showScalingGroup(c.w, r, in.IncludeInstances == nil || *in.IncludeInstances))
	}
	return out, err
}

// scalingPages are pages as Auto Scaling gives them: 50 unless asked for others,
// 100 at most.
func scalingPages(most *int32, token *string) paging {
	size := int32(50)
	if most != nil {
		size = *most
	}
	return paging{&size, token, 1, 100}
}

func (s *scalingService) showScalingGroup(w world, r scalingRow, instances bool) types.AutoScalingGroup {
	g := r.Group
	g.Instances = nil
	if !instances {
		return g
	}
	for _, m := range s.of(w, r.name()) {
		g.Instances = append(g.Instances, m.show(s.zoneID(w, m)))
	}
	return g
}
