package launch

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Where a roll-out says replace: root-volume, an instance stays, with its ID,
// addresses, interfaces and volumes, and takes up another build by EC2's
// ReplaceRootVolume. What it was told as user data can change only while it is
// stopped: so it stops first, and boots over its new root with the new user data.

type rootAPI interface {
	CreateReplaceRootVolumeTask(context.Context, *ec2.CreateReplaceRootVolumeTaskInput, ...func(*ec2.Options)) (*ec2.CreateReplaceRootVolumeTaskOutput, error)
	DescribeReplaceRootVolumeTasks(context.Context, *ec2.DescribeReplaceRootVolumeTasksInput, ...func(*ec2.Options)) (*ec2.DescribeReplaceRootVolumeTasksOutput, error)
	DescribeInstanceAttribute(context.Context, *ec2.DescribeInstanceAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceAttributeOutput, error)
	ModifyInstanceAttribute(context.Context, *ec2.ModifyInstanceAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyInstanceAttributeOutput, error)
}

func (instances) rootAPI(c *cloud.Cloud) rootAPI { return c.EC2 }

// swapsRoot tells whether an instance takes up other builds by another root.
func (w *world) swapsRoot(r *project.Resource) bool {
	if w == nil || w.Topology == nil || r.Adopt != nil {
		return false
	}
	spec := w.Topology.Effective(w.Rollout, r)
	return spec != nil && spec.Replace == project.ReplaceRootVolume
}

// swaps tells whether an item's instance gets another root.
func (it *item) swaps() bool {
	return it.Kind == "instance" && it.action == Update && (it.diffs.has("ami") || it.diffs.has("user_data"))
}

// rootInPlace makes what another root brings changes in place.
func (d differences) rootInPlace() {
	for i := range d {
		if d[i].path == "ami" || d[i].path == "user_data" {
			d[i].replace = ""
		}
	}
}

// swapRoot gives an instance another root and user data, out of its target
// groups. Its tags, which say what it runs, follow when it has proved itself: until
// then another run does all of it again, so that it proves itself then.
func (k instances) swapRoot(ctx context.Context, t *task, w want[instanceSpec], i instance) error {
	id := aws.ToString(i.InstanceId)
	document, err := w.world.userData(w.Resource, w.spec)
	if err != nil {
		return err
	}
	if err := t.leave(ctx, i.groups, id); err != nil {
		return err
	}
	if err := k.tell(ctx, t, id, base64.StdEncoding.EncodeToString(document)); err != nil {
		return err
	}
	if err := k.replaceRoot(ctx, t, id, w.world.ami(w.spec)); err != nil {
		return err
	}
	t.proof = k.tags(w)
	return t.enter(ctx, i.groups, id)
}

// tell makes sure that an instance runs with some user data.
func (k instances) tell(ctx context.Context, t *task, id, encoded string) error {
	now, err := k.told(ctx, t, id)
	if err != nil {
		return err
	}
	if now != encoded {
		if err := k.stop(ctx, t, id); err != nil {
			return err
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return fmt.Errorf("user data of %s: %w", id, err)
		}
		// The SDK encodes this one by itself.
		_, err = k.rootAPI(t.Cloud).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: aws.String(id), UserData: &types.SecureBlobAttributeValue{Value: raw}})
		if err != nil {
			return fmt.Errorf("user_data: %w", err)
		}
	}
	return k.startUnlessRunning(ctx, t, id)
}

// told is an instance's user data, base64.
func (k instances) told(ctx context.Context, t *task, id string) (string, error) {
	out, err := k.rootAPI(t.Cloud).DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: aws.String(id), Attribute: types.InstanceAttributeNameUserData})
	if err != nil {
		return "", fmt.Errorf("user_data: %w", err)
	}
	if out.UserData == nil {
		return "", nil
	}
	return aws.ToString(out.UserData.Value), nil
}

var errRoot = errors.New("the root volume is not replaced yet")

