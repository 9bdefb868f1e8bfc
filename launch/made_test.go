package launch

import (
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
)

// TestLeftByAddress: what is left is told by its address, also where the creating
// call answers without tags.
func TestLeftByAddress(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	s.write(map[string]string{"topology/elastic_ips/out.yaml": "{}\n", "topology/nat_gateways/out.yaml": "subnet: public-b\nelastic_ip: out\n"})
	s.fault("ec2", "CreateNatGateway", emulator.Error, "UnauthorizedOperation", 1)
	_, err := s.tryLaunch(t.Context())
	left := fail.LeftOf(err)
	if fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || !strings.HasPrefix(left[0].What, "elastic_ip.out eipalloc-") {
		t.Errorf("code %d: %v, left %v", fail.ExitCode(err), err, left)
	}
}

// TestUnfinished: what the creating call has made is listed when the wait for it
// fails, and so is what a call without an answer may have made; the same
// command finishes it.
func TestUnfinished(t *testing.T) {
	refused := emulator.Fault{Kind: emulator.Error, Code: "UnauthorizedOperation"}
	of := func(f emulator.Fault, service, action string, nth, times int) emulator.Fault {
		f.Service, f.Action, f.Nth, f.Times = service, action, nth, times
		return f
	}
	for _, c := range []struct {
		file, text string
		fault      emulator.Fault
		want       string // how what is left begins
	}{
		{"volumes/more.yaml", "availability_zone: b\nsize: 8\n", of(refused, "ec2", "DescribeVolumes", 2, 1), "volume.more vol-"},
		{"instances/more.yaml", "image: web\ninstance_type: t3.micro\nsubnet: public-b\nsecurity_groups: [web]\n", of(refused, "ec2", "DescribeInstances", 2, 1), "instance.more i-"},
		{"attachments/more.yaml", "volume: spare\ninstance: web[0]\ndevice: /dev/sdx\n", of(refused, "ec2", "DescribeVolumes", 5, 1), "attachment.more vol-"},
		{"nat_gateways/more.yaml", "subnet: public-b\nconnectivity_type: private\n", of(refused, "ec2", "DescribeNatGateways", 2, 1), "nat_gateway.more nat-"},
		{"zones/more.yaml", "domain: example.test\n", of(refused, "route53", "ChangeTagsForResource", 1, 1), "zone.more "},
		{"vpcs/more.yaml", "cidr_block: 10.99.0.0/16\n", of(emulator.Fault{Kind: emulator.Unavailable}, "ec2", "CreateVpc", 1, 100), "vpc.more (it may have been made: CreateVpc was not answered)"},
	} {
		t.Run(c.file, func(t *testing.T) {
			s := newPlatform(t)
			s.write(map[string]string{"topology/volumes/spare.yaml": "availability_zone: b\nsize: 8\n"})
			s.launch()
			s.write(map[string]string{"topology/" + c.file: c.text})
			s.local.Inject(c.fault)
			_, err := s.tryLaunch(t.Context())
			left := fail.LeftOf(err)
			if fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || !strings.HasPrefix(left[0].What, c.want) || left[0].Command != "goldline launch dev" {
				t.Errorf("code %d: %v, left %v", fail.ExitCode(err), err, left)
			}
			s.local.ClearFaults()
			s.launch()
			s.settled()
		})
	}
}
