package emulator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type balancerRow struct {
	Balancer   types.LoadBalancer
	Attributes map[string]string
	Loopback   netip.Addr // where it listens on this host; none where no machines run
}

func (r balancerRow) arn() string  { return *r.Balancer.LoadBalancerArn }
func (r balancerRow) name() string { return *r.Balancer.LoadBalancerName }

func (s *elbService) addBalancers() {
	elbOn(s, "CreateLoadBalancer", "Name Type Scheme IpAddressType Subnets SubnetMappings.SubnetId SecurityGroups Tags.*", s.createLoadBalancer)
	elbOn(s, "DescribeLoadBalancers", "LoadBalancerArns Names Marker PageSize", s.describeLoadBalancers)
	elbOn(s, "DeleteLoadBalancer", "LoadBalancerArn", s.deleteLoadBalancer)
	elbOn(s, "SetSubnets", "LoadBalancerArn Subnets SubnetMappings.SubnetId", s.setSubnets)
	elbOn(s, "SetSecurityGroups", "LoadBalancerArn SecurityGroups", s.setSecurityGroups)
	elbOn(s, "SetIpAddressType", "LoadBalancerArn IpAddressType", s.setIPAddressType)
	elbOn(s, "ModifyLoadBalancerAttributes", "LoadBalancerArn Attributes.*", s.modifyLoadBalancerAttributes)
	elbOn(s, "DescribeLoadBalancerAttributes", "LoadBalancerArn", s.describeLoadBalancerAttributes)
}

func (s *elbService) balancer(w world, arn *string) (balancerRow, error) {
	row, ok := s.balancers.get(w, deref(arn))
	if !ok {
		return row, refuse("LoadBalancerNotFound", "Load balancers '[%s]' not found", deref(arn))
	}
	return row, nil
}

func (s *elbService) createLoadBalancer(c apiCall, in *elb.CreateLoadBalancerInput) (*elb.CreateLoadBalancerOutput, error) {
	name, kind, scheme := *in.Name, in.Type, in.Scheme
	if kind == "" {
		kind = types.LoadBalancerTypeEnumApplication
	}
	if scheme == "" {
		scheme = types.LoadBalancerSchemeEnumInternetFacing
	}
	if err := checkELBName("load balancer", name); err != nil {
		return nil, err
	}
	short, ok := map[types.LoadBalancerTypeEnum]string{types.LoadBalancerTypeEnumApplication: "app", types.LoadBalancerTypeEnumNetwork: "net"}[kind]
	if !ok {
		return nil, refuse("InvalidConfigurationRequest", "The local cloud has no load balancers of type %s", kind)
	}
	zones, vpc, err := s.zonesOf(c, kind, subnetsOf(in.Subnets, in.SubnetMappings))
	if err != nil {
		return nil, err
	}
	groups, err := s.checkGroups(c, kind, vpc, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	if err := checkIPv4(in.IpAddressType); err != nil {
		return nil, err
	}
	for _, row := range s.balancers.all(c.w) {
		if row.name() == name {
			if b := row.Balancer; b.Type == kind && b.Scheme == scheme && *b.VpcId == vpc && slices.Equal(b.SecurityGroups, groups) && sameZones(b.AvailabilityZones, zones) {
				return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{s.showBalancer(c, row)}}, nil
			}
			return nil, refuse("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", name)
		}
	}
	arn := elbARN(c, "loadbalancer/"+short+"/"+name)
	host := map[bool]string{true: "internal-"}[scheme == types.LoadBalancerSchemeEnumInternal && short == "app"] + name + "-" + arn[len(arn)-8:]
	row := balancerRow{
		Balancer: types.LoadBalancer{
			LoadBalancerArn: new(arn), LoadBalancerName: new(name), Type: kind, Scheme: scheme, VpcId: new(vpc), CreatedTime: new(c.now),
			AvailabilityZones: zones, SecurityGroups: groups, IpAddressType: types.IpAddressTypeIpv4, CanonicalHostedZoneId: new("Z215JYRZR1TBD5"),
			DNSName: new(fmt.Sprintf("%s.%s.elb.amazonaws.com", host, c.Region)),
		},
		Attributes: balancerAttributes(kind),
	}
	if s.cloud.kind != NoMachines {
		// The name is the address: what asks for it connects to it.
		row.Loopback = s.cloud.ec2.newLoopback()
		row.Balancer.DNSName = new(row.Loopback.String())
	}
	s.balancers.put(c.w, arn, row)
	if err := s.setTags(c.w, arn, in.Tags); err != nil {
		return nil, err
	}
	return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{s.showBalancer(c, row)}}, nil
}

