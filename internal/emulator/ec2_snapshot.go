package emulator

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// snapshotRow is a snapshot. Like images, snapshots live in their region's
// shared world. Its files are layers: folders that are never changed, topmost
// first, which other snapshots and instances are made of too.
type snapshotRow struct {
	Snapshot    types.Snapshot // without tags
	World       world          // of the account that made it
	Layers      []string
	Root        bool   // of an instance's root, over the layers of its image
	Instance    string // whose files it's taken from, until it's filled
	Device      string
	Image       string // that it was made for
	Reboot      bool   // the machine stops while it's taken
	OS, User    string
	Filled      bool // its own layer is complete
	Trouble     string
	Due         time.Time
	Public      bool
	Permissions []string // accounts that may make volumes of it
}

func (r snapshotRow) id() string { return *r.Snapshot.SnapshotId }

func (r snapshotRow) mayUse(account string) bool {
	for _, id := range r.Permissions {
		if id == account {
			return true
		}
	}
	return r.Public || *r.Snapshot.OwnerId == account
}

func (s *ec2Service) addSnapshots() {
	on(s, "CreateSnapshot", "VolumeId Description TagSpecifications.*", s.createSnapshot)
	on(s, "CreateSnapshots", "InstanceSpecification.* Description CopyTagsFromSource TagSpecifications.*", s.createSnapshots)
	on(s, "CopySnapshot", "SourceRegion SourceSnapshotId Description Encrypted KmsKeyId PresignedUrl CompletionDurationMinutes TagSpecifications.*", s.copySnapshot)
	on(s, "DescribeSnapshots", "SnapshotIds OwnerIds RestorableByUserIds Filters.* MaxResults NextToken", s.describeSnapshots)
	on(s, "DeleteSnapshot", "SnapshotId", s.deleteSnapshot)
	on(s, "ModifySnapshotAttribute", "SnapshotId Attribute CreateVolumePermission.* OperationType UserIds GroupNames", s.modifySnapshotAttribute)
	on(s, "DescribeSnapshotAttribute", "SnapshotId Attribute", s.describeSnapshotAttribute)
	s.settler("ec2-snapshot", s.settleSnapshot)
}

// visibleSnapshot is a snapshot that the caller may use, or EC2's error.
func (s *ec2Service) visibleSnapshot(c apiCall, id string) (snapshotRow, error) {
	if err := snapshotID.check(id); err != nil {
		return snapshotRow{}, err
	}
	row, ok := s.snapshots.get(c.shared(), id)
	if !ok {
		row, ok = sourceSnapshot(c.Region, id)
	}
	if !ok || !row.mayUse(c.Account) || !s.seen(id) {
		return snapshotRow{}, snapshotID.missing(id)
	}
	return row, nil
}

func sourceSnapshot(region, id string) (snapshotRow, bool) {
	for _, source := range sourceImages() {
		if _, row := source.row(region); row.id() == id {
			return row, true
		}
	}
	return snapshotRow{}, false
}

// imageSnapshot is a snapshot that belongs to an image: who may launch the image
// may do so without a permission for its snapshots.
func (s *ec2Service) imageSnapshot(c apiCall, image imageRow, id string) (snapshotRow, bool) {
	for _, own := range image.snapshots() {
		if own != id {
			continue
		}
		if row, ok := s.snapshots.get(c.shared(), id); ok {
			return row, true
		}
		return sourceSnapshot(c.Region, id)
	}
	return snapshotRow{}, false
}

func (s *ec2Service) ownSnapshot(c apiCall, id *string) (snapshotRow, error) {
	if err := require("snapshotId", id); err != nil {
		return snapshotRow{}, err
	}
	row, err := s.visibleSnapshot(c, *id)
	if err == nil && *row.Snapshot.OwnerId != c.Account {
		err = refuse("UnauthorizedOperation", "You are not authorized to change the snapshot %s", *id)
	}
	return row, err
}

