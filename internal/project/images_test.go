package project

import (
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/diag"
)

func images(t *testing.T, p *Project, env string, vars map[string]string) map[string]*Image {
	t.Helper()
	list, err := p.Images(env, vars)
	if err != nil {
		t.Fatalf("Images:\n%s", render(p, err))
	}
	all := map[string]*Image{}
	for _, img := range list {
		if all[img.SourceImage] == nil && img.SourceImage != "" {
			t.Errorf("%s comes before %s", img.Name, img.SourceImage)
		}
		all[img.Name] = img
	}
	return all
}

func TestImages(t *testing.T) {
	p := load(t, `
-- images/api.yaml --
source_image: middle
-- images/middle.yaml --
source_image: base
ssh_username: ${var.user}
instance_type: t3.${var.size_text}
provisioners:
  - type: shell
    inline: echo ${HOME} ${index} $${var.user} {{isotime}}
    pause_before: 5s
    max_retries: 2
  - type: file
    source: a
    destination: b
-- images/base.yaml --
source_ami_filter: {owners: amazon, most_recent: "true", filters: {name: x}}
launch_block_device_mappings: {device_name: /dev/xvda, volume_size: "${var.size}"}
`)
	all := images(t, p, "prod", map[string]string{"user": "admin"})
	middle := all["middle"]
	if middle.SSHUsername != "admin" || middle.InstanceType != "t3.16" || middle.File != "images/middle.yaml" || !strings.HasSuffix(middle.Dir, "/images") {
		t.Errorf("middle: %+v", middle)
	}
	step := middle.Provisioners[0]
	if got := step.Options.(*testShell).Inline; len(got) != 1 || got[0] != "echo ${HOME} ${index} ${var.user} {{isotime}}" {
		t.Errorf("inline: %q", got)
	}
	if step.MaxRetries != 2 || step.PauseBefore.Or(0).String() != "5s" || step.Pos.String() != "images/middle.yaml:5:5" {
		t.Errorf("step: %+v", step)
	}
	if got := middle.At("provisioners[1].source").String(); got != "images/middle.yaml:10:13" {
		t.Errorf("position of the file's source: %s", got)
	}
	base := all["base"]
	if !base.SourceAMIFilter.MostRecent || base.SourceAMIFilter.Owners[0] != "amazon" || base.LaunchBlockDeviceMappings[0].VolumeSize != 16 {
		t.Errorf("base: %+v", base)
	}
}

// A template as people have them, of one builder and of several.
const packerTemplates = `
-- images/web.json --
{
  "_comment": "as Packer reads it",
  "description": "A web server",
  "min_packer_version": "1.6.0",
  "variables": {
    "aws_access_key": "",
    "home": "{{env ` + "`PLACE`" + `}}",
    "type": "t3.small",
    "stamp": "{{timestamp}}",
    "label": "{{user ` + "`type`" + `}}-{{user ` + "`stamp`" + `}}",
    "secret": null
  },
  "sensitive-variables": ["secret"],
  "builders": [{
    "type": "amazon-ebs",
    "access_key": "{{user ` + "`aws_access_key`" + `}}",
    "region": "eu-central-1",
    "instance_type": "{{ user ` + "`type`" + ` }}",
    "source_ami": "ami-12345678",
    "ssh_username": "admin",
    "ssh_port": "2222",
    "ssh_pty": "true",
    "ami_virtualization_type": "hvm",
    "ami_regions": [],
    "ami_name": "web {{user ` + "`label`" + `}} {{isotime \"2006\"}} {{upper (user \"type\")}}",
    "tags": {"Note": "${var.nothing} \ud83d\ude00"}
  }],
  "provisioners": [
    {"type": "shell", "only": ["amazon-ebs"], "inline": ["echo ${HOME} {{user ` + "`secret`" + `}}", "{{.Vars}} {{build_name}}"]},
    {"type": "shell", "except": ["amazon-ebs"], "inline": ["never"]}
  ],
  "post-processors": []
}
-- images/pair.json --
{
  "builders": [
    {"type": "amazon-ebs", "name": "left", "source_ami": "ami-12345678"},
    {"type": "amazon-ebs", "name": "right", "source_ami": "ami-12345678"}
  ],
  "provisioners": [
    {"type": "shell", "inline": ["both"], "pause_before": "1s", "override": {"right": {"inline": ["other"], "pause_before": "2s"}}},
    {"type": "shell", "inline": ["left only"], "only": ["left"]}
  ]
}
`

