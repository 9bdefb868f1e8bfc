package bake

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

// An image of a step is one of the builder as a provisioner left it. It is
// temporary: it carries an expiry, no fingerprint of a build, and is nothing that
// could be promoted. It is not sealed, since the builder goes on: what is baked
// from it is, of all that its builders were given.
type keptStep struct {
	prefix
	ami types.Image
}

func (k keptStep) id() string { return aws.ToString(k.ami.ImageId) }

// baseStep looks which of the recipe's first provisioners an earlier bake has an
// image of.
type baseStep struct{}

func (baseStep) name() string                      { return "unchanged steps" }
func (baseStep) undo(context.Context, *bake) error { return nil }

func (baseStep) run(ctx context.Context, b *bake) error {
	err := b.findBases(ctx)
	if err == nil && len(b.bases) > 0 {
		b.say(event.Progress, "the builder starts from %s, kept after provisioner %d", b.bases[0].id(), b.startsAfter())
	}
	return err
}

func (b *bake) findBases(ctx context.Context) error {
	var err error
	if b.prefixes, err = prefixes(b.image, aws.ToString(b.source.ImageId), b.architectureOf(), b.hide.redactor()); err != nil || len(b.prefixes) == 0 || b.options.Rebake {
		return err
	}
	all, err := b.stepsOf(ctx)
	if err != nil {
		return err
	}
	b.bases = usable(b.prefixes, all)
	return nil
}

// usable are the images of steps that a bake can start from, the longest prefix
// first.
func usable(prefixes []prefix, all []types.Image) []keptStep {
	var bases []keptStep
	for _, p := range slices.Backward(prefixes) {
		for _, ami := range all {
			set := cloud.TagSet(ami.Tags)
			expires, err := time.Parse(time.RFC3339, set[tags.Expires])
			if set[tags.Step] == p.fingerprint && ami.State == types.ImageStateAvailable && err == nil && time.Now().Before(expires) {
				bases = append(bases, keptStep{p, ami})
			}
		}
	}
	return bases
}

// stepsOf gives the images of this recipe's steps, for its architecture, that
// were there as the run began, the newest first.
func (b *bake) stepsOf(ctx context.Context) ([]types.Image, error) {
	own, err := b.ownImages(ctx)
	if err != nil {
		return nil, err
	}
	var all []types.Image
	for _, ami := range own {
		set := cloud.TagSet(ami.Tags)
		if set[tags.Step] != "" && set[tags.Image] == b.image.Name && string(ami.Architecture) == b.architectureOf() {
			all = append(all, ami)
		}
	}
	return all, nil
}

// base is what the builder is launched from.
func (b *bake) base() types.Image {
	if len(b.bases) > 0 {
		return b.bases[0].ami
	}
	return b.source
}

// startsAfter is how many of the recipe's provisioners the builder starts after.
func (b *bake) startsAfter() int {
	if len(b.bases) == 0 {
		return 0
	}
	return b.bases[0].n + 1
}

// onBase gives volumes beside the root what the step had written to them. A launch
// says so itself: EC2 takes the root's snapshot alone from the AMI where a mapping
// names the device.
func (b *bake) onBase(devices []types.BlockDeviceMapping) []types.BlockDeviceMapping {
	if len(b.bases) == 0 {
		return devices
	}
	for _, m := range b.base().BlockDeviceMappings {
		for _, d := range devices {
			if aws.ToString(d.DeviceName) == aws.ToString(m.DeviceName) && aws.ToString(m.DeviceName) != aws.ToString(b.source.RootDeviceName) && d.Ebs != nil && m.Ebs != nil {
				d.Ebs.SnapshotId = m.Ebs.SnapshotId
			}
		}
	}
	return devices
}

// lacksBase tells whether a launch failed since an image of a step has gone
// meanwhile.
func (b *bake) lacksBase(err error) bool {
	return len(b.bases) > 0 && !b.trial && strings.HasPrefix(cloud.Code(err), "InvalidAMIID.")
}

// lostBase takes the next image of a step, or the source image, after a launch
// that lacked one.
func (b *bake) lostBase(err error) bool {
	if !b.lacksBase(err) {
		return false
	}
	b.say(event.Warning, "%s cannot be started from any more (%v)", b.bases[0].id(), err)
	b.bases = b.bases[1:]
	return true
}

// keyPart is as much of an authorised key as tells it from others, and as has
// place in a tag.
const keyPart = 40

var plainKey = regexp.MustCompile(`^[A-Za-z0-9+/=]{20,}$`)

