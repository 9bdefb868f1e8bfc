package emulator

import (
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type vpcRow struct {
	Vpc          types.Vpc
	DNSSupport   bool
	DNSHostnames bool
	UsageMetrics bool
}

type aclRow struct{ Acl types.NetworkAcl }

func (s *ec2Service) addVPCs() {
	on(s, "CreateVpc", "CidrBlock InstanceTenancy TagSpecifications.*", s.createVpc)
	on(s, "CreateDefaultVpc", "", s.createDefaultVpc)
	on(s, "DescribeVpcs", "VpcIds Filters.* MaxResults NextToken", s.describeVpcs)
	on(s, "DeleteVpc", "VpcId", s.deleteVpc)
	on(s, "ModifyVpcAttribute", "VpcId EnableDnsHostnames.* EnableDnsSupport.* EnableNetworkAddressUsageMetrics.*", s.modifyVpcAttribute)
	on(s, "DescribeVpcAttribute", "VpcId Attribute", s.describeVpcAttribute)
	on(s, "AssociateVpcCidrBlock", "VpcId CidrBlock", s.associateVpcCidrBlock)
	on(s, "DisassociateVpcCidrBlock", "AssociationId", s.disassociateVpcCidrBlock)
	on(s, "DescribeNetworkAcls", "NetworkAclIds Filters.* MaxResults NextToken", s.describeNetworkAcls)
}

// vpcParts are the IDs of a VPC and of what comes with it.
type vpcParts struct{ vpc, table, association, acl, group, egress, ingress string }

func newVPCParts() vpcParts {
	return vpcParts{
		vpc: vpcID.make(), table: routeTableID.make(), association: idKind("rtbassoc").make(),
		acl: aclID.make(), group: groupID.make(), egress: ruleID.make(), ingress: ruleID.make(),
	}
}

// makeVPC makes a VPC with its main route table, default network ACL and
// default security group.
func (s *ec2Service) makeVPC(c apiCall, block netip.Prefix, tenancy types.Tenancy, parts vpcParts) vpcRow {
	row := vpcRow{DNSSupport: true, Vpc: types.Vpc{
		VpcId: new(parts.vpc), CidrBlock: new(block.String()), OwnerId: new(c.Account), DhcpOptionsId: new(dhcpID.stable(c.w.String())),
		InstanceTenancy: tenancy, IsDefault: new(false), State: types.VpcStateAvailable,
		CidrBlockAssociationSet: []types.VpcCidrBlockAssociation{blockAssociation(parts.vpc, block)},
	}}
	s.vpcs.put(c.w, parts.vpc, row)
	s.routeTables.put(c.w, parts.table, routeTableRow{Table: types.RouteTable{
		RouteTableId: new(parts.table), VpcId: new(parts.vpc), OwnerId: new(c.Account), Routes: []types.Route{localRoute(block)},
		Associations: []types.RouteTableAssociation{{
			Main: new(true), RouteTableAssociationId: new(parts.association), RouteTableId: new(parts.table), AssociationState: associated(),
		}},
	}})
	s.acls.put(c.w, parts.acl, aclRow{types.NetworkAcl{
		NetworkAclId: new(parts.acl), VpcId: new(parts.vpc), OwnerId: new(c.Account), IsDefault: new(true), Entries: openEntries(),
	}})
	s.groups.put(c.w, parts.group, groupRow{ID: parts.group, Name: "default", Description: "default VPC security group", VPC: parts.vpc})
	s.rules.put(c.w, parts.egress, ruleRow{anywhere(c, parts.group, parts.egress)})
	s.rules.put(c.w, parts.ingress, ruleRow{types.SecurityGroupRule{
		SecurityGroupRuleId: new(parts.ingress), GroupId: new(parts.group), GroupOwnerId: new(c.Account), IsEgress: new(false),
		IpProtocol: new("-1"), FromPort: new(int32(-1)), ToPort: new(int32(-1)),
		ReferencedGroupInfo: &types.ReferencedSecurityGroup{GroupId: new(parts.group), UserId: new(c.Account), VpcId: new(parts.vpc)},
	}})
	return row
}

func blockAssociation(vpc string, block netip.Prefix) types.VpcCidrBlockAssociation {
	return types.VpcCidrBlockAssociation{
		AssociationId: new(idKind("vpc-cidr-assoc").stable(vpc, block.String())), CidrBlock: new(block.String()),
		CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
	}
}

func (s *ec2Service) createVpc(c apiCall, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeVpc)
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
	tenancy := in.InstanceTenancy
	if tenancy == "" {
		tenancy = types.TenancyDefault
	}
	if tenancy == types.TenancyHost {
		return nil, refuse("InvalidParameterValue", "Value (host) for parameter instanceTenancy is invalid.")
	}
	row := s.makeVPC(c, block, tenancy, newVPCParts())
	if err := s.born(c, vpcID, *row.Vpc.VpcId, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateVpcOutput{Vpc: new(s.showVPC(c, row))}, nil
}

func (s *ec2Service) createDefaultVpc(c apiCall, _ *ec2.CreateDefaultVpcInput) (*ec2.CreateDefaultVpcOutput, error) {
	if _, ok := s.defaultVPC(c.w); ok {
		return nil, refuse("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
	}
	id := s.makeDefaultVPC(c, func(k idKind, part string) string { return k.stable(c.w.String(), c.now.String(), part) })
	row, _ := s.vpcs.get(c.w, id)
	return &ec2.CreateDefaultVpcOutput{Vpc: new(s.showVPC(c, row))}, nil
}

func (s *ec2Service) defaultVPC(w world) (vpcRow, bool) {
	for _, row := range s.vpcs.all(w) {
		if deref(row.Vpc.IsDefault) {
			return row, true
		}
	}
	return vpcRow{}, false
}

func (s *ec2Service) showVPC(c apiCall, row vpcRow) types.Vpc {
	vpc := row.Vpc
	vpc.Tags = s.tagList(c.w, *vpc.VpcId)
	return vpc
}

func (s *ec2Service) describeVpcs(c apiCall, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	if err := noPagesOfIDs(in.VpcIds, "vpcIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.vpcs, c.w, vpcID, in.VpcIds)
	if err != nil {
		return nil, err
	}
	id := func(r vpcRow) string { return *r.Vpc.VpcId }
	blocks := func(pick func(types.VpcCidrBlockAssociation) []string) func(vpcRow) []string {
		return func(r vpcRow) (all []string) {
			for _, a := range r.Vpc.CidrBlockAssociationSet {
				all = append(all, pick(a)...)
			}
			return all
		}
	}
	rows, err = choose(s, c.w, rows, id, filters[vpcRow]{
		"vpc-id":          func(r vpcRow) []string { return opt(r.Vpc.VpcId) },
		"cidr":            func(r vpcRow) []string { return opt(r.Vpc.CidrBlock) },
		"cidr-block":      func(r vpcRow) []string { return opt(r.Vpc.CidrBlock) },
		"cidrBlock":       func(r vpcRow) []string { return opt(r.Vpc.CidrBlock) },
		"dhcp-options-id": func(r vpcRow) []string { return opt(r.Vpc.DhcpOptionsId) },
		"is-default":      func(r vpcRow) []string { return flag(r.Vpc.IsDefault) },
		"isDefault":       func(r vpcRow) []string { return flag(r.Vpc.IsDefault) },
		"owner-id":        func(r vpcRow) []string { return opt(r.Vpc.OwnerId) },
		"state":           func(r vpcRow) []string { return one(r.Vpc.State) },
		"cidr-block-association.cidr-block": blocks(func(a types.VpcCidrBlockAssociation) []string {
			return opt(a.CidrBlock)
		}),
		"cidr-block-association.association-id": blocks(func(a types.VpcCidrBlockAssociation) []string {
			return opt(a.AssociationId)
		}),
		"cidr-block-association.state": blocks(func(a types.VpcCidrBlockAssociation) []string {
			return one(a.CidrBlockState.State)
		}),
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeVpcsOutput{NextToken: next}
	for _, row := range rows {
		out.Vpcs = append(out.Vpcs, s.showVPC(c, row))
	}
	return out, err
}

func (s *ec2Service) deleteVpc(c apiCall, in *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	row, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := *row.Vpc.VpcId
	if s.vpcInUse(c.w, id) {
		return nil, refuse("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", id)
	}
	for _, t := range s.routeTables.all(c.w) {
		if *t.Table.VpcId == id {
			s.routeTables.remove(c.w, *t.Table.RouteTableId)
			s.gone(c.w, *t.Table.RouteTableId)
		}
	}
	for _, g := range s.groups.all(c.w) {
		if g.VPC == id {
			s.removeGroup(c.w, g.ID)
		}
	}
	for _, a := range s.acls.all(c.w) {
		if *a.Acl.VpcId == id {
			s.acls.remove(c.w, *a.Acl.NetworkAclId)
			s.gone(c.w, *a.Acl.NetworkAclId)
		}
	}
	s.vpcs.remove(c.w, id)
	s.gone(c.w, id)
	return &ec2.DeleteVpcOutput{}, nil
}

// vpcInUse says whether a VPC holds more than what came with it.
func (s *ec2Service) vpcInUse(w world, id string) bool {
	for _, row := range s.subnets.all(w) {
		if *row.Subnet.VpcId == id {
			return true
		}
	}
	for _, row := range s.gateways.all(w) {
		if row.attachedTo() == id {
			return true
		}
	}
	for _, row := range s.groups.all(w) {
		if row.VPC == id && row.Name != "default" {
			return true
		}
	}
	for _, row := range s.routeTables.all(w) {
		if *row.Table.VpcId == id && !row.isMain() {
			return true
		}
	}
	for _, row := range s.acls.all(w) {
		if *row.Acl.VpcId == id && !deref(row.Acl.IsDefault) {
			return true
		}
	}
	for _, row := range s.endpoints.all(w) {
		if *row.Endpoint.VpcId == id {
			return true
		}
	}
	for _, row := range s.peerings.all(world{}) {
		if row.lives() && row.between(id) {
			return true
		}
	}
	return false
}

func (s *ec2Service) modifyVpcAttribute(c apiCall, in *ec2.ModifyVpcAttributeInput) (*ec2.ModifyVpcAttributeOutput, error) {
	row, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	set := 0
	for _, change := range []struct {
		to    *types.AttributeBooleanValue
		field *bool
	}{{in.EnableDnsHostnames, &row.DNSHostnames}, {in.EnableDnsSupport, &row.DNSSupport}, {in.EnableNetworkAddressUsageMetrics, &row.UsageMetrics}} {
		if change.to != nil {
			*change.field = deref(change.to.Value)
			set++
		}
	}
	if set != 1 {
		return nil, refuse("InvalidParameterCombination", "Exactly one attribute has to be specified, not %d", set)
	}
	s.vpcs.put(c.w, *row.Vpc.VpcId, row)
	return &ec2.ModifyVpcAttributeOutput{}, nil
}

func (s *ec2Service) describeVpcAttribute(c apiCall, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	row, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: row.Vpc.VpcId}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &types.AttributeBooleanValue{Value: new(row.DNSHostnames)}
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &types.AttributeBooleanValue{Value: new(row.DNSSupport)}
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &types.AttributeBooleanValue{Value: new(row.UsageMetrics)}
	default:
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	return out, nil
}
