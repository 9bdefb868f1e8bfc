package emulator

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// refreshRow is an instance refresh.
type refreshRow struct {
	Refresh    types.InstanceRefresh
	Total      int // instances at its start
	Failures   int
	Failure    string    // the last one
	Checkpoint int       // the next one
	Until      time.Time // while it waits at a checkpoint, or bakes
	Hasty      bool      // it was cancelled without a wait for what is under way
	Stuck      time.Time // since when it waits for protected or standby instances
}

func refreshKey(group, id string) string { return group + " " + id }

func (r refreshRow) id() string {
	return refreshKey(*r.Refresh.AutoScalingGroupName, *r.Refresh.InstanceRefreshId)
}

func (r refreshRow) rollingBack() bool {
	return r.Refresh.Status == types.InstanceRefreshStatusRollbackInProgress
}

// mark is on the instances that are launched for the refresh.
func (r refreshRow) mark() string {
	if r.rollingBack() {
		return deref(r.Refresh.InstanceRefreshId) + " rollback"
	}
	return deref(r.Refresh.InstanceRefreshId)
}

const preferencePaths = " Preferences.MinHealthyPercentage Preferences.MaxHealthyPercentage Preferences.InstanceWarmup Preferences.SkipMatching Preferences.CheckpointPercentages" +
	" Preferences.CheckpointDelay Preferences.AutoRollback Preferences.ScaleInProtectedInstances Preferences.StandbyInstances Preferences.BakeTime" +
	" DesiredConfiguration.LaunchTemplate.* DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.*" +
	" DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides.InstanceType" +
	" DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides.LaunchTemplateSpecification.*" +
	" DesiredConfiguration.MixedInstancesPolicy.InstancesDistribution.*"

func (s *scalingService) addRefreshes() {
	scalingOn(s, "StartInstanceRefresh", "AutoScalingGroupName Strategy"+preferencePaths, s.startRefresh)
	scalingOn(s, "DescribeInstanceRefreshes", "AutoScalingGroupName InstanceRefreshIds MaxRecords NextToken", s.describeRefreshes)
	scalingOn(s, "CancelInstanceRefresh", "AutoScalingGroupName WaitForTransitioningInstances", s.cancelRefresh)
	scalingOn(s, "RollbackInstanceRefresh", "AutoScalingGroupName", s.rollbackRefresh)
}

// checkHealthyPercentages refuses bounds that AWS refuses.
func checkHealthyPercentages(least, most *int32) error {
	low, high := deref(least), deref(most)
	switch {
	case most != nil && least == nil:
		return refuse("ValidationError", "You must specify MinHealthyPercentage when you specify MaxHealthyPercentage")
	case least != nil && (low < -1 || low > 100):
		return refuse("ValidationError", "MinHealthyPercentage must be between 0 and 100")
	case most != nil && (high != -1 && high < 100 || high > 200):
		return refuse("ValidationError", "MaxHealthyPercentage must be between 100 and 200")
	case most != nil && high-low > 100:
		return refuse("ValidationError", "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100")
	}
	return nil
}