// planSnapshot makes the row of a snapshot of a volume as it is now.
func (s *ec2Service) planSnapshot(c apiCall, v volumeRow, text string) snapshotRow {
	id := snapshotID.make()
	row := snapshotRow{
		World: c.w, Layers: []string{id}, Due: c.now.Add(s.later()), Filled: !s.hosts.on(), Root: v.Root, Instance: v.on(),
		Snapshot: types.Snapshot{
			SnapshotId: new(id), VolumeId: v.Volume.VolumeId, VolumeSize: v.Volume.Size, OwnerId: new(c.Account), Description: new(text),
			Encrypted: v.Volume.Encrypted, KmsKeyId: v.Volume.KmsKeyId, State: types.SnapshotStatePending, Progress: new("0%"), StartTime: new(c.now),
			StorageTier: types.StorageTierStandard,
		},
	}
	if v.Attachment != nil {
		row.Device = *v.Attachment.Device
	}
	if v.Root {
		row.Layers = append(row.Layers, v.Layers...)
		row.OS, row.User = v.OS, v.User
	}
	return row
}

// planSnapshotCopy makes the row of a copy: it shares the files.
func (s *ec2Service) planSnapshotCopy(c apiCall, from snapshotRow, text string, encrypted *bool, key *string) snapshotRow {
	row := snapshotRow{
		World: c.w, Layers: from.Layers, Due: c.now.Add(s.later()), Filled: true, Root: from.Root, OS: from.OS, User: from.User,
		Snapshot: types.Snapshot{
			SnapshotId: new(snapshotID.make()), VolumeId: new("vol-ffffffff"), VolumeSize: from.Snapshot.VolumeSize, OwnerId: new(c.Account), Description: new(text),
			Encrypted: new(deref(from.Snapshot.Encrypted) || deref(encrypted)), State: types.SnapshotStatePending, Progress: new("0%"), StartTime: new(c.now),
			StorageTier: types.StorageTierStandard,
		},
	}
	if *row.Snapshot.Encrypted {
		row.Snapshot.KmsKeyId = s.cloud.kms.forEBS(c, key)
	}
	if from.locked(s, c.w) || *row.Snapshot.Encrypted && !s.cloud.kms.readable(c.w, *row.Snapshot.KmsKeyId) {
		row.Trouble = "Given key ID is not accessible"
	}
	return row
}

// locked tells whether an account cannot read a snapshot for want of its key.
func (r snapshotRow) locked(s *ec2Service, w world) bool {
	return deref(r.Snapshot.Encrypted) && !s.cloud.kms.readable(world{Account: w.Account, Region: keyRegion(r, w)}, deref(r.Snapshot.KmsKeyId))
}

// keyRegion is the region of a snapshot's key, which is the snapshot's own.
func keyRegion(r snapshotRow, w world) string {
	if parts := kmsARN.FindStringSubmatch(deref(r.Snapshot.KmsKeyId)); parts != nil {
		return parts[1]
	}
	return w.Region
}

// addSnapshot keeps a new snapshot, tags it and has its files copied.
func (s *ec2Service) addSnapshot(c apiCall, row snapshotRow, tags birthTags) error {
	s.snapshots.put(c.shared(), row.id(), row)
	switch {
	case row.Filled:
		s.cloud.schedule(c.shared(), s.until(row.Due), "ec2-snapshot", row.id())
	case row.Instance != "" && !row.Reboot:
		s.hosts.finish(c.w, row.Instance) // it holds what there was at the time of the call
	case row.Instance != "":
		s.hosts.kick(c.w, row.Instance)
	default:
		s.hosts.kick(c.shared(), row.id())
	}
	return s.born(c, snapshotID, row.id(), tags)
}

// settleSnapshot ends a snapshot, and then perhaps the image that it's for.
func (s *ec2Service) settleSnapshot(w world, id string) {
	row, ok := s.snapshots.get(w, id)
	if !ok || row.Snapshot.State != types.SnapshotStatePending {
		return
	}
	if row.Trouble == "" {
		row.Snapshot.State, row.Snapshot.Progress, row.Snapshot.CompletionTime = types.SnapshotStateCompleted, new("100%"), new(s.cloud.clock.Now())
		row.Snapshot.FullSnapshotSizeInBytes = new(int64(*row.Snapshot.VolumeSize) << 20)
	} else {
		row.Snapshot.State, row.Snapshot.StateMessage = types.SnapshotStateError, new(row.Trouble)
	}
	s.snapshots.put(w, id, row)
	if row.Image != "" {
		s.settleImage(w, row.Image)
	}
}

