package launch

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// A volume's key by its alias: EC2 shows another name of it, and the plan knows
// that they are one; when the alias comes to mean another key, it says so.
func TestVolumeKeyByAlias(t *testing.T) {
	s := newSite(t, map[string]string{"topology/volume.yaml": "kind: volume\nname: data\navailability_zone: a\nsize: 1\nkms_key_id: alias/data\n"})
	s.launch()
	if plan := s.plan(); !plan.Empty() {
		t.Errorf("again: %+v", plan.Changes)
	}
	made, err := s.cloud.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.cloud.KMS.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: aws.String("alias/data"), TargetKeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	plan := s.plan()
	if len(plan.Changes) != 1 || plan.Changes[0].Action != Replace || !strings.Contains(plan.Changes[0].Reason, "kms_key_id") {
		t.Errorf("the alias of another key: %+v", plan.Changes)
	}
}
