package launch

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
)

// TestDestroyAgreedEarlier: a plan of destruction that was kept may find less
// than it names, since some of it was going already, and never more.
func TestDestroyAgreedEarlier(t *testing.T) {
	s := newSite(t, map[string]string{"topology/volumes/all.yaml": "availability_zone: a\nsize: 1\ncount: 3\n"})
	s.launch()
	agreed := func() *Plan {
		plan, err := NewDestroyPlan(context.Background(), s.options())
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(plan)
		kept := &Plan{}
		if err == nil {
			err = json.Unmarshal(text, kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	plan := agreed()
	if _, err := s.cloud.EC2.DeleteVolume(context.Background(), &ec2.DeleteVolumeInput{VolumeId: aws.String(plan.Changes[0].ID)}); err != nil {
		t.Fatal(err)
	}
	less := agreed()
	s.launch() // the volume is there again
	_, err := Apply(context.Background(), s.options(), less)
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "are not what they were") {
		t.Errorf("a plan that has less: %v", err)
	}
	plan = agreed()
	if _, err := s.cloud.EC2.DeleteVolume(context.Background(), &ec2.DeleteVolumeInput{VolumeId: aws.String(plan.Changes[1].ID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(context.Background(), s.options(), plan); err != nil {
		t.Errorf("a plan that has more: %v", err)
	}
	if plan := agreed(); !plan.Empty() {
		t.Errorf("left: %s", summaryOf(plan))
	}
}

// TestDestroyAdoptedAgain: a destruction of what is adopted, too, that was cut
// short goes on where the adopted things are gone already.
func TestDestroyAdoptedAgain(t *testing.T) {
	s := newSite(t, map[string]string{"topology/volumes/theirs.yaml": "adopt: {tags: {Name: theirs}}\n", "topology/volumes/own.yaml": "availability_zone: a\nsize: 1\n"})
	_, err := s.cloud.EC2.CreateVolume(context.Background(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(testRegion + "a"), Size: aws.Int32(1), TagSpecifications: spec("volume", "theirs")})
	if err != nil {
		t.Fatal(err)
	}
	s.launch()
	destroy := func() error {
		o := s.options()
		o.Adopted = true
		plan, err := NewDestroyPlan(context.Background(), o)
		if err == nil {
			_, err = Apply(context.Background(), o, plan)
		}
		return err
	}
	s.fault("ec2", "DeleteVolume", emulator.Error, "InsufficientInstanceCapacity", 2)
	if err := destroy(); err == nil {
		t.Fatal("nothing failed")
	}
	s.local.ClearFaults()
	for range 2 {
		if err := destroy(); err != nil {
			t.Errorf("again: %v", err)
		}
	}
}

// TestLeftOnce: what is left is named once, whatever was changed of it.
func TestLeftOnce(t *testing.T) {
	s := newSite(t, templated())
	s.promote("web", "1.0.0")
	s.launch()
	s.edit("topology/launch_templates/web.yaml", "t3.micro", "t3.small\ntags: {cost: \"7\"}")
	s.edit("topology/security_groups/web.yaml", "port: 80", "port: 81")
	s.fault("ec2", "AuthorizeSecurityGroupIngress", emulator.Error, "InsufficientInstanceCapacity", 1)
	_, err := s.tryLaunch(context.Background())
	seen := map[string]bool{}
	for _, l := range leftOf(err) {
		if seen[l.What] {
			t.Errorf("left twice: %s", l.What)
		}
		seen[l.What] = true
	}
	if err == nil || len(seen) == 0 {
		t.Errorf("error %v, left %v", err, seen)
	}
}

// TestReplaceNeverHealthy: what takes the place of an instance that is not
// healthy in its target group need not be either.
func TestReplaceNeverHealthy(t *testing.T) {
	s := newSiteOn(t, machine.InProcess, map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/all.yaml":            "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n---\nname: b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\n",
		"topology/security_groups/web.yaml":    "vpc: main\n",
		"topology/load_balancers/web.yaml":     "subnets: [a, b]\nsecurity_groups: [web]\nscheme: internal\n",
		"topology/target_groups/web.yaml":      "vpc: main\nprotocol: HTTP\nport: 1\nderegistration_delay: 0\nhealth_check: {unhealthy_threshold: 2, interval: 5, timeout: 2}\n",
		"topology/listeners/web.yaml":          "load_balancer: web\nport: 18080\nprotocol: HTTP\ndefault_action: {forward: web}\n",
		"topology/instances/web.yaml":          "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: a\nsecurity_groups: [web]\ntarget_groups: [web]\nuser_data: {extra: {a: 1}}\n",
	})
	s.launch()
	s.unhealthy("target_group.web")
	s.edit("topology/instances/web.yaml", "a: 1", "a: 2")
	told := &events{}
	o := s.options()
	o.Sink = told
	plan, err := NewPlan(context.Background(), o)
	if err != nil || summaryOf(plan) != "replace instance.web: user data changed" {
		t.Fatalf("plan %v, %v", plan, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := Apply(ctx, o, plan); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(told.of(event.Warning), "instance.web") {
		t.Error("no warning")
	}
	s.settled()
}

// unhealthy waits until all targets of a group are.
func (s *site) unhealthy(group string) {
	s.t.Helper()
	_, err := s.cloud.Targets.Wait(context.Background(), cloud.Wait[[]elbtypes.TargetHealthDescription]{ID: s.id(group), For: "unhealthy targets", Deadline: time.Minute,
		Done: func(list []elbtypes.TargetHealthDescription, _ bool) (bool, error) {
			return len(list) > 0 && !slices.ContainsFunc(list, func(d elbtypes.TargetHealthDescription) bool {
				return d.TargetHealth.State != elbtypes.TargetHealthStateEnumUnhealthy
			}), nil
		}})
	if err != nil {
		s.t.Fatal(err)
	}
}
