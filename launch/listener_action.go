package launch

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// actionSpec is what becomes of a request: one of three things.
type actionSpec struct {
	Forward       *forwardSpec       `yaml:"forward" doc:"Target groups that get it: one by its name, or several with weights."`
	Redirect      *redirectSpec      `yaml:"redirect" doc:"Where the client is sent; application load balancers."`
	FixedResponse *fixedResponseSpec `yaml:"fixed_response" doc:"What the load balancer answers itself; application load balancers."`
}

type forwardSpec struct {
	TargetGroup  string         `yaml:"target_group" ref:"target_group" short:"true" doc:"The target group."`
	TargetGroups []weightedSpec `yaml:"target_groups" doc:"Several target groups, at most five, by weight."`
	Stickiness   int            `yaml:"stickiness" min:"1" max:"604800" doc:"For how many seconds a client stays with the group that it got; by default not at all."`
}

type weightedSpec struct {
	TargetGroup string `yaml:"target_group" ref:"target_group" short:"true" required:"true" doc:"The target group."`
	Weight      *int   `yaml:"weight" min:"0" max:"999" doc:"Its share, against the other weights." default:"1"`
}

type redirectSpec struct {
	StatusCode int    `yaml:"status_code" enum:"301,302" required:"true" doc:"301 for good, 302 for now."`
	Protocol   string `yaml:"protocol" enum:"HTTP,HTTPS,#{protocol}" doc:"The protocol of the new URL." default:"#{protocol}"`
	Port       string `yaml:"port" doc:"Its port." default:"#{port}"`
	Host       string `yaml:"host" doc:"Its host." default:"#{host}"`
	Path       string `yaml:"path" doc:"Its path, from /." default:"/#{path}"`
	Query      string `yaml:"query" doc:"Its query, without the question mark." default:"#{query}"`
}

type fixedResponseSpec struct {
	StatusCode  int    `yaml:"status_code" min:"200" max:"599" required:"true" doc:"The status code: 2XX, 4XX or 5XX."`
	ContentType string `yaml:"content_type" enum:"text/plain,text/css,text/html,application/javascript,application/json" doc:"The type of the body." default:"text/plain"`
	MessageBody string `yaml:"message_body" doc:"The body, at most 1024 characters."`
}

// groups are the target groups of a forward with their weights.
func (f *forwardSpec) groups() []types.TargetGroupTuple {
	if f.TargetGroup != "" {
		return []types.TargetGroupTuple{{TargetGroupArn: aws.String(f.TargetGroup)}}
	}
	var all []types.TargetGroupTuple
	for _, g := range f.TargetGroups {
		weight := 1
		if g.Weight != nil {
			weight = *g.Weight
		}
		all = append(all, types.TargetGroupTuple{TargetGroupArn: aws.String(g.TargetGroup), Weight: aws.Int32(int32(weight))})
	}
	return all
}

// actions is an action as Elastic Load Balancing takes it.
func (a *actionSpec) actions() []types.Action {
	switch {
	case a.Forward != nil && a.Forward.TargetGroup != "" && a.Forward.Stickiness == 0:
		return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: aws.String(a.Forward.TargetGroup)}}
	case a.Forward != nil:
		config := &types.ForwardActionConfig{TargetGroups: a.Forward.groups()}
		if n := a.Forward.Stickiness; n > 0 {
			config.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: number(n)}
		}
		return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: config}}
	case a.Redirect != nil:
		r := a.Redirect
		return []types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{
			StatusCode: types.RedirectActionStatusCodeEnum("HTTP_" + strconv.Itoa(r.StatusCode)), Protocol: optional(r.Protocol), Port: optional(r.Port),
			Host: optional(r.Host), Path: optional(r.Path), Query: optional(r.Query),
		}}}
	case a.FixedResponse != nil:
		r := a.FixedResponse
		return []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{
			StatusCode: aws.String(strconv.Itoa(r.StatusCode)), ContentType: optional(r.ContentType), MessageBody: optional(r.MessageBody),
		}}}
	}
	return nil
}

