package bake

import (
	"context"
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

// maker makes things that a bake could have left.
type maker struct {
	*cloud.Cloud
	t *testing.T
}

func must[T any](t *testing.T, what string) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

// left are the tags of something that a run left, changed by key=value; a key
// without a value goes.
func left(changes ...string) map[string]string {
	set := map[string]string{
		tags.Project: "shop", tags.Image: "web", tags.Run: "20260101T000000Z-aaaaaa", tags.Expires: time.Now().Add(-time.Hour).UTC().Format(time.RFC3339),
	}
	for _, c := range changes {
		key, value, given := strings.Cut(c, "=")
		set[key] = value
		if !given {
			delete(set, key)
		}
	}
	return set
}

func (m maker) keyPair(name string, set map[string]string) string {
	in := &ec2.CreateKeyPairInput{KeyName: aws.String(name), TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeKeyPair, set)}}
	return aws.ToString(must[*ec2.CreateKeyPairOutput](m.t, name)(m.EC2.CreateKeyPair(context.Background(), in)).KeyPairId)
}

func (m maker) volume(set map[string]string) string {
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeVolume, set)}}
	id := aws.ToString(must[*ec2.CreateVolumeOutput](m.t, "volume")(m.EC2.CreateVolume(context.Background(), in)).VolumeId)
	must[types.Volume](m.t, id)(m.Volumes.Wait(context.Background(), cloud.Wait[types.Volume]{ID: id, For: id, Deadline: time.Minute, Done: func(v types.Volume, found bool) (bool, error) {
		return found && v.State == types.VolumeStateAvailable, nil
	}}))
	return id
}

func (m maker) group(name string, set map[string]string) string {
	in := &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), Description: aws.String("of a test"), TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeSecurityGroup, set)}}
	return aws.ToString(must[*ec2.CreateSecurityGroupOutput](m.t, name)(m.EC2.CreateSecurityGroup(context.Background(), in)).GroupId)
}

func (m maker) instance(ami string, set map[string]string, change func(*ec2.RunInstancesInput)) string {
	in := &ec2.RunInstancesInput{
		ImageId: aws.String(ami), InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeInstance, set), cloud.TagSpec(types.ResourceTypeVolume, set)},
	}
	change(in)
	id := aws.ToString(must[*ec2.RunInstancesOutput](m.t, "instance")(m.EC2.RunInstances(context.Background(), in)).Instances[0].InstanceId)
	must[types.Instance](m.t, id)(m.Instances.Wait(context.Background(), cloud.Wait[types.Instance]{ID: id, For: id, Deadline: time.Minute, Done: func(i types.Instance, found bool) (bool, error) {
		return found && state(i) == types.InstanceStateNameRunning, nil
	}}))
	return id
}

// image makes an AMI and gives it and its snapshot.
func (m maker) image(instance, name string, set map[string]string) (id, snapshot string) {
	in := &ec2.CreateImageInput{
		InstanceId: aws.String(instance), Name: aws.String(name), NoReboot: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, set), cloud.TagSpec(types.ResourceTypeSnapshot, set)},
	}
	id = aws.ToString(must[*ec2.CreateImageOutput](m.t, name)(m.EC2.CreateImage(context.Background(), in)).ImageId)
	ami := must[types.Image](m.t, name)(m.Images.Wait(context.Background(), cloud.Wait[types.Image]{ID: id, For: id, Deadline: time.Minute, Done: func(i types.Image, found bool) (bool, error) {
		return found && i.State == types.ImageStateAvailable, nil
	}}))
	return id, cloud.SnapshotsOf(ami)[0]
}

