package launch

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type listenerRuleAPI interface {
	CreateRule(context.Context, *elb.CreateRuleInput, ...func(*elb.Options)) (*elb.CreateRuleOutput, error)
	ModifyRule(context.Context, *elb.ModifyRuleInput, ...func(*elb.Options)) (*elb.ModifyRuleOutput, error)
	SetRulePriorities(context.Context, *elb.SetRulePrioritiesInput, ...func(*elb.Options)) (*elb.SetRulePrioritiesOutput, error)
	DeleteRule(context.Context, *elb.DeleteRuleInput, ...func(*elb.Options)) (*elb.DeleteRuleOutput, error)
}

type listenerRuleSpec struct {
	Listener   string          `yaml:"listener" ref:"listener" required:"true" change:"replaces" doc:"The listener of an application load balancer."`
	Priority   int             `yaml:"priority" min:"1" max:"50000" required:"true" doc:"Rules are tried from the lowest to the highest."`
	Conditions []conditionSpec `yaml:"conditions" required:"true" doc:"What a request is like that the rule is about: all of them hold."`
	Action     *actionSpec     `yaml:"action" required:"true" doc:"What becomes of it."`
}

// maxPriority is the highest that a rule may have.
const maxPriority = 50000

// listenerRule is a rule with its listener.
type listenerRule struct {
	types.Rule
	tags     map[string]string
	listener string // its ARN
	port     string // the listener's, as listed
}

func (r listenerRule) priority() int {
	n, _ := strconv.Atoi(aws.ToString(r.Priority)) // of the default rule alone it is no number
	return n
}

type listenerRules struct{ inELB }

func (listenerRules) api(c *cloud.Cloud) listenerRuleAPI { return c.ELB }

func (listenerRules) about() project.Kind {
	return project.Kind{Name: "listener_rule", Doc: "What becomes of those requests to a listener that are of a certain kind.",
		Attributes: []string{"id", "arn", "load_balancer", "port", "priority"}}
}

func (listenerRules) list(ctx context.Context, q query) ([]listenerRule, error) {
	all, err := q.listeners(ctx)
	if err != nil {
		return nil, err
	}
	return all.rules, nil
}

func (listenerRules) read(r listenerRule) state {
	arn := aws.ToString(r.RuleArn)
	return state{
		id: arn, tags: r.tags, uses: append(forwardsTo(r.Actions), r.listener),
		attributes: map[string]string{"arn": arn, "load_balancer": balancerName(r.listener), "port": r.port, "priority": aws.ToString(r.Priority)},
	}
}

func (listenerRules) compare(w want[listenerRuleSpec], r listenerRule) (d differences) {
	s := w.spec
	d.fixed("listener", r.listener, s.Listener, fmt.Sprintf("listener: one of %s -> %s", balancerName(r.listener), balancerName(s.Listener)))
	d.set("priority", aws.ToString(r.Priority), strconv.Itoa(s.Priority))
	d.set("conditions", conditionsText(r.Conditions), conditionsText(conditions(s.Conditions)))
	if s.Action != nil {
		d.set("action", actionsText(w.world.asDefined(r.Actions)), actionsText(w.world.asDefined(s.Action.actions())))
	}
	return d
}

// excludes: a priority is taken once, and a target group is used by one load
// balancer. Rules that stay trade priorities in one call.
func (listenerRules) excludes(w want[listenerRuleSpec], r listenerRule) bool {
	if r.listener == w.spec.Listener {
		for _, own := range w.world.inventory.of(w.UUID, w.Address, w.Kind) {
			if have, ok := own.raw.(listenerRule); ok && have.listener == r.listener {
				return false
			}
		}
		return r.priority() == w.spec.Priority
	}
	return balancerOf(r.listener) != balancerOf(w.spec.Listener) && w.spec.Action != nil && shares(w.spec.Action.actions(), r.Actions)
}

// follows: a target group that takes another's place has its targets before
// it gets traffic.
func (listenerRules) follows(w want[listenerRuleSpec]) []string {
	return w.world.targetsFirst(w.Resource)
}

func (k listenerRules) create(ctx context.Context, t *task, w want[listenerRuleSpec]) (listenerRule, error) {
	s := w.spec
	birth := t.elbBirth()
	out, err := k.api(t.Cloud).CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: aws.String(s.Listener), Priority: number(s.Priority), Conditions: conditions(s.Conditions), Actions: w.world.asItGoes(s.Action.actions(), nil), Tags: birth})
	if err != nil {
		return listenerRule{}, taken(err, "a rule of priority", strconv.Itoa(s.Priority))
	}
	return listenerRule{Rule: out.Rules[0], listener: s.Listener, tags: elbTagSet(birth)}, nil
}

func (k listenerRules) update(ctx context.Context, t *task, w want[listenerRuleSpec], r listenerRule, d differences) error {
	s := w.spec
	if d.has("priority") {
		_, err := k.api(t.Cloud).SetRulePriorities(ctx, &elb.SetRulePrioritiesInput{RulePriorities: k.priorities(t, r)})
		if err != nil {
			return taken(err, "a rule of priority", strconv.Itoa(s.Priority))
		}
	}
	in := &elb.ModifyRuleInput{RuleArn: r.RuleArn}
	if d.has("conditions") {
		in.Conditions = conditions(s.Conditions)
	}
	if d.has("action") {
		in.Actions = w.world.asItGoes(s.Action.actions(), r.Actions)
	}
	if in.Conditions == nil && in.Actions == nil {
		return nil
	}
	_, err := k.api(t.Cloud).ModifyRule(ctx, in)
	return err
}

// priorities are the new ones of all rules of a listener that get one, since
// rules can trade priorities only in one call. A rule that goes in this launch
// makes room.
func (listenerRules) priorities(t *task, of listenerRule) []types.RulePriorityPair {
	wanted, known, used := map[string]int{}, map[string]bool{}, map[int]bool{}
	for _, r := range t.resources() {
		known[r.UUID] = true
		if s, ok := r.Spec.(*listenerRuleSpec); ok && t.selected(r) {
			wanted[r.UUID] = s.Priority
		}
	}
	taken := map[int]bool{}
	var rules []*found
	for _, f := range t.inventory.all {
		if r, ok := f.raw.(listenerRule); ok && r.listener == of.listener {
			rules = append(rules, f)
			used[r.priority()] = true
			if n := wanted[f.uuid()]; n != 0 && n != r.priority() {
				taken[n] = true
			}
		}
	}
	var pairs []types.RulePriorityPair
	free := maxPriority
	for _, f := range rules {
		r := f.raw.(listenerRule)
		to := wanted[f.uuid()]
		if to == 0 && !known[f.uuid()] && taken[r.priority()] {
			for used[free] || taken[free] {
				free--
			}
			to, used[free] = free, true
		}
		if to != 0 && to != r.priority() {
			pairs = append(pairs, types.RulePriorityPair{RuleArn: r.RuleArn, Priority: aws.Int32(int32(to))})
		}
	}
	return pairs
}

func (listenerRules) retag(ctx context.Context, c *cloud.Cloud, have []listenerRule, set map[string]string) error {
	return elbRetag(ctx, c, have, func(r listenerRule) *string { return r.RuleArn }, set)
}

func (k listenerRules) remove(ctx context.Context, t *task, r listenerRule) error {
	_, err := k.api(t.Cloud).DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: r.RuleArn})
	if cloud.NotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete it: %w", err)
	}
	return nil
}
