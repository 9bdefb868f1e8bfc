package emulator

import (
	"fmt"
	"slices"
	"sort"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// terminationPolicies are those that scale-in knows here: AWS's own.
var terminationPolicies = []string{"AllocationStrategy", "ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance", "OldestLaunchConfiguration", "OldestLaunchTemplate"}

// reconcile brings every group of a world nearer to what it should be.
func (s *scalingService) reconcile(w world) {
	for _, row := range s.groups.all(w) {
		c := s.self(w)
		for _, m := range s.of(w, row.name()) {
			s.advance(c, row, m)
		}
		if row.Deleting {
			s.dissolve(c, row)
			continue
		}
		s.refresh(c, row.name())
		s.level(c, row.name())
	}
}

// dissolve takes a group that is being deleted apart.
func (s *scalingService) dissolve(c apiCall, row scalingRow) {
	members := s.of(c.w, row.name())
	for _, m := range members {
		if m.active() || m.State == types.LifecycleStateStandby {
			s.retire(c, row, m, "the group was deleted.")
		}
	}
	if len(members) == 0 {
		s.forget(c.w, row.name())
	}
}

// advance takes one instance a step further in its life.
func (s *scalingService) advance(c apiCall, row scalingRow, m memberRow) {
	instance, ok := s.cloud.ec2.instances.get(c.w, m.ID)
	up := ok && instance.isUp()
	switch m.State {
	case types.LifecycleStatePending:
		switch {
		case !up:
			s.lost(c, row.name(), m, "Instance failed to start: it is gone or has stopped.")
		case instance.State == stateRunning && s.holds(c, m, launching):
			s.await(c, m, types.LifecycleStatePendingWait)
		case instance.State == stateRunning:
			s.serve(c, row, m)
		}
	case types.LifecycleStatePendingWait:
		if done, goOn := m.completed(c.now); done && goOn && up {
			s.serve(c, row, m)
		} else if done || !up {
			s.abandon(c, m)
		}
	case types.LifecycleStateInService:
		s.examine(c, row, m, instance, up)
	case types.LifecycleStateEnteringStandby:
		if s.drained(c, row, m.ID) {
			s.ended(c, m.Activity, "")
			s.enter(c, m, types.LifecycleStateStandby)
		}
	case types.LifecycleStateDetaching:
		if s.drained(c, row, m.ID) {
			s.ended(c, m.Activity, "")
			s.release(c, m)
		}
	case types.LifecycleStateTerminating, types.LifecycleStateTerminatingWait:
		s.end(c, row, m, instance, ok && instance.State != stateTerminated)
	}
}

// serve puts an instance in service.
func (s *scalingService) serve(c apiCall, row scalingRow, m memberRow) {
	s.ended(c, m.Activity, "")
	s.register(c, row, m.ID)
	s.enter(c, m, types.LifecycleStateInService)
	if current, _ := s.groups.get(c.w, row.name()); current.Failures > 0 {
		current.Failures = 0
		s.groups.put(c.w, current.name(), current)
	}
}

// lost forgets an instance that never came up.
func (s *scalingService) lost(c apiCall, group string, m memberRow, why string) {
	s.ended(c, m.Activity, why)
	s.forgetMember(c.w, m.ID)
	s.failed(c, group, &m, why)
}

func (s *scalingService) forgetMember(w world, id string) {
	s.members.remove(w, id)
	delete(s.waking, id)
}

// failed notes that a launch failed, of an instance or before there was one: the
// next one waits the longer, the more have failed. A refresh has failed with it,
// unless the instance was another's: one that is rolled back ends those that it
// had launched.
func (s *scalingService) failed(c apiCall, group string, m *memberRow, why string) {
	row, _ := s.groups.get(c.w, group)
	row.Failures++
	row.Retry = c.now.Add(s.cloud.options.Transition << min(row.Failures, 6))
	s.groups.put(c.w, group, row)
	if m == nil || s.isMarked(c.w, row, *m) {
		s.refreshFailed(c, row, why)
	}
}

// release lets an instance go that stays as it is.
func (s *scalingService) release(c apiCall, m memberRow) {
	s.forgetMember(c.w, m.ID)
	old, _ := s.cloud.ec2.tags.get(c.w, m.ID)
	left := tagRow{Resource: m.ID, Type: old.Type, Tags: map[string]string{}}
	for k, v := range old.Tags {
		if k != scalingTag {
			left.Tags[k] = v
		}
	}
	s.cloud.ec2.tags.put(c.w, m.ID, left)
}

// end terminates an instance once it has left its target groups and its
// lifecycle action is over.
func (s *scalingService) end(c apiCall, row scalingRow, m memberRow, instance instanceRow, exists bool) {
	switch {
	case !exists:
		s.ended(c, m.Activity, "")
		s.forgetMember(c.w, m.ID)
		for _, arn := range row.Group.TargetGroupARNs {
			s.deregister(c, arn, m.ID)
		}
	case instance.State == stateShuttingDown || !s.drained(c, row, m.ID):
	case m.State == types.LifecycleStateTerminating && s.holds(c, m, terminating):
		s.await(c, m, types.LifecycleStateTerminatingWait)
	case m.State == types.LifecycleStateTerminatingWait && !s.over(c, m):
	default:
		// A group's own instances are not protected from it.
		text := fmt.Sprintf("Server.ASG: terminated by Auto Scaling group %s", row.name())
		instance.KeepAlive, instance.StateText = false, text
		s.cloud.ec2.begin(c.w, instance, stateShuttingDown)
	}
}

// over tells whether a lifecycle action is, whatever came of it.
func (s *scalingService) over(c apiCall, m memberRow) bool {
	done, _ := m.completed(c.now)
	return done
}

// level launches what is missing from a group's capacity and terminates what
// is too much of it.
func (s *scalingService) level(c apiCall, name string) {
	row, _ := s.groups.get(c.w, name)
	active := keep(s.of(c.w, name), memberRow.active)
	wanted := row.desired() + s.surge(c.w, row)
	switch {
	case len(active) < wanted && !row.suspended("Launch") && !c.now.Before(row.Retry):
		for have := len(active); have < wanted; have++ {
			if err := s.launch(c, row, have); err != nil {
				s.failed(c, name, nil, err.Error())
				return
			}
		}
	case len(active) == wanted && row.Refresh == "" && !row.suspended("AZRebalance") && !row.suspended("Launch") && !row.suspended("Terminate"):
		s.rebalance(c, row, active)
	case len(active) > wanted && !row.suspended("Terminate"):
		for _, m := range s.victims(c.w, row, active, len(active)-wanted) {
			s.retire(c, row, m, fmt.Sprintf("an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.", len(active), wanted))
		}
	}
}

// rebalance takes one instance that lies in none of the group's subnets any
// more out of a group that lacks nothing. Its successor lies in one.
func (s *scalingService) rebalance(c apiCall, row scalingRow, active []memberRow) {
	var stranger *memberRow
	for _, m := range active {
		instance, _ := s.cloud.ec2.instances.get(c.w, m.ID)
		switch {
		case m.State != types.LifecycleStateInService:
			return
		case len(row.subnets()) > 0 && !slices.Contains(row.subnets(), instance.Subnet) && stranger == nil:
			stranger = &m
		}
	}
	if stranger != nil {
		s.retire(c, row, *stranger, "invalid availability zones or subnets were removed from the group.")
	}
}

// victims chooses what scale-in terminates: what an instance refresh replaces
// first, then in the fullest zone what the group's policies say.
func (s *scalingService) victims(w world, row scalingRow, active []memberRow, n int) []memberRow {
	target := s.target(w, row)
	left := slices.Clone(active)
	var chosen []memberRow
	for range n {
		crowd := map[string]int{}
		for _, m := range left {
			crowd[m.Zone]++
		}
		candidates := keep(left, func(m memberRow) bool { return !m.Protected })
		if len(candidates) == 0 {
			break
		}
		sort.SliceStable(candidates, func(i, j int) bool {
			a, b := candidates[i], candidates[j]
			if old := s.matches(w, a, target); row.Refresh != "" && old != s.matches(w, b, target) {
				return !old
			}
			if crowd[a.Zone] != crowd[b.Zone] {
				return crowd[a.Zone] > crowd[b.Zone]
			}
			return s.goesFirst(w, row, target, a, b)
		})
		chosen = append(chosen, candidates[0])
		left = keep(left, func(m memberRow) bool { return m.ID != candidates[0].ID })
	}
	return chosen
}

func (s *scalingService) goesFirst(w world, row scalingRow, target types.DesiredConfiguration, a, b memberRow) bool {
	for _, policy := range row.Group.TerminationPolicies {
		switch policy {
		case "NewestInstance":
			if !a.Joined.Equal(b.Joined) {
				return a.Joined.After(b.Joined)
			}
		case "OldestLaunchTemplate", "OldestLaunchConfiguration", "Default":
			if old := s.matches(w, a, target); old != s.matches(w, b, target) {
				return !old
			}
		}
	}
	return a.Joined.Before(b.Joined)
}
