package project

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
)

const platform = `
-- images/web.yaml --
source_ami: ami-12345678
-- topology/vpcs/main.yaml --
cidr_block: 10.0.0.0/16
tags: {Name: main, team: network}
-- topology/subnets/private.yaml --
each:
  a: {net: 1}
  b: {net: "${var.size}"}
vpc: main
cidr_block: 10.0.${each.value.net}.0/24
availability_zone: ${environment.region}${each.key}
-- topology/security-groups/all.yaml --
name: web
vpc: vpc.main
ingress:
  - {from_port: 80, cidr_blocks: 0.0.0.0/0}
  - {from_port: 81, security_groups: [db]}
---
name: db
vpc: vpc-0123456789abcdef0
ingress:
  - security_groups: [web, db, sg-0123456789abcdef0]
-- topology/volumes/data.yaml --
count: 2
size: ${var.size}
-- topology/instances/web.yaml --
count: 2
image: web
subnet: private[a]
security_groups: [web]
grace: 1m30s
volumes:
  - {volume: "data[${index}]", device: /dev/sdf}
user_data:
  extra:
    volume: ${volume.data[${index}].id}
    note: "vol ${volume.data[0].id} and $${HOME} of ${project.name}"
    size: ${var.size}
    text: "${var.size} GiB"
    zip: 01234
    on: [true, 1.5, null, 2026-01-01]
-- topology/extra.yaml --
kind: volume
name: scratch
environments: [dev]
uuid: 6BA7B810-9DAD-11D1-80B4-00C04FD430C8
size: 1
`

func topology(t *testing.T, p *Project, env string, vars map[string]string) map[string]*Resource {
	t.Helper()
	top, err := p.Topology(env, vars)
	if err != nil {
		t.Fatalf("Topology:\n%s", render(p, err))
	}
	all := map[string]*Resource{}
	for _, r := range top.Resources {
		all[r.Address] = r
	}
	return all
}

func TestTopology(t *testing.T) {
	p := load(t, platform)
	dev, prod := topology(t, p, "", nil), topology(t, p, "prod", map[string]string{"size": "32"})

	if got := dev["subnet.private[b]"].Spec.(*testSubnet); *got != (testSubnet{"main", "10.0.8.0/24", "eu-central-1b"}) {
		t.Errorf("subnet.private[b] in dev: %+v", got)
	}
	if got := prod["subnet.private[b]"].Spec.(*testSubnet); *got != (testSubnet{"main", "10.0.32.0/24", "us-east-1b"}) {
		t.Errorf("subnet.private[b] in prod: %+v", got)
	}
	if dev["volume.scratch"] == nil || prod["volume.scratch"] != nil {
		t.Error("volume.scratch is for dev only")
	}
	want := map[string]string{"Name": "main", "team": "network"}
	if diff := diff(want, dev["vpc.main"].Tags); diff != "" {
		t.Error(diff)
	}
	if got := dev["instance.web[1]"].Tags["team"]; got != "shop" {
		t.Errorf("the project's tag is %q", got)
	}
	extra := dev["instance.web[1]"].Spec.(*testInstance).UserData.Extra
	wantExtra := map[string]any{
		"volume": "${volume.data[1].id}", "note": "vol ${volume.data[0].id} and $${HOME} of shop",
		"size": 8, "text": "8 GiB", "zip": "01234", "on": []any{true, 1.5, nil, "2026-01-01"},
	}
	if diff := diff(any(wantExtra), extra); diff != "" {
		t.Error(diff)
	}
}

func TestReferences(t *testing.T) {
	p := load(t, platform)
	all := topology(t, p, "dev", nil)
	var got []string
	for _, r := range all["instance.web[1]"].Refs {
		got = append(got, r.Path+" -> "+r.Address+"."+r.Attribute+" "+r.Pos.String())
	}
	want := []string{
		"image -> web.id topology/instances/web.yaml:2:8",
		"security_groups[0] -> security_group.web.id topology/instances/web.yaml:4:19",
		"subnet -> subnet.private[a].id topology/instances/web.yaml:3:9",
		"user_data.extra.note -> volume.data[0].id topology/instances/web.yaml:11:16",
		"user_data.extra.volume -> volume.data[1].id topology/instances/web.yaml:10:13",
		"volumes[0].volume -> volume.data[1].id topology/instances/web.yaml:7:14",
	}
	if diff := diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, r := range all["security_group.db"].Refs {
		if !r.Late {
			t.Errorf("%s orders creation", r.Path)
		}
	}
	if n := len(all["security_group.db"].Refs); n != 2 {
		t.Errorf("security_group.db has %d references: IDs of EC2's own are none", n)
	}
}

