package launch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// How identities are written down.

func (iamPolicies) express(_ *expression, p policy) iamPolicySpec {
	return iamPolicySpec{PolicyName: aws.ToString(p.PolicyName), Description: aws.ToString(p.Description), Document: jsonValue(p.current())}
}

func (iamRoles) express(x *expression, r role) iamRoleSpec {
	s := iamRoleSpec{
		RoleName: aws.ToString(r.RoleName), Description: r.description, MaxSessionDuration: r.maxSession,
		AssumeRolePolicy: jsonValue(decoded(r.AssumeRolePolicyDocument)),
	}
	s.permissionsSpec = x.permissions(readPermissions(r.AttachedManagedPolicies, r.RolePolicyList))
	s.boundarySpec = x.boundary(r.PermissionsBoundary)
	return s
}

func (iamGroups) express(x *expression, g iamGroup) iamGroupSpec {
	return iamGroupSpec{GroupName: aws.ToString(g.GroupName), permissionsSpec: x.permissions(readPermissions(g.AttachedManagedPolicies, g.GroupPolicyList))}
}

func (iamUsers) express(x *expression, u iamUser) iamUserSpec {
	s := iamUserSpec{UserName: aws.ToString(u.UserName), permissionsSpec: x.permissions(readPermissions(u.AttachedManagedPolicies, u.UserPolicyList)), boundarySpec: x.boundary(u.PermissionsBoundary)}
	for _, arn := range u.groups {
		if name, ok := x.named(arn); ok {
			s.Groups = append(s.Groups, name)
			continue
		}
		s.Groups = append(s.Groups, arn)
		x.leave("groups", "%s holds for this account only: import iam_group too", arn)
	}
	slices.Sort(s.Groups)
	return s
}

// boundary is the policy that bounds a user or a role.
func (x *expression) boundary(b *types.AttachedPermissionsBoundary) boundarySpec {
	arn := boundaryOf(b)
	if name, ok := x.named(arn); ok {
		return boundarySpec{name}
	}
	if arn != "" && !strings.Contains(arn, ":aws:policy/") {
		x.leave("permissions_boundary", "%s holds for this account only: import iam_policy too", arn)
	}
	return boundarySpec{arn}
}

// permissions are those of a user, a group or a role.
func (x *expression) permissions(have granted) permissionsSpec {
	var s permissionsSpec
	for _, arn := range have.attached {
		if name, ok := x.named(arn); ok {
			s.Policies = append(s.Policies, name)
			continue
		}
		s.ManagedPolicyARNs = append(s.ManagedPolicyARNs, arn)
		if !strings.Contains(arn, ":aws:policy/") {
			x.leave("managed_policy_arns", "%s holds for this account only: import iam_policy too", arn)
		}
	}
	slices.Sort(s.Policies)
	for _, name := range union(have.inline) {
		if s.InlinePolicies == nil {
			s.InlinePolicies = map[string]any{}
		}
		s.InlinePolicies[name] = jsonValue(have.inline[name])
	}
	return s
}

// with are the policies that the role has.
func (iamRoles) with(r role) []string {
	return readPermissions(r.AttachedManagedPolicies, r.RolePolicyList).attached
}

func (iamRoles) original(_ *importing, r role) string {
	if path := aws.ToString(r.Path); strings.HasPrefix(path, "/aws-service-role/") || strings.HasPrefix(path, "/aws-reserved/") {
		return "AWS looks after it"
	}
	return ""
}

func (instanceProfiles) express(x *expression, p profile) instanceProfileSpec {
	return instanceProfileSpec{InstanceProfileName: aws.ToString(p.InstanceProfileName), Role: x.ref("role", optional(p.role()))}
}
