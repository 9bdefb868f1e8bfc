package bake

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// both is a recipe for two architectures.
func both(i *project.Image) *project.Image {
	i.Architectures = []string{"x86_64", "arm64"}
	i.SourceAMIFilter.Filters["name"] = "debian-12-*"
	return i
}

// amis are the AMIs of an image by architecture, builds or not.
func (l *local) amis(c *cloud.Cloud, image string) map[string]map[string]string {
	found, err := describeAMIs(context.Background(), c, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		l.t.Fatal(err)
	}
	by := map[string]map[string]string{}
	for _, ami := range found {
		if set := cloud.TagSet(ami.Tags); set[tags.Image] == image {
			key := string(ami.Architecture)
			for by[key] != nil {
				key += " again"
			}
			by[key] = set
			by[key]["id"] = aws.ToString(ami.ImageId)
		}
	}
	return by
}

func TestArchitectures(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
	server := stubSSH(t)
	recipe := func(name string) *project.Image {
		i := both(l.stubbed(server, "1"))
		i.Name = name
		return i
	}
	options := l.options("r1")
	baker := New(options)
	l.ResetCalls()
	build, err := baker.Bake(context.Background(), recipe("base"))
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	t.Logf("%d calls: %v", len(l.actions()), l.actions())
	amis := l.amis(options.Cloud, "base")
	x, arm := amis["x86_64"], amis["arm64"]
	if len(amis) != 2 || x == nil || arm == nil {
		t.Fatalf("AMIs %v", amis)
	}
	if build.AMI != x["id"] || build.Architecture != "x86_64" || len(build.Architectures) != 2 || build.Architectures[1].AMI != arm["id"] || build.Architectures[1].Fingerprint != build.Fingerprint {
		t.Errorf("build %+v", build)
	}
	for a, set := range amis {
		if set[tags.Architecture] != a || set[tags.Architectures] != "x86_64 arm64" || set[tags.Version] != "1" || set[tags.Fingerprint] != build.Fingerprint || set[tags.Candidate]+set[tags.Expires] != "" {
			t.Errorf("%s: %v", a, set)
		}
	}
	for _, kind := range []string{"(t3.micro)", "(t4g.micro)"} {
		if !strings.Contains(l.said.String(), kind) {
			t.Errorf("no builder of type %s", kind)
		}
	}

	t.Run("are reused", func(t *testing.T) {
		again, err := New(l.options("r2")).Bake(context.Background(), recipe("base"))
		if err != nil || !again.Reused || again.AMI != build.AMI || again.Architectures[1].AMI != arm["id"] {
			t.Errorf("%+v, %v", again, err)
		}
		if e, err := New(l.options("r2")).Explain(context.Background(), recipe("base")); err != nil || !e.Hit || e.AMI != build.AMI {
			t.Errorf("explained: %+v, %v", e, err)
		}
	})
	t.Run("are paired with those of a source image", func(t *testing.T) {
		web := recipe("web")
		web.SourceAMIFilter, web.SourceImage = nil, "base"
		if _, err := New(l.options("r3")).Bake(context.Background(), web); err != nil {
			t.Fatal(err)
		}
		if got := l.amis(options.Cloud, "web"); got["x86_64"][tags.SourceImage] != x["id"] || got["arm64"][tags.SourceImage] != arm["id"] {
			t.Errorf("sources %v", got)
		}
		one := l.stubbed(server, "1")
		one.Name, one.SourceAMIFilter, one.SourceImage = "one", nil, "base"
		if b, err := New(l.options("r4")).Bake(context.Background(), one); err != nil || b.SourceAMI != x["id"] {
			t.Errorf("one: %+v, %v", b, err)
		}
		one.Name, one.InstanceType = "mismatched", "t4g.small"
		if _, err := New(l.options("r5")).Bake(context.Background(), one); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "cannot run the source image") {
			t.Errorf("mismatched: %v", err)
		}
	})
	t.Run("are no source while one is missing", func(t *testing.T) {
		if _, err := options.Cloud.EC2.DeregisterImage(context.Background(), &ec2.DeregisterImageInput{ImageId: aws.String(arm["id"])}); err != nil {
			t.Fatal(err)
		}
		web := recipe("late")
		web.SourceAMIFilter, web.SourceImage = nil, "base"
		if _, err := New(l.options("r6")).Bake(context.Background(), web); fail.ExitCode(err) != fail.CodeInput {
			t.Errorf("a half source: %v", err)
		}
		again, err := New(l.options("r7")).Bake(context.Background(), recipe("base"))
		if err != nil || again.Reused || again.AMI != x["id"] || !again.Architectures[0].Reused || again.Architectures[1].Reused {
			t.Errorf("completed: %+v, %v", again, err)
		}
	})
}

// A failure of one architecture leaves nothing of the other.
func TestArchitectureFails(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
	server := stubSSH(t)
	before := l.inventory()
	l.Inject(emulator.Fault{Service: "ec2", Action: "CreateImage", Nth: 2, Kind: emulator.Error, Code: "UnauthorizedOperation"})
	_, err := New(l.options("r1")).Bake(context.Background(), both(l.stubbed(server, "1")))
	if fail.ExitCode(err) != fail.CodeClean || strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error %v (%d)", err, fail.ExitCode(err))
	}
	if after := l.inventory(); after != before {
		t.Errorf("left behind:\n%s\n%s", after, l.said.String())
	}
}

