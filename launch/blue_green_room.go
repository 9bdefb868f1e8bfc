package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// A pair has two target groups. While a group is kept, both are taken, and a new
// build needs one of them: the kept group leaves it, and goes when the build has
// passed. If that fails, it gets the target group back, and is kept on.

// inTheWay says what becomes of groups that are kept when another is made. Which
// version of a launch template is going to be the current one, and so whether a
// kept group has it, the plan does not know.
func inTheWay(w want[autoScalingGroupSpec], g types.AutoScalingGroup) (text string) {
	for _, f := range w.world.inventory.of(w.UUID, w.Address, w.Kind) {
		kept, ok := f.raw.(types.AutoScalingGroup)
		if ok && f.kept() && f.id != aws.ToString(g.AutoScalingGroupName) && w.spec.onOtherSide(g, kept) {
			text += fmt.Sprintf(" (%s, which is kept, takes over again if it is what is wanted; if not, it is removed when the new build has passed)", f.id)
		}
	}
	return text
}

// onOtherSide tells whether a group has the target groups that another does not
// have.
func (s *autoScalingGroupSpec) onOtherSide(g, other types.AutoScalingGroup) bool {
	side := s.otherTargets(g)
	return len(side) > 0 && has(other.TargetGroupARNs, side[0])
}

// displaces: a kept group without target groups has made room.
func (autoScalingGroups) displaces(w want[autoScalingGroupSpec], have, kept types.AutoScalingGroup) (already, perhaps bool) {
	if len(w.spec.AlternateTargetGroups) == 0 {
		return false, false
	}
	return len(kept.TargetGroupARNs) == 0, w.blueGreen() != nil && w.spec.onOtherSide(have, kept)
}

// makeRoom takes a group out of the target groups that another is to have. One
// that an interrupted roll-out has left with some of the traffic gives that to
// the newest one first.
func (k autoScalingGroups) makeRoom(ctx context.Context, t *task, w want[autoScalingGroupSpec], g, newest types.AutoScalingGroup) error {
	name, pairs := aws.ToString(g.AutoScalingGroupName), t.pairsOf(w.UUID)
	l, err := t.listening(ctx)
	if err != nil {
		return err
	}
	if share, ok := trafficOf(l, pairs, newest); ok && share < 100 {
		o := w.rollout()
		if o == nil {
			o = &project.Rollout{}
		}
		if err := k.healthy(ctx, t, newest, o, nil); err != nil {
			return fmt.Errorf("%s cannot take over from %s: %w", aws.ToString(newest.AutoScalingGroupName), name, err)
		}
		if err := t.shiftTraffic(ctx, pairs, newest, 100); err != nil {
			return err
		}
	}
	t.progress("%s makes room: it is removed when the new build has passed, and gets its target groups back if that fails", name)
	return k.retarget(ctx, t, g, nil)
}

// returnRoom gives the target groups that a failed roll-out leaves free back to
// the newest of the groups that made room. list is what there was before the
// roll-out's own group went.
func (k autoScalingGroups) returnRoom(ctx context.Context, t *task, list []types.AutoScalingGroup) error {
	var before []types.AutoScalingGroup
	for _, f := range t.old[1:] {
		if i := slices.IndexFunc(list, func(g types.AutoScalingGroup) bool { return aws.ToString(g.AutoScalingGroupName) == f.id }); i >= 0 {
			before = append(before, list[i])
		}
	}
	out := slices.IndexFunc(before, func(g types.AutoScalingGroup) bool {
		return len(g.TargetGroupARNs) == 0 && aws.ToString(g.Status) == ""
	})
	for _, p := range t.pairsOf(t.uuid) {
		free := p.first
		if p.sideOf(t.old[0].raw.(types.AutoScalingGroup)) == p.first {
			free = p.another
		}
		if out < 0 || slices.ContainsFunc(before, func(g types.AutoScalingGroup) bool { return slices.Contains(g.TargetGroupARNs, free) }) {
			continue
		}
		name := aws.ToString(before[out].AutoScalingGroupName)
		t.progress("%s is in %s again", name, targetGroupName(free))
		if err := k.retarget(ctx, t, before[out], []string{free}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
