package emulator

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// rootTaskRow is the exchange of a running instance's root volume.
type rootTaskRow struct {
	Task   types.ReplaceRootVolumeTask // without tags
	Token  string
	Volume volumeRow // the new root
	Image  string    // the instance's AMI afterwards; empty if it stays the same
	Layers []string
	OS     string
	User   string
}

func (r rootTaskRow) id() string { return *r.Task.ReplaceRootVolumeTaskId }

func (r rootTaskRow) underWay() bool {
	return r.Task.TaskState == types.ReplaceRootVolumeTaskStatePending || r.Task.TaskState == types.ReplaceRootVolumeTaskStateInProgress
}

const timeForm = "2006-01-02T15:04:05Z"

func (s *ec2Service) addRootVolumes() {
	on(s, "CreateReplaceRootVolumeTask", "InstanceId SnapshotId ImageId ClientToken DeleteReplacedRootVolume TagSpecifications.*", s.createRootTask)
	on(s, "DescribeReplaceRootVolumeTasks", "ReplaceRootVolumeTaskIds Filters.* MaxResults NextToken", s.describeRootTasks)
	s.settler("ec2-root-task", s.settleRootTask)
}

func (s *ec2Service) createRootTask(c apiCall, in *ec2.CreateReplaceRootVolumeTaskInput) (*ec2.CreateReplaceRootVolumeTaskOutput, error) {
	made, done, err := s.replayed(c, "CreateReplaceRootVolumeTask", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.rootTasks, c.w, rootTaskID, &made[0])
		return &ec2.CreateReplaceRootVolumeTaskOutput{ReplaceRootVolumeTask: new(s.showRootTask(c.w, row))}, err
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeReplaceRootVolumeTask)
	if err != nil {
		return nil, err
	}
	row, err := s.planRootTask(c, in)
	if err != nil {
		return nil, err
	}
	s.rootTasks.put(c.w, row.id(), row)
	s.cloud.schedule(c.w, s.later(), "ec2-root-task", row.id())
	s.remember(c, "CreateReplaceRootVolumeTask", in.ClientToken, in, row.id())
	if err := s.born(c, rootTaskID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateReplaceRootVolumeTaskOutput{ReplaceRootVolumeTask: new(s.showRootTask(c.w, row))}, nil
}

// planRootTask makes the row of a task. The new root is like the old one, but
// for what it starts with.
func (s *ec2Service) planRootTask(c apiCall, in *ec2.CreateReplaceRootVolumeTaskInput) (rootTaskRow, error) {
	instance, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return rootTaskRow{}, err
	}
	old, ok := s.rootOf(c.w, instance.ID)
	switch {
	case instance.State != stateRunning:
		return rootTaskRow{}, refuse("IncorrectInstanceState", "The instance '%s' is not in the 'running' state.", instance.ID)
	case !ok:
		return rootTaskRow{}, refuse("InvalidParameterValue", "The instance '%s' has no root volume.", instance.ID)
	case in.ImageId != nil && in.SnapshotId != nil:
		return rootTaskRow{}, refuse("InvalidParameterCombination", "You can specify either a snapshot or an image, not both.")
	}
	for _, other := range s.rootTasks.all(c.w) {
		if *other.Task.InstanceId == instance.ID && other.underWay() {
			return rootTaskRow{}, refuse("IncorrectState", "A root volume replacement task is in progress for the instance '%s'.", instance.ID)
		}
	}
	row := rootTaskRow{Token: deref(in.ClientToken), OS: instance.OS, User: instance.User}
	from, err := s.newRoot(c, in, instance, old, &row)
	if err != nil {
		return row, err
	}
	v := old.Volume
	row.Volume, err = s.planVolume(c, zone{instance.Zone, instance.ZoneID}, volumeSpec{kind: v.VolumeType, size: v.Size, encrypted: v.Encrypted, kms: v.KmsKeyId, from: &from})
	if err != nil {
		return row, err
	}
	row.Volume.Root, row.Volume.Filled, row.Volume.OS, row.Volume.User = true, true, row.OS, row.User
	row.Volume.Volume.State = types.VolumeStateInUse
	row.Layers = from.Layers
	row.Task = types.ReplaceRootVolumeTask{
		ReplaceRootVolumeTaskId: new(rootTaskID.make()), InstanceId: new(instance.ID), TaskState: types.ReplaceRootVolumeTaskStatePending,
		StartTime: new(c.now.UTC().Format(timeForm)), ImageId: in.ImageId, SnapshotId: new(from.id()), DeleteReplacedRootVolume: new(deref(in.DeleteReplacedRootVolume)),
	}
	return row, nil
}

