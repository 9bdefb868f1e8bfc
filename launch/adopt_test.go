package launch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
)

// others makes a network as another tool would: a VPC, two subnets of one name
// in two zones, a group with a rule.
func (s *site) others() (group string) {
	s.t.Helper()
	ctx := context.Background()
	made, err := s.cloud.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16"),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeVpc, map[string]string{"Name": "legacy", "owner": "network"})}})
	if err != nil {
		s.t.Fatal(err)
	}
	vpc := *made.Vpc.VpcId
	for zone, block := range map[string]string{"a": "10.7.1.0/24", "b": "10.7.2.0/24"} {
		_, err := s.cloud.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: aws.String(vpc), CidrBlock: aws.String(block), AvailabilityZone: aws.String(testRegion + zone),
			TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeSubnet, map[string]string{"Name": "apps"})}})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	out, err := s.cloud.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("legacy"), Description: aws.String("by hand"), VpcId: aws.String(vpc)})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: out.GroupId,
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("10.7.0.0/16")}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.GroupId
}

func adopting() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":             "adopt: {name: legacy, cidr_block: 10.7.0.0/16}\n",
		"topology/subnets/apps.yaml":          "adopt: {name: apps, availability_zone: eu-central-1a}\n",
		"topology/security_groups/ssh.yaml":   "adopt: {group_name: legacy}\negress:\n  - {protocol: tcp, port: 443, cidr_blocks: [0.0.0.0/0]}\n",
		"topology/security_groups/web.yaml":   "vpc: main\ningress:\n  - {protocol: tcp, port: 80, security_groups: [ssh]}\n",
		"topology/volumes/scratch.yaml":       "availability_zone: a\nsize: 8\n",
		"topology/route_tables/extra.yaml":    "vpc: main\nsubnets: [apps]\n",
		"topology/internet_gateways/out.yaml": "vpc: main\n",
	}
}

