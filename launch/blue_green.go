package launch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// Blue-green: a group's target groups have alternates, and a new group takes
// those that its predecessor does not have. Load balancers forward to both by
// weights, which a roll-out shifts. A definition of a listener or a rule names
// the target group alone: its alternate, and the weights, are the roll-out's.

// pair is a target group and its alternate, by their ARNs.
type pair struct {
	group          *project.Resource // the Auto Scaling group
	first, another string
}

// pairs are those of the topology whose target groups are there.
func (w *world) pairs() (all []pair) {
	if w == nil || w.inventory == nil {
		return nil
	}
	for _, r := range w.resources() {
		if s, ok := r.Spec.(*autoScalingGroupSpec); !ok || len(s.AlternateTargetGroups) == 0 {
			continue
		}
		arns := map[string]string{}
		for _, ref := range r.Refs {
			if ref.Kind == "target_group" {
				arns[ref.Path] = w.idOf(ref.Address)
			}
		}
		for path, another := range arns {
			index, ok := strings.CutPrefix(path, "alternate_target_groups")
			if first := arns["target_groups"+index]; ok && first != "" && another != "" {
				all = append(all, pair{r, first, another})
			}
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.first, b.first) })
	return all
}

// idOf is the ID of what an address has; "" for nothing.
func (w *world) idOf(address string) string {
	for _, r := range w.resources() {
		if r.Address != address {
			continue
		}
		if f := w.adopted[r.UUID]; f != nil {
			return f.id
		}
		if list := w.inventory.of(r.UUID, r.Address, r.Kind); len(list) > 0 {
			return list[0].id
		}
	}
	return ""
}

// weights are the target groups that an action forwards to, with their weights.
func weights(a types.Action) (all []types.TargetGroupTuple) {
	switch {
	case a.ForwardConfig != nil && len(a.ForwardConfig.TargetGroups) > 0:
		for _, g := range a.ForwardConfig.TargetGroups {
			if g.Weight == nil {
				g.Weight = aws.Int32(1)
			}
			all = append(all, g)
		}
	case a.TargetGroupArn != nil:
		all = append(all, types.TargetGroupTuple{TargetGroupArn: a.TargetGroupArn, Weight: aws.Int32(1)})
	}
	return all
}

// forwarding is an action that forwards to other target groups, the rest of it
// as it was.
func forwarding(a types.Action, to []types.TargetGroupTuple) types.Action {
	config := types.ForwardActionConfig{}
	if a.ForwardConfig != nil {
		config = *a.ForwardConfig
	}
	config.TargetGroups = to
	a.TargetGroupArn, a.ForwardConfig = nil, &config
	return a
}

// asDefined are the actions of a listener or a rule in the words of
// definitions: without the alternates of target groups.
func (w *world) asDefined(actions []types.Action) []types.Action {
	first := map[string]string{}
	for _, p := range w.pairs() {
		first[p.another] = p.first
	}
	if len(first) == 0 {
		return actions
	}
	list := slices.Clone(actions)
	for i, a := range list {
		of := weights(a)
		named := slices.DeleteFunc(slices.Clone(of), func(g types.TargetGroupTuple) bool { return first[aws.ToString(g.TargetGroupArn)] != "" })
		for _, g := range of {
			arn := first[aws.ToString(g.TargetGroupArn)]
			if arn != "" && !slices.ContainsFunc(named, func(n types.TargetGroupTuple) bool { return aws.ToString(n.TargetGroupArn) == arn }) {
				named = append(named, types.TargetGroupTuple{TargetGroupArn: aws.String(arn), Weight: aws.Int32(1)})
			}
		}
		if len(of) > 0 {
			list[i] = forwarding(a, named)
		}
	}
	return list
}

// asItGoes are the actions of a definition with the alternates and the weights
// that the ones there have. Where there are none, as for a new rule, all
// traffic goes to the newest group.
func (w *world) asItGoes(wanted, have []types.Action) []types.Action {
	pairs := w.pairs()
	if len(pairs) == 0 {
		return wanted
	}
	list := slices.Clone(wanted)
	for i, a := range list {
		of := weights(a)
		if len(of) != 1 {
			continue
		}
		for _, p := range pairs {
			if aws.ToString(of[0].TargetGroupArn) != p.first {
				continue
			}
			to := p.weightsIn(have)
			if len(to) == 0 && w.servesAlternate(p) {
				to = p.tuples(0, 100)
			}
			if len(to) > 0 {
				list[i] = forwarding(a, to)
			}
		}
	}
	return list
}

// weightsIn are the weights of a pair in actions that name its alternate.
func (p pair) weightsIn(actions []types.Action) []types.TargetGroupTuple {
	for _, a := range actions {
		of := weights(a)
		if slices.ContainsFunc(of, func(g types.TargetGroupTuple) bool { return aws.ToString(g.TargetGroupArn) == p.another }) {
			return of
		}
	}
	return nil
}

func (p pair) tuples(first, another int32) []types.TargetGroupTuple {
	return []types.TargetGroupTuple{{TargetGroupArn: aws.String(p.first), Weight: aws.Int32(first)}, {TargetGroupArn: aws.String(p.another), Weight: aws.Int32(another)}}
}

// servesAlternate tells whether the newest group has a pair's alternate.
func (w *world) servesAlternate(p pair) bool {
	list := w.inventory.of(p.group.UUID, p.group.Address, p.group.Kind)
	return len(list) > 0 && has(list[0].uses, p.another)
}

// shareOf is how many percent of a forward to a pair go to one of its two. ok
// is false for an action that forwards to neither.
func (p pair) shareOf(a types.Action, arn string) (percent int, ok bool) {
	var own, total int32
	for _, g := range weights(a) {
		switch aws.ToString(g.TargetGroupArn) {
		case p.first, p.another:
			ok = true
			total += *g.Weight
			if aws.ToString(g.TargetGroupArn) == arn {
				own += *g.Weight
			}
		}
	}
	if total == 0 {
		return 0, ok
	}
	return int(100 * own / total), ok
}
