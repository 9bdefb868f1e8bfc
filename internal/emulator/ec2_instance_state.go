package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addInstanceStates() {
	on(s, "StartInstances", "InstanceIds", s.startInstances)
	on(s, "StopInstances", "InstanceIds Force", s.stopInstances)
	on(s, "RebootInstances", "InstanceIds", s.rebootInstances)
	on(s, "TerminateInstances", "InstanceIds", s.terminateInstances)
	on(s, "MonitorInstances", "InstanceIds", s.monitorInstances)
	on(s, "UnmonitorInstances", "InstanceIds", s.unmonitorInstances)
	s.settler("ec2-instance", s.settleInstance)
	s.settler("ec2-instance-forgotten", s.forgetInstance)
}

// begin starts a change of an instance's state. Where machines run, a worker
// carries it out and calls settled.
func (s *ec2Service) begin(w world, row instanceRow, to types.InstanceStateName) {
	row.State, row.Settled, row.Reboot = to, false, false
	if task, ok := s.rootTasks.get(w, row.NewRoot); ok {
		s.failRootTask(w, task)
		row.NewRoot = ""
	}
	row.Due = s.cloud.clock.Now().Add(s.later())
	if to != statePending {
		row.Booted = false
	}
	if !s.hosts.on() {
		s.settled(w, row)
		return
	}
	s.instances.put(w, row.ID, row)
	s.hosts.kick(w, row.ID)
}

// settled keeps an instance whose machine is where it has to be: what's left of
// the change of state is its time.
func (s *ec2Service) settled(w world, row instanceRow) {
	row.Settled = true
	s.instances.put(w, row.ID, row)
	s.cloud.schedule(w, s.until(row.Due), "ec2-instance", row.ID)
}

// settleInstance ends a change of an instance's state.
func (s *ec2Service) settleInstance(w world, id string) {
	row, ok := s.instances.get(w, id)
	if !ok || !row.Settled {
		return
	}
	switch row.State {
	case statePending:
		row.State, row.StatusDue = stateRunning, s.cloud.clock.Now().Add(s.later())
		for _, v := range s.volumesOf(w, id) {
			if v.Attachment.State == types.VolumeAttachmentStateAttaching && v.Settled {
				s.settleVolume(w, v.id())
			}
		}
	case stateStopping:
		row.State = stateStopped
	case stateShuttingDown:
		row.State, row.Ended = stateTerminated, s.cloud.clock.Now()
		s.dissolve(w, row)
		s.cloud.schedule(w, tokenLife, "ec2-instance-forgotten", id)
	default:
		return
	}
	s.instances.put(w, id, row)
}

// dissolve gives back what a terminated instance had.
func (s *ec2Service) dissolve(w world, row instanceRow) {
	s.cloud.elb.forget(w, row.ID)
	for _, v := range s.volumesOf(w, row.ID) {
		if deref(v.Attachment.DeleteOnTermination) {
			s.removeVolume(w, v.id())
			continue
		}
		v.Attachment, v.Settled, v.Volume.State = nil, true, types.VolumeStateAvailable
		s.volumes.put(w, v.id(), v)
	}
	for _, address := range s.addresses.all(w) {
		if deref(address.Address.InstanceId) == row.ID {
			s.detachAddress(w, address)
		}
	}
	s.dissolveInterfaces(w, row.ID)
	s.gone(w, row.Interface)
	s.hosts.kick(w, sweeping)
}

// forgetInstance removes a terminated instance for good.
func (s *ec2Service) forgetInstance(w world, id string) {
	row, ok := s.instances.get(w, id)
	if !ok {
		return
	}
	s.instances.remove(w, id)
	s.gone(w, id)
	if row.Token != "" {
		s.tokens.remove(w, runScope(row.Zone)+" "+row.Token)
		s.tokens.remove(w, runScope("")+" "+row.Token)
	}
}

// named are the instances that a call names, which it has to.
func (s *ec2Service) named(c apiCall, ids []string) ([]instanceRow, error) {
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter InstanceId")
	}
	return s.liveInstances(c, ids)
}

func changeOf(row instanceRow, to types.InstanceStateName) types.InstanceStateChange {
	return types.InstanceStateChange{InstanceId: new(row.ID), PreviousState: stateOf(row.State), CurrentState: stateOf(to)}
}

