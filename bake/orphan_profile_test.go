package bake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// role makes a role and a profile of a name, as a bake does; parts says what of
// them there is.
func (m maker) role(name, path, parts string, set map[string]string) {
	ctx := context.Background()
	var on []iamtypes.Tag
	for _, key := range tags.Keys(set) {
		on = append(on, iamtypes.Tag{Key: aws.String(key), Value: aws.String(set[key])})
	}
	id := aws.String(name)
	if strings.Contains(parts, "role") {
		must[*iam.CreateRoleOutput](m.t, name)(m.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: id, Path: aws.String(path), AssumeRolePolicyDocument: aws.String(assumeByEC2), Tags: on}))
	}
	if strings.Contains(parts, "policy") {
		must[*iam.PutRolePolicyOutput](m.t, name)(m.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: id, PolicyName: aws.String(policyName), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)}))
	}
	if strings.Contains(parts, "profile") {
		must[*iam.CreateInstanceProfileOutput](m.t, name)(m.IAM.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: id, Path: aws.String(path), Tags: on}))
	}
	if strings.Contains(parts, "held") {
		must[*iam.AddRoleToInstanceProfileOutput](m.t, name)(m.IAM.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: id, RoleName: id}))
	}
}

func TestSweepRemovesProfilesThatAreNobodys(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	ctx := context.Background()
	m := maker{l.reach(nil), t}
	const whole, orphan = "role policy profile held", "+ expired 1h0m ago"
	shop := profilePath("shop")
	tomorrow := tags.Expires + "=" + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)
	want := map[string]string{}
	for _, c := range []struct {
		name, parts, path string
		set               map[string]string
		profile, role     string // what must be said of each
	}{
		{"whole", whole, shop, left(), orphan, orphan},
		{"begun", "role", shop, left(), "", orphan},
		{"apart", "role policy profile", shop, left(), orphan, orphan},
		{"bare", "profile", shop, left(), orphan, ""},
		{"dead", whole, shop, left(tomorrow, tags.Run+"=dead"), "+ run dead has ended", "+ run dead has ended"},
		{"alive", whole, shop, left(tags.Run + "=alive"), "- run alive goes on", "- run alive goes on"},
		{"fresh", whole, shop, left(tomorrow), "- not expired", "- not expired"},
		{"untagged", whole, shop, nil, "- no bake tagged it", "- no bake tagged it"},
		{"misplaced", whole, shop, left(tags.Project + "=other"), "- its path is this project's", "- its path is this project's"},
		{"builders", whole, shop, left(), orphan, orphan},
		{"used", whole, shop, left(), "- instance i-", "- instance profile used stays"},
		{"taken", "role", shop, left(), "", "- instance profile foreign holds it"},
		{"elsewhere", whole, "/", left(), "", ""},
		{"others", whole, profilePath("other"), left(), "", ""},
		{"foreign", "profile", "/", nil, "", ""},
	} {
		m.role(c.name, c.path, c.parts, c.set)
		want[profileKind+" "+c.name], want[roleKind+" "+c.name] = c.profile, c.role
	}
	for i := range 101 { // more than a page
		name := fmt.Sprintf("old-%d", i)
		m.role(name, shop, "role", left())
		want[roleKind+" "+name] = orphan
	}
	must[*iam.AddRoleToInstanceProfileOutput](t, "foreign")(m.IAM.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("foreign"), RoleName: aws.String("taken")}))
	source := must[[]types.Image](t, "source")(describeAMIs(ctx, m.Cloud, &ec2.DescribeImagesInput{Owners: []string{"136693071363"}}))
	with := func(name string) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(name)}
		}
	}
	m.instance(aws.ToString(source[0].ImageId), left(), with("builders"))
	m.instance(aws.ToString(source[0].ImageId), nil, with("used"))

	options := l.sweepOptions()
	options.Clouds = append(options.Clouds, m.In("eu-west-1"))
	found, err := FindOrphans(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range found.Orphans {
		if o.Region != everywhere {
			continue
		}
		said := "- " + o.Why
		if o.Remove {
			said = "+ " + o.Why
		}
		if expected := want[o.String()]; expected == "" || !strings.HasPrefix(said, expected) {
			t.Errorf("%s: %s, want %q", o, said, expected)
		}
		delete(want, o.String())
	}
	for what, said := range want {
		if said != "" {
			t.Errorf("%s was not found", what)
		}
	}
	if err := found.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	for _, o := range found.Orphans {
		held := strings.Contains(l.inventory(), "/"+o.ID+" ") || strings.Contains(l.inventory(), "/"+o.ID+"\n")
		if o.Remove != o.Removed || o.Region == everywhere && held == o.Removed {
			t.Errorf("%s: removed %t, there %t", o, o.Removed, held)
		}
	}
	if again, err := FindOrphans(ctx, options); err != nil || again.Removable() != 0 {
		t.Errorf("a second time: %d to remove, %v", again.Removable(), err)
	}
}