// TestAdopt: what exists is tied to definitions without an ID; only what they
// state is changed; destroying leaves it, and puts nothing of Goldline on it.
func TestAdopt(t *testing.T) {
	s := newSite(t, adopting())
	group := s.others()
	before := s.inventory()
	plan := s.plan()
	want := "change security_group.ssh: egress\ncreate internet_gateway.out\ncreate route_table.extra\ncreate security_group.web\ncreate volume.scratch"
	if got := plain(plan); got != want {
		t.Errorf("plan:\n%s\nwant:\n%s", got, want)
	}
	s.launch()
	s.settled()
	out, err := s.cloud.EC2.DescribeSecurityGroups(context.Background(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	g := out.SecurityGroups[0]
	if len(g.IpPermissions) != 1 || len(g.IpPermissionsEgress) != 1 || aws.ToInt32(g.IpPermissionsEgress[0].ToPort) != 443 || len(g.Tags) != 0 {
		t.Errorf("the adopted group is %+v", g)
	}
	s.destroy()
	s.edit("topology/security_groups/ssh.yaml", "{protocol: tcp, port: 443, cidr_blocks: [0.0.0.0/0]}", "{protocol: all, cidr_blocks: [0.0.0.0/0]}")
	for _, f := range []string{"security_groups/web", "volumes/scratch", "route_tables/extra", "internet_gateways/out"} {
		s.write(map[string]string{"topology/" + f + ".yaml": ""})
	}
	s.launch()
	sameInventory(t, "launch and destroy beside what is adopted", before, s.inventory())

	o := s.options()
	o.Adopted = true
	plan, err = NewDestroyPlan(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(plan.Changes); got != 3 || !strings.Contains(plain(plan), "destroy") {
		t.Errorf("destroying what is adopted, too: %s", plain(plan))
	}
}

// TestAdoptRefused: what adopt cannot mean is told where it stands.
func TestAdoptRefused(t *testing.T) {
	for _, test := range []struct{ name, file, old, new, want string }{
		{"several", "topology/subnets/apps.yaml", ", availability_zone: eu-central-1a", "", "topology/subnets/apps.yaml:1:8: subnet.apps: adopt describes 2 resources: subnet-"},
		{"none", "topology/vpcs/main.yaml", "legacy", "modern", "topology/vpcs/main.yaml:1:8: vpc.main: no vpc in eu-central-1 is what adopt describes"},
		{"twice", "topology/security_groups/web.yaml", "vpc: main", "adopt: {group_name: legacy}", "security_group.ssh and security_group.web adopt the same resource, sg-"},
		{"replaced", "topology/vpcs/main.yaml", "}", "}\ncidr_block: 10.8.0.0/16", "vpc.main is adopted, and would have to be replaced: cidr_block: 10.7.0.0/16 -> 10.8.0.0/16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, adopting())
			s.others()
			s.edit(test.file, test.old, test.new)
			_, err := NewPlan(context.Background(), s.options())
			if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestProtect: what is protected is neither deleted nor replaced, with its
// definition or without.
func TestProtect(t *testing.T) {
	s := newSite(t, map[string]string{
		"topology/vpcs/main.yaml":       "cidr_block: 10.0.0.0/16\n",
		"topology/volumes/orders.yaml":  "availability_zone: a\nsize: 8\nprotect: true\n",
		"topology/volumes/scratch.yaml": "az: a\nsize: 8\n",
	})
	s.launch()
	s.settled()
	refused := func(err error, want string) {
		t.Helper()
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	before := s.inventory()
	refused(s.tryDestroy(context.Background()), "topology/volumes/orders.yaml:3:10: volume.orders (vol-")
	s.edit("topology/volumes/orders.yaml", "zone: a", "zone: b")
	_, err := s.tryLaunch(context.Background())
	refused(err, "volume.orders is protected, and would have to be replaced: availability_zone")
	s.write(map[string]string{"topology/volumes/orders.yaml": ""})
	_, err = s.tryLaunch(context.Background())
	refused(err, "is protected, and would be deleted")
	refused(s.tryDestroy(context.Background()), "is protected, and would be deleted")
	sameInventory(t, "refused", before, s.inventory())
	s.write(map[string]string{"topology/volumes/orders.yaml": "availability_zone: a\nsize: 8\n"})
	if got := plain(s.plan()); got != "change volume.orders: tags" {
		t.Errorf("plan without protect: %s", got)
	}
	s.launch()
	s.settled()
	s.destroy()
}

// TestContentsAreNotLostUnasked: a plan that deletes or replaces a volume says
// so, and is carried out only where that was agreed to.
func TestContentsAreNotLostUnasked(t *testing.T) {
	s := newSite(t, map[string]string{
		"topology/volumes/orders.yaml":  "availability_zone: a\nsize: 8\n",
		"topology/volumes/scratch.yaml": "az: a\nsize: 8\n",
	})
	s.launch()
	s.write(map[string]string{"topology/volumes/scratch.yaml": ""})
	s.edit("topology/volumes/orders.yaml", "zone: a", "zone: b")
	before := s.inventory()
	o := s.options()
	o.LoseContents = false
	plan, err := NewPlan(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Apply(context.Background(), o, plan)
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "volume.orders (vol-") || !strings.Contains(err.Error(), "volume.scratch (vol-") {
		t.Errorf("error %v", err)
	}
	sameInventory(t, "refused", before, s.inventory())
	s.launch()
	s.settled()
	s.destroy()
}

// TestAdoptByWhatItBelongsTo: what has no name is told by the definition of what
// it belongs to, whether that is adopted or was launched.
func TestAdoptByWhatItBelongsTo(t *testing.T) {
	s := newSite(t, map[string]string{"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n", "topology/vpcs/legacy.yaml": "adopt: {name: legacy}\n"})
	s.others()
	s.launch()
	s.write(map[string]string{
		"topology/route_tables/all.yaml":       "adopt: {vpc: main, main: true}\nvpc: main\n",
		"topology/network_acls/all.yaml":       "adopt: {vpc: legacy, default: true}\nvpc: legacy\n",
		"topology/security_groups/none.yaml":   "adopt: {vpc: main, group_name: default}\ningress: []\negress: []\n",
		"topology/security_groups/theirs.yaml": "adopt: {vpc: legacy, group_name: default}\n",
		"topology/dhcp_options/own.yaml":       "adopt: {vpc: legacy}\n",
		"topology/subnets/apps.yaml":           "adopt: {vpc: legacy, cidr_block: 10.7.1.0/24}\nvpc: legacy\n",
	})
	if got := plain(s.plan()); got != "change security_group.none: ingress; egress" {
		t.Errorf("plan:\n%s", got)
	}
	s.launch()
	s.settled()
	for _, test := range []struct{ file, text, want string }{
		{"subnets/apps", "adopt: {vpc: legacy}\n", "subnet.apps: adopt describes 2 resources: subnet-"},
		{"subnets/apps", "adopt: {vpc: legcay, name: apps}\n", "topology/subnets/apps.yaml:1:14: no resource vpc.legcay"},
		{"subnets/apps", "adopt: {vpc: vpc-0123456789abcdef0}\n", "topology/subnets/apps.yaml:1:14: adopt.vpc takes no ID"},
		{"subnets/apps", "name: apps\nadopt: {vpc: new}\n---\nkind: vpc\nname: new\ncidr_block: 10.9.0.0/16\n", "subnet.apps belongs to vpc.new, which is not there"},
		{"internet_gateways/out", "adopt: {vpc: legacy}\n", "internet_gateway.out: no internet_gateway in " + testRegion + " is what adopt describes"},
		{"network_acls/again", "adopt: {vpc: legacy}\n", "network_acl.again and network_acl.all adopt the same resource, acl-"},
		{"key_pairs/k", "adopt: {vpc: legacy}\n", "adopt knows no key \"vpc\""},
	} {
		path := "topology/" + test.file + ".yaml"
		before, _ := os.ReadFile(filepath.Join(s.dir, path))
		s.write(map[string]string{path: test.text})
		if err := s.planError(); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.text, err, test.want)
		}
		s.write(map[string]string{path: string(before)})
	}
	s.destroy()
	o := s.options()
	o.Adopted = true
	plan, err := NewDestroyPlan(t.Context(), o)
	if err != nil || plain(plan) != "delete dhcp_options ID: destroy\ndelete subnet ID: destroy\ndelete vpc ID: destroy" {
		t.Errorf("destroying what is adopted, when what the rest belongs to is gone: %v, %s", err, plain(plan))
	}
	o = s.options()
	if o.Only = []string{"vpc.main"}; must[*Plan](t)(NewPlan(t.Context(), o)).Counts.Create != 1 {
		t.Error("the VPC cannot be made again before what belongs to it is adopted")
	}
}

// planError is why there is no plan.
func (s *site) planError() error {
	topology, err := s.topology()
	if err != nil {
		return err
	}
	_, err = NewPlan(context.Background(), Options{Project: "shop", Topology: topology, Cloud: s.cloud})
	return err
}
