package emulator

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const kmsName = "kms" // the signing name

// kmsService holds the keys of KMS and says who may use them. It encrypts
// nothing: what it is for is which account can launch, copy or share what a key
// protects.
type kmsService struct {
	cloud   *Cloud
	keys    *table[kmsKeyRow] // by ID
	aliases *table[aliasRow]  // by name
}

// kmsKeyRow is a key with all that says who may use it.
type kmsKeyRow struct {
	Meta    types.KeyMetadata
	Policy  string
	Tags    map[string]string      `json:",omitempty"`
	Rotates bool                   `json:",omitempty"`
	Grants  []types.GrantListEntry `json:",omitempty"`
	// Named is a key that nobody made: it came to be by being named (see wanted).
	Named bool `json:",omitempty"`
}

func (k kmsKeyRow) id() string { return *k.Meta.KeyId }

// aliasRow is another name of a key.
type aliasRow struct {
	Name    string
	Target  string // the key's ID
	Created time.Time
	Updated time.Time
	Named   bool `json:",omitempty"` // see kmsKeyRow
}

// ebsKey is the ID of the key that AWS manages for EBS in every account, and
// ebsAlias its name.
const (
	ebsKey   = "00000000-0000-4000-8000-0000000000eb"
	ebsAlias = "alias/aws/ebs"
)

// newKMS adds the tables and the actions. It is called before the store is
// loaded.
func newKMS(c *Cloud) *kmsService {
	s := &kmsService{
		cloud:   c,
		keys:    newTable[kmsKeyRow](c.store, "kms-keys"),
		aliases: newTable[aliasRow](c.store, "kms-aliases"),
	}
	s.addKeys()
	s.addAliases()
	s.addGrants()
	inventory(c, "kms-key", s.keys, func(k kmsKeyRow) (string, bool) {
		return fmt.Sprint(k.id(), " ", k.Meta.KeyState, " ", k.Tags, " grants ", len(k.Grants)), !k.Named && k.Meta.KeyState != types.KeyStatePendingDeletion
	})
	inventory(c, "kms-alias", s.aliases, func(a aliasRow) (string, bool) { return a.Name + " " + a.Target, !a.Named })
	return s
}

// onKMS adds an action; see handleHonouring for what honours means.
func onKMS[I, O any](s *kmsService, action, honours string, f func(apiCall, *I) (*O, error)) {
	handleCall(s.cloud.registry, kmsName, action, honours, func(who caller) apiCall {
		return apiCall{who, who.world(), s.cloud.clock.Now().UTC().Truncate(time.Millisecond)}
	}, f)
}

func keyNotFound(format string, args ...any) error {
	return refuse("NotFoundException", format, args...)
}

func keyARN(w world, id string) string {
	return "arn:aws:kms:" + w.Region + ":" + w.Account + ":key/" + id
}

func aliasARN(w world, name string) string {
	return "arn:aws:kms:" + w.Region + ":" + w.Account + ":" + name
}

var (
	kmsARN    = regexp.MustCompile(`^arn:aws:kms:([a-z0-9-]+):([0-9]{12}):((?:key|alias)/.+)$`)
	keyName   = regexp.MustCompile(`^(arn:aws:kms:[a-z0-9-]+:[0-9]{12}:)?(alias/[a-zA-Z0-9/_-]+|(key/)?[0-9a-zA-Z-]{1,64})$`)
	keyIDForm = regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
)

// named splits a key's name (an ID, an alias, or the ARN of either) into the
// world that it lives in and its ID or alias there.
func (w world) named(name string) (world, string, error) {
	if !strings.HasPrefix(name, "arn:") {
		return w, name, nil
	}
	parts := kmsARN.FindStringSubmatch(name)
	if parts == nil {
		return w, "", refuse("InvalidArnException", "Invalid arn %s", name)
	}
	if parts[1] != w.Region {
		return w, "", keyNotFound("Invalid arn %s", parts[1])
	}
	return world{Region: parts[1], Account: parts[2]}, strings.TrimPrefix(parts[3], "key/"), nil
}

