package emulator

import (
	"reflect"
	"slices"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type targetGroupRow struct {
	Group      types.TargetGroup
	Attributes map[string]string
}

func (r targetGroupRow) arn() string  { return *r.Group.TargetGroupArn }
func (r targetGroupRow) name() string { return *r.Group.TargetGroupName }

const healthPaths = " HealthCheckEnabled HealthCheckIntervalSeconds HealthCheckPath HealthCheckPort HealthCheckProtocol HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount Matcher.*"

func (s *elbService) addTargetGroups() {
	elbOn(s, "CreateTargetGroup", "Name Protocol ProtocolVersion Port VpcId TargetType Tags.*"+healthPaths, s.createTargetGroup)
	elbOn(s, "DescribeTargetGroups", "TargetGroupArns Names LoadBalancerArn Marker PageSize", s.describeTargetGroups)
	elbOn(s, "ModifyTargetGroup", "TargetGroupArn"+healthPaths, s.modifyTargetGroup)
	elbOn(s, "DeleteTargetGroup", "TargetGroupArn", s.deleteTargetGroup)
	elbOn(s, "ModifyTargetGroupAttributes", "TargetGroupArn Attributes.*", s.modifyTargetGroupAttributes)
	elbOn(s, "DescribeTargetGroupAttributes", "TargetGroupArn", s.describeTargetGroupAttributes)
}

func (s *elbService) group(w world, arn *string) (targetGroupRow, error) {
	row, ok := s.groups.get(w, deref(arn))
	if !ok {
		return row, refuse("TargetGroupNotFound", "Target groups '[%s]' not found", deref(arn))
	}
	return row, nil
}

func overHTTP(p types.ProtocolEnum) bool {
	return p == types.ProtocolEnumHttp || p == types.ProtocolEnumHttps
}

func (s *elbService) createTargetGroup(c apiCall, in *elb.CreateTargetGroupInput) (*elb.CreateTargetGroupOutput, error) {
	if err := checkELBName("target group", *in.Name); err != nil {
		return nil, err
	}
	targetType := in.TargetType
	if targetType == "" {
		targetType = types.TargetTypeEnumInstance
	}
	switch {
	case targetType != types.TargetTypeEnumInstance && targetType != types.TargetTypeEnumIp:
		return nil, refuse("InvalidConfigurationRequest", "The local cloud has target groups of instances and addresses only, not of type %s", in.TargetType)
	case in.ProtocolVersion != nil && !overHTTP(in.Protocol):
		return nil, refuse("InvalidConfigurationRequest", "A protocol version is for target groups over HTTP and HTTPS")
	case in.Protocol == "" || in.Port == nil || in.VpcId == nil:
		return nil, refuse("ValidationError", "A protocol, a port and a VPC must be specified")
	case *in.Port < 1 || *in.Port > 65535:
		return nil, refuse("ValidationError", "1 validation error detected: Value '%d' at 'port' is not between 1 and 65535", *in.Port)
	case !has(s.cloud.ec2.vpcs, c.w, *in.VpcId):
		return nil, refuse("ValidationError", "The VPC ID '%s' is not found", *in.VpcId)
	}
	g := types.TargetGroup{
		TargetGroupArn: new(elbARN(c, "targetgroup/"+*in.Name)), TargetGroupName: in.Name, Protocol: in.Protocol, Port: in.Port, VpcId: in.VpcId,
		TargetType: targetType, IpAddressType: types.TargetGroupIpAddressTypeEnumIpv4, HealthCheckEnabled: new(true),
		HealthCheckProtocol: types.ProtocolEnumTcp, HealthCheckPort: new("traffic-port"), HealthCheckIntervalSeconds: new(int32(30)),
		HealthCheckTimeoutSeconds: new(int32(10)), HealthyThresholdCount: new(int32(5)), UnhealthyThresholdCount: new(int32(2)),
	}
	if overHTTP(in.Protocol) {
		g.ProtocolVersion, g.HealthCheckProtocol, g.HealthCheckTimeoutSeconds = new("HTTP1"), types.ProtocolEnumHttp, new(int32(5))
	}
	if in.ProtocolVersion != nil {
		g.ProtocolVersion = in.ProtocolVersion
	}
	err := setHealthCheck(&g, elb.ModifyTargetGroupInput{
		HealthCheckEnabled: in.HealthCheckEnabled, HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds, HealthCheckPath: in.HealthCheckPath,
		HealthCheckPort: in.HealthCheckPort, HealthCheckProtocol: in.HealthCheckProtocol, HealthCheckTimeoutSeconds: in.HealthCheckTimeoutSeconds,
		HealthyThresholdCount: in.HealthyThresholdCount, UnhealthyThresholdCount: in.UnhealthyThresholdCount, Matcher: in.Matcher,
	})
	if err != nil {
		return nil, err
	}
	for _, row := range s.groups.all(c.w) {
		if row.name() != *in.Name {
			continue
		}
		g.TargetGroupArn = row.Group.TargetGroupArn
		if !reflect.DeepEqual(g, row.Group) {
			return nil, refuse("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", *in.Name)
		}
		return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{s.showGroup(c.w, row)}}, nil
	}
	row := targetGroupRow{Group: g, Attributes: groupAttributes(in.Protocol)}
	s.groups.put(c.w, row.arn(), row)
	if err := s.setTags(c.w, row.arn(), in.Tags); err != nil {
		return nil, err
	}
	return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{s.showGroup(c.w, row)}}, nil
}

