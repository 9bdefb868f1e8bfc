package launch

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

var update = flag.Bool("update", false, "write the golden files anew")

var anyDigest = regexp.MustCompile(`"[0-9a-f]{20}"`)

// golden compares a plan with a file, IDs and what depends on them left out.
func golden(t *testing.T, name string, p *Plan) {
	t.Helper()
	shown := *p
	shown.Digest = ""
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(shown); err != nil {
		t.Fatal(err)
	}
	got := anyID.ReplaceAllStringFunc(text.String(), func(id string) string { return id[:strings.IndexByte(id, '-')] + "-0" })
	got = anyDigest.ReplaceAllString(got, `"DIGEST"`) // of user data with IDs in it
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s", path, got)
	}
}

func TestPlanIsPureData(t *testing.T) {
	s := newPlatform(t)
	first := s.plan()
	golden(t, "create.json", first)
	if again := s.plan(); again.Digest != first.Digest {
		t.Error("the same plan has another digest")
	}
	s.launch()
	s.promote("db", "2.0.0")
	s.edit("topology/security_groups/all.yaml", "port: 80,", "port: 443,")
	s.edit("topology/instances/web.yaml", "count: 2", "count: 1")
	s.edit("goldline.yaml", "{team: shop}", "{team: front}")
	golden(t, "changes.json", s.plan())
	o := s.options()
	destroy, err := NewDestroyPlan(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "destroy.json", destroy)
}

// TestPlanFromJSON: a plan that was kept as JSON is applied as it is, and only
// as long as it is what a plan would be now.
func TestPlanFromJSON(t *testing.T) {
	s := newPlatform(t)
	o := s.options()
	text, err := json.Marshal(s.plan())
	if err != nil {
		t.Fatal(err)
	}
	var kept Plan
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(context.Background(), o, &kept); err != nil {
		t.Fatal(err)
	}
	_, err = Apply(context.Background(), o, &kept)
	if fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("applied again: %v, want wrong input", err)
	}
}

// TestMissingBuilds: every image without a current build is named at once.
func TestMissingBuilds(t *testing.T) {
	s := newSite(t, platform())
	_, err := NewPlan(context.Background(), s.options())
	if fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("exit code %d, want 2", fail.ExitCode(err))
	}
	for _, want := range []string{
		"image web has no current build in dev", "promote one: goldline promote web --to dev",
		"image db has no current build in dev", "promote one: goldline promote db --to dev",
	} {
		if told := fmt.Sprint(err, fail.Hints(err)); !strings.Contains(told, want) {
			t.Errorf("error %v, want %q", told, want)
		}
	}

	s.promote("db", "1.0.0")
	web := s.promote("web", "1.0.0")
	if _, err := s.cloud.EC2.DisableImage(context.Background(), &ec2.DisableImageInput{ImageId: &web}); err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(context.Background(), s.options())
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(fmt.Sprint(err), web+", which is disabled") {
		t.Errorf("the AMI is disabled: %v", err)
	}
}

// TestAudit: what was done by hand is found, and nothing is changed by looking.
func TestAudit(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	ctx := context.Background()
	group, subnet, vpc := s.idOf("security_group.web"), s.idOf("subnet.public-a"), s.idOf("vpc.main")
	_, err := s.cloud.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(group),
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.cloud.EC2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{subnet}, Tags: []types.Tag{{Key: aws.String(tags.UUID)}, {Key: aws.String("team")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.cloud.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("stray"), Description: aws.String("stray"), VpcId: aws.String(vpc),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeSecurityGroup, map[string]string{tags.Project: "shop", tags.Environment: "dev"})}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.cloud.EC2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{s.idOf("instance.db")}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{ID: s.idOf("instance.db"), For: "it to stop", Deadline: time.Minute,
		Done: func(i types.Instance, _ bool) (bool, error) { return stateOf(i) == types.InstanceStateNameStopped, nil }})
	if err != nil {
		t.Fatal(err)
	}
	before := s.inventory()
	s.local.ResetCalls()
	plan, err := Audit(ctx, s.options())
	if err != nil {
		t.Fatal(err)
	}
	want := "change instance.db: state\nchange security_group.web: ingress\nchange subnet.public-a: tags\ndelete security_group ID: no definition has it"
	if got := plain(plan); got != want {
		t.Errorf("audit:\n%s\nwant:\n%s", got, want)
	}
	for _, c := range s.local.Calls() {
		if !strings.HasPrefix(c.Action, "Describe") && !strings.HasPrefix(c.Action, "Get") && !strings.HasPrefix(c.Action, "List") {
			t.Errorf("audit called %s", c.Action)
		}
	}
	sameInventory(t, "audit", before, s.inventory())
	s.launch()
	s.settled()
}

