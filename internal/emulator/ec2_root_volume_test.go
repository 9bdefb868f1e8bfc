package emulator

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// awaitRoot waits for the end of a root volume's replacement.
func awaitRoot(t *testing.T, c *testCloud, task string) types.ReplaceRootVolumeTask {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitAtMost)
	defer cancel()
	for {
		out := must(c.ec2.DescribeReplaceRootVolumeTasks(ctx, &ec2.DescribeReplaceRootVolumeTasksInput{ReplaceRootVolumeTaskIds: []string{task}}))(t)
		if state := out.ReplaceRootVolumeTasks[0].TaskState; state != types.ReplaceRootVolumeTaskStatePending && state != types.ReplaceRootVolumeTaskStateInProgress {
			return out.ReplaceRootVolumeTasks[0]
		}
		pause(ctx)
	}
}

// TestReplaceRootVolume: the instance boots over the new root and keeps its ID,
// its addresses and its other volumes with what they hold.
func TestReplaceRootVolume(t *testing.T) {
	c := newTestCloud(t, Options{Machine: machine.InProcess})
	ctx := t.Context()
	first := run(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData = script("mkdir -p /opt/app", "echo new > /opt/app/build")
	})
	awaitBooted(t, c, *first.InstanceId)
	image := awaitImage(t, c, *must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: first.InstanceId, Name: new("app-2")}))(t).ImageId)
	before := run(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData = script("mkdir -p /opt/old", "echo old > /opt/old/build")
		in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: new(int32(1)), DeleteOnTermination: new(false)}}}
	})
	id := *before.InstanceId
	awaitBooted(t, c, id)
	before = instanceNow(t, c, id)
	inside := func(path string) string { return filepath.Join(c.dir, "machines", id, filepath.FromSlash(path)) }
	if err := os.WriteFile(inside("dev/sdf/ledger"), []byte("42\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	in := &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, ImageId: image.ImageId, ClientToken: new("once"), TagSpecifications: tagging(types.ResourceTypeReplaceRootVolumeTask, "why", "test")}
	made := must(c.ec2.CreateReplaceRootVolumeTask(ctx, in))(t).ReplaceRootVolumeTask
	if again := must(c.ec2.CreateReplaceRootVolumeTask(ctx, in))(t).ReplaceRootVolumeTask; *again.ReplaceRootVolumeTaskId != *made.ReplaceRootVolumeTaskId {
		t.Error("the same token began another task")
	}
	if done := awaitRoot(t, c, *made.ReplaceRootVolumeTaskId); done.TaskState != types.ReplaceRootVolumeTaskStateSucceeded || done.CompleteTime == nil || len(done.Tags) != 1 {
		t.Fatalf("task %+v", done)
	}
	awaitBooted(t, c, id)
	now := instanceNow(t, c, id)
	if *now.ImageId != *image.ImageId || *now.PrivateIpAddress != *before.PrivateIpAddress || *now.PublicIpAddress != *before.PublicIpAddress || len(now.BlockDeviceMappings) != 2 {
		t.Errorf("instance %+v, was %+v", now, before)
	}
	if got, _ := os.ReadFile(inside("dev/sdf/ledger")); string(got) != "42\n" {
		t.Errorf("the volume holds %q", got)
	}
	oldRoot := rootVolume(before)
	old := must(c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{oldRoot}}))(t).Volumes[0]
	if old.State != types.VolumeStateAvailable || rootVolume(now) == oldRoot {
		t.Errorf("the old root is %+v", old)
	}
	// Back to what it was launched from, and the root in between goes.
	made = must(c.ec2.CreateReplaceRootVolumeTask(ctx, &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, ImageId: before.ImageId, DeleteReplacedRootVolume: new(true)}))(t).ReplaceRootVolumeTask
	awaitRoot(t, c, *made.ReplaceRootVolumeTaskId)
	_, err := c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{rootVolume(now)}})
	wantCode(t, err, "InvalidVolume.NotFound")
	must(c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	awaitState(t, c, id, stateStopped)
	_, err = c.ec2.CreateReplaceRootVolumeTask(ctx, &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id})
	wantCode(t, err, "IncorrectInstanceState")
}

func rootVolume(i types.Instance) string {
	for _, m := range i.BlockDeviceMappings {
		if *m.DeviceName == *i.RootDeviceName {
			return *m.Ebs.VolumeId
		}
	}
	return ""
}
