package launch

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// permissionsSpec is what users, groups and roles may do.
type permissionsSpec struct {
	ManagedPolicyARNs []string       `yaml:"managed_policy_arns" doc:"ARNs of policies that AWS manages, or that something else made."`
	Policies          []string       `yaml:"policies" ref:"iam_policy" doc:"Policies of this topology."`
	InlinePolicies    map[string]any `yaml:"inline_policies" doc:"Policies of its own, by name, in IAM's words."`
}

// boundarySpec is what bounds the permissions of a user or a role.
type boundarySpec struct {
	PermissionsBoundary string `yaml:"permissions_boundary" ref:"iam_policy" doc:"The policy beyond which its permissions never reach, whatever else it is given: one of this topology, or an ARN."`
}

func (s boundarySpec) check(c *checker, r *project.Resource) {
	if b := s.PermissionsBoundary; strings.HasPrefix(b, "arn:") && !unresolved(b) && !policyARN.MatchString(b) {
		c.problems.AddHint(r.At("permissions_boundary"), "as in arn:aws:iam::aws:policy/PowerUserAccess", "%q is no ARN of a policy", b)
	}
}

// boundaryOf is the ARN of a boundary; "" for none.
func boundaryOf(b *types.AttachedPermissionsBoundary) string {
	if b == nil {
		return ""
	}
	return aws.ToString(b.PermissionsBoundaryArn)
}

// bind sets or takes away the boundary, where that differs.
func (s boundarySpec) bind(ctx context.Context, d differences, put func(ctx context.Context, arn string) error, drop func(context.Context) error) error {
	if !d.has("permissions_boundary") {
		return nil
	}
	var err error
	if s.PermissionsBoundary != "" {
		err = put(ctx, s.PermissionsBoundary)
	} else if err = drop(ctx); cloud.NotFound(err) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("permissions_boundary: %w", err)
	}
	return nil
}

// arns are the managed policies that are to be attached, in order.
func (s permissionsSpec) arns() []string {
	list := slices.Concat(s.ManagedPolicyARNs, s.Policies)
	slices.Sort(list)
	return slices.Compact(list)
}

// granted is what a user, a group or a role has.
type granted struct {
	attached []string
	inline   map[string]string
}

func readPermissions(attached []types.AttachedPolicy, inline []types.PolicyDetail) granted {
	p := granted{inline: map[string]string{}}
	for _, a := range attached {
		p.attached = append(p.attached, aws.ToString(a.PolicyArn))
	}
	for _, i := range inline {
		p.inline[aws.ToString(i.PolicyName)] = decoded(i.PolicyDocument)
	}
	slices.Sort(p.attached)
	return p
}

var policyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[\x21-\x7e]+$`)

// maxAttached is how many managed policies IAM attaches by default.
const maxAttached = 10

func (s permissionsSpec) check(c *checker, r *project.Resource) {
	for i, arn := range s.ManagedPolicyARNs {
		if at := fmt.Sprintf("managed_policy_arns[%d]", i); !unresolved(arn) && !policyARN.MatchString(arn) {
			c.problems.AddHint(r.At(at), "as in arn:aws:iam::aws:policy/ReadOnlyAccess; a policy of this topology stands in policies", "%q is no ARN of a policy", arn)
		}
	}
	if n := len(s.arns()); n > maxAttached {
		c.problems.Addf(r.Pos, "%d managed policies: IAM attaches %d", n, maxAttached)
	}
	for _, name := range union(s.InlinePolicies) {
		at := "inline_policies." + name
		if !iamNameForm.MatchString(name) {
			c.problems.AddHint(r.At(at), "letters, digits, and any of +=,.@_-", "%q is no name in IAM", name)
		}
		checkPolicy(c, r, at, s.InlinePolicies[name], false)
	}
}

// attachedKey is the key under which attached policies are compared: what is
// adopted may state but one of the two.
func attachedKey(r *project.Resource) string {
	if r.Adopt != nil && !r.States("policies") {
		return "managed_policy_arns"
	}
	return "policies"
}

func (s permissionsSpec) compare(d *differences, r *project.Resource, have granted) {
	d.members(attachedKey(r), have.attached, s.arns())
	for _, name := range union(have.inline, documents(s.InlinePolicies)) {
		d.document("inline_policies."+name, have.inline[name], document(s.InlinePolicies[name]))
	}
}

func documents(policies map[string]any) map[string]string {
	all := map[string]string{}
	for name, p := range policies {
		all[name] = document(p)
	}
	return all
}

// permissionCalls are the calls that change what one user, group or role may do.
type permissionCalls struct {
	attach, detach func(ctx context.Context, arn string) error
	put            func(ctx context.Context, name, document string) error
	drop           func(ctx context.Context, name string) error
}

// give gives before it takes, so that there is no moment in which what is
// allowed before and after is not.
func (s permissionsSpec) give(ctx context.Context, calls permissionCalls, have granted, d differences) error {
	if !d.has("policies") && !d.has("managed_policy_arns") {
		have.attached, s.ManagedPolicyARNs, s.Policies = nil, nil, nil
	}
	if !d.below("inline_policies") {
		have.inline, s.InlinePolicies = nil, nil
	}
	wanted := s.arns()
	for _, arn := range wanted {
		if !has(have.attached, arn) {
			if err := calls.attach(ctx, arn); err != nil {
				return fmt.Errorf("attach %s: %w", arn, err)
			}
		}
	}
	inline := documents(s.InlinePolicies)
	for _, name := range union(inline) {
		if !samePolicy(have.inline[name], inline[name]) {
			if err := calls.put(ctx, name, inline[name]); err != nil {
				return fmt.Errorf("inline policy %s: %w", name, err)
			}
		}
	}
	extra := granted{inline: maps.Clone(have.inline)}
	for _, arn := range have.attached {
		if !has(wanted, arn) {
			extra.attached = append(extra.attached, arn)
		}
	}
	for name := range inline {
		delete(extra.inline, name)
	}
	return extra.take(ctx, calls)
}

// take takes all permissions away. What is gone already is no error.
func (p granted) take(ctx context.Context, calls permissionCalls) error {
	for _, arn := range p.attached {
		if err := calls.detach(ctx, arn); err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("detach %s: %w", arn, err)
		}
	}
	for _, name := range union(p.inline) {
		if err := calls.drop(ctx, name); err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("inline policy %s: %w", name, err)
		}
	}
	return nil
}

type rolePermissionAPI interface {
	AttachRolePolicy(context.Context, *iam.AttachRolePolicyInput, ...func(*iam.Options)) (*iam.AttachRolePolicyOutput, error)
	DetachRolePolicy(context.Context, *iam.DetachRolePolicyInput, ...func(*iam.Options)) (*iam.DetachRolePolicyOutput, error)
	PutRolePolicy(context.Context, *iam.PutRolePolicyInput, ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error)
	DeleteRolePolicy(context.Context, *iam.DeleteRolePolicyInput, ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error)
}

func rolePermissions(api rolePermissionAPI, role *string) permissionCalls {
	return permissionCalls{
		attach: func(ctx context.Context, arn string) error {
			_, err := api.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String(arn)})
			return err
		},
		detach: func(ctx context.Context, arn string) error {
			_, err := api.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: aws.String(arn)})
			return err
		},
		put: func(ctx context.Context, name, document string) error {
			_, err := api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String(name), PolicyDocument: aws.String(document)})
			return err
		},
		drop: func(ctx context.Context, name string) error {
			_, err := api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: aws.String(name)})
			return err
		},
	}
}
