package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// TestChanges changes one thing at a time and looks at the plan, at what a
// launch makes of it, and that nothing is left to do after it.
func TestChanges(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(s *site)
		want []string
	}{
		{"image", func(s *site) { s.promote("web", "2.0.0") }, []string{
			"replace instance.web[0]: image web: build 1.0.0 -> 2.0.0 (AMI -> AMI)",
			"replace instance.web[1]: image web: build 1.0.0 -> 2.0.0 (AMI -> AMI)"}},
		{"image of an instance with a volume", func(s *site) { s.promote("db", "2.0.0") }, []string{
			"replace instance.db: image db: build 1.0.0 -> 2.0.0 (AMI -> AMI)"}},
		{"user data", func(s *site) { s.edit("topology/instances/web.yaml", `"on"`, `"off"`) }, []string{
			"replace instance.web[0]: user data changed", "replace instance.web[1]: user data changed"}},
		{"instance type", func(s *site) { s.edit("topology/instances/db.yaml", "t3.micro", "t3.small") }, []string{
			"change instance.db: instance_type: t3.micro -> t3.small, stopped and started"}},
		{"root volume", func(s *site) {
			s.edit("topology/instances/db.yaml", "subnet:", "root_block_device: {size: 20}\nsubnet:")
		}, []string{"replace instance.db: root block device changed"}},
		{"in place", func(s *site) {
			s.edit("topology/instances/db.yaml", "subnet:", "source_dest_check: false\nmonitoring: true\ninstance_initiated_shutdown_behavior: terminate\nmetadata_options: {http_put_response_hop_limit: 2}\nsubnet:")
		}, []string{"change instance.db: source_dest_check; monitoring; instance_initiated_shutdown_behavior; metadata_options.http_put_response_hop_limit"}},
		{"groups of an instance", func(s *site) {
			s.edit("topology/instances/db.yaml", "[db]", "[db, web]")
		}, []string{"change instance.db: security_groups"}},
		{"fewer instances", func(s *site) { s.edit("topology/instances/web.yaml", "count: 2", "count: 1") }, []string{
			"delete instance.web[1]: no definition has it"}},
		{"more instances", func(s *site) { s.edit("topology/instances/web.yaml", "count: 2", "count: 4") }, []string{
			"create instance.web[2]", "create instance.web[3]"}},
		{"rules", func(s *site) {
			s.edit("topology/security_groups/all.yaml", "port: 80,", "port: 443,")
			s.edit("topology/security_groups/all.yaml", "description: orders", "description: the orders")
		}, []string{"change security_group.db: ingress", "change security_group.web: ingress"}},
		{"egress", func(s *site) {
			s.edit("topology/security_groups/all.yaml", "name: web\nvpc: main", "name: web\nvpc: main\negress: [{protocol: tcp, from_port: 1, to_port: 1024, cidr_blocks: [10.0.0.0/8]}]")
		}, []string{"change security_group.web: egress"}},
		{"a new group", func(s *site) {
			s.edit("topology/security_groups/all.yaml", "description: orders", "description: \"\"")
			s.edit("topology/security_groups/all.yaml", "security_groups: [web]", "security_groups: [web, more]")
			s.write(map[string]string{"topology/security_groups/more.yaml": "vpc: main\ningress: [{port: 1, security_groups: [db]}]\n"})
		}, []string{"change security_group.db: ingress", "create security_group.more"}},
		{"description of a group", func(s *site) {
			s.edit("topology/security_groups/all.yaml", "name: db\nvpc: main", "name: db\nvpc: main\ndescription: Orders")
		}, []string{"change instance.db: security_groups", "change security_group.web: ingress", "replace security_group.db: description: db -> Orders"}},
		{"routes", func(s *site) {
			s.edit("topology/route_tables/public.yaml", "0.0.0.0/0", "192.0.2.0/24")
			s.edit("topology/route_tables/public.yaml", ", public-b", "")
		}, []string{"change route_table.public: routes[0.0.0.0/0]; routes[192.0.2.0/24]; subnets"}},
		{"a route to an instance", func(s *site) {
			s.edit("topology/route_tables/public.yaml", "subnets:", "  - {destination_cidr_block: 192.0.2.0/24, instance: db}\nsubnets:")
		}, []string{"change route_table.public: routes[192.0.2.0/24]"}},
		{"a second table takes a subnet", func(s *site) {
			s.edit("topology/route_tables/public.yaml", ", public-b", "")
			s.write(map[string]string{"topology/route_tables/second.yaml": "vpc: main\nsubnets: [public-b]\n"})
		}, []string{"change route_table.public: subnets", "create route_table.second"}},
		{"subnet attribute", func(s *site) {
			s.edit("topology/subnets/all.yaml", "availability_zone: a\nmap_public_ip_on_launch: true", "availability_zone: a\nmap_public_ip_on_launch: false")
		}, []string{"change subnet.public-a: map_public_ip_on_launch"}},
		{"block of a subnet", func(s *site) { s.edit("topology/subnets/all.yaml", "10.0.2.0/24", "10.0.3.0/24") }, []string{
			"change route_table.public: subnets",
			"replace instance.web[0]: subnet: ID -> (known after launch)", "replace instance.web[1]: subnet: ID -> (known after launch)",
			"replace subnet.public-b: cidr_block: 10.0.2.0/24 -> 10.0.3.0/24"}},
		{"zone of a subnet, in its own way", func(s *site) { s.edit("topology/subnets/all.yaml", "zone: b", "zone: c") }, []string{
			"change route_table.public: subnets",
			"replace instance.web[0]: subnet: ID -> (known after launch)", "replace instance.web[1]: subnet: ID -> (known after launch)",
			"replace subnet.public-b: availability_zone: eu-central-1b -> eu-central-1c"}},
		{"another name for a subnet", func(s *site) {
			s.edit("topology/subnets/all.yaml", "public-b", "front")
			s.edit("topology/route_tables/public.yaml", "public-b", "front")
			s.edit("topology/instances/web.yaml", "public-b", "front")
		}, []string{
			"change route_table.public: subnets", "create subnet.front", "delete subnet.public-b: no definition has it",
			"replace instance.web[0]: subnet: ID -> (known after launch)", "replace instance.web[1]: subnet: ID -> (known after launch)"}},
		{"dns of a vpc", func(s *site) { s.edit("topology/vpcs/main.yaml", "hostnames: true", "hostnames: false") }, []string{
			"change vpc.main: enable_dns_hostnames"}},
		{"block of a vpc", func(s *site) {
			s.edit("topology/vpcs/main.yaml", "10.0.0.0/16", "10.9.0.0/16")
			s.edit("topology/subnets/all.yaml", "10.0.", "10.9.")
		}, []string{
			"replace instance.db: subnet: ID -> (known after launch)",
			"replace instance.web[0]: subnet: ID -> (known after launch)", "replace instance.web[1]: subnet: ID -> (known after launch)",
			"replace internet_gateway.main: vpc: ID -> (known after launch)", "replace route_table.public: vpc: ID -> (known after launch)",
			"replace security_group.db: vpc: ID -> (known after launch)", "replace security_group.web: vpc: ID -> (known after launch)",
			"replace subnet.public-a: vpc: ID -> (known after launch); cidr_block: 10.0.1.0/24 -> 10.9.1.0/24",
			"replace subnet.public-b: vpc: ID -> (known after launch); cidr_block: 10.0.2.0/24 -> 10.9.2.0/24",
			"replace vpc.main: cidr_block: 10.0.0.0/16 -> 10.9.0.0/16"}},
		{"size of a volume", func(s *site) { s.edit("topology/volumes/orders.yaml", "size: 8", "size: 9") }, []string{
			"change volume.orders: size"}},
		{"smaller volume", func(s *site) { s.edit("topology/volumes/orders.yaml", "size: 8", "size: 4") }, []string{
			"replace instance.db: user data changed",
			"replace volume.orders: size: 8 GiB -> 4 GiB, and EC2 shrinks no volume; the contents are not carried over"}},
		{"no volume", func(s *site) {
			s.write(map[string]string{"topology/volumes/orders.yaml": ""})
			s.edit("topology/instances/db.yaml", "volumes: [{volume: orders, device: /dev/sdf}]\nuser_data:\n  extra:\n    volume: ${volume.orders.id}\n", "")
		}, []string{"delete volume.orders: no definition has it", "replace instance.db: user data changed"}},
		{"the volume to another instance", func(s *site) {
			s.edit("topology/instances/db.yaml", "volumes: [{volume: orders, device: /dev/sdf}]\n", "")
			s.write(map[string]string{"topology/instances/new.yaml": "image: db\ninstance_type: t3.micro\nsubnet: public-a\nvolumes: [{volume: orders, device: /dev/sdg}]\n"})
		}, []string{"change instance.db: volumes[/dev/sdf]", "create instance.new"}},
		{"tags", func(s *site) { s.edit("goldline.yaml", "{team: shop}", "{team: shop, cost: \"7\"}") }, []string{
			"change instance.db: tags", "change instance.web[0]: tags", "change instance.web[1]: tags", "change internet_gateway.main: tags",
			"change route_table.public: tags", "change security_group.db: tags", "change security_group.web: tags",
			"change subnet.public-a: tags", "change subnet.public-b: tags", "change volume.orders: tags", "change vpc.main: tags"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newPlatform(t)
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

// plain is a plan's summary, sorted, without IDs.
func plain(p *Plan) string {
	lines := strings.Split(summaryOf(p), "\n")
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(anyID.ReplaceAllStringFunc(line, func(id string) string {
			if strings.HasPrefix(id, "ami-") {
				return "AMI"
			}
			return "ID"
		}), "  ", " ")
	}
	sortStrings(lines)
	return strings.Join(lines, "\n")
}

// TestReplacementKeepsTheVolume: the same volume is on the new instance, and
// the old instance was stopped before it was taken off.
func TestReplacementKeepsTheVolume(t *testing.T) {
	s := newPlatform(t)
	old := s.launch()
	volume := s.idOf("volume.orders")
	s.promote("db", "2.0.0")
	s.local.ResetCalls()
	r := s.launch()
	var order []string
	for _, c := range s.local.Calls() {
		switch c.Action {
		case "StopInstances", "DetachVolume", "RunInstances", "AttachVolume", "TerminateInstances":
			order = append(order, c.Action)
		}
	}
	if got, want := strings.Join(order, " "), "StopInstances DetachVolume RunInstances AttachVolume TerminateInstances"; got != want {
		t.Errorf("calls %s, want %s", got, want)
	}
	if s.idOf("volume.orders") != volume {
		t.Error("the volume is another one")
	}
	var was, is string
	for _, i := range old.Instances {
		if i.Address == "instance.db" {
			was = i.ID
		}
	}
	for _, i := range r.Instances {
		if i.Address == "instance.db" {
			is = i.ID
			if i.Version != "2.0.0" {
				t.Errorf("instance %+v", i)
			}
		}
	}
	if was == is {
		t.Error("the instance is the same")
	}
	if on := s.attachedTo(volume); on != is {
		t.Errorf("the volume is on %s, want %s", on, is)
	}
}

// TestFailedReplacementIsPutBack: the new instance cannot be launched, or does
// not take the volume; the old one runs on with it.
func TestFailedReplacementIsPutBack(t *testing.T) {
	for _, action := range []string{"RunInstances", "AttachVolume"} {
		t.Run(action, func(t *testing.T) {
			s := newPlatform(t)
			s.launch()
			was, volume := s.idOf("instance.db"), s.idOf("volume.orders")
			s.promote("db", "2.0.0")
			s.fault("", action, "error", "InsufficientInstanceCapacity", 1)
			_, err := s.tryLaunch(context.Background())
			if err == nil {
				t.Fatal("the launch succeeded")
			}
			if code := exitCode(err); code != 3 {
				t.Errorf("exit code %d, want 3: %v, left %v", code, err, leftOf(err))
			}
			if on := s.attachedTo(volume); on != was {
				t.Errorf("the volume is on %q, want %s", on, was)
			}
			list, err := Instances(context.Background(), s.options())
			if err != nil || len(list) != 3 {
				t.Fatalf("instances %v, %v", list, err)
			}
			for _, i := range list {
				if i.State != "running" {
					t.Errorf("%s is %s", i.Address, i.State)
				}
			}
			s.launch()
			s.settled()
		})
	}
}

// idOf is the ID of a resource.
func (s *site) idOf(address string) string {
	s.t.Helper()
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range w.inventory.all {
		if f.tags[tags.Address] == address {
			return f.id
		}
	}
	s.t.Fatalf("no %s", address)
	return ""
}

func (s *site) attachedTo(volume string) string {
	s.t.Helper()
	out, err := s.cloud.EC2.DescribeVolumes(context.Background(), &ec2.DescribeVolumesInput{Filters: []types.Filter{cloud.Filter("volume-id", volume)}})
	if err != nil || len(out.Volumes) != 1 {
		s.t.Fatalf("volume %s: %v", volume, err)
	}
	for _, a := range out.Volumes[0].Attachments {
		return aws.ToString(a.InstanceId)
	}
	return ""
}