// find gives the key that a name means, and where it lives.
func (s *kmsService) find(from world, name string) (kmsKeyRow, world, error) {
	w, id, err := from.named(name)
	if err != nil {
		return kmsKeyRow{}, w, err
	}
	if strings.HasPrefix(id, "alias/") {
		if id == ebsAlias {
			return s.managed(w), w, nil
		}
		alias, ok := s.aliases.get(w, id)
		if !ok {
			return kmsKeyRow{}, w, keyNotFound("Alias %s is not found.", aliasARN(w, id))
		}
		id = alias.Target
	}
	if id == ebsKey {
		return s.managed(w), w, nil
	}
	key, ok := s.keys.get(w, id)
	if !ok {
		if !keyIDForm.MatchString(id) {
			return key, w, keyNotFound("Invalid keyId '%s'", id)
		}
		return key, w, keyNotFound("Key '%s' does not exist", keyARN(w, id))
	}
	return key, w, nil
}

// managed is AWS's own key for EBS in a world. Nobody can change it, so it needs
// no row.
func (s *kmsService) managed(w world) kmsKeyRow {
	key := s.newKey(w, ebsKey, time.Time{})
	key.Meta.KeyManager = types.KeyManagerTypeAws
	key.Meta.Description = new("Default key that protects my EBS volumes when no other key is defined")
	key.Policy = fmt.Sprintf(`{"Version":"2012-10-17","Id":"auto-ebs-2","Statement":[{"Sid":"Allow access through EBS for all principals in the account that are authorized to use EBS","Effect":"Allow",`+
		`"Principal":{"AWS":"*"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*",`+
		`"Condition":{"StringEquals":{"kms:ViaService":"ec2.%s.amazonaws.com","kms:CallerAccount":"%s"}}}]}`, w.Region, w.Account)
	return key
}

// newKey is a key as CreateKey makes it without being told anything.
func (s *kmsService) newKey(w world, id string, now time.Time) kmsKeyRow {
	return kmsKeyRow{
		Meta: types.KeyMetadata{
			KeyId: new(id), AWSAccountId: new(w.Account), Arn: new(keyARN(w, id)), CreationDate: new(now), Description: new(""), Enabled: true,
			KeyManager: types.KeyManagerTypeCustomer, KeySpec: types.KeySpecSymmetricDefault, CustomerMasterKeySpec: types.CustomerMasterKeySpecSymmetricDefault,
			KeyState: types.KeyStateEnabled, KeyUsage: types.KeyUsageTypeEncryptDecrypt, MultiRegion: new(false), Origin: types.OriginTypeAwsKms,
			EncryptionAlgorithms: []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault},
		},
		Policy: fmt.Sprintf(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",`+
			`"Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, w.Account),
	}
}

func (s *kmsService) put(w world, k kmsKeyRow) { s.keys.put(w, k.id(), k) }

// own is a key of the caller's account that can be changed: KMS lets no other
// account and nobody for AWS's own keys do that.
func (s *kmsService) own(c apiCall, name *string, action string) (kmsKeyRow, error) {
	key, w, err := s.find(c.w, deref(name))
	switch {
	case err != nil:
		return key, err
	case w.Account != c.Account:
		return key, c.denied(action, keyARN(w, key.id()))
	case key.Meta.KeyManager == types.KeyManagerTypeAws:
		return key, c.denied(action, keyARN(w, key.id()))
	}
	return key, nil
}

// changeable is an own key that is not about to be deleted.
func (s *kmsService) changeable(c apiCall, name *string, action string) (kmsKeyRow, error) {
	key, err := s.own(c, name, action)
	if err == nil && key.Meta.KeyState == types.KeyStatePendingDeletion {
		err = refuse("KMSInvalidStateException", "%s is pending deletion.", *key.Meta.Arn)
	}
	return key, err
}

func (c apiCall) denied(action, arn string) error {
	return refuse("AccessDeniedException", "User: %s is not authorized to perform: kms:%s on resource: %s because no resource-based policy allows the kms:%s action", c.ARN, action, arn, action)
}
