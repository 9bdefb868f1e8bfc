package launch

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type subnetAPI interface {
	CreateSubnet(context.Context, *ec2.CreateSubnetInput, ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error)
	ModifySubnetAttribute(context.Context, *ec2.ModifySubnetAttributeInput, ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error)
	DeleteSubnet(context.Context, *ec2.DeleteSubnetInput, ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error)
}

type subnetSpec struct {
	VPC                 string `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that the subnet lies in."`
	CIDRBlock           string `yaml:"cidr_block" required:"true" change:"replaces" doc:"The IPv4 block of the subnet, within the VPC's: 10.0.1.0/24. EC2 takes /16 to /28."`
	AvailabilityZone    string `yaml:"availability_zone" alias:"az" change:"replaces" doc:"The zone: eu-central-1a, or a for the one of that letter in the environment's region. By default EC2 chooses."`
	MapPublicIPOnLaunch *bool  `yaml:"map_public_ip_on_launch" doc:"Whether instances in the subnet get public addresses." default:"false"`
}

type subnets struct{}

func (subnets) api(c *cloud.Cloud) subnetAPI { return c.EC2 }

func (subnets) about() project.Kind {
	return project.Kind{Name: "subnet", Doc: "A part of a VPC in one zone.", Attributes: []string{"id", "cidr_block", "availability_zone"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (k subnets) check(c *checker, d definition[subnetSpec]) {
	c.zone(d.Resource, "availability_zone", d.spec.AvailabilityZone)
	block, ok := c.block(d.Resource, "cidr_block", d.spec.CIDRBlock, 16, 28)
	if !ok {
		return
	}
	if outer, r, ok := referred[vpcSpec](c, d.Resource, "vpc"); ok {
		inside := slices.ContainsFunc(outer.blocks(), func(whole netip.Prefix) bool { return contains(whole, block) })
		if whole := outer.blocks(); len(whole) > 0 && !inside && !slices.ContainsFunc(outer.SecondaryCIDRBlocks, unresolved) {
			c.problems.AddHint(d.At("cidr_block"), fmt.Sprintf("the block of %s is %s", r.Address, blockList(whole)), "%s lies outside %s", block, r.Address)
		}
	}
	// The later of two overlapping subnets is the one to report.
	for _, other := range c.before(d.Resource) {
		s, ok := other.Spec.(*subnetSpec)
		if !ok || c.target(other, "vpc") != c.target(d.Resource, "vpc") || s.VPC != d.spec.VPC && c.target(d.Resource, "vpc") == "" {
			continue
		}
		if theirs, err := netip.ParsePrefix(s.CIDRBlock); err == nil && theirs.Overlaps(block) {
			c.problems.AddHint(d.At("cidr_block"), fmt.Sprintf("%s stands at %s", other.Address, other.At("cidr_block")), "%s overlaps %s of %s", block, theirs, other.Address)
		}
	}
}

// blockList is blocks for messages.
func blockList(blocks []netip.Prefix) string {
	var all []string
	for _, b := range blocks {
		all = append(all, b.String())
	}
	return strings.Join(all, " and ")
}

func (subnets) list(ctx context.Context, q query) ([]types.Subnet, error) {
	var all []types.Subnet
	err := each(ctx, ec2.NewDescribeSubnetsPaginator(q.cloud.EC2, &ec2.DescribeSubnetsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeSubnetsOutput) {
		all = append(all, page.Subnets...)
	})
	return all, err
}

func (subnets) read(s types.Subnet) state {
	return state{
		id: aws.ToString(s.SubnetId), tags: cloud.TagSet(s.Tags), uses: []string{aws.ToString(s.VpcId)},
		attributes: map[string]string{"cidr_block": aws.ToString(s.CidrBlock), "availability_zone": aws.ToString(s.AvailabilityZone)},
	}
}

func (subnets) compare(w want[subnetSpec], s types.Subnet) (d differences) {
	d.fixed("vpc", aws.ToString(s.VpcId), w.spec.VPC, "")
	d.fixed("cidr_block", aws.ToString(s.CidrBlock), w.spec.CIDRBlock, "")
	if w.spec.AvailabilityZone != "" {
		d.fixed("availability_zone", aws.ToString(s.AvailabilityZone), w.world.zone(w.spec.AvailabilityZone), "")
	}
	d.flag("map_public_ip_on_launch", aws.ToBool(s.MapPublicIpOnLaunch), w.spec.MapPublicIPOnLaunch)
	return d
}

// excludes: two subnets of a VPC cannot overlap.
func (subnets) excludes(w want[subnetSpec], s types.Subnet) bool {
	ours, err := netip.ParsePrefix(w.spec.CIDRBlock)
	theirs, err2 := netip.ParsePrefix(aws.ToString(s.CidrBlock))
	return err == nil && err2 == nil && aws.ToString(s.VpcId) == w.spec.VPC && ours.Overlaps(theirs)
}

func (k subnets) create(ctx context.Context, t *task, w want[subnetSpec]) (types.Subnet, error) {
	out, err := k.api(t.Cloud).CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId:             aws.String(w.spec.VPC),
		CidrBlock:         aws.String(w.spec.CIDRBlock),
		AvailabilityZone:  optional(w.world.zone(w.spec.AvailabilityZone)),
		TagSpecifications: t.birthTags(types.ResourceTypeSubnet),
	})
	if err != nil {
		return types.Subnet{}, err
	}
	return *out.Subnet, nil
}

func (k subnets) update(ctx context.Context, t *task, w want[subnetSpec], s types.Subnet, d differences) error {
	if !d.has("map_public_ip_on_launch") {
		return nil
	}
	_, err := k.api(t.Cloud).ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{
		SubnetId: s.SubnetId, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: w.spec.MapPublicIPOnLaunch}})
	return err
}

func (k subnets) remove(ctx context.Context, t *task, s types.Subnet) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId})
		return err
	})
}
