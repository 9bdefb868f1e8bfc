package launch

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A kept group that takes over again gets another size and the newest generation.
// How it was kept stays written on it until it has all of the traffic: whichever
// run finds that it cannot take over, that one or a later one, keeps it on as it
// was.

// keeping is how a group is kept.
type keeping struct {
	generation        int
	until             string // RFC 3339
	min, max, desired int32
}

func keepingOf(g types.AutoScalingGroup) keeping {
	have := (adapter[autoScalingGroupSpec, types.AutoScalingGroup]{autoScalingGroups{}}).found(g)
	return keeping{have.generation(), have.tags[tags.KeepUntil], aws.ToInt32(g.MinSize), aws.ToInt32(g.MaxSize), int32(sizeOf(g))}
}

func (k keeping) String() string {
	return fmt.Sprintf("generation=%d until=%s size=%d/%d/%d", k.generation, k.until, k.min, k.desired, k.max)
}

// formerly is how a group was kept that has begun to take over again.
func formerly(g types.AutoScalingGroup) (k keeping, ok bool) {
	text := autoScalingGroups{}.read(g).tags[tags.Revived]
	_, err := fmt.Sscanf(text, "generation=%d until=%s size=%d/%d/%d", &k.generation, &k.until, &k.min, &k.desired, &k.max)
	return k, err == nil
}

func revived(g types.AutoScalingGroup) bool {
	_, ok := formerly(g)
	return ok
}

// revive makes a group that was kept the newest generation, as large as the one
// whose place it takes.
func (k autoScalingGroups) revive(ctx context.Context, t *task, w want[autoScalingGroupSpec], g, old types.AutoScalingGroup) (types.AutoScalingGroup, error) {
	name := aws.ToString(g.AutoScalingGroupName)
	t.progress("%s has what is wanted: it takes over again", name)
	if !revived(g) {
		if err := k.mark(ctx, t, g, map[string]string{tags.Revived: keepingOf(g).String()}); err != nil {
			return g, err
		}
	}
	size := within(sizeOf(old), w.spec.MinSize, w.spec.MaxSize)
	if w.spec.DesiredCapacity != nil {
		size = w.spec.DesiredCapacity
	}
	_, err := k.blueGreenAPI(t.Cloud).UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName,
		MinSize: optionalNumber(w.spec.MinSize), MaxSize: optionalNumber(w.spec.MaxSize), DesiredCapacity: optionalNumber(size)})
	if err != nil {
		return g, fmt.Errorf("give %s its size: %w", name, err)
	}
	// The generation comes last: with it the next run takes the group for the one
	// that is to have the traffic.
	if err := k.mark(ctx, t, g, map[string]string{tags.Generation: strconv.Itoa(t.generation), tags.KeepUntil: ""}); err != nil {
		return g, err
	}
	again, found, err := k.byName(ctx, t, name)
	if err == nil && !found {
		err = fmt.Errorf("%s is gone", name)
	}
	return again, err
}

// keepOn gives a group that was to take over again its size and its tags of
// before. The tags come last: they tell the next run that nothing is missing.
func (k autoScalingGroups) keepOn(ctx context.Context, t *task, g, before types.AutoScalingGroup) error {
	was, marked := formerly(g)
	if !marked {
		was = keepingOf(before)
	}
	now, touched := keepingOf(g), marked
	if now.min != was.min || now.max != was.max || now.desired != was.desired {
		_, err := k.blueGreenAPI(t.Cloud).UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName,
			MinSize: &was.min, MaxSize: &was.max, DesiredCapacity: &was.desired})
		if err != nil {
			return fmt.Errorf("give %s its size again: %w", aws.ToString(g.AutoScalingGroupName), err)
		}
		touched = true
	}
	if marked || now.generation != was.generation {
		if err := k.mark(ctx, t, g, map[string]string{tags.Generation: strconv.Itoa(was.generation), tags.KeepUntil: was.until, tags.Revived: ""}); err != nil {
			return err
		}
		touched = true
	}
	if touched {
		t.progress("%s is kept on as it was", aws.ToString(g.AutoScalingGroupName))
		t.undone = append(t.undone, aws.ToString(g.AutoScalingGroupName))
	}
	return nil
}
