package promote

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// both makes a build for two architectures and gives its AMIs.
func (w *world) both(image, version string) (x, arm string) {
	w.t.Helper()
	x = w.build(image, version)
	seen := w.seen("dev", x)
	if _, err := w.cloud.EC2.CreateTags(w.t.Context(), &ec2.CreateTagsInput{Resources: []string{x}, Tags: cloud.Tags(map[string]string{
		tags.Architecture: "x86_64", tags.Architectures: "x86_64 arm64",
	})}); err != nil {
		w.t.Fatal(err)
	}
	set := cloud.TagSet(seen.Tags)
	set[tags.Architecture], set[tags.Architectures] = "arm64", "x86_64 arm64"
	out, err := w.cloud.EC2.RegisterImage(w.t.Context(), &ec2.RegisterImageInput{
		Name: aws.String(image + "/" + version + "-arm64"), Architecture: types.ArchitectureValuesArm64, VirtualizationType: aws.String("hvm"), RootDeviceName: seen.RootDeviceName,
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: seen.RootDeviceName, Ebs: &types.EbsBlockDevice{SnapshotId: seen.BlockDeviceMappings[0].Ebs.SnapshotId}}},
		TagSpecifications:   []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, set)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return x, aws.ToString(out.ImageId)
}

// arm is what the pointer for arm64 holds.
func (w *world) arm(environment string) string {
	w.t.Helper()
	out, err := w.in(environment).SSM.GetParameter(w.t.Context(), &ssm.GetParameterInput{Name: aws.String(tags.ArchitecturePointer("shop", environment, "web", "arm64"))})
	if cloud.NotFound(err) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.Parameter.Value)
}

func TestArchitecturesMoveTogether(t *testing.T) {
	w := newWorld(t)
	x1, arm1 := w.both("web", "1")
	x2, arm2 := w.both("web", "2")
	if move := w.promote("web", "dev", arm1); move.To != (Ref{x1, "1"}) || w.arm("dev") != arm1 {
		t.Errorf("by its second AMI: %+v, %s", move, w.arm("dev"))
	}
	w.local.ResetCalls()
	if move := w.promote("web", "dev", "1"); move.Changed || w.calls("PutParameter")+w.calls("CreateTags") > 0 {
		t.Errorf("again: %+v", move)
	}
	w.promote("web", "dev", "")
	if w.current("dev", "web") != x2 || w.arm("dev") != arm2 {
		t.Errorf("the newest: %s and %s", w.current("dev", "web"), w.arm("dev"))
	}
	if set := cloud.TagSet(w.seen("dev", arm2).Tags); set[tags.Promoted("dev")] == "" {
		t.Errorf("the second AMI is not marked: %v", set)
	}
	list, err := w.promoter().List(t.Context(), "web")
	if err != nil || len(list) != 2 || list[0].Architectures["arm64"] != arm2 || !slices.Equal(list[0].Environments, []string{"dev"}) {
		t.Errorf("%+v, %v", list, err)
	}
	if d, err := w.promoter().Show(t.Context(), arm1); err != nil || d.AMI != arm1 || d.Architecture != "arm64" || d.Architectures["x86_64"] != x1 {
		t.Errorf("show: %+v, %v", d, err)
	}
	back, err := w.promoter().Rollback(t.Context(), "web", "dev", "")
	if err != nil || back.To.AMI != x1 || back.Architectures["arm64"] != arm1 || back.Architectures["x86_64"] != x1 || w.current("dev", "web") != x1 || w.arm("dev") != arm1 {
		t.Errorf("back: %+v, %v; %s", back, err, w.arm("dev"))
	}
	w.promote("web", "test", "")
	if w.arm("test") != arm1 {
		t.Errorf("test has %s", w.arm("test"))
	}
	r, err := w.promoter().Revoke(t.Context(), arm1, "broken")
	if err != nil || len(r.AMIs) != 2 || len(r.Current) != 2 {
		t.Errorf("revoked: %+v, %v", r, err)
	}

	if _, err := w.cloud.EC2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(arm2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev", Build: "2"}); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), incomplete) {
		t.Errorf("half a build: %v", err)
	}
}

// What a promotion that was cut short has left is finished by the next.
func TestArchitecturesCutShort(t *testing.T) {
	for n := 1; n <= 2; n++ {
		for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer} {
			w := newWorld(t)
			x, arm := w.both("web", "1")
			w.local.Inject(emulator.Fault{Service: "ssm", Action: "PutParameter", Nth: n, Kind: kind, Code: "AccessDeniedException"})
			_, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dev"})
			if n == 2 && kind == emulator.Error && fail.ExitCode(err) != fail.CodeDirty {
				t.Errorf("call %d %s: %v (%d)", n, kind, err, fail.ExitCode(err))
			}
			w.local.ClearFaults()
			w.promote("web", "dev", "")
			if w.current("dev", "web") != x || w.arm("dev") != arm {
				t.Errorf("call %d %s: %s, %s", n, kind, w.current("dev", "web"), w.arm("dev"))
			}
		}
	}
}

func TestArchitecturesAcrossAccounts(t *testing.T) {
	w := wide(t)
	x, arm := w.both("web", "1")
	w.promote("web", "dev", "")
	if w.promote("web", "test", ""); w.arm("test") != arm {
		t.Errorf("shared: %s", w.arm("test"))
	}
	copied := w.promote("web", "prod", "")
	var made []string
	for _, i := range w.images("prod") {
		made = append(made, fmt.Sprint(i.Architecture, " ", aws.ToString(i.ImageId)))
	}
	if len(made) != 2 || copied.To.AMI == x || copied.Architectures["arm64"] != w.arm("prod") || w.arm("prod") == arm || !slices.Contains(made, "arm64 "+w.arm("prod")) {
		t.Errorf("copied: %+v; %v, %s", copied, made, w.arm("prod"))
	}
	if again := w.promote("web", "prod", ""); again.Changed {
		t.Errorf("again: %+v", again)
	}
}
