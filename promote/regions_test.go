package promote

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
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

// Going back, and taking that back, moves the pointers of all regions, and marks
// say the same in all.
func TestGoingBackInAllRegions(t *testing.T) {
	w := far(t)
	w.build("web", "1")
	second := w.build("web", "2")
	w.climb("1", "dev", "test", "prod")
	first := time.Now()
	w.climb("2", "dev", "test", "prod")
	w.show("prod", "2")
	p := w.promoter()
	back, err := p.Rollback(t.Context(), "web", "prod", "")
	if err != nil || back.To.Version != "1" || !slices.Equal(back.Regions, []string{abroad}) {
		t.Errorf("back: %+v, %v", back, err)
	}
	w.show("prod", "1")
	if err := p.Restore(t.Context(), back); err != nil {
		t.Error(err)
	}
	w.show("prod", "2")

	_, own := w.shows("prod", home)
	_, there := w.shows("prod", abroad)
	if err := w.promoter().Fail(t.Context(), "prod", []string{own}, "it does not answer"); err != nil {
		t.Fatal(err)
	}
	failed := func() string {
		of := func(region, ami string) bool {
			return slices.ContainsFunc(w.owned("prod", region), func(i types.Image) bool {
				return *i.ImageId == ami && cloud.TagSet(i.Tags)[tags.FailedIn("prod")] != ""
			})
		}
		return fmt.Sprint(of(home, own), of(abroad, there))
	}
	if got := failed(); got != "true true" {
		t.Errorf("marked as failed: %s", got)
	}
	undoes, err := w.promoter().Undoes(t.Context(), "prod", nil)
	if err != nil || len(undoes) != 1 {
		t.Fatalf("undoes %+v, %v", undoes, err)
	}
	if _, err := w.promoter().PutBack(t.Context(), "prod", undoes[0], "it failed"); err != nil {
		t.Error(err)
	}
	w.show("prod", "1")
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2"}); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("what failed there: %v", err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2", RetryFailed: true}); err != nil {
		t.Error(err)
	}
	if got := failed(); got != "false false" {
		t.Errorf("marked as failed after it was tried again: %s", got)
	}

	// The pointer of a further region that something else moved is seen, and taken
	// back with the rest.
	returns, err := w.promoter().Past(t.Context(), "prod", nil, Moment{At: first})
	if err != nil || len(returns) != 1 || !returns[0].Moves() || returns[0].To.Version != "1" {
		t.Errorf("as it was: %+v, %v", returns, err)
	}
	w.put(abroad, w.owned("prod", abroad), "1")
	returns, err = w.promoter().Past(t.Context(), "prod", nil, Moment{At: time.Now()})
	if err != nil || len(returns) != 1 || !returns[0].Moves() || !slices.Equal(returns[0].Regions, []string{abroad}) || returns[0].To != returns[0].From {
		t.Errorf("as it is: %+v, %v", returns, err)
	}
	board, err := w.promoter().Board(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range board {
		lags := s.Environment == "prod" && s.Image == "web"
		for _, r := range s.Regions {
			if r.Lags != lags || lags && r.Version != "1" {
				t.Errorf("%s of %s: %+v", s.Image, s.Environment, r)
			}
		}
		if want := map[bool]int{true: 0, false: 1}[s.Environment == "dr"]; len(s.Regions) != want {
			t.Errorf("%s has %d further regions", s.Environment, len(s.Regions))
		}
	}
	if again, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2"}); err != nil || again.Changed || !slices.Equal(again.Regions, []string{abroad}) {
		t.Errorf("caught up: %+v, %v", again, err)
	}
	w.show("prod", "2")

	r, err := w.promoter().Revoke(t.Context(), second, "CVE-2026-1234")
	if err != nil || len(r.AMIs) != 4 || len(r.Current) != 3 || len(r.Lagging) != 0 {
		t.Errorf("revoked: %+v, %v", r, err)
	}
	for _, environment := range []string{"dev", "prod"} {
		for _, region := range []string{home, abroad} {
			for _, image := range w.owned(environment, region) {
				if set := cloud.TagSet(image.Tags); (set[tags.Revoked] != "") != (set[tags.Version] == "2") {
					t.Errorf("%s of %s in %s: revoked %q", set[tags.Version], environment, region, set[tags.Revoked])
				}
			}
		}
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dr", Build: "2"}); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked copy: %v", err)
	}
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