func TestCheckArchitectures(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(*project.Image)
	}{
		{"right", "", func(i *project.Image) {
			i.ByArchitecture = map[string]map[string]string{"instance_type": {"x86_64": "m5.large", "arm64": "im4gn.large"}}
		}},
		{"one type", "t3.small runs x86_64, not arm64; give one for each: {x86_64: t3.small, arm64: t4g.small}", func(i *project.Image) { i.InstanceType = "t3.small" }},
		{"swapped", "t3.small runs x86_64, not arm64; such as t4g.small", func(i *project.Image) {
			i.ByArchitecture = map[string]map[string]string{"instance_type": {"x86_64": "m5.large", "arm64": "t3.small"}}
		}},
		{"one missing", "instance_type says nothing for arm64", func(i *project.Image) {
			i.ByArchitecture = map[string]map[string]string{"instance_type": {"x86_64": "m5.large"}}
		}},
		{"one AMI", "an AMI has one architecture, and this is to be the source of 2; give one for each", func(i *project.Image) {
			i.SourceAMIFilter, i.SourceAMI = nil, "ami-1"
		}},
		{"a filter of one", "with * in its place the architecture decides: debian-12-*-x", func(i *project.Image) {
			i.SourceAMIFilter.Filters["name"] = "debian-12-amd64-x"
		}},
		{"its own filter", "leave it out: architectures says it", func(i *project.Image) { i.SourceAMIFilter.Filters["architecture"] = "x86_64" }},
		{"no spot type", "none of the types runs arm64; add one such as m7g.large", func(i *project.Image) { i.SpotInstanceTypes = []string{"m5.large"} }},
		{"none", "instance_type for each architecture, but there are no architectures; add architectures: [arm64]", func(i *project.Image) {
			i.Architectures, i.ByArchitecture = nil, map[string]map[string]string{"instance_type": {"arm64": "t4g.small"}}
		}},
	} {
		i := both((&local{}).image("web"))
		c.change(i)
		var said []string
		for _, p := range CheckImage(i) {
			text := p.Message
			if p.Hint != "" {
				text += "; " + p.Hint
			}
			said = append(said, text)
		}
		if got := strings.Join(said, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// Whatever goes wrong with one call of a bake for two architectures, with tests
// and a copy in another region, the next bake makes good. Each call goes wrong in
// one of the ways; FAULTS=all tries them all, which takes a minute or two.
func TestEveryCallOfTwoArchitecturesGoesWrongOnce(t *testing.T) {
	ways := []string{"interrupt", "gone before", "gone after", "refused", "lost answer"}
	for way, wrong := range ways {
		first, stride := 1+way, len(ways)
		if os.Getenv("FAULTS") == "all" {
			first, stride = 1, 1
		}
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
			server := stubSSH(t)
			recipe := func(version string) *project.Image {
				i := both(l.stubbed(server, version))
				i.AMIRegions = []string{"eu-west-1"}
				i.Tests = &project.Tests{Timeout: project.Duration(time.Second), Checks: []project.Check{{Command: "true"}}}
				return i
			}
			clean := l.lasting()
			l.ResetCalls()
			if _, err := l.bakeAround(recipe("undisturbed"), &process{}); err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			calls := l.actions()
			t.Logf("%d calls: %v", len(calls), calls)
			for n := first; n <= len(calls) && !t.Failed(); n += stride {
				l.goWrongTwice(recipe, wrong, n)
				if after := l.lasting(); after != clean {
					t.Errorf("call %d: left behind after the next bake\n%s\n%s", n, after, l.said.String())
				}
			}
		})
	}
}

// goWrongTwice is goWrong of a recipe for two architectures.
func (l *local) goWrongTwice(recipe func(string) *project.Image, wrong string, n int) {
	version := strings.ReplaceAll(wrong, " ", "-") + "-" + strconv.Itoa(n)
	p := l.wrong(wrong, n)
	l.said.Reset()
	_, first := l.bakeAround(recipe(version), p)
	l.ClearFaults()
	again := l.options("again-" + version)
	build, err := New(again).Bake(context.Background(), recipe(version))
	if err != nil {
		l.t.Errorf("call %d: the next bake: %v, after %v\n%s", n, err, first, l.said.String())
		return
	}
	for _, in := range []*cloud.Cloud{again.Cloud, again.Cloud.In("eu-west-1")} {
		if available, all := l.builds(in, version); available != 2 || all != 2 {
			l.t.Errorf("call %d: in %s %d AMIs, %d of them available, want two, after %v\n%s", n, in.Region, all, available, first, l.said.String())
		}
	}
	for _, one := range build.Architectures {
		set := cloud.TagSet(imageIn(l.t, again.Cloud, one.AMI).Tags)
		if set[tags.Fingerprint] != build.Fingerprint || set[tags.Candidate]+set[tags.Expires] != "" || set[tags.Version] != version {
			l.t.Errorf("call %d: %s: %v", n, one.Architecture, set)
		}
	}
}

// A source image may be what a parameter holds, as EC2 takes it.
func TestSourceOfParameter(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
	i := l.stubbed(stubSSH(t), "1")
	i.SourceAMIFilter, i.SourceAMI = nil, "resolve:ssm:/aws/service/debian/release/12/latest/amd64"
	build, err := New(l.options("r1")).Bake(context.Background(), i)
	if err != nil || !strings.HasPrefix(build.SourceAMI, "ami-") {
		t.Fatalf("%+v, %v", build, err)
	}
	i.SourceAMI = "resolve:ssm:/nowhere"
	if _, err = New(l.options("r2")).Bake(context.Background(), i); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "no parameter /nowhere in eu-central-1") {
		t.Errorf("nowhere: %v", err)
	}
}
