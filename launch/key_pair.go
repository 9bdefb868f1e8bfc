package launch

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"golang.org/x/crypto/ssh"
)

type keyPairAPI interface {
	ImportKeyPair(context.Context, *ec2.ImportKeyPairInput, ...func(*ec2.Options)) (*ec2.ImportKeyPairOutput, error)
	DescribeKeyPairs(context.Context, *ec2.DescribeKeyPairsInput, ...func(*ec2.Options)) (*ec2.DescribeKeyPairsOutput, error)
	DeleteKeyPair(context.Context, *ec2.DeleteKeyPairInput, ...func(*ec2.Options)) (*ec2.DeleteKeyPairOutput, error)
}

type keyPairSpec struct {
	KeyName       string `yaml:"key_name" change:"replaces" doc:"The key pair's name in the region." default:"PROJECT-ENVIRONMENT-NAME"`
	PublicKey     string `yaml:"public_key" change:"replaces" doc:"The public key, as it stands in authorized_keys."`
	PublicKeyFile string `yaml:"public_key_file" file:"true" change:"replaces" doc:"The file that holds the public key, from the definition's folder."`
}

// key is the public half, without its comment.
func (s *keyPairSpec) key() string { return bareKey(s.PublicKey + s.PublicKeyFile) }

func bareKey(line string) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(2, len(words))], " ")
}

// keyPairs are public keys that the user has the private half of: Goldline
// never sees one.
type keyPairs struct{}

func (keyPairs) api(c *cloud.Cloud) keyPairAPI { return c.EC2 }

func (keyPairs) about() project.Kind {
	return project.Kind{Name: "key_pair", Doc: "A public key for logging in to instances.", Attributes: []string{"id", "key_name", "fingerprint"}}
}

func (keyPairs) check(c *checker, d definition[keyPairSpec]) {
	s := d.spec
	at := d.At("public_key")
	if s.PublicKey == "" {
		at = d.At("public_key_file")
	}
	if (s.PublicKey == "") == (s.PublicKeyFile == "") {
		c.problems.AddHint(d.Pos, "give public_key or public_key_file", "a key pair needs one of public_key and public_key_file")
		return
	}
	text := s.PublicKey + s.PublicKeyFile
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case strings.Contains(text, "PRIVATE KEY"):
		c.problems.AddHint(at, "the public half is in the file that ends in .pub", "this is a private key")
	case err != nil:
		c.problems.AddHint(at, "as in ssh-ed25519 AAAA..., what ssh-keygen writes to the file that ends in .pub", "this is no public key")
	case key.Type() != ssh.KeyAlgoRSA && key.Type() != ssh.KeyAlgoED25519:
		c.problems.Addf(at, "EC2 takes keys of the types ssh-rsa and ssh-ed25519, not %s", key.Type())
	}
	if unresolved(s.KeyName) {
		c.problems.Addf(d.At("key_name"), "a key pair's name cannot be made of what a launch makes")
	}
	if len(s.KeyName) > 255 {
		c.problems.Addf(d.At("key_name"), "key_name is %d characters long: EC2 takes 255", len(s.KeyName))
	}
}

func (keyPairs) name(w want[keyPairSpec]) string {
	if w.spec.KeyName != "" {
		return w.spec.KeyName
	}
	return w.world.accountName(w.Resource)
}

func (k keyPairs) foresee(w want[keyPairSpec]) map[string]string {
	return map[string]string{"key_name": k.name(w)}
}

func (k keyPairs) list(ctx context.Context, q query) ([]types.KeyPairInfo, error) {
	out, err := k.api(q.cloud).DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: q.filters, IncludePublicKey: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.KeyPairs, nil
}

func (keyPairs) read(p types.KeyPairInfo) state {
	return state{
		id: aws.ToString(p.KeyPairId), tags: cloud.TagSet(p.Tags),
		attributes: map[string]string{"key_name": aws.ToString(p.KeyName), "fingerprint": aws.ToString(p.KeyFingerprint)},
	}
}

func (k keyPairs) compare(w want[keyPairSpec], p types.KeyPairInfo) (d differences) {
	d.fixed("key_name", aws.ToString(p.KeyName), k.name(w), "")
	if have := bareKey(aws.ToString(p.PublicKey)); have != "" {
		d.fixed("public_key", have, w.spec.key(), "the public key is another; instances that run keep the old one")
	}
	return d
}

// excludes: a name is taken once.
func (k keyPairs) excludes(w want[keyPairSpec], p types.KeyPairInfo) bool {
	return aws.ToString(p.KeyName) == k.name(w)
}

func (k keyPairs) create(ctx context.Context, t *task, w want[keyPairSpec]) (types.KeyPairInfo, error) {
	out, err := k.api(t.Cloud).ImportKeyPair(ctx, &ec2.ImportKeyPairInput{
		KeyName: aws.String(k.name(w)), PublicKeyMaterial: []byte(w.spec.key()), TagSpecifications: t.birthTags(types.ResourceTypeKeyPair),
	})
	if err != nil {
		return types.KeyPairInfo{}, err
	}
	return types.KeyPairInfo{
		KeyPairId: out.KeyPairId, KeyName: out.KeyName, KeyFingerprint: out.KeyFingerprint, PublicKey: aws.String(w.spec.key()), Tags: out.Tags,
	}, nil
}

// update has nothing to do: EC2 changes no key pair.
func (keyPairs) update(context.Context, *task, want[keyPairSpec], types.KeyPairInfo, differences) error {
	return nil
}

func (k keyPairs) remove(ctx context.Context, t *task, p types.KeyPairInfo) error {
	_, err := k.api(t.Cloud).DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: p.KeyPairId})
	if cloud.NotFound(err) {
		return nil
	}
	return err
}
