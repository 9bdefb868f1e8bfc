package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Copy is a build's AMI in another region.
type Copy struct {
	Region string `json:"region"`
	AMI    string `json:"ami"`
}

// publishStep copies the AMI to the recipe's other regions and says who may use
// it until when. All of it can be done again: a build whose publication was cut
// short is published by the next bake that finds it.
type publishStep struct{}

func (publishStep) name() string                      { return "publish" }
func (publishStep) undo(context.Context, *bake) error { return nil }

func (publishStep) run(ctx context.Context, b *bake) error {
	ami, ok := b.current(b.image.Name, b.image.Architecture)
	if !ok {
		return nil
	}
	return b.publish(ctx, ami)
}

// shares tells whether somebody else is to use the AMI or its snapshots.
func shares(image *project.Image) bool {
	return len(image.AMIUsers)+len(image.AMIGroups)+len(image.AMIOrgARNs)+len(image.AMIOUARNs)+len(image.SnapshotUsers)+len(image.SnapshotGroups) > 0
}

// publication is a digest of all that a recipe says of it, or "" for nothing. It
// stands in a tag of what was published, so that it is done once.
func publication(image *project.Image) (string, error) {
	p := image.Publication
	if !shares(image) && len(p.AMIRegions) == 0 && p.DeprecateAt == "" && p.DeregistrationOn == nil {
		return "", nil
	}
	text, err := json.Marshal(p)
	return short(digestOf(string(text))), err
}

func (b *bake) publish(ctx context.Context, ami types.Image) error {
	want, err := publication(b.image)
	if err != nil || want == "" || cloud.TagSet(ami.Tags)[tags.Published] == want {
		return err
	}
	id := aws.ToString(ami.ImageId)
	err = b.publishAll(ctx, ami)
	if err == nil {
		_, err = b.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: cloud.Tags(map[string]string{tags.Published: want})})
	}
	if err != nil {
		return fail.Dirty(fmt.Errorf("%s is ready, but not copied and shared as the recipe says: %w", id, err), fail.Left{
			What: "image " + id, Command: "goldline bake " + b.image.Name,
		})
	}
	return nil
}

func (b *bake) publishAll(ctx context.Context, ami types.Image) error {
	var regions []string
	for _, region := range b.image.AMIRegions {
		if region != b.cloud.Region { // the AMI is there
			regions = append(regions, region)
		}
	}
	copies := make([]Copy, len(regions))
	var mu sync.Mutex
	began := time.Now()
	err := graph.Each(ctx, 0, len(regions)+1, func(ctx context.Context, i int) error {
		if i == len(regions) {
			return b.share(ctx, b.cloud, ami)
		}
		there := b.region(regions[i])
		copied, err := b.copyTo(ctx, there, ami)
		if err == nil {
			err = b.share(ctx, there, copied)
		}
		mu.Lock()
		copies[i] = Copy{Region: there.Region, AMI: aws.ToString(copied.ImageId)}
		mu.Unlock()
		if err != nil {
			return fmt.Errorf("region %s: %w", there.Region, err)
		}
		return nil
	})
	if len(regions) > 0 {
		b.waitedFor(publishStep{}.name(), fmt.Sprintf("copies in %d regions", len(regions)), began)
	}
	b.build.Copies = copies
	return err
}

// region is the cloud in another region, the same for all bakes, which share
// its polls.
func (b *Baker) region(name string) *cloud.Cloud {
	b.mu.Lock()
	defer b.mu.Unlock()
	there, ok := b.regions[name]
	if !ok {
		there = b.options.Cloud.In(name)
		b.regions[name] = there
	}
	return there
}

// copyTo gives the AMI's copy in a region: one that is there, from an earlier
// attempt, or a new one.
func (b *bake) copyTo(ctx context.Context, there *cloud.Cloud, ami types.Image) (types.Image, error) {
	set := cloud.TagSet(ami.Tags)
	name := aws.ToString(ami.Name)
	look := func(ctx context.Context) (string, bool, error) {
		found, err := describeAMIs(ctx, there, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("name", name)}})
		if err != nil || len(found) == 0 {
			return "", false, err
		}
		id := aws.ToString(found[0].ImageId)
		switch other := cloud.TagSet(found[0].Tags); {
		case other[tags.Fingerprint] == set[tags.Fingerprint] && other[tags.Run] == set[tags.Run] && found[0].State != types.ImageStateFailed:
			return id, true, nil
		case !b.image.ForceDeregister && found[0].State != types.ImageStateFailed:
			return "", false, fmt.Errorf("the name %q is taken by %s", name, id)
		}
		return "", false, b.removeAMIFrom(ctx, there, found[0], b.image.ForceDeleteSnapshot)
	}
	id, ok, err := look(ctx)
	if err == nil && !ok {
		id, err = cloud.Once(ctx, there, look, func(ctx context.Context) (string, error) { return b.copyAnew(ctx, there, ami) })
	}
	if err != nil {
		return types.Image{}, fmt.Errorf("copy %s: %w", aws.ToString(ami.ImageId), err)
	}
	copied, err := awaitAMIOf(ctx, b, there, publishStep{}.name(), id, sighting{id: id})
	if err != nil {
		return copied, err
	}
	return copied, there.RequireIMDSv2(ctx, &copied)
}

