package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type networkInterfaceAPI interface {
	ec2.DescribeNetworkInterfacesAPIClient
	CreateNetworkInterface(context.Context, *ec2.CreateNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.CreateNetworkInterfaceOutput, error)
	ModifyNetworkInterfaceAttribute(context.Context, *ec2.ModifyNetworkInterfaceAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyNetworkInterfaceAttributeOutput, error)
	AssignPrivateIpAddresses(context.Context, *ec2.AssignPrivateIpAddressesInput, ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error)
	UnassignPrivateIpAddresses(context.Context, *ec2.UnassignPrivateIpAddressesInput, ...func(*ec2.Options)) (*ec2.UnassignPrivateIpAddressesOutput, error)
	AttachNetworkInterface(context.Context, *ec2.AttachNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.AttachNetworkInterfaceOutput, error)
	DetachNetworkInterface(context.Context, *ec2.DetachNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.DetachNetworkInterfaceOutput, error)
	DeleteNetworkInterface(context.Context, *ec2.DeleteNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error)
}

type networkInterfaceSpec struct {
	Subnet          string   `yaml:"subnet" ref:"subnet" required:"true" change:"replaces" doc:"The subnet that the interface lies in."`
	PrivateIP       string   `yaml:"private_ip" change:"replaces" doc:"Its private address; by default a free one of the subnet."`
	SecondaryIPs    []string `yaml:"secondary_private_ips" doc:"Its other private addresses, all of them."`
	SecondaryCount  *int     `yaml:"secondary_private_ip_count" min:"0" max:"49" doc:"How many other private addresses it has, whichever are free, in place of a list."`
	SecurityGroups  []string `yaml:"security_groups" ref:"security_group" doc:"The groups that it is a member of; by default that of its VPC."`
	SourceDestCheck *bool    `yaml:"source_dest_check" doc:"Whether traffic must be from or to the interface itself." default:"true"`
	Description     string   `yaml:"description" doc:"What it is for."`
}

func (s *networkInterfaceSpec) addresses() secondaryAddresses {
	return secondaryAddresses{list: s.SecondaryIPs, count: s.SecondaryCount}
}

type networkInterfaces struct{}

func (networkInterfaces) api(c *cloud.Cloud) networkInterfaceAPI { return c.EC2 }

func (networkInterfaces) about() project.Kind {
	return project.Kind{
		Name: "network_interface", Doc: "A network interface that outlives the instance that it is attached to, with its addresses. Instances say which they have.",
		Attributes: []string{"id", "private_ip", "subnet_id", "mac_address"}, Owners: map[string]string{"instance": "instance", "subnet": "subnet"},
	}
}

func (networkInterfaces) check(c *checker, d definition[networkInterfaceSpec]) {
	c.checkAddresses(d.Resource, d.spec.PrivateIP, d.spec.SecondaryIPs, d.spec.SecondaryCount)
}

func (k networkInterfaces) list(ctx context.Context, q query) ([]types.NetworkInterface, error) {
	var all []types.NetworkInterface
	in := &ec2.DescribeNetworkInterfacesInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}
	err := each(ctx, ec2.NewDescribeNetworkInterfacesPaginator(k.api(q.cloud), in), func(page *ec2.DescribeNetworkInterfacesOutput) {
		all = append(all, page.NetworkInterfaces...)
	})
	return all, err
}

func (networkInterfaces) read(n types.NetworkInterface) state {
	s := state{
		id: aws.ToString(n.NetworkInterfaceId), tags: cloud.TagSet(n.TagSet),
		attributes: map[string]string{
			"private_ip": aws.ToString(n.PrivateIpAddress), "subnet_id": aws.ToString(n.SubnetId), "mac_address": aws.ToString(n.MacAddress),
		},
		uses: append(groupsOf(n.Groups), aws.ToString(n.SubnetId), aws.ToString(n.VpcId)),
	}
	if n.Association != nil || associated(n.PrivateIpAddresses) {
		s.mapped = aws.ToString(n.VpcId)
	}
	return s
}

