package bake

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
)

const region = "eu-central-1"

// local is a local cloud and what was said while it was used.
type local struct {
	*emulator.Cloud
	t    *testing.T
	dir  string // of the project
	said bytes.Buffer
}

func openLocal(t *testing.T, o emulator.Options, files map[string]string) *local {
	t.Helper()
	if o.Transition == 0 {
		o.Transition = 10 * time.Millisecond
	}
	c, err := emulator.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &local{Cloud: c, t: t, dir: folder(t, files)}
}

// reach opens the cloud for one process, through its own transport if there is
// one.
func (l *local) reach(through http.RoundTripper) *cloud.Cloud {
	l.t.Helper()
	if through == nil {
		through = l.Transport()
	}
	provider := cloud.NewProvider(cloud.Config{Transport: through, Dial: l.Dial, PollMin: 5 * time.Millisecond, PollMax: 20 * time.Millisecond})
	c, err := provider.For(context.Background(), cloud.Target{Region: region})
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

func (l *local) options(run string) Options {
	return Options{
		Project: "shop", Dir: l.dir, Environment: "dev", Cloud: l.reach(nil), Run: run, Sink: lockedSink(&l.said),
		Tags:    map[string]string{"team": "shop"},
		DeadRun: func(other string) bool { return other != run },
	}
}

func (l *local) image(name string, provisioners ...any) *project.Image {
	i := &project.Image{
		Name: name, Dir: l.dir, File: "images/" + name + ".yaml", SSHUsername: "admin",
		SourceAMIFilter: &project.AMIFilter{Filters: map[string]string{"name": "debian-12-amd64-*"}, Owners: []string{"136693071363"}, MostRecent: true},
	}
	for _, options := range provisioners {
		var kind string
		switch options.(type) {
		case *Shell:
			kind = "shell"
		case *File:
			kind = "file"
		case *ShellLocal:
			kind = "shell-local"
		case *Ansible:
			kind = "ansible"
		case *AnsibleLocal:
			kind = "ansible-local"
		case *Breakpoint:
			kind = "breakpoint"
		case *PowerShell:
			kind = "powershell"
		case *WindowsShell:
			kind = "windows-shell"
		case *WindowsRestart:
			kind = "windows-restart"
		}
		i.Provisioners = append(i.Provisioners, &project.Provisioner{Type: kind, Options: options})
	}
	return i
}

func (l *local) inventory() string {
	l.t.Helper()
	all, err := l.Inventory()
	if err != nil {
		l.t.Fatal(err)
	}
	var text strings.Builder
	for _, kind := range sortedKeys(all) {
		for _, line := range all[kind] {
			fmt.Fprintf(&text, "%s: %s\n", kind, line)
		}
	}
	return text.String()
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// actions lists the calls since the last reset.
func (l *local) actions() []string {
	var list []string
	for _, c := range l.Calls() {
		list = append(list, c.Action)
	}
	return list
}

func TestBake(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{
		"web.sh": "echo \"hello from $PACKER_BUILD_NAME $WHO\"\necho web > /etc/web-release\n", "files/conf": "listen 80\n",
	})
	web := l.image("web",
		&Shell{Inline: []string{"mkdir -p /srv/web"}, ExecuteCommand: "sudo env {{.Vars}} sh {{.Path}}"},
		&Shell{Script: "web.sh", EnvironmentVars: []string{"WHO=it's me"}, ExecuteCommand: "sudo env {{.Vars}} sh {{.Path}}"},
		&File{Source: "files/conf", Destination: "/tmp/conf"},
		&File{Source: "/etc/web-release", Destination: "out/", Direction: "download"},
		&ShellLocal{Inline: []string{"echo local $PACKER_BUILD_NAME"}},
	)
	options := l.options("r1")
	l.ResetCalls()
	build, err := New(options).Bake(context.Background(), web)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	t.Logf("calls of a first bake: %v", l.actions())
	for _, want := range []string{"output hello from web it's me", "output local web"} {
		if !strings.Contains(l.said.String(), want) {
			t.Errorf("nobody said %q in\n%s", want, l.said.String())
		}
	}
	if got, _ := os.ReadFile(filepath.Join(l.dir, "out", "web-release")); string(got) != "web\n" {
		t.Errorf("downloaded %q", got)
	}
	if left := l.inventory(); strings.Contains(left, "instance: ") || strings.Contains(left, "key-pair: ") || strings.Contains(left, "goldline-shop") {
		t.Errorf("left behind:\n%s", left)
	}
	t.Run("is reused", func(t *testing.T) {
		l.ResetCalls()
		again, err := New(l.options("r2")).Bake(context.Background(), web)
		if err != nil {
			t.Fatal(err)
		}
		if calls := l.actions(); !again.Reused || again.AMI != build.AMI || len(calls) > 3 { // one asks who the caller is
			t.Errorf("got %+v by %v, want %s reused", again, calls, build.AMI)
		}
	})
	t.Run("is explained", func(t *testing.T) {
		if e, err := New(l.options("r3")).Explain(context.Background(), web); err != nil || !e.Hit || e.AMI != build.AMI {
			t.Errorf("unchanged: %+v, %v", e, err)
		}
		if err := os.WriteFile(filepath.Join(l.dir, "web.sh"), []byte("echo changed\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := New(l.options("r3")).Explain(context.Background(), web)
		if err != nil || e.Hit || len(e.Changed) != 1 || e.Changed[0].Name != "provisioner 2: web.sh" {
			t.Errorf("changed: %+v, %v", e, err)
		}
	})
	t.Run("is explained to what starts from it", func(t *testing.T) {
		api := l.image("api")
		api.SourceAMIFilter, api.SourceImage = nil, "web"
		baker := New(l.options("r3"))
		if e, err := baker.Explain(context.Background(), web); err != nil || e.Hit {
			t.Fatalf("changed: %+v, %v", e, err)
		}
		if e, err := baker.Explain(context.Background(), api); err != nil || e.Hit || !strings.Contains(e.Note, "web, which it starts from") {
			t.Errorf("what starts from it: %+v, %v", e, err)
		}
	})
	t.Run("is what another starts from", func(t *testing.T) {
		api := l.image("api", &Shell{Inline: []string{"grep -q web /etc/web-release"}})
		api.SourceAMIFilter, api.SourceImage = nil, "web"
		b, err := New(l.options("r4")).Bake(context.Background(), api)
		if err != nil || b.SourceAMI != build.AMI {
			t.Errorf("%+v, %v\n%s", b, err, l.said.String())
		}
	})
}

// An image holds nothing that was put into its builder in order to bake: looked
// for in the files that the snapshot keeps, on every kind of machine that works
// here.
func TestImageHoldsNothingOfItsMaking(t *testing.T) {
	for _, kind := range []machine.Kind{machine.InProcess, machine.UserNS, machine.Overlay} {
		t.Run(string(kind), func(t *testing.T) {
			kept := t.TempDir()
			c, err := emulator.Open(context.Background(), emulator.Options{Machine: kind, Dir: kept, Transition: 10 * time.Millisecond})
			if err != nil {
				t.Skipf("machines of kind %s do not work here: %v", kind, err)
			}
			l := &local{Cloud: c, t: t, dir: folder(t, map[string]string{"web.sh": "echo $SECRET >/dev/null\necho kept > /tmp/kept\n"})}
			image := l.image("web", &Shell{Script: "web.sh", Env: map[string]string{"SECRET": "hunter2hunter2"}, UseEnvVarFile: true, SkipClean: false})
			image.UserData = "#cloud-config\nwrite_files: [{path: /etc/own, content: from-user-data}]\n"
			_, err = New(l.options("r1")).Bake(context.Background(), image)
			if closeErr := c.Close(); err != nil || closeErr != nil {
				t.Fatalf("%v, %v\n%s", err, closeErr, l.said.String())
			}
			if strings.Contains(l.said.String(), "warning") {
				t.Errorf("warnings:\n%s", l.said.String())
			}
			l.lookInto(filepath.Join(kept, layers))
		})
	}
}

// layers is the folder in which the local cloud keeps what images hold.
const layers = "snapshots"

func (l *local) lookInto(dir string) {
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "/tmp/kept") || strings.HasSuffix(path, "/etc/own") {
			found++
		}
		for _, secret := range []string{"PRIVATE KEY", "goldline-shop-r1-", "goldline-shop-r2-", "hunter2", "ed25519_private"} {
			if bytes.Contains(content, []byte(secret)) {
				l.t.Errorf("the image holds %q in %s", secret, strings.TrimPrefix(path, dir))
			}
		}
		return nil
	})
	if err != nil || found != 2 {
		l.t.Errorf("looked into %s: found %d of the 2 files that must be there, %v", dir, found, err)
	}
}

