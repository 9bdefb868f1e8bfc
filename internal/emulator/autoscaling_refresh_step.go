package emulator

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

const (
	// refreshFailures is how many instances of a refresh may fail before it does.
	refreshFailures = 3
	// refreshPatience is how many of AWS's seconds a refresh waits for instances
	// that are protected or in standby.
	refreshPatience = 3600
)

// refreshState is a group in the middle of a refresh.
type refreshState struct {
	row   scalingRow
	r     refreshRow
	old   []memberRow // to be replaced
	held  []memberRow // the same, but protected or in standby, and waited for
	young int         // launched, and not yet in service for long enough
	done  int         // as the refresh wants them, and of use
	ready int         // in service and of use, old ones among them
	size  int         // active instances
	going int         // instances on their way out
}

// isMarked tells whether an instance was launched for the refresh under way.
func (s *scalingService) isMarked(w world, row scalingRow, m memberRow) bool {
	r, ok := s.refreshes.get(w, refreshKey(row.name(), row.Refresh))
	return ok && m.Refresh == r.mark()
}

// updated tells whether an instance is as the refresh wants it.
func (s *scalingService) updated(w world, row scalingRow, r refreshRow, m memberRow) bool {
	switch {
	case m.Refresh == r.mark():
		return true
	case r.rollingBack():
		return m.Refresh != *r.Refresh.InstanceRefreshId
	}
	return *r.Refresh.Preferences.SkipMatching && s.matches(w, m, s.target(w, row))
}

func (s *scalingService) refreshState(c apiCall, row scalingRow, r refreshRow) refreshState {
	st := refreshState{row: row, r: r}
	p := r.Refresh.Preferences
	for _, m := range s.of(c.w, row.name()) {
		standby := m.State == types.LifecycleStateStandby
		if m.State == types.LifecycleStateTerminating || m.State == types.LifecycleStateTerminatingWait {
			st.going++
		}
		if !m.active() && !standby {
			continue
		}
		updated := s.updated(c.w, row, r, m)
		if !standby {
			st.size++
		}
		warm := m.State == types.LifecycleStateInService && m.Ill == ""
		if updated {
			if healthChecked(row, "ELB") {
				healthy, _ := s.serving(c.w, row, m.ID)
				warm = warm && healthy
			}
			warm = warm && !c.now.Before(m.Since.Add(s.scaled(deref(p.InstanceWarmup))))
			switch {
			case warm:
				st.done++
			case !standby:
				st.young++
			}
		}
		if warm {
			st.ready++
		}
		switch {
		case updated || standby && p.StandbyInstances == types.StandbyInstancesIgnore || m.Protected && p.ScaleInProtectedInstances == types.ScaleInProtectedInstancesIgnore:
		case standby && p.StandbyInstances == types.StandbyInstancesWait || m.Protected && p.ScaleInProtectedInstances == types.ScaleInProtectedInstancesWait:
			st.held = append(st.held, m)
		default:
			st.old = append(st.old, m)
		}
	}
	return st
}

// margins are how many instances may be missing and how many may be there
// beyond the desired capacity.
func (st refreshState) margins() (down, surge int) {
	p, desired := st.r.Refresh.Preferences, st.row.desired()
	down = desired - (desired*int(*p.MinHealthyPercentage)+99)/100
	surge = desired*int(*p.MaxHealthyPercentage)/100 - desired
	switch {
	case surge > 0 || down > 0:
	case *p.MinHealthyPercentage == 100 || *p.MaxHealthyPercentage > 100:
		surge = 1 // nothing may be missing: one at a time, launched first
	default:
		down = 1 // AWS replaces at least one at a time
	}
	return down, surge
}

// quota is how many instances may still be replaced before the next checkpoint.
func (st refreshState) quota() int {
	left := len(st.old) + len(st.held)
	points := st.r.Refresh.Preferences.CheckpointPercentages
	if len(points) == 0 || st.r.rollingBack() {
		return left
	}
	if st.r.Checkpoint >= len(points) {
		return 0
	}
	replaced := st.r.Total - left
	return max(0, (st.r.Total*int(points[st.r.Checkpoint])+99)/100-replaced)
}

