package launch

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type volumeAPI interface {
	CreateVolume(context.Context, *ec2.CreateVolumeInput, ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error)
	ModifyVolume(context.Context, *ec2.ModifyVolumeInput, ...func(*ec2.Options)) (*ec2.ModifyVolumeOutput, error)
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error)
}

type volumeSpec struct {
	AvailabilityZone string `yaml:"availability_zone" alias:"az" required:"true" change:"replaces" doc:"The zone, that of the instances which use the volume: eu-central-1a, or a for the one of that letter."`
	Size             int    `yaml:"size" min:"1" max:"65536" change:"grows in place; a smaller size replaces" doc:"Size in GiB; by default the snapshot's."`
	VolumeType       string `yaml:"volume_type" enum:"gp2,gp3,io1,io2,st1,sc1,standard" doc:"Type of the volume." default:"gp3"`
	IOPS             int    `yaml:"iops" min:"100" doc:"Input and output operations a second: 3000 to 80000 with gp3, 100 to 64000 with io1, 100 to 256000 with io2."`
	Throughput       int    `yaml:"throughput" min:"125" max:"2000" doc:"Throughput in MiB/s, with gp3."`
	Encrypted        *bool  `yaml:"encrypted" change:"replaces" doc:"Whether the volume is encrypted." default:"true"`
	KmsKeyID         string `yaml:"kms_key_id" change:"replaces" doc:"Key of the encryption: its ARN, its ID or an alias; by default the account's."`
	SnapshotID       string `yaml:"snapshot_id" change:"replaces" doc:"Snapshot that the volume starts from."`
}

// kind is the type of the volume with the default in its place.
func (s *volumeSpec) kind() string {
	if s.VolumeType == "" {
		return string(types.VolumeTypeGp3)
	}
	return s.VolumeType
}

func (s *volumeSpec) encrypted() bool { return s.Encrypted == nil || *s.Encrypted }

type volumes struct{}

func (volumes) api(c *cloud.Cloud) volumeAPI { return c.EC2 }

func (volumes) about() project.Kind {
	return project.Kind{Name: "volume", Doc: "A disk that outlives the instances that use it.", Attributes: []string{"id", "availability_zone", "size"}, Traits: []string{"device"}, Owners: map[string]string{"instance": "instance"}}
}

// volumeLimits are what EC2 takes for a type: size in GiB and IOPS.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
func volumeLimits(kind string) (minSize, maxSize, minIOPS, maxIOPS int) {
	switch types.VolumeType(kind) {
	case types.VolumeTypeGp3:
		return 1, 65536, 3000, 80000
	case types.VolumeTypeIo1:
		return 4, 16384, 100, 64000
	case types.VolumeTypeIo2:
		return 4, 65536, 100, 256000
	case types.VolumeTypeSt1, types.VolumeTypeSc1:
		return 125, 16384, 0, 0
	case types.VolumeTypeStandard:
		return 1, 1024, 0, 0
	}
	return 1, 16384, 0, 0
}

func (volumes) check(c *checker, d definition[volumeSpec]) {
	c.zone(d.Resource, "availability_zone", d.spec.AvailabilityZone)
	checkVolume(c, d.Resource, "", d.spec.kind(), d.spec.Size, d.spec.IOPS, d.spec.Throughput)
	if d.spec.Size == 0 && d.spec.SnapshotID == "" {
		c.problems.Addf(d.Pos, "a volume needs a size or a snapshot_id")
	}
	if !d.spec.encrypted() && d.spec.KmsKeyID != "" {
		c.problems.Addf(d.At("kms_key_id"), "a key for a volume that is not encrypted")
	}
	types := d.spec.kind()
	if (types == "io1" || types == "io2") && d.spec.IOPS == 0 {
		c.problems.Addf(d.At("volume_type"), "a volume of type %s needs iops", types)
	}
}

