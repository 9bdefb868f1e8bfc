package emulator

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// stickyCookie names the target that a client stays with.
const stickyCookie = "AWSALB"

// httpServer is a listener of an application load balancer: each request goes
// where the first rule that it fits says, as the rules are at that moment.
func (t *elbTraffic) httpServer(p *port) *http.Server {
	return &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.answer(p, w, r) }),
		ErrorLog: silent(), ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return p.life },
	}
}

func (t *elbTraffic) answer(p *port, w http.ResponseWriter, r *http.Request) {
	actions, from, err := t.s.actionsFor(p, r)
	if err != nil || len(actions) == 0 {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	switch a := actions[0]; a.Type {
	case types.ActionTypeEnumRedirect:
		w.Header().Set("Location", redirection(p, r, a.RedirectConfig))
		w.WriteHeader(map[types.RedirectActionStatusCodeEnum]int{
			types.RedirectActionStatusCodeEnumHttp301: http.StatusMovedPermanently, types.RedirectActionStatusCodeEnumHttp302: http.StatusFound,
		}[a.RedirectConfig.StatusCode])
	case types.ActionTypeEnumFixedResponse:
		status, _ := strconv.Atoi(deref(a.FixedResponseConfig.StatusCode)) // checked when it was given
		kind := deref(a.FixedResponseConfig.ContentType)
		if kind == "" {
			kind = "text/plain"
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(deref(a.FixedResponseConfig.MessageBody))) // whoever asked may have gone
	default:
		t.proxy(p, w, r, from, a)
	}
}

// actionsFor are the actions of the first rule that a request fits, or the
// listener's own, and the ARN that they belong to.
func (s *elbService) actionsFor(p *port, r *http.Request) (actions []types.Action, from string, err error) {
	err = s.cloud.store.transact(func() error {
		row, ok := s.listeners.get(p.world, p.listener)
		if !ok {
			return errNoTargets
		}
		rules := keep(s.rules.all(p.world), func(x listenerRuleRow) bool { return x.Listener == p.listener && fits(r, x.Rule.Conditions) })
		slices.SortFunc(rules, func(a, b listenerRuleRow) int { return a.priority() - b.priority() })
		actions, from = row.Listener.DefaultActions, row.arn()
		if len(rules) > 0 {
			actions, from = rules[0].Rule.Actions, rules[0].arn()
		}
		return nil
	})
	return actions, from, err
}

// proxy hands a request on to a target. Nobody there is 503; one that does not
// take the connection is 502, one that is silent 504.
func (t *elbTraffic) proxy(p *port, w http.ResponseWriter, r *http.Request, from string, a types.Action) {
	stay := func(key string) bool {
		cookie, err := r.Cookie(stickyCookie)
		return err == nil && cookie.Value == cookieOf(key)
	}
	to, err := t.choose(p.world, from, a, stay)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	defer t.done(to.target)
	scheme := strings.ToLower(string(p.protocol))
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = "http", to.at, pr.In.Host
			pr.Out.Header["X-Forwarded-For"] = pr.In.Header["X-Forwarded-For"]
			pr.SetXForwarded()
			pr.Out.Header.Set("X-Forwarded-Proto", scheme)
			pr.Out.Header.Set("X-Forwarded-Port", strconv.Itoa(int(p.wanted.Port())))
			pr.Out.Header.Del("X-Forwarded-Host") // which is none of its headers
		},
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx, to) },
		},
		ModifyResponse: func(answer *http.Response) error {
			if stays, seconds := t.s.sticky(p.world, to.group); stays {
				_, key, _ := strings.Cut(to.target, " ")
				answer.Header.Add("Set-Cookie", (&http.Cookie{Name: stickyCookie, Value: cookieOf(key), Path: "/", MaxAge: seconds}).String())
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status := http.StatusBadGateway
			if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
				status = http.StatusGatewayTimeout
			}
			http.Error(w, http.StatusText(status), status)
		},
		ErrorLog: silent(),
	}
	proxy.ServeHTTP(w, r)
}

// sticky tells whether and for how long clients stay with a group's targets.
func (s *elbService) sticky(w world, g types.TargetGroup) (stays bool, seconds int) {
	_ = s.cloud.store.transact(func() error { // it fails when the cloud is closed
		if row, ok := s.groups.get(w, *g.TargetGroupArn); ok && row.Attributes["stickiness.type"] == "lb_cookie" {
			stays = row.Attributes["stickiness.enabled"] == "true"
			seconds, _ = strconv.Atoi(row.Attributes["stickiness.lb_cookie.duration_seconds"]) // checked when it was given
		}
		return nil
	})
	return stays, seconds
}

func cookieOf(key string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	return fmt.Sprintf("%016x", h.Sum64())
}

// redirection is where a redirect leads.
func redirection(p *port, r *http.Request, c *types.RedirectActionConfig) string {
	protocol, host := strings.ToLower(string(p.protocol)), r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		host = h
	}
	fill := strings.NewReplacer("#{protocol}", protocol, "#{host}", host, "#{port}", strconv.Itoa(int(p.wanted.Port())),
		"#{path}", strings.TrimPrefix(r.URL.Path, "/"), "#{query}", r.URL.RawQuery)
	value := func(s *string, fallback string) string {
		if deref(s) == "" {
			return fill.Replace(fallback)
		}
		return fill.Replace(*s)
	}
	to := url.URL{Scheme: strings.ToLower(value(c.Protocol, "#{protocol}")), Host: value(c.Host, "#{host}"), Path: value(c.Path, "/#{path}"), RawQuery: value(c.Query, "#{query}")}
	if n := value(c.Port, "#{port}"); n != map[string]string{"http": "80", "https": "443"}[to.Scheme] {
		to.Host = net.JoinHostPort(to.Host, n)
	}
	return to.String()
}
