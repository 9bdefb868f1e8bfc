package launch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Some builds are healthy until they have traffic. A new group is watched with
// each share of it for the roll-out's bake_time, as long as the old group is
// there to take the traffic back.

// prove returns when a group that has a share of the traffic may have more: it
// has stayed healthy with it for as long as it is to be watched.
func (k autoScalingGroups) prove(ctx context.Context, t *task, g types.AutoScalingGroup, o *project.Rollout, percent int) error {
	var err error
	if percent > 0 && o.BakeTime > 0 {
		err = k.watch(ctx, t, g, o, percent)
	}
	if err == nil {
		err = k.healthy(ctx, t, g, o)
	}
	if err != nil && percent > 0 {
		return fmt.Errorf("with %d%% of the traffic: %w", percent, err)
	}
	return err
}

// watch looks at a group for the roll-out's bake_time. It fails when instances
// are ill in as many looks in a row as make them count as healthy.
func (k autoScalingGroups) watch(ctx context.Context, t *task, g types.AutoScalingGroup, o *project.Rollout, percent int) error {
	name, limit, began, row := aws.ToString(g.AutoScalingGroupName), o.BakeTime.Or(0), time.Now(), 0
	t.waiting("bake_time")(fmt.Sprintf("%s is watched with %d%% of the traffic for %s", name, percent, limit))
	told := began
	for pause := lookPause; ; pause = min(pause*3/2, longestPause) {
		ill, err := k.ill(ctx, t, name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !cloud.Ambiguous(err):
			return err
		case err != nil: // it has not been seen: the next look tells
		case len(ill) == 0:
			row = 0
		default:
			if row++; row >= max(1, o.HealthyAfter) {
				return fmt.Errorf("%s did not stay healthy: after %s of %s: %s", name, time.Since(began).Round(time.Second), limit, strings.Join(ill, "; "))
			}
			pause = lookPause
		}
		left := limit - time.Since(began)
		if left <= 0 {
			return nil
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			t.waiting("bake_time")(fmt.Sprintf("%s with %d%% of the traffic, %s left of %s", name, percent, left.Round(time.Second), limit))
		}
		if err := cloud.Sleep(ctx, min(pause, left)); err != nil {
			return err
		}
	}
}

// ill lists the instances of a group that were well and are not: Auto Scaling
// says so, also while it replaces them, or a target group. Those that come or go
// because the group's size changes are none.
func (k autoScalingGroups) ill(ctx context.Context, t *task, name string) ([]string, error) {
	g, found, err := k.byName(ctx, t, name)
	if err == nil && !found {
		err = fmt.Errorf("%s is gone", name)
	}
	if err != nil {
		return nil, err
	}
	health, err := t.targetHealth(ctx, g, func(d elbtypes.TargetHealthDescription) bool {
		return d.TargetHealth == nil || d.TargetHealth.State != elbtypes.TargetHealthStateEnumUnhealthy
	})
	if err != nil {
		return nil, err
	}
	var list []string
	for _, i := range g.Instances {
		id := aws.ToString(i.InstanceId)
		switch {
		case aws.ToString(i.HealthStatus) == "Unhealthy":
			list = append(list, id+" is unhealthy")
		case i.LifecycleState == types.LifecycleStateInService && health[id] != "":
			list = append(list, id+" is "+health[id])
		}
	}
	return list, nil
}

// proven tells whether a group that has all of the traffic has been watched with
// it: only then is its predecessor marked, or asked to go. Where no watch is
// wanted it is.
func proven(w want[autoScalingGroupSpec], g types.AutoScalingGroup) bool {
	o := w.blueGreen()
	if o == nil || o.BakeTime == 0 {
		return true
	}
	for _, f := range w.world.inventory.of(w.UUID, w.Address, w.Kind) {
		before, ok := f.raw.(types.AutoScalingGroup)
		if !ok || f.id == aws.ToString(g.AutoScalingGroupName) || f.tags[tags.KeepUntil] != "" || aws.ToString(before.Status) != "" {
			continue
		}
		if other := w.spec.otherTargets(g); len(other) > 0 && has(before.TargetGroupARNs, other[0]) {
			return false
		}
	}
	return true
}
