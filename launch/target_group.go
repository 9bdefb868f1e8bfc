package launch

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type targetGroupAPI interface {
	CreateTargetGroup(context.Context, *elb.CreateTargetGroupInput, ...func(*elb.Options)) (*elb.CreateTargetGroupOutput, error)
	ModifyTargetGroup(context.Context, *elb.ModifyTargetGroupInput, ...func(*elb.Options)) (*elb.ModifyTargetGroupOutput, error)
	DescribeTargetGroupAttributes(context.Context, *elb.DescribeTargetGroupAttributesInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupAttributesOutput, error)
	ModifyTargetGroupAttributes(context.Context, *elb.ModifyTargetGroupAttributesInput, ...func(*elb.Options)) (*elb.ModifyTargetGroupAttributesOutput, error)
	DeleteTargetGroup(context.Context, *elb.DeleteTargetGroupInput, ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error)
}

type targetGroupSpec struct {
	TargetGroupName     string            `yaml:"target_group_name" change:"replaces" doc:"The name in the region, at most 32 characters." default:"PROJECT-ENVIRONMENT-NAME"`
	VPC                 string            `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that the targets lie in."`
	Protocol            string            `yaml:"protocol" enum:"HTTP,HTTPS,TCP,TLS,UDP,TCP_UDP" required:"true" change:"replaces" doc:"How targets are spoken to: HTTP or HTTPS by an application load balancer, the others by a network one."`
	Port                int               `yaml:"port" min:"1" max:"65535" required:"true" change:"replaces" doc:"The port that targets listen on."`
	ProtocolVersion     string            `yaml:"protocol_version" enum:"HTTP1,HTTP2,GRPC" change:"replaces" doc:"The version of HTTP that targets are spoken to with." default:"HTTP1"`
	TargetType          string            `yaml:"target_type" enum:"instance,ip" change:"replaces" doc:"Whether targets are instances or addresses." default:"instance"`
	HealthCheck         *healthCheckSpec  `yaml:"health_check" doc:"How targets are asked whether they are well."`
	DeregistrationDelay *int              `yaml:"deregistration_delay" min:"0" max:"3600" doc:"How many seconds a target that leaves has for finishing its connections." default:"300"`
	SlowStart           *int              `yaml:"slow_start" min:"0" max:"900" doc:"Over how many seconds a new target's share grows, 30 at least; 0 for at once. HTTP and HTTPS." default:"0"`
	Stickiness          *stickinessSpec   `yaml:"stickiness" doc:"How a client stays with its target."`
	Attributes          map[string]string `yaml:"attributes" doc:"Other attributes by AWS's names, as in load_balancing.algorithm.type."`
	Targets             []targetSpec      `yaml:"targets" doc:"The targets. Instances may name their target_groups in place of that; what is in the group by other means, such as an Auto Scaling group, stays."`
}

type targetSpec struct {
	Instance         string `yaml:"instance" ref:"instance" late:"true" short:"true" doc:"An instance, with target_type instance."`
	IPAddress        string `yaml:"ip_address" late:"true" doc:"An address, with target_type ip: of the VPC, or a private one that it reaches."`
	Port             int    `yaml:"port" min:"1" max:"65535" doc:"Its port." default:"the group's"`
	AvailabilityZone string `yaml:"availability_zone" doc:"Of an address outside the VPC: all."`
}

type healthCheckSpec struct {
	Protocol           string `yaml:"protocol" enum:"HTTP,HTTPS,TCP" doc:"What it speaks." default:"HTTP, TCP behind a network load balancer"`
	Port               string `yaml:"port" doc:"The port that it asks." default:"traffic-port, that of the traffic"`
	Path               string `yaml:"path" doc:"The path that it asks for, with HTTP and HTTPS." default:"/"`
	Interval           int    `yaml:"interval" min:"5" max:"300" doc:"Seconds from one to the next." default:"30"`
	Timeout            int    `yaml:"timeout" min:"2" max:"120" doc:"Seconds to wait for an answer." default:"AWS's for the protocol"`
	HealthyThreshold   int    `yaml:"healthy_threshold" min:"2" max:"10" doc:"Good answers in a row that make a target healthy." default:"5"`
	UnhealthyThreshold int    `yaml:"unhealthy_threshold" min:"2" max:"10" doc:"Bad ones in a row that make it unhealthy." default:"2"`
	Matcher            string `yaml:"matcher" doc:"The status codes that are good: 200, 200-299 or 200,302; codes of gRPC with protocol_version GRPC." default:"200"`
}

type stickinessSpec struct {
	Enabled    *bool  `yaml:"enabled" doc:"Whether clients stay." default:"true"`
	Type       string `yaml:"type" enum:"lb_cookie,app_cookie,source_ip" required:"true" short:"true" doc:"What a client is known by: a cookie of the load balancer's or of the application's with HTTP, its address with TCP and UDP."`
	Duration   int    `yaml:"duration" min:"1" max:"604800" doc:"For how many seconds, with cookies." default:"86400"`
	CookieName string `yaml:"cookie_name" doc:"The application's cookie, with app_cookie."`
}

