package bake

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// inSteps is an image with cache: steps that keeps one after each provisioner but
// the last.
func (l *local) inSteps(scripts ...string) *project.Image {
	i := l.image("web")
	i.Cache = "steps"
	for _, script := range scripts {
		i.Provisioners = append(i.Provisioners, &project.Provisioner{Type: "shell", Cache: aws.Bool(true), Options: &Shell{Inline: []string{script}, ExecuteCommand: "sudo env {{.Vars}} sh {{.Path}}"}})
	}
	return i
}

// steps gives the images of steps that there are.
func (l *local) steps() []types.Image {
	l.t.Helper()
	found, err := describeAMIs(context.Background(), l.reach(nil), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("tag-key", tags.Step)}})
	if err != nil {
		l.t.Fatal(err)
	}
	return found
}

func TestStepsAreCached(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: machine.InProcess}, nil)
	bake := func(run string, image *project.Image, change func(*Options)) (Build, string) {
		t.Helper()
		l.said.Reset()
		o := l.options(run)
		if change != nil {
			change(&o)
		}
		b, err := New(o).Bake(context.Background(), image)
		if err != nil {
			t.Fatalf("%v\n%s", err, l.said.String())
		}
		return b, l.said.String()
	}
	ran := func(said string) string {
		var list []string
		for _, word := range []string{"first", "second", "third", "changed"} {
			if strings.Contains(said, "output "+word) {
				list = append(list, word)
			}
		}
		return strings.Join(list, " ")
	}
	const one, two, three = "echo first; echo 1 > /etc/one", "echo second; cat /etc/one; echo 2 > /etc/two", "echo third; cat /etc/one /etc/two"
	_, said := bake("r1", l.inSteps(one, two, three), nil)
	if got := ran(said); got != "first second third" || len(l.steps()) != 2 {
		t.Fatalf("ran %q and kept %d steps\n%s", got, len(l.steps()), said)
	}
	for _, ami := range l.steps() {
		set := cloud.TagSet(ami.Tags)
		if set[tags.Fingerprint]+set[tags.Version] != "" || set[tags.Image] != "web" || set[tags.Expires] == "" {
			t.Errorf("a step's image has the tags %v", set)
		}
	}

	changed := l.inSteps(one, two, "echo changed; cat /etc/one /etc/two")
	e, err := New(l.options("r2")).Explain(context.Background(), changed)
	if err != nil || e.FirstStep != 3 || e.BaseStep != 2 || e.Base == "" {
		t.Errorf("explained as %+v, %v", e, err)
	}
	b, said := bake("r2", changed, nil)
	if got := ran(said); got != "changed" || b.Base != e.Base || len(l.steps()) != 2 {
		t.Errorf("the last one changed: ran %q from %s, with %d steps\n%s", got, b.Base, len(l.steps()), said)
	}

	_, said = bake("r3", l.inSteps(one, "echo changed; echo 2 > /etc/two", three), nil)
	if got := ran(said); got != "third changed" || len(l.steps()) != 2 {
		t.Errorf("the second one changed: ran %q, with %d steps\n%s", got, len(l.steps()), said)
	}

	_, said = bake("r4", l.inSteps(one, "echo changed; echo 2 > /etc/two", three), func(o *Options) { o.Rebake = true })
	if got := ran(said); got != "first third changed" || len(l.steps()) != 2 {
		t.Errorf("rebaked: ran %q, with %d steps\n%s", got, len(l.steps()), said)
	}

	l.Inject(emulator.Fault{Service: "ec2", Action: "RunInstances", Kind: emulator.Error, Code: "InvalidAMIID.Unavailable"})
	_, said = bake("r5", l.inSteps(one, "echo changed; echo 2 > /etc/two", "echo third"), nil)
	l.ClearFaults()
	if got := ran(said); got != "third changed" || !strings.Contains(said, "cannot be started from any more") {
		t.Errorf("a step's image gone: ran %q\n%s", got, said)
	}
	t.Run("sweep", func(t *testing.T) {
		o := l.sweepOptions()
		o.DeadRun = func(string) bool { return true }
		left, err := FindOrphans(context.Background(), o)
		if err != nil || len(left.Orphans) != 4 || left.Removable() != 0 { // two images, and their snapshots
			t.Errorf("%+v, %v", left, err)
		}
		for _, ami := range l.steps() {
			ids := append(cloud.SnapshotsOf(ami), aws.ToString(ami.ImageId))
			if _, err := l.reach(nil).EC2.CreateTags(context.Background(), &ec2.CreateTagsInput{Resources: ids, Tags: cloud.Tags(map[string]string{tags.Expires: "2020-01-01T00:00:00Z"})}); err != nil {
				t.Fatal(err)
			}
		}
		left, err = FindOrphans(context.Background(), o)
		if err == nil {
			err = left.Remove(context.Background())
		}
		if err != nil || len(l.steps()) != 0 {
			t.Errorf("%d steps left of %+v, %v", len(l.steps()), left, err)
		}
	})
}