// sweepable makes one of each that may be removed, and of what may not, and
// gives what must be said of each, by ID.
func (m maker) sweepable() map[string]string {
	ctx := context.Background()
	source := must[[]types.Image](m.t, "source")(describeAMIs(ctx, m.Cloud, &ec2.DescribeImagesInput{Owners: []string{"136693071363"}, Filters: []types.Filter{cloud.Filter("architecture", "x86_64")}}))
	ami := aws.ToString(source[0].ImageId)
	plain := func(*ec2.RunInstancesInput) {}

	builderGroup := m.group("builder", left())
	builder := m.instance(ami, left(), func(in *ec2.RunInstancesInput) {
		m.keyPair("builder", nil)
		in.KeyName, in.SecurityGroupIds = aws.String("builder"), []string{builderGroup}
	})
	usedKey, usedGroup := m.keyPair("used", left()), m.group("used", left())
	other := m.instance(ami, nil, func(in *ec2.RunInstancesInput) {
		in.KeyName, in.SecurityGroupIds = aws.String("used"), []string{usedGroup}
	})
	named := m.group("named", left())
	must[*ec2.AuthorizeSecurityGroupIngressOutput](m.t, "rule")(m.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId:       aws.String(m.group("naming", nil)),
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String(named)}}}},
	}))
	gone, goneSnapshot := m.image(other, "gone", left())
	_, keptSnapshot := m.image(other, "build", left(tags.Expires))
	must[*ec2.CreateTagsOutput](m.t, "tag")(m.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{keptSnapshot}, Tags: cloud.Tags(left())}))
	running, runningSnapshot := m.image(other, "running", left())
	m.instance(running, nil, plain)
	pointed, pointedSnapshot := m.image(other, "pointed", left())
	must[*ssm.PutParameterOutput](m.t, "pointer")(m.SSM.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String(tags.Pointer("shop", "prod", "web")), Type: ssmtypes.ParameterTypeString, Value: aws.String(pointed)}))
	promoted, promotedSnapshot := m.image(other, "promoted", left(tags.Promoted("prod")+"=2026-01-01T00:00:00Z"))
	passed, passedSnapshot := m.image(other, "passed", left(tags.Candidate+"=f", tags.Fingerprint+"=f"))
	tomorrow := tags.Expires + "=" + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)
	template := must[*ec2.CreateLaunchTemplateOutput](m.t, "template")
	templated, templatedSnapshot := m.image(other, "templated", left())
	template(m.EC2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(templated)}}))
	attached := m.volume(left())
	must[*ec2.AttachVolumeOutput](m.t, "attach")(m.EC2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: aws.String(attached), InstanceId: aws.String(other), Device: aws.String("/dev/sdf")}))

	const orphan = "+ expired 1h0m ago"
	return map[string]string{
		builder: orphan, builderGroup: orphan, m.keyPair("free", left()): orphan, m.volume(left()): orphan, m.group("free", left()): orphan,
		gone: orphan, goneSnapshot: orphan,
		m.volume(left(tomorrow, tags.Run+"=dead")):                      "+ run dead has ended",
		m.volume(left(tags.Run + "=alive")):                             "- run alive goes on",
		m.volume(left(tomorrow)):                                        "- not expired: its run may go on elsewhere until ",
		m.volume(left(tags.Expires + "=soon")):                          `- its expiry "soon" is no time`,
		m.volume(left(tags.Image)):                                      "- no bake tagged it",
		m.volume(left(tags.Run)):                                        "- no bake tagged it",
		m.volume(left(tags.Address + "=volume.data")):                   "- it was launched as volume.data",
		m.volume(left(tags.Candidate+"=f", tomorrow, tags.Run+"=dead")): "- the next bake of web with the same inputs finishes it",
		attached:         "- " + attached + " is attached to " + other,
		usedKey:          "- instance " + other + " was launched with it",
		usedGroup:        "- network interface ",
		named:            "- a rule of ",
		keptSnapshot:     "- image ami-",
		running:          "- instance i-",
		runningSnapshot:  "- image " + running + " has it",
		pointed:          "- /goldline/shop/prod/web points at it",
		pointedSnapshot:  "- image " + pointed + " has it",
		promoted:         "- it was promoted to prod",
		promotedSnapshot: "- ", passed: "- it has passed its tests: it is a build", passedSnapshot: "- image ",
		templated: "- launch template lt-", templatedSnapshot: "- image ",
	}
}

