package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// An instance has one network interface, which comes and goes with it.

func (s *ec2Service) instanceOfInterface(w world, id string) (instanceRow, bool) {
	for _, row := range s.instances.all(w) {
		if id != "" && row.Interface == id && row.holdsNetwork() {
			return row, true
		}
	}
	return instanceRow{}, false
}

// showInterface is the interface as it's described with its instance.
func (s *ec2Service) showInterface(w world, row instanceRow) types.InstanceNetworkInterface {
	nic := types.InstanceNetworkInterface{
		NetworkInterfaceId: new(row.Interface), MacAddress: new(row.MAC), OwnerId: new(w.Account), Description: new(row.InterfaceText),
		VpcId: new(row.VPC), SubnetId: new(row.Subnet), SourceDestCheck: new(row.SourceDestCheck), Groups: s.groupNames(w, row.Groups),
		InterfaceType: new("interface"), Status: types.NetworkInterfaceStatusInUse,
		PrivateIpAddress: new(row.Private.String()), PrivateDnsName: new(privateName(w.Region, row.Private)),
		Attachment: &types.InstanceNetworkInterfaceAttachment{
			AttachmentId: new(row.Attachment), AttachTime: new(row.Launched), DeleteOnTermination: new(true),
			DeviceIndex: new(int32(0)), NetworkCardIndex: new(int32(0)), Status: types.AttachmentStatusAttached,
		},
	}
	if addr := row.publicAddress(); addr.IsValid() {
		nic.Association = &types.InstanceNetworkInterfaceAssociation{
			PublicIp: new(addr.String()), PublicDnsName: new(s.publicName(w, row)), IpOwnerId: new(pick(row.Elastic.IsValid(), w.Account, "amazon")),
		}
	}
	nic.PrivateIpAddresses = []types.InstancePrivateIpAddress{{
		Primary: new(true), PrivateIpAddress: nic.PrivateIpAddress, PrivateDnsName: nic.PrivateDnsName, Association: nic.Association,
	}}
	return nic
}

func (s *ec2Service) describeNetworkInterfaces(c ec2Call, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	if err := noPagesOfIDs(in.NetworkInterfaceIds, "networkInterfaceIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows := keep(s.instances.all(c.w), instanceRow.holdsNetwork)
	if len(in.NetworkInterfaceIds) > 0 {
		rows = nil
		for _, id := range in.NetworkInterfaceIds {
			row, ok := s.instanceOfInterface(c.w, id)
			if err := interfaceID.check(id); err != nil {
				return nil, err
			}
			if !ok {
				return nil, interfaceID.missing(id)
			}
			rows = append(rows, row)
		}
	}
	id := func(r instanceRow) string { return r.Interface }
	all := s.instanceFilters(c.w)
	f := filters[instanceRow]{
		"network-interface-id":            func(r instanceRow) []string { return one(r.Interface) },
		"status":                          func(instanceRow) []string { return []string{"in-use"} },
		"attachment.status":               func(instanceRow) []string { return []string{"attached"} },
		"attachment.device-index":         func(instanceRow) []string { return []string{"0"} },
		"attachment.attachment-id":        func(r instanceRow) []string { return one(r.Attachment) },
		"attachment.instance-id":          func(r instanceRow) []string { return one(r.ID) },
		"description":                     func(r instanceRow) []string { return one(r.InterfaceText) },
		"mac-address":                     func(r instanceRow) []string { return one(r.MAC) },
		"association.public-ip":           all["ip-address"],
		"addresses.private-ip-address":    all["private-ip-address"],
		"addresses.association.public-ip": all["ip-address"],
	}
	for _, name := range []string{"vpc-id", "subnet-id", "group-id", "group-name", "private-ip-address", "private-dns-name", "availability-zone", "owner-id", "source-dest-check"} {
		f[name] = all[name]
	}
	rows, err := choose(s, c.w, rows, id, f, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, instanceRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeNetworkInterfacesOutput{NextToken: next}
	for _, row := range rows {
		out.NetworkInterfaces = append(out.NetworkInterfaces, s.wholeInterface(c.w, row))
	}
	return out, err
}

// wholeInterface is the interface as it's described by itself.
func (s *ec2Service) wholeInterface(w world, row instanceRow) types.NetworkInterface {
	short := s.showInterface(w, row)
	nic := types.NetworkInterface{
		NetworkInterfaceId: short.NetworkInterfaceId, MacAddress: short.MacAddress, OwnerId: short.OwnerId, Description: short.Description,
		VpcId: short.VpcId, SubnetId: short.SubnetId, SourceDestCheck: short.SourceDestCheck, Groups: short.Groups,
		AvailabilityZone: new(row.Zone), AvailabilityZoneId: new(row.ZoneID), InterfaceType: types.NetworkInterfaceTypeInterface,
		Status: short.Status, PrivateIpAddress: short.PrivateIpAddress, PrivateDnsName: short.PrivateDnsName, RequesterManaged: new(false),
		TagSet: s.tagList(w, row.Interface),
		Attachment: &types.NetworkInterfaceAttachment{
			AttachmentId: short.Attachment.AttachmentId, AttachTime: short.Attachment.AttachTime, DeleteOnTermination: new(true),
			DeviceIndex: new(int32(0)), NetworkCardIndex: new(int32(0)), InstanceId: new(row.ID), InstanceOwnerId: new(w.Account), Status: types.AttachmentStatusAttached,
		},
	}
	if a := short.Association; a != nil {
		nic.Association = &types.NetworkInterfaceAssociation{PublicIp: a.PublicIp, PublicDnsName: a.PublicDnsName, IpOwnerId: a.IpOwnerId}
	}
	nic.PrivateIpAddresses = []types.NetworkInterfacePrivateIpAddress{{
		Primary: new(true), PrivateIpAddress: nic.PrivateIpAddress, PrivateDnsName: nic.PrivateDnsName, Association: nic.Association,
	}}
	return nic
}
