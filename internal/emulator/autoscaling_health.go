package emulator

import (
	"slices"
	"strings"
	"time"
)

// leastGrace is how long an instance with a machine may take until it answers
// its target groups, if its group gives it a grace period at all: machines do
// not boot faster for a clock that runs faster.
const leastGrace = 3 * time.Second

// bootGrace is how long a machine may take to boot. Those of an earlier process
// boot anew in this one, and answer nobody meanwhile.
const bootGrace = 30 * time.Second

// waking is what this process has seen of an instance's machine.
type waking struct {
	since  time.Time
	booted bool
}

// wakes tells whether an instance's machine has booted in this process, if at
// all, so lately that what its target groups say of it does not count yet.
func (s *scalingService) wakes(instance string) bool {
	if !s.cloud.ec2.hosts.on() {
		return false
	}
	seen, known := s.waking[instance]
	if booted := s.cloud.ec2.hosts.booted(instance); !known || booted != seen.booted {
		seen = waking{since: s.cloud.clock.Now(), booted: booted}
		s.waking[instance] = seen
	}
	return s.cloud.clock.Now().Before(seen.since.Add(pick(seen.booted, leastGrace, bootGrace)))
}

// graceful tells whether an instance is still too young for health checks.
func (s *scalingService) graceful(row scalingRow, m memberRow, instance instanceRow) bool {
	grace := s.scaled(deref(row.Group.HealthCheckGracePeriod))
	if grace == 0 {
		return false
	}
	if s.cloud.ec2.hosts.on() {
		grace = max(grace, leastGrace)
		if !instance.Booted && instance.State == stateRunning {
			return true
		}
	}
	return s.cloud.clock.Now().Before(m.Since.Add(grace))
}

// examine checks the health of an instance in service, and takes one out that
// is ill or too old.
func (s *scalingService) examine(c apiCall, row scalingRow, m memberRow, instance instanceRow, up bool) {
	if m.Ill == "" && !row.suspended("HealthCheck") {
		_, ill := s.serving(c.w, row, m.ID)
		switch life := deref(row.Group.MaxInstanceLifetime); {
		case !up:
			m.Ill = "an EC2 health check indicating it has been terminated or stopped."
		case ill && healthChecked(row, "ELB") && !s.graceful(row, m, instance) && !s.wakes(m.ID):
			m.Ill = "an ELB system health check failure."
		case life > 0 && c.now.After(m.Joined.Add(time.Duration(life)*time.Second)):
			m.Ill = "exceeding its maximum lifetime."
		}
		if m.Ill != "" {
			s.put(c.w, m)
		}
	}
	switch {
	case m.Ill == "":
		s.register(c, row, m.ID)
	case row.suspended("ReplaceUnhealthy") || row.suspended("Terminate"):
	default:
		if current, _ := s.groups.get(c.w, row.name()); s.isMarked(c.w, current, m) {
			s.refreshFailed(c, current, "instance "+m.ID+" was unhealthy: "+m.Ill)
		}
		s.retire(c, row, m, "an instance was taken out of service in response to "+m.Ill)
	}
}

// healthChecked tells whether a group asks a source of health.
func healthChecked(row scalingRow, source string) bool {
	return slices.Contains(strings.Split(*row.Group.HealthCheckType, ","), source)
}
