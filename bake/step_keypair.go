package bake

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"golang.org/x/crypto/ssh"
)

// keyPairStep makes the temporary key pair, or reads the recipe's own key. The
// private half never leaves this process.
type keyPairStep struct{}

func (keyPairStep) name() string { return "key pair" }

func (keyPairStep) run(ctx context.Context, b *bake) error {
	if file := b.image.SSHPrivateKeyFile; file != "" {
		text, err := os.ReadFile(resolve(b.image, file))
		if err != nil {
			return fail.Inputf("%s: ssh_private_key_file: %w", b.image.At("ssh_private_key_file"), err)
		}
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			return fail.Inputf("%s: ssh_private_key_file %s: not a private key that can be read without a passphrase", b.image.At("ssh_private_key_file"), file)
		}
		b.login, b.loginText, b.keyName = signer, string(text), b.image.SSHKeypairName
		b.hide.learn(b.loginText)
		return nil
	}
	b.keyPair = b.sharing("key pair", keyType(b.image))
	b.keyName = b.keyPair.name
	err := b.keyPair.join(ctx, b.makeKeyPair)
	if err == nil {
		b.useKey(b.keyPair.value.(loginKey))
		return nil
	}
	if !errors.As(err, &joined{}) {
		b.keyPair = nil
	}
	return err
}

// loginKey is a key to log in with. text is its private half, which a local program
// of the bake's own gets, and a provisioner that asks for SSHPrivateKey.
type loginKey struct {
	signer ssh.Signer
	text   string
}

func (b *bake) useKey(key loginKey) {
	b.login, b.loginText = key.signer, key.text
	b.hide.learn(b.loginText) // `build` tells it to who asks
	b.keyLine = authorizedLine(key.signer.PublicKey(), b.keyName)
}

// makeKeyPair makes the key pair that all bakes of this Baker share.
func (b *bake) makeKeyPair(ctx context.Context) error {
	private, signer, err := newKey(keyType(b.image))
	if err != nil {
		return fmt.Errorf("temporary key: %w", err)
	}
	b.keyPair.value = loginKey{signer, private}
	return b.importKeyPair(ctx, authorizedLine(signer.PublicKey(), b.keyName))
}

func (b *bake) importKeyPair(ctx context.Context, line string) error {
	ctx, cancel := outlive(ctx)
	defer cancel()
	b.keyPair.thing.tried = true
	id, err := cloud.Once(ctx, b.cloud, b.findKeyPair, func(ctx context.Context) (string, error) {
		out, err := b.cloud.EC2.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{
			KeyName:           aws.String(b.keyName),
			PublicKeyMaterial: []byte(line),
			TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeKeyPair, b.temporary(nil))},
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.KeyPairId), nil
	})
	if cloud.AlreadyExists(err) {
		// Left by an earlier attempt of this run, with another key in it.
		if _, err := b.cloud.EC2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: aws.String(b.keyName)}); err != nil {
			return fmt.Errorf("replace key pair %s: %w", b.keyName, err)
		}
		return b.importKeyPair(ctx, line)
	}
	if err != nil {
		return fmt.Errorf("temporary key pair: %w", err)
	}
	b.keyPair.thing.id = id
	b.tell(event.Created, id, "key pair %s", id)
	return nil
}

func (b *bake) findKeyPair(ctx context.Context) (id string, ok bool, err error) {
	out, err := b.cloud.EC2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{cloud.Filter("key-name", b.keyName)}})
	if err != nil || len(out.KeyPairs) == 0 {
		return "", false, err
	}
	return aws.ToString(out.KeyPairs[0].KeyPairId), true, nil
}

func (keyPairStep) undo(ctx context.Context, b *bake) error {
	if b.keyPair == nil {
		return nil
	}
	err := b.keyPair.leave(ctx, b.removeKeyPair)
	if err == nil {
		b.keyPair = nil
	}
	return err
}

// removeKeyPair deletes by name, which works also when the answer to its making
// was lost. Deleting what is not there is no error.
func (b *bake) removeKeyPair(ctx context.Context) error {
	if _, err := b.cloud.EC2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: aws.String(b.keyName)}); err != nil && !cloud.NotFound(err) {
		return b.stays(fmt.Errorf("delete key pair %s: %w", b.keyName, err), "key pair "+b.keyName, "delete-key-pair --key-name %s", b.keyName)
	}
	if id := b.keyPair.thing.id; id != "" {
		b.tell(event.Removed, id, "key pair %s", id)
	}
	return nil
}
