package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

type iamUserAPI interface {
	CreateUser(context.Context, *iam.CreateUserInput, ...func(*iam.Options)) (*iam.CreateUserOutput, error)
	UpdateUser(context.Context, *iam.UpdateUserInput, ...func(*iam.Options)) (*iam.UpdateUserOutput, error)
	DeleteUser(context.Context, *iam.DeleteUserInput, ...func(*iam.Options)) (*iam.DeleteUserOutput, error)
	TagUser(context.Context, *iam.TagUserInput, ...func(*iam.Options)) (*iam.TagUserOutput, error)
	AddUserToGroup(context.Context, *iam.AddUserToGroupInput, ...func(*iam.Options)) (*iam.AddUserToGroupOutput, error)
	RemoveUserFromGroup(context.Context, *iam.RemoveUserFromGroupInput, ...func(*iam.Options)) (*iam.RemoveUserFromGroupOutput, error)
	PutUserPermissionsBoundary(context.Context, *iam.PutUserPermissionsBoundaryInput, ...func(*iam.Options)) (*iam.PutUserPermissionsBoundaryOutput, error)
	DeleteUserPermissionsBoundary(context.Context, *iam.DeleteUserPermissionsBoundaryInput, ...func(*iam.Options)) (*iam.DeleteUserPermissionsBoundaryOutput, error)
	ListAccessKeys(context.Context, *iam.ListAccessKeysInput, ...func(*iam.Options)) (*iam.ListAccessKeysOutput, error)
	GetLoginProfile(context.Context, *iam.GetLoginProfileInput, ...func(*iam.Options)) (*iam.GetLoginProfileOutput, error)
	userPermissionAPI
}

type iamUserSpec struct {
	UserName        string   `yaml:"user_name" change:"replaces" doc:"The user's name in the account." default:"PROJECT-ENVIRONMENT-NAME"`
	Path            string   `yaml:"path" doc:"The user's path, below /goldline/PROJECT/ENVIRONMENT/."`
	Groups          []string `yaml:"groups" ref:"iam_group" doc:"The groups that the user is in, all of them: of this topology, or ARNs."`
	boundarySpec    `yaml:",inline"`
	permissionsSpec `yaml:",inline"`
}

// maxGroupsOfUser is how many groups IAM lets a user be in.
const maxGroupsOfUser = 10

type iamUser struct {
	types.UserDetail
	identity map[string]string
	groups   []string // ARNs of its groups, or names of those that are not the environment's
}

type iamUsers struct{ inIAM }

func (iamUsers) named() {}

func (iamUsers) api(c *cloud.Cloud) iamUserAPI { return c.IAM }

func (iamUsers) about() project.Kind {
	return project.Kind{Name: "iam_user", Doc: "A person or a program with credentials of its own. Access keys and passwords are made by hand, so that no definition and no run holds them; a user that has some is not deleted.", Attributes: []string{"id", "arn", "name"}}
}

func (iamUsers) check(c *checker, d definition[iamUserSpec]) {
	checkIAM(c, d.Resource, d.spec.UserName, d.spec.Path)
	d.spec.permissionsSpec.check(c, d.Resource)
	d.spec.boundarySpec.check(c, d.Resource)
	if n := len(d.spec.Groups); n > maxGroupsOfUser {
		c.problems.Addf(d.At("groups"), "%d groups: IAM lets a user be in %d", n, maxGroupsOfUser)
	}
	for i, g := range d.spec.Groups {
		if strings.HasPrefix(g, "arn:") && !strings.Contains(g, ":group/") {
			c.problems.AddHint(d.At(fmt.Sprintf("groups[%d]", i)), "as in arn:aws:iam::123456789012:group/admins", "%q is no ARN of a group", g)
		}
	}
}

func (iamUsers) refuse(w want[iamUserSpec]) error {
	return refuseIAM(w.world, w.Resource, w.world.iamName(w.Resource, w.spec.UserName), w.spec.Path, 64)
}

