package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// maxGroupsOfUser is how many groups a user may be in.
const maxGroupsOfUser = 10

func (s *iamService) addGroups() {
	onIAM(s, "CreateGroup", "GroupName Path", s.createGroup)
	onIAM(s, "GetGroup", "GroupName Marker MaxItems", s.getGroup)
	onIAM(s, "ListGroups", "PathPrefix Marker MaxItems", s.listGroups)
	onIAM(s, "ListGroupsForUser", "UserName Marker MaxItems", s.listGroupsForUser)
	onIAM(s, "UpdateGroup", "GroupName NewGroupName NewPath", s.updateGroup)
	onIAM(s, "DeleteGroup", "GroupName", s.deleteGroup)
	onIAM(s, "AddUserToGroup", "GroupName UserName", s.addUserToGroup)
	onIAM(s, "RemoveUserFromGroup", "GroupName UserName", s.removeUserFromGroup)
}

func shownGroup(e entityRow) types.Group {
	return types.Group{Arn: &e.ARN, CreateDate: &e.Created, Path: &e.Path, GroupId: &e.ID, GroupName: &e.Name}
}

func shownGroups(list []entityRow) []types.Group {
	var groups []types.Group
	for _, e := range list {
		groups = append(groups, shownGroup(e))
	}
	return groups
}

func (s *iamService) createGroup(c apiCall, in *iam.CreateGroupInput) (*iam.CreateGroupOutput, error) {
	e, err := s.create(c, "group", "AGPA", *in.GroupName, in.Path, nil)
	if err != nil {
		return nil, err
	}
	s.put(c, e)
	return &iam.CreateGroupOutput{Group: new(shownGroup(e))}, nil
}

func (s *iamService) getGroup(c apiCall, in *iam.GetGroupInput) (*iam.GetGroupOutput, error) {
	g, err := s.entity(c, "group", in.GroupName)
	if err != nil {
		return nil, err
	}
	page, more, next, err := iamPage(g.Users, in.Marker, in.MaxItems)
	out := &iam.GetGroupOutput{Group: new(shownGroup(g)), IsTruncated: more, Marker: next}
	for _, name := range page {
		if u, err := s.entity(c, "user", &name); err == nil {
			out.Users = append(out.Users, shownUser(u, false))
		}
	}
	return out, err
}

func (s *iamService) listGroups(c apiCall, in *iam.ListGroupsInput) (*iam.ListGroupsOutput, error) {
	page, more, next, err := iamPage(s.ofKind(c, "group", in.PathPrefix), in.Marker, in.MaxItems)
	return &iam.ListGroupsOutput{Groups: shownGroups(page), IsTruncated: more, Marker: next}, err
}

func (s *iamService) listGroupsForUser(c apiCall, in *iam.ListGroupsForUserInput) (*iam.ListGroupsForUserOutput, error) {
	u, err := s.entity(c, "user", in.UserName)
	if err != nil {
		return nil, err
	}
	page, more, next, err := iamPage(s.groupsOf(c, u.Name), in.Marker, in.MaxItems)
	return &iam.ListGroupsForUserOutput{Groups: shownGroups(page), IsTruncated: more, Marker: next}, err
}

func (s *iamService) updateGroup(c apiCall, in *iam.UpdateGroupInput) (*iam.UpdateGroupOutput, error) {
	g, err := s.entity(c, "group", in.GroupName)
	if err != nil {
		return nil, err
	}
	return &iam.UpdateGroupOutput{}, s.move(c, &g, in.NewGroupName, in.NewPath)
}

func (s *iamService) deleteGroup(c apiCall, in *iam.DeleteGroupInput) (*iam.DeleteGroupOutput, error) {
	g, err := s.entity(c, "group", in.GroupName)
	if err != nil {
		return nil, err
	}
	return &iam.DeleteGroupOutput{}, s.remove(c, g)
}

func (s *iamService) addUserToGroup(c apiCall, in *iam.AddUserToGroupInput) (*iam.AddUserToGroupOutput, error) {
	g, err := s.entity(c, "group", in.GroupName)
	if err != nil {
		return nil, err
	}
	u, err := s.entity(c, "user", in.UserName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(g.Users, u.Name) {
		if len(s.groupsOf(c, u.Name)) >= maxGroupsOfUser {
			return nil, limitExceeded("GroupsPerUser", maxGroupsOfUser)
		}
		g.Users = with(g.Users, u.Name)
		slices.Sort(g.Users)
		s.put(c, g)
	}
	return &iam.AddUserToGroupOutput{}, nil
}

func (s *iamService) removeUserFromGroup(c apiCall, in *iam.RemoveUserFromGroupInput) (*iam.RemoveUserFromGroupOutput, error) {
	g, err := s.entity(c, "group", in.GroupName)
	if err != nil {
		return nil, err
	}
	u, err := s.entity(c, "user", in.UserName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(g.Users, u.Name) {
		return nil, noSuchEntity("User %s is not in group %s", u.Name, g.Name)
	}
	g.Users = without(g.Users, u.Name)
	s.put(c, g)
	return &iam.RemoveUserFromGroupOutput{}, nil
}
