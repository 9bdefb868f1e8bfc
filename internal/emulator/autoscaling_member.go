package emulator

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// memberRow is an instance of a group.
type memberRow struct {
	ID, Group string
	State     types.LifecycleState
	Since     time.Time // of the state
	Joined    time.Time
	Ill       string // why it is unhealthy, empty while it is not
	Protected bool   // from scale-in
	Template  types.LaunchTemplateSpecification
	Type      string
	Zone      string
	Image     string
	Refresh   string            // the mark of the instance refresh that it was launched for
	Activity  string            // under way
	Actions   []lifecycleAction // that it waits for in its state
}

// active says that it counts towards the capacity of its group.
func (m memberRow) active() bool {
	switch m.State {
	case types.LifecycleStatePending, types.LifecycleStatePendingWait, types.LifecycleStateInService:
		return true
	}
	return false
}

func (m memberRow) health() string {
	if m.Ill != "" {
		return "Unhealthy"
	}
	return "Healthy"
}

func (m memberRow) show(zoneID string) types.Instance {
	return types.Instance{
		InstanceId: &m.ID, InstanceType: &m.Type, AvailabilityZone: &m.Zone, AvailabilityZoneId: &zoneID, ImageId: &m.Image,
		LifecycleState: m.State, HealthStatus: new(m.health()), ProtectedFromScaleIn: &m.Protected, LaunchTemplate: m.template(),
	}
}

// template is nil for an instance that was attached.
func (m memberRow) template() *types.LaunchTemplateSpecification {
	if m.Template.LaunchTemplateId == nil {
		return nil
	}
	return &m.Template
}

func (s *scalingService) zoneID(w world, m memberRow) string {
	z, _ := findZone(w.Region, &m.Zone, nil) // its instance is in it
	return z.ID
}

// of lists the instances of a group.
func (s *scalingService) of(w world, group string) []memberRow {
	return keep(s.members.all(w), func(m memberRow) bool { return m.Group == group })
}

func (s *scalingService) put(w world, m memberRow) { s.members.put(w, m.ID, m) }

// enter changes an instance's state.
func (s *scalingService) enter(c apiCall, m memberRow, state types.LifecycleState) memberRow {
	m.State, m.Since, m.Actions = state, c.now, nil
	s.put(c.w, m)
	return m
}

