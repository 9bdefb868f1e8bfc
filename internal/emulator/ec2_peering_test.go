package emulator

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestPeeringBetweenAccountsAndRegions(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	there := ec2.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", "us-east-1"))
	before := must(c.Inventory())(t)
	ours, theirs := makeVPC(t, c, "10.0.0.0/16"), *must(there.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.1.0.0/16")}))(t).Vpc.VpcId
	in := &ec2.CreateVpcPeeringConnectionInput{VpcId: &ours, PeerVpcId: &theirs, PeerRegion: new("us-east-1"), TagSpecifications: tagging("vpc-peering-connection", "Name", "home")}
	id := *must(c.ec2.CreateVpcPeeringConnection(ctx, in))(t).VpcPeeringConnection.VpcPeeringConnectionId
	status := func(client *ec2.Client) string {
		list := must(client.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{Filters: where("vpc-peering-connection-id", id)}))(t).VpcPeeringConnections
		if len(list) != 1 {
			t.Fatalf("connections: %+v", list)
		}
		if tagged := client == c.ec2; tagged != (len(list[0].Tags) == 1) {
			t.Errorf("tags are the requester's own: %+v", list[0].Tags)
		}
		return string(list[0].Status.Code)
	}
	if s := status(c.ec2); s != "initiating-request" {
		t.Errorf("a new connection is %s", s)
	}
	clock.Advance(time.Second)
	_, err := c.ec2.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: &id})
	wantCode(t, err, "OperationNotPermitted")
	_, err = c.ec2.CreateVpcPeeringConnection(ctx, in)
	wantCode(t, err, "VpcPeeringConnectionAlreadyExists")
	table := *must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &ours}))(t).RouteTable.RouteTableId
	route := &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: &id}
	_, err = c.ec2.CreateRoute(ctx, route)
	wantCode(t, err, "InvalidVpcPeeringConnectionID.NotFound")
	must(there.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))(t)
	clock.Advance(time.Second)
	if s := status(there); s != "active" {
		t.Errorf("an accepted connection is %s", s)
	}
	must(c.ec2.CreateRoute(ctx, route))(t)
	options := &types.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(true)}
	must(c.ec2.ModifyVpcPeeringConnectionOptions(ctx, &ec2.ModifyVpcPeeringConnectionOptionsInput{VpcPeeringConnectionId: &id, RequesterPeeringConnectionOptions: options}))(t)
	_, err = c.ec2.ModifyVpcPeeringConnectionOptions(ctx, &ec2.ModifyVpcPeeringConnectionOptionsInput{VpcPeeringConnectionId: &id, AccepterPeeringConnectionOptions: options})
	wantCode(t, err, "OperationNotPermitted")
	_, err = c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &ours})
	wantCode(t, err, "DependencyViolation")
	must(there.DeleteVpcPeeringConnection(ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: &id}))(t)
	clock.Advance(time.Second)
	if s := status(c.ec2); s != "deleted" {
		t.Errorf("a deleted connection is %s", s)
	}
	if n := len(must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: where("route.state", "blackhole")}))(t).RouteTables); n != 1 {
		t.Errorf("%d tables with a blackhole", n)
	}
	must(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &ours}))(t)
	must(there.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &theirs}))(t)
	if after := must(c.Inventory())(t); !reflect.DeepEqual(before, after) {
		t.Errorf("left behind: %v", after)
	}
}

func TestOverlappingVPCsAreNotPeered(t *testing.T) {
	c, clock := driven(t)
	a, b := makeVPC(t, c, "10.0.0.0/16"), makeVPC(t, c, "10.0.128.0/17")
	p := must(c.ec2.CreateVpcPeeringConnection(t.Context(), &ec2.CreateVpcPeeringConnectionInput{VpcId: &a, PeerVpcId: &b}))(t).VpcPeeringConnection
	clock.Advance(time.Second)
	list := must(c.ec2.DescribeVpcPeeringConnections(t.Context(), &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{*p.VpcPeeringConnectionId}}))(t)
	if s := list.VpcPeeringConnections[0].Status.Code; s != types.VpcPeeringConnectionStateReasonCodeFailed {
		t.Errorf("the connection is %s", s)
	}
}

func TestGatewayEndpointsLeadThroughTables(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	before := must(c.Inventory())(t)
	vpc := makeVPC(t, c, "10.0.0.0/16")
	table := *must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &vpc}))(t).RouteTable.RouteTableId
	in := &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: new("com.amazonaws.eu-central-1.s3"), RouteTableIds: []string{table}, ClientToken: new("one")}
	id := *must(c.ec2.CreateVpcEndpoint(ctx, in))(t).VpcEndpoint.VpcEndpointId
	if again := *must(c.ec2.CreateVpcEndpoint(ctx, in))(t).VpcEndpoint.VpcEndpointId; again != id {
		t.Errorf("the same token made %s and %s", id, again)
	}
	in.ClientToken = nil
	_, err := c.ec2.CreateVpcEndpoint(ctx, in)
	wantCode(t, err, "RouteAlreadyExists")
	in.ServiceName = new("com.amazonaws.eu-central-1.sqs")
	_, err = c.ec2.CreateVpcEndpoint(ctx, in)
	wantCode(t, err, "InvalidServiceName")
	_, err = c.ec2.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, PolicyDocument: new("{")})
	wantCode(t, err, "MalformedPolicyDocument")
	_, err = c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
	wantCode(t, err, "DependencyViolation")
	must(c.ec2.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, RemoveRouteTableIds: []string{table}}))(t)
	if r := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{table}}))(t).RouteTables[0].Routes; len(r) != 1 {
		t.Errorf("routes: %+v", r)
	}
	out := must(c.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id, "vpce-0123456789abcdef0"}}))(t)
	if len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "InvalidVpcEndpoint.NotFound" {
		t.Errorf("not deleted: %+v", out.Unsuccessful)
	}
	must(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc}))(t)
	if after := must(c.Inventory())(t); !reflect.DeepEqual(before, after) {
		t.Errorf("left behind: %v", after)
	}
}

func TestDHCPOptionsAreHeldByTheirVPCs(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	_, err := c.ec2.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []types.NewDhcpConfiguration{{Key: new("colour"), Values: []string{"red"}}}})
	wantCode(t, err, "InvalidParameterValue")
	id := *must(c.ec2.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []types.NewDhcpConfiguration{{Key: new("domain-name"), Values: []string{"shop.example"}}}}))(t).DhcpOptions.DhcpOptionsId
	must(c.ec2.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: &id, VpcId: &vpc}))(t)
	if n := len(must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: where("dhcp-options-id", id)}))(t).Vpcs); n != 1 {
		t.Errorf("%d VPCs have the options", n)
	}
	_, err = c.ec2.DeleteDhcpOptions(ctx, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: &id})
	wantCode(t, err, "DependencyViolation")
	must(c.ec2.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: new("default"), VpcId: &vpc}))(t)
	must(c.ec2.DeleteDhcpOptions(ctx, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: &id}))(t)
}
