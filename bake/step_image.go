package bake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/google/uuid"
)

// imageStep makes the AMI, with all of its tags. From here on a bake that dies
// leaves a build that the next one finds and finishes.
type imageStep struct{}

func (imageStep) name() string { return "create image" }

func (imageStep) run(ctx context.Context, b *bake) error {
	in, err := b.imageInput(ctx)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := outlive(ctx)
	defer cancel()
	b.ami.tried, b.fresh = true, true
	b.ami.id, err = b.createImage(ctx, in)
	if cloud.AlreadyExists(err) {
		if err = b.makeWay(ctx); err == nil && b.ami.id == "" {
			b.ami.id, err = b.createImage(ctx, in)
		}
	}
	if err != nil {
		return fmt.Errorf("create image %q: %w", b.amiName, err)
	}
	b.tell(event.Created, b.ami.id, "image %s (%s)", b.ami.id, b.amiName)
	return nil
}

func (b *bake) createImage(ctx context.Context, in *ec2.CreateImageInput) (string, error) {
	return cloud.Once(ctx, b.cloud, func(ctx context.Context) (string, bool, error) {
		found, err := b.named(ctx)
		if err != nil || len(found) == 0 || cloud.TagSet(found[0].Tags)[tags.Run] != b.options.Run {
			return "", false, err
		}
		return aws.ToString(found[0].ImageId), true, nil
	}, func(ctx context.Context) (string, error) {
		id, untagged, err := b.sendCreateImage(ctx, in)
		if untagged != nil {
			b.untagged = untagged
		}
		return id, err
	})
}

// sendCreateImage makes the call. Not every endpoint that speaks EC2's language
// can tag snapshots as it makes an AMI: untagged are the tags that they have still
// to get. in has tags of the AMI and then of its snapshots.
func (b *Baker) sendCreateImage(ctx context.Context, in *ec2.CreateImageInput) (id string, untagged []types.Tag, err error) {
	without := func() {
		if len(in.TagSpecifications) > 1 {
			in.TagSpecifications, untagged = in.TagSpecifications[:1], in.TagSpecifications[1].Tags
		}
	}
	if b.tagsLater.Load() {
		without()
	}
	out, err := b.options.Cloud.EC2.CreateImage(ctx, in)
	if brokeDown(err) && len(in.TagSpecifications) > 1 {
		without()
		out, err = b.options.Cloud.EC2.CreateImage(ctx, in)
		b.tagsLater.Store(err == nil)
	}
	if err != nil {
		return "", untagged, err
	}
	return aws.ToString(out.ImageId), untagged, nil
}

// brokeDown tells whether an endpoint answered, but as nothing that belongs to
// AWS does.
func brokeDown(err error) bool {
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() >= 500 && cloud.Code(err) == ""
}

// named gives the AMI of this bake's name. Names are unique in an account and
// region.
func (b *bake) named(ctx context.Context) ([]types.Image, error) {
	return describeAMIs(ctx, b.cloud, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("name", b.amiName)}})
}

// makeWay deals with an AMI that has the name already: this run's own is the
// one; another one goes if the recipe says so.
func (b *bake) makeWay(ctx context.Context) error {
	found, err := b.named(ctx)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("the name is taken, but by no AMI that can be seen")
	}
	old := found[0]
	set := cloud.TagSet(old.Tags)
	switch {
	case b.ownAMI(old) && fingerprintOf(set) == b.fingerprint:
		b.ami.id = aws.ToString(old.ImageId)
		return nil
	case b.worthless(set):
		return b.removeAMI(ctx, old, true)
	case b.image.ForceDeregister:
		return b.removeAMI(ctx, old, b.image.ForceDeleteSnapshot)
	}
	err = fmt.Errorf("the name is taken by %s", aws.ToString(old.ImageId))
	return fail.WithHint(err, "give ami_name a part that changes, such as {{timestamp}}, or force_deregister: true, in %s", b.image.File)
}

// ownAMI tells whether this bake made an AMI. Another recipe of the run may have
// come to the same name first.
func (b *bake) ownAMI(ami types.Image) bool {
	set := cloud.TagSet(ami.Tags)
	return set[tags.Run] == b.options.Run && set[tags.Image] == b.image.Name
}

