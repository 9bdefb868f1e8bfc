package launch

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
)

func interfaceFiles() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/all.yaml":            "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n---\nname: b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\n",
		"topology/security_groups/all.yaml":    "name: web\nvpc: main\n---\nname: more\nvpc: main\n",
		"topology/network_interfaces/data.yaml": "subnet: a\nprivate_ip: 10.0.1.50\nsecondary_private_ips: [10.0.1.51, 10.0.1.52]\nsecurity_groups: [web]\n" +
			"source_dest_check: false\ndescription: the licence server\n",
		"topology/network_interfaces/pool.yaml": "subnet: a\nsecondary_private_ip_count: 3\n",
		"topology/elastic_ips/public.yaml":      "network_interface: data\n",
		"topology/instances/web.yaml":           "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\nsecurity_groups: [web]\nnetwork_interfaces: [{network_interface: data, device_index: 1}]\n",
	}
}

const dataInterface, poolInterface = "topology/network_interfaces/data.yaml", "topology/network_interfaces/pool.yaml"

func TestNetworkInterfaces(t *testing.T) {
	live(t, interfaceFiles(), []step{
		{"addresses, groups and words in place", func(s *site) {
			s.edit(dataInterface, "10.0.1.52", "10.0.1.53")
			s.edit(dataInterface, "[web]", "[web, more]")
			s.edit(dataInterface, "licence", "licences")
			s.edit(poolInterface, "count: 3", "count: 5")
		}, []string{"change network_interface.data: description; security_groups; secondary_private_ips", "change network_interface.pool: secondary_private_ip_count"}},
		{"fewer", func(s *site) { s.edit(poolInterface, "count: 5", "count: 1") }, []string{"change network_interface.pool: secondary_private_ip_count"}},
		{"what is about an instance with several", func(s *site) {
			s.edit(webInstance, "security_groups: [web]", "security_groups: [more]\nsource_dest_check: false\nelastic_ip: own")
			s.write(map[string]string{"topology/elastic_ips/own.yaml": "{}\n"})
		}, []string{"create elastic_ip.own", "change instance.web: security_groups; elastic_ip; source_dest_check"}},
		{"another place", func(s *site) { s.edit(webInstance, "device_index: 1", "device_index: 2") },
			[]string{"change instance.web: network_interfaces[1]; network_interfaces[2]"}},
		{"one more", func(s *site) {
			s.edit(webInstance, "device_index: 2}", "device_index: 2}, {network_interface: pool, device_index: 1}")
		}, []string{"change instance.web: network_interfaces[1]"}},
		{"another type leaves them where they are", func(s *site) { s.edit(webInstance, "t3.micro", "t3.small") },
			[]string{"change instance.web: instance_type: t3.micro -> t3.small, stopped and started"}},
		{"a successor takes them over", func(s *site) { s.edit(webInstance, "t3.small", "t3.small\ntenancy: dedicated") },
			[]string{"replace instance.web: tenancy: default -> dedicated"}},
		{"another instance takes it", func(s *site) {
			s.edit(webInstance, ", {network_interface: pool, device_index: 1}", "")
			s.write(map[string]string{"topology/instances/app.yaml": "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\nnetwork_interfaces: [{network_interface: pool, device_index: 1}]\n"})
		}, []string{"create instance.app", "change instance.web: network_interfaces[1]"}},
		{"none, and the address on the instance", func(s *site) {
			s.edit(webInstance, "network_interfaces: [{network_interface: data, device_index: 2}]\n", "")
			s.write(map[string]string{"topology/elastic_ips/public.yaml": "{}\n"})
		}, []string{"change elastic_ip.public: network_interface", "change instance.web: network_interfaces[2]"}},
		{"a route through it, and through an instance", func(s *site) {
			s.write(map[string]string{"topology/route_tables/out.yaml": "vpc: main\nroutes:\n  - {destination_cidr_block: 10.7.0.0/16, network_interface: pool}\n" +
				"  - {destination_cidr_block: 10.8.0.0/16, network_interface: data}\n  - {destination_cidr_block: 10.9.0.0/16, instance: app}\nsubnets: [b]\n"})
		}, []string{"create route_table.out"}},
		{"the routes change places", func(s *site) {
			s.edit("topology/route_tables/out.yaml", "interface: pool", "interface: Pool")
			s.edit("topology/route_tables/out.yaml", "interface: data", "interface: pool")
			s.edit("topology/route_tables/out.yaml", "interface: Pool", "interface: data")
		}, []string{"change route_table.out: routes[10.7.0.0/16]; routes[10.8.0.0/16]"}},
		{"no route", func(s *site) { s.write(map[string]string{"topology/route_tables/out.yaml": ""}) }, []string{"delete route_table.out: no definition has it"}},
		{"another address", func(s *site) { s.edit(dataInterface, "10.0.1.50", "10.0.1.60") },
			[]string{"replace network_interface.data: private_ip: 10.0.1.50 -> 10.0.1.60"}},
	})
}

