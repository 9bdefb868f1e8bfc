package hcl2

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// evaluate gives what a template of one file comes to.
func evaluateText(t *testing.T, text string, in Input) (Result, diag.List) {
	t.Helper()
	parsed, problems := Parse([]File{{"web.pkr.hcl", []byte(text)}})
	if len(problems) > 0 {
		return Result{}, problems
	}
	if in.Getenv == nil {
		in.Getenv = func(name string) string { return "env-" + name }
	}
	in.UUID = func() string { return "00000000-0000-0000-0000-000000000001" }
	in.Now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	in.Root = "."
	return parsed.Evaluate(in)
}

// show writes a tree without positions.
func show(t *testing.T, n *yaml.Node) string {
	t.Helper()
	var plain func(n *yaml.Node)
	plain = func(n *yaml.Node) {
		n.HeadComment, n.LineComment, n.Style = "", "", 0
		for _, c := range n.Content {
			plain(c)
		}
	}
	plain(n)
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const whole = `
packer {
  required_plugins {
    amazon = { version = ">= 1.2.8", source = "github.com/hashicorp/amazon" }
  }
}
variable "size" {
  type    = number
  default = 8
}
variable "disks" {
  type    = list(object({ name = string, size = number }))
  default = [{ name = "/dev/sdf", size = 1 }, { name = "/dev/sdg", size = 2 }]
}
variable "password" {
  type      = string
  sensitive = true
}
variable "home" { default = env("HOME") }
locals {
  ts   = regex_replace(timestamp(), "[- TZ:]", "")
  tags = merge(local.base, { Name = "x-${local.ts}" })
  base = { team = "a" }
}
data "amazon-ami" "debian" {
  filters     = { name = "debian-12-*" }
  owners      = ["136693071363"]
  most_recent = true
  region      = "eu-central-1"
}
source "amazon-ebs" "web" {
  ami_name   = "web-${local.ts}"
  source_ami = data.amazon-ami.debian.id
  tags       = merge(local.tags, { Base = data.amazon-ami.debian.name })
  profile    = null
  dynamic "launch_block_device_mappings" {
    for_each = var.disks
    content {
      device_name = launch_block_device_mappings.value.name
      volume_size = launch_block_device_mappings.value.size + var.size
    }
  }
  run_tag {
    key   = "extra"
    value = var.home
  }
}
build {
  name    = "all"
  sources = ["source.amazon-ebs.web"]
  source "amazon-ebs.web" {
    name          = "api"
    instance_type = "t3.small"
  }
  provisioner "shell" {
    inline   = ["echo ${source.name} ${build.ID} $${HOME}", "echo ${var.password}"]
    override = { api = { inline = ["true"] } }
  }
  post-processor "manifest" {}
  post-processors {
    post-processor "checksum" {}
    post-processor "shell-local" { inline = ["true"] }
  }
}
`

func TestATemplateComesToTheTreeOfJSON(t *testing.T) {
	r, problems := evaluateText(t, whole, Input{Vars: map[string]string{"password": "hunter2", "size": "10"}})
	if len(problems) > 0 {
		t.Fatal(problems.Err())
	}
	if len(r.Images) != 2 || r.Images[0].Name != "web" || r.Images[1].Name != "api" || !slices.Contains(r.Images[1].Names, "all.amazon-ebs.api") {
		t.Fatalf("images: %+v", r.Images)
	}
	if !slices.Equal(r.Sensitive, []string{"password"}) || !slices.Equal(r.Secrets, []string{"hunter2"}) || r.Variables["size"] != "10" {
		t.Errorf("variables: %v, sensitive: %v, secrets: %v", r.Variables, r.Sensitive, r.Secrets)
	}
	if at := lookup(r.Images[0].Body, "tags"); at.HeadComment != "web.pkr.hcl" || at.Line != 34 || at.Column != 16 {
		t.Errorf("tags stand at %s:%d:%d", at.HeadComment, at.Line, at.Column)
	}
	const body = `ami_name: web-20261121100000
source_ami_filter:
    filters:
        name: debian-12-*
    owners:
        - "136693071363"
    most_recent: true
tags:
    Base: '{{ .SourceAMIName }}'
    Name: x-20261121100000
    team: a
launch_block_device_mappings:
    - device_name: /dev/sdf
      volume_size: 11
    - device_name: /dev/sdg
      volume_size: 12
run_tags:
    extra: env-HOME
`
	if got := show(t, r.Images[0].Body); got != body {
		t.Errorf("web:\n%s", got)
	}
	if got := show(t, r.Images[1].Body); got != body+"instance_type: t3.small\n" {
		t.Errorf("api:\n%s", got)
	}
	if got := show(t, r.Images[0].Steps); got != "- type: shell\n  inline:\n    - echo web {{ build `ID` }} ${HOME}\n    - echo hunter2\n  override:\n    api:\n        inline:\n            - \"true\"\n" {
		t.Errorf("provisioners:\n%s", got)
	}
	if got := show(t, r.Images[0].After); got != "- type: manifest\n- - type: checksum\n  - type: shell-local\n    inline:\n        - \"true\"\n" {
		t.Errorf("post-processors:\n%s", got)
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	_, problems := evaluateText(t, `
variable "none" { type = string }
variable "small" {
  default = 3
  validation {
    condition     = var.small > 5
    error_message = "Too small."
  }
}
variable "typo" { defualt = 1 }
locals {
  a = local.b
  b = local.a
  c = nosuch("x")
}
`, Input{})
	if got := problems.Err().Error(); !strings.Contains(got, `web.pkr.hcl:10:19: unknown key "defualt"`) || !strings.Contains(got, `"default"`) {
		t.Errorf("problems of the text: %s", got)
	}
	_, problems = evaluateText(t, `
variable "none" { type = string }
variable "small" {
  default = 3
  validation {
    condition     = var.small > 5
    error_message = "Too small."
  }
}
data "amazon-secretsmanager" "x" { name = "y" }
data "amazon-parameterstore" "subnet" { name = "/subnet" }
locals {
  a = local.b
  b = local.a
  c = nosuch("x")
}
source "amazon-ebs" "web" {
  source_ami = data.amazon-secretsmanager.x.value
  subnet_id  = data.amazon-parameterstore.subnet.value
}
build {
  sources = ["source.amazon-ebs.wbe", "source.amazon-ebs.web"]
  provisoner "shell" {}
}
`, Input{})
	got := problems.Err().Error()
	for _, want := range []string{
		`web.pkr.hcl:2:1: no value for the variable "none"`, `web.pkr.hcl:3:1: variable "small": Too small`, "locals need each other in a ring: a -> b -> a",
		"nosuch", `web.pkr.hcl:22:14: no source "source.amazon-ebs.wbe"`, `unknown key "provisoner"`, `data source "amazon-secretsmanager" is not looked up`, "what a parameter holds can be used only as source_ami",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among\n%s", want, got)
		}
	}
}

// TestFunctions: what public templates call.
func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"greet.tpl": "hello ${who}", "a.sh": "a", "b.sh": "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for expr, want := range map[string]string{
		`formatdate("YYYY-MM-DD", timestamp())`: "2026-11-21", `legacy_isotime("2006")`: "2026", `legacy_strftime("%Y")`: "2026",
		`templatefile("greet.tpl", { who = "you" })`: "hello you", `join(",", fileset(".", "*.sh"))`: "a.sh,b.sh", `file("${path.root}/a.sh")`: "a",
		`cidrsubnet("10.0.0.0/16", 8, 2)`: "10.0.2.0/24", `cidrhost("10.0.0.0/24", -2)`: "10.0.0.254", `cidrnetmask("10.0.0.0/12")`: "255.240.0.0",
		`base64decode(base64encode("x"))`: "x", `yamldecode("a: [1, 2]").a[1]`: "2", `jsonencode({ a = 1 })`: `{"a":1}`, `sha256("")`: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		`try(local.nosuch, "else")`: "else", `length("four")`: "4", `startswith("web-1", "web")`: "true", `alltrue([true, false])`: "false",
		`clean_resource_name("a:b")`: "a-b", `uuidv5("dns", "example.com")`: "cfbff0d1-9375-5685-968c-48ce8b15ae17", `uuidv4()`: "00000000-0000-0000-0000-000000000001",
		`element(["a", "b"], 3)`: "b", `tostring(sum([1, 2]))`: "3", `substr("abc", 0, 2)`: "ab", `trimspace(yamlencode({ a = "b" }))`: "a: b", `md5("")`: "d41d8cd98f00b204e9800998ecf8427e",
	} {
		r, problems := evaluateText(t, "source \"amazon-ebs\" \"x\" {\n  v = "+expr+"\n}\nbuild {\n  sources = [\"source.amazon-ebs.x\"]\n}\n", Input{Dir: dir})
		if len(problems) > 0 {
			t.Errorf("%s: %v", expr, problems.Err())
			continue
		}
		if got := lookup(r.Images[0].Body, "v"); got == nil || got.Value != want {
			t.Errorf("%s gives %+v, not %q", expr, got, want)
		}
	}
}