func (l *local) sweepOptions() SweepOptions {
	return SweepOptions{
		Project: "shop", Clouds: []*cloud.Cloud{l.reach(nil)}, Sink: lockedSink(&l.said),
		DeadRun: func(run string) bool { return run == "dead" }, LiveRun: func(run string) bool { return run == "alive" },
	}
}

func TestSweepRemovesWhatIsNobodys(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	ctx := context.Background()
	m := maker{l.reach(nil), t}
	m.keyPair("foreign", left(tags.Project+"=other"))
	want := m.sweepable()
	found, err := FindOrphans(ctx, l.sweepOptions())
	if err != nil {
		t.Fatal(err)
	}
	builder := ""
	for _, o := range found.Orphans {
		said := "- " + o.Why
		if o.Remove {
			said = "+ " + o.Why
		}
		expected, known := want[o.ID]
		switch {
		case o.Kind == "instance":
			builder = o.ID
		case !known && o.Kind == "volume" && builder != "" && o.Remove:
			expected = "+ " // the builder's own
		}
		if expected == "" || !strings.HasPrefix(said, expected) {
			t.Errorf("%s: %s, want %q", o, said, expected)
		}
		delete(want, o.ID)
	}
	if len(want) > 0 || found.Others != 1 {
		t.Errorf("not found: %v; of others: %d", want, found.Others)
	}
	t.Run("but leaves what is young", func(t *testing.T) {
		o := l.sweepOptions()
		o.OlderThan = time.Hour
		young, err := FindOrphans(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range young.Orphans {
			if o.Remove && o.Kind != "security-group" { // whose age is its run's
				t.Errorf("%s is %s, %s", o, time.Since(o.Created), o.Why)
			}
		}
	})
	if err := found.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	for _, o := range found.Orphans {
		if o.Remove != o.Removed {
			t.Errorf("%s: removed %t", o, o.Removed)
		}
		if there := strings.Contains(l.inventory(), o.ID); there == o.Removed && o.Kind != "key-pair" { // which it lists by name
			t.Errorf("%s is there: %t", o, there)
		}
	}
	again, err := FindOrphans(ctx, l.sweepOptions())
	if err != nil || again.Removable() != 0 || again.Remove(ctx) != nil {
		t.Errorf("a second time: %d to remove, %v", again.Removable(), err)
	}
}

// Every call of a sweep that removes something fails once, and loses its answer
// once; then the next sweep finishes.
func TestSweepGoesOnAfterAnyRemoval(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	ctx := context.Background()
	m := maker{l.reach(nil), t}
	source := must[[]types.Image](t, "source")(describeAMIs(ctx, m.Cloud, &ec2.DescribeImagesInput{Owners: []string{"136693071363"}}))
	other := m.instance(aws.ToString(source[0].ImageId), nil, func(*ec2.RunInstancesInput) {})
	clean := l.inventory()
	for _, action := range []string{"TerminateInstances", "DeleteVolume", "DeleteKeyPair", "DeleteSecurityGroup", "DeregisterImage", "DeleteSnapshot"} {
		for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer} {
			if kind == emulator.LostAnswer && action != "TerminateInstances" && action != "DeleteSnapshot" {
				continue // these stand for all: what is gone already is no error of any
			}
			m.image(other, "gone", left())
			m.keyPair("free", left())
			group := m.group("free", left())
			m.volume(left())
			m.instance(aws.ToString(source[0].ImageId), left(), func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{group} })
			l.Inject(emulator.Fault{Service: "ec2", Action: action, Nth: 1, Kind: kind, Code: "UnauthorizedOperation"})
			var errs []error
			for range 2 {
				found, err := FindOrphans(ctx, l.sweepOptions())
				if err == nil {
					err = found.Remove(ctx)
				}
				errs = append(errs, err)
				l.ClearFaults()
			}
			refused := kind == emulator.Error
			if after := l.inventory(); errs[1] != nil || refused != (fail.ExitCode(errs[0]) == fail.CodeDirty) || after != clean {
				t.Errorf("%s, %v: %v; left\n%s\nof\n%s", action, kind, errs, after, clean)
			}
		}
	}
}
