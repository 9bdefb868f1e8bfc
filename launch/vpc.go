package launch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

type vpcAPI interface {
	CreateVpc(context.Context, *ec2.CreateVpcInput, ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error)
	DescribeVpcAttribute(context.Context, *ec2.DescribeVpcAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error)
	ModifyVpcAttribute(context.Context, *ec2.ModifyVpcAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error)
	AssociateVpcCidrBlock(context.Context, *ec2.AssociateVpcCidrBlockInput, ...func(*ec2.Options)) (*ec2.AssociateVpcCidrBlockOutput, error)
	DisassociateVpcCidrBlock(context.Context, *ec2.DisassociateVpcCidrBlockInput, ...func(*ec2.Options)) (*ec2.DisassociateVpcCidrBlockOutput, error)
	DeleteVpc(context.Context, *ec2.DeleteVpcInput, ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error)
}

type vpcSpec struct {
	CIDRBlock           string   `yaml:"cidr_block" required:"true" change:"replaces" doc:"The IPv4 block of the VPC: 10.0.0.0/16. EC2 takes /16 to /28."`
	SecondaryCIDRBlocks []string `yaml:"secondary_cidr_blocks" doc:"More IPv4 blocks of the VPC, at most four. One can be taken away when no subnet lies in it any more."`
	EnableDNSSupport    *bool    `yaml:"enable_dns_support" doc:"Whether Amazon's DNS server answers within the VPC." default:"true"`
	EnableDNSHostnames  *bool    `yaml:"enable_dns_hostnames" doc:"Whether instances with public addresses get public names." default:"false"`
	InstanceTenancy     string   `yaml:"instance_tenancy" enum:"default,dedicated" change:"replaces" doc:"Tenancy of the instances in the VPC." default:"default"`
}

// vpc is a VPC with those of its attributes that a definition states: EC2
// gives each only in a call of its own.
type vpc struct {
	types.Vpc
	dnsSupport, dnsHostnames bool
}

type vpcs struct{}

func (vpcs) api(c *cloud.Cloud) vpcAPI { return c.EC2 }

func (vpcs) about() project.Kind {
	return project.Kind{Name: "vpc", Doc: "A virtual network.", Attributes: []string{"id", "cidr_block"}}
}

// maxSecondaryBlocks is EC2's default quota of five blocks, less the first.
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const maxSecondaryBlocks = 4

// blocks are all blocks of the VPC as far as they can be read.
func (s *vpcSpec) blocks() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range append([]string{s.CIDRBlock}, s.SecondaryCIDRBlocks...) {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func (vpcs) check(c *checker, d definition[vpcSpec]) {
	var blocks []netip.Prefix
	if block, ok := c.block(d.Resource, "cidr_block", d.spec.CIDRBlock, 16, 28); ok {
		blocks = append(blocks, block)
	}
	for i, text := range d.spec.SecondaryCIDRBlocks {
		path := fmt.Sprintf("secondary_cidr_blocks[%d]", i)
		block, ok := c.block(d.Resource, path, text, 16, 28)
		if !ok {
			continue
		}
		for _, other := range blocks {
			if other.Overlaps(block) {
				c.problems.Addf(d.At(path), "%s overlaps %s of the same VPC", block, other)
			}
		}
		blocks = append(blocks, block)
	}
	if n := len(d.spec.SecondaryCIDRBlocks); n > maxSecondaryBlocks {
		c.problems.Addf(d.At("secondary_cidr_blocks"), "%d blocks beside the first: EC2 takes %d", n, maxSecondaryBlocks)
	}
}

func (k vpcs) list(ctx context.Context, q query) ([]vpc, error) {
	var all []vpc
	err := each(ctx, ec2.NewDescribeVpcsPaginator(q.cloud.EC2, &ec2.DescribeVpcsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeVpcsOutput) {
		for _, v := range page.Vpcs {
			all = append(all, vpc{Vpc: v})
		}
	})
	if err != nil {
		return nil, err
	}
	return all, graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		return k.readAttributes(ctx, q, &all[i])
	})
}

