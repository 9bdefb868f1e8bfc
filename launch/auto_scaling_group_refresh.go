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
// with, or another type than the definition has.
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
	for _, i := range g.Instances {
		at := versionedID(i.LaunchTemplate)
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
func compareRefresh(d *differences, s *autoScalingGroupSpec, g types.AutoScalingGroup) {
	n := lagging(s, g)
	if s.Refresh.off() || n == 0 || strings.HasSuffix(s.LaunchTemplate, ":$Default") {
		return
	}
	least := 90
	if r := s.Refresh; r != nil && r.MinHealthyPercentage != nil {
		least = *r.MinHealthyPercentage
	}
	d.set("refresh", fmt.Sprintf("%d of %d instances lag behind", n, len(g.Instances)), fmt.Sprintf("replaced by an instance refresh, at least %d%% in service", least))
}

func (autoScalingGroups) refreshAPI(c *cloud.Cloud) refreshAPI { return c.AutoScaling }

// refresh brings the instances to what the definition says, and returns when
// they are there.
func (k autoScalingGroups) refresh(ctx context.Context, t *task, s *autoScalingGroupSpec, g types.AutoScalingGroup) error {
	in := &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: g.AutoScalingGroupName, Strategy: types.RefreshStrategyRolling, DesiredConfiguration: s.configuration(), Preferences: s.preferences(g),
	}
	for {
		out, err := k.refreshAPI(t.Cloud).StartInstanceRefresh(ctx, in)
		if err == nil {
			return k.follow(ctx, t, g, aws.ToString(out.InstanceRefreshId), true)
		}
		if cloud.Code(err) != "InstanceRefreshInProgress" {
			return fmt.Errorf("start an instance refresh: %w", err)
		}
		running, err := k.running(ctx, t, g)
		switch {
		case err != nil:
			return err
		case running == nil: // it has ended since
			if err := cloud.Sleep(ctx, t.Cloud.Pace()); err != nil {
				return err
			}
			continue
		case goesTo(running, s):
			return k.follow(ctx, t, g, aws.ToString(running.InstanceRefreshId), true)
		}
		if err := k.stop(ctx, t, g, running); err != nil {
			return err
		}
	}
}

// preferences are those of the definition. Instances that have the version
// already are never replaced again; what cannot be rolled back is not asked to
// be.
func (s *autoScalingGroupSpec) preferences(g types.AutoScalingGroup) *types.RefreshPreferences {
	r := s.Refresh
	if r == nil {
		r = &refreshSpec{}
	}
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
	back := r.AutoRollback == nil || *r.AutoRollback
	old := templatesOf(g)
	for _, t := range old {
		back = back && t.Version != nil && !strings.HasPrefix(*t.Version, "$")
	}
	p.AutoRollback = aws.Bool(back && len(old) > 0)
	return p
}

// goesTo tells whether a refresh brings a group to what the definition says.
func goesTo(r *types.InstanceRefresh, s *autoScalingGroupSpec) bool {
	switch r.Status {
	case types.InstanceRefreshStatusPending, types.InstanceRefreshStatusInProgress, types.InstanceRefreshStatusBaking:
	default:
		return false
	}
	if r.DesiredConfiguration == nil {
		return false
	}
	to := types.AutoScalingGroup{LaunchTemplate: r.DesiredConfiguration.LaunchTemplate, MixedInstancesPolicy: r.DesiredConfiguration.MixedInstancesPolicy}
	if versionedID(mainTemplate(to)) != s.LaunchTemplate {
		return false
	}
	var d differences
	s.MixedInstancesPolicy.compare(&d, to.MixedInstancesPolicy)
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
		_, err := k.refreshAPI(t.Cloud).CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: g.AutoScalingGroupName})
		if err != nil && cloud.Code(err) != "ActiveInstanceRefreshNotFound" {
			return fmt.Errorf("cancel instance refresh %s: %w", aws.ToString(r.InstanceRefreshId), err)
		}
	}
	return k.follow(ctx, t, g, aws.ToString(r.InstanceRefreshId), false)
}

// follow waits for the end of a refresh, which is an error if it should have
// succeeded and has not.
func (k autoScalingGroups) follow(ctx context.Context, t *task, g types.AutoScalingGroup, id string, should bool) error {
	name := aws.ToString(g.AutoScalingGroupName)
	r, err := t.Cloud.Refreshes.Wait(ctx, cloud.Wait[types.InstanceRefresh]{
		ID: name + " " + id, For: "instance refresh " + id + " of " + name, Deadline: refreshDeadline,
		Done:     func(r types.InstanceRefresh, found bool) (bool, error) { return found && refreshOver(r.Status), nil },
		Show:     showRefresh,
		Progress: t.waiting("instance refresh"),
	})
	if err != nil || !should || r.Status == types.InstanceRefreshStatusSuccessful {
		return err
	}
	reason := aws.ToString(r.StatusReason)
	if r.RollbackDetails != nil && reason == "" {
		reason = aws.ToString(r.RollbackDetails.RollbackReason)
	}
	became := map[types.InstanceRefreshStatus]string{
		types.InstanceRefreshStatusFailed:             "failed, and its instances stay as they are",
		types.InstanceRefreshStatusCancelled:          "was cancelled",
		types.InstanceRefreshStatusRollbackSuccessful: "was rolled back, the old instances serve",
		types.InstanceRefreshStatusRollbackFailed:     "failed, and so did its rollback",
	}[r.Status]
	return fail.WithHint(fmt.Errorf("instance refresh %s %s: %s", id, became, orNothing(reason)),
		"`aws autoscaling describe-scaling-activities --auto-scaling-group-name %s` tells more; the next launch tries again, and `goldline rollback` goes back to the build before", name)
}

// showRefresh is a refresh in a few words.
func showRefresh(r types.InstanceRefresh) string {
	text := fmt.Sprintf("%s, %d%%", r.Status, aws.ToInt32(r.PercentageComplete))
	if n := aws.ToInt32(r.InstancesToUpdate); n > 0 {
		text += fmt.Sprintf(", %d to go", n)
	}
	return text
}
