package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func (s *iamService) addTags() {
	onIAM(s, "TagUser", "UserName Tags.*", func(c apiCall, in *iam.TagUserInput) (*iam.TagUserOutput, error) {
		e, err := s.entity(c, "user", in.UserName)
		if err == nil {
			e.Tags, err = iamTags(e.Tags, in.Tags)
		}
		if err != nil {
			return nil, err
		}
		s.put(c, e)
		return &iam.TagUserOutput{}, nil
	})
	onIAM(s, "UntagUser", "UserName TagKeys", func(c apiCall, in *iam.UntagUserInput) (*iam.UntagUserOutput, error) {
		e, err := s.entity(c, "user", in.UserName)
		if err != nil {
			return nil, err
		}
		e.Tags = untagged(e.Tags, in.TagKeys)
		s.put(c, e)
		return &iam.UntagUserOutput{}, nil
	})
	onIAM(s, "ListUserTags", "UserName Marker MaxItems", func(c apiCall, in *iam.ListUserTagsInput) (*iam.ListUserTagsOutput, error) {
		e, err := s.entity(c, "user", in.UserName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(iamTagList(e.Tags), in.Marker, in.MaxItems)
		return &iam.ListUserTagsOutput{Tags: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "TagRole", "RoleName Tags.*", func(c apiCall, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
		e, err := s.entity(c, "role", in.RoleName)
		if err == nil {
			e.Tags, err = iamTags(e.Tags, in.Tags)
		}
		if err != nil {
			return nil, err
		}
		s.put(c, e)
		return &iam.TagRoleOutput{}, nil
	})
	onIAM(s, "UntagRole", "RoleName TagKeys", func(c apiCall, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
		e, err := s.entity(c, "role", in.RoleName)
		if err != nil {
			return nil, err
		}
		e.Tags = untagged(e.Tags, in.TagKeys)
		s.put(c, e)
		return &iam.UntagRoleOutput{}, nil
	})
	onIAM(s, "ListRoleTags", "RoleName Marker MaxItems", func(c apiCall, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
		e, err := s.entity(c, "role", in.RoleName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(iamTagList(e.Tags), in.Marker, in.MaxItems)
		return &iam.ListRoleTagsOutput{Tags: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "TagPolicy", "PolicyArn Tags.*", func(c apiCall, in *iam.TagPolicyInput) (*iam.TagPolicyOutput, error) {
		e, err := s.policy(c, in.PolicyArn)
		if err == nil {
			e.Tags, err = iamTags(e.Tags, in.Tags)
		}
		if err != nil {
			return nil, err
		}
		s.policies.put(c.w, e.ARN, e)
		return &iam.TagPolicyOutput{}, nil
	})
	onIAM(s, "UntagPolicy", "PolicyArn TagKeys", func(c apiCall, in *iam.UntagPolicyInput) (*iam.UntagPolicyOutput, error) {
		e, err := s.policy(c, in.PolicyArn)
		if err != nil {
			return nil, err
		}
		e.Tags = untagged(e.Tags, in.TagKeys)
		s.policies.put(c.w, e.ARN, e)
		return &iam.UntagPolicyOutput{}, nil
	})
	onIAM(s, "ListPolicyTags", "PolicyArn Marker MaxItems", func(c apiCall, in *iam.ListPolicyTagsInput) (*iam.ListPolicyTagsOutput, error) {
		e, err := s.policy(c, in.PolicyArn)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(iamTagList(e.Tags), in.Marker, in.MaxItems)
		return &iam.ListPolicyTagsOutput{Tags: page, IsTruncated: more, Marker: next}, err
	})
	onIAM(s, "TagInstanceProfile", "InstanceProfileName Tags.*", func(c apiCall, in *iam.TagInstanceProfileInput) (*iam.TagInstanceProfileOutput, error) {
		e, err := s.profile(c, in.InstanceProfileName)
		if err == nil {
			e.Tags, err = iamTags(e.Tags, in.Tags)
		}
		if err != nil {
			return nil, err
		}
		s.putProfile(c, e)
		return &iam.TagInstanceProfileOutput{}, nil
	})
	onIAM(s, "UntagInstanceProfile", "InstanceProfileName TagKeys", func(c apiCall, in *iam.UntagInstanceProfileInput) (*iam.UntagInstanceProfileOutput, error) {
		e, err := s.profile(c, in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		e.Tags = untagged(e.Tags, in.TagKeys)
		s.putProfile(c, e)
		return &iam.UntagInstanceProfileOutput{}, nil
	})
	onIAM(s, "ListInstanceProfileTags", "InstanceProfileName Marker MaxItems", func(c apiCall, in *iam.ListInstanceProfileTagsInput) (*iam.ListInstanceProfileTagsOutput, error) {
		e, err := s.profile(c, in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		page, more, next, err := iamPage(iamTagList(e.Tags), in.Marker, in.MaxItems)
		return &iam.ListInstanceProfileTagsOutput{Tags: page, IsTruncated: more, Marker: next}, err
	})
}