// replaceRoot exchanges the root of an instance that runs for that of an AMI, if
// it has another. The old root goes: what it had belongs to the old build.
func (k instances) replaceRoot(ctx context.Context, t *task, id, ami string) error {
	now, err := t.instance(ctx, id, "run", runDeadline, func(i types.Instance, found bool) (bool, error) {
		return found && stateOf(i) == types.InstanceStateNameRunning, nil
	})
	if err != nil {
		return err
	}
	if aws.ToString(now.ImageId) == ami {
		return k.tagRoot(ctx, t, *now) // an earlier run may not have come to that
	}
	t.progress("replacing the root volume of %s by that of %s", id, ami)
	// A task fails when its instance stops. By the time of the last start the one of
	// an earlier run that is still good is found again, and one that failed is not.
	sum := sha256.Sum256([]byte(strings.Join([]string{t.uuid, id, rootOf(*now), ami, aws.ToTime(now.LaunchTime).UTC().Format(time.RFC3339Nano)}, " ")))
	in := &ec2.CreateReplaceRootVolumeTaskInput{
		InstanceId: aws.String(id), ImageId: aws.String(ami), DeleteReplacedRootVolume: aws.Bool(true), ClientToken: aws.String("goldline-" + hex.EncodeToString(sum[:20])),
	}
	var out *ec2.CreateReplaceRootVolumeTaskOutput
	err = t.again(ctx, func() (err error) {
		out, err = k.rootAPI(t.Cloud).CreateReplaceRootVolumeTask(ctx, in)
		return err
	}, nil)
	if err != nil {
		return fmt.Errorf("replace the root volume: %w", err)
	}
	task := aws.ToString(out.ReplaceRootVolumeTask.ReplaceRootVolumeTaskId)
	err = repeat(ctx, volumeDeadline, func() error { return k.rootReplaced(ctx, t, task) }, func(err error) bool { return errors.Is(err, errRoot) || cloud.NotFound(err) })
	if err != nil {
		return fmt.Errorf("replace the root volume: %w", err)
	}
	after, err := t.instance(ctx, id, "show its new root", volumeDeadline, func(i types.Instance, found bool) (bool, error) {
		return found && aws.ToString(i.ImageId) == ami && rootOf(i) != "" && rootOf(i) != rootOf(*now), nil
	})
	if err != nil {
		return err
	}
	return k.tagRoot(ctx, t, *after)
}

// tagRoot gives a root volume the tags of its instance, as what comes with one
// has them.
func (k instances) tagRoot(ctx context.Context, t *task, i types.Instance) error {
	own := tags.Merge(t.tags)
	if t.Run != "" {
		own[tags.Run] = t.Run
	}
	if err := createTags(ctx, t.Cloud, []string{rootOf(i)}, own); err != nil {
		return fmt.Errorf("tags of the root volume: %w", err)
	}
	return nil
}

func (k instances) rootReplaced(ctx context.Context, t *task, id string) error {
	out, err := k.rootAPI(t.Cloud).DescribeReplaceRootVolumeTasks(ctx, &ec2.DescribeReplaceRootVolumeTasksInput{ReplaceRootVolumeTaskIds: []string{id}})
	if err != nil {
		return err
	}
	for _, task := range out.ReplaceRootVolumeTasks {
		switch task.TaskState {
		case types.ReplaceRootVolumeTaskStateSucceeded:
			return nil
		case types.ReplaceRootVolumeTaskStateFailed, types.ReplaceRootVolumeTaskStateFailedDetached:
			return fmt.Errorf("task %s has %s", id, task.TaskState)
		}
	}
	return errRoot
}

// rootOf is the root volume of an instance.
func rootOf(i types.Instance) string {
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(i.RootDeviceName) {
			return aws.ToString(m.Ebs.VolumeId)
		}
	}
	return ""
}

// unswap gives an instance the root of the build that it had, its user data, its
// tags and its target groups.
func (k instances) unswap(ctx context.Context, t *task) error {
	if err := k.rootLeft(t, *t.swapped); err != nil {
		return err
	}
	old, _ := k.asServed(t, *t.swapped)
	id := aws.ToString(old.InstanceId)
	if err := t.leave(ctx, t.groups, id); err != nil {
		return err
	}
	if err := k.tell(ctx, t, id, t.saw); err != nil {
		return err
	}
	if err := k.replaceRoot(ctx, t, id, aws.ToString(old.ImageId)); err != nil {
		return err
	}
	was, set := cloud.TagSet(old.Tags), map[string]string{}
	for _, key := range rootTags {
		if value, ok := was[key]; ok {
			set[key] = value
		}
	}
	if err := createTags(ctx, t.Cloud, []string{id}, set); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	if err := k.answers(ctx, t, id); err != nil {
		return err
	}
	return k.rejoin(ctx, t, old)
}

// rootTags say what an instance runs. They change with its root.
var rootTags = []string{tags.Digest, tags.Image, tags.Version}