func TestPrefixes(t *testing.T) {
	shell := func(line string) *project.Provisioner {
		return &project.Provisioner{Type: "shell", Options: &Shell{Inline: []string{line}}}
	}
	image := func(provisioners ...*project.Provisioner) *project.Image {
		i := &project.Image{Name: "web", Dir: t.TempDir(), Provisioners: provisioners}
		i.Cache = "steps"
		return i
	}
	of := func(i *project.Image) []prefix {
		all, err := prefixes(i, "ami-1", "x86_64", redactor{})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	base := of(image(shell("a"), shell("b"), shell("c")))
	if len(base) != 3 || base[0].fingerprint == base[1].fingerprint {
		t.Fatalf("%+v", base)
	}
	for name, c := range map[string]struct {
		image *project.Image
		same  int // prefixes that are the same
		of    int
	}{
		"the second changed":            {image(shell("a"), shell("x"), shell("c")), 1, 3},
		"one before":                    {image(shell("x"), shell("a"), shell("b")), 0, 3},
		"one more":                      {image(shell("a"), shell("b"), shell("c"), shell("d")), 3, 4},
		"one for another image":         {image(shell("a"), shell("b"), &project.Provisioner{Type: "shell", Only: []string{"db"}, Options: &Shell{Inline: []string{"x"}}}), 2, 2},
		"a download":                    {image(shell("a"), &project.Provisioner{Type: "file", Options: &File{Source: "/x", Destination: "x", Direction: "download"}}, shell("c")), 1, 1},
		"what is generated":             {image(shell("a"), &project.Provisioner{Type: "file", Options: &File{Source: "x", Destination: "/x", Generated: true}}, shell("c")), 1, 1},
		"something on this side":        {image(&project.Provisioner{Type: "shell-local", Options: &ShellLocal{Inline: []string{"x"}}}, shell("a")), 0, 0},
		"a breakpoint":                  {image(shell("a"), &project.Provisioner{Type: "breakpoint", Options: &Breakpoint{}}, shell("c")), 1, 1},
		"a breakpoint that is disabled": {image(shell("a"), shell("b"), &project.Provisioner{Type: "breakpoint", Options: &Breakpoint{Disable: true}}), 2, 3},
	} {
		got := of(c.image)
		same := 0
		for i, p := range got {
			if i < len(base) && p == base[i] {
				same++
			}
		}
		if same != c.same || len(got) != c.of {
			t.Errorf("%s: %d of %d prefixes are the same, want %d of %d", name, same, len(got), c.same, c.of)
		}
	}
	for name, change := range map[string]func(*project.Image){
		"user data": func(i *project.Image) { i.UserData = "x" }, "the user": func(i *project.Image) { i.SSHUsername = "x" }, "the name": func(i *project.Image) { i.Name = "db" },
	} {
		i := image(shell("a"))
		change(i)
		if of(i)[0] == base[0] {
			t.Errorf("%s changes no prefix", name)
		}
	}
	named := image(shell("a"))
	named.Version, named.AMIName = "2", "x"
	if of(named)[0] != base[0] {
		t.Error("version and ami_name change a prefix")
	}
}

// An image that was baked from the image of a step holds nothing of what either of
// its builders was given: looked for in what is left of the step's files under those
// of the build.
func TestImageOfStepsHoldsNothingOfItsMaking(t *testing.T) {
	for _, kind := range []machine.Kind{machine.InProcess, machine.UserNS, machine.Overlay} {
		t.Run(string(kind), func(t *testing.T) {
			kept := t.TempDir()
			c, err := emulator.Open(context.Background(), emulator.Options{Machine: kind, Dir: kept, Transition: 10 * time.Millisecond})
			if err != nil {
				t.Skipf("machines of kind %s do not work here: %v", kind, err)
			}
			l := &local{Cloud: c, t: t, dir: folder(t, nil)}
			var build Build
			for _, run := range []string{"r1", "r2"} {
				image := l.inSteps("echo kept > /tmp/kept", "echo kept > /etc/own # "+run)
				image.UserData = "#cloud-config\nwrite_files: [{path: /etc/data, content: from-user-data}]\n"
				if build, err = New(l.options(run)).Bake(context.Background(), image); err != nil {
					t.Fatalf("%v\n%s", err, l.said.String())
				}
			}
			steps := l.steps()
			found, err := describeAMIs(context.Background(), l.reach(nil), &ec2.DescribeImagesInput{ImageIds: []string{build.AMI}})
			if err != nil || len(steps) != 1 || build.Base != aws.ToString(steps[0].ImageId) {
				t.Fatalf("%v: %+v from %d steps\n%s", err, build, len(steps), l.said.String())
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(l.said.String(), "warning") {
				t.Errorf("warnings:\n%s", l.said.String())
			}
			seen := t.TempDir()
			lower, upper := filepath.Join(seen, "step"), filepath.Join(seen, "build")
			for at, ami := range map[string]types.Image{lower: steps[0], upper: found[0]} {
				if err := os.Rename(filepath.Join(kept, layers, cloud.SnapshotsOf(ami)[0], "files"), at); err != nil {
					t.Fatal(err)
				}
			}
			l.uncover(lower, upper)
			l.lookInto(seen)
		})
	}
}

// uncover leaves of a layer what can be seen through the one above it.
func (l *local) uncover(lower, upper string) {
	text, _ := os.ReadFile(filepath.Join(upper, ".deleted"))
	deleted := strings.Split(string(text), "\x00")
	secrets := 0
	err := filepath.WalkDir(lower, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte("PRIVATE KEY")) {
			secrets++
		}
		rel := strings.TrimPrefix(path, lower+"/")
		_, err = os.Lstat(filepath.Join(upper, rel))
		if covered := slices.ContainsFunc(deleted, func(d string) bool {
			return d == rel || d != "" && strings.HasPrefix(rel, strings.TrimSuffix(d, "/")+"/")
		}); covered || err == nil {
			return os.Remove(path)
		}
		return nil
	})
	if err != nil || secrets == 0 {
		l.t.Errorf("looked into %s: %d secrets in the step's files, %v", lower, secrets, err)
	}
}

