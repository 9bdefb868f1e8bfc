package launch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
)

// servedFiles are the front with two equal instances that name their target group,
// and one with a volume that its group lists.
func servedFiles() map[string]string {
	f := frontFiles()
	f["topology/instances/web.yaml"] = "image: web\ninstance_type: t3.micro\ncount: 2\nsubnet: a\ntarget_groups: [blue]\n"
	f["topology/instances/db.yaml"] = "image: db\ninstance_type: t3.micro\nsubnet: a\nvolumes: [{volume: data, device: /dev/sdf}]\n"
	f["topology/volumes/data.yaml"] = "availability_zone: a\nsize: 8\n"
	f[groupFile] += "targets: [db]\n"
	f["images/web.yaml"] = platform()["images/web.yaml"]
	f["images/db.yaml"] = f["images/web.yaml"]
	return f
}

func newServed(t *testing.T) *site {
	t.Helper()
	s := newSite(t, servedFiles())
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	return s
}

// members are the addresses of the instances in a target group.
func (s *site) members(group string) []string {
	s.t.Helper()
	out, err := s.cloud.ELB.DescribeTargetHealth(context.Background(), &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(s.id(group))})
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, d := range out.TargetHealthDescriptions {
		if f := w.inventory.byID[*d.Target.Id]; f != nil && stays(d) {
			all = append(all, f.address())
		}
	}
	slices.Sort(all)
	return all
}

func (s *site) wantMembers(group string, want ...string) {
	s.t.Helper()
	if got := s.members(group); !slices.Equal(got, want) {
		s.t.Errorf("%s holds %v, want %v", group, got, want)
	}
}

// order gives the calls of some actions, each repetition once.
func (s *site) order(actions ...string) []string {
	var all []string
	for _, c := range s.local.Calls() {
		if slices.Contains(actions, c.Action) {
			all = append(all, c.Action)
		}
	}
	return slices.Compact(all)
}

// firsts gives some actions in the order of their first calls: of two instances that
// are replaced beside each other, one may be a step ahead.
func (s *site) firsts(actions ...string) []string {
	var all []string
	for _, action := range s.order(actions...) {
		if !slices.Contains(all, action) {
			all = append(all, action)
		}
	}
	return all
}

func TestTargets(t *testing.T) {
	s := newServed(t)
	s.launch()
	s.settled()
	s.wantMembers("target_group.blue", "instance.web[0]", "instance.web[1]")
	s.wantMembers("target_group.orders", "instance.db")

	s.promote("web", "2.0.0")
	s.local.ResetCalls()
	s.launch()
	s.settled()
	s.wantMembers("target_group.blue", "instance.web[0]", "instance.web[1]")
	moves := []string{"RunInstances", "RegisterTargets", "DeregisterTargets", "StopInstances", "TerminateInstances"}
	if got, want := s.firsts(moves...), []string{"RunInstances", "RegisterTargets", "DeregisterTargets", "TerminateInstances"}; !slices.Equal(got, want) {
		t.Errorf("a successor: %v, want %v", got, want)
	}

	s.promote("db", "2.0.0")
	s.local.ResetCalls()
	s.launch()
	s.settled()
	s.wantMembers("target_group.orders", "instance.db")
	if got, want := s.order(moves...), []string{"DeregisterTargets", "StopInstances", "RunInstances", "RegisterTargets", "DeregisterTargets", "TerminateInstances"}; !slices.Equal(got, want) {
		t.Errorf("a successor with a volume: %v, want %v", got, want)
	}

	for _, step := range []step{
		{"another group", func(s *site) { s.edit("topology/instances/web.yaml", "[blue]", "[green]") },
			[]string{"change instance.web[0]: target_groups", "change instance.web[1]: target_groups"}},
		{"a group in the place of another", func(s *site) { s.edit(groupFile, "protocol: HTTP\nport: 8080\n---", "protocol: HTTP\nport: 8081\n---") },
			[]string{"replace target_group.green: port: 8080 -> 8081", "change instance.web[0]: target_groups", "change instance.web[1]: target_groups",
				"change listener.https: default_action", "change listener_rule.beta: action"}},
		{"no group", func(s *site) { s.edit("topology/instances/web.yaml", "target_groups: [green]\n", "") },
			[]string{"change instance.web[0]: target_groups", "change instance.web[1]: target_groups"}},
		{"more in the list", func(s *site) { s.edit(groupFile, "targets: [db]", "targets: [db, {instance: \"web[0]\", port: 5433}]") },
			[]string{"change target_group.orders: targets"}},
		{"less in the list", func(s *site) { s.edit(groupFile, "targets: [db, ", "targets: [") },
			[]string{"change target_group.orders: targets"}},
		{"fewer instances", func(s *site) {
			s.edit("topology/instances/web.yaml", "count: 2", "count: 1")
		}, []string{"delete instance.web[1]: no definition has it"}},
	} {
		step.edit(s)
		if got, want := summaryOf(s.plan()), strings.Join(step.want, "\n"); got != want {
			t.Errorf("%s: the plan is\n%s\nwant\n%s", step.name, got, want)
		}
		s.launch()
		s.settled()
	}
	s.wantMembers("target_group.green")
	s.wantMembers("target_group.orders", "instance.web[0]")
	s.destroy()
}