// A further region that does not answer holds up what moves pointers, and says how
// to go on; what only looks tells of the rest, and a revocation reaches the rest.
func TestARegionThatDoesNotAnswer(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	v1, v2 := w.build("web", "1"), w.build("web", "2")
	w.climb("1", "dev", "prod")
	w.climb("2", "dev")
	without := func() *Promoter {
		provider := cloud.NewProvider(cloud.Config{Transport: cutOff{w.local.Transport()}, PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
		return New(Options{Project: w.project, Provider: provider, Run: "20261121T101500Z-ab12cd"})
	}
	w.local.ResetCalls()
	_, err := without().Promote(t.Context(), Request{Image: "web", To: "prod"})
	if hints := fail.Hints(err); fail.ExitCode(err) != fail.CodeClean || len(hints) != 1 || hints[0] != "to go on without us-east-1, take it out of the regions of environment prod" {
		t.Errorf("promotion: %v, %v", err, hints)
	}
	w.unchanged("without a region")
	board, err := without().Board(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range board {
		for _, r := range s.Regions {
			if r.Unreachable == "" || !r.Lags {
				t.Errorf("%s of %s: %+v", s.Image, s.Environment, r)
			}
		}
	}
	if list, err := without().List(t.Context(), "web"); err != nil || len(list) != 3 {
		t.Errorf("%d builds, %v", len(list), err)
	}
	if r, err := without().Revoke(t.Context(), v1, "CVE-2026-1234"); fail.ExitCode(err) != fail.CodeDirty || len(r.AMIs) != 2 {
		t.Errorf("revoked without a region: %+v, %v", r, err)
	}
	if r, err := w.promoter().Revoke(t.Context(), v1, "CVE-2026-1234"); err != nil || len(r.AMIs) != 3 {
		t.Errorf("revoked: %+v, %v", r, err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: v2}); err != nil {
		t.Error(err)
	}
}

// What goes back by itself does not wait for a further region.
func TestPutBackWithoutARegion(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	for _, version := range []string{"1", "2"} {
		w.build("web", version)
		w.climb(version, "dev", "prod")
	}
	_, own := w.shows("prod", home)
	provider := cloud.NewProvider(cloud.Config{Transport: cutOff{w.local.Transport()}, PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
	told := 0
	p := New(Options{Project: w.project, Provider: provider, Sink: event.Func(func(e event.Event) {
		if e.Kind == event.Warning && strings.Contains(e.Message, "without region us-east-1") {
			told++
		}
	})})
	if err := p.Fail(t.Context(), "prod", []string{own}, "it does not answer"); err != nil {
		t.Error(err)
	}
	undoes, err := p.Undoes(t.Context(), "prod", nil)
	if err != nil || len(undoes) != 1 {
		t.Fatalf("undoes %+v, %v", undoes, err)
	}
	if move, err := p.PutBack(t.Context(), "prod", undoes[0], "it failed"); err != nil || move.To.Version != "1" || !move.Changed || len(move.Regions) > 0 {
		t.Errorf("put back: %+v, %v", move, err)
	}
	here, _ := w.shows("prod", home)
	if there, _ := w.shows("prod", abroad); here != "1" || there != "2" || told != 2 {
		t.Errorf("prod shows %s, and %s abroad; %d warnings", here, there, told)
	}
	board, err := w.promoter().Further(t.Context(), "prod")
	if err != nil || !board[0].Regions[0].Lags {
		t.Errorf("%+v, %v", board, err)
	}
	if back, err := w.promoter().Rollback(t.Context(), "web", "prod", "1"); err != nil || back.Changed || len(back.Regions) != 1 {
		t.Errorf("afterwards: %+v, %v", back, err)
	}
	w.show("prod", "1")
}

// cutOff is a way to a cloud of which one region refuses every call.
type cutOff struct{ to http.RoundTripper }

func (c cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("Authorization"), "/"+abroad+"/") {
		return c.to.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// When an environment's region is gone, it can live in a further one: builds,
// pointers and what to go back to are there.
func TestTheFurtherRegionTakesOver(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	for _, version := range []string{"1", "2"} {
		w.build("web", version)
		w.climb(version, "dev", "prod")
	}
	env, err := w.project.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	env.Region, env.Regions = abroad, nil
	history, err := w.promoter().History(t.Context(), "web", "prod")
	if err != nil || len(history) != 2 || history[1].Version != "2" || !history[1].Current || !history[1].Exists || history[1].Action != actionPromote {
		t.Errorf("history: %+v, %v", history, err)
	}
	w.local.ResetCalls()
	if back, err := w.promoter().Rollback(t.Context(), "web", "prod", ""); err != nil || back.To.Version != "1" || w.calls("CopyImage") != 0 {
		t.Errorf("back: %+v, %v", back, err)
	}
	// And back where it was: the region that led lags, and is caught up.
	env.Region, env.Regions = home, []string{abroad}
	if there, _ := w.shows("prod", abroad); there != "1" {
		t.Errorf("abroad shows %s", there)
	}
	if again, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod"}); err != nil || again.Changed || !slices.Equal(again.Regions, []string{abroad}) {
		t.Errorf("caught up: %+v, %v", again, err)
	}
	w.show("prod", "2")
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

// What one region would refuse is refused before anything is changed in another,
// and goes through when that region allows it.
func TestWhatOneRegionRefuses(t *testing.T) {
	operations := []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationCreateGrant, kmstypes.GrantOperationDescribeKey}
	w := far(t)
	own := w.locked(w.build("web", "1"), "2", w.keyAt("dev", home))
	open := func(region string) {
		for _, account := range []string{"111111111111", "222222222222"} {
			_, err := w.at("dev", region).KMS.CreateGrant(t.Context(), &kms.CreateGrantInput{
				KeyId: aws.String(w.keyAt("dev", region)), GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: operations,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	open(home)
	w.climb("2", "dev")
	refused := func(to, part string) {
		t.Helper()
		w.local.ResetCalls()
		_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: to, Build: "2"})
		if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("to %s: %v, want %q", to, err, part)
		}
		w.unchanged("refused to " + to)
	}
	// dev's copy abroad came under AWS's own key.
	refused("test", "AWS's own key for EBS, which account 111111111111 can never use")
	// As a bake with region_kms_key_ids would have left it.
	lost := w.owned("dev", abroad)[0]
	east := w.at("dev", abroad)
	if _, err := east.EC2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: lost.ImageId}); err != nil {
		t.Fatal(err)
	}
	if _, err := east.EC2.CopyImage(t.Context(), &ec2.CopyImageInput{
		Name: lost.Name, SourceImageId: aws.String(own), SourceRegion: aws.String(home), Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/images"),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, cloud.TagSet(lost.Tags))},
	}); err != nil {
		t.Fatal(err)
	}
	await(t, east, 1)
	refused("test", "which account 111111111111 may not use")
	open(abroad)
	w.climb("2", "test")
	w.show("test", "2")

	there := w.at("prod", abroad).KMS
	if _, err := there.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(w.keyAt("prod", abroad))}); err != nil {
		t.Fatal(err)
	}
	refused("prod", "key alias/images is Disabled")
	if _, err := there.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: aws.String(w.keyAt("prod", abroad))}); err != nil {
		t.Fatal(err)
	}
	w.climb("2", "prod")
	w.show("prod", "2")
	for _, region := range []string{home, abroad} {
		if own := w.owned("prod", region); len(own) != 1 || w.keyOf("prod", region, own[0]) != w.keyAt("prod", region) {
			t.Errorf("%d copies in %s, or not under its key", len(own), region)
		}
	}
}

