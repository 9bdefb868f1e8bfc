package launch

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// How instances of a definition are replaced.
const (
	MethodInstance   = "instance"         // another one in the place of each
	MethodRootVolume = "root-volume"      // each stays and gets another root volume
	MethodRefresh    = "instance-refresh" // by Auto Scaling
	MethodBlueGreen  = "blue-green"       // a group beside the old one
)

// PlannedRollout is how a launch is going to replace the instances of a definition.
type PlannedRollout struct {
	Definition string `json:"definition"`
	Method     string `json:"method"` // one of the Methods
	// Strategy is what the roll-out goes by, as in its result; empty where no
	// roll-out holds, so that all go at the same time.
	Strategy  string `json:"strategy,omitempty"`
	Instances int    `json:"instances"` // that there are
	Serving   int    `json:"serving"`   // how many of them serve meanwhile, at least
	// Batches are in order; none where Auto Scaling makes them.
	Batches []PlannedBatch `json:"batches,omitempty"`
	// Steps are the shares of a group at which an instance refresh stops, or of
	// its traffic that a new group gets, and BakeSeconds how long each is watched.
	// EndBakeSeconds is how long a refresh that stops in between is watched in the end.
	Steps          []string `json:"steps,omitempty"`
	BakeSeconds    float64  `json:"bake_seconds,omitempty"`
	EndBakeSeconds float64  `json:"end_bake_seconds,omitempty"`
	KeepSeconds    float64  `json:"keep_seconds,omitempty"` // for how long an old group stays
	// Health is what an instance must show, HealthyAfter times in a row, within
	// DeadlineSeconds.
	Health          []string `json:"health"`
	HealthyAfter    int      `json:"healthy_after"`
	DeadlineSeconds float64  `json:"deadline_seconds"`
	Hooks           []string `json:"hooks,omitempty"` // that are run, by their names
	// OnFailure says what becomes of those that took the new build when one fails:
	// rollback or stop. One that fails is put back, unless it is among
	// Irreversible, which go before their successors can be made.
	OnFailure    string   `json:"on_failure"`
	Irreversible []string `json:"irreversible,omitempty"`
}

// PlannedBatch are instances that are replaced at the same time.
type PlannedBatch struct {
	Addresses   []string `json:"addresses"`
	Canary      bool     `json:"canary,omitempty"`
	BakeSeconds float64  `json:"bake_seconds,omitempty"` // for how long they are watched before others follow
}

// planned are the roll-outs of a plan, in the order of the definitions.
func (p *planner) planned() ([]PlannedRollout, error) {
	rolls, err := p.rollouts()
	if err != nil {
		return nil, err
	}
	byName, rolled := map[string]*rolling{}, map[string]bool{}
	for _, r := range rolls {
		byName[r.definition] = r
		for _, address := range r.order {
			rolled[address] = true
		}
	}
	plain := map[string][]*item{}
	for _, it := range p.items {
		if it.Kind == "instance" && it.action == Replace && !rolled[it.Address] {
			name := definitionAddress(it.Resource)
			plain[name] = append(plain[name], it)
		}
	}
	var all []PlannedRollout
	done := map[string]bool{}
	for _, it := range p.items {
		name := definitionAddress(it.Resource)
		switch {
		case it.Kind == "auto_scaling_group":
			if planned, ok := p.plannedGroup(it); ok {
				all = append(all, planned)
			}
		case done[name] || it.Kind != "instance":
		default:
			done[name] = true
			if r := byName[name]; r != nil {
				all = append(all, p.plannedRolling(r))
			}
			if list := plain[name]; len(list) > 0 {
				all = append(all, p.plannedAtOnce(name, list))
			}
		}
	}
	return all, nil
}

// plannedRolling is a roll-out in batches.
func (p *planner) plannedRolling(r *rolling) PlannedRollout {
	planned := PlannedRollout{
		Definition: r.definition, Method: MethodInstance, Strategy: strategyOf(r.spec), Instances: r.size, Serving: r.serving(),
		HealthyAfter: r.spec.InARow(), DeadlineSeconds: r.spec.Within().Seconds(), Hooks: hookNames(r.spec.Hooks), OnFailure: p.onFailure(),
	}
	grouped := false
	for n, list := range r.batches {
		b := PlannedBatch{Addresses: addressesOf(list), Canary: n < r.canaries}
		for _, w := range r.watches {
			if w.from <= n && n < w.to {
				b.BakeSeconds = w.limit.Seconds()
			}
		}
		planned.Batches = append(planned.Batches, b)
		for _, it := range list {
			grouped = grouped || p.isTarget(it)
			if it.swaps() {
				planned.Method = MethodRootVolume
			}
			if it.first {
				planned.Irreversible = append(planned.Irreversible, it.Address)
			}
		}
	}
	planned.Health = healthWords(r.spec.Health, grouped)
	return planned
}

// plannedAtOnce are instances that no roll-out holds, or that have to go before
// their successors can be made.
func (p *planner) plannedAtOnce(name string, list []*item) PlannedRollout {
	planned := PlannedRollout{
		Definition: name, Method: MethodInstance, Batches: []PlannedBatch{{Addresses: addressesOf(list)}},
		HealthyAfter: 1, DeadlineSeconds: statusDeadline.Seconds(), OnFailure: project.FailureStop,
	}
	grouped := false
	for _, it := range p.items {
		if it.Kind == "instance" && it.have != nil && definitionAddress(it.Resource) == name {
			planned.Instances++
		}
	}
	planned.Serving = planned.Instances
	for _, it := range list {
		grouped = grouped || p.isTarget(it)
		if !p.spare([]*item{it}) {
			planned.Serving--
		}
		if it.first {
			planned.Irreversible = append(planned.Irreversible, it.Address)
		}
	}
	planned.Health = healthWords(nil, grouped)
	return planned
}

