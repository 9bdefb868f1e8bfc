package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

type natGatewayAPI interface {
	CreateNatGateway(context.Context, *ec2.CreateNatGatewayInput, ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error)
	DeleteNatGateway(context.Context, *ec2.DeleteNatGatewayInput, ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error)
}

type natGatewaySpec struct {
	Subnet           string `yaml:"subnet" ref:"subnet" required:"true" change:"replaces" doc:"The subnet that the gateway lies in: a public one, for a public gateway."`
	ElasticIP        string `yaml:"elastic_ip" ref:"elastic_ip" change:"replaces" doc:"The address that traffic leaves with, for a public gateway."`
	ConnectivityType string `yaml:"connectivity_type" enum:"public,private" change:"replaces" doc:"Whether it leads to the internet, or only to other networks." default:"public"`
	PrivateIP        string `yaml:"private_ip" change:"replaces" doc:"Its private address; by default a free one of the subnet."`
}

func (s *natGatewaySpec) connectivity() string {
	if s.ConnectivityType == "" {
		return string(types.ConnectivityTypePublic)
	}
	return s.ConnectivityType
}

type natGateways struct{}

func (natGateways) api(c *cloud.Cloud) natGatewayAPI { return c.EC2 }

func (natGateways) about() project.Kind {
	return project.Kind{Name: "nat_gateway", Doc: "The way out for subnets without public addresses.", Attributes: []string{"id", "public_ip", "private_ip"}, Owners: map[string]string{"subnet": "subnet", "vpc": "vpc"}}
}

func (natGateways) check(c *checker, d definition[natGatewaySpec]) {
	public := d.spec.connectivity() == string(types.ConnectivityTypePublic)
	switch {
	case public && d.spec.ElasticIP == "":
		c.problems.AddHint(d.Pos, "give elastic_ip, or connectivity_type: private", "a public NAT gateway needs an elastic_ip")
	case !public && d.spec.ElasticIP != "":
		c.problems.Addf(d.At("elastic_ip"), "a private NAT gateway takes no elastic_ip")
	case isAddress(d.spec.ElasticIP):
		c.problems.AddHint(d.At("elastic_ip"), "give the ID of its allocation: eipalloc-...", "a NAT gateway takes an elastic_ip by name or ID")
	}
	c.addressIn(d.Resource, "private_ip", d.spec.PrivateIP, "subnet")
	if !public {
		return
	}
	if _, subnet, ok := referred[subnetSpec](c, d.Resource, "subnet"); ok {
		c.wayOut(d.Resource, "subnet", c.target(subnet, "vpc"))
	}
}

// wayOut checks that a VPC of this topology has an internet gateway.
func (c *checker) wayOut(r *project.Resource, path, vpc string) {
	if c.byAddress[vpc] == nil {
		return
	}
	for _, other := range c.resources {
		if other.Kind == "internet_gateway" && c.target(other, "vpc") == vpc {
			return
		}
	}
	c.problems.AddHint(r.At(path), "define an internet_gateway with vpc: "+c.byAddress[vpc].Name, "%s has no way to the internet: EC2 makes no public NAT gateway in it", vpc)
}