// checkVolume reports sizes and rates that EC2 would refuse; prefix is the
// path of the block that holds them.
func checkVolume(c *checker, r *project.Resource, prefix, kind string, size, iops, throughput int) {
	minSize, maxSize, minIOPS, maxIOPS := volumeLimits(kind)
	if size != 0 && (size < minSize || size > maxSize) {
		c.problems.Addf(r.At(prefix+"size"), "%d GiB: EC2 takes %d to %d for a volume of type %s", size, minSize, maxSize, kind)
	}
	switch {
	case iops == 0:
	case maxIOPS == 0:
		c.problems.Addf(r.At(prefix+"iops"), "a volume of type %s takes no iops", kind)
	case iops < minIOPS || iops > maxIOPS:
		c.problems.Addf(r.At(prefix+"iops"), "%d IOPS: EC2 takes %d to %d for a volume of type %s", iops, minIOPS, maxIOPS, kind)
	}
	if throughput != 0 && kind != string(types.VolumeTypeGp3) {
		c.problems.Addf(r.At(prefix+"throughput"), "a volume of type %s takes no throughput: only gp3 does", kind)
	}
	checkRatios(c, r, prefix, kind, size, iops, throughput)
}

// iopsPerGiB is how many IOPS EC2 takes for each GiB of a volume; gp3 may have
// 3000 whatever its size.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
func iopsPerGiB(kind string) int {
	switch types.VolumeType(kind) {
	case types.VolumeTypeGp3:
		return 500
	case types.VolumeTypeIo1:
		return 50
	case types.VolumeTypeIo2:
		return 1000
	}
	return 0
}

// checkRatios reports rates that are too high for the volume's size, or for
// each other.
func checkRatios(c *checker, r *project.Resource, prefix, kind string, size, iops, throughput int) {
	gp3 := kind == string(types.VolumeTypeGp3)
	if ratio := iopsPerGiB(kind); ratio != 0 && size != 0 && iops > size*ratio && !(gp3 && iops <= 3000) {
		c.problems.AddHint(r.At(prefix+"iops"), fmt.Sprintf("%d GiB take %d", size, size*ratio), "%d IOPS: EC2 takes %d for each GiB of a volume of type %s", iops, ratio, kind)
	}
	if rate := max(iops, 3000); gp3 && throughput > rate/4 {
		c.problems.AddHint(r.At(prefix+"throughput"), fmt.Sprintf("give iops: %d", throughput*4), "%d MiB/s: EC2 takes a quarter of the IOPS, which are %d", throughput, rate)
	}
}

func (volumes) list(ctx context.Context, q query) ([]types.Volume, error) {
	var all []types.Volume
	err := each(ctx, ec2.NewDescribeVolumesPaginator(q.cloud.EC2, &ec2.DescribeVolumesInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeVolumesOutput) {
		all = append(all, page.Volumes...)
	})
	return all, err
}

func (volumes) read(v types.Volume) state {
	s := state{
		id: aws.ToString(v.VolumeId), tags: cloud.TagSet(v.Tags),
		gone: v.State == types.VolumeStateDeleting || v.State == types.VolumeStateDeleted,
		attributes: map[string]string{
			"availability_zone": aws.ToString(v.AvailabilityZone), "size": strconv.Itoa(int(aws.ToInt32(v.Size))),
		},
	}
	if len(v.Attachments) == 1 {
		s.attributes["device"] = aws.ToString(v.Attachments[0].Device)
	}
	return s
}

