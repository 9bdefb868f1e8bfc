package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// The blue-green roll-out of a group. The newest generation is the one that
// should have the traffic, and the weights at the load balancers say how much it
// has: whatever ends a launch, the next one sees from those two how far it came.
//
//	the new group is made     no traffic: it becomes healthy, and gets it
//	it has a part of it       it is watched with it, and gets the rest
//	it has all of it          it is watched; the old one is marked to be kept, or removed
//	the time is over          the old one is removed
//
// A kept group that has what is wanted takes over again as the newest
// generation, without launching anything.

// traffic is the difference of a group that should have all of it.
const traffic = "traffic"

type blueGreenAPI interface {
	CreateOrUpdateTags(context.Context, *autoscaling.CreateOrUpdateTagsInput, ...func(*autoscaling.Options)) (*autoscaling.CreateOrUpdateTagsOutput, error)
	UpdateAutoScalingGroup(context.Context, *autoscaling.UpdateAutoScalingGroupInput, ...func(*autoscaling.Options)) (*autoscaling.UpdateAutoScalingGroupOutput, error)
}

func (autoScalingGroups) blueGreenAPI(c *cloud.Cloud) blueGreenAPI { return c.AutoScaling }

// blueGreen is the roll-out of a definition whose group is replaced by another
// beside it; nil where it is refreshed.
func (w want[S]) blueGreen() *project.Rollout {
	if o := w.rollout(); o != nil && o.Kind() == project.BlueGreen {
		return o
	}
	return nil
}

// wantedTargets are the target groups that a group should have: those of the
// side that it is on.
func (s *autoScalingGroupSpec) wantedTargets(g types.AutoScalingGroup) []string {
	if len(s.AlternateTargetGroups) > 0 && slices.ContainsFunc(g.TargetGroupARNs, func(arn string) bool { return has(s.AlternateTargetGroups, arn) }) {
		return s.AlternateTargetGroups
	}
	return s.TargetGroups
}

// otherTargets are those of the other side.
func (s *autoScalingGroupSpec) otherTargets(g types.AutoScalingGroup) []string {
	if slices.Equal(s.wantedTargets(g), s.TargetGroups) {
		return s.AlternateTargetGroups
	}
	return s.TargetGroups
}

// compareTraffic: the newest group has all of its pairs' traffic.
func compareTraffic(d *differences, w want[autoScalingGroupSpec], g types.AutoScalingGroup) {
	pairs := w.world.pairsOf(w.UUID)
	if len(pairs) == 0 {
		return
	}
	l, ok := remembers[*listening](w.world.memo, "elb listeners")
	if !ok || l == nil {
		return
	}
	switch percent, ok := trafficOf(l, pairs, g); {
	case !ok:
	case percent == 100 && !proven(w, g):
		d.set(traffic, "100%", "100%, healthy with it for "+w.blueGreen().BakeTime.Or(0).String())
	default:
		d.set(traffic, strconv.Itoa(percent)+"%", "100%")
	}
}

// successor finds or makes the group that takes the place of the newest one: a
// kept one that has what is wanted, or a new one on the other side.
func (k autoScalingGroups) successor(ctx context.Context, t *task, w want[autoScalingGroupSpec]) (types.AutoScalingGroup, error) {
	none := types.AutoScalingGroup{}
	if err := t.roll.before(ctx); err != nil {
		return none, err
	}
	old := t.old[0].raw.(types.AutoScalingGroup)
	side := w.spec.otherTargets(old)
	for _, f := range t.old[1:] {
		g, found, err := k.byName(ctx, t, f.id)
		if err != nil || !found || aws.ToString(g.Status) != "" {
			if err != nil {
				return none, err
			}
			continue
		}
		if sameConfiguration(g, groupOf(w.spec.configuration())) && len(side) > 0 && has(g.TargetGroupARNs, side[0]) {
			return k.revive(ctx, t, w, g, old)
		}
		if len(side) > 0 && has(g.TargetGroupARNs, side[0]) {
			if err := k.makeRoom(ctx, t, w, g, old); err != nil {
				return none, err
			}
		}
	}
	beside := *w.spec
	beside.TargetGroups = side
	if beside.DesiredCapacity == nil {
		beside.DesiredCapacity = within(sizeOf(old), beside.MinSize, beside.MaxSize)
	}
	return k.make(ctx, t, w.Resource, &beside)
}

