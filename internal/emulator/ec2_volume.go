package emulator

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// volumeRow is a volume. The files of a root volume are its machine's; those of
// another live in a folder of their own, or in the machine's while attached.
type volumeRow struct {
	Volume     types.Volume // without tags and attachments
	Attachment *types.VolumeAttachment
	Root       bool
	Due        time.Time // when the change under way may show
	Filled     bool      // the folder holds what the volume starts with
	Settled    bool      // the machine's part of attaching or detaching is done
	Layers     []string  // of the snapshot that fills it, until it is filled; of a root, the ones beneath it
	Trouble    string    // what went wrong last
	OS, User   string    // of a root's image
}

func (r volumeRow) id() string { return *r.Volume.VolumeId }

// on says which instance a volume is attached to, or is being attached to or
// detached from.
func (r volumeRow) on() string {
	if r.Attachment == nil {
		return ""
	}
	return *r.Attachment.InstanceId
}

func (s *ec2Service) addVolumes() {
	on(s, "CreateVolume", "AvailabilityZone AvailabilityZoneId ClientToken Encrypted KmsKeyId Iops Throughput Size SnapshotId VolumeType TagSpecifications.*", s.createVolume)
	on(s, "DescribeVolumes", "VolumeIds Filters.* MaxResults NextToken", s.describeVolumes)
	on(s, "DeleteVolume", "VolumeId", s.deleteVolume)
	s.settler("ec2-volume", s.settleVolume)
}

// volumeSpec is what a volume is to be like.
type volumeSpec struct {
	kind             types.VolumeType
	size             *int32
	iops, throughput *int32
	encrypted        *bool
	kms              *string
	from             *snapshotRow
}

// volumeLimits are what EC2 documents for a type of volume: sizes in GiB, and
// the IOPS that may be asked for (none where most is 0).
type volumeLimits struct{ small, large, least, most int32 }

func limitsOf(kind types.VolumeType) (volumeLimits, bool) {
	limits, ok := map[types.VolumeType]volumeLimits{
		types.VolumeTypeGp3:      {1, 65536, 3000, 80000},
		types.VolumeTypeGp2:      {1, 16384, 0, 0},
		types.VolumeTypeIo1:      {4, 16384, 100, 64000},
		types.VolumeTypeIo2:      {4, 65536, 100, 256000},
		types.VolumeTypeSt1:      {125, 16384, 0, 0},
		types.VolumeTypeSc1:      {125, 16384, 0, 0},
		types.VolumeTypeStandard: {1, 1024, 0, 0},
	}[kind]
	return limits, ok
}

