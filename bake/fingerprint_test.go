package bake

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/project"
)

// folder writes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFingerprintChangesWith(t *testing.T) {
	chmod := func(name string, mode os.FileMode) func(*testing.T, *project.Image) {
		return func(t *testing.T, i *project.Image) {
			if err := os.Chmod(filepath.Join(i.Dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, content string) func(*testing.T, *project.Image) {
		return func(t *testing.T, i *project.Image) {
			if err := os.WriteFile(filepath.Join(i.Dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	recipe := func(change func(*project.Image)) func(*testing.T, *project.Image) {
		return func(_ *testing.T, i *project.Image) { change(i) }
	}
	shell := func(i *project.Image) *Shell { return i.Provisioners[0].Options.(*Shell) }
	no := false
	for _, test := range []struct {
		name   string
		change func(*testing.T, *project.Image)
		alters bool
	}{
		{"nothing", recipe(func(*project.Image) {}), false},
		{"a script's contents", write("web.sh", "echo other"), true},
		{"a script's permissions", chmod("web.sh", 0o755), true},
		{"a file in a folder", write("files/etc/conf", "b"), true},
		{"permissions in a folder", chmod("files/etc/conf", 0o600), true},
		{"one more file in a folder", write("files/etc/more", ""), true},
		{"a file beside", write("unused", "x"), false},
		{"an environment variable", recipe(func(i *project.Image) { shell(i).EnvironmentVars = []string{"A=2"} }), true},
		{"execute_command", recipe(func(i *project.Image) { shell(i).ExecuteCommand = "sudo {{.Path}}" }), true},
		{"one provisioner less", recipe(func(i *project.Image) { i.Provisioners = i.Provisioners[:1] }), true},
		{"the order of provisioners", recipe(func(i *project.Image) {
			i.Provisioners[0], i.Provisioners[1] = i.Provisioners[1], i.Provisioners[0]
		}), true},
		{"a provisioner for others only", recipe(func(i *project.Image) { i.Provisioners[1].Only = []string{"db"} }), true},
		{"a provisioner's timeout", recipe(func(i *project.Image) { i.Provisioners[0].Timeout = project.Duration(time.Minute) }), false},
		{"the root's encryption", recipe(func(i *project.Image) { i.EncryptBoot = &no }), true},
		{"a volume's size", recipe(func(i *project.Image) { i.LaunchBlockDeviceMappings[0].VolumeSize = 9 }), true},
		{"user_data", recipe(func(i *project.Image) { i.UserData = "#!/bin/sh" }), true},
		{"ssh_username", recipe(func(i *project.Image) { i.SSHUsername = "ubuntu" }), true},
		{"the version, if it is given", recipe(func(i *project.Image) { i.Version = "2" }), true},
		{"the instance type", recipe(func(i *project.Image) { i.InstanceType = "m7i.large" }), false},
		{"a tag", recipe(func(i *project.Image) { i.Tags = map[string]string{"commit": "abc"} }), false},
		{"ssh_timeout", recipe(func(i *project.Image) { i.SSHTimeout = project.Duration(time.Minute) }), false},
		{"the description", recipe(func(i *project.Image) { i.Description = "other" }), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := func() *project.Image {
				return &project.Image{
					Name: "web", SSHUsername: "admin", SourceAMI: "ami-1",
					Dir:                       folder(t, map[string]string{"web.sh": "echo web {{isotime}}", "files/etc/conf": "a"}),
					LaunchBlockDeviceMappings: []project.BlockDevice{{DeviceName: "/dev/sdb", VolumeSize: 8}},
					Provisioners: []*project.Provisioner{
						{Type: "shell", Options: &Shell{Script: "web.sh", EnvironmentVars: []string{"A=1", "AT={{isotime}}"}}},
						{Type: "file", Options: &File{Source: "files/", Destination: "/"}},
					},
				}
			}
			before, after := image(), image()
			test.change(t, after)
			_, was, err := fingerprint(before, "ami-1", "x86_64", redactor{})
			if err != nil {
				t.Fatal(err)
			}
			inputs, is, err := fingerprint(after, "ami-1", "x86_64", redactor{})
			if err != nil {
				t.Fatal(err)
			}
			if (was != is) != test.alters {
				t.Errorf("fingerprint altered: %t, want %t; inputs %+v", was != is, test.alters, inputs)
			}
		})
	}
}

func TestFingerprintTakesInTheSource(t *testing.T) {
	image := &project.Image{Name: "web"}
	seen := map[string]string{}
	for _, source := range [][2]string{{"ami-1", "x86_64"}, {"ami-2", "x86_64"}, {"ami-1", "arm64"}} {
		_, f, err := fingerprint(image, source[0], source[1], redactor{})
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[f]; ok {
			t.Errorf("%v has the fingerprint of %s", source, other)
		}
		seen[f] = source[0] + source[1]
	}
}

func TestInputsHideSecrets(t *testing.T) {
	image := &project.Image{
		Name: "web", AMIDescription: "made with hunter2", SSHUsername: "admin",
		Variables: map[string]string{"password": "hunter2"}, SensitiveVariables: []string{"password"},
	}
	inputs, _, err := fingerprint(image, "ami-1", "x86_64", newRedactor(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		switch in.Name {
		case "ami_description":
			if in.Value != "" {
				t.Errorf("the description with a secret is shown: %q", in.Value)
			}
		case "ssh_username":
			if in.Value != "admin" {
				t.Errorf("ssh_username is shown as %q", in.Value)
			}
		}
	}
}

// The digest of what holds a secret is another one in another project's folder,
// and changes with the secret in the same.
func TestDigestsOfSecretsAreKeyed(t *testing.T) {
	image := func(secret string) *project.Image {
		return &project.Image{
			Name: "web", AMIDescription: "made with " + secret, SSHUsername: "admin",
			Variables: map[string]string{"password": secret}, SensitiveVariables: []string{"password"},
		}
	}
	sealed := func(dir, secret string) map[string]string {
		i := image(secret)
		inputs, _, err := fingerprint(i, "ami-1", "x86_64", newRedactor(i))
		if err == nil {
			inputs, err = sealInputs(dir, inputs)
		}
		if err != nil {
			t.Fatal(err)
		}
		digests := map[string]string{}
		for _, in := range inputs {
			digests[in.Name] = in.Digest
		}
		return digests
	}
	here, elsewhere := t.TempDir(), t.TempDir()
	a, again, other, changed := sealed(here, "hunter2"), sealed(here, "hunter2"), sealed(elsewhere, "hunter2"), sealed(here, "hunter3")
	const key = "ami_description"
	if a[key] != again[key] || a[key] == other[key] || a[key] == changed[key] {
		t.Errorf("digests %s, again %s, elsewhere %s, changed %s", a[key], again[key], other[key], changed[key])
	}
	if a["ssh_username"] != other["ssh_username"] {
		t.Error("the digest of what holds no secret is keyed")
	}
	info, err := os.Stat(filepath.Join(here, ".goldline", "digest.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}

func TestCompare(t *testing.T) {
	was := []Input{{Name: "a", Digest: "1", Value: "one"}, {Name: "b", Digest: "2222222222"}, {Name: "gone", Digest: "3"}}
	is := []Input{{Name: "a", Digest: "1", Value: "one"}, {Name: "b", Digest: "4444444444"}, {Name: "new", Digest: "5", Value: "five"}}
	want := []InputChange{{"b", "22222222", "44444444"}, {"new", "", "five"}, {"gone", "3", ""}}
	got := compare(was, is)
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("change %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestRedactor(t *testing.T) {
	r := newRedactor(&project.Image{
		Variables:          map[string]string{"key": "first line\nsecond line", "short": "ab", "plain": "seen"},
		SensitiveVariables: []string{"key", "short"},
	})
	for in, want := range map[string]string{
		"second line here":                     "<sensitive> here",
		"Zmlyc3QgbGluZQpzZWNvbmQgbGluZQ== end": "<sensitive> end",
		`{"k":"first line\nsecond line"}`:      `{"k":"<sensitive>"}`,
		"ab":                                   "<sensitive>",
		"seen":                                 "seen",
	} {
		if got := r.text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
