package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// Auto Scaling waits for an instance that never becomes healthy, launches
// another, and waits again. Who follows a refresh sees which instances those
// are, and ends it when the roll-out's deadline is over.

// refreshWatch is what is known of a refresh while it is followed.
type refreshWatch struct {
	*task
	group    types.AutoScalingGroup
	blind    bool          // what the target groups say does not count
	gate     *gate         // which new instances have to pass; nil for none
	new      []string      // the versions that new instances are launched with
	deadline time.Duration // 0 for none
	since    time.Time     // since when nothing has become better
	best     int           // how far it has come, for comparing
	unwell   []string      // the new instances that do not serve, and why
	told     string        // what was last said of it
}

// stuck is the error of a refresh that gets nowhere.
type stuck struct{ error }

// refreshTime is the deadline of a roll-out; a group without one is left to
// Auto Scaling.
func refreshTime(o *project.Rollout) time.Duration {
	if o == nil {
		return 0
	}
	return o.Within()
}

// follow waits for the end of a refresh. One that is stuck is rolled back, or
// cancelled where it cannot be.
func (k autoScalingGroups) follow(ctx context.Context, w *refreshWatch, id string) (*types.InstanceRefresh, error) {
	r, err := k.over(ctx, w, id)
	var late stuck
	if !errors.As(err, &late) {
		return r, err
	}
	w.task.progress("instance refresh %s is ended: %v", id, late)
	if r != nil && r.Preferences != nil && aws.ToBool(r.Preferences.AutoRollback) {
		_, err := k.refreshAPI(w.Cloud).RollbackInstanceRefresh(ctx, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: w.group.AutoScalingGroupName})
		if err != nil && cloud.Code(err) != "ActiveInstanceRefreshNotFound" {
			return nil, fail.Join(late, fmt.Errorf("roll the instance refresh back: %w", err))
		}
	} else if err := k.cancel(ctx, w.task, w.group); err != nil {
		return nil, fail.Join(late, err)
	}
	if err := w.gate.shut(ctx, false); err != nil {
		return nil, fail.Join(late, err)
	}
	r, err = k.over(ctx, &refreshWatch{task: w.task, group: w.group}, id)
	if err != nil {
		return nil, fail.Join(late, err)
	}
	return r, late
}

// over waits until a refresh is over, whatever came of it. The refresh is nil
// where the wait itself failed.
func (k autoScalingGroups) over(ctx context.Context, w *refreshWatch, id string) (*types.InstanceRefresh, error) {
	name := aws.ToString(w.group.AutoScalingGroupName)
	var seen *types.InstanceRefresh
	_, err := w.Cloud.Refreshes.Wait(ctx, cloud.Wait[types.InstanceRefresh]{
		ID: name + " " + id, For: "instance refresh " + id + " of " + name, Deadline: refreshDeadline,
		Done: func(r types.InstanceRefresh, found bool) (bool, error) {
			if !found {
				return false, nil
			}
			if seen = &r; refreshOver(r.Status) {
				return true, nil
			}
			err := w.look(ctx, k, r)
			w.tell("instance refresh", showRefresh(r), w.unwell)
			return false, err
		},
		Show: func(types.InstanceRefresh) string { return w.told },
	})
	var late stuck
	if err != nil && !errors.As(err, &late) {
		return nil, err
	}
	return seen, err
}

// tell says what is seen, when that changes.
func (w *refreshWatch) tell(what, text string, unwell []string) {
	if text = strings.Join(append([]string{text}, unwell...), "; "); text != w.told {
		w.told = text
		w.waiting(what)(text)
	}
}

// look sees how the new instances are, and fails when nothing has become better
// for as long as the deadline says. A look that fails itself says nothing: the
// next one tells.
func (w *refreshWatch) look(ctx context.Context, k autoScalingGroups, r types.InstanceRefresh) error {
	running := r.Status == types.InstanceRefreshStatusInProgress
	if len(w.new) == 0 || !running && w.gate == nil {
		w.unwell, w.since = nil, time.Now()
		return nil
	}
	if !running && r.Status != types.InstanceRefreshStatusBaking && r.Status != types.InstanceRefreshStatusPending {
		w.unwell, w.since = nil, time.Now()
		_ = w.gate.shut(ctx, false) // it goes back by itself; the next look tries again
		return nil
	}
	g, found, err := k.byName(ctx, w.task, aws.ToString(w.group.AutoScalingGroupName))
	if err != nil || !found {
		return nil
	}
	busy, err := w.gate.tend(ctx, g, r.Status)
	var late stuck
	switch {
	case errors.As(err, &late):
		return late
	case err != nil || !running:
		return nil
	}
	unwell, err := w.wrong(ctx, g)
	if err != nil {
		return nil
	}
	w.unwell = unwell
	far := 1 + int(aws.ToInt32(r.PercentageComplete))*sizeOf(g) - int(aws.ToInt32(r.InstancesToUpdate)) + sizeOf(g)
	if busy || len(unwell) == 0 || far > w.best || w.since.IsZero() {
		w.since, w.best = time.Now(), max(far, w.best) // those that are proved have deadlines of their own
	}
	if w.deadline == 0 || time.Since(w.since) < w.deadline {
		return nil
	}
	return stuck{fmt.Errorf("not healthy within %s: %s", w.deadline, strings.Join(unwell, "; "))}
}

