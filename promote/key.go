package promote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// EC2 takes a share or a copy that its keys do not allow, and fails it minutes
// later: the copy ends as failed, the instance terminates at launch. What the
// keys say is therefore asked before anything is changed. Only what is proven
// is refused: where KMS does not let the caller ask, EC2 has the word.

// unlocked refuses to bring a build to where its keys, or the environment's,
// would not let it be used.
func (p *Promoter) unlocked(ctx context.Context, target *place, b BuildInfo) error {
	copies := b.Account == target.cloud.Account || target.env.ImageAccess == project.ImageCopy
	if copies {
		if err := serves(ctx, target); err != nil {
			return err
		}
	}
	if b.Account == target.cloud.Account {
		return nil
	}
	if !copies && b.Region != target.cloud.Region {
		copied, there, err := p.beside(b.at, target.cloud.Region).counterpart(ctx, b)
		if err == nil && !there && encrypted(b.image) {
			err = fail.Inputf("build %s is encrypted, and a copy of it in %s would be under AWS's own key there, which account %s can never use", b.Ref(), target.cloud.Region, target.cloud.Account)
			err = fail.WithHint(err, "give environment %s image_access: copy with an image_kms_key_id, or bake %s to %s with ami_regions and region_kms_key_ids", target.env.Name, b.Image, target.cloud.Region)
		}
		if err != nil || !there {
			return err
		}
		b = copied // what is shared is this one
	}
	if !encrypted(b.image) {
		return nil
	}
	keys, err := b.keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := p.shareable(ctx, target, b, key); err != nil {
			return err
		}
	}
	return nil
}

func encrypted(image types.Image) bool {
	for _, m := range image.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToBool(m.Ebs.Encrypted) {
			return true
		}
	}
	return false
}

// keys are the ARNs of the keys that a build's snapshots are encrypted with.
func (b BuildInfo) keys(ctx context.Context) ([]string, error) {
	out, err := b.at.cloud.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: cloud.SnapshotsOf(b.image)})
	if err != nil {
		return nil, fmt.Errorf("snapshots of %s: %w", b.AMI, err)
	}
	var keys []string
	seen := map[string]bool{}
	for _, s := range out.Snapshots {
		if key := aws.ToString(s.KmsKeyId); key != "" && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// shareable refuses a key that the account of the environment cannot use.
func (p *Promoter) shareable(ctx context.Context, target *place, b BuildInfo, key string) error {
	owner := b.at.cloud.KMS
	meta, err := owner.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key)})
	switch account := target.cloud.Account; {
	case err != nil:
		return unknown(ctx, err)
	case meta.KeyMetadata.KeyManager == kmstypes.KeyManagerTypeAws:
		err := fail.Inputf("build %s is encrypted with AWS's own key for EBS, which account %s can never use", b.Ref(), account)
		return fail.WithHint(err, "bake it with a key of your own that %s may use: kms_key_id in the recipe of %s", account, b.Image)
	case meta.KeyMetadata.KeyState != kmstypes.KeyStateEnabled:
		return fail.WithHint(fail.Inputf("build %s is encrypted with %s, which is %s", b.Ref(), key, meta.KeyMetadata.KeyState), "enable the key, or promote another build")
	}
	_, err = target.cloud.In(b.Region).KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key)})
	if err == nil || !cloud.Denied(err) {
		return unknown(ctx, err)
	}
	if mentioned, err := mentions(ctx, owner, key, target.cloud.Account); mentioned || err != nil {
		return unknown(ctx, err)
	}
	err = fail.Inputf("build %s is encrypted with %s, which account %s may not use: neither the key's policy nor a grant names it", b.Ref(), key, target.cloud.Account)
	return fail.WithHint(err, "let arn:aws:iam::%s:root do kms:DescribeKey, Decrypt, ReEncrypt*, GenerateDataKey* and CreateGrant in the key's policy, or by `aws kms create-grant`", target.cloud.Account)
}

// mentions tells whether a key's policy or one of its grants may be about an
// account. A policy that means everybody, within conditions or not, may.
func mentions(ctx context.Context, owner *kms.Client, key, account string) (bool, error) {
	policy, err := owner.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: aws.String(key)})
	if err != nil {
		return false, err
	}
	if text := aws.ToString(policy.Policy); strings.Contains(text, account) || forEverybody(text) {
		return true, nil
	}
	pages := kms.NewListGrantsPaginator(owner, &kms.ListGrantsInput{KeyId: aws.String(key)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, g := range page.Grants {
			if strings.Contains(aws.ToString(g.GranteePrincipal), ":"+account+":") {
				return true, nil
			}
		}
	}
	return false, nil
}

// forEverybody tells whether a statement of a policy names everybody.
func forEverybody(policy string) bool {
	var p struct {
		Statement []struct{ Principal any }
	}
	if json.Unmarshal([]byte(policy), &p) != nil {
		return true // of another shape: nothing is proven
	}
	for _, s := range p.Statement {
		who := []any{s.Principal}
		if by, ok := s.Principal.(map[string]any); ok {
			who = []any{by["AWS"]}
			if list, ok := by["AWS"].([]any); ok {
				who = list
			}
		}
		if slices.Contains(who, any("*")) {
			return true
		}
	}
	return false
}

// serves refuses a key of the environment that its copies cannot be made under.
func serves(ctx context.Context, target *place) error {
	key := target.env.ImageKMSKeyID.In(target.cloud.Region)
	if key == "" {
		return nil
	}
	meta, err := target.cloud.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key)})
	switch {
	case cloud.NotFound(err):
		return fail.WithHint(fail.Inputf("environment %s: no key %s in region %s of account %s", target.env.Name, key, target.cloud.Region, target.cloud.Account),
			"make it there, or correct image_kms_key_id")
	case err != nil:
		return unknown(ctx, err)
	case meta.KeyMetadata.KeyState != kmstypes.KeyStateEnabled:
		return fail.WithHint(fail.Inputf("environment %s: key %s is %s", target.env.Name, key, meta.KeyMetadata.KeyState), "enable it, or give another image_kms_key_id")
	}
	return nil
}

// unknown is what is left of an error of KMS that proves nothing about a key:
// nothing but the end of the command.
func unknown(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}