// within is a size between two others.
func within(n int, least, most *int) *int {
	if least != nil {
		n = max(n, *least)
	}
	if most != nil {
		n = min(n, *most)
	}
	return &n
}

func (k autoScalingGroups) mark(ctx context.Context, t *task, g types.AutoScalingGroup, set map[string]string) error {
	name := aws.ToString(g.AutoScalingGroupName)
	if _, err := k.blueGreenAPI(t.Cloud).CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: scalingTags(name, set)}); err != nil {
		return fmt.Errorf("mark %s: %w", name, err)
	}
	return nil
}

// takeOver waits until the newest group is healthy, and moves the traffic to
// it step by step, each of which it is watched with.
func (k autoScalingGroups) takeOver(ctx context.Context, t *task, w want[autoScalingGroupSpec], g types.AutoScalingGroup) error {
	o, pairs, name := w.rollout(), t.pairsOf(w.UUID), aws.ToString(g.AutoScalingGroupName)
	if o == nil {
		o = &project.Rollout{}
	}
	l, err := t.listening(ctx)
	if err != nil {
		return err
	}
	share, _ := trafficOf(l, pairs, g)
	// A target group that gets no traffic has its targets looked at, one that no
	// load balancer knows has not.
	if err := t.shiftTraffic(ctx, pairs, g, share); err != nil {
		return err
	}
	v := newVigil(t, g, o)
	if err := k.prove(ctx, t, g, o, v, share); err != nil {
		return err
	}
	for _, step := range trafficSteps(o) {
		percent := step.Of(100)
		if percent <= share {
			continue
		}
		if err := t.shiftTraffic(ctx, pairs, g, percent); err != nil {
			return err
		}
		t.progress("%s has %d%% of the traffic", name, percent)
		if err := k.prove(ctx, t, g, o, v, percent); err != nil {
			return err
		}
	}
	t.progress("%s has all of the traffic%s", name, noReturn(t, o))
	if revived(g) {
		return k.mark(ctx, t, g, map[string]string{tags.Revived: ""})
	}
	return nil
}

// trafficSteps are the shares of the traffic that a new group gets, one after the
// other.
func trafficSteps(o *project.Rollout) []project.Share {
	if len(o.Steps) == 0 {
		return []project.Share{"100%"}
	}
	return o.Steps
}

// noReturn says until when the traffic can go back.
func noReturn(t *task, o *project.Rollout) string {
	var names []string
	for _, f := range t.old {
		names = append(names, f.id)
	}
	switch keep := o.Keep.Or(0); {
	case len(names) == 0:
		return ""
	case keep == 0:
		return ": this is the point of no return, " + strings.Join(names, ", ") + " is removed"
	default:
		return fmt.Sprintf("; %s stays for %s, until when a rollback moves it back: the point of no return is at %s", names[0], keep, time.Now().Add(keep).Format("15:04:05"))
	}
}

