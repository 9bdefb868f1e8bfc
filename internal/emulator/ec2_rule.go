package emulator

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// ruleRow is one rule of a security group: one source or destination each,
// whatever number of them the call had that made it.
type ruleRow struct{ Rule types.SecurityGroupRule }

const permissionPaths = " IpPermissions.IpProtocol IpPermissions.FromPort IpPermissions.ToPort IpPermissions.IpRanges.*" +
	" IpPermissions.Ipv6Ranges.* IpPermissions.UserIdGroupPairs.GroupId IpPermissions.UserIdGroupPairs.GroupName" +
	" IpPermissions.UserIdGroupPairs.UserId IpPermissions.UserIdGroupPairs.VpcId IpPermissions.UserIdGroupPairs.Description "

func (s *ec2Service) addSecurityGroupRules() {
	const plain = " IpProtocol FromPort ToPort CidrIp "
	on(s, "AuthorizeSecurityGroupIngress", "GroupId GroupName TagSpecifications.* SourceSecurityGroupName SourceSecurityGroupOwnerId"+plain+permissionPaths, s.authorizeIngress)
	on(s, "AuthorizeSecurityGroupEgress", "GroupId TagSpecifications.*"+plain+permissionPaths, s.authorizeEgress)
	on(s, "RevokeSecurityGroupIngress", "GroupId GroupName SecurityGroupRuleIds SourceSecurityGroupName SourceSecurityGroupOwnerId"+plain+permissionPaths, s.revokeIngress)
	on(s, "RevokeSecurityGroupEgress", "GroupId SecurityGroupRuleIds"+plain+permissionPaths, s.revokeEgress)
	on(s, "DescribeSecurityGroupRules", "SecurityGroupRuleIds Filters.* MaxResults NextToken", s.describeRules)
	on(s, "ModifySecurityGroupRules", "GroupId SecurityGroupRules.SecurityGroupRuleId SecurityGroupRules.SecurityGroupRule.CidrIpv4"+
		" SecurityGroupRules.SecurityGroupRule.CidrIpv6 SecurityGroupRules.SecurityGroupRule.Description SecurityGroupRules.SecurityGroupRule.FromPort"+
		" SecurityGroupRules.SecurityGroupRule.IpProtocol SecurityGroupRules.SecurityGroupRule.ReferencedGroupId SecurityGroupRules.SecurityGroupRule.ToPort", s.modifyRules)
	on(s, "UpdateSecurityGroupRuleDescriptionsIngress", "GroupId GroupName SecurityGroupRuleDescriptions.*"+permissionPaths, s.describeIngressAnew)
	on(s, "UpdateSecurityGroupRuleDescriptionsEgress", "GroupId GroupName SecurityGroupRuleDescriptions.*"+permissionPaths, s.describeEgressAnew)
}

// anywhere is the rule that every group has from the start: all out.
func anywhere(c apiCall, group, id string) types.SecurityGroupRule {
	return types.SecurityGroupRule{
		SecurityGroupRuleId: new(id), GroupId: new(group), GroupOwnerId: new(c.Account), IsEgress: new(true),
		IpProtocol: new("-1"), FromPort: new(int32(-1)), ToPort: new(int32(-1)), CidrIpv4: new("0.0.0.0/0"),
	}
}

func (s *ec2Service) rulesOf(w world, group string) []types.SecurityGroupRule {
	var list []types.SecurityGroupRule
	for _, row := range s.rules.where(w, func(row ruleRow) bool { return *row.Rule.GroupId == group }) {
		list = append(list, row.Rule)
	}
	return list
}

// rulesByGroup are all rules, by the IDs of their groups.
func (s *ec2Service) rulesByGroup(w world) map[string][]types.SecurityGroupRule {
	byGroup := map[string][]types.SecurityGroupRule{}
	for _, row := range s.rules.all(w) {
		byGroup[*row.Rule.GroupId] = append(byGroup[*row.Rule.GroupId], row.Rule)
	}
	return byGroup
}

