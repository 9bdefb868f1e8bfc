package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// How load balancers and target groups are written down. Their names are in
// adopt alone: a definition that states one could not make a successor beside
// what it adopts.

func (k loadBalancers) express(x *expression, b loadBalancer) loadBalancerSpec {
	s := loadBalancerSpec{
		Type: string(b.Type), Scheme: string(b.Scheme), IPAddressType: string(b.IpAddressType),
		Subnets: x.refs("subnets", subnetsOf(b)), SecurityGroups: x.refs("security_groups", b.SecurityGroups),
	}
	set := x.unusual(b.attributes, k.known(b.Type), balancerDefaults())
	if b.Type == types.LoadBalancerTypeEnumApplication {
		delete(set, "load_balancing.cross_zone.enabled") // which it always does
	}
	s.IdleTimeout = takeNumber(set, "idle_timeout.timeout_seconds")
	s.DeletionProtection, s.CrossZone = takeSwitch(set, "deletion_protection.enabled"), takeSwitch(set, "load_balancing.cross_zone.enabled")
	s.HTTP2, s.DropInvalidHeaderField = takeSwitch(set, "routing.http2.enabled"), takeSwitch(set, "routing.http.drop_invalid_header_fields.enabled")
	if on := takeSwitch(set, "access_logs.s3.enabled"); on != nil && *on {
		s.AccessLogs = &accessLogsSpec{Bucket: set["access_logs.s3.bucket"], Prefix: set["access_logs.s3.prefix"]}
	}
	delete(set, "access_logs.s3.bucket")
	delete(set, "access_logs.s3.prefix")
	s.Attributes = others(set)
	for _, z := range b.AvailabilityZones {
		for _, a := range z.LoadBalancerAddresses {
			if a.AllocationId != nil || a.PrivateIPv4Address != nil {
				x.leave("subnets", "its address in %s is left as it is: a load_balancer does not state addresses", aws.ToString(z.ZoneName))
			}
		}
	}
	return s
}

// unusual are the attributes that differ from AWS's defaults; what Goldline
// does not know of them is noted.
func (x *expression) unusual(have map[string]string, known []string, defaults map[string]string) map[string]string {
	set := map[string]string{}
	for _, key := range union(have) {
		value := have[key]
		switch usual, ok := defaults[key]; {
		case ok && value == usual, value == "":
		case !slices.Contains(known, key):
			x.leave("attributes", "%s, which is %s, is none that Goldline knows", key, value)
		default:
			set[key] = value
		}
	}
	return set
}

// others are the attributes that no key of their own has taken; nil for none.
func others(set map[string]string) map[string]string {
	if len(set) == 0 {
		return nil
	}
	return set
}

// takeSwitch takes an attribute out of a set; nil where it is not there.
func takeSwitch(set map[string]string, key string) *bool {
	on, err := strconv.ParseBool(set[key])
	if err != nil {
		return nil
	}
	delete(set, key)
	return &on
}

// takeNumber is the same for a number.
func takeNumber(set map[string]string, key string) *int {
	n, err := strconv.Atoi(set[key])
	if err != nil {
		return nil
	}
	delete(set, key)
	return &n
}

// balancerDefaults are what attributes are where nobody has set them.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
func balancerDefaults() map[string]string {
	return map[string]string{
		"deletion_protection.enabled": "false", "load_balancing.cross_zone.enabled": "false",
		"access_logs.s3.enabled": "false", "ipv6.deny_all_igw_traffic": "false", "zonal_shift.config.enabled": "false",
		"idle_timeout.timeout_seconds": "60", "client_keep_alive.seconds": "3600", "connection_logs.s3.enabled": "false", "health_check_logs.s3.enabled": "false",
		"routing.http.desync_mitigation_mode": "defensive", "routing.http.drop_invalid_header_fields.enabled": "false",
		"routing.http.preserve_host_header.enabled": "false", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
		"routing.http.xff_client_port.enabled": "false", "routing.http.xff_header_processing.mode": "append", "routing.http2.enabled": "true",
		"waf.fail_open.enabled": "false", "dns_record.client_routing_policy": "any_availability_zone", "secondary_ips.auto_assigned.per_subnet": "0",
	}
}

func (k targetGroups) express(x *expression, g targetGroup) targetGroupSpec {
	s := targetGroupSpec{
		VPC: x.ref("vpc", g.VpcId), Protocol: string(g.Protocol), Port: int(aws.ToInt32(g.Port)), ProtocolVersion: aws.ToString(g.ProtocolVersion),
		TargetType: string(g.TargetType), HealthCheck: healthOf(g),
	}
	if s.ProtocolVersion == "HTTP1" {
		s.ProtocolVersion = ""
	}
	set := x.unusual(g.attributes, k.known(s.overHTTP()), groupDefaults(s.overHTTP()))
	s.DeregistrationDelay = takeNumber(set, "deregistration_delay.timeout_seconds")
	s.SlowStart = takeNumber(set, "slow_start.duration_seconds")
	s.Stickiness = stickinessOf(g.attributes)
	for key, path := range k.keysOfAttributes() {
		if path != "deregistration_delay" && path != "slow_start" {
			delete(set, key)
		}
	}
	s.Attributes = others(set)
	s.Targets = x.targets(g)
	return s
}