func (b *bake) copyAnew(ctx context.Context, there *cloud.Cloud, ami types.Image) (string, error) {
	onSnapshot, err := b.renderTags("snapshot_tags", b.image.SnapshotTags)
	if err != nil {
		return "", err
	}
	set := cloud.TagSet(ami.Tags)
	delete(set, tags.Published)
	id := aws.ToString(ami.ImageId)
	in := &ec2.CopyImageInput{
		Name: ami.Name, Description: ami.Description, SourceImageId: ami.ImageId, SourceRegion: aws.String(b.cloud.Region),
		// A copy that was removed since still holds its token, hence the run.
		ClientToken: aws.String(digestOf("copy", b.options.Run, id, there.Region)[:32]),
		TagSpecifications: []types.TagSpecification{
			cloud.TagSpec(types.ResourceTypeImage, set),
			cloud.TagSpec(types.ResourceTypeSnapshot, tags.Merge(set, onSnapshot)),
		},
	}
	if key := b.image.RegionKmsKeyIDs[there.Region]; key != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), aws.String(key)
	}
	if minutes := b.image.CopyMinutes; minutes > 0 {
		in.SnapshotCopyCompletionDurationMinutes = aws.Int64(int64(minutes))
	}
	out, err := there.EC2.CopyImage(ctx, in)
	if err != nil {
		return "", err
	}
	made := aws.ToString(out.ImageId)
	b.tell(event.Created, made, "image %s in %s, a copy of %s", made, there.Region, id)
	return made, nil
}

// share says who may use an AMI and its snapshots, until when, and whether it is
// protected.
func (b *bake) share(ctx context.Context, c *cloud.Cloud, ami types.Image) error {
	id := aws.ToString(ami.ImageId)
	if allowed := permissions(b.image.Publication); len(allowed) > 0 {
		_, err := c.EC2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId: ami.ImageId, LaunchPermission: &types.LaunchPermissionModifications{Add: allowed},
		})
		if err != nil {
			return fmt.Errorf("share %s: %w", id, err)
		}
	}
	if users, groups := b.image.SnapshotUsers, b.image.SnapshotGroups; len(users)+len(groups) > 0 {
		for _, snapshot := range cloud.SnapshotsOf(ami) {
			_, err := c.EC2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
				SnapshotId: aws.String(snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
				OperationType: types.OperationTypeAdd, UserIds: users, GroupNames: groups,
			})
			if err != nil {
				return fmt.Errorf("share %s: %w", snapshot, err)
			}
		}
	}
	if text := b.image.DeprecateAt; text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err == nil {
			_, err = c.EC2.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: ami.ImageId, DeprecateAt: aws.Time(at)})
		}
		if err != nil {
			return fmt.Errorf("deprecate %s at %s: %w", id, text, err)
		}
	}
	if p := b.image.DeregistrationOn; p != nil && p.Enabled {
		_, err := c.EC2.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{ImageId: ami.ImageId, WithCooldown: aws.Bool(p.WithCooldown)})
		if err != nil {
			return fmt.Errorf("protect %s: %w", id, err)
		}
	}
	return nil
}

func permissions(p project.Publication) []types.LaunchPermission {
	var all []types.LaunchPermission
	for _, id := range p.AMIUsers {
		all = append(all, types.LaunchPermission{UserId: aws.String(id)})
	}
	for _, group := range p.AMIGroups {
		all = append(all, types.LaunchPermission{Group: types.PermissionGroup(group)})
	}
	for _, arn := range p.AMIOrgARNs {
		all = append(all, types.LaunchPermission{OrganizationArn: aws.String(arn)})
	}
	for _, arn := range p.AMIOUARNs {
		all = append(all, types.LaunchPermission{OrganizationalUnitArn: aws.String(arn)})
	}
	return all
}
