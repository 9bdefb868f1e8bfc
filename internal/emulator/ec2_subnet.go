package emulator

import (
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type subnetRow struct {
	Subnet              types.Subnet
	Acl, AclAssociation string // empty for the VPC's default network ACL
}

func (s *ec2Service) addSubnets() {
	on(s, "CreateSubnet", "VpcId AvailabilityZone AvailabilityZoneId CidrBlock TagSpecifications.*", s.createSubnet)
	on(s, "DescribeSubnets", "SubnetIds Filters.* MaxResults NextToken", s.describeSubnets)
	on(s, "DeleteSubnet", "SubnetId", s.deleteSubnet)
	on(s, "ModifySubnetAttribute", "SubnetId MapPublicIpOnLaunch.* PrivateDnsHostnameTypeOnLaunch EnableResourceNameDnsARecordOnLaunch.*", s.modifySubnetAttribute)
}

// makeSubnet makes a subnet in a free block.
func (s *ec2Service) makeSubnet(c apiCall, id, vpc string, z zone, block netip.Prefix) subnetRow {
	row := subnetRow{Subnet: types.Subnet{
		SubnetId: new(id), VpcId: new(vpc), OwnerId: new(c.Account), CidrBlock: new(block.String()),
		AvailabilityZone: new(z.Name), AvailabilityZoneId: new(z.ID), State: types.SubnetStateAvailable,
		SubnetArn:    new(fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", c.Region, c.Account, id)),
		DefaultForAz: new(false), MapPublicIpOnLaunch: new(false), AssignIpv6AddressOnCreation: new(false),
		EnableDns64: new(false), Ipv6Native: new(false), MapCustomerOwnedIpOnLaunch: new(false),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: types.HostnameTypeIpName, EnableResourceNameDnsARecord: new(false), EnableResourceNameDnsAAAARecord: new(false),
		},
	}}
	s.subnets.put(c.w, id, row)
	return row
}

func (s *ec2Service) createSubnet(c apiCall, in *ec2.CreateSubnetInput) (*ec2.CreateSubnetOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeSubnet)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	block, err := readBlock(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	z, err := findZone(c.Region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	inside := false
	for _, a := range vpc.Vpc.CidrBlockAssociationSet {
		inside = inside || within(netip.MustParsePrefix(*a.CidrBlock), block)
	}
	if !inside || block.Bits() > 28 {
		return nil, refuse("InvalidSubnet.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	for _, other := range s.subnets.all(c.w) {
		if *other.Subnet.VpcId == *vpc.Vpc.VpcId && netip.MustParsePrefix(*other.Subnet.CidrBlock).Overlaps(block) {
			return nil, refuse("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", *in.CidrBlock)
		}
	}
	row := s.makeSubnet(c, subnetID.make(), *vpc.Vpc.VpcId, z, block)
	if err := s.born(c, subnetID, *row.Subnet.SubnetId, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateSubnetOutput{Subnet: new(s.showSubnet(c, row))}, nil
}

func (s *ec2Service) showSubnet(c apiCall, row subnetRow) types.Subnet {
	subnet := row.Subnet
	subnet.Tags = s.tagList(c.w, *subnet.SubnetId)
	block := netip.MustParsePrefix(*subnet.CidrBlock)
	free := 1<<(32-block.Bits()) - reservedAddresses
	for range s.addressesIn(c.w, *subnet.SubnetId) {
		free--
	}
	subnet.AvailableIpAddressCount = new(int32(free))
	return subnet
}

// reservedAddresses are the ones of every subnet that nothing can have: the
// network's, the router's, the resolver's, a spare, and broadcast.
const reservedAddresses = 5

// addressesIn are the private addresses that are taken in a subnet.
func (s *ec2Service) addressesIn(w world, subnet string) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, row := range s.instances.all(w) {
		if row.holdsNetwork() && row.Subnet == subnet {
			taken[row.Private] = true
			for _, addr := range row.More {
				taken[addr] = true
			}
		}
	}
	for _, row := range s.nics.all(w) {
		if row.Subnet == subnet {
			taken[row.Private] = true
			for _, addr := range row.More {
				taken[addr] = true
			}
		}
	}
	s.natAddressesIn(w, subnet, taken)
	return taken
}

// freeAddress is a private address of a subnet that nothing has: the wanted
// one, or the lowest.
func (s *ec2Service) freeAddress(w world, subnet types.Subnet, wanted *string) (netip.Addr, error) {
	block := netip.MustParsePrefix(*subnet.CidrBlock)
	taken := s.addressesIn(w, *subnet.SubnetId)
	first := block.Addr()
	for range reservedAddresses - 1 {
		first = first.Next()
	}
	if wanted != nil {
		addr, err := netip.ParseAddr(*wanted)
		switch {
		case err != nil:
			return addr, refuse("InvalidParameterValue", "Invalid IPv4 address: '%s'", *wanted)
		case !block.Contains(addr) || addr.Less(first) || !block.Contains(addr.Next()):
			return addr, refuse("InvalidParameterValue", "Address %s does not fall within the subnet's address range", *wanted)
		case taken[addr]:
			return addr, refuse("InvalidIPAddress.InUse", "Address %s is in use.", *wanted)
		}
		return addr, nil
	}
	for addr := first; block.Contains(addr.Next()); addr = addr.Next() {
		if !taken[addr] {
			return addr, nil
		}
	}
	return netip.Addr{}, refuse("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", *subnet.SubnetId)
}

func (s *ec2Service) describeSubnets(c apiCall, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	if err := noPagesOfIDs(in.SubnetIds, "subnetIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.subnets, c.w, subnetID, in.SubnetIds)
	if err != nil {
		return nil, err
	}
	id := func(r subnetRow) string { return *r.Subnet.SubnetId }
	block := func(r subnetRow) []string { return opt(r.Subnet.CidrBlock) }
	zoneName := func(r subnetRow) []string { return opt(r.Subnet.AvailabilityZone) }
	zoneID := func(r subnetRow) []string { return opt(r.Subnet.AvailabilityZoneId) }
	ofDefault := func(r subnetRow) []string { return flag(r.Subnet.DefaultForAz) }
	rows, err = choose(s, c.w, rows, id, filters[subnetRow]{
		"subnet-id":         func(r subnetRow) []string { return opt(r.Subnet.SubnetId) },
		"subnet-arn":        func(r subnetRow) []string { return opt(r.Subnet.SubnetArn) },
		"vpc-id":            func(r subnetRow) []string { return opt(r.Subnet.VpcId) },
		"availability-zone": zoneName, "availabilityZone": zoneName,
		"availability-zone-id": zoneID, "availabilityZoneId": zoneID,
		"cidr": block, "cidr-block": block, "cidrBlock": block,
		"default-for-az": ofDefault, "defaultForAz": ofDefault,
		"map-public-ip-on-launch":    func(r subnetRow) []string { return flag(r.Subnet.MapPublicIpOnLaunch) },
		"owner-id":                   func(r subnetRow) []string { return opt(r.Subnet.OwnerId) },
		"state":                      func(r subnetRow) []string { return one(r.Subnet.State) },
		"ipv6-native":                func(r subnetRow) []string { return flag(r.Subnet.Ipv6Native) },
		"available-ip-address-count": func(r subnetRow) []string { return number(s.showSubnet(c, r).AvailableIpAddressCount) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeSubnetsOutput{NextToken: next}
	for _, row := range rows {
		out.Subnets = append(out.Subnets, s.showSubnet(c, row))
	}
	return out, err
}

func (s *ec2Service) deleteSubnet(c apiCall, in *ec2.DeleteSubnetInput) (*ec2.DeleteSubnetOutput, error) {
	row, err := need(s.subnets, c.w, subnetID, in.SubnetId)
	if err != nil {
		return nil, err
	}
	id := *row.Subnet.SubnetId
	if len(s.addressesIn(c.w, id)) > 0 {
		return nil, refuse("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
	}
	for _, table := range s.routeTables.all(c.w) {
		rest := keep(table.Table.Associations, func(a types.RouteTableAssociation) bool { return deref(a.SubnetId) != id })
		if len(rest) < len(table.Table.Associations) {
			table.Table.Associations = rest
			s.routeTables.put(c.w, *table.Table.RouteTableId, table)
		}
	}
	s.subnets.remove(c.w, id)
	s.gone(c.w, id)
	return &ec2.DeleteSubnetOutput{}, nil
}

func (s *ec2Service) modifySubnetAttribute(c apiCall, in *ec2.ModifySubnetAttributeInput) (*ec2.ModifySubnetAttributeOutput, error) {
	row, err := need(s.subnets, c.w, subnetID, in.SubnetId)
	if err != nil {
		return nil, err
	}
	set := 0
	dns := deref(row.Subnet.PrivateDnsNameOptionsOnLaunch)
	if in.MapPublicIpOnLaunch != nil {
		row.Subnet.MapPublicIpOnLaunch = new(deref(in.MapPublicIpOnLaunch.Value))
		set++
	}
	if in.PrivateDnsHostnameTypeOnLaunch != "" {
		dns.HostnameType = in.PrivateDnsHostnameTypeOnLaunch
		set++
	}
	if in.EnableResourceNameDnsARecordOnLaunch != nil {
		dns.EnableResourceNameDnsARecord = new(deref(in.EnableResourceNameDnsARecordOnLaunch.Value))
		set++
	}
	if set != 1 {
		return nil, refuse("InvalidParameterCombination", "Exactly one attribute has to be specified, not %d", set)
	}
	row.Subnet.PrivateDnsNameOptionsOnLaunch = &dns
	s.subnets.put(c.w, *row.Subnet.SubnetId, row)
	return &ec2.ModifySubnetAttributeOutput{}, nil
}