// unsayable: functions, load balancers behind load balancers and appliances are
// targets that Goldline does not know.
func (targetGroups) unsayable(g targetGroup) string {
	known := g.TargetType == types.TargetTypeEnumInstance || g.TargetType == types.TargetTypeEnumIp
	if known && has(project.Enum(&targetGroupSpec{}, "protocol"), string(g.Protocol)) && g.IpAddressType != types.TargetGroupIpAddressTypeEnumIpv6 {
		return ""
	}
	text := fmt.Sprintf("its targets are of type %s", g.TargetType)
	if g.Protocol != "" {
		text += " over " + string(g.Protocol)
	}
	return text + ": Goldline knows instances and IPv4 addresses over " + sortedList(project.Enum(&targetGroupSpec{}, "protocol"))
}

func healthOf(g targetGroup) *healthCheckSpec {
	h := &healthCheckSpec{
		Protocol: string(g.HealthCheckProtocol), Port: aws.ToString(g.HealthCheckPort), Path: aws.ToString(g.HealthCheckPath),
		Interval: int(aws.ToInt32(g.HealthCheckIntervalSeconds)), Timeout: int(aws.ToInt32(g.HealthCheckTimeoutSeconds)),
		HealthyThreshold: int(aws.ToInt32(g.HealthyThresholdCount)), UnhealthyThreshold: int(aws.ToInt32(g.UnhealthyThresholdCount)),
	}
	if g.Matcher != nil {
		h.Matcher = aws.ToString(g.Matcher.HttpCode) + aws.ToString(g.Matcher.GrpcCode)
	}
	if h.Protocol == string(types.ProtocolEnumTcp) { // over which nothing is asked for
		h.Path, h.Matcher = "", ""
	}
	return h
}

// stickinessOf is how clients stay, where they do.
func stickinessOf(set map[string]string) *stickinessSpec {
	if set["stickiness.enabled"] != "true" {
		return nil
	}
	k := &stickinessSpec{Type: set["stickiness.type"]}
	if k.Type != "source_ip" {
		k.Duration, _ = strconv.Atoi(set["stickiness."+k.Type+".duration_seconds"]) // "" states none
	}
	if k.Type == "app_cookie" {
		k.CookieName = set["stickiness.app_cookie.cookie_name"]
	}
	return k
}

// targets are the instances in a group that have definitions. Others, such as
// those of an Auto Scaling group, come and go with what registers them, and so
// do addresses: a list of these would take all later ones out.
func (x *expression) targets(g targetGroup) []targetSpec {
	if g.TargetType != types.TargetTypeEnumInstance {
		if len(g.targets) > 0 {
			x.leave("targets", "its %d addresses are left to what registers them", len(g.targets))
		}
		return nil
	}
	var list []targetSpec
	for _, t := range g.targets {
		name, ok := x.named(t.id)
		if !ok {
			continue
		}
		s := targetSpec{Instance: name, Port: t.port}
		if t.port == int(aws.ToInt32(g.Port)) {
			s.Port = 0
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b targetSpec) int { return strings.Compare(a.Instance, b.Instance) })
	return list
}

// groupDefaults are what the attributes of target groups are where nobody has
// set them. Whether a network load balancer passes clients' addresses on
// depends on the protocol, so it is always stated.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
func groupDefaults(overHTTP bool) map[string]string {
	sticky := "source_ip"
	if overHTTP {
		sticky = "lb_cookie"
	}
	return map[string]string{
		"deregistration_delay.timeout_seconds": "300", "slow_start.duration_seconds": "0", "stickiness.enabled": "false", "stickiness.type": sticky,
		"stickiness.lb_cookie.duration_seconds": "86400", "stickiness.app_cookie.duration_seconds": "86400",
		"load_balancing.cross_zone.enabled": "use_load_balancer_configuration", "load_balancing.algorithm.type": "round_robin",
		"load_balancing.algorithm.anomaly_mitigation":                                    "off",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
		"deregistration_delay.connection_termination.enabled":                            "false",
		"proxy_protocol_v2.enabled":                                                      "false",
		"target_health_state.unhealthy.connection_termination.enabled":                   "true",
		"target_health_state.unhealthy.draining_interval_seconds":                        "0",
	}
}
