package launch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type instanceProfileAPI interface {
	ListInstanceProfiles(context.Context, *iam.ListInstanceProfilesInput, ...func(*iam.Options)) (*iam.ListInstanceProfilesOutput, error)
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error)
	CreateInstanceProfile(context.Context, *iam.CreateInstanceProfileInput, ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error)
	AddRoleToInstanceProfile(context.Context, *iam.AddRoleToInstanceProfileInput, ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error)
}

type instanceProfileSpec struct {
	InstanceProfileName string `yaml:"instance_profile_name" change:"replaces" doc:"The profile's name in the account." default:"PROJECT-ENVIRONMENT-NAME"`
	Path                string `yaml:"path" change:"replaces" doc:"The profile's path, below /goldline/PROJECT/ENVIRONMENT/."`
	Role                string `yaml:"role" ref:"iam_role" required:"true" doc:"The role that instances with the profile take on."`
}

type profile struct {
	types.InstanceProfile
	identity map[string]string
}

// role is the ARN of its role; a profile holds one at most.
func (p profile) role() string {
	if len(p.Roles) == 0 {
		return ""
	}
	return aws.ToString(p.Roles[0].Arn)
}

type instanceProfiles struct{ inIAM }

func (instanceProfiles) named() {}

func (instanceProfiles) api(c *cloud.Cloud) instanceProfileAPI { return c.IAM }

func (instanceProfiles) about() project.Kind {
	return project.Kind{Name: "instance_profile", Doc: "What gives a role to instances.", Attributes: []string{"id", "arn", "name"}}
}

func (instanceProfiles) check(c *checker, d definition[instanceProfileSpec]) {
	checkIAM(c, d.Resource, d.spec.InstanceProfileName, d.spec.Path)
}

func (instanceProfiles) refuse(w want[instanceProfileSpec]) error {
	return refuseIAM(w.world, w.Resource, w.world.iamName(w.Resource, w.spec.InstanceProfileName), w.spec.Path, 128)
}

func (instanceProfiles) foresee(w want[instanceProfileSpec]) map[string]string {
	name := w.world.iamName(w.Resource, w.spec.InstanceProfileName)
	arn := w.world.iamARN("instance-profile", w.spec.Path, name)
	return map[string]string{"id": arn, "arn": arn, "name": name}
}

func (k instanceProfiles) list(ctx context.Context, q query) ([]profile, error) {
	var all []profile
	pages := iam.NewListInstanceProfilesPaginator(k.api(q.cloud), &iam.ListInstanceProfilesInput{PathPrefix: aws.String(q.iamPrefix()), MaxItems: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, q.unlessUnused(err, "instance_profile")
		}
		// What is not found again is deleted, so the path is looked at here as well.
		for _, p := range below(page.InstanceProfiles, q.iamPrefix(), func(x types.InstanceProfile) *string { return x.Path }) {
			all = append(all, profile{p, iamIdentity(q, "instance_profile", aws.ToString(p.InstanceProfileName), func(s *instanceProfileSpec) string { return s.InstanceProfileName })})
		}
	}
	return all, nil
}

// read: lists of profiles leave their tags out.
func (instanceProfiles) read(p profile) state {
	arn := aws.ToString(p.Arn)
	s := state{id: arn, tags: p.identity, untagged: true, attributes: map[string]string{"arn": arn, "name": aws.ToString(p.InstanceProfileName)}}
	if p.role() != "" {
		s.uses = []string{p.role()}
	}
	return s
}

func (instanceProfiles) compare(w want[instanceProfileSpec], p profile) (d differences) {
	comparePath(&d, w.world, w.Resource, p.Path, w.spec.Path)
	d.set("role", p.role(), w.spec.Role)
	return d
}

// excludes: a name is taken once.
func (instanceProfiles) excludes(w want[instanceProfileSpec], p profile) bool {
	return aws.ToString(p.InstanceProfileName) == w.world.iamName(w.Resource, w.spec.InstanceProfileName)
}

func (k instanceProfiles) create(ctx context.Context, t *task, w want[instanceProfileSpec]) (profile, error) {
	name := w.world.iamName(w.Resource, w.spec.InstanceProfileName)
	out, err := k.api(t.Cloud).CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{
		InstanceProfileName: aws.String(name), Path: aws.String(w.world.iamPath(w.spec.Path)), Tags: iamTagList(t.birthSet())})
	if err != nil {
		return profile{}, taken(err, "instance profile", name)
	}
	return profile{InstanceProfile: *out.InstanceProfile}, nil
}

func (k instanceProfiles) update(ctx context.Context, t *task, w want[instanceProfileSpec], p profile, d differences) error {
	if !d.has("role") {
		return nil
	}
	// A role that was replaced meanwhile has left the profile already.
	now, err := k.api(t.Cloud).GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: p.InstanceProfileName})
	if err != nil {
		return err
	}
	if old := (profile{InstanceProfile: *now.InstanceProfile}).role(); old == w.spec.Role {
		return nil
	} else if old != "" {
		if err := k.takeOut(ctx, t, p, old); err != nil {
			return err
		}
	}
	return t.again(ctx, func() error {
		_, err := k.api(t.Cloud).AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{
			InstanceProfileName: p.InstanceProfileName, RoleName: aws.String(arnName(w.spec.Role))})
		return err
	}, func(ctx context.Context) (bool, error) {
		now, err := k.api(t.Cloud).GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: p.InstanceProfileName})
		return err == nil && (profile{InstanceProfile: *now.InstanceProfile}).role() == w.spec.Role, err
	})
}

func (k instanceProfiles) takeOut(ctx context.Context, t *task, p profile, role string) error {
	_, err := k.api(t.Cloud).RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{
		InstanceProfileName: p.InstanceProfileName, RoleName: aws.String(arnName(role))})
	if err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("take role %s out: %w", arnName(role), err)
	}
	return nil
}

func (k instanceProfiles) remove(ctx context.Context, t *task, p profile) error {
	if p.role() != "" {
		if err := k.takeOut(ctx, t, p, p.role()); err != nil {
			return err
		}
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: p.InstanceProfileName})
		return err
	})
}
