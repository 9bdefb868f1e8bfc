package launch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

type vpcAPI interface {
	CreateVpc(context.Context, *ec2.CreateVpcInput, ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error)
	DescribeVpcAttribute(context.Context, *ec2.DescribeVpcAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error)
	ModifyVpcAttribute(context.Context, *ec2.ModifyVpcAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error)
	DeleteVpc(context.Context, *ec2.DeleteVpcInput, ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error)
}

type vpcSpec struct {
	CIDRBlock          string `yaml:"cidr_block" required:"true" doc:"The IPv4 block of the VPC: 10.0.0.0/16. EC2 takes /16 to /28."`
	EnableDNSSupport   *bool  `yaml:"enable_dns_support" doc:"Whether Amazon's DNS server answers within the VPC." default:"true"`
	EnableDNSHostnames *bool  `yaml:"enable_dns_hostnames" doc:"Whether instances with public addresses get public names." default:"false"`
	InstanceTenancy    string `yaml:"instance_tenancy" enum:"default,dedicated" doc:"Tenancy of the instances in the VPC." default:"default"`
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

func (vpcs) check(c *checker, d definition[vpcSpec]) {
	c.block(d.Resource, "cidr_block", d.spec.CIDRBlock, 16, 28)
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
	}
}

func (vpcs) compare(w want[vpcSpec], v vpc) (d differences) {
	d.fixed("cidr_block", aws.ToString(v.CidrBlock), w.spec.CIDRBlock, "")
	if w.spec.InstanceTenancy != "" {
		d.fixed("instance_tenancy", string(v.InstanceTenancy), w.spec.InstanceTenancy, "")
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

func (k vpcs) remove(ctx context.Context, t *task, v vpc) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: v.VpcId})
		return err
	})
}
