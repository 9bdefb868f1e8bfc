package launch

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/probe"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Some builds are healthy until they have traffic. A new group is watched with
// each share of it for the roll-out's bake_time, as long as the old group is
// there to take the traffic back.

// prove returns when a group that has a share of the traffic may have more: it
// has stayed healthy with it for as long as it is to be watched.
func (k autoScalingGroups) prove(ctx context.Context, t *task, g types.AutoScalingGroup, o *project.Rollout, v *vigil, percent int) error {
	if percent == 0 || o.BakeTime == 0 {
		v = nil // what becomes healthy in time is
	}
	var err error
	if v != nil {
		err = k.watch(ctx, v, o, percent)
	}
	if err == nil {
		err = k.healthy(ctx, t, g, o, v)
	}
	if err == nil && v == nil && t.roll != nil {
		err = t.roll.proveAll(ctx, k, aws.ToString(g.AutoScalingGroupName), percent == 0)
	}
	if err != nil && percent > 0 {
		return fmt.Errorf("with %d%% of the traffic: %w", percent, err)
	}
	return err
}

// watch looks at a group for the roll-out's bake_time. It fails when instances
// are ill in as many looks in a row as make them count as healthy, and does not
// end before that is decided.
func (k autoScalingGroups) watch(ctx context.Context, v *vigil, o *project.Rollout, percent int) error {
	t, limit, began := v.task, o.BakeTime.Or(0), time.Now()
	t.waiting("bake_time")(fmt.Sprintf("%s is watched with %d%% of the traffic for %s", v.group, percent, limit))
	told := began
	var paced pace
	for {
		g, found, err := k.byName(ctx, t, v.group)
		if err == nil && !found {
			return fmt.Errorf("%s is gone", v.group)
		}
		var ill []string
		if err == nil {
			ill, err = v.look(ctx, k, g)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !cloud.Ambiguous(err):
			return err
		case len(ill) > 0:
			if v.bad.decides() {
				return fmt.Errorf("%s did not stay healthy: after %s of %s: %s", v.group, time.Since(began).Round(time.Second), limit, strings.Join(ill, "; "))
			}
			paced.quicken()
		}
		left := limit - time.Since(began)
		if left <= 0 && err == nil && v.bad.row == 0 {
			return nil
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			t.waiting("bake_time")(fmt.Sprintf("%s with %d%% of the traffic, %s left of %s", v.group, percent, max(0, left).Round(time.Second), limit))
		}
		pause := paced.next()
		if left > 0 {
			pause = min(pause, left)
		}
		if err := cloud.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// vigil is what is known of a group through all the time that it is watched.
type vigil struct {
	task   *task
	group  string
	blind  bool                   // what its target groups say does not count
	served map[string]bool        // the instances that have been in service
	lost   map[string]string      // those that Auto Scaling has replaced since, and why
	probes map[string]probe.Probe // what the instances have to pass
	bad    streak                 // looks in a row in which something was ill
}

func newVigil(t *task, g types.AutoScalingGroup, o *project.Rollout) *vigil {
	_, targets := o.Health.Checks()
	return &vigil{task: t, group: aws.ToString(g.AutoScalingGroupName), blind: !targets, served: map[string]bool{}, lost: map[string]string{}, probes: map[string]probe.Probe{},
		bad: streak{enough: o.InARow()}}
}

// look lists the instances of a group that were well and are not: Auto Scaling
// says so, also while it replaces them and when it has, or a target group. Those
// that come or go because the group's size changes are none.
func (v *vigil) look(ctx context.Context, k autoScalingGroups, g types.AutoScalingGroup) ([]string, error) {
	health := map[string]string{}
	if !v.blind {
		var err error
		health, err = v.task.targetHealth(ctx, g, func(d elbtypes.TargetHealthDescription) bool {
			return d.TargetHealth == nil || d.TargetHealth.State != elbtypes.TargetHealthStateEnumUnhealthy
		})
		if err != nil {
			return nil, err
		}
	}
	var ill []string
	there := map[string]bool{}
	for _, i := range g.Instances {
		id := aws.ToString(i.InstanceId)
		there[id] = true
		switch {
		case aws.ToString(i.HealthStatus) == "Unhealthy":
			ill = append(ill, id+" is unhealthy")
		case i.LifecycleState == types.LifecycleStateInService && health[id] != "":
			ill = append(ill, id+" is "+health[id])
		}
		if i.LifecycleState == types.LifecycleStateInService {
			v.served[id] = true
		}
	}
	if err := v.missing(ctx, k, there); err != nil {
		return nil, err
	}
	bad, err := v.ask(ctx, g)
	if err != nil {
		return nil, err
	}
	ill = append(ill, bad...)
	for _, id := range union(v.lost) {
		ill = append(ill, id+" was replaced: "+v.lost[id])
	}
	v.bad.add(len(ill) > 0)
	return ill, nil
}

// ask puts the roll-out's own questions to all instances in service at once, and
// lists those that answer wrongly.
func (v *vigil) ask(ctx context.Context, g types.AutoScalingGroup) ([]string, error) {
	if v.task.roll == nil || !v.task.roll.r.spec.Health.Probes() {
		return nil, nil
	}
	var ids []string
	for _, i := range g.Instances {
		if id := aws.ToString(i.InstanceId); i.LifecycleState == types.LifecycleStateInService {
			ids = append(ids, id)
			if v.probes[id] != nil {
				continue
			}
			_, look, err := v.task.roll.look(ctx, id)
			if err != nil {
				return nil, err
			}
			v.probes[id] = look
		}
	}
	saw := make([]string, len(ids))
	err := graph.Each(ctx, 0, len(ids), func(ctx context.Context, n int) error {
		ok, what, err := v.probes[ids[n]](ctx)
		if err != nil && cloud.Ambiguous(err) {
			ok, what, err = false, err.Error(), nil
		}
		if !ok && err == nil {
			saw[n] = ids[n] + ": " + what
		}
		return err
	})
	return slices.DeleteFunc(saw, func(text string) bool { return text == "" }), err
}

// missing finds out about instances that are gone since the look before: Auto
// Scaling may have replaced one that was ill, and the next one is well at first,
// too. What the group's activities say of it is the only trace of that.
func (v *vigil) missing(ctx context.Context, k autoScalingGroups, there map[string]bool) error {
	var gone []string
	for id := range v.served {
		if !there[id] {
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	out, err := k.api(v.task.Cloud).DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(v.group), MaxRecords: aws.Int32(activitiesRead)})
	if err != nil {
		return fmt.Errorf("describe the scaling activities: %w", err)
	}
	for _, id := range gone {
		delete(v.served, id)
		for _, a := range out.Activities {
			if strings.Contains(aws.ToString(a.Description), id) && forHealth.MatchString(aws.ToString(a.Cause)) {
				v.lost[id] = aws.ToString(a.Cause)
			}
		}
	}
	return nil
}

// activitiesRead is how many of a group's latest activities are looked through:
// as many as one call gives.
const activitiesRead = 100

// forHealth is what Auto Scaling gives as the cause of an activity that replaces
// an instance because of its health; there is no code for that.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-verify-scaling-activity.html
var forHealth = regexp.MustCompile(`(?i)health.?check`)

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
