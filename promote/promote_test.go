package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

func TestLadder(t *testing.T) {
	w := newWorld(t)
	v1 := w.build("web", "1")
	v2 := w.build("web", "2")

	move := w.promote("web", "dev", "")
	if move.To != (Ref{v2, "2"}) || move.From != (Ref{}) || !move.Changed || move.At.IsZero() || move.By == "" {
		t.Errorf("first promotion %+v", move)
	}
	if got := w.current("dev", "web"); got != v2 {
		t.Errorf("dev has %s, want %s", got, v2)
	}
	move = w.promote("web", "test", "")
	if move.To.AMI != v2 {
		t.Errorf("promotion to test %+v", move)
	}
	// v1 goes to test as well once it was current in dev, even if it no longer is.
	w.promote("web", "dev", "1")
	w.promote("web", "dev", v2)
	if move = w.promote("web", "test", "f11111"); move.To.AMI != v1 || move.From.AMI != v2 {
		t.Errorf("promotion of what was current %+v", move)
	}
	out, err := w.cloud.EC2.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: []types.Filter{cloud.Filter("resource-id", v2)}})
	if err != nil {
		t.Fatal(err)
	}
	marked := map[string]string{}
	for _, tag := range out.Tags {
		marked[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, environment := range []string{"dev", "test"} {
		if _, err := time.Parse(time.RFC3339, marked[tags.Promoted(environment)]); err != nil {
			t.Errorf("tag of promotion to %s: %v", environment, err)
		}
	}
}

func TestPromotingAgainWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	first := w.promote("web", "dev", "")
	w.local.ResetCalls()
	second := w.promote("web", "dev", "")
	if second.Changed || second.To != first.To || second.From != first.To || !second.At.Equal(first.At) {
		t.Errorf("second promotion %+v after %+v", second, first)
	}
	if n := w.calls("PutParameter") + w.calls("CreateTags"); n != 0 {
		t.Errorf("%d writes", n)
	}
	if n := len(w.local.Calls()); n > 3 {
		t.Errorf("%d calls: %+v", n, w.local.Calls())
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	web, db := w.build("web", "1"), w.build("db", "1")
	w.build("web", "2")
	if _, err := w.cloud.EC2.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: aws.String(w.build("web", "3"))}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		request Request
		want    string
	}{
		{"a rung skipped", Request{Image: "web", To: "test", Build: web}, "build 1 (" + web + ") was never current in dev, one rung below"},
		{"nothing one rung below", Request{Image: "web", To: "test"}, "no build of web is current in dev, one rung below"},
		{"no such image", Request{Image: "wbe", To: "dev"}, `no image "wbe"`},
		{"no such environment", Request{Image: "web", To: "dve"}, `no environment "dve"`},
		{"another image's build", Request{Image: "web", To: "dev", Build: db}, db + " is a build of db, not of web"},
		{"no such version", Request{Image: "web", To: "dev", Build: "9"}, `no build of web has the version or fingerprint "9"`},
		{"no such AMI", Request{Image: "web", To: "dev", Build: "ami-00000000000000000"}, "is not present in eu-central-1 of account 000000000000"},
		{"a disabled AMI", Request{Image: "web", To: "dev", Build: "3"}, "is not available in eu-central-1: its state is disabled"},
		{"beside the ladder", Request{Image: "web", To: "lab", Build: web}, "environment lab does not stand on the ladder (dev, test, prod)"},
		{"no reason", Request{Image: "web", To: "test", Build: web, SkipLadder: true, Reason: " "}, "skipping the ladder needs a reason"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.local.ResetCalls()
			_, err := w.promoter().Promote(t.Context(), test.request)
			if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("error %v (exit code %d), want %q", err, fail.ExitCode(err), test.want)
			}
			if n := w.calls("PutParameter") + w.calls("CreateTags"); n != 0 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

func TestABuildThatIsNotReadyIsRefused(t *testing.T) {
	clock := emulator.NewDrivenClock(time.Now())
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Minute, Clock: clock})
	w.launch()
	clock.Advance(time.Hour)
	pending := w.pendingBuild("web", "1")
	_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev", Build: pending})
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "its state is pending") {
		t.Errorf("by name: %v", err)
	}
	_, err = w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"})
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), "there is no build of web") {
		t.Errorf("the newest: %v", err)
	}
}

func TestSkippingTheLadderIsRecorded(t *testing.T) {
	w := newWorld(t)
	v1 := w.build("web", "1")
	move, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "test", Build: v1, SkipLadder: true, Reason: "the shop is down"})
	if err != nil || !move.Changed || move.Reason != "the shop is down" {
		t.Fatalf("%+v, %v", move, err)
	}
	history, err := w.promoter().History(t.Context(), "web", "test")
	if err != nil || len(history) != 1 {
		t.Fatalf("history %+v, %v", history, err)
	}
	e := history[0]
	if e.Action != actionSkip || e.Reason != "the shop is down" || e.Run == "" || e.By == "" || !e.Current || e.Version != "1" || !e.Exists {
		t.Errorf("entry %+v", e)
	}
}

