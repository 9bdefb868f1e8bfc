package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// controlFiles are a control network that reaches two others: three accounts,
// two regions.
func controlFiles() map[string]string {
	const role = "role: arn:aws:iam::%s:role/deploy\n"
	files := map[string]string{
		"goldline.yaml":             "project: shop\nladder: [test, prod]\n",
		"environments/control.yaml": "account: \"000000000000\"\nregion: eu-central-1\n",
		"environments/test.yaml":    "account: \"111111111111\"\nregion: eu-central-1\n" + fmt.Sprintf(role, "111111111111") + "vars: {network: \"10.1\"}\n",
		"environments/prod.yaml":    "account: \"222222222222\"\nregion: us-east-1\n" + fmt.Sprintf(role, "222222222222") + "vars: {network: \"10.2\"}\n",
		"topology/vpcs/all.yaml": "name: control\nenvironments: [control]\ncidr_block: 10.9.0.0/16\nenable_dns_hostnames: true\n" +
			"---\nname: main\nenvironments: [test, prod]\ncidr_block: ${var.network}.0.0/16\nenable_dns_hostnames: true\n",
		"topology/route_tables/all.yaml": "name: control\nenvironments: [control]\nvpc: control\nroutes:\n" +
			"  - {destination_cidr_block: 10.1.0.0/16, vpc_peering: \"to[test]\"}\n  - {destination_cidr_block: 10.2.0.0/16, vpc_peering: \"to[prod]\"}\n" +
			"---\nname: main\nenvironments: [test, prod]\nvpc: main\nroutes:\n  - {destination_cidr_block: 10.9.0.0/16, vpc_peering: \"${env.control.vpc_peering.to[${environment.name}].id}\"}\n",
	}
	files["topology/vpc_peerings/to.yaml"] = "environments: [control]\neach: [test, prod]\nvpc: control\npeer_vpc_id: ${env.${each.value}.vpc.main.id}\n" +
		"requester: {allow_dns_resolution_from_remote_vpc: true}\naccepter: {allow_dns_resolution_from_remote_vpc: true}\n"
	return files
}

// at are the options for an environment of the site, in its own account and
// region.
func (s *site) at(environment string) (Options, error) {
	p, err := project.Load(s.dir, project.Vocabulary{Resources: Kinds(), CheckTopology: CheckTopology})
	if err != nil {
		return Options{}, err
	}
	provider := cloud.NewProvider(cloud.Config{Transport: s.wire, PollMin: 1, PollMax: 1})
	elsewhere := Elsewhere(p, provider, nil)
	topology, c, err := elsewhere(context.Background(), environment)
	return Options{Project: "shop", Topology: topology, Cloud: c, Elsewhere: elsewhere}, err
}

func (s *site) applyAt(ctx context.Context, environment string, planOf func(context.Context, Options) (*Plan, error)) error {
	o, err := s.at(environment)
	if err != nil {
		return err
	}
	plan, err := planOf(ctx, o)
	if err == nil {
		_, err = Apply(ctx, o, plan)
	}
	return err
}

func (s *site) applyAll(planOf func(context.Context, Options) (*Plan, error), environments ...string) {
	s.t.Helper()
	for _, env := range environments {
		if err := s.applyAt(context.Background(), env, planOf); err != nil {
			s.t.Fatalf("%s: %v", env, err)
		}
	}
}

func (s *site) planAt(environment string) (*Plan, error) {
	o, err := s.at(environment)
	if err != nil {
		return nil, err
	}
	return NewPlan(context.Background(), o)
}

// TestPeeringAcrossAccounts: the launch of one environment accepts its
// connections in the others', with their roles, and every side has its routes.
func TestPeeringAcrossAccounts(t *testing.T) {
	s := newSite(t, controlFiles())
	before := s.inventory()
	s.applyAll(NewPlan, "test", "prod")
	plan, err := s.planAt("test")
	if err != nil || !plan.Empty() || len(plan.Later) != 1 || !strings.Contains(plan.Later[0], "${env.control.vpc_peering.to[test].id} waits for environment control to have vpc_peering.to[test]: launch control") {
		t.Fatalf("before the connection is there: %+v, %v", plan, err)
	}
	s.applyAll(NewPlan, "control")
	for env, want := range map[string]string{"control": "", "test": "change route_table.main: routes[10.9.0.0/16]"} {
		plan, err := s.planAt(env)
		if err != nil || summaryOf(plan) != want || len(plan.Later) != 0 {
			t.Errorf("plan of %s: %+v, %v", env, plan, err)
		}
	}
	s.applyAll(NewPlan, "test", "prod")
	for _, env := range []string{"control", "test", "prod"} {
		o, err := s.at(env)
		if err != nil {
			t.Fatal(err)
		}
		if audit, err := Audit(context.Background(), o); err != nil || !audit.Empty() {
			t.Errorf("audit of %s: %+v, %v", env, audit, err)
		}
	}
	s.checkConnections("prod", 1)
	s.checkConnections("control", 2)
	s.applyAll(NewDestroyPlan, "control", "prod", "test")
	sameInventory(t, "after destroy", before, s.inventory())
}