func TestBakeFourAtOnce(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, nil)
	baker := New(l.options("r1"))
	l.ResetCalls()
	builds := make([]Build, 4)
	err := graph.Each(context.Background(), 0, 4, func(ctx context.Context, i int) (err error) {
		builds[i], err = baker.Bake(ctx, l.image(fmt.Sprintf("svc%d", i), &Shell{Inline: []string{"echo ready"}}))
		return err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	calls := l.actions()
	t.Logf("%d calls: %v", len(calls), calls)
	count := map[string]int{}
	for _, c := range calls {
		count[c]++
	}
	for _, shared := range []string{"ImportKeyPair", "DeleteKeyPair", "CreateSecurityGroup", "DeleteSecurityGroup"} {
		if n := count[shared]; n == 0 || n > 2 { // two where the last of them is late
			t.Errorf("%d calls of %s", n, shared)
		}
	}
	if n := count["DescribeTags"]; n < 1 || n > 2 { // two where it sees what this run is making
		t.Errorf("%d calls of DescribeTags", n)
	}
	if count["RunInstances"] != 4 || count["CreateImage"] != 4 {
		t.Errorf("calls %v", count)
	}
}

func TestScriptFails(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{"web.sh": "echo about to fail\nexit 7\n"})
	before := l.inventory()
	_, err := New(l.options("r1")).Bake(context.Background(), l.image("web", &Shell{Inline: []string{"true"}}, &Shell{Script: "web.sh"}))
	if err == nil || fail.ExitCode(err) != fail.CodeClean {
		t.Fatalf("error %v with code %d, want code 3", err, fail.ExitCode(err))
	}
	for _, want := range []string{"bake web: provision 2 (shell web.sh): exit status 7", "| about to fail"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if after := l.inventory(); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

func TestNoSourceImage(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines}, nil)
	i := l.image("web")
	i.SourceAMIFilter.Filters["name"] = "nothing-*"
	_, err := New(l.options("r1")).Bake(context.Background(), i)
	if err == nil || fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "name=nothing-*") || !strings.Contains(err.Error(), "136693071363") {
		t.Errorf("error %v (%d)", err, fail.ExitCode(err))
	}
	i.SourceAMIFilter, i.SourceImage = nil, "base"
	_, err = New(l.options("r1")).Bake(context.Background(), i)
	if fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("error %v (%d), want code 2", err, fail.ExitCode(err))
	}
}

func TestSSHNeverAnswers(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, nil)
	before := l.inventory()
	i := l.image("web")
	i.SSHPort, i.SSHTimeout = 2222, project.Duration(time.Second)
	_, err := New(l.options("r1")).Bake(context.Background(), i)
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "within 1s") || !strings.Contains(err.Error(), "console ends") {
		t.Errorf("error %v (%d)", err, fail.ExitCode(err))
	}
	if after := l.inventory(); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

// Nothing that a bake keeps on disk may be read by others.
func TestInputsAreKeptPrivately(t *testing.T) {
	dir := t.TempDir()
	if err := saveInputs(dir, "abc", []Input{{Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(inputsFile(dir, "abc"))
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := loadInputs(dir, "abc"); err != nil || len(got) != 1 {
		t.Errorf("read back %v, %v", got, err)
	}
}
