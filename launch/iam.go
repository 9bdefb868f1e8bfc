package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// IAM finds nothing by tags. What an environment makes there lies below the
// path /goldline/PROJECT/ENVIRONMENT/, and is the one of its name, which is
// taken once in the account: so everything of a kind is found in one paginated
// call, and even a group, which takes no tags, carries its environment from
// the call that makes it. One call, GetAccountAuthorizationDetails, shows users,
// groups, roles and policies with all that hangs on them.

type iamDetailsAPI interface {
	GetAccountAuthorizationDetails(context.Context, *iam.GetAccountAuthorizationDetailsInput, ...func(*iam.Options)) (*iam.GetAccountAuthorizationDetailsOutput, error)
}

// iamPath is the path of all that an environment has in IAM.
func (w *world) iamPath(below string) string {
	return "/goldline/" + w.Project + "/" + w.environment + "/" + strings.TrimPrefix(below, "/")
}

// partition is the part of AWS that the environment's region belongs to.
func (w *world) partition() string {
	switch {
	case strings.HasPrefix(w.region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(w.region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// iamPrefix is the path below which a query looks: what is adopted may lie
// anywhere.
func (q query) iamPrefix() string {
	if len(q.adopting) > 0 || q.importing {
		return "/"
	}
	return q.world.iamPath("")
}

// comparePath: the path of what is adopted is its own.
func comparePath(d *differences, w *world, r *project.Resource, have *string, below string) {
	if r.Adopt == nil {
		d.fixed("path", aws.ToString(have), w.iamPath(below), "")
	}
}

// iamARN is the ARN that something will have.
func (w *world) iamARN(kind, below, name string) string {
	return "arn:" + w.partition() + ":iam::" + w.Cloud.Account + ":" + kind + w.iamPath(below) + name
}

// iamName is the name of a definition's resource.
func (w *world) iamName(r *project.Resource, given string) string {
	if given != "" {
		return given
	}
	return w.accountName(r)
}

// arnName is the name at the end of an ARN.
func arnName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// refuseIAM says what IAM would refuse of a name with its path.
func refuseIAM(w *world, r *project.Resource, name, below string, most int) error {
	if len(name) > most {
		return fmt.Errorf("the name %s is %d characters long: IAM takes %d; give it a name of its own: %s", name, len(name), most, "`"+nameKey(r.Kind)+"`")
	}
	if path := w.iamPath(below); len(path) > 512 {
		return fmt.Errorf("the path %s is %d characters long: IAM takes 512", path, len(path))
	}
	return nil
}

// nameKey is the key of a kind's name in definitions: IAM's parameter.
func nameKey(kind string) string {
	return map[string]string{
		"iam_role": "role_name", "iam_policy": "policy_name", "iam_user": "user_name", "iam_group": "group_name", "instance_profile": "instance_profile_name",
	}[kind]
}

var (
	iamNameForm = regexp.MustCompile(`^[\w+=,.@-]+$`)
	iamPathForm = regexp.MustCompile(`^/?([\x21-\x7e]+/)*$`)
)

// checkIAM checks what all kinds of IAM have: a name and a path.
func checkIAM(c *checker, r *project.Resource, name, path string) {
	key := nameKey(r.Kind)
	switch {
	case unresolved(name):
		c.problems.Addf(r.At(key), "a name in IAM cannot be made of what a launch makes")
	case name != "" && !iamNameForm.MatchString(name):
		c.problems.AddHint(r.At(key), "letters, digits, and any of +=,.@_-", "%q is no name in IAM", name)
	case name == "" && !iamNameForm.MatchString(r.Index+"x"):
		c.problems.AddHint(r.Pos, "give it a "+key, "its index %q cannot stand in a name in IAM", r.Index)
	}
	if unresolved(path) || !iamPathForm.MatchString(path) {
		c.problems.AddHint(r.At("path"), "as in service/web/; it begins below /goldline/PROJECT/ENVIRONMENT/", "%q is no path in IAM", path)
	}
}

// checkPolicy checks a policy document, one of trust or of permissions.
func checkPolicy(c *checker, r *project.Resource, path string, document any, trust bool) {
	if document == nil {
		return
	}
	policy, ok := document.(map[string]any)
	if !ok {
		c.problems.AddHint(r.At(path), "write the policy as YAML: Statement: [{Effect: Allow, ...}]", "a policy is a mapping")
		return
	}
	version, stated := policy["Version"]
	if stated && version != "2012-10-17" && version != "2008-10-17" {
		c.problems.AddHint(r.At(path+".Version"), `"2012-10-17" is the language's version, not the policy's`, "IAM takes no version %v", version)
	}
	statements, ok := policy["Statement"].([]any)
	if one, single := policy["Statement"].(map[string]any); single {
		statements, ok = []any{one}, true
	}
	if !ok || len(statements) == 0 {
		c.problems.AddHint(r.At(path), "Statement: [{Effect: Allow, Action: ..., ...}]", "a policy needs a Statement")
		return
	}
	for i, s := range statements {
		at := fmt.Sprintf("%s.Statement[%d]", path, i)
		statement, ok := s.(map[string]any)
		if !ok {
			c.problems.Addf(r.At(at), "a statement is a mapping")
			continue
		}
		checkStatement(c, r, at, statement, trust)
	}
}

var statementKeys = []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"}

func checkStatement(c *checker, r *project.Resource, at string, s map[string]any, trust bool) {
	any := func(keys ...string) bool {
		for _, k := range keys {
			if _, ok := s[k]; ok {
				return true
			}
		}
		return false
	}
	for _, k := range union(s) {
		if !has(statementKeys, k) {
			c.problems.AddHint(r.At(at+"."+k), "known here: "+strings.Join(statementKeys, ", "), "unknown key %q in a statement", k)
		}
	}
	if s["Effect"] != "Allow" && s["Effect"] != "Deny" {
		c.problems.Addf(r.At(at+".Effect"), "a statement's Effect is Allow or Deny")
	}
	switch {
	case !any("Action", "NotAction"):
		c.problems.Addf(r.At(at), "a statement needs an Action")
	case trust && !any("Principal", "NotPrincipal"):
		c.problems.AddHint(r.At(at), "Principal: {Service: ec2.amazonaws.com}", "a statement of trust needs a Principal: who may assume the role")
	case trust && any("Resource", "NotResource"):
		c.problems.Addf(r.At(at), "a statement of trust takes no Resource: it is about the role itself")
	case !trust && any("Principal", "NotPrincipal"):
		c.problems.Addf(r.At(at), "a statement of permissions takes no Principal: it is about whoever has the policy")
	case !trust && !any("Resource", "NotResource"):
		c.problems.Addf(r.At(at), "a statement needs a Resource")
	}
}

// document is a policy as IAM takes it, with the language's present version
// where none is stated.
func document(policy any) string {
	m, ok := policy.(map[string]any)
	if !ok {
		return ""
	}
	if _, stated := m["Version"]; !stated {
		m = withVersion(m)
	}
	text, _ := json.Marshal(m) // JSON's values alone: it cannot fail
	return string(text)
}

// decoded is a policy as IAM gives it back.
func decoded(text *string) string {
	plain, err := url.PathUnescape(aws.ToString(text))
	if err != nil {
		return aws.ToString(text)
	}
	return plain
}

// samePolicy tells whether two policies mean the same: the order of keys, one
// element or a list of it, and the order of lists that are sets make no
// difference.
func samePolicy(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(normal(x), normal(y))
}

// normal brings a policy into one form.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, x := range v {
			m[k] = normal(x)
		}
		return m
	case []any:
		if len(v) == 1 {
			return normal(v[0])
		}
		list := make([]any, len(v))
		words := map[string]bool{}
		for i, x := range v {
			list[i] = normal(x)
			if s, ok := x.(string); ok {
				words[s] = true
			}
		}
		if len(words) == len(v) {
			return words
		}
		return list
	}
	return v
}

// compareDocument notes that a policy is another.
func (d *differences) document(path, old, new string) {
	if strings.Contains(new, Unknown) || !samePolicy(old, new) {
		d.set(path, old, new)
	}
}

// iamDetails is what an environment has in IAM.
type iamDetails struct {
	users    []types.UserDetail
	groups   []types.GroupDetail
	roles    []types.RoleDetail
	policies []types.ManagedPolicyDetail
	members  map[string][]string // ARNs of users, also of others', by the name of their group
}

// details reads everything below the environment's path.
func (q query) details(ctx context.Context) (*iamDetails, error) {
	return recall(q.memo, "iam details", func() (*iamDetails, error) {
		d := &iamDetails{members: map[string][]string{}}
		var api iamDetailsAPI = q.cloud.IAM
		path := q.iamPrefix()
		in := &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(pageSize), Filter: []types.EntityType{
			types.EntityTypeUser, types.EntityTypeGroup, types.EntityTypeRole, types.EntityTypeLocalManagedPolicy}}
		for {
			out, err := api.GetAccountAuthorizationDetails(ctx, in)
			if err != nil {
				return nil, q.unlessUnused(err, "iam_role", "iam_policy", "iam_user", "iam_group")
			}
			d.note(out.UserDetailList)
			d.users = append(d.users, below(out.UserDetailList, path, func(x types.UserDetail) *string { return x.Path })...)
			d.groups = append(d.groups, below(out.GroupDetailList, path, func(x types.GroupDetail) *string { return x.Path })...)
			d.roles = append(d.roles, below(out.RoleDetailList, path, func(x types.RoleDetail) *string { return x.Path })...)
			d.policies = append(d.policies, below(withNames(out.Policies), path, func(x types.ManagedPolicyDetail) *string { return x.Path })...)
			if !out.IsTruncated {
				return d, nil
			}
			in.Marker = out.Marker
		}
	})
}

