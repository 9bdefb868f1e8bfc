package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/tags"
)

// stored is a project with a volume that a definition of its own attaches, and
// a snapshot of another.
func stored() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":     "cidr_block: 10.0.0.0/16\n",
		"topology/subnets/a.yaml":     "vpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n",
		"topology/volumes/all.yaml":   "name: data\navailability_zone: a\nsize: 8\n---\nname: base\navailability_zone: a\nsize: 4\n",
		"topology/snapshots/s.yaml":   "name: first\nvolume: base\ndescription: as delivered\n",
		"topology/instances/all.yaml": "name: one\nimage: web\ninstance_type: t3.micro\nsubnet: a\n---\nname: two\nimage: web\ninstance_type: t3.micro\nsubnet: a\n",
		"topology/attachments/d.yaml": "name: data\nvolume: data\ninstance: one\ndevice: /dev/sdf\n",
		"images/web.yaml":             "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
}

// holder is the address of the instance that has the volume, and its device.
func (s *site) holder(t *testing.T, volume string) string {
	t.Helper()
	out, err := s.cloud.EC2.DescribeVolumes(context.Background(), &ec2.DescribeVolumesInput{VolumeIds: []string{s.idOf(volume)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range out.Volumes[0].Attachments {
		for _, address := range []string{"instance.one", "instance.two"} {
			if *a.InstanceId == s.idOf(address) {
				return address + " " + *a.Device
			}
		}
	}
	return ""
}

func TestAttachmentAndSnapshot(t *testing.T) {
	s := newSite(t, stored())
	s.promote("web", "1.0.0")
	before := s.platformOnly()
	s.launch()
	s.settled()
	if got := s.holder(t, "volume.data"); got != "instance.one /dev/sdf" {
		t.Errorf("the volume is on %q", got)
	}
	for _, change := range []struct {
		name string
		do   func()
		plan string
		on   string
	}{
		{"another device", func() { s.edit("topology/attachments/d.yaml", "sdf", "sdg") }, "change attachment.data: device", "instance.one /dev/sdg"},
		{"another instance", func() { s.edit("topology/attachments/d.yaml", "instance: one", "instance: two") }, "change attachment.data: instance", "instance.two /dev/sdg"},
		{"a new build", func() { s.promote("web", "2.0.0") }, "change attachment.data: instance", "instance.two /dev/sdg"},
		{"another description", func() { s.edit("topology/snapshots/s.yaml", "as delivered", "as it was") }, "replace snapshot.first: description", "instance.two /dev/sdg"},
		{"another zone", func() {
			s.edit("topology/subnets/a.yaml", "zone: a", "zone: b")
			s.edit("topology/volumes/all.yaml", "zone: a", "zone: b")
		}, "replace attachment.data: volume", "instance.two /dev/sdg"},
		{"no attachment", func() { s.write(map[string]string{"topology/attachments/d.yaml": ""}) }, "change instance.two: volumes[/dev/sdg]", ""},
	} {
		change.do()
		if plan := summaryOf(s.plan()); !strings.Contains(plan, change.plan) {
			t.Errorf("%s: the plan is\n%s", change.name, plan)
		}
		s.launch()
		s.settled()
		if got := s.holder(t, "volume.data"); got != change.on {
			t.Errorf("%s: the volume is on %q, not %q", change.name, got, change.on)
		}
	}
	s.write(stored())
	s.launch()
	s.destroy()
	sameInventory(t, "destroyed", before, s.platformOnly())
	if n := s.environmentSnapshots(t); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
}

// environmentSnapshots counts the snapshots that are no build's.
func (s *site) environmentSnapshots(t *testing.T) int {
	t.Helper()
	out, err := s.cloud.EC2.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, Filters: []types.Filter{cloud.Filter("tag:"+tags.Environment, "dev")}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Snapshots)
}

func TestAttachmentFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
		for _, action := range []string{"AttachVolume", "DetachVolume", "CreateSnapshot"} {
			t.Run(string(kind)+" "+action, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, stored())
				s.promote("web", "1.0.0")
				if action == "DetachVolume" {
					s.launch()
					s.edit("topology/attachments/d.yaml", "instance: one", "instance: two")
				}
				s.fault("ec2", action, kind, codeFor(kind), 1)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s.onDie = cancel
				_, _ = s.tryLaunch(ctx) // what it says is other tests' business
				s.reconnect()
				s.launch()
				s.settled()
				if n := s.environmentSnapshots(t); n != 1 {
					t.Errorf("%d snapshots", n)
				}
			})
		}
	}
}

func TestAttachmentDefinitions(t *testing.T) {
	for name, test := range map[string]struct{ file, old, new, want string }{
		"no device":             {"topology/attachments/d.yaml", "/dev/sdf", "disk", `"disk" is no device`},
		"another zone":          {"topology/volumes/all.yaml", "name: data\navailability_zone: a", "name: data\navailability_zone: b", "lies in zone eu-central-1b"},
		"attached twice":        {"topology/attachments/d.yaml", "name: data", "name: first\nvolume: data\ninstance: two\ndevice: /dev/sdf\n---\nname: data", "volume.data is attached to attachment.first already"},
		"a device twice":        {"topology/attachments/d.yaml", "name: data", "name: first\nvolume: base\ninstance: one\ndevice: /dev/sdf\n---\nname: data", "attachment.first is on instance.one as /dev/sdf already"},
		"a volume nowhere":      {"topology/attachments/d.yaml", "volume: data", "volume: dat", "dat"},
		"a snapshot of nothing": {"topology/snapshots/s.yaml", "volume: base", "volume: bas", "bas"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, stored())
			s.edit(test.file, test.old, test.new)
			_, err := s.topology()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
