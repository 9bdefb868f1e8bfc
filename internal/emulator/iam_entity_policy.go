package emulator

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Users, groups and roles take the same policies in the same ways; IAM has an
// action of its own for each of them all the same.
func (s *iamService) addEntityPolicies() {
	onIAM(s, "AttachUserPolicy", "UserName PolicyArn", func(c apiCall, in *iam.AttachUserPolicyInput) (*iam.AttachUserPolicyOutput, error) {
		return &iam.AttachUserPolicyOutput{}, s.attach(c, "user", in.UserName, *in.PolicyArn)
	})
	onIAM(s, "DetachUserPolicy", "UserName PolicyArn", func(c apiCall, in *iam.DetachUserPolicyInput) (*iam.DetachUserPolicyOutput, error) {
		return &iam.DetachUserPolicyOutput{}, s.detach(c, "user", in.UserName, *in.PolicyArn)
	})
	onIAM(s, "ListAttachedUserPolicies", "UserName PathPrefix Marker MaxItems", func(c apiCall, in *iam.ListAttachedUserPoliciesInput) (*iam.ListAttachedUserPoliciesOutput, error) {
		list, err := s.attached(c, "user", in.UserName, in.PathPrefix)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
		return &iam.ListAttachedUserPoliciesOutput{AttachedPolicies: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "PutUserPolicy", "UserName PolicyName PolicyDocument", func(c apiCall, in *iam.PutUserPolicyInput) (*iam.PutUserPolicyOutput, error) {
		return &iam.PutUserPolicyOutput{}, s.putInline(c, "user", in.UserName, *in.PolicyName, *in.PolicyDocument)
	})
	onIAM(s, "GetUserPolicy", "UserName PolicyName", func(c apiCall, in *iam.GetUserPolicyInput) (*iam.GetUserPolicyOutput, error) {
		e, document, err := s.inline(c, "user", in.UserName, *in.PolicyName)
		return &iam.GetUserPolicyOutput{UserName: &e.Name, PolicyName: in.PolicyName, PolicyDocument: encoded(document)}, err
	})
	onIAM(s, "DeleteUserPolicy", "UserName PolicyName", func(c apiCall, in *iam.DeleteUserPolicyInput) (*iam.DeleteUserPolicyOutput, error) {
		return &iam.DeleteUserPolicyOutput{}, s.deleteInline(c, "user", in.UserName, *in.PolicyName)
	})
	onIAM(s, "ListUserPolicies", "UserName Marker MaxItems", func(c apiCall, in *iam.ListUserPoliciesInput) (*iam.ListUserPoliciesOutput, error) {
		e, err := s.entity(c, "user", in.UserName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(sortedKeys(e.Inline), in.Marker, in.MaxItems)
		return &iam.ListUserPoliciesOutput{PolicyNames: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "AttachGroupPolicy", "GroupName PolicyArn", func(c apiCall, in *iam.AttachGroupPolicyInput) (*iam.AttachGroupPolicyOutput, error) {
		return &iam.AttachGroupPolicyOutput{}, s.attach(c, "group", in.GroupName, *in.PolicyArn)
	})
	onIAM(s, "DetachGroupPolicy", "GroupName PolicyArn", func(c apiCall, in *iam.DetachGroupPolicyInput) (*iam.DetachGroupPolicyOutput, error) {
		return &iam.DetachGroupPolicyOutput{}, s.detach(c, "group", in.GroupName, *in.PolicyArn)
	})
	onIAM(s, "ListAttachedGroupPolicies", "GroupName PathPrefix Marker MaxItems", func(c apiCall, in *iam.ListAttachedGroupPoliciesInput) (*iam.ListAttachedGroupPoliciesOutput, error) {
		list, err := s.attached(c, "group", in.GroupName, in.PathPrefix)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
		return &iam.ListAttachedGroupPoliciesOutput{AttachedPolicies: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "PutGroupPolicy", "GroupName PolicyName PolicyDocument", func(c apiCall, in *iam.PutGroupPolicyInput) (*iam.PutGroupPolicyOutput, error) {
		return &iam.PutGroupPolicyOutput{}, s.putInline(c, "group", in.GroupName, *in.PolicyName, *in.PolicyDocument)
	})
	onIAM(s, "GetGroupPolicy", "GroupName PolicyName", func(c apiCall, in *iam.GetGroupPolicyInput) (*iam.GetGroupPolicyOutput, error) {
		e, document, err := s.inline(c, "group", in.GroupName, *in.PolicyName)
		return &iam.GetGroupPolicyOutput{GroupName: &e.Name, PolicyName: in.PolicyName, PolicyDocument: encoded(document)}, err
	})
	onIAM(s, "DeleteGroupPolicy", "GroupName PolicyName", func(c apiCall, in *iam.DeleteGroupPolicyInput) (*iam.DeleteGroupPolicyOutput, error) {
		return &iam.DeleteGroupPolicyOutput{}, s.deleteInline(c, "group", in.GroupName, *in.PolicyName)
	})
	onIAM(s, "ListGroupPolicies", "GroupName Marker MaxItems", func(c apiCall, in *iam.ListGroupPoliciesInput) (*iam.ListGroupPoliciesOutput, error) {
		e, err := s.entity(c, "group", in.GroupName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(sortedKeys(e.Inline), in.Marker, in.MaxItems)
		return &iam.ListGroupPoliciesOutput{PolicyNames: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "AttachRolePolicy", "RoleName PolicyArn", func(c apiCall, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
		return &iam.AttachRolePolicyOutput{}, s.attach(c, "role", in.RoleName, *in.PolicyArn)
	})
	onIAM(s, "DetachRolePolicy", "RoleName PolicyArn", func(c apiCall, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
		return &iam.DetachRolePolicyOutput{}, s.detach(c, "role", in.RoleName, *in.PolicyArn)
	})
	onIAM(s, "ListAttachedRolePolicies", "RoleName PathPrefix Marker MaxItems", func(c apiCall, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
		list, err := s.attached(c, "role", in.RoleName, in.PathPrefix)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(list, in.Marker, in.MaxItems)
		return &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "PutRolePolicy", "RoleName PolicyName PolicyDocument", func(c apiCall, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
		return &iam.PutRolePolicyOutput{}, s.putInline(c, "role", in.RoleName, *in.PolicyName, *in.PolicyDocument)
	})
	onIAM(s, "GetRolePolicy", "RoleName PolicyName", func(c apiCall, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
		e, document, err := s.inline(c, "role", in.RoleName, *in.PolicyName)
		return &iam.GetRolePolicyOutput{RoleName: &e.Name, PolicyName: in.PolicyName, PolicyDocument: encoded(document)}, err
	})
	onIAM(s, "DeleteRolePolicy", "RoleName PolicyName", func(c apiCall, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
		return &iam.DeleteRolePolicyOutput{}, s.deleteInline(c, "role", in.RoleName, *in.PolicyName)
	})
	onIAM(s, "ListRolePolicies", "RoleName Marker MaxItems", func(c apiCall, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
		e, err := s.entity(c, "role", in.RoleName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(sortedKeys(e.Inline), in.Marker, in.MaxItems)
		return &iam.ListRolePoliciesOutput{PolicyNames: page, IsTruncated: more, Marker: next}, err
	})
}

// maxAttached is how many managed policies an entity may have, and
// maxInlineSize how long its inline policies may be together.
const maxAttached = 10

var maxInlineSize = map[string]int{"user": 2048, "group": 5120, "role": 10240}

func (s *iamService) attach(c apiCall, kind string, name *string, arn string) error {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return err
	}
	if _, ours := s.policies.get(c.w, arn); !ours && !awsPolicy.MatchString(arn) {
		return noSuchEntity("Policy %s does not exist or is not attachable.", arn)
	}
	if slices.Contains(e.Attached, arn) {
		return nil
	}
	if len(e.Attached) >= maxAttached {
		return limitExceeded("PoliciesPer"+upperFirst(kind), maxAttached)
	}
	e.Attached = with(e.Attached, arn)
	slices.Sort(e.Attached)
	s.put(c, e)
	return nil
}

func (s *iamService) detach(c apiCall, kind string, name *string, arn string) error {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return err
	}
	if !slices.Contains(e.Attached, arn) {
		return noSuchEntity("Policy %s was not found.", arn)
	}
	e.Attached = without(e.Attached, arn)
	s.put(c, e)
	return nil
}

func attachedPolicies(e entityRow) []types.AttachedPolicy {
	var list []types.AttachedPolicy
	for _, arn := range e.Attached {
		list = append(list, types.AttachedPolicy{PolicyArn: new(arn), PolicyName: new(arn[strings.LastIndexByte(arn, '/')+1:])})
	}
	return list
}

func (s *iamService) attached(c apiCall, kind string, name, prefix *string) ([]types.AttachedPolicy, error) {
	e, err := s.entity(c, kind, name)
	list := slices.DeleteFunc(attachedPolicies(e), func(p types.AttachedPolicy) bool {
		_, path, _ := strings.Cut(*p.PolicyArn, ":policy")
		return !strings.HasPrefix(path, deref(prefix))
	})
	return list, err
}

func (s *iamService) putInline(c apiCall, kind string, name *string, policy, document string) error {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return err
	}
	if err := checkIAMName("policy", policy); err != nil {
		return err
	}
	if err := checkDocument(document, false); err != nil {
		return err
	}
	e.Inline = maps.Clone(e.Inline)
	if e.Inline == nil {
		e.Inline = map[string]string{}
	}
	e.Inline[policy] = document
	total := 0
	for _, d := range e.Inline {
		total += size(d)
	}
	if most := maxInlineSize[kind]; total > most {
		return iamConflict("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", most, kind, e.Name)
	}
	s.put(c, e)
	return nil
}

func (s *iamService) inline(c apiCall, kind string, name *string, policy string) (entityRow, string, error) {
	e, err := s.entity(c, kind, name)
	if err != nil {
		return e, "", err
	}
	document, ok := e.Inline[policy]
	if !ok {
		return e, "", noSuchEntity("The %s policy with name %s cannot be found.", kind, policy)
	}
	return e, document, nil
}

func (s *iamService) deleteInline(c apiCall, kind string, name *string, policy string) error {
	e, _, err := s.inline(c, kind, name, policy)
	if err != nil {
		return err
	}
	e.Inline = maps.Clone(e.Inline)
	delete(e.Inline, policy)
	s.put(c, e)
	return nil
}