// withNames gives policies the names that their ARNs end in: not every IAM that is not
// AWS's tells them beside those.
func withNames(policies []types.ManagedPolicyDetail) []types.ManagedPolicyDetail {
	for i, p := range policies {
		if p.PolicyName == nil {
			policies[i].PolicyName = aws.String(arnName(aws.ToString(p.Arn)))
		}
	}
	return policies
}

func below[T any](list []T, prefix string, path func(T) *string) []T {
	var some []T
	for _, x := range list {
		if strings.HasPrefix(aws.ToString(path(x)), prefix) {
			some = append(some, x)
		}
	}
	return some
}

// errUnused says that a service may not be read that no definition uses: of its
// kinds there is then nothing to list.
var errUnused = fmt.Errorf("not read, since no definition is about it")

// unlessUnused makes errUnused of a refusal where no definition is of one of the
// kinds: whoever uses none of a service needs no permission for it.
func (q query) unlessUnused(err error, kinds ...string) error {
	if !cloud.Denied(err) || q.importing {
		return err
	}
	for _, r := range q.world.resources() {
		if has(kinds, r.Kind) {
			return err
		}
	}
	return errUnused
}

// defined is the definition whose resource has a name in IAM.
func defined[S any](q query, kind, name string, given func(*S) string) *project.Resource {
	for _, r := range q.world.resources() {
		if s, ok := r.Spec.(*S); ok && r.Kind == kind && strings.EqualFold(q.world.iamName(r, given(s)), name) {
			return r
		}
	}
	return nil
}