// onFailure is what becomes of those that took a new build when another one of
// the environment fails.
func (p *planner) onFailure() string {
	if p.Topology.RollsBack(p.Rollout) {
		return project.FailureRollback
	}
	return project.FailureStop
}

// isTarget tells whether an instance is in a target group.
func (p *planner) isTarget(it *item) bool {
	if s, ok := it.spec.(*instanceSpec); ok && len(s.TargetGroups) > 0 {
		return true
	}
	for _, r := range p.resources() {
		if r.Kind == "target_group" && refersTo(r, it.Address) {
			return true
		}
	}
	return false
}

// plannedGroup is how the instances of a group are replaced, if they are.
func (p *planner) plannedGroup(it *item) (PlannedRollout, bool) {
	g, there := groupThere(it.have)
	s, ok := it.spec.(*autoScalingGroupSpec)
	if !there || !ok {
		return PlannedRollout{}, false
	}
	w := want[autoScalingGroupSpec]{Resource: it.Resource, spec: s, world: p.world}
	o, n := w.rollout(), sizeOf(g)
	planned := PlannedRollout{Definition: it.Address, Instances: n, Serving: n, HealthyAfter: 1, OnFailure: project.FailureStop}
	var health *project.Health
	if o != nil {
		planned.Strategy, planned.HealthyAfter, health = strategyOf(o), o.InARow(), o.Health
	}
	switch {
	case w.blueGreen() != nil && (it.action == Replace || it.diffs.has(traffic)):
		planned.Method, planned.OnFailure = MethodBlueGreen, project.FailureRollback
		planned.BakeSeconds, planned.KeepSeconds, planned.DeadlineSeconds = o.BakeTime.Or(0).Seconds(), o.Keep.Or(0).Seconds(), o.Within().Seconds()
		for _, step := range trafficSteps(o) {
			planned.Steps = append(planned.Steps, string(step))
		}
	case it.action == Update && it.diffs.has("refresh"):
		planned.Method = MethodRefresh
		p.refreshPlan(&planned, s.Refresh.with(o, n), g)
		planned.DeadlineSeconds = refreshTime(o).Seconds()
	default:
		return PlannedRollout{}, false
	}
	planned.Health = []string{"in service"}
	if _, targets := health.Checks(); targets && len(s.TargetGroups) > 0 {
		planned.Health = append(planned.Health, "target_group")
	}
	planned.Health = append(planned.Health, probeWords(health)...)
	if o != nil {
		planned.Hooks = hookNames(o.Hooks)
	}
	return planned, true
}

// refreshPlan says how an instance refresh goes. Auto Scaling rounds the share
// that stays up to whole instances.
func (p *planner) refreshPlan(planned *PlannedRollout, r *refreshSpec, g types.AutoScalingGroup) {
	least := project.Share(fmt.Sprintf("%d%%", r.leastInService()))
	planned.Serving = least.Of(planned.Instances)
	if r.putsBack() && reversible(g) {
		planned.OnFailure = project.FailureRollback
	}
	for _, percent := range r.CheckpointPercentages {
		planned.Steps = append(planned.Steps, fmt.Sprintf("%d%%", percent))
	}
	var end float64
	if r.BakeTime != nil {
		end = float64(*r.BakeTime)
	}
	switch {
	case len(planned.Steps) == 0:
		planned.BakeSeconds = end
	case r.CheckpointDelay != nil:
		planned.BakeSeconds, planned.EndBakeSeconds = float64(*r.CheckpointDelay), end
	default:
		planned.BakeSeconds, planned.EndBakeSeconds = time.Hour.Seconds(), end // EC2 Auto Scaling's default delay
	}
}

// groupThere is the group that there is of an item.
func groupThere(f *found) (types.AutoScalingGroup, bool) {
	if f == nil {
		return types.AutoScalingGroup{}, false
	}
	g, ok := f.raw.(types.AutoScalingGroup)
	return g, ok
}

// healthWords are what an instance must show, a word or a few each.
func healthWords(h *project.Health, grouped bool) []string {
	words := []string{}
	status, targets := h.Checks()
	if status {
		words = append(words, "status")
	}
	if targets && grouped {
		words = append(words, "target_group")
	}
	return append(words, probeWords(h)...)
}

// probeWords are what Goldline itself asks an instance.
func probeWords(h *project.Health) []string {
	if h == nil {
		return nil
	}
	var words []string
	if c := h.HTTP; c != nil {
		words = append(words, fmt.Sprintf("http %d%s", c.Port, c.Path))
	}
	if h.TCP != 0 {
		words = append(words, fmt.Sprintf("tcp %d", h.TCP))
	}
	if h.Console != "" {
		words = append(words, "console "+h.Console)
	}
	if len(h.Command) > 0 {
		words = append(words, "command "+strings.TrimPrefix(strings.Join(h.Command, " "), "sh -c "))
	}
	return words
}

func hookNames(h *project.Hooks) []string {
	var names []string
	if h == nil {
		return nil
	}
	for _, hook := range []struct {
		name    string
		command []string
	}{{"before_replace", h.BeforeReplace}, {"after_replace", h.AfterReplace}, {"after_rollout", h.AfterRollout}} {
		if len(hook.command) > 0 {
			names = append(names, hook.name)
		}
	}
	return names
}
