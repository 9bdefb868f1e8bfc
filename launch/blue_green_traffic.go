package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// trafficAPI shifts the weights of target groups.
type trafficAPI interface {
	ModifyListener(context.Context, *elb.ModifyListenerInput, ...func(*elb.Options)) (*elb.ModifyListenerOutput, error)
	ModifyRule(context.Context, *elb.ModifyRuleInput, ...func(*elb.Options)) (*elb.ModifyRuleOutput, error)
}

// crossing is a listener or a rule that forwards to a pair.
type crossing struct {
	rule    bool
	arn     string
	actions []elbtypes.Action
}

// pairsOf are the pairs of a group's definition.
func (w *world) pairsOf(uuid string) []pair {
	return slices.DeleteFunc(w.pairs(), func(p pair) bool { return p.group.UUID != uuid })
}

// sideOf is that of a pair that a group has.
func (p pair) sideOf(g types.AutoScalingGroup) string {
	if slices.Contains(g.TargetGroupARNs, p.another) {
		return p.another
	}
	return p.first
}

// crossings are the listeners and rules among those that were read which
// forward to one of some pairs.
func crossings(l *listening, pairs []pair) (all []crossing) {
	add := func(c crossing) {
		if slices.ContainsFunc(pairs, func(p pair) bool { return c.forwards(p) }) {
			all = append(all, c)
		}
	}
	for _, x := range l.listeners {
		add(crossing{false, aws.ToString(x.ListenerArn), x.DefaultActions})
	}
	for _, x := range l.rules {
		add(crossing{true, aws.ToString(x.RuleArn), x.Actions})
	}
	slices.SortFunc(all, func(a, b crossing) int {
		if a.arn < b.arn {
			return -1
		}
		return 1
	})
	return all
}

func (c crossing) forwards(p pair) bool {
	return slices.ContainsFunc(c.actions, func(a elbtypes.Action) bool { _, ok := p.shareOf(a, ""); return ok })
}

// trafficOf is the least share of traffic that a group has at any listener or
// rule that forwards to its pairs. ok is false where none does.
func trafficOf(l *listening, pairs []pair, g types.AutoScalingGroup) (percent int, ok bool) {
	percent = 100
	for _, c := range crossings(l, pairs) {
		for _, p := range pairs {
			for _, a := range c.actions {
				if share, forwards := p.shareOf(a, p.sideOf(g)); forwards {
					percent, ok = min(percent, share), true
				}
			}
		}
	}
	return percent, ok
}

// listening reads the environment's listeners and rules as they are now.
func (t *task) listening(ctx context.Context) (*listening, error) {
	return t.scope().listeners(ctx)
}

// shiftTraffic gives a group its share of the traffic at every listener and rule
// that forwards to its pairs; the rest stays with the other side. What has the
// share already is left as it is.
func (t *task) shiftTraffic(ctx context.Context, pairs []pair, g types.AutoScalingGroup, percent int) error {
	l, err := t.listening(ctx)
	if err != nil {
		return err
	}
	var api trafficAPI = t.Cloud.ELB
	for _, c := range crossings(l, pairs) {
		actions, changed := shifted(c.actions, pairs, g, int32(percent))
		switch {
		case !changed:
		case c.rule:
			_, err = api.ModifyRule(ctx, &elb.ModifyRuleInput{RuleArn: aws.String(c.arn), Actions: actions})
		default:
			_, err = api.ModifyListener(ctx, &elb.ModifyListenerInput{ListenerArn: aws.String(c.arn), DefaultActions: actions})
		}
		if err != nil {
			return fmt.Errorf("give %d%% of the traffic to %s: %w", percent, aws.ToString(g.AutoScalingGroupName), err)
		}
	}
	return nil
}

// shifted are actions that give a group its share of their pair's traffic.
func shifted(actions []elbtypes.Action, pairs []pair, g types.AutoScalingGroup, percent int32) (list []elbtypes.Action, changed bool) {
	list = slices.Clone(actions)
	for i, a := range list {
		for _, p := range pairs {
			share, ok := p.shareOf(a, p.sideOf(g))
			if !ok || share == int(percent) && len(weights(a)) == 2 {
				continue
			}
			to := p.tuples(100-percent, percent)
			if p.sideOf(g) == p.first {
				to = p.tuples(percent, 100-percent)
			}
			list[i], changed = forwarding(a, to), true
		}
	}
	return list, changed
}
