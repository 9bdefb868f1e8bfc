package emulator

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func makeVPC(t *testing.T, c *testCloud, block string) string {
	t.Helper()
	return *must(c.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: &block, TagSpecifications: tagging("vpc", "Name", "main")}))(t).Vpc.VpcId
}

func makeSubnet(t *testing.T, c *testCloud, vpc, block string) string {
	t.Helper()
	return *must(c.ec2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: &block}))(t).Subnet.SubnetId
}

func TestEveryRegionHasADefaultVPC(t *testing.T) {
	c := newTestCloud(t, Options{})
	vpcs := must(c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: where("is-default", "true")}))(t).Vpcs
	if len(vpcs) != 1 || *vpcs[0].CidrBlock != "172.31.0.0/16" {
		t.Fatalf("default VPCs: %+v", vpcs)
	}
	subnets := must(c.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: where("default-for-az", "true", "vpc-id", *vpcs[0].VpcId)}))(t).Subnets
	if len(subnets) != 3 || *subnets[0].AvailableIpAddressCount != 4091 || !*subnets[0].MapPublicIpOnLaunch {
		t.Errorf("default subnets: %+v", subnets)
	}
}

func TestDeletionFollowsDependencies(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	before := must(c.Inventory())(t)
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	gateway := *must(c.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	must(c.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}))(t)
	table := *must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &vpc}))(t).RouteTable.RouteTableId
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: &gateway}))(t)
	association := *must(c.ec2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &subnet}))(t).AssociationId
	group := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web"), VpcId: &vpc}))(t).GroupId
	other := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("db"), Description: new("db"), VpcId: &vpc}))(t).GroupId
	rule := []types.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &group}}}}
	must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &other, IpPermissions: rule}))(t)
	id := *run(t, c, func(in *ec2.RunInstancesInput) {
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: new(int32(0)), SubnetId: &subnet, Groups: []string{group, other}, AssociatePublicIpAddress: new(true),
		}}
	}).InstanceId
	clock.Advance(1e9)
	deletions := []struct {
		name string
		call func() error
	}{
		{"gateway's attachment", func() error {
			_, err := c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc})
			return err
		}},
		{"group of an instance", func() error {
			_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other})
			return err
		}},
		{"group of a rule", func() error {
			_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group})
			return err
		}},
		{"subnet", func() error { _, err := c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}); return err }},
		{"gateway", func() error {
			_, err := c.ec2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &gateway})
			return err
		}},
		{"route table", func() error {
			_, err := c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table})
			return err
		}},
		{"VPC", func() error { _, err := c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc}); return err }},
	}
	for _, d := range deletions {
		t.Run(d.name, func(t *testing.T) {
			wantCode(t, d.call(), "DependencyViolation")
		})
	}
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	clock.Advance(1e9)
	must(c.ec2.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &association}))(t)
	for _, d := range deletions {
		if err := d.call(); err != nil {
			t.Errorf("%s, with nothing in its way: %v", d.name, err)
		}
	}
	if after := must(c.Inventory())(t); !reflect.DeepEqual(before, after) {
		t.Errorf("left behind: %v", after)
	}
}

func TestARouteToWhatIsGoneIsABlackhole(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	gateway := *must(c.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	must(c.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}))(t)
	in := &ec2.CreateRouteTableInput{VpcId: &vpc, ClientToken: new("one"), TagSpecifications: tagging("route-table", "Name", "public")}
	table := *must(c.ec2.CreateRouteTable(ctx, in))(t).RouteTable.RouteTableId
	if again := *must(c.ec2.CreateRouteTable(ctx, in))(t).RouteTable.RouteTableId; again != table {
		t.Errorf("the same token made %s and %s", table, again)
	}
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: &gateway}))(t)
	must(c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}))(t)
	found := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: where("route.state", "blackhole", "tag:Name", "pub*")}))(t).RouteTables
	if len(found) != 1 || *found[0].RouteTableId != table {
		t.Errorf("blackholes: %+v", found)
	}
}

func TestSecurityGroupRules(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	group := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web")}))(t).GroupId
	show := func() types.SecurityGroup {
		return must(c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{group}}))(t).SecurityGroups[0]
	}
	if out := show().IpPermissionsEgress; len(out) != 1 || *out[0].IpProtocol != "-1" || *out[0].IpRanges[0].CidrIp != "0.0.0.0/0" {
		t.Errorf("a new group's egress: %+v", out)
	}
	tcp := func(port int32, blocks ...string) []types.IpPermission {
		p := types.IpPermission{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port}
		for _, block := range blocks {
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: new(block), Description: new("from " + block)})
		}
		return []types.IpPermission{p}
	}
	made := must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group, IpPermissions: tcp(22, "10.0.0.0/8", "192.168.0.0/16"), TagSpecifications: tagging("security-group-rule", "Name", "ssh"),
	}))(t).SecurityGroupRules
	if len(made) != 2 || *made[0].CidrIpv4 != "10.0.0.0/8" || *made[0].Tags[0].Value != "ssh" {
		t.Fatalf("rules: %+v", made)
	}
	_, err := c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: tcp(22, "10.0.0.0/8")})
	wantCode(t, err, "InvalidPermission.Duplicate")
	must(c.ec2.ModifySecurityGroupRules(ctx, &ec2.ModifySecurityGroupRulesInput{GroupId: &group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: made[0].SecurityGroupRuleId, SecurityGroupRule: &types.SecurityGroupRuleRequest{
			IpProtocol: new("tcp"), FromPort: new(int32(80)), ToPort: new(int32(80)), CidrIpv4: new("0.0.0.0/0"), Description: new("web"),
		},
	}}}))(t)
	must(c.ec2.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: &group, SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{
		SecurityGroupRuleId: made[1].SecurityGroupRuleId, Description: new("home"),
	}}}))(t)
	texts := map[string]string{}
	for _, r := range must(c.ec2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: where("group-id", group)}))(t).SecurityGroupRules {
		texts[deref(r.CidrIpv4)] += deref(r.Description)
	}
	if texts["192.168.0.0/16"] != "home" || texts["0.0.0.0/0"] != "web" {
		t.Errorf("descriptions: %v", texts)
	}
	must(c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: tcp(22, "192.168.0.0/16")}))(t)
	_, err = c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: tcp(22, "192.168.0.0/16")})
	wantCode(t, err, "InvalidPermission.NotFound")
	if in := show().IpPermissions; len(in) != 1 || *in[0].FromPort != 80 {
		t.Errorf("what is left: %+v", in)
	}
}
