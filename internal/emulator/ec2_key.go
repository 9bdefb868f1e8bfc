package emulator

import (
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // EC2's fingerprint of imported RSA keys is defined so
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // EC2's fingerprint of created RSA keys is defined so
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"
)

// keyRow is a key pair: the public half alone, keyed by its name.
type keyRow struct {
	Key       types.KeyPairInfo
	PublicKey string // a line of authorized_keys
}

func (s *ec2Service) addKeyPairs() {
	on(s, "CreateKeyPair", "KeyName KeyType KeyFormat TagSpecifications.*", s.createKeyPair)
	on(s, "ImportKeyPair", "KeyName PublicKeyMaterial TagSpecifications.*", s.importKeyPair)
	on(s, "DescribeKeyPairs", "KeyNames KeyPairIds IncludePublicKey Filters.*", s.describeKeyPairs)
	on(s, "DeleteKeyPair", "KeyName KeyPairId", s.deleteKeyPair)
}

func (s *ec2Service) keyByID(w world, id string) (keyRow, bool) {
	for _, row := range s.keys.all(w) {
		if *row.Key.KeyPairId == id {
			return row, true
		}
	}
	return keyRow{}, false
}

// newKeyName refuses a name that a new key pair can't have.
func (s *ec2Service) newKeyName(c apiCall, name *string) error {
	if err := require("KeyName", name); err != nil {
		return err
	}
	if len(*name) > 255 {
		return refuse("InvalidParameterValue", "Value (%s) for parameter KeyName is invalid. Length exceeds maximum of 255.", *name)
	}
	if has(s.keys, c.w, *name) {
		return refuse("InvalidKeyPair.Duplicate", "The keypair '%s' already exists.", *name)
	}
	return nil
}

func (s *ec2Service) createKeyPair(c apiCall, in *ec2.CreateKeyPairInput) (*ec2.CreateKeyPairOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeKeyPair)
	if err != nil {
		return nil, err
	}
	if err := s.newKeyName(c, in.KeyName); err != nil {
		return nil, err
	}
	if in.KeyFormat == types.KeyFormatPpk {
		return nil, refuse("UnsupportedOperation", "The local cloud makes keys in the format pem only.")
	}
	kind := in.KeyType
	if kind == "" {
		kind = types.KeyTypeRsa
	}
	material, public, fingerprint, err := generateKey(kind, *in.KeyName)
	if err != nil {
		return nil, err
	}
	row := s.putKey(c, *in.KeyName, kind, public, fingerprint)
	if err := s.born(c, keyPairID, *row.Key.KeyPairId, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateKeyPairOutput{
		KeyName: in.KeyName, KeyPairId: row.Key.KeyPairId, KeyFingerprint: new(fingerprint), KeyMaterial: new(material),
		Tags: s.tagList(c.w, *row.Key.KeyPairId),
	}, nil
}

// generateKey makes a key pair: the private half as PEM, the public half, and
// the fingerprint that EC2 gives: of the private key's DER form for RSA.
func generateKey(kind types.KeyType, comment string) (material, public, fingerprint string, err error) {
	var key any
	var half ssh.PublicKey
	var block *pem.Block
	switch kind {
	case types.KeyTypeRsa:
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return "", "", "", err
		}
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(made)}
		der, err := x509.MarshalPKCS8PrivateKey(made)
		if err != nil {
			return "", "", "", err
		}
		sum := sha1.Sum(der) //nolint:gosec // see the import
		fingerprint = colons(sum[:])
		key = made.Public()
	case types.KeyTypeEd25519:
		made, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", "", "", err
		}
		if block, err = ssh.MarshalPrivateKey(private, comment); err != nil {
			return "", "", "", err
		}
		key = made
	default:
		return "", "", "", refuse("InvalidParameterValue", "Value (%s) for parameter KeyType is invalid.", kind)
	}
	if half, err = ssh.NewPublicKey(key); err != nil {
		return "", "", "", err
	}
	if fingerprint == "" {
		fingerprint = sha256Fingerprint(half)
	}
	return string(pem.EncodeToMemory(block)), authorizedLine(half, comment), fingerprint, nil
}