// await waits until an account has as many available AMIs in a region.
func await(t *testing.T, c *cloud.Cloud, n int) {
	t.Helper()
	for {
		out, err := c.EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("state", "available")}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Images) >= n {
			return
		}
	}
}

// A promotion and a rollback of which every call fails once, loses its answer, or is
// the last of its process: the same command again ends as the undisturbed one does,
// with no copy twice. After a promotion that was cut short a rollback leaves both
// regions with the build that was current all the while.
func TestRegionFaults(t *testing.T) {
	for _, trial := range []string{actionPromote, actionRollback} {
		t.Run(trial, func(t *testing.T) {
			calm := newDisturbed(t, trial)
			calm.local.ResetCalls()
			if err := calm.try(t.Context()); err != nil {
				t.Fatal(err)
			}
			faults := faultsOf(calm.local.Calls())
			const worlds = 8
			err := graph.Each(t.Context(), 0, worlds, func(ctx context.Context, i int) error {
				d := newDisturbed(t, trial)
				for ; i < len(faults) && !t.Failed(); i += worlds {
					d.disturb(ctx, faults[i])
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d faults", len(faults))
		})
	}
}

// disturbed is a world in which a promotion of a new build to prod, or a rollback
// from it, is tried again and again.
type disturbed struct {
	*world
	trial  string
	newest int // version of the newest build, which dev has
}

func newDisturbed(t *testing.T, trial string) *disturbed {
	d := &disturbed{world: farAs(t, "testdata/further.txtar"), trial: trial}
	d.bake()
	d.promote("web", "prod", "")
	d.bake()
	if trial == actionRollback {
		d.promote("web", "prod", "")
	}
	return d
}

func (d *disturbed) bake() {
	d.newest++
	d.build("web", fmt.Sprint(d.newest))
	d.promote("web", "dev", "")
}

// try makes the move; as a rollback, it is to the build before the newest.
func (d *disturbed) try(ctx context.Context) error {
	if d.trial == actionRollback {
		_, err := d.promoter().Rollback(ctx, "web", "prod", "")
		return err
	}
	_, err := d.promoter().Promote(ctx, Request{Image: "web", To: "prod"})
	return err
}

// disturb tries the move with a fault, and then as somebody would who has read
// what became of it, and leaves all ready for the next.
func (d *disturbed) disturb(ctx context.Context, fault emulator.Fault) {
	t, what := d.t, fmt.Sprintf("%s at call %d", fault.Kind, fault.Nth)
	had, then := fmt.Sprint(d.newest-1), fmt.Sprint(d.newest)
	if d.trial == actionRollback {
		had, then = then, had
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.local.Inject(fault)
	first := ctx
	if fault.Kind == emulator.DieAfter {
		dying, die := context.WithTimeout(ctx, 300*time.Millisecond) // nobody is left to wait longer
		defer die()
		first = dying
	}
	err := d.try(first)
	d.local.ClearFaults()
	unsettled := slices.ContainsFunc(fail.LeftOf(err), func(l fail.Left) bool { return strings.Contains(l.What, "in prod, which may change yet") })
	own, _ := d.shows("prod", home)
	there, _ := d.shows("prod", abroad)
	if own == then && there != then {
		t.Errorf("%s: %s shows %s before %s does", what, home, own, abroad)
	}
	switch {
	case d.trial == actionRollback && unsettled: // as its error says
		_, err = d.promoter().Rollback(ctx, "web", "prod", then)
	case d.trial == actionRollback && own == then:
		err = nil // once more would go back further
	case d.trial == actionPromote && there != had && own == had && !unsettled:
		if _, err := d.promoter().Rollback(ctx, "web", "prod", ""); err != nil {
			t.Errorf("%s: rolled back: %v", what, err)
		}
		d.show("prod", had)
		fallthrough
	default:
		err = d.try(ctx)
	}
	if err != nil {
		t.Errorf("%s: again: %v", what, err)
	}
	d.show("prod", then)
	for _, region := range []string{home, abroad} {
		if n := len(d.owned("prod", region)); n != d.newest {
			t.Errorf("%s: %d AMIs in %s, want %d", what, n, region, d.newest)
		}
	}
	if d.trial == actionRollback {
		d.promote("web", "prod", had)
	} else {
		d.bake()
	}
}

// faultsOf are the faults of a row of calls. To a call that only reads a lost answer
// and a death are what an error is.
func faultsOf(calls []emulator.Call) []emulator.Fault {
	var faults []emulator.Fault
	for n, call := range calls {
		kinds := []emulator.FaultKind{emulator.Error}
		if slices.Contains(changing, call.Action) {
			kinds = append(kinds, emulator.LostAnswer, emulator.DieAfter)
		}
		for _, kind := range kinds {
			faults = append(faults, emulator.Fault{Nth: n + 1, Kind: kind, Code: "UnauthorizedOperation"})
		}
	}
	return faults
}
