package emulator

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// front is a load balancer of the default VPC, with one target group.
type front struct {
	*testCloud
	elb             *elb.Client
	vpc             string
	subnets         []string
	balancer, group string
}

func newFront(t *testing.T, c *testCloud, kind types.LoadBalancerTypeEnum, protocol types.ProtocolEnum, port int32) *front {
	t.Helper()
	f := &front{testCloud: c, elb: elb.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion))}
	for _, s := range must(c.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: where("default-for-az", "true")}))(t).Subnets {
		f.vpc, f.subnets = *s.VpcId, append(f.subnets, *s.SubnetId)
	}
	f.balancer = *must(f.elb.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{
		Name: new("web"), Type: kind, Subnets: f.subnets[:2], Tags: []types.Tag{{Key: new("env"), Value: new("dev")}}}))(t).LoadBalancers[0].LoadBalancerArn
	f.group = *must(f.elb.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: new("web"), Protocol: protocol, Port: &port, VpcId: &f.vpc, HealthCheckIntervalSeconds: new(int32(15)), HealthyThresholdCount: new(int32(2))}))(t).TargetGroups[0].TargetGroupArn
	return f
}

func (f *front) listen(t *testing.T, protocol types.ProtocolEnum) string {
	t.Helper()
	return *must(f.elb.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: &f.balancer, Protocol: protocol, Port: new(int32(80)),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &f.group}}}))(t).Listeners[0].ListenerArn
}

func (f *front) register(t *testing.T, id string) {
	t.Helper()
	must(f.elb.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &f.group, Targets: []types.TargetDescription{{Id: &id}}}))(t)
}

func (f *front) health(t *testing.T) types.TargetHealthStateEnum {
	t.Helper()
	list := must(f.elb.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &f.group}))(t).TargetHealthDescriptions
	if len(list) == 0 {
		return ""
	}
	return list[0].TargetHealth.State
}

func TestTargetHealthOnADrivenClock(t *testing.T) {
	c, clock := driven(t)
	id := *run(t, c, nil).InstanceId
	before := must(c.Inventory())(t)
	f := newFront(t, c, types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttp, 8080)
	_, err := f.elb.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &f.group, Targets: []types.TargetDescription{{Id: &id}}})
	wantCode(t, err, "InvalidTarget") // it is pending
	state := func() types.LoadBalancerStateEnum {
		return must(f.elb.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"web"}}))(t).LoadBalancers[0].State.Code
	}
	if got := state(); got != types.LoadBalancerStateEnumProvisioning {
		t.Errorf("a new load balancer is %s", got)
	}
	clock.Advance(time.Second)
	if got := state(); got != types.LoadBalancerStateEnumActive {
		t.Errorf("a load balancer is %s after a while", got)
	}
	f.register(t, id)
	wantHealth := func(want types.TargetHealthStateEnum) {
		t.Helper()
		if got := f.health(t); got != want {
			t.Errorf("health is %q, not %q", got, want)
		}
	}
	wantHealth(types.TargetHealthStateEnumUnused)
	listener := f.listen(t, types.ProtocolEnumHttp)
	wantHealth(types.TargetHealthStateEnumInitial)
	clock.Advance(time.Second)
	wantHealth(types.TargetHealthStateEnumHealthy)
	_, err = f.elb.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &f.group})
	wantCode(t, err, "ResourceInUse")
	must(f.elb.DeregisterTargets(t.Context(), &elb.DeregisterTargetsInput{TargetGroupArn: &f.group, Targets: []types.TargetDescription{{Id: &id}}}))(t)
	wantHealth(types.TargetHealthStateEnumDraining)
	clock.Advance(time.Second)
	wantHealth("")
	must(f.elb.CreateRule(t.Context(), &elb.CreateRuleInput{ListenerArn: &listener, Priority: new(int32(10)),
		Conditions: []types.RuleCondition{{Field: new("path-pattern"), Values: []string{"/old/*"}}},
		Actions:    []types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{StatusCode: "HTTP_301", Path: new("/")}}}}))(t)
	if rules := must(f.elb.DescribeRules(t.Context(), &elb.DescribeRulesInput{ListenerArn: &listener}))(t).Rules; len(rules) != 2 || *rules[0].Priority != "10" || !*rules[1].IsDefault {
		t.Errorf("rules %+v", rules)
	}
	tags := must(f.elb.DescribeTags(t.Context(), &elb.DescribeTagsInput{ResourceArns: []string{f.balancer, f.group}}))(t).TagDescriptions
	if len(tags) != 2 || *tags[0].Tags[0].Value != "dev" || len(tags[1].Tags) != 0 {
		t.Errorf("tags %+v", tags)
	}
	must(f.elb.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &f.balancer}))(t)
	must(f.elb.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &f.group}))(t)
	if after := must(c.Inventory())(t); !maps.EqualFunc(withoutStates(before), withoutStates(after), func(a, b int) bool { return a == b }) {
		t.Errorf("left behind: %v", after)
	}
}