// TestWhereValuesComeFrom: each of these wins over the one before.
func TestWhereValuesComeFrom(t *testing.T) {
	const text = "variable \"v\" {\n  type = list(string)\n  default = [\"default\"]\n}\nsource \"amazon-ebs\" \"x\" {\n  v = var.v\n}\nbuild {\n  sources = [source.amazon-ebs.x]\n}\n"
	files := []File{{"web.pkr.hcl", []byte(text)}}
	in := Input{Getenv: os.Getenv, Root: "."}
	want := func(value string) {
		t.Helper()
		parsed, problems := Parse(files)
		r, more := parsed.Evaluate(in)
		if problems = append(problems, more...); len(problems) > 0 {
			t.Fatal(problems.Err())
		}
		if got := lookup(r.Images[0].Body, "v").Content[0].Value; got != value {
			t.Errorf("%s, not %s", got, value)
		}
	}
	want("default")
	in.Environ = []string{`PKR_VAR_v=["environment"]`}
	want("environment")
	files = append(files, File{"x.auto.pkrvars.hcl", []byte("v = [\"auto\"]\nother = 1\n")})
	want("auto")
	in.VarFiles = []File{{"y.pkrvars.json", []byte(`{"v": ["file"]}`)}}
	want("file")
	in.Vars = map[string]string{"v": `["given"]`}
	want("given")
}

// What a parameter holds is left to the bake, by EC2's own name for it.
func TestDataSources(t *testing.T) {
	r, problems := evaluateText(t, `
variable "arch" { default = "arm64" }
data "null" "name" { input = "web-${var.arch}" }
data "amazon-parameterstore" "ami" { name = "/base/${var.arch}" }
data "http" "unused" { url = "https://example.com" }
locals { ami = data.amazon-parameterstore.ami.value }
source "amazon-ebs" "web" {
  ami_name   = data.null.name.output
  source_ami = local.ami
}
build { sources = ["source.amazon-ebs.web"] }
`, Input{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got := show(t, r.Images[0].Body); got != "ami_name: web-arm64\nsource_ami: resolve:ssm:/base/arm64\n" {
		t.Errorf("got\n%s", got)
	}
	_, problems = evaluateText(t, "data \"null\" \"a\" { input = data.null.a.output }\nlocals { a = data.null.a.output }\n", Input{})
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "needs itself") {
		t.Errorf("a ring: %v", err)
	}
}
