package launch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// defaultTimeout is AWS's for health checks of groups over HTTP and HTTPS, in
// seconds: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
const defaultTimeout = 5

// The attributes of target groups of instances and addresses.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
const (
	targetGroupAttributes        = "deregistration_delay.timeout_seconds stickiness.enabled stickiness.type load_balancing.cross_zone.enabled target_group_health.dns_failover.minimum_healthy_targets.count target_group_health.dns_failover.minimum_healthy_targets.percentage target_group_health.unhealthy_state_routing.minimum_healthy_targets.count target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
	applicationTargetAttributes  = "load_balancing.algorithm.type load_balancing.algorithm.anomaly_mitigation slow_start.duration_seconds stickiness.app_cookie.cookie_name stickiness.app_cookie.duration_seconds stickiness.lb_cookie.duration_seconds"
	networkTargetGroupAttributes = "deregistration_delay.connection_termination.enabled preserve_client_ip.enabled proxy_protocol_v2.enabled target_health_state.unhealthy.connection_termination.enabled target_health_state.unhealthy.draining_interval_seconds"
)

// keysOfAttributes are the attributes that have keys of their own.
func (targetGroups) keysOfAttributes() map[string]string {
	return map[string]string{
		"deregistration_delay.timeout_seconds": "deregistration_delay", "slow_start.duration_seconds": "slow_start",
		"stickiness.enabled": "stickiness.enabled", "stickiness.type": "stickiness.type", "stickiness.app_cookie.cookie_name": "stickiness.cookie_name",
		"stickiness.app_cookie.duration_seconds": "stickiness.duration", "stickiness.lb_cookie.duration_seconds": "stickiness.duration",
	}
}

// known are the attributes of target groups over HTTP, or over other protocols.
func (targetGroups) known(overHTTP bool) []string {
	if overHTTP {
		return strings.Fields(targetGroupAttributes + " " + applicationTargetAttributes)
	}
	return strings.Fields(targetGroupAttributes + " " + networkTargetGroupAttributes)
}

func (k targetGroups) check(c *checker, d definition[targetGroupSpec]) {
	s := d.spec
	checkELBName(c, d.Resource, "target_group_name", s.TargetGroupName)
	for _, other := range c.before(d.Resource) {
		if o, ok := other.Spec.(*targetGroupSpec); ok && s.TargetGroupName != "" && o.TargetGroupName == s.TargetGroupName {
			c.problems.Addf(d.At("target_group_name"), "%s has the name %s already", other.Address, s.TargetGroupName)
		}
	}
	checkAttributes(c, d.Resource, s.Attributes, k.keysOfAttributes(), k.known(s.overHTTP()))
	if s.ProtocolVersion != "" && !s.overHTTP() {
		c.problems.Addf(d.At("protocol_version"), "protocol_version is for the protocols HTTP and HTTPS")
	}
	if s.SlowStart != nil && (!s.overHTTP() || *s.SlowStart > 0 && *s.SlowStart < 30) {
		c.problems.AddHint(d.At("slow_start"), "30 to 900 seconds with HTTP and HTTPS, or 0 for none", "a target group over %s takes no slow_start of %d", s.Protocol, *s.SlowStart)
	}
	k.checkHealth(c, d)
	k.checkTargets(c, d)
	k.checkStickiness(c, d)
}

var (
	healthPort  = regexp.MustCompile(`^(traffic-port|[1-9][0-9]{0,4})$`)
	statusCodes = regexp.MustCompile(`^[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?)*$`)
)

// checkHealth checks a health check; the interval by default is 30 seconds.
func (targetGroups) checkHealth(c *checker, d definition[targetGroupSpec]) {
	h := d.spec.HealthCheck
	if h == nil {
		return
	}
	overHTTP := h.Protocol == "HTTP" || h.Protocol == "HTTPS" || h.Protocol == "" && d.spec.overHTTP()
	switch {
	case h.Protocol == "TCP" && d.spec.overHTTP():
		c.problems.Addf(d.At("health_check.protocol"), "a target group over %s is asked over HTTP or HTTPS", d.spec.Protocol)
	case !overHTTP && h.Path != "":
		c.problems.AddHint(d.At("health_check.path"), "say protocol: HTTP", "a health check over TCP asks for no path")
	case !overHTTP && h.Matcher != "":
		c.problems.AddHint(d.At("health_check.matcher"), "say protocol: HTTP", "a health check over TCP gets no status codes")
	case h.Path != "" && !unresolved(h.Path) && (!strings.HasPrefix(h.Path, "/") || len(h.Path) > 1024):
		c.problems.Addf(d.At("health_check.path"), "a path begins with / and has at most 1024 characters")
	}
	if h.Port != "" && !unresolved(h.Port) && !healthPort.MatchString(h.Port) {
		c.problems.AddHint(d.At("health_check.port"), "a number, or traffic-port", "%q is no port", h.Port)
	}
	if h.Matcher != "" && !unresolved(h.Matcher) && !statusCodes.MatchString(h.Matcher) {
		c.problems.AddHint(d.At("health_check.matcher"), "as in 200, 200-299 or 200,302", "%q matches no status codes", h.Matcher)
	}
	interval := d.spec.healthInterval()
	if h.Timeout == 0 && d.spec.overHTTP() && interval <= defaultTimeout {
		c.problems.AddHint(d.At("health_check.interval"), "give a shorter timeout, too", "the interval, %d seconds, must be longer than the timeout, which is %d by default", interval, defaultTimeout)
	}
	if h.Timeout > 0 && h.Timeout >= interval {
		c.problems.Addf(d.At("health_check.timeout"), "the timeout, %d seconds, must be shorter than the interval, %d", h.Timeout, interval)
	}
}

