package launch

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
)

// peopleByHand makes users and groups.
func peopleByHand(t *testing.T, s *site) {
	ctx, c := t.Context(), s.cloud.IAM
	must[*iam.CreateGroupOutput](t)(c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("op.s+"), Path: aws.String("/people/")}))
	must[*iam.AttachGroupPolicyOutput](t)(c.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: aws.String("op.s+"), PolicyArn: s.managedPolicy()}))
	must[*iam.PutGroupPolicyOutput](t)(c.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: aws.String("op.s+"), PolicyName: aws.String("own"), PolicyDocument: aws.String(policyText)}))
	must[*iam.CreateUserOutput](t)(c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("ana@example.com"), PermissionsBoundary: s.managedPolicy()}))
	must[*iam.AddUserToGroupOutput](t)(c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: aws.String("ana@example.com"), GroupName: aws.String("op.s+")}))
}

// frontByHand makes a load balancer over two target groups, with a listener
// that redirects, one that divides, and a rule.
func frontByHand(t *testing.T, s *site, vpc *string, subnets []string, group, instance *string) (balancer elbtypes.LoadBalancer, targets *string) {
	ctx, c := t.Context(), s.cloud.ELB
	balancer = must[*elb.CreateLoadBalancerOutput](t)(c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("front"), Subnets: subnets, SecurityGroups: []string{*group}})).LoadBalancers[0]
	must[*elb.ModifyLoadBalancerAttributesOutput](t)(c.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: balancer.LoadBalancerArn, Attributes: []elbtypes.LoadBalancerAttribute{
		{Key: aws.String("idle_timeout.timeout_seconds"), Value: aws.String("75")}, {Key: aws.String("routing.http.desync_mitigation_mode"), Value: aws.String("strictest")}}}))
	make := func(name string) *string {
		return must[*elb.CreateTargetGroupOutput](t)(c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String(name), VpcId: vpc, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080),
			HealthCheckPath: aws.String("/health?of=${all}"), Matcher: &elbtypes.Matcher{HttpCode: aws.String("200-299")}})).TargetGroups[0].TargetGroupArn
	}
	blue, green := make("blue"), make("green")
	must[*elb.ModifyTargetGroupAttributesOutput](t)(c.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: green, Attributes: []elbtypes.TargetGroupAttribute{
		{Key: aws.String("stickiness.enabled"), Value: aws.String("true")}, {Key: aws.String("stickiness.lb_cookie.duration_seconds"), Value: aws.String("60")}, {Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("5")}}}))
	must[*elb.RegisterTargetsOutput](t)(c.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: blue, Targets: []elbtypes.TargetDescription{{Id: instance, Port: aws.Int32(9090)}}}))
	weigh := func(arn *string, n int32) elbtypes.TargetGroupTuple {
		return elbtypes.TargetGroupTuple{TargetGroupArn: arn, Weight: aws.Int32(n)}
	}
	must[*elb.CreateListenerOutput](t)(c.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: balancer.LoadBalancerArn, Port: aws.Int32(81), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{
		{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: &elbtypes.RedirectActionConfig{StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp301, Port: aws.String("80")}}}}))
	listener := must[*elb.CreateListenerOutput](t)(c.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: balancer.LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{
		{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{weigh(blue, 9), weigh(green, 1)}}}}})).Listeners[0].ListenerArn
	rule := func(priority int32, a elbtypes.Action, conditions ...elbtypes.RuleCondition) {
		must[*elb.CreateRuleOutput](t)(c.CreateRule(ctx, &elb.CreateRuleInput{ListenerArn: listener, Priority: aws.Int32(priority), Conditions: conditions, Actions: []elbtypes.Action{a}}))
	}
	rule(7, elbtypes.Action{Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404"), ContentType: aws.String("text/plain"), MessageBody: aws.String("no ${such}: \"page\"\n")}},
		elbtypes.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &elbtypes.HostHeaderConditionConfig{Values: []string{"*.old.example.com"}}},
		elbtypes.RuleCondition{Field: aws.String("query-string"), QueryStringConfig: &elbtypes.QueryStringConditionConfig{Values: []elbtypes.QueryStringKeyValuePair{{Key: aws.String("v"), Value: aws.String("1")}, {Value: aws.String("*x*")}}}})
	rule(9, elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: green},
		elbtypes.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: []string{"/new/*"}}},
		elbtypes.RuleCondition{Field: aws.String("http-header"), HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X-Who"), Values: []string{"me"}}},
		elbtypes.RuleCondition{Field: aws.String("source-ip"), SourceIpConfig: &elbtypes.SourceIpConditionConfig{Values: []string{"192.0.2.0/24"}}})
	return balancer, green
}

