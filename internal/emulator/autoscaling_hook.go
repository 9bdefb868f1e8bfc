package emulator

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// The transitions that lifecycle hooks hold up.
const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

func hookKey(h types.LifecycleHook) string {
	return *h.AutoScalingGroupName + " " + *h.LifecycleHookName
}

func (s *scalingService) addHooks() {
	scalingOn(s, "PutLifecycleHook", "AutoScalingGroupName LifecycleHookName LifecycleTransition DefaultResult HeartbeatTimeout NotificationMetadata NotificationTargetARN RoleARN", s.putHook)
	scalingOn(s, "DeleteLifecycleHook", "AutoScalingGroupName LifecycleHookName", s.deleteHook)
	scalingOn(s, "DescribeLifecycleHooks", "AutoScalingGroupName LifecycleHookNames", s.describeHooks)
	scalingOn(s, "CompleteLifecycleAction", "AutoScalingGroupName LifecycleHookName InstanceId LifecycleActionResult", s.completeAction)
	scalingOn(s, "RecordLifecycleActionHeartbeat", "AutoScalingGroupName LifecycleHookName InstanceId", s.heartbeat)
}

// setHook keeps a hook, with AWS's defaults for a new one.
func (s *scalingService) setHook(c ec2Call, group string, h types.LifecycleHook) error {
	h.AutoScalingGroupName = &group
	set, known := s.hooks.get(c.w, hookKey(h))
	if !known {
		set = types.LifecycleHook{DefaultResult: new("ABANDON"), HeartbeatTimeout: new(int32(3600)), GlobalTimeout: new(int32(172800))}
	}
	set.AutoScalingGroupName, set.LifecycleHookName = &group, h.LifecycleHookName
	give(&set.LifecycleTransition, h.LifecycleTransition)
	give(&set.DefaultResult, h.DefaultResult)
	give(&set.HeartbeatTimeout, h.HeartbeatTimeout)
	give(&set.NotificationMetadata, h.NotificationMetadata)
	give(&set.NotificationTargetARN, h.NotificationTargetARN)
	give(&set.RoleARN, h.RoleARN)
	switch {
	case deref(set.LifecycleTransition) != launching && deref(set.LifecycleTransition) != terminating:
		return refuse("ValidationError", "'%s' is not a valid lifecycle transition: %s or %s", deref(set.LifecycleTransition), launching, terminating)
	case *set.DefaultResult != "CONTINUE" && *set.DefaultResult != "ABANDON":
		return refuse("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON")
	case *set.HeartbeatTimeout < 30 || *set.HeartbeatTimeout > 7200:
		return refuse("ValidationError", "HeartbeatTimeout must be between 30 and 7200 seconds")
	}
	s.hooks.put(c.w, hookKey(set), set)
	return nil
}

func (s *scalingService) putHook(c ec2Call, in *autoscaling.PutLifecycleHookInput) (*autoscaling.PutLifecycleHookOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	return &autoscaling.PutLifecycleHookOutput{}, s.setHook(c, row.name(), types.LifecycleHook{
		LifecycleHookName: in.LifecycleHookName, LifecycleTransition: in.LifecycleTransition, DefaultResult: in.DefaultResult, HeartbeatTimeout: in.HeartbeatTimeout,
		NotificationMetadata: in.NotificationMetadata, NotificationTargetARN: in.NotificationTargetARN, RoleARN: in.RoleARN,
	})
}

func (s *scalingService) deleteHook(c ec2Call, in *autoscaling.DeleteLifecycleHookInput) (*autoscaling.DeleteLifecycleHookOutput, error) {
	h, err := s.hook(c, in.AutoScalingGroupName, in.LifecycleHookName)
	if err == nil {
		s.hooks.remove(c.w, hookKey(h))
	}
	return &autoscaling.DeleteLifecycleHookOutput{}, err
}

func (s *scalingService) hook(c ec2Call, group, name *string) (types.LifecycleHook, error) {
	if _, err := s.group(c.w, group); err != nil {
		return types.LifecycleHook{}, err
	}
	h, ok := s.hooks.get(c.w, hookKey(types.LifecycleHook{AutoScalingGroupName: group, LifecycleHookName: name}))
	if !ok {
		return h, refuse("ValidationError", "No Lifecycle Hook found with name: %s", *name)
	}
	return h, nil
}