// actionsText is what actions do, in words that are equal for the same: Elastic
// Load Balancing gives one target group in two ways at once, and defaults that
// nobody stated.
func actionsText(actions []types.Action) string {
	sorted := slices.Clone(actions)
	sort.SliceStable(sorted, func(i, j int) bool { return aws.ToInt32(sorted[i].Order) < aws.ToInt32(sorted[j].Order) })
	var parts []string
	for _, a := range sorted {
		switch {
		case a.Type == types.ActionTypeEnumForward:
			parts = append(parts, "forward to "+forwardText(a))
		case a.RedirectConfig != nil:
			r := a.RedirectConfig
			value := func(s *string, fallback string) string {
				if aws.ToString(s) == "" {
					return fallback
				}
				return *s
			}
			parts = append(parts, fmt.Sprintf("redirect by %s to %s://%s:%s%s?%s", strings.TrimPrefix(string(r.StatusCode), "HTTP_"), value(r.Protocol, "#{protocol}"),
				value(r.Host, "#{host}"), value(r.Port, "#{port}"), value(r.Path, "/#{path}"), value(r.Query, "#{query}")))
		case a.FixedResponseConfig != nil:
			r := a.FixedResponseConfig
			kind := aws.ToString(r.ContentType)
			if kind == "" {
				kind = "text/plain"
			}
			parts = append(parts, fmt.Sprintf("answer %s %s %q", aws.ToString(r.StatusCode), kind, aws.ToString(r.MessageBody)))
		default:
			parts = append(parts, string(a.Type))
		}
	}
	return strings.Join(parts, ", then ")
}

