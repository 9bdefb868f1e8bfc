package promote

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
)

// What one region would refuse is refused before anything is changed in another,
// and goes through when that region allows it.
func TestWhatOneRegionRefuses(t *testing.T) {
	operations := []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationCreateGrant, kmstypes.GrantOperationDescribeKey}
	w := far(t)
	own := w.locked(w.build("web", "1"), "2", w.keyAt("dev", home))
	open := func(region string) {
		for _, account := range []string{"111111111111", "222222222222"} {
			_, err := w.at("dev", region).KMS.CreateGrant(t.Context(), &kms.CreateGrantInput{
				KeyId: aws.String(w.keyAt("dev", region)), GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: operations,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	open(home)
	w.climb("2", "dev")
	refused := func(to, part string) {
		t.Helper()
		w.local.ResetCalls()
		_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: "2"})
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("to %s: %v, want %q", to, err, part)
		}
		w.unchanged("refused to " + to)
	}
	// dev's copy abroad came under AWS's own key.
	refused("test", "AWS's own key for EBS, which account 111111111111 can never use")
	// As a bake with region_kms_key_ids would have left it.
	lost := w.owned("dev", abroad)[0]
	east := w.at("dev", abroad)
	if _, err := east.EC2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: lost.ImageId}); err != nil {
		t.Fatal(err)
	}
	if _, err := east.EC2.CopyImage(t.Context(), &ec2.CopyImageInput{
		Name: lost.Name, SourceImageId: aws.String(own), SourceRegion: aws.String(home), Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/images"),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, cloud.TagSet(lost.Tags))},
	}); err != nil {
		t.Fatal(err)
	}
	await(t, east, 1)
	refused("test", "which account 111111111111 may not use")
	open(abroad)
	w.climb("2", "test")
	w.show("test", "2")

	there := w.at("prod", abroad).KMS
	if _, err := there.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(w.keyAt("prod", abroad))}); err != nil {
		t.Fatal(err)
	}
	refused("prod", "key alias/images is Disabled")
	if _, err := there.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: aws.String(w.keyAt("prod", abroad))}); err != nil {
		t.Fatal(err)
	}
	w.climb("2", "prod")
	w.show("prod", "2")
	for _, region := range []string{home, abroad} {
		if own := w.owned("prod", region); len(own) != 1 || w.keyOf("prod", region, own[0]) != w.keyAt("prod", region) {
			t.Errorf("%d copies in %s, or not under its key", len(own), region)
		}
	}
}

// await waits until an account has as many available AMIs in a region.
func await(t *testing.T, c *cloud.Cloud, n int) {
	t.Helper()
	for {
		out, err := c.EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("state", "available")}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Images) >= n {
			return
		}
	}
}
