package emulator

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/uuid"
)

func (s *kmsService) addKeys() {
	onKMS(s, "CreateKey", "Description Policy KeySpec CustomerMasterKeySpec KeyUsage Origin Tags.* BypassPolicyLockoutSafetyCheck", s.createKey)
	onKMS(s, "DescribeKey", "KeyId GrantTokens", s.describeKey)
	onKMS(s, "ListKeys", "Limit Marker", s.listKeys)
	onKMS(s, "EnableKey", "KeyId", func(c apiCall, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
		return &kms.EnableKeyOutput{}, s.enable(c, in.KeyId, "EnableKey", true)
	})
	onKMS(s, "DisableKey", "KeyId", func(c apiCall, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
		return &kms.DisableKeyOutput{}, s.enable(c, in.KeyId, "DisableKey", false)
	})
	onKMS(s, "ScheduleKeyDeletion", "KeyId PendingWindowInDays", s.scheduleKeyDeletion)
	onKMS(s, "CancelKeyDeletion", "KeyId", s.cancelKeyDeletion)
	onKMS(s, "UpdateKeyDescription", "KeyId Description", s.updateKeyDescription)
	onKMS(s, "GetKeyPolicy", "KeyId PolicyName", s.getKeyPolicy)
	onKMS(s, "PutKeyPolicy", "KeyId Policy PolicyName BypassPolicyLockoutSafetyCheck", s.putKeyPolicy)
	onKMS(s, "ListKeyPolicies", "KeyId Limit Marker", s.listKeyPolicies)
	onKMS(s, "TagResource", "KeyId Tags.*", s.tagKey)
	onKMS(s, "UntagResource", "KeyId TagKeys", s.untagKey)
	onKMS(s, "ListResourceTags", "KeyId Limit Marker", s.listKeyTags)
	onKMS(s, "EnableKeyRotation", "KeyId", func(c apiCall, in *kms.EnableKeyRotationInput) (*kms.EnableKeyRotationOutput, error) {
		return &kms.EnableKeyRotationOutput{}, s.rotate(c, in.KeyId, "EnableKeyRotation", true)
	})
	onKMS(s, "DisableKeyRotation", "KeyId", func(c apiCall, in *kms.DisableKeyRotationInput) (*kms.DisableKeyRotationOutput, error) {
		return &kms.DisableKeyRotationOutput{}, s.rotate(c, in.KeyId, "DisableKeyRotation", false)
	})
	onKMS(s, "GetKeyRotationStatus", "KeyId", func(c apiCall, in *kms.GetKeyRotationStatusInput) (*kms.GetKeyRotationStatusOutput, error) {
		key, err := s.own(c, in.KeyId, "GetKeyRotationStatus")
		return &kms.GetKeyRotationStatusOutput{KeyId: key.Meta.KeyId, KeyRotationEnabled: key.Rotates}, err
	})
}

func (s *kmsService) createKey(c apiCall, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, error) {
	if in.KeySpec != "" && in.KeySpec != types.KeySpecSymmetricDefault || in.KeyUsage != "" && in.KeyUsage != types.KeyUsageTypeEncryptDecrypt ||
		in.Origin != "" && in.Origin != types.OriginTypeAwsKms {
		return nil, refuse("UnsupportedOperationException", "The local cloud has symmetric keys that KMS makes alone.")
	}
	key := s.newKey(c.w, uuid.NewString(), c.now)
	if in.Description != nil {
		key.Meta.Description = in.Description
	}
	if in.Policy != nil {
		if err := checkKeyPolicy(*in.Policy); err != nil {
			return nil, err
		}
		key.Policy = *in.Policy
	}
	var err error
	if key.Tags, err = keyTags(nil, in.Tags); err != nil {
		return nil, err
	}
	s.put(c.w, key)
	return &kms.CreateKeyOutput{KeyMetadata: &key.Meta}, nil
}

func (s *kmsService) describeKey(c apiCall, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	key, w, err := s.wanted(c.w, *in.KeyId, c.now)
	if w.Account != c.Account && (err != nil || !key.allows(c.Account, "DescribeKey")) {
		return nil, c.denied("DescribeKey", *in.KeyId)
	}
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &key.Meta}, nil
}

func (s *kmsService) listKeys(c apiCall, in *kms.ListKeysInput) (*kms.ListKeysOutput, error) {
	page, more, next, err := iamPage(s.keys.all(c.w), in.Marker, in.Limit)
	out := &kms.ListKeysOutput{Truncated: more, NextMarker: next, Keys: []types.KeyListEntry{}}
	for _, key := range page {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: key.Meta.KeyId, KeyArn: key.Meta.Arn})
	}
	return out, err
}

func (s *kmsService) enable(c apiCall, name *string, action string, on bool) error {
	key, err := s.changeable(c, name, action)
	if err != nil {
		return err
	}
	key.Meta.Enabled, key.Meta.KeyState = on, pick(on, types.KeyStateEnabled, types.KeyStateDisabled)
	s.put(c.w, key)
	return nil
}

func (s *kmsService) rotate(c apiCall, name *string, action string, on bool) error {
	key, err := s.changeable(c, name, action)
	if err != nil {
		return err
	}
	key.Rotates = on
	s.put(c.w, key)
	return nil
}

// The days that a key waits for its deletion, from
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html.
const minDeletionDays, maxDeletionDays = 7, 30