func (iamUsers) foresee(w want[iamUserSpec]) map[string]string {
	name := w.world.iamName(w.Resource, w.spec.UserName)
	arn := w.world.iamARN("user", w.spec.Path, name)
	return map[string]string{"id": arn, "arn": arn, "name": name}
}

func (iamUsers) list(ctx context.Context, q query) ([]iamUser, error) {
	details, err := q.details(ctx)
	if err != nil {
		return nil, err
	}
	arns := map[string]string{}
	for _, g := range details.groups {
		arns[aws.ToString(g.GroupName)] = aws.ToString(g.Arn)
	}
	var all []iamUser
	for _, u := range details.users {
		user := iamUser{UserDetail: u, identity: iamIdentity(q, "iam_user", aws.ToString(u.UserName), func(s *iamUserSpec) string { return s.UserName })}
		for _, name := range u.GroupList {
			if arn := arns[name]; arn != "" {
				name = arn
			}
			user.groups = append(user.groups, name)
		}
		all = append(all, user)
	}
	return all, nil
}

func (iamUsers) read(u iamUser) state {
	arn := aws.ToString(u.Arn)
	return state{
		id: arn, tags: iamTags(u.Tags, u.identity), attributes: map[string]string{"arn": arn, "name": aws.ToString(u.UserName)},
		uses: slices.Concat(readPermissions(u.AttachedManagedPolicies, nil).attached, u.groups, []string{boundaryOf(u.PermissionsBoundary)}),
	}
}

func (iamUsers) compare(w want[iamUserSpec], u iamUser) (d differences) {
	if w.Adopt == nil {
		d.set("path", aws.ToString(u.Path), w.world.iamPath(w.spec.Path))
	}
	d.members("groups", u.GroupList, groupNames(w.spec.Groups))
	d.set("permissions_boundary", boundaryOf(u.PermissionsBoundary), w.spec.PermissionsBoundary)
	w.spec.compare(&d, w.Resource, readPermissions(u.AttachedManagedPolicies, u.UserPolicyList))
	return d
}

// groupNames are the names of groups, in order; by them IAM knows members.
func groupNames(arns []string) []string {
	var names []string
	for _, arn := range arns {
		names = append(names, arnName(arn))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// excludes: a name is taken once.
func (iamUsers) excludes(w want[iamUserSpec], u iamUser) bool {
	return strings.EqualFold(aws.ToString(u.UserName), w.world.iamName(w.Resource, w.spec.UserName))
}

func (k iamUsers) create(ctx context.Context, t *task, w want[iamUserSpec]) (iamUser, error) {
	name := w.world.iamName(w.Resource, w.spec.UserName)
	in := &iam.CreateUserInput{
		UserName: aws.String(name), Path: aws.String(w.world.iamPath(w.spec.Path)), PermissionsBoundary: optional(w.spec.PermissionsBoundary),
		Tags: iamTagList(t.birthSet()),
	}
	out, err := k.api(t.Cloud).CreateUser(ctx, in)
	if err != nil {
		return iamUser{}, taken(err, "user", name)
	}
	return iamUser{UserDetail: types.UserDetail{
		Arn: out.User.Arn, UserName: out.User.UserName, Path: out.User.Path, Tags: in.Tags,
		PermissionsBoundary: &types.AttachedPermissionsBoundary{PermissionsBoundaryArn: in.PermissionsBoundary},
	}}, nil
}

// update gives before it takes: a user who changes groups is in both for a
// moment, and never in none.
func (k iamUsers) update(ctx context.Context, t *task, w want[iamUserSpec], u iamUser, d differences) error {
	api := k.api(t.Cloud)
	if d.has("path") {
		if _, err := api.UpdateUser(ctx, &iam.UpdateUserInput{UserName: u.UserName, NewPath: aws.String(w.world.iamPath(w.spec.Path))}); err != nil {
			return fmt.Errorf("path: %w", err)
		}
	}
	err := w.spec.bind(ctx, d, func(ctx context.Context, arn string) error {
		_, err := api.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: u.UserName, PermissionsBoundary: aws.String(arn)})
		return err
	}, func(ctx context.Context) error {
		_, err := api.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: u.UserName})
		return err
	})
	if err != nil {
		return err
	}
	if d.has("groups") {
		wanted := groupNames(w.spec.Groups)
		for _, name := range wanted {
			if has(u.GroupList, name) {
				continue
			}
			if _, err := api.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: u.UserName, GroupName: aws.String(name)}); err != nil {
				return fmt.Errorf("group %s: %w", name, err)
			}
		}
		if err := k.leave(ctx, t, u, wanted); err != nil {
			return err
		}
	}
	return w.spec.give(ctx, userPermissions(api, u.UserName), readPermissions(u.AttachedManagedPolicies, u.UserPolicyList), d)
}

