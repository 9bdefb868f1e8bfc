package bake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// easeStep takes back what bake_volume gave the root volume: CreateImage notes
// what a volume is like, and cannot be told otherwise. The change goes on while
// the builder stops; easedStep waits for it.
type easeStep struct{}

func (easeStep) name() string                      { return "root volume" }
func (easeStep) undo(context.Context, *bake) error { return nil }

func (easeStep) run(ctx context.Context, b *bake) error {
	bakes, lasts := bakeVolume(b.image), lastingVolume(b.image, b.source)
	if bakes == nil || sameVolume(bakes, lasts) {
		return nil
	}
	id := rootVolume(b.instance)
	if id == "" {
		return fmt.Errorf("builder %s shows no root volume", b.builder.id)
	}
	in := &ec2.ModifyVolumeInput{VolumeId: aws.String(id), VolumeType: lasts.VolumeType, Iops: lasts.Iops, Throughput: lasts.Throughput}
	_, err := cloud.Once(ctx, b.cloud, func(ctx context.Context) (string, bool, error) {
		m, err := b.modification(ctx, id)
		return id, m != nil, err
	}, func(ctx context.Context) (string, error) {
		_, err := b.cloud.EC2.ModifyVolume(ctx, in)
		return id, err
	})
	if err != nil {
		return fmt.Errorf("make root volume %s %s again: %w", id, describeVolume(lasts), err)
	}
	b.eased = id
	b.tell(event.Changed, id, "root volume %s is %s again", id, describeVolume(lasts))
	return nil
}

// easedStep waits until the root volume is what the AMI is to say of it.
type easedStep struct{}

func (easedStep) name() string                      { return "root volume changed" }
func (easedStep) undo(context.Context, *bake) error { return nil }

// modifiedTime is how long the first part of a change of a volume may take, after
// which the volume shows it. AWS calls it a few seconds.
const modifiedTime = 10 * time.Minute

func (easedStep) run(ctx context.Context, b *bake) error {
	if b.eased == "" {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, b.deadline(modifiedTime))
	defer cancel()
	began := time.Now()
	defer func() { b.waitedFor(easedStep{}.name(), "change of root volume "+b.eased, began) }()
	for pause := b.cloud.Pace(); ; pause = min(2*pause, 5*time.Second) {
		m, err := b.modification(within, b.eased)
		switch {
		case err != nil:
			return fmt.Errorf("change of root volume %s: %w", b.eased, err)
		case m != nil && m.ModificationState == types.VolumeModificationStateFailed:
			return fmt.Errorf("change of root volume %s failed: %s", b.eased, aws.ToString(m.StatusMessage))
		case m != nil && m.ModificationState != types.VolumeModificationStateModifying:
			return nil
		}
		if cloud.Sleep(within, pause) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("change of root volume %s: not begun within %s", b.eased, b.deadline(modifiedTime))
		}
	}
}

// modification is the last change of a volume; nil for none.
func (b *bake) modification(ctx context.Context, volume string) (*types.VolumeModification, error) {
	out, err := b.cloud.EC2.DescribeVolumesModifications(ctx, &ec2.DescribeVolumesModificationsInput{Filters: []types.Filter{cloud.Filter("volume-id", volume)}})
	if err != nil || len(out.VolumesModifications) == 0 {
		return nil, err
	}
	return &out.VolumesModifications[0], nil
}

// checkLasting warns where the AMI notes the root volume as it was during the
// bake all the same: every instance of it would have, and cost, that.
func (b *bake) checkLasting(ami types.Image) {
	bakes := bakeVolume(b.image)
	for _, m := range ami.BlockDeviceMappings {
		if b.eased != "" && m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(ami.RootDeviceName) && sameVolume(m.Ebs, bakes) {
			b.say(event.Warning, "%s still says %s of its root volume, as it was during the bake; say what instances of it are to have where they are launched", aws.ToString(ami.ImageId), describeVolume(m.Ebs))
		}
	}
}

