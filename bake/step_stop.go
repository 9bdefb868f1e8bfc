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
)

// stopStep stops the builder, so that its file system is whole.
type stopStep struct{}

func (stopStep) name() string                      { return "stop" }
func (stopStep) undo(context.Context, *bake) error { return nil }

func (stopStep) run(ctx context.Context, b *bake) error {
	if b.remote != nil {
		b.remote.drop()
	}
	switch {
	case b.spot:
		return nil // cannot be stopped: CreateImage reboots it, and takes its volumes in between
	case b.image.DisableStopInstance:
		b.say(event.Waiting, "builder %s to be shut down by itself", b.builder.id)
	default:
		if err := b.stop.do(ctx, b.builder.id, b.cloud, b.alone()); err != nil {
			return fmt.Errorf("stop builder %s: %w", b.builder.id, err)
		}
	}
	began := time.Now()
	what := "builder " + b.builder.id + " to stop"
	defer func() { b.waitedFor(stopStep{}.name(), what, began) }()
	_, err := b.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{
		ID: b.builder.id, For: what, Deadline: b.deadline(stoppedTime), Soon: true,
		Done: func(i types.Instance, found bool) (bool, error) {
			switch {
			case !found:
				return false, fmt.Errorf("builder %s is gone", aws.ToString(&b.builder.id))
			case state(i) == types.InstanceStateNameRunning || state(i) == types.InstanceStateNameStopping:
				return false, nil
			}
			return true, mustBe(i, types.InstanceStateNameStopped)
		},
		Show:     func(i types.Instance) string { return string(state(i)) },
		Progress: func(shown string) { b.say(event.Waiting, "builder %s is %s", b.builder.id, shown) },
	})
	return err
}

// endEarlyStep ends a bake that is to make no AMI.
type endEarlyStep struct{}

func (endEarlyStep) name() string                      { return "no image" }
func (endEarlyStep) undo(context.Context, *bake) error { return nil }

func (endEarlyStep) run(_ context.Context, b *bake) error {
	if !b.image.SkipCreateAMI {
		return nil
	}
	b.build = Build{Image: b.image.Name, Region: b.cloud.Region, Version: b.version, Fingerprint: b.fingerprint, SourceAMI: aws.ToString(b.source.ImageId), Created: b.started, Inputs: b.inputs}
	b.say(event.Progress, "provisioned; skip_create_ami: no AMI is made")
	return errDone
}

// attributeStep changes what an AMI takes over from the instance that it is made
// of, where the recipe says other than the source image. The builder is stopped
// then, as EC2 asks.
type attributeStep struct{}

func (attributeStep) name() string                      { return "attributes" }
func (attributeStep) undo(context.Context, *bake) error { return nil }

func (attributeStep) run(ctx context.Context, b *bake) error {
	change := func(what string, in *ec2.ModifyInstanceAttributeInput) error {
		in.InstanceId = aws.String(b.builder.id)
		if _, err := b.cloud.EC2.ModifyInstanceAttribute(ctx, in); err != nil {
			return fmt.Errorf("%s of builder %s: %w", what, b.builder.id, err)
		}
		return nil
	}
	if want := b.image.EnaSupport; want != nil && *want != aws.ToBool(b.source.EnaSupport) {
		if err := change("ena_support", &ec2.ModifyInstanceAttributeInput{EnaSupport: &types.AttributeBooleanValue{Value: want}}); err != nil {
			return err
		}
	}
	if b.image.SriovSupport && aws.ToString(b.source.SriovNetSupport) != "simple" {
		return change("sriov_support", &ec2.ModifyInstanceAttributeInput{SriovNetSupport: &types.AttributeValue{Value: aws.String("simple")}})
	}
	return nil
}
