package promote

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

const (
	home   = "eu-central-1"
	abroad = "us-east-1"
)

// far is a world of three accounts and two regions.
func far(t *testing.T) *world {
	t.Helper()
	return farAs(t, "testdata/regions.txtar")
}

func farAs(t *testing.T, file string) *world {
	t.Helper()
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond})
	w.project = loadProject(t, file)
	w.launch()
	w.awaitInstance()
	return w
}

// at is an environment's account in a region.
func (w *world) at(environment, region string) *cloud.Cloud {
	w.t.Helper()
	env, err := w.project.Environment(environment)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.newProvider().For(context.Background(), cloud.Target{Account: env.Account, Region: region, Role: env.Role})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// shows is the version of the build that an environment's pointer in a region
// holds, and its AMI; a pointer that holds what cannot be launched there shows
// neither.
func (w *world) shows(environment, region string) (version, ami string) {
	w.t.Helper()
	c := w.at(environment, region)
	p, err := c.SSM.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String(tags.Pointer("shop", environment, "web"))})
	if cloud.NotFound(err) {
		return "", ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	ami = aws.ToString(p.Parameter.Value)
	out, err := c.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{ImageIds: []string{ami}})
	if err != nil || out.Images[0].State != types.ImageStateAvailable {
		w.t.Errorf("%s in %s points at %s: %v", environment, region, ami, err)
		return "", ""
	}
	return cloud.TagSet(out.Images[0].Tags)[tags.Version], ami
}

// show fails the test unless an environment's pointers hold a version in both
// regions.
func (w *world) show(environment, version string) {
	w.t.Helper()
	here, _ := w.shows(environment, home)
	there, _ := w.shows(environment, abroad)
	if here != version || there != version {
		w.t.Errorf("%s shows %q in %s and %q in %s, want %q", environment, here, home, there, abroad, version)
	}
}

// owned are the AMIs that an environment's account has in a region.
func (w *world) owned(environment, region string) []types.Image {
	w.t.Helper()
	out, err := w.at(environment, region).EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Images
}

// climb takes a build up to an environment.
func (w *world) climb(version string, to ...string) {
	w.t.Helper()
	for _, environment := range to {
		w.promote("web", environment, version)
	}
}

var changing = []string{"CopyImage", "ModifyImageAttribute", "ModifySnapshotAttribute", "CreateTags", "DeleteTags", "PutParameter"}

// unchanged fails the test if a call was made since the last look that changes
// something.
func (w *world) unchanged(what string) {
	w.t.Helper()
	for _, action := range changing {
		if n := w.calls(action); n != 0 {
			w.t.Errorf("%s: %d %s", what, n, action)
		}
	}
}

func TestPresentInAllRegions(t *testing.T) {
	w := far(t)
	v1 := w.build("web", "1")
	w.climb("1", "dev", "test")
	if move := w.promote("web", "prod", ""); !move.Changed || !slices.Equal(move.Regions, []string{abroad}) {
		t.Errorf("to prod: %+v", move)
	}
	for _, environment := range []string{"dev", "test", "prod"} {
		w.show(environment, "1")
	}
	if n := len(w.owned("dev", abroad)); n != 1 { // dev's, which is shared with test
		t.Errorf("%d copies of dev's account abroad", n)
	}
	if n := len(w.owned("test", home)) + len(w.owned("test", abroad)); n != 0 {
		t.Errorf("%d copies of test's own", n)
	}
	original := cloud.TagSet(w.seen("dev", v1).Tags)
	for _, region := range []string{home, abroad} {
		_, ami := w.shows("prod", region)
		own := w.owned("prod", region)
		if len(own) != 1 || *own[0].ImageId != ami {
			t.Fatalf("prod has %d copies in %s", len(own), region)
		}
		if from := cloud.TagSet(own[0].Tags)[tags.CopiedFrom]; from != v1+"/"+home+"/000000000000" {
			t.Errorf("prod's copy in %s comes from %q", region, from)
		}
		if to := original[tags.CopiedTo+"222222222222:"+region]; to != ami {
			t.Errorf("the original says that prod's copy in %s is %q", region, to)
		}
		if cloud.TagSet(own[0].Tags)[tags.Promoted("prod")] == "" {
			t.Errorf("prod's copy in %s is not marked as promoted", region)
		}
		if key := w.keyOf("prod", region, own[0]); key != w.keyAt("prod", region) {
			t.Errorf("prod's copy in %s is under %s", region, key)
		}
	}

	// Whoever launches there by the pointer's name gets it.
	_, there := w.shows("prod", abroad)
	run, err := w.at("prod", abroad).EC2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("resolve:ssm:" + tags.Pointer("shop", "prod", "web")), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if err != nil || aws.ToString(run.Instances[0].ImageId) != there {
		t.Errorf("launched by the pointer: %+v, %v", run, err)
	}

	// An environment that lives where another has its copies finds them.
	w.local.ResetCalls()
	if move := w.promote("web", "dr", ""); move.To.AMI != there || w.calls("CopyImage") != 0 {
		t.Errorf("to dr: %+v, %d copies", move, w.calls("CopyImage"))
	}
	w.local.ResetCalls()
	for _, environment := range []string{"dev", "test", "prod", "dr"} {
		if again := w.promote("web", environment, ""); again.Changed || len(again.Regions) != 0 {
			t.Errorf("again to %s: %+v", environment, again)
		}
	}
	w.unchanged("again")
}

