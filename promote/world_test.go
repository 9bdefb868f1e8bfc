package promote

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/rogpeppe/go-internal/txtar"
)

// world is a local cloud without machines, and the project's builds in it.
type world struct {
	t        *testing.T
	local    *emulator.Cloud
	project  *project.Project
	provider *cloud.Provider
	cloud    *cloud.Cloud // of dev and test
	instance string       // that builds are made of
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond})
	w.launch()
	w.awaitInstance()
	return w
}

func openWorld(t *testing.T, o emulator.Options) *world {
	t.Helper()
	local, err := emulator.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, local: local, project: loadProject(t, "testdata/project.txtar")}
	w.provider = w.newProvider()
	if w.cloud, err = w.provider.For(t.Context(), cloud.Target{Account: cloud.LocalAccount, Region: "eu-central-1"}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) newProvider() *cloud.Provider {
	return cloud.NewProvider(cloud.Config{Transport: w.local.Transport(), PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
}

func loadProject(t *testing.T, file string) *project.Project {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := project.Load(dir, project.Vocabulary{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// launch starts the instance that builds are made of.
func (w *world) launch() {
	w.t.Helper()
	public, err := w.cloud.EC2.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("architecture", "x86_64"), cloud.Filter("name", "debian-12-*")}})
	if err != nil || len(public.Images) == 0 {
		w.t.Fatalf("source images: %v", err)
	}
	out, err := w.cloud.EC2.RunInstances(w.t.Context(), &ec2.RunInstancesInput{
		ImageId: public.Images[0].ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.instance = aws.ToString(out.Instances[0].InstanceId)
}

func (w *world) awaitInstance() {
	w.t.Helper()
	_, err := w.cloud.Instances.Wait(w.t.Context(), cloud.Wait[types.Instance]{
		ID: w.instance, For: "the instance", Deadline: 10 * time.Second,
		Done: func(i types.Instance, found bool) (bool, error) {
			return found && i.State.Name == types.InstanceStateNameRunning, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// build makes a build of an image and gives its AMI.
func (w *world) build(image, version string) string {
	w.t.Helper()
	ami := w.pendingBuild(image, version)
	_, err := w.cloud.Images.Wait(w.t.Context(), cloud.Wait[types.Image]{
		ID: ami, For: "the image", Deadline: 10 * time.Second,
		Done: func(i types.Image, found bool) (bool, error) {
			return found && i.State == types.ImageStateAvailable, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ami
}

func (w *world) pendingBuild(image, version string) string {
	w.t.Helper()
	out, err := w.cloud.EC2.CreateImage(w.t.Context(), &ec2.CreateImageInput{
		InstanceId: aws.String(w.instance), Name: aws.String(image + "/" + version), NoReboot: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{
			tags.Project: "shop", tags.Image: image, tags.Version: version, tags.Fingerprint: "f" + strings.Repeat(version, 12), tags.SourceImage: "ami-0123456789abcdef0",
		})},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.ImageId)
}

// promoter is a new one, as a new process would have it.
func (w *world) promoter() *Promoter {
	return New(Options{Project: w.project, Provider: w.newProvider(), Run: "20261121T101500Z-ab12cd"})
}

func (w *world) promote(image, to, build string) Move {
	w.t.Helper()
	move, err := w.promoter().Promote(w.t.Context(), Request{Image: image, To: to, Build: build})
	if err != nil {
		w.t.Fatal(err)
	}
	return move
}

// livingWith is the context of a process in which a fault comes up. One that dies of
// it gets no answer any more, so what it waits for is cut off soon.
func livingWith(ctx context.Context, fault emulator.Fault) (context.Context, context.CancelFunc) {
	if fault.Kind == emulator.DieAfter {
		return context.WithTimeout(ctx, 300*time.Millisecond)
	}
	return context.WithCancel(ctx)
}

// calls counts the calls of an action since the last look.
func (w *world) calls(action string) int {
	n := 0
	for _, c := range w.local.Calls() {
		if c.Action == action {
			n++
		}
	}
	return n
}

func (w *world) current(environment, image string) string {
	w.t.Helper()
	out, err := w.cloud.SSM.GetParameter(w.t.Context(), &ssm.GetParameterInput{Name: aws.String(tags.Pointer("shop", environment, image))})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.Parameter.Value)
}
