package launch

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type listenerAPI interface {
	CreateListener(context.Context, *elb.CreateListenerInput, ...func(*elb.Options)) (*elb.CreateListenerOutput, error)
	ModifyListener(context.Context, *elb.ModifyListenerInput, ...func(*elb.Options)) (*elb.ModifyListenerOutput, error)
	DeleteListener(context.Context, *elb.DeleteListenerInput, ...func(*elb.Options)) (*elb.DeleteListenerOutput, error)
	AddListenerCertificates(context.Context, *elb.AddListenerCertificatesInput, ...func(*elb.Options)) (*elb.AddListenerCertificatesOutput, error)
	RemoveListenerCertificates(context.Context, *elb.RemoveListenerCertificatesInput, ...func(*elb.Options)) (*elb.RemoveListenerCertificatesOutput, error)
}

type listenerSpec struct {
	LoadBalancer  string      `yaml:"load_balancer" ref:"load_balancer" required:"true" change:"replaces" doc:"The load balancer that listens."`
	Port          int         `yaml:"port" min:"1" max:"65535" required:"true" doc:"The port that it listens on."`
	Protocol      string      `yaml:"protocol" enum:"HTTP,HTTPS,TCP,TLS,UDP,TCP_UDP" required:"true" doc:"What clients speak: HTTP or HTTPS to an application load balancer, the others to a network one."`
	Certificates  []string    `yaml:"certificates" doc:"ARNs of the certificates for HTTPS and TLS: the first for clients that name no host, or none of the others."`
	SSLPolicy     string      `yaml:"ssl_policy" doc:"The security policy: which protocols and ciphers, with HTTPS and TLS; by default AWS's."`
	ALPNPolicy    string      `yaml:"alpn_policy" enum:"HTTP1Only,HTTP2Only,HTTP2Optional,HTTP2Preferred,None" doc:"Which protocols it offers within TLS." default:"None"`
	DefaultAction *actionSpec `yaml:"default_action" required:"true" doc:"What becomes of what no rule is about."`
}

func (s *listenerSpec) secure() bool { return s.Protocol == "HTTPS" || s.Protocol == "TLS" }

// listener is one with its certificates beside the first, where its definition
// states any.
type listener struct {
	types.Listener
	tags         map[string]string
	certificates []string
}

type listeners struct{ inELB }

func (listeners) api(c *cloud.Cloud) listenerAPI { return c.ELB }

func (listeners) about() project.Kind {
	return project.Kind{Name: "listener", Doc: "A port on which a load balancer takes traffic, and what becomes of it.", Attributes: []string{"id", "arn", "load_balancer", "port"}}
}

func (listeners) check(c *checker, d definition[listenerSpec]) {
	s := d.spec
	b, balancer, ok := referred[loadBalancerSpec](c, d.Resource, "load_balancer")
	if ok && balancer.Adopt == nil || ok && b.Type != "" {
		if application := b.kind() == types.LoadBalancerTypeEnumApplication; s.Protocol != "" && application != (s.Protocol == "HTTP" || s.Protocol == "HTTPS") {
			hint := "TCP, TLS, UDP or TCP_UDP"
			if application {
				hint = "HTTP or HTTPS"
			}
			c.problems.AddHint(d.At("protocol"), hint, "%s is a load balancer of type %s: it does not listen for %s", balancer.Address, b.kind(), s.Protocol)
		}
	}
	for _, other := range c.before(d.Resource) {
		o, same := other.Spec.(*listenerSpec)
		if same && o.Port == s.Port && s.Port != 0 && o.LoadBalancer == s.LoadBalancer {
			c.problems.Addf(d.At("port"), "%s listens on port %d of %s already", other.Address, s.Port, s.LoadBalancer)
		}
	}
	switch {
	case s.secure() && len(s.Certificates) == 0:
		c.problems.AddHint(d.Pos, "certificates: [arn:aws:acm:...]", "a listener over %s needs a certificate", s.Protocol)
	case !s.secure() && (len(s.Certificates) > 0 || s.SSLPolicy != ""):
		c.problems.Addf(d.At("protocol"), "a listener over %s takes neither certificates nor an ssl_policy", s.Protocol)
	}
	if s.ALPNPolicy != "" && s.Protocol != "TLS" {
		c.problems.Addf(d.At("alpn_policy"), "alpn_policy is for listeners over TLS")
	}
	for i, arn := range s.Certificates {
		if at := d.At(fmt.Sprintf("certificates[%d]", i)); !unresolved(arn) && !certificateARN(arn) {
			c.problems.AddHint(at, "as in arn:aws:acm:eu-central-1:000000000000:certificate/...", "%q is no ARN of a certificate", arn)
		} else if slices.Contains(s.Certificates[:i], arn) {
			c.problems.Addf(at, "the certificate stands in the list twice")
		}
	}
	checkAction(c, d.Resource, "default_action", s.DefaultAction, s.Protocol, balancer)
}

func (k listeners) list(ctx context.Context, q query) ([]listener, error) {
	all, err := q.listeners(ctx)
	if err != nil {
		return nil, err
	}
	return all.listeners, nil
}

func (listeners) read(l listener) state {
	arn := aws.ToString(l.ListenerArn)
	return state{
		id: arn, tags: l.tags, uses: append(forwardsTo(l.DefaultActions), aws.ToString(l.LoadBalancerArn)),
		attributes: map[string]string{"arn": arn, "load_balancer": balancerName(aws.ToString(l.LoadBalancerArn)), "port": numberText(l.Port)},
	}
}

