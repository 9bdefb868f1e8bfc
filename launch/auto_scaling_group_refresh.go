package launch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Running instances take up a new version of the launch template by an
// instance refresh, which Auto Scaling carries out by itself: a launch starts
// it and follows it. One that is interrupted leaves it going, and the next
// finds it. The version to reach is the refresh's desired configuration, so that
// the group keeps the old one until all instances have the new, and can be put
// back.

type refreshAPI interface {
	StartInstanceRefresh(context.Context, *autoscaling.StartInstanceRefreshInput, ...func(*autoscaling.Options)) (*autoscaling.StartInstanceRefreshOutput, error)
	DescribeInstanceRefreshes(context.Context, *autoscaling.DescribeInstanceRefreshesInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeInstanceRefreshesOutput, error)
	RollbackInstanceRefresh(context.Context, *autoscaling.RollbackInstanceRefreshInput, ...func(*autoscaling.Options)) (*autoscaling.RollbackInstanceRefreshOutput, error)
	CancelInstanceRefresh(context.Context, *autoscaling.CancelInstanceRefreshInput, ...func(*autoscaling.Options)) (*autoscaling.CancelInstanceRefreshOutput, error)
}

type refreshSpec struct {
	Strategy                  string `yaml:"strategy" enum:"rolling,none" short:"true" doc:"rolling replaces instances in batches; none leaves them until something else replaces them." default:"rolling"`
	MinHealthyPercentage      *int   `yaml:"min_healthy_percentage" min:"0" max:"100" doc:"How many percent of the desired capacity stay in service." default:"90"`
	MaxHealthyPercentage      *int   `yaml:"max_healthy_percentage" min:"100" max:"200" doc:"How many percent there may be meanwhile: above 100 new instances are launched before old ones go." default:"100"`
	InstanceWarmup            *int   `yaml:"instance_warmup" min:"0" doc:"After how many seconds in service a new instance counts; by default default_instance_warmup, or health_check_grace_period."`
	CheckpointPercentages     []int  `yaml:"checkpoint_percentages" min:"1" max:"100" doc:"At how many percent the refresh stops for a while; 100 comes last."`
	CheckpointDelay           *int   `yaml:"checkpoint_delay" min:"0" max:"172800" doc:"For how many seconds it stops there." default:"3600"`
	BakeTime                  *int   `yaml:"bake_time" min:"0" max:"172800" doc:"How many seconds it waits in the end before it counts as done." default:"0"`
	AutoRollback              *bool  `yaml:"auto_rollback" doc:"Whether a refresh that fails puts the old instances back." default:"true"`
	ScaleInProtectedInstances string `yaml:"scale_in_protected_instances" enum:"Refresh,Ignore,Wait" doc:"What becomes of instances that are protected from scale-in." default:"Wait"`
	StandbyInstances          string `yaml:"standby_instances" enum:"Terminate,Ignore,Wait" doc:"What becomes of instances in standby." default:"Wait"`
}

func (r *refreshSpec) off() bool { return r != nil && r.Strategy == "none" }

// refreshDeadline is how long a refresh may take: with checkpoints it may well
// be days on end. Auto Scaling itself gives one up that gets nowhere.
const refreshDeadline = 14 * 24 * time.Hour

// lagging counts the instances of a group that another version was launched
// with, or another type than the definition has, and those that a roll-out holds up.
func lagging(s *autoScalingGroupSpec, g types.AutoScalingGroup) (n int) {
	fits := map[string]bool{s.LaunchTemplate: true}
	if m := s.MixedInstancesPolicy; m != nil && len(m.Overrides) > 0 {
		clear(fits)
		for _, o := range m.Overrides {
			template := o.LaunchTemplate
			if template == "" {
				template = s.LaunchTemplate
			}
			fits[template+" "+o.InstanceType] = true
		}
	}
	held := (autoScalingGroups{}).read(g).tags[tags.Gate] != ""
	for _, i := range g.Instances {
		at := versionedID(i.LaunchTemplate)
		if held && i.LifecycleState == types.LifecycleStatePendingWait {
			n++ // it may be waiting for its proof
			continue
		}
		if leaving(i) || s.Refresh.ignores(i) || fits[at] || fits[at+" "+aws.ToString(i.InstanceType)] {
			continue
		}
		n++
	}
	return n
}