// setHealthCheck changes the settings that are given, within AWS's bounds.
func setHealthCheck(g *types.TargetGroup, in elb.ModifyTargetGroupInput) error {
	for _, n := range []struct {
		name        string
		to          **int32
		value       *int32
		least, most int32
	}{
		{"healthCheckIntervalSeconds", &g.HealthCheckIntervalSeconds, in.HealthCheckIntervalSeconds, 5, 300},
		{"healthCheckTimeoutSeconds", &g.HealthCheckTimeoutSeconds, in.HealthCheckTimeoutSeconds, 2, 120},
		{"healthyThresholdCount", &g.HealthyThresholdCount, in.HealthyThresholdCount, 2, 10},
		{"unhealthyThresholdCount", &g.UnhealthyThresholdCount, in.UnhealthyThresholdCount, 2, 10},
	} {
		if n.value == nil {
			continue
		}
		if *n.value < n.least || *n.value > n.most {
			return refuse("ValidationError", "1 validation error detected: Value '%d' at '%s' is not between %d and %d", *n.value, n.name, n.least, n.most)
		}
		*n.to = n.value
	}
	if in.HealthCheckProtocol != "" {
		g.HealthCheckProtocol = in.HealthCheckProtocol
	}
	if in.HealthCheckPort != nil {
		g.HealthCheckPort = in.HealthCheckPort
	}
	if in.HealthCheckEnabled != nil {
		g.HealthCheckEnabled = in.HealthCheckEnabled
	}
	if !overHTTP(g.HealthCheckProtocol) {
		if overHTTP(g.Protocol) {
			return refuse("InvalidConfigurationRequest", "Health check protocol %s is not supported by target groups over %s", g.HealthCheckProtocol, g.Protocol)
		}
		if in.HealthCheckPath != nil || in.Matcher != nil {
			return refuse("InvalidConfigurationRequest", "A health check over %s takes neither a path nor a matcher", g.HealthCheckProtocol)
		}
		g.HealthCheckPath, g.Matcher = nil, nil
		return nil
	}
	if in.HealthCheckPath != nil || g.HealthCheckPath == nil {
		g.HealthCheckPath = new("/")
		if in.HealthCheckPath != nil {
			g.HealthCheckPath = in.HealthCheckPath
		}
	}
	if in.Matcher != nil || g.Matcher == nil {
		g.Matcher = &types.Matcher{HttpCode: new("200")}
		if in.Matcher != nil {
			g.Matcher = in.Matcher
		}
	}
	if *g.HealthCheckTimeoutSeconds >= *g.HealthCheckIntervalSeconds {
		return refuse("ValidationError", "Health check interval must be greater than the timeout.")
	}
	return nil
}