func (networkInterfaces) compare(w want[networkInterfaceSpec], n types.NetworkInterface) (d differences) {
	s := w.spec
	d.fixed("subnet", aws.ToString(n.SubnetId), s.Subnet, "")
	if s.PrivateIP != "" {
		d.fixed("private_ip", aws.ToString(n.PrivateIpAddress), s.PrivateIP, "")
	}
	if s.Description != "" {
		d.set("description", aws.ToString(n.Description), s.Description)
	}
	if len(s.SecurityGroups) > 0 {
		d.set("security_groups", strings.Join(groupsOf(n.Groups), ", "), sortedList(s.SecurityGroups))
	}
	d.flag("source_dest_check", aws.ToBool(n.SourceDestCheck), s.SourceDestCheck)
	s.addresses().compare(&d, secondary(n))
	return d
}

// excludes: an address is given once in a subnet.
func (networkInterfaces) excludes(w want[networkInterfaceSpec], n types.NetworkInterface) bool {
	if aws.ToString(n.SubnetId) != w.spec.Subnet {
		return false
	}
	return slices.ContainsFunc(n.PrivateIpAddresses, func(a types.NetworkInterfacePrivateIpAddress) bool {
		ip := aws.ToString(a.PrivateIpAddress)
		return ip == w.spec.PrivateIP || has(w.spec.SecondaryIPs, ip)
	})
}

// create makes it with one address; update adds the others.
func (k networkInterfaces) create(ctx context.Context, t *task, w want[networkInterfaceSpec]) (types.NetworkInterface, error) {
	s := w.spec
	out, err := k.api(t.Cloud).CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: aws.String(s.Subnet), PrivateIpAddress: optional(s.PrivateIP), Groups: s.SecurityGroups, Description: optional(s.Description),
		ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeNetworkInterface),
	})
	if err != nil {
		return types.NetworkInterface{}, err
	}
	return *out.NetworkInterface, nil
}

func (k networkInterfaces) update(ctx context.Context, t *task, w want[networkInterfaceSpec], n types.NetworkInterface, d differences) error {
	s := w.spec
	changes := []struct {
		path string
		in   *ec2.ModifyNetworkInterfaceAttributeInput
	}{
		{"description", &ec2.ModifyNetworkInterfaceAttributeInput{Description: &types.AttributeValue{Value: aws.String(s.Description)}}},
		{"security_groups", &ec2.ModifyNetworkInterfaceAttributeInput{Groups: s.SecurityGroups}},
		{"source_dest_check", &ec2.ModifyNetworkInterfaceAttributeInput{SourceDestCheck: &types.AttributeBooleanValue{Value: s.SourceDestCheck}}},
	}
	for _, c := range changes {
		if !d.has(c.path) {
			continue
		}
		c.in.NetworkInterfaceId = n.NetworkInterfaceId
		if _, err := k.api(t.Cloud).ModifyNetworkInterfaceAttribute(ctx, c.in); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	wanted := s.addresses()
	if !wanted.differ(d) {
		return nil
	}
	wanted.from = t.loses
	return t.again(ctx, func() error { return k.readdress(ctx, t, wanted, aws.ToString(n.NetworkInterfaceId)) }, nil)
}

// one describes an interface as it is now.
func (k networkInterfaces) one(ctx context.Context, t *task, id string) (types.NetworkInterface, error) {
	out, err := k.api(t.Cloud).DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil || len(out.NetworkInterfaces) == 0 {
		return types.NetworkInterface{}, err
	}
	return out.NetworkInterfaces[0], nil
}

func (k networkInterfaces) remove(ctx context.Context, t *task, n types.NetworkInterface) error {
	id := aws.ToString(n.NetworkInterfaceId)
	if err := k.free(ctx, t, id, ""); cloud.NotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: n.NetworkInterfaceId})
		return err
	})
}
