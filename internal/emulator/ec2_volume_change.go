package emulator

import (
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type modificationRow struct{ Modification types.VolumeModification }

func (s *ec2Service) addVolumeChanges() {
	on(s, "AttachVolume", "VolumeId InstanceId Device", s.attachVolume)
	on(s, "DetachVolume", "VolumeId InstanceId Device Force", s.detachVolume)
	on(s, "ModifyVolume", "VolumeId Size Iops Throughput VolumeType", s.modifyVolume)
	on(s, "DescribeVolumesModifications", "VolumeIds Filters.* MaxResults NextToken", s.describeModifications)
	on(s, "DescribeVolumeStatus", "VolumeIds Filters.* MaxResults NextToken", s.describeVolumeStatus)
	on(s, "DescribeVolumeAttribute", "VolumeId Attribute", s.describeVolumeAttribute)
	s.settler("ec2-volume-modification", s.settleModification)
}

// volumesOf are the volumes on an instance, the root's among them.
func (s *ec2Service) volumesOf(w world, instance string) []volumeRow {
	return keep(s.volumes.all(w), func(r volumeRow) bool { return r.on() == instance })
}

// checkDevice refuses a device name that EC2 doesn't know.
func checkDevice(name string) error {
	if !regexp.MustCompile(`^(/dev/)?(sd[a-z]([1-9][0-5]?)?|xvd[a-z]([a-z])?)$`).MatchString(name) {
		return refuse("InvalidParameterValue", "Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", name, name)
	}
	return nil
}

// sameDevice says that two names mean one device: kernels with Xen's driver
// call sdf xvdf.
func sameDevice(a, b string) bool {
	plain := func(name string) string {
		return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "/dev/"), "xvd"), "sd")
	}
	return plain(a) == plain(b)
}

func (s *ec2Service) attachVolume(c apiCall, in *ec2.AttachVolumeInput) (*ec2.AttachVolumeOutput, error) {
	row, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	instance, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if err := require("device", in.Device); err != nil {
		return nil, err
	}
	if err := checkDevice(*in.Device); err != nil {
		return nil, err
	}
	switch at := row.on(); {
	case at == instance.ID:
		return nil, refuse("VolumeInUse", "%s is already attached to an instance", row.id())
	case at != "":
		return nil, refuse("VolumeInUse", "%s is already attached to an instance", row.id())
	case row.Volume.State != types.VolumeStateAvailable:
		return nil, refuse("IncorrectState", "%s is not 'available'.", row.id())
	case *row.Volume.AvailabilityZone != instance.Zone:
		return nil, refuse("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", row.id(), instance.ID)
	}
	if instance.State != types.InstanceStateNameRunning && instance.State != types.InstanceStateNameStopped {
		return nil, refuse("IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", instance.ID)
	}
	for _, other := range s.volumesOf(c.w, instance.ID) {
		if sameDevice(*other.Attachment.Device, *in.Device) {
			return nil, refuse("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", *in.Device, *in.Device)
		}
	}
	row.Attachment = &types.VolumeAttachment{
		VolumeId: row.Volume.VolumeId, InstanceId: new(instance.ID), Device: in.Device, AttachTime: new(c.now),
		DeleteOnTermination: new(false), State: types.VolumeAttachmentStateAttaching,
	}
	row.Volume.State, row.Root = types.VolumeStateInUse, false
	s.beginVolumeChange(c, row)
	a := row.Attachment
	return &ec2.AttachVolumeOutput{
		VolumeId: a.VolumeId, InstanceId: a.InstanceId, Device: a.Device, AttachTime: a.AttachTime,
		DeleteOnTermination: a.DeleteOnTermination, State: a.State,
	}, nil
}

// beginVolumeChange keeps a volume whose attachment changes, and has its
// machine follow.
func (s *ec2Service) beginVolumeChange(c apiCall, row volumeRow) {
	row.Due = c.now.Add(s.later())
	row.Settled = !s.hosts.on()
	s.volumes.put(c.w, row.id(), row)
	if row.Settled {
		s.cloud.schedule(c.w, s.until(row.Due), "ec2-volume", row.id())
		return
	}
	s.hosts.kick(c.w, row.on())
}