// preferences are those of a call, with AWS's defaults.
func preferences(row scalingRow, asked *types.RefreshPreferences) (*types.RefreshPreferences, error) {
	p := deref(asked)
	if err := checkHealthyPercentages(p.MinHealthyPercentage, p.MaxHealthyPercentage); err != nil {
		return nil, err
	}
	if p.CheckpointDelay != nil && len(p.CheckpointPercentages) == 0 {
		return nil, refuse("ValidationError", "CheckpointDelay needs CheckpointPercentages")
	}
	if !slices.IsSorted(p.CheckpointPercentages) || len(slices.Compact(slices.Clone(p.CheckpointPercentages))) != len(p.CheckpointPercentages) {
		return nil, refuse("ValidationError", "CheckpointPercentages must be unique and in ascending order")
	}
	for _, percent := range p.CheckpointPercentages {
		if percent < 1 || percent > 100 {
			return nil, refuse("ValidationError", "CheckpointPercentages must be between 1 and 100")
		}
	}
	policy := deref(row.Group.InstanceMaintenancePolicy)
	if p.MinHealthyPercentage == nil {
		p.MinHealthyPercentage, p.MaxHealthyPercentage = new(int32(90)), new(int32(100))
		if deref(policy.MinHealthyPercentage) >= 0 && policy.MinHealthyPercentage != nil {
			p.MinHealthyPercentage, p.MaxHealthyPercentage = policy.MinHealthyPercentage, policy.MaxHealthyPercentage
		}
	}
	if p.MaxHealthyPercentage == nil {
		p.MaxHealthyPercentage = new(int32(100))
	}
	if p.InstanceWarmup == nil {
		p.InstanceWarmup = row.Group.HealthCheckGracePeriod
		give(&p.InstanceWarmup, row.Group.DefaultInstanceWarmup)
	}
	if len(p.CheckpointPercentages) > 0 && p.CheckpointDelay == nil {
		p.CheckpointDelay = new(int32(3600))
	}
	if p.SkipMatching == nil {
		p.SkipMatching = new(false)
	}
	if p.AutoRollback == nil {
		p.AutoRollback = new(false)
	}
	if p.ScaleInProtectedInstances == "" {
		p.ScaleInProtectedInstances = types.ScaleInProtectedInstancesWait
	}
	if p.StandbyInstances == "" {
		p.StandbyInstances = types.StandbyInstancesWait
	}
	return &p, nil
}

