package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// wide is a world of several accounts and regions.
func wide(t *testing.T) *world {
	t.Helper()
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond})
	w.project = loadProject(t, "testdata/accounts.txtar")
	w.launch()
	w.awaitInstance()
	return w
}

// in is the cloud of an environment.
func (w *world) in(environment string) *cloud.Cloud {
	w.t.Helper()
	env, err := w.project.Environment(environment)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.newProvider().For(context.Background(), cloud.Target{Account: env.Account, Region: env.Region, Role: env.Role})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// images are the AMIs of an environment's account in its region.
func (w *world) images(environment string) []types.Image {
	w.t.Helper()
	out, err := w.in(environment).EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Images
}

func TestAcrossAccountsAndRegions(t *testing.T) {
	w := wide(t)
	v1 := w.build("web", "1")
	w.promote("web", "dev", "")
	shared := w.promote("web", "test", "")
	if shared.To != (Ref{v1, "1"}) || len(w.images("test")) != 0 {
		t.Errorf("shared: %+v; %d AMIs of its own", shared, len(w.images("test")))
	}
	copied := w.promote("web", "prod", "")
	own := w.images("prod")
	if len(own) != 1 || copied.To.AMI != *own[0].ImageId || copied.To.AMI == v1 || copied.To.Version != "1" {
		t.Fatalf("copied: %+v; %d AMIs of its own", copied, len(own))
	}
	if from := cloud.TagSet(own[0].Tags)[tags.CopiedFrom]; from != v1+"/eu-central-1/000000000000" {
		t.Errorf("the copy says that it comes from %q", from)
	}
	if key := aws.ToString(own[0].BlockDeviceMappings[0].Ebs.SnapshotId); !w.encrypted("prod", key) {
		t.Error("the copy is not under the environment's key")
	}
	if to := cloud.TagSet(w.seen("dev", v1).Tags)[tags.CopiedTo+"222222222222:eu-west-1"]; to != copied.To.AMI {
		t.Errorf("the original says that it was copied to %q", to)
	}

	w.local.ResetCalls()
	for _, to := range []string{"test", "prod"} {
		if again := w.promote("web", to, ""); again.Changed {
			t.Errorf("again to %s: %+v", to, again)
		}
	}
	for _, action := range []string{"CopyImage", "ModifyImageAttribute", "ModifySnapshotAttribute", "CreateTags", "PutParameter"} {
		if n := w.calls(action); n != 0 {
			t.Errorf("again: %d %s", n, action)
		}
	}

	// The same build by each of its names, on each rung, and back again.
	w.build("web", "2")
	w.promote("web", "dev", "")
	w.promote("web", "test", "2")
	second := w.promote("web", "prod", "f22222")
	if second.To.Version != "2" || second.From.AMI != copied.To.AMI {
		t.Errorf("the second: %+v", second)
	}
	for _, environment := range []string{"test", "prod"} {
		back, err := w.promoter().Rollback(t.Context(), "web", environment, "")
		if err != nil || back.To.Version != "1" {
			t.Errorf("back in %s: %+v, %v", environment, back, err)
		}
	}
	list, err := w.promoter().List(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, b := range list {
		told = append(told, fmt.Sprintf("%s %s %s %v", b.Version, b.Account, b.Region, b.Environments))
	}
	if got, want := strings.Join(told, "\n"), strings.Join([]string{
		"2 222222222222 eu-west-1 []", "1 222222222222 eu-west-1 [prod]", "2 000000000000 eu-central-1 [dev]", "1 000000000000 eu-central-1 [test]",
	}, "\n"); len(told) != 4 || !sameLines(got, want) {
		t.Errorf("list:\n%s", got)
	}
}

func sameLines(a, b string) bool {
	count := map[string]int{}
	for _, line := range strings.Split(a, "\n") {
		count[line]++
	}
	for _, line := range strings.Split(b, "\n") {
		count[line]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func (w *world) seen(environment, ami string) types.Image {
	w.t.Helper()
	out, err := w.in(environment).EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{ImageIds: []string{ami}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Images[0]
}

func (w *world) encrypted(environment, snapshot string) bool {
	w.t.Helper()
	out, err := w.in(environment).EC2.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToBool(out.Snapshots[0].Encrypted) && aws.ToString(out.Snapshots[0].KmsKeyId) == w.key(environment)
}

// A build comes to another region of its own account by a copy, and to another
// region of another account by a copy there that is shared.
func TestAbroad(t *testing.T) {
	w := wide(t)
	w.build("web", "1")
	w.promote("web", "dev", "")
	for _, environment := range []string{"far", "abroad"} {
		move, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: environment, Build: "1", SkipLadder: true, Reason: "r"})
		if err != nil {
			t.Fatal(err)
		}
		if own := w.images("far"); len(own) != 1 || move.To.AMI != *own[0].ImageId {
			t.Errorf("%s: %+v; %d copies", environment, move, len(own))
		}
	}
	if own := w.images("abroad"); len(own) != 0 {
		t.Errorf("%d copies of its own", len(own))
	}

	// A rung that it never was on is told of, and left out if that is asked for.
	r := Request{Image: "web", To: "prod", Build: "1"}
	if _, err := w.promoter().Promote(t.Context(), r); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "was never current in test, one rung below") {
		t.Errorf("without its rung: %v", err)
	}
	r.SkipLadder, r.Reason = true, "r"
	if move, err := w.promoter().Promote(t.Context(), r); err != nil || move.To.Version != "1" {
		t.Errorf("leaving out the rung: %+v, %v", move, err)
	}
}

// A copy that is shared lies in the account that shares it, also in a region where
// that has no environment: it is listed, scanned and revoked by its own AMI.
func TestSharedFromWhereNoEnvironmentIs(t *testing.T) {
	w := wide(t)
	w.build("web", "1")
	w.promote("web", "dev", "")
	move, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "asia", Build: "1", SkipLadder: true, Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.promoter().List(t.Context(), "")
	if err != nil || len(list) != 2 || !slices.ContainsFunc(list, func(b BuildInfo) bool {
		return b.AMI == move.To.AMI && slices.Equal(b.Environments, []string{"asia"})
	}) {
		t.Errorf("list: %+v, %v", list, err)
	}
	if s, err := w.promoter().Scanned(t.Context(), move.To.AMI, map[string]int{"low": 1}); err != nil || len(s.AMIs) != 2 {
		t.Errorf("scan: %+v, %v", s, err)
	}
	if r, err := w.promoter().Revoke(t.Context(), move.To.AMI, "broken"); err != nil || len(r.AMIs) != 2 || len(r.Current) != 2 {
		t.Errorf("revoke: %+v, %v", r, err)
	}
}

func TestWhatCannotBeShared(t *testing.T) {
	w := wide(t)
	id := w.build("web", "1")
	own := w.locked(id, "2", "")
	w.promote("web", "dev", own)
	_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "test"})
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "AWS's own key") {
		t.Errorf("AWS's own key: %v", err)
	}

	if _, err := w.cloud.EC2.EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{ImageId: aws.String(id), DeprecateAt: aws.Time(time.Now().Add(time.Minute))}); err != nil {
		t.Fatal(err)
	}
	w.promote("web", "dev", id)
	b := BuildInfo{State: "available", image: types.Image{DeprecationTime: aws.String(time.Now().Add(-time.Hour).Format(time.RFC3339))}}
	if err := b.permitted(&place{env: w.project.Environments()[0]}); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("a deprecated build: %v", err)
	}
}

