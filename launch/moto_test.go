package launch

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/mototest"
	"github.com/goldline-dev/goldline/internal/tags"
)

// TestMoto launches against an EC2 that is not ours, reached as AWS is, by the
// SDK's own configuration.
func TestMoto(t *testing.T) {
	s := newMotoSite(t)
	kept := motoNeighbour(t, s.cloud)
	s.write(platform())
	s.write(map[string]string{
		zoneFile:   "domain: shop.internal\ncomment: ours\nvpcs: [main]\n",
		recordFile: "name: db\nzone: internal\ndomain: db\nvalues: [\"${instance.db.private_ip}\"]\n---\nname: text\nzone: internal\ndomain: \"@\"\ntype: TXT\nvalues: [hello]\n",
	})
	s.edit("topology/instances/web.yaml", "count: 2", "count: 2\ndomain: web-${index}.shop.internal")
	first, second := motoImages(t, s.cloud)
	motoPointer(t, s.cloud, "web", first)
	motoPointer(t, s.cloud, "db", first)
	s.launch()
	s.settled()
	motoPointer(t, s.cloud, "db", second)
	s.launch()
	s.settled()
	s.motoScaling(t, second)
	s.destroy()
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil || len(w.inventory.all) > 0 {
		t.Errorf("after destroy: %d resources, %v", len(w.inventory.all), err)
	}
	kept()
	if err := w.readKinds(context.Background(), []string{"vpc_peering"}); err != nil || len(w.inventory.all) > 0 {
		t.Errorf("%d peerings of another environment count as ours, %v", len(w.inventory.all), err)
	}
	s.stackOutputs()
	motoFront(t, s.cloud)
	motoImport(t, s.cloud)
}

// motoNeighbour makes an instance profile and a peering of another environment in
// the account, and gives a check that they are still there: moto lists profiles of
// every path and peerings of every tag, whichever were asked for.
func motoNeighbour(t *testing.T, c *cloud.Cloud) (kept func()) {
	t.Helper()
	ctx, name := context.Background(), aws.String("shop-prod-web")
	if _, err := c.IAM.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name, Path: aws.String("/goldline/shop/prod/")}); err != nil {
		t.Fatal(err)
	}
	vpcs, err := c.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		t.Fatal(err)
	}
	peering, err := c.EC2.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{
		VpcId: vpcs.Vpcs[0].VpcId, PeerVpcId: vpcs.Vpcs[0].VpcId,
		TagSpecifications: []ec2types.TagSpecification{cloud.TagSpec(ec2types.ResourceTypeVpcPeeringConnection, map[string]string{
			tags.Project: "shop", tags.Environment: "prod", tags.Address: "vpc_peering.loop", tags.UUID: "00000000-0000-4000-8000-000000000001"})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		left, err := c.EC2.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{
			VpcPeeringConnectionIds: []string{*peering.VpcPeeringConnection.VpcPeeringConnectionId}})
		if err != nil || len(left.VpcPeeringConnections) != 1 || left.VpcPeeringConnections[0].Status.Code == ec2types.VpcPeeringConnectionStateReasonCodeDeleted {
			t.Errorf("another environment's peering: %v, %v", left, err)
		}
		if _, err := c.IAM.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: name}); err != nil {
			t.Errorf("another environment's profile: %v", err)
		}
	}
}

// newMotoSite is a project over a moto of its own, whose account is empty.
func newMotoSite(t *testing.T) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("moto_server takes seconds to start")
	}
	mototest.Serve(t, testRegion)
	s := &site{t: t, dir: t.TempDir()}
	s.write(map[string]string{
		"goldline.yaml":         "project: shop\nladder: [dev]\ntags: {team: shop}\n",
		"environments/dev.yaml": "account: \"123456789012\"\nregion: " + testRegion + "\n",
	})
	provider := cloud.NewProvider(cloud.Config{PollMin: 10 * time.Millisecond, PollMax: 50 * time.Millisecond})
	var err error
	if s.cloud, err = provider.For(context.Background(), cloud.Target{Account: "123456789012", Region: testRegion}); err != nil {
		t.Fatal(err)
	}
	return s
}

func motoImages(t testing.TB, c *cloud.Cloud) (first, second string) {
	t.Helper()
	out, err := c.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{})
	if err != nil || len(out.Images) < 2 {
		t.Fatalf("images: %v", err)
	}
	return *out.Images[0].ImageId, *out.Images[1].ImageId
}

func motoPointer(t *testing.T, c *cloud.Cloud, image, ami string) {
	t.Helper()
	_, err := c.SSM.PutParameter(context.Background(), &ssm.PutParameterInput{Name: aws.String(tags.Pointer("shop", "dev", image)), Value: aws.String(ami),
		Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
}

// motoScaling: a group whose instances are left alone, since moto knows no
// instance refreshes (and launches nothing from a second version with user data).
func (s *site) motoScaling(t *testing.T, build string) {
	s.t.Helper()
	s.write(map[string]string{
		"topology/launch_templates/fleet.yaml":    "image: web\ninstance_type: t3.micro\nsecurity_groups: [web]\n",
		"topology/auto_scaling_groups/fleet.yaml": "launch_template: fleet\nmin_size: 1\nmax_size: 3\nsubnets: [public-a, public-b]\nrefresh: none\n",
	})
	s.launch()
	s.settled()
	s.edit("topology/auto_scaling_groups/fleet.yaml", "min_size: 1", "min_size: 2")
	s.launch()
	s.settled()
	motoPointer(t, s.cloud, "web", build)
	s.launch()
	s.settled()
	if g := s.group(); *g.LaunchTemplate.Version != "2" || len(g.Instances) != 2 {
		s.t.Errorf("version %s, %d instances", *g.LaunchTemplate.Version, len(g.Instances))
	}
}

// stackOutputs: the outputs of a CloudFormation stack stand where they are asked
// for, and what is not there is told where it is asked for.
func (s *site) stackOutputs() {
	s.t.Helper()
	ctx := context.Background()
	_, err := s.cloud.CloudFormation.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("net"), TemplateBody: aws.String(
		`{"Resources": {"Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.50.0.0/16"}}}, "Outputs": {"Purpose": {"Value": "the front"}}}`)})
	if err != nil {
		s.t.Fatal(err)
	}
	resolved := func(expr string) (string, error) {
		s.write(map[string]string{"topology/security_groups/stacked.yaml": "vpc: main\ndescription: " + expr + "\n"})
		w, err := newWorld(s.options())
		if err == nil {
			err = w.resolve(ctx)
		}
		for _, r := range w.resources() {
			if r.Address == "security_group.stacked" {
				return r.Spec.(*securityGroupSpec).Description, err
			}
		}
		return "", err
	}
	if got, err := resolved("${cloudformation.net.Purpose}"); err != nil || got != "the front" {
		s.t.Errorf("the output is %q, %v", got, err)
	}
	for expr, want := range map[string]string{
		"${cloudformation.net.Purposes}": "stack net has no output Purposes",
		"${cloudformation.nat.Purpose}":  "no CloudFormation stack nat in " + testRegion,
	} {
		if _, err := resolved(expr); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "stacked.yaml:2:14: "+expr+": "+want) {
			s.t.Errorf("%s: error %v", expr, err)
		}
	}
}
