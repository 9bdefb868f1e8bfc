package launch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/diag"
)

// TestCheckTopology: what EC2 would refuse is found before any call, where it
// stands.
func TestCheckTopology(t *testing.T) {
	for _, test := range []struct {
		file, old, new string
		want           []string // of one problem each: position and message
	}{
		{"topology/subnets/all.yaml", "10.0.2.0/24", "10.1.2.0/24", []string{"all.yaml:9:13: 10.1.2.0/24 lies outside vpc.main"}},
		{"topology/subnets/all.yaml", "10.0.2.0/24", "10.0.1.128/25", []string{"all.yaml:9:13: 10.0.1.128/25 overlaps 10.0.1.0/24 of subnet.public-a"}},
		{"topology/subnets/all.yaml", "10.0.2.0/24", "10.0.2.5/24", []string{"all.yaml:9:13: 10.0.2.5/24 has bits beyond its length (the block that it lies in is 10.0.2.0/24)"}},
		{"topology/subnets/all.yaml", "10.0.2.0/24", "10.0.2.0/30", []string{"all.yaml:9:13: 10.0.2.0/30: EC2 takes blocks of /16 to /28 here"}},
		{"topology/subnets/all.yaml", "10.0.2.0/24", "10.0.2.0", []string{`all.yaml:9:13: "10.0.2.0" is no CIDR block (one address is 10.0.2.0/32)`}},
		{"topology/subnets/all.yaml", "zone: b", "zone: us-east-1a", []string{"all.yaml:10:20: zone us-east-1a is not in the environment's region eu-central-1"}},
		{"topology/subnets/all.yaml", "zone: b", "zone: bee", []string{`all.yaml:10:20: "bee" is no zone`}},
		{"topology/vpcs/main.yaml", "10.0.0.0/16", "10.0.0.0/8", []string{"main.yaml:1:13: 10.0.0.0/8: EC2 takes blocks of /16 to /28 here"}},
		{"topology/volumes/orders.yaml", "zone: a", "zone: b", []string{"db.yaml:5:20: volume.orders lies in zone eu-central-1b, and the instance in eu-central-1a"}},
		{"topology/volumes/orders.yaml", "size: 8", "size: 8\niops: 100", []string{"orders.yaml:3:7: 100 IOPS: EC2 takes 3000 to 80000"}},
		{"topology/volumes/orders.yaml", "size: 8", "size: 8\niops: 5000", []string{"orders.yaml:3:7: 5000 IOPS: EC2 takes 500 for each GiB of a volume of type gp3 (8 GiB take 4000)"}},
		{"topology/volumes/orders.yaml", "size: 8", "size: 8\nthroughput: 900", []string{"orders.yaml:3:13: 900 MiB/s: EC2 takes a quarter of the IOPS, which are 3000 (give iops: 3600)"}},
		{"topology/security_groups/all.yaml", "description: orders", "description: für alle", []string{`EC2 does not take "für alle" here`}},
		{"topology/volumes/orders.yaml", "size: 8", "volume_type: gp2\nthroughput: 200", []string{"a volume needs a size or a snapshot_id", "orders.yaml:3:13: a volume of type gp2 takes no throughput"}},
		{"topology/volumes/orders.yaml", "size: 8", "size: 8\nvolume_type: io2", []string{"a volume of type io2 needs iops"}},
		{"topology/instances/db.yaml", "/dev/sdf", "/dev/sda1", []string{`"/dev/sda1" is no device`}},
		{"topology/instances/web.yaml", "subnet:", "volumes: [{volume: orders, device: /dev/sdf}]\nsubnet:", []string{
			"volume.orders is attached to instance.db already", "volume.orders lies in zone eu-central-1a, and the instance in eu-central-1b"}},
		{"topology/instances/web.yaml", "image: web\n", "", []string{"one of image and ami"}},
		{"topology/instances/web.yaml", "t3.micro", "micro", []string{`"micro" is no instance type`}},
		{"topology/instances/db.yaml", "subnet:", "private_ip: 10.0.2.9\nsubnet:", []string{"10.0.2.9 lies outside subnet.public-a"}},
		{"topology/instances/db.yaml", "    volume:", "    much: " + strings.Repeat("x", 17000) + "\n    volume:", []string{"the user data is 17"}},
		{"topology/security_groups/all.yaml", "[db]", "[dv]", []string{`all.yaml:5:51: no resource security_group.dv (did you mean "db"?)`}},
		{"topology/volumes/orders.yaml", "size: 8", "siez: 8\nsize: 8", []string{`orders.yaml:2:1: unknown key "siez" (did you mean "size"?)`}},
		{"topology/volumes/orders.yaml", "size: 8", "size: 8\nkind: volum", []string{`orders.yaml:3:7: no kind of resource is called "volum"`}},
		{"topology/security_groups/all.yaml", "port: 80,", "from_port: 90, to_port: 80,", []string{"ports 90 to 80"}},
		{"topology/security_groups/all.yaml", "port: 80,", "port: 80, to_port: 81,", []string{"port beside from_port or to_port"}},
		{"topology/security_groups/all.yaml", "protocol: tcp, port: 80,", "protocol: tpc, port: 80,", []string{`unknown protocol "tpc"`}},
		{"topology/security_groups/all.yaml", "cidr_blocks: [0.0.0.0/0]", "description: none", []string{"the rule names no peer"}},
		{"topology/security_groups/all.yaml", "0.0.0.0/0", "0.0.0.0", []string{`"0.0.0.0" is no CIDR block`}},
		{"topology/security_groups/all.yaml", "name: web\nvpc", "name: web\ngroup_name: default\nvpc", []string{`EC2 keeps the group name "default" for itself`}},
		{"topology/route_tables/public.yaml", "    internet_gateway: main\n", "", []string{"a route needs one target, not 0"}},
		{"topology/route_tables/public.yaml", "subnets:", "  - {destination_cidr_block: 0.0.0.0/0, internet_gateway: main}\nsubnets:", []string{"a second route to 0.0.0.0/0"}},
		{"topology/internet_gateways/main.yaml", "vpc: main\n", "name: main\nvpc: main\n---\nname: more\nvpc: main\n", []string{"internet gateway already: internet_gateway.main"}},
	} {
		checkEdited(t, platform(), test.file, test.old, test.new, test.want)
	}
}