// TestFaults: each write fails once, or its answer is lost; the move is made
// all the same, or the same command again makes it, and never twice.
func TestFaults(t *testing.T) {
	for _, action := range []string{"PutParameter", "GetParameter", "GetParametersByPath", "DescribeImages", "CreateTags"} {
		for _, kind := range []emulator.FaultKind{emulator.LostAnswer, emulator.Error, emulator.Throttle, emulator.Unavailable} {
			t.Run(action+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				v1 := w.build("web", "1")
				w.local.Inject(emulator.Fault{Action: action, Kind: kind})
				move, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"})
				if err != nil {
					w.local.ClearFaults()
					move, err = w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"})
				}
				if err != nil || move.To.AMI != v1 {
					t.Fatalf("%+v, %v", move, err)
				}
				history, err := w.promoter().History(t.Context(), "web", "dev")
				if err != nil || len(history) != 1 || history[0].AMI != v1 {
					t.Errorf("history %+v, %v", history, err)
				}
				detail, err := w.promoter().Show(t.Context(), v1)
				if err != nil || detail.Promoted["dev"] == "" || !slices.Equal(detail.Environments, []string{"dev"}) {
					t.Errorf("build %+v, %v", detail, err)
				}
			})
		}
	}
}

func TestDeniedChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	w.local.Inject(emulator.Fault{Action: "PutParameter", Kind: emulator.Error, Code: "AccessDeniedException"})
	_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"})
	if fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("error %v, exit code %d", err, fail.ExitCode(err))
	}
}

// TestAPointerThatDoesNotShow: Parameter Store drops a value that it does not
// like after it has answered.
func TestAPointerThatDoesNotShow(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	v2 := w.build("web", "2")
	p := w.promoter()
	if _, err := p.stockOf(t.Context(), "dev"); err != nil { // the build is known before it goes
		t.Fatal(err)
	}
	if _, err := w.cloud.EC2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(v2)}); err != nil {
		t.Fatal(err)
	}
	p.settle = 50 * time.Millisecond
	_, err := p.Promote(t.Context(), Request{Image: "web", To: "dev"})
	if err == nil || fail.ExitCode(err) == fail.CodeInput || !strings.Contains(err.Error(), v2) {
		t.Errorf("error %v, exit code %d", err, fail.ExitCode(err))
	}
}

func (p *Promoter) stockOf(ctx context.Context, environment string) ([]BuildInfo, error) {
	in, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	return in.stock.all(ctx)
}

func TestListAndDeployed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	web1, web2, db1 := w.build("web", "1"), w.build("web", "2"), w.build("db", "1")
	w.promote("web", "dev", web1)
	w.promote("web", "dev", web2)
	w.promote("web", "test", web1)
	w.local.ResetCalls()
	builds, err := w.promoter().List(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range builds {
		got = append(got, fmt.Sprintf("%s %s %s %s %v", b.Image, b.Version, b.AMI, b.State, b.Environments))
	}
	want := []string{"db 1 " + db1 + " available []", "web 2 " + web2 + " available [dev]", "web 1 " + web1 + " available [test]"}
	if !slices.Equal(got, want) {
		t.Errorf("builds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := w.calls("DescribeImages"); n != 2 { // one a region
		t.Errorf("%d DescribeImages", n)
	}

	for i, ami := range []string{web1, web2} {
		_, err := w.cloud.EC2.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: aws.String(ami), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeInstance, map[string]string{
				tags.Project: "shop", tags.Environment: "dev", tags.Address: fmt.Sprintf("instance.web[%d]", i),
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	deployed, err := w.promoter().Deployed(ctx, "dev")
	if err != nil || len(deployed) != 2 {
		t.Fatalf("deployed %+v, %v", deployed, err)
	}
	for i, version := range []string{"1", "2"} {
		d := deployed[i]
		if d.Address != fmt.Sprintf("instance.web[%d]", i) || d.Image != "web" || d.Version != version || d.Current != (version == "2") || d.Since.IsZero() {
			t.Errorf("deployment %+v", d)
		}
	}
	if _, err := w.promoter().Show(ctx, "ami-00000000000000000"); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("show of nothing: %v", err)
	}
	byVersion, err := w.promoter().Show(ctx, "2")
	if err != nil || byVersion.Version != "2" || byVersion.Image != "web" {
		t.Errorf("by its version: %+v, %v", byVersion, err)
	}
	if len(byVersion.Ancestry) == 0 || byVersion.Ancestry[0].AMI != byVersion.Source {
		t.Errorf("ancestry %+v of a build from %s", byVersion.Ancestry, byVersion.Source)
	}
}

func TestPointersAreTagged(t *testing.T) {
	w := newWorld(t)
	w.build("web", "1")
	w.promote("web", "dev", "")
	out, err := w.cloud.SSM.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: aws.String(tags.Pointer("shop", "dev", "web"))})
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, tag := range out.TagList {
		set[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if set[tags.Project] != "shop" || set[tags.Environment] != "dev" || set[tags.Image] != "web" || set["team"] != "shop" {
		t.Errorf("tags %v", set)
	}
}
