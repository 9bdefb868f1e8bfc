package emulator

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// accessKeyRow is an access key. The local cloud keeps no secrets, and lets every key
// in: the secret is shown once, as IAM does, and forgotten.
type accessKeyRow struct {
	ID      string
	Status  types.StatusType
	Created time.Time
}

// maxAccessKeys is how many access keys a user may have.
const maxAccessKeys = 2

func (s *iamService) addCredentials() {
	onIAM(s, "CreateAccessKey", "UserName", s.createAccessKey)
	onIAM(s, "ListAccessKeys", "UserName Marker MaxItems", s.listAccessKeys)
	onIAM(s, "UpdateAccessKey", "UserName AccessKeyId Status", s.updateAccessKey)
	onIAM(s, "DeleteAccessKey", "UserName AccessKeyId", s.deleteAccessKey)
	onIAM(s, "CreateLoginProfile", "UserName Password PasswordResetRequired", s.createLoginProfile)
	onIAM(s, "GetLoginProfile", "UserName", s.getLoginProfile)
	onIAM(s, "DeleteLoginProfile", "UserName", s.deleteLoginProfile)
}

// user is a user by name: the local cloud's callers are no users, so there is
// none to take when no name is given.
func (s *iamService) user(c apiCall, name *string) (entityRow, error) {
	if name == nil {
		return entityRow{}, iamInvalid("Must specify userName when calling with non-User credentials")
	}
	return s.entity(c, "user", name)
}

func (s *iamService) createAccessKey(c apiCall, in *iam.CreateAccessKeyInput) (*iam.CreateAccessKeyOutput, error) {
	u, err := s.user(c, in.UserName)
	if err != nil {
		return nil, err
	}
	if len(u.Keys) >= maxAccessKeys {
		return nil, limitExceeded("AccessKeysPerUser", maxAccessKeys)
	}
	k := accessKeyRow{ID: iamID("AKIA")[:20], Status: types.StatusTypeActive, Created: c.now}
	u.Keys = append(slices.Clone(u.Keys), k)
	s.put(c, u)
	return &iam.CreateAccessKeyOutput{AccessKey: &types.AccessKey{
		AccessKeyId: &k.ID, CreateDate: &k.Created, SecretAccessKey: new("local/" + instanceID.make()), Status: k.Status, UserName: &u.Name}}, nil
}

func (s *iamService) listAccessKeys(c apiCall, in *iam.ListAccessKeysInput) (*iam.ListAccessKeysOutput, error) {
	u, err := s.user(c, in.UserName)
	if err != nil {
		return nil, err
	}
	page, more, next, err := iamPage(u.Keys, in.Marker, in.MaxItems)
	out := &iam.ListAccessKeysOutput{IsTruncated: more, Marker: next}
	for _, k := range page {
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, types.AccessKeyMetadata{AccessKeyId: &k.ID, CreateDate: &k.Created, Status: k.Status, UserName: &u.Name})
	}
	return out, err
}

// changeKey changes one key of a user; a change that says false removes it.
func (s *iamService) changeKey(c apiCall, name, id *string, change func(*accessKeyRow) bool) error {
	u, err := s.user(c, name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(u.Keys, func(k accessKeyRow) bool { return k.ID == *id })
	if i < 0 {
		return noSuchEntity("The Access Key with id %s cannot be found.", *id)
	}
	u.Keys = slices.Clone(u.Keys)
	if !change(&u.Keys[i]) {
		u.Keys = slices.Delete(u.Keys, i, i+1)
	}
	s.put(c, u)
	return nil
}

func (s *iamService) updateAccessKey(c apiCall, in *iam.UpdateAccessKeyInput) (*iam.UpdateAccessKeyOutput, error) {
	return &iam.UpdateAccessKeyOutput{}, s.changeKey(c, in.UserName, in.AccessKeyId, func(k *accessKeyRow) bool {
		k.Status = in.Status
		return true
	})
}

func (s *iamService) deleteAccessKey(c apiCall, in *iam.DeleteAccessKeyInput) (*iam.DeleteAccessKeyOutput, error) {
	return &iam.DeleteAccessKeyOutput{}, s.changeKey(c, in.UserName, in.AccessKeyId, func(*accessKeyRow) bool { return false })
}

func (s *iamService) createLoginProfile(c apiCall, in *iam.CreateLoginProfileInput) (*iam.CreateLoginProfileOutput, error) {
	u, err := s.user(c, in.UserName)
	if err != nil {
		return nil, err
	}
	if u.Login != nil {
		return nil, iamConflict("EntityAlreadyExists", "Login Profile for user %s already exists.", u.Name)
	}
	if in.Password == nil || len(*in.Password) < 8 {
		return nil, refuse("PasswordPolicyViolation", "Password should have a minimum length of 8")
	}
	u.Login = &loginRow{Created: c.now, Reset: in.PasswordResetRequired}
	s.put(c, u)
	return &iam.CreateLoginProfileOutput{LoginProfile: shownLogin(u)}, nil
}

// loginRow says that a user has a password for the console. The password itself
// is not kept.
type loginRow struct {
	Created time.Time
	Reset   bool `json:",omitempty"`
}

func shownLogin(u entityRow) *types.LoginProfile {
	return &types.LoginProfile{UserName: &u.Name, CreateDate: &u.Login.Created, PasswordResetRequired: u.Login.Reset}
}

func (s *iamService) login(c apiCall, name *string) (entityRow, error) {
	u, err := s.user(c, name)
	if err == nil && u.Login == nil {
		err = noSuchEntity("Login Profile for User %s cannot be found.", u.Name)
	}
	return u, err
}

func (s *iamService) getLoginProfile(c apiCall, in *iam.GetLoginProfileInput) (*iam.GetLoginProfileOutput, error) {
	u, err := s.login(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return &iam.GetLoginProfileOutput{LoginProfile: shownLogin(u)}, nil
}

func (s *iamService) deleteLoginProfile(c apiCall, in *iam.DeleteLoginProfileInput) (*iam.DeleteLoginProfileOutput, error) {
	u, err := s.login(c, in.UserName)
	if err != nil {
		return nil, err
	}
	u.Login = nil
	s.put(c, u)
	return &iam.DeleteLoginProfileOutput{}, nil
}
