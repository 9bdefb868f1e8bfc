package launch

import (
	"context"
	"fmt"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type iamPolicyAPI interface {
	CreatePolicy(context.Context, *iam.CreatePolicyInput, ...func(*iam.Options)) (*iam.CreatePolicyOutput, error)
	ListPolicyVersions(context.Context, *iam.ListPolicyVersionsInput, ...func(*iam.Options)) (*iam.ListPolicyVersionsOutput, error)
	CreatePolicyVersion(context.Context, *iam.CreatePolicyVersionInput, ...func(*iam.Options)) (*iam.CreatePolicyVersionOutput, error)
	DeletePolicyVersion(context.Context, *iam.DeletePolicyVersionInput, ...func(*iam.Options)) (*iam.DeletePolicyVersionOutput, error)
	DeletePolicy(context.Context, *iam.DeletePolicyInput, ...func(*iam.Options)) (*iam.DeletePolicyOutput, error)
}

type iamPolicySpec struct {
	PolicyName  string `yaml:"policy_name" change:"replaces" doc:"The policy's name in the account." default:"PROJECT-ENVIRONMENT-NAME"`
	Path        string `yaml:"path" change:"replaces" doc:"The policy's path, below /goldline/PROJECT/ENVIRONMENT/."`
	Description string `yaml:"description" change:"replaces" doc:"What the policy is for."`
	Document    any    `yaml:"document" required:"true" doc:"What is allowed and what is not, in IAM's words. Another one becomes a new version; the oldest goes when there are five."`
}

type policy struct {
	types.ManagedPolicyDetail
	identity map[string]string
}

// current is the document of the version that counts.
func (p policy) current() string {
	for _, v := range p.PolicyVersionList {
		if v.IsDefaultVersion {
			return decoded(v.Document)
		}
	}
	return ""
}

type iamPolicies struct{ inIAM }

func (iamPolicies) named() {}

func (iamPolicies) api(c *cloud.Cloud) iamPolicyAPI { return c.IAM }

func (iamPolicies) about() project.Kind {
	return project.Kind{Name: "iam_policy", Doc: "Permissions that users, groups and roles share.", Attributes: []string{"id", "arn", "name"}}
}

func (iamPolicies) check(c *checker, d definition[iamPolicySpec]) {
	checkIAM(c, d.Resource, d.spec.PolicyName, d.spec.Path)
	checkPolicy(c, d.Resource, "document", d.spec.Document, false)
	if n := len(document(d.spec.Document)); n > 6144 {
		c.problems.Addf(d.At("document"), "the document is %d characters long: IAM takes 6144", n)
	}
}

func (iamPolicies) refuse(w want[iamPolicySpec]) error {
	return refuseIAM(w.world, w.Resource, w.world.iamName(w.Resource, w.spec.PolicyName), w.spec.Path, 128)
}

func (iamPolicies) foresee(w want[iamPolicySpec]) map[string]string {
	name := w.world.iamName(w.Resource, w.spec.PolicyName)
	arn := w.world.iamARN("policy", w.spec.Path, name)
	return map[string]string{"id": arn, "arn": arn, "name": name}
}

func (iamPolicies) list(ctx context.Context, q query) ([]policy, error) {
	details, err := q.details(ctx)
	if err != nil {
		return nil, err
	}
	var all []policy
	for _, p := range details.policies {
		all = append(all, policy{p, iamIdentity(q, "iam_policy", aws.ToString(p.PolicyName), func(s *iamPolicySpec) string { return s.PolicyName })})
	}
	return all, nil
}

// read: lists of policies leave their tags out.
func (iamPolicies) read(p policy) state {
	arn := aws.ToString(p.Arn)
	return state{id: arn, tags: p.identity, untagged: true, attributes: map[string]string{"arn": arn, "name": aws.ToString(p.PolicyName)}}
}

func (iamPolicies) compare(w want[iamPolicySpec], p policy) (d differences) {
	comparePath(&d, w.world, w.Resource, p.Path, w.spec.Path)
	if w.spec.Description != "" {
		d.fixed("description", aws.ToString(p.Description), w.spec.Description, "")
	}
	d.document("document", p.current(), document(w.spec.Document))
	return d
}

// excludes: a name is taken once.
func (iamPolicies) excludes(w want[iamPolicySpec], p policy) bool {
	return aws.ToString(p.PolicyName) == w.world.iamName(w.Resource, w.spec.PolicyName)
}

func (k iamPolicies) create(ctx context.Context, t *task, w want[iamPolicySpec]) (policy, error) {
	name, text := w.world.iamName(w.Resource, w.spec.PolicyName), document(w.spec.Document)
	out, err := k.api(t.Cloud).CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String(name), Path: aws.String(w.world.iamPath(w.spec.Path)), Description: optional(w.spec.Description),
		PolicyDocument: aws.String(text), Tags: iamTagList(t.birthSet()),
	})
	if err != nil {
		return policy{}, taken(err, "policy", name)
	}
	p := out.Policy
	return policy{ManagedPolicyDetail: types.ManagedPolicyDetail{
		Arn: p.Arn, PolicyName: p.PolicyName, Path: p.Path, Description: optional(w.spec.Description),
		PolicyVersionList: []types.PolicyVersion{{VersionId: p.DefaultVersionId, IsDefaultVersion: true, Document: aws.String(text)}},
	}}, nil
}

// maxPolicyVersions is how many versions IAM keeps of a policy.
const maxPolicyVersions = 5

func (k iamPolicies) update(ctx context.Context, t *task, w want[iamPolicySpec], p policy, d differences) error {
	if !d.has("document") {
		return nil
	}
	old, err := k.oldVersions(ctx, t, p)
	if err != nil {
		return err
	}
	for len(old) > maxPolicyVersions-2 {
		if err := k.dropVersion(ctx, t, p, old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	_, err = k.api(t.Cloud).CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{
		PolicyArn: p.Arn, PolicyDocument: aws.String(document(w.spec.Document)), SetAsDefault: true})
	return err
}

// oldVersions are those that do not count, oldest first.
func (k iamPolicies) oldVersions(ctx context.Context, t *task, p policy) ([]types.PolicyVersion, error) {
	var old []types.PolicyVersion
	pages := iam.NewListPolicyVersionsPaginator(k.api(t.Cloud), &iam.ListPolicyVersionsInput{PolicyArn: p.Arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list its versions: %w", err)
		}
		for _, v := range page.Versions {
			if !v.IsDefaultVersion {
				old = append(old, v)
			}
		}
	}
	sort.Slice(old, func(i, j int) bool {
		a, b := aws.ToString(old[i].VersionId), aws.ToString(old[j].VersionId)
		return len(a) < len(b) || len(a) == len(b) && a < b
	})
	return old, nil
}

func (k iamPolicies) dropVersion(ctx context.Context, t *task, p policy, v types.PolicyVersion) error {
	_, err := k.api(t.Cloud).DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: p.Arn, VersionId: v.VersionId})
	if err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("delete version %s: %w", aws.ToString(v.VersionId), err)
	}
	return nil
}

func (k iamPolicies) remove(ctx context.Context, t *task, p policy) error {
	for _, v := range p.PolicyVersionList {
		if v.IsDefaultVersion {
			continue
		}
		if err := k.dropVersion(ctx, t, p, v); err != nil {
			return err
		}
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: p.Arn})
		return err
	})
}