// locked is another build of an image: a copy that is encrypted with a key, or
// with AWS's own.
func (w *world) locked(ami, version, key string) string {
	w.t.Helper()
	in := &ec2.CopyImageInput{
		Name: aws.String("web/" + version), SourceImageId: aws.String(ami), SourceRegion: aws.String("eu-central-1"), Encrypted: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{
			tags.Project: "shop", tags.Image: "web", tags.Version: version, tags.Fingerprint: "f" + version,
		})},
	}
	if key != "" {
		in.KmsKeyId = aws.String(key)
	}
	out, err := w.cloud.EC2.CopyImage(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.cloud.Images.Wait(w.t.Context(), cloud.Wait[types.Image]{ID: *out.ImageId, For: "the image", Deadline: 10 * time.Second,
		Done: func(i types.Image, found bool) (bool, error) {
			return found && i.State == types.ImageStateAvailable, nil
		}}); err != nil {
		w.t.Fatal(err)
	}
	return *out.ImageId
}

// What a key does not allow is refused before anything is changed, and goes
// through as soon as it does.
func TestKeysOfBuilds(t *testing.T) {
	const guest, copier = "111111111111", "222222222222"
	operations := []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationCreateGrant, kmstypes.GrantOperationDescribeKey}
	w := wide(t)
	plain := w.build("web", "1")
	key := w.key("dev")
	own := w.locked(plain, "2", key)
	w.promote("web", "dev", own)
	refused := func(to, part string) {
		t.Helper()
		w.local.ResetCalls()
		_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: "2", SkipLadder: true, Reason: "r"})
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), part) {
			t.Errorf("to %s: %v, want %q", to, err, part)
		}
		for _, action := range []string{"CopyImage", "ModifyImageAttribute", "ModifySnapshotAttribute", "CreateTags", "PutParameter"} {
			if n := w.calls(action); n != 0 {
				t.Errorf("to %s: refused after %d %s", to, n, action)
			}
		}
	}
	granted := func(account string) {
		t.Helper()
		_, err := w.cloud.KMS.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: operations})
		if err != nil {
			t.Fatal(err)
		}
	}
	refused("test", "account "+guest+" may not use")
	granted(guest)
	if move := w.promote("web", "test", "2"); move.To.AMI != own {
		t.Errorf("shared: %+v", move)
	}
	refused("abroad", "would be under AWS's own key")

	refused("prod", "account "+copier+" may not use")
	granted(copier)
	there := w.in("prod").KMS
	if _, err := there.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(w.key("prod"))}); err != nil {
		t.Fatal(err)
	}
	refused("prod", "is Disabled")
	if _, err := there.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: aws.String(w.key("prod"))}); err != nil {
		t.Fatal(err)
	}
	if move := w.promote("web", "prod", "2"); move.To.Version != "2" || len(w.images("prod")) != 1 || !w.encrypted("prod", aws.ToString(w.images("prod")[0].BlockDeviceMappings[0].Ebs.SnapshotId)) {
		t.Errorf("copied: %+v", move)
	}
	if _, err := w.cloud.KMS.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	if again := w.promote("web", "test", "2"); again.Changed {
		t.Errorf("what is there already: %+v", again)
	}
}

// key is the ARN of the key alias/images of an environment's account.
func (w *world) key(environment string) string {
	w.t.Helper()
	out, err := w.in(environment).KMS.DescribeKey(w.t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/images")})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}
