package emulator

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// nicsOf are the interfaces that are attached to an instance beside its own, in
// the order of their devices.
func (s *ec2Service) nicsOf(w world, instance string) []nicRow {
	var list []nicRow
	for device := int32(1); device < maxDevices; device++ {
		for _, row := range s.nics.all(w) {
			if row.Instance == instance && row.Device == device {
				list = append(list, row)
			}
		}
	}
	return list
}

// maxDevices is how many interfaces the largest instances take.
const maxDevices = 16

func (s *ec2Service) attachNetworkInterface(c apiCall, in *ec2.AttachNetworkInterfaceInput) (*ec2.AttachNetworkInterfaceOutput, error) {
	row, err := need(s.nics, c.w, interfaceID, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	instance, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	device := deref(in.DeviceIndex)
	switch {
	case instance.State != stateRunning && instance.State != stateStopped:
		return nil, refuse("IncorrectState", "Instance '%s' is not in a state in which it takes network interfaces.", instance.ID)
	case row.Instance != "":
		return nil, refuse("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", row.ID)
	case row.Zone != instance.Zone:
		return nil, refuse("InvalidParameterCombination", "You may not attach a network interface to an instance if they are not in the same availability zone")
	case device < 1 || device >= maxDevices:
		return nil, refuse("InvalidParameterValue", "Instance '%s' already has an interface attached at device index '%d'.", instance.ID, device)
	}
	for _, other := range s.nicsOf(c.w, instance.ID) {
		if other.Device == device {
			return nil, refuse("InvalidParameterValue", "Instance '%s' already has an interface attached at device index '%d'.", instance.ID, device)
		}
	}
	row.Instance, row.Device, row.Attachment, row.Attached, row.DeleteWith = instance.ID, device, idKind("eni-attach").make(), c.now, false
	s.nics.put(c.w, row.ID, row)
	return &ec2.AttachNetworkInterfaceOutput{AttachmentId: &row.Attachment, NetworkCardIndex: new(int32(0))}, nil
}

func (s *ec2Service) detachNetworkInterface(c apiCall, in *ec2.DetachNetworkInterfaceInput) (*ec2.DetachNetworkInterfaceOutput, error) {
	for _, instance := range s.instances.all(c.w) {
		if instance.Attachment == *in.AttachmentId && instance.holdsNetwork() {
			return nil, refuse("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
		}
	}
	for _, row := range s.nics.all(c.w) {
		if row.Attachment == *in.AttachmentId {
			row.Leaving = c.now
			s.nics.put(c.w, row.ID, row)
			s.cloud.schedule(c.w, s.later(), "ec2-network-interface", row.ID)
			return &ec2.DetachNetworkInterfaceOutput{}, nil
		}
	}
	return nil, refuse("InvalidAttachmentID.NotFound", "The attachment ID '%s' does not exist", *in.AttachmentId)
}

// settleInterface ends a detachment.
func (s *ec2Service) settleInterface(w world, id string) {
	if row, ok := s.nics.get(w, id); ok && !row.Leaving.IsZero() {
		s.loose(w, row)
	}
}

func (s *ec2Service) loose(w world, row nicRow) {
	row.Instance, row.Attachment, row.Device, row.DeleteWith = "", "", 0, false
	row.Attached, row.Leaving = time.Time{}, time.Time{}
	s.nics.put(w, row.ID, row)
}

// dissolveInterfaces frees what was attached to an instance that is terminated,
// or deletes it with it.
func (s *ec2Service) dissolveInterfaces(w world, instance string) {
	for _, row := range s.nicsOf(w, instance) {
		if row.DeleteWith {
			s.removeInterface(w, row)
		} else {
			s.loose(w, row)
		}
	}
}

// shownInterface is an interface of its own as it is described by itself.
func (s *ec2Service) shownInterface(w world, row nicRow) types.NetworkInterface {
	nic := types.NetworkInterface{
		NetworkInterfaceId: new(row.ID), MacAddress: new(row.MAC), OwnerId: new(w.Account), Description: new(row.Description),
		VpcId: new(row.VPC), SubnetId: new(row.Subnet), SourceDestCheck: new(row.SourceDestCheck), Groups: s.groupNames(w, row.Groups),
		AvailabilityZone: new(row.Zone), AvailabilityZoneId: new(row.ZoneID), InterfaceType: types.NetworkInterfaceTypeInterface,
		Status: types.NetworkInterfaceStatusAvailable, PrivateIpAddress: new(row.Private.String()), PrivateDnsName: new(privateName(w.Region, row.Private)),
		RequesterManaged: new(false), TagSet: s.tagList(w, row.ID),
	}
	if row.Instance != "" {
		nic.Status = types.NetworkInterfaceStatusInUse
		state := types.AttachmentStatusAttached
		if !row.Leaving.IsZero() {
			nic.Status, state = types.NetworkInterfaceStatusDetaching, types.AttachmentStatusDetaching
		}
		nic.Attachment = &types.NetworkInterfaceAttachment{
			AttachmentId: new(row.Attachment), AttachTime: new(row.Attached), DeleteOnTermination: new(row.DeleteWith), DeviceIndex: new(row.Device),
			NetworkCardIndex: new(int32(0)), InstanceId: new(row.Instance), InstanceOwnerId: new(w.Account), Status: state,
		}
	}
	if a, ok := s.elasticAt(w, row.ID, row.Private); ok {
		nic.Association = &types.NetworkInterfaceAssociation{AllocationId: a.AllocationId, AssociationId: a.AssociationId, PublicIp: a.PublicIp, IpOwnerId: new(w.Account)}
	}
	nic.PrivateIpAddresses = []types.NetworkInterfacePrivateIpAddress{{
		Primary: new(true), PrivateIpAddress: nic.PrivateIpAddress, PrivateDnsName: nic.PrivateDnsName, Association: nic.Association,
	}}
	nic.PrivateIpAddresses = append(nic.PrivateIpAddresses, s.secondaryShown(w, row.ID, row.More)...)
	return nic
}

// onInstance is an interface of its own as it is described with its instance.
func (s *ec2Service) onInstance(w world, row nicRow) types.InstanceNetworkInterface {
	whole := s.shownInterface(w, row)
	nic := types.InstanceNetworkInterface{
		NetworkInterfaceId: whole.NetworkInterfaceId, MacAddress: whole.MacAddress, OwnerId: whole.OwnerId, Description: whole.Description,
		VpcId: whole.VpcId, SubnetId: whole.SubnetId, SourceDestCheck: whole.SourceDestCheck, Groups: whole.Groups, InterfaceType: new("interface"),
		Status: whole.Status, PrivateIpAddress: whole.PrivateIpAddress, PrivateDnsName: whole.PrivateDnsName,
		Attachment: &types.InstanceNetworkInterfaceAttachment{
			AttachmentId: whole.Attachment.AttachmentId, AttachTime: whole.Attachment.AttachTime, DeleteOnTermination: whole.Attachment.DeleteOnTermination,
			DeviceIndex: whole.Attachment.DeviceIndex, NetworkCardIndex: whole.Attachment.NetworkCardIndex, Status: whole.Attachment.Status,
		},
	}
	nic.PrivateIpAddresses = withInstance(whole.PrivateIpAddresses)
	nic.Association = nic.PrivateIpAddresses[0].Association
	return nic
}