// surge is how many instances a group has beyond its desired capacity, while a
// refresh launches first.
func (s *scalingService) surge(w world, row scalingRow) int {
	r, ok := s.refreshes.get(w, refreshKey(row.name(), row.Refresh))
	if !ok || row.suspended("InstanceRefresh") || r.Refresh.Status != types.InstanceRefreshStatusInProgress && !r.rollingBack() {
		return 0
	}
	st := s.refreshState(s.self(w), row, r)
	_, surge := st.margins()
	return min(surge, len(st.old), st.quota())
}

// refresh takes a group's instance refresh a step further.
func (s *scalingService) refresh(c apiCall, name string) {
	row, _ := s.groups.get(c.w, name)
	r, ok := s.refreshes.get(c.w, refreshKey(name, row.Refresh))
	if !ok || row.suspended("InstanceRefresh") {
		return
	}
	before := r
	switch r.Refresh.Status {
	case types.InstanceRefreshStatusPending:
		r.Refresh.Status = types.InstanceRefreshStatusInProgress
	case types.InstanceRefreshStatusCancelling:
		if s.transitioning(c, r) {
			return
		}
		s.finish(c, r, types.InstanceRefreshStatusCancelled, "Cancelled due to user request.")
		return
	case types.InstanceRefreshStatusBaking:
		if !c.now.Before(r.Until) {
			s.finish(c, r, types.InstanceRefreshStatusSuccessful, "")
		}
		return
	}
	st := s.refreshState(c, row, r)
	if s.tooLong(c, &st) {
		s.giveUp(c, st.r, "instances that are protected from scale-in or in standby were not released in time")
		return
	}
	st.replace(s, c)
	st.count()
	if st.through(c, s) {
		return
	}
	if refreshChanged(before, st.r) {
		s.refreshes.put(c.w, st.r.id(), st.r)
	}
}

// transitioning tells whether instances are still being launched for a refresh or
// terminated by it: one that is cancelled waits for them.
func (s *scalingService) transitioning(c apiCall, r refreshRow) bool {
	return slices.ContainsFunc(s.of(c.w, *r.Refresh.AutoScalingGroupName), func(m memberRow) bool {
		switch m.State {
		case types.LifecycleStatePending, types.LifecycleStatePendingWait:
			return m.Refresh == *r.Refresh.InstanceRefreshId
		case types.LifecycleStateTerminating, types.LifecycleStateTerminatingWait:
			return true
		}
		return false
	}) && !r.Hasty
}

func refreshChanged(a, b refreshRow) bool {
	return a.Refresh.Status != b.Refresh.Status || deref(a.Refresh.PercentageComplete) != deref(b.Refresh.PercentageComplete) ||
		deref(a.Refresh.InstancesToUpdate) != deref(b.Refresh.InstancesToUpdate) || deref(a.Refresh.StatusReason) != deref(b.Refresh.StatusReason) ||
		a.Checkpoint != b.Checkpoint || !a.Until.Equal(b.Until) || !a.Stuck.Equal(b.Stuck)
}

// tooLong notes since when instances are waited for.
func (s *scalingService) tooLong(c apiCall, st *refreshState) bool {
	switch {
	case len(st.held) == 0:
		st.r.Stuck = time.Time{}
	case st.r.Stuck.IsZero():
		st.r.Stuck = c.now
	}
	return !st.r.Stuck.IsZero() && c.now.After(st.r.Stuck.Add(s.scaled(refreshPatience)))
}

// replace terminates as many old instances as the margins allow. Their
// successors are launched as any instance that is missing.
func (st *refreshState) replace(s *scalingService, c apiCall) {
	down, _ := st.margins()
	quota := st.quota()
	var left []memberRow
	for _, m := range st.old {
		useful := m.State == types.LifecycleStateInService && m.Ill == ""
		if quota == 0 || useful && st.ready-1 < st.row.desired()-down {
			left = append(left, m)
			continue
		}
		if useful {
			st.ready--
		}
		if m.active() {
			st.size--
		}
		quota--
		s.retire(c, st.row, m, "instance "+m.ID+" was taken out of service in response to an instance refresh.")
		st.going++
	}
	st.old = left
}

