package emulator

import (
	"strings"
	"testing"
	"time"
)

func TestEC2WithTheAWSCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the AWS CLI a dozen times")
	}
	t.Parallel()
	url := serve(t, newTestCloud(t, Options{Transition: 10 * time.Millisecond}).Cloud)
	values := map[string]string{}
	for _, step := range []struct {
		args string // $name is what an earlier step gave
		keep string
		want string // the whole answer or, with a leading ~, a part of it
	}{
		{args: "describe-images --owners amazon --filters Name=architecture,Values=x86_64 --query sort_by(Images,&CreationDate)[-1].ImageId", keep: "ami", want: "~ami-"},
		{args: "run-instances --image-id $ami --instance-type t3.micro --count 2 --client-token one --tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=web}] --query Instances[0].InstanceId", keep: "first", want: "~i-"},
		{args: "wait instance-running --instance-ids $first"},
		{args: "describe-instances --filters Name=tag:Name,Values=we* Name=instance-state-name,Values=running --query length(Reservations[].Instances[])", want: "2"},
		{args: "describe-instances --filters Name=colour,Values=red", want: "~The filter 'colour' is invalid"},
		{args: "run-instances --image-id $ami --instance-type t3.small --client-token one", want: "~IdempotentParameterMismatch"},
		{args: "create-image --instance-id $first --name cli-1 --query ImageId", keep: "made", want: "~ami-"},
		{args: "wait image-available --image-ids $made"},
		{args: "terminate-instances --instance-ids $first --query TerminatingInstances[0].CurrentState.Name", want: "shutting-down"},
		{args: "wait instance-terminated --instance-ids $first"},
	} {
		args := []string{"--output", "text", "ec2"}
		for _, word := range strings.Fields(step.args) {
			for name, value := range values {
				word = strings.ReplaceAll(word, "$"+name, value)
			}
			args = append(args, word)
		}
		out, errs, err := program(t, url, "", "aws", args...)
		out = strings.TrimSpace(out + errs)
		part, isPart := strings.CutPrefix(step.want, "~")
		if isPart && !strings.Contains(out, part) || !isPart && (out != step.want || err != nil) {
			t.Fatalf("aws %s: %s (%v)", strings.Join(args, " "), out, err)
		}
		if step.keep != "" {
			values[step.keep] = out
		}
	}
}

const botoScript = `
import boto3
from botocore.exceptions import ClientError

ec2 = boto3.client("ec2")
image = ec2.describe_images(Owners=["136693071363"], Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]["ImageId"]
tags = [{"ResourceType": "instance", "Tags": [{"Key": "fleet", "Value": "boto"}]}]
made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=7, MaxCount=7, TagSpecifications=tags)["Instances"]
ids = [i["InstanceId"] for i in made]
ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
pages = list(ec2.get_paginator("describe_instances").paginate(
    Filters=[{"Name": "tag:fleet", "Values": ["boto"]}], PaginationConfig={"PageSize": 5}))
seen = [i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]]
assert len(pages) == 2 and sorted(seen) == sorted(ids), (len(pages), seen)

def refused(code, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
    else:
        raise AssertionError(code)

refused("InvalidAMIID.NotFound", ec2.run_instances, ImageId="ami-0123456789abcdef0", InstanceType="t3.micro", MinCount=1, MaxCount=1)
refused("DryRunOperation", ec2.run_instances, ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, DryRun=True)
refused("UnsupportedOperation", ec2.run_instances, ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, KernelId="aki-1")

high = boto3.resource("ec2")
vpc = high.create_vpc(CidrBlock="10.9.0.0/16")
subnet = vpc.create_subnet(CidrBlock="10.9.1.0/24")
refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc.id)
subnet.delete()
vpc.delete()

volume = high.create_volume(AvailabilityZone=made[0]["Placement"]["AvailabilityZone"], Size=2, VolumeType="gp3")
ec2.get_waiter("volume_available").wait(VolumeIds=[volume.id], WaiterConfig={"Delay": 1})
volume.attach_to_instance(InstanceId=ids[0], Device="/dev/sdf")
ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume.id], WaiterConfig={"Delay": 1})

instance = high.Instance(ids[0])
assert instance.image.id == image and instance.state["Name"] == "running" and instance.tags[0]["Value"] == "boto"
ec2.terminate_instances(InstanceIds=ids)
ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
print("done")
`

func TestEC2WithBoto3(t *testing.T) {
	t.Parallel()
	url := serve(t, newTestCloud(t, Options{Transition: 10 * time.Millisecond}).Cloud)
	if out := python(t, url, botoScript); strings.TrimSpace(out) != "done" {
		t.Error(out)
	}
}
