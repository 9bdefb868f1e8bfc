package launch

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// The attributes of load balancers.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
const (
	balancerAttributes    = "deletion_protection.enabled load_balancing.cross_zone.enabled access_logs.s3.enabled access_logs.s3.bucket access_logs.s3.prefix ipv6.deny_all_igw_traffic zonal_shift.config.enabled"
	applicationAttributes = "idle_timeout.timeout_seconds client_keep_alive.seconds connection_logs.s3.enabled connection_logs.s3.bucket connection_logs.s3.prefix health_check_logs.s3.enabled health_check_logs.s3.bucket health_check_logs.s3.prefix routing.http.desync_mitigation_mode routing.http.drop_invalid_header_fields.enabled routing.http.preserve_host_header.enabled routing.http.x_amzn_tls_version_and_cipher_suite.enabled routing.http.xff_client_port.enabled routing.http.xff_header_processing.mode routing.http2.enabled waf.fail_open.enabled"
	networkAttributes     = "dns_record.client_routing_policy secondary_ips.auto_assigned.per_subnet"
)

// keysOfAttributes are the attributes that have keys of their own.
func (loadBalancers) keysOfAttributes() map[string]string {
	return map[string]string{
		"deletion_protection.enabled": "deletion_protection", "load_balancing.cross_zone.enabled": "cross_zone", "routing.http2.enabled": "http2",
		"routing.http.drop_invalid_header_fields.enabled": "drop_invalid_header_fields", "idle_timeout.timeout_seconds": "idle_timeout",
		"access_logs.s3.enabled": "access_logs.enabled", "access_logs.s3.bucket": "access_logs.bucket", "access_logs.s3.prefix": "access_logs.prefix",
	}
}

// known are the attributes of load balancers of a type.
func (loadBalancers) known(kind types.LoadBalancerTypeEnum) []string {
	if kind == types.LoadBalancerTypeEnumApplication {
		return strings.Fields(balancerAttributes + " " + applicationAttributes)
	}
	return strings.Fields(balancerAttributes + " " + networkAttributes)
}

func (k loadBalancers) check(c *checker, d definition[loadBalancerSpec]) {
	s := d.spec
	checkELBName(c, d.Resource, "load_balancer_name", s.LoadBalancerName)
	for _, other := range c.before(d.Resource) {
		if o, ok := other.Spec.(*loadBalancerSpec); ok && s.LoadBalancerName != "" && o.LoadBalancerName == s.LoadBalancerName {
			c.problems.Addf(d.At("load_balancer_name"), "%s has the name %s already", other.Address, s.LoadBalancerName)
		}
	}
	if s.kind() == types.LoadBalancerTypeEnumApplication {
		if s.CrossZone != nil && !*s.CrossZone {
			c.problems.AddHint(d.At("cross_zone"), "a target group can be kept to its zones by load_balancing.cross_zone.enabled", "an application load balancer always reaches the targets of all zones")
		}
	} else {
		for _, path := range []string{"idle_timeout", "http2", "drop_invalid_header_fields"} {
			if d.States(path) {
				c.problems.Addf(d.At(path), "%s is for application load balancers", path)
			}
		}
	}
	checkAttributes(c, d.Resource, s.Attributes, k.keysOfAttributes(), k.known(s.kind()))
	k.checkAddresses(c, d)
	k.checkSubnets(c, d)
}

func (loadBalancers) checkAddresses(c *checker, d definition[loadBalancerSpec]) {
	if d.spec.IPAddressType != string(types.IpAddressTypeDualstackWithoutPublicIpv4) {
		return
	}
	if d.spec.kind() != types.LoadBalancerTypeEnumApplication || d.spec.scheme() != types.LoadBalancerSchemeEnumInternetFacing {
		c.problems.Addf(d.At("ip_address_type"), "%s is for application load balancers that face the internet", d.spec.IPAddressType)
	}
}

// checkSubnets: one subnet a zone, at least two of an application load
// balancer, all of one VPC, which is that of the groups, too.
func (loadBalancers) checkSubnets(c *checker, d definition[loadBalancerSpec]) {
	zones := map[string]string{}
	vpc := ""
	for i := range d.spec.Subnets {
		path := fmt.Sprintf("subnets[%d]", i)
		s, subnet, ok := referred[subnetSpec](c, d.Resource, path)
		if !ok {
			zones[d.spec.Subnets[i]] = ""
			continue
		}
		zone := zoneName(c.region, s.AvailabilityZone)
		if other := zones[zone]; other != "" && zone != "" && !unresolved(zone) {
			c.problems.AddHint(d.At(path), "a load balancer takes one subnet a zone", "%s lies in zone %s, as does %s", subnet.Address, zone, other)
		}
		if zone == "" || unresolved(zone) {
			zone = subnet.Address
		}
		zones[zone] = subnet.Address
		at := c.target(subnet, "vpc")
		if vpc != "" && at != "" && at != vpc {
			c.problems.Addf(d.At(path), "%s lies in another VPC than the subnets before it", subnet.Address)
		}
		vpc = at
	}
	if len(zones) < 2 && d.spec.kind() == types.LoadBalancerTypeEnumApplication {
		c.problems.AddHint(d.At("subnets"), "name subnets in two zones", "an application load balancer needs subnets in at least two zones, here is %d", len(zones))
	}
	if len(d.spec.Subnets) == 0 && d.spec.kind() == types.LoadBalancerTypeEnumNetwork {
		c.problems.Addf(d.At("subnets"), "a load balancer needs a subnet")
	}
	for i := range d.spec.SecurityGroups {
		path := fmt.Sprintf("security_groups[%d]", i)
		if group := c.byAddress[c.target(d.Resource, path)]; group != nil && vpc != "" && c.target(group, "vpc") != "" && c.target(group, "vpc") != vpc {
			c.problems.Addf(d.At(path), "%s is of another VPC than the subnets", group.Address)
		}
	}
}

// vpcOf is the address of the VPC that a load balancer is in, "" where that is
// not known.
func (c *checker) vpcOf(balancer *project.Resource) string {
	for _, ref := range balancer.Refs {
		if subnet := c.byAddress[ref.Address]; ref.Kind == "subnet" && subnet != nil {
			return c.target(subnet, "vpc")
		}
	}
	return ""
}
