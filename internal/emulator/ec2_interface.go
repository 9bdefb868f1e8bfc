package emulator

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// An instance has one network interface of its own, which comes and goes with
// it, and may have others attached.

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
	nic.PrivateIpAddresses = append(nic.PrivateIpAddresses, withInstance(s.secondaryShown(w, row.Interface, row.More))...)
	return nic
}

func (s *ec2Service) describeNetworkInterfaces(c apiCall, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	if err := noPagesOfIDs(in.NetworkInterfaceIds, "networkInterfaceIds", in.MaxResults); err != nil {
		return nil, err
	}
	id := func(n types.NetworkInterface) string { return *n.NetworkInterfaceId }
	all := s.interfaces(c.w)
	list := all
	if len(in.NetworkInterfaceIds) > 0 {
		list = nil
		for _, wanted := range in.NetworkInterfaceIds {
			if err := interfaceID.check(wanted); err != nil {
				return nil, err
			}
			one := keep(all, func(n types.NetworkInterface) bool { return id(n) == wanted && s.seen(wanted) })
			if len(one) == 0 {
				return nil, interfaceID.missing(wanted)
			}
			list = append(list, one...)
		}
	}
	list, err := choose(s, c.w, list, id, interfaceFilters(), in.Filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeNetworkInterfacesOutput{NextToken: next, NetworkInterfaces: list}, err
}

// interfaces are all network interfaces, in the order of their IDs.
func (s *ec2Service) interfaces(w world) []types.NetworkInterface {
	var all []types.NetworkInterface
	for _, row := range s.instances.all(w) {
		if row.holdsNetwork() {
			all = append(all, s.wholeInterface(w, row))
		}
	}
	for _, row := range s.nics.all(w) {
		all = append(all, s.shownInterface(w, row))
	}
	slices.SortFunc(all, func(a, b types.NetworkInterface) int {
		return strings.Compare(*a.NetworkInterfaceId, *b.NetworkInterfaceId)
	})
	return all
}

func interfaceFilters() filters[types.NetworkInterface] {
	attachment := func(n types.NetworkInterface) types.NetworkInterfaceAttachment { return deref(n.Attachment) }
	groups := func(pick func(types.GroupIdentifier) *string) func(types.NetworkInterface) []string {
		return func(n types.NetworkInterface) (all []string) {
			for _, g := range n.Groups {
				all = append(all, opt(pick(g))...)
			}
			return all
		}
	}
	addresses := func(pick func(types.NetworkInterfacePrivateIpAddress) *string) func(types.NetworkInterface) []string {
		return func(n types.NetworkInterface) (all []string) {
			for _, a := range n.PrivateIpAddresses {
				all = append(all, opt(pick(a))...)
			}
			return all
		}
	}
	return filters[types.NetworkInterface]{
		"network-interface-id":         func(n types.NetworkInterface) []string { return opt(n.NetworkInterfaceId) },
		"status":                       func(n types.NetworkInterface) []string { return one(n.Status) },
		"attachment.status":            func(n types.NetworkInterface) []string { return one(attachment(n).Status) },
		"attachment.attachment-id":     func(n types.NetworkInterface) []string { return opt(attachment(n).AttachmentId) },
		"attachment.instance-id":       func(n types.NetworkInterface) []string { return opt(attachment(n).InstanceId) },
		"description":                  func(n types.NetworkInterface) []string { return opt(n.Description) },
		"mac-address":                  func(n types.NetworkInterface) []string { return opt(n.MacAddress) },
		"vpc-id":                       func(n types.NetworkInterface) []string { return opt(n.VpcId) },
		"subnet-id":                    func(n types.NetworkInterface) []string { return opt(n.SubnetId) },
		"private-ip-address":           func(n types.NetworkInterface) []string { return opt(n.PrivateIpAddress) },
		"private-dns-name":             func(n types.NetworkInterface) []string { return opt(n.PrivateDnsName) },
		"availability-zone":            func(n types.NetworkInterface) []string { return opt(n.AvailabilityZone) },
		"owner-id":                     func(n types.NetworkInterface) []string { return opt(n.OwnerId) },
		"source-dest-check":            func(n types.NetworkInterface) []string { return flag(n.SourceDestCheck) },
		"association.public-ip":        func(n types.NetworkInterface) []string { return opt(deref(n.Association).PublicIp) },
		"group-id":                     groups(func(g types.GroupIdentifier) *string { return g.GroupId }),
		"group-name":                   groups(func(g types.GroupIdentifier) *string { return g.GroupName }),
		"addresses.private-ip-address": addresses(func(a types.NetworkInterfacePrivateIpAddress) *string { return a.PrivateIpAddress }),
		"addresses.association.public-ip": addresses(func(a types.NetworkInterfacePrivateIpAddress) *string {
			return deref(a.Association).PublicIp
		}),
		"attachment.device-index": func(n types.NetworkInterface) []string {
			if n.Attachment == nil {
				return nil
			}
			return []string{strconv.Itoa(int(*n.Attachment.DeviceIndex))}
		},
	}
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
	nic.PrivateIpAddresses = append(nic.PrivateIpAddresses, s.secondaryShown(w, row.Interface, row.More)...)
	return nic
}