func forwardText(a types.Action) string {
	weights := map[string]int32{}
	stay := ""
	if c := a.ForwardConfig; c != nil {
		for _, g := range c.TargetGroups {
			weights[aws.ToString(g.TargetGroupArn)] = 1
			if g.Weight != nil {
				weights[aws.ToString(g.TargetGroupArn)] = *g.Weight
			}
		}
		if s := c.TargetGroupStickinessConfig; s != nil && aws.ToBool(s.Enabled) {
			stay = ", sticky for " + numberText(s.DurationSeconds) + " seconds"
		}
	}
	if a.TargetGroupArn != nil && len(weights) == 0 {
		weights[*a.TargetGroupArn] = 1
	}
	var parts []string
	for _, arn := range union(weights) {
		part := arn
		if _, name, ok := strings.Cut(arn, ":targetgroup/"); ok {
			part = name // with its ID: within a region as good as the ARN
		}
		if len(weights) > 1 {
			part += fmt.Sprintf(" (weight %d)", weights[arn])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ") + stay
}

// forwardsTo are the target groups that actions forward to.
func forwardsTo(actions []types.Action) []string {
	var arns []string
	for _, a := range actions {
		if a.TargetGroupArn != nil {
			arns = append(arns, *a.TargetGroupArn)
		}
		if a.ForwardConfig != nil {
			for _, g := range a.ForwardConfig.TargetGroups {
				arns = append(arns, aws.ToString(g.TargetGroupArn))
			}
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// shares tells whether two lists of actions forward to one target group.
func shares(a, b []types.Action) bool {
	theirs := forwardsTo(b)
	return slices.ContainsFunc(forwardsTo(a), func(arn string) bool { return arn != Unknown && has(theirs, arn) })
}

var (
	redirectPort = regexp.MustCompile(`^(#\{port\}|[1-9][0-9]{0,4})$`)
	// suits are the protocols of target groups that a listener forwards to.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-listeners.html
	suits = map[string][]string{
		"HTTP": {"HTTP", "HTTPS"}, "HTTPS": {"HTTP", "HTTPS"}, "TCP": {"TCP", "TCP_UDP"}, "TLS": {"TCP", "TLS"}, "UDP": {"UDP", "TCP_UDP"}, "TCP_UDP": {"TCP_UDP"},
	}
)

// checkAction checks what a listener or a rule does, at a path of its
// definition. protocol is the listener's, balancer its load balancer, as far as
// they are known.
func checkAction(c *checker, r *project.Resource, path string, a *actionSpec, protocol string, balancer *project.Resource) {
	if a == nil {
		return
	}
	stated := 0
	for _, s := range []bool{a.Forward != nil, a.Redirect != nil, a.FixedResponse != nil} {
		if s {
			stated++
		}
	}
	if stated != 1 {
		c.problems.AddHint(r.At(path), "forward, redirect or fixed_response", "an action does one thing, not %d", stated)
		return
	}
	if a.Forward == nil && protocol != "" && !strings.HasPrefix(protocol, "HTTP") {
		c.problems.AddHint(r.At(path), "forward: to a target group", "a listener over %s can only forward", protocol)
	}
	switch {
	case a.Forward != nil:
		checkForward(c, r, path+".forward", a.Forward, protocol, balancer)
	case a.Redirect != nil:
		checkRedirect(c, r, path+".redirect", a.Redirect, protocol)
	default:
		checkFixedResponse(c, r, path+".fixed_response", a.FixedResponse)
	}
}

func checkForward(c *checker, r *project.Resource, path string, f *forwardSpec, protocol string, balancer *project.Resource) {
	switch {
	case (f.TargetGroup == "") == (len(f.TargetGroups) == 0):
		c.problems.AddHint(r.At(path), "target_group for one, target_groups for several", "a forward takes one of target_group and target_groups")
	case len(f.TargetGroups) > 5:
		c.problems.Addf(r.At(path+".target_groups"), "%d target groups: Elastic Load Balancing takes 5", len(f.TargetGroups))
	}
	weight := 0
	for i, g := range f.TargetGroups {
		if g.Weight == nil || *g.Weight > 0 {
			weight++
		}
		for _, before := range f.TargetGroups[:i] {
			if before.TargetGroup == g.TargetGroup {
				c.problems.Addf(r.At(fmt.Sprintf("%s.target_groups[%d]", path, i)), "the target group %s stands in the list twice", g.TargetGroup)
			}
		}
	}
	if len(f.TargetGroups) > 0 && weight == 0 {
		c.problems.Addf(r.At(path+".target_groups"), "every target group has the weight 0")
	}
	for _, ref := range r.Refs {
		group := c.byAddress[ref.Address]
		if !strings.HasPrefix(ref.Path, path) || ref.Kind != "target_group" || group == nil {
			continue
		}
		s, ok := group.Spec.(*targetGroupSpec)
		if ok && protocol != "" && s.Protocol != "" && !has(suits[protocol], s.Protocol) {
			c.problems.AddHint(ref.Pos, "it forwards to target groups over "+strings.Join(suits[protocol], " or "), "a listener over %s does not suit %s, which is over %s", protocol, ref.Address, s.Protocol)
		}
		if balancer == nil {
			continue
		}
		if vpc, theirs := c.vpcOf(balancer), c.target(group, "vpc"); vpc != "" && theirs != "" && vpc != theirs {
			c.problems.Addf(ref.Pos, "%s lies in another VPC than %s", ref.Address, balancer.Address)
		}
		if first := c.forwarded[ref.Address]; first != nil && first != balancer {
			c.problems.AddHint(ref.Pos, "make a target group for each", "%s serves %s already: a target group is for one load balancer", ref.Address, first.Address)
		} else {
			c.forwarded[ref.Address] = balancer
		}
	}
}

func checkRedirect(c *checker, r *project.Resource, path string, s *redirectSpec, protocol string) {
	switch {
	case s.Protocol+s.Port+s.Host+s.Path+s.Query == "":
		c.problems.AddHint(r.At(path), "as in protocol: HTTPS and port: 443", "a redirect to the same URL goes round for ever")
	case protocol == "HTTPS" && s.Protocol == "HTTP":
		c.problems.Addf(r.At(path+".protocol"), "Elastic Load Balancing does not redirect HTTPS to HTTP")
	case s.Port != "" && !unresolved(s.Port) && !redirectPort.MatchString(s.Port):
		c.problems.AddHint(r.At(path+".port"), "a number, or #{port}", "%q is no port", s.Port)
	case s.Path != "" && !unresolved(s.Path) && !strings.HasPrefix(s.Path, "/"):
		c.problems.Addf(r.At(path+".path"), "a path begins with /")
	}
}

func checkFixedResponse(c *checker, r *project.Resource, path string, s *fixedResponseSpec) {
	if s.StatusCode >= 300 && s.StatusCode < 400 {
		c.problems.AddHint(r.At(path+".status_code"), "redirect sends clients elsewhere", "a fixed response takes a status of 2XX, 4XX or 5XX")
	}
	if len(s.MessageBody) > 1024 {
		c.problems.Addf(r.At(path+".message_body"), "the body is %d characters long: Elastic Load Balancing takes 1024", len(s.MessageBody))
	}
}
