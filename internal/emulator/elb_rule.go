package emulator

import (
	"slices"
	"strconv"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type listenerRuleRow struct {
	Rule               types.Rule
	Listener, Balancer string
}

func (r listenerRuleRow) arn() string { return *r.Rule.RuleArn }

func (r listenerRuleRow) priority() int {
	n, _ := strconv.Atoi(*r.Rule.Priority) // checked when it was given
	return n
}

func (s *elbService) addRules() {
	elbOn(s, "CreateRule", "ListenerArn Priority Conditions.* Tags.* "+actionsOf("Actions"), s.createRule)
	elbOn(s, "DescribeRules", "ListenerArn RuleArns Marker PageSize", s.describeRules)
	elbOn(s, "ModifyRule", "RuleArn Conditions.* "+actionsOf("Actions"), s.modifyRule)
	elbOn(s, "SetRulePriorities", "RulePriorities.RuleArn RulePriorities.Priority", s.setRulePriorities)
	elbOn(s, "DeleteRule", "RuleArn", s.deleteRule)
}

func (s *elbService) createRule(c apiCall, in *elb.CreateRuleInput) (*elb.CreateRuleOutput, error) {
	l, err := s.listener(c.w, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	b, err := s.balancer(c.w, l.Listener.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	priority := strconv.Itoa(int(deref(in.Priority)))
	switch {
	case b.Balancer.Type != types.LoadBalancerTypeEnumApplication:
		return nil, refuse("InvalidConfigurationRequest", "Rules are for listeners of application load balancers")
	case deref(in.Priority) < 1 || *in.Priority > 50000:
		return nil, refuse("ValidationError", "1 validation error detected: Value '%s' at 'priority' is not between 1 and 50000", priority)
	case len(in.Conditions) == 0:
		return nil, refuse("ValidationError", "A condition must be specified")
	}
	for _, other := range s.rules.all(c.w) {
		if other.Listener == l.arn() && *other.Rule.Priority == priority {
			return nil, refuse("PriorityInUse", "Priority '%s' is currently in use", priority)
		}
	}
	if err := s.checkActions(c.w, b, in.Actions); err != nil {
		return nil, err
	}
	rule := types.Rule{RuleArn: new(elbARN(c, "listener-rule/"+pathOf(l.arn()))), Priority: &priority, Conditions: in.Conditions, Actions: in.Actions, IsDefault: new(false)}
	s.rules.put(c.w, *rule.RuleArn, listenerRuleRow{Rule: rule, Listener: l.arn(), Balancer: b.arn()})
	return &elb.CreateRuleOutput{Rules: []types.Rule{rule}}, s.setTags(c.w, *rule.RuleArn, in.Tags)
}

// describeRules lists rules in the order in which they are tried, with the
// listener's default one last.
func (s *elbService) describeRules(c apiCall, in *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
	if (in.ListenerArn == nil) == (len(in.RuleArns) == 0) {
		return nil, refuse("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
	}
	rows, err := chosen(s.rules.all(c.w), in.RuleArns, nil, listenerRuleRow.arn, listenerRuleRow.arn, "RuleNotFound", "Rules")
	if err != nil {
		return nil, err
	}
	if in.ListenerArn != nil {
		l, err := s.listener(c.w, in.ListenerArn)
		if err != nil {
			return nil, err
		}
		rows = keep(rows, func(r listenerRuleRow) bool { return r.Listener == l.arn() })
		rows = append(rows, listenerRuleRow{Listener: l.arn(), Rule: types.Rule{
			RuleArn: new(strings.Replace(l.arn(), ":listener/", ":listener-rule/", 1) + "/default"), Priority: new("default"),
			Actions: l.Listener.DefaultActions, Conditions: []types.RuleCondition{}, IsDefault: new(true)}})
	}
	order := func(r listenerRuleRow) string {
		return strings.Repeat("0", max(0, 7-len(*r.Rule.Priority))) + *r.Rule.Priority + r.arn()
	}
	slices.SortFunc(rows, func(a, b listenerRuleRow) int { return strings.Compare(order(a), order(b)) })
	rows, next, err := page(rows, order, paging{elbPage(in.PageSize), in.Marker, 1, elbPageLimit})
	out := &elb.DescribeRulesOutput{NextMarker: next}
	for _, row := range rows {
		out.Rules = append(out.Rules, row.Rule)
	}
	return out, err
}

func (s *elbService) rule(w world, arn *string) (listenerRuleRow, error) {
	row, ok := s.rules.get(w, deref(arn))
	if !ok {
		return row, refuse("RuleNotFound", "Rules '[%s]' not found", deref(arn))
	}
	return row, nil
}

func (s *elbService) modifyRule(c apiCall, in *elb.ModifyRuleInput) (*elb.ModifyRuleOutput, error) {
	row, err := s.rule(c.w, in.RuleArn)
	if err != nil {
		return nil, err
	}
	b, err := s.balancer(c.w, &row.Balancer)
	if err != nil {
		return nil, err
	}
	overlay(&row.Rule, in)
	if err := s.checkActions(c.w, b, row.Rule.Actions); err != nil {
		return nil, err
	}
	s.rules.put(c.w, row.arn(), row)
	return &elb.ModifyRuleOutput{Rules: []types.Rule{row.Rule}}, nil
}

func (s *elbService) deleteRule(c apiCall, in *elb.DeleteRuleInput) (*elb.DeleteRuleOutput, error) {
	row, err := s.rule(c.w, in.RuleArn)
	if err == nil {
		s.rules.remove(c.w, row.arn())
		s.tags.remove(c.w, row.arn())
	}
	return &elb.DeleteRuleOutput{}, err
}

// setRulePriorities gives rules new priorities, all at once.
func (s *elbService) setRulePriorities(c apiCall, in *elb.SetRulePrioritiesInput) (*elb.SetRulePrioritiesOutput, error) {
	out := &elb.SetRulePrioritiesOutput{}
	touched := map[string]bool{}
	for _, pair := range in.RulePriorities {
		row, err := s.rule(c.w, pair.RuleArn)
		if err != nil {
			return nil, err
		}
		if n := deref(pair.Priority); n < 1 || n > 50000 {
			return nil, refuse("ValidationError", "1 validation error detected: Value '%d' at 'priority' is not between 1 and 50000", n)
		}
		row.Rule.Priority = new(strconv.Itoa(int(*pair.Priority)))
		s.rules.put(c.w, row.arn(), row)
		touched[row.Listener] = true
		out.Rules = append(out.Rules, row.Rule)
	}
	taken := map[string]bool{}
	for _, row := range s.rules.all(c.w) {
		key := row.Listener + " " + *row.Rule.Priority
		if taken[key] && touched[row.Listener] {
			return nil, refuse("PriorityInUse", "Priority '%s' is currently in use", *row.Rule.Priority)
		}
		taken[key] = true
	}
	return out, nil
}
