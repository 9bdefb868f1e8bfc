package emulator

import (
	"reflect"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type listenerRow struct {
	Listener types.Listener
	More     []string // ARNs of certificates beside its own
}

func (r listenerRow) arn() string { return *r.Listener.ListenerArn }

const actionPaths = ".Type %.TargetGroupArn %.ForwardConfig.* %.RedirectConfig.* %.FixedResponseConfig.* %.Order"

// actionsOf are the parameters of actions below a field.
func actionsOf(field string) string {
	return field + strings.ReplaceAll(actionPaths, "%", field)
}

func (s *elbService) addListeners() {
	elbOn(s, "CreateListener", "LoadBalancerArn Protocol Port SslPolicy AlpnPolicy Certificates.* Tags.* "+actionsOf("DefaultActions"), s.createListener)
	elbOn(s, "DescribeListeners", "LoadBalancerArn ListenerArns Marker PageSize", s.describeListeners)
	elbOn(s, "ModifyListener", "ListenerArn Protocol Port SslPolicy AlpnPolicy Certificates.* "+actionsOf("DefaultActions"), s.modifyListener)
	elbOn(s, "DeleteListener", "ListenerArn", s.deleteListener)
}

// forwards are the target groups that actions forward to.
func forwards(actions []types.Action) (arns []string) {
	for _, a := range actions {
		if a.TargetGroupArn != nil {
			arns = append(arns, *a.TargetGroupArn)
		}
		if a.ForwardConfig != nil {
			for _, t := range a.ForwardConfig.TargetGroups {
				arns = append(arns, deref(t.TargetGroupArn))
			}
		}
	}
	return arns
}

// checkActions refuses actions that go nowhere.
func (s *elbService) checkActions(w world, b balancerRow, actions []types.Action) error {
	if len(actions) != 1 {
		return refuse("ValidationError", "The local cloud takes exactly one action, not %d", len(actions))
	}
	a := actions[0]
	switch {
	case a.Type == types.ActionTypeEnumForward && len(forwards(actions)) == 0,
		a.Type == types.ActionTypeEnumRedirect && a.RedirectConfig == nil,
		a.Type == types.ActionTypeEnumFixedResponse && a.FixedResponseConfig == nil:
		return refuse("ValidationError", "An action of type '%s' must say where to", a.Type)
	case a.Type != types.ActionTypeEnumForward && b.Balancer.Type == types.LoadBalancerTypeEnumNetwork:
		return refuse("InvalidLoadBalancerAction", "A listener of a network load balancer can only forward")
	}
	for _, arn := range forwards(actions) {
		group, err := s.group(w, &arn)
		if err != nil {
			return err
		}
		if used := s.usedBy(w, arn); len(used) > 0 && !slices.Contains(used, b.arn()) {
			return refuse("TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: %s", arn)
		}
		if overHTTP(group.Group.Protocol) != (b.Balancer.Type == types.LoadBalancerTypeEnumApplication) {
			return refuse("InvalidConfigurationRequest", "The target group '%s' has an incompatible protocol with the load balancer", arn)
		}
	}
	return nil
}

// checkListener refuses what a balancer cannot listen for.
func (s *elbService) checkListener(w world, b balancerRow, l types.Listener) error {
	application := b.Balancer.Type == types.LoadBalancerTypeEnumApplication
	secure := l.Protocol == types.ProtocolEnumHttps || l.Protocol == types.ProtocolEnumTls
	switch {
	case l.Protocol == "" || l.Port == nil:
		return refuse("ValidationError", "A listener protocol and a port must be specified")
	case *l.Port < 1 || *l.Port > 65535:
		return refuse("ValidationError", "1 validation error detected: Value '%d' at 'port' is not between 1 and 65535", *l.Port)
	case overHTTP(l.Protocol) != application:
		return refuse("ValidationError", "Listener protocol '%s' is not supported by a load balancer of type %s", l.Protocol, b.Balancer.Type)
	case secure && len(l.Certificates) == 0:
		return refuse("ValidationError", "A certificate must be specified for %s listeners", l.Protocol)
	case !secure && (len(l.Certificates) > 0 || l.SslPolicy != nil):
		return refuse("InvalidConfigurationRequest", "Listeners of protocol %s take neither certificates nor an SSL policy", l.Protocol)
	}
	for _, other := range s.listeners.all(w) {
		if other.arn() != deref(l.ListenerArn) && *other.Listener.LoadBalancerArn == b.arn() && *other.Listener.Port == *l.Port {
			return refuse("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", b.arn())
		}
	}
	return s.checkActions(w, b, l.DefaultActions)
}

// sameListener is a listener with the same settings: AWS gives it to whoever
// asks for it again.
func (s *elbService) sameListener(w world, l types.Listener) *types.Listener {
	for _, row := range s.listeners.all(w) {
		other := row.Listener
		l.ListenerArn = other.ListenerArn
		if l.SslPolicy == nil {
			l.SslPolicy = other.SslPolicy
		}
		if reflect.DeepEqual(l, other) {
			return &row.Listener
		}
	}
	return nil
}

func (s *elbService) createListener(c apiCall, in *elb.CreateListenerInput) (*elb.CreateListenerOutput, error) {
	b, err := s.balancer(c.w, in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	l := types.Listener{LoadBalancerArn: new(b.arn()), Protocol: in.Protocol, Port: in.Port, SslPolicy: in.SslPolicy, AlpnPolicy: in.AlpnPolicy, Certificates: in.Certificates, DefaultActions: in.DefaultActions}
	if same := s.sameListener(c.w, l); same != nil {
		return &elb.CreateListenerOutput{Listeners: []types.Listener{*same}}, nil
	}
	if err := s.checkListener(c.w, b, l); err != nil {
		return nil, err
	}
	l.ListenerArn = new(elbARN(c, "listener/"+pathOf(b.arn())))
	if len(l.Certificates) > 0 && l.SslPolicy == nil {
		l.SslPolicy = new("ELBSecurityPolicy-2016-08")
	}
	s.listeners.put(c.w, *l.ListenerArn, listenerRow{Listener: l})
	s.traffic.changed()
	return &elb.CreateListenerOutput{Listeners: []types.Listener{l}}, s.setTags(c.w, *l.ListenerArn, in.Tags)
}

func (s *elbService) listener(w world, arn *string) (listenerRow, error) {
	row, ok := s.listeners.get(w, deref(arn))
	if !ok {
		return row, refuse("ListenerNotFound", "Listeners '[%s]' not found", deref(arn))
	}
	return row, nil
}

func (s *elbService) describeListeners(c apiCall, in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
	if (in.LoadBalancerArn == nil) == (len(in.ListenerArns) == 0) {
		return nil, refuse("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
	}
	rows, err := chosen(s.listeners.all(c.w), in.ListenerArns, nil, listenerRow.arn, listenerRow.arn, "ListenerNotFound", "Listeners")
	if err != nil {
		return nil, err
	}
	if in.LoadBalancerArn != nil {
		if _, err := s.balancer(c.w, in.LoadBalancerArn); err != nil {
			return nil, err
		}
		rows = keep(rows, func(r listenerRow) bool { return *r.Listener.LoadBalancerArn == *in.LoadBalancerArn })
	}
	rows, next, err := page(rows, listenerRow.arn, paging{elbPage(in.PageSize), in.Marker, 1, elbPageLimit})
	out := &elb.DescribeListenersOutput{NextMarker: next}
	for _, row := range rows {
		out.Listeners = append(out.Listeners, row.Listener)
	}
	return out, err
}

func (s *elbService) modifyListener(c apiCall, in *elb.ModifyListenerInput) (*elb.ModifyListenerOutput, error) {
	row, err := s.listener(c.w, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	b, err := s.balancer(c.w, row.Listener.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	overlay(&row.Listener, in)
	if err := s.checkListener(c.w, b, row.Listener); err != nil {
		return nil, err
	}
	s.listeners.put(c.w, row.arn(), row)
	s.traffic.changed()
	return &elb.ModifyListenerOutput{Listeners: []types.Listener{row.Listener}}, nil
}

func (s *elbService) dropListener(w world, row listenerRow) {
	for _, r := range s.rules.all(w) {
		if r.Listener == row.arn() {
			s.rules.remove(w, r.arn())
			s.tags.remove(w, r.arn())
		}
	}
	s.listeners.remove(w, row.arn())
	s.tags.remove(w, row.arn())
}

func (s *elbService) deleteListener(c apiCall, in *elb.DeleteListenerInput) (*elb.DeleteListenerOutput, error) {
	row, err := s.listener(c.w, in.ListenerArn)
	if err == nil {
		s.dropListener(c.w, row)
		s.traffic.changed()
	}
	return &elb.DeleteListenerOutput{}, err
}
