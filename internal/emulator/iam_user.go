package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func (s *iamService) addUsers() {
	onIAM(s, "CreateUser", "UserName Path PermissionsBoundary Tags.*", s.createUser)
	onIAM(s, "GetUser", "UserName", s.getUser)
	onIAM(s, "ListUsers", "PathPrefix Marker MaxItems", s.listUsers)
	onIAM(s, "UpdateUser", "UserName NewUserName NewPath", s.updateUser)
	onIAM(s, "DeleteUser", "UserName", s.deleteUser)
}

// shownUser leaves tags out where tags is false: lists have none.
func shownUser(e entityRow, tags bool) types.User {
	u := types.User{Arn: &e.ARN, CreateDate: &e.Created, Path: &e.Path, UserId: &e.ID, UserName: &e.Name}
	if tags {
		u.Tags, u.PermissionsBoundary = iamTagList(e.Tags), shownBoundary(e)
	}
	return u
}

func (s *iamService) createUser(c apiCall, in *iam.CreateUserInput) (*iam.CreateUserOutput, error) {
	e, err := s.create(c, "user", "AIDA", *in.UserName, in.Path, in.Tags)
	if err == nil {
		e.Boundary, err = s.boundary(c, in.PermissionsBoundary)
	}
	if err != nil {
		return nil, err
	}
	s.put(c, e)
	return &iam.CreateUserOutput{User: new(shownUser(e, true))}, nil
}

func (s *iamService) getUser(c apiCall, in *iam.GetUserInput) (*iam.GetUserOutput, error) {
	e, err := s.user(c, in.UserName)
	return &iam.GetUserOutput{User: new(shownUser(e, true))}, err
}

func (s *iamService) listUsers(c apiCall, in *iam.ListUsersInput) (*iam.ListUsersOutput, error) {
	page, more, next, err := iamPage(s.ofKind(c, "user", in.PathPrefix), in.Marker, in.MaxItems)
	out := &iam.ListUsersOutput{IsTruncated: more, Marker: next}
	for _, e := range page {
		out.Users = append(out.Users, shownUser(e, false))
	}
	return out, err
}

func (s *iamService) updateUser(c apiCall, in *iam.UpdateUserInput) (*iam.UpdateUserOutput, error) {
	u, err := s.entity(c, "user", in.UserName)
	if err != nil {
		return nil, err
	}
	groups, old := s.groupsOf(c, u.Name), u.Name
	if err := s.move(c, &u, in.NewUserName, in.NewPath); err != nil {
		return nil, err
	}
	for _, g := range groups {
		g.Users = with(without(g.Users, old), u.Name)
		slices.Sort(g.Users)
		s.put(c, g)
	}
	return &iam.UpdateUserOutput{}, nil
}

func (s *iamService) deleteUser(c apiCall, in *iam.DeleteUserInput) (*iam.DeleteUserOutput, error) {
	e, err := s.entity(c, "user", in.UserName)
	if err != nil {
		return nil, err
	}
	if len(s.groupsOf(c, e.Name)) > 0 {
		return nil, iamConflict("DeleteConflict", "Cannot delete entity, must remove users from group first.")
	}
	return &iam.DeleteUserOutput{}, s.remove(c, e)
}

func (s *iamService) groupsOf(c apiCall, user string) []entityRow {
	return slices.DeleteFunc(s.ofKind(c, "group", nil), func(g entityRow) bool { return !slices.Contains(g.Users, user) })
}
