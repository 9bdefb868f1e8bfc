package launch

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
)

// newLiveGroup is an Auto Scaling group of n with services, which a client asks
// all the time.
func newLiveGroup(t *testing.T, n int, rollout string, pause time.Duration) *liveFleet {
	t.Helper()
	s := newSiteOn(t, machine.InProcess, blueGreenFiles())
	s.edit("topology/subnets/all.yaml", "availability_zone: a", "availability_zone: a\nmap_public_ip_on_launch: true")
	s.edit("topology/subnets/all.yaml", "availability_zone: b", "availability_zone: b\nmap_public_ip_on_launch: true")
	path := "/health"
	if strings.Contains(rollout, "http:") {
		path = "/alive" // the roll-out alone asks for more
	}
	group := "vpc: main\nprotocol: HTTP\nport: 8080\nderegistration_delay: 1\nhealth_check: {path: " + path + ", interval: 5, timeout: 2, healthy_threshold: 2, unhealthy_threshold: 2}\n"
	s.write(map[string]string{"topology/target_groups/all.yaml": "name: blue\n" + group + "---\nname: green\n" + group,
		scalingFile: fmt.Sprintf("launch_template: web\nmin_size: %d\nmax_size: %d\n", n, 2*n) + "subnets: [a, b]\ntarget_groups: [blue]\nalternate_target_groups: [green]\n" +
			"health_check_type: ELB\nhealth_check_grace_period: 30\nrollout: " + rollout + "\n"})
	v := &services{s: s, down: map[string]bool{}, servers: map[string]*http.Server{}, to: s.wire.to}
	s.wire.to = v
	f := &liveFleet{site: s}
	f.serve(v, n, pause)
	return f
}

// groupServes is one roll-out of a group under the eyes of a client.
func groupServes(t *testing.T, n int, rollout, build string, pause time.Duration) (seen *client, took time.Duration) {
	deadline := map[string]string{goodBuild: "2m", untilAsked: "2m"}[build]
	if deadline == "" {
		deadline = "400ms"
	}
	f := newLiveGroup(t, n, "{"+rollout+", deadline: "+deadline+"}", pause)
	f.promote("web", build)
	began := time.Now()
	_, err := f.tryLaunch(t.Context())
	took = time.Since(began)
	seen = f.stop()
	want := map[string]int{build: n}
	switch {
	case build != goodBuild:
		want = map[string]int{firstBuild: n}
		if fail.ExitCode(err) != fail.CodeClean {
			t.Errorf("code %d: %v, left %v", fail.ExitCode(err), err, fail.LeftOf(err))
		}
	case err != nil:
		t.Error(err)
	}
	f.wantBuilds("in the end", want)
	if seen.by[neverWell] > 0 {
		t.Errorf("%d requests were answered by a build that was never healthy", seen.by[neverWell])
	}
	if seen.failed > 0 || seen.asked == 0 {
		t.Errorf("%d of %d requests failed: %s", seen.failed, seen.asked, seen.first)
	}
	return seen, took
}

// TestGroupServes: a client asks through roll-outs of a group, and no request
// fails: not for a good build, and not for one that never becomes healthy. With
// ROLLOUT_TABLE it prints what bench/README.md shows, of six instances that are
// asked twenty times a second.
func TestGroupServes(t *testing.T) {
	table := os.Getenv("ROLLOUT_TABLE") != ""
	const asks = ", health: {http: {port: 8080, path: /health}}"
	for _, rollout := range []string{"strategy: OneAtATime", "strategy: HalfAtATime", "strategy: BlueGreen, steps: [10%, 50%, 100%]", "strategy: BlueGreen, bake_time: 1h",
		"strategy: HalfAtATime" + asks, "strategy: BlueGreen" + asks, "strategy: BlueGreen, bake_time: 1h" + asks} {
		for _, build := range []string{goodBuild, neverWell, untilAsked} {
			if !table && strings.Contains(rollout, "BlueGreen"+asks) && build == goodBuild {
				continue
			}
			if strings.Contains(rollout, "bake_time") != (build == untilAsked) {
				continue
			}
			t.Run(rollout+", "+build, func(t *testing.T) {
				if table {
					seen, took := groupServes(t, 6, rollout, build, 50*time.Millisecond)
					fmt.Printf("| %s | %s | %d | %d | %.1f s |\n", rollout, build, seen.asked, seen.failed, took.Seconds())
					return
				}
				t.Parallel()
				seen, _ := groupServes(t, 3, rollout, build, 5*time.Millisecond)
				t.Logf("%d asked, %d failed", seen.asked, seen.failed)
			})
		}
	}
}