// olderKeys are parts of the keys that earlier builders let in, and that the image
// that this one started from may hold.
func (b *bake) olderKeys() []string {
	var parts []string
	if len(b.bases) > 0 {
		for _, part := range strings.Fields(cloud.TagSet(b.bases[0].ami.Tags)[tags.StepKeys]) {
			if plainKey.MatchString(part) { // it becomes part of a script
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// mostKeys is how many of them have place in a tag.
const mostKeys = 256 / (keyPart + 1)

// stepTime is how long the snapshots of a step's image may take to begin. The
// provisioners wait for that.
const stepTime = 10 * time.Minute

// keepStep keeps an image of the builder after the nth provisioner, if that took
// long or the recipe says so. It is no failure when it cannot be made.
func (b *bake) keepStep(ctx context.Context, n int, took time.Duration) {
	at := slices.IndexFunc(b.prefixes, func(p prefix) bool { return p.n == n })
	if at < 0 || b.image.SkipCreateAMI || ctx.Err() != nil {
		return
	}
	if say := b.image.Provisioners[n].Cache; say == nil && took < b.image.CacheAfter.Or(time.Minute) || say != nil && !*say {
		return
	}
	began := time.Now()
	err := b.makeStep(ctx, b.prefixes[at])
	b.waitedFor(provisionStep{}.name(), fmt.Sprintf("the image of provisioner %d", n+1), began)
	if err != nil && ctx.Err() == nil {
		b.say(event.Warning, "no image could be kept after provisioner %d: %v", n+1, err)
	}
}

// makeStep makes the image while the builder runs. A reboot would end what the
// provisioners rely on; what they have written is on the disk before.
func (b *bake) makeStep(ctx context.Context, p prefix) error {
	keys := b.olderKeys()
	if blob := keyBlob(b.keyLine); len(blob) > keyPart {
		keys = append(keys, blob[len(blob)-keyPart:])
	}
	if len(keys) > mostKeys {
		return fmt.Errorf("it would be the %dth in a row: --rebake begins anew", len(keys))
	}
	if _, err := b.remote.run(ctx, "sync", func(string) {}); err != nil {
		return err
	}
	name := cleanName(fmt.Sprintf("%s/%s/step %d %s %s", b.options.Project, b.image.Name, p.n+1, short(p.fingerprint), short(digestOf(b.options.Run, b.nonce))))
	name = name[max(0, len(name)-128):]
	set := tags.Merge(b.temporary(nil), map[string]string{
		tags.Name: name, tags.Step: p.fingerprint, tags.SourceImage: aws.ToString(b.source.ImageId),
		tags.Expires: time.Now().UTC().Add(b.image.CacheKeep.Or(7 * 24 * time.Hour)).Format(time.RFC3339),
	})
	if len(keys) > 0 {
		set[tags.StepKeys] = strings.Join(keys, " ")
	}
	long, cancel := outlive(ctx)
	defer cancel()
	id, untagged, err := b.createStep(long, name, set)
	if err != nil {
		return err
	}
	b.tell(event.Created, id, "image %s, kept after provisioner %d", id, p.n+1)
	ami, err := b.awaitSnapshots(ctx, id, stepTime)
	if err == nil && ami.State != types.ImageStatePending && ami.State != types.ImageStateAvailable {
		err = &brokenAMI{id: id, state: string(ami.State), reason: ami.StateReason}
	}
	if err == nil && len(untagged) > 0 {
		_, err = b.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: cloud.SnapshotsOf(ami), Tags: untagged})
	}
	if err != nil && ctx.Err() == nil {
		// What the next provisioner does must not get into it.
		return fail.Join(err, b.removeAMI(ctx, types.Image{ImageId: aws.String(id), BlockDeviceMappings: ami.BlockDeviceMappings}, true))
	}
	b.kept = append(b.kept, p.fingerprint)
	return err
}

func (b *bake) createStep(ctx context.Context, name string, set map[string]string) (id string, untagged []types.Tag, err error) {
	in := &ec2.CreateImageInput{
		InstanceId: aws.String(b.builder.id), Name: aws.String(name), NoReboot: aws.Bool(true),
		Description:       aws.String("Temporary: a step of goldline bake " + b.image.Name),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, set), cloud.TagSpec(types.ResourceTypeSnapshot, set)},
	}
	id, err = cloud.Once(ctx, b.cloud, func(ctx context.Context) (string, bool, error) {
		found, err := describeAMIs(ctx, b.cloud, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("name", name)}})
		if err != nil || len(found) == 0 {
			return "", false, err
		}
		return aws.ToString(found[0].ImageId), true, nil
	}, func(ctx context.Context) (made string, err error) {
		made, untagged, err = b.sendCreateImage(ctx, in)
		return made, err
	})
	return id, untagged, err
}

// tidyStep removes images of steps that are the recipe's no longer, or that this
// bake has made anew. A bake elsewhere that is about to start from one takes
// another; a builder that runs from one needs it no more.
type tidyStep struct{}

func (tidyStep) name() string                      { return "superseded steps" }
func (tidyStep) undo(context.Context, *bake) error { return nil }

func (tidyStep) run(ctx context.Context, b *bake) error {
	if b.image.Cache == "" {
		return nil
	}
	all, err := b.stepsOf(ctx)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(all, func(ami types.Image) bool {
		step := cloud.TagSet(ami.Tags)[tags.Step]
		return slices.ContainsFunc(b.prefixes, func(p prefix) bool { return p.fingerprint == step }) && !slices.Contains(b.kept, step)
	})
	err = graph.Each(ctx, 0, len(old), func(ctx context.Context, i int) error { return b.removeAMI(ctx, old[i], true) })
	if err != nil && ctx.Err() == nil {
		// They carry an expiry, and what was begun is a sweep's.
		b.say(event.Warning, "images of earlier steps could not all be removed: %v", err)
	}
	return nil
}