func (volumes) compare(w want[volumeSpec], v types.Volume) (d differences) {
	lost := func(path, old, new string) string {
		return fmt.Sprintf("%s: %s -> %s; the contents are not carried over", path, orNothing(old), orNothing(new))
	}
	fixed := func(path, old, new string) { d.fixed(path, old, new, lost(path, old, new)) }
	fixed("availability_zone", aws.ToString(v.AvailabilityZone), w.world.zone(w.spec.AvailabilityZone))
	have := int(aws.ToInt32(v.Size))
	old, size := strconv.Itoa(have), strconv.Itoa(w.spec.Size)
	switch {
	case w.spec.Size == 0:
	case w.spec.Size < have:
		d.fixed("size", old, size, lost("size", old+" GiB", size+" GiB, and EC2 shrinks no volume"))
	default:
		d.set("size", old, size)
	}
	d.set("volume_type", string(v.VolumeType), w.spec.kind())
	if w.spec.IOPS != 0 {
		d.set("iops", strconv.Itoa(int(aws.ToInt32(v.Iops))), strconv.Itoa(w.spec.IOPS))
	}
	if w.spec.Throughput != 0 {
		d.set("throughput", strconv.Itoa(int(aws.ToInt32(v.Throughput))), strconv.Itoa(w.spec.Throughput))
	}
	fixed("encrypted", fmt.Sprint(aws.ToBool(v.Encrypted)), fmt.Sprint(w.spec.encrypted()))
	if w.spec.KmsKeyID != "" && !w.world.sameKey(aws.ToString(v.KmsKeyId), w.spec.KmsKeyID) {
		fixed("kms_key_id", aws.ToString(v.KmsKeyId), w.spec.KmsKeyID)
	}
	if w.spec.SnapshotID != "" {
		fixed("snapshot_id", aws.ToString(v.SnapshotId), w.spec.SnapshotID)
	}
	return d
}

func (k volumes) create(ctx context.Context, t *task, w want[volumeSpec]) (types.Volume, error) {
	out, err := k.api(t.Cloud).CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String(w.world.zone(w.spec.AvailabilityZone)), Size: number(w.spec.Size), VolumeType: types.VolumeType(w.spec.kind()),
		Iops: number(w.spec.IOPS), Throughput: number(w.spec.Throughput), Encrypted: aws.Bool(w.spec.encrypted()),
		KmsKeyId: optional(w.spec.KmsKeyID), SnapshotId: optional(w.spec.SnapshotID),
		ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeVolume),
	})
	if err != nil {
		return types.Volume{}, err
	}
	t.begun = aws.ToString(out.VolumeId)
	return t.volume(ctx, t.begun, "be available", func(v types.Volume, found bool) (bool, error) {
		switch {
		case found && v.State == types.VolumeStateError:
			return false, fmt.Errorf("volume %s failed", aws.ToString(v.VolumeId))
		case found && (v.State == types.VolumeStateDeleting || v.State == types.VolumeStateDeleted):
			return true, nil // an earlier one of the same token
		}
		return found && v.State != types.VolumeStateCreating, nil
	})
}

func (k volumes) update(ctx context.Context, t *task, w want[volumeSpec], v types.Volume, d differences) error {
	in := &ec2.ModifyVolumeInput{VolumeId: v.VolumeId}
	if d.has("size") {
		in.Size = number(w.spec.Size)
	}
	if d.has("volume_type") {
		in.VolumeType = types.VolumeType(w.spec.kind())
	}
	if d.has("iops") || d.has("volume_type") {
		in.Iops = number(w.spec.IOPS)
	}
	if d.has("throughput") || d.has("volume_type") {
		in.Throughput = number(w.spec.Throughput)
	}
	_, err := k.api(t.Cloud).ModifyVolume(ctx, in)
	return err
}

func (k volumes) remove(ctx context.Context, t *task, v types.Volume) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
		return err
	})
}

// volume waits for a volume.
func (t *task) volume(ctx context.Context, id, what string, done func(v types.Volume, found bool) (bool, error)) (types.Volume, error) {
	return t.Cloud.Volumes.Wait(ctx, cloud.Wait[types.Volume]{
		ID: id, For: "volume " + id + " to " + what, Deadline: volumeDeadline, Done: done,
		Show: func(v types.Volume) string { return string(v.State) }, Progress: t.waiting("volume " + id),
	})
}
