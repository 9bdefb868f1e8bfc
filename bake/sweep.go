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
	"github.com/goldline-dev/goldline/internal/tags"
)

// sweepStep removes what dead runs of this project left. The first bake of a
// Baker does it for all.
type sweepStep struct{}

func (sweepStep) name() string                      { return "left-overs" }
func (sweepStep) undo(context.Context, *bake) error { return nil }

func (sweepStep) run(ctx context.Context, b *bake) error {
	_, err := b.swept.get(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.sweep(ctx)
	})
	if err != nil && ctx.Err() == nil {
		// A bake doesn't need it: the next one tries again.
		b.say(event.Warning, "left-overs of earlier bakes could not all be removed: %v", err)
		return nil
	}
	return err
}

// sweepTime is how long a bake waits for a left-over that is still in use.
const sweepTime = 90 * time.Second

// leftover is something temporary that a run left.
type leftover struct {
	id   string
	kind types.ResourceType
	tags map[string]string
}

// sweep finds what is temporary by one call. Volumes stand for instances, which
// keep their tags for an hour after they are terminated, when there is nothing
// to do any more.
func (b *bake) sweep(ctx context.Context) error {
	found, err := b.tagged(ctx, cloud.Filter("key", tags.Expires),
		cloud.Filter("resource-type", "volume", "security-group", "key-pair", "image", "snapshot"))
	if err != nil || len(found) == 0 {
		return err
	}
	var ids []string
	for _, f := range found {
		if b.options.DeadRun != nil || expired(f) {
			ids = append(ids, f.id)
		}
	}
	var dead []leftover
	err = cloud.Batches(ids, 200, func(ids []string) error {
		full, err := b.tagged(ctx, cloud.Filter("resource-id", ids...))
		for _, l := range full {
			if b.dead(l) {
				dead = append(dead, l)
			}
		}
		return err
	})
	if err != nil || len(dead) == 0 {
		return err
	}
	if err := b.sweepInstances(ctx, dead); err != nil {
		return err
	}
	return graph.Each(ctx, 0, len(dead), func(ctx context.Context, i int) error { return b.sweepOne(ctx, dead[i]) })
}

// tagged gives what DescribeTags finds, by resource.
func (b *bake) tagged(ctx context.Context, filters ...types.Filter) ([]leftover, error) {
	index := map[string]int{}
	var found []leftover
	pages := ec2.NewDescribeTagsPaginator(b.cloud.EC2, &ec2.DescribeTagsInput{Filters: filters, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for left-overs: %w", err)
		}
		for _, t := range page.Tags {
			id := aws.ToString(t.ResourceId)
			i, ok := index[id]
			if !ok {
				i = len(found)
				index[id] = i
				found = append(found, leftover{id: id, kind: t.ResourceType, tags: map[string]string{}})
			}
			found[i].tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	return found, nil
}

// dead tells whether something was left by a run of this project that does not
// go on.
func (b *bake) dead(l leftover) bool {
	if l.tags[tags.Project] != b.options.Project || l.tags[tags.Image] == "" || l.tags[tags.Run] == b.options.Run {
		return false
	}
	if b.options.DeadRun != nil && b.options.DeadRun(l.tags[tags.Run]) {
		return true
	}
	return expired(l)
}

func expired(l leftover) bool {
	at, err := time.Parse(time.RFC3339, l.tags[tags.Expires])
	return err == nil && time.Now().After(at)
}

// sweepInstances terminates the builders that dead left-overs belong to.
func (b *bake) sweepInstances(ctx context.Context, dead []leftover) error {
	var runs []string
	seen := map[string]bool{}
	for _, l := range dead {
		if run := l.tags[tags.Run]; !seen[run] {
			seen[run] = true
			runs = append(runs, run)
		}
	}
	live, err := liveInstances(ctx, b.cloud, cloud.Filter("tag:"+tags.Project, b.options.Project), cloud.Filter("tag:"+tags.Run, runs...), cloud.Filter("tag-key", tags.Expires))
	if err != nil || len(live) == 0 {
		return err
	}
	for _, id := range live {
		b.tell(event.Removed, id, "builder %s, left by an earlier run", id)
	}
	if _, err := b.cloud.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: live}); err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("terminate %v: %w", live, err)
	}
	return graph.Each(ctx, 0, len(live), func(ctx context.Context, i int) error { return b.awaitTerminated(ctx, sweepStep{}.name(), live[i]) })
}

// liveInstances gives the IDs of instances that are not, and are not being,
// terminated.
func liveInstances(ctx context.Context, c *cloud.Cloud, filters ...types.Filter) ([]string, error) {
	filters = append(filters, cloud.Filter("instance-state-name", "pending", "running", "stopping", "stopped"))
	var ids []string
	pages := ec2.NewDescribeInstancesPaginator(c.EC2, &ec2.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for builders: %w", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, aws.ToString(i.InstanceId))
			}
		}
	}
	return ids, nil
}

func (b *bake) sweepOne(ctx context.Context, l leftover) error {
	var err error
	switch l.kind {
	case types.ResourceTypeKeyPair:
		_, err = b.cloud.EC2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: aws.String(l.id)})
	case types.ResourceTypeSecurityGroup:
		within, cancel := context.WithTimeout(ctx, sweepTime)
		err = b.deleteUnused(within, l.id) // its builder may still be shutting down
		cancel()
	case types.ResourceTypeVolume:
		_, err = b.cloud.EC2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: aws.String(l.id)})
	case types.ResourceTypeImage:
		_, err = b.cloud.EC2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(l.id)})
	case types.ResourceTypeSnapshot:
		err = deleteSnapshot(ctx, b.cloud, l.id)
	}
	if err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("remove %s: %w", l.id, err)
	}
	b.tell(event.Removed, l.id, "%s, left by an earlier run", l.id)
	return nil
}