// peer is what a rule lets in or out: the part that tells rules of the same
// protocol and ports apart.
func peer(r types.SecurityGroupRule) string {
	if r.ReferencedGroupInfo != nil {
		return *r.ReferencedGroupInfo.GroupId
	}
	return deref(r.CidrIpv4) + deref(r.CidrIpv6)
}

// traffic is the protocol and the ports of a rule.
func traffic(r types.SecurityGroupRule) string {
	return fmt.Sprintf("%s, from port: %d, to port: %d", *r.IpProtocol, deref(r.FromPort), deref(r.ToPort))
}

func sameRule(a, b types.SecurityGroupRule) bool {
	return deref(a.IsEgress) == deref(b.IsEgress) && traffic(a) == traffic(b) && peer(a) == peer(b)
}

// permissions lists rules in the older form: sources or destinations of the
// same protocol and ports together.
func permissions(rules []types.SecurityGroupRule, egress bool) []types.IpPermission {
	var list []types.IpPermission
	index := map[string]int{}
	for _, r := range rules {
		if *r.IsEgress != egress {
			continue
		}
		i, ok := index[traffic(r)]
		if !ok {
			i = len(list)
			index[traffic(r)] = i
			list = append(list, types.IpPermission{IpProtocol: r.IpProtocol})
			if *r.IpProtocol != "-1" {
				list[i].FromPort, list[i].ToPort = r.FromPort, r.ToPort
			}
		}
		p := &list[i]
		switch {
		case r.ReferencedGroupInfo != nil:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{
				GroupId: r.ReferencedGroupInfo.GroupId, UserId: r.ReferencedGroupInfo.UserId, Description: r.Description,
			})
		case r.CidrIpv6 != nil:
			p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: r.CidrIpv6, Description: r.Description})
		default:
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: r.CidrIpv4, Description: r.Description})
		}
	}
	return list
}

