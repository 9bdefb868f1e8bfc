package emulator

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// getAccountAuthorizationDetails gives everything of an account, or of some
// kinds, with the policies that hang on it. Pages run over all kinds together.
func (s *iamService) getAccountAuthorizationDetails(c apiCall, in *iam.GetAccountAuthorizationDetailsInput) (*iam.GetAccountAuthorizationDetailsOutput, error) {
	wanted := map[string]bool{}
	for _, f := range in.Filter {
		wanted[strings.ToLower(string(f))] = true
	}
	var all []any
	for _, e := range s.entities.all(c.w) {
		if len(wanted) == 0 || wanted[e.Kind] {
			all = append(all, e)
		}
	}
	if len(wanted) == 0 || wanted["localmanagedpolicy"] {
		for _, p := range s.policies.all(c.w) {
			all = append(all, p)
		}
	}
	page, more, next, err := iamPage(all, in.Marker, in.MaxItems)
	out := &iam.GetAccountAuthorizationDetailsOutput{IsTruncated: more, Marker: next}
	for _, x := range page {
		switch x := x.(type) {
		case policyRow:
			out.Policies = append(out.Policies, s.policyDetail(c, x))
		case entityRow:
			s.entityDetail(c, x, out)
		}
	}
	return out, err
}

func (s *iamService) policyDetail(c apiCall, p policyRow) types.ManagedPolicyDetail {
	shown := s.shownPolicy(c, p, true)
	d := types.ManagedPolicyDetail{
		Arn: shown.Arn, AttachmentCount: shown.AttachmentCount, CreateDate: shown.CreateDate, DefaultVersionId: shown.DefaultVersionId,
		Description: shown.Description, IsAttachable: true, Path: shown.Path, PermissionsBoundaryUsageCount: shown.PermissionsBoundaryUsageCount,
		PolicyId: shown.PolicyId, PolicyName: shown.PolicyName, UpdateDate: shown.UpdateDate,
	}
	for _, v := range p.Versions {
		d.PolicyVersionList = append(d.PolicyVersionList, shownVersion(p, v, true))
	}
	return d
}

func (s *iamService) entityDetail(c apiCall, e entityRow, out *iam.GetAccountAuthorizationDetailsOutput) {
	var inline []types.PolicyDetail
	for _, name := range sortedKeys(e.Inline) {
		inline = append(inline, types.PolicyDetail{PolicyName: new(name), PolicyDocument: encoded(e.Inline[name])})
	}
	switch e.Kind {
	case "user":
		var groups []string
		for _, g := range s.groupsOf(c, e.Name) {
			groups = append(groups, g.Name)
		}
		out.UserDetailList = append(out.UserDetailList, types.UserDetail{
			Arn: &e.ARN, AttachedManagedPolicies: attachedPolicies(e), CreateDate: &e.Created, GroupList: groups, Path: &e.Path, PermissionsBoundary: shownBoundary(e),
			Tags: iamTagList(e.Tags), UserId: &e.ID, UserName: &e.Name, UserPolicyList: inline,
		})
	case "group":
		out.GroupDetailList = append(out.GroupDetailList, types.GroupDetail{
			Arn: &e.ARN, AttachedManagedPolicies: attachedPolicies(e), CreateDate: &e.Created, GroupId: &e.ID, GroupName: &e.Name, GroupPolicyList: inline, Path: &e.Path,
		})
	default:
		out.RoleDetailList = append(out.RoleDetailList, types.RoleDetail{
			Arn: &e.ARN, AssumeRolePolicyDocument: encoded(e.Trust), AttachedManagedPolicies: attachedPolicies(e), CreateDate: &e.Created,
			InstanceProfileList: s.shownProfiles(c, s.holding(c, e.Name)), Path: &e.Path, PermissionsBoundary: shownBoundary(e), RoleId: &e.ID, RoleName: &e.Name, RolePolicyList: inline,
			Tags: iamTagList(e.Tags),
		})
	}
}
