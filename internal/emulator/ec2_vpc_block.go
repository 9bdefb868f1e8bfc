package emulator

import (
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) associateVpcCidrBlock(c apiCall, in *ec2.AssociateVpcCidrBlockInput) (*ec2.AssociateVpcCidrBlockOutput, error) {
	row, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	block, err := readBlock(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	if block.Bits() < 16 || block.Bits() > 28 {
		return nil, refuse("InvalidVpc.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	for _, a := range row.Vpc.CidrBlockAssociationSet {
		if netip.MustParsePrefix(*a.CidrBlock).Overlaps(block) {
			return nil, refuse("InvalidVpc.Conflict", "The CIDR '%s' conflicts with another CIDR block of the VPC", *in.CidrBlock)
		}
	}
	added := blockAssociation(*row.Vpc.VpcId, block)
	row.Vpc.CidrBlockAssociationSet = append(copied(row.Vpc.CidrBlockAssociationSet), added)
	s.vpcs.put(c.w, *row.Vpc.VpcId, row)
	for _, table := range s.routeTables.all(c.w) {
		if *table.Table.VpcId == *row.Vpc.VpcId {
			table.Table.Routes = append(copied(table.Table.Routes), localRoute(block))
			s.routeTables.put(c.w, *table.Table.RouteTableId, table)
		}
	}
	return &ec2.AssociateVpcCidrBlockOutput{VpcId: row.Vpc.VpcId, CidrBlockAssociation: &added}, nil
}

func (s *ec2Service) disassociateVpcCidrBlock(c apiCall, in *ec2.DisassociateVpcCidrBlockInput) (*ec2.DisassociateVpcCidrBlockOutput, error) {
	if err := require("associationId", in.AssociationId); err != nil {
		return nil, err
	}
	for _, row := range s.vpcs.all(c.w) {
		for i, a := range row.Vpc.CidrBlockAssociationSet {
			if *a.AssociationId != *in.AssociationId {
				continue
			}
			if err := s.blockIsFree(c.w, row, a, i); err != nil {
				return nil, err
			}
			row.Vpc.CidrBlockAssociationSet = append(copied(row.Vpc.CidrBlockAssociationSet[:i]), row.Vpc.CidrBlockAssociationSet[i+1:]...)
			s.vpcs.put(c.w, *row.Vpc.VpcId, row)
			s.dropRoutes(c.w, func(t routeTableRow, r types.Route) bool {
				return *t.Table.VpcId == *row.Vpc.VpcId && deref(r.GatewayId) == "local" && *r.DestinationCidrBlock == *a.CidrBlock
			})
			a.CidrBlockState = &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeDisassociating}
			return &ec2.DisassociateVpcCidrBlockOutput{VpcId: row.Vpc.VpcId, CidrBlockAssociation: &a}, nil
		}
	}
	return nil, refuse("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", *in.AssociationId)
}

func (s *ec2Service) blockIsFree(w world, row vpcRow, a types.VpcCidrBlockAssociation, index int) error {
	if index == 0 {
		return refuse("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", *a.AssociationId)
	}
	block := netip.MustParsePrefix(*a.CidrBlock)
	for _, subnet := range s.subnets.all(w) {
		if *subnet.Subnet.VpcId == *row.Vpc.VpcId && within(block, netip.MustParsePrefix(*subnet.Subnet.CidrBlock)) {
			return refuse("InvalidCidrBlock.InUse", "The vpc CIDR block with association ID %s is in use and cannot be disassociated.", *a.AssociationId)
		}
	}
	return nil
}

// readBlock reads an IPv4 CIDR block. The bits after the prefix are dropped,
// as EC2 does.
func readBlock(text *string, parameter string) (netip.Prefix, error) {
	if err := require(parameter, text); err != nil {
		return netip.Prefix{}, err
	}
	block, err := netip.ParsePrefix(*text)
	if err != nil || !block.Addr().Is4() {
		return netip.Prefix{}, refuse("InvalidParameterValue", "Value (%s) for parameter %s is invalid. This is not a valid CIDR block.", *text, parameter)
	}
	return block.Masked(), nil
}

// within says that a block holds all of another.
func within(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