func TestPackerTemplates(t *testing.T) {
	p := load(t, packerTemplates)
	p.getenv = func(name string) string { return map[string]string{"PLACE": "/home/me"}[name] }
	all := images(t, p, "", map[string]string{"secret": "s3", "type": "t3.large"})

	web := all["web"]
	if web.InstanceType != "t3.large" || web.SSHPort != 2222 || !web.SSHPty || web.Region != "eu-central-1" || web.Description != "A web server" {
		t.Errorf("web: %+v", web)
	}
	if want := `web t3.large-{{timestamp}} {{isotime "2006"}} {{upper ("t3.large")}}`; web.AMIName != want {
		t.Errorf("ami_name %q, want %q", web.AMIName, want)
	}
	if want := "${var.nothing} 😀"; web.Tags["Note"] != want {
		t.Errorf("a tag is %q: a template's ${...} is text", web.Tags["Note"])
	}
	wantVars := map[string]string{"aws_access_key": "", "home": "/home/me", "type": "t3.large", "stamp": "{{timestamp}}", "label": "t3.large-{{timestamp}}", "secret": "s3"}
	if diff := diff(wantVars, web.Variables); diff != "" {
		t.Error(diff)
	}
	if diff := diff([]string{"secret"}, web.SensitiveVariables); diff != "" {
		t.Error(diff)
	}
	want := []string{"echo ${HOME} s3", "{{.Vars}} {{build_name}}"}
	if len(web.Provisioners) != 1 {
		t.Fatalf("web has %d provisioners: the names in only and except are the builder's", len(web.Provisioners))
	}
	if diff := diff(want, web.Provisioners[0].Options.(*testShell).Inline); diff != "" {
		t.Error(diff)
	}

	left, right := all["left"].Provisioners, all["right"].Provisioners
	if len(left) != 2 || len(right) != 1 {
		t.Fatalf("left has %d provisioners and right %d", len(left), len(right))
	}
	if got := right[0].Options.(*testShell).Inline[0] + right[0].PauseBefore.Or(0).String(); got != "other2s" {
		t.Errorf("right overrides: %s", got)
	}
	if got := left[0].Options.(*testShell).Inline[0] + left[0].PauseBefore.Or(0).String(); got != "both1s" {
		t.Errorf("left does not: %s", got)
	}
}

// TestBuildersNames: user variables may stand in the names of a template's
// builders, which are those of images as far as an image may have them.
func TestBuildersNames(t *testing.T) {
	p := load(t, `
-- images/web.json --
{"variables": {"os": "debian", "version": "{{user \"os\"}}-12.1", "secret": "x"}, "sensitive-variables": ["secret"],
 "builders": [
  {"type": "amazon-ebs", "name": "{{user \"version\"}} {{user \"os\"}}", "source_ami": "ami-12345678"},
  {"type": "amazon-ebs", "name": "", "source_ami": "ami-12345678"}],
 "provisioners": [{"type": "shell", "only": ["debian-12.1 debian"], "inline": ["here"]}]}
`)
	all := images(t, p, "", map[string]string{"os": "other"})
	if web := all["debian-12-1-debian"]; web == nil || web.BuildName != "debian-12.1 debian" || len(web.Provisioners) != 1 || all["amazon-ebs"] == nil {
		t.Errorf("%v", p.ImageNames())
	}
	for text, want := range map[string]string{
		`{"variables": {"a": null}, "builders": [{"type": "amazon-ebs", "name": "{{user \"a\"}}"}]}`:                              `name "{{user \"a\"}}" has no value`,
		`{"variables": {"a": ""}, "builders": [{"type": "amazon-ebs", "name": "{{user \"b\"}}"}]}`:                                `name "{{user \"b\"}}" has no value`,
		`{"variables": {"a": "x"}, "sensitive-variables": ["a"], "builders": [{"type": "amazon-ebs", "name": "{{user \"a\"}}"}]}`: "holds a sensitive variable",
		`{"builders": [{"type": "amazon-ebs", "name": "-a"}]}`:                                                                    "begins with a letter or a digit",
		`{"builders": [{"type": "amazon-ebs", "name": "a b"}, {"type": "amazon-ebs", "name": "a.b"}]}`:                            "two builders are named",
		`{"builders": [{"type": "amazon-ebs", "name": ["a"]}]}`:                                                                   "expected text",
		`{"builders": [{"type": "amazon-ebs", "source_ami": "x"}, {"type": "docker"}]}`:                                           `no builder "docker"`,
	} {
		_, err := Load(write(t, base+"-- images/a.json --\n"+text+"\n"), testVocabulary())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "images/a.json:1:") {
			t.Errorf("%s: %v, not %s", text, err, want)
		}
	}
}

func TestImagesAreCheckedByTheRoomThatBakes(t *testing.T) {
	v := testVocabulary()
	v.CheckImage = func(img *Image) (problems diag.List) {
		problems.Addf(img.Provisioners[0].At("script"), "no such file")
		return problems
	}
	p, err := Load(write(t, base+"-- images/a.yaml --\nprovisioners:\n- type: shell\n  script: x.sh\n"), v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Images("", nil); err == nil || err.Error() != "images/a.yaml:3:11: no such file" {
		t.Error(err)
	}
}

// TestSensitiveValuesAreNotShown: neither by the variable's name nor by way of
// another one.
func TestSensitiveValuesAreNotShown(t *testing.T) {
	p := load(t, `
-- images/a.yaml --
variables: {secret: null, both: "x{{user `+"`secret`"+`}}"}
sensitive_variables: [secret]
source_ami: ami-12345678
ssh_port: "{{user `+"`secret`"+`}}"
ssh_timeout: "{{user `+"`both`"+`}}"
communicator: "{{user `+"`secret`"+`}}"
`)
	_, err := p.Images("", map[string]string{"secret": "hunter2"})
	if err == nil || strings.Contains(render(p, err), "hunter2") || strings.Count(err.Error(), "a sensitive value") != 3 {
		t.Errorf("%v", err)
	}
}