// ignores tells whether a refresh leaves an instance alone.
func (r *refreshSpec) ignores(i types.Instance) bool {
	return r != nil && (r.StandbyInstances == "Ignore" && i.LifecycleState == types.LifecycleStateStandby ||
		r.ScaleInProtectedInstances == "Ignore" && aws.ToBool(i.ProtectedFromScaleIn))
}

// leaving tells whether an instance is on its way out of its group.
func leaving(i types.Instance) bool {
	return strings.HasPrefix(string(i.LifecycleState), "Terminat") || strings.HasPrefix(string(i.LifecycleState), "Detach")
}

// compareRefresh plans to replace instances that lag behind.
func compareRefresh(d *differences, w want[autoScalingGroupSpec], g types.AutoScalingGroup) {
	s := w.spec
	n := lagging(s, g)
	if s.Refresh.off() || n == 0 || strings.HasSuffix(s.LaunchTemplate, ":$Default") {
		return
	}
	least := s.Refresh.with(w.rollout(), sizeOf(g)).leastInService()
	d.set("refresh", fmt.Sprintf("%d of %d instances lag behind", n, len(g.Instances)), fmt.Sprintf("replaced by an instance refresh, at least %d%% in service", least))
}

// leastInService is how many percent of a group stay in service.
func (r *refreshSpec) leastInService() int {
	if r.MinHealthyPercentage != nil {
		return *r.MinHealthyPercentage
	}
	return 90
}

func sizeOf(g types.AutoScalingGroup) int { return int(aws.ToInt32(g.DesiredCapacity)) }

func (autoScalingGroups) refreshAPI(c *cloud.Cloud) refreshAPI { return c.AutoScaling }

// compareGate plans to take a lifecycle hook off a group that a roll-out has left.
// A refresh takes it off in the end.
func compareGate(d *differences, g types.AutoScalingGroup) {
	if left := (autoScalingGroups{}).read(g).tags[tags.Gate]; left != "" && !d.has("refresh") {
		*d = append(*d, difference{path: gateLeft, old: left + ", which a roll-out left", ours: true})
	}
}

// gateLeft is the difference of a group with a lifecycle hook that was left.
const gateLeft = "lifecycle_hook"

// refresh brings the instances to what the definition says, and returns when
// they are there. One that fails is taken back, unless it should not be.
func (k autoScalingGroups) refresh(ctx context.Context, t *task, w want[autoScalingGroupSpec], g types.AutoScalingGroup, alone bool) error {
	s, how := w.spec, w.spec.Refresh.with(w.rollout(), sizeOf(g))
	watch := &refreshWatch{task: t, group: g, new: versionsOf(s.configuration()), deadline: refreshTime(w.rollout())}
	if err := k.beforeRefresh(ctx, t, g, s.configuration()); err != nil {
		if !how.putsBack() || !reversible(g) {
			return err
		}
		t.roll.ends(StatePutBack, err)
		return fail.Join(err, k.undo(ctx, t, g, alone))
	}
	watch.gate = k.newGate(t, g, watch.new)
	r, err := k.refreshTo(ctx, watch, s.configuration(), how.preferences(g))
	if err == nil && r.Status == types.InstanceRefreshStatusSuccessful {
		return watch.gate.shut(ctx, true)
	}
	if err == nil {
		err = k.failed(g, r)
	}
	t.roll.ends(StateFailed, err)
	if ctx.Err() != nil || r == nil {
		return err // a refresh that goes on keeps the hook, for whoever follows it next
	}
	if closing := watch.gate.shut(ctx, false); closing != nil {
		err = fail.Join(err, closing)
	}
	if !how.putsBack() {
		return err
	}
	if backErr := k.putBack(ctx, watch, r, how, alone); backErr != nil {
		return fail.Join(err, fmt.Errorf("put it back: %w", backErr))
	}
	if len(t.undone) == 0 {
		return err
	}
	t.roll.ends(StatePutBack, err)
	return fmt.Errorf("%w; it is put back: its instances run what they did before", err)
}

