package emulator

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// newImageName refuses a name that a new image can't have: EC2's form, and not
// one that another image of the account has in the region.
func (s *ec2Service) newImageName(c apiCall, name *string) error {
	if err := require("Name", name); err != nil {
		return err
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_"
	if len(*name) < 3 || len(*name) > 128 || strings.Trim(*name, allowed) != "" {
		return refuse("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
	}
	for _, row := range s.images.all(c.shared()) {
		if *row.Image.Name == *name && *row.Image.OwnerId == c.Account {
			return refuse("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", *name, row.id())
		}
	}
	return nil
}

func (s *ec2Service) createImage(c apiCall, in *ec2.CreateImageInput) (*ec2.CreateImageOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeImage, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	instance, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if err := s.newImageName(c, in.Name); err != nil {
		return nil, err
	}
	if instance.State != stateRunning && instance.State != stateStopped && instance.State != stateStopping {
		return nil, refuse("IncorrectState", "The instance '%s' is not in a state from which an image can be made: %s", instance.ID, instance.State)
	}
	if o := in.BootModeOverride; o != "" && (o != types.BootModeOverrideValuesUefi || instance.bootedIn() != types.InstanceBootModeValuesUefi) {
		return nil, refuse("InvalidParameterValue", "The boot mode override '%s' is not supported for an instance whose current boot mode is '%s'.", o, instance.bootedIn())
	}
	base, _ := s.visibleImage(c, instance.Image)
	if in.BootModeOverride != "" {
		base.Image.BootMode = types.BootModeValues(in.BootModeOverride)
	}
	row := imageRow{OS: instance.OS, User: instance.User, Image: types.Image{
		ImageId: new(imageID.make()), Name: in.Name, Description: in.Description, OwnerId: new(c.Account), Architecture: instance.Arch,
		CreationDate: new(c.now.UTC().Format(dateForm)), ImageLocation: new(c.Account + "/" + *in.Name), ImageType: types.ImageTypeValuesMachine,
		State: types.ImageStatePending, RootDeviceName: new(instance.RootDevice), RootDeviceType: types.DeviceTypeEbs,
		VirtualizationType: types.VirtualizationTypeHvm, Hypervisor: types.HypervisorTypeXen, EnaSupport: new(!instance.NoENA), SriovNetSupport: new("simple"),
		PlatformDetails: new(platformOf(instance.OS).details), UsageOperation: new(platformOf(instance.OS).operation),
		Platform: types.PlatformValues(platformOf(instance.OS).name), BootMode: base.Image.BootMode, ImdsSupport: base.Image.ImdsSupport,
		SourceInstanceId: new(instance.ID), SourceImageId: new(instance.Image), SourceImageRegion: new(c.Region),
	}}
	mappings, err := s.imageVolumes(c, in, instance)
	if err != nil {
		return nil, err
	}
	for i, m := range mappings {
		if m.volume == nil {
			continue
		}
		snapshot := s.planSnapshot(c, *m.volume, fmt.Sprintf("Created by CreateImage(%s) for %s", instance.ID, row.id()))
		snapshot.Image, snapshot.Reboot = row.id(), !deref(in.NoReboot)
		mappings[i].mapping.Ebs.SnapshotId = snapshot.Snapshot.SnapshotId
		if err := s.addSnapshot(c, snapshot, tags); err != nil {
			return nil, err
		}
	}
	for _, m := range mappings {
		row.Image.BlockDeviceMappings = append(row.Image.BlockDeviceMappings, m.mapping)
	}
	s.images.put(c.shared(), row.id(), row)
	s.cloud.schedule(c.shared(), s.later(), "ec2-image", row.id())
	if err := s.born(c, imageID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateImageOutput{ImageId: row.Image.ImageId}, nil
}

type imageVolume struct {
	mapping types.BlockDeviceMapping
	volume  *volumeRow // whose snapshot goes into the image; nil for a mapping of the call's own
}

// imageVolumes are the block devices of a new image: the instance's volumes,
// as the call's mappings change them.
func (s *ec2Service) imageVolumes(c apiCall, in *ec2.CreateImageInput, instance instanceRow) ([]imageVolume, error) {
	var list []imageVolume
	for _, v := range s.volumesOf(c.w, instance.ID) {
		iops := v.Volume.Iops
		if v.Volume.VolumeType == types.VolumeTypeGp2 {
			iops = nil // what it has follows from its size, and nothing can be launched that says it
		}
		list = append(list, imageVolume{volume: &v, mapping: types.BlockDeviceMapping{DeviceName: v.Attachment.Device, Ebs: &types.EbsBlockDevice{
			DeleteOnTermination: new(v.Root || deref(v.Attachment.DeleteOnTermination)), Encrypted: v.Volume.Encrypted, Iops: iops, Throughput: v.Volume.Throughput,
			VolumeSize: v.Volume.Size, VolumeType: v.Volume.VolumeType,
		}}})
	}
	for _, asked := range in.BlockDeviceMappings {
		if err := require("deviceName", asked.DeviceName); err != nil {
			return nil, err
		}
		at := -1
		for i := range list {
			if sameDevice(*list[i].mapping.DeviceName, *asked.DeviceName) {
				at = i
			}
		}
		switch {
		case at >= 0 && asked.NoDevice != nil:
			if list[at].volume.Root {
				return nil, refuse("InvalidBlockDeviceMapping", "The root device %s may not be left out", *asked.DeviceName)
			}
			list = append(list[:at:at], list[at+1:]...)
		case at >= 0:
			list[at].mapping = mergeMapping(list[at].mapping, asked)
		default:
			if asked.Ebs != nil && deref(asked.Ebs.SnapshotId) != "" {
				if _, err := s.visibleSnapshot(c, *asked.Ebs.SnapshotId); err != nil {
					return nil, err
				}
			}
			list = append(list, imageVolume{mapping: asked})
		}
	}
	return list, nil
}

func (s *ec2Service) registerImage(c apiCall, in *ec2.RegisterImageInput) (*ec2.RegisterImageOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeImage)
	if err != nil {
		return nil, err
	}
	if err := firstError(s.newImageName(c, in.Name), require("RootDeviceName", in.RootDeviceName)); err != nil {
		return nil, err
	}
	row := imageRow{Image: types.Image{
		ImageId: new(imageID.make()), Name: in.Name, Description: in.Description, OwnerId: new(c.Account), Architecture: in.Architecture,
		CreationDate: new(c.now.UTC().Format(dateForm)), ImageLocation: new(c.Account + "/" + *in.Name), ImageType: types.ImageTypeValuesMachine,
		State: types.ImageStateAvailable, RootDeviceName: in.RootDeviceName, RootDeviceType: types.DeviceTypeEbs,
		VirtualizationType: types.VirtualizationTypeHvm, Hypervisor: types.HypervisorTypeXen, EnaSupport: new(deref(in.EnaSupport)),
		SriovNetSupport: in.SriovNetSupport, PlatformDetails: new("Linux/UNIX"), UsageOperation: new("RunInstances"), BootMode: in.BootMode, ImdsSupport: in.ImdsSupport,
	}}
	if row.Image.Architecture == "" {
		row.Image.Architecture = types.ArchitectureValuesX8664
	}
	if v := deref(in.VirtualizationType); v != "hvm" {
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter virtualizationType is not supported: hvm is", v)
	}
	root := false
	for _, m := range in.BlockDeviceMappings {
		m, from, err := s.registered(c, m)
		if err != nil {
			return nil, err
		}
		if from != nil && sameDevice(*m.DeviceName, *in.RootDeviceName) {
			root, row.OS, row.User = true, from.OS, from.User
		}
		row.Image.BlockDeviceMappings = append(row.Image.BlockDeviceMappings, m)
	}
	if !root {
		return nil, refuse("InvalidBlockDeviceMapping", "The root device %s has no snapshot", *in.RootDeviceName)
	}
	s.images.put(c.shared(), row.id(), row)
	if err := s.born(c, imageID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.RegisterImageOutput{ImageId: row.Image.ImageId}, nil
}

// registered completes a block device mapping of an image to register.
func (s *ec2Service) registered(c apiCall, m types.BlockDeviceMapping) (types.BlockDeviceMapping, *snapshotRow, error) {
	if err := require("deviceName", m.DeviceName); err != nil {
		return m, nil, err
	}
	if m.Ebs == nil {
		return m, nil, nil
	}
	ebs := *m.Ebs
	m.Ebs = &ebs
	replaceAbsent(&ebs.DeleteOnTermination, true)
	if ebs.VolumeType == "" {
		ebs.VolumeType = types.VolumeTypeGp2
	}
	if deref(ebs.SnapshotId) == "" {
		return m, nil, nil
	}
	from, err := s.visibleSnapshot(c, *ebs.SnapshotId)
	if err != nil {
		return m, nil, err
	}
	if from.Snapshot.State != types.SnapshotStateCompleted {
		return m, nil, refuse("IncorrectState", "Snapshot '%s' is in invalid state - %s", from.id(), from.Snapshot.State)
	}
	replaceAbsent(&ebs.VolumeSize, *from.Snapshot.VolumeSize)
	ebs.Encrypted = from.Snapshot.Encrypted
	return m, &from, nil
}

func replaceAbsent[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func (s *ec2Service) copyImage(c apiCall, in *ec2.CopyImageInput) (*ec2.CopyImageOutput, error) {
	made, done, err := s.replayed(c, "CopyImage", in.ClientToken, in)
	if err != nil || done {
		return &ec2.CopyImageOutput{ImageId: new(strings.Join(made, ""))}, err
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeImage, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	if err := firstError(require("SourceRegion", in.SourceRegion), require("SourceImageId", in.SourceImageId), s.newImageName(c, in.Name)); err != nil {
		return nil, err
	}
	there := c
	there.Region, there.w.Region = *in.SourceRegion, *in.SourceRegion
	s.cloud.settle(there.shared())
	source, err := s.visibleImage(there, *in.SourceImageId)
	if err != nil {
		return nil, err
	}
	if source.Image.State != types.ImageStateAvailable {
		return nil, refuse("InvalidAMIID.Unavailable", "The image ID '[%s]' is not available: %s", source.id(), source.Image.State)
	}
	row := imageRow{OS: source.OS, User: source.User, Image: source.Image}
	row.Image.ImageId, row.Image.Name, row.Image.OwnerId, row.Image.ImageOwnerAlias = new(imageID.make()), in.Name, new(c.Account), nil
	row.Image.ImageLocation, row.Image.CreationDate = new(c.Account+"/"+*in.Name), new(c.now.UTC().Format(dateForm))
	row.Image.State, row.Image.DeprecationTime, row.Image.SourceInstanceId = types.ImageStatePending, nil, nil
	row.Image.SourceImageId, row.Image.SourceImageRegion = new(source.id()), in.SourceRegion
	if in.Description != nil {
		row.Image.Description = in.Description
	}
	if err := s.copySnapshotsOf(c, there, &row, source, in, tags); err != nil {
		return nil, err
	}
	s.images.put(c.shared(), row.id(), row)
	s.remember(c, "CopyImage", in.ClientToken, in, row.id())
	s.cloud.schedule(c.shared(), s.later(), "ec2-image", row.id())
	if deref(in.CopyImageTags) {
		own := keep(s.tagList(there.w, source.id()), func(t types.Tag) bool { return !strings.HasPrefix(*t.Key, "aws:") })
		if err := s.setTags(c.w, row.id(), imageID.words().resource, own); err != nil {
			return nil, err
		}
	}
	if err := s.born(c, imageID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CopyImageOutput{ImageId: row.Image.ImageId}, nil
}

// copySnapshotsOf gives a copy of an image snapshots of its own.
func (s *ec2Service) copySnapshotsOf(c, there apiCall, row *imageRow, source imageRow, in *ec2.CopyImageInput, tags birthTags) error {
	row.Image.BlockDeviceMappings = copied(source.Image.BlockDeviceMappings)
	for i, m := range row.Image.BlockDeviceMappings {
		if m.Ebs == nil || m.Ebs.SnapshotId == nil {
			continue
		}
		from, ok := s.imageSnapshot(there, source, *m.Ebs.SnapshotId)
		if !ok {
			return snapshotID.missing(*m.Ebs.SnapshotId)
		}
		text := fmt.Sprintf("Copied for DestinationAmi %s from SourceAmi %s for SourceSnapshot %s.", row.id(), source.id(), from.id())
		snapshot := s.planSnapshotCopy(c, from, text, in.Encrypted, in.KmsKeyId)
		snapshot.Image = row.id()
		ebs := *m.Ebs
		ebs.SnapshotId, ebs.Encrypted = snapshot.Snapshot.SnapshotId, snapshot.Snapshot.Encrypted
		row.Image.BlockDeviceMappings[i].Ebs = &ebs
		if err := s.addSnapshot(c, snapshot, tags); err != nil {
			return err
		}
	}
	return nil
}

func (s *ec2Service) deregisterImage(c apiCall, in *ec2.DeregisterImageInput) (*ec2.DeregisterImageOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	if protection := deref(row.Image.DeregistrationProtection); strings.HasPrefix(protection, "enabled") {
		return nil, refuse("OperationNotPermitted", "The image '%s' is protected from deregistration", row.id())
	}
	s.images.remove(c.shared(), row.id())
	for w := range s.tags.rows {
		s.gone(parseWorld(w), row.id())
	}
	out := &ec2.DeregisterImageOutput{Return: new(true)}
	if deref(in.DeleteAssociatedSnapshots) {
		for _, id := range row.snapshots() {
			code := types.SnapshotReturnCodesSuccess
			if from, ok := s.snapshots.get(c.shared(), id); !ok || *from.Snapshot.OwnerId != c.Account || s.imageOf(c, id) != "" {
				code = types.SnapshotReturnCodesWarnSkipped
			} else {
				s.removeSnapshot(c, id)
			}
			out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, types.DeleteSnapshotReturnCode{SnapshotId: new(id), ReturnCode: code})
		}
	}
	return out, nil
}
