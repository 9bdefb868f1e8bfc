package bake

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/fail"
	"golang.org/x/crypto/ssh"
)

// hostKey is the key by which the builder proves that it is the one.
type hostKey struct {
	public ssh.PublicKey
	// private and line are what the builder is given, in OpenSSH's form; empty
	// where the recipe says which key to expect.
	private, line string
}

// given tells whether this bake made the key: whoever has it has booted with
// this bake's user data.
func (k hostKey) given() bool { return k.private != "" }

func (b *bake) newHostKey() (hostKey, error) {
	if text := b.image.SSHHostPublicKey; text != "" {
		public, err := parsePublicKey(text)
		if err != nil {
			return hostKey{}, fail.Inputf("%s: ssh_host_public_key: %w", b.image.At("ssh_host_public_key"), err)
		}
		return hostKey{public: public}, nil
	}
	private, signer, err := newKey("ed25519")
	if err != nil {
		return hostKey{}, fmt.Errorf("host key: %w", err)
	}
	return hostKey{public: signer.PublicKey(), private: private, line: authorizedLine(signer.PublicKey(), "")}, nil
}

// newKey makes a key pair. The private half is in OpenSSH's form.
func newKey(kind string) (private string, signer ssh.Signer, err error) {
	var key crypto.PrivateKey
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", nil, err
	}
	signer, err = ssh.NewSignerFromKey(key)
	return string(pem.EncodeToMemory(block)), signer, err
}

// authorizedLine is a public key as authorized_keys and known_hosts have it.
func authorizedLine(key ssh.PublicKey, comment string) string {
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	if comment != "" {
		line += " " + comment
	}
	return line
}

// parsePublicKey takes a public key in OpenSSH's form, with or without a host's
// name before it.
func parsePublicKey(text string) (ssh.PublicKey, error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err == nil {
		return public, nil
	}
	if _, _, public, _, _, hostErr := ssh.ParseKnownHosts([]byte(text + "\n")); hostErr == nil {
		return public, nil
	}
	return nil, fmt.Errorf("not a public key in OpenSSH's form (ssh-ed25519 AAAA...)")
}

// algorithmsOf are the signatures that a host may prove a key with.
func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}
