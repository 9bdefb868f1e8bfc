package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// EC2 changes the type of an instance that is stopped, as long as its root is
// on EBS and the type runs what the instance runs. It keeps its ID, volumes,
// network interfaces and private addresses, and loses a public address that is no
// elastic one. Instances of one definition are stopped one after the other.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-resize.html

// stopped is how the plan names the way.
const stopped = "stopped and started"

// compareSize compares what EC2 changes of an instance that is stopped.
func (k instances) compareSize(d *differences, w want[instanceSpec], i instance) {
	change := func(path, old, new string) {
		if old == new {
			return
		}
		x := difference{path: path, old: old, new: new, how: stopped}
		if why := k.replaces(w, i); why != "" {
			x.how, x.replace = "", fmt.Sprintf("%s: %s -> %s%s", path, orNothing(old), orNothing(new), why)
		} else if i.PublicIpAddress != nil && elasticOn(i.Instance) == "" {
			x.moves = "public_ip"
		}
		*d = append(*d, x)
	}
	change("instance_type", string(i.InstanceType), w.spec.InstanceType)
	if s := w.spec; s.EBSOptimized != nil {
		change("ebs_optimized", fmt.Sprint(aws.ToBool(i.EbsOptimized)), fmt.Sprint(*s.EBSOptimized))
	}
}

// replaces says why an instance has to be replaced for another type; "" if it
// need not. A roll-out says how instances are replaced, so there it is.
func (instances) replaces(w want[instanceSpec], i instance) string {
	runs := w.world.offered[w.spec.InstanceType]
	if len(runs) == 0 {
		runs = []string{cloud.TypeArchitecture(w.spec.InstanceType)}
	}
	switch {
	case w.rollout() != nil:
		return " (rolled out)"
	case i.RootDeviceType != types.DeviceTypeEbs:
		return " (its root is not on EBS)"
	case i.InstanceLifecycle == types.InstanceLifecycleTypeSpot:
		return " (it is a spot instance)"
	case i.VirtualizationType == types.VirtualizationTypeParavirtual:
		return " (it is paravirtual)"
	case !has(runs, string(i.Architecture)):
		return fmt.Sprintf(" (which does not run %s)", orNothing(string(i.Architecture)))
	}
	return ""
}

// moves: an address that is not elastic is another one when it starts again.
func (instances) moves(d differences) []string {
	var all []string
	for _, x := range d {
		if x.moves != "" && !has(all, x.moves) {
			all = append(all, x.moves)
		}
	}
	return all
}

// restarts tells whether an item is stopped and started.
func (it *item) restarts() bool {
	return it.action == Update && slices.ContainsFunc(it.diffs, func(x difference) bool { return x.how == stopped })
}

// turn is the step of the instance of the same definition that is stopped before
// this one; "" for none.
func (e *execution) turn(it *item) string {
	if !it.restarts() {
		return ""
	}
	before := ""
	for _, other := range e.items {
		if other == it {
			break
		}
		if other.Kind == it.Kind && other.Name == it.Name && other.restarts() {
			before = other.last()
		}
	}
	return before
}

// restart stops an instance, changes it and starts it again. What cannot be
// started as it should be is started as it was.
func (k instances) restart(ctx context.Context, t *task, w want[instanceSpec], i instance, d differences) error {
	id := aws.ToString(i.InstanceId)
	i.groups = slices.DeleteFunc(slices.Clone(i.groups), func(arn string) bool { return t.definitionOf(arn) == nil })
	served, err := k.served(ctx, t, i)
	if err != nil {
		return err
	}
	if err := t.leave(ctx, i.groups, id); err != nil {
		return err
	}
	if err := k.stop(ctx, t, id); err != nil {
		return err
	}
	t.restarted = true
	err = k.resize(ctx, t, w.spec.InstanceType, w.spec.EBSOptimized, i, d)
	if err == nil {
		err = k.start(ctx, t, id)
	}
	if err != nil {
		return k.unresize(ctx, t, i, d, err)
	}
	if err := k.rejoin(ctx, t, i); err != nil {
		return err
	}
	for _, arn := range served {
		if err := t.healthy(ctx, arn, id); err != nil {
			return err
		}
	}
	return nil
}

// resize changes a stopped instance; EC2 takes one attribute a call.
func (k instances) resize(ctx context.Context, t *task, kind string, optimized *bool, i instance, d differences) error {
	if d.has("instance_type") {
		_, err := k.updateAPI(t.Cloud).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, InstanceType: &types.AttributeValue{Value: aws.String(kind)}})
		if err != nil {
			return fmt.Errorf("instance_type: %w", err)
		}
	}
	if d.has("ebs_optimized") {
		_, err := k.updateAPI(t.Cloud).ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, EbsOptimized: &types.AttributeBooleanValue{Value: optimized}})
		if err != nil {
			return fmt.Errorf("ebs_optimized: %w", err)
		}
	}
	return nil
}

// unresize starts an instance as it was. Where the process is to end it leaves
// that to the next run.
func (k instances) unresize(ctx context.Context, t *task, i instance, d differences, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	err := k.resize(ctx, t, string(i.InstanceType), i.EbsOptimized, i, d)
	if err == nil {
		err = k.start(ctx, t, aws.ToString(i.InstanceId))
	}
	if err == nil {
		err = k.rejoin(ctx, t, i)
	}
	if err != nil {
		return fail.Join(cause, fmt.Errorf("start it as it was: %w", err))
	}
	t.emit(event.Warning, map[string]string{"id": aws.ToString(i.InstanceId)}, "%s runs again as it did, as %s", aws.ToString(i.InstanceId), i.InstanceType)
	return cause
}

// served are the target groups in which an instance is healthy.
func (instances) served(ctx context.Context, t *task, i instance) ([]string, error) {
	var all []string
	for _, arn := range i.groups {
		healthy := false
		err := t.targets(ctx, arn, "the targets of "+targetGroupName(arn), healthDeadline, func(list []elb.TargetHealthDescription) bool {
			own := ofTarget(list, aws.ToString(i.InstanceId))
			healthy = len(own) > 0 && !slices.ContainsFunc(own, func(d elb.TargetHealthDescription) bool { return !serves(d) })
			return true
		}, healthText)
		if err != nil {
			return nil, err
		}
		if healthy {
			all = append(all, arn)
		}
	}
	return all, nil
}