func (s *ec2Service) authorizeIngress(c apiCall, in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	list, err := plainPermission(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName)
	if err != nil {
		return nil, err
	}
	group, err := s.groupByEither(c, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	rules, err := s.authorize(c, group, false, list, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: new(true), SecurityGroupRules: rules}, err
}

func (s *ec2Service) authorizeEgress(c apiCall, in *ec2.AuthorizeSecurityGroupEgressInput) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	list, err := plainPermission(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, nil)
	if err != nil {
		return nil, err
	}
	group, err := s.groupByEither(c, in.GroupId, nil)
	if err != nil {
		return nil, err
	}
	rules, err := s.authorize(c, group, true, list, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupEgressOutput{Return: new(true), SecurityGroupRules: rules}, err
}

const maxRules = 60 // a direction, EC2's quota for a new account

func (s *ec2Service) authorize(c apiCall, group groupRow, egress bool, list []types.IpPermission, specs []types.TagSpecification) ([]types.SecurityGroupRule, error) {
	tags, err := readBirthTags(specs, types.ResourceTypeSecurityGroupRule)
	if err != nil {
		return nil, err
	}
	rules, err := s.readRules(c, group, egress, list)
	if err != nil {
		return nil, err
	}
	have := s.rulesOf(c.w, group.ID)
	for i := range rules {
		for _, old := range have {
			if sameRule(old, rules[i]) {
				return nil, refuse("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, ALLOW\" already exists", peer(rules[i]), strings.ToUpper(traffic(rules[i])))
			}
		}
		id := ruleID.make()
		rules[i].SecurityGroupRuleId = new(id)
		s.rules.put(c.w, id, ruleRow{rules[i]})
		if err := s.born(c, ruleID, id, tags); err != nil {
			return nil, err
		}
		have = append(have, rules[i])
		rules[i] = s.showRule(c, rules[i])
	}
	if n := len(keep(have, func(r types.SecurityGroupRule) bool { return *r.IsEgress == egress })); n > maxRules {
		return nil, refuse("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	return rules, nil
}

func (s *ec2Service) showRule(c apiCall, r types.SecurityGroupRule) types.SecurityGroupRule {
	id := *r.SecurityGroupRuleId
	r.Tags = s.tagList(c.w, id)
	r.SecurityGroupRuleArn = new(fmt.Sprintf("arn:aws:ec2:%s:%s:security-group-rule/%s", c.Region, c.Account, id))
	return r
}

func (s *ec2Service) revokeIngress(c apiCall, in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	group, err := s.groupByEither(c, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	list := in.IpPermissions
	if len(in.SecurityGroupRuleIds) == 0 {
		if list, err = plainPermission(list, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName); err != nil {
			return nil, err
		}
	}
	revoked, err := s.revoke(c, group, false, list, in.SecurityGroupRuleIds)
	return &ec2.RevokeSecurityGroupIngressOutput{Return: new(true), RevokedSecurityGroupRules: revoked}, err
}

func (s *ec2Service) revokeEgress(c apiCall, in *ec2.RevokeSecurityGroupEgressInput) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	group, err := s.groupByEither(c, in.GroupId, nil)
	if err != nil {
		return nil, err
	}
	list := in.IpPermissions
	if len(in.SecurityGroupRuleIds) == 0 {
		if list, err = plainPermission(list, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, nil); err != nil {
			return nil, err
		}
	}
	revoked, err := s.revoke(c, group, true, list, in.SecurityGroupRuleIds)
	return &ec2.RevokeSecurityGroupEgressOutput{Return: new(true), RevokedSecurityGroupRules: revoked}, err
}

func (s *ec2Service) revoke(c apiCall, group groupRow, egress bool, list []types.IpPermission, ids []string) ([]types.RevokedSecurityGroupRule, error) {
	if len(list) > 0 && len(ids) > 0 {
		return nil, refuse("InvalidParameterCombination", "The parameters ipPermissions and securityGroupRuleIds may not be used together")
	}
	targets, err := s.findRules(c, group, egress, list, ids)
	if err != nil {
		return nil, err
	}
	var revoked []types.RevokedSecurityGroupRule
	for _, r := range targets {
		id := *r.SecurityGroupRuleId
		s.rules.remove(c.w, id)
		s.gone(c.w, id)
		out := types.RevokedSecurityGroupRule{
			SecurityGroupRuleId: new(id), GroupId: r.GroupId, IsEgress: r.IsEgress, IpProtocol: r.IpProtocol,
			FromPort: r.FromPort, ToPort: r.ToPort, CidrIpv4: r.CidrIpv4, CidrIpv6: r.CidrIpv6, Description: r.Description,
		}
		if r.ReferencedGroupInfo != nil {
			out.ReferencedGroupId = r.ReferencedGroupInfo.GroupId
		}
		revoked = append(revoked, out)
	}
	return revoked, nil
}

// findRules finds a group's rules by IDs or by permissions; all must exist.
func (s *ec2Service) findRules(c apiCall, group groupRow, egress bool, list []types.IpPermission, ids []string) ([]types.SecurityGroupRule, error) {
	var found []types.SecurityGroupRule
	for _, id := range ids {
		row, err := need(s.rules, c.w, ruleID, &id)
		if err != nil {
			return nil, err
		}
		if *row.Rule.GroupId != group.ID || *row.Rule.IsEgress != egress {
			return nil, ruleID.missing(id)
		}
		found = append(found, row.Rule)
	}
	wanted, err := s.readRules(c, group, egress, list)
	if err != nil {
		return nil, err
	}
	for _, want := range wanted {
		match := keep(s.rulesOf(c.w, group.ID), func(r types.SecurityGroupRule) bool { return sameRule(r, want) })
		if len(match) == 0 {
			return nil, refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		match[0].Description = want.Description
		found = append(found, match[0])
	}
	return found, nil
}

func (s *ec2Service) describeRules(c apiCall, in *ec2.DescribeSecurityGroupRulesInput) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	if err := noPagesOfIDs(in.SecurityGroupRuleIds, "securityGroupRuleIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.rules, c.w, ruleID, in.SecurityGroupRuleIds)
	if err != nil {
		return nil, err
	}
	id := func(r ruleRow) string { return *r.Rule.SecurityGroupRuleId }
	rows, err = choose(s, c.w, rows, id, filters[ruleRow]{
		"group-id":               func(r ruleRow) []string { return opt(r.Rule.GroupId) },
		"security-group-rule-id": func(r ruleRow) []string { return opt(r.Rule.SecurityGroupRuleId) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeSecurityGroupRulesOutput{NextToken: next}
	for _, row := range rows {
		out.SecurityGroupRules = append(out.SecurityGroupRules, s.showRule(c, row.Rule))
	}
	return out, err
}

func (s *ec2Service) modifyRules(c apiCall, in *ec2.ModifySecurityGroupRulesInput) (*ec2.ModifySecurityGroupRulesOutput, error) {
	group, err := need(s.groups, c.w, groupID, in.GroupId)
	if err != nil {
		return nil, err
	}
	if len(in.SecurityGroupRules) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter SecurityGroupRule")
	}
	for _, update := range in.SecurityGroupRules {
		row, err := need(s.rules, c.w, ruleID, update.SecurityGroupRuleId)
		if err != nil {
			return nil, err
		}
		if *row.Rule.GroupId != group.ID {
			return nil, ruleID.missing(*update.SecurityGroupRuleId)
		}
		asked := deref(update.SecurityGroupRule)
		p := types.IpPermission{IpProtocol: asked.IpProtocol, FromPort: asked.FromPort, ToPort: asked.ToPort}
		if asked.CidrIpv4 != nil {
			p.IpRanges = []types.IpRange{{CidrIp: asked.CidrIpv4, Description: asked.Description}}
		}
		if asked.CidrIpv6 != nil {
			p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: asked.CidrIpv6, Description: asked.Description}}
		}
		if asked.ReferencedGroupId != nil {
			p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: asked.ReferencedGroupId, Description: asked.Description}}
		}
		rules, err := s.readRules(c, group, *row.Rule.IsEgress, []types.IpPermission{p})
		if err != nil {
			return nil, err
		}
		if len(rules) != 1 {
			return nil, refuse("InvalidParameterCombination", "Exactly one of the source or destination parameters has to be specified")
		}
		for _, other := range s.rulesOf(c.w, group.ID) {
			if *other.SecurityGroupRuleId != *row.Rule.SecurityGroupRuleId && sameRule(other, rules[0]) {
				return nil, refuse("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, ALLOW\" already exists", peer(rules[0]), strings.ToUpper(traffic(rules[0])))
			}
		}
		rules[0].SecurityGroupRuleId = row.Rule.SecurityGroupRuleId
		s.rules.put(c.w, *row.Rule.SecurityGroupRuleId, ruleRow{rules[0]})
	}
	return &ec2.ModifySecurityGroupRulesOutput{Return: new(true)}, nil
}

func (s *ec2Service) describeIngressAnew(c apiCall, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	err := s.describeAnew(c, in.GroupId, in.GroupName, false, in.IpPermissions, in.SecurityGroupRuleDescriptions)
	return &ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: new(true)}, err
}

func (s *ec2Service) describeEgressAnew(c apiCall, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	err := s.describeAnew(c, in.GroupId, in.GroupName, true, in.IpPermissions, in.SecurityGroupRuleDescriptions)
	return &ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: new(true)}, err
}

// describeAnew changes the descriptions of rules.
func (s *ec2Service) describeAnew(c apiCall, id, name *string, egress bool, list []types.IpPermission, byID []types.SecurityGroupRuleDescription) error {
	group, err := s.groupByEither(c, id, name)
	if err != nil {
		return err
	}
	if (len(list) == 0) == (len(byID) == 0) {
		return refuse("InvalidParameterCombination", "Exactly one of ipPermissions and securityGroupRuleDescriptions has to be specified")
	}
	found, err := s.findRules(c, group, egress, list, nil)
	if err != nil {
		return err
	}
	for _, d := range byID {
		one, err := s.findRules(c, group, egress, nil, []string{deref(d.SecurityGroupRuleId)})
		if err != nil {
			return err
		}
		one[0].Description = d.Description
		found = append(found, one...)
	}
	for _, rule := range found {
		if err := checkRuleDescription(rule.Description); err != nil {
			return err
		}
		s.rules.put(c.w, *rule.SecurityGroupRuleId, ruleRow{rule})
	}
	return nil
}
