package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/graph"
)

// network is a small topology of every kind of network resource.
func network() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/all.yaml": "name: public\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n" +
			"---\nname: private\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: a\n",
		"topology/elastic_ips/all.yaml":  "name: out\n---\nname: bastion\ninstance: bastion\n---\nname: mail\n",
		"topology/nat_gateways/out.yaml": "subnet: public\nelastic_ip: out\n",
		"topology/route_tables/all.yaml": "name: public\nvpc: main\nroutes:\n  - destination_cidr_block: 0.0.0.0/0\n    internet_gateway: main\nsubnets: [public]\n" +
			"---\nname: private\nvpc: main\nroutes:\n  - destination_cidr_block: 0.0.0.0/0\n    nat_gateway: out\nsubnets: [private]\n",
		"topology/instances/all.yaml": "name: bastion\nimage: web\ninstance_type: t3.micro\nsubnet: public\n" +
			"---\nname: mail\nimage: web\ninstance_type: t3.micro\nsubnet: public\nelastic_ip: mail\n",
		"images/web.yaml": "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
}

func newNetwork(t *testing.T) *site {
	t.Helper()
	s := newSite(t, network())
	s.promote("web", "1.0.0")
	return s
}

func TestNetworkThenNothingThenDestroy(t *testing.T) {
	s := newNetwork(t)
	before := s.inventory()
	s.local.ResetCalls()
	s.launch()
	t.Logf("launch: %d calls", len(s.local.Calls()))
	s.settled()
	for instance, address := range map[string]string{"instance.bastion": "elastic_ip.bastion", "instance.mail": "elastic_ip.mail"} {
		if at := s.holderOf(address); at != s.idOf(instance) {
			t.Errorf("%s is at %q, want %s", address, at, instance)
		}
	}
	s.destroy()
	sameInventory(t, "launch and destroy", before, s.inventory())
}

// holderOf is the instance that has an elastic IP address.
func (s *site) holderOf(address string) string {
	s.t.Helper()
	out, err := s.cloud.EC2.DescribeAddresses(context.Background(), &ec2.DescribeAddressesInput{AllocationIds: []string{s.idOf(address)}})
	if err != nil {
		s.t.Fatal(err)
	}
	if out.Addresses[0].InstanceId == nil {
		return ""
	}
	return *out.Addresses[0].InstanceId
}

