package launch

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// The replacement of an instance whose volumes move to its successor: the old
// one is stopped, so that all it has written reaches them, they are taken off,
// the new one is launched and gets them, answers its status checks, and only
// then the old one is terminated. Until then everything can be put back.

// handOver takes the volumes that the new instance needs off the old one. In a
// roll-out an old one that has anything to hand over has left its target groups
// and stopped before.
func (k instances) handOver(ctx context.Context, t *task, w want[instanceSpec]) error {
	for _, old := range t.old {
		i, ok := old.raw.(instance)
		if !ok {
			continue
		}
		moved := slices.DeleteFunc(slices.Clone(w.spec.Volumes), func(a attachmentSpec) bool { return !has(i.on, a.Volume) })
		interfaces := t.becomesHealthy != nil && len(w.spec.NetworkInterfaces) > 0 && len(interfacesOn(i.Instance)) > 0
		if len(moved) == 0 && !interfaces {
			continue
		}
		if err := t.leave(ctx, i.groups, old.id); err != nil {
			return err
		}
		if interfaces {
			if err := k.stop(ctx, t, old.id); err != nil {
				return err
			}
		}
		for _, a := range moved {
			t.progress("moving volume %s off %s", a.Volume, old.id)
			if err := k.release(ctx, t, a.Volume, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func volumesOn(i types.Instance) []string {
	var ids []string
	for _, id := range attachmentsOf(i) {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// restore removes what was launched, gives the old instance its volumes back
// and starts it.
func (k instances) restore(ctx context.Context, t *task) error {
	if t.swapped != nil {
		return k.unswap(ctx, t)
	}
	if len(t.old) == 0 {
		return nil
	}
	seen, ok := t.old[0].raw.(instance)
	if !ok {
		return nil
	}
	old, elastic := k.asServed(t, seen)
	id := aws.ToString(old.InstanceId)
	successors, err := k.successors(ctx, t)
	if err != nil {
		return err
	}
	if err := k.restoreAddresses(ctx, t, old, successors); err != nil {
		return err
	}
	if err := k.discardAll(ctx, t, successors); err != nil {
		return err
	}
	if err := k.restoreVolumes(ctx, t, old); err != nil {
		return err
	}
	if err := k.restoreInterfaces(ctx, t, old); err != nil {
		return err
	}
	if elastic != "" {
		if err := (elasticIPs{}).give(ctx, t, elastic, id); err != nil {
			return fmt.Errorf("elastic_ip %s: %w", elastic, err)
		}
	}
	if stateOf(old.Instance) != types.InstanceStateNameRunning {
		return nil
	}
	if err := k.startUnlessRunning(ctx, t, id); err != nil {
		return err
	}
	return k.rejoin(ctx, t, old)
}

// successors are the instances that were launched in place of the old ones. What
// was launched may be known to EC2 alone, if its answer was lost.
func (k instances) successors(ctx context.Context, t *task) ([]instance, error) {
	list, err := k.list(ctx, t.query())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(i instance) bool {
		f := k.read(i)
		return f.gone || f.tags[tags.UUID] != t.uuid || slices.ContainsFunc(t.old, func(o *found) bool { return o.id == f.id })
	}), nil
}

// discardAll removes successors, and what the task has made and EC2's list may not
// show yet.
func (k instances) discardAll(ctx context.Context, t *task, successors []instance) error {
	for _, i := range successors {
		if err := k.discard(ctx, t, aws.ToString(i.InstanceId), i.groups); err != nil {
			return err
		}
	}
	if t.made == nil {
		return nil
	}
	return k.discard(ctx, t, t.made.id, t.groups)
}

// restoreVolumes gives an instance those of its volumes back that it has no more.
func (k instances) restoreVolumes(ctx context.Context, t *task, old instance) error {
	id, attached := aws.ToString(old.InstanceId), attachmentsOf(old.Instance)
	for _, device := range union(attached) {
		volume := attached[device]
		if on, err := k.isAttached(t, volume, id)(ctx); err != nil {
			return err
		} else if on {
			continue
		}
		if err := k.attach(ctx, t, volume, id, device); err != nil {
			return err
		}
	}
	return nil
}

func (k instances) remove(ctx context.Context, t *task, i instance) error {
	id := aws.ToString(i.InstanceId)
	if err := k.retire(ctx, t, i); err != nil {
		return err
	}
	if t.replacing && i.protected {
		// The definition protects its instance, whichever it is: the new one is
		// protected by now.
		_, err := k.updateAPI(t.Cloud).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{
			InstanceId: i.InstanceId, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("lift its termination protection: %w", err)
		}
	}
	return k.terminate(ctx, t, id)
}

// terminate ends an instance and waits until its network interface is gone and
// its volumes are free.
func (k instances) terminate(ctx context.Context, t *task, id string) error {
	err := t.Cloud.Terminations.Do(ctx, id)
	switch {
	case cloud.NotFound(err):
		return nil
	case cloud.Code(err) == "OperationNotPermitted":
		return fail.WithHint(fmt.Errorf("terminate it: %w", err), "it is protected against termination: set disable_api_termination: false and launch before it is removed")
	case err != nil:
		return fmt.Errorf("terminate it: %w", err)
	}
	_, err = t.instance(ctx, id, "be terminated", stopDeadline, func(i types.Instance, found bool) (bool, error) {
		return !found || stateOf(i) == types.InstanceStateNameTerminated, nil
	})
	return err
}