func TestSweepWithoutIAM(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	m := maker{l.reach(nil), t}
	m.keyPair("free", left())
	l.Inject(emulator.Fault{Service: "iam", Action: "ListRoles", Nth: 1, Kind: emulator.Error, Code: "AccessDenied"})
	found, err := FindOrphans(context.Background(), l.sweepOptions())
	if err != nil || found.Removable() != 1 || !strings.Contains(l.said.String(), "warning temporary roles and instance profiles of account ") {
		t.Errorf("%d to remove, %v\n%s", found.Removable(), err, l.said.String())
	}
}

// lull drives a clock by each request, and stops it as an AMI is begun, which is
// pending for as long.
type lull struct {
	next  http.RoundTripper
	clock *emulator.DrivenClock
	still atomic.Bool
}

func (t *lull) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.Contains(body, []byte("Action=CreateImage&")) {
		t.still.Store(true)
	}
	if !t.still.Load() {
		t.clock.Advance(time.Second)
	}
	return t.next.RoundTrip(r)
}

// An AMI that somebody deregisters while it is being made ends the bake, not its
// deadline.
func TestTheImageIsDeregisteredMeanwhile(t *testing.T) {
	clock := emulator.NewDrivenClock(time.Now().UTC())
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 500 * time.Millisecond, Clock: clock}, nil)
	through := &lull{next: l.Transport(), clock: clock}
	image := l.stubbed(stubSSH(t), "1")
	options := l.options("r1")
	options.Cloud = l.reach(through)
	clean := l.inventory()
	told := options.Sink
	options.Sink = event.Func(func(e event.Event) {
		told.Emit(e)
		if id, pending := strings.CutSuffix(strings.TrimPrefix(e.Message, "image "), " is pending"); pending && strings.HasPrefix(id, "ami-") {
			if _, err := l.reach(nil).EC2.DeregisterImage(context.Background(), &ec2.DeregisterImageInput{ImageId: aws.String(id)}); err != nil {
				t.Error(err)
			}
			through.still.Store(false)
		}
	})
	_, err := New(options).Bake(context.Background(), image)
	if err == nil || !strings.Contains(err.Error(), "is gone: somebody deregistered it while AWS was making it") || fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("%v (%d)\n%s", err, fail.ExitCode(err), l.said.String())
	}
	if after := l.inventory(); after != clean {
		t.Errorf("left\n%s", after)
	}
}

// A value that EC2 refuses for another reason than the young profile is not
// asked for again and again.
func TestAWrongValueBesideAYoungProfile(t *testing.T) {
	b := &bake{profile: made{id: "goldline-bake-abc"}, profiled: time.Now(), sink: event.Discard}
	for text, wanted := range map[string]int{
		"Value (goldline-bake-abc) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name": 2,
		"Value (t9.huge) for parameter instanceType is invalid.":                                                        1,
	} {
		calls := 0
		err := b.launchWithProfile(context.Background(), func() error {
			if calls++; calls > 1 {
				return nil
			}
			return &smithy.GenericAPIError{Code: "InvalidParameterValue", Message: text}
		})
		if calls != wanted || (err == nil) != (wanted == 2) {
			t.Errorf("%s: %d calls, %v", text, calls, err)
		}
	}
}
