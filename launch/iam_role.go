package launch

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type iamRoleAPI interface {
	ListRoles(context.Context, *iam.ListRolesInput, ...func(*iam.Options)) (*iam.ListRolesOutput, error)
	CreateRole(context.Context, *iam.CreateRoleInput, ...func(*iam.Options)) (*iam.CreateRoleOutput, error)
	UpdateRole(context.Context, *iam.UpdateRoleInput, ...func(*iam.Options)) (*iam.UpdateRoleOutput, error)
	UpdateAssumeRolePolicy(context.Context, *iam.UpdateAssumeRolePolicyInput, ...func(*iam.Options)) (*iam.UpdateAssumeRolePolicyOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteRole(context.Context, *iam.DeleteRoleInput, ...func(*iam.Options)) (*iam.DeleteRoleOutput, error)
	TagRole(context.Context, *iam.TagRoleInput, ...func(*iam.Options)) (*iam.TagRoleOutput, error)
	PutRolePermissionsBoundary(context.Context, *iam.PutRolePermissionsBoundaryInput, ...func(*iam.Options)) (*iam.PutRolePermissionsBoundaryOutput, error)
	DeleteRolePermissionsBoundary(context.Context, *iam.DeleteRolePermissionsBoundaryInput, ...func(*iam.Options)) (*iam.DeleteRolePermissionsBoundaryOutput, error)
	rolePermissionAPI
}

type iamRoleSpec struct {
	RoleName           string `yaml:"role_name" change:"replaces" doc:"The role's name in the account." default:"PROJECT-ENVIRONMENT-NAME"`
	Path               string `yaml:"path" change:"replaces" doc:"The role's path, below /goldline/PROJECT/ENVIRONMENT/."`
	Description        string `yaml:"description" doc:"What the role is for."`
	AssumeRolePolicy   any    `yaml:"assume_role_policy" required:"true" doc:"Who may assume the role, in IAM's words."`
	MaxSessionDuration int    `yaml:"max_session_duration" min:"3600" max:"43200" doc:"How many seconds a session may last." default:"3600"`
	boundarySpec       `yaml:",inline"`
	permissionsSpec    `yaml:",inline"`
}

// role is a role with what IAM tells of it only in a list of its own, where a
// definition states that.
type role struct {
	types.RoleDetail
	description string
	maxSession  int
	identity    map[string]string
}

type iamRoles struct{ inIAM }

func (iamRoles) named() {}

func (iamRoles) api(c *cloud.Cloud) iamRoleAPI { return c.IAM }

func (iamRoles) about() project.Kind {
	return project.Kind{Name: "iam_role", Doc: "A set of permissions that instances, services or people take on.", Attributes: []string{"id", "arn", "name"}}
}

func (iamRoles) check(c *checker, d definition[iamRoleSpec]) {
	checkIAM(c, d.Resource, d.spec.RoleName, d.spec.Path)
	checkPolicy(c, d.Resource, "assume_role_policy", d.spec.AssumeRolePolicy, true)
	d.spec.permissionsSpec.check(c, d.Resource)
	d.spec.boundarySpec.check(c, d.Resource)
	if len(d.spec.Description) > 1000 {
		c.problems.Addf(d.At("description"), "description is %d characters long: IAM takes 1000", len(d.spec.Description))
	}
}

func (iamRoles) refuse(w want[iamRoleSpec]) error {
	return refuseIAM(w.world, w.Resource, w.world.iamName(w.Resource, w.spec.RoleName), w.spec.Path, 64)
}

func (iamRoles) foresee(w want[iamRoleSpec]) map[string]string {
	name := w.world.iamName(w.Resource, w.spec.RoleName)
	arn := w.world.iamARN("role", w.spec.Path, name)
	return map[string]string{"id": arn, "arn": arn, "name": name}
}

func (k iamRoles) list(ctx context.Context, q query) ([]role, error) {
	details, err := q.details(ctx)
	if err != nil {
		return nil, err
	}
	more := map[string]types.Role{}
	if k.statesMore(q) {
		if more, err = k.listMore(ctx, q); err != nil {
			return nil, err
		}
	}
	var all []role
	for _, r := range details.roles {
		name := aws.ToString(r.RoleName)
		m := more[name]
		all = append(all, role{
			RoleDetail: r, description: aws.ToString(m.Description), maxSession: int(aws.ToInt32(m.MaxSessionDuration)),
			identity: iamIdentity(q, "iam_role", name, func(s *iamRoleSpec) string { return s.RoleName }),
		})
	}
	return all, nil
}

// statesMore tells whether a definition states what the details leave out.
func (iamRoles) statesMore(q query) bool {
	if q.importing {
		return true
	}
	for _, r := range q.world.resources() {
		if s, ok := r.Spec.(*iamRoleSpec); ok && (s.Description != "" || s.MaxSessionDuration != 0) {
			return true
		}
	}
	return false
}

func (k iamRoles) listMore(ctx context.Context, q query) (map[string]types.Role, error) {
	all := map[string]types.Role{}
	pages := iam.NewListRolesPaginator(k.api(q.cloud), &iam.ListRolesInput{PathPrefix: aws.String(q.iamPrefix()), MaxItems: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Roles {
			all[aws.ToString(r.RoleName)] = r
		}
	}
	return all, nil
}

func (iamRoles) read(r role) state {
	arn := aws.ToString(r.Arn)
	return state{
		id: arn, tags: iamTags(r.Tags, r.identity),
		attributes: map[string]string{"arn": arn, "name": aws.ToString(r.RoleName)},
		uses:       append(readPermissions(r.AttachedManagedPolicies, nil).attached, boundaryOf(r.PermissionsBoundary)),
	}
}

func (iamRoles) compare(w want[iamRoleSpec], r role) (d differences) {
	comparePath(&d, w.world, w.Resource, r.Path, w.spec.Path)
	d.document("assume_role_policy", decoded(r.AssumeRolePolicyDocument), document(w.spec.AssumeRolePolicy))
	if w.spec.Description != "" {
		d.set("description", r.description, w.spec.Description)
	}
	if w.spec.MaxSessionDuration != 0 {
		d.set("max_session_duration", strconv.Itoa(r.maxSession), strconv.Itoa(w.spec.MaxSessionDuration))
	}
	d.set("permissions_boundary", boundaryOf(r.PermissionsBoundary), w.spec.PermissionsBoundary)
	w.spec.compare(&d, w.Resource, readPermissions(r.AttachedManagedPolicies, r.RolePolicyList))
	return d
}

// excludes: a name is taken once.
func (iamRoles) excludes(w want[iamRoleSpec], r role) bool {
	return aws.ToString(r.RoleName) == w.world.iamName(w.Resource, w.spec.RoleName)
}

func (k iamRoles) create(ctx context.Context, t *task, w want[iamRoleSpec]) (role, error) {
	name := w.world.iamName(w.Resource, w.spec.RoleName)
	in := &iam.CreateRoleInput{
		RoleName: aws.String(name), Path: aws.String(w.world.iamPath(w.spec.Path)), Description: optional(w.spec.Description),
		AssumeRolePolicyDocument: aws.String(document(w.spec.AssumeRolePolicy)), MaxSessionDuration: number(w.spec.MaxSessionDuration),
		PermissionsBoundary: optional(w.spec.PermissionsBoundary), Tags: iamTagList(t.birthSet()),
	}
	out, err := k.api(t.Cloud).CreateRole(ctx, in)
	if err != nil {
		return role{}, taken(err, "role", name)
	}
	return role{
		RoleDetail: types.RoleDetail{
			Arn: out.Role.Arn, RoleName: out.Role.RoleName, Path: out.Role.Path, Tags: in.Tags, AssumeRolePolicyDocument: in.AssumeRolePolicyDocument,
			PermissionsBoundary: &types.AttachedPermissionsBoundary{PermissionsBoundaryArn: in.PermissionsBoundary},
		},
		description: w.spec.Description, maxSession: w.spec.MaxSessionDuration,
	}, nil
}

func (k iamRoles) update(ctx context.Context, t *task, w want[iamRoleSpec], r role, d differences) error {
	api := k.api(t.Cloud)
	if d.has("assume_role_policy") {
		in := &iam.UpdateAssumeRolePolicyInput{RoleName: r.RoleName, PolicyDocument: aws.String(document(w.spec.AssumeRolePolicy))}
		if _, err := api.UpdateAssumeRolePolicy(ctx, in); err != nil {
			return fmt.Errorf("assume_role_policy: %w", err)
		}
	}
	if d.has("description") || d.has("max_session_duration") {
		in := &iam.UpdateRoleInput{RoleName: r.RoleName, Description: optional(w.spec.Description), MaxSessionDuration: number(w.spec.MaxSessionDuration)}
		if _, err := api.UpdateRole(ctx, in); err != nil {
			return err
		}
	}
	err := w.spec.bind(ctx, d, func(ctx context.Context, arn string) error {
		_, err := api.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: r.RoleName, PermissionsBoundary: aws.String(arn)})
		return err
	}, func(ctx context.Context) error {
		_, err := api.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: r.RoleName})
		return err
	})
	if err != nil {
		return err
	}
	return w.spec.give(ctx, rolePermissions(api, r.RoleName), readPermissions(r.AttachedManagedPolicies, r.RolePolicyList), d)
}

func (k iamRoles) retag(ctx context.Context, c *cloud.Cloud, have []role, set map[string]string) error {
	for _, r := range have {
		if _, err := k.api(c).TagRole(ctx, &iam.TagRoleInput{RoleName: r.RoleName, Tags: iamTagList(set)}); err != nil {
			return err
		}
	}
	return nil
}

func (k iamRoles) remove(ctx context.Context, t *task, r role) error {
	api := k.api(t.Cloud)
	for _, p := range r.InstanceProfileList {
		_, err := api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: p.InstanceProfileName, RoleName: r.RoleName})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("take it out of instance profile %s: %w", aws.ToString(p.InstanceProfileName), err)
		}
	}
	if err := readPermissions(r.AttachedManagedPolicies, r.RolePolicyList).take(ctx, rolePermissions(api, r.RoleName)); err != nil {
		return err
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: r.RoleName})
		return err
	})
}