// leave takes a user out of its groups but for some.
func (k iamUsers) leave(ctx context.Context, t *task, u iamUser, but []string) error {
	for _, name := range u.GroupList {
		if has(but, name) {
			continue
		}
		_, err := k.api(t.Cloud).RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{UserName: u.UserName, GroupName: aws.String(name)})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("take it out of group %s: %w", name, err)
		}
	}
	return nil
}

func (k iamUsers) retag(ctx context.Context, c *cloud.Cloud, have []iamUser, set map[string]string) error {
	for _, u := range have {
		if _, err := k.api(c).TagUser(ctx, &iam.TagUserInput{UserName: u.UserName, Tags: iamTagList(set)}); err != nil {
			return err
		}
	}
	return nil
}

// keeps: access keys and a password were made by someone, for someone. Whoever
// uses them would be locked out, and neither can be made again.
func (k iamUsers) keeps(ctx context.Context, c *cloud.Cloud, u iamUser) error {
	name := aws.ToString(u.UserName)
	var kept, how []string
	keys, err := k.api(c).ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: u.UserName})
	if cloud.NotFound(err) {
		return nil // gone meanwhile
	}
	if err != nil {
		return fmt.Errorf("list its access keys: %w", err)
	}
	for _, key := range keys.AccessKeyMetadata {
		id := aws.ToString(key.AccessKeyId)
		kept = append(kept, fmt.Sprintf("access key %s (%s, of %s)", id, strings.ToLower(string(key.Status)), aws.ToTime(key.CreateDate).Format("2006-01-02")))
		how = append(how, fmt.Sprintf("aws iam delete-access-key --user-name %s --access-key-id %s", name, id))
	}
	switch _, err := k.api(c).GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: u.UserName}); {
	case err == nil:
		kept = append(kept, "a password for the console")
		how = append(how, "aws iam delete-login-profile --user-name "+name)
	case !cloud.NotFound(err):
		return fmt.Errorf("look for its password: %w", err)
	}
	if len(kept) == 0 {
		return nil
	}
	return fail.WithHint(fail.Inputf("it has %s, and whoever uses that would be locked out", strings.Join(kept, ", ")), "when nobody does any more: %s", strings.Join(how, "; "))
}

// remove looks once more before it takes anything away: the plan may be old.
func (k iamUsers) remove(ctx context.Context, t *task, u iamUser) error {
	if err := k.keeps(ctx, t.Cloud, u); err != nil {
		return err
	}
	if err := k.leave(ctx, t, u, nil); err != nil {
		return err
	}
	if err := readPermissions(u.AttachedManagedPolicies, u.UserPolicyList).take(ctx, userPermissions(k.api(t.Cloud), u.UserName)); err != nil {
		return err
	}
	err := t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteUser(ctx, &iam.DeleteUserInput{UserName: u.UserName})
		return err
	})
	if cloud.Code(err) == "DeleteConflict" {
		return fail.WithHint(err, "an MFA device, SSH key, certificate or service credential that something else made hangs on it: delete that, then run the same command again")
	}
	return err
}
