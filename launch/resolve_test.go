package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestLookups: values that others hold stand where they are asked for: of an
// SSM parameter, of another environment, of the region's zones.
func TestLookups(t *testing.T) {
	s := newSite(t, map[string]string{
		"environments/control.yaml":       "account: \"000000000000\"\nregion: " + testRegion + "\n",
		"topology/vpcs/shared.yaml":       "environments: [control]\ncidr_block: 10.9.0.0/16\n",
		"topology/subnets/private.yaml":   "environments: [dev]\neach: {az: zones(2)}\nvpc: ${env.control.vpc.shared.id}\ncidr_block: 10.9.${each.key}.0/24\navailability_zone: ${each.az}\ntags: {zone: \"${each.az}\"}\n",
		"topology/security_groups/a.yaml": "environments: [dev]\nvpc: ${env.control.vpc.shared.id}\ndescription: ${ssm./shop/purpose}\n",
	})
	s.launchIn("control")
	vpc := s.foundIn("control", "vpc.shared").id
	_, err := NewPlan(context.Background(), s.optionsIn("dev"))
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "topology/security_groups/a.yaml:3:14: ${ssm./shop/purpose}: no SSM parameter /shop/purpose in eu-central-1") {
		t.Errorf("without the parameter: %v", err)
	}
	_, err = s.cloud.SSM.PutParameter(context.Background(), &ssm.PutParameterInput{Name: aws.String("/shop/purpose"), Value: aws.String("the front"), Type: ssmtypes.ParameterTypeString})
	if err != nil {
		t.Fatal(err)
	}
	s.launchIn("dev")
	plan, err := NewPlan(context.Background(), s.optionsIn("dev"))
	if err != nil || !plan.Empty() {
		t.Errorf("a second plan: %v, %v", plan, err)
	}
	for address, zone := range map[string]string{"subnet.private[0]": "a", "subnet.private[1]": "b"} {
		have := s.foundIn("dev", address)
		if have.attributes["availability_zone"] != testRegion+zone || have.tags["zone"] != testRegion+zone || !has(have.uses, vpc) {
			t.Errorf("%s is %+v", address, have)
		}
	}
}

// TestLookupsMissing: all that others don't hold is told at once.
func TestLookupsMissing(t *testing.T) {
	s := newSite(t, map[string]string{
		"environments/control.yaml":       "account: \"000000000000\"\nregion: " + testRegion + "\n",
		"topology/vpcs/shared.yaml":       "environments: [control]\ncidr_block: 10.9.0.0/16\n",
		"topology/security_groups/a.yaml": "environments: [dev]\nvpc: ${env.control.vpc.shared.id}\ndescription: ${ssm.none}\n",
	})
	_, err := NewPlan(context.Background(), s.optionsIn("dev"))
	for _, want := range []string{
		"a.yaml:2:6: ${env.control.vpc.shared.id}: vpc.shared is not there in environment control (launch control first)",
		"a.yaml:3:14: ${ssm.none}: no SSM parameter none in eu-central-1",
	} {
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	s.write(map[string]string{"topology/subnets/many.yaml": "environments: [dev]\neach: zones(9)\nvpc: vpc-0123456789abcdef0\ncidr_block: 10.9.${each.key}.0/24\navailability_zone: ${each.value}\n",
		"topology/security_groups/a.yaml": ""})
	_, err = NewPlan(context.Background(), s.optionsIn("dev"))
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "the definitions take 9 zones, and region eu-central-1 has 3") {
		t.Errorf("too many zones: %v", err)
	}
}

// TestVerify: what the region does not have is refused before anything is made.
func TestVerify(t *testing.T) {
	for _, test := range []struct{ file, old, new, want string }{
		{"topology/volumes/orders.yaml", "zone: a", "zone: g", "orders.yaml:1:20: volume.orders: no zone eu-central-1g in region eu-central-1"},
		{"topology/instances/web.yaml", "t3.micro", "t3.tiny", "web.yaml:2:16: instance.web[0]: no instance type t3.tiny in eu-central-1"},
		{"topology/instances/web.yaml", "t3.micro", "t4g.small", "web.yaml:2:16: instance.web[0]: t4g.small cannot run its image ami-"},
	} {
		s := newPlatform(t)
		if strings.HasSuffix(test.file, "orders.yaml") {
			s.edit("topology/subnets/all.yaml", "zone: a", "zone: g") // or the definitions contradict each other
		}
		s.edit(test.file, test.old, test.new)
		_, err := NewPlan(context.Background(), s.options())
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

// optionsIn are the options for an environment of the site.
func (s *site) optionsIn(environment string) Options {
	s.t.Helper()
	p, err := project.Load(s.dir, project.Vocabulary{Resources: Kinds(), CheckTopology: CheckTopology})
	if err != nil {
		s.t.Fatal(err)
	}
	topology, err := p.Topology(environment, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	provider := cloud.NewProvider(cloud.Config{Transport: s.wire, PollMin: 1, PollMax: 1})
	return Options{Project: "shop", Topology: topology, Cloud: s.cloud, Elsewhere: Elsewhere(p, provider, nil)}
}

func (s *site) launchIn(environment string) {
	s.t.Helper()
	o := s.optionsIn(environment)
	plan, err := NewPlan(context.Background(), o)
	if err == nil {
		_, err = Apply(context.Background(), o, plan)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// foundIn is a resource of an environment.
func (s *site) foundIn(environment, address string) *found {
	s.t.Helper()
	w, err := newWorld(s.optionsIn(environment))
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range w.inventory.all {
		if f.address() == address {
			return f
		}
	}
	s.t.Fatalf("no %s in %s", address, environment)
	return nil
}

// TestResolvedValuesAreChecked: what EC2 would refuse of a value that others
// hold, or of a zone that only the region knows, the plan refuses.
func TestResolvedValuesAreChecked(t *testing.T) {
	s := newSite(t, map[string]string{
		"topology/vpcs/main.yaml":      "cidr_block: ${ssm./shop/block}\n",
		"topology/subnets/app.yaml":    "each: {az: zones(2)}\nvpc: main\ncidr_block: 10.1.${each.key}.0/24\navailability_zone: ${each.az}\n",
		"topology/volumes/data.yaml":   "availability_zone: b\nsize: 1\n",
		"topology/instances/app.yaml":  "ami: " + anyAMI + "\ninstance_type: t3.micro\nsubnet: app[0]\nvolumes: [{volume: data, device: /dev/sdf}]\n",
		"topology/volumes/second.yaml": "availability_zone: a\nsize: 1\n",
	})
	put := func(block string) {
		t.Helper()
		_, err := s.cloud.SSM.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/shop/block"), Value: &block, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("10.1.0.0/8")
	_, err := NewPlan(t.Context(), s.options())
	for _, want := range []string{
		"topology/vpcs/main.yaml:1:13: ", "topology/instances/app.yaml:4:20: volume.data lies in zone eu-central-1b, and the instance in eu-central-1a",
	} {
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %q", err, want)
		}
	}
	put("10.1.0.0/16")
	s.edit("topology/instances/app.yaml", "data", "second")
	if _, err := NewPlan(t.Context(), s.options()); err != nil {
		t.Errorf("all right: %v", err)
	}
}
