package launch

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

type iamGroupAPI interface {
	CreateGroup(context.Context, *iam.CreateGroupInput, ...func(*iam.Options)) (*iam.CreateGroupOutput, error)
	UpdateGroup(context.Context, *iam.UpdateGroupInput, ...func(*iam.Options)) (*iam.UpdateGroupOutput, error)
	DeleteGroup(context.Context, *iam.DeleteGroupInput, ...func(*iam.Options)) (*iam.DeleteGroupOutput, error)
	AttachGroupPolicy(context.Context, *iam.AttachGroupPolicyInput, ...func(*iam.Options)) (*iam.AttachGroupPolicyOutput, error)
	DetachGroupPolicy(context.Context, *iam.DetachGroupPolicyInput, ...func(*iam.Options)) (*iam.DetachGroupPolicyOutput, error)
	PutGroupPolicy(context.Context, *iam.PutGroupPolicyInput, ...func(*iam.Options)) (*iam.PutGroupPolicyOutput, error)
	DeleteGroupPolicy(context.Context, *iam.DeleteGroupPolicyInput, ...func(*iam.Options)) (*iam.DeleteGroupPolicyOutput, error)
}

type iamGroupSpec struct {
	GroupName       string `yaml:"group_name" change:"replaces" doc:"The group's name in the account." default:"PROJECT-ENVIRONMENT-NAME"`
	Path            string `yaml:"path" doc:"The group's path, below /goldline/PROJECT/ENVIRONMENT/."`
	permissionsSpec `yaml:",inline"`
}

type iamGroup struct {
	types.GroupDetail
	identity map[string]string
	others   []string // ARNs of members that are not of the environment
}

// iamGroups takes no tags: IAM has none for groups. A group is the
// environment's by its path, and a definition's by its name.
type iamGroups struct{}

func (iamGroups) named() {}

func (iamGroups) api(c *cloud.Cloud) iamGroupAPI { return c.IAM }

func (iamGroups) about() project.Kind {
	return project.Kind{Name: "iam_group", Doc: "Permissions that its members share. Users say which groups they are in. IAM has no tags for groups: one is found by its path and name.", Attributes: []string{"id", "arn", "name"}}
}

func (iamGroups) check(c *checker, d definition[iamGroupSpec]) {
	checkIAM(c, d.Resource, d.spec.GroupName, d.spec.Path)
	d.spec.check(c, d.Resource)
	if d.States("tags") {
		c.problems.AddHint(d.At("tags"), "take them away; the group's path names project and environment", "IAM has no tags for groups")
	}
}

func (iamGroups) refuse(w want[iamGroupSpec]) error {
	return refuseIAM(w.world, w.Resource, w.world.iamName(w.Resource, w.spec.GroupName), w.spec.Path, 128)
}

func (iamGroups) foresee(w want[iamGroupSpec]) map[string]string {
	name := w.world.iamName(w.Resource, w.spec.GroupName)
	arn := w.world.iamARN("group", w.spec.Path, name)
	return map[string]string{"id": arn, "arn": arn, "name": name}
}

func (iamGroups) list(ctx context.Context, q query) ([]iamGroup, error) {
	details, err := q.details(ctx)
	if err != nil {
		return nil, err
	}
	var all []iamGroup
	for _, g := range details.groups {
		name := aws.ToString(g.GroupName)
		group := iamGroup{GroupDetail: g, identity: iamIdentity(q, "iam_group", name, func(s *iamGroupSpec) string { return s.GroupName })}
		for _, arn := range details.members[name] {
			if !strings.Contains(arn, ":user"+q.world.iamPath("")) {
				group.others = append(group.others, arn)
			}
		}
		all = append(all, group)
	}
	return all, nil
}

// note takes down whose groups have which members.
func (d *iamDetails) note(users []types.UserDetail) {
	for _, u := range users {
		for _, g := range u.GroupList {
			d.members[g] = append(d.members[g], aws.ToString(u.Arn))
		}
	}
}

func (iamGroups) read(g iamGroup) state {
	arn := aws.ToString(g.Arn)
	return state{
		id: arn, tags: g.identity, untagged: true, attributes: map[string]string{"arn": arn, "name": aws.ToString(g.GroupName)},
		uses: readPermissions(g.AttachedManagedPolicies, nil).attached,
	}
}

func (iamGroups) compare(w want[iamGroupSpec], g iamGroup) (d differences) {
	if w.Adopt == nil {
		d.set("path", aws.ToString(g.Path), w.world.iamPath(w.spec.Path))
	}
	w.spec.compare(&d, w.Resource, readPermissions(g.AttachedManagedPolicies, g.GroupPolicyList))
	return d
}

// excludes: a name is taken once.
func (iamGroups) excludes(w want[iamGroupSpec], g iamGroup) bool {
	return strings.EqualFold(aws.ToString(g.GroupName), w.world.iamName(w.Resource, w.spec.GroupName))
}

func (k iamGroups) create(ctx context.Context, t *task, w want[iamGroupSpec]) (iamGroup, error) {
	name := w.world.iamName(w.Resource, w.spec.GroupName)
	out, err := k.api(t.Cloud).CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String(name), Path: aws.String(w.world.iamPath(w.spec.Path))})
	if err != nil {
		return iamGroup{}, taken(err, "group", name)
	}
	return iamGroup{GroupDetail: types.GroupDetail{Arn: out.Group.Arn, GroupName: out.Group.GroupName, Path: out.Group.Path}}, nil
}

func (k iamGroups) update(ctx context.Context, t *task, w want[iamGroupSpec], g iamGroup, d differences) error {
	if d.has("path") {
		_, err := k.api(t.Cloud).UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: g.GroupName, NewPath: aws.String(w.world.iamPath(w.spec.Path))})
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
	}
	return w.spec.give(ctx, k.permissions(t.Cloud, g.GroupName), readPermissions(g.AttachedManagedPolicies, g.GroupPolicyList), d)
}

// keeps: people who are in a group by someone else's hand would lose what it
// allows them.
func (iamGroups) keeps(_ context.Context, _ *cloud.Cloud, g iamGroup) error {
	if len(g.others) == 0 {
		return nil
	}
	return fail.WithHint(fail.Inputf("members that this environment did not make would lose its permissions: %s", strings.Join(g.others, ", ")),
		"take them out first: aws iam remove-user-from-group --group-name %s --user-name NAME", aws.ToString(g.GroupName))
}

func (k iamGroups) remove(ctx context.Context, t *task, g iamGroup) error {
	if err := readPermissions(g.AttachedManagedPolicies, g.GroupPolicyList).take(ctx, k.permissions(t.Cloud, g.GroupName)); err != nil {
		return err
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: g.GroupName})
		return err
	})
}

func (k iamGroups) permissions(c *cloud.Cloud, group *string) permissionCalls {
	api := k.api(c)
	return permissionCalls{
		attach: func(ctx context.Context, arn string) error {
			_, err := api.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: group, PolicyArn: aws.String(arn)})
			return err
		},
		detach: func(ctx context.Context, arn string) error {
			_, err := api.DetachGroupPolicy(ctx, &iam.DetachGroupPolicyInput{GroupName: group, PolicyArn: aws.String(arn)})
			return err
		},
		put: func(ctx context.Context, name, document string) error {
			_, err := api.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: group, PolicyName: aws.String(name), PolicyDocument: aws.String(document)})
			return err
		},
		drop: func(ctx context.Context, name string) error {
			_, err := api.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: group, PolicyName: aws.String(name)})
			return err
		},
	}
}
