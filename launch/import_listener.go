package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// How listeners and their rules are written down. A listener's default rule is
// its default_action: no list shows it.

func (listeners) express(x *expression, l listener) listenerSpec {
	s := listenerSpec{LoadBalancer: x.ref("load_balancer", l.LoadBalancerArn), Port: int(aws.ToInt32(l.Port)), Protocol: string(l.Protocol), DefaultAction: x.action("default_action", l.DefaultActions)}
	if !s.secure() {
		return s
	}
	s.SSLPolicy = aws.ToString(l.SslPolicy)
	if first := defaultCertificate(l.Certificates); first != "" {
		s.Certificates = append([]string{first}, slices.Sorted(slices.Values(l.certificates))...)
		x.leave("certificates", "their ARNs hold for this account and region only")
	}
	if len(l.AlpnPolicy) > 0 && l.AlpnPolicy[0] != "None" {
		s.ALPNPolicy = l.AlpnPolicy[0]
	}
	return s
}

// called: a listener is the one of its load balancer and port.
func (listeners) called(l listener) string {
	return balancerName(aws.ToString(l.LoadBalancerArn)) + "-" + numberText(l.Port)
}

func (listeners) key() []string { return []string{"load_balancer", "port"} }

// unsayable: what is passed on by other protocols is for appliances.
func (listeners) unsayable(l listener) string {
	if known := project.Enum(&listenerSpec{}, "protocol"); !has(known, string(l.Protocol)) {
		return fmt.Sprintf("it listens for %s: Goldline knows %s", l.Protocol, sortedList(known))
	}
	return ""
}

func (listenerRules) express(x *expression, r listenerRule) listenerRuleSpec {
	s := listenerRuleSpec{Listener: x.ref("listener", &r.listener), Priority: r.priority(), Action: x.action("action", r.Actions)}
	for _, c := range r.Conditions {
		condition, ok := conditionOf(c)
		if !ok {
			x.leave("conditions", "the one about %s cannot be said", aws.ToString(c.Field))
			s.Conditions = nil
			break
		}
		s.Conditions = append(s.Conditions, condition)
	}
	if len(r.Transforms) > 0 {
		x.leave("transforms", "how it rewrites requests is left as it is")
	}
	return s
}

// called: a rule is the one of its listener and priority.
func (listenerRules) called(r listenerRule) string {
	return balancerName(r.listener) + "-" + r.port + "-" + aws.ToString(r.Priority)
}

func (listenerRules) key() []string { return []string{"load_balancer", "port", "priority"} }

// action is the one thing that actions do, or nil with a note where a
// definition cannot say it: signing in, several things after each other.
func (x *expression) action(path string, actions []types.Action) *actionSpec {
	if len(actions) != 1 {
		x.leave(path, "it does %d things after each other: %s", len(actions), actionsText(actions))
		return nil
	}
	a := actions[0]
	switch {
	case a.Type == types.ActionTypeEnumForward:
		f := x.forward(path, a)
		if f == nil {
			return nil
		}
		return &actionSpec{Forward: f}
	case a.RedirectConfig != nil:
		return &actionSpec{Redirect: redirectOf(a.RedirectConfig)}
	case a.FixedResponseConfig != nil:
		code, err := strconv.Atoi(aws.ToString(a.FixedResponseConfig.StatusCode))
		if err == nil {
			return &actionSpec{FixedResponse: &fixedResponseSpec{StatusCode: code, ContentType: aws.ToString(a.FixedResponseConfig.ContentType), MessageBody: aws.ToString(a.FixedResponseConfig.MessageBody)}}
		}
	}
	x.leave(path, "%s cannot be said", a.Type)
	return nil
}

func (x *expression) forward(path string, a types.Action) *forwardSpec {
	f := &forwardSpec{}
	if a.ForwardConfig == nil || len(a.ForwardConfig.TargetGroups) == 0 {
		f.TargetGroup = x.ref(path, a.TargetGroupArn)
	} else {
		for _, g := range a.ForwardConfig.TargetGroups {
			name := x.ref(path, g.TargetGroupArn)
			if name == "" {
				return nil
			}
			w := weightedSpec{TargetGroup: name}
			if g.Weight != nil {
				n := int(*g.Weight)
				w.Weight = &n
			}
			f.TargetGroups = append(f.TargetGroups, w)
		}
		if len(f.TargetGroups) == 1 {
			f.TargetGroup, f.TargetGroups = f.TargetGroups[0].TargetGroup, nil
		}
		if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil && aws.ToBool(s.Enabled) {
			f.Stickiness = int(aws.ToInt32(s.DurationSeconds))
		}
	}
	if f.TargetGroup == "" && f.TargetGroups == nil {
		return nil
	}
	return f
}

// redirectOf states what differs from the URL that was asked for.
func redirectOf(r *types.RedirectActionConfig) *redirectSpec {
	other := func(value *string, same string) string {
		if aws.ToString(value) == same {
			return ""
		}
		return aws.ToString(value)
	}
	s := &redirectSpec{
		Protocol: other(r.Protocol, "#{protocol}"), Port: other(r.Port, "#{port}"), Host: other(r.Host, "#{host}"),
		Path: other(r.Path, "/#{path}"), Query: other(r.Query, "#{query}"),
	}
	s.StatusCode, _ = strconv.Atoi(strings.TrimPrefix(string(r.StatusCode), "HTTP_")) // 301 or 302
	return s
}

// conditionOf is a condition as a definition gives it. Older ones of hosts and
// paths have their values beside the field.
func conditionOf(c types.RuleCondition) (s conditionSpec, ok bool) {
	switch {
	case c.HostHeaderConfig != nil:
		s.HostHeader = c.HostHeaderConfig.Values
		ok = len(c.HostHeaderConfig.RegexValues) == 0
	case c.PathPatternConfig != nil:
		s.PathPattern = c.PathPatternConfig.Values
		ok = len(c.PathPatternConfig.RegexValues) == 0
	case c.HttpHeaderConfig != nil:
		s.HTTPHeader = &headerSpec{Name: aws.ToString(c.HttpHeaderConfig.HttpHeaderName), Values: c.HttpHeaderConfig.Values}
		ok = len(c.HttpHeaderConfig.RegexValues) == 0
	case c.HttpRequestMethodConfig != nil:
		s.HTTPRequestMethod, ok = c.HttpRequestMethodConfig.Values, true
	case c.SourceIpConfig != nil:
		s.SourceIP, ok = c.SourceIpConfig.Values, true
	case c.QueryStringConfig != nil:
		for _, v := range c.QueryStringConfig.Values {
			s.QueryString = append(s.QueryString, queryValueSpec{Key: aws.ToString(v.Key), Value: aws.ToString(v.Value)})
		}
		ok = true
	case aws.ToString(c.Field) == "host-header":
		s.HostHeader, ok = c.Values, true
	case aws.ToString(c.Field) == "path-pattern":
		s.PathPattern, ok = c.Values, true
	}
	return s, ok && len(c.RegexValues) == 0
}
