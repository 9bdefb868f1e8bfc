package emulator

import (
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// fits tells whether a request is what all of a rule's conditions are about.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
func fits(r *http.Request, conditions []types.RuleCondition) bool {
	return !slices.ContainsFunc(conditions, func(c types.RuleCondition) bool { return !fitsOne(r, c) })
}

func fitsOne(r *http.Request, c types.RuleCondition) bool {
	switch deref(c.Field) {
	case "host-header":
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		values := c.Values
		if c.HostHeaderConfig != nil {
			values = c.HostHeaderConfig.Values
		}
		return like(values, strings.ToLower(host), true)
	case "path-pattern":
		values := c.Values
		if c.PathPatternConfig != nil {
			values = c.PathPatternConfig.Values
		}
		return like(values, r.URL.EscapedPath(), false)
	case "http-header":
		return c.HttpHeaderConfig != nil && slices.ContainsFunc(r.Header.Values(deref(c.HttpHeaderConfig.HttpHeaderName)), func(v string) bool {
			return like(c.HttpHeaderConfig.Values, v, true)
		})
	case "http-request-method":
		return c.HttpRequestMethodConfig != nil && slices.Contains(c.HttpRequestMethodConfig.Values, r.Method)
	case "query-string":
		return c.QueryStringConfig != nil && fitsQuery(r, c.QueryStringConfig.Values)
	case "source-ip":
		return c.SourceIpConfig != nil && comesFrom(r.RemoteAddr, c.SourceIpConfig.Values)
	}
	return false
}

func fitsQuery(r *http.Request, wanted []types.QueryStringKeyValuePair) bool {
	for key, values := range r.URL.Query() {
		for _, want := range wanted {
			if want.Key != nil && !like([]string{*want.Key}, key, true) {
				continue
			}
			if slices.ContainsFunc(values, func(v string) bool { return like([]string{deref(want.Value)}, v, true) }) {
				return true
			}
		}
	}
	return false
}

func comesFrom(address string, blocks []string) bool {
	from, err := netip.ParseAddrPort(address)
	return err == nil && slices.ContainsFunc(blocks, func(block string) bool {
		p, err := netip.ParsePrefix(block)
		return err == nil && p.Contains(from.Addr().Unmap())
	})
}

// like tells whether a text is like one of the patterns, in which * stands for
// any characters, ? for one, and a backslash takes that from them.
func like(patterns []string, text string, fold bool) bool {
	for _, p := range patterns {
		var b strings.Builder
		b.WriteString("(?s)^")
		if fold {
			b.WriteString("(?i)")
		}
		for i := 0; i < len(p); i++ {
			switch {
			case p[i] == '\\' && i+1 < len(p):
				i++
				b.WriteString(regexp.QuoteMeta(p[i : i+1]))
			case p[i] == '*':
				b.WriteString(".*")
			case p[i] == '?':
				b.WriteString(".")
			default:
				b.WriteString(regexp.QuoteMeta(p[i : i+1]))
			}
		}
		b.WriteString("$")
		if form, err := regexp.Compile(b.String()); err == nil && form.MatchString(text) {
			return true
		}
	}
	return false
}