// begun notes an activity that is under way.
func (s *scalingService) begun(c apiCall, row scalingRow, text, cause string) string {
	id := scalingUUID(c.now)
	s.activities.put(c.w, id, types.Activity{
		ActivityId: &id, AutoScalingGroupName: new(row.name()), AutoScalingGroupARN: row.Group.AutoScalingGroupARN, Description: &text,
		Cause: new(fmt.Sprintf("At %s %s", c.now.UTC().Format(time.RFC3339), cause)), StartTime: new(c.now), Progress: new(int32(30)),
		StatusCode: types.ScalingActivityStatusCodeInProgress, Details: new(fmt.Sprintf(`{"Availability Zone":"%s"}`, firstOf(row.Group.AvailabilityZones))),
	})
	return id
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// ended ends an activity, with a message if it has failed.
func (s *scalingService) ended(c apiCall, id, failure string) types.Activity {
	a, ok := s.activities.get(c.w, id)
	if !ok {
		return a
	}
	a.EndTime, a.Progress, a.StatusCode = new(c.now), new(int32(100)), types.ScalingActivityStatusCodeSuccessful
	if failure != "" {
		a.StatusCode, a.StatusMessage = types.ScalingActivityStatusCodeFailed, &failure
	}
	s.activities.put(c.w, id, a)
	return a
}

// retire starts the end of an instance. It leaves its target groups first.
func (s *scalingService) retire(c apiCall, row scalingRow, m memberRow, cause string) types.Activity {
	m.Activity = s.begun(c, row, "Terminating EC2 instance: "+m.ID, cause)
	s.enter(c, m, types.LifecycleStateTerminating)
	a, _ := s.activities.get(c.w, m.Activity)
	return a
}

func (s *scalingService) addMembers() {
	scalingOn(s, "DescribeAutoScalingInstances", "InstanceIds MaxRecords NextToken", s.describeMembers)
	scalingOn(s, "DescribeScalingActivities", "ActivityIds AutoScalingGroupName MaxRecords NextToken", s.describeActivities)
	scalingOn(s, "SetDesiredCapacity", "AutoScalingGroupName DesiredCapacity HonorCooldown", s.setDesiredCapacity)
	scalingOn(s, "TerminateInstanceInAutoScalingGroup", "InstanceId ShouldDecrementDesiredCapacity", s.terminateMember)
	scalingOn(s, "AttachInstances", "AutoScalingGroupName InstanceIds", s.attachMembers)
	scalingOn(s, "DetachInstances", "AutoScalingGroupName InstanceIds ShouldDecrementDesiredCapacity", s.detachMembers)
}

func (s *scalingService) describeMembers(c apiCall, in *autoscaling.DescribeAutoScalingInstancesInput) (*autoscaling.DescribeAutoScalingInstancesOutput, error) {
	rows := s.members.all(c.w)
	if len(in.InstanceIds) > 0 {
		rows = keep(rows, func(m memberRow) bool { return slices.Contains(in.InstanceIds, m.ID) })
	}
	rows, next, err := page(rows, func(m memberRow) string { return m.ID }, scalingPages(in.MaxRecords, in.NextToken))
	out := &autoscaling.DescribeAutoScalingInstancesOutput{NextToken: next}
	for _, m := range rows {
		out.AutoScalingInstances = append(out.AutoScalingInstances, types.AutoScalingInstanceDetails{
			InstanceId: &m.ID, AutoScalingGroupName: &m.Group, InstanceType: &m.Type, AvailabilityZone: &m.Zone, AvailabilityZoneId: new(s.zoneID(c.w, m)),
			ImageId: &m.Image, LifecycleState: new(string(m.State)), HealthStatus: new(upperOf(m.health())), ProtectedFromScaleIn: &m.Protected, LaunchTemplate: m.template(),
		})
	}
	return out, err
}

// upperOf: this one answer spells health in capitals.
func upperOf(health string) string {
	if health == "Healthy" {
		return "HEALTHY"
	}
	return "UNHEALTHY"
}

func (s *scalingService) describeActivities(c apiCall, in *autoscaling.DescribeScalingActivitiesInput) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	list := keep(s.activities.all(c.w), func(a types.Activity) bool {
		return (in.AutoScalingGroupName == nil || *a.AutoScalingGroupName == *in.AutoScalingGroupName) &&
			(len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, *a.ActivityId))
	})
	slices.Reverse(list) // the newest first
	size := int(*scalingPages(in.MaxRecords, nil).max)
	if in.NextToken != nil {
		before, err := readToken(*in.NextToken)
		if err != nil {
			return nil, err
		}
		list = keep(list, func(a types.Activity) bool { return *a.ActivityId < before })
	}
	out := &autoscaling.DescribeScalingActivitiesOutput{Activities: list}
	if len(list) > size {
		out.Activities = list[:size]
		out.NextToken = new(writeToken(*list[size-1].ActivityId))
	}
	return out, nil
}

func (s *scalingService) setDesiredCapacity(c apiCall, in *autoscaling.SetDesiredCapacityInput) (*autoscaling.SetDesiredCapacityOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	switch n := *in.DesiredCapacity; {
	case n < *row.Group.MinSize:
		return nil, refuse("ValidationError", "New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", n, *row.Group.MinSize)
	case n > *row.Group.MaxSize:
		return nil, refuse("ValidationError", "New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", n, *row.Group.MaxSize)
	case deref(in.HonorCooldown) && s.coolsDown(c, row):
		return nil, refuse("ScalingActivityInProgress", "Scaling activity is in progress and blocks this action: the cooldown of %d seconds is not over", *row.Group.DefaultCooldown)
	}
	row.Group.DesiredCapacity, row.Failures, row.Retry = in.DesiredCapacity, 0, c.now
	s.groups.put(c.w, row.name(), row)
	return &autoscaling.SetDesiredCapacityOutput{}, nil
}

func (s *scalingService) coolsDown(c apiCall, row scalingRow) bool {
	return slices.ContainsFunc(s.activities.all(c.w), func(a types.Activity) bool {
		return *a.AutoScalingGroupName == row.name() && (a.EndTime == nil || c.now.Before(a.EndTime.Add(s.scaled(*row.Group.DefaultCooldown))))
	})
}

// member is an instance of whichever group.
func (s *scalingService) member(c apiCall, id string) (memberRow, scalingRow, error) {
	m, ok := s.members.get(c.w, id)
	if !ok {
		return m, scalingRow{}, refuse("ValidationError", "Instance Id not found - No managed instance found for instance ID: %s", id)
	}
	row, err := s.group(c.w, &m.Group)
	return m, row, err
}

