package bake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/tags"
)

// reuseStep ends the bake when a build with its fingerprint exists. One that AWS
// is still making, by a bake that died since or goes on elsewhere, is waited
// for.
type reuseStep struct{}

func (reuseStep) name() string                      { return "existing build" }
func (reuseStep) undo(context.Context, *bake) error { return nil }

func (reuseStep) run(ctx context.Context, b *bake) error {
	if b.image.SkipCreateAMI {
		return nil
	}
	builds, err := b.imagesOf(ctx, b.image.Name)
	if err != nil {
		return err
	}
	// A build goes before an AMI that has yet to become one.
	slices.SortStableFunc(builds, func(x, y types.Image) int { return rank(x) - rank(y) })
	for _, ami := range builds {
		set := cloud.TagSet(ami.Tags)
		if !b.reusable(set) || !b.isOf(ami) || b.family != nil && set[tags.Version] != b.version {
			continue
		}
		if ami.State == types.ImageStatePending {
			b.say(event.Progress, "%s has this fingerprint and is being made", aws.ToString(ami.ImageId))
			ami, err = b.awaitAMI(ctx, reuseStep{}.name(), aws.ToString(ami.ImageId))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			var broken *brokenAMI
			if err != nil && !errors.As(err, &broken) {
				return err
			}
			if err != nil {
				b.say(event.Warning, "%v; baking anew", err)
				continue
			}
		}
		if ami.State == types.ImageStateAvailable {
			return b.reuse(ctx, ami)
		}
	}
	if ami, why, err := b.revoked(ctx, b.image.Name, b.fingerprint); err != nil || ami != "" {
		b.say(event.Progress, "%s has this fingerprint and is revoked (%s): baking anew", ami, why)
		b.instead = ami
		return err
	}
	return nil
}

// reusable tells whether an AMI with these tags has the inputs of the bake, and may
// be its outcome.
func (b *bake) reusable(set map[string]string) bool {
	return fingerprintOf(set) == b.fingerprint && (!b.options.Rebake || set[tags.Run] == b.options.Run)
}

func rank(ami types.Image) int {
	if isCandidate(cloud.TagSet(ami.Tags)) {
		return 1
	}
	return 0
}

func (b *bake) reuse(ctx context.Context, ami types.Image) error {
	set := cloud.TagSet(ami.Tags)
	if isCandidate(set) || b.tests != "" && set[tags.Tested] != b.tests {
		b.candidate, b.retest = ami, true
		what := "to be tested"
		if b.image.Tests == nil {
			what = "complete once the other architectures are there"
		}
		b.say(event.Progress, "%s has fingerprint %s and is %s", aws.ToString(ami.ImageId), short(b.fingerprint), what)
		return errDone
	}
	if set[tags.Candidate] != "" { // its bake died between two calls
		if err := b.unmark(ctx, []types.Image{ami}, tags.Candidate, tags.Expires); err != nil {
			return err
		}
		delete(set, tags.Candidate)
		delete(set, tags.Expires)
		ami.Tags = cloud.Tags(set)
	}
	// A bake that came to its end here kept its inputs: then nothing is missing.
	if _, err := loadInputs(b.options.Dir, b.fingerprint); err != nil {
		if err := b.cloud.RequireIMDSv2(ctx, &ami); err != nil {
			return err
		}
	}
	if b.family != nil {
		if err := b.family.pass(ctx, nil); err != nil {
			return err
		}
	}
	b.settled(ami, true)
	b.tell(event.Progress, b.build.AMI, "unchanged: %s (%s) has fingerprint %s", b.build.AMI, b.build.Version, short(b.fingerprint))
	if err := b.publish(ctx, ami); err != nil {
		return err
	}
	return errDone
}

// awaitAMI waits until an AMI that was seen already is available.
func (b *bake) awaitAMI(ctx context.Context, step, id string) (types.Image, error) {
	return awaitAMIOf(ctx, b, b.cloud, step, id, sighting{id: id, seen: true})
}

// awaitAMIOf is awaitAMI in any region, of an AMI of which so much is known.
func awaitAMIOf(ctx context.Context, b *bake, c *cloud.Cloud, step, id string, known sighting) (types.Image, error) {
	began := time.Now()
	what := "image " + id + " to be available"
	defer func() { b.waitedFor(step, what, began) }()
	return c.Images.Wait(ctx, cloud.Wait[types.Image]{
		ID: id, For: what, Deadline: b.deadline(imageTime),
		Done: func(ami types.Image, found bool) (bool, error) {
			switch {
			case !found || ami.State == types.ImageStatePending:
				return false, known.lost(found)
			case ami.State == types.ImageStateAvailable:
				return true, nil
			}
			return false, &brokenAMI{id: id, state: string(ami.State), reason: ami.StateReason}
		},
		Show:     func(ami types.Image) string { return string(ami.State) },
		Progress: func(shown string) { b.say(event.Waiting, "image %s is %s", id, shown) },
	})
}

// sighting tells an AMI that is not there yet from one that is there no more.
type sighting struct {
	id     string
	seen   bool
	misses int // looks in a row that did not find it since
}

// enoughMisses is how many looks in a row must miss what was seen before: one may
// have been answered by a part of EC2 that doesn't know of it yet.
const enoughMisses = 3

// lost is an error once an AMI that was seen is gone.
func (s *sighting) lost(found bool) error {
	if found {
		s.seen, s.misses = true, 0
		return nil
	}
	if s.seen {
		s.misses++
	}
	if s.misses < enoughMisses {
		return nil
	}
	return &brokenAMI{id: s.id, state: "gone: somebody deregistered it while AWS was making it"}
}

// brokenAMI is an AMI that AWS gave up on.
type brokenAMI struct {
	id, state string
	reason    *types.StateReason
}

func (e *brokenAMI) Error() string {
	text := fmt.Sprintf("image %s is %s", e.id, e.state)
	if e.reason != nil {
		text += ": " + aws.ToString(e.reason.Message)
		if code := aws.ToString(e.reason.Code); code != "" {
			text += " (" + code + ")"
		}
	}
	return text
}