// usedBy are the load balancers whose listeners or rules forward to a group.
func (s *elbService) usedBy(w world, arn string) []string {
	var list []string
	add := func(actions []types.Action, balancer string) {
		if slices.Contains(forwards(actions), arn) && !slices.Contains(list, balancer) {
			list = append(list, balancer)
		}
	}
	for _, l := range s.listeners.all(w) {
		add(l.Listener.DefaultActions, *l.Listener.LoadBalancerArn)
	}
	for _, r := range s.rules.all(w) {
		add(r.Rule.Actions, r.Balancer)
	}
	return list
}

func (s *elbService) showGroup(w world, row targetGroupRow) types.TargetGroup {
	g := row.Group
	g.LoadBalancerArns = s.usedBy(w, row.arn())
	return g
}

func (s *elbService) describeTargetGroups(c apiCall, in *elb.DescribeTargetGroupsInput) (*elb.DescribeTargetGroupsOutput, error) {
	rows, err := chosen(s.groups.all(c.w), in.TargetGroupArns, in.Names, targetGroupRow.arn, targetGroupRow.name, "TargetGroupNotFound", "Target groups")
	if err != nil {
		return nil, err
	}
	if in.LoadBalancerArn != nil {
		if _, err := s.balancer(c.w, in.LoadBalancerArn); err != nil {
			return nil, err
		}
		rows = keep(rows, func(r targetGroupRow) bool { return slices.Contains(s.usedBy(c.w, r.arn()), *in.LoadBalancerArn) })
	}
	rows, next, err := page(rows, targetGroupRow.arn, paging{elbPage(in.PageSize), in.Marker, 1, elbPageLimit})
	out := &elb.DescribeTargetGroupsOutput{NextMarker: next}
	for _, row := range rows {
		out.TargetGroups = append(out.TargetGroups, s.showGroup(c.w, row))
	}
	return out, err
}

func (s *elbService) modifyTargetGroup(c apiCall, in *elb.ModifyTargetGroupInput) (*elb.ModifyTargetGroupOutput, error) {
	row, err := s.group(c.w, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	if err := setHealthCheck(&row.Group, *in); err != nil {
		return nil, err
	}
	s.groups.put(c.w, row.arn(), row)
	return &elb.ModifyTargetGroupOutput{TargetGroups: []types.TargetGroup{s.showGroup(c.w, row)}}, nil
}

func (s *elbService) deleteTargetGroup(c apiCall, in *elb.DeleteTargetGroupInput) (*elb.DeleteTargetGroupOutput, error) {
	arn := *in.TargetGroupArn
	if len(s.usedBy(c.w, arn)) > 0 {
		return nil, refuse("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", arn)
	}
	for _, t := range s.targets.all(c.w) {
		if t.Group == arn {
			s.targets.remove(c.w, t.key())
		}
	}
	s.groups.remove(c.w, arn)
	s.tags.remove(c.w, arn)
	return &elb.DeleteTargetGroupOutput{}, nil // also for one that is gone, as AWS has it
}

func groupAttribute(key, value *string) types.TargetGroupAttribute {
	return types.TargetGroupAttribute{Key: key, Value: value}
}

func (s *elbService) modifyTargetGroupAttributes(c apiCall, in *elb.ModifyTargetGroupAttributesInput) (*elb.ModifyTargetGroupAttributesOutput, error) {
	row, err := s.group(c.w, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	add := attributeSet(in.Attributes, func(a types.TargetGroupAttribute) (*string, *string) { return a.Key, a.Value })
	if row.Attributes, err = changed(row.Attributes, add); err != nil {
		return nil, err
	}
	s.groups.put(c.w, row.arn(), row)
	return &elb.ModifyTargetGroupAttributesOutput{Attributes: attributeList(row.Attributes, groupAttribute)}, nil
}

func (s *elbService) describeTargetGroupAttributes(c apiCall, in *elb.DescribeTargetGroupAttributesInput) (*elb.DescribeTargetGroupAttributesOutput, error) {
	row, err := s.group(c.w, in.TargetGroupArn)
	return &elb.DescribeTargetGroupAttributesOutput{Attributes: attributeList(row.Attributes, groupAttribute)}, err
}
