package emulator

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/uuid"
)

// Who may use a key is looked at by account: the local cloud evaluates no
// policies of identities, so that what a key says to an account it says to
// everybody in it.

// keyStatement is a statement of a key's policy, as far as it is evaluated.
type keyStatement struct {
	Effect    string
	Principal json.RawMessage
	Action    oneOrMore
	Condition map[string]map[string]oneOrMore
}

// oneOrMore is a text, or a list of them.
type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

func keyStatements(policy string) ([]keyStatement, error) {
	var p struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return nil, err
	}
	text := p.Statement
	if len(text) > 0 && text[0] == '{' {
		text = append(append([]byte{'['}, text...), ']')
	}
	var list []keyStatement
	return list, json.Unmarshal(text, &list)
}

// checkKeyPolicy refuses what is no policy of a key.
func checkKeyPolicy(policy string) error {
	list, err := keyStatements(policy)
	if err != nil || len(list) == 0 {
		return malformedDocument("The policy is not a valid policy document.")
	}
	for _, s := range list {
		if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Principal) == 0 || len(s.Action) == 0 {
			return malformedDocument("Policy contains a statement with one or more invalid principals or actions.")
		}
	}
	return nil
}

// allows tells whether an account may do something with a key: by its policy, or
// by a grant.
func (k kmsKeyRow) allows(account, action string) bool {
	list, err := keyStatements(k.Policy)
	if err != nil {
		return false
	}
	says := func(effect string) bool {
		return slices.ContainsFunc(list, func(s keyStatement) bool { return s.Effect == effect && s.names(account) && s.covers(action) })
	}
	if says("Deny") {
		return false
	}
	return says("Allow") || slices.ContainsFunc(k.Grants, func(g types.GrantListEntry) bool {
		who := principalARN.FindStringSubmatch(*g.GranteePrincipal)
		return who != nil && who[1] == account && slices.Contains(g.Operations, types.GrantOperation(action))
	})
}

// names tells whether a statement is about an account or somebody in it.
func (s keyStatement) names(account string) bool {
	var all string
	if json.Unmarshal(s.Principal, &all) == nil {
		return all == "*" && s.admits(account)
	}
	var by map[string]oneOrMore
	if json.Unmarshal(s.Principal, &by) != nil {
		return false
	}
	return slices.ContainsFunc(by["AWS"], func(who string) bool {
		parts := principalARN.FindStringSubmatch(who)
		return who == "*" && s.admits(account) || who == account || parts != nil && parts[1] == account
	})
}

// admits tells whether a statement for everybody means an account. Of the
// conditions that KMS knows, only the caller's account is evaluated.
func (s keyStatement) admits(account string) bool {
	for _, operator := range []string{"StringEquals", "StringLike"} {
		if only, ok := s.Condition[operator]["kms:CallerAccount"]; ok && !slices.Contains(only, account) {
			return false
		}
	}
	return true
}

func (s keyStatement) covers(action string) bool {
	return slices.ContainsFunc(s.Action, func(pattern string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower("kms:"+action))
		return err == nil && ok
	})
}

// ebsUses is what EC2 has to be allowed for an account to read what a key
// encrypts, from
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/share-amis-with-organizations-and-OUs.html.
var ebsUses = []string{"Decrypt", "CreateGrant"}

// readable tells whether an account can read what is encrypted with the key of
// an ARN.
func (s *kmsService) readable(w world, arn string) bool {
	key, in, err := s.find(w, arn)
	if err != nil {
		return in.Account == w.Account
	}
	if key.Meta.KeyState != types.KeyStateEnabled {
		return false
	}
	if in.Account == w.Account {
		return true
	}
	return key.Meta.KeyManager != types.KeyManagerTypeAws && !slices.ContainsFunc(ebsUses, func(action string) bool { return !key.allows(w.Account, action) })
}

// forEBS is the ARN of the key that EC2 is asked to encrypt with; without a name
// it is AWS's own.
func (s *kmsService) forEBS(c apiCall, name *string) *string {
	if deref(name) == "" {
		return new(keyARN(c.w, ebsKey))
	}
	key, _, err := s.wanted(c.w, *name, c.now)
	if err != nil {
		return name
	}
	return key.Meta.Arn
}

// wanted finds a key to use or to look at. One of the caller's account that
// nobody has made comes to be by being named, so that definitions that name
// keys of a real account work in a local cloud, too. Such a key serves its own
// account alone until its policy says otherwise.
func (s *kmsService) wanted(from world, name string, now time.Time) (kmsKeyRow, world, error) {
	key, w, err := s.find(from, name)
	if err == nil || w != from || !keyName.MatchString(name) {
		return key, w, err
	}
	_, id, _ := from.named(name)
	key = s.newKey(w, id, now)
	if strings.HasPrefix(id, "alias/") {
		key = s.newKey(w, uuid.NewString(), now)
		s.aliases.put(w, id, aliasRow{Name: id, Target: key.id(), Created: now, Updated: now, Named: true})
	}
	key.Named = true
	s.put(w, key)
	return key, w, nil
}
