package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func openEntries() []types.NetworkAclEntry {
	var list []types.NetworkAclEntry
	entry := func(egress bool, number int32, action types.RuleAction) {
		list = append(list, types.NetworkAclEntry{
			CidrBlock: new("0.0.0.0/0"), Egress: new(egress), Protocol: new("-1"), RuleAction: action, RuleNumber: new(number),
		})
	}
	for _, egress := range []bool{true, false} {
		entry(egress, 100, types.RuleActionAllow)
		entry(egress, 32767, types.RuleActionDeny)
	}
	return list
}

func (s *ec2Service) describeNetworkAcls(c apiCall, in *ec2.DescribeNetworkAclsInput) (*ec2.DescribeNetworkAclsOutput, error) {
	rows, err := needAll(s, s.acls, c.w, aclID, in.NetworkAclIds)
	if err != nil {
		return nil, err
	}
	var list []types.NetworkAcl
	for _, row := range rows {
		list = append(list, s.showNetworkAcl(c.w, row))
	}
	id := func(a types.NetworkAcl) string { return *a.NetworkAclId }
	list, err = choose(s, c.w, list, id, filters[types.NetworkAcl]{
		"network-acl-id": func(a types.NetworkAcl) []string { return opt(a.NetworkAclId) },
		"vpc-id":         func(a types.NetworkAcl) []string { return opt(a.VpcId) },
		"default":        func(a types.NetworkAcl) []string { return flag(a.IsDefault) },
		"owner-id":       func(a types.NetworkAcl) []string { return opt(a.OwnerId) },
		"association.subnet-id": func(a types.NetworkAcl) (all []string) {
			for _, one := range a.Associations {
				all = append(all, *one.SubnetId)
			}
			return all
		},
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: list, NextToken: next}, err
}