// healthInterval is how many seconds lie between two questions.
func (s *targetGroupSpec) healthInterval() int {
	if h := s.HealthCheck; h != nil && h.Interval > 0 {
		return h.Interval
	}
	return 30
}

// noticesWithin is how long the group may take to call a target unhealthy that is.
func (s *targetGroupSpec) noticesWithin() time.Duration {
	threshold := 2
	if h := s.HealthCheck; h != nil && h.UnhealthyThreshold > 0 {
		threshold = h.UnhealthyThreshold
	}
	return time.Duration(s.healthInterval()*threshold) * time.Second
}

// checkTargets: instances or addresses, as the group says, each on a port once,
// and of the group's VPC.
func (targetGroups) checkTargets(c *checker, d definition[targetGroupSpec]) {
	byAddress := d.spec.targetType() == types.TargetTypeEnumIp
	listed := d.spec.targets()
	for i, s := range d.spec.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		switch {
		case (s.Instance == "") == (s.IPAddress == ""):
			c.problems.AddHint(d.At(path), "give instance or ip_address", "a target is one of instance and ip_address")
			continue
		case byAddress && s.Instance != "":
			c.problems.AddHint(d.At(path), "ip_address: ${instance.NAME.private_ip} is an instance's", "a target group of type ip takes addresses")
		case !byAddress && s.IPAddress != "":
			c.problems.AddHint(d.At(path), "say target_type: ip", "a target group of type instance takes instances")
		case s.IPAddress != "" && !unresolved(s.IPAddress) && !isAddress(s.IPAddress):
			c.problems.Addf(d.At(path+".ip_address"), "%q is no address", s.IPAddress)
		case s.AvailabilityZone != "" && !byAddress:
			c.problems.Addf(d.At(path+".availability_zone"), "the zone of an instance is known")
		}
		if slices.ContainsFunc(listed[:i], func(x target) bool { return x.same(listed[i], 0) }) {
			c.problems.Addf(d.At(path), "the target %s stands in the list twice", listed[i].id)
		}
		_, instance, ok := referred[instanceSpec](c, d.Resource, path+".instance")
		if !ok {
			continue
		}
		if subnet := c.byAddress[c.target(instance, "subnet")]; subnet != nil && c.target(subnet, "vpc") != "" && c.target(d.Resource, "vpc") != "" && c.target(subnet, "vpc") != c.target(d.Resource, "vpc") {
			c.problems.Addf(d.At(path), "%s lies in another VPC than the target group", instance.Address)
		}
	}
}

func (targetGroups) checkStickiness(c *checker, d definition[targetGroupSpec]) {
	k := d.spec.Stickiness
	if k == nil {
		return
	}
	byAddress := k.Type == "source_ip"
	switch {
	case byAddress == d.spec.overHTTP() || d.spec.Protocol == "TLS":
		c.problems.AddHint(d.At("stickiness"), "cookies are for HTTP and HTTPS, source_ip for TCP and UDP", "a target group over %s has no stickiness by %s", d.spec.Protocol, k.Type)
	case byAddress && k.Duration != 0:
		c.problems.Addf(d.At("stickiness.duration"), "stickiness by source_ip has no duration")
	case (k.Type == "app_cookie") != (k.CookieName != ""):
		c.problems.AddHint(d.At("stickiness"), "cookie_name is the application's own cookie", "stickiness takes a cookie_name with app_cookie, and only then")
	case strings.HasPrefix(k.CookieName, "AWSALB"):
		c.problems.Addf(d.At("stickiness.cookie_name"), "names that begin with AWSALB are the load balancer's own")
	}
}