func sha256Fingerprint(key ssh.PublicKey) string {
	sum := sha256.Sum256(key.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

func authorizedLine(key ssh.PublicKey, comment string) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i := range sum {
		parts[i] = hex.EncodeToString(sum[i : i+1])
	}
	return strings.Join(parts, ":")
}

func (s *ec2Service) putKey(c apiCall, name string, kind types.KeyType, public, fingerprint string) keyRow {
	row := keyRow{PublicKey: public, Key: types.KeyPairInfo{
		KeyName: new(name), KeyPairId: new(keyPairID.make()), KeyType: kind, KeyFingerprint: new(fingerprint), CreateTime: new(c.now),
	}}
	s.keys.put(c.w, name, row)
	return row
}

func (s *ec2Service) importKeyPair(c apiCall, in *ec2.ImportKeyPairInput) (*ec2.ImportKeyPairOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeKeyPair)
	if err != nil {
		return nil, err
	}
	if err := s.newKeyName(c, in.KeyName); err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	var kind types.KeyType
	var fingerprint string
	switch key.Type() {
	case ssh.KeyAlgoRSA:
		kind = types.KeyTypeRsa
		der, err := x509.MarshalPKIXPublicKey(key.(ssh.CryptoPublicKey).CryptoPublicKey())
		if err != nil {
			return nil, refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
		}
		sum := md5.Sum(der) //nolint:gosec // see the import
		fingerprint = colons(sum[:])
	case ssh.KeyAlgoED25519:
		kind, fingerprint = types.KeyTypeEd25519, sha256Fingerprint(key)
	default:
		return nil, refuse("InvalidKey.Format", "Key type %s is not supported", key.Type())
	}
	row := s.putKey(c, *in.KeyName, kind, authorizedLine(key, *in.KeyName), fingerprint)
	if err := s.born(c, keyPairID, *row.Key.KeyPairId, tags); err != nil {
		return nil, err
	}
	return &ec2.ImportKeyPairOutput{
		KeyName: in.KeyName, KeyPairId: row.Key.KeyPairId, KeyFingerprint: new(fingerprint), Tags: s.tagList(c.w, *row.Key.KeyPairId),
	}, nil
}

func (s *ec2Service) describeKeyPairs(c apiCall, in *ec2.DescribeKeyPairsInput) (*ec2.DescribeKeyPairsOutput, error) {
	rows := s.keys.all(c.w)
	if len(in.KeyNames)+len(in.KeyPairIds) > 0 {
		rows = nil
	}
	for _, name := range in.KeyNames {
		row, ok := s.keys.get(c.w, name)
		if !ok {
			return nil, refuse("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
		rows = append(rows, row)
	}
	for _, id := range in.KeyPairIds {
		row, ok := s.keyByID(c.w, id)
		if !ok {
			return nil, keyPairID.missing(id)
		}
		rows = append(rows, row)
	}
	id := func(r keyRow) string { return *r.Key.KeyPairId }
	rows, err := choose(s, c.w, rows, id, filters[keyRow]{
		"key-pair-id": func(r keyRow) []string { return opt(r.Key.KeyPairId) },
		"key-name":    func(r keyRow) []string { return opt(r.Key.KeyName) },
		"fingerprint": func(r keyRow) []string { return opt(r.Key.KeyFingerprint) },
	}, in.Filters)
	out := &ec2.DescribeKeyPairsOutput{}
	for _, row := range rows {
		key := row.Key
		key.Tags = s.tagList(c.w, id(row))
		if deref(in.IncludePublicKey) {
			key.PublicKey = new(row.PublicKey)
		}
		out.KeyPairs = append(out.KeyPairs, key)
	}
	return out, err
}

// deleteKeyPair succeeds for a key pair that doesn't exist, as EC2 does.
func (s *ec2Service) deleteKeyPair(c apiCall, in *ec2.DeleteKeyPairInput) (*ec2.DeleteKeyPairOutput, error) {
	out := &ec2.DeleteKeyPairOutput{Return: new(true)}
	var row keyRow
	var ok bool
	switch {
	case deref(in.KeyPairId) != "":
		if row, ok = s.keyByID(c.w, *in.KeyPairId); !ok {
			return nil, keyPairID.missing(*in.KeyPairId)
		}
	case deref(in.KeyName) != "":
		row, ok = s.keys.get(c.w, *in.KeyName)
	default:
		return nil, refuse("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	if ok {
		out.KeyPairId = row.Key.KeyPairId
		s.keys.remove(c.w, *row.Key.KeyName)
		s.gone(c.w, *row.Key.KeyPairId)
	}
	return out, nil
}
