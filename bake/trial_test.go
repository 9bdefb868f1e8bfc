package bake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// tested is an image whose builder leaves a file behind, and what must hold of
// it.
func (l *local) tested(checks ...project.Check) *project.Image {
	i := l.image("web", &Shell{Inline: []string{"echo listen 80 > /etc/web.conf", "chmod 0640 /etc/web.conf"}, ExecuteCommand: "sudo sh {{.Path}}"})
	i.Version = "1"
	i.Tests = &project.Tests{Environment: "dev", Timeout: project.Duration(2 * time.Second), Checks: checks}
	return i
}

func (l *local) testedOptions(run string) Options {
	o := l.options(run)
	o.UserData = func(_ context.Context, image, environment, address string) ([]byte, error) {
		if environment != "dev" {
			return nil, errors.New("no environment " + environment)
		}
		return []byte(fmt.Sprintf(`{"image": %q, "address": %q}`, image, address)), nil
	}
	return o
}

func TestTestedBeforeItCounts(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, map[string]string{"look.sh": "#!/bin/sh\ngrep -q 'listen 80' /etc/web.conf && echo looks good\n"})
	no := false
	hold := []project.Check{
		{Command: "echo here I am; exit 3", Code: aws.Int(3), Output: "here I"},
		{Command: "cat /var/lib/cloud/instance/user-data.txt", Output: `/^\{"image": "web"/`},
		{Script: "look.sh", Output: "looks good"},
		{Name: "configuration", File: "/etc/web.conf", Mode: "0640", Content: "/^listen [0-9]+$/"},
		{File: "/etc/other.conf", Exists: &no},
		{Port: 22},
		{Console: "/login:/"},
	}
	ctx := context.Background()
	build, err := New(l.testedOptions("r1")).Bake(ctx, l.tested(hold...))
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	for _, r := range build.Tests {
		if !r.Passed {
			t.Errorf("%+v", r)
		}
	}
	ami := imageIn(t, l.reach(nil), build.AMI)
	set := cloud.TagSet(ami.Tags)
	if set[tags.Fingerprint] != build.Fingerprint || set[tags.Tested] == "" || set[tags.Candidate]+set[tags.Expires] != "" || len(build.Tests) != len(hold) {
		t.Errorf("%d tests, tags %v", len(build.Tests), set)
	}
	lasting := l.lasting()
	t.Run("once", func(t *testing.T) {
		l.ResetCalls()
		again, err := New(l.testedOptions("r2")).Bake(ctx, l.tested(hold...))
		if calls := l.actions(); err != nil || !again.Reused || again.AMI != build.AMI || len(calls) > 4 {
			t.Errorf("%+v, %v, %v", again, err, calls)
		}
	})
	t.Run("again when the tests have changed", func(t *testing.T) {
		again, err := New(l.testedOptions("r3")).Bake(ctx, l.tested(project.Check{Command: "true"}))
		if err != nil || !again.Reused || again.AMI != build.AMI || len(again.Tests) != 1 {
			t.Errorf("%+v, %v", again, err)
		}
	})
	wrong := l.tested(
		project.Check{Command: "echo other; exit 1", Output: "here"}, project.Check{Command: "echo other", Output: "here"},
		project.Check{File: "/etc/web.conf", Mode: "0600"}, project.Check{File: "/etc/web.conf", Content: "listen 81"},
		project.Check{File: "/nothing"}, project.Check{File: "/etc/web.conf", Exists: &no},
		project.Check{Port: closedPort(t)}, project.Check{Console: "never printed"}, project.Check{Command: "true"},
	)
	wrong.Tests.Timeout = project.Duration(10 * time.Millisecond)
	all := l.inventory()
	t.Run("and a build that fails new tests stays", func(t *testing.T) {
		_, err := New(l.testedOptions("r4")).Bake(ctx, wrong)
		if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "have changed since") || l.inventory() != all {
			t.Errorf("%v (%d); left\n%s", err, fail.ExitCode(err), l.inventory())
		}
	})
	t.Run("and a new one that fails goes", func(t *testing.T) {
		o := l.testedOptions("r5")
		o.Rebake = true
		_, err := New(o).Bake(ctx, wrong)
		if fail.ExitCode(err) != fail.CodeClean || l.inventory() != all {
			t.Fatalf("%v (%d); left\n%s\nof\n%s", err, fail.ExitCode(err), l.inventory(), all)
		}
		for _, want := range []string{
			"8 of 9 tests failed", "test 1 (command echo other; exit 1): exit status 1, want 0", `test 2 (command echo other): the output is not "here"`,
			"its mode is 640, want 0600", `its content is not "listen 81"`, "test 5 (file /nothing): it is not there", "it is there", "refused", "the console does not show it", "console ends",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error does not say %q:\n%v", want, err)
			}
		}
	})
	t.Run("unless it is to be kept", func(t *testing.T) {
		o := l.testedOptions("r6")
		o.Rebake, o.KeepFailed = true, true
		_, err := New(o).Bake(ctx, wrong)
		if fail.ExitCode(err) != fail.CodeDirty || len(fail.LeftOf(err)) != 1 || !strings.Contains(fail.LeftOf(err)[0].Command, "deregister-image") || l.lasting() != lasting {
			t.Errorf("%v (%d); left\n%s", err, fail.ExitCode(err), l.inventory())
		}
		found, lookErr := describeAMIs(ctx, o.Cloud, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("tag:"+tags.Run, "r6")}})
		if lookErr != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, lookErr)
		}
		if set := cloud.TagSet(found[0].Tags); set[tags.Failed] == "" || set[tags.Fingerprint]+set[tags.Candidate]+set[tags.Expires] != "" {
			t.Errorf("tags %v", set)
		}
	})
	t.Run("and is asked for what there is", func(t *testing.T) {
		image := l.tested(hold...)
		image.Version, image.Tests.Environment = "2", "nowhere"
		l.ResetCalls()
		_, err := New(l.testedOptions("r7")).Bake(ctx, image)
		if fail.ExitCode(err) != fail.CodeInput || strings.Contains(fmt.Sprint(l.actions()), "Create") {
			t.Errorf("%v (%d), %v", err, fail.ExitCode(err), l.actions())
		}
	})
}

