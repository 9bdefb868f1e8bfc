package launch

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type snapshotAPI interface {
	CreateSnapshot(context.Context, *ec2.CreateSnapshotInput, ...func(*ec2.Options)) (*ec2.CreateSnapshotOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

type snapshotSpec struct {
	Volume      string `yaml:"volume" ref:"volume" required:"true" change:"replaces" doc:"The volume that it is taken of, once: a snapshot does not change. Another name takes another one."`
	Description string `yaml:"description" change:"replaces" doc:"What people read of it."`
}

// snapshotDeadline bounds the wait for a snapshot: the first of a volume of
// some TiB takes hours.
const snapshotDeadline = 6 * time.Hour

type snapshots struct{}

func (snapshots) api(c *cloud.Cloud) snapshotAPI { return c.EC2 }

func (snapshots) about() project.Kind {
	return project.Kind{Name: "snapshot", Doc: "A copy of a volume as it was at one moment, from which volumes can be made.", Attributes: []string{"id", "size"}, Owners: map[string]string{"volume": "volume"}}
}

func (snapshots) check(*checker, definition[snapshotSpec]) {}

func (snapshots) list(ctx context.Context, q query) ([]types.Snapshot, error) {
	var all []types.Snapshot
	in := &ec2.DescribeSnapshotsInput{Filters: q.filters, OwnerIds: []string{"self"}, MaxResults: aws.Int32(pageSize)}
	err := each(ctx, ec2.NewDescribeSnapshotsPaginator(q.cloud.EC2, in), func(page *ec2.DescribeSnapshotsOutput) {
		for _, s := range page.Snapshots {
			// An image's snapshots may carry the environment that it was baked in.
			if cloud.TagSet(s.Tags)[tags.Image] == "" {
				all = append(all, s)
			}
		}
	})
	return all, err
}

func (snapshots) read(s types.Snapshot) state {
	return state{
		id: aws.ToString(s.SnapshotId), tags: cloud.TagSet(s.Tags),
		attributes: map[string]string{"size": strconv.Itoa(int(aws.ToInt32(s.VolumeSize)))},
	}
}

func (snapshots) compare(w want[snapshotSpec], s types.Snapshot) (d differences) {
	d.fixed("volume", aws.ToString(s.VolumeId), w.spec.Volume, "")
	d.fixed("description", aws.ToString(s.Description), w.spec.Description, "")
	if s.State == types.SnapshotStateError {
		d.fixed("state", string(s.State), string(types.SnapshotStateCompleted), "it failed: "+orNothing(aws.ToString(s.StateMessage)))
	}
	return d
}

func (k snapshots) create(ctx context.Context, t *task, w want[snapshotSpec]) (types.Snapshot, error) {
	out, err := k.api(t.Cloud).CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: aws.String(w.spec.Volume), Description: optional(w.spec.Description), TagSpecifications: t.birthTags(types.ResourceTypeSnapshot),
	})
	if err != nil {
		return types.Snapshot{}, err
	}
	return types.Snapshot{
		SnapshotId: out.SnapshotId, VolumeId: out.VolumeId, VolumeSize: out.VolumeSize, Description: out.Description, State: out.State, Tags: out.Tags,
	}, nil
}

// update: EC2 changes nothing of a snapshot.
func (snapshots) update(context.Context, *task, want[snapshotSpec], types.Snapshot, differences) error {
	return nil
}

// settle waits until the snapshot is whole: no volume can be made of it before.
func (snapshots) settle(ctx context.Context, t *task, s types.Snapshot) (types.Snapshot, error) {
	id := aws.ToString(s.SnapshotId)
	now, err := t.Cloud.Snapshots.Wait(ctx, cloud.Wait[types.Snapshot]{
		ID: id, For: "snapshot " + id + " to be completed", Deadline: snapshotDeadline,
		Done: func(s types.Snapshot, found bool) (bool, error) {
			if found && s.State == types.SnapshotStateError {
				return false, fmt.Errorf("snapshot %s failed: %s", id, orNothing(aws.ToString(s.StateMessage)))
			}
			return found && s.State == types.SnapshotStateCompleted, nil
		},
		Show:     func(s types.Snapshot) string { return string(s.State) + " " + aws.ToString(s.Progress) },
		Progress: t.waiting("snapshot " + id),
	})
	if err != nil {
		return s, err
	}
	return now, nil
}

func (snapshots) fresh(s types.Snapshot) bool { return s.State == types.SnapshotStatePending }

func (k snapshots) remove(ctx context.Context, t *task, s types.Snapshot) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId})
		return err
	})
}