// decrement takes places of instances that go away from a group's capacity.
func decrement(row *scalingRow, by int) error {
	n := *row.Group.DesiredCapacity - int32(by)
	if n < *row.Group.MinSize {
		return refuse("ValidationError", "Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", *row.Group.MinSize)
	}
	row.Group.DesiredCapacity = &n
	return nil
}

func (s *scalingService) terminateMember(c apiCall, in *autoscaling.TerminateInstanceInAutoScalingGroupInput) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	m, row, err := s.member(c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	if m.State == types.LifecycleStateTerminating {
		a, _ := s.activities.get(c.w, m.Activity)
		return &autoscaling.TerminateInstanceInAutoScalingGroupOutput{Activity: &a}, nil
	}
	if *in.ShouldDecrementDesiredCapacity {
		if err := decrement(&row, 1); err != nil {
			return nil, err
		}
		s.groups.put(c.w, row.name(), row)
	}
	a := s.retire(c, row, m, "instance "+m.ID+" was taken out of service in response to a user request.")
	return &autoscaling.TerminateInstanceInAutoScalingGroupOutput{Activity: &a}, nil
}

func (s *scalingService) attachMembers(c apiCall, in *autoscaling.AttachInstancesInput) (*autoscaling.AttachInstancesOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	desired := row.desired() + len(in.InstanceIds)
	if desired > int(*row.Group.MaxSize) {
		return nil, refuse("ValidationError", "AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To attach %d more instances, please update the AutoScalingGroup sizes appropriately.",
			row.name(), *row.Group.MinSize, *row.Group.MaxSize, row.desired(), len(in.InstanceIds))
	}
	for _, id := range in.InstanceIds {
		instance, ok := s.cloud.ec2.instances.get(c.w, id)
		switch {
		case !ok || instance.State != stateRunning:
			return nil, refuse("ValidationError", "Invalid Instance ID(s): %s. Only instances that run can be attached", id)
		case has(s.members, c.w, id):
			return nil, refuse("ValidationError", "Instance %s is already part of an AutoScalingGroup", id)
		case !slices.Contains(row.Group.AvailabilityZones, instance.Zone):
			return nil, refuse("ValidationError", "Instance %s is in %s, which the group does not use", id, instance.Zone)
		}
		activity := s.begun(c, row, "Attaching an existing EC2 instance: "+id, "an instance was added in response to user request.")
		s.ended(c, activity, "")
		s.enter(c, memberRow{ID: id, Group: row.name(), Joined: c.now, Type: string(instance.Type), Zone: instance.Zone, Image: instance.Image,
			Protected: deref(row.Group.NewInstancesProtectedFromScaleIn)}, types.LifecycleStateInService)
		s.cloud.ec2.systemTags(c.w, id, map[string]string{scalingTag: row.name()})
	}
	row.Group.DesiredCapacity = new(int32(desired))
	s.groups.put(c.w, row.name(), row)
	return &autoscaling.AttachInstancesOutput{}, nil
}

func (s *scalingService) detachMembers(c apiCall, in *autoscaling.DetachInstancesInput) (*autoscaling.DetachInstancesOutput, error) {
	row, members, err := s.named(c, in.AutoScalingGroupName, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	if *in.ShouldDecrementDesiredCapacity {
		if err := decrement(&row, len(members)); err != nil {
			return nil, err
		}
		s.groups.put(c.w, row.name(), row)
	}
	out := &autoscaling.DetachInstancesOutput{}
	for _, m := range members {
		m.Activity = s.begun(c, row, "Detaching EC2 instance: "+m.ID, "instance "+m.ID+" was detached in response to a user request.")
		s.enter(c, m, types.LifecycleStateDetaching)
		a, _ := s.activities.get(c.w, m.Activity)
		out.Activities = append(out.Activities, a)
	}
	return out, nil
}

// named are a group with instances of it that a call names.
func (s *scalingService) named(c apiCall, group *string, ids []string) (scalingRow, []memberRow, error) {
	row, err := s.standing(c.w, group)
	if err != nil {
		return row, nil, err
	}
	if len(ids) == 0 {
		return row, nil, refuse("ValidationError", "At least one instance ID has to be given")
	}
	var members []memberRow
	for _, id := range ids {
		m, ok := s.members.get(c.w, id)
		if !ok || m.Group != row.name() {
			return row, nil, refuse("ValidationError", "The instance %s is not part of Auto Scaling group %s.", id, row.name())
		}
		members = append(members, m)
	}
	return row, members, nil
}
