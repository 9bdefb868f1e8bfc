package bake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// sweepTime is how long a removal waits for what still uses a left-over.
const sweepTime = 90 * time.Second

// removals are the kinds of what goes at the same time: what uses other things
// goes first.
var removals = [][]string{{"instance"}, {"volume", "key-pair", "security-group", "image", profileKind}, {"snapshot", roleKind}}

// remove removes the orphans that may be removed, and notes in them that it
// did. What cannot be removed keeps nothing from it but what that uses; the
// error lists all of it.
func (s *sweeper) remove(ctx context.Context, orphans []Orphan) error {
	sortOrphans(orphans)
	errs := make([]error, len(orphans))
	stuck := map[string]bool{}
	var mu sync.Mutex // told need not take calls at once
	done := func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		o := &orphans[i]
		if err == nil || cloud.NotFound(err) {
			o.Removed = true
			s.told(*o)
			return
		}
		stuck[o.ID] = true
		errs[i] = fail.Dirty(fmt.Errorf("remove %s: %w", o, err), fail.Left{What: o.String() + " in " + o.Region, Command: "goldline sweep"})
	}
	for _, kinds := range removals {
		var now []int
		for i, o := range orphans {
			if !o.Remove || o.Removed || !slices.Contains(kinds, o.Kind) {
				continue
			}
			if at := slices.IndexFunc(o.users, func(id string) bool { return stuck[id] }); at >= 0 {
				done(i, fmt.Errorf("%s uses it", o.users[at]))
				continue
			}
			now = append(now, i)
		}
		_ = graph.Each(ctx, 0, len(now), func(ctx context.Context, n int) error {
			o := orphans[now[n]]
			err := s.removeOne(ctx, o)
			if cloud.Ambiguous(err) {
				err = s.removeOne(ctx, o) // what is gone already is no error
			}
			done(now[n], err)
			return nil
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fail.Join(errs...)
}

func (s *sweeper) removeOne(ctx context.Context, o Orphan) error {
	id := aws.String(o.ID)
	switch o.Kind {
	case "instance":
		if err := s.cloud.Terminations.Do(ctx, o.ID); err != nil {
			return err
		}
		return s.terminated(ctx, o.ID)
	case "key-pair":
		_, err := s.cloud.EC2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: id})
		return err
	case "image":
		_, err := s.cloud.EC2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: id})
		return err
	case profileKind, roleKind:
		return removeIdentity(ctx, s.cloud, o.Kind, o.ID)
	case "snapshot":
		return deleteSnapshot(ctx, s.cloud, o.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	// Its builder may still be shutting down.
	return unused(ctx, func() error {
		var err error
		if o.Kind == "volume" {
			_, err = s.cloud.EC2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: id})
		} else {
			_, err = s.cloud.EC2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: id})
		}
		return err
	})
}

// terminated waits until an instance is gone.
func (s *sweeper) terminated(ctx context.Context, id string) error {
	_, err := s.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{
		ID: id, For: "instance " + id + " to be terminated", Deadline: terminatedTime,
		Done: func(i types.Instance, found bool) (bool, error) {
			return !found || state(i) == types.InstanceStateNameTerminated, nil
		},
		Show: func(i types.Instance) string { return string(state(i)) },
	})
	return err
}
