package launch

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/goldline-dev/goldline/internal/emulator"
)

// profiled is an instance with one of two profiles. The AMI is one that every
// local cloud has.
func profiled() map[string]string {
	return map[string]string{
		"topology/iam_roles/web.yaml":         "assume_role_policy:\n  Statement: {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}\n",
		"topology/instance_profiles/all.yaml": "name: web\nrole: web\n---\nname: more\nrole: web\n",
		"topology/vpcs/main.yaml":             "cidr_block: 10.0.0.0/16\n",
		"topology/subnets/a.yaml":             "vpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n",
		"topology/instances/web.yaml":         "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\niam_instance_profile: ${instance_profile.web.name}\n",
	}
}

const webInstance = "topology/instances/web.yaml"

// TestInstanceProfileInPlace: another profile costs no instance.
func TestInstanceProfileInPlace(t *testing.T) {
	s := live(t, profiled(), []step{
		{"another", func(s *site) { s.edit(webInstance, "profile.web.", "profile.more.") }, []string{"change instance.web: iam_instance_profile"}},
		{"none", func(s *site) { s.edit(webInstance, "iam_instance_profile: ${instance_profile.more.name}\n", "") }, []string{"change instance.web: iam_instance_profile"}},
		{"one again", func(s *site) { s.edit(webInstance, "subnet: a\n", "subnet: a\niam_instance_profile: shop-dev-web\n") }, []string{"change instance.web: iam_instance_profile"}},
	})
	launched := 0
	for _, c := range s.local.Calls() {
		if c.Action == "RunInstances" {
			launched++
		}
	}
	if launched != 1 {
		t.Errorf("%d instances were launched", launched)
	}
}

// TestInstanceProfileIsNew: EC2 knows a profile only some time after IAM does.
func TestInstanceProfileIsNew(t *testing.T) {
	t.Parallel()
	// A busy machine, too, comes to its instances within that.
	s := newSiteWith(t, emulator.Options{Machine: emulator.NoMachines, ProfileDelay: time.Second}, profiled())
	s.launch()
	s.settled()
	refused := 0
	for _, c := range s.local.Calls() {
		if c.Action == "RunInstances" && c.Code == "InvalidParameterValue" {
			refused++
		}
	}
	if refused == 0 {
		t.Error("EC2 knew the profile at once")
	}
	s.write(map[string]string{"topology/instance_profiles/new.yaml": "role: web\n"})
	s.edit(webInstance, "profile.web.", "profile.new.")
	s.launch()
	s.settled()
}

// TestInstanceProfileRefused: a profile that is nowhere is refused by the plan;
// one that holds no role by EC2, without waiting for what does not come.
func TestInstanceProfileRefused(t *testing.T) {
	s := newSite(t, profiled())
	s.launch()
	s.edit(webInstance, "${instance_profile.web.name}", "wbe")
	_, err := s.tryLaunch(t.Context())
	if exitCode(err) != 2 || !strings.Contains(err.Error(), "web.yaml:4:23: instance.web: no instance profile wbe in account 000000000000") {
		t.Errorf("code %d: %v", exitCode(err), err)
	}
	if _, err := s.cloud.IAM.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("wbe")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tryLaunch(t.Context()); err == nil || !strings.Contains(err.Error(), "has no associated IAM Roles") {
		t.Errorf("an empty profile: %v", err)
	}
	mistaken(t, profiled(), webInstance, "${instance_profile.web.name}", "arn:aws:iam::000000000000:instance-profile/web", "is an ARN (give its name: web)")
}

func TestInstanceProfileEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, profiled(), func(s *site) {
		s.edit(webInstance, "profile.web.", "profile.more.")
	}, 31)
}
