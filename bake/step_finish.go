package bake

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
)

// finishStep waits for the AMI. Meanwhile the builder and what goes with it are
// given back: as soon as the AMI names its snapshots, for a snapshot holds its
// volume as it was when it was begun, whatever becomes of the volume later.
type finishStep struct{}

func (finishStep) name() string                      { return "image available" }
func (finishStep) undo(context.Context, *bake) error { return nil }

func (finishStep) run(ctx context.Context, b *bake) error {
	ami, err := b.awaitSnapshots(ctx, b.ami.id, imageTime)
	if err != nil {
		return err
	}
	// Its clean-up has a life of its own: an interrupt does not stop it.
	back := graph.Background(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		// The security group, which is in use for as long as the builder is shutting
		// down, goes last, when nothing has to be waited for.
		b.putBack(ctx, builderStep{})
		if b.image.Tests == nil { // a test instance gets it too
			b.putBack(ctx, keyPairStep{})
		}
		return nil
	})
	if ami.State != types.ImageStateAvailable {
		telling, stop := context.WithCancel(ctx)
		told := graph.Background(func() error { return b.tellProgress(telling) })
		ami, err = b.awaitAMI(ctx, finishStep{}.name(), b.ami.id)
		stop()
		_ = told()
	}
	if err == nil {
		err = b.complete(ctx, &ami)
	}
	_ = back() // what goes wrong there is noted where it happens
	if err != nil {
		return err
	}
	b.checkLasting(ami)
	if b.onTrial() {
		b.candidate = ami
		return nil
	}
	b.settled(ami, false)
	return nil
}

// complete gives an AMI what CreateImage could not.
func (b *bake) complete(ctx context.Context, ami *types.Image) error {
	snapshots := *ami
	return graph.Each(ctx, 0, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return b.cloud.RequireIMDSv2(ctx, ami)
		}
		return b.tagSnapshots(ctx, snapshots)
	})
}

// tagSnapshots tags the snapshots of an AMI where that was not done as they
// were made.
func (b *bake) tagSnapshots(ctx context.Context, ami types.Image) error {
	snapshots := cloud.SnapshotsOf(ami)
	if len(b.untagged) == 0 || len(snapshots) == 0 {
		return nil
	}
	if _, err := b.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: snapshots, Tags: b.untagged}); err != nil {
		return fmt.Errorf("tag the snapshots of %s: %w", aws.ToString(ami.ImageId), err)
	}
	return nil
}

// awaitSnapshots waits until an AMI names a snapshot for each of the builder's
// volumes that it shows, or is available.
func (b *bake) awaitSnapshots(ctx context.Context, id string, limit time.Duration) (types.Image, error) {
	what := "snapshots of image " + id
	known := sighting{id: b.ami.id}
	return b.cloud.Images.Wait(ctx, cloud.Wait[types.Image]{
		ID: id, For: what, Deadline: b.deadline(limit), Soon: true,
		Done: func(ami types.Image, found bool) (bool, error) {
			switch {
			case !found:
				return false, known.lost(found)
			case ami.State != types.ImageStatePending:
				return true, nil
			}
			_ = known.lost(found) // which notes that it was seen
			begun := cloud.SnapshotsOf(ami)
			return len(begun) > 0 && len(begun) >= len(b.instance.BlockDeviceMappings), nil
		},
		Show: func(ami types.Image) string { return string(ami.State) },
	})
}

// progressEvery is the time between two looks at how far the snapshots are.
const progressEvery = 20 * time.Second

// tellProgress tells how far the snapshots are, for as long as ctx lives. It
// asks nothing about a wait that is over before the first interval.
func (b *bake) tellProgress(ctx context.Context) error {
	for cloud.Sleep(ctx, progressEvery) == nil {
		found, err := b.cloud.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: b.mine()})
		if err != nil {
			continue // it is but a report; the wait itself says what is wrong
		}
		for _, s := range found.Snapshots {
			b.say(event.Waiting, "snapshot %s is %s, %s", aws.ToString(s.SnapshotId), s.State, aws.ToString(s.Progress))
		}
	}
	return nil
}

// recordStep keeps the inputs of the build, so that a later run can say which of
// them differs.
type recordStep struct{}

func (recordStep) name() string                      { return "record" }
func (recordStep) undo(context.Context, *bake) error { return nil }

func (recordStep) run(_ context.Context, b *bake) error {
	if err := saveInputs(b.options.Dir, b.fingerprint, b.inputs); err != nil {
		b.say(event.Warning, "the build's inputs could not be kept for --explain: %v", err)
	}
	return nil
}
