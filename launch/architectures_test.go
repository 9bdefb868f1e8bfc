package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// promoteArm makes an AMI for arm64 current beside the main one.
func (s *site) promoteArm(image, version string) string {
	s.t.Helper()
	ctx := context.Background()
	found, err := s.cloud.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"136693071363"}, Filters: []types.Filter{cloud.Filter("name", "debian-12-arm64-*")}})
	if err != nil || len(found.Images) == 0 {
		s.t.Fatalf("no source image: %v", err)
	}
	out, err := s.cloud.EC2.CopyImage(ctx, &ec2.CopyImageInput{
		Name: aws.String(image + "-" + version + "-arm64"), SourceImageId: found.Images[0].ImageId, SourceRegion: aws.String(testRegion),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{tags.Project: "shop", tags.Image: image, tags.Version: version})},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.SSM.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(tags.ArchitecturePointer("shop", "dev", image, "arm64")), Value: out.ImageId, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.ImageId
}

// The type of an instance says which of a build's AMIs it runs.
func TestArchitectureOfTheType(t *testing.T) {
	s := newSite(t, map[string]string{
		"images/web.yaml":        "source_ami: ami-1\nssh_username: admin\n",
		"topology/network.yaml":  "kind: vpc\nname: main\ncidr_block: 10.0.0.0/16\n---\nkind: subnet\nname: a\nvpc: main\navailability_zone: a\ncidr_block: 10.0.1.0/24\n",
		"topology/instance.yaml": "kind: instance\nname: x\nimage: web\ninstance_type: t3.micro\nsubnet: a\n---\nkind: instance\nname: arm\nimage: web\ninstance_type: t4g.micro\nsubnet: a\n",
		"topology/group.yaml": `kind: launch_template
name: arm
image: web
instance_type: c7g.large
---
kind: auto_scaling_group
name: arm
launch_template: arm
subnets: [a]
min_size: 0
max_size: 1
mixed_instances_policy: {overrides: [c7g.large, m7g.large]}
`,
	})
	x := s.promote("web", "1")
	if _, err := NewPlan(context.Background(), s.options()); fail.ExitCode(err) != fail.CodeInput || strings.Count(err.Error(), "cannot run its image") != 4 ||
		!strings.Contains(err.Error(), "bake web with architectures: [x86_64, arm64]") {
		t.Fatalf("arm64 without an AMI for it: %v", err)
	}
	arm := s.promoteArm("web", "1")
	s.launch()
	live, err := describe(s)
	if err != nil || live["instance.x"] != x || live["instance.arm"] != arm || live["template"] != arm {
		t.Errorf("%v, %v; want %s and %s", live, err, x, arm)
	}
	s.local.ResetCalls()
	s.settled()
	asked := 0
	for _, c := range s.local.Calls() {
		if c.Action == "DescribeInstanceTypes" {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("an empty plan asked for types %d times", asked)
	}

	s.edit("topology/group.yaml", "m7g.large", "m7i.large")
	if _, err := NewPlan(context.Background(), s.options()); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "m7i.large cannot run its image "+arm) {
		t.Errorf("types of two architectures: %v", err)
	}
	s.edit("topology/group.yaml", "m7i.large", "m7g.large")

	// A promotion is cut short, or the next build has no AMI for arm64: what runs
	// there is not replaced by one that cannot.
	s.promoteArm("web", "2")
	if _, err := NewPlan(context.Background(), s.options()); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("of another build: %v", err)
	}
}

// describe gives the AMIs that run, by address, and the template's.
func describe(s *site) (map[string]string, error) {
	live := map[string]string{}
	out, err := s.cloud.EC2.DescribeInstances(context.Background(), &ec2.DescribeInstancesInput{Filters: []types.Filter{cloud.Filter("tag-key", tags.Address)}})
	if err != nil {
		return nil, err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			live[cloud.TagSet(i.Tags)[tags.Address]] = aws.ToString(i.ImageId)
		}
	}
	versions, err := s.cloud.EC2.DescribeLaunchTemplateVersions(context.Background(), &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}})
	if err != nil {
		return nil, err
	}
	for _, v := range versions.LaunchTemplateVersions {
		live["template"] = aws.ToString(v.LaunchTemplateData.ImageId)
	}
	return live, nil
}
