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
		"topology/vpcs/all.yaml":               "name: main\ncidr_block: 10.0.0.0/16\nsecondary_cidr_blocks: [10.8.0.0/16]\n---\nname: control\ncidr_block: 10.9.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/all.yaml": "name: public\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n" +
			"---\nname: private\nvpc: main\ncidr_block: 10.8.2.0/24\navailability_zone: a\n",
		"topology/vpc_peerings/control.yaml": "vpc: control\npeer_vpc: main\nrequester: {allow_dns_resolution_from_remote_vpc: true}\n",
		"topology/vpc_endpoints/s3.yaml":     "vpc: main\nservice_name: s3\nroute_tables: [private]\n",
		"topology/network_acls/private.yaml": "vpc: main\nsubnets: [private]\ningress:\n  - {rule_number: 100, cidr_block: 10.0.0.0/8}\n  - {rule_number: 110, cidr_block: 0.0.0.0/0, from_port: 1024, to_port: 65535}\negress:\n  - {rule_number: 100, cidr_block: 0.0.0.0/0}\n",
		"topology/dhcp_options/own.yaml":     "domain_name: shop.example\ndomain_name_servers: [AmazonProvidedDNS]\nvpcs: [main]\n",
		"topology/elastic_ips/all.yaml":      "name: out\n---\nname: bastion\ninstance: bastion\n---\nname: mail\n",
		"topology/nat_gateways/out.yaml":     "subnet: public\nelastic_ip: out\n",
		"topology/route_tables/all.yaml": "name: public\nvpc: main\nroutes:\n  - destination_cidr_block: 0.0.0.0/0\n    internet_gateway: main\nsubnets: [public]\n" +
			"---\nname: private\nvpc: main\nroutes:\n  - destination_cidr_block: 0.0.0.0/0\n    nat_gateway: out\n  - {destination_cidr_block: 10.9.0.0/16, vpc_peering: control}\nsubnets: [private]\n" +
			"---\nname: control\nvpc: control\nroutes: [{destination_cidr_block: 10.0.0.0/16, vpc_peering: control}]\n",
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
		{"another block of a VPC", func(s *site) {
			s.edit("topology/vpcs/all.yaml", "[10.8.0.0/16]", "[10.8.0.0/16, 10.7.0.0/16]")
			s.edit("topology/subnets/all.yaml", "10.8.2.0", "10.7.2.0")
		}, []string{"change network_acl.private: subnets", "change route_table.private: subnets", "change vpc.main: secondary_cidr_blocks", "replace subnet.private: cidr_block: 10.8.2.0/24 -> 10.7.2.0/24"}},
		{"the other end of a peering", func(s *site) {
			s.edit("topology/vpcs/all.yaml", "10.9.0.0/16\n", "10.9.0.0/16\n---\nname: more\ncidr_block: 10.6.0.0/16\n")
			s.edit("topology/vpc_peerings/control.yaml", "vpc: control\npeer_vpc: main", "vpc: more\npeer_vpc: main")
			s.edit("topology/route_tables/all.yaml", "vpc: control\n", "vpc: more\n")
		}, []string{"change route_table.private: routes[10.9.0.0/16]", "create vpc.more",
			"replace route_table.control: vpc: ID -> (known after launch)", "replace vpc_peering.control: vpc: ID -> (known after launch)"}},
		{"a peering the other way round", func(s *site) {
			s.edit("topology/vpc_peerings/control.yaml", "vpc: control\npeer_vpc: main", "vpc: main\npeer_vpc: control")
		}, []string{"change route_table.control: routes[10.0.0.0/16]", "change route_table.private: routes[10.9.0.0/16]",
			"replace vpc_peering.control: vpc: ID -> ID; peer_vpc: ID -> ID"}},
		{"options of a peering", func(s *site) {
			s.edit("topology/vpc_peerings/control.yaml", "vpc: true}", "vpc: false}\naccepter: {allow_dns_resolution_from_remote_vpc: true}")
		}, []string{"change vpc_peering.control: requester.allow_dns_resolution_from_remote_vpc; accepter.allow_dns_resolution_from_remote_vpc"}},
		{"no peering", func(s *site) {
			s.write(map[string]string{"topology/vpc_peerings/control.yaml": ""})
			s.edit("topology/route_tables/all.yaml", "  - {destination_cidr_block: 10.9.0.0/16, vpc_peering: control}\n", "")
			s.edit("topology/route_tables/all.yaml", "routes: [{destination_cidr_block: 10.0.0.0/16, vpc_peering: control}]\n", "")
		}, []string{"change route_table.control: routes[10.0.0.0/16]", "change route_table.private: routes[10.9.0.0/16]",
			"delete vpc_peering.control: no definition has it"}},
		{"tables and policy of an endpoint", func(s *site) {
			s.edit("topology/vpc_endpoints/s3.yaml", "[private]", "[public]\npolicy:\n  Version: \"2012-10-17\"\n  Statement: [{Effect: Allow, Principal: \"*\", Action: \"s3:GetObject\", Resource: \"*\"}]")
		}, []string{"change vpc_endpoint.s3: route_tables; policy"}},
		{"service of an endpoint", func(s *site) {
			s.edit("topology/vpc_endpoints/s3.yaml", "service_name: s3", "service_name: dynamodb")
		}, []string{"replace vpc_endpoint.s3: service_name: com.amazonaws.eu-central-1.s3 -> com.amazonaws.eu-central-1.dynamodb"}},
		{"another endpoint in its place", func(s *site) {
			s.edit("topology/vpc_endpoints/s3.yaml", "vpc:", "name: buckets\nvpc:")
		}, []string{"create vpc_endpoint.buckets", "delete vpc_endpoint.s3: no definition has it"}},
		{"DHCP options", func(s *site) {
			s.edit("topology/dhcp_options/own.yaml", "shop.example", "shop.test")
		}, []string{"replace dhcp_options.own: domain_name: shop.example -> shop.test"}},
		{"DHCP options of another VPC", func(s *site) {
			s.edit("topology/dhcp_options/own.yaml", "[main]", "[control]")
		}, []string{"change dhcp_options.own: vpcs"}},
		{"no DHCP options", func(s *site) { s.write(map[string]string{"topology/dhcp_options/own.yaml": ""}) },
			[]string{"delete dhcp_options.own: no definition has it"}},
		{"entries and subnets of a network ACL", func(s *site) {
			s.edit("topology/network_acls/private.yaml", "from_port: 1024", "from_port: 2048")
			s.edit("topology/network_acls/private.yaml", "egress:\n", "  - {rule_number: 120, cidr_block: 0.0.0.0/0, icmp_type: 3, icmp_code: 4}\n  - {rule_number: 130, cidr_block: 10.0.0.0/8, protocol: icmp}\negress:\n")
			s.edit("topology/network_acls/private.yaml", "rule_number: 100, cidr_block: 10.0.0.0/8", "rule_number: 90, rule_action: deny, cidr_block: 10.0.0.0/8")
			s.edit("topology/network_acls/private.yaml", "[private]", "[public]")
		}, []string{"change network_acl.private: ingress[90]; ingress[100]; ingress[110]; ingress[120]; ingress[130]; subnets"}},
		{"no network ACL", func(s *site) { s.write(map[string]string{"topology/network_acls/private.yaml": ""}) },
			[]string{"delete network_acl.private: no definition has it"}},
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
const networkStride = 13

func TestNetworkACLMistakes(t *testing.T) {
	const file = "topology/network_acls/a.yaml"
	f := map[string]string{"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n", file: "vpc: main\ningress:\n  - {rule_number: 1, cidr_block: 0.0.0.0/0, icmp_type: 8}\n"}
	mistaken(t, f, file, "icmp_type: 8", "icmp_code: 4", "a.yaml:3:56: a code is one of a type")
	mistaken(t, f, file, "icmp_type: 8", "protocol: tcp, icmp_type: 8", "icmp_type and icmp_code are for protocol icmp")
	mistaken(t, f, file, "icmp_type: 8", "protocol: icmp, from_port: 8", "icmp has no ports")
	mistaken(t, f, file, "icmp_type: 8", "icmp_type: 256", "256 is too large: at most 255")
}