// withoutStates counts what exists.
func withoutStates(all map[string][]string) map[string]int {
	counts := map[string]int{}
	for kind, lines := range all {
		counts[kind] = len(lines)
	}
	return counts
}

// TestTargetHealthFollowsTheMachine: a target is healthy while its instance
// takes connections.
func TestTargetHealthFollowsTheMachine(t *testing.T) {
	for port, want := range map[int32]types.TargetHealthStateEnum{22: types.TargetHealthStateEnumHealthy, 4999: types.TargetHealthStateEnumUnhealthy} {
		c := newTestCloud(t, Options{Machine: machine.InProcess})
		id := *run(t, c, nil).InstanceId
		f := newFront(t, c, types.LoadBalancerTypeEnumNetwork, types.ProtocolEnumTcp, port)
		f.listen(t, types.ProtocolEnumTcp)
		awaitRunning(t, c, id)
		f.register(t, id)
		w := elb.NewTargetInServiceWaiter(f.elb, func(o *elb.TargetInServiceWaiterOptions) {
			o.MinDelay, o.MaxDelay = askSoon, askLate
			o.Retryable = func(_ context.Context, _ *elb.DescribeTargetHealthInput, out *elb.DescribeTargetHealthOutput, err error) (bool, error) {
				return err == nil && out.TargetHealthDescriptions[0].TargetHealth.State != want, err
			}
		})
		if err := w.Wait(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &f.group}, awaitAtMost); err != nil {
			t.Errorf("a target on port %d is %s, not %s: %v", port, f.health(t), want, err)
		}
	}
}

func TestLoadBalancingErrors(t *testing.T) {
	c, _ := driven(t)
	ctx := t.Context()
	f := newFront(t, c, types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttp, 80)
	f.listen(t, types.ProtocolEnumHttp)
	balancer := func(name string, subnets ...string) error {
		_, err := f.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: &name, Subnets: subnets})
		return err
	}
	listener := func(protocol types.ProtocolEnum, port int32, group string) error {
		_, err := f.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: &f.balancer, Protocol: protocol, Port: &port,
			DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}})
		return err
	}
	_, twice := f.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: &f.balancer, Protocol: types.ProtocolEnumHttp, Port: new(int32(80)),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: new("404")}}}})
	tags := func(arns ...string) error {
		_, err := f.elb.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns})
		return err
	}
	_, attribute := f.elb.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &f.balancer,
		Attributes: []types.LoadBalancerAttribute{{Key: new("colour"), Value: new("blue")}}})
	_, priority := f.elb.DescribeRules(ctx, &elb.DescribeRulesInput{RuleArns: []string{f.balancer}})
	for _, test := range []struct {
		name, code string
		err        error
	}{
		{"one subnet", "ValidationError", balancer("other", f.subnets[0])},
		{"a name too long", "ValidationError", balancer("a-name-that-is-longer-than-32-chars", f.subnets...)},
		{"a name twice", "DuplicateLoadBalancerName", balancer("web", f.subnets[1:3]...)},
		{"a subnet nowhere", "SubnetNotFound", balancer("other", f.subnets[0], "subnet-00000000000000000")},
		{"a port twice", "DuplicateListener", twice},
		{"a listener once more", "", listener(types.ProtocolEnumHttp, 80, f.group)},
		{"TCP on an application load balancer", "ValidationError", listener(types.ProtocolEnumTcp, 81, f.group)},
		{"HTTPS without a certificate", "ValidationError", listener(types.ProtocolEnumHttps, 443, f.group)},
		{"a group nowhere", "TargetGroupNotFound", listener(types.ProtocolEnumHttp, 81, f.group+"0")},
		{"tags of nothing", "LoadBalancerNotFound", tags(f.balancer + "0")},
		{"tags of too many", "ValidationError", tags(make([]string, 21)...)},
		{"an unknown attribute", "InvalidConfigurationRequest", attribute},
		{"a rule nowhere", "RuleNotFound", priority},
	} {
		t.Run(test.name, func(t *testing.T) { wantCode(t, test.err, test.code) })
	}
}