func (s *kmsService) scheduleKeyDeletion(c apiCall, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	key, err := s.changeable(c, in.KeyId, "ScheduleKeyDeletion")
	if err != nil {
		return nil, err
	}
	days := int32(maxDeletionDays)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < minDeletionDays || days > maxDeletionDays {
		return nil, refuse("ValidationException", "PendingWindowInDays must be between %d and %d", minDeletionDays, maxDeletionDays)
	}
	key.Meta.Enabled, key.Meta.KeyState, key.Meta.DeletionDate = false, types.KeyStatePendingDeletion, new(c.now.AddDate(0, 0, int(days)))
	s.put(c.w, key)
	return &kms.ScheduleKeyDeletionOutput{KeyId: key.Meta.Arn, DeletionDate: key.Meta.DeletionDate, KeyState: key.Meta.KeyState, PendingWindowInDays: &days}, nil
}

func (s *kmsService) cancelKeyDeletion(c apiCall, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	key, err := s.own(c, in.KeyId, "CancelKeyDeletion")
	if err != nil {
		return nil, err
	}
	if key.Meta.KeyState != types.KeyStatePendingDeletion {
		return nil, refuse("KMSInvalidStateException", "%s is not pending deletion.", *key.Meta.Arn)
	}
	key.Meta.KeyState, key.Meta.DeletionDate = types.KeyStateDisabled, nil
	s.put(c.w, key)
	return &kms.CancelKeyDeletionOutput{KeyId: key.Meta.Arn}, nil
}

func (s *kmsService) updateKeyDescription(c apiCall, in *kms.UpdateKeyDescriptionInput) (*kms.UpdateKeyDescriptionOutput, error) {
	key, err := s.changeable(c, in.KeyId, "UpdateKeyDescription")
	if err != nil {
		return nil, err
	}
	key.Meta.Description = in.Description
	s.put(c.w, key)
	return &kms.UpdateKeyDescriptionOutput{}, nil
}

// policyName is the only name that a key's policy can have.
const policyName = "default"

func checkPolicyName(name *string) error {
	if name != nil && *name != policyName {
		return keyNotFound("No such policy exists")
	}
	return nil
}

func (s *kmsService) getKeyPolicy(c apiCall, in *kms.GetKeyPolicyInput) (*kms.GetKeyPolicyOutput, error) {
	if err := checkPolicyName(in.PolicyName); err != nil {
		return nil, err
	}
	key, w, err := s.find(c.w, *in.KeyId)
	if err == nil && w.Account != c.Account {
		err = c.denied("GetKeyPolicy", *key.Meta.Arn)
	}
	return &kms.GetKeyPolicyOutput{Policy: &key.Policy, PolicyName: new(policyName)}, err
}

func (s *kmsService) putKeyPolicy(c apiCall, in *kms.PutKeyPolicyInput) (*kms.PutKeyPolicyOutput, error) {
	if err := checkPolicyName(in.PolicyName); err != nil {
		return nil, err
	}
	key, err := s.changeable(c, in.KeyId, "PutKeyPolicy")
	if err != nil {
		return nil, err
	}
	if err := checkKeyPolicy(*in.Policy); err != nil {
		return nil, err
	}
	key.Policy = *in.Policy
	s.put(c.w, key)
	return &kms.PutKeyPolicyOutput{}, nil
}

func (s *kmsService) listKeyPolicies(c apiCall, in *kms.ListKeyPoliciesInput) (*kms.ListKeyPoliciesOutput, error) {
	_, err := s.own(c, in.KeyId, "ListKeyPolicies")
	return &kms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, err
}

// maxKeyTags is how many tags a key may have.
const maxKeyTags = 50

func keyTags(had map[string]string, list []types.Tag) (map[string]string, error) {
	set := map[string]string{}
	maps.Copy(set, had)
	for _, tag := range list {
		if strings.HasPrefix(*tag.TagKey, "aws:") {
			return nil, refuse("TagException", "aws: prefixed tag key names are not allowed for external use.")
		}
		set[*tag.TagKey] = *tag.TagValue
	}
	if len(set) > maxKeyTags {
		return nil, refuse("TagException", "Too many tags")
	}
	return set, nil
}

func (s *kmsService) tagKey(c apiCall, in *kms.TagResourceInput) (*kms.TagResourceOutput, error) {
	key, err := s.changeable(c, in.KeyId, "TagResource")
	if err != nil {
		return nil, err
	}
	if key.Tags, err = keyTags(key.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.put(c.w, key)
	return &kms.TagResourceOutput{}, nil
}

func (s *kmsService) untagKey(c apiCall, in *kms.UntagResourceInput) (*kms.UntagResourceOutput, error) {
	key, err := s.changeable(c, in.KeyId, "UntagResource")
	if err != nil {
		return nil, err
	}
	key.Tags = maps.Clone(key.Tags)
	for _, tag := range in.TagKeys {
		delete(key.Tags, tag)
	}
	s.put(c.w, key)
	return &kms.UntagResourceOutput{}, nil
}

func (s *kmsService) listKeyTags(c apiCall, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, error) {
	key, err := s.own(c, in.KeyId, "ListResourceTags")
	if err != nil {
		return nil, err
	}
	page, more, next, err := iamPage(sortedKeys(key.Tags), in.Marker, in.Limit)
	out := &kms.ListResourceTagsOutput{Truncated: more, NextMarker: next, Tags: []types.Tag{}}
	for _, name := range page {
		out.Tags = append(out.Tags, types.Tag{TagKey: new(name), TagValue: new(key.Tags[name])})
	}
	return out, err
}
