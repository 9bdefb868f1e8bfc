package emulator

import (
	"slices"
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
			return "InvalidParameterValue", err
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

// TestSecondaryAddressesMove: an instance's secondary addresses, with the elastic
// one that is at one of them, move to another's interface and back.
func TestSecondaryAddressesMove(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	attachGateway(t, c, vpc)
	image := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: where("name", "debian-12-amd64-*")}))(t).Images[0].ImageId
	run := func(count int32, nic types.InstanceNetworkInterfaceSpecification) (*ec2.RunInstancesOutput, error) {
		nic.DeviceIndex, nic.SubnetId = new(int32(0)), &subnet
		return c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: image, InstanceType: "t3.small", MinCount: &count, MaxCount: &count, NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{nic}})
	}
	given := []types.PrivateIpAddressSpecification{{PrivateIpAddress: new("10.0.1.50")}, {PrivateIpAddress: new("10.0.1.51"), Primary: new(false)}}
	old := must(run(1, types.InstanceNetworkInterfaceSpecification{PrivateIpAddresses: given, PrivateIpAddress: new("10.0.1.9")}))(t).Instances[0]
	next := must(run(1, types.InstanceNetworkInterfaceSpecification{SecondaryPrivateIpAddressCount: new(int32(1))}))(t).Instances[0]
	clock.Advance(time.Second)
	own := func(i types.Instance) *string { return i.NetworkInterfaces[0].NetworkInterfaceId }
	assign := func(to types.Instance, move bool, ips ...string) error {
		_, err := c.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: own(to), PrivateIpAddresses: ips, AllowReassignment: &move})
		return err
	}
	address := *must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId
	associate := func(ip string) error {
		_, err := c.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: &address, InstanceId: old.InstanceId, PrivateIpAddress: &ip})
		return err
	}
	for what, call := range map[string]func() (string, error){
		"an address of another one": func() (string, error) { return "InvalidParameterValue", assign(next, false, "10.0.1.50") },
		"a primary address":         func() (string, error) { return "InvalidParameterValue", assign(next, true, "10.0.1.9") },
		"one of no subnet":          func() (string, error) { return "InvalidParameterValue", assign(next, true, "10.0.9.9") },
		"more than its type takes": func() (string, error) {
			return "PrivateIpAddressLimitExceeded", assign(next, true, "10.0.1.60", "10.0.1.61", "10.0.1.62")
		},
		"an elastic one at what it has not": func() (string, error) { return "InvalidParameterValue", associate("10.0.1.77") },
		"several with the same": func() (string, error) {
			_, err := run(2, types.InstanceNetworkInterfaceSpecification{PrivateIpAddresses: given})
			return "InvalidParameterCombination", err
		},
	} {
		if want, err := call(); codeOf(err) != want {
			t.Errorf("%s: %v, not %s", what, err, want)
		}
	}
	if err := associate("10.0.1.50"); err != nil {
		t.Fatal(err)
	}
	at := func(i types.Instance) (ips []string) {
		list := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: where("attachment.instance-id", *i.InstanceId)}))(t).NetworkInterfaces
		for _, a := range list[0].PrivateIpAddresses[1:] {
			ips = append(ips, *a.PrivateIpAddress)
			if a.Association != nil {
				ips = append(ips, "elastic")
			}
		}
		return ips
	}
	show := func(what string, of types.Instance, want ...string) {
		t.Helper()
		if got := at(of); !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	show("launched", old, "10.0.1.50", "elastic", "10.0.1.51")
	if err := assign(next, true, "10.0.1.50", "10.0.1.51"); err != nil {
		t.Fatal(err)
	}
	show("moved away", old)
	show("moved", next, "10.0.1.5", "10.0.1.50", "elastic", "10.0.1.51")
	if a := must(c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: where("instance-id", *next.InstanceId)}))(t).Addresses; len(a) != 1 || *a[0].PrivateIpAddress != "10.0.1.50" {
		t.Errorf("the elastic address: %+v", a)
	}
	if i := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: where("network-interface.addresses.private-ip-address", "10.0.1.51")}))(t); len(i.Reservations) != 1 || i.Reservations[0].Instances[0].PublicIpAddress != nil {
		t.Errorf("the instance: %+v", i.Reservations)
	}
	if v, ok := c.Cloud.ec2.metadata(world{defaultAccount, testRegion}, *next.InstanceId, "network/interfaces/macs/"+*next.NetworkInterfaces[0].MacAddress+"/local-ipv4s"); !ok || v != *next.PrivateIpAddress+"\n10.0.1.5\n10.0.1.50\n10.0.1.51" {
		t.Errorf("metadata: %q", v)
	}
	must(c.ec2.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: own(next), PrivateIpAddresses: []string{"10.0.1.50"}}))(t)
	if a := must(c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{}))(t).Addresses; a[0].AssociationId != nil {
		t.Errorf("at an address that nothing has: %+v", a)
	}
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{*next.InstanceId}}))(t)
	clock.Advance(time.Second)
	if err := assign(old, false, "10.0.1.51"); err != nil {
		t.Errorf("its address is not free: %v", err)
	}
}