// worthless tells whether an AMI of this project is one that failed its tests
// and was kept to be looked into, or never came to them and has no bake any
// more.
func (b *bake) worthless(set map[string]string) bool {
	switch {
	case set[tags.Project] != b.options.Project || set[tags.Image] != b.image.Name:
		return false
	case set[tags.Failed] != "":
		return true
	}
	return isCandidate(set) && b.options.DeadRun != nil && b.options.DeadRun(set[tags.Run])
}

func (b *bake) imageInput(ctx context.Context) (*ec2.CreateImageInput, error) {
	var err error
	if b.amiName, err = b.nameOfAMI(); err != nil {
		return nil, err
	}
	description, err := b.render("ami_description", b.image.AMIDescription, b.sourceData())
	if err != nil {
		return nil, err
	}
	onAMI, err := b.renderTags("tags", b.image.Tags)
	if err != nil {
		return nil, err
	}
	onSnapshot, err := b.renderTags("snapshot_tags", b.image.SnapshotTags)
	if err != nil {
		return nil, err
	}
	set := tags.Merge(b.buildTags(onAMI), b.describeBuild(ctx))
	in := &ec2.CreateImageInput{
		InstanceId:          aws.String(b.builder.id),
		Name:                aws.String(b.amiName),
		BlockDeviceMappings: imageDevices(b.image),
		TagSpecifications: []types.TagSpecification{
			cloud.TagSpec(types.ResourceTypeImage, set),
			cloud.TagSpec(types.ResourceTypeSnapshot, tags.Merge(set, onSnapshot)),
		},
	}
	if description != "" {
		in.Description = aws.String(description)
	}
	if b.narrowsBoot() {
		in.BootModeOverride = types.BootModeOverrideValuesUefi
	}
	return in, nil
}

func (b *bake) nameOfAMI() (string, error) {
	if b.image.AMIName != "" {
		name, err := b.render("ami_name", b.image.AMIName, b.sourceData())
		if err == nil {
			name = b.nameFor(name)
			if err = checkName(name); err != nil {
				err = fail.Inputf("%s: ami_name: %w", b.image.At("ami_name"), err)
			}
		}
		return name, err
	}
	end := b.nameFor("") + "-" + short(b.fingerprint)
	if b.options.Rebake {
		end += "-" + short(digestOf(b.options.Run, b.started.Format(time.RFC3339Nano))) // the first one keeps its name
	}
	if b.instead != "" {
		end += "-" + short(digestOf(b.instead))
	}
	name := cleanName(b.options.Project + "/" + b.image.Name + "/" + b.version)
	return name[:min(len(name), 128-len(end))] + end, nil
}

// nameFor is a name with the architecture, which tells the AMIs of a build for
// several apart: names are unique in an account and region.
func (b *bake) nameFor(name string) string {
	if b.family == nil || strings.Contains(name, b.image.Architecture) {
		return name
	}
	return name + "-" + b.image.Architecture
}

// buildTags are the AMI's, by which it is found, recognised and promoted.
func (b *bake) buildTags(own map[string]string) map[string]string {
	set := tags.Merge(map[string]string{tags.Name: b.amiName}, b.options.Tags, own, map[string]string{
		tags.Project:     b.options.Project,
		tags.Environment: b.options.Environment,
		tags.Image:       b.image.Name,
		tags.Version:     b.version,
		tags.Fingerprint: b.fingerprint,
		tags.SourceImage: aws.ToString(b.source.ImageId),
		tags.Run:         b.options.Run,
		tags.UUID:        b.buildUUID(),
		tags.AutoCleanup: "true",
	})
	if b.family != nil {
		set = tags.Merge(set, b.architectureTag(), map[string]string{tags.Architectures: b.family.names()})
	}
	if b.onTrial() {
		delete(set, tags.Fingerprint)
		set[tags.Candidate], set[tags.Expires] = b.fingerprint, b.expiry().Format(time.RFC3339)
	}
	return set
}

// buildUUID is the identity of the build, which its AMI and snapshots carry.
func (b *bake) buildUUID() string {
	identity := b.options.Project + "/" + b.image.Name + "/" + b.amiName
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("goldline image "+identity)).String()
}