// TestCheckNetwork is the same for the kinds of the network.
func TestCheckNetwork(t *testing.T) {
	for _, test := range []struct {
		file, old, new string
		want           []string
	}{
		{"topology/nat_gateways/out.yaml", "elastic_ip: out", "", []string{"out.yaml:1:1: a public NAT gateway needs an elastic_ip"}},
		{"topology/nat_gateways/out.yaml", "elastic_ip: out", "elastic_ip: out\nconnectivity_type: private", []string{"out.yaml:2:13: a private NAT gateway takes no elastic_ip"}},
		{"topology/nat_gateways/out.yaml", "elastic_ip: out", "elastic_ip: 203.0.113.7", []string{"out.yaml:2:13: a NAT gateway takes an elastic_ip by name or ID"}},
		{"topology/nat_gateways/out.yaml", "elastic_ip: out", "elastic_ip: out\nprivate_ip: 10.8.2.9", []string{"out.yaml:3:13: 10.8.2.9 lies outside subnet.public"}},
		{"topology/nat_gateways/out.yaml", "elastic_ip: out", "elastic_ip: mail", []string{"elastic_ip.mail is at"}},
		{"topology/vpcs/all.yaml", "name: control", "name: more\ncidr_block: 10.1.0.0/16\n---\nkind: subnet\nname: more\nvpc: more\ncidr_block: 10.1.1.0/24\n" +
			"---\nkind: elastic_ip\nname: more\n---\nkind: nat_gateway\nname: more\nsubnet: more\nelastic_ip: more\n---\nname: control", []string{"vpc.more has no way to the internet"}},
		{"topology/elastic_ips/all.yaml", "name: mail", "name: mail\ninstance: bastion", []string{"all.yaml:10:13: elastic_ip.mail is at instance.bastion already"}},
		{"topology/instances/all.yaml", "elastic_ip: mail", "elastic_ip: mial", []string{"all.yaml:10:13: "}},
		{"topology/instances/all.yaml", "elastic_ip: mail", "elastic_ip: eipalloc-00000000000000001", []string{"all.yaml:10:13: an instance takes an elastic_ip by name or as an address"}},
		{"topology/instances/all.yaml", "elastic_ip: mail", "count: 2\nelastic_ip: 203.0.113.7", []string{"instance.mail[0] has the address 203.0.113.7 already"}},
		{"topology/vpcs/all.yaml", "[10.8.0.0/16]", "[10.8.0.0/16, 10.0.128.0/17]", []string{"all.yaml:3:38: 10.0.128.0/17 overlaps 10.0.0.0/16 of the same VPC"}},
		{"topology/vpcs/all.yaml", "[10.8.0.0/16]", "[10.8.0.0/16, 10.0.0.0/8]", []string{"all.yaml:3:38: 10.0.0.0/8: EC2 takes blocks of /16 to /28 here", "10.0.0.0/8 of vpc.main overlaps 10.9.0.0/16"}},
		{"topology/vpcs/all.yaml", "[10.8.0.0/16]", "[10.7.0.0/16]", []string{"10.8.2.0/24 lies outside vpc.main (the block of vpc.main is 10.0.0.0/16 and 10.7.0.0/16)"}},
		{"topology/vpcs/all.yaml", "10.9.0.0/16", "10.0.0.0/16", []string{"control.yaml:2:11: 10.0.0.0/16 of vpc.main overlaps 10.0.0.0/16"}},
		{"topology/vpc_peerings/control.yaml", "peer_vpc: main", "peer_vpc: control", []string{"control.yaml:2:11: a VPC is not peered with itself"}},
		{"topology/vpc_peerings/control.yaml", "peer_vpc: main", "peer_vpc: main\npeer_vpc_id: vpc-00000000000000001", []string{"a peering needs one of peer_vpc and peer_vpc_id"}},
		{"topology/vpc_peerings/control.yaml", "peer_vpc: main", "peer_vpc_id: main", []string{`"main" is no ID of a VPC`}},
		{"topology/vpc_peerings/control.yaml", "peer_vpc: main", "peer_vpc: main\npeer_region: us-east-1", []string{"peer_owner_id and peer_region are for a VPC of another environment"}},
		{"topology/vpc_endpoints/s3.yaml", "service_name: s3", "service_name: sqs", []string{`s3.yaml:2:15: "sqs" has no gateway endpoint`}},
		{"topology/vpc_endpoints/s3.yaml", "service_name: s3", "service_name: com.amazonaws.us-east-1.s3", []string{"is not in the environment's region eu-central-1"}},
		{"topology/vpc_endpoints/s3.yaml", "[private]", "[private, control]", []string{"s3.yaml:3:25: route_table.control is of another VPC than the endpoint"}},
		{"topology/vpc_endpoints/s3.yaml", "vpc: main", "count: 2\nvpc: main", []string{"leads to s3 through vpc_endpoint.s3[0] already"}},
		{"topology/network_acls/private.yaml", "rule_number: 110", "rule_number: 100", []string{"private.yaml:5:19: a second entry 100"}},
		{"topology/network_acls/private.yaml", "from_port: 1024, to", "to", []string{"to_port needs a from_port"}},
		{"topology/network_acls/private.yaml", "rule_number: 110,", "rule_number: 110, protocol: all,", []string{"all protocols have no ports"}},
		{"topology/network_acls/private.yaml", "vpc: main", "count: 2\nvpc: main", []string{"subnet.private is filtered by network_acl.private[0] already"}},
		{"topology/dhcp_options/own.yaml", "[AmazonProvidedDNS]", "[10.0.0.2, dns]", []string{`own.yaml:2:33: "dns" is no address`}},
		{"topology/dhcp_options/own.yaml", "vpcs: [main]", "vpcs: [main]\ncount: 2", []string{"vpc.main has dhcp_options.own[0] already"}},
		{"topology/route_tables/all.yaml", "nat_gateway: out", "nat_gateway: out\n    internet_gateway: main", []string{"a route needs one target, not 2"}},
	} {
		checkEdited(t, network(), test.file, test.old, test.new, test.want)
	}
}

// checkEdited edits a project and wants a problem for each text of want.
func checkEdited(t *testing.T, files map[string]string, file, old, new string, wanted []string) {
	t.Helper()
	t.Run(fmt.Sprintf("%s %.40s", file, new), func(t *testing.T) {
		s := &site{t: t, dir: t.TempDir()}
		s.write(map[string]string{
			"goldline.yaml": "project: shop\nladder: [dev]\n", "environments/dev.yaml": "account: \"000000000000\"\nregion: eu-central-1\n"})
		s.write(files)
		if _, err := s.topology(); err != nil {
			t.Fatalf("before the edit: %v", err)
		}
		s.edit(file, old, new)
		_, err := s.topology()
		var problems *diag.Error
		if !errors.As(err, &problems) {
			t.Fatalf("error %v, want problems", err)
		}
		if len(problems.Problems) != len(wanted) {
			t.Fatalf("%d problems, want %d:\n%v", len(problems.Problems), len(wanted), err)
		}
		for _, want := range wanted {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("problems:\n%v\nwant %q", err, want)
			}
		}
	})
}
