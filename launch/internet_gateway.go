package launch

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type internetGatewayAPI interface {
	CreateInternetGateway(context.Context, *ec2.CreateInternetGatewayInput, ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error)
	AttachInternetGateway(context.Context, *ec2.AttachInternetGatewayInput, ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error)
	DetachInternetGateway(context.Context, *ec2.DetachInternetGatewayInput, ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error)
	DeleteInternetGateway(context.Context, *ec2.DeleteInternetGatewayInput, ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error)
}

type internetGatewaySpec struct {
	VPC string `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that the gateway leads out of."`
}

type internetGateways struct{}

func (internetGateways) api(c *cloud.Cloud) internetGatewayAPI { return c.EC2 }

func (internetGateways) about() project.Kind {
	return project.Kind{Name: "internet_gateway", Doc: "A VPC's way to the internet.", Attributes: []string{"id"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (internetGateways) check(c *checker, d definition[internetGatewaySpec]) {
	for _, other := range c.before(d.Resource) {
		if at := c.target(d.Resource, "vpc"); at != "" && c.target(other, "vpc") == at {
			c.problems.Addf(d.At("vpc"), "%s has an internet gateway already: %s", d.spec.VPC, other.Address)
		}
	}
}

func (internetGateways) list(ctx context.Context, q query) ([]types.InternetGateway, error) {
	var all []types.InternetGateway
	err := each(ctx, ec2.NewDescribeInternetGatewaysPaginator(q.cloud.EC2, &ec2.DescribeInternetGatewaysInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeInternetGatewaysOutput) {
		all = append(all, page.InternetGateways...)
	})
	return all, err
}

func attachedTo(g types.InternetGateway) string {
	for _, a := range g.Attachments {
		if a.State != types.AttachmentStatusDetached {
			return aws.ToString(a.VpcId)
		}
	}
	return ""
}

func (internetGateways) read(g types.InternetGateway) state {
	s := state{id: aws.ToString(g.InternetGatewayId), tags: cloud.TagSet(g.Tags), gates: attachedTo(g)}
	if s.gates != "" {
		s.uses = []string{s.gates}
	}
	return s
}

func (internetGateways) compare(w want[internetGatewaySpec], g types.InternetGateway) (d differences) {
	if at := attachedTo(g); at == "" {
		d.set("vpc", "", w.spec.VPC)
	} else {
		d.fixed("vpc", at, w.spec.VPC, "")
	}
	return d
}

// excludes: a VPC has one internet gateway.
func (internetGateways) excludes(w want[internetGatewaySpec], g types.InternetGateway) bool {
	return attachedTo(g) == w.spec.VPC
}

func (k internetGateways) create(ctx context.Context, t *task, _ want[internetGatewaySpec]) (types.InternetGateway, error) {
	out, err := k.api(t.Cloud).CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: t.birthTags(types.ResourceTypeInternetGateway)})
	if err != nil {
		return types.InternetGateway{}, err
	}
	return *out.InternetGateway, nil
}

func (k internetGateways) update(ctx context.Context, t *task, w want[internetGatewaySpec], g types.InternetGateway, _ differences) error {
	return t.again(ctx, func() error {
		_, err := k.api(t.Cloud).AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: aws.String(w.spec.VPC)})
		return err
	}, func(ctx context.Context) (bool, error) {
		now, ok, err := internetGatewayAt(ctx, t, aws.ToString(g.InternetGatewayId))
		return ok && attachedTo(now) == w.spec.VPC, err
	})
}

// internetGatewayAt reads one gateway anew.
func internetGatewayAt(ctx context.Context, t *task, id string) (g types.InternetGateway, ok bool, err error) {
	list, err := internetGateways{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("internet-gateway-id", id)}})
	if err != nil || len(list) == 0 {
		return g, false, err
	}
	return list[0], true, nil
}

func (k internetGateways) remove(ctx context.Context, t *task, g types.InternetGateway) error {
	if at := attachedTo(g); at != "" {
		err := t.patiently(ctx, "detach it", func() error {
			_, err := k.api(t.Cloud).DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: aws.String(at)})
			if cloud.Code(err) == "Gateway.NotAttached" {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: g.InternetGatewayId})
		return err
	})
}