// planVolume makes the row of a volume, or says what EC2 would refuse about it.
func (s *ec2Service) planVolume(c apiCall, z zone, spec volumeSpec) (volumeRow, error) {
	if spec.kind == "" {
		spec.kind = types.VolumeTypeGp2
	}
	limits, ok := limitsOf(spec.kind)
	if !ok {
		return volumeRow{}, refuse("UnknownVolumeType", "Unsupported volume type '%s' for volume creation.", spec.kind)
	}
	encrypted, snapshot := deref(spec.encrypted), ""
	var least int32
	var layers []string
	if from := spec.from; from != nil {
		if from.Snapshot.State != types.SnapshotStateCompleted {
			return volumeRow{}, refuse("IncorrectState", "Snapshot is in invalid state - %s", from.Snapshot.State)
		}
		snapshot, least, layers = from.id(), *from.Snapshot.VolumeSize, from.Layers
		encrypted = encrypted || deref(from.Snapshot.Encrypted)
		if spec.size == nil {
			spec.size = new(max(least, limits.small))
		}
	}
	if spec.size == nil {
		return volumeRow{}, refuse("MissingParameter", "The request must contain the parameter size/snapshot")
	}
	size := *spec.size
	if size < least {
		return volumeRow{}, refuse("InvalidParameterValue", "The volume size is invalid for the snapshot: %d GiB is smaller than the snapshot's %d GiB", size, least)
	}
	if size < limits.small || size > limits.large {
		return volumeRow{}, refuse("InvalidParameterValue", "Volume of %dGiB is too %s for volume type %s; %s is %dGiB.", size,
			pick(size < limits.small, "small", "large"), spec.kind, pick(size < limits.small, "minimum", "maximum"), pick(size < limits.small, limits.small, limits.large))
	}
	if deref(spec.kms) != "" && !encrypted {
		return volumeRow{}, refuse("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	iops, throughput, err := performance(spec, limits, size)
	if err != nil {
		return volumeRow{}, err
	}
	volume := types.Volume{
		VolumeId: new(volumeID.make()), VolumeType: spec.kind, Size: new(size), Iops: iops, Throughput: throughput,
		AvailabilityZone: new(z.Name), AvailabilityZoneId: new(z.ID), CreateTime: new(c.now), Encrypted: new(encrypted),
		MultiAttachEnabled: new(false), State: types.VolumeStateCreating, SnapshotId: new(snapshot),
	}
	if encrypted {
		volume.KmsKeyId = s.keyOf(c, spec)
	}
	return volumeRow{Volume: volume, Due: c.now.Add(s.later()), Settled: true, Layers: layers}, nil
}

// keyOf is the key of an encrypted volume: the one that is asked for, or else
// that of its snapshot, if the snapshot is the caller's own.
func (s *ec2Service) keyOf(c apiCall, spec volumeSpec) *string {
	if from := spec.from; deref(spec.kms) == "" && from != nil && deref(from.Snapshot.Encrypted) && *from.Snapshot.OwnerId == c.Account {
		return from.Snapshot.KmsKeyId
	}
	return s.cloud.kms.forEBS(c, spec.kms)
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// performance checks the IOPS and throughput that are asked for, and fills in
// what a volume has without asking.
func performance(spec volumeSpec, limits volumeLimits, size int32) (iops, throughput *int32, err error) {
	if spec.throughput != nil && spec.kind != types.VolumeTypeGp3 {
		return nil, nil, refuse("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", spec.kind)
	}
	if limits.most == 0 {
		if spec.iops != nil {
			return nil, nil, refuse("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", spec.kind)
		}
		if spec.kind == types.VolumeTypeGp2 {
			return new(min(max(3*size, 100), 16000)), nil, nil
		}
		return nil, nil, nil
	}
	iops = spec.iops
	if iops == nil {
		if spec.kind != types.VolumeTypeGp3 {
			return nil, nil, refuse("MissingParameter", "The request must contain the parameter iops")
		}
		iops = new(limits.least)
	}
	if *iops < limits.least || *iops > limits.most {
		return nil, nil, refuse("InvalidParameterValue", "Volume iops of %d is out of range for %s volumes: %d to %d.", *iops, spec.kind, limits.least, limits.most)
	}
	ratio := map[types.VolumeType]int32{types.VolumeTypeIo1: 50, types.VolumeTypeIo2: 1000, types.VolumeTypeGp3: 500}[spec.kind]
	if *iops > max(ratio*size, limits.least) {
		return nil, nil, refuse("InvalidParameterValue", "Iops to volume size ratio of %d is too high; maximum is %d:1.", *iops/size, ratio)
	}
	if spec.kind != types.VolumeTypeGp3 {
		return iops, nil, nil
	}
	throughput = spec.throughput
	if throughput == nil {
		throughput = new(int32(125))
	}
	if *throughput < 125 || *throughput > 2000 {
		return nil, nil, refuse("InvalidParameterValue", "Throughput value must be between 125 and 2000 MiB/s, not %d.", *throughput)
	}
	if *throughput*4 > *iops {
		return nil, nil, refuse("InvalidParameterValue", "Throughput (MiBps) to iops ratio of %d/%d is too high; maximum is 0.25 MiBps per iops.", *throughput, *iops)
	}
	return iops, throughput, nil
}

func (s *ec2Service) createVolume(c apiCall, in *ec2.CreateVolumeInput) (*ec2.CreateVolumeOutput, error) {
	made, done, err := s.replayed(c, "CreateVolume", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.volumes, c.w, volumeID, &made[0])
		if err != nil {
			return nil, err
		}
		return volumeAnswer(s.showVolume(c.w, row)), nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeVolume)
	if err != nil {
		return nil, err
	}
	if deref(in.AvailabilityZone)+deref(in.AvailabilityZoneId) == "" {
		return nil, refuse("MissingParameter", "The request must contain the parameter availabilityZone")
	}
	z, err := findZone(c.Region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, refuse("InvalidZone.NotFound", "The zone '%s' does not exist.", deref(in.AvailabilityZone)+deref(in.AvailabilityZoneId))
	}
	spec := volumeSpec{
		kind: in.VolumeType, size: in.Size, iops: in.Iops, throughput: in.Throughput, encrypted: in.Encrypted, kms: in.KmsKeyId,
	}
	if deref(in.SnapshotId) != "" {
		from, err := s.visibleSnapshot(c, *in.SnapshotId)
		if err != nil {
			return nil, err
		}
		spec.from = &from
	}
	row, err := s.planVolume(c, z, spec)
	if err != nil {
		return nil, err
	}
	s.remember(c, "CreateVolume", in.ClientToken, in, row.id())
	if err := s.born(c, volumeID, row.id(), tags); err != nil {
		return nil, err
	}
	s.addVolume(c.w, row)
	return volumeAnswer(s.showVolume(c.w, row)), nil
}

// addVolume keeps a new volume and has its folder made.
func (s *ec2Service) addVolume(w world, row volumeRow) {
	if !s.hosts.on() {
		row.Filled = true
		s.cloud.schedule(w, s.until(row.Due), "ec2-volume", row.id())
	}
	s.volumes.put(w, row.id(), row)
	s.hosts.kick(w, row.id())
}

func volumeAnswer(v types.Volume) *ec2.CreateVolumeOutput {
	return &ec2.CreateVolumeOutput{
		Attachments: v.Attachments, AvailabilityZone: v.AvailabilityZone, AvailabilityZoneId: v.AvailabilityZoneId,
		CreateTime: v.CreateTime, Encrypted: v.Encrypted, Iops: v.Iops, KmsKeyId: v.KmsKeyId, MultiAttachEnabled: v.MultiAttachEnabled,
		Size: v.Size, SnapshotId: v.SnapshotId, State: v.State, Tags: v.Tags, Throughput: v.Throughput, VolumeId: v.VolumeId, VolumeType: v.VolumeType,
	}
}

func (s *ec2Service) showVolume(w world, row volumeRow) types.Volume {
	volume := row.Volume
	volume.Tags = s.tagList(w, row.id())
	if row.Attachment != nil {
		volume.Attachments = []types.VolumeAttachment{*row.Attachment}
	}
	return volume
}

// settleVolume ends what is under way with a volume: its creation, its
// attachment, its detachment.
func (s *ec2Service) settleVolume(w world, id string) {
	row, ok := s.volumes.get(w, id)
	if !ok {
		return
	}
	if row.Attachment == nil {
		if row.Volume.State == types.VolumeStateCreating {
			row.Volume.State = types.VolumeStateAvailable
			s.volumes.put(w, id, row)
		}
		return
	}
	attachment := *row.Attachment
	switch attachment.State {
	case types.VolumeAttachmentStateAttaching:
		attachment.State = types.VolumeAttachmentStateAttached
		row.Attachment = &attachment
	case types.VolumeAttachmentStateDetaching:
		row.Attachment, row.Volume.State = nil, types.VolumeStateAvailable
	}
	s.volumes.put(w, id, row)
}

func (s *ec2Service) describeVolumes(c apiCall, in *ec2.DescribeVolumesInput) (*ec2.DescribeVolumesOutput, error) {
	if err := noPagesOfIDs(in.VolumeIds, "volumeIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.volumes, c.w, volumeID, in.VolumeIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, volumeRow.id, volumeFilters(), in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, volumeRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeVolumesOutput{NextToken: next}
	for _, row := range rows {
		out.Volumes = append(out.Volumes, s.showVolume(c.w, row))
	}
	return out, err
}

func volumeFilters() filters[volumeRow] {
	attachment := func(pick func(types.VolumeAttachment) []string) func(volumeRow) []string {
		return func(r volumeRow) []string {
			if r.Attachment == nil {
				return nil
			}
			return pick(*r.Attachment)
		}
	}
	return filters[volumeRow]{
		"volume-id":            func(r volumeRow) []string { return opt(r.Volume.VolumeId) },
		"volume-type":          func(r volumeRow) []string { return one(r.Volume.VolumeType) },
		"status":               func(r volumeRow) []string { return one(r.Volume.State) },
		"size":                 func(r volumeRow) []string { return number(r.Volume.Size) },
		"snapshot-id":          func(r volumeRow) []string { return opt(r.Volume.SnapshotId) },
		"encrypted":            func(r volumeRow) []string { return flag(r.Volume.Encrypted) },
		"availability-zone":    func(r volumeRow) []string { return opt(r.Volume.AvailabilityZone) },
		"availability-zone-id": func(r volumeRow) []string { return opt(r.Volume.AvailabilityZoneId) },
		"multi-attach-enabled": func(r volumeRow) []string { return flag(r.Volume.MultiAttachEnabled) },
		"create-time": func(r volumeRow) []string {
			return []string{r.Volume.CreateTime.UTC().Format("2006-01-02T15:04:05.000Z")}
		},
		"attachment.instance-id":           attachment(func(a types.VolumeAttachment) []string { return opt(a.InstanceId) }),
		"attachment.device":                attachment(func(a types.VolumeAttachment) []string { return opt(a.Device) }),
		"attachment.status":                attachment(func(a types.VolumeAttachment) []string { return one(a.State) }),
		"attachment.delete-on-termination": attachment(func(a types.VolumeAttachment) []string { return flag(a.DeleteOnTermination) }),
		"attachment.attach-time": attachment(func(a types.VolumeAttachment) []string {
			return []string{a.AttachTime.UTC().Format("2006-01-02T15:04:05.000Z")}
		}),
	}
}

func (s *ec2Service) deleteVolume(c apiCall, in *ec2.DeleteVolumeInput) (*ec2.DeleteVolumeOutput, error) {
	row, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if at := row.on(); at != "" {
		return nil, refuse("VolumeInUse", "Volume %s is currently attached to %s", row.id(), at)
	}
	if row.Volume.State != types.VolumeStateAvailable {
		return nil, refuse("IncorrectState", "Volume %s is in the state %s, not available", row.id(), row.Volume.State)
	}
	s.removeVolume(c.w, row.id())
	return &ec2.DeleteVolumeOutput{}, nil
}

func (s *ec2Service) removeVolume(w world, id string) {
	s.volumes.remove(w, id)
	s.modifications.remove(w, id)
	s.gone(w, id)
	s.hosts.kick(w, sweeping)
}
