package machine

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"path"
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

const sshDir = "/etc/ssh"

var keyTypes = []string{"ed25519", "ecdsa", "rsa"}

func hostKeyFile(kind string) string {
	return path.Join(sshDir, "ssh_host_"+kind+"_key")
}

// hostKeys puts the machine's SSH host keys in place and reads them. given are
// those of the user data by name (ed25519_private, ...); fresh says that this
// is an instance's first boot, at which the image's keys go, as cloud-init's
// ssh_deletekeys has it.
func hostKeys(t *tree, hostname string, given map[string]string, fresh bool) ([]gossh.Signer, error) {
	if err := t.mkdirAll(sshDir, 0o755); err != nil {
		return nil, err
	}
	if fresh {
		if err := removeHostKeys(t); err != nil {
			return nil, err
		}
		if err := writeGivenKeys(t, given); err != nil {
			return nil, err
		}
	}
	signers, err := readHostKeys(t)
	if err != nil || len(signers) > 0 {
		return signers, err
	}
	if err := generateHostKey(t, hostname); err != nil {
		return nil, err
	}
	return readHostKeys(t)
}

func removeHostKeys(t *tree) error {
	infos, err := t.readDir(sshDir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name(), "ssh_host_") {
			if err := t.remove(path.Join(sshDir, info.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeGivenKeys(t *tree, given map[string]string) error {
	for _, kind := range keyTypes {
		private, ok := given[kind+"_private"]
		if !ok {
			continue
		}
		signer, err := gossh.ParsePrivateKey([]byte(private))
		if err != nil {
			// the error's text could quote the key
			return fmt.Errorf("user data: ssh_keys: %s_private is not a private key", kind)
		}
		if !strings.HasSuffix(private, "\n") {
			private += "\n"
		}
		public := given[kind+"_public"]
		if public == "" {
			public = string(gossh.MarshalAuthorizedKey(signer.PublicKey()))
		}
		if err := t.writeFile(hostKeyFile(kind), []byte(private), 0o600); err != nil {
			return err
		}
		if err := t.writeFile(hostKeyFile(kind)+".pub", []byte(strings.TrimSpace(public)+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func readHostKeys(t *tree) ([]gossh.Signer, error) {
	var signers []gossh.Signer
	for _, kind := range keyTypes {
		data, err := t.readFile(hostKeyFile(kind))
		if err != nil {
			continue
		}
		signer, err := gossh.ParsePrivateKey(data)
		if err != nil {
			return nil, fmt.Errorf("%s is not a private key", hostKeyFile(kind))
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

func generateHostKey(t *tree, hostname string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	comment := "root@" + hostname
	block, err := gossh.MarshalPrivateKey(private, comment)
	if err != nil {
		return err
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		return err
	}
	if err := t.writeFile(hostKeyFile("ed25519"), pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	line := strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key))) + " " + comment + "\n"
	return t.writeFile(hostKeyFile("ed25519")+".pub", []byte(line), 0o644)
}

// announceKeys prints the block that cloud-init writes to the console, from
// which a client can learn a host key that it did not give itself.
func announceKeys(c *console, hostname string, signers []gossh.Signer) {
	c.printf("ec2: ")
	c.printf("ec2: #############################################################")
	c.printf("ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----")
	for _, signer := range signers {
		key := signer.PublicKey()
		c.printf("ec2: %d %s root@%s (%s)", keyBits(key), gossh.FingerprintSHA256(key), hostname, keyName(key.Type()))
	}
	c.printf("ec2: -----END SSH HOST KEY FINGERPRINTS-----")
	c.printf("ec2: #############################################################")
	c.printf("-----BEGIN SSH HOST KEY KEYS-----")
	for _, signer := range signers {
		c.printf("%s root@%s", strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey()))), hostname)
	}
	c.printf("-----END SSH HOST KEY KEYS-----")
}

func keyName(kind string) string {
	switch {
	case strings.HasPrefix(kind, "ecdsa"):
		return "ECDSA"
	case kind == gossh.KeyAlgoRSA:
		return "RSA"
	}
	return "ED25519"
}

func keyBits(key gossh.PublicKey) int {
	if keyName(key.Type()) == "RSA" {
		return 3072 // what ssh-keygen makes; only shown
	}
	return 256
}
