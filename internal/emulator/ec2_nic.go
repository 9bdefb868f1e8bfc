package emulator

import (
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// nicRow is a network interface that was made by itself. An instance's own,
// which comes and goes with it, is part of its row.
type nicRow struct {
	ID, VPC, Subnet, Zone, ZoneID string
	MAC, Description, Token       string
	Groups                        []string
	SourceDestCheck               bool
	Private                       netip.Addr
	More                          []netip.Addr // secondary private addresses
	Made                          time.Time

	// Where it is attached; empty for nowhere.
	Instance, Attachment string
	Device               int32
	DeleteWith           bool // its instance's termination deletes it
	Attached, Leaving    time.Time
}

func (s *ec2Service) addInterfaces() {
	on(s, "DescribeNetworkInterfaces", "NetworkInterfaceIds Filters.* MaxResults NextToken", s.describeNetworkInterfaces)
	on(s, "CreateNetworkInterface", "SubnetId Description Groups PrivateIpAddress PrivateIpAddresses.* SecondaryPrivateIpAddressCount ClientToken TagSpecifications.*", s.createNetworkInterface)
	on(s, "DeleteNetworkInterface", "NetworkInterfaceId", s.deleteNetworkInterface)
	on(s, "ModifyNetworkInterfaceAttribute", "NetworkInterfaceId Description.* SourceDestCheck.* Groups Attachment.AttachmentId Attachment.DeleteOnTermination", s.modifyNetworkInterface)
	on(s, "AssignPrivateIpAddresses", "NetworkInterfaceId PrivateIpAddresses SecondaryPrivateIpAddressCount AllowReassignment", s.assignPrivateAddresses)
	on(s, "UnassignPrivateIpAddresses", "NetworkInterfaceId PrivateIpAddresses", s.unassignPrivateAddresses)
	on(s, "AttachNetworkInterface", "NetworkInterfaceId InstanceId DeviceIndex NetworkCardIndex", s.attachNetworkInterface)
	on(s, "DetachNetworkInterface", "AttachmentId Force", s.detachNetworkInterface)
	s.settler("ec2-network-interface", s.settleInterface)
}

func (s *ec2Service) createNetworkInterface(c apiCall, in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
	made, done, err := s.replayed(c, "CreateNetworkInterface", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.nics, c.w, interfaceID, &made[0])
		return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: new(s.shownInterface(c.w, row)), ClientToken: in.ClientToken}, err
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeNetworkInterface)
	if err != nil {
		return nil, err
	}
	subnet, err := need(s.subnets, c.w, subnetID, in.SubnetId)
	if err != nil {
		return nil, err
	}
	row := nicRow{
		ID: interfaceID.make(), VPC: *subnet.Subnet.VpcId, Subnet: *subnet.Subnet.SubnetId, Zone: *subnet.Subnet.AvailabilityZone, ZoneID: deref(subnet.Subnet.AvailabilityZoneId),
		MAC: newMAC(), Description: deref(in.Description), Token: deref(in.ClientToken), SourceDestCheck: true, Made: c.now,
	}
	if row.Groups, err = s.launchGroups(c, row.VPC, in.Groups, nil); err != nil {
		return nil, err
	}
	primary, more := in.PrivateIpAddress, []string(nil)
	for _, a := range in.PrivateIpAddresses {
		switch {
		case !deref(a.Primary):
			more = append(more, deref(a.PrivateIpAddress))
		case primary != nil:
			return nil, refuse("InvalidParameterCombination", "Only one primary private IP address can be specified.")
		default:
			primary = a.PrivateIpAddress
		}
	}
	if row.Private, err = s.freeAddress(c.w, subnet.Subnet, primary); err != nil {
		return nil, err
	}
	s.nics.put(c.w, row.ID, row)
	all, err := s.assign(c, ofInterface(row), more, int(deref(in.SecondaryPrivateIpAddressCount)), false)
	if err != nil {
		return nil, err
	}
	row.More = all.more
	s.remember(c, "CreateNetworkInterface", in.ClientToken, in, row.ID)
	if err := s.born(c, interfaceID, row.ID, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: new(s.shownInterface(c.w, row)), ClientToken: in.ClientToken}, nil
}

// modifyNetworkInterface changes one attribute, of an interface that was made
// by itself or of an instance's own.
func (s *ec2Service) modifyNetworkInterface(c apiCall, in *ec2.ModifyNetworkInterfaceAttributeInput) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	set := 0
	for _, given := range []bool{in.Description != nil, in.SourceDestCheck != nil, len(in.Groups) > 0, in.Attachment != nil} {
		if given {
			set++
		}
	}
	if set != 1 {
		return nil, refuse("InvalidParameterCombination", "Exactly one attribute has to be specified, not %d", set)
	}
	if instance, ok := s.instanceOfInterface(c.w, *in.NetworkInterfaceId); ok {
		return &ec2.ModifyNetworkInterfaceAttributeOutput{}, s.modifyOwnInterface(c, instance, in)
	}
	row, err := need(s.nics, c.w, interfaceID, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Description != nil:
		row.Description = deref(in.Description.Value)
	case in.SourceDestCheck != nil:
		row.SourceDestCheck = deref(in.SourceDestCheck.Value)
	case in.Attachment != nil:
		if row.Attachment == "" || row.Attachment != deref(in.Attachment.AttachmentId) {
			return nil, refuse("InvalidAttachmentID.NotFound", "The attachment ID '%s' does not exist", deref(in.Attachment.AttachmentId))
		}
		row.DeleteWith = deref(in.Attachment.DeleteOnTermination)
	default:
		if row.Groups, err = s.launchGroups(c, row.VPC, in.Groups, nil); err != nil {
			return nil, err
		}
	}
	s.nics.put(c.w, row.ID, row)
	return &ec2.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (s *ec2Service) modifyOwnInterface(c apiCall, row instanceRow, in *ec2.ModifyNetworkInterfaceAttributeInput) (err error) {
	switch {
	case in.Description != nil:
		row.InterfaceText = deref(in.Description.Value)
	case in.SourceDestCheck != nil:
		row.SourceDestCheck = deref(in.SourceDestCheck.Value)
	case len(in.Groups) > 0:
		if row.Groups, err = s.launchGroups(c, row.VPC, in.Groups, nil); err != nil {
			return err
		}
	default:
		return refuse("UnsupportedOperation", "The local cloud deletes an instance's own network interface with it.")
	}
	s.instances.put(c.w, row.ID, row)
	return nil
}

func (s *ec2Service) deleteNetworkInterface(c apiCall, in *ec2.DeleteNetworkInterfaceInput) (*ec2.DeleteNetworkInterfaceOutput, error) {
	if _, ok := s.instanceOfInterface(c.w, *in.NetworkInterfaceId); ok {
		return nil, interfaceInUse(*in.NetworkInterfaceId)
	}
	row, err := need(s.nics, c.w, interfaceID, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if row.Instance != "" {
		return nil, interfaceInUse(row.ID)
	}
	s.removeInterface(c.w, row)
	return &ec2.DeleteNetworkInterfaceOutput{}, nil
}

func interfaceInUse(id string) error {
	return refuse("InvalidParameterValue", "Network interface '%s' is currently in use.", id)
}

func (s *ec2Service) removeInterface(w world, row nicRow) {
	for _, address := range s.addresses.all(w) {
		if deref(address.Address.NetworkInterfaceId) == row.ID {
			s.detachAddress(w, address)
		}
	}
	if row.Token != "" {
		s.tokens.remove(w, "CreateNetworkInterface "+row.Token)
	}
	s.nics.remove(w, row.ID)
	s.gone(w, row.ID)
}
