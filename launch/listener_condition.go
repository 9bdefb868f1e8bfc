package launch

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// conditionSpec is one thing that a request is like: any of the values will do.
type conditionSpec struct {
	HostHeader        []string         `yaml:"host_header" doc:"The host that it is for; * and ? stand for others."`
	PathPattern       []string         `yaml:"path_pattern" doc:"Its path; * and ? stand for others."`
	HTTPHeader        *headerSpec      `yaml:"http_header" doc:"One of its headers."`
	HTTPRequestMethod []string         `yaml:"http_request_method" doc:"Its method: GET."`
	QueryString       []queryValueSpec `yaml:"query_string" doc:"A part of its query, with its key or without."`
	SourceIP          []string         `yaml:"source_ip" doc:"The blocks that it comes from."`
}

type headerSpec struct {
	Name   string   `yaml:"name" required:"true" doc:"The header's name."`
	Values []string `yaml:"values" required:"true" doc:"Its value; * and ? stand for others."`
}

type queryValueSpec struct {
	Key   string `yaml:"key" doc:"The key; by default any."`
	Value string `yaml:"value" short:"true" required:"true" doc:"The value; * and ? stand for others."`
}

// conditions are conditions as Elastic Load Balancing takes them.
func conditions(list []conditionSpec) []types.RuleCondition {
	var all []types.RuleCondition
	for _, s := range list {
		c := types.RuleCondition{}
		switch {
		case s.HostHeader != nil:
			c.Field, c.HostHeaderConfig = aws.String("host-header"), &types.HostHeaderConditionConfig{Values: s.HostHeader}
		case s.PathPattern != nil:
			c.Field, c.PathPatternConfig = aws.String("path-pattern"), &types.PathPatternConditionConfig{Values: s.PathPattern}
		case s.HTTPHeader != nil:
			c.Field, c.HttpHeaderConfig = aws.String("http-header"), &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String(s.HTTPHeader.Name), Values: s.HTTPHeader.Values}
		case s.HTTPRequestMethod != nil:
			c.Field, c.HttpRequestMethodConfig = aws.String("http-request-method"), &types.HttpRequestMethodConditionConfig{Values: s.HTTPRequestMethod}
		case s.QueryString != nil:
			config := &types.QueryStringConditionConfig{}
			for _, v := range s.QueryString {
				config.Values = append(config.Values, types.QueryStringKeyValuePair{Key: optional(v.Key), Value: aws.String(v.Value)})
			}
			c.Field, c.QueryStringConfig = aws.String("query-string"), config
		case s.SourceIP != nil:
			c.Field, c.SourceIpConfig = aws.String("source-ip"), &types.SourceIpConditionConfig{Values: s.SourceIP}
		}
		all = append(all, c)
	}
	return all
}

// conditionsText is conditions in words that are equal for the same.
func conditionsText(list []types.RuleCondition) string {
	var parts []string
	for _, c := range list {
		field, values := aws.ToString(c.Field), c.Values
		switch {
		case c.HostHeaderConfig != nil:
			values = c.HostHeaderConfig.Values
		case c.PathPatternConfig != nil:
			values = c.PathPatternConfig.Values
		case c.HttpHeaderConfig != nil:
			field, values = field+" "+strings.ToLower(aws.ToString(c.HttpHeaderConfig.HttpHeaderName)), c.HttpHeaderConfig.Values
		case c.HttpRequestMethodConfig != nil:
			values = c.HttpRequestMethodConfig.Values
		case c.SourceIpConfig != nil:
			values = nil
			for _, v := range c.SourceIpConfig.Values {
				values = append(values, canonical(v))
			}
		case c.QueryStringConfig != nil:
			values = nil
			for _, v := range c.QueryStringConfig.Values {
				values = append(values, strings.TrimPrefix(aws.ToString(v.Key)+"="+aws.ToString(v.Value), "="))
			}
		}
		parts = append(parts, field+": "+strings.Join(slices.Sorted(slices.Values(values)), " or "))
	}
	sort.Strings(parts)
	return strings.Join(parts, "; ")
}

// balancerOf is the part of a listener's ARN that names its load balancer.
func balancerOf(listener string) string {
	if i := strings.LastIndexByte(listener, '/'); i > 0 {
		return listener[:i]
	}
	return listener
}

// balancerName is the name of a load balancer by its ARN, or that of one of its
// listeners; what is no ARN stays as it is.
func balancerName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) >= 4 {
		return parts[2]
	}
	return arn
}