// healthy waits until all instances of a group are in service and well, as often
// in a row as the roll-out says. Where one has been watched, another in the place
// of an ill one makes it no healthier.
func (k autoScalingGroups) healthy(ctx context.Context, t *task, g types.AutoScalingGroup, o *project.Rollout, v *vigil) error {
	_, targets := o.Health.Checks()
	watch := &refreshWatch{task: t, group: g, blind: !targets, new: versionsOf(&types.DesiredConfiguration{LaunchTemplate: g.LaunchTemplate, MixedInstancesPolicy: g.MixedInstancesPolicy})}
	name, began, within := aws.ToString(g.AutoScalingGroupName), time.Now(), o.Within()
	good := streak{enough: o.InARow()}
	_, err := t.Cloud.ScalingGroups.Wait(ctx, cloud.Wait[types.AutoScalingGroup]{
		ID: name, For: "the instances of " + name + " to be healthy", Deadline: within + time.Minute,
		Show: func(types.AutoScalingGroup) string { return watch.told },
		Done: func(g types.AutoScalingGroup, found bool) (bool, error) {
			if !found {
				return false, nil
			}
			if v != nil {
				if ill, err := v.look(ctx, k, g); err != nil {
					return false, err
				} else if v.bad.decides() {
					return false, stuck{fmt.Errorf("%s did not stay healthy: %s", name, strings.Join(ill, "; "))}
				}
			}
			unwell, err := watch.wrong(ctx, g)
			if err != nil {
				return false, err
			}
			watch.tell("instances", fmt.Sprintf("%d of %d in service", inService(g), sizeOf(g)), unwell)
			if good.add(len(unwell) == 0); len(unwell) > 0 {
				if time.Since(began) > within {
					return false, stuck{fmt.Errorf("not healthy within %s: %s", within, watch.told)}
				}
				if inService(g) == len(g.Instances) && inService(g) < sizeOf(g) {
					return false, k.failing(ctx, t, name)
				}
				return false, nil
			}
			return good.decides(), nil
		},
	})
	return err
}

// restorable: a replacement for another reason is no blue-green one.
func (autoScalingGroups) restorable(t *task) bool { return len(t.pairsOf(t.uuid)) > 0 }

// restore gives the traffic back to the group that had it, and removes the new
// one; a kept one that was to take over goes on being kept.
func (k autoScalingGroups) restore(ctx context.Context, t *task) error {
	pairs := t.pairsOf(t.uuid)
	old := t.old[0].raw.(types.AutoScalingGroup)
	if err := t.shiftTraffic(ctx, pairs, old, 100); err != nil {
		return err
	}
	list, err := k.list(ctx, t.query())
	if err != nil {
		return err
	}
	for _, g := range list {
		before := slices.IndexFunc(t.old, func(f *found) bool { return f.id == aws.ToString(g.AutoScalingGroupName) })
		switch {
		case before < 0 && !revived(g):
			t.progress("%s goes again", aws.ToString(g.AutoScalingGroupName))
			err = k.remove(ctx, t, g)
			t.undone = append(t.undone, aws.ToString(g.AutoScalingGroupName))
		case before < 0:
			err = k.keepOn(ctx, t, g, g)
		case before > 0:
			err = k.keepOn(ctx, t, g, t.old[before].raw.(types.AutoScalingGroup))
		}
		if err != nil {
			return err
		}
	}
	if err := k.returnRoom(ctx, t, list); err != nil {
		return err
	}
	t.roll.ends(StatePutBack, nil)
	return t.revert(ctx, templatesOf(old))
}

// spare keeps the group whose traffic another has taken over for as long as the
// roll-out says. It is not kept where there is nothing to go back to, and not when
// it has made room. One that is kept stays until its time is over.
func (k autoScalingGroups) spare(ctx context.Context, t *task, w want[autoScalingGroupSpec], g types.AutoScalingGroup) (bool, error) {
	if len(t.pairsOf(w.UUID)) == 0 {
		return false, nil
	}
	name := aws.ToString(g.AutoScalingGroupName)
	now, there, err := k.byName(ctx, t, name)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", name, err)
	}
	if !there || len(now.TargetGroupARNs) == 0 || aws.ToString(now.Status) != "" {
		return false, nil
	}
	if have := (adapter[autoScalingGroupSpec, types.AutoScalingGroup]{k}).found(now); have.tags[tags.KeepUntil] != "" {
		return have.kept(), nil
	}
	o := w.blueGreen()
	if o == nil || o.Keep == 0 {
		return false, nil
	}
	until := time.Now().Add(o.Keep.Or(0)).UTC().Format(time.RFC3339)
	t.progress("%s is kept until %s: until then a rollback moves the traffic back, and then the next launch removes it", name, until)
	return true, k.mark(ctx, t, g, map[string]string{tags.KeepUntil: until})
}
