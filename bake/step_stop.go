package bake

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	if err := b.stop.do(ctx, b.builder.id, b.cloud, b.alone()); err != nil {
		return fmt.Errorf("stop builder %s: %w", b.builder.id, err)
	}
	began := time.Now()
	what := "builder " + b.builder.id + " to stop"
	defer func() { b.waitedFor(stopStep{}.name(), what, began) }()
	_, err := b.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{
		ID: b.builder.id, For: what, Deadline: stoppedTime,
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
