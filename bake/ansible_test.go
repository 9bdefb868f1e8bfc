package bake

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
)

const play = "- hosts: webs\n  gather_facts: false\n  tasks:\n    - raw: \"echo by {{ who }} > /tmp/marker; echo {{ inventory_hostname }} as $(id -un)\"\n      register: said\n    - debug: var=said.stdout_lines\n"

// TestAnsible runs real playbooks: through the proxy, and straight to the
// builder.
func TestAnsible(t *testing.T) {
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		t.Skip("ansible-playbook is not installed: the provisioner ansible is not tried")
	}
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{"play/site.yml": play})
	t.Setenv("HOME", t.TempDir())
	straight := false
	web := l.image("web",
		&Ansible{Playbook: "play/site.yml", Groups: []string{"webs"}, HostAlias: "builder", ExtraArguments: []string{"-e", "who={{build_name}}"}, EnvVars: []string{"ANSIBLE_NOCOLOR=1"}},
		&Shell{Inline: []string{"cat /tmp/marker"}},
		&Ansible{Playbook: "play/site.yml", Groups: []string{"webs"}, UseProxy: &straight, ExtraArguments: []string{"-e", "who=itself"}},
		&Shell{Inline: []string{"cat /tmp/marker"}},
		&Breakpoint{Note: "look"},
	)
	paused := 0
	options := l.options("r1")
	options.Pause = func(context.Context) error { paused++; return nil }
	if _, err := New(options).Bake(context.Background(), web); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	for _, want := range []string{"builder as admin", "output by web", "output by itself"} {
		if !strings.Contains(l.said.String(), want) {
			t.Errorf("nobody said %q in\n%s", want, l.said.String())
		}
	}
	if paused != 1 {
		t.Errorf("it waited %d times", paused)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "goldline-ansible-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	before := l.inventory()
	_, err := New(l.options("r2")).Bake(context.Background(), l.image("api", &Ansible{Playbook: "play/site.yml", Command: "false"}))
	if err == nil || !strings.Contains(err.Error(), "false: exit status 1") {
		t.Errorf("a playbook that fails: %v", err)
	}
	if now := l.inventory(); now != before {
		t.Errorf("left behind:\n%s", now)
	}
}

// TestAnsibleLocal needs no Ansible: what is uploaded and run is the point.
func TestAnsibleLocal(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{
		"site.yml": "- hosts: all\n", "roles/r/tasks/main.yml": "tasks\n", "ansible": "#!/bin/sh\necho \"ran $*\"\nls roles/r/tasks\n",
	})
	web := l.image("web",
		&File{Source: "ansible", Destination: "/tmp/ansible"},
		&AnsibleLocal{
			Playbook: "site.yml", RolePaths: []string{"roles/r"}, InventoryGroups: []string{"g"}, Command: "sh /tmp/ansible",
			StagingDir: "/tmp/stage", ExtraArguments: []string{"--extra-vars", `"a=b c"`}, CleanStagingDir: true,
		},
		&Shell{Inline: []string{"! test -e /tmp/stage"}},
	)
	if _, err := New(l.options("r1")).Bake(context.Background(), web); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	for _, want := range []string{`ran /tmp/stage/site.yml -e packer_build_name="web" -e packer_builder_type=amazon-ebs --extra-vars a=b c -c local -i /tmp/stage/packer-provisioner-ansible-local-inventory`, "output main.yml"} {
		if !strings.Contains(l.said.String(), want) {
			t.Errorf("nobody said %q in\n%s", want, l.said.String())
		}
	}
}

// TestWhatAllProvisionersTake holds for every type: it is none of theirs.
func TestWhatAllProvisionersTake(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines}, nil)
	image := l.image("web")
	k := &bake{Baker: New(l.options("r1")), image: image}
	k.sink = k.options.Sink
	tries := 0
	p := &project.Provisioner{Type: "flaky", MaxRetries: 2, Options: &flaky{run: func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	}}}
	if err := k.provision(context.Background(), "flaky", p); err != nil || tries != 3 {
		t.Errorf("max_retries: %d tries, %v", tries, err)
	}
	p = &project.Provisioner{Type: "slow", Timeout: 1, Options: &flaky{run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}
	if err := k.provision(context.Background(), "slow", p); err == nil || !strings.Contains(err.Error(), "within its timeout") {
		t.Errorf("timeout: %v", err)
	}
	image.Provisioners = []*project.Provisioner{
		{Type: "x", Only: []string{"api"}, Options: &flaky{}}, {Type: "x", Except: []string{"web"}, Options: &flaky{}},
	}
	if err := (provisionStep{}).run(context.Background(), k); err != nil {
		t.Errorf("only and except: %v", err)
	}
}

// flaky does what a test says; without that it must not run.
type flaky struct {
	Breakpoint
	run func(context.Context) error
}

func (f *flaky) provision(ctx context.Context, _ *bake, _ *project.Provisioner) error {
	if f.run == nil {
		return errors.New("it is not for this image")
	}
	return f.run(ctx)
}
