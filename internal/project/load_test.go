package project

import (
	"testing"

	"github.com/goldline-dev/goldline/internal/fail"
)

func TestEnvironments(t *testing.T) {
	p := load(t, `
-- environments/control.yaml --
account: "000000000001"
region: us-gov-west-1
-- environments/audit.yaml --
account: 111111111111
region: eu-west-3
role: arn:aws:iam::111111111111:role/goldline
vars: {a: 1, b: true, c: 0x10, d: 1e3, e: 2026-01-01, f: "", g: 007, h: no, i: 1.50}
`)
	if diff := diff([]string{"dev", "prod", "audit", "control"}, p.environmentNames()); diff != "" {
		t.Error(diff)
	}
	audit, err := p.Environment("audit")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "b": "true", "c": "0x10", "d": "1e3", "e": "2026-01-01", "f": "", "g": "007", "h": "no", "i": "1.50"}
	if diff := diff(want, audit.Vars); diff != "" {
		t.Error("values of variables are the text that stands there:", diff)
	}
	if prod, _ := p.Environment("prod"); prod.Account != "000000000012" || !prod.Protected {
		t.Errorf("prod: %+v", prod)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	p := load(t, `
-- topology/volumes/all.yaml --
name: a
size: &size 5
tags: &tags {team: x, cost: y}
---
name: b
size: 6
tags:
  <<: &more {team: z, disk: b}
  team: own
-- topology/security_groups/web.yaml --
vpc: vpc-12345678
ingress:
  - &tcp {protocol: udp, from_port: 1}
  - <<: *tcp
    from_port: 2
  - *tcp
`)
	all := topology(t, p, "dev", nil)
	if diff := diff(map[string]string{"team": "own", "disk": "b"}, all["volume.b"].Tags); diff != "" {
		t.Error(diff)
	}
	rules := all["security_group.web"].Spec.(*testGroup).Ingress
	if len(rules) != 3 || rules[1].Protocol != "udp" || rules[1].FromPort != 2 || rules[2].FromPort != 1 {
		t.Errorf("rules: %+v", rules)
	}
}

func TestVariables(t *testing.T) {
	const volume = "-- topology/volumes/v.yaml --\n"
	for _, c := range []struct {
		name, file string
		vars       map[string]string
		want       testVolume
		problem    string
	}{
		{name: "a whole value takes its type", file: "size: ${var.size}\nencrypted: ${var.on}", vars: map[string]string{"on": "true"}, want: testVolume{Size: 8, Encrypted: true}},
		{name: "quoted, too", file: `size: "${var.size_text}"`, want: testVolume{Size: 8}},
		{name: "plain text around it", file: "size: 1${var.size}", want: testVolume{Size: 18}},
		{name: "given ones win", file: "size: ${var.size}", vars: map[string]string{"size": "5"}, want: testVolume{Size: 5}},
		{name: "a wrong type", file: "size: ${var.zone}", problem: `topology/volumes/v.yaml:1:7: expected a whole number, found text "a"`},
		{name: "no value", file: "size: 1\nratio: ${var.raito}", problem: "topology/volumes/v.yaml:2:8: no value for ${var.raito} (set it under vars in environments/dev.yaml, environments/prod.yaml, or give --var raito=VALUE)"},
		{name: "given ones are taken as they are", file: "size: 1\nnear: ${var.a}", vars: map[string]string{"a": "i-12345678", "b": "${var.a}"}, want: testVolume{Size: 1, Near: "i-12345678"}},
		{name: "unknown field of the environment", file: "size: ${environment.size}", problem: "topology/volumes/v.yaml:1:7: nothing is called ${environment.size} (an environment has a name, a region and an account)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Load(write(t, base+volume+c.file+"\n"), testVocabulary())
			var top *Topology
			if err == nil {
				top, err = p.Topology("dev", c.vars)
			}
			switch {
			case c.problem != "":
				if err == nil || err.Error() != c.problem {
					t.Errorf("got  %v\nwant %s", err, c.problem)
				}
			case err != nil:
				t.Error(err)
			default:
				if diff := diff(&c.want, top.Resources[0].Spec); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestVariablesOfEnvironmentsUseOthers(t *testing.T) {
	p := load(t, `
-- environments/test.yaml --
account: "000000000001"
region: eu-west-1
vars: {base: "${environment.name}-${project.name}", name: "${var.base}-x", a: "${var.b}", b: "${var.a}", c: "${var.size}"}
-- topology/instances/i.yaml --
subnet: ${var.name}
-- topology/subnets/test-shop-x.yaml --
vpc: vpc-12345678
cidr_block: x
`)
	if got := topology(t, p, "test", nil)["instance.i"].Spec.(*testInstance).Subnet; got != "test-shop-x" {
		t.Error(got)
	}
	for expr, want := range map[string]string{
		"var.a": "the value of var.a needs itself: a -> b -> a",
		"var.c": "no value for ${var.size}, in the value of var.c",
	} {
		env, _ := p.Environment("test")
		if m := p.topologyScope(env, nil).mean(expr); m.outcome != wrong || m.message != want {
			t.Errorf("%s: %+v", expr, m)
		}
	}
}

func TestCheckVars(t *testing.T) {
	p := load(t, `
-- images/a.json --
{"variables": {"declared": ""}, "builders": [{"type": "amazon-ebs", "ssh_username": "{{user \"declared\"}}"}]}
-- topology/volumes/a.yaml --
size: ${var.used}
-- pipelines/a.yaml --
vars: {set: 1}
stages: [{name: a, run: "echo ${var.set}"}]
`)
	if err := p.CheckVars(map[string]string{"declared": "", "used": "", "set": "", "size": ""}); err != nil {
		t.Error(err)
	}
	err := p.CheckVars(map[string]string{"sise": "1", "qqqqqq": ""})
	if err == nil || err.Error() != "no definition uses a variable \"qqqqqq\"\nno definition uses a variable \"sise\"" || fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("%v (code %d)", err, fail.ExitCode(err))
	}
	if hints := fail.Hints(err); len(hints) != 1 || hints[0] != `did you mean "size"?` {
		t.Error(hints)
	}
}

func TestTagsOfEverythingNameTheEnvironment(t *testing.T) {
	p := load(t, `
-- environments/test.yaml --
account: "000000000001"
region: eu-west-1
tags: {where: "${environment.name} in ${environment.region}", what: "${project.name}"}
-- topology/volumes/a.yaml --
size: 1
tags: {what: "a of ${environment.name}"}
`)
	want := map[string]string{"team": "shop", "where": "test in eu-west-1", "what": "a of test"}
	if d := diff(want, topology(t, p, "test", nil)["volume.a"].Tags); d != "" {
		t.Error(d)
	}
}
