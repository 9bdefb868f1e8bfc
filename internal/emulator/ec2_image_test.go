package emulator

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestSourceImages(t *testing.T) {
	c := newTestCloud(t, Options{})
	for _, test := range []struct {
		owner, name, arch, newest string
	}{
		{"136693071363", "debian-12-*", "x86_64", "debian-12-amd64-20251006-2257"},
		{"136693071363", "debian-12-*", "arm64", "debian-12-arm64-20251006-2257"},
		{"099720109477", "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*", "x86_64", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251001"},
		{"amazon", "al2023-ami-2023*", "x86_64", "al2023-ami-2023.9.20251014.0-kernel-6.1-x86_64"},
		{"137112412989", "al2023-ami-2023*", "arm64", "al2023-ami-2023.9.20251014.0-kernel-6.1-arm64"},
	} {
		out := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{test.owner}, Filters: where(
			"name", test.name, "architecture", test.arch, "virtualization-type", "hvm", "root-device-type", "ebs", "state", "available",
		)}))(t)
		newest := types.Image{CreationDate: new(""), Name: new("")}
		for _, image := range out.Images {
			if *image.CreationDate > *newest.CreationDate {
				newest = image
			}
		}
		if len(out.Images) != 2 || *newest.Name != test.newest || !*newest.Public {
			t.Errorf("%s %s: %d images, the newest %s", test.owner, test.name, len(out.Images), *newest.Name)
		}
	}
}

func TestSourceImagesDifferBetweenRegionsAndStay(t *testing.T) {
	a, b := publicImage("eu-central-1", "debian-12", "x86_64"), publicImage("us-east-1", "debian-12", "x86_64")
	if a == b || a != publicImage("eu-central-1", "debian-12", "x86_64") || a == "" {
		t.Errorf("%s in one region, %s in another", a, b)
	}
}

// baked is an image of a new instance of a cloud on a driven clock.
func baked(t *testing.T, c *testCloud, clock *DrivenClock, name string) string {
	t.Helper()
	id := *run(t, c, nil).InstanceId
	clock.Advance(time.Second)
	out := must(c.ec2.CreateImage(t.Context(), &ec2.CreateImageInput{
		InstanceId: &id, Name: &name,
		TagSpecifications: append(tagging("image", "Name", name), tagging("snapshot", "Name", name+"-root")...),
	}))(t)
	return *out.ImageId
}

func TestCreateImageOnADrivenClock(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	id := baked(t, c, clock, "web-1")
	show := func() types.Image {
		return must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}}))(t).Images[0]
	}
	image := show()
	if image.State != "pending" || *image.Tags[0].Value != "web-1" || image.SourceImageId == nil {
		t.Errorf("a new image: %s %v", image.State, image.Tags)
	}
	_, err := c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &id, InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1))})
	wantCode(t, err, "InvalidAMIID.Unavailable")
	clock.Advance(500 * time.Millisecond)
	snapshot := func() types.Snapshot {
		return must(c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: where("tag:Name", "web-1-root")}))(t).Snapshots[0]
	}
	if got := snapshot(); *got.Progress != "50%" || got.State != "pending" {
		t.Errorf("half-way: %s %s", got.State, *got.Progress)
	}
	clock.Advance(500 * time.Millisecond)
	if got := snapshot(); *got.Progress != "100%" || got.State != "completed" {
		t.Errorf("at the end: %s %s", got.State, *got.Progress)
	}
	if got := show().State; got != "available" {
		t.Errorf("the image is %s", got)
	}
	_, err = c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: image.SourceInstanceId, Name: new("web-1")})
	wantCode(t, err, "InvalidAMIName.Duplicate")
	_, err = c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: image.SourceInstanceId, Name: new("web:1")})
	wantCode(t, err, "InvalidAMIName.Malformed")
	_, err = c.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snapshot().SnapshotId})
	wantCode(t, err, "InvalidSnapshot.InUse")
	registered := must(c.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
		Name: new("web-from-snapshot"), RootDeviceName: new("/dev/xvda"), VirtualizationType: new("hvm"), EnaSupport: new(true), Architecture: "x86_64",
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: snapshot().SnapshotId}}},
	}))(t)
	out := must(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: new(true)}))(t)
	if code := out.DeleteSnapshotResults[0].ReturnCode; code != "skipped" {
		t.Errorf("a snapshot of another image is %s", code)
	}
	must(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: registered.ImageId, DeleteAssociatedSnapshots: new(true)}))(t)
	if left := must(c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))(t).Snapshots; len(left) != 0 {
		t.Errorf("snapshots left: %d", len(left))
	}
}