var (
	methodForm = regexp.MustCompile(`^[A-Z_-]{1,40}$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}$")
)

// maxConditionValues is how many values a rule's conditions have together.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const maxConditionValues = 5

func (listenerRules) check(c *checker, d definition[listenerRuleSpec]) {
	s := d.spec
	l, listener, ok := referred[listenerSpec](c, d.Resource, "listener")
	protocol := ""
	if ok {
		protocol = l.Protocol
		if protocol != "" && !strings.HasPrefix(protocol, "HTTP") {
			c.problems.Addf(d.At("listener"), "%s is over %s: rules are for listeners over HTTP and HTTPS", listener.Address, protocol)
		}
		_, balancer, _ := referred[loadBalancerSpec](c, listener, "load_balancer")
		checkAction(c, d.Resource, "action", s.Action, protocol, balancer)
	} else {
		checkAction(c, d.Resource, "action", s.Action, protocol, nil)
	}
	for _, other := range c.before(d.Resource) {
		if o, ok := other.Spec.(*listenerRuleSpec); ok && o.Priority == s.Priority && s.Priority != 0 && o.Listener == s.Listener {
			c.problems.Addf(d.At("priority"), "%s has priority %d of %s already", other.Address, s.Priority, s.Listener)
		}
	}
	checkConditions(c, d)
}

func checkConditions(c *checker, d definition[listenerRuleSpec]) {
	if d.Adopt == nil && len(d.spec.Conditions) == 0 {
		c.problems.AddHint(d.At("conditions"), "what no rule is about is the listener's default_action", "a rule needs a condition")
	}
	values := 0
	seen := map[string]bool{}
	for i, s := range d.spec.Conditions {
		at := d.At(fmt.Sprintf("conditions[%d]", i))
		fields := s.fields()
		if len(fields) != 1 {
			c.problems.AddHint(at, "host_header, path_pattern, http_header, http_request_method, query_string or source_ip", "a condition is about one thing, not %d", len(fields))
			continue
		}
		field := fields[0]
		if seen[field] && field != "http_header" && field != "query_string" {
			c.problems.AddHint(at, "give one condition all its values", "a rule has one condition about %s", field)
		}
		seen[field] = true
		n := checkCondition(c, d, i, s)
		if values += n; n == 0 {
			c.problems.Addf(at, "the condition about %s has no values", field)
		}
	}
	if values > maxConditionValues {
		c.problems.AddHint(d.At("conditions"), "divide it into rules", "the conditions have %d values: Elastic Load Balancing takes %d", values, maxConditionValues)
	}
}

// fields are what a condition is about.
func (s conditionSpec) fields() []string {
	var all []string
	for _, f := range []struct {
		key    string
		stated bool
	}{
		{"host_header", s.HostHeader != nil}, {"path_pattern", s.PathPattern != nil}, {"http_header", s.HTTPHeader != nil},
		{"http_request_method", s.HTTPRequestMethod != nil}, {"query_string", s.QueryString != nil}, {"source_ip", s.SourceIP != nil},
	} {
		if f.stated {
			all = append(all, f.key)
		}
	}
	return all
}

// checkCondition checks the values of one condition and counts them.
func checkCondition(c *checker, d definition[listenerRuleSpec], i int, s conditionSpec) int {
	base := fmt.Sprintf("conditions[%d].", i)
	each := func(key string, values []string, bad func(string) string) int {
		for j, v := range values {
			at := d.At(fmt.Sprintf("%s%s[%d]", base, key, j))
			if unresolved(v) {
				continue
			}
			if len(v) == 0 || len(v) > 128 {
				c.problems.Addf(at, "the value is %d characters long: Elastic Load Balancing takes 1 to 128", len(v))
			} else if text := bad(v); text != "" {
				c.problems.Addf(at, "%q %s", v, text)
			}
		}
		return len(values)
	}
	fine := func(string) string { return "" }
	switch {
	case s.HostHeader != nil:
		return each("host_header", s.HostHeader, func(v string) string {
			if !strings.Contains(v, ".") {
				return "is no host: it needs a dot"
			}
			return ""
		})
	case s.PathPattern != nil:
		return each("path_pattern", s.PathPattern, fine)
	case s.HTTPHeader != nil:
		if name := s.HTTPHeader.Name; !unresolved(name) && !headerForm.MatchString(name) || strings.EqualFold(name, "host") {
			c.problems.AddHint(d.At(base+"http_header.name"), "the host has a condition of its own: host_header", "%q is no header for a condition", name)
		}
		return each("http_header.values", s.HTTPHeader.Values, fine)
	case s.HTTPRequestMethod != nil:
		return each("http_request_method", s.HTTPRequestMethod, func(v string) string {
			if !methodForm.MatchString(v) {
				return "is no method: capital letters, - and _"
			}
			return ""
		})
	case s.QueryString != nil:
		var all []string
		for _, v := range s.QueryString {
			all = append(all, v.Value)
		}
		return each("query_string", all, fine)
	}
	return each("source_ip", s.SourceIP, func(v string) string {
		if _, err := netip.ParsePrefix(v); err != nil {
			return "is no CIDR block"
		}
		return ""
	})
}