// bakeVolume is what the root volume is like during the bake; nil where the
// recipe leaves that as it is.
func bakeVolume(image *project.Image) *types.EbsBlockDevice {
	v := image.BakeVolume
	if v == nil {
		return nil
	}
	ebs := &types.EbsBlockDevice{VolumeType: types.VolumeType(orText(v.VolumeType, "gp3"))}
	if v.IOPS > 0 {
		ebs.Iops = aws.Int32(int32(v.IOPS))
	}
	if v.Throughput > 0 {
		ebs.Throughput = aws.Int32(int32(v.Throughput))
	}
	return performs(ebs)
}

// lastingVolume is what the AMI is to say of its root volume: what the recipe
// gives, or what the source image has.
func lastingVolume(image *project.Image, source types.Image) *types.EbsBlockDevice {
	ebs := &types.EbsBlockDevice{VolumeType: types.VolumeTypeGp2} // EC2's default
	for _, m := range source.BlockDeviceMappings {
		if aws.ToString(m.DeviceName) == aws.ToString(source.RootDeviceName) && m.Ebs != nil {
			ebs = &types.EbsBlockDevice{VolumeType: m.Ebs.VolumeType, Iops: m.Ebs.Iops, Throughput: m.Ebs.Throughput}
		}
	}
	for _, d := range image.LaunchBlockDeviceMappings {
		given := device(d).Ebs
		if d.DeviceName != aws.ToString(source.RootDeviceName) || given == nil {
			continue
		}
		if given.VolumeType != "" && given.VolumeType != ebs.VolumeType {
			ebs = &types.EbsBlockDevice{VolumeType: given.VolumeType}
		}
		if given.Iops != nil {
			ebs.Iops = given.Iops
		}
		if given.Throughput != nil {
			ebs.Throughput = given.Throughput
		}
	}
	return performs(ebs)
}

// performs completes what a volume is like by AWS's defaults, and leaves out
// what cannot be said of its type.
func performs(ebs *types.EbsBlockDevice) *types.EbsBlockDevice {
	switch ebs.VolumeType {
	case types.VolumeTypeGp3:
		if ebs.Iops == nil {
			ebs.Iops = aws.Int32(3000)
		}
		if ebs.Throughput == nil {
			ebs.Throughput = aws.Int32(125)
		}
	case types.VolumeTypeIo1, types.VolumeTypeIo2:
		ebs.Throughput = nil
	default:
		ebs.Iops, ebs.Throughput = nil, nil
	}
	return ebs
}

func sameVolume(a, b *types.EbsBlockDevice) bool {
	return a.VolumeType == b.VolumeType && aws.ToInt32(a.Iops) == aws.ToInt32(b.Iops) && aws.ToInt32(a.Throughput) == aws.ToInt32(b.Throughput)
}

func describeVolume(ebs *types.EbsBlockDevice) string {
	text := string(ebs.VolumeType)
	if ebs.Iops != nil {
		text += fmt.Sprintf(" with %d IOPS", *ebs.Iops)
	}
	if ebs.Throughput != nil {
		text += fmt.Sprintf(" and %d MiB/s", *ebs.Throughput)
	}
	return text
}

func rootVolume(i types.Instance) string {
	for _, m := range i.BlockDeviceMappings {
		if aws.ToString(m.DeviceName) == aws.ToString(i.RootDeviceName) && m.Ebs != nil {
			return aws.ToString(m.Ebs.VolumeId)
		}
	}
	return ""
}

// takePreSnapshot begins a snapshot of the root volume. The AMI's own copies
// only what has changed since, whatever state the file system was in. It is no
// failure when it cannot be taken.
func (b *bake) takePreSnapshot(ctx context.Context) {
	id := rootVolume(b.instance)
	if id == "" || ctx.Err() != nil {
		return
	}
	ctx, cancel := outlive(ctx)
	defer cancel()
	b.pre.tried = true
	made, err := cloud.Once(ctx, b.cloud, b.findPreSnapshot, func(ctx context.Context) (string, error) {
		out, err := b.cloud.EC2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
			VolumeId: aws.String(id), Description: aws.String("Temporary: goldline bake " + b.image.Name),
			TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeSnapshot, tags.Merge(b.temporary(nil), map[string]string{tags.Name: b.preName()}))},
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SnapshotId), nil
	})
	if err != nil {
		b.say(event.Warning, "no snapshot could be taken ahead: %v", err)
		return
	}
	b.pre.id = made
	b.tell(event.Created, made, "snapshot %s, taken ahead", made)
}

