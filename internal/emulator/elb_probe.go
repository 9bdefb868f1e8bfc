package emulator

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// The prober asks every target that is registered whether it is well, at the
// address of its own instance. It is one loop for all, which ends with the last
// target. Rounds follow each other at the pace of the local cloud, not of the
// groups' intervals; how many answers in a row count is the group's own.

const (
	probeLeast = 20 * time.Millisecond // between two rounds
	probeTime  = 2 * time.Second       // for one answer
)

func (s *elbService) resumeProbes(context.Context) error {
	var any bool
	err := s.cloud.store.transact(func() error {
		for _, w := range s.targets.worlds() {
			any = any || len(s.targets.all(w)) > 0
		}
		return nil
	})
	if any {
		s.probe()
	}
	return err
}

// probe starts the prober where there are machines to ask.
func (s *elbService) probe() {
	if s.cloud.kind == NoMachines || !s.probing.CompareAndSwap(false, true) {
		return
	}
	s.cloud.spawn(s.probeAll)
}

// question is what a probe asks a target.
type question struct {
	w         world
	row       targetRow
	group     types.TargetGroup
	host      string
	well, ill int32 // answers in a row before this one
}

func (s *elbService) probeAll(ctx context.Context) {
	asked := map[string]question{} // the streaks of the round before
	for {
		list := s.questions(asked)
		if list == nil {
			return
		}
		clear(asked)
		for _, q := range list {
			if asking, cancel := context.WithTimeout(ctx, probeTime); s.answers(asking, q) {
				q.well, q.ill = q.well+1, 0
				cancel()
			} else {
				q.well, q.ill = 0, q.ill+1
				cancel()
			}
			asked[q.w.String()+q.row.key()] = q
			s.judge(q)
		}
		timer := time.NewTimer(max(probeLeast, s.later()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// questions lists what to ask now; nil ends the prober.
func (s *elbService) questions(before map[string]question) (list []question) {
	_ = s.cloud.store.transact(func() error { // it fails when the cloud is closed: then there is nothing to ask
		any := false
		for _, w := range s.targets.worlds() {
			for _, row := range s.targets.all(w) {
				any = true
				group, ok := s.groups.get(w, row.Group)
				instance, there := s.instanceOf(w, row)
				if !ok || !there && !addressOf(row).IsValid() || there && instance.State != stateRunning || !row.Ends.IsZero() {
					continue
				}
				if there && row.State == types.TargetHealthStateEnumHealthy && s.cloud.ec2.hosts.machineOf(instance.ID) == nil {
					continue // it sleeps until somebody needs it
				}
				old := before[w.String()+row.key()]
				list = append(list, question{w: w, row: row, group: group.Group, host: s.hostOf(w, row), well: old.well, ill: old.ill})
			}
		}
		if any && list == nil {
			list = []question{}
		}
		if !any {
			s.probing.Store(false) // within the transaction: a later registration starts it again
		}
		return nil
	})
	return list
}

// answers tells whether a target is well: it takes a connection, or gives an
// answer of HTTP that the group's matcher takes.
func (s *elbService) answers(ctx context.Context, q question) bool {
	port := *q.group.HealthCheckPort
	if port == "traffic-port" {
		port = strconv.Itoa(int(q.row.Port))
	}
	address := net.JoinHostPort(q.host, port)
	if !overHTTP(q.group.HealthCheckProtocol) {
		conn, err := s.cloud.Dial(ctx, "tcp", address)
		return err == nil && conn.Close() == nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+*q.group.HealthCheckPath, nil)
	if err != nil {
		return false
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	transport := &http.Transport{DialContext: s.cloud.Dial, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request) // a redirection is an answer, and not followed
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // only the status counts
	return answer.Body.Close() == nil && matchesStatus(deref(q.group.Matcher.HttpCode), answer.StatusCode)
}

// matchesStatus reads a matcher: 200, 200,302 or 200-299.
func matchesStatus(matcher string, status int) bool {
	return slices.ContainsFunc(strings.Split(matcher, ","), func(part string) bool {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		return err == nil && err2 == nil && from <= status && status <= to
	})
}

// judge keeps what a target's streak makes of it. The first answer decides for
// one that is new.
func (s *elbService) judge(q question) {
	state, reason := q.row.State, q.row.Reason
	fresh := state == types.TargetHealthStateEnumInitial
	switch {
	case q.well > 0 && (fresh || q.well >= *q.group.HealthyThresholdCount):
		state, reason = types.TargetHealthStateEnumHealthy, ""
	case q.ill >= *q.group.UnhealthyThresholdCount:
		state, reason = types.TargetHealthStateEnumUnhealthy, types.TargetHealthReasonEnumFailedHealthChecks
	}
	if state == q.row.State {
		return
	}
	_ = s.cloud.store.transact(func() error { // it fails when the cloud is closed
		if row, ok := s.targets.get(q.w, q.row.key()); ok && row.Registered.Equal(q.row.Registered) {
			row.State, row.Reason = state, reason
			if state == types.TargetHealthStateEnumHealthy {
				row.Well = s.cloud.clock.Now()
			}
			s.targets.put(q.w, row.key(), row)
		}
		return nil
	})
}