// scaledByHand makes an Auto Scaling group whose instances are the group's own.
func scaledByHand(t *testing.T, s *site, template string, subnets, targets *string) {
	must[*autoscaling.CreateAutoScalingGroupOutput](t)(s.cloud.AutoScaling.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("fleet (old)/1"), LaunchTemplate: templateSpec(template + ":" + latestVersion), MinSize: aws.Int32(1), MaxSize: aws.Int32(3), VPCZoneIdentifier: subnets,
		TargetGroupARNs: []string{*targets}, HealthCheckType: aws.String("ELB"), HealthCheckGracePeriod: aws.Int32(30), TerminationPolicies: []string{"OldestInstance"}}))
	soon(t, func() error {
		out, err := s.cloud.ELB.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: targets})
		if err == nil && (len(out.TargetHealthDescriptions) == 0 || !complete(s.group())) {
			err = errors.New("the group's instance is not there yet")
		}
		return err
	})
}

// namesByHand makes a public and a private zone of one domain, with records of
// all kinds.
func namesByHand(t *testing.T, s *site, vpc, other *string, balancer elbtypes.LoadBalancer) {
	ctx, c := t.Context(), s.cloud.Route53
	public := must[*route53.CreateHostedZoneOutput](t)(c.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: aws.String("old.example.com"), CallerReference: aws.String("1"), HostedZoneConfig: &dnstypes.HostedZoneConfig{Comment: aws.String("ours: ${all}")}})).HostedZone.Id
	private := must[*route53.CreateHostedZoneOutput](t)(c.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: aws.String("old.example.com"), CallerReference: aws.String("2"), VPC: &dnstypes.VPC{VPCId: vpc, VPCRegion: testRegion}, HostedZoneConfig: &dnstypes.HostedZoneConfig{PrivateZone: true}})).HostedZone.Id
	elsewhere := must[*route53.CreateHostedZoneOutput](t)(c.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: aws.String("old.example.com"), CallerReference: aws.String("3"), VPC: &dnstypes.VPC{VPCId: other, VPCRegion: testRegion}, HostedZoneConfig: &dnstypes.HostedZoneConfig{PrivateZone: true}})).HostedZone.Id
	set := func(name string, kind dnstypes.RRType, values ...string) dnstypes.ResourceRecordSet {
		r := dnstypes.ResourceRecordSet{Name: aws.String(name), Type: kind, TTL: aws.Int64(60)}
		for _, v := range values {
			r.ResourceRecords = append(r.ResourceRecords, dnstypes.ResourceRecord{Value: aws.String(v)})
		}
		return r
	}
	weighted := func(id string, weight int64) dnstypes.ResourceRecordSet {
		r := set("share.old.example.com", dnstypes.RRTypeA, "192.0.2.9")
		r.SetIdentifier, r.Weight = aws.String(id), aws.Int64(weight)
		return r
	}
	alias := func(name, target, zone string) dnstypes.ResourceRecordSet {
		return dnstypes.ResourceRecordSet{Name: aws.String(name), Type: dnstypes.RRTypeA, AliasTarget: &dnstypes.AliasTarget{DNSName: aws.String(target), HostedZoneId: aws.String(zone)}}
	}
	change := func(zone *string, sets ...dnstypes.ResourceRecordSet) {
		var batch dnstypes.ChangeBatch
		for _, r := range sets {
			batch.Changes = append(batch.Changes, dnstypes.Change{Action: dnstypes.ChangeActionCreate, ResourceRecordSet: &r})
		}
		must[*route53.ChangeResourceRecordSetsOutput](t)(c.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: zone, ChangeBatch: &batch}))
	}
	change(public,
		set("*.old.example.com", dnstypes.RRTypeA, "192.0.2.1", "192.0.2.2"), set("old.example.com", dnstypes.RRTypeMx, "10 mail.old.example.com."),
		set("old.example.com", dnstypes.RRTypeTxt, `"v=spf1 \"-all\""`, `"${a}" "b"`), set("mail.old.example.com", dnstypes.RRTypeAaaa, "2001:DB8::1"),
		set("sub.old.example.com", dnstypes.RRTypeNs, "ns1.example.net."), weighted("first", 1), weighted("second: b", 0),
		alias("old.example.com", *balancer.DNSName, *balancer.CanonicalHostedZoneId), alias("www.old.example.com", "dualstack."+*balancer.DNSName, *balancer.CanonicalHostedZoneId))
	change(public, alias("w3.old.example.com", "www.old.example.com", *public))
	change(private, set("db.old.example.com", dnstypes.RRTypeA, "10.7.2.9"), set("old.example.com", dnstypes.RRTypeTxt, `"private"`))
	change(elsewhere, set("db.old.example.com", dnstypes.RRTypeA, "10.9.2.9"))
}

