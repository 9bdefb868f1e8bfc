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

// globalTimeouts is how many of a hook's timeouts a lifecycle action may last,
// and mostWait how long at all.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
const (
	globalTimeouts = 100
	mostWait       = 48 * time.Hour
)

// lifecycleAction is what an instance waits for, one for each hook that its group
// had when it came to the transition. Its time passes as on AWS: what completes it
// is outside of the cloud, and no faster here.
type lifecycleAction struct {
	Hook, Default string
	Ends, Latest  time.Time
	Done          bool
}

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
func (s *scalingService) setHook(c apiCall, group string, h types.LifecycleHook) error {
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

func (s *scalingService) putHook(c apiCall, in *autoscaling.PutLifecycleHookInput) (*autoscaling.PutLifecycleHookOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	return &autoscaling.PutLifecycleHookOutput{}, s.setHook(c, row.name(), types.LifecycleHook{
		LifecycleHookName: in.LifecycleHookName, LifecycleTransition: in.LifecycleTransition, DefaultResult: in.DefaultResult, HeartbeatTimeout: in.HeartbeatTimeout,
		NotificationMetadata: in.NotificationMetadata, NotificationTargetARN: in.NotificationTargetARN, RoleARN: in.RoleARN,
	})
}

func (s *scalingService) deleteHook(c apiCall, in *autoscaling.DeleteLifecycleHookInput) (*autoscaling.DeleteLifecycleHookOutput, error) {
	h, err := s.hook(c, in.AutoScalingGroupName, in.LifecycleHookName)
	if err != nil {
		return nil, err
	}
	s.hooks.remove(c.w, hookKey(h))
	for _, m := range s.of(c.w, *h.AutoScalingGroupName) {
		if m.action(*h.LifecycleHookName) != nil {
			s.complete(c, m, *h.LifecycleHookName, m.State == types.LifecycleStateTerminatingWait)
		}
	}
	return &autoscaling.DeleteLifecycleHookOutput{}, nil
}

func (s *scalingService) hook(c apiCall, group, name *string) (types.LifecycleHook, error) {
	if _, err := s.group(c.w, group); err != nil {
		return types.LifecycleHook{}, err
	}
	h, ok := s.hooks.get(c.w, hookKey(types.LifecycleHook{AutoScalingGroupName: group, LifecycleHookName: name}))
	if !ok {
		return h, refuse("ValidationError", "No Lifecycle Hook found with name: %s", *name)
	}
	return h, nil
}

func (s *scalingService) describeHooks(c apiCall, in *autoscaling.DescribeLifecycleHooksInput) (*autoscaling.DescribeLifecycleHooksOutput, error) {
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

func (s *scalingService) holds(c apiCall, m memberRow, transition string) bool {
	return len(s.hooked(c.w, m, transition)) > 0
}

// await has an instance wait for the lifecycle actions of its group's hooks.
func (s *scalingService) await(c apiCall, m memberRow, state types.LifecycleState) {
	transition := launching
	if state == types.LifecycleStateTerminatingWait {
		transition = terminating
	}
	m = s.enter(c, m, state)
	for _, h := range s.hooked(c.w, m, transition) {
		timeout := time.Duration(*h.HeartbeatTimeout) * time.Second
		m.Actions = append(m.Actions, lifecycleAction{Hook: *h.LifecycleHookName, Default: *h.DefaultResult,
			Ends: c.now.Add(timeout), Latest: c.now.Add(min(globalTimeouts*timeout, mostWait))})
	}
	s.put(c.w, m)
}

// completed tells whether an instance's lifecycle actions are over, and whether it
// goes on. Time that is up counts as the hook's default result.
func (m memberRow) completed(now time.Time) (done, goOn bool) {
	done = true
	for _, a := range m.Actions {
		switch {
		case a.Done:
		case now.Before(a.Ends):
			done = false
		case a.Default == "ABANDON":
			return true, false
		}
	}
	return done, true
}

// action is the one of a hook that an instance still waits for; nil for none.
func (m memberRow) action(hook string) *lifecycleAction {
	for i := range m.Actions {
		if m.Actions[i].Hook == hook && !m.Actions[i].Done {
			return &m.Actions[i]
		}
	}
	return nil
}

// complete ends a lifecycle action. An instance that is launched and may not go on
// ends; one that is terminated waits for nothing else then.
func (s *scalingService) complete(c apiCall, m memberRow, hook string, goOn bool) {
	if !goOn && m.State == types.LifecycleStatePendingWait {
		s.abandon(c, m)
		return
	}
	m.Actions = slices.Clone(m.Actions)
	for i := range m.Actions {
		m.Actions[i].Done = m.Actions[i].Done || !goOn || m.Actions[i].Hook == hook
	}
	s.put(c.w, m)
}

// abandon gives an instance up that was being launched.
func (s *scalingService) abandon(c apiCall, m memberRow) {
	const why = "Instance failed to complete user's Lifecycle Action"
	s.ended(c, m.Activity, why)
	s.failed(c, m.Group, &m, why)
	row, _ := s.groups.get(c.w, m.Group)
	s.retire(c, row, m, "instance "+m.ID+" was taken out of service in response to an abandoned lifecycle action.")
}

// waiting is an instance that waits for a lifecycle action.
func (s *scalingService) waiting(c apiCall, group, hook, id *string) (memberRow, types.LifecycleHook, error) {
	h, err := s.hook(c, group, hook)
	if err != nil {
		return memberRow{}, h, err
	}
	m, ok := s.members.get(c.w, deref(id))
	if !ok || m.Group != *group || m.action(*hook) == nil {
		return m, h, refuse("ValidationError", "No active Lifecycle Action found with instance ID %s", deref(id))
	}
	return m, h, nil
}

func (s *scalingService) completeAction(c apiCall, in *autoscaling.CompleteLifecycleActionInput) (*autoscaling.CompleteLifecycleActionOutput, error) {
	m, _, err := s.waiting(c, in.AutoScalingGroupName, in.LifecycleHookName, in.InstanceId)
	if err != nil {
		return nil, err
	}
	result := *in.LifecycleActionResult
	if result != "CONTINUE" && result != "ABANDON" {
		return nil, refuse("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON")
	}
	s.complete(c, m, *in.LifecycleHookName, result == "CONTINUE")
	return &autoscaling.CompleteLifecycleActionOutput{}, nil
}

func (s *scalingService) heartbeat(c apiCall, in *autoscaling.RecordLifecycleActionHeartbeatInput) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error) {
	m, h, err := s.waiting(c, in.AutoScalingGroupName, in.LifecycleHookName, in.InstanceId)
	if err == nil {
		m.Actions = slices.Clone(m.Actions)
		a := m.action(*in.LifecycleHookName)
		a.Ends = a.Latest
		if at := c.now.Add(time.Duration(*h.HeartbeatTimeout) * time.Second); at.Before(a.Latest) {
			a.Ends = at
		}
		s.put(c.w, m)
	}
	return &autoscaling.RecordLifecycleActionHeartbeatOutput{}, err
}