func (k vpcs) readAttributes(ctx context.Context, q query, v *vpc) error {
	s := stated[vpcSpec](q, v.Tags)
	ask := func(wanted *bool, name types.VpcAttributeName, take func(*ec2.DescribeVpcAttributeOutput)) error {
		if wanted == nil {
			return nil
		}
		out, err := k.api(q.cloud).DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: v.VpcId, Attribute: name})
		if cloud.NotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		take(out)
		return nil
	}
	err := ask(s.EnableDNSSupport, types.VpcAttributeNameEnableDnsSupport, func(o *ec2.DescribeVpcAttributeOutput) {
		v.dnsSupport = o.EnableDnsSupport != nil && aws.ToBool(o.EnableDnsSupport.Value)
	})
	if err != nil {
		return err
	}
	return ask(s.EnableDNSHostnames, types.VpcAttributeNameEnableDnsHostnames, func(o *ec2.DescribeVpcAttributeOutput) {
		v.dnsHostnames = o.EnableDnsHostnames != nil && aws.ToBool(o.EnableDnsHostnames.Value)
	})
}

func (vpcs) read(v vpc) state {
	return state{
		id: aws.ToString(v.VpcId), tags: cloud.TagSet(v.Tags),
		attributes: map[string]string{"cidr_block": aws.ToString(v.CidrBlock)},
		uses:       []string{aws.ToString(v.DhcpOptionsId)},
	}
}

func (vpcs) compare(w want[vpcSpec], v vpc) (d differences) {
	d.fixed("cidr_block", aws.ToString(v.CidrBlock), w.spec.CIDRBlock, "")
	if w.spec.InstanceTenancy != "" {
		d.fixed("instance_tenancy", string(v.InstanceTenancy), w.spec.InstanceTenancy, "")
	}
	have, wanted := secondaryBlocks(v.Vpc), map[string]bool{}
	for _, block := range w.spec.SecondaryCIDRBlocks {
		wanted[canonical(block)] = true
		if _, ok := have[canonical(block)]; !ok {
			d.set("secondary_cidr_blocks", "", canonical(block))
		}
	}
	for _, block := range union(have) {
		if !wanted[block] {
			d.set("secondary_cidr_blocks", block, "")
		}
	}
	d.flag("enable_dns_support", v.dnsSupport, w.spec.EnableDNSSupport)
	d.flag("enable_dns_hostnames", v.dnsHostnames, w.spec.EnableDNSHostnames)
	return d
}

func (k vpcs) create(ctx context.Context, t *task, w want[vpcSpec]) (vpc, error) {
	out, err := k.api(t.Cloud).CreateVpc(ctx, &ec2.CreateVpcInput{
		CidrBlock:         aws.String(w.spec.CIDRBlock),
		InstanceTenancy:   types.Tenancy(w.spec.InstanceTenancy),
		TagSpecifications: t.birthTags(types.ResourceTypeVpc),
	})
	if err != nil {
		return vpc{}, err
	}
	return vpc{Vpc: *out.Vpc, dnsSupport: true}, nil // EC2's defaults
}

func (k vpcs) update(ctx context.Context, t *task, w want[vpcSpec], v vpc, d differences) error {
	if d.has("secondary_cidr_blocks") {
		if err := k.updateBlocks(ctx, t, w.spec.SecondaryCIDRBlocks, v.Vpc); err != nil {
			return fmt.Errorf("secondary_cidr_blocks: %w", err)
		}
	}
	// EC2 takes one attribute a call; names need the support, so it goes first
	// when both are switched on.
	if d.has("enable_dns_support") {
		_, err := k.api(t.Cloud).ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{
			VpcId: v.VpcId, EnableDnsSupport: &types.AttributeBooleanValue{Value: w.spec.EnableDNSSupport}})
		if err != nil {
			return fmt.Errorf("enable_dns_support: %w", err)
		}
	}
	if d.has("enable_dns_hostnames") {
		_, err := k.api(t.Cloud).ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{
			VpcId: v.VpcId, EnableDnsHostnames: &types.AttributeBooleanValue{Value: w.spec.EnableDNSHostnames}})
		if err != nil {
			return fmt.Errorf("enable_dns_hostnames: %w", err)
		}
	}
	return nil
}