func (natGateways) list(ctx context.Context, q query) ([]types.NatGateway, error) {
	var all []types.NatGateway
	err := each(ctx, ec2.NewDescribeNatGatewaysPaginator(q.cloud.EC2, &ec2.DescribeNatGatewaysInput{Filter: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeNatGatewaysOutput) {
		all = append(all, page.NatGateways...)
	})
	return all, err
}

// natAddress is the gateway's first address: EC2 shows it within moments.
func natAddress(g types.NatGateway) types.NatGatewayAddress {
	for _, a := range g.NatGatewayAddresses {
		if aws.ToBool(a.IsPrimary) || len(g.NatGatewayAddresses) == 1 {
			return a
		}
	}
	return types.NatGatewayAddress{}
}

func (natGateways) read(g types.NatGateway) state {
	a := natAddress(g)
	s := state{
		id: aws.ToString(g.NatGatewayId), tags: cloud.TagSet(g.Tags), uses: []string{aws.ToString(g.SubnetId), aws.ToString(g.VpcId)},
		// A failed one holds nothing and goes by itself.
		gone:       g.State == types.NatGatewayStateDeleted || g.State == types.NatGatewayStateFailed,
		attributes: map[string]string{"public_ip": aws.ToString(a.PublicIp), "private_ip": aws.ToString(a.PrivateIp)},
	}
	if a.AllocationId != nil {
		s.uses = append(s.uses, *a.AllocationId)
	}
	if g.ConnectivityType == types.ConnectivityTypePublic {
		s.mapped = aws.ToString(g.VpcId)
	}
	return s
}

func (natGateways) compare(w want[natGatewaySpec], g types.NatGateway) (d differences) {
	a := natAddress(g)
	d.fixed("subnet", aws.ToString(g.SubnetId), w.spec.Subnet, "")
	d.fixed("connectivity_type", string(g.ConnectivityType), w.spec.connectivity(), "")
	if w.spec.ElasticIP != "" {
		d.fixed("elastic_ip", aws.ToString(a.AllocationId), w.spec.ElasticIP, "")
	}
	if w.spec.PrivateIP != "" {
		d.fixed("private_ip", aws.ToString(a.PrivateIp), w.spec.PrivateIP, "")
	}
	if g.State == types.NatGatewayStateDeleting {
		d.fixed("state", string(g.State), string(types.NatGatewayStateAvailable), "it is being deleted")
	}
	return d
}

// excludes: an address, public or private, is at one gateway at a time.
func (natGateways) excludes(w want[natGatewaySpec], g types.NatGateway) bool {
	a := natAddress(g)
	return w.spec.ElasticIP != "" && aws.ToString(a.AllocationId) == w.spec.ElasticIP ||
		w.spec.PrivateIP != "" && aws.ToString(a.PrivateIp) == w.spec.PrivateIP && aws.ToString(g.SubnetId) == w.spec.Subnet
}

// follows: EC2 makes a public gateway only where there is a way to the internet.
func (natGateways) follows(w want[natGatewaySpec]) []string {
	if w.spec.connectivity() != string(types.ConnectivityTypePublic) {
		return nil
	}
	return w.world.gatewaysOf(w.Resource)
}

func (k natGateways) create(ctx context.Context, t *task, w want[natGatewaySpec]) (types.NatGateway, error) {
	out, err := k.api(t.Cloud).CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
		SubnetId: aws.String(w.spec.Subnet), AllocationId: optional(w.spec.ElasticIP), ConnectivityType: types.ConnectivityType(w.spec.connectivity()),
		PrivateIpAddress: optional(w.spec.PrivateIP), ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeNatgateway),
	})
	if err != nil {
		return types.NatGateway{}, err
	}
	id, earlier := aws.ToString(out.NatGateway.NatGatewayId), out.NatGateway.CreateTime != nil && out.NatGateway.CreateTime.Before(t.started.Add(-time.Minute))
	t.begun = id
	g, err := k.ready(ctx, t, id)
	if err != nil && earlier && g.State == types.NatGatewayStateFailed {
		return g, nil // the token's earlier one
	}
	return g, err
}

// natDeadline is how long a gateway may take to come or to go: EC2 needs a few
// minutes.
const natDeadline = 15 * time.Minute

// ready waits until a gateway is available. One that fails says why.
func (k natGateways) ready(ctx context.Context, t *task, id string) (types.NatGateway, error) {
	return t.natGateway(ctx, id, "be available", func(g types.NatGateway, found bool) (bool, error) {
		if found && g.State == types.NatGatewayStateFailed {
			err := fmt.Errorf("NAT gateway %s: %s: %s", id, aws.ToString(g.FailureCode), orNothing(aws.ToString(g.FailureMessage)))
			return true, fail.WithHint(err, "put right what it says and run the same command again, which makes another")
		}
		return found && g.State != types.NatGatewayStatePending, nil
	})
}

func (t *task) natGateway(ctx context.Context, id, what string, done func(g types.NatGateway, found bool) (bool, error)) (types.NatGateway, error) {
	return t.Cloud.NATs.Wait(ctx, cloud.Wait[types.NatGateway]{
		ID: id, For: "NAT gateway " + id + " to " + what, Deadline: natDeadline, Done: done,
		Show: func(g types.NatGateway) string { return string(g.State) }, Progress: t.waiting("NAT gateway " + id),
	})
}

// settle waits for one that an interrupted run has made.
func (k natGateways) settle(ctx context.Context, t *task, g types.NatGateway) (types.NatGateway, error) {
	if !k.fresh(g) {
		return g, nil
	}
	return k.ready(ctx, t, aws.ToString(g.NatGatewayId))
}

func (natGateways) fresh(g types.NatGateway) bool { return g.State == types.NatGatewayStatePending }

// update has nothing to do: whatever differs makes another gateway.
func (natGateways) update(context.Context, *task, want[natGatewaySpec], types.NatGateway, differences) error {
	return nil
}

func (k natGateways) remove(ctx context.Context, t *task, g types.NatGateway) error {
	_, err := k.api(t.Cloud).DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: g.NatGatewayId})
	if cloud.NotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete it: %w", err)
	}
	// Until it is gone it holds its address and its subnet.
	_, err = t.natGateway(ctx, aws.ToString(g.NatGatewayId), "be deleted", func(g types.NatGateway, found bool) (bool, error) {
		return !found || g.State == types.NatGatewayStateDeleted, nil
	})
	return err
}