func (s *scalingService) startRefresh(c apiCall, in *autoscaling.StartInstanceRefreshInput) (*autoscaling.StartInstanceRefreshOutput, error) {
	row, err := s.standing(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if row.Refresh != "" {
		return nil, refuse("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	if in.Strategy != "" && in.Strategy != types.RefreshStrategyRolling {
		return nil, refuse("ValidationError", "The local cloud carries out the strategy Rolling alone, not %s", in.Strategy)
	}
	p, err := preferences(row, in.Preferences)
	if err != nil {
		return nil, err
	}
	desired := in.DesiredConfiguration
	if desired != nil {
		if (desired.LaunchTemplate == nil) == (desired.MixedInstancesPolicy == nil) {
			return nil, refuse("ValidationError", "A desired configuration holds one of LaunchTemplate and MixedInstancesPolicy")
		}
		asked := types.AutoScalingGroup{}
		if err := s.setConfiguration(c, &asked, *desired); err != nil {
			return nil, err
		}
		desired = new(configurationOf(asked))
	}
	if *p.AutoRollback {
		if err := reversible(row, desired); err != nil {
			return nil, refuse("ValidationError", "AutoRollback cannot be enabled: %s", messageOf(err))
		}
	}
	id := scalingUUID(c.now)
	row.Refresh = id
	members := s.of(c.w, row.name())
	r := refreshRow{Total: len(keep(members, memberRow.active)), Refresh: types.InstanceRefresh{
		InstanceRefreshId: &id, AutoScalingGroupName: new(row.name()), Status: types.InstanceRefreshStatusPending, Strategy: types.RefreshStrategyRolling,
		StartTime: new(c.now), Preferences: p, DesiredConfiguration: desired, PercentageComplete: new(int32(0)),
	}}
	r.Refresh.InstancesToUpdate = new(int32(r.Total))
	row.Failures, row.Retry = 0, c.now
	s.groups.put(c.w, row.name(), row)
	s.refreshes.put(c.w, r.id(), r)
	return &autoscaling.StartInstanceRefreshOutput{InstanceRefreshId: &id}, nil
}

// reversible refuses what cannot be rolled back.
func reversible(row scalingRow, desired *types.DesiredConfiguration) error {
	if desired == nil {
		return refuse("IrreversibleInstanceRefresh", "no desired configuration is specified for the instance refresh")
	}
	for _, config := range []types.DesiredConfiguration{configurationOf(row.Group), *desired} {
		specs, err := specsOf(config)
		if err != nil {
			return err
		}
		for _, spec := range specs {
			if v := deref(spec.Version); v == "" || v == "$Latest" || v == "$Default" {
				return refuse("IrreversibleInstanceRefresh", "the launch template's version is $Latest or $Default")
			}
		}
	}
	return nil
}

func (s *scalingService) describeRefreshes(c apiCall, in *autoscaling.DescribeInstanceRefreshesInput) (*autoscaling.DescribeInstanceRefreshesOutput, error) {
	row, err := s.group(c.w, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	list := keep(s.refreshes.all(c.w), func(r refreshRow) bool {
		return *r.Refresh.AutoScalingGroupName == row.name() && (len(in.InstanceRefreshIds) == 0 || slices.Contains(in.InstanceRefreshIds, *r.Refresh.InstanceRefreshId))
	})
	slices.Reverse(list) // the newest first
	size := int(*scalingPages(in.MaxRecords, nil).max)
	if in.NextToken != nil {
		before, err := readToken(*in.NextToken)
		if err != nil {
			return nil, err
		}
		list = keep(list, func(r refreshRow) bool { return r.id() < before })
	}
	out := &autoscaling.DescribeInstanceRefreshesOutput{}
	if len(list) > size {
		list = list[:size]
		out.NextToken = new(writeToken(list[size-1].id()))
	}
	for _, r := range list {
		out.InstanceRefreshes = append(out.InstanceRefreshes, r.Refresh)
	}
	return out, nil
}

// running is the refresh of a group that is under way.
func (s *scalingService) running(c apiCall, name *string) (scalingRow, refreshRow, error) {
	row, err := s.group(c.w, name)
	if err != nil {
		return row, refreshRow{}, err
	}
	r, ok := s.refreshes.get(c.w, refreshKey(row.name(), row.Refresh))
	if !ok {
		err = refuse("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", row.name())
	}
	return row, r, err
}

func (s *scalingService) cancelRefresh(c apiCall, in *autoscaling.CancelInstanceRefreshInput) (*autoscaling.CancelInstanceRefreshOutput, error) {
	_, r, err := s.running(c, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	r.Refresh.Status, r.Hasty = types.InstanceRefreshStatusCancelling, in.WaitForTransitioningInstances != nil && !*in.WaitForTransitioningInstances
	s.refreshes.put(c.w, r.id(), r)
	return &autoscaling.CancelInstanceRefreshOutput{InstanceRefreshId: r.Refresh.InstanceRefreshId}, nil
}

func (s *scalingService) rollbackRefresh(c apiCall, in *autoscaling.RollbackInstanceRefreshInput) (*autoscaling.RollbackInstanceRefreshOutput, error) {
	row, r, err := s.running(c, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := reversible(row, r.Refresh.DesiredConfiguration); err != nil {
		return nil, err
	}
	if !r.rollingBack() {
		s.rollBack(c, r, "Rollback was initiated by the user.")
	}
	return &autoscaling.RollbackInstanceRefreshOutput{InstanceRefreshId: r.Refresh.InstanceRefreshId}, nil
}

// rollBack turns a refresh round.
func (s *scalingService) rollBack(c apiCall, r refreshRow, why string) {
	r.Refresh.RollbackDetails = &types.RollbackDetails{RollbackReason: &why, RollbackStartTime: new(c.now),
		PercentageCompleteOnRollback: r.Refresh.PercentageComplete, InstancesToUpdateOnRollback: r.Refresh.InstancesToUpdate}
	r.Refresh.Status, r.Failures, r.Until = types.InstanceRefreshStatusRollbackInProgress, 0, time.Time{}
	s.refreshes.put(c.w, r.id(), r)
	row, _ := s.groups.get(c.w, *r.Refresh.AutoScalingGroupName)
	row.Failures, row.Retry = 0, c.now // what is launched from now on is something else
	s.groups.put(c.w, row.name(), row)
}