// secondaryBlocks are the associations of a VPC's blocks but the first.
func secondaryBlocks(v types.Vpc) map[string]string {
	all := map[string]string{}
	for _, a := range v.CidrBlockAssociationSet {
		block := aws.ToString(a.CidrBlock)
		if block == aws.ToString(v.CidrBlock) || a.CidrBlockState == nil {
			continue
		}
		if s := a.CidrBlockState.State; s == types.VpcCidrBlockStateCodeAssociated || s == types.VpcCidrBlockStateCodeAssociating {
			all[block] = aws.ToString(a.AssociationId)
		}
	}
	return all
}

// updateBlocks adds blocks and takes others away. One that a subnet still lies
// in stays until the next launch: its subnets go at the end of this one.
func (k vpcs) updateBlocks(ctx context.Context, t *task, wanted []string, v types.Vpc) error {
	have, keep := secondaryBlocks(v), map[string]bool{}
	for _, block := range wanted {
		block = canonical(block)
		keep[block] = true
		if _, ok := have[block]; ok {
			continue
		}
		if err := k.addBlock(ctx, t, v.VpcId, block); err != nil {
			return fmt.Errorf("%s: %w", block, err)
		}
	}
	for _, block := range union(have) {
		if keep[block] {
			continue
		}
		_, err := k.api(t.Cloud).DisassociateVpcCidrBlock(ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: aws.String(have[block])})
		switch {
		case cloud.Code(err) == "InvalidCidrBlock.InUse":
			t.emit(event.Warning, map[string]string{"id": aws.ToString(v.VpcId)}, "a subnet still lies in %s: the next launch takes the block away", block)
		case err != nil && !cloud.NotFound(err):
			return fmt.Errorf("%s: %w", block, err)
		}
	}
	return nil
}

// errComing is what a wait without a poller sees until what it waits for is
// there.
var errComing = errors.New("it is not there yet")

// addBlock associates a block, and returns when subnets can lie in it.
func (k vpcs) addBlock(ctx context.Context, t *task, id *string, block string) error {
	state := func(ctx context.Context) (types.VpcCidrBlockStateCode, error) {
		list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("vpc-id", aws.ToString(id))}})
		if err != nil || len(list) == 0 {
			return "", err
		}
		for _, a := range list[0].CidrBlockAssociationSet {
			if aws.ToString(a.CidrBlock) == block && a.CidrBlockState != nil {
				return a.CidrBlockState.State, nil
			}
		}
		return "", nil
	}
	done := false
	err := t.again(ctx, func() error {
		out, err := k.api(t.Cloud).AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: id, CidrBlock: aws.String(block)})
		if err == nil {
			a := out.CidrBlockAssociation
			done = a != nil && a.CidrBlockState != nil && a.CidrBlockState.State == types.VpcCidrBlockStateCodeAssociated
		}
		return err
	}, func(ctx context.Context) (bool, error) {
		s, err := state(ctx)
		return s == types.VpcCidrBlockStateCodeAssociating || s == types.VpcCidrBlockStateCodeAssociated, err
	})
	if err != nil || done {
		return err
	}
	return repeat(ctx, comingDeadline, func() error {
		s, err := state(ctx)
		if err == nil && s != types.VpcCidrBlockStateCodeAssociated {
			err = errComing
		}
		return err
	}, func(err error) bool { return errors.Is(err, errComing) })
}

func (k vpcs) remove(ctx context.Context, t *task, v vpc) error {
	alone := false
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: v.VpcId})
		if cloud.InUse(err) && !alone {
			alone = true
			if err := (vpcPeerings{}).disconnect(ctx, t, aws.ToString(v.VpcId)); err != nil {
				return err
			}
		}
		return err
	})
}