func (s *ec2Service) detachVolume(c apiCall, in *ec2.DetachVolumeInput) (*ec2.DetachVolumeOutput, error) {
	row, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if row.Attachment == nil {
		return nil, refuse("IncorrectState", "Volume '%s' is in the 'available' state.", row.id())
	}
	if in.InstanceId != nil && *in.InstanceId != row.on() {
		if _, err := s.liveInstance(c, in.InstanceId); err != nil {
			return nil, err
		}
		return nil, refuse("InvalidAttachment.NotFound", "Volume '%s' is not attached to instance '%s'", row.id(), *in.InstanceId)
	}
	if in.Device != nil && !sameDevice(*in.Device, *row.Attachment.Device) {
		return nil, refuse("InvalidAttachment.NotFound", "Volume '%s' is not attached as device '%s'", row.id(), *in.Device)
	}
	instance, _ := s.instances.get(c.w, row.on())
	if row.Root {
		if instance.State != types.InstanceStateNameStopped {
			return nil, refuse("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", row.id(), instance.ID)
		}
		return nil, refuse("UnsupportedOperation", "The local cloud does not detach root volumes.")
	}
	if row.Attachment.State != types.VolumeAttachmentStateAttached {
		return nil, refuse("IncorrectState", "Volume '%s' is in the '%s' state.", row.id(), row.Attachment.State)
	}
	row.Attachment = new(*row.Attachment)
	row.Attachment.State = types.VolumeAttachmentStateDetaching
	s.beginVolumeChange(c, row)
	a := row.Attachment
	return &ec2.DetachVolumeOutput{
		VolumeId: a.VolumeId, InstanceId: a.InstanceId, Device: a.Device, AttachTime: a.AttachTime,
		DeleteOnTermination: a.DeleteOnTermination, State: a.State,
	}, nil
}

func (s *ec2Service) modifyVolume(c apiCall, in *ec2.ModifyVolumeInput) (*ec2.ModifyVolumeOutput, error) {
	row, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if row.Volume.State != types.VolumeStateAvailable && row.Volume.State != types.VolumeStateInUse {
		return nil, refuse("IncorrectModificationState", "The volume %s is in the state %s", row.id(), row.Volume.State)
	}
	if last, ok := s.modifications.get(c.w, row.id()); ok && last.Modification.ModificationState != types.VolumeModificationStateCompleted {
		return nil, refuse("IncorrectModificationState", "Cannot modify volume %s, which is currently being modified", row.id())
	}
	if in.Size == nil && in.Iops == nil && in.Throughput == nil && in.VolumeType == "" {
		return nil, refuse("InvalidParameterCombination", "At least one of size, type, iops and throughput has to be specified")
	}
	old := row.Volume
	if in.Size != nil && *in.Size < *old.Size {
		return nil, refuse("InvalidParameterValue", "New size cannot be smaller than existing size")
	}
	spec := volumeSpec{kind: old.VolumeType, size: old.Size, encrypted: old.Encrypted, kms: old.KmsKeyId, iops: in.Iops, throughput: in.Throughput}
	if in.Size != nil {
		spec.size = in.Size
	}
	if in.VolumeType != "" && in.VolumeType != old.VolumeType {
		spec.kind = in.VolumeType
	} else {
		if limits, _ := limitsOf(spec.kind); spec.iops == nil && limits.most > 0 {
			spec.iops = old.Iops
		}
		if spec.throughput == nil {
			spec.throughput = old.Throughput
		}
	}
	planned, err := s.planVolume(c, zone{*old.AvailabilityZone, *old.AvailabilityZoneId}, spec)
	if err != nil {
		return nil, err
	}
	to := planned.Volume
	row.Volume.VolumeType, row.Volume.Size, row.Volume.Iops, row.Volume.Throughput = to.VolumeType, to.Size, to.Iops, to.Throughput
	s.volumes.put(c.w, row.id(), row)
	m := types.VolumeModification{
		VolumeId: row.Volume.VolumeId, ModificationState: types.VolumeModificationStateModifying, Progress: new(int64(0)), StartTime: new(c.now),
		OriginalSize: old.Size, OriginalIops: old.Iops, OriginalThroughput: old.Throughput, OriginalVolumeType: old.VolumeType, OriginalMultiAttachEnabled: new(false),
		TargetSize: to.Size, TargetIops: to.Iops, TargetThroughput: to.Throughput, TargetVolumeType: to.VolumeType, TargetMultiAttachEnabled: new(false),
	}
	s.modifications.put(c.w, row.id(), modificationRow{m})
	s.cloud.schedule(c.w, s.later(), "ec2-volume-modification", row.id())
	return &ec2.ModifyVolumeOutput{VolumeModification: &m}, nil
}