// beforeRefresh runs before_replace, unless the refresh is under way already.
func (k autoScalingGroups) beforeRefresh(ctx context.Context, t *task, g types.AutoScalingGroup, to *types.DesiredConfiguration) error {
	if !t.roll.stated(func(h *project.Hooks) []string { return h.BeforeReplace }) {
		return nil
	}
	running, err := k.running(ctx, t, g)
	if err != nil || running != nil && goesTo(running, to) {
		return err
	}
	return t.roll.before(ctx)
}

// refreshTo starts a refresh, or finds the one that is under way, and follows
// it to its end. The refresh is nil where none came to be.
func (k autoScalingGroups) refreshTo(ctx context.Context, watch *refreshWatch, to *types.DesiredConfiguration, how *types.RefreshPreferences) (*types.InstanceRefresh, error) {
	t, g := watch.task, watch.group
	in := &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: g.AutoScalingGroupName, Strategy: types.RefreshStrategyRolling, DesiredConfiguration: to, Preferences: how}
	for {
		if err := watch.gate.open(ctx); err != nil {
			return nil, err
		}
		out, err := k.refreshAPI(t.Cloud).StartInstanceRefresh(ctx, in)
		if err == nil {
			return k.follow(ctx, watch, aws.ToString(out.InstanceRefreshId))
		}
		if cloud.Code(err) != "InstanceRefreshInProgress" {
			return nil, fmt.Errorf("start an instance refresh: %w", err)
		}
		running, err := k.running(ctx, t, g)
		switch {
		case err != nil:
			return nil, err
		case running == nil: // it has ended since
			if err := cloud.Sleep(ctx, t.Cloud.Pace()); err != nil {
				return nil, err
			}
			continue
		case goesTo(running, to):
			return k.follow(ctx, watch, aws.ToString(running.InstanceRefreshId))
		}
		// What goes somewhere else launches instances that nobody has to prove.
		if err := watch.gate.shut(ctx, false); err != nil {
			return nil, err
		}
		if err := k.stop(ctx, t, g, running); err != nil {
			return nil, err
		}
	}
}

// preferences are those of the definition. Instances that have the version
// already are never replaced again; what cannot be rolled back is not asked to
// be.
func (r *refreshSpec) preferences(g types.AutoScalingGroup) *types.RefreshPreferences {
	p := &types.RefreshPreferences{
		MinHealthyPercentage: optionalNumber(r.MinHealthyPercentage), MaxHealthyPercentage: optionalNumber(r.MaxHealthyPercentage), InstanceWarmup: optionalNumber(r.InstanceWarmup),
		CheckpointDelay: optionalNumber(r.CheckpointDelay), BakeTime: optionalNumber(r.BakeTime), SkipMatching: aws.Bool(true),
		ScaleInProtectedInstances: types.ScaleInProtectedInstances(r.ScaleInProtectedInstances), StandbyInstances: types.StandbyInstances(r.StandbyInstances),
	}
	for _, n := range r.CheckpointPercentages {
		p.CheckpointPercentages = append(p.CheckpointPercentages, int32(n))
	}
	if p.MaxHealthyPercentage != nil && p.MinHealthyPercentage == nil {
		p.MinHealthyPercentage = aws.Int32(90)
	}
	p.AutoRollback = aws.Bool(r.putsBack() && reversible(g))
	return p
}

// goesTo tells whether a refresh brings a group to a configuration.
func goesTo(r *types.InstanceRefresh, to *types.DesiredConfiguration) bool {
	switch r.Status {
	case types.InstanceRefreshStatusPending, types.InstanceRefreshStatusInProgress, types.InstanceRefreshStatusBaking:
	default:
		return false
	}
	return r.DesiredConfiguration != nil && sameConfiguration(groupOf(r.DesiredConfiguration), groupOf(to))
}

