package emulator

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// profileRow is an instance profile, which holds at most one role.
type profileRow struct {
	Name    string
	Path    string
	ID      string
	ARN     string
	Created time.Time
	Role    string            `json:",omitempty"`
	Tags    map[string]string `json:",omitempty"`
	Made    time.Time         // to the moment: when EC2 sees it
}

func (s *iamService) addProfiles() {
	onIAM(s, "CreateInstanceProfile", "InstanceProfileName Path Tags.*", s.createInstanceProfile)
	onIAM(s, "GetInstanceProfile", "InstanceProfileName", s.getInstanceProfile)
	onIAM(s, "ListInstanceProfiles", "PathPrefix Marker MaxItems", s.listInstanceProfiles)
	onIAM(s, "ListInstanceProfilesForRole", "RoleName Marker MaxItems", s.listInstanceProfilesForRole)
	onIAM(s, "DeleteInstanceProfile", "InstanceProfileName", s.deleteInstanceProfile)
	onIAM(s, "AddRoleToInstanceProfile", "InstanceProfileName RoleName", s.addRoleToInstanceProfile)
	onIAM(s, "RemoveRoleFromInstanceProfile", "InstanceProfileName RoleName", s.removeRoleFromInstanceProfile)
}

func (s *iamService) profile(c apiCall, name *string) (profileRow, error) {
	p, ok := s.profiles.get(c.w, strings.ToLower(deref(name)))
	if !ok {
		return p, noSuchEntity("Instance Profile %s cannot be found.", deref(name))
	}
	return p, nil
}

// forEC2 finds an instance profile, as far as EC2 knows it by now, by its ARN or
// by its name.
func (s *iamService) forEC2(account, arn, name string) (profileRow, bool) {
	for _, p := range s.profiles.all(world{Account: account}) {
		if (p.ARN == arn || name != "" && strings.EqualFold(p.Name, name)) && !s.cloud.clock.Now().Before(p.Made.Add(s.cloud.options.ProfileDelay)) {
			return p, true
		}
	}
	return profileRow{}, false
}

func (s *iamService) putProfile(c apiCall, p profileRow) {
	s.profiles.put(c.w, strings.ToLower(p.Name), p)
}

func (s *iamService) shownProfile(c apiCall, p profileRow, tags bool) types.InstanceProfile {
	shown := types.InstanceProfile{Arn: &p.ARN, CreateDate: &p.Created, InstanceProfileId: &p.ID, InstanceProfileName: &p.Name, Path: &p.Path, Roles: []types.Role{}}
	if r, err := s.entity(c, "role", &p.Role); err == nil {
		shown.Roles = append(shown.Roles, shownRole(r, false))
	}
	if tags {
		shown.Tags = iamTagList(p.Tags)
	}
	return shown
}

func (s *iamService) createInstanceProfile(c apiCall, in *iam.CreateInstanceProfileInput) (*iam.CreateInstanceProfileOutput, error) {
	name := *in.InstanceProfileName
	if err := checkIAMName("instance-profile", name); err != nil {
		return nil, err
	}
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if _, exists := s.profiles.get(c.w, strings.ToLower(name)); exists {
		return nil, iamConflict("EntityAlreadyExists", "Instance Profile %s already exists.", name)
	}
	tags, err := iamTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := profileRow{Name: name, Path: path, ID: iamID("AIPA"), ARN: iamARN(c.Account, "instance-profile", path, name), Created: c.now, Tags: tags, Made: s.cloud.clock.Now()}
	s.putProfile(c, p)
	return &iam.CreateInstanceProfileOutput{InstanceProfile: new(s.shownProfile(c, p, true))}, nil
}

func (s *iamService) getInstanceProfile(c apiCall, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, error) {
	p, err := s.profile(c, in.InstanceProfileName)
	return &iam.GetInstanceProfileOutput{InstanceProfile: new(s.shownProfile(c, p, true))}, err
}

func (s *iamService) shownProfiles(c apiCall, list []profileRow) []types.InstanceProfile {
	var shown []types.InstanceProfile
	for _, p := range list {
		shown = append(shown, s.shownProfile(c, p, false))
	}
	return shown
}

func (s *iamService) listInstanceProfiles(c apiCall, in *iam.ListInstanceProfilesInput) (*iam.ListInstanceProfilesOutput, error) {
	var list []profileRow
	for _, p := range s.profiles.all(c.w) {
		if strings.HasPrefix(p.Path, deref(in.PathPrefix)) {
			list = append(list, p)
		}
	}
	page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
	return &iam.ListInstanceProfilesOutput{InstanceProfiles: s.shownProfiles(c, page), IsTruncated: more, Marker: next}, err
}

func (s *iamService) holding(c apiCall, role string) []profileRow {
	var list []profileRow
	for _, p := range s.profiles.all(c.w) {
		if p.Role == role {
			list = append(list, p)
		}
	}
	return list
}

func (s *iamService) listInstanceProfilesForRole(c apiCall, in *iam.ListInstanceProfilesForRoleInput) (*iam.ListInstanceProfilesForRoleOutput, error) {
	r, err := s.entity(c, "role", in.RoleName)
	if err != nil {
		return nil, err
	}
	page, more, next, err := iamPage(s.holding(c, r.Name), in.Marker, in.MaxItems)
	return &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: s.shownProfiles(c, page), IsTruncated: more, Marker: next}, err
}

func (s *iamService) deleteInstanceProfile(c apiCall, in *iam.DeleteInstanceProfileInput) (*iam.DeleteInstanceProfileOutput, error) {
	p, err := s.profile(c, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, iamConflict("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	s.profiles.remove(c.w, strings.ToLower(p.Name))
	return &iam.DeleteInstanceProfileOutput{}, nil
}

func (s *iamService) addRoleToInstanceProfile(c apiCall, in *iam.AddRoleToInstanceProfileInput) (*iam.AddRoleToInstanceProfileOutput, error) {
	p, err := s.profile(c, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	r, err := s.entity(c, "role", in.RoleName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, limitExceeded("InstanceSessionsPerInstanceProfile", 1)
	}
	p.Role = r.Name
	s.putProfile(c, p)
	return &iam.AddRoleToInstanceProfileOutput{}, nil
}

func (s *iamService) removeRoleFromInstanceProfile(c apiCall, in *iam.RemoveRoleFromInstanceProfileInput) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	p, err := s.profile(c, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role == "" || !strings.EqualFold(p.Role, *in.RoleName) {
		return nil, noSuchEntity("Role %s is not in instance profile %s.", *in.RoleName, p.Name)
	}
	p.Role = ""
	s.putProfile(c, p)
	return &iam.RemoveRoleFromInstanceProfileOutput{}, nil
}
