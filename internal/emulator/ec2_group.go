package emulator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type groupRow struct {
	ID          string
	Name        string
	Description string
	VPC         string
}

func (s *ec2Service) addSecurityGroups() {
	on(s, "CreateSecurityGroup", "GroupName Description VpcId TagSpecifications.*", s.createSecurityGroup)
	on(s, "DescribeSecurityGroups", "GroupIds GroupNames Filters.* MaxResults NextToken", s.describeSecurityGroups)
	on(s, "DeleteSecurityGroup", "GroupId GroupName", s.deleteSecurityGroup)
}

func groupARN(c apiCall, id string) *string {
	return new(fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", c.Region, c.Account, id))
}

func (s *ec2Service) createSecurityGroup(c apiCall, in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeSecurityGroup)
	if err != nil {
		return nil, err
	}
	if err := firstError(require("GroupName", in.GroupName), require("GroupDescription", in.Description)); err != nil {
		return nil, err
	}
	if err := checkGroupText(*in.GroupName, *in.Description); err != nil {
		return nil, err
	}
	var vpc vpcRow
	if deref(in.VpcId) == "" {
		var ok bool
		if vpc, ok = s.defaultVPC(c.w); !ok {
			return nil, refuse("VPCIdNotSpecified", "No default VPC for this user")
		}
	} else if vpc, err = need(s.vpcs, c.w, vpcID, in.VpcId); err != nil {
		return nil, err
	}
	id := *vpc.Vpc.VpcId
	if _, taken := s.groupNamed(c.w, id, *in.GroupName); taken {
		return nil, refuse("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", *in.GroupName, id)
	}
	row := groupRow{ID: groupID.make(), Name: *in.GroupName, Description: *in.Description, VPC: id}
	s.groups.put(c.w, row.ID, row)
	rule := ruleID.make()
	s.rules.put(c.w, rule, ruleRow{anywhere(c, row.ID, rule)})
	if err := s.born(c, groupID, row.ID, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateSecurityGroupOutput{GroupId: new(row.ID), SecurityGroupArn: groupARN(c, row.ID), Tags: s.tagList(c.w, row.ID)}, nil
}

func checkGroupText(name, description string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"
	switch {
	case strings.HasPrefix(name, "sg-"):
		return refuse("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*", name)
	case len(name) > 255 || strings.Trim(name, allowed) != "":
		return refuse("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", name)
	case len(description) > 255 || strings.Trim(description, allowed) != "":
		return refuse("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", description)
	case name == "default":
		return refuse("InvalidParameterValue", "Cannot use reserved security group name: default")
	}
	return nil
}

func (s *ec2Service) groupNamed(w world, vpc, name string) (groupRow, bool) {
	for _, row := range s.groups.all(w) {
		if row.VPC == vpc && row.Name == name {
			return row, true
		}
	}
	return groupRow{}, false
}

// groupByEither finds a group by its ID or, in the default VPC, by its name.
func (s *ec2Service) groupByEither(c apiCall, id, name *string) (groupRow, error) {
	if deref(id) != "" {
		return need(s.groups, c.w, groupID, id)
	}
	if deref(name) == "" {
		return groupRow{}, refuse("MissingParameter", "The request must contain the parameter groupName or groupId")
	}
	vpc, _ := s.defaultVPC(c.w)
	row, ok := s.groupNamed(c.w, deref(vpc.Vpc.VpcId), *name)
	if !ok {
		return row, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", *name, deref(vpc.Vpc.VpcId))
	}
	return row, nil
}

func (s *ec2Service) showGroup(c apiCall, row groupRow, rules []types.SecurityGroupRule) types.SecurityGroup {
	return types.SecurityGroup{
		GroupId: new(row.ID), GroupName: new(row.Name), Description: new(row.Description), VpcId: new(row.VPC),
		OwnerId: new(c.Account), SecurityGroupArn: groupARN(c, row.ID), Tags: s.tagList(c.w, row.ID),
		IpPermissions: permissions(rules, false), IpPermissionsEgress: permissions(rules, true),
	}
}

func (s *ec2Service) describeSecurityGroups(c apiCall, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	if err := noPagesOfIDs(append(copied(in.GroupIds), in.GroupNames...), "GroupIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.groups, c.w, groupID, in.GroupIds)
	if err != nil {
		return nil, err
	}
	if len(in.GroupNames) > 0 {
		if len(in.GroupIds) == 0 {
			rows = nil
		}
		for _, name := range in.GroupNames {
			row, err := s.groupByEither(c, nil, &name)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	list, rules := make([]types.SecurityGroup, len(rows)), s.rulesByGroup(c.w)
	for i, row := range rows {
		list[i] = s.showGroup(c, row, rules[row.ID])
	}
	id := func(g types.SecurityGroup) string { return *g.GroupId }
	list, err = choose(s, c.w, list, id, groupFilters(), in.Filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: list, NextToken: next}, err
}

func groupFilters() filters[types.SecurityGroup] {
	f := filters[types.SecurityGroup]{
		"group-id":    func(g types.SecurityGroup) []string { return opt(g.GroupId) },
		"group-name":  func(g types.SecurityGroup) []string { return opt(g.GroupName) },
		"description": func(g types.SecurityGroup) []string { return opt(g.Description) },
		"vpc-id":      func(g types.SecurityGroup) []string { return opt(g.VpcId) },
		"owner-id":    func(g types.SecurityGroup) []string { return opt(g.OwnerId) },
	}
	for name, pick := range map[string]func(types.IpPermission) []string{
		"protocol":  func(p types.IpPermission) []string { return opt(p.IpProtocol) },
		"from-port": func(p types.IpPermission) []string { return number(p.FromPort) },
		"to-port":   func(p types.IpPermission) []string { return number(p.ToPort) },
		"cidr": func(p types.IpPermission) (all []string) {
			for _, r := range p.IpRanges {
				all = append(all, *r.CidrIp)
			}
			return all
		},
		"group-id": func(p types.IpPermission) (all []string) {
			for _, pair := range p.UserIdGroupPairs {
				all = append(all, *pair.GroupId)
			}
			return all
		},
	} {
		each := func(list []types.IpPermission) (all []string) {
			for _, p := range list {
				all = append(all, pick(p)...)
			}
			return all
		}
		f["ip-permission."+name] = func(g types.SecurityGroup) []string { return each(g.IpPermissions) }
		f["egress.ip-permission."+name] = func(g types.SecurityGroup) []string { return each(g.IpPermissionsEgress) }
	}
	return f
}

func (s *ec2Service) deleteSecurityGroup(c apiCall, in *ec2.DeleteSecurityGroupInput) (*ec2.DeleteSecurityGroupOutput, error) {
	row, err := s.groupByEither(c, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	if row.Name == "default" {
		return nil, refuse("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", row.ID)
	}
	for _, instance := range s.instances.all(c.w) {
		for _, id := range instance.Groups {
			if id == row.ID && instance.holdsNetwork() {
				return nil, refuse("DependencyViolation", "resource %s has a dependent object", row.ID)
			}
		}
	}
	for _, nic := range s.nics.all(c.w) {
		if slices.Contains(nic.Groups, row.ID) {
			return nil, refuse("DependencyViolation", "resource %s has a dependent object", row.ID)
		}
	}
	for _, rule := range s.rules.all(c.w) {
		if rule.Rule.ReferencedGroupInfo != nil && *rule.Rule.ReferencedGroupInfo.GroupId == row.ID && *rule.Rule.GroupId != row.ID {
			return nil, refuse("DependencyViolation", "resource %s has a dependent object", row.ID)
		}
	}
	s.removeGroup(c.w, row.ID)
	return &ec2.DeleteSecurityGroupOutput{GroupId: new(row.ID), Return: new(true)}, nil
}

// removeGroup removes a group with its rules.
func (s *ec2Service) removeGroup(w world, id string) {
	for _, rule := range s.rulesOf(w, id) {
		s.rules.remove(w, *rule.SecurityGroupRuleId)
		s.gone(w, *rule.SecurityGroupRuleId)
	}
	s.groups.remove(w, id)
	s.gone(w, id)
}