func (s *targetGroupSpec) overHTTP() bool { return s.Protocol == "HTTP" || s.Protocol == "HTTPS" }

func (s *targetGroupSpec) targetType() types.TargetTypeEnum {
	if s.TargetType == "" {
		return types.TargetTypeEnumInstance
	}
	return types.TargetTypeEnum(s.TargetType)
}

// attributes are those that the definition states, by AWS's names.
func (s *targetGroupSpec) attributes() map[string]string {
	set := tags.Merge(s.Attributes)
	if s.DeregistrationDelay != nil {
		set["deregistration_delay.timeout_seconds"] = strconv.Itoa(*s.DeregistrationDelay)
	}
	if s.SlowStart != nil {
		set["slow_start.duration_seconds"] = strconv.Itoa(*s.SlowStart)
	}
	k := s.Stickiness
	if k == nil {
		return set
	}
	set["stickiness.enabled"] = strconv.FormatBool(k.Enabled == nil || *k.Enabled)
	set["stickiness.type"] = k.Type
	if k.CookieName != "" {
		set["stickiness.app_cookie.cookie_name"] = k.CookieName
	}
	if k.Duration != 0 {
		set["stickiness."+k.Type+".duration_seconds"] = strconv.Itoa(k.Duration)
	}
	return set
}

// targetGroup is one with its attributes, where its definition states any, and
// with what is registered in it.
type targetGroup struct {
	types.TargetGroup
	tags       map[string]string
	attributes map[string]string
	targets    []target
}

type targetGroups struct{ inELB }

func (targetGroups) api(c *cloud.Cloud) targetGroupAPI { return c.ELB }

func (targetGroups) about() project.Kind {
	return project.Kind{Name: "target_group", Doc: "The instances or addresses that a load balancer spreads traffic over, and how it asks whether they are well.",
		Attributes: []string{"id", "arn", "name"}}
}

func (k targetGroups) list(ctx context.Context, q query) ([]targetGroup, error) {
	f, err := q.front(ctx)
	if err != nil {
		return nil, err
	}
	var all []targetGroup
	for _, g := range f.groups {
		if set := f.tags[aws.ToString(g.TargetGroupArn)]; q.covers(set) {
			all = append(all, targetGroup{TargetGroup: g, tags: set})
		}
	}
	registered, err := q.registrations(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].targets = registered[aws.ToString(all[i].TargetGroupArn)]
	}
	return all, graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		if len(statedWith[targetGroupSpec](q, all[i].tags, aws.ToString(all[i].TargetGroupName)).attributes()) == 0 {
			return nil
		}
		out, err := k.api(q.cloud).DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: all[i].TargetGroupArn})
		if err != nil && !cloud.NotFound(err) {
			return err
		}
		all[i].attributes = map[string]string{}
		if out != nil {
			for _, a := range out.Attributes {
				all[i].attributes[aws.ToString(a.Key)] = aws.ToString(a.Value)
			}
		}
		return nil
	})
}

func (targetGroups) read(g targetGroup) state {
	arn := aws.ToString(g.TargetGroupArn)
	return state{
		id: arn, tags: g.tags, uses: []string{aws.ToString(g.VpcId)}, names: idsOf(g.targets),
		attributes: map[string]string{"arn": arn, "name": aws.ToString(g.TargetGroupName)},
	}
}

func (k targetGroups) compare(w want[targetGroupSpec], g targetGroup) (d differences) {
	s := w.spec
	if s.TargetGroupName != "" {
		d.fixed("target_group_name", aws.ToString(g.TargetGroupName), s.TargetGroupName, "")
	}
	d.fixed("vpc", aws.ToString(g.VpcId), s.VPC, "")
	d.fixed("protocol", string(g.Protocol), s.Protocol, "")
	d.fixed("port", numberText(g.Port), strconv.Itoa(s.Port), "")
	if s.ProtocolVersion != "" {
		d.fixed("protocol_version", aws.ToString(g.ProtocolVersion), s.ProtocolVersion, "")
	}
	d.fixed("target_type", string(g.TargetType), string(s.targetType()), "")
	if s.HealthCheck != nil {
		s.HealthCheck.compare(&d, g)
	}
	compareAttributes(&d, g.attributes, s.attributes(), k.keysOfAttributes())
	if s.Targets != nil {
		wanted := s.targets()
		d.set("targets", targetsText(w.world.managed(w.Resource, g, wanted)), targetsText(wanted))
	}
	return d
}

