package promote

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/mototest"
	"github.com/goldline-dev/goldline/internal/tags"
)

// TestAgainstMoto takes builds up a ladder on an EC2 that is not ours: in their
// region, by copies in two others, and as far as sharing with another account.
// moto keeps no image that another account could see, so that there it ends
// with moto's refusal.
func TestAgainstMoto(t *testing.T) {
	if testing.Short() {
		t.Skip("moto_server takes seconds to start")
	}
	mototest.Serve(t, "eu-central-1")
	project := loadProject(t, "testdata/moto.txtar")
	promoter := func() *Promoter {
		provider := cloud.NewProvider(cloud.Config{PollMin: 10 * time.Millisecond, PollMax: 50 * time.Millisecond})
		return New(Options{Project: project, Provider: provider, Run: "20261121T101500Z-ab12cd"})
	}
	provider := cloud.NewProvider(cloud.Config{})
	c, err := provider.For(t.Context(), cloud.Target{Account: mototest.Account, Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	first, second := motoBuild(t, c, "1"), motoBuild(t, c, "2")
	for _, build := range []string{"1", "2"} {
		for _, to := range []string{"dev", "test"} {
			move, err := promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: build})
			if err != nil || move.To.Version != build || !move.Changed {
				t.Fatalf("%s to %s: %+v, %v", build, to, move, err)
			}
			if again, err := promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: build}); err != nil || again.Changed {
				t.Errorf("%s to %s again: %+v, %v", build, to, again, err)
			}
		}
	}
	var there *ec2.DescribeImagesOutput
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		if there, err = c.In(region).EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}}); err != nil || len(there.Images) != 2 {
			t.Errorf("%d copies in %s, want 2, %v", len(there.Images), region, err)
		}
		for _, copied := range there.Images {
			set := cloud.TagSet(copied.Tags)
			if from := set[tags.CopiedFrom]; from != first+"/eu-central-1/"+mototest.Account && from != second+"/eu-central-1/"+mototest.Account {
				t.Errorf("a copy in %s is of %q", region, from)
			}
		}
	}
	if back, err := promoter().Rollback(t.Context(), "web", "test", ""); err != nil || back.To.Version != "1" || len(back.Regions) != 1 {
		t.Errorf("back: %+v, %v", back, err)
	}
	if board, err := promoter().Further(t.Context(), "test"); err != nil || len(board) != 1 || board[0].Regions[0].Version != "1" || board[0].Regions[0].Lags {
		t.Errorf("further regions: %+v, %v", board, err)
	}
	history, err := promoter().History(t.Context(), "web", "test")
	if err != nil || len(history) != 3 || history[2].Version != "1" || history[2].Action != actionRollback {
		t.Errorf("history: %+v, %v", history, err)
	}

	_, err = promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "1", SkipLadder: true, Reason: "r"})
	if !cloud.NotFound(err) {
		t.Errorf("shared: %v", err)
	}
	permitted, err := c.In("eu-west-1").EC2.DescribeImageAttribute(context.Background(), &ec2.DescribeImageAttributeInput{
		ImageId: aws.String(motoCopyOf(there.Images, first)), Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil || len(permitted.LaunchPermissions) != 1 || aws.ToString(permitted.LaunchPermissions[0].UserId) != "222222222222" {
		t.Errorf("launch permissions: %+v, %v", permitted, err)
	}
}

// motoBuild makes a build as a bake leaves it.
func motoBuild(t *testing.T, c *cloud.Cloud, version string) string {
	t.Helper()
	source, err := c.EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(source.Images) == 0 {
		t.Fatalf("images: %v", err)
	}
	run, err := c.EC2.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: source.Images[0].ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.EC2.CreateImage(t.Context(), &ec2.CreateImageInput{
		InstanceId: run.Instances[0].InstanceId, Name: aws.String("web/" + version),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{
			tags.Project: "shop", tags.Image: "web", tags.Version: version, tags.Fingerprint: "f" + version, tags.SourceImage: *source.Images[0].ImageId,
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ImageId
}

func motoCopyOf(images []types.Image, ami string) string {
	for _, image := range images {
		if cloud.TagSet(image.Tags)[tags.CopiedFrom] == ami+"/eu-central-1/"+mototest.Account {
			return *image.ImageId
		}
	}
	return ""
}