// namelessByHand gives a VPC what has no name: a gateway, a way out by the main
// table, options, rules of the default group, an entry of the default list.
func namelessByHand(t *testing.T, s *site, vpc *string) {
	ctx, c := t.Context(), s.cloud.EC2
	ofVPC := cloud.Filter("vpc-id", *vpc)
	gateway := must[*ec2.CreateInternetGatewayOutput](t)(c.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	must[*ec2.AttachInternetGatewayOutput](t)(c.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: vpc}))
	table := must[*ec2.DescribeRouteTablesOutput](t)(c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{ofVPC}})).RouteTables[0].RouteTableId
	must[*ec2.CreateRouteOutput](t)(c.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway}))
	options := must[*ec2.CreateDhcpOptionsOutput](t)(c.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []types.NewDhcpConfiguration{{Key: aws.String("domain-name"), Values: []string{"nameless.example.com"}}}})).DhcpOptions.DhcpOptionsId
	must[*ec2.AssociateDhcpOptionsOutput](t)(c.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: options, VpcId: vpc}))
	group := must[*ec2.DescribeSecurityGroupsOutput](t)(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{ofVPC}})).SecurityGroups[0]
	must[*ec2.RevokeSecurityGroupIngressOutput](t)(c.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: group.IpPermissions}))
	list := must[*ec2.DescribeNetworkAclsOutput](t)(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{ofVPC}})).NetworkAcls[0].NetworkAclId
	must[*ec2.CreateNetworkAclEntryOutput](t)(c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: list, Egress: aws.Bool(false), RuleNumber: aws.Int32(7), Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny, CidrBlock: aws.String("192.0.2.0/24")}))
}

// interfacesByHand makes an interface that an instance has beside its own, and
// one that nothing has.
func interfacesByHand(t *testing.T, s *site, subnet, instance *string) {
	ctx, c := t.Context(), s.cloud.EC2
	make := func(ip string) *string {
		return must[*ec2.CreateNetworkInterfaceOutput](t)(c.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, PrivateIpAddress: aws.String(ip), Description: aws.String("of " + ip)})).NetworkInterface.NetworkInterfaceId
	}
	make("10.7.2.77")
	soon(t, func() error {
		_, err := c.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: make("10.7.2.78"), InstanceId: instance, DeviceIndex: aws.Int32(1)})
		return err
	})
}

// TestImportOfWhatMayBeRead: a kind that the credentials may not read is said,
// and the rest is imported; where nothing may be read, that is the answer.
func TestImportOfWhatMayBeRead(t *testing.T) {
	s := newSite(t, nil)
	s.others()
	for _, action := range []string{"DescribeLoadBalancers", "GetAccountAuthorizationDetails", "DescribeSubnets", "ListHostedZones"} {
		s.local.Inject(emulator.Fault{Action: action, Kind: emulator.Error, Code: "AccessDenied", Times: -1})
	}
	found := s.importAll(ImportOptions{})
	var kinds []string
	for _, u := range found.Unread {
		kinds = append(kinds, u.Kind)
	}
	if got := strings.Join(kinds, " "); got != "subnet iam_policy iam_group iam_user iam_role target_group load_balancer listener listener_rule zone record" {
		t.Errorf("not read: %s", got)
	}
	if len(found.Definitions) != 2 || len(found.Unread) > 0 && found.Unread[0].Reason != "the credentials may not call DescribeSubnets (AccessDenied)" {
		t.Errorf("%+v\n%s", found.Unread, found.text())
	}
	s.local.Inject(emulator.Fault{Kind: emulator.Error, Code: "AccessDenied", Times: -1})
	if _, err := NewImport(t.Context(), s.options(), ImportOptions{}); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("an import of nothing: %v", err)
	}
}
