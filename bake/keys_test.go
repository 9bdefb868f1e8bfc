package bake

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
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// stubbedCloud is a local cloud whose builders run nothing, with an SSH server
// in their place.
func stubbedCloud(t *testing.T) (*local, sshServer) {
	return openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil), stubSSH(t)
}

func imageIn(t *testing.T, c *cloud.Cloud, id string) types.Image {
	t.Helper()
	found, err := describeAMIs(context.Background(), c, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", id, c.Region, found, err)
	}
	return found[0]
}

func TestPublish(t *testing.T) {
	l, server := stubbedCloud(t)
	options := l.options("r1")
	image := l.stubbed(server, "1")
	image.SnapshotTags = map[string]string{"kept": "yes"}
	image.KmsKeyID = "alias/own"
	image.Publication = project.Publication{
		AMIRegions: []string{region, "us-east-1", "eu-west-1"}, RegionKmsKeyIDs: map[string]string{"us-east-1": "alias/there", "eu-west-1": "alias/west"},
		AMIUsers: []string{"111111111111"}, AMIOrgARNs: []string{"arn:aws:organizations::222222222222:organization/o-abc"}, SnapshotUsers: []string{"333333333333"},
		DeprecateAt: "2099-01-31T12:00:00Z", DeregistrationOn: &project.Protection{Enabled: true},
	}
	build, err := New(options).Bake(context.Background(), image)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	if len(build.Copies) != 2 || build.Copies[0].Region != "us-east-1" || build.Copies[1].Region != "eu-west-1" {
		t.Fatalf("copies %+v", build.Copies)
	}
	for _, c := range append([]Copy{{region, build.AMI}}, build.Copies...) {
		there := options.Cloud.In(c.Region)
		ami := imageIn(t, there, c.AMI)
		set := cloud.TagSet(ami.Tags)
		if set["goldline:fingerprint"] != build.Fingerprint || set["team"] != "shop" || ami.ImdsSupport != types.ImdsSupportValuesV20 {
			t.Errorf("%s: tags %v, IMDS %s", c.Region, set, ami.ImdsSupport)
		}
		if got := aws.ToString(ami.DeprecationTime); !strings.HasPrefix(got, "2099-01-31T12:00") {
			t.Errorf("%s: deprecated at %s", c.Region, got)
		}
		if got := aws.ToString(ami.DeregistrationProtection); !strings.HasPrefix(got, "enabled") {
			t.Errorf("%s: protection %q", c.Region, got)
		}
		out, err := there.EC2.DescribeImageAttribute(context.Background(), &ec2.DescribeImageAttributeInput{ImageId: aws.String(c.AMI), Attribute: types.ImageAttributeNameLaunchPermission})
		if err != nil || len(out.LaunchPermissions) != 2 {
			t.Errorf("%s: permissions %+v, %v", c.Region, out, err)
		}
		snapshot := cloud.SnapshotsOf(ami)[0]
		may, err := there.EC2.DescribeSnapshotAttribute(context.Background(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String(snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission})
		if err != nil || len(may.CreateVolumePermissions) != 1 {
			t.Errorf("%s: permissions of %s %+v, %v", c.Region, snapshot, may, err)
		}
		kept, err := there.EC2.DescribeSnapshots(context.Background(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}})
		if err != nil || cloud.TagSet(kept.Snapshots[0].Tags)["kept"] != "yes" || !aws.ToBool(kept.Snapshots[0].Encrypted) {
			t.Errorf("%s: snapshot %+v, %v", c.Region, kept, err)
		}
		alias := map[string]string{region: "alias/own", "us-east-1": "alias/there", "eu-west-1": "alias/west"}[c.Region]
		key, err := there.KMS.DescribeKey(context.Background(), &kms.DescribeKeyInput{KeyId: aws.String(alias)})
		if err != nil || aws.ToString(kept.Snapshots[0].KmsKeyId) != aws.ToString(key.KeyMetadata.Arn) {
			t.Errorf("%s: key %s is not %s, %v", c.Region, aws.ToString(kept.Snapshots[0].KmsKeyId), alias, err)
		}
	}
	t.Run("once", func(t *testing.T) {
		again := New(l.options("r2"))
		l.ResetCalls()
		if b, err := again.Bake(context.Background(), image); err != nil || !b.Reused {
			t.Fatalf("%+v, %v", b, err)
		}
		if calls := l.actions(); len(calls) > 3 {
			t.Errorf("an unchanged bake took %v", calls)
		}
	})
	t.Run("what is new of an old build", func(t *testing.T) {
		image.AMIUsers = append(image.AMIUsers, "444444444444")
		b, err := New(l.options("r3")).Bake(context.Background(), image)
		if err != nil || !b.Reused || len(b.Copies) != 2 || b.Copies[0].AMI != build.Copies[0].AMI {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// Whatever call of a publication goes wrong, the next bake finishes it, with
// one copy in each region.
func TestPublishGoesWrongOnce(t *testing.T) {
	l, server := stubbedCloud(t)
	image := func(version string) *project.Image {
		i := l.stubbed(server, version)
		i.KmsKeyID = "alias/own"
		i.Publication = project.Publication{AMIRegions: []string{"us-east-1"}, RegionKmsKeyIDs: map[string]string{"us-east-1": "alias/there"}, AMIUsers: []string{"111111111111"}, SnapshotUsers: []string{"111111111111"}, DeprecateAt: "2099-01-31T12:00:00Z"}
		return i
	}
	for _, action := range []string{"CopyImage", "ModifyImageAttribute", "ModifySnapshotAttribute", "EnableImageDeprecation", "CreateTags"} {
		for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer} {
			version := strings.ReplaceAll(fmt.Sprintf("%s-%s", action, kind), " ", "-")
			l.Inject(emulator.Fault{Service: "ec2", Action: action, Kind: kind, Code: "UnauthorizedOperation"})
			options := l.options("first-" + version)
			_, err := New(options).Bake(context.Background(), image(version))
			l.ClearFaults()
			if kind == emulator.Error && action != "ModifyImageAttribute" && (err == nil || fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(fail.LeftOf(err)[0].Command, "goldline bake web")) {
				t.Errorf("%s: %v", version, err)
			}
			build, err := New(l.options("again-"+version)).Bake(context.Background(), image(version))
			if err != nil {
				t.Fatalf("%s: the next bake: %v", version, err)
			}
			for _, r := range []string{region, "us-east-1"} {
				found, err := describeAMIs(context.Background(), options.Cloud.In(r), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("tag:"+tags.Version, version)}})
				if err != nil || len(found) != 1 || cloud.TagSet(found[0].Tags)[tags.Fingerprint] != build.Fingerprint {
					t.Errorf("%s: %d images in %s, %v", version, len(found), r, err)
				}
			}
		}
	}
}

func TestSpotFallsBack(t *testing.T) {
	for name, test := range map[string]struct {
		price  string
		faults int
		want   string // type and lifecycle of the builder; "" for none
		calls  int
	}{
		"spot":                      {"auto", 0, "t3.small spot", 1},
		"another type":              {"auto", 1, "t3.medium spot", 2},
		"on demand":                 {"auto", 2, "t3.micro ", 3},
		"another zone":              {"auto", 3, "t3.small spot", 4},
		"none, at a price":          {"0.01", -1, "", 2 + 2*3},
		"another zone, at a price":  {"0.01", 2, "t3.small spot", 3},
		"none at all, of any zones": {"auto", -1, "", 3 + 3*3},
	} {
		t.Run(name, func(t *testing.T) {
			l, server := stubbedCloud(t)
			before := l.inventory()
			image := l.stubbed(server, "1")
			image.InstanceType, image.SpotPrice, image.SpotInstanceTypes = "t3.micro", test.price, []string{"t3.small", "t3.medium"}
			if test.faults != 0 {
				l.Inject(emulator.Fault{Service: "ec2", Action: "RunInstances", Kind: emulator.Error, Code: "InsufficientInstanceCapacity", Times: test.faults})
			}
			l.ResetCalls()
			options := l.options("r1")
			_, err := New(options).Bake(context.Background(), image)
			launches := 0
			for _, a := range l.actions() {
				if a == "RunInstances" {
					launches++
				}
			}
			if launches != test.calls {
				t.Errorf("%d launches, want %d", launches, test.calls)
			}
			if test.want == "" {
				if err == nil || fail.ExitCode(err) != fail.CodeClean || l.inventory() != before {
					t.Errorf("error %v; left\n%s", err, l.inventory())
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			out, err := options.Cloud.EC2.DescribeInstances(context.Background(), &ec2.DescribeInstancesInput{})
			if err != nil || len(out.Reservations) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			i := out.Reservations[0].Instances[0]
			if got := fmt.Sprintf("%s %s", i.InstanceType, i.InstanceLifecycle); got != test.want {
				t.Errorf("the builder was %q, want %q", got, test.want)
			}
		})
	}
}

func TestNetworkFilters(t *testing.T) {
	l, server := stubbedCloud(t)
	options := l.options("r1")
	ctx := context.Background()
	subnets, err := options.Cloud.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) < 2 {
		t.Fatal(err)
	}
	image := l.stubbed(server, "1")
	image.VPCFilter = &project.Filter{Filters: map[string]string{"is-default": "true"}}
	image.SubnetFilter = &project.SubnetFilter{Filters: map[string]string{"default-for-az": "true"}}
	_, err = New(options).Bake(ctx, image)
	if err == nil || !strings.Contains(err.Error(), "most_free or random") {
		t.Errorf("several subnets: %v", err)
	}
	image.SubnetFilter.MostFree = true
	image.AvailabilityZone = region + "b"
	image.SecurityGroupFilter = &project.Filter{Filters: map[string]string{"group-name": "default"}}
	image.Tenancy, image.UnlimitedCredits = "dedicated", true
	image.MetadataOptions = &project.MetadataOptions{HopLimit: 3, InstanceTags: "enabled"}
	if _, err = New(options).Bake(ctx, image); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	out, err := options.Cloud.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	i := out.Reservations[0].Instances[0]
	if aws.ToString(i.Placement.AvailabilityZone) != region+"b" || i.Placement.Tenancy != types.TenancyDedicated || aws.ToInt32(i.MetadataOptions.HttpPutResponseHopLimit) != 3 {
		t.Errorf("placement %+v, metadata %+v", i.Placement, i.MetadataOptions)
	}
	if actions := l.actions(); slices.Contains(actions, "CreateSecurityGroup") {
		t.Error("a security group was made beside those of the filter")
	}
	image.SecurityGroupFilter.Filters["group-name"] = "none"
	if _, err = New(options).Bake(ctx, image); err != nil {
		t.Errorf("an unchanged recipe looks for its groups: %v", err) // the build is there
	}
}

func TestAttributes(t *testing.T) {
	l, server := stubbedCloud(t)
	options := l.options("r1")
	image := l.stubbed(server, "1")
	image.EnaSupport, image.SriovSupport = aws.Bool(false), true
	build, err := New(options).Bake(context.Background(), image)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	if ami := imageIn(t, options.Cloud, build.AMI); aws.ToBool(ami.EnaSupport) || aws.ToString(ami.SriovNetSupport) != "simple" {
		t.Errorf("ENA %v, SR-IOV %v", aws.ToBool(ami.EnaSupport), aws.ToString(ami.SriovNetSupport))
	}
	image.BootMode = "legacy-bios"
	if _, err = New(options).Bake(context.Background(), image); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "narrow to uefi") {
		t.Errorf("another boot mode: %v", err)
	}
	image.BootMode = "uefi"
	narrow, err := New(options).Bake(context.Background(), image)
	if err != nil || narrow.AMI == build.AMI {
		t.Fatalf("UEFI alone: %+v, %v", narrow, err)
	}
	if ami := imageIn(t, options.Cloud, narrow.AMI); ami.BootMode != types.BootModeValuesUefi {
		t.Errorf("UEFI alone: %s", ami.BootMode)
	}
}

func TestSkipCreateAMI(t *testing.T) {
	l, server := stubbedCloud(t)
	before := l.inventory()
	image := l.stubbed(server, "1")
	image.SkipCreateAMI = true
	build, err := New(l.options("r1")).Bake(context.Background(), image)
	if err != nil || build.AMI != "" || build.Fingerprint == "" {
		t.Errorf("%+v, %v", build, err)
	}
	if after := l.inventory(); after != before {
		t.Errorf("left\n%s", after)
	}
}

// Without a limit of time, for what a wait may take.
func TestDeadline(t *testing.T) {
	b := &bake{image: &project.Image{}}
	if got := b.deadline(time.Hour); got != time.Hour {
		t.Errorf("usual %s", got)
	}
	b.image.AWSPolling = &project.AWSPolling{DelaySeconds: 30, MaxAttempts: 50}
	if got := b.deadline(time.Hour); got != 25*time.Minute {
		t.Errorf("of aws_polling %s", got)
	}
}