// checkConnections wants all connections that an environment's account sees to
// be active, with what both ends allow.
func (s *site) checkConnections(environment string, n int) {
	s.t.Helper()
	o, err := s.at(environment)
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := o.Cloud.EC2.DescribeVpcPeeringConnections(context.Background(), &ec2.DescribeVpcPeeringConnectionsInput{})
	if err != nil || len(out.VpcPeeringConnections) != n {
		s.t.Fatalf("connections of %s: %+v, %v", environment, out, err)
	}
	for _, p := range out.VpcPeeringConnections {
		if peeringStatus(p) != types.VpcPeeringConnectionStateReasonCodeActive || !*p.RequesterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc || !*p.AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc {
			s.t.Errorf("%s: connection %+v", environment, p)
		}
	}
}

// TestPeeringOtherEndGoes: a VPC takes along the connections that others have
// asked for.
func TestPeeringOtherEndGoes(t *testing.T) {
	s := newSite(t, controlFiles())
	s.applyAll(NewPlan, "test", "prod", "control", "test", "prod")
	s.applyAll(NewDestroyPlan, "test")
	_, err := s.planAt("control")
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "vpc.main is not there in environment test (launch test first)") {
		t.Errorf("plan of control: %v", err)
	}
	s.applyAll(NewPlan, "test")
	plan, err := s.planAt("control")
	if err != nil || summaryOf(plan) != "create vpc_peering.to[test]\nchange route_table.control: routes[10.1.0.0/16]" {
		t.Errorf("plan of control: %v, %v", plan, err)
	}
	s.applyAll(NewPlan, "control", "test")
	s.checkConnections("prod", 1)
	s.applyAll(NewDestroyPlan, "control", "prod", "test")
}

func TestPeeringRefused(t *testing.T) {
	const file = "topology/vpc_peerings/to.yaml"
	for _, test := range []struct{ file, old, new, want string }{
		{"topology/vpcs/all.yaml", "10.9.0.0/16", "10.1.128.0/17", "vpc_peering.to[test]: 10.1.0.0/16 of environment test overlaps 10.1.128.0/17"},
		{file, "requester", "peer_region: us-east-1\nrequester", "peer_region is us-east-1, and environment test lives in eu-central-1"},
		{file, "requester", "peer_owner_id: \"333333333333\"\nrequester", "peer_owner_id is 333333333333, and environment test lives in account 111111111111"},
		{file, "peer_vpc_id: ${env.${each.value}.vpc.main.id}", "peer_vpc_id: vpc-0123456789abcdef0\npeer_region: us-east-1\nauto_accept: true", "cannot be accepted from here"},
		{file, "peer_vpc_id: ${env.${each.value}.vpc.main.id}", "peer_vpc_id: vpc-0123456789abcdef0\npeer_region: us-east-1", "can be set in its own account and region alone"},
	} {
		s := newSite(t, controlFiles())
		s.applyAll(NewPlan, "test", "prod")
		s.edit(test.file, test.old, test.new)
		calls := len(s.local.Calls())
		_, err := s.planAt("control")
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
		for _, c := range s.local.Calls()[calls:] {
			if strings.HasPrefix(c.Action, "Create") || strings.HasPrefix(c.Action, "Accept") {
				t.Errorf("%s was called", c.Action)
			}
		}
	}
}

// TestPeeringEveryCallFailsOnce lets a sample of the calls that connect three
// accounts, and of those that part them, go wrong.
func TestPeeringEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		name   string
		ready  []string
		planOf func(context.Context, Options) (*Plan, error)
	}{{"launch", []string{"test", "prod"}, NewPlan}, {"destroy", []string{"test", "prod", "control"}, NewDestroyPlan}} {
		prepare := func() *site {
			s := newSite(t, controlFiles())
			s.applyAll(NewPlan, story.ready...)
			return s
		}
		calm := prepare()
		calm.local.ResetCalls()
		calm.applyAll(story.planOf, "control")
		want := calm.shape()
		var faults []emulator.Fault
		for n := 1; n <= len(calm.local.Calls()); n += 5 {
			for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
				faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
			}
		}
		err := graph.Each(context.Background(), 24, len(faults), func(_ context.Context, i int) error {
			s := prepare()
			s.local.Inject(faults[i])
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.onDie = cancel
			what := fmt.Sprintf("%s, %s at call %d", story.name, faults[i].Kind, faults[i].Nth)
			first := s.applyAt(ctx, "control", story.planOf)
			s.reconnect()
			if err := s.applyAt(context.Background(), "control", story.planOf); err != nil {
				t.Errorf("%s: the second run fails: %v (first: %v)", what, err, first)
			}
			sameInventory(t, what, want, s.shape())
			return s.local.Close()
		})
		if err != nil {
			t.Error(err)
		}
	}
}