// wrong lists the new instances of a group that do not serve, with the reason,
// and how many are not there at all.
func (w *refreshWatch) wrong(ctx context.Context, g types.AutoScalingGroup) ([]string, error) {
	health := map[string]string{}
	if !w.blind {
		var err error
		if health, err = w.targetHealth(ctx, g, serves); err != nil {
			return nil, err
		}
	}
	var list []string
	there := 0
	for _, i := range g.Instances {
		if leaving(i) {
			continue
		}
		there++
		id := aws.ToString(i.InstanceId)
		switch {
		case !slices.Contains(w.new, versionedID(i.LaunchTemplate)):
		case i.LifecycleState != types.LifecycleStateInService:
			list = append(list, id+" is "+string(i.LifecycleState))
		case aws.ToString(i.HealthStatus) != "Healthy":
			list = append(list, id+" is unhealthy")
		case health[id] != "":
			list = append(list, id+" is "+health[id])
		}
	}
	if missing := sizeOf(g) - there; missing > 0 {
		list = append(list, strconv.Itoa(missing)+" are to be launched")
	}
	return list, nil
}

// targetHealth says of the instances of a group what is wrong with them in its
// target groups, where one is not as fine wants it.
func (t *task) targetHealth(ctx context.Context, g types.AutoScalingGroup, fine func(elbtypes.TargetHealthDescription) bool) (map[string]string, error) {
	var api targetAPI = t.Cloud.ELB
	wrong := map[string]string{}
	for _, arn := range g.TargetGroupARNs {
		out, err := api.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
		if err != nil {
			return nil, fmt.Errorf("describe the targets of %s: %w", targetGroupName(arn), err)
		}
		for _, i := range g.Instances {
			id := aws.ToString(i.InstanceId)
			of := ofTarget(out.TargetHealthDescriptions, id)
			var d elbtypes.TargetHealthDescription // of one that is not there
			if len(of) > 0 {
				d = of[0]
			}
			if !fine(d) {
				wrong[id] = healthText(of) + " in " + targetGroupName(arn)
			}
		}
	}
	return wrong, nil
}

// showRefresh is a refresh in a few words.
func showRefresh(r types.InstanceRefresh) string {
	text := fmt.Sprintf("%s, %d%%", r.Status, aws.ToInt32(r.PercentageComplete))
	if n := aws.ToInt32(r.InstancesToUpdate); n > 0 {
		text += fmt.Sprintf(", %d to go", n)
	}
	return text
}

// putBack takes a refresh that failed back to what the group had before, if
// that has not been done, and the launch templates with it. alone is that of undo.
func (k autoScalingGroups) putBack(ctx context.Context, w *refreshWatch, r *types.InstanceRefresh, how *refreshSpec, alone bool) error {
	g := w.group
	if !reversible(g) {
		return nil
	}
	if r.Status != types.InstanceRefreshStatusRollbackSuccessful {
		w.task.progress("the instances of %s go back to %s", aws.ToString(g.AutoScalingGroupName), versionedID(mainTemplate(g)))
		p := how.preferences(g)
		p.AutoRollback, p.BakeTime, p.CheckpointPercentages, p.CheckpointDelay = aws.Bool(false), nil, nil, nil
		to := &types.DesiredConfiguration{LaunchTemplate: g.LaunchTemplate, MixedInstancesPolicy: g.MixedInstancesPolicy}
		back, err := k.refreshTo(ctx, &refreshWatch{task: w.task, group: g}, to, p)
		if err == nil && back.Status != types.InstanceRefreshStatusSuccessful {
			err = k.failed(g, back)
		}
		if err != nil {
			return err
		}
	}
	return k.undo(ctx, w.task, g, alone)
}

// undo puts the launch templates of a group back whose instances run what they did.
// Where the launch changes nothing of the group but what its instances run (alone),
// all of the group is as it was.
func (autoScalingGroups) undo(ctx context.Context, t *task, g types.AutoScalingGroup, alone bool) error {
	if err := t.revert(ctx, templatesOf(g)); err != nil {
		return err
	}
	if alone {
		t.undone = append(t.undone, aws.ToString(g.AutoScalingGroupName))
	}
	return nil
}

// revert makes the versions of launch templates the default ones again that a
// group has.
func (t *task) revert(ctx context.Context, templates []*types.LaunchTemplateSpecification) error {
	for _, spec := range templates {
		f := t.inventory.byID[aws.ToString(spec.LaunchTemplateId)]
		version, err := strconv.ParseInt(aws.ToString(spec.Version), 10, 64)
		if f == nil || err != nil {
			continue // somebody else's, or of no version of its own
		}
		have, ok := f.raw.(launchTemplate)
		if !ok || aws.ToInt64(have.DefaultVersionNumber) == version {
			continue
		}
		if err := (launchTemplates{}).makeDefault(ctx, t, have.LaunchTemplateId, version); err != nil {
			return fmt.Errorf("%s: %w", f.address(), err)
		}
		t.undone = append(t.undone, f.id)
	}
	return nil
}

// reversible tells whether what a group launches is said by numbers of versions.
func reversible(g types.AutoScalingGroup) bool {
	list := templatesOf(g)
	return len(list) > 0 && !slices.ContainsFunc(list, func(t *types.LaunchTemplateSpecification) bool {
		return t.Version == nil || strings.HasPrefix(*t.Version, "$")
	})
}