// showSnapshot is a snapshot as an account sees it. Its progress follows the
// clock and stays below the end until the files are complete.
func (s *ec2Service) showSnapshot(c apiCall, row snapshotRow) types.Snapshot {
	snapshot := row.Snapshot
	snapshot.Tags = s.tagList(c.w, row.id())
	if snapshot.State == types.SnapshotStatePending {
		percent := 99
		if total := row.Due.Sub(*snapshot.StartTime); total > 0 {
			percent = min(percent, int(100*c.now.Sub(*snapshot.StartTime)/total))
		}
		snapshot.Progress = new(fmt.Sprintf("%d%%", max(percent, 0)))
	}
	return snapshot
}

func (s *ec2Service) createSnapshot(c apiCall, in *ec2.CreateSnapshotInput) (*ec2.CreateSnapshotOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	volume, err := need(s.volumes, c.w, volumeID, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if volume.Volume.State != types.VolumeStateAvailable && volume.Volume.State != types.VolumeStateInUse {
		return nil, refuse("IncorrectState", "The volume '%s' is in the state %s", volume.id(), volume.Volume.State)
	}
	row := s.planSnapshot(c, volume, deref(in.Description))
	if err := s.addSnapshot(c, row, tags); err != nil {
		return nil, err
	}
	v := s.showSnapshot(c, row)
	return &ec2.CreateSnapshotOutput{
		SnapshotId: v.SnapshotId, VolumeId: v.VolumeId, VolumeSize: v.VolumeSize, OwnerId: v.OwnerId, Description: v.Description, Encrypted: v.Encrypted,
		KmsKeyId: v.KmsKeyId, State: v.State, Progress: new(""), StartTime: v.StartTime, Tags: v.Tags, StorageTier: v.StorageTier,
	}, nil
}

func (s *ec2Service) createSnapshots(c apiCall, in *ec2.CreateSnapshotsInput) (*ec2.CreateSnapshotsOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	spec := deref(in.InstanceSpecification)
	instance, err := s.liveInstance(c, spec.InstanceId)
	if err != nil {
		return nil, err
	}
	without := map[string]bool{}
	for _, id := range spec.ExcludeDataVolumeIds {
		without[id] = true
	}
	out := &ec2.CreateSnapshotsOutput{}
	for _, v := range s.volumesOf(c.w, instance.ID) {
		if v.Root && deref(spec.ExcludeBootVolume) || without[v.id()] {
			continue
		}
		row := s.planSnapshot(c, v, deref(in.Description))
		if in.CopyTagsFromSource == types.CopyTagsFromSourceVolume {
			if err := s.setTags(c.w, row.id(), snapshotID.words().resource, s.tagList(c.w, v.id())); err != nil {
				return nil, err
			}
		}
		if err := s.addSnapshot(c, row, tags); err != nil {
			return nil, err
		}
		show := s.showSnapshot(c, row)
		out.Snapshots = append(out.Snapshots, types.SnapshotInfo{
			SnapshotId: show.SnapshotId, VolumeId: show.VolumeId, VolumeSize: show.VolumeSize, OwnerId: show.OwnerId, Description: show.Description,
			Encrypted: show.Encrypted, State: show.State, Progress: new(""), StartTime: show.StartTime, Tags: show.Tags,
		})
	}
	return out, nil
}

func (s *ec2Service) copySnapshot(c apiCall, in *ec2.CopySnapshotInput) (*ec2.CopySnapshotOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	if err := firstError(require("SourceRegion", in.SourceRegion), require("SourceSnapshotId", in.SourceSnapshotId)); err != nil {
		return nil, err
	}
	there := c
	there.Region, there.w.Region = *in.SourceRegion, *in.SourceRegion
	s.cloud.settle(there.shared())
	from, err := s.visibleSnapshot(there, *in.SourceSnapshotId)
	if err != nil {
		return nil, err
	}
	if from.Snapshot.State != types.SnapshotStateCompleted {
		return nil, refuse("IncorrectState", "Snapshot '%s' is in invalid state - %s", from.id(), from.Snapshot.State)
	}
	row := s.planSnapshotCopy(c, from, deref(in.Description), in.Encrypted, in.KmsKeyId)
	if err := s.addSnapshot(c, row, tags); err != nil {
		return nil, err
	}
	return &ec2.CopySnapshotOutput{SnapshotId: row.Snapshot.SnapshotId, Tags: s.tagList(c.w, row.id())}, nil
}

func (s *ec2Service) describeSnapshots(c apiCall, in *ec2.DescribeSnapshotsInput) (*ec2.DescribeSnapshotsOutput, error) {
	if err := noPagesOfIDs(in.SnapshotIds, "snapshotIds", in.MaxResults); err != nil {
		return nil, err
	}
	if err := checkOwners(in.OwnerIds); err != nil {
		return nil, err
	}
	var rows []snapshotRow
	for _, id := range in.SnapshotIds {
		row, err := s.visibleSnapshot(c, id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(in.SnapshotIds) == 0 {
		rows = keep(s.snapshots.all(c.shared()), func(r snapshotRow) bool { return r.mayUse(c.Account) })
	}
	rows = keep(rows, func(r snapshotRow) bool {
		owned := len(in.OwnerIds) == 0
		for _, owner := range in.OwnerIds {
			owned = owned || owner == *r.Snapshot.OwnerId || owner == "self" && *r.Snapshot.OwnerId == c.Account
		}
		restorable := len(in.RestorableByUserIds) == 0
		for _, user := range in.RestorableByUserIds {
			restorable = restorable || user == "all" && r.Public || user == "self" && r.mayUse(c.Account) || r.mayUse(user)
		}
		return owned && restorable
	})
	rows, err := choose(s, c.w, rows, snapshotRow.id, filters[snapshotRow]{
		"snapshot-id":  func(r snapshotRow) []string { return opt(r.Snapshot.SnapshotId) },
		"volume-id":    func(r snapshotRow) []string { return opt(r.Snapshot.VolumeId) },
		"volume-size":  func(r snapshotRow) []string { return number(r.Snapshot.VolumeSize) },
		"status":       func(r snapshotRow) []string { return one(r.Snapshot.State) },
		"progress":     func(r snapshotRow) []string { return opt(s.showSnapshot(c, r).Progress) },
		"owner-id":     func(r snapshotRow) []string { return opt(r.Snapshot.OwnerId) },
		"description":  func(r snapshotRow) []string { return opt(r.Snapshot.Description) },
		"encrypted":    func(r snapshotRow) []string { return flag(r.Snapshot.Encrypted) },
		"start-time":   func(r snapshotRow) []string { return []string{r.Snapshot.StartTime.UTC().Format(dateForm)} },
		"storage-tier": func(r snapshotRow) []string { return one(r.Snapshot.StorageTier) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, snapshotRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeSnapshotsOutput{NextToken: next}
	for _, row := range rows {
		out.Snapshots = append(out.Snapshots, s.showSnapshot(c, row))
	}
	return out, err
}

// imageOf is an image that a snapshot belongs to, empty if there is none.
func (s *ec2Service) imageOf(c apiCall, snapshot string) string {
	for _, image := range s.images.all(c.shared()) {
		for _, id := range image.snapshots() {
			if id == snapshot {
				return image.id()
			}
		}
	}
	return ""
}

func (s *ec2Service) deleteSnapshot(c apiCall, in *ec2.DeleteSnapshotInput) (*ec2.DeleteSnapshotOutput, error) {
	row, err := s.ownSnapshot(c, in.SnapshotId)
	if err != nil {
		return nil, err
	}
	if image := s.imageOf(c, row.id()); image != "" {
		return nil, refuse("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", row.id(), image)
	}
	s.removeSnapshot(c, row.id())
	return &ec2.DeleteSnapshotOutput{}, nil
}

func (s *ec2Service) removeSnapshot(c apiCall, id string) {
	s.snapshots.remove(c.shared(), id)
	for w := range s.tags.rows {
		s.gone(parseWorld(w), id)
	}
	s.hosts.kick(world{}, sweeping)
}