// newRoot is the snapshot that a new root starts from: that of an AMI, one of the
// old root, or the one that the old root started from itself.
func (s *ec2Service) newRoot(c apiCall, in *ec2.CreateReplaceRootVolumeTaskInput, instance instanceRow, old volumeRow, row *rootTaskRow) (snapshotRow, error) {
	if in.SnapshotId != nil {
		from, err := s.visibleSnapshot(c, *in.SnapshotId)
		if err == nil && deref(from.Snapshot.VolumeId) != old.id() {
			err = refuse("InvalidParameterValue", "The snapshot '%s' is not of the root volume of the instance '%s'.", *in.SnapshotId, instance.ID)
		}
		return from, err
	}
	id := instance.Image
	if in.ImageId != nil {
		id = *in.ImageId
	}
	image, err := s.visibleImage(c, id)
	if err != nil {
		return snapshotRow{}, err
	}
	switch {
	case image.Image.State != types.ImageStateAvailable:
		return snapshotRow{}, refuse("InvalidAMIID.Unavailable", "The image ID '[%s]' is not available: %s", id, image.Image.State)
	case image.Image.Architecture != instance.Arch:
		return snapshotRow{}, refuse("InvalidParameterValue", "The architecture '%s' of the AMI does not match that of the instance, '%s'.", image.Image.Architecture, instance.Arch)
	}
	if in.ImageId != nil {
		row.Image, row.OS, row.User = id, image.OS, image.User
	}
	for _, m := range image.Image.BlockDeviceMappings {
		if m.Ebs != nil && sameDevice(*m.DeviceName, *image.Image.RootDeviceName) {
			if from, ok := s.imageSnapshot(c, image, deref(m.Ebs.SnapshotId)); ok {
				return from, nil
			}
		}
	}
	return snapshotRow{}, refuse("InvalidParameterValue", "The image '%s' has no snapshot of its root volume.", id)
}

// rootOf is the root volume of an instance.
func (s *ec2Service) rootOf(w world, instance string) (volumeRow, bool) {
	for _, v := range s.volumesOf(w, instance) {
		if v.Root {
			return v, true
		}
	}
	return volumeRow{}, false
}

// settleRootTask moves a task on: the instance restarts over its new root. Where
// machines run, a worker does that.
func (s *ec2Service) settleRootTask(w world, id string) {
	row, ok := s.rootTasks.get(w, id)
	if !ok {
		return
	}
	instance, there := s.instances.get(w, *row.Task.InstanceId)
	switch {
	case !row.underWay():
		s.rootTasks.remove(w, id)
		s.gone(w, id)
		if row.Token != "" {
			s.tokens.remove(w, "CreateReplaceRootVolumeTask "+row.Token)
		}
	case !there || instance.State != stateRunning:
		s.failRootTask(w, row)
	case row.Task.TaskState == types.ReplaceRootVolumeTaskStateInProgress:
		s.swapRoot(w, row)
	default:
		row.Task.TaskState = types.ReplaceRootVolumeTaskStateInProgress
		s.rootTasks.put(w, id, row)
		if !s.hosts.on() {
			s.cloud.schedule(w, s.later(), "ec2-root-task", id)
			return
		}
		instance.Reboot, instance.NewRoot = true, id
		s.instances.put(w, instance.ID, instance)
		s.hosts.kick(w, instance.ID)
	}
}

