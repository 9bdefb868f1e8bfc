package emulator

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

func (s *kmsService) addAliases() {
	onKMS(s, "CreateAlias", "AliasName TargetKeyId", s.createAlias)
	onKMS(s, "UpdateAlias", "AliasName TargetKeyId", s.updateAlias)
	onKMS(s, "DeleteAlias", "AliasName", s.deleteAlias)
	onKMS(s, "ListAliases", "KeyId Limit Marker", s.listAliases)
}

var aliasForm = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

func checkAlias(name string) error {
	switch {
	case strings.HasPrefix(name, "alias/aws/"):
		return refuse("NotAuthorizedException", "Not authorized to use reserved alias %s", name)
	case !aliasForm.MatchString(name):
		return refuse("InvalidAliasNameException", "Alias must start with the prefix \"alias/\" and contain only letters, digits, /, _ and -: %s", name)
	}
	return nil
}

// target is a key that an alias may stand for: by ID or ARN, never by alias.
func (s *kmsService) target(c apiCall, id *string, action string) (kmsKeyRow, error) {
	if strings.Contains(*id, "alias/") {
		return kmsKeyRow{}, refuse("ValidationException", "Aliases must refer to keys. Not aliases")
	}
	return s.changeable(c, id, action)
}

func (s *kmsService) createAlias(c apiCall, in *kms.CreateAliasInput) (*kms.CreateAliasOutput, error) {
	if err := checkAlias(*in.AliasName); err != nil {
		return nil, err
	}
	key, err := s.target(c, in.TargetKeyId, "CreateAlias")
	if err != nil {
		return nil, err
	}
	if _, exists := s.aliases.get(c.w, *in.AliasName); exists {
		return nil, refuse("AlreadyExistsException", "An alias with the name %s already exists", aliasARN(c.w, *in.AliasName))
	}
	s.aliases.put(c.w, *in.AliasName, aliasRow{Name: *in.AliasName, Target: key.id(), Created: c.now, Updated: c.now})
	return &kms.CreateAliasOutput{}, nil
}

func (s *kmsService) alias(c apiCall, name string) (aliasRow, error) {
	if err := checkAlias(name); err != nil {
		return aliasRow{}, err
	}
	alias, ok := s.aliases.get(c.w, name)
	if !ok {
		return alias, keyNotFound("Alias %s is not found.", aliasARN(c.w, name))
	}
	return alias, nil
}

func (s *kmsService) updateAlias(c apiCall, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, error) {
	alias, err := s.alias(c, *in.AliasName)
	if err != nil {
		return nil, err
	}
	key, err := s.target(c, in.TargetKeyId, "UpdateAlias")
	if err != nil {
		return nil, err
	}
	alias.Target, alias.Updated = key.id(), c.now
	s.aliases.put(c.w, alias.Name, alias)
	return &kms.UpdateAliasOutput{}, nil
}

func (s *kmsService) deleteAlias(c apiCall, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, error) {
	alias, err := s.alias(c, *in.AliasName)
	if err != nil {
		return nil, err
	}
	s.aliases.remove(c.w, alias.Name)
	return &kms.DeleteAliasOutput{}, nil
}

func (s *kmsService) listAliases(c apiCall, in *kms.ListAliasesInput) (*kms.ListAliasesOutput, error) {
	all := append([]aliasRow{{Name: ebsAlias, Target: ebsKey}}, s.aliases.all(c.w)...)
	if in.KeyId != nil {
		key, w, err := s.find(c.w, *in.KeyId)
		if err == nil && w.Account != c.Account {
			err = c.denied("ListAliases", *key.Meta.Arn)
		}
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(a aliasRow) bool { return a.Target != key.id() })
	}
	page, more, next, err := iamPage(all, in.Marker, in.Limit)
	out := &kms.ListAliasesOutput{Truncated: more, NextMarker: next, Aliases: []types.AliasListEntry{}}
	for _, a := range page {
		out.Aliases = append(out.Aliases, types.AliasListEntry{
			AliasName: new(a.Name), AliasArn: new(aliasARN(c.w, a.Name)), TargetKeyId: new(a.Target), CreationDate: new(a.Created), LastUpdatedDate: new(a.Updated),
		})
	}
	return out, err
}