func TestAnImageIsSeenByThoseItIsSharedWith(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	id := baked(t, c, clock, "shared-1")
	clock.Advance(time.Second)
	const other = "111122223333"
	theirs := func(ids ...string) ([]types.Image, error) {
		out, err := callAs(c, other, testRegion, "DescribeImages", &ec2.DescribeImagesInput{ImageIds: ids})
		if err != nil {
			return nil, err
		}
		return out.(*ec2.DescribeImagesOutput).Images, nil
	}
	_, err := theirs(id)
	wantLocal(t, err, "InvalidAMIID.NotFound")
	must(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &id, LaunchPermission: &types.LaunchPermissionModifications{
		Add: []types.LaunchPermission{{UserId: new(other)}},
	}}))(t)
	images := must(theirs(id))(t)
	if len(images) != 1 || len(images[0].Tags) != 0 {
		t.Errorf("the other account sees %+v", images)
	}
	copied, err := callAs(c, other, "us-east-1", "CopyImage", &ec2.CopyImageInput{Name: new("copy"), SourceImageId: &id, SourceRegion: new(testRegion), ClientToken: new("once")})
	if err != nil {
		t.Fatal(err)
	}
	again, err := callAs(c, other, "us-east-1", "CopyImage", &ec2.CopyImageInput{Name: new("copy"), SourceImageId: &id, SourceRegion: new(testRegion), ClientToken: new("once")})
	if err != nil || *again.(*ec2.CopyImageOutput).ImageId != *copied.(*ec2.CopyImageOutput).ImageId {
		t.Errorf("the token copied again: %v", err)
	}
	must(c.ec2.ResetImageAttribute(ctx, &ec2.ResetImageAttributeInput{ImageId: &id, Attribute: "launchPermission"}))(t)
	_, err = theirs(id)
	wantLocal(t, err, "InvalidAMIID.NotFound")
	alone := must(c.ec2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: "launchPermission"}))(t)
	if alone.LaunchPermissions == nil || len(alone.LaunchPermissions) != 0 {
		t.Errorf("shared with nobody: %#v", alone.LaunchPermissions)
	}
	must(c.ec2.DisableImage(ctx, &ec2.DisableImageInput{ImageId: &id}))(t)
	listed := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}}))(t).Images
	disabled := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: new(true)}))(t).Images
	if len(listed) != 0 || len(disabled) != 1 {
		t.Errorf("%d images listed, %d with disabled ones", len(listed), len(disabled))
	}
}

func TestPages(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	want := map[string]bool{}
	for i := range 12 {
		id := *run(t, c, func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = tagging("instance", "number", fmt.Sprint(i), "half", pick(i < 6, "lower", "upper"))
		}).InstanceId
		want[id] = true
	}
	pages := 0
	p := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{MaxResults: new(int32(5)), Filters: where("tag-key", "number", "tag:half", "lower,upper")})
	for p.HasMorePages() {
		pages++
		for _, r := range must(p.NextPage(ctx))(t).Reservations {
			for _, i := range r.Instances {
				if !want[*i.InstanceId] {
					t.Errorf("%s twice", *i.InstanceId)
				}
				delete(want, *i.InstanceId)
			}
		}
	}
	if pages != 3 || len(want) != 0 {
		t.Errorf("%d pages, %d instances missed", pages, len(want))
	}
}

func TestFilterPatterns(t *testing.T) {
	for _, test := range []struct {
		value, pattern string
		want           bool
	}{
		{"web-1", "web-*", true}, {"web-1", "web-?", true}, {"web-12", "web-?", false}, {"web", "*", true}, {"", "*", true},
		{"Web", "web", false}, {"a*b", `a\*b`, true}, {"axb", `a\*b`, false}, {"abcbd", "a*b?", true}, {"web", "we", false}, {"ab", "a*b*", true},
	} {
		if got := matches(test.value, test.pattern); got != test.want {
			t.Errorf("%q matches %q: %v", test.value, test.pattern, got)
		}
	}
}

func TestTags(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	must(c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{vpc, subnet}, Tags: tagging("vpc", "env", "test", "owner", "ops")[0].Tags}))(t)
	must(c.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: new("env"), Value: new("prod")}, {Key: new("owner")}}}))(t)
	count := func(pairs ...string) int {
		return len(must(c.ec2.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: where(pairs...)}))(t).Tags)
	}
	if got := count("resource-id", vpc); got != 2 { // Name and env
		t.Errorf("the VPC has %d tags", got)
	}
	if got := count("key", "env", "resource-type", "subnet,vpc"); got != 2 {
		t.Errorf("%d resources have the tag", got)
	}
	must(c.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{vpc}}))(t)
	if got := count("resource-id", vpc); got != 0 {
		t.Errorf("the VPC still has %d tags", got)
	}
}
