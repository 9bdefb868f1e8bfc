package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/goldline-dev/goldline/internal/diag"
)

// testVocabulary is a small language: enough of topology and provisioners to
// try every rule on.
func testVocabulary() Vocabulary {
	return Vocabulary{
		Resources: []Kind{
			{Name: "vpc", Doc: "A network.", New: func() any { return new(testVPC) }, Attributes: []string{"id"}},
			{Name: "subnet", Doc: "A part of a network.", New: func() any { return new(testSubnet) }, Attributes: []string{"id"}},
			{Name: "security_group", Doc: "Who may reach what.", New: func() any { return new(testGroup) }, Attributes: []string{"id"}},
			{Name: "volume", Doc: "A disk.", New: func() any { return new(testVolume) }, Attributes: []string{"id"}},
			{Name: "instance", Doc: "A machine.", Rolls: true, New: func() any { return new(testInstance) }, Attributes: []string{"id", "private_ip"}},
		},
		Provisioners: []Kind{
			{Name: "shell", Doc: "Runs a script.", New: func() any { return new(testShell) }},
			{Name: "file", Doc: "Copies a file.", New: func() any { return new(testFile) }},
		},
	}
}

type testVPC struct {
	CidrBlock string `yaml:"cidr_block" required:"true" doc:"The block."`
	DNS       *bool  `yaml:"enable_dns_hostnames" doc:"Names for instances."`
}

type testSubnet struct {
	VPC       string `yaml:"vpc" required:"true" ref:"vpc" doc:"The VPC."`
	CidrBlock string `yaml:"cidr_block" required:"true" doc:"The block."`
	Zone      string `yaml:"availability_zone" alias:"az" doc:"The zone."`
}

type testGroup struct {
	VPC     string     `yaml:"vpc" required:"true" ref:"vpc" doc:"The VPC."`
	Ingress []testRule `yaml:"ingress" doc:"Rules for what comes in."`
}

type testRule struct {
	Pos      diag.Pos `yaml:"-"`
	Protocol string   `yaml:"protocol" enum:"tcp,udp,icmp" default:"tcp" doc:"The protocol."`
	FromPort int      `yaml:"from_port" min:"0" max:"65535" doc:"First port."`
	Groups   []string `yaml:"security_groups" ref:"security_group" late:"true" doc:"Groups that may."`
	Blocks   []string `yaml:"cidr_blocks" doc:"Blocks that may."`
}

type testVolume struct {
	Size      int     `yaml:"size" min:"1" doc:"Size in GiB."`
	Encrypted bool    `yaml:"encrypted" doc:"Whether it is encrypted."`
	Ratio     float64 `yaml:"ratio" doc:"A number."`
	Near      string  `yaml:"near" ref:"instance" doc:"An instance to be near to."`
}

type testInstance struct {
	Image    string           `yaml:"image" ref:"image" doc:"The recipe."`
	Subnet   string           `yaml:"subnet" required:"true" ref:"subnet" doc:"The subnet."`
	Groups   []string         `yaml:"security_groups" ref:"security_group" doc:"Its groups."`
	Volumes  []testAttachment `yaml:"volumes" doc:"Its volumes."`
	UserData *testUserData    `yaml:"user_data" doc:"What it is told."`
	Grace    Duration         `yaml:"grace" doc:"A time."`
}

type testAttachment struct {
	Volume string `yaml:"volume" required:"true" ref:"volume" doc:"The volume."`
	Device string `yaml:"device" doc:"Its device."`
}

type testUserData struct {
	Extra any `yaml:"extra" doc:"Any JSON."`
}

type testShell struct {
	Inline         []string `yaml:"inline" doc:"Lines."`
	Script         string   `yaml:"script" doc:"A script."`
	Environment    []string `yaml:"environment_vars" doc:"Variables."`
	ExecuteCommand string   `yaml:"execute_command" doc:"How it runs."`
	ValidExitCodes []int    `yaml:"valid_exit_codes" doc:"Codes that are fine."`
}

type testFile struct {
	Source      string `yaml:"source" required:"true" doc:"From."`
	Destination string `yaml:"destination" required:"true" doc:"To."`
}

// write lays out a txtar archive as a folder.
func write(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// base is a project with nothing in it, for tests to add to.
const base = `
-- goldline.yaml --
project: shop
ladder: [dev, prod]
tags: {team: shop}
-- environments/dev.yaml --
account: 000000000000
region: eu-central-1
vars: {size: 8, zone: a, size_text: "8"}
-- environments/prod.yaml --
account: 000000000012
region: us-east-1
protected: true
vars: {size: 16, zone: b, size_text: "16"}
`

func load(t testing.TB, archive string) *Project {
	t.Helper()
	p, err := Load(write(t, base+archive), testVocabulary())
	if err != nil {
		t.Fatalf("Load:\n%v", render(p, err))
	}
	return p
}

func render(p *Project, err error) string {
	var problems *diag.Error
	if err == nil {
		return ""
	}
	if errors.As(err, &problems) && p != nil {
		return problems.Render(p.Read)
	}
	return err.Error()
}

// diff is empty for equal values, and otherwise shows both.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	show := func(x any) string {
		text, err := json.MarshalIndent(x, "", "  ")
		if err != nil {
			return fmt.Sprintf("%#v", x)
		}
		return fmt.Sprintf("%T %s", x, text)
	}
	return "got " + show(got) + "\nwant " + show(want)
}

// withoutPos takes the positions out of stages.
func withoutPos(stages []*Stage) []*Stage {
	var clear func(v reflect.Value)
	clear = func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.Pointer && !v.IsNil():
			clear(v.Elem())
		case v.Type() == reflect.TypeFor[diag.Pos]():
			v.SetZero()
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				clear(v.Field(i))
			}
		}
	}
	for _, s := range stages {
		clear(reflect.ValueOf(s))
	}
	return stages
}
