package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func (s *iamService) addRoles() {
	onIAM(s, "CreateRole", "RoleName Path AssumeRolePolicyDocument Description MaxSessionDuration PermissionsBoundary Tags.*", s.createRole)
	onIAM(s, "GetRole", "RoleName", s.getRole)
	onIAM(s, "ListRoles", "PathPrefix Marker MaxItems", s.listRoles)
	onIAM(s, "UpdateRole", "RoleName Description MaxSessionDuration", s.updateRole)
	onIAM(s, "UpdateAssumeRolePolicy", "RoleName PolicyDocument", s.updateAssumeRolePolicy)
	onIAM(s, "DeleteRole", "RoleName", s.deleteRole)
}

func shownRole(e entityRow, tags bool) types.Role {
	r := types.Role{
		Arn: &e.ARN, CreateDate: &e.Created, Path: &e.Path, RoleId: &e.ID, RoleName: &e.Name,
		AssumeRolePolicyDocument: encoded(e.Trust), Description: e.Description, MaxSessionDuration: &e.MaxSession,
	}
	if tags {
		r.Tags, r.PermissionsBoundary = iamTagList(e.Tags), shownBoundary(e)
	}
	return r
}

// maxSession is a checked duration of sessions: one hour by default.
func maxSession(asked *int32) (int32, error) {
	if asked == nil {
		return 3600, nil
	}
	if *asked < 3600 || *asked > 43200 {
		return 0, iamInvalid("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between 3600 and 43200", *asked)
	}
	return *asked, nil
}

func (s *iamService) createRole(c apiCall, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	e, err := s.create(c, "role", "AROA", *in.RoleName, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkDocument(*in.AssumeRolePolicyDocument, true); err != nil {
		return nil, err
	}
	if e.MaxSession, err = maxSession(in.MaxSessionDuration); err != nil {
		return nil, err
	}
	if e.Boundary, err = s.boundary(c, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	e.Trust, e.Description = *in.AssumeRolePolicyDocument, in.Description
	s.put(c, e)
	return &iam.CreateRoleOutput{Role: new(shownRole(e, true))}, nil
}

func (s *iamService) getRole(c apiCall, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	e, err := s.entity(c, "role", in.RoleName)
	return &iam.GetRoleOutput{Role: new(shownRole(e, true))}, err
}

func (s *iamService) listRoles(c apiCall, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	page, more, next, err := iamPage(s.ofKind(c, "role", in.PathPrefix), in.Marker, in.MaxItems)
	out := &iam.ListRolesOutput{IsTruncated: more, Marker: next}
	for _, e := range page {
		out.Roles = append(out.Roles, shownRole(e, false))
	}
	return out, err
}

func (s *iamService) updateRole(c apiCall, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	e, err := s.entity(c, "role", in.RoleName)
	if err != nil {
		return nil, err
	}
	if in.MaxSessionDuration != nil {
		if e.MaxSession, err = maxSession(in.MaxSessionDuration); err != nil {
			return nil, err
		}
	}
	if in.Description != nil {
		e.Description = in.Description
	}
	s.put(c, e)
	return &iam.UpdateRoleOutput{}, nil
}

func (s *iamService) updateAssumeRolePolicy(c apiCall, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	e, err := s.entity(c, "role", in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := checkDocument(*in.PolicyDocument, true); err != nil {
		return nil, err
	}
	e.Trust = *in.PolicyDocument
	s.put(c, e)
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

func (s *iamService) deleteRole(c apiCall, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	e, err := s.entity(c, "role", in.RoleName)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.profiles.all(c.w), func(p profileRow) bool { return p.Role == e.Name }) {
		return nil, iamConflict("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	return &iam.DeleteRoleOutput{}, s.remove(c, e)
}
