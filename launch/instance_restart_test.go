package launch

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

const resizedFile = "topology/instances/web.yaml"

// resizedFiles are two equal instances, one of which has a volume.
func resizedFiles() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/a.yaml":              "vpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\nmap_public_ip_on_launch: true\n",
		"topology/volumes/data.yaml":           "availability_zone: a\nsize: 1\n",
		resizedFile:                            "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\ncount: 2\n",
		"topology/instances/db.yaml":           "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\nvolumes: [{volume: data, device: /dev/sdf}]\n",
		"topology/zones/internal.yaml":         "domain: shop.internal\nvpcs: [main]\n",
		"topology/records/db.yaml":             "zone: internal\ndomain: db\ntype: A\nvalues: [\"${instance.db.public_ip}\"]\n",
	}
}

func resize(s *site) {
	s.edit(resizedFile, "t3.micro", "t3.small")
	s.edit("topology/instances/db.yaml", "t3.micro", "t3.small\nebs_optimized: true")
}

// TestRestart: an instance gets another type in place, one of a definition after
// the other, and what names its public address follows.
func TestRestart(t *testing.T) {
	s := newSite(t, resizedFiles())
	s.launch()
	before := s.ids()
	resize(s)
	plan := s.plan()
	const how = ": t3.micro -> t3.small, stopped and started"
	want := "change instance.web[0]: instance_type" + how + "\nchange instance.web[1]: instance_type" + how + "\n" +
		"change instance.db: instance_type" + how + "; ebs_optimized: false -> true, stopped and started\nchange record.db: values"
	if got := strings.Split(summaryOf(plan), "\n"); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(strings.Split(want, "\n")))) {
		t.Errorf("plan:\n%s\nwant:\n%s", summaryOf(plan), want)
	}
	s.local.ResetCalls()
	s.launch()
	s.settled()
	if after := s.ids(); !slices.Equal(before, after) {
		t.Errorf("instances %v are %v", before, after)
	}
	for _, c := range s.local.Calls() {
		if c.Action == "RunInstances" || c.Action == "DetachVolume" || c.Action == "TerminateInstances" {
			t.Errorf("%s was called", c.Action)
		}
	}
	s.destroy()
}

// ids are the IDs of what runs.
func (s *site) ids() []string {
	s.t.Helper()
	list, err := Instances(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, i := range list {
		all = append(all, i.ID+" "+i.PrivateIP)
	}
	slices.Sort(all)
	return all
}

// TestRestartOneAfterTheOther: equal instances do not stand still at once.
func TestRestartOneAfterTheOther(t *testing.T) {
	s := newSite(t, resizedFiles())
	s.launch()
	s.edit(resizedFile, "t3.micro", "t3.small")
	s.local.ResetCalls()
	s.launch()
	want := []string{"StopInstances", "StartInstances", "StopInstances", "StartInstances"}
	if got := s.order("StopInstances", "StartInstances"); !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
}

// TestRestartIsPutBack: an instance that cannot be started as another type runs
// again as what it was.
func TestRestartIsPutBack(t *testing.T) {
	s := newSite(t, resizedFiles())
	s.launch()
	s.edit("topology/instances/db.yaml", "t3.micro", "t3.small")
	s.fault("ec2", "StartInstances", emulator.Error, "InsufficientInstanceCapacity", 1)
	_, err := s.tryLaunch(context.Background())
	if fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(err.Error(), "InsufficientInstanceCapacity") {
		t.Errorf("error %v", err)
	}
	out, err := s.cloud.EC2.DescribeInstances(context.Background(), &ec2.DescribeInstancesInput{InstanceIds: []string{s.id("instance.db")}})
	if err != nil {
		t.Fatal(err)
	}
	if i := out.Reservations[0].Instances[0]; i.InstanceType != "t3.micro" || stateOf(i) != "running" {
		t.Errorf("it is a %s, %s", i.InstanceType, stateOf(i))
	}
	s.launch()
	s.settled()
}

// TestRestartReplaces: what EC2 cannot change of a stopped instance replaces it,
// with the reason.
func TestRestartReplaces(t *testing.T) {
	s := newSite(t, resizedFiles())
	s.launch()
	s.edit(resizedFile, "count: 2", "count: 2\nrollout: {strategy: OneAtATime}")
	s.edit(resizedFile, "t3.micro", "t3.small")
	if got := summaryOf(s.plan()); !strings.Contains(got, "replace instance.web[0]: instance_type: t3.micro -> t3.small (rolled out)") {
		t.Errorf("plan:\n%s", got)
	}
	s.edit(resizedFile, "t3.small", "t4g.micro")
	_, err := NewPlan(context.Background(), s.options())
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "t4g.micro cannot run its image") {
		t.Errorf("another architecture: %v", err)
	}
}

func TestRestartEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	change := story{"type", func(s *site) { s.launch(); resize(s) }, launchIt}
	files := resizedFiles() // without the record, whose address differs from one launch to the next
	delete(files, "topology/zones/internal.yaml")
	delete(files, "topology/records/db.yaml")
	calm := newSite(t, files)
	change.prepare(calm)
	calm.local.ResetCalls()
	if err := change.do(context.Background(), calm); err != nil {
		t.Fatal(err)
	}
	want := calm.shape()
	var faults []emulator.Fault
	for n := 1; n <= len(calm.local.Calls()); n += 7 {
		for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
			faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
		}
	}
	err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
		disturbedOn(t, newSite(t, files), change, want, faults[i])
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
