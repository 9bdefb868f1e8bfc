//go:build unix

package bake

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestPlugin tries a plugin that is built with Packer's own SDK.
func TestPlugin(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "packer-plugin-remark"), ".")
	cmd.Env = append(os.Environ(), "GOPROXY=off") // what is not there yet is not waited for
	cmd.Dir = filepath.Join("..", "internal", "plugin", "testdata", "plugin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no plugin can be built with Packer's SDK here, so none is tried; make plugin gets what it takes: %v: %s", err, out)
	}
	t.Setenv("PACKER_PLUGIN_PATH", dir)
	t.Run("provisions", pluginProvisions)
	t.Run("is wrong", pluginIsWrong)
	t.Run("is interrupted", pluginIsInterrupted)
}

// remarks decodes a recipe whose last provisioner is the plugin's.
func (l *local) remarks(t *testing.T, options string) (*project.Image, error) {
	t.Helper()
	dir := folder(t, map[string]string{
		"goldline.yaml": "project: shop\nladder: [dev]\n", "environments/dev.yaml": "account: \"000000000000\"\nregion: " + region + "\n",
		"images/web.yaml": "source_ami_filter: {filters: {name: debian-12-amd64-*}, owners: [\"136693071363\"], most_recent: true}\nssh_username: admin\n" +
			"variables: {pw: top-secret}\nsensitive_variables: [pw]\nprovisioners:\n- type: remark\n" + options,
		"images/motd": "hello\n",
	})
	loaded, err := project.Load(dir, project.Vocabulary{Provisioners: Provisioners(), Foreign: ForeignProvisioner, CheckImage: CheckImage})
	if err != nil {
		return nil, err
	}
	images, err := loaded.Images("", nil)
	if err != nil {
		return nil, err
	}
	return images[0], nil
}

func pluginProvisions(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, nil)
	image, err := l.remarks(t, `  commands: ["echo the password is {{user `+"`pw`"+`}} on {{ build `+"`ID`"+` }}", "cat -", "echo wrong >&2"]
  count: "3"
  env: {who: "{{user `+"`pw`"+`}}"}
  upload: motd
  to: /tmp/motd
`)
	if err != nil {
		t.Fatal(err)
	}
	step := image.Provisioners[0].Options.(*Plugin)
	if files := step.files(); len(files) != 1 || files[0] != (localFile{"upload", "motd"}) || len(step.Release) != 64 {
		t.Errorf("files %v, release %q", files, step.Release)
	}
	if _, err := New(l.options("r1")).Bake(context.Background(), image); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	said := l.said.String()
	for _, want := range []string{
		"build web of amazon-ebs, count 3, env map[who:<sensitive>]", `/tmp/motd holds "hello\n"`,
		"the password is <sensitive> on i-", "from standard input", "output wrong",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s", want)
		}
	}
	if strings.Contains(said, "top-secret") || t.Failed() {
		t.Errorf("in\n%s", said)
	}
}

func pluginIsWrong(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	for options, want := range map[string]string{
		"  count: -1\n":      "provisioner remark: count is below zero",
		"  nonsense: true\n": `unknown configuration key: '"nonsense"'`,
		"- type: remark-twice\n- type: remark-thrice\n": `has no provisioner "remark-thrice": it has remark, remark-twice`,
		"- type: shel\n":      "did you mean \"shell\"?",
		"- type: salt-call\n": `no provisioner "salt-call": no plugin packer-plugin-salt in ` + os.Getenv("PACKER_PLUGIN_PATH"),
	} {
		if _, err := l.remarks(t, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
	server := stubSSH(t)
	image, err := l.remarks(t, "  die: true\n")
	if err != nil {
		t.Fatal(err)
	}
	image.SSHHost, image.SSHPort, image.SSHHostPublicKey = "127.0.0.1", server.port, server.hostKey
	_, err = New(l.options("r1")).Bake(context.Background(), image)
	if err == nil || !strings.Contains(err.Error(), "ended in the middle: exit status 3\n    | ") || !strings.HasSuffix(err.Error(), "a last word") {
		t.Errorf("its process ends: %v", err)
	}
}

// An interrupt ends the plugin, which is told of it.
func pluginIsInterrupted(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	server := stubSSH(t)
	image, err := l.remarks(t, "  hang: true\n")
	if err != nil {
		t.Fatal(err)
	}
	image.SSHHost, image.SSHPort, image.SSHHostPublicKey = "127.0.0.1", server.port, server.hostKey
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	process := 0
	options := l.options("r1")
	options.Sink = event.Func(func(e event.Event) {
		if m := regexp.MustCompile(`^hangs as (\d+)$`).FindStringSubmatch(e.Message); m != nil {
			process, _ = strconv.Atoi(m[1])
			cancel()
		}
	})
	if _, err := New(options).Bake(ctx, image); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if process == 0 || syscall.Kill(process, 0) == nil {
		t.Errorf("process %d is still there", process)
	}
}