// iamIdentity are the tags that a path and a name stand for.
func iamIdentity[S any](q query, kind, name string, given func(*S) string) map[string]string {
	if len(q.adopting) > 0 || q.importing {
		return nil
	}
	set := map[string]string{tags.Project: q.world.Project, tags.Environment: q.world.environment}
	if r := defined(q, kind, name, given); r != nil {
		set[tags.Address], set[tags.UUID] = r.Address, r.UUID
	} else {
		set[tags.Address] = kind + "." + name
	}
	return set
}

func iamTagSet(list []types.Tag) map[string]string {
	set := map[string]string{}
	for _, t := range list {
		set[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags.FromPlain(set)
}

// iamTags are a resource's tags with its identity: the name counts, not a UUID
// that it carries from a definition which now has another name.
func iamTags(own []types.Tag, identity map[string]string) map[string]string {
	set := tags.Merge(iamTagSet(own), identity)
	if identity != nil && identity[tags.UUID] == "" {
		delete(set, tags.UUID)
	}
	return set
}

func iamTagList(set map[string]string) []types.Tag {
	set = tags.Plain(set)
	var list []types.Tag
	for _, k := range tags.Keys(set) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	return list
}

// taken explains that a name is taken by something that is not the
// environment's.
func taken(err error, what, name string) error {
	if !cloud.AlreadyExists(err) {
		return err
	}
	return fail.WithHint(fmt.Errorf("%s %s is there already and not of this environment: %w", what, name, err), "give the definition another name, or remove what has it")
}

func withVersion(m map[string]any) map[string]any {
	c := map[string]any{"Version": "2012-10-17"}
	maps.Copy(c, m)
	return c
}
