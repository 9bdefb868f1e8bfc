package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// TestOlderFiles: definitions in the words of older tools load and launch as
// they stand: az, keypair, instance_profile_name, the address itself as
// elastic_ip, a UUID tag as the identity, one resource a file.
func TestOlderFiles(t *testing.T) {
	const identity = "3f2a1c00-5d2e-4b8a-9a11-0123456789ab"
	s := newSite(t, map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/public.yaml":         "vpc: main\ncidr_block: 10.0.1.0/24\naz: " + testRegion + "a\n",
		"topology/volumes/data.yaml":           "az: a\nsize: 8\ntags: {UUID: " + identity + ", Name: old-data}\n",
	})
	ctx := t.Context()
	address := must[*ec2.AllocateAddressOutput](t)(s.cloud.EC2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))
	must[*ec2.ImportKeyPairOutput](t)(s.cloud.EC2.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("ops"), PublicKeyMaterial: []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPHYLFMgqIXPrCPfeijGzVEJLYQiTZFxoMKuVl5DsLO ops")}))
	must[*iam.CreateInstanceProfileOutput](t)(s.cloud.IAM.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("web")}))
	must[*iam.CreateRoleOutput](t)(s.cloud.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("web"), AssumeRolePolicyDocument: aws.String(trustText)}))
	must[*iam.AddRoleToInstanceProfileOutput](t)(s.cloud.IAM.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("web"), RoleName: aws.String("web")}))
	ami := s.build("web", "1")
	s.write(map[string]string{"topology/instances/web1.yaml": "ami: " + ami + "\ninstance_type: t3.micro\nsubnet: public\nkeypair: ops\ninstance_profile_name: web\nelastic_ip: " + *address.PublicIp + "\nvolumes: [{volume: data, device: /dev/sdf}]\n"})
	s.launch()
	s.settled()
	i := s.running("instance.web1")
	if aws.ToString(i.KeyName) != "ops" || profileOf(i.Instance) != "web" || elasticOn(i.Instance) != *address.PublicIp {
		t.Errorf("key %q, profile %q, address %q", aws.ToString(i.KeyName), profileOf(i.Instance), elasticOn(i.Instance))
	}
	out, err := s.cloud.EC2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{s.id("volume.data")}})
	if err != nil || len(out.Volumes) != 1 {
		t.Fatal(err)
	}
	set := cloud.TagSet(out.Volumes[0].Tags)
	if set[tags.UUID] != identity || set["UUID"] != identity || set["Name"] != "old-data" || *out.Volumes[0].AvailabilityZone != testRegion+"a" {
		t.Errorf("the volume has %v", set)
	}
}

// running is the instance of an address.
func (s *site) running(address string) instance {
	s.t.Helper()
	list, err := instances{}.list(context.Background(), query{cloud: s.cloud})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, i := range list {
		if cloud.TagSet(i.Tags)[tags.Address] == address && !over(i.Instance) {
			return i
		}
	}
	s.t.Fatalf("no %s", address)
	return instance{}
}

// TestOnlyByGlob: --only provisions what its patterns name, and says what that
// needs and is missing.
func TestOnlyByGlob(t *testing.T) {
	s := newPlatform(t)
	try := func(patterns ...string) (*Plan, error) {
		o := s.options()
		o.Only = patterns
		return NewPlan(t.Context(), o)
	}
	_, err := try("instances/web*.yaml")
	for _, want := range []string{"instance.web[0] needs subnet.public-b, which is not there", "needs security_group.web, which is not there", "needs vpc.main, which is not there"} {
		if exitCode(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := try("instances/wbe*.yaml"); exitCode(err) != 2 || !strings.Contains(err.Error(), "no definition of dev has this file or address") {
		t.Errorf("a pattern of nothing: %v", err)
	}
	o := s.options()
	o.Only = []string{"vpcs/*", "subnets/*", "security_groups/*"}
	plan, err := NewPlan(t.Context(), o)
	if err == nil {
		_, err = Apply(t.Context(), o, plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	plan, err = try("instances/web*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if plan.Counts.Create != 2 {
		t.Errorf("the web alone:\n%s", summaryOf(plan))
	}
}