func userReason(action string) (*types.StateReason, string) {
	return &types.StateReason{
		Code: new("Client.UserInitiatedShutdown"), Message: new("Client.UserInitiatedShutdown: User initiated shutdown"),
	}, "User initiated (" + action + ")"
}

func (s *ec2Service) startInstances(c apiCall, in *ec2.StartInstancesInput) (*ec2.StartInstancesOutput, error) {
	rows, err := s.named(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	out := &ec2.StartInstancesOutput{}
	for _, row := range rows {
		switch row.State {
		case stateStopped:
			out.StartingInstances = append(out.StartingInstances, changeOf(row, statePending))
			row.Reason, row.StateText, row.Launched, row.Booted = nil, "", c.now, false
			s.begin(c.w, row, statePending)
		case statePending, stateRunning:
			out.StartingInstances = append(out.StartingInstances, changeOf(row, row.State))
		default:
			return nil, refuse("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", row.ID)
		}
	}
	return out, nil
}

func (s *ec2Service) stopInstances(c apiCall, in *ec2.StopInstancesInput) (*ec2.StopInstancesOutput, error) {
	rows, err := s.named(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	out := &ec2.StopInstancesOutput{}
	for _, row := range rows {
		switch {
		case row.State == stateRunning && row.KeepRunning:
			return nil, refuse("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", row.ID)
		case row.State == stateRunning && row.Spot:
			return nil, refuse("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request.", row.ID)
		case row.State == stateRunning:
			out.StoppingInstances = append(out.StoppingInstances, changeOf(row, stateStopping))
			row.Reason, row.StateText = userReason(c.now.UTC().Format("2006-01-02 15:04:05 GMT"))
			s.begin(c.w, row, stateStopping)
		case row.State == stateStopping || row.State == stateStopped:
			out.StoppingInstances = append(out.StoppingInstances, changeOf(row, row.State))
		default:
			return nil, refuse("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", row.ID)
		}
	}
	return out, nil
}

func (s *ec2Service) rebootInstances(c apiCall, in *ec2.RebootInstancesInput) (*ec2.RebootInstancesOutput, error) {
	rows, err := s.named(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.State != stateRunning {
			return nil, refuse("IncorrectState", "The instance '%s' is not in a state from which it can be rebooted.", row.ID)
		}
		row.Reboot = s.hosts.on()
		row.StatusDue = c.now.Add(s.later())
		s.instances.put(c.w, row.ID, row)
		s.hosts.kick(c.w, row.ID)
	}
	return &ec2.RebootInstancesOutput{}, nil
}

func (s *ec2Service) terminateInstances(c apiCall, in *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
	rows, err := s.named(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	out := &ec2.TerminateInstancesOutput{}
	for _, row := range rows {
		switch {
		case row.State == stateTerminated || row.State == stateShuttingDown:
			out.TerminatingInstances = append(out.TerminatingInstances, changeOf(row, row.State))
			continue
		case row.KeepAlive:
			return nil, refuse("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", row.ID)
		}
		out.TerminatingInstances = append(out.TerminatingInstances, changeOf(row, stateShuttingDown))
		row.Reason, row.StateText = userReason(c.now.UTC().Format("2006-01-02 15:04:05 GMT"))
		s.begin(c.w, row, stateShuttingDown)
	}
	return out, nil
}

func (s *ec2Service) monitor(c apiCall, ids []string, monitored bool) ([]types.InstanceMonitoring, error) {
	rows, err := s.named(c, ids)
	var list []types.InstanceMonitoring
	for _, row := range rows {
		row.Monitored = monitored
		s.instances.put(c.w, row.ID, row)
		list = append(list, types.InstanceMonitoring{InstanceId: new(row.ID), Monitoring: &types.Monitoring{State: monitoring(row)}})
	}
	return list, err
}

func (s *ec2Service) monitorInstances(c apiCall, in *ec2.MonitorInstancesInput) (*ec2.MonitorInstancesOutput, error) {
	list, err := s.monitor(c, in.InstanceIds, true)
	return &ec2.MonitorInstancesOutput{InstanceMonitorings: list}, err
}

func (s *ec2Service) unmonitorInstances(c apiCall, in *ec2.UnmonitorInstancesInput) (*ec2.UnmonitorInstancesOutput, error) {
	list, err := s.monitor(c, in.InstanceIds, false)
	return &ec2.UnmonitorInstancesOutput{InstanceMonitorings: list}, err
}