// Whatever call of a bake that keeps images of its steps, or starts from one, goes
// wrong, the next bake finishes it, and nothing is left but what has an expiry.
func TestEveryCallOfStepsGoesWrongOnce(t *testing.T) {
	server := stubSSH(t)
	for _, how := range []string{"interrupt", "gone before", "gone after", "refused", "lost answer"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
			image := func(version, last string) *project.Image {
				i := l.inSteps("one "+version, "two", last)
				i.Version, i.SSHHost, i.SSHPort, i.SSHHostPublicKey = version, "127.0.0.1", server.port, server.hostKey
				return i
			}
			clean := l.lasting()
			l.ResetCalls()
			if _, err := l.bakeAround(image("undisturbed", "three"), &process{}); err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			calls := l.actions()
			t.Logf("%d calls: %v", len(calls), calls)
			every := 1
			if how == "lost answer" || how == "interrupt" {
				every = 4 // each takes a while
			}
			for n := 1; n <= len(calls) && !t.Failed(); n += every {
				version := fmt.Sprintf("%s-%d", strings.ReplaceAll(how, " ", "-"), n)
				p := l.wrong(how, n)
				l.said.Reset()
				_, first := l.bakeAround(image(version, "three"), p)
				l.ClearFaults()
				again := l.options("again-" + version)
				b, err := New(again).Bake(context.Background(), image(version, "three"))
				if available, all := l.builds(again.Cloud, version); err != nil || available != 1 || all != 1 {
					t.Errorf("call %d: %v; then %v with %d builds, %d of them available\n%s", n, first, err, all, available, l.said.String())
				}
				if after := l.lasting(); after != clean {
					t.Errorf("call %d: left behind after the next bake\n%s\n%s", n, after, l.said.String())
				}
				for _, ami := range l.steps() {
					if set := cloud.TagSet(ami.Tags); set[tags.Expires] == "" || set[tags.Fingerprint] != "" {
						t.Errorf("call %d: a step's image has the tags %v", n, set)
					}
				}
				_ = b
			}
		})
	}
}

// Two services that need the same base, or one that is asked for twice, bake it
// once.
func TestOneBaseForAll(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
	server := stubSSH(t)
	baker := New(l.options("r1"))
	image := func(name, base string) *project.Image {
		i := l.stubbed(server, "1")
		i.Name = name
		if base != "" {
			i.SourceAMIFilter, i.SourceImage = nil, base
		}
		return i
	}
	l.ResetCalls()
	builds := make([]Build, 4)
	err := graph.Each(context.Background(), 0, 2, func(ctx context.Context, i int) (err error) {
		if builds[i], err = baker.Bake(ctx, image("base", "")); err == nil {
			builds[2+i], err = baker.Bake(ctx, image([]string{"web", "api"}[i], "base"))
		}
		return err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	launched := strings.Count(strings.Join(l.actions(), " "), "RunInstances")
	if launched != 3 || builds[0].AMI != builds[1].AMI || builds[0].Reused == builds[1].Reused || builds[2].SourceAMI != builds[0].AMI || builds[3].SourceAMI != builds[0].AMI {
		t.Errorf("%d builders for %+v", launched, builds)
	}
}
