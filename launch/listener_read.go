package launch

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// listening is what load balancers listen for.
type listening struct {
	listeners []listener
	rules     []listenerRule
}

// listeners reads the listeners of the load balancers that count, a call for
// each of them, and the rules, a call for each listener; then the tags of all.
func (q query) listeners(ctx context.Context) (*listening, error) {
	return recall(q.memo, "elb listeners", func() (*listening, error) {
		f, err := q.front(ctx)
		if err != nil {
			return nil, err
		}
		var api elbReadAPI = q.cloud.ELB
		read := &listening{}
		var mu sync.Mutex
		heard := q.heard(f)
		err = graph.Each(ctx, 0, len(heard), func(ctx context.Context, i int) error {
			listeners, rules, err := listenersOf(ctx, api, heard[i])
			mu.Lock()
			defer mu.Unlock()
			read.listeners, read.rules = append(read.listeners, listeners...), append(read.rules, rules...)
			return err
		})
		if err != nil {
			return nil, err
		}
		var arns []string
		for _, l := range read.listeners {
			arns = append(arns, aws.ToString(l.ListenerArn))
		}
		for _, r := range read.rules {
			arns = append(arns, aws.ToString(r.RuleArn))
		}
		slices.Sort(arns)
		set, err := elbTags(ctx, api, arns)
		if err != nil {
			return nil, err
		}
		for i := range read.listeners {
			read.listeners[i].tags = set[aws.ToString(read.listeners[i].ListenerArn)]
		}
		for i := range read.rules {
			read.rules[i].tags = set[aws.ToString(read.rules[i].RuleArn)]
		}
		read.listeners = slices.DeleteFunc(read.listeners, func(l listener) bool { return !q.covers(l.tags) })
		read.rules = slices.DeleteFunc(read.rules, func(r listenerRule) bool { return !q.covers(r.tags) })
		return read, q.readCertificates(ctx, read.listeners)
	})
}

// heard are the load balancers whose listeners are looked at: the
// environment's, and those that definitions adopt or name by their ARNs. Where
// listeners are adopted, those of the names that are given, or all.
func (q query) heard(f *front) []types.LoadBalancer {
	if q.importing {
		return f.balancers
	}
	var named []string
	for _, r := range q.adopting {
		name, ok := r.Adopt.Keys["load_balancer"]
		if !ok {
			return f.balancers
		}
		named = append(named, name)
	}
	var all []types.LoadBalancer
	for _, b := range f.balancers {
		arn := aws.ToString(b.LoadBalancerArn)
		if has(named, aws.ToString(b.LoadBalancerName)) || len(q.adopting) == 0 && (q.covers(f.tags[arn]) || q.world.hears(b, f.tags[arn])) {
			all = append(all, b)
		}
	}
	return all
}

// hears tells whether a definition is about a load balancer that is not the
// environment's.
func (w *world) hears(b types.LoadBalancer, set map[string]string) bool {
	have := &found{state: loadBalancers{}.read(loadBalancer{LoadBalancer: b, tags: set})}
	return slices.ContainsFunc(w.resources(), func(r *project.Resource) bool {
		l, listens := r.Spec.(*listenerSpec)
		return listens && l.LoadBalancer == have.id || r.Kind == "load_balancer" && r.Adopt != nil && adopts(r.Adopt, have)
	})
}

// listenersOf reads the listeners of one load balancer with their rules, none
// where it is gone meanwhile.
func listenersOf(ctx context.Context, api elbReadAPI, b types.LoadBalancer) (all []listener, rules []listenerRule, err error) {
	pages := elb.NewDescribeListenersPaginator(api, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn, PageSize: aws.Int32(elbPageSize)})
	err = elbEach(ctx, pages, func(page *elb.DescribeListenersOutput) {
		for _, l := range page.Listeners {
			all = append(all, listener{Listener: l})
		}
	})
	for i := 0; i < len(all) && err == nil && b.Type == types.LoadBalancerTypeEnumApplication; i++ {
		l := all[i]
		pages := elb.NewDescribeRulesPaginator(api, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn, PageSize: aws.Int32(elbPageSize)})
		err = elbEach(ctx, pages, func(page *elb.DescribeRulesOutput) {
			for _, r := range page.Rules {
				if !aws.ToBool(r.IsDefault) {
					rules = append(rules, listenerRule{Rule: r, listener: aws.ToString(l.ListenerArn), port: numberText(l.Port)})
				}
			}
		})
	}
	if cloud.NotFound(err) {
		return nil, nil, nil
	}
	return all, rules, err
}

type certificateAPI interface {
	elb.DescribeListenerCertificatesAPIClient
}

// readCertificates reads the certificates beside the first, which are given
// only listener by listener, for secure listeners with definitions.
func (q query) readCertificates(ctx context.Context, all []listener) error {
	var api certificateAPI = q.cloud.ELB
	return graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		l := &all[i]
		if !q.asksCertificates(l) {
			return nil
		}
		pages := elb.NewDescribeListenerCertificatesPaginator(api, &elb.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn})
		err := elbEach(ctx, pages, func(page *elb.DescribeListenerCertificatesOutput) {
			for _, c := range page.Certificates {
				if !aws.ToBool(c.IsDefault) {
					l.certificates = append(l.certificates, aws.ToString(c.CertificateArn))
				}
			}
		})
		if cloud.NotFound(err) {
			return nil
		}
		return err
	})
}

// asksCertificates tells whether a definition may state the certificates of a
// listener. What is adopted is known by more than its tags, so one definition
// that states some is enough.
func (q query) asksCertificates(l *listener) bool {
	if l.Protocol != types.ProtocolEnumHttps && l.Protocol != types.ProtocolEnumTls {
		return false
	}
	if s, ok := q.specs[l.tags[tags.UUID]].(*listenerSpec); ok {
		return len(s.Certificates) > 0
	}
	return q.importing || slices.ContainsFunc(q.adopting, func(r *project.Resource) bool {
		s, ok := r.Spec.(*listenerSpec)
		return ok && len(s.Certificates) > 0
	})
}

// setCertificates gives a listener the certificates beside the first.
func (k listeners) setCertificates(ctx context.Context, t *task, l listener, want []string) error {
	lists := func(arns, but []string) []types.Certificate {
		var list []types.Certificate
		for _, arn := range arns {
			if !has(but, arn) {
				list = append(list, types.Certificate{CertificateArn: aws.String(arn)})
			}
		}
		return list
	}
	if add := lists(want, l.certificates); len(add) > 0 {
		if _, err := k.api(t.Cloud).AddListenerCertificates(ctx, &elb.AddListenerCertificatesInput{ListenerArn: l.ListenerArn, Certificates: add}); err != nil {
			return err
		}
	}
	if drop := lists(l.certificates, want); len(drop) > 0 {
		_, err := k.api(t.Cloud).RemoveListenerCertificates(ctx, &elb.RemoveListenerCertificatesInput{ListenerArn: l.ListenerArn, Certificates: drop})
		return err
	}
	return nil
}

// certificateARN tells whether a text is the ARN of a certificate of ACM's or
// IAM's.
func certificateARN(s string) bool {
	return strings.HasPrefix(s, "arn:") && (strings.Contains(s, ":acm:") || strings.Contains(s, ":iam:"))
}