// TestNetworkChanges changes one thing at a time.
func TestNetworkChanges(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(s *site)
		want []string
	}{
		{"address of a NAT gateway", func(s *site) {
			s.edit("topology/elastic_ips/all.yaml", "name: out\n", "name: out\n---\nname: new\n")
			s.edit("topology/nat_gateways/out.yaml", "elastic_ip: out", "elastic_ip: new")
		}, []string{"change route_table.private: routes[0.0.0.0/0]", "create elastic_ip.new", "replace nat_gateway.out: elastic_ip: ID -> (known after launch)"}},
		{"subnet of a NAT gateway, which keeps its address", func(s *site) {
			s.edit("topology/nat_gateways/out.yaml", "subnet: public", "subnet: private")
		}, []string{"change route_table.private: routes[0.0.0.0/0]", "replace nat_gateway.out: subnet: ID -> ID"}},
		{"a private NAT gateway", func(s *site) {
			s.edit("topology/nat_gateways/out.yaml", "elastic_ip: out", "connectivity_type: private")
		}, []string{"change route_table.private: routes[0.0.0.0/0]", "replace nat_gateway.out: connectivity_type: public -> private"}},
		{"no NAT gateway", func(s *site) {
			s.write(map[string]string{"topology/nat_gateways/out.yaml": ""})
			s.edit("topology/route_tables/all.yaml", "0.0.0.0/0\n    nat_gateway: out", "192.0.2.0/24\n    internet_gateway: main")
		}, []string{"change route_table.private: routes[0.0.0.0/0]; routes[192.0.2.0/24]", "delete nat_gateway.out: no definition has it"}},
		{"an address moves", func(s *site) {
			s.edit("topology/elastic_ips/all.yaml", "instance: bastion", "instance: mail")
			s.edit("topology/instances/all.yaml", "elastic_ip: mail\n", "")
			s.edit("topology/elastic_ips/all.yaml", "name: mail\n", "name: mail\ninstance: bastion\n")
		}, []string{"change elastic_ip.bastion: instance", "change elastic_ip.mail: instance"}},
		{"an address that nothing has", func(s *site) {
			s.edit("topology/elastic_ips/all.yaml", "instance: bastion\n", "")
			s.edit("topology/instances/all.yaml", "elastic_ip: mail\n", "")
		}, []string{"change elastic_ip.bastion: instance", "change elastic_ip.mail: instance"}},
		{"no addresses", func(s *site) {
			s.edit("topology/elastic_ips/all.yaml", "---\nname: bastion\ninstance: bastion\n---\nname: mail\n", "")
			s.edit("topology/instances/all.yaml", "elastic_ip: mail\n", "")
		}, []string{"delete elastic_ip.bastion: no definition has it", "delete elastic_ip.mail: no definition has it"}},
		{"instances with addresses are replaced", func(s *site) { s.promote("web", "2.0.0") }, []string{
			"change elastic_ip.bastion: instance",
			"replace instance.bastion: image web: build 1.0.0 -> 2.0.0 (AMI -> AMI)", "replace instance.mail: image web: build 1.0.0 -> 2.0.0 (AMI -> AMI)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newNetwork(t)
			before := s.inventory()
			s.launch()
			test.edit(s)
			plan := s.plan()
			if got := plain(plan); got != strings.Join(test.want, "\n") {
				t.Errorf("plan:\n%s\nwant:\n%s", got, strings.Join(test.want, "\n"))
			}
			s.launch()
			s.settled()
			s.destroy()
			after := s.inventory()
			for kind := range after {
				if strings.HasSuffix(kind, " image") || strings.HasSuffix(kind, " parameters") || strings.HasSuffix(kind, " snapshot") {
					before[kind] = after[kind]
				}
			}
			sameInventory(t, "launch and destroy", before, after)
		})
	}
}

// TestAccountsAddress: an instance has an address that is not of the topology;
// it stays the account's.
func TestAccountsAddress(t *testing.T) {
	s := newNetwork(t)
	out, err := s.cloud.EC2.AllocateAddress(context.Background(), &ec2.AllocateAddressInput{})
	if err != nil {
		t.Fatal(err)
	}
	before := s.inventory()
	s.edit("topology/instances/all.yaml", "elastic_ip: mail\n", "elastic_ip: "+*out.PublicIp+"\n")
	s.launch()
	s.settled()
	s.edit("topology/instances/all.yaml", "t3.micro", "t3.small")
	s.launch()
	s.settled()
	at, err := s.cloud.EC2.DescribeAddresses(context.Background(), &ec2.DescribeAddressesInput{AllocationIds: []string{*out.AllocationId}})
	if err != nil || at.Addresses[0].InstanceId == nil || *at.Addresses[0].InstanceId != s.idOf("instance.mail") {
		t.Errorf("the address is at %+v, %v", at.Addresses[0], err)
	}
	s.destroy()
	sameInventory(t, "launch and destroy", before, s.inventory())
}

// TestNetworkCallsFail samples TestEveryCallFailsOnce over the kinds of the
// network.
func TestNetworkCallsFail(t *testing.T) {
	for _, story := range []story{
		{"launch", func(*site) {}, launchIt},
		{"replacement", func(s *site) {
			s.launch()
			s.promote("web", "2.0.0")
			s.edit("topology/nat_gateways/out.yaml", "subnet: public", "subnet: private")
		}, launchIt},
		{"destroy", func(s *site) { s.launch() }, func(ctx context.Context, s *site) error { return s.tryDestroy(ctx) }},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			calm := newNetwork(t)
			story.prepare(calm)
			calm.local.ResetCalls()
			if err := story.do(context.Background(), calm); err != nil {
				t.Fatal(err)
			}
			calls, want := len(calm.local.Calls()), calm.shape()
			var faults []emulator.Fault
			for i, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
				for n := 1 + i; n <= calls; n += networkStride {
					faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
				}
			}
			err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
				disturbedOn(t, newNetwork(t), story, want, faults[i])
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// networkStride is the part of the calls that fail: coprime to the kinds of
// faults, so that each action meets some of them.
const networkStride = 5