// TestNetworkInterfaceIsPutBack: a successor that cannot take the interface goes,
// and its predecessor keeps what it had.
func TestNetworkInterfaceIsPutBack(t *testing.T) {
	s := newSite(t, interfaceFiles())
	s.launch()
	before := s.shape()
	s.edit(webInstance, "t3.micro", "t3.micro\ntenancy: dedicated")
	s.local.Inject(emulator.Fault{Service: "ec2", Action: "AttachNetworkInterface", Nth: 1, Kind: emulator.Error, Code: "AttachmentLimitExceeded"})
	if _, err := s.tryLaunch(t.Context()); err == nil || !strings.Contains(err.Error(), "AttachmentLimitExceeded") {
		t.Fatalf("error %v", err)
	}
	sameInventory(t, "put back", before, s.shape())
	s.launch()
	s.settled()
	out, err := s.cloud.EC2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range out.NetworkInterfaces {
		if n.Attachment != nil && *n.Attachment.DeviceIndex == 1 && (n.Association == nil || len(n.PrivateIpAddresses) != 3) {
			t.Errorf("it came without its addresses: %+v", n)
		}
	}
	s.destroy()
}

func TestNetworkInterfaceEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, interfaceFiles(), func(s *site) {
		s.edit(poolInterface, "count: 3", "count: 5")
		s.edit(webInstance, "t3.micro", "t3.micro\ntenancy: dedicated")
	}, 23)
}

func TestNetworkInterfaceMistakes(t *testing.T) {
	f := interfaceFiles()
	mistaken(t, f, dataInterface, "10.0.1.52", "10.0.2.52", "data.yaml:3:36: 10.0.2.52 lies outside subnet.a")
	mistaken(t, f, dataInterface, "10.0.1.52", "10.0.1.50", "10.0.1.50 stands in private_ip already")
	mistaken(t, f, dataInterface, "description:", "secondary_private_ip_count: 2\ndescription:", "one of secondary_private_ips and secondary_private_ip_count")
	mistaken(t, f, poolInterface, "subnet: a", "subnet: a\nprivate_ip: 10.0.1.50", "network_interface.data has the address 10.0.1.50 already")
	mistaken(t, f, webInstance, "device_index: 1}", "device_index: 1}, {network_interface: pool, device_index: 1}", "two interfaces at device_index 1")
	mistaken(t, f, webInstance, "device_index: 1}", "device_index: 1}, {network_interface: data, device_index: 2}", "network_interface.data is attached to instance.web already")
	mistaken(t, f, webInstance, "subnet: a", "subnet: b", "lies in zone eu-central-1a with subnet.a, and the instance in eu-central-1b")
	mistaken(t, f, webInstance, "device_index: 1", "device_index: 0", "0 is too small: at least 1")
	mistaken(t, f, "topology/elastic_ips/public.yaml", "network_interface: data", "network_interface: data\ninstance: web", "an address is at one of instance and network_interface")
}