// compare compares what the definition states of a health check.
func (h *healthCheckSpec) compare(d *differences, g targetGroup) {
	matcher := ""
	if g.Matcher != nil {
		matcher = aws.ToString(g.Matcher.HttpCode) + aws.ToString(g.Matcher.GrpcCode)
	}
	for _, f := range []struct{ key, have, want string }{
		{"protocol", string(g.HealthCheckProtocol), h.Protocol}, {"port", aws.ToString(g.HealthCheckPort), h.Port},
		{"path", aws.ToString(g.HealthCheckPath), h.Path}, {"interval", numberText(g.HealthCheckIntervalSeconds), numberText(number(h.Interval))},
		{"timeout", numberText(g.HealthCheckTimeoutSeconds), numberText(number(h.Timeout))},
		{"healthy_threshold", numberText(g.HealthyThresholdCount), numberText(number(h.HealthyThreshold))},
		{"unhealthy_threshold", numberText(g.UnhealthyThresholdCount), numberText(number(h.UnhealthyThreshold))}, {"matcher", matcher, h.Matcher},
	} {
		if f.want != "" {
			d.set("health_check."+f.key, f.have, f.want)
		}
	}
}

// matcher is the codes that are good as AWS takes them.
func (s *targetGroupSpec) matcher() *types.Matcher {
	switch {
	case s.HealthCheck == nil || s.HealthCheck.Matcher == "":
		return nil
	case s.ProtocolVersion == "GRPC":
		return &types.Matcher{GrpcCode: aws.String(s.HealthCheck.Matcher)}
	}
	return &types.Matcher{HttpCode: aws.String(s.HealthCheck.Matcher)}
}

// excludes: a name is taken once.
func (targetGroups) excludes(w want[targetGroupSpec], g targetGroup) bool {
	return w.spec.TargetGroupName != "" && aws.ToString(g.TargetGroupName) == w.spec.TargetGroupName
}

func (targetGroups) refuse(w want[targetGroupSpec]) error {
	return refuseTaken(w.world, w.Resource, w.spec.TargetGroupName, func(f *front) map[string]string {
		names := map[string]string{}
		for _, g := range f.groups {
			names[aws.ToString(g.TargetGroupName)] = aws.ToString(g.TargetGroupArn)
		}
		return names
	})
}

func (k targetGroups) create(ctx context.Context, t *task, w want[targetGroupSpec]) (targetGroup, error) {
	s := w.spec
	name := elbResourceName(w.world, w.Resource, s.TargetGroupName, t.generation)
	in := &elb.CreateTargetGroupInput{
		Name: aws.String(name), VpcId: aws.String(s.VPC), Protocol: types.ProtocolEnum(s.Protocol), Port: number(s.Port),
		ProtocolVersion: optional(s.ProtocolVersion), TargetType: s.targetType(), Tags: t.elbBirth(),
	}
	if h := s.HealthCheck; h != nil {
		in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath = types.ProtocolEnum(h.Protocol), optional(h.Port), optional(h.Path)
		in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = number(h.Interval), number(h.Timeout)
		in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher = number(h.HealthyThreshold), number(h.UnhealthyThreshold), s.matcher()
	}
	out, err := k.api(t.Cloud).CreateTargetGroup(ctx, in)
	if err != nil {
		return targetGroup{}, taken(err, "target group", name)
	}
	return targetGroup{TargetGroup: out.TargetGroups[0], tags: elbTagSet(in.Tags)}, nil
}

func (k targetGroups) update(ctx context.Context, t *task, w want[targetGroupSpec], g targetGroup, d differences) error {
	api := k.api(t.Cloud)
	if h := w.spec.HealthCheck; h != nil && d.below("health_check") {
		_, err := api.ModifyTargetGroup(ctx, &elb.ModifyTargetGroupInput{
			TargetGroupArn: g.TargetGroupArn, HealthCheckProtocol: types.ProtocolEnum(h.Protocol), HealthCheckPort: optional(h.Port), HealthCheckPath: optional(h.Path),
			HealthCheckIntervalSeconds: number(h.Interval), HealthCheckTimeoutSeconds: number(h.Timeout),
			HealthyThresholdCount: number(h.HealthyThreshold), UnhealthyThresholdCount: number(h.UnhealthyThreshold), Matcher: w.spec.matcher(),
		})
		if err != nil {
			return fmt.Errorf("health_check: %w", err)
		}
	}
	if set := changedAttributes(d, w.spec.attributes(), k.keysOfAttributes()); len(set) > 0 {
		in := &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn}
		for _, key := range union(set) {
			in.Attributes = append(in.Attributes, types.TargetGroupAttribute{Key: aws.String(key), Value: aws.String(set[key])})
		}
		if _, err := api.ModifyTargetGroupAttributes(ctx, in); err != nil {
			return fmt.Errorf("attributes: %w", err)
		}
	}
	if !d.has("targets") {
		return nil
	}
	wanted := w.spec.targets()
	if err := t.exchange(ctx, aws.ToString(g.TargetGroupArn), w.world.managed(w.Resource, g, wanted), wanted); err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	return nil
}

func (targetGroups) retag(ctx context.Context, c *cloud.Cloud, have []targetGroup, set map[string]string) error {
	return elbRetag(ctx, c, have, func(g targetGroup) *string { return g.TargetGroupArn }, set)
}

func (k targetGroups) remove(ctx context.Context, t *task, g targetGroup) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
		return err
	})
}
