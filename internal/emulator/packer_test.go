package emulator

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/goldline-dev/goldline/internal/machine"
)

// Packer itself bakes in the local cloud, with the options that templates use,
// twice: the second build takes the place of the first.
func TestPacker(t *testing.T) {
	if testing.Short() {
		t.Skip("bakes twice")
	}
	t.Parallel()
	packer, err := exec.LookPath("packer")
	if err != nil {
		t.Skip("packer is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if text, err := exec.CommandContext(ctx, packer, "build", "-help").CombinedOutput(); err != nil || !strings.Contains(string(text), "Will execute multiple builds") {
		t.Skip("packer is not HashiCorp's")
	}
	cloud := newTestCloud(t, Options{Machine: machine.Available(ctx, t.TempDir())[0], Dir: t.TempDir(), Transition: 20 * time.Millisecond})
	url := serve(t, cloud.Cloud)
	var before string
	for _, build := range []string{"first", "second"} {
		out := filepath.Join(t.TempDir(), "role")
		cmd := exec.CommandContext(ctx, packer, "build", "-color=false", "-var", "endpoint="+url, "-var", "out="+out, "template.json")
		cmd.Dir = filepath.Join("testdata", "packer")
		cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "AWS_POLL_DELAY_SECONDS=1", "PACKER_CONFIG_DIR="+t.TempDir(), "AWS_EC2_METADATA_DISABLED=true")
		text, err := cmd.CombinedOutput()
		if err != nil && strings.Contains(string(text), "builder amazon-ebs is unknown") {
			t.Skip("this packer comes without its plugin for Amazon")
		}
		if err != nil {
			t.Fatalf("%s build: %v\n%s", build, err, text)
		}
		if !strings.Contains(string(text), "from user data") {
			t.Errorf("%s build: the user data has not run\n%s", build, text)
		}
		if role, err := os.ReadFile(out); err != nil || string(role) != "role web of root\n" {
			t.Errorf("%s build: downloaded %q (%v)", build, role, err)
		}
		images, err := cloud.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"packed"}}}})
		if err != nil || len(images.Images) != 1 || aws.ToString(images.Images[0].Description) != "made by Packer" || len(images.Images[0].BlockDeviceMappings) < 2 {
			t.Fatalf("%s build: images %+v (%v)", build, images, err)
		}
		if id := *images.Images[0].ImageId; id == before {
			t.Errorf("%s build: the image is the one before", build)
		} else {
			before = id
		}
	}
	abroad := ec2.NewFromConfig(configOf(cloud.Transport(), "AKIDLOCAL", "", "eu-west-1"))
	if copies, err := abroad.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}}); err != nil || len(copies.Images) != 1 {
		t.Errorf("copies: %+v (%v)", copies, err)
	}
	sharee := ec2.NewFromConfig(configOf(cloud.Transport(), "111111111111", "", testRegion))
	if shared, err := sharee.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{before}}); err != nil || len(shared.Images) != 1 {
		t.Errorf("shared: %+v (%v)", shared, err)
	}
	left, err := cloud.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopped"}}}})
	if err != nil || len(left.Reservations) > 0 {
		t.Errorf("left: %+v (%v)", left, err)
	}
}