func subnetsOf(ids []string, mappings []types.SubnetMapping) []string {
	for _, m := range mappings {
		ids = append(ids, deref(m.SubnetId))
	}
	return ids
}

func (s *elbService) zonesOf(c apiCall, kind types.LoadBalancerTypeEnum, ids []string) (zones []types.AvailabilityZone, vpc string, err error) {
	seen := map[string]bool{}
	for _, id := range ids {
		subnet, ok := s.cloud.ec2.subnets.get(c.w, id)
		if !ok {
			return nil, "", refuse("SubnetNotFound", "The subnet ID '%s' does not exist", id)
		}
		zone := *subnet.Subnet.AvailabilityZone
		switch {
		case vpc != "" && vpc != *subnet.Subnet.VpcId:
			return nil, "", refuse("InvalidConfigurationRequest", "All subnets must belong to the same VPC: '%s'", vpc)
		case seen[zone]:
			return nil, "", refuse("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		vpc, seen[zone] = *subnet.Subnet.VpcId, true
		zones = append(zones, types.AvailabilityZone{SubnetId: new(id), ZoneName: new(zone), LoadBalancerAddresses: []types.LoadBalancerAddress{}})
	}
	if len(zones) == 0 || len(zones) == 1 && kind == types.LoadBalancerTypeEnumApplication {
		return nil, "", refuse("ValidationError", "At least two subnets in two different Availability Zones must be specified")
	}
	slices.SortFunc(zones, func(a, b types.AvailabilityZone) int { return strings.Compare(*a.ZoneName, *b.ZoneName) })
	return zones, vpc, nil
}

func sameZones(a, b []types.AvailabilityZone) bool {
	return slices.EqualFunc(a, b, func(x, y types.AvailabilityZone) bool { return *x.SubnetId == *y.SubnetId })
}

// checkIPv4 refuses addresses of other kinds: no subnet here has a block of them.
func checkIPv4(kind types.IpAddressType) error {
	if kind != "" && kind != types.IpAddressTypeIpv4 {
		return refuse("InvalidConfigurationRequest", "You must specify subnets with an associated IPv6 CIDR block.")
	}
	return nil
}

// checkGroups are a balancer's security groups in order; the VPC's default one
// stands in for none of an application load balancer.
func (s *elbService) checkGroups(c apiCall, kind types.LoadBalancerTypeEnum, vpc string, ids []string) ([]string, error) {
	groups := slices.Clone(ids)
	for _, id := range groups {
		group, ok := s.cloud.ec2.groups.get(c.w, id)
		if !ok || group.VPC != vpc {
			return nil, refuse("InvalidSecurityGroup", "One or more security groups are invalid: %s", id)
		}
	}
	if len(groups) == 0 && kind == types.LoadBalancerTypeEnumApplication {
		for _, group := range s.cloud.ec2.groups.all(c.w) {
			if group.VPC == vpc && group.Name == "default" {
				groups = append(groups, group.ID)
			}
		}
	}
	slices.Sort(groups)
	return groups, nil
}

// showBalancer: a new one is provisioned for a while.
func (s *elbService) showBalancer(c apiCall, row balancerRow) types.LoadBalancer {
	b := row.Balancer
	b.State = &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive}
	if c.now.Before(b.CreatedTime.Add(s.later())) {
		b.State.Code = types.LoadBalancerStateEnumProvisioning
	}
	return b
}

func (s *elbService) describeLoadBalancers(c apiCall, in *elb.DescribeLoadBalancersInput) (*elb.DescribeLoadBalancersOutput, error) {
	rows, err := chosen(s.balancers.all(c.w), in.LoadBalancerArns, in.Names, balancerRow.arn, balancerRow.name, "LoadBalancerNotFound", "Load balancers")
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, balancerRow.arn, paging{elbPage(in.PageSize), in.Marker, 1, elbPageLimit})
	out := &elb.DescribeLoadBalancersOutput{NextMarker: next}
	for _, row := range rows {
		out.LoadBalancers = append(out.LoadBalancers, s.showBalancer(c, row))
	}
	return out, err
}

const elbPageLimit = 400

// elbPage is the size of a page, which has a bound also where none is asked for.
func elbPage(asked *int32) *int32 {
	if asked == nil {
		return new(int32(elbPageLimit))
	}
	return asked
}

// chosen are the rows with given ARNs and names, or all; one that is missing is
// an error.
func chosen[T any](rows []T, arns, names []string, arn, name func(T) string, code, what string) ([]T, error) {
	for _, asked := range []struct {
		values []string
		of     func(T) string
	}{{arns, arn}, {names, name}} {
		if len(asked.values) == 0 {
			continue
		}
		rows = keep(rows, func(r T) bool { return slices.Contains(asked.values, asked.of(r)) })
		for _, v := range asked.values {
			if !slices.ContainsFunc(rows, func(r T) bool { return asked.of(r) == v }) {
				return nil, refuse(code, "%s '[%s]' not found", what, v)
			}
		}
	}
	return rows, nil
}