// versionsOf are the versions of launch templates that a configuration names.
func versionsOf(c *types.DesiredConfiguration) []string {
	var all []string
	for _, t := range templatesOf(groupOf(c)) {
		all = append(all, versionedID(t))
	}
	return all
}

func groupOf(c *types.DesiredConfiguration) types.AutoScalingGroup {
	return types.AutoScalingGroup{LaunchTemplate: c.LaunchTemplate, MixedInstancesPolicy: c.MixedInstancesPolicy}
}

// sameConfiguration tells whether two groups launch the same. What AWS fills in
// where nothing was said makes no difference.
func sameConfiguration(a, b types.AutoScalingGroup) bool {
	if versionedID(mainTemplate(a)) != versionedID(mainTemplate(b)) {
		return false
	}
	var d differences
	statedPolicy(b.MixedInstancesPolicy).compare(&d, false, a.MixedInstancesPolicy)
	return len(d) == 0
}

// running is the refresh of a group that is under way; nil for none.
func (k autoScalingGroups) running(ctx context.Context, t *task, g types.AutoScalingGroup) (*types.InstanceRefresh, error) {
	out, err := k.refreshAPI(t.Cloud).DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: g.AutoScalingGroupName, MaxRecords: aws.Int32(10)})
	if err != nil {
		return nil, fmt.Errorf("describe the instance refreshes: %w", err)
	}
	for _, r := range out.InstanceRefreshes {
		if !refreshOver(r.Status) {
			return &r, nil
		}
	}
	return nil, nil
}

func refreshOver(status types.InstanceRefreshStatus) bool {
	switch status {
	case types.InstanceRefreshStatusSuccessful, types.InstanceRefreshStatusFailed, types.InstanceRefreshStatusCancelled,
		types.InstanceRefreshStatusRollbackSuccessful, types.InstanceRefreshStatusRollbackFailed:
		return true
	}
	return false
}

// stop ends a refresh that goes somewhere else. One that is being cancelled or
// rolled back ends by itself.
func (k autoScalingGroups) stop(ctx context.Context, t *task, g types.AutoScalingGroup, r *types.InstanceRefresh) error {
	if r.Status != types.InstanceRefreshStatusCancelling && r.Status != types.InstanceRefreshStatusRollbackInProgress {
		t.progress("instance refresh %s goes to another version: it is cancelled", aws.ToString(r.InstanceRefreshId))
		if err := k.cancel(ctx, t, g); err != nil {
			return err
		}
	}
	_, err := k.follow(ctx, &refreshWatch{task: t, group: g}, aws.ToString(r.InstanceRefreshId))
	return err
}

func (k autoScalingGroups) cancel(ctx context.Context, t *task, g types.AutoScalingGroup) error {
	_, err := k.refreshAPI(t.Cloud).CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: g.AutoScalingGroupName})
	if err != nil && cloud.Code(err) != "ActiveInstanceRefreshNotFound" {
		return fmt.Errorf("cancel the instance refresh: %w", err)
	}
	return nil
}

// failed is the error of a refresh that has not ended well.
func (autoScalingGroups) failed(g types.AutoScalingGroup, r *types.InstanceRefresh) error {
	reason := aws.ToString(r.StatusReason)
	if r.RollbackDetails != nil && reason == "" {
		reason = aws.ToString(r.RollbackDetails.RollbackReason)
	}
	became := map[types.InstanceRefreshStatus]string{
		types.InstanceRefreshStatusFailed:             "failed",
		types.InstanceRefreshStatusCancelled:          "was cancelled",
		types.InstanceRefreshStatusRollbackSuccessful: "was rolled back, the old instances serve",
		types.InstanceRefreshStatusRollbackFailed:     "failed, and so did its rollback",
	}[r.Status]
	return fail.WithHint(fmt.Errorf("instance refresh %s %s: %s", aws.ToString(r.InstanceRefreshId), became, orNothing(reason)),
		"`aws autoscaling describe-scaling-activities --auto-scaling-group-name %s` tells more; the next launch tries again, and `goldline rollback` goes back to the build before", aws.ToString(g.AutoScalingGroupName))
}