// failRootTask ends a task whose instance no longer runs.
func (s *ec2Service) failRootTask(w world, row rootTaskRow) {
	row.Task.TaskState, row.Task.CompleteTime = types.ReplaceRootVolumeTaskStateFailed, new(s.cloud.clock.Now().UTC().Format(timeForm))
	s.rootTasks.put(w, row.id(), row)
	s.cloud.schedule(w, rootTaskMemory, "ec2-root-task", row.id())
}

// swapRoot gives an instance its new root. What becomes of the old one is as the
// task says.
func (s *ec2Service) swapRoot(w world, row rootTaskRow) {
	instance, ok := s.instances.get(w, *row.Task.InstanceId)
	if !ok {
		return
	}
	now := s.cloud.clock.Now()
	device, ends := instance.RootDevice, true
	if old, ok := s.rootOf(w, instance.ID); ok {
		device, ends = *old.Attachment.Device, deref(old.Attachment.DeleteOnTermination)
		if deref(row.Task.DeleteReplacedRootVolume) {
			s.removeVolume(w, old.id())
		} else {
			old.Attachment, old.Settled, old.Volume.State = nil, true, types.VolumeStateAvailable
			s.volumes.put(w, old.id(), old)
		}
	}
	row.Volume.Attachment = &types.VolumeAttachment{
		VolumeId: row.Volume.Volume.VolumeId, InstanceId: new(instance.ID), Device: new(device), AttachTime: new(now),
		DeleteOnTermination: new(ends), State: types.VolumeAttachmentStateAttached,
	}
	s.volumes.put(w, row.Volume.id(), row.Volume)
	instance.Layers, instance.OS, instance.User, instance.NewRoot = row.Layers, row.OS, row.User, ""
	if row.Image != "" {
		instance.Image = row.Image
	}
	instance.StatusDue = now.Add(s.later())
	s.instances.put(w, instance.ID, instance)
	row.Task.TaskState, row.Task.CompleteTime = types.ReplaceRootVolumeTaskStateSucceeded, new(now.UTC().Format(timeForm))
	s.rootTasks.put(w, row.id(), row)
	s.cloud.schedule(w, rootTaskMemory, "ec2-root-task", row.id())
}

// rootTaskMemory is how long a task that is over may still be looked at.
const rootTaskMemory = time.Hour

// clearRoot takes the volumes out of a stopped machine's folder and removes what
// the machine has changed; an old root that stays keeps that.
func (h *hosts) clearRoot(ctx context.Context, w world, row instanceRow) error {
	var volumes []volumeRow
	kept := false
	err := h.s.cloud.store.transact(func() error {
		volumes = h.s.volumesOf(w, row.ID)
		if task, ok := h.s.rootTasks.get(w, row.NewRoot); ok {
			kept = !deref(task.Task.DeleteReplacedRootVolume)
		}
		return nil
	})
	for _, v := range volumes {
		switch {
		case !v.Root:
			err = errors.Join(err, h.release(row.ID, v))
		case kept:
			err = errors.Join(err, machine.Purge(h.volumeDir(v.id())), h.takeRoot(ctx, row.ID, h.volumeDir(v.id())))
		}
	}
	if err != nil {
		return err
	}
	return machine.Purge(h.machineDir(row.ID))
}

func (s *ec2Service) showRootTask(w world, row rootTaskRow) types.ReplaceRootVolumeTask {
	task := row.Task
	task.Tags = s.tagList(w, row.id())
	return task
}

func (s *ec2Service) describeRootTasks(c apiCall, in *ec2.DescribeReplaceRootVolumeTasksInput) (*ec2.DescribeReplaceRootVolumeTasksOutput, error) {
	rows, err := needAll(s, s.rootTasks, c.w, rootTaskID, in.ReplaceRootVolumeTaskIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, rootTaskRow.id, filters[rootTaskRow]{
		"instance-id": func(r rootTaskRow) []string { return opt(r.Task.InstanceId) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, rootTaskRow.id, paging{in.MaxResults, in.NextToken, 1, 50})
	out := &ec2.DescribeReplaceRootVolumeTasksOutput{NextToken: next}
	for _, row := range rows {
		out.ReplaceRootVolumeTasks = append(out.ReplaceRootVolumeTasks, s.showRootTask(c.w, row))
	}
	return out, err
}