// TestTwins: two resources of one identity are no guess.
func TestTwins(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	set := map[string]string{tags.Project: "shop", tags.Environment: "dev", tags.Address: "vpc.main", tags.UUID: s.options().Topology.Resources[indexOf(s, "vpc.main")].UUID}
	_, err := s.cloud.EC2.CreateVpc(context.Background(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeVpc, set)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(context.Background(), s.options())
	if err == nil || !strings.Contains(err.Error(), "vpc.main: 2 resources carry its identity: vpc-") || fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("error %v", err)
	}
}

func indexOf(s *site, address string) int {
	for i, r := range s.options().Topology.Resources {
		if r.Address == address {
			return i
		}
	}
	return -1
}

// TestInterrupt: what was begun ends and is recorded, nothing new starts, and
// the next launch goes on.
func TestInterrupt(t *testing.T) {
	s := newPlatform(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen events
	o := s.options()
	o.Sink = event.Tee(&seen, event.Func(func(e event.Event) {
		if e.Kind == event.Created && e.Item == "vpc.main" {
			cancel()
		}
	}))
	plan, err := NewPlan(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Apply(ctx, o, plan)
	if fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(fail.LeftOf(err)[0].What, " ") || fail.LeftOf(err)[0].Command != "goldline launch dev" {
		t.Errorf("error %v, left %v", err, fail.LeftOf(err))
	}
	for _, item := range seen.of(event.Created) {
		if strings.HasPrefix(item, "instance.") {
			t.Errorf("%s was made after the interrupt", item)
		}
	}
	s.launch()
	s.settled()
}

// TestProtection: EC2's termination protection holds against destroying, and
// gives way to a successor that is protected, too.
func TestProtection(t *testing.T) {
	s := newPlatform(t)
	s.edit("topology/instances/db.yaml", "subnet:", "disable_api_termination: true\nsubnet:")
	s.launch()
	s.settled()
	s.promote("db", "2.0.0")
	s.launch()
	s.settled()
	err := s.tryDestroy(context.Background())
	if err == nil || !strings.Contains(strings.Join(fail.Hints(err), " "), "disable_api_termination") {
		t.Errorf("destroy: %v, hints %v", err, fail.Hints(err))
	}
	s.edit("topology/instances/db.yaml", "termination: true", "termination: false")
	s.launch()
	s.destroy()
}

func TestRenderUserData(t *testing.T) {
	s := newPlatform(t)
	text, err := RenderUserData(context.Background(), s.options(), "instance.db")
	if err != nil || !strings.Contains(string(text), `"volume": "`+Unknown+`"`) || !strings.Contains(string(text), `"version": "1.0.0"`) {
		t.Errorf("user data %s, %v", text, err)
	}
	s.launch()
	text, err = RenderUserData(context.Background(), s.options(), "instance.db")
	if err != nil || !strings.Contains(string(text), s.idOf("volume.orders")) {
		t.Errorf("user data %s, %v", text, err)
	}
	_, err = RenderUserData(context.Background(), s.options(), "instance.dbb")
	if fail.ExitCode(err) != fail.CodeInput || len(fail.Hints(err)) != 1 {
		t.Errorf("error %v", err)
	}
}

func TestUserDataOf(t *testing.T) {
	s := newPlatform(t)
	text, err := UserDataOf(context.Background(), s.options(), "db", "")
	if err != nil || !strings.Contains(string(text), `"volume": "`+Unknown+`"`) {
		t.Errorf("user data %s, %v", text, err)
	}
	for image, want := range map[string]string{"nothing": "runs image nothing", "": "runs image"} {
		if _, err := UserDataOf(context.Background(), s.options(), image, ""); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), want) {
			t.Errorf("image %q: %v", image, err)
		}
	}
	if other, err := UserDataOf(context.Background(), s.options(), "", "instance.db"); err != nil || string(other) != string(text) {
		t.Errorf("by its address: %s, %v", other, err)
	}
}