func TestFill(t *testing.T) {
	p := load(t, platform)
	spec := topology(t, p, "dev", nil)["instance.web[0]"].Spec.(*testInstance)
	var asked []string
	filled, err := Fill(spec, func(r Ref) (string, bool) {
		asked = append(asked, r.Address+"."+r.Attribute)
		return "<" + r.Address + ">", r.Kind != "security_group"
	})
	if err != nil {
		t.Fatal(err)
	}
	got := filled.(*testInstance)
	if got.Subnet != "<subnet.private[a]>" || got.Image != "<web>" || got.Groups[0] != "web" || got.Volumes[0].Volume != "<volume.data[0]>" {
		t.Errorf("filled: %+v", got)
	}
	extra := got.UserData.Extra.(map[string]any)
	if extra["volume"] != "<volume.data[0]>" || extra["note"] != "vol <volume.data[0]> and ${HOME} of shop" || extra["size"] != 8 {
		t.Errorf("filled extra: %v", extra)
	}
	if spec.Subnet != "private[a]" || spec.UserData.Extra.(map[string]any)["volume"] != "${volume.data[0].id}" {
		t.Error("the spec itself was changed")
	}
	if len(asked) < 5 {
		t.Errorf("asked only for %v", asked)
	}
	if got, err := Fill((*testInstance)(nil), nil); err != nil || !reflect.ValueOf(got).IsNil() {
		t.Errorf("Fill of nothing: %v %v", got, err)
	}
}

func TestIdentity(t *testing.T) {
	p := load(t, platform)
	dev, again, prod := topology(t, p, "dev", nil), topology(t, p, "dev", map[string]string{"size": "9"}), topology(t, p, "prod", nil)
	seen := map[string]string{}
	for _, set := range []map[string]*Resource{dev, prod} {
		for address, r := range set {
			if other := seen[r.UUID]; other != "" {
				t.Errorf("%s and %s have one UUID", other, address)
			}
			seen[r.UUID] = address
		}
	}
	for address, r := range dev {
		if again[address].UUID != r.UUID {
			t.Errorf("the UUID of %s changed with a variable", address)
		}
	}
	if got := dev["volume.scratch"].UUID; got != "6ba7b810-9dad-11d1-80b4-00c04fd430c8" {
		t.Errorf("a UUID of its own: %s", got)
	}
	// The address, the environment and the project are all that it follows
	// from: another value here would make every resource anew.
	if got := dev["vpc.main"].UUID; got != "28a1b387-b231-57e1-8693-c9f0349f29d5" {
		t.Errorf("vpc.main: %s", got)
	}
}

