package bake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// everywhere stands for the region of what IAM holds.
const everywhere = "global"

// The kinds of orphan that IAM holds. Their IDs are names, and a role and its
// profile have the same one.
const (
	roleKind    = "iam-role"
	profileKind = "iam-instance-profile"
)

// profilePath is where a project's temporary roles and instance profiles are.
func profilePath(project string) string { return "/goldline-bake/" + project + "/" }

// identities lists the temporary roles below the project's path and, where it
// looks thoroughly, the instance profiles. Whoever looks for roles alone misses
// nothing that a bake left: it makes the role first and removes it last.
func (s *sweeper) identities(ctx context.Context) ([]Orphan, error) {
	var all []Orphan
	path := aws.String(profilePath(s.project))
	roles := iam.NewListRolesPaginator(s.cloud.IAM, &iam.ListRolesInput{PathPrefix: path})
	for roles.HasMorePages() {
		page, err := roles.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("roles: %w", err)
		}
		for _, r := range page.Roles {
			if !strings.HasPrefix(aws.ToString(r.Path), *path) {
				continue // IAM heeds the prefix; what answers in its place may not
			}
			out, err := s.cloud.IAM.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: r.RoleName})
			if cloud.NotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("tags of role %s: %w", aws.ToString(r.RoleName), err)
			}
			o := s.identity(roleKind, r.RoleName, out.Tags)
			s.aged(&o, r.CreateDate)
			all = append(all, o)
		}
	}
	if !s.thorough {
		return all, nil
	}
	profiles := iam.NewListInstanceProfilesPaginator(s.cloud.IAM, &iam.ListInstanceProfilesInput{PathPrefix: path})
	for profiles.HasMorePages() {
		page, err := profiles.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("instance profiles: %w", err)
		}
		for _, p := range page.InstanceProfiles {
			if !strings.HasPrefix(aws.ToString(p.Path), *path) {
				continue
			}
			out, err := s.cloud.IAM.ListInstanceProfileTags(ctx, &iam.ListInstanceProfileTagsInput{InstanceProfileName: p.InstanceProfileName})
			if cloud.NotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("tags of instance profile %s: %w", aws.ToString(p.InstanceProfileName), err)
			}
			o := s.identity(profileKind, p.InstanceProfileName, out.Tags)
			o.arn = aws.ToString(p.Arn)
			s.aged(&o, p.CreateDate)
			for _, r := range p.Roles {
				if name := aws.ToString(r.RoleName); name != o.ID {
					o.keep("it holds role %s", name)
				}
			}
			all = append(all, o)
		}
	}
	return all, s.held(ctx, all)
}

// identity is what IAM holds under a name, judged by its tags.
func (s *sweeper) identity(kind string, name *string, set []types.Tag) Orphan {
	o := Orphan{Kind: kind, ID: aws.ToString(name), Account: s.cloud.Account, Region: everywhere, tags: map[string]string{}, seen: true}
	for _, t := range set {
		o.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	s.judge(&o)
	if of := o.tags[tags.Project]; of != s.project {
		o.keep("its path is this project's, but its tags say %q", of)
	}
	return o
}

// held leaves roles that other instance profiles hold than the temporary one of
// the same name, which goes first.
func (s *sweeper) held(ctx context.Context, all []Orphan) error {
	for i := range all {
		o := &all[i]
		if o.Kind != roleKind || !o.Remove {
			continue
		}
		holders := iam.NewListInstanceProfilesForRolePaginator(s.cloud.IAM, &iam.ListInstanceProfilesForRoleInput{RoleName: aws.String(o.ID)})
		for holders.HasMorePages() {
			page, err := holders.NextPage(ctx)
			if cloud.NotFound(err) {
				break
			}
			if err != nil {
				return fmt.Errorf("instance profiles of role %s: %w", o.ID, err)
			}
			for _, p := range page.InstanceProfiles {
				name := aws.ToString(p.InstanceProfileName)
				if name == o.ID && slices.ContainsFunc(all, func(other Orphan) bool { return other.Kind == profileKind && other.ID == name }) {
					o.users = append(o.users, name)
				} else {
					o.keep("instance profile %s holds it", name)
				}
			}
		}
	}
	return nil
}

// launchedWith leaves instance profiles that instances of this place were
// launched with, unless those are removed as well, and the roles in profiles
// that stay.
func (s *sweeper) launchedWith(ctx context.Context, here, identities []Orphan) error {
	byARN := map[string]*Orphan{}
	var arns []string
	for i := range identities {
		if o := &identities[i]; o.Kind == profileKind && o.Remove && o.Account == s.cloud.Account {
			byARN[o.arn] = o
			arns = append(arns, o.arn)
		}
	}
	err := cloud.Batches(arns, 200, func(arns []string) error {
		live, err := describeLive(ctx, s.cloud, cloud.Filter("iam-instance-profile.arn", arns...))
		for _, i := range live {
			id := aws.ToString(i.InstanceId)
			if i.IamInstanceProfile == nil || byARN[aws.ToString(i.IamInstanceProfile.Arn)] == nil {
				continue
			}
			goes := slices.ContainsFunc(here, func(o Orphan) bool { return o.Kind == "instance" && o.ID == id && o.Remove })
			if o := byARN[aws.ToString(i.IamInstanceProfile.Arn)]; goes {
				o.users = append(o.users, id)
			} else {
				o.keep("instance %s in %s was launched with it", id, s.cloud.Region)
			}
		}
		return err
	})
	for _, p := range identities {
		for i := range identities {
			if o := &identities[i]; o.Kind == roleKind && p.Kind == profileKind && !p.Remove && o.Account == p.Account && o.ID == p.ID {
				o.keep("instance profile %s stays", p.ID)
			}
		}
	}
	return err
}

// removeIdentity removes an instance profile, or a role and the profile of the
// same name, as far as they are there.
func removeIdentity(ctx context.Context, c *cloud.Cloud, kind, name string) error {
	client, id := c.IAM, aws.String(name)
	calls := []func() error{
		func() error {
			_, err := client.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: id, RoleName: id})
			return err
		},
		func() error {
			_, err := client.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: id})
			return err
		},
		func() error {
			_, err := client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: id, PolicyName: aws.String(policyName)})
			return err
		},
		func() error {
			_, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: id})
			return err
		},
	}
	if kind == profileKind {
		calls = calls[:2]
	}
	for _, call := range calls {
		err := call()
		if cloud.Ambiguous(err) {
			err = call()
		}
		if err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	return nil
}
