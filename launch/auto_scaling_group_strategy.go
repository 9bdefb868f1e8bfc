package launch

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// How a roll-out's strategy becomes the preferences of an instance refresh.
// Auto Scaling replaces instances by itself, in a rhythm that percentages and
// checkpoints set.

// rollout is what holds for a group: nil for none.
func (w want[S]) rollout() *project.Rollout {
	if w.world == nil || w.world.Topology == nil || w.world.Topology.Environment == nil {
		return nil
	}
	return w.world.Topology.Effective(w.world.Options.Rollout, w.Resource)
}

// with is how a group of n instances is refreshed: as its definition
// says, and where that says nothing as the roll-out does.
func (r *refreshSpec) with(o *project.Rollout, n int) *refreshSpec {
	var s refreshSpec
	if r != nil {
		s = *r
	}
	if o == nil || o.Kind() == project.BlueGreen {
		return &s
	}
	if s.MinHealthyPercentage == nil && s.MaxHealthyPercentage == nil {
		least, most := healthyPercentages(o, n)
		s.MinHealthyPercentage, s.MaxHealthyPercentage = &least, &most
	}
	if s.BakeTime == nil && o.BakeTime > 0 {
		s.BakeTime = new(wholeSeconds(o.BakeTime.Or(0)))
	}
	if o.Kind() == project.CanaryFirst && len(s.CheckpointPercentages) == 0 {
		s.canary(o, n)
	}
	if s.AutoRollback == nil && o.OnFailure == project.FailureStop {
		off := false
		s.AutoRollback = &off
	}
	return &s
}

// healthyPercentages are how many percent of n instances stay in service, and how many
// there may be. Where all stay, a new one is launched before an old one goes.
func healthyPercentages(o *project.Rollout, n int) (least, most int) {
	n = max(n, 1)
	switch {
	case o.Kind() == project.OneAtATime:
		least = 100
	case o.Kind() == project.AllAtOnce:
		least = 0
	case o.MinimumHealthy != "":
		least = percentage(o.MinimumHealthy, n)
	default: // half at a time, and the rest after a canary
		least = 50
	}
	if least < 100 {
		return least, 100
	}
	return 100, 100 + (100+n-1)/n // one more
}

// percentage is a share of n instances in per cent. Auto Scaling rounds up to
// whole instances.
func percentage(share project.Share, n int) int {
	if strings.HasSuffix(string(share), "%") {
		return share.Of(100)
	}
	return min(100, 100*share.Of(n)/n)
}

// canary stops the refresh when the first instances are replaced.
func (r *refreshSpec) canary(o *project.Rollout, n int) {
	if o.Canary == nil {
		return
	}
	seconds := wholeSeconds(o.Canary.BakeTime.Or(o.BakeTime.Or(0)))
	if o.Canary.Instances.Of(n) >= n {
		r.BakeTime = &seconds
		return
	}
	r.CheckpointPercentages, r.CheckpointDelay = []int{max(1, percentage(o.Canary.Instances, n)), 100}, &seconds
}

// wholeSeconds is a time as Auto Scaling takes it.
func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// putsBack tells whether a refresh that fails is taken back.
func (r *refreshSpec) putsBack() bool { return r.AutoRollback == nil || *r.AutoRollback }

// checkRollout reports what a roll-out cannot do with a group; own is one that
// the definition itself has, resources are all of the topology.
func (s *autoScalingGroupSpec) checkRollout(o *project.Rollout, own bool, resources []*project.Resource, r *project.Resource, problems *diag.List) {
	at := r.At
	if o == nil {
		return
	}
	if _, target := o.Health.Checks(); target && len(s.TargetGroups) > 0 && s.HealthCheckType != "ELB" && o.Kind() != project.AllAtOnce && o.Kind() != project.BlueGreen {
		problems.AddHint(at("target_groups"), "health_check_type: ELB, or health: {target_group: false} in the roll-out",
			"an instance refresh waits for instances to be healthy in their target groups only where the group's health check asks them")
	}
	if o.Kind() == project.BlueGreen {
		s.checkBlueGreen(at, problems)
	}
	s.checkWatched(o, resources, r, problems)
	if !own {
		return
	}
	if refresh := s.Refresh; refresh != nil {
		for _, key := range []struct {
			path  string
			given bool
		}{{"min_healthy_percentage", refresh.MinHealthyPercentage != nil}, {"max_healthy_percentage", refresh.MaxHealthyPercentage != nil},
			{"checkpoint_percentages", len(refresh.CheckpointPercentages) > 0}, {"bake_time", refresh.BakeTime != nil && o.BakeTime > 0}, {"auto_rollback", refresh.AutoRollback != nil}} {
			if key.given {
				problems.AddHint(at("refresh."+key.path), "say it in one of the two", "the definition's rollout says already how its instances are replaced")
			}
		}
		if refresh.off() {
			problems.AddHint(at("rollout"), "leave one of the two out", "refresh: none leaves running instances as they are: there is nothing to roll out")
		}
	}
	if o.Replace == project.ReplaceRootVolume {
		problems.AddHint(at("rollout.replace"), "leave it out", "a group launches instances in the place of others")
	}
}

// checkWatched refuses a bake_time in which nobody could notice anything: a
// target group calls a target unhealthy after so many bad answers, one an
// interval. Goldline's own probes notice sooner.
func (s *autoScalingGroupSpec) checkWatched(o *project.Rollout, resources []*project.Resource, r *project.Resource, problems *diag.List) {
	path, watched := "rollout.bake_time", o.BakeTime.Or(0)
	if c := o.Canary; o.Kind() == project.CanaryFirst && c != nil && c.BakeTime > 0 {
		path, watched = "rollout.canary.bake_time", c.BakeTime.Or(0)
	}
	if _, targets := o.Health.Checks(); watched == 0 || !targets || o.Health.Probes() {
		return
	}
	for _, ref := range r.Refs {
		at := slices.IndexFunc(resources, func(other *project.Resource) bool { return other.Address == ref.Address })
		if at < 0 || ref.Kind != "target_group" {
			continue
		}
		group, ok := resources[at].Spec.(*targetGroupSpec)
		if !ok || resources[at].Adopt != nil {
			continue
		}
		if takes := group.noticesWithin(); watched < takes {
			problems.AddHint(r.At(path), fmt.Sprintf("%s at least, or a shorter health_check.interval", takes),
				"%s takes up to %s to call an instance unhealthy, its interval times its unhealthy_threshold: nothing would be seen in a bake_time of %s", resources[at].Address, takes, watched)
			return
		}
	}
}