// keyOf is the key of an image's snapshot.
func (w *world) keyOf(environment, region string, image types.Image) string {
	w.t.Helper()
	out, err := w.at(environment, region).EC2.DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: cloud.SnapshotsOf(image)})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.Snapshots[0].KmsKeyId)
}

// keyAt is the ARN of the key alias/images of an environment's account in a region.
func (w *world) keyAt(environment, region string) string {
	w.t.Helper()
	out, err := w.at(environment, region).KMS.DescribeKey(w.t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/images")})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

// put writes prod's pointer in a region as something else than Goldline would.
func (w *world) put(region string, images []types.Image, version string) {
	w.t.Helper()
	for _, image := range images {
		if cloud.TagSet(image.Tags)[tags.Version] != version {
			continue
		}
		_, err := w.at("prod", region).SSM.PutParameter(w.t.Context(), &ssm.PutParameterInput{
			Name: aws.String(tags.Pointer("shop", "prod", "web")), Value: image.ImageId, Overwrite: aws.Bool(true),
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// Environments that want the same copy at the same time get one, in one process and
// in several.
func TestOneCopyForTwoEnvironments(t *testing.T) {
	for _, processes := range []int{1, 2} {
		w := far(t)
		w.build("web", "1")
		w.climb("1", "dev", "test")
		one := w.promoter()
		err := graph.Each(t.Context(), 0, 2, func(ctx context.Context, i int) error {
			p, to := one, []string{"prod", "dr"}[i]
			if processes == 2 {
				p = w.promoter()
			}
			_, err := p.Promote(ctx, Request{Image: "web", To: to, Build: "1", SkipLadder: true, Reason: "r"})
			return err
		})
		if err != nil {
			t.Error(err)
		}
		w.show("prod", "1")
		_, prod := w.shows("prod", abroad)
		_, dr := w.shows("dr", abroad)
		if n := len(w.owned("prod", abroad)); n != 1 || prod != dr {
			t.Errorf("%d processes: %d copies abroad, prod shows %s and dr %s", processes, n, prod, dr)
		}
	}
}

// Copies that a run had begun when it was stopped are waited for by the next, and not
// made again, whichever of the regions they are in.
func TestCopiesUnderWay(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	w.both("web", "1")
	w.promote("web", "dev", "")
	w.local.ResetCalls()
	runs := 0
	for err := error(context.Canceled); err != nil && runs < 9; runs++ {
		ctx, stop := context.WithCancel(t.Context())
		p := New(Options{Project: w.project, Provider: w.newProvider(), Sink: event.Func(func(e event.Event) {
			if e.Kind == event.Created {
				stop()
			}
		})})
		_, err = p.Promote(ctx, Request{Image: "web", To: "prod"})
		stop()
	}
	made := 0
	for _, call := range w.local.Calls() {
		if call.Action == "CopyImage" && call.Code == "" {
			made++
		}
	}
	if made != 4 || len(w.owned("prod", home)) != 2 || len(w.owned("prod", abroad)) != 2 || runs < 2 {
		t.Errorf("%d copies of two AMIs to two regions, in %d runs", made, runs)
	}
	w.show("prod", "1")
}

func TestArchitecturesInAllRegions(t *testing.T) {
	w := far(t)
	w.both("web", "1")
	w.climb("1", "dev", "test", "prod")
	w.show("prod", "1")
	for _, region := range []string{home, abroad} {
		p, err := w.at("prod", region).SSM.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(tags.ArchitecturePointer("shop", "prod", "web", "arm64"))})
		if err != nil {
			t.Fatal(err)
		}
		own := w.owned("prod", region)
		if len(own) != 2 || !slices.ContainsFunc(own, func(i types.Image) bool {
			return *i.ImageId == *p.Parameter.Value && i.Architecture == types.ArchitectureValuesArm64
		}) {
			t.Errorf("%s: %d AMIs, the one for arm64 is %s", region, len(own), *p.Parameter.Value)
		}
	}
}
