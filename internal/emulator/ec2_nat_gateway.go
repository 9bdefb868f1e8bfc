package emulator

import (
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// natRow is a NAT gateway. Its network interface shows in its addresses alone.
type natRow struct {
	Gateway types.NatGateway
	Token   string
}

func (r natRow) id() string { return *r.Gateway.NatGatewayId }

// holdsNetwork says that it still has its addresses.
func (r natRow) holdsNetwork() bool {
	return r.Gateway.State != types.NatGatewayStateDeleted && r.Gateway.State != types.NatGatewayStateFailed
}

func (r natRow) isPublic() bool { return r.Gateway.ConnectivityType == types.ConnectivityTypePublic }

// natMemory is how long EC2 shows a NAT gateway that is deleted or has failed:
// about an hour.
const natMemory = time.Hour

func (s *ec2Service) addNatGateways() {
	on(s, "CreateNatGateway", "SubnetId AllocationId ConnectivityType PrivateIpAddress ClientToken TagSpecifications.*", s.createNatGateway)
	on(s, "DescribeNatGateways", "NatGatewayIds Filter.* MaxResults NextToken", s.describeNatGateways)
	on(s, "DeleteNatGateway", "NatGatewayId", s.deleteNatGateway)
	s.settler("ec2-nat-gateway", s.settleNatGateway)
	s.settler("ec2-nat-gateway-forgotten", s.forgetNatGateway)
}

func (s *ec2Service) createNatGateway(c apiCall, in *ec2.CreateNatGatewayInput) (*ec2.CreateNatGatewayOutput, error) {
	made, done, err := s.replayed(c, "CreateNatGateway", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.nats, c.w, natID, &made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateNatGatewayOutput{NatGateway: new(s.showNatGateway(c.w, row)), ClientToken: in.ClientToken}, nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeNatgateway)
	if err != nil {
		return nil, err
	}
	subnet, err := need(s.subnets, c.w, subnetID, in.SubnetId)
	if err != nil {
		return nil, err
	}
	kind := in.ConnectivityType
	if kind == "" {
		kind = types.ConnectivityTypePublic
	}
	if public := kind == types.ConnectivityTypePublic; public == (deref(in.AllocationId) == "") {
		return nil, refuse(pick(public, "MissingParameter", "InvalidParameterCombination"), "A NAT gateway of connectivity type %s %s an allocation ID", kind, pick(public, "needs", "takes no"))
	}
	private, err := s.freeAddress(c.w, subnet.Subnet, in.PrivateIpAddress)
	if err != nil {
		return nil, err
	}
	row := natRow{Token: deref(in.ClientToken), Gateway: types.NatGateway{
		NatGatewayId: new(natID.make()), SubnetId: in.SubnetId, VpcId: subnet.Subnet.VpcId, ConnectivityType: kind, CreateTime: new(c.now),
		State: types.NatGatewayStatePending, NatGatewayAddresses: []types.NatGatewayAddress{{
			IsPrimary: new(true), NetworkInterfaceId: new(interfaceID.make()), PrivateIp: new(private.String()), Status: types.NatGatewayAddressStatusSucceeded,
		}},
	}}
	if kind == types.ConnectivityTypePublic {
		if err := s.giveNatAddress(c, &row.Gateway.NatGatewayAddresses[0], in.AllocationId); err != nil {
			return nil, err
		}
	}
	s.nats.put(c.w, row.id(), row)
	s.cloud.schedule(c.w, s.later(), "ec2-nat-gateway", row.id())
	s.remember(c, "CreateNatGateway", in.ClientToken, in, row.id())
	if err := s.born(c, natID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateNatGatewayOutput{NatGateway: new(s.showNatGateway(c.w, row)), ClientToken: in.ClientToken}, nil
}

// giveNatAddress associates an elastic IP address with a gateway's interface.
func (s *ec2Service) giveNatAddress(c apiCall, a *types.NatGatewayAddress, allocation *string) error {
	address, err := s.addressBy(c, allocation, nil, nil)
	if err != nil {
		return err
	}
	if address.Address.AssociationId != nil {
		return refuse("Resource.AlreadyAssociated", "Elastic IP address [%s] is already associated", *allocation)
	}
	address.Address.AssociationId, address.Address.NetworkInterfaceId = new(associationID.make()), a.NetworkInterfaceId
	address.Address.PrivateIpAddress, address.Address.NetworkInterfaceOwnerId = a.PrivateIp, new(c.Account)
	s.addresses.put(c.w, *allocation, address)
	a.AllocationId, a.AssociationId, a.PublicIp = allocation, address.Address.AssociationId, address.Address.PublicIp
	return nil
}

// natOf finds the NAT gateway that has an interface.
func (s *ec2Service) natOf(w world, networkInterface string) (natRow, bool) {
	for _, row := range s.nats.all(w) {
		if networkInterface != "" && row.holdsNetwork() && *row.Gateway.NatGatewayAddresses[0].NetworkInterfaceId == networkInterface {
			return row, true
		}
	}
	return natRow{}, false
}

// hasGateway says whether a VPC reaches the internet.
func (s *ec2Service) hasGateway(w world, vpc string) bool {
	for _, row := range s.gateways.all(w) {
		if row.attachedTo() == vpc {
			return true
		}
	}
	return false
}

// settleNatGateway ends a gateway's change: what was made is available, unless
// it is public and its VPC doesn't reach the internet; what goes is gone.
func (s *ec2Service) settleNatGateway(w world, id string) {
	row, ok := s.nats.get(w, id)
	if !ok {
		return
	}
	g := &row.Gateway
	switch {
	case g.State == types.NatGatewayStateDeleting:
		g.State, g.DeleteTime = types.NatGatewayStateDeleted, new(s.cloud.clock.Now())
	case g.State != types.NatGatewayStatePending:
		return
	case row.isPublic() && !s.hasGateway(w, *g.VpcId):
		g.State, g.FailureCode = types.NatGatewayStateFailed, new("Gateway.NotAttached")
		g.FailureMessage = new("Network " + *g.VpcId + " has no Internet gateway attached")
	default:
		g.State = types.NatGatewayStateAvailable
	}
	s.nats.put(w, id, row)
	if !row.holdsNetwork() {
		for _, address := range s.addresses.all(w) {
			if deref(address.Address.NetworkInterfaceId) == *g.NatGatewayAddresses[0].NetworkInterfaceId {
				s.detachAddress(w, address)
			}
		}
		s.cloud.schedule(w, natMemory, "ec2-nat-gateway-forgotten", id)
	}
}

func (s *ec2Service) forgetNatGateway(w world, id string) {
	if row, ok := s.nats.get(w, id); ok && row.Token != "" {
		s.tokens.remove(w, "CreateNatGateway "+row.Token)
	}
	s.nats.remove(w, id)
	s.gone(w, id)
}

func (s *ec2Service) showNatGateway(w world, row natRow) types.NatGateway {
	gateway := row.Gateway
	gateway.Tags = s.tagList(w, row.id())
	return gateway
}

func (s *ec2Service) describeNatGateways(c apiCall, in *ec2.DescribeNatGatewaysInput) (*ec2.DescribeNatGatewaysOutput, error) {
	if err := noPagesOfIDs(in.NatGatewayIds, "natGatewayIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.nats, c.w, natID, in.NatGatewayIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, natRow.id, filters[natRow]{
		"nat-gateway-id": func(r natRow) []string { return opt(r.Gateway.NatGatewayId) },
		"state":          func(r natRow) []string { return one(r.Gateway.State) },
		"subnet-id":      func(r natRow) []string { return opt(r.Gateway.SubnetId) },
		"vpc-id":         func(r natRow) []string { return opt(r.Gateway.VpcId) },
	}, in.Filter)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, natRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeNatGatewaysOutput{NextToken: next}
	for _, row := range rows {
		out.NatGateways = append(out.NatGateways, s.showNatGateway(c.w, row))
	}
	return out, err
}

func (s *ec2Service) deleteNatGateway(c apiCall, in *ec2.DeleteNatGatewayInput) (*ec2.DeleteNatGatewayOutput, error) {
	row, err := need(s.nats, c.w, natID, in.NatGatewayId)
	if err != nil {
		return nil, err
	}
	switch row.Gateway.State {
	case types.NatGatewayStateDeleted:
		return nil, natID.missing(row.id())
	case types.NatGatewayStateDeleting:
	default:
		row.Gateway.State = types.NatGatewayStateDeleting
		s.nats.put(c.w, row.id(), row)
		s.cloud.schedule(c.w, s.later(), "ec2-nat-gateway", row.id())
	}
	return &ec2.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}, nil
}

// natAddressesIn are the private addresses that NAT gateways take in a subnet.
func (s *ec2Service) natAddressesIn(w world, subnet string, taken map[netip.Addr]bool) {
	for _, row := range s.nats.all(w) {
		if row.holdsNetwork() && *row.Gateway.SubnetId == subnet {
			taken[netip.MustParseAddr(*row.Gateway.NatGatewayAddresses[0].PrivateIp)] = true
		}
	}
}
