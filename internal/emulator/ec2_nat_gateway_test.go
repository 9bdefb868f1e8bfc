package emulator

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// attachGateway gives a VPC an internet gateway.
func attachGateway(t *testing.T, c *testCloud, vpc string) string {
	t.Helper()
	gateway := *must(c.ec2.CreateInternetGateway(t.Context(), &ec2.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	must(c.ec2.AttachInternetGateway(t.Context(), &ec2.AttachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}))(t)
	return gateway
}

func TestANatGatewayHoldsItsAddressUntilItIsDeleted(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	before := must(c.Inventory())(t)
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	gateway := attachGateway(t, c, vpc)
	address := *must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId
	in := &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &address, ClientToken: new("one"), TagSpecifications: tagging("natgateway", "Name", "out")}
	nat := *must(c.ec2.CreateNatGateway(ctx, in))(t).NatGateway.NatGatewayId
	if again := *must(c.ec2.CreateNatGateway(ctx, in))(t).NatGateway.NatGatewayId; again != nat {
		t.Errorf("the same token made %s and %s", nat, again)
	}
	show := func() types.NatGateway {
		list := must(c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: where("tag:Name", "out", "vpc-id", vpc)}))(t).NatGateways
		if len(list) != 1 {
			t.Fatalf("gateways: %+v", list)
		}
		return list[0]
	}
	if g := show(); g.State != types.NatGatewayStatePending || deref(g.NatGatewayAddresses[0].AllocationId) != address {
		t.Errorf("a new gateway: %+v", g)
	}
	clock.Advance(time.Second)
	if g := show(); g.State != types.NatGatewayStateAvailable {
		t.Errorf("the gateway is %s", g.State)
	}
	table := *must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &vpc}))(t).RouteTable.RouteTableId
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: &nat}))(t)
	for name, call := range map[string]func() (string, error){
		"a second gateway at the address": func() (string, error) {
			_, err := c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &address})
			return "Resource.AlreadyAssociated", err
		},
		"a private gateway with an address": func() (string, error) {
			_, err := c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &address, ConnectivityType: types.ConnectivityTypePrivate})
			return "InvalidParameterCombination", err
		},
		"the release of its address": func() (string, error) {
			_, err := c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &address})
			return "InvalidIPAddress.InUse", err
		},
		"the subnet's deletion": func() (string, error) {
			_, err := c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet})
			return "DependencyViolation", err
		},
		"the internet gateway's detachment": func() (string, error) {
			_, err := c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc})
			return "DependencyViolation", err
		},
		"another's gateway": func() (string, error) {
			_, err := c.ec2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: new("nat-0123456789abcdef0")})
			return "NatGatewayNotFound", err
		},
	} {
		code, err := call()
		if codeOf(err) != code {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
	}
	must(c.ec2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &nat}))(t)
	clock.Advance(time.Second)
	if g := show(); g.State != types.NatGatewayStateDeleted {
		t.Errorf("the gateway is %s", g.State)
	}
	if r := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{table}}))(t).RouteTables[0].Routes; r[1].State != types.RouteStateBlackhole {
		t.Errorf("the route to it: %+v", r)
	}
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &address}))(t)
	must(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))(t)
	must(c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}))(t)
	must(c.ec2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &gateway}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc}))(t)
	if after := must(c.Inventory())(t); !reflect.DeepEqual(before, after) {
		t.Errorf("left behind: %v", after)
	}
}

func TestAPublicNatGatewayNeedsTheInternet(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	address := *must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId
	public := *must(c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &address}))(t).NatGateway.NatGatewayId
	private := *must(c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnet, ConnectivityType: types.ConnectivityTypePrivate}))(t).NatGateway.NatGatewayId
	clock.Advance(time.Second)
	for id, want := range map[string]types.NatGatewayState{public: types.NatGatewayStateFailed, private: types.NatGatewayStateAvailable} {
		g := must(c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}))(t).NatGateways[0]
		if g.State != want || want == types.NatGatewayStateFailed && deref(g.FailureCode) != "Gateway.NotAttached" {
			t.Errorf("gateway %+v, want %s", g, want)
		}
	}
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &address}))(t) // a failed gateway gives it back
}
