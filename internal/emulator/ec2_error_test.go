package emulator

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestErrorCodes(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	ami := debian(t, c)
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	must(c.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: new("taken"), KeyType: "ed25519"}))(t)
	must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("taken"), Description: new("d"), VpcId: &vpc}))(t)
	zone, gone := testRegion+"a", "0123456789abcdef0"
	running := func(change func(*ec2.RunInstancesInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &ec2.RunInstancesInput{ImageId: &ami, InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1))}
			change(in)
			_, err := c.ec2.RunInstances(ctx, in)
			return err
		}
	}
	volume := func(in ec2.CreateVolumeInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.ec2.CreateVolume(ctx, &in); return err }
	}
	for _, test := range []struct {
		name, code string
		call       func(context.Context) error
	}{
		{"unknown image", "InvalidAMIID.NotFound", running(func(in *ec2.RunInstancesInput) { in.ImageId = new("ami-" + gone) })},
		{"malformed image", "InvalidAMIID.Malformed", running(func(in *ec2.RunInstancesInput) { in.ImageId = new("ami-web") })},
		{"unknown type", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.InstanceType = "t99.huge" })},
		{"wrong architecture", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.InstanceType = "t4g.micro" })},
		{"unknown key", "InvalidKeyPair.NotFound", running(func(in *ec2.RunInstancesInput) { in.KeyName = new("none") })},
		{"unknown subnet", "InvalidSubnetID.NotFound", running(func(in *ec2.RunInstancesInput) { in.SubnetId = new("subnet-" + gone) })},
		{"unknown group", "InvalidGroup.NotFound", running(func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-" + gone} })},
		{"malformed group", "InvalidGroupId.Malformed", running(func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"web"} })},
		{"user data too long", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) {
			in.UserData = new(base64.StdEncoding.EncodeToString(make([]byte, 16<<10+1)))
		})},
		{"user data not base64", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.UserData = new("#!/bin/sh") })},
		{"tags of another resource", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.TagSpecifications = tagging("vpc", "a", "b") })},
		{"reserved tag", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.TagSpecifications = tagging("instance", "aws:a", "b") })},
		{"address outside", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.SubnetId, in.PrivateIpAddress = &subnet, new("10.0.2.9") })},
		{"reserved address", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) { in.SubnetId, in.PrivateIpAddress = &subnet, new("10.0.1.3") })},
		{"root too small", "InvalidParameterValue", running(func(in *ec2.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: new(int32(4))}}}
		})},
		{"dry run", "DryRunOperation", running(func(in *ec2.RunInstancesInput) { in.DryRun = new(true) })},
		{"VPC too large", "InvalidVpc.Range", func(ctx context.Context) error {
			_, err := c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/8")})
			return err
		}},
		{"subnet outside", "InvalidSubnet.Range", func(ctx context.Context) error {
			_, err := c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.1.0.0/24")})
			return err
		}},
		{"subnet overlapping", "InvalidSubnet.Conflict", func(ctx context.Context) error {
			_, err := c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.0.0.0/20")})
			return err
		}},
		{"subnet in no VPC", "InvalidVpcID.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: new("vpc-" + gone), CidrBlock: new("10.0.2.0/24")})
			return err
		}},
		{"group twice", "InvalidGroup.Duplicate", func(ctx context.Context) error {
			_, err := c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("taken"), Description: new("d"), VpcId: &vpc})
			return err
		}},
		{"key twice", "InvalidKeyPair.Duplicate", func(ctx context.Context) error {
			_, err := c.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: new("taken")})
			return err
		}},
		{"unknown route table", "InvalidRouteTableID.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: new("rtb-" + gone)})
			return err
		}},
		{"unknown gateway", "InvalidInternetGatewayID.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: new("igw-" + gone)})
			return err
		}},
		{"unknown volume", "InvalidVolume.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: new("vol-" + gone)})
			return err
		}},
		{"unknown snapshot", "InvalidSnapshot.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: new("snap-" + gone)})
			return err
		}},
		{"unknown instance", "InvalidInstanceID.NotFound", func(ctx context.Context) error {
			_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-" + gone}})
			return err
		}},
		{"malformed instance", "InvalidInstanceID.Malformed", func(ctx context.Context) error {
			_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-web"}})
			return err
		}},
		{"unknown filter", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: where("colour", "red")})
			return err
		}},
		{"pages of IDs", "InvalidParameterCombination", func(ctx context.Context) error {
			_, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-" + gone}, MaxResults: new(int32(5))})
			return err
		}},
		{"page too small", "InvalidParameterValue", func(ctx context.Context) error {
			_, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{MaxResults: new(int32(2))})
			return err
		}},
		{"strange page", "InvalidNextToken", func(ctx context.Context) error {
			_, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{NextToken: new("x")})
			return err
		}},
		{"others' image", "AuthFailure", func(ctx context.Context) error {
			_, err := c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &ami})
			return err
		}},
		{"too many tags", "TagLimitExceeded", func(ctx context.Context) error {
			spec := tagging("vpc")
			for i := range 51 {
				spec[0].Tags = append(spec[0].Tags, types.Tag{Key: new(strings.Repeat("k", i+1)), Value: new("")})
			}
			_, err := c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: spec[0].Tags})
			return err
		}},
		{"volume without a size", "MissingParameter", volume(ec2.CreateVolumeInput{AvailabilityZone: &zone})},
		{"volume in no zone", "InvalidZone.NotFound", volume(ec2.CreateVolumeInput{AvailabilityZone: new("us-west-1a"), Size: new(int32(1))})},
		{"io2 without iops", "MissingParameter", volume(ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: new(int32(8)), VolumeType: "io2"})},
		{"gp2 with iops", "InvalidParameterCombination", volume(ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: new(int32(8)), Iops: new(int32(3000))})},
		{"st1 too small", "InvalidParameterValue", volume(ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: new(int32(8)), VolumeType: "st1"})},
		{"throughput over iops", "InvalidParameterValue", volume(ec2.CreateVolumeInput{
			AvailabilityZone: &zone, Size: new(int32(8)), VolumeType: "gp3", Throughput: new(int32(1000)),
		})},
		{"unknown volume type", "InvalidParameterValue", volume(ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: new(int32(8)), VolumeType: "gp9"})},
	} {
		t.Run(test.name, func(t *testing.T) { wantCode(t, test.call(ctx), test.code) })
	}
}

