package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// scalingProcesses can be suspended.
var scalingProcesses = []string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"}

func (s *scalingService) addStates() {
	scalingOn(s, "SuspendProcesses", "AutoScalingGroupName ScalingProcesses", func(c apiCall, in *autoscaling.SuspendProcessesInput) (*autoscaling.SuspendProcessesOutput, error) {
		return &autoscaling.SuspendProcessesOutput{}, s.suspend(c, in.AutoScalingGroupName, in.ScalingProcesses, true)
	})
	scalingOn(s, "ResumeProcesses", "AutoScalingGroupName ScalingProcesses", func(c apiCall, in *autoscaling.ResumeProcessesInput) (*autoscaling.ResumeProcessesOutput, error) {
		return &autoscaling.ResumeProcessesOutput{}, s.suspend(c, in.AutoScalingGroupName, in.ScalingProcesses, false)
	})
	scalingOn(s, "DescribeScalingProcessTypes", "", func(apiCall, *autoscaling.DescribeScalingProcessTypesInput) (*autoscaling.DescribeScalingProcessTypesOutput, error) {
		out := &autoscaling.DescribeScalingProcessTypesOutput{}
		for _, name := range scalingProcesses {
			out.Processes = append(out.Processes, types.ProcessType{ProcessName: &name})
		}
		return out, nil
	})
	scalingOn(s, "DescribeTerminationPolicyTypes", "", func(apiCall, *autoscaling.DescribeTerminationPolicyTypesInput) (*autoscaling.DescribeTerminationPolicyTypesOutput, error) {
		return &autoscaling.DescribeTerminationPolicyTypesOutput{TerminationPolicyTypes: terminationPolicies}, nil
	})
	scalingOn(s, "SetInstanceHealth", "InstanceId HealthStatus ShouldRespectGracePeriod", s.setHealth)
	scalingOn(s, "SetInstanceProtection", "AutoScalingGroupName InstanceIds ProtectedFromScaleIn", s.setProtection)
	scalingOn(s, "EnterStandby", "AutoScalingGroupName InstanceIds ShouldDecrementDesiredCapacity", s.enterStandby)
	scalingOn(s, "ExitStandby", "AutoScalingGroupName InstanceIds", s.exitStandby)
}

func (s *scalingService) suspend(c apiCall, name *string, processes []string, on bool) error {
	row, err := s.group(c.w, name)
	if err != nil {
		return err
	}
	if len(processes) == 0 {
		processes = scalingProcesses
	}
	for _, p := range processes {
		if !slices.Contains(scalingProcesses, p) {
			return refuse("ValidationError", "%s is not a valid scaling process", p)
		}
		list := keep(row.Group.SuspendedProcesses, func(have types.SuspendedProcess) bool { return *have.ProcessName != p })
		if on {
			list = append(list, types.SuspendedProcess{ProcessName: &p, SuspensionReason: new("User suspended at " + c.now.UTC().Format("2006-01-02T15:04:05Z"))})
		}
		row.Group.SuspendedProcesses = list
	}
	s.groups.put(c.w, row.name(), row)
	return nil
}

func (s *scalingService) setHealth(c apiCall, in *autoscaling.SetInstanceHealthInput) (*autoscaling.SetInstanceHealthOutput, error) {
	m, row, err := s.member(c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	switch *in.HealthStatus {
	case "Healthy":
		m.Ill = ""
	case "Unhealthy":
		if in.ShouldRespectGracePeriod == nil || *in.ShouldRespectGracePeriod {
			if instance, ok := s.cloud.ec2.instances.get(c.w, m.ID); ok && s.graceful(row, m, instance) {
				return &autoscaling.SetInstanceHealthOutput{}, nil
			}
		}
		m.Ill = "a user health-check."
	default:
		return nil, refuse("ValidationError", "'%s' is not a valid health status: Healthy or Unhealthy", *in.HealthStatus)
	}
	s.put(c.w, m)
	return &autoscaling.SetInstanceHealthOutput{}, nil
}

func (s *scalingService) setProtection(c apiCall, in *autoscaling.SetInstanceProtectionInput) (*autoscaling.SetInstanceProtectionOutput, error) {
	_, members, err := s.named(c, in.AutoScalingGroupName, in.InstanceIds)
	for _, m := range members {
		m.Protected = *in.ProtectedFromScaleIn
		s.put(c.w, m)
	}
	return &autoscaling.SetInstanceProtectionOutput{}, err
}

func (s *scalingService) enterStandby(c apiCall, in *autoscaling.EnterStandbyInput) (*autoscaling.EnterStandbyOutput, error) {
	row, members, err := s.named(c, in.AutoScalingGroupName, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.State != types.LifecycleStateInService {
			return nil, refuse("ValidationError", "The instance %s is not in InService.", m.ID)
		}
	}
	if *in.ShouldDecrementDesiredCapacity {
		if err := decrement(&row, len(members)); err != nil {
			return nil, err
		}
		s.groups.put(c.w, row.name(), row)
	}
	out := &autoscaling.EnterStandbyOutput{}
	for _, m := range members {
		m.Activity = s.begun(c, row, "Moving EC2 instance to Standby: "+m.ID, "instance "+m.ID+" was moved to standby in response to a user request.")
		s.enter(c, m, types.LifecycleStateEnteringStandby)
		a, _ := s.activities.get(c.w, m.Activity)
		out.Activities = append(out.Activities, a)
	}
	return out, nil
}

func (s *scalingService) exitStandby(c apiCall, in *autoscaling.ExitStandbyInput) (*autoscaling.ExitStandbyOutput, error) {
	row, members, err := s.named(c, in.AutoScalingGroupName, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	desired := row.desired() + len(members)
	if desired > int(*row.Group.MaxSize) {
		return nil, refuse("ValidationError", "AutoScalingGroup %s has max-size=%d: %d more instances are too many", row.name(), *row.Group.MaxSize, len(members))
	}
	out := &autoscaling.ExitStandbyOutput{}
	for _, m := range members {
		if m.State != types.LifecycleStateStandby {
			return nil, refuse("ValidationError", "The instance %s is not in Standby.", m.ID)
		}
		m.Activity = s.begun(c, row, "Moving EC2 instance out of Standby: "+m.ID, "instance "+m.ID+" was moved out of standby in response to a user request.")
		s.enter(c, m, types.LifecycleStatePending)
		a, _ := s.activities.get(c.w, m.Activity)
		out.Activities = append(out.Activities, a)
	}
	row.Group.DesiredCapacity = new(int32(desired))
	s.groups.put(c.w, row.name(), row)
	return out, nil
}