func (s *scalingService) describeHooks(c ec2Call, in *autoscaling.DescribeLifecycleHooksInput) (*autoscaling.DescribeLifecycleHooksOutput, error) {
	row, err := s.group(c.w, in.AutoScalingGroupName)
	return &autoscaling.DescribeLifecycleHooksOutput{LifecycleHooks: keep(s.hooks.all(c.w), func(h types.LifecycleHook) bool {
		return err == nil && *h.AutoScalingGroupName == row.name() && (len(in.LifecycleHookNames) == 0 || slices.Contains(in.LifecycleHookNames, *h.LifecycleHookName))
	})}, err
}

// hooked are the hooks of an instance's group on a transition.
func (s *scalingService) hooked(w world, m memberRow, transition string) []types.LifecycleHook {
	return keep(s.hooks.all(w), func(h types.LifecycleHook) bool {
		return *h.AutoScalingGroupName == m.Group && *h.LifecycleTransition == transition
	})
}

func (s *scalingService) holds(c ec2Call, m memberRow, transition string) bool {
	return len(s.hooked(c.w, m, transition)) > 0
}

// await has an instance wait for its lifecycle action, as long as the shortest
// of its hooks allows.
func (s *scalingService) await(c ec2Call, m memberRow, state types.LifecycleState) {
	transition := launching
	if state == types.LifecycleStateTerminatingWait {
		transition = terminating
	}
	m = s.enter(c, m, state)
	for _, h := range s.hooked(c.w, m, transition) {
		if at := c.now.Add(s.scaled(*h.HeartbeatTimeout)); m.Waits.IsZero() || at.Before(m.Waits) {
			m.Waits = at
		}
	}
	s.put(c.w, m)
}

// completed tells whether a lifecycle action is over, and whether the instance
// goes on. Time that is up counts as the hook's default result.
func (s *scalingService) completed(c ec2Call, m memberRow, transition string) (done, goOn bool) {
	hooks := s.hooked(c.w, m, transition)
	if m.Proceeds || len(hooks) == 0 {
		return true, true
	}
	if c.now.Before(m.Waits) {
		return false, false
	}
	return true, !slices.ContainsFunc(hooks, func(h types.LifecycleHook) bool { return *h.DefaultResult == "ABANDON" })
}

// waiting is an instance that waits for a lifecycle action.
func (s *scalingService) waiting(c ec2Call, group, hook, id *string) (memberRow, types.LifecycleHook, error) {
	h, err := s.hook(c, group, hook)
	if err != nil {
		return memberRow{}, h, err
	}
	m, ok := s.members.get(c.w, deref(id))
	if !ok || m.Group != *group || m.State != types.LifecycleStatePendingWait && m.State != types.LifecycleStateTerminatingWait {
		return m, h, refuse("ValidationError", "No active Lifecycle Action found with instance ID %s", deref(id))
	}
	return m, h, nil
}

func (s *scalingService) completeAction(c ec2Call, in *autoscaling.CompleteLifecycleActionInput) (*autoscaling.CompleteLifecycleActionOutput, error) {
	m, _, err := s.waiting(c, in.AutoScalingGroupName, in.LifecycleHookName, in.InstanceId)
	if err != nil {
		return nil, err
	}
	switch *in.LifecycleActionResult {
	case "CONTINUE":
		m.Proceeds = true
		s.put(c.w, m)
	case "ABANDON":
		m.Proceeds = m.State == types.LifecycleStateTerminatingWait
		s.put(c.w, m)
		if !m.Proceeds {
			row, _ := s.groups.get(c.w, m.Group)
			s.ended(c, m.Activity, "Instance failed to complete user's Lifecycle Action")
			s.retire(c, row, m, "instance "+m.ID+" was taken out of service in response to an abandoned lifecycle action.")
		}
	default:
		return nil, refuse("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON")
	}
	return &autoscaling.CompleteLifecycleActionOutput{}, nil
}

func (s *scalingService) heartbeat(c ec2Call, in *autoscaling.RecordLifecycleActionHeartbeatInput) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error) {
	m, h, err := s.waiting(c, in.AutoScalingGroupName, in.LifecycleHookName, in.InstanceId)
	if err == nil {
		m.Waits = maxTime(m.Waits, c.now.Add(s.scaled(*h.HeartbeatTimeout)))
		s.put(c.w, m)
	}
	return &autoscaling.RecordLifecycleActionHeartbeatOutput{}, err
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