func TestStatesThatForbid(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	id := *run(t, c, func(in *ec2.RunInstancesInput) { in.DisableApiTermination = new(true) }).InstanceId
	_, err := c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "IncorrectInstanceState")
	_, err = c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: new("too-early")})
	wantCode(t, err, "IncorrectState")
	clock.Advance(1e9)
	_, err = c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "OperationNotPermitted")
	_, err = c.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &id, InstanceType: &types.AttributeValue{Value: new("m5.large")}})
	wantCode(t, err, "IncorrectInstanceState")
	volume := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "b"), Size: new(int32(1))}))(t).VolumeId
	attach := func() error {
		_, err := c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &id, Device: new("/dev/sdf")})
		return err
	}
	wantCode(t, attach(), "IncorrectState") // still creating
	clock.Advance(1e9)
	wantCode(t, attach(), "InvalidVolume.ZoneMismatch")
	volume = *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "a"), Size: new(int32(1))}))(t).VolumeId
	clock.Advance(1e9)
	wantCode(t, attach(), "")
	wantCode(t, attach(), "VolumeInUse")
	_, err = c.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &volume})
	wantCode(t, err, "VolumeInUse")
	first := volume
	volume = *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "a"), Size: new(int32(1))}))(t).VolumeId
	clock.Advance(1e9)
	wantCode(t, attach(), "InvalidParameterValue") // the device is in use
	must(c.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &first}))(t)
	clock.Advance(1e9)
	_, err = c.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &first})
	wantCode(t, err, "IncorrectState")
	must(c.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &id, DisableApiTermination: &types.AttributeBooleanValue{Value: new(false)}}))(t)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	clock.Advance(1e9)
	_, err = c.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "IncorrectInstanceState")
}

func TestClientTokens(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	in := &ec2.RunInstancesInput{
		ImageId: new(debian(t, c)), InstanceType: "t3.micro", MinCount: new(int32(2)), MaxCount: new(int32(2)), ClientToken: new("generation-1"),
	}
	first := must(c.ec2.RunInstances(ctx, in))(t)
	again := must(c.ec2.RunInstances(ctx, in))(t)
	if *first.ReservationId != *again.ReservationId || len(again.Instances) != 2 {
		t.Errorf("the token launched again: %s and %s", *first.ReservationId, *again.ReservationId)
	}
	other := *in
	other.InstanceType = "t3.small"
	_, err := c.ec2.RunInstances(ctx, &other)
	wantCode(t, err, "IdempotentParameterMismatch")
	ids := []string{*first.Instances[0].InstanceId, *first.Instances[1].InstanceId}
	clock.Advance(1e9)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}))(t)
	clock.Advance(1e9)
	again = must(c.ec2.RunInstances(ctx, in))(t)
	if state := again.Instances[0].State.Name; state != "terminated" || *again.ReservationId != *first.ReservationId {
		t.Errorf("a terminated instance gave its token back: %s", state)
	}
	volume := &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "a"), Size: new(int32(1)), ClientToken: new("data")}
	if a, b := must(c.ec2.CreateVolume(ctx, volume))(t), must(c.ec2.CreateVolume(ctx, volume))(t); *a.VolumeId != *b.VolumeId {
		t.Error("the token made two volumes")
	}
}