// TestTargetsByHand: what somebody else has put into a group stays; an instance
// of the environment's that nobody wants there leaves.
func TestTargetsByHand(t *testing.T) {
	s := newServed(t)
	s.launch()
	if err := s.cloud.Register(t.Context(), s.id("target_group.green"), s.id("instance.db")); err != nil {
		t.Fatal(err)
	}
	if got := summaryOf(s.plan()); got != "change instance.db: target_groups" {
		t.Errorf("the plan is\n%s", got)
	}
	s.launch()
	s.wantMembers("target_group.green")
}

func TestAddressTargets(t *testing.T) {
	f := servedFiles()
	f[groupFile] = strings.ReplaceAll(f[groupFile], "targets: [db]", "target_type: ip\ntargets: [{ip_address: \"${instance.db.private_ip}\"}, {ip_address: 192.168.7.7, port: 99, availability_zone: all}]")
	s := newSite(t, f)
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	s.launch()
	s.settled()
	s.promote("db", "2.0.0")
	s.launch()
	s.settled()
	s.destroy()
}

func TestTargetsEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	for _, story := range []story{
		{"launch", func(*site) {}, launchIt},
		{"replacement", func(s *site) {
			s.launch()
			s.promote("db", "2.0.0")
			s.promote("web", "2.0.0")
			s.edit(groupFile, "protocol: HTTP\nport: 8080\n---", "protocol: HTTP\nport: 8081\n---")
		}, launchIt},
	} {
		calm := newServed(t)
		story.prepare(calm)
		calm.local.ResetCalls()
		if err := story.do(context.Background(), calm); err != nil {
			t.Fatal(err)
		}
		want := calm.shape()
		kinds := []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter}
		var faults []emulator.Fault
		for i, c := range calm.local.Calls() {
			if c.Action == "RegisterTargets" || c.Action == "DeregisterTargets" || i%53 == 0 {
				kind := kinds[len(faults)%len(kinds)]
				faults = append(faults, emulator.Fault{Nth: i + 1, Kind: kind, Code: codeFor(kind)})
			}
		}
		err := graph.Each(context.Background(), 8, len(faults), func(_ context.Context, i int) error {
			disturbedOn(t, newServed(t), story, want, faults[i])
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTargetMistakes(t *testing.T) {
	f := servedFiles()
	const web = "topology/instances/web.yaml"
	mistaken(t, f, web, "[blue]", "[blues]", `no resource target_group.blues (did you mean "blue"?)`)
	mistaken(t, f, web, "[blue]", "[blue, blue]", "web.yaml:5:23: the target group blue stands in the list twice")
	mistaken(t, f, groupFile, "targets: [db]", "target_type: ip\ntargets: [db]", "a target group of type ip takes addresses")
	mistaken(t, f, groupFile, "targets: [db]", "targets: [{ip_address: 10.0.0.9}]", "a target group of type instance takes instances")
	mistaken(t, f, groupFile, "targets: [db]", "targets: [db, db]", "the target db stands in the list twice")
	mistaken(t, f, "topology/instances/db.yaml", "subnet: a", "subnet: a\ntarget_groups: [orders]", "target_group.orders lists the instance among its targets already")
}

// TestEnterEnded: what has ended is not waited for until it may be a target.
func TestEnterEnded(t *testing.T) {
	s := newRollingFleet(t, 1, false, "{}")
	id := s.id("instance.web[0]")
	groups, err := s.cloud.ELB.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{})
	if err == nil {
		_, err = s.cloud.EC2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	}
	var w *world
	if err == nil {
		w, err = newWorld(s.options())
	}
	if err != nil {
		t.Fatal(err)
	}
	err = (&task{world: w, sink: event.Discard}).enter(t.Context(), []string{*groups.TargetGroups[0].TargetGroupArn}, id)
	if !errors.Is(err, errOver) {
		t.Errorf("error %v", err)
	}
}
