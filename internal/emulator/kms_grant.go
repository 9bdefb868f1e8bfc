package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

func (s *kmsService) addGrants() {
	onKMS(s, "CreateGrant", "KeyId GranteePrincipal RetiringPrincipal Operations Name GrantTokens", s.createGrant)
	onKMS(s, "ListGrants", "KeyId GrantId GranteePrincipal Limit Marker", s.listGrants)
	onKMS(s, "RevokeGrant", "KeyId GrantId", s.revokeGrant)
	onKMS(s, "RetireGrant", "KeyId GrantId", s.retireGrant)
}

var principalARN = regexp.MustCompile(`^arn:aws:(?:iam|sts)::([0-9]{12}):(?:root|(?:user|role|assumed-role|federated-user)/.+)$`)

// granted is a key on which the caller may make grants: of its own account, or
// one that another account lets it.
func (s *kmsService) granted(c apiCall, name *string, action string) (kmsKeyRow, world, error) {
	key, w, err := s.find(c.w, deref(name))
	switch {
	case err != nil && w.Account != c.Account:
		return key, w, c.denied(action, *name)
	case err != nil:
		return key, w, err
	case w.Account != c.Account && !key.allows(c.Account, action):
		return key, w, c.denied(action, *key.Meta.Arn)
	}
	return key, w, nil
}

// createGrant makes a grant. The same grant with the same name is the one that
// is there: that makes it safe to repeat.
func (s *kmsService) createGrant(c apiCall, in *kms.CreateGrantInput) (*kms.CreateGrantOutput, error) {
	key, w, err := s.granted(c, in.KeyId, "CreateGrant")
	if err != nil {
		return nil, err
	}
	if key.Meta.KeyState != types.KeyStateEnabled {
		return nil, refuse("DisabledException", "%s is disabled.", *key.Meta.Arn)
	}
	for _, who := range []*string{in.GranteePrincipal, in.RetiringPrincipal} {
		if who != nil && !principalARN.MatchString(*who) {
			return nil, refuse("InvalidArnException", "Invalid principal: %s", *who)
		}
	}
	operations := slices.Compact(slices.Sorted(slices.Values(in.Operations)))
	if in.Name != nil {
		for _, g := range key.Grants {
			if deref(g.Name) == *in.Name && *g.GranteePrincipal == *in.GranteePrincipal && deref(g.RetiringPrincipal) == deref(in.RetiringPrincipal) && slices.Equal(g.Operations, operations) {
				return &kms.CreateGrantOutput{GrantId: g.GrantId, GrantToken: new(grantToken(*g.GrantId))}, nil
			}
		}
	}
	sum := sha256.Sum256([]byte(requestID()))
	id := hex.EncodeToString(sum[:])
	key.Grants = append(slices.Clone(key.Grants), types.GrantListEntry{
		KeyId: key.Meta.Arn, GrantId: new(id), Name: in.Name, CreationDate: new(c.now), GranteePrincipal: in.GranteePrincipal,
		RetiringPrincipal: in.RetiringPrincipal, IssuingAccount: new("arn:aws:iam::" + c.Account + ":root"), Operations: operations,
	})
	s.put(w, key)
	return &kms.CreateGrantOutput{GrantId: new(id), GrantToken: new(grantToken(id))}, nil
}

func grantToken(id string) string { return "local-" + id }

func (s *kmsService) listGrants(c apiCall, in *kms.ListGrantsInput) (*kms.ListGrantsOutput, error) {
	key, _, err := s.granted(c, in.KeyId, "ListGrants")
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(key.Grants), func(g types.GrantListEntry) bool {
		return in.GrantId != nil && *g.GrantId != *in.GrantId || in.GranteePrincipal != nil && *g.GranteePrincipal != *in.GranteePrincipal
	})
	page, more, next, err := iamPage(list, in.Marker, in.Limit)
	return &kms.ListGrantsOutput{Grants: append([]types.GrantListEntry{}, page...), Truncated: more, NextMarker: next}, err
}

func (s *kmsService) revokeGrant(c apiCall, in *kms.RevokeGrantInput) (*kms.RevokeGrantOutput, error) {
	return &kms.RevokeGrantOutput{}, s.dropGrant(c, in.KeyId, in.GrantId, "RevokeGrant")
}

func (s *kmsService) retireGrant(c apiCall, in *kms.RetireGrantInput) (*kms.RetireGrantOutput, error) {
	return &kms.RetireGrantOutput{}, s.dropGrant(c, in.KeyId, in.GrantId, "RetireGrant")
}

func (s *kmsService) dropGrant(c apiCall, name, id *string, action string) error {
	key, w, err := s.granted(c, name, action)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(key.Grants, func(g types.GrantListEntry) bool { return *g.GrantId == deref(id) })
	if at < 0 {
		return keyNotFound("Grant %s on key %s does not exist.", deref(id), *key.Meta.Arn)
	}
	key.Grants = slices.Delete(slices.Clone(key.Grants), at, at+1)
	s.put(w, key)
	return nil
}
