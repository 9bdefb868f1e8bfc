package launch

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// EC2 takes a KMS key by its alias and shows it by its ARN, so that what an
// alias stands for has to be known before the two can be compared.

// readKeys learns which keys the aliases of volumes stand for. An alias that
// nothing stands behind is wrong input: EC2 would take it, and the volume would
// vanish a moment later.
func (w *world) readKeys(ctx context.Context) error {
	var names []string
	by := map[string][]*project.Resource{}
	for _, r := range w.resources() {
		if s, ok := r.Spec.(*volumeSpec); ok && w.selected(r) && strings.HasPrefix(s.KmsKeyID, "alias/") {
			if by[s.KmsKeyID] == nil {
				names = append(names, s.KmsKeyID)
			}
			by[s.KmsKeyID] = append(by[s.KmsKeyID], r)
		}
	}
	arns := make([]string, len(names))
	missing := make([]bool, len(names))
	err := graph.Each(ctx, 0, len(names), func(ctx context.Context, i int) error {
		out, err := w.Cloud.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(names[i])})
		switch {
		case cloud.NotFound(err):
			missing[i] = true
			return nil
		case cloud.Denied(err):
			return nil // what cannot be told apart is taken for the same
		case err != nil:
			return fmt.Errorf("describe key %s: %w", names[i], err)
		}
		arns[i] = aws.ToString(out.KeyMetadata.Arn)
		return nil
	})
	if err != nil {
		return err
	}
	var problems diag.List
	w.keys = map[string]string{}
	for i, name := range names {
		w.keys[name] = arns[i]
		if !missing[i] {
			continue
		}
		for _, r := range by[name] {
			problems.AddHint(r.At("kms_key_id"), "make the key and its alias there, or name another", "%s: no key %s in region %s of account %s", r.Address, name, w.region, w.Cloud.Account)
		}
	}
	return problems.Err()
}

// sameKey tells whether an ARN is the key that a definition gives by its ARN,
// its ID or an alias.
func (w *world) sameKey(arn, given string) bool {
	if known, ok := w.keys[given]; ok {
		return known == "" || known == arn
	}
	return arn == given || strings.HasSuffix(arn, "/"+given)
}
