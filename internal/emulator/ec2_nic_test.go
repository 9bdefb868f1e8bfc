package emulator

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestANetworkInterfaceOutlivesItsInstance(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	before := must(c.Inventory())(t)
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	attachGateway(t, c, vpc)
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: new("one"), PrivateIpAddress: new("10.0.1.9"), SecondaryPrivateIpAddressCount: new(int32(2)),
		TagSpecifications: tagging("network-interface", "Name", "data")}
	eni := *must(c.ec2.CreateNetworkInterface(ctx, in))(t).NetworkInterface.NetworkInterfaceId
	if again := *must(c.ec2.CreateNetworkInterface(ctx, in))(t).NetworkInterface.NetworkInterfaceId; again != eni {
		t.Errorf("the same token made %s and %s", eni, again)
	}
	show := func() types.NetworkInterface {
		list := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: where("tag:Name", "data", "addresses.private-ip-address", "10.0.1.9")}))(t).NetworkInterfaces
		if len(list) != 1 {
			t.Fatalf("interfaces: %+v", list)
		}
		return list[0]
	}
	if n := show(); n.Status != types.NetworkInterfaceStatusAvailable || len(n.PrivateIpAddresses) != 3 {
		t.Errorf("a new interface: %+v", n)
	}
	image := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: where("name", "debian-12-amd64-*")}))(t).Images[0].ImageId
	instance := *must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: image, InstanceType: "t3.micro", SubnetId: &subnet, MinCount: new(int32(1)), MaxCount: new(int32(1))}))(t).Instances[0].InstanceId
	address := *must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId
	clock.Advance(time.Second)
	attach := &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, InstanceId: &instance, DeviceIndex: new(int32(1))}
	attachment := *must(c.ec2.AttachNetworkInterface(ctx, attach))(t).AttachmentId
	must(c.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: &address, NetworkInterfaceId: &eni}))(t)
	if a := must(c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: where("instance-id", instance)}))(t).Addresses; len(a) != 1 {
		t.Errorf("addresses of the instance: %+v", a)
	}
	if i := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}}))(t).Reservations[0].Instances[0]; len(i.NetworkInterfaces) != 2 || i.PublicIpAddress != nil {
		t.Errorf("the instance: %+v", i)
	}
	for what, call := range map[string]func() (string, error){
		"a second attachment": func() (string, error) {
			_, err := c.ec2.AttachNetworkInterface(ctx, attach)
			return "InvalidNetworkInterface.InUse", err
		},
		"its removal while it is in use": func() (string, error) {
			_, err := c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &eni})
			return "InvalidParameterValue", err
		},
		"an address on an instance with several": func() (string, error) {
			_, err := c.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: &address, InstanceId: &instance})
			return "InvalidInstanceID", err
		},
		"an attribute of an instance with several": func() (string, error) {
			_, err := c.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &instance, SourceDestCheck: &types.AttributeBooleanValue{Value: new(false)}})
			return "InvalidInstanceID", err
		},
		"an address that it has not": func() (string, error) {
			_, err := c.ec2.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: &eni, PrivateIpAddresses: []string{"10.0.1.99"}})
			return "InvalidParameterValue", err
		},
		"an address that is taken": func() (string, error) {
			_, err := c.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &eni, PrivateIpAddresses: []string{"10.0.1.9"}})
			return "InvalidIPAddress.InUse", err
		},
	} {
		if want, err := call(); codeOf(err) != want {
			t.Errorf("%s: %v, not %s", what, err, want)
		}
	}
	must(c.ec2.DetachNetworkInterface(ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachment}))(t)
	if n := show(); n.Status != types.NetworkInterfaceStatusDetaching {
		t.Errorf("it is %s", n.Status)
	}
	clock.Advance(time.Second)
	must(c.ec2.AttachNetworkInterface(ctx, attach))(t)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instance}}))(t)
	clock.Advance(time.Second)
	if n := show(); n.Status != types.NetworkInterfaceStatusAvailable || n.Association == nil || len(n.PrivateIpAddresses) != 3 {
		t.Errorf("after its instance: %+v", n)
	}
	must(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &eni}))(t)
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &address}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))(t)
	if after := must(c.Inventory())(t); len(after["000000000000/eu-central-1 network-interface"]) != len(before["000000000000/eu-central-1 network-interface"]) {
		t.Errorf("left: %v", after)
	}
}