func (b *bake) preName() string { return "goldline pre-snapshot " + b.image.Name }

func (b *bake) findPreSnapshot(ctx context.Context) (id string, ok bool, err error) {
	out, err := b.cloud.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, Filters: append(b.mine(), cloud.Filter("tag:"+tags.Name, b.preName())),
	})
	if err != nil || len(out.Snapshots) == 0 {
		return "", false, err
	}
	return aws.ToString(out.Snapshots[0].SnapshotId), true, nil
}

// removePreSnapshot deletes it, which may be done while it is still being made:
// what the AMI's own needs of it stays.
func (b *bake) removePreSnapshot(ctx context.Context) error {
	if !b.pre.tried {
		return nil
	}
	id := b.pre.id
	if id == "" {
		found, ok, err := b.findPreSnapshot(ctx)
		if err != nil {
			return b.stays(fmt.Errorf("look for a snapshot taken ahead: %w", err), "perhaps a snapshot named "+b.preName(), "describe-snapshots --filters 'Name=tag:Name,Values=%s'", b.preName())
		}
		if !ok {
			b.pre = made{}
			return nil
		}
		id = found
	}
	if err := deleteSnapshot(ctx, b.cloud, id); err != nil {
		return b.stays(fmt.Errorf("delete %s: %w", id, err), "snapshot "+id, "delete-snapshot --snapshot-id %s", id)
	}
	b.tell(event.Removed, id, "snapshot %s", id)
	b.pre = made{}
	return nil
}

// checkSpeed reports volumes that EC2 would refuse, and what keeps no image.
func checkSpeed(i *project.Image, l *diag.List) {
	if err := checkBakeVolume(i.BakeVolume); err != nil {
		l.Addf(i.At("bake_volume"), "bake_volume: %v", err)
	}
	checkCache(i, l)
}

// iopsPerGiB is how many IOPS a type of volume takes for each GiB of its size.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
var iopsPerGiB = map[types.VolumeType]int32{types.VolumeTypeGp3: 500, types.VolumeTypeIo1: 50, types.VolumeTypeIo2: 1000}

// fits refuses IOPS that the root volume is too small for.
func (b *bake) fits() error {
	v := bakeVolume(b.image)
	if v == nil {
		return nil
	}
	size := rootSize(b.source)
	for _, d := range b.image.LaunchBlockDeviceMappings {
		if d.DeviceName == aws.ToString(b.source.RootDeviceName) && d.VolumeSize > 0 {
			size = aws.Int32(int32(d.VolumeSize))
		}
	}
	most := iopsPerGiB[v.VolumeType] * aws.ToInt32(size)
	if v.VolumeType == types.VolumeTypeGp3 {
		most = max(most, 3000) // which every gp3 has
	}
	if size == nil || aws.ToInt32(v.Iops) <= most {
		return nil
	}
	err := fail.Inputf("%s: bake_volume: a root volume of %d GiB takes at most %d IOPS of %s", b.image.At("bake_volume"), *size, most, v.VolumeType)
	return fail.WithHint(err, "give less, or a larger volume_size in launch_block_device_mappings")
}

func checkBakeVolume(v *project.BakeVolume) error {
	if v == nil {
		return nil
	}
	kind := orText(v.VolumeType, "gp3")
	iops, throughput := v.IOPS, v.Throughput
	switch {
	case kind != "gp3" && iops == 0:
		return fmt.Errorf("%s needs iops", kind)
	case kind != "gp3" && throughput != 0:
		return fmt.Errorf("throughput is of gp3, not of %s", kind)
	case kind == "gp3" && iops != 0 && iops < 3000:
		return errors.New("gp3 has at least 3000 iops")
	case throughput*4 > max(iops, 3000):
		return fmt.Errorf("throughput of %d needs at least %d iops", throughput, throughput*4)
	}
	return nil
}
