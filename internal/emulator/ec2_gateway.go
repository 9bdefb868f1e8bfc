package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type gatewayRow struct {
	Gateway types.InternetGateway
	Default bool // came with the default VPC
}

func (r gatewayRow) attachedTo() string {
	if len(r.Gateway.Attachments) == 0 {
		return ""
	}
	return *r.Gateway.Attachments[0].VpcId
}

func (s *ec2Service) addGateways() {
	on(s, "CreateInternetGateway", "TagSpecifications.*", s.createInternetGateway)
	on(s, "DescribeInternetGateways", "InternetGatewayIds Filters.* MaxResults NextToken", s.describeInternetGateways)
	on(s, "AttachInternetGateway", "InternetGatewayId VpcId", s.attachInternetGateway)
	on(s, "DetachInternetGateway", "InternetGatewayId VpcId", s.detachInternetGateway)
	on(s, "DeleteInternetGateway", "InternetGatewayId", s.deleteInternetGateway)
}

func (s *ec2Service) createInternetGateway(c apiCall, in *ec2.CreateInternetGatewayInput) (*ec2.CreateInternetGatewayOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeInternetGateway)
	if err != nil {
		return nil, err
	}
	id := gatewayID.make()
	row := gatewayRow{Gateway: types.InternetGateway{InternetGatewayId: new(id), OwnerId: new(c.Account)}}
	s.gateways.put(c.w, id, row)
	if err := s.born(c, gatewayID, id, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateInternetGatewayOutput{InternetGateway: new(s.showGateway(c, row))}, nil
}

func (s *ec2Service) showGateway(c apiCall, row gatewayRow) types.InternetGateway {
	gateway := row.Gateway
	gateway.Tags = s.tagList(c.w, *gateway.InternetGatewayId)
	return gateway
}

func (s *ec2Service) describeInternetGateways(c apiCall, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	if err := noPagesOfIDs(in.InternetGatewayIds, "internetGatewayIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.gateways, c.w, gatewayID, in.InternetGatewayIds)
	if err != nil {
		return nil, err
	}
	id := func(r gatewayRow) string { return *r.Gateway.InternetGatewayId }
	rows, err = choose(s, c.w, rows, id, filters[gatewayRow]{
		"internet-gateway-id": func(r gatewayRow) []string { return opt(r.Gateway.InternetGatewayId) },
		"attachment.vpc-id":   func(r gatewayRow) []string { return one(r.attachedTo()) },
		"owner-id":            func(r gatewayRow) []string { return opt(r.Gateway.OwnerId) },
		"attachment.state": func(r gatewayRow) []string {
			if r.attachedTo() == "" {
				return nil
			}
			return []string{"available"}
		},
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeInternetGatewaysOutput{NextToken: next}
	for _, row := range rows {
		out.InternetGateways = append(out.InternetGateways, s.showGateway(c, row))
	}
	return out, err
}

func (s *ec2Service) attachInternetGateway(c apiCall, in *ec2.AttachInternetGatewayInput) (*ec2.AttachInternetGatewayOutput, error) {
	row, err := need(s.gateways, c.w, gatewayID, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := *vpc.Vpc.VpcId
	if at := row.attachedTo(); at != "" {
		return nil, refuse("Resource.AlreadyAssociated", "resource %s is already attached to network %s", *row.Gateway.InternetGatewayId, at)
	}
	for _, other := range s.gateways.all(c.w) {
		if other.attachedTo() == id {
			return nil, refuse("InvalidParameterValue", "Network %s already has an internet gateway attached", id)
		}
	}
	row.Gateway.Attachments = []types.InternetGatewayAttachment{{State: "available", VpcId: new(id)}}
	s.gateways.put(c.w, *row.Gateway.InternetGatewayId, row)
	return &ec2.AttachInternetGatewayOutput{}, nil
}

func (s *ec2Service) detachInternetGateway(c apiCall, in *ec2.DetachInternetGatewayInput) (*ec2.DetachInternetGatewayOutput, error) {
	row, err := need(s.gateways, c.w, gatewayID, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := *vpc.Vpc.VpcId
	if row.attachedTo() != id {
		return nil, refuse("Gateway.NotAttached", "resource %s is not attached to network %s", *row.Gateway.InternetGatewayId, id)
	}
	for _, instance := range s.instances.all(c.w) {
		if instance.VPC == id && instance.holdsNetwork() && instance.publicAddress().IsValid() {
			return nil, refuse("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", id)
		}
	}
	for _, address := range s.addresses.all(c.w) {
		if nic, ok := s.nics.get(c.w, deref(address.Address.NetworkInterfaceId)); ok && nic.VPC == id {
			return nil, refuse("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", id)
		}
	}
	for _, nat := range s.nats.all(c.w) {
		if *nat.Gateway.VpcId == id && nat.isPublic() && nat.holdsNetwork() {
			return nil, refuse("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", id)
		}
	}
	row.Gateway.Attachments = nil
	s.gateways.put(c.w, *row.Gateway.InternetGatewayId, row)
	return &ec2.DetachInternetGatewayOutput{}, nil
}

func (s *ec2Service) deleteInternetGateway(c apiCall, in *ec2.DeleteInternetGatewayInput) (*ec2.DeleteInternetGatewayOutput, error) {
	row, err := need(s.gateways, c.w, gatewayID, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	id := *row.Gateway.InternetGatewayId
	if row.attachedTo() != "" {
		return nil, refuse("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted.", id)
	}
	s.gateways.remove(c.w, id)
	s.gone(c.w, id)
	return &ec2.DeleteInternetGatewayOutput{}, nil
}