// closedPort is one that nothing listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// everything is a stubbed image that is tested, copied and shared.
func (l *local) everything(server sshServer, version string) *project.Image {
	i := l.stubbed(server, version)
	i.KmsKeyID = "alias/own"
	i.Publication = project.Publication{
		AMIRegions: []string{"us-east-1"}, RegionKmsKeyIDs: map[string]string{"us-east-1": "alias/there"},
		AMIUsers: []string{"111111111111"}, SnapshotUsers: []string{"111111111111"}, DeprecateAt: "2099-01-31T12:00:00Z",
	}
	i.BakeVolume, i.PreSnapshot = &project.BakeVolume{IOPS: 4000, Throughput: 500}, true
	for range 2 {
		i.Provisioners = append(i.Provisioners, &project.Provisioner{Type: "shell-local", Options: &ShellLocal{Inline: []string{":"}}})
	}
	i.Tests = &project.Tests{Timeout: project.Duration(time.Second), Checks: []project.Check{{Command: "look", Output: "sealed"}, {Port: server.port}}}
	return i
}

// Whatever call of a bake with tests, copies and shares goes wrong, the next
// bake finishes what was begun; nothing is left that a sweep doesn't remove.
// Where that takes long it is tried on some calls only: which, the seed says.
func TestEveryCallOfEverythingGoesWrongOnce(t *testing.T) {
	const seed = 4
	for _, how := range []string{"interrupt", "gone before", "gone after", "refused", "lost answer"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
			server := stubSSH(t)
			clean := l.lasting()
			l.ResetCalls()
			if _, err := l.bakeAround(l.everything(server, "undisturbed"), &process{}); err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			calls := len(l.actions())
			chosen := rand.New(rand.NewPCG(seed, seed)).Perm(calls)
			switch how {
			case "lost answer":
				chosen = chosen[:5]
			case "interrupt", "refused", "gone before": // a call is as good as the one before
				chosen = chosen[:calls/3]
			}
			t.Logf("%d of %d calls: %v", len(chosen), calls, l.actions())
			for _, n := range chosen {
				l.everythingGoesWrong(server, how, n+1)
				if after := l.lasting(); after != clean {
					t.Errorf("call %d: left behind after the next bake\n%s\n%s", n+1, after, l.said.String())
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

func (l *local) everythingGoesWrong(server sshServer, how string, n int) {
	version := strings.ReplaceAll(how, " ", "-") + "-" + strconv.Itoa(n)
	p := l.wrong(how, n)
	l.said.Reset()
	_, first := l.bakeAround(l.everything(server, version), p)
	l.ClearFaults()
	ctx := context.Background()
	again := l.options("again-" + version)
	build, err := New(again).Bake(ctx, l.everything(server, version))
	if err != nil {
		l.t.Errorf("call %d: %v; the next bake: %v", n, first, err)
		return
	}
	known := map[string]bool{}
	for _, r := range []string{region, "us-east-1"} {
		found, err := describeAMIs(ctx, again.Cloud.In(r), &ec2.DescribeImagesInput{Owners: []string{"self"}})
		if err != nil {
			l.t.Fatal(err)
		}
		of := 0
		for _, ami := range found {
			for _, s := range cloud.SnapshotsOf(ami) {
				known[s] = true
			}
			set := cloud.TagSet(ami.Tags)
			if set[tags.Version] != version {
				continue
			}
			of++
			if ami.State != types.ImageStateAvailable || set[tags.Fingerprint] != build.Fingerprint || set[tags.Candidate]+set[tags.Expires] != "" || set[tags.Tested] == "" ||
				ami.ImdsSupport != types.ImdsSupportValuesV20 || aws.ToString(ami.DeprecationTime) == "" {
				l.t.Errorf("call %d: %s in %s is %s, tags %v", n, aws.ToString(ami.ImageId), r, ami.State, set)
			}
		}
		if of != 1 {
			l.t.Errorf("call %d: %d images in %s, want one\n%s", n, of, r, l.said.String())
		}
	}
	o := l.sweepOptions()
	o.Clouds = []*cloud.Cloud{again.Cloud}
	o.DeadRun = func(string) bool { return true }
	left, err := FindOrphans(ctx, o)
	if err == nil {
		err = left.Remove(ctx)
	}
	if err != nil {
		l.t.Errorf("call %d: sweep: %v", n, err)
	}
	for _, line := range strings.Split(l.inventory(), "\n") {
		kind, thing, _ := strings.Cut(line, ": ")
		if id, _, _ := strings.Cut(thing, " "); strings.HasSuffix(kind, " snapshot") && !known[id] {
			l.t.Errorf("call %d: no image has %s\n%s", n, line, l.said.String())
		}
	}
}

func TestCheckTests(t *testing.T) {
	no := false
	for name, test := range map[string]struct {
		check project.Check
		want  string
	}{
		"nothing":    {project.Check{Output: "x"}, "a check of nothing"},
		"two":        {project.Check{Port: 80, Command: "x"}, "command and port exclude each other"},
		"output":     {project.Check{Port: 80, Output: "x"}, "output is of command and script, not of port"},
		"mode":       {project.Check{Command: "x", Mode: "0644"}, "mode is of file, not of command"},
		"octal":      {project.Check{File: "/x", Mode: "rw"}, `mode: "rw" is not octal`},
		"relative":   {project.Check{File: "x"}, `"x" does not begin with /`},
		"absent":     {project.Check{File: "/x", Exists: &no, Mode: "0644"}, "neither mode nor content"},
		"expression": {project.Check{Command: "x", Output: "/(/"}, "missing closing )"},
		"script":     {project.Check{Script: "x.sh"}, "x.sh is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			var l diag.List
			checkTests(&project.Image{Name: "web", Dir: t.TempDir(), Tests: &project.Tests{Checks: []project.Check{test.check}}}, &l)
			if err := l.Err(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestHostKeyOnTheConsole(t *testing.T) {
	_, rsa, _ := newKey("rsa")
	_, ed, _ := newKey("ed25519")
	lines := []string{
		"boot", "[   12.3] cloud-init[512]: " + keysBegin, authorizedLine(rsa.PublicKey(), "root@web"),
		"[   12.4] cloud-init[512]: " + authorizedLine(ed.PublicKey(), "root@web"), keysEnd, "login:",
	}
	if key, ok := hostKeyIn(lines); !ok || string(key.Marshal()) != string(ed.PublicKey().Marshal()) {
		t.Errorf("got %v, %t", key, ok)
	}
	if _, ok := hostKeyIn(lines[:4]); ok {
		t.Error("a key was taken from a console that is still printing them")
	}
}
