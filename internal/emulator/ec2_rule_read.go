package emulator

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// ports reads a rule's protocol and ports into the form that EC2 keeps.
func ports(protocol *string, from, to *int32) (string, int32, int32, error) {
	if deref(protocol) == "" {
		return "", 0, 0, refuse("MissingParameter", "The request must contain the parameter ipProtocol")
	}
	name := strings.ToLower(*protocol)
	if known, ok := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}[name]; ok {
		name = known
	}
	switch name {
	case "-1":
		return name, -1, -1, nil
	case "tcp", "udp":
		if from == nil || to == nil {
			return "", 0, 0, refuse("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from < 0 || *to > 65535 || *from > *to {
			return "", 0, 0, refuse("InvalidParameterValue", "Invalid value '%d-%d' for portRange. Must be between 0 and 65535, the lower first", *from, *to)
		}
		return name, *from, *to, nil
	case "icmp", "icmpv6":
		if from == nil || to == nil {
			return name, -1, -1, nil
		}
		return name, *from, *to, nil
	}
	if n, err := strconv.Atoi(name); err != nil || n < 0 || n > 255 {
		return "", 0, 0, refuse("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", *protocol)
	}
	return name, -1, -1, nil
}

// readRules reads permissions into rules, one for each source or destination.
func (s *ec2Service) readRules(c apiCall, group groupRow, egress bool, list []types.IpPermission) ([]types.SecurityGroupRule, error) {
	var rules []types.SecurityGroupRule
	for _, p := range list {
		protocol, from, to, err := ports(p.IpProtocol, p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		base := types.SecurityGroupRule{
			GroupId: new(group.ID), GroupOwnerId: new(c.Account), IsEgress: new(egress),
			IpProtocol: new(protocol), FromPort: new(from), ToPort: new(to),
		}
		before := len(rules)
		for _, r := range p.IpRanges {
			rule := base
			if rule.CidrIpv4, err = ruleBlock(r.CidrIp, true); err != nil {
				return nil, err
			}
			rule.Description = r.Description
			rules = append(rules, rule)
		}
		for _, r := range p.Ipv6Ranges {
			rule := base
			if rule.CidrIpv6, err = ruleBlock(r.CidrIpv6, false); err != nil {
				return nil, err
			}
			rule.Description = r.Description
			rules = append(rules, rule)
		}
		for _, pair := range p.UserIdGroupPairs {
			rule := base
			if rule.ReferencedGroupInfo, err = s.readGroupPair(c, group, pair); err != nil {
				return nil, err
			}
			rule.Description = pair.Description
			rules = append(rules, rule)
		}
		if len(rules) == before {
			return nil, refuse("MissingParameter", "Either 'cidrIp' or 'sourceSecurityGroupId' should be specified.")
		}
	}
	for _, rule := range rules {
		if err := checkRuleDescription(rule.Description); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func checkRuleDescription(text *string) error {
	if len(deref(text)) > 255 {
		return refuse("InvalidParameterValue", "Invalid rule description. Descriptions must be at most 255 characters long.")
	}
	return nil
}

func ruleBlock(text *string, four bool) (*string, error) {
	block, err := netip.ParsePrefix(deref(text))
	if err != nil || block.Addr().Is4() != four {
		return nil, refuse("InvalidParameterValue", "CIDR block %s is malformed", deref(text))
	}
	return new(block.Masked().String()), nil
}

func (s *ec2Service) readGroupPair(c apiCall, group groupRow, pair types.UserIdGroupPair) (*types.ReferencedSecurityGroup, error) {
	if owner := deref(pair.UserId); owner != "" && owner != c.Account {
		return nil, refuse("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	var other groupRow
	var err error
	if deref(pair.GroupId) != "" {
		other, err = need(s.groups, c.w, groupID, pair.GroupId)
	} else {
		var ok bool
		if other, ok = s.groupNamed(c.w, group.VPC, deref(pair.GroupName)); !ok {
			err = refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", deref(pair.GroupName))
		}
	}
	if err != nil {
		return nil, err
	}
	if other.VPC != group.VPC {
		return nil, refuse("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	return &types.ReferencedSecurityGroup{GroupId: new(other.ID), UserId: new(c.Account), VpcId: new(other.VPC)}, nil
}

// plainPermission is the permission that a call gives in its own parameters
// rather than in a list.
func plainPermission(list []types.IpPermission, protocol *string, from, to *int32, block, group *string) ([]types.IpPermission, error) {
	if protocol == nil && block == nil && group == nil {
		if len(list) == 0 {
			return nil, refuse("MissingParameter", "The request must contain the parameter ipPermissions")
		}
		return list, nil
	}
	if len(list) > 0 {
		return nil, refuse("InvalidParameterCombination", "The parameter ipPermissions may not be used with other rule parameters")
	}
	one := types.IpPermission{IpProtocol: protocol, FromPort: from, ToPort: to}
	if group != nil {
		if one.IpProtocol == nil {
			one.IpProtocol = new("-1")
		}
		one.UserIdGroupPairs = []types.UserIdGroupPair{{GroupName: group}}
	}
	if block != nil {
		one.IpRanges = []types.IpRange{{CidrIp: block}}
	}
	return []types.IpPermission{one}, nil
}