// settleModification takes a modification through its states: modifying,
// optimizing, completed.
func (s *ec2Service) settleModification(w world, id string) {
	row, ok := s.modifications.get(w, id)
	if !ok {
		return
	}
	m := row.Modification
	if m.ModificationState == types.VolumeModificationStateModifying {
		m.ModificationState, m.Progress = types.VolumeModificationStateOptimizing, new(int64(50))
		s.cloud.schedule(w, s.later(), "ec2-volume-modification", id)
	} else {
		m.ModificationState, m.Progress, m.EndTime = types.VolumeModificationStateCompleted, new(int64(100)), new(s.cloud.clock.Now())
	}
	s.modifications.put(w, id, modificationRow{m})
}

func (s *ec2Service) describeModifications(c apiCall, in *ec2.DescribeVolumesModificationsInput) (*ec2.DescribeVolumesModificationsOutput, error) {
	rows := s.modifications.all(c.w)
	if len(in.VolumeIds) > 0 {
		rows = nil
		for _, id := range in.VolumeIds {
			if _, err := need(s.volumes, c.w, volumeID, &id); err != nil {
				return nil, err
			}
			row, ok := s.modifications.get(c.w, id)
			if !ok {
				return nil, refuse("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", id)
			}
			rows = append(rows, row)
		}
	}
	id := func(r modificationRow) string { return *r.Modification.VolumeId }
	rows, err := choose(s, c.w, rows, nil, filters[modificationRow]{
		"volume-id":            func(r modificationRow) []string { return opt(r.Modification.VolumeId) },
		"modification-state":   func(r modificationRow) []string { return one(r.Modification.ModificationState) },
		"original-size":        func(r modificationRow) []string { return number(r.Modification.OriginalSize) },
		"target-size":          func(r modificationRow) []string { return number(r.Modification.TargetSize) },
		"original-iops":        func(r modificationRow) []string { return number(r.Modification.OriginalIops) },
		"target-iops":          func(r modificationRow) []string { return number(r.Modification.TargetIops) },
		"original-volume-type": func(r modificationRow) []string { return one(r.Modification.OriginalVolumeType) },
		"target-volume-type":   func(r modificationRow) []string { return one(r.Modification.TargetVolumeType) },
		"start-time":           func(r modificationRow) []string { return []string{r.Modification.StartTime.Format(time.RFC3339)} },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, id, paging{in.MaxResults, in.NextToken, 1, 500})
	out := &ec2.DescribeVolumesModificationsOutput{NextToken: next}
	for _, row := range rows {
		out.VolumesModifications = append(out.VolumesModifications, row.Modification)
	}
	return out, err
}

func (s *ec2Service) describeVolumeStatus(c apiCall, in *ec2.DescribeVolumeStatusInput) (*ec2.DescribeVolumeStatusOutput, error) {
	rows, err := needAll(s, s.volumes, c.w, volumeID, in.VolumeIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, nil, filters[volumeRow]{
		"availability-zone":    func(r volumeRow) []string { return opt(r.Volume.AvailabilityZone) },
		"volume-status.status": func(volumeRow) []string { return []string{"ok"} },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, volumeRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeVolumeStatusOutput{NextToken: next}
	for _, row := range rows {
		out.VolumeStatuses = append(out.VolumeStatuses, types.VolumeStatusItem{
			VolumeId: row.Volume.VolumeId, AvailabilityZone: row.Volume.AvailabilityZone, AvailabilityZoneId: row.Volume.AvailabilityZoneId,
			VolumeStatus: &types.VolumeStatusInfo{Status: types.VolumeStatusInfoStatusOk, Details: []types.VolumeStatusDetails{
				{Name: types.VolumeStatusNameIoEnabled, Status: new("passed")},
			}},
		})
	}
	return out, err
}

func (s *ec2Service) describeVolumeAttribute(c apiCall, in *ec2.DescribeVolumeAttributeInput) (*ec2.DescribeVolumeAttributeOutput, error) {
	row, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVolumeAttributeOutput{VolumeId: row.Volume.VolumeId}
	if in.Attribute == types.VolumeAttributeNameAutoEnableIO {
		out.AutoEnableIO = &types.AttributeBooleanValue{Value: new(false)}
	}
	return out, nil
}
