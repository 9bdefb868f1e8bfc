package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

const webFile = "topology/instances/web.yaml"

// rollingFleet is a number of instances behind a load balancer, each with a volume of
// its own where data says so, and with a roll-out.
func rollingFleet(n int, data bool, rollout string) map[string]string {
	f := map[string]string{
		"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n",
		"topology/subnets/all.yaml": "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n" +
			"---\nname: b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/load_balancers/web.yaml":     "subnets: [a, b]\n",
		"topology/target_groups/web.yaml":      "vpc: main\nprotocol: HTTP\nport: 8080\nderegistration_delay: 0\nhealth_check: {interval: 5, timeout: 2, healthy_threshold: 2}\n",
		"topology/listeners/web.yaml":          "load_balancer: web\nport: 80\nprotocol: HTTP\ndefault_action: {forward: web}\n",
		webFile:                                fmt.Sprintf("image: web\ninstance_type: t3.micro\ncount: %d\nsubnet: a\ntarget_groups: [web]\nrollout: %s\n", n, rollout),
		"images/web.yaml":                      "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
	if data {
		f["topology/volumes/data.yaml"] = fmt.Sprintf("count: %d\navailability_zone: a\nsize: 1\n", n)
		f[webFile] += "volumes: [{volume: \"data[${index}]\", device: /dev/sdf}]\n"
	}
	return f
}

// newRollingFleet is a site with a fleet that runs.
func newRollingFleet(t *testing.T, n int, data bool, rollout string) *site {
	t.Helper()
	s := newSite(t, rollingFleet(n, data, rollout))
	s.promote("web", "1.0.0")
	s.launch()
	return s
}

// versions are what the instances run, by address.
func (s *site) versions() string {
	s.t.Helper()
	list, err := Instances(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, i := range list {
		text := i.Version
		if i.State != "running" {
			text += " (" + i.State + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// TestRolloutInBatches: batches follow each other, and none begins before the
// one before it is done.
func TestRolloutInBatches(t *testing.T) {
	for _, data := range []bool{true, false} {
		for rollout, want := range map[string]string{
			"{strategy: OneAtATime}":     "1 1 1 1",
			"{strategy: HalfAtATime}":    "2 2",
			"{strategy: AllAtOnce}":      "4",
			"{minimum_healthy: 75%}":     "1 1 1 1",
			"{canary: {bake_time: 1ms}}": "1 2 1",
			"{minimum_healthy: 1, health: {status: true, target_group: true}, healthy_after: 2}": "3 1",
		} {
			t.Run(fmt.Sprintf("%s volumes %t", rollout, data), func(t *testing.T) {
				t.Parallel()
				s := newRollingFleet(t, 4, data, rollout)
				s.promote("web", "2.0.0")
				o := s.options()
				told := &events{}
				o.Sink = told
				plan, err := NewPlan(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				result, err := Apply(t.Context(), o, plan)
				if err != nil {
					t.Fatal(err)
				}
				var sizes []string
				for b := 1; b <= result.Rollouts[0].Batches; b++ {
					n := 0
					for _, i := range result.Rollouts[0].Instances {
						if i.Batch == b {
							n++
						}
						if i.State != StateTaken || i.Old == i.New || i.From == i.To {
							t.Errorf("instance %+v", i)
						}
					}
					sizes = append(sizes, fmt.Sprint(n))
				}
				if got := strings.Join(sizes, " "); got != want {
					t.Errorf("batches of %s, want %s", got, want)
				}
				if got := s.versions(); got != "2.0.0 2.0.0 2.0.0 2.0.0" {
					t.Errorf("versions %s", got)
				}
				inOrder(t, told, result)
				s.settled()
			})
		}
	}
}

// inOrder fails where an instance is begun before the batch before its own is
// done.
func inOrder(t *testing.T, told *events, r Result) {
	t.Helper()
	at := map[string]int{}
	for _, i := range r.Rollouts[0].Instances {
		at[i.Address] = i.Batch
	}
	told.mu.Lock()
	defer told.mu.Unlock()
	latest := 0
	for _, x := range told.all {
		if x.Kind != event.Started || at[x.Item] == 0 {
			continue
		}
		if at[x.Item] < latest {
			t.Errorf("%s of batch %d begins after batch %d", x.Item, at[x.Item], latest)
		}
		latest = max(latest, at[x.Item])
	}
}

// TestRolloutStops: one that fails is put back, and the rest of the roll-out
// does not begin.
func TestRolloutStops(t *testing.T) {
	for _, data := range []bool{true, false} {
		t.Run(fmt.Sprintf("volumes %t", data), func(t *testing.T) {
			s := newRollingFleet(t, 3, data, "{strategy: OneAtATime}")
			before := s.shape()
			s.promote("web", "2.0.0")
			s.fault("", "RunInstances", "error", "InsufficientInstanceCapacity", 2)
			r, err := s.tryLaunch(t.Context())
			if err == nil || fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(err.Error(), "instance.web[0] took the new build, instance.web[1], instance.web[2] did not") {
				t.Fatalf("error %v", err)
			}
			if states := r.Rollouts[0].Instances; states[0].State != StateTaken || states[1].State != StatePutBack || states[2].State != StateWaiting {
				t.Errorf("states %+v", states)
			}
			if got := s.versions(); got != "2.0.0 1.0.0 1.0.0" {
				t.Errorf("versions %s", got)
			}
			s.launch()
			if got := s.versions(); got != "2.0.0 2.0.0 2.0.0" {
				t.Errorf("versions %s", got)
			}
			if len(before["eu-central-1 volume"]) != len(s.shape()["eu-central-1 volume"]) {
				t.Error("volumes differ")
			}
			s.settled()
		})
	}
}

// TestRolloutOfRootsAfterAFailedTask: a task that an earlier run began and that
// ended with the instance's stop is not taken for that of this run.
func TestRolloutOfRootsAfterAFailedTask(t *testing.T) {
	s := newRollingFleet(t, 1, false, "{replace: root-volume}")
	s.promote("web", "2.0.0")
	s.fault("", "DescribeReplaceRootVolumeTasks", "error", "UnauthorizedOperation", 1)
	if _, err := s.tryLaunch(t.Context()); err == nil || fail.ExitCode(err) != fail.CodeClean {
		t.Fatalf("error %v", err)
	}
	s.launch()
	s.settled()
	if got := s.versions(); got != "2.0.0" {
		t.Errorf("versions %s", got)
	}
}

// TestRolloutOfRoots: instances keep their IDs and addresses, and what they run is
// another build; one whose root cannot be replaced goes on with the old one.
func TestRolloutOfRoots(t *testing.T) {
	s := newRollingFleet(t, 2, true, "{strategy: OneAtATime, replace: root-volume}")
	was, shape := []string{s.id("instance.web[0]"), s.id("instance.web[1]")}, s.shape()
	s.promote("web", "2.0.0")
	s.fault("", "CreateReplaceRootVolumeTask", "error", "InsufficientInstanceCapacity", 2)
	r, err := s.tryLaunch(t.Context())
	if err == nil || fail.ExitCode(err) != fail.CodeDirty {
		t.Fatalf("error %v", err)
	}
	if states := r.Rollouts[0].Instances; states[0].State != StateTaken || states[1].State != StatePutBack || states[0].Old != states[0].New {
		t.Errorf("states %+v", states)
	}
	if got := s.versions(); got != "2.0.0 1.0.0" {
		t.Errorf("versions %s", got)
	}
	s.launch()
	s.settled()
	if got := s.versions(); got != "2.0.0 2.0.0" {
		t.Errorf("versions %s", got)
	}
	if is := []string{s.id("instance.web[0]"), s.id("instance.web[1]")}; !slices.Equal(was, is) {
		t.Errorf("instances %v, were %v", is, was)
	}
	for kind, lines := range s.shape() {
		if strings.HasSuffix(kind, " volume") && len(lines) != len(shape[kind]) {
			t.Errorf("volumes %v, were %v", lines, shape[kind])
		}
	}
}
