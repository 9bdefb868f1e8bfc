package launch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// checkBlueGreen reports what a blue-green roll-out needs of a group.
func (s *autoScalingGroupSpec) checkBlueGreen(at func(path string) diag.Pos, problems *diag.List) {
	if len(s.AlternateTargetGroups) == 0 {
		problems.AddHint(at("target_groups"), "give it alternate_target_groups, one for each of its target_groups, or another rollout",
			"BlueGreen makes a second group beside the first and moves the traffic of target groups to it: this one has nowhere to move it")
	}
	if s.AutoScalingGroupName != "" {
		problems.AddHint(at("auto_scaling_group_name"), "leave it out: each group gets a name of its own", "BlueGreen makes a second group beside the first: two cannot have one name")
	}
}

// checkAlternates: the alternates of a group's target groups are for it alone,
// and what forwards to the target groups forwards to nothing else.
func checkAlternates(c *checker, d definition[autoScalingGroupSpec]) {
	s := d.spec
	if len(s.AlternateTargetGroups) == 0 {
		return
	}
	if d.Adopt != nil {
		c.problems.Addf(d.At("alternate_target_groups"), "a group that is adopted has no other beside it")
	}
	if len(s.AlternateTargetGroups) != len(s.TargetGroups) {
		c.problems.AddHint(d.At("alternate_target_groups"), "they belong together in their order", "there are %d target_groups and %d alternates", len(s.TargetGroups), len(s.AlternateTargetGroups))
		return
	}
	for i := range s.TargetGroups {
		for _, path := range []string{fmt.Sprintf("target_groups[%d]", i), fmt.Sprintf("alternate_target_groups[%d]", i)} {
			checkPairUse(c, d.Resource, path)
		}
		if s.TargetGroups[i] == s.AlternateTargetGroups[i] {
			c.problems.Addf(d.At(fmt.Sprintf("alternate_target_groups[%d]", i)), "%s is the target group itself", s.TargetGroups[i])
		}
	}
}

// checkPairUse checks what else uses a target group of a pair.
func checkPairUse(c *checker, r *project.Resource, path string) {
	address := c.target(r, path)
	if address == "" {
		c.problems.Addf(r.At(path), "the target groups of a blue-green roll-out are defined here, too")
		return
	}
	alternate, forwards := strings.HasPrefix(path, "alternate"), false
	for _, other := range c.resources {
		if !refersTo(other, address) || other == r {
			continue
		}
		front := other.Kind == "listener" || other.Kind == "listener_rule"
		switch {
		case front && alternate:
			c.problems.AddHint(r.At(path), "a listener names the target group, and the roll-out moves its traffic to the alternate", "%s forwards to %s", other.Address, address)
		case front && several(other, address):
			c.problems.AddHint(r.At(path), "make a target group of its own for the others", "%s forwards to other target groups than %s as well: a blue-green roll-out needs its weights", other.Address, address)
		case front:
			forwards = true
		default:
			c.problems.AddHint(r.At(path), "the target groups of a blue-green roll-out are for one group", "%s uses %s, too", other.Address, address)
		}
	}
	if !alternate && !forwards {
		c.problems.Addf(r.At(path), "no listener and no rule forwards to %s: there is no traffic to move", address)
	}
}

// several tells whether an action that forwards to a target group forwards to
// others.
func several(r *project.Resource, address string) bool {
	for _, ref := range r.Refs {
		if ref.Address == address && strings.Contains(ref.Path, "target_groups[") {
			return slices.ContainsFunc(r.Refs, func(x project.Ref) bool { return x.Kind == "target_group" && x.Address != address })
		}
	}
	return false
}
