package bake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// networkStep finds where in the network the builder goes, as far as the recipe
// says it by filters.
type networkStep struct{}

func (networkStep) name() string                      { return "network" }
func (networkStep) undo(context.Context, *bake) error { return nil }

func (networkStep) run(ctx context.Context, b *bake) error {
	b.vpcID, b.subnet = b.image.VpcID, b.image.SubnetID
	b.groups = append([]string(nil), b.image.SecurityGroupIDs...)
	if id := b.image.SecurityGroupID; id != "" {
		b.groups = append(b.groups, id)
	}
	if f := b.image.VPCFilter; f != nil && b.vpcID == "" {
		if err := b.findVPC(ctx, f.Filters); err != nil {
			return err
		}
	}
	if f := b.image.SubnetFilter; f != nil && b.subnet == "" {
		if err := b.findSubnet(ctx); err != nil {
			return err
		}
	}
	if f := b.image.SecurityGroupFilter; f != nil && len(b.groups) == 0 {
		return b.findGroups(ctx, f.Filters)
	}
	return nil
}

func (b *bake) filtersOf(set map[string]string) []types.Filter {
	var filters []types.Filter
	for _, name := range tags.Keys(set) {
		filters = append(filters, cloud.Filter(name, set[name]))
	}
	return filters
}

func (b *bake) findVPC(ctx context.Context, set map[string]string) error {
	out, err := b.cloud.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: b.filtersOf(set)})
	if err != nil {
		return fmt.Errorf("vpc_filter: %w", err)
	}
	if n := len(out.Vpcs); n != 1 {
		return fmt.Errorf("%s: vpc_filter matches %d VPCs in %s, and must match one", b.image.At("vpc_filter"), n, b.cloud.Region)
	}
	b.vpcID = aws.ToString(out.Vpcs[0].VpcId)
	return nil
}

func (b *bake) findSubnet(ctx context.Context) error {
	f := b.image.SubnetFilter
	filters := b.filtersOf(f.Filters)
	if b.vpcID != "" {
		filters = append(filters, cloud.Filter("vpc-id", b.vpcID))
	}
	if zone := b.image.AvailabilityZone; zone != "" {
		filters = append(filters, cloud.Filter("availability-zone", zone))
	}
	out, err := b.cloud.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filters})
	if err != nil {
		return fmt.Errorf("subnet_filter: %w", err)
	}
	found := out.Subnets
	if n := len(found); n == 0 || n > 1 && !f.MostFree && !f.Random {
		return fmt.Errorf("%s: subnet_filter matches %d subnets in %s, and must match one, or say most_free or random", b.image.At("subnet_filter"), n, b.cloud.Region)
	}
	// By ID among equals, so that every run takes the same.
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if at, bt := aws.ToInt32(a.AvailableIpAddressCount), aws.ToInt32(b.AvailableIpAddressCount); at != bt {
			return at > bt
		}
		return aws.ToString(a.SubnetId) < aws.ToString(b.SubnetId)
	})
	chosen := found[0]
	if f.Random && !f.MostFree {
		chosen = found[rand.IntN(len(found))]
	}
	b.subnet, b.vpcID = aws.ToString(chosen.SubnetId), aws.ToString(chosen.VpcId)
	return nil
}

func (b *bake) findGroups(ctx context.Context, set map[string]string) error {
	filters := b.filtersOf(set)
	if b.vpcID != "" {
		filters = append(filters, cloud.Filter("vpc-id", b.vpcID))
	}
	out, err := b.cloud.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	if err != nil {
		return fmt.Errorf("security_group_filter: %w", err)
	}
	if len(out.SecurityGroups) == 0 {
		return fmt.Errorf("%s: security_group_filter matches no security group in %s", b.image.At("security_group_filter"), b.cloud.Region)
	}
	for _, g := range out.SecurityGroups {
		b.groups = append(b.groups, aws.ToString(g.GroupId))
	}
	sort.Strings(b.groups)
	return nil
}
