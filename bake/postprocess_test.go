package bake

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
)

func after(kind string, options any) *project.PostProcessor {
	return &project.PostProcessor{Provisioner: project.Provisioner{Type: kind, Options: options}}
}

// TestPostProcessors: what stands in a manifest, also of a build that was there
// before, and what follows from a failure.
func TestPostProcessors(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{"files/a.txt": "a"})
	web := l.image("web", &Shell{Inline: []string{"true"}})
	web.BuildName = "amazon-ebs"
	web.PostProcessors = [][]*project.PostProcessor{
		{after("manifest", &Manifest{CustomData: map[string]string{"for": "{{build_name}}"}})},
		{after("artifice", &Artifice{Files: []string{"files/*.txt"}}), after("checksum", &Checksum{Types: []string{"md5"}}), after("manifest", &Manifest{Output: "out/sums.json", StripTime: true, StripPath: true})},
		{after("shell-local", &ShellLocal{Inline: []string{"echo after $PACKER_BUILD_NAME"}})},
	}
	build, err := New(l.options("r1")).Bake(context.Background(), web)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	again, err := New(l.options("r2")).Bake(context.Background(), web)
	if err != nil || !again.Reused {
		t.Fatalf("%+v, %v", again, err)
	}
	if n := strings.Count(l.said.String(), "output after amazon-ebs"); n != 2 {
		t.Errorf("shell-local ran %d times", n)
	}
	var m manifestFile
	l.readJSON("packer-manifest.json", &m)
	if len(m.Builds) != 1 || m.Builds[0].Name != "amazon-ebs" || m.Builds[0].ArtifactID != region+":"+build.AMI || m.Builds[0].BuildTime == 0 ||
		m.Builds[0].CustomData["for"] != "amazon-ebs" || m.Builds[0].Files != nil || m.LastRunUUID != m.Builds[0].PackerRunUUID {
		t.Errorf("manifest: %+v", m)
	}
	m = manifestFile{}
	l.readJSON("out/sums.json", &m)
	if len(m.Builds) != 1 || m.Builds[0].BuildTime != 0 || len(m.Builds[0].Files) != 1 || m.Builds[0].Files[0].Name != "packer_amazon-ebs_amazon-ebs_md5.checksum" {
		t.Errorf("manifest of files: %+v", m)
	}
	if sum, _ := os.ReadFile(filepath.Join(l.dir, "packer_amazon-ebs_amazon-ebs_md5.checksum")); string(sum) != "0cc175b9c0f1b6a831c399e269772661\ta.txt\n" {
		t.Errorf("checksum: %q", sum)
	}

	web.PostProcessors = [][]*project.PostProcessor{{after("shell-local", &ShellLocal{Inline: []string{"exit 3"}})}}
	failed, err := New(l.options("r3")).Bake(context.Background(), web)
	if fail.ExitCode(err) != fail.CodeDirty || failed.AMI != build.AMI || !strings.Contains(err.Error(), "post-processor 1 (shell-local): exit status 3") {
		t.Errorf("%+v, %v", failed, err)
	}
	if left := fail.LeftOf(err); len(left) != 1 || left[0].Command != "goldline bake web" {
		t.Errorf("left: %+v", left)
	}
}

func (l *local) readJSON(name string, into any) {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}
