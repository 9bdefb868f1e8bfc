package emulator

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Attributes are settings by name, whose names and values are AWS's:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html

// balancerAttributes are those that a new load balancer has.
func balancerAttributes(kind types.LoadBalancerTypeEnum) map[string]string {
	set := map[string]string{
		"deletion_protection.enabled": "false", "access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "",
		"ipv6.deny_all_igw_traffic": "false", "zonal_shift.config.enabled": "false", "load_balancing.cross_zone.enabled": "false",
	}
	if kind != types.LoadBalancerTypeEnumApplication {
		set["dns_record.client_routing_policy"], set["secondary_ips.auto_assigned.per_subnet"] = "any_availability_zone", "0"
		return set
	}
	for key, value := range map[string]string{
		"load_balancing.cross_zone.enabled": "true", "idle_timeout.timeout_seconds": "60", "client_keep_alive.seconds": "3600",
		"connection_logs.s3.enabled": "false", "connection_logs.s3.bucket": "", "connection_logs.s3.prefix": "",
		"health_check_logs.s3.enabled": "false", "health_check_logs.s3.bucket": "", "health_check_logs.s3.prefix": "",
		"routing.http.desync_mitigation_mode": "defensive", "routing.http.drop_invalid_header_fields.enabled": "false",
		"routing.http.preserve_host_header.enabled": "false", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
		"routing.http.xff_client_port.enabled": "false", "routing.http.xff_header_processing.mode": "append", "routing.http2.enabled": "true", "waf.fail_open.enabled": "false",
	} {
		set[key] = value
	}
	return set
}

// groupAttributes are those that a new target group has.
func groupAttributes(protocol types.ProtocolEnum) map[string]string {
	set := map[string]string{
		"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false", "stickiness.type": "source_ip",
		"load_balancing.cross_zone.enabled":                                              "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
	more := map[string]string{
		"deregistration_delay.connection_termination.enabled": "false", "preserve_client_ip.enabled": "true", "proxy_protocol_v2.enabled": "false",
		"target_health_state.unhealthy.connection_termination.enabled": "true", "target_health_state.unhealthy.draining_interval_seconds": "0",
	}
	if overHTTP(protocol) {
		more = map[string]string{
			"stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400", "stickiness.app_cookie.cookie_name": "",
			"stickiness.app_cookie.duration_seconds": "86400", "slow_start.duration_seconds": "0",
			"load_balancing.algorithm.type": "round_robin", "load_balancing.algorithm.anomaly_mitigation": "off",
		}
	}
	for key, value := range more {
		set[key] = value
	}
	return set
}

// attributeRanges are the least and the most of attributes that are numbers.
var attributeRanges = map[string][2]int{
	"idle_timeout.timeout_seconds": {1, 4000}, "client_keep_alive.seconds": {60, 604800}, "secondary_ips.auto_assigned.per_subnet": {0, 7},
	"deregistration_delay.timeout_seconds": {0, 3600}, "slow_start.duration_seconds": {0, 900},
	"stickiness.lb_cookie.duration_seconds": {1, 604800}, "stickiness.app_cookie.duration_seconds": {1, 604800},
	"target_health_state.unhealthy.draining_interval_seconds": {0, 360000},
}

var switchForm = regexp.MustCompile(`^(true|false|use_load_balancer_configuration)$`)

// changed is a set of attributes with some changed; unknown ones and values
// that none can have are refused.
func changed(set, add map[string]string) (map[string]string, error) {
	now := map[string]string{}
	for k, v := range set {
		now[k] = v
	}
	for k, v := range add {
		n, err := strconv.Atoi(v)
		bounds, bounded := attributeRanges[k]
		_, known := set[k]
		switch {
		case !known:
			return nil, refuse("InvalidConfigurationRequest", "The attribute '%s' is not supported", k)
		case bounded && (err != nil || n < bounds[0] || n > bounds[1]),
			k == "slow_start.duration_seconds" && n > 0 && n < 30,
			strings.HasSuffix(k, ".enabled") && !switchForm.MatchString(v):
			return nil, refuse("ValidationError", "The attribute '%s' cannot have the value '%s'", k, v)
		}
		now[k] = v
	}
	if now["access_logs.s3.enabled"] == "true" && now["access_logs.s3.bucket"] == "" {
		return nil, refuse("InvalidConfigurationRequest", "Access logs need the name of a bucket")
	}
	return now, nil
}

// attributeSet and attributeList go from the SDK's types, of which each kind of
// resource has its own, and to them.
func attributeSet[A any](list []A, of func(A) (key, value *string)) map[string]string {
	set := map[string]string{}
	for _, a := range list {
		key, value := of(a)
		set[deref(key)] = deref(value)
	}
	return set
}

func attributeList[A any](set map[string]string, of func(key, value *string) A) []A {
	var list []A
	for _, key := range sortedKeys(set) {
		list = append(list, of(new(key), new(set[key])))
	}
	return list
}