func (listeners) compare(w want[listenerSpec], l listener) (d differences) {
	s := w.spec
	d.fixed("load_balancer", aws.ToString(l.LoadBalancerArn), s.LoadBalancer, fmt.Sprintf("load_balancer: %s -> %s", balancerName(aws.ToString(l.LoadBalancerArn)), balancerName(s.LoadBalancer)))
	d.set("port", numberText(l.Port), strconv.Itoa(s.Port))
	d.set("protocol", string(l.Protocol), s.Protocol)
	if len(s.Certificates) > 0 {
		d.set("certificates", defaultCertificate(l.Certificates), s.Certificates[0])
		d.set("certificates[1:]", sortedList(l.certificates), sortedList(s.Certificates[1:]))
	}
	if s.SSLPolicy != "" {
		d.set("ssl_policy", aws.ToString(l.SslPolicy), s.SSLPolicy)
	}
	if s.ALPNPolicy != "" {
		policy := "None"
		if len(l.AlpnPolicy) > 0 {
			policy = l.AlpnPolicy[0]
		}
		d.set("alpn_policy", policy, s.ALPNPolicy)
	}
	if s.DefaultAction != nil {
		d.set("default_action", actionsText(w.world.asDefined(l.DefaultActions)), actionsText(w.world.asDefined(s.DefaultAction.actions())))
	}
	return d
}

func defaultCertificate(list []types.Certificate) string {
	if len(list) == 0 {
		return ""
	}
	return aws.ToString(list[0].CertificateArn)
}

// excludes: a load balancer listens on a port once, and a target group is used
// by one load balancer.
func (listeners) excludes(w want[listenerSpec], l listener) bool {
	if aws.ToString(l.LoadBalancerArn) == w.spec.LoadBalancer {
		return int(aws.ToInt32(l.Port)) == w.spec.Port
	}
	return w.spec.DefaultAction != nil && shares(w.spec.DefaultAction.actions(), l.DefaultActions)
}

// follows: a target group that takes another's place has its targets before
// it gets traffic.
func (listeners) follows(w want[listenerSpec]) []string { return w.world.targetsFirst(w.Resource) }

func (k listeners) create(ctx context.Context, t *task, w want[listenerSpec]) (listener, error) {
	s := w.spec
	in := &elb.CreateListenerInput{
		LoadBalancerArn: aws.String(s.LoadBalancer), Port: number(s.Port), Protocol: types.ProtocolEnum(s.Protocol),
		SslPolicy: optional(s.SSLPolicy), AlpnPolicy: s.alpn(), DefaultActions: w.world.asItGoes(s.DefaultAction.actions(), nil), Tags: t.elbBirth(),
	}
	if len(s.Certificates) > 0 {
		in.Certificates = []types.Certificate{{CertificateArn: aws.String(s.Certificates[0])}}
	}
	out, err := k.api(t.Cloud).CreateListener(ctx, in)
	if err != nil {
		return listener{}, taken(err, "a listener on port", strconv.Itoa(s.Port))
	}
	return listener{Listener: out.Listeners[0], tags: elbTagSet(in.Tags)}, nil
}

func (s *listenerSpec) alpn() []string {
	if s.ALPNPolicy == "" {
		return nil
	}
	return []string{s.ALPNPolicy}
}

func (k listeners) update(ctx context.Context, t *task, w want[listenerSpec], l listener, d differences) error {
	s := w.spec
	in := &elb.ModifyListenerInput{ListenerArn: l.ListenerArn}
	if d.has("port") {
		in.Port = number(s.Port)
	}
	if d.has("protocol") {
		in.Protocol = types.ProtocolEnum(s.Protocol)
	}
	if d.has("certificates") || d.has("protocol") && s.secure() {
		in.Certificates = []types.Certificate{{CertificateArn: aws.String(s.Certificates[0])}}
	}
	if d.has("ssl_policy") {
		in.SslPolicy = optional(s.SSLPolicy)
	}
	if d.has("alpn_policy") {
		in.AlpnPolicy = s.alpn()
	}
	if d.has("default_action") {
		in.DefaultActions = w.world.asItGoes(s.DefaultAction.actions(), l.DefaultActions)
	}
	if len(d) > 1 || !d.has("certificates[1:]") {
		if _, err := k.api(t.Cloud).ModifyListener(ctx, in); err != nil {
			return taken(err, "a listener on port", strconv.Itoa(s.Port))
		}
	}
	if d.has("certificates[1:]") {
		return k.setCertificates(ctx, t, l, s.Certificates[1:])
	}
	return nil
}

func (listeners) retag(ctx context.Context, c *cloud.Cloud, have []listener, set map[string]string) error {
	return elbRetag(ctx, c, have, func(l listener) *string { return l.ListenerArn }, set)
}

func (k listeners) remove(ctx context.Context, t *task, l listener) error {
	_, err := k.api(t.Cloud).DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn})
	if cloud.NotFound(err) {
		return nil
	}
	return err
}

// targetsFirst are the addresses of the instances that name the target groups
// which a listener or a rule that is there already forwards to.
func (w *world) targetsFirst(r *project.Resource) []string {
	if len(w.inventory.of(r.UUID, r.Address, r.Kind)) == 0 {
		return nil // at first nobody has traffic to lose
	}
	groups := map[string]bool{}
	for _, ref := range r.Refs {
		groups[ref.Address] = ref.Kind == "target_group"
	}
	var all []string
	for _, other := range w.resources() {
		for _, ref := range other.Refs {
			if other.Kind == "instance" && groups[ref.Address] {
				all = append(all, other.Address)
			}
		}
	}
	sort.Strings(all)
	return slices.Compact(all)
}