// count works out how far the refresh has come.
func (st *refreshState) count() {
	left := len(st.old) + len(st.held)
	st.r.Refresh.InstancesToUpdate = new(int32(left))
	if st.r.rollingBack() || st.r.Total == 0 {
		return
	}
	missing := max(0, st.row.desired()-st.size)
	done := max(0, min(st.done, st.r.Total-left))
	st.r.Refresh.PercentageComplete = new(int32(100 * done / st.r.Total))
	st.r.Refresh.StatusReason = nil
	if st.young+missing > 0 {
		st.r.Refresh.StatusReason = new(fmt.Sprintf("Waiting for remaining instances to be available. %d instances are not yet in service for long enough.", st.young+missing))
	}
}

// through ends what has come to its end, or to a checkpoint.
func (st *refreshState) through(c apiCall, s *scalingService) bool {
	left := len(st.old) + len(st.held)
	steady := st.young == 0 && st.going == 0 && st.size == st.row.desired()
	points := st.r.Refresh.Preferences.CheckpointPercentages
	if steady && !st.r.rollingBack() && st.r.Checkpoint < len(points) && st.quota() == 0 {
		switch {
		case st.r.Checkpoint == len(points)-1 || left == 0:
			st.r.Checkpoint = len(points)
		case st.r.Until.IsZero():
			st.r.Until = c.now.Add(s.scaled(*st.r.Refresh.Preferences.CheckpointDelay))
			st.r.Refresh.StatusReason = new(fmt.Sprintf("Waiting for %d seconds at the checkpoint of %d percent.", *st.r.Refresh.Preferences.CheckpointDelay, points[st.r.Checkpoint]))
		case !c.now.Before(st.r.Until):
			st.r.Checkpoint, st.r.Until = st.r.Checkpoint+1, time.Time{}
		}
	}
	if !steady || left > 0 && (len(points) == 0 || st.r.Checkpoint < len(points) || st.r.rollingBack()) {
		return false
	}
	switch bake := deref(st.r.Refresh.Preferences.BakeTime); {
	case st.r.rollingBack():
		s.finish(c, st.r, types.InstanceRefreshStatusRollbackSuccessful, st.r.Failure)
	case bake > 0:
		st.r.Refresh.Status, st.r.Until = types.InstanceRefreshStatusBaking, c.now.Add(s.scaled(bake))
		return false
	default:
		s.finish(c, st.r, types.InstanceRefreshStatusSuccessful, "")
	}
	return true
}

// finish ends a refresh. One that was successful leaves the group with what was
// desired.
func (s *scalingService) finish(c apiCall, r refreshRow, status types.InstanceRefreshStatus, reason string) {
	r.Refresh.Status, r.Refresh.EndTime, r.Refresh.StatusReason = status, new(c.now), nil
	if reason != "" {
		r.Refresh.StatusReason = &reason
	}
	row, _ := s.groups.get(c.w, *r.Refresh.AutoScalingGroupName)
	row.Refresh, row.Failures, row.Retry = "", 0, c.now
	if status == types.InstanceRefreshStatusSuccessful {
		r.Refresh.PercentageComplete, r.Refresh.InstancesToUpdate = new(int32(100)), new(int32(0))
		if d := r.Refresh.DesiredConfiguration; d != nil {
			row.Group.LaunchTemplate, row.Group.MixedInstancesPolicy = d.LaunchTemplate, d.MixedInstancesPolicy
		}
	}
	s.groups.put(c.w, row.name(), row)
	s.refreshes.put(c.w, r.id(), r)
}

// refreshFailed notes that an instance of the refresh under way failed.
func (s *scalingService) refreshFailed(c apiCall, row scalingRow, why string) {
	r, ok := s.refreshes.get(c.w, refreshKey(row.name(), row.Refresh))
	if !ok {
		return
	}
	r.Failures++
	r.Failure = why
	s.refreshes.put(c.w, r.id(), r)
	if r.Failures >= refreshFailures {
		s.giveUp(c, r, why)
	}
}

// giveUp fails a refresh, or turns it round if it was to be.
func (s *scalingService) giveUp(c apiCall, r refreshRow, why string) {
	r.Failure = why
	switch {
	case r.rollingBack():
		s.finish(c, r, types.InstanceRefreshStatusRollbackFailed, why)
	case *r.Refresh.Preferences.AutoRollback:
		s.rollBack(c, r, "The instance refresh failed: "+why)
	default:
		s.finish(c, r, types.InstanceRefreshStatusFailed, why)
	}
}