func TestPositions(t *testing.T) {
	p := load(t, platform)
	all := topology(t, p, "dev", nil)
	for path, want := range map[string]string{
		"cidr_block": "topology/subnets/private.yaml:5:13", "vpc": "topology/subnets/private.yaml:4:6", "nothing.here[3]": "topology/subnets/private.yaml:1:1",
	} {
		if got := all["subnet.private[b]"].At(path).String(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := all["security_group.db"].At("ingress[0].security_groups[1]").String(); got != "topology/security-groups/all.yaml:10:28" {
		t.Error(got)
	}
	if got := all["security_group.web"].Spec.(*testGroup).Ingress[1].Pos.String(); got != "topology/security-groups/all.yaml:5:5" {
		t.Error(got)
	}
}

func TestChecksOfTheRoomsRunWhenAllElseIsRight(t *testing.T) {
	v := testVocabulary()
	ran := 0
	v.CheckTopology = func(top *Topology) (problems diag.List) {
		ran++
		problems.Addf(top.Resources[0].At("size"), "too small for %s", top.Environment.Name)
		return problems
	}
	dir := write(t, base+"-- topology/volumes/a.yaml --\nsize: 1\n")
	p, err := Load(dir, v)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Validate(nil)
	if ran != 2 || err == nil || err.Error() != "topology/volumes/a.yaml:1:7: too small for dev\ntopology/volumes/a.yaml:1:7: too small for prod" {
		t.Errorf("ran %d times: %v", ran, err)
	}
}

func TestUnknownNames(t *testing.T) {
	p := load(t, platform+"-- pipelines/release.yaml --\nstages: [{name: a, bake: all}]\n")
	_, envErr := p.Topology("prd", nil)
	_, pipelineErr := p.Pipeline("relaese", nil)
	_, findErr := Find(t.TempDir())
	_, loadErr := Load(t.TempDir(), Vocabulary{})
	for _, c := range []struct {
		err  error
		text string
		hint string
	}{
		{envErr, `no environment "prd" in project shop`, `did you mean "prod"?`},
		{pipelineErr, `no pipeline "relaese" in project shop`, `did you mean "release"?`},
		{findErr, "no goldline.yaml in ", "go to a project's folder, or name it with --project DIR"},
		{loadErr, "no goldline.yaml in ", "go to a project's folder, or name it with --project DIR"},
	} {
		if c.err == nil || !strings.HasPrefix(c.err.Error(), c.text) || fail.ExitCode(c.err) != fail.CodeInput {
			t.Errorf("%v (code %d), want %s", c.err, fail.ExitCode(c.err), c.text)
		}
		if hints := fail.Hints(c.err); len(hints) != 1 || hints[0] != c.hint {
			t.Errorf("%v: hints %v", c.err, hints)
		}
	}
}

func TestFind(t *testing.T) {
	dir := write(t, base+"-- a/b/c.txt --\n")
	for _, from := range []string{"", "/a", "/a/b"} {
		if got, err := Find(dir + from); err != nil || got != dir {
			t.Errorf("Find(%s) = %s, %v", from, got, err)
		}
	}
}

func TestRead(t *testing.T) {
	p := load(t, "")
	if _, err := p.Read("goldline.yaml"); err != nil {
		t.Error(err)
	}
	for _, file := range []string{"../x", "/etc/passwd"} {
		if _, err := p.Read(file); err == nil {
			t.Errorf("Read(%s) reads beyond the project", file)
		}
	}
}

// TestOneMistakeIsOneProblem: what refers to a definition that has a problem
// is not reported as well.
func TestOneMistakeIsOneProblem(t *testing.T) {
	const instance = "-- topology/instances/a.yaml --\nsubnet: a\n"
	for name, subnet := range map[string]string{
		"a kind that is misspelt": "-- topology/subents/a.yaml --\nvpc: vpc-12345678\ncidr_block: x\n",
		"YAML that is none":       "-- topology/subnets/a.yaml --\nvpc: [\n",
		"a wrong key":             "-- topology/subnets/a.yaml --\nvpc: vpc-12345678\ncidr_block: x\nvcp: y\n",
		"a key that is missing":   "-- topology/subnets/a.yaml --\nvpc: vpc-12345678\n",
	} {
		p, _ := Load(write(t, base+instance+subnet), testVocabulary())
		var all *diag.Error
		if err := p.Validate(nil); !errors.As(err, &all) || len(all.Problems) != 1 {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}

// TestTagsAsText: what is escaped reaches the cloud as text, wherever tags stand
// and wherever the text comes from; what is not stays refused.
func TestTagsAsText(t *testing.T) {
	const files = `
-- goldline.yaml --
project: shop
ladder: [dev, prod]
tags: {everywhere: "$${x} $${vpc.main.id}"}
-- environments/dev.yaml --
account: 111122223333
region: eu-central-1
tags: {here: "$${vpc.main.id} in ${environment.name}"}
vars: {text: "$${x.y}"}
-- topology/vpcs/main.yaml --
cidr_block: 10.0.0.0/16
tags: {whole: "$${vpc.main.id}", part: "a $${x} of ${project.name}", word: "$${x}", value: "${var.text}", within: "a ${var.text}", twice: "$$${x}"}
`
	p, err := Load(write(t, base+files), testVocabulary())
	if err != nil {
		t.Fatal(render(p, err))
	}
	want := map[string]string{
		"everywhere": "${x} ${vpc.main.id}", "here": "${vpc.main.id} in dev", "whole": "${vpc.main.id}", "part": "a ${x} of shop", "word": "${x}",
		"value": "${x.y}", "within": "a ${x.y}", "twice": "$${x}",
	}
	if problem := diff(want, topology(t, p, "dev", nil)["vpc.main"].Tags); problem != "" {
		t.Error(problem)
	}
	for _, tag := range []string{"${vpc.main.id}", "a ${x}", "$${x} ${vpc.main.id}"} {
		p, err := Load(write(t, base+"\n-- topology/vpcs/main.yaml --\ncidr_block: 10.0.0.0/16\ntags: {is: \""+tag+"\"}\n"), testVocabulary())
		if text := render(p, err); !strings.Contains(text, "main.yaml:2:12: ") || !strings.Contains(text, "cannot be used in a tag: only variables can") {
			t.Errorf("%s: %s", tag, text)
		}
	}
}