// imageDevices are what the AMI says of volumes besides what the builder has:
// the recipe's own, and whether a builder's volume stays when an instance of the
// AMI ends, which is the one thing that CreateImage may change of one.
func imageDevices(image *project.Image) []types.BlockDeviceMapping {
	var devices []types.BlockDeviceMapping
	given := map[string]bool{}
	for _, d := range image.AMIBlockDeviceMappings {
		given[d.DeviceName] = true
		devices = append(devices, device(d))
	}
	for _, d := range image.LaunchBlockDeviceMappings {
		if given[d.DeviceName] || d.DeleteOnTermination || d.NoDevice || d.VirtualName != "" {
			continue
		}
		devices = append(devices, types.BlockDeviceMapping{
			DeviceName: aws.String(d.DeviceName),
			Ebs:        &types.EbsBlockDevice{DeleteOnTermination: aws.Bool(false)},
		})
	}
	return devices
}

func (imageStep) undo(ctx context.Context, b *bake) error {
	if !b.ami.tried || b.accepted {
		return nil
	}
	found, err := b.named(ctx)
	if err == nil && b.ami.id != "" && len(found) == 0 { // made moments ago, and not to be seen by name yet
		found, err = describeAMIs(ctx, b.cloud, &ec2.DescribeImagesInput{ImageIds: []string{b.ami.id}})
	}
	switch {
	case err == nil && len(found) > 0 && b.ownAMI(found[0]):
		err = b.removeAMI(ctx, found[0], true)
	case (err == nil || cloud.NotFound(err)) && len(found) == 0 && b.ami.id != "":
		err = b.removeSnapshots(ctx)
	}
	if err != nil && !cloud.NotFound(err) {
		what := orText(b.ami.id, "perhaps image "+b.amiName)
		return b.stays(fmt.Errorf("remove %s: %w", what, err), what, "deregister-image --image-id %s", orText(b.ami.id, "AMI"))
	}
	b.ami = made{}
	return nil
}

// removeAMI deregisters an AMI, and deletes its snapshots, which EC2 keeps. They
// are marked as temporary first: whoever dies in between leaves them to the
// next sweep.
func (b *bake) removeAMI(ctx context.Context, ami types.Image, withSnapshots bool) error {
	return b.removeAMIFrom(ctx, b.cloud, ami, withSnapshots)
}

// removeAMIFrom is removeAMI in any region.
func (b *bake) removeAMIFrom(ctx context.Context, c *cloud.Cloud, ami types.Image, withSnapshots bool) error {
	id := aws.ToString(ami.ImageId)
	snapshots := cloud.SnapshotsOf(ami)
	if withSnapshots {
		mark := map[string]string{tags.Expires: time.Now().UTC().Format(time.RFC3339)}
		if _, err := c.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: append([]string{id}, snapshots...), Tags: cloud.Tags(mark)}); err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	if _, err := c.EC2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: ami.ImageId}); err != nil && !cloud.NotFound(err) && !cloud.Ambiguous(err) {
		return err
	} else if cloud.Ambiguous(err) {
		if _, err := c.EC2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: ami.ImageId}); err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	b.tell(event.Removed, id, "image %s", id)
	if !withSnapshots {
		return nil
	}
	for _, snapshot := range snapshots {
		if err := deleteSnapshot(ctx, c, snapshot); err != nil {
			return fmt.Errorf("delete %s: %w", snapshot, err)
		}
		b.tell(event.Removed, snapshot, "snapshot %s", snapshot)
	}
	return nil
}

// removeSnapshots deletes the snapshots of this bake's AMI after somebody else
// has deregistered it.
func (b *bake) removeSnapshots(ctx context.Context) error {
	found, err := b.cloud.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, Filters: append(b.mine(), cloud.Filter("tag:"+tags.UUID, b.buildUUID())),
	})
	if err != nil {
		return err
	}
	for _, s := range found.Snapshots {
		id := aws.ToString(s.SnapshotId)
		if err := deleteSnapshot(ctx, b.cloud, id); err != nil {
			return fmt.Errorf("delete %s: %w", id, err)
		}
		b.tell(event.Removed, id, "snapshot %s", id)
	}
	return nil
}

// deleteSnapshot tries for a moment, since a deregistration takes one to be
// known everywhere.
func deleteSnapshot(ctx context.Context, c *cloud.Cloud, id string) error {
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		_, err := c.EC2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
		if err == nil || cloud.NotFound(err) {
			return nil
		}
		if !cloud.InUse(err) || pause > 5*time.Second || cloud.Sleep(ctx, pause) != nil {
			return err
		}
	}
}