func (s *elbService) deleteLoadBalancer(c apiCall, in *elb.DeleteLoadBalancerInput) (*elb.DeleteLoadBalancerOutput, error) {
	row, ok := s.balancers.get(c.w, *in.LoadBalancerArn)
	if !ok {
		return &elb.DeleteLoadBalancerOutput{}, nil // as AWS has it
	}
	if row.Attributes["deletion_protection.enabled"] == "true" {
		return nil, refuse("OperationNotPermitted", "Load balancer '%s' cannot be deleted because deletion protection is enabled", row.arn())
	}
	for _, l := range s.listeners.all(c.w) {
		if *l.Listener.LoadBalancerArn == row.arn() {
			s.dropListener(c.w, l)
		}
	}
	s.traffic.changed()
	s.balancers.remove(c.w, row.arn())
	s.tags.remove(c.w, row.arn())
	return &elb.DeleteLoadBalancerOutput{}, nil
}

func (s *elbService) setSubnets(c apiCall, in *elb.SetSubnetsInput) (*elb.SetSubnetsOutput, error) {
	row, err := s.balancer(c.w, in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	zones, vpc, err := s.zonesOf(c, row.Balancer.Type, subnetsOf(in.Subnets, in.SubnetMappings))
	if err == nil && vpc != *row.Balancer.VpcId {
		err = refuse("InvalidSubnet", "The subnets are not in the VPC of the load balancer: '%s'", *row.Balancer.VpcId)
	}
	if err != nil {
		return nil, err
	}
	row.Balancer.AvailabilityZones = zones
	s.balancers.put(c.w, row.arn(), row)
	return &elb.SetSubnetsOutput{AvailabilityZones: zones, IpAddressType: row.Balancer.IpAddressType}, nil
}

func (s *elbService) setSecurityGroups(c apiCall, in *elb.SetSecurityGroupsInput) (*elb.SetSecurityGroupsOutput, error) {
	row, err := s.balancer(c.w, in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	if len(row.Balancer.SecurityGroups) == 0 {
		return nil, refuse("InvalidConfigurationRequest", "You cannot associate security groups with a load balancer that was created without them")
	}
	row.Balancer.SecurityGroups, err = s.checkGroups(c, row.Balancer.Type, *row.Balancer.VpcId, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	s.balancers.put(c.w, row.arn(), row)
	return &elb.SetSecurityGroupsOutput{SecurityGroupIds: row.Balancer.SecurityGroups}, nil
}

func (s *elbService) setIPAddressType(c apiCall, in *elb.SetIpAddressTypeInput) (*elb.SetIpAddressTypeOutput, error) {
	_, err := s.balancer(c.w, in.LoadBalancerArn)
	return &elb.SetIpAddressTypeOutput{IpAddressType: in.IpAddressType}, firstError(err, checkIPv4(in.IpAddressType))
}

func balancerAttribute(key, value *string) types.LoadBalancerAttribute {
	return types.LoadBalancerAttribute{Key: key, Value: value}
}

func (s *elbService) modifyLoadBalancerAttributes(c apiCall, in *elb.ModifyLoadBalancerAttributesInput) (*elb.ModifyLoadBalancerAttributesOutput, error) {
	row, err := s.balancer(c.w, in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	add := attributeSet(in.Attributes, func(a types.LoadBalancerAttribute) (*string, *string) { return a.Key, a.Value })
	if add["load_balancing.cross_zone.enabled"] == "false" && row.Balancer.Type == types.LoadBalancerTypeEnumApplication {
		return nil, refuse("InvalidConfigurationRequest", "An application load balancer always has cross-zone load balancing")
	}
	if row.Attributes, err = changed(row.Attributes, add); err != nil {
		return nil, err
	}
	s.balancers.put(c.w, row.arn(), row)
	return &elb.ModifyLoadBalancerAttributesOutput{Attributes: attributeList(row.Attributes, balancerAttribute)}, nil
}

func (s *elbService) describeLoadBalancerAttributes(c apiCall, in *elb.DescribeLoadBalancerAttributesInput) (*elb.DescribeLoadBalancerAttributesOutput, error) {
	row, err := s.balancer(c.w, in.LoadBalancerArn)
	return &elb.DescribeLoadBalancerAttributesOutput{Attributes: attributeList(row.Attributes, balancerAttribute)}, err
}
