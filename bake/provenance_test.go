package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/tags"
)

func TestReadPackages(t *testing.T) {
	for text, want := range map[string]string{
		"goldline: distribution debian\ngoldline: packages deb\ninstalled\tadduser\t3.134\tall\nconfig-files\told\t1\tall\ninstalled\tlibc6\t1:2.36-9+deb12u4\tamd64\n": "pkg:deb/debian/adduser@3.134?arch=all pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u4?arch=amd64",
		"goldline: distribution amzn\ngoldline: packages rpm\ninstalled\tbash\t5.2.15-1.amzn2023.0.2\tx86_64\n":                                                         "pkg:rpm/amzn/bash@5.2.15-1.amzn2023.0.2?arch=x86_64",
		"goldline: distribution alpine\ngoldline: packages apk\nca-certificates-bundle-20240226-r0 x86_64 {ca-certificates} (MPL-2.0) [installed]\nodd\n":               "pkg:apk/alpine/ca-certificates-bundle@20240226-r0?arch=x86_64",
		"goldline: distribution linux\n": "",
	} {
		p := readPackages(strings.Split(text, "\n"))
		var urls []string
		for _, i := range p.list {
			urls = append(urls, p.url(i))
		}
		if got := strings.Join(urls, " "); got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

// What an image was made of is kept beside the ledger, and tied to the AMI by
// digests in its tags; nothing secret stands there.
func TestProvenance(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{"images/web.yaml": "ssh_username: admin\n"})
	image := l.image("web",
		&Shell{Inline: []string{"mkdir -p /usr/local/bin", `printf '#!/bin/sh\nprintf "installed\\tnginx\\t1.2+3\\tamd64\\n"\n' > /usr/local/bin/dpkg-query`, "chmod 0755 /usr/local/bin/dpkg-query"}, ExecuteCommand: "sudo sh {{.Path}}"},
		&Shell{Inline: []string{"echo $TOKEN >/dev/null"}, Env: map[string]string{"TOKEN": "hunter2hunter2"}},
	)
	image.Variables, image.SensitiveVariables = map[string]string{"token": "hunter2hunter2"}, []string{"token"}
	if git, err := exec.LookPath("git"); err == nil {
		for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "first"}} {
			if out, err := exec.Command(git, append([]string{"-C", l.dir}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v\n%s", args, err, out)
			}
		}
	}
	o := l.options("r1")
	o.ToolVersion = "1.0.0"
	build, err := New(o).Bake(context.Background(), image)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	set := cloud.TagSet(imageIn(t, o.Cloud, build.AMI).Tags)
	text, err := os.ReadFile(ProvenanceFile(l.dir, set[tags.Provenance]))
	if err != nil {
		t.Fatal(err)
	}
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	named := map[string]resource{}
	for _, d := range s.Predicate.BuildDefinition.ResolvedDependencies {
		named[d.Name] = d
	}
	if s.Subject[0].Digest["goldlineFingerprint"] != build.Fingerprint || !strings.HasSuffix(named["source image"].URI, build.SourceAMI) ||
		named["recipe"].Digest["sha256"] == "" || s.Predicate.RunDetails.Builder.Version["goldline"] != "1.0.0" {
		t.Errorf("statement:\n%s", text)
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Log("git is not installed: the commit is not looked for")
	} else if c := named["repository"]; len(c.Digest["gitCommit"]) != 40 || c.Annotations["changed"] == nil {
		t.Errorf("repository %+v", c)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Error("the statement holds a secret")
	}
	if set[tags.Packages] == "" {
		t.Skip("machines of this kind do not find a program that was put into /usr/local/bin: no packages are listed")
	}
	list, err := os.ReadFile(ProvenanceFile(l.dir, set[tags.Packages]))
	var d spdxDocument
	if err == nil {
		err = json.Unmarshal(list, &d)
	}
	if err != nil || len(d.Packages) != 2 || d.Packages[1].Name != "nginx" || fmt.Sprint(d.Relationships[1]) != "{SPDXRef-Image CONTAINS SPDXRef-Package-1}" {
		t.Errorf("%v\n%s", err, list)
	}
}
