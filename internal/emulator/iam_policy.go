package emulator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// policyRow is a customer managed policy with the versions that it keeps.
type policyRow struct {
	Name        string
	Path        string
	ID          string
	ARN         string
	Created     time.Time
	Updated     time.Time
	Description *string           `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
	Versions    []policyVersion   // oldest first
	Default     string
	Last        int // the number of the newest version that ever was
}

type policyVersion struct {
	ID       string
	Document string
	Created  time.Time
}

// maxPolicyVersions is how many versions a policy keeps.
const maxPolicyVersions = 5

// awsPolicy is the ARN of a policy that AWS manages: every one of that form is
// there to be attached.
var awsPolicy = regexp.MustCompile(`^arn:aws:iam::aws:policy/([\w-]+/)?[\w+=,.@-]+$`)

func (p policyRow) version(id string) (policyVersion, bool) {
	i := slices.IndexFunc(p.Versions, func(v policyVersion) bool { return v.ID == id })
	if i < 0 {
		return policyVersion{}, false
	}
	return p.Versions[i], true
}

func (p policyRow) current() policyVersion {
	v, _ := p.version(p.Default)
	return v
}

func (s *iamService) addPolicies() {
	onIAM(s, "CreatePolicy", "PolicyName Path PolicyDocument Description Tags.*", s.createPolicy)
	onIAM(s, "GetPolicy", "PolicyArn", s.getPolicy)
	onIAM(s, "ListPolicies", "PathPrefix Scope OnlyAttached Marker MaxItems", s.listPolicies)
	onIAM(s, "DeletePolicy", "PolicyArn", s.deletePolicy)
	onIAM(s, "CreatePolicyVersion", "PolicyArn PolicyDocument SetAsDefault", s.createPolicyVersion)
	onIAM(s, "GetPolicyVersion", "PolicyArn VersionId", s.getPolicyVersion)
	onIAM(s, "ListPolicyVersions", "PolicyArn Marker MaxItems", s.listPolicyVersions)
	onIAM(s, "DeletePolicyVersion", "PolicyArn VersionId", s.deletePolicyVersion)
	onIAM(s, "SetDefaultPolicyVersion", "PolicyArn VersionId", s.setDefaultPolicyVersion)
	onIAM(s, "ListEntitiesForPolicy", "PolicyArn EntityFilter PathPrefix Marker MaxItems", s.listEntitiesForPolicy)
}

func (s *iamService) policy(c apiCall, arn *string) (policyRow, error) {
	p, ok := s.policies.get(c.w, deref(arn))
	if !ok {
		return p, noSuchEntity("Policy %s was not found.", deref(arn))
	}
	return p, nil
}

func (s *iamService) attachedTo(c apiCall, arn string) []entityRow {
	return slices.DeleteFunc(s.entities.all(c.w), func(e entityRow) bool { return !slices.Contains(e.Attached, arn) })
}

func (s *iamService) shownPolicy(c apiCall, p policyRow, whole bool) types.Policy {
	shown := types.Policy{
		Arn: &p.ARN, AttachmentCount: new(int32(len(s.attachedTo(c, p.ARN)))), CreateDate: &p.Created, DefaultVersionId: &p.Default,
		IsAttachable: true, Path: &p.Path, PermissionsBoundaryUsageCount: new(int32(len(s.boundTo(c, p.ARN)))), PolicyId: &p.ID, PolicyName: &p.Name, UpdateDate: &p.Updated,
	}
	if whole { // lists leave these out
		shown.Description, shown.Tags = p.Description, iamTagList(p.Tags)
	}
	return shown
}

func (s *iamService) createPolicy(c apiCall, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	if err := checkIAMName("policy", *in.PolicyName); err != nil {
		return nil, err
	}
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	arn := iamARN(c.Account, "policy", path, *in.PolicyName)
	for _, p := range s.policies.all(c.w) {
		if strings.EqualFold(p.Name, *in.PolicyName) {
			return nil, iamConflict("EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", *in.PolicyName)
		}
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := iamTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := policyRow{
		Name: *in.PolicyName, Path: path, ID: iamID("ANPA"), ARN: arn, Created: c.now, Updated: c.now, Description: in.Description, Tags: tags,
		Versions: []policyVersion{{ID: "v1", Document: *in.PolicyDocument, Created: c.now}}, Default: "v1", Last: 1,
	}
	s.policies.put(c.w, arn, p)
	return &iam.CreatePolicyOutput{Policy: new(s.shownPolicy(c, p, true))}, nil
}

// maxManaged is the size of a managed policy, whitespace not counted.
const maxManaged = 6144

func checkManaged(document string) error {
	if err := checkDocument(document, false); err != nil {
		return err
	}
	if size(document) > maxManaged {
		return limitExceeded("PolicySize", maxManaged)
	}
	return nil
}

func (s *iamService) getPolicy(c apiCall, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	p, err := s.policy(c, in.PolicyArn)
	return &iam.GetPolicyOutput{Policy: new(s.shownPolicy(c, p, true))}, err
}

// listPolicies lists the customer's own: the local cloud has no list of AWS's.
func (s *iamService) listPolicies(c apiCall, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, error) {
	var list []policyRow
	for _, p := range s.policies.all(c.w) {
		if in.Scope != types.PolicyScopeTypeAws && strings.HasPrefix(p.Path, deref(in.PathPrefix)) && !(in.OnlyAttached && len(s.attachedTo(c, p.ARN)) == 0) {
			list = append(list, p)
		}
	}
	page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
	out := &iam.ListPoliciesOutput{IsTruncated: more, Marker: next}
	for _, p := range page {
		out.Policies = append(out.Policies, s.shownPolicy(c, p, false))
	}
	return out, err
}

func (s *iamService) deletePolicy(c apiCall, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	p, err := s.policy(c, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if len(s.attachedTo(c, p.ARN)) > 0 || len(s.boundTo(c, p.ARN)) > 0 {
		return nil, iamConflict("DeleteConflict", "Cannot delete a policy attached to entities.")
	}
	if len(p.Versions) > 1 {
		return nil, iamConflict("DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	s.policies.remove(c.w, p.ARN)
	return &iam.DeletePolicyOutput{}, nil
}

func shownVersion(p policyRow, v policyVersion, document bool) types.PolicyVersion {
	shown := types.PolicyVersion{CreateDate: &v.Created, IsDefaultVersion: v.ID == p.Default, VersionId: &v.ID}
	if document {
		shown.Document = encoded(v.Document)
	}
	return shown
}

func (s *iamService) createPolicyVersion(c apiCall, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, error) {
	p, err := s.policy(c, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	if len(p.Versions) >= maxPolicyVersions {
		return nil, iamConflict("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxPolicyVersions)
	}
	p.Last++
	v := policyVersion{ID: fmt.Sprintf("v%d", p.Last), Document: *in.PolicyDocument, Created: c.now}
	p.Versions = append(slices.Clone(p.Versions), v)
	if in.SetAsDefault {
		p.Default = v.ID
	}
	p.Updated = c.now
	s.policies.put(c.w, p.ARN, p)
	return &iam.CreatePolicyVersionOutput{PolicyVersion: new(shownVersion(p, v, false))}, nil
}

func (s *iamService) policyVersion(c apiCall, arn, id *string) (policyRow, policyVersion, error) {
	p, err := s.policy(c, arn)
	if err != nil {
		return p, policyVersion{}, err
	}
	v, ok := p.version(*id)
	if !ok {
		return p, v, noSuchEntity("Policy %s version %s does not exist or is not attachable.", *arn, *id)
	}
	return p, v, nil
}

func (s *iamService) getPolicyVersion(c apiCall, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	p, v, err := s.policyVersion(c, in.PolicyArn, in.VersionId)
	return &iam.GetPolicyVersionOutput{PolicyVersion: new(shownVersion(p, v, true))}, err
}

func (s *iamService) listPolicyVersions(c apiCall, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, error) {
	p, err := s.policy(c, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	newest := slices.Clone(p.Versions)
	slices.Reverse(newest)
	page, more, next, err := iamPage(newest, in.Marker, in.MaxItems)
	out := &iam.ListPolicyVersionsOutput{IsTruncated: more, Marker: next}
	for _, v := range page {
		out.Versions = append(out.Versions, shownVersion(p, v, false))
	}
	return out, err
}

func (s *iamService) deletePolicyVersion(c apiCall, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, error) {
	p, v, err := s.policyVersion(c, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	if v.ID == p.Default {
		return nil, iamConflict("DeleteConflict", "Cannot delete the default version of a policy.")
	}
	p.Versions = slices.DeleteFunc(slices.Clone(p.Versions), func(x policyVersion) bool { return x.ID == v.ID })
	s.policies.put(c.w, p.ARN, p)
	return &iam.DeletePolicyVersionOutput{}, nil
}

func (s *iamService) setDefaultPolicyVersion(c apiCall, in *iam.SetDefaultPolicyVersionInput) (*iam.SetDefaultPolicyVersionOutput, error) {
	p, v, err := s.policyVersion(c, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	p.Default, p.Updated = v.ID, c.now
	s.policies.put(c.w, p.ARN, p)
	return &iam.SetDefaultPolicyVersionOutput{}, nil
}

func (s *iamService) listEntitiesForPolicy(c apiCall, in *iam.ListEntitiesForPolicyInput) (*iam.ListEntitiesForPolicyOutput, error) {
	if !awsPolicy.MatchString(*in.PolicyArn) {
		if _, err := s.policy(c, in.PolicyArn); err != nil {
			return nil, err
		}
	}
	var list []entityRow
	for _, e := range s.attachedTo(c, *in.PolicyArn) {
		if strings.HasPrefix(e.Path, deref(in.PathPrefix)) && (in.EntityFilter == "" || strings.EqualFold(string(in.EntityFilter), e.Kind)) {
			list = append(list, e)
		}
	}
	page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
	out := &iam.ListEntitiesForPolicyOutput{IsTruncated: more, Marker: next}
	for _, e := range page {
		switch e.Kind {
		case "user":
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserId: new(e.ID), UserName: new(e.Name)})
		case "group":
			out.PolicyGroups = append(out.PolicyGroups, types.PolicyGroup{GroupId: new(e.ID), GroupName: new(e.Name)})
		default:
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleId: new(e.ID), RoleName: new(e.Name)})
		}
	}
	return out, err
}
