package project

import (
	"testing"
)

// TestAdopted: a definition that adopts may leave out what others must give,
// and has its own tags alone.
func TestAdopted(t *testing.T) {
	p := load(t, `
-- topology/vpcs/main.yaml --
adopt: {name: legacy, tags: {"aws:cloudformation:stack-name": net, size: 3}}
tags: {team: shop}
protect: true
-- topology/subnets/apps.yaml --
each: {az: zones(2)}
vpc: main
cidr_block: 10.0.${each.key}.0/24
az: ${each.az}
tags: {zone: "zone ${each.az}"}
`)
	dev := topology(t, p, "", nil)
	vpc := dev["vpc.main"]
	if a := vpc.Adopt; a == nil || a.Keys["name"] != "legacy" || a.Tags["aws:cloudformation:stack-name"] != "net" || a.Tags["size"] != "3" {
		t.Errorf("adopts %+v", a)
	}
	if !vpc.Protect || len(vpc.Tags) != 1 || vpc.States("cidr_block") || !vpc.States("adopt") {
		t.Errorf("vpc.main is %+v", vpc)
	}
	top, err := p.Topology("", nil)
	if err != nil || top.Zones() != 2 {
		t.Fatalf("%d zones, %v", top.Zones(), err)
	}
	for _, r := range top.Resolve(nil, []string{"eu-1a", "eu-1c"}).Resources {
		s, ok := r.Spec.(*testSubnet)
		if want := map[string]string{"0": "eu-1a", "1": "eu-1c"}[r.Index]; ok && (s.Zone != want || r.Tags["zone"] != "zone "+want) {
			t.Errorf("%s lies in %s, tags %v", r.Address, s.Zone, r.Tags)
		}
	}
}

// TestLookups: values that others hold are noted once and put in their places.
func TestLookups(t *testing.T) {
	p := load(t, `
-- topology/vpcs/shared.yaml --
environments: [prod]
cidr_block: 10.0.0.0/16
-- topology/subnets/a.yaml --
environments: [dev]
vpc: ${env.prod.vpc.shared.id}
cidr_block: ${cloudformation.net-stack.Block}
availability_zone: ${ssm./net/zone}${ssm./net/zone}
`)
	top, err := p.Topology("dev", nil)
	if err != nil {
		t.Fatalf("%s", render(p, err))
	}
	list := top.Lookups()
	if len(list) != 3 {
		t.Fatalf("lookups %+v", list)
	}
	resolved := top.Resolve(map[string]string{"env.prod.vpc.shared.id": "vpc-12345678", "ssm./net/zone": "${a}", "cloudformation.net-stack.Block": "10.0.1.0/24"}, nil)
	filled, err := Fill(resolved.Resources[0].Spec, func(Ref) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if got := *filled.(*testSubnet); got != (testSubnet{VPC: "vpc-12345678", CidrBlock: "10.0.1.0/24", Zone: "${a}${a}"}) {
		t.Errorf("filled %+v", got)
	}
}
