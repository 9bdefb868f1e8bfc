package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type vpcEndpointAPI interface {
	CreateVpcEndpoint(context.Context, *ec2.CreateVpcEndpointInput, ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error)
	ModifyVpcEndpoint(context.Context, *ec2.ModifyVpcEndpointInput, ...func(*ec2.Options)) (*ec2.ModifyVpcEndpointOutput, error)
	DeleteVpcEndpoints(context.Context, *ec2.DeleteVpcEndpointsInput, ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error)
}

type vpcEndpointSpec struct {
	VPC         string         `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that reaches the service."`
	ServiceName string         `yaml:"service_name" required:"true" change:"replaces" doc:"The service: s3, dynamodb, or the whole name com.amazonaws.REGION.s3. A gateway endpoint leads to these alone."`
	RouteTables []string       `yaml:"route_tables" ref:"route_table" doc:"The tables whose subnets reach the service through the endpoint."`
	Policy      map[string]any `yaml:"policy" doc:"Who may do what through the endpoint, an IAM policy; by default everyone everything."`
}

// service is the service's whole name.
func (s *vpcEndpointSpec) service(region string) string {
	if strings.Contains(s.ServiceName, ".") {
		return s.ServiceName
	}
	return "com.amazonaws." + region + "." + s.ServiceName
}

// document is the policy as EC2 takes it.
func (s *vpcEndpointSpec) document() (string, error) {
	if s.Policy == nil {
		return "", nil
	}
	text, err := json.Marshal(s.Policy)
	return string(text), err
}

type vpcEndpoints struct{}

func (vpcEndpoints) api(c *cloud.Cloud) vpcEndpointAPI { return c.EC2 }

func (vpcEndpoints) about() project.Kind {
	return project.Kind{Name: "vpc_endpoint", Doc: "A way from a VPC to S3 or DynamoDB that needs no internet: a gateway endpoint.", Attributes: []string{"id"}, Traits: []string{"service_name"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (vpcEndpoints) check(c *checker, d definition[vpcEndpointSpec]) {
	s := d.spec
	if !unresolved(s.ServiceName) {
		name := s.ServiceName[strings.LastIndexByte(s.ServiceName, '.')+1:]
		switch {
		case name != "s3" && name != "dynamodb":
			c.problems.AddHint(d.At("service_name"), "s3 or dynamodb", "%q has no gateway endpoint", s.ServiceName)
		case c.region != "" && s.service(c.region) != "com.amazonaws."+c.region+"."+name:
			c.problems.AddHint(d.At("service_name"), name+" alone works in every region", "service %s is not in the environment's region %s", s.ServiceName, c.region)
		}
	}
	if _, err := s.document(); err != nil {
		c.problems.Addf(d.At("policy"), "the policy is none: %v", err)
	}
	for _, ref := range d.Refs {
		table, ok := c.byAddress[ref.Address]
		if ref.Kind != "route_table" || !ok {
			continue
		}
		if c.target(table, "vpc") != c.target(d.Resource, "vpc") {
			c.problems.Addf(ref.Pos, "%s is of another VPC than the endpoint", ref.Address)
		}
		for _, other := range c.before(d.Resource) {
			theirs, ok := other.Spec.(*vpcEndpointSpec)
			if ok && theirs.service(c.region) == s.service(c.region) && slices.ContainsFunc(other.Refs, func(r project.Ref) bool { return r.Address == ref.Address }) {
				c.problems.Addf(ref.Pos, "%s leads to %s through %s already", ref.Address, s.ServiceName, other.Address)
			}
		}
	}
}

func (vpcEndpoints) list(ctx context.Context, q query) ([]types.VpcEndpoint, error) {
	var all []types.VpcEndpoint
	err := each(ctx, ec2.NewDescribeVpcEndpointsPaginator(q.cloud.EC2, &ec2.DescribeVpcEndpointsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeVpcEndpointsOutput) {
		all = append(all, page.VpcEndpoints...)
	})
	return all, err
}

// lastWord is a service as definitions give it: s3.
func lastWord(service string) string { return service[strings.LastIndexByte(service, '.')+1:] }

func (vpcEndpoints) read(e types.VpcEndpoint) state {
	s := state{id: aws.ToString(e.VpcEndpointId), tags: cloud.TagSet(e.Tags), uses: []string{aws.ToString(e.VpcId)}, names: e.RouteTableIds,
		attributes: map[string]string{"service_name": lastWord(aws.ToString(e.ServiceName))}}
	switch types.State(strings.ToLower(string(e.State))) {
	case "deleting", "deleted", "failed", "expired", "rejected":
		s.gone = true
	}
	return s
}

func (vpcEndpoints) compare(w want[vpcEndpointSpec], e types.VpcEndpoint) (d differences) {
	d.fixed("vpc", aws.ToString(e.VpcId), w.spec.VPC, "")
	d.fixed("service_name", aws.ToString(e.ServiceName), w.spec.service(w.world.region), "")
	for _, id := range w.spec.RouteTables {
		if !has(e.RouteTableIds, id) {
			d = append(d, difference{path: "route_tables", new: id})
		}
	}
	for _, id := range e.RouteTableIds {
		if !has(w.spec.RouteTables, id) {
			d = append(d, difference{path: "route_tables", old: id})
		}
	}
	if document, err := w.spec.document(); err == nil && document != "" && !sameJSON(document, aws.ToString(e.PolicyDocument)) {
		d.set("policy", aws.ToString(e.PolicyDocument), document)
	}
	return d
}

// sameJSON tells whether two texts say the same.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

// excludes: a route table leads to a service through one endpoint.
func (vpcEndpoints) excludes(w want[vpcEndpointSpec], e types.VpcEndpoint) bool {
	return aws.ToString(e.ServiceName) == w.spec.service(w.world.region) &&
		slices.ContainsFunc(e.RouteTableIds, func(id string) bool { return has(w.spec.RouteTables, id) })
}

func (k vpcEndpoints) create(ctx context.Context, t *task, w want[vpcEndpointSpec]) (types.VpcEndpoint, error) {
	document, err := w.spec.document()
	if err != nil {
		return types.VpcEndpoint{}, err
	}
	out, err := k.api(t.Cloud).CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: aws.String(w.spec.VPC), ServiceName: aws.String(w.spec.service(w.world.region)), VpcEndpointType: types.VpcEndpointTypeGateway,
		RouteTableIds: w.spec.RouteTables, PolicyDocument: optional(document), ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeVpcEndpoint),
	})
	if err != nil {
		return types.VpcEndpoint{}, err
	}
	return *out.VpcEndpoint, nil
}

// update changes all in one call. Tables that are gone have taken their routes
// along.
func (k vpcEndpoints) update(ctx context.Context, t *task, w want[vpcEndpointSpec], e types.VpcEndpoint, d differences) error {
	in := &ec2.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId}
	for _, x := range d {
		switch {
		case x.path == "policy":
			in.PolicyDocument = aws.String(x.new)
		case x.path == "route_tables" && x.new != "":
			in.AddRouteTableIds = append(in.AddRouteTableIds, x.new)
		case x.path == "route_tables":
			in.RemoveRouteTableIds = append(in.RemoveRouteTableIds, x.old)
		}
	}
	_, err := k.api(t.Cloud).ModifyVpcEndpoint(ctx, in)
	return err
}

func (k vpcEndpoints) remove(ctx context.Context, t *task, e types.VpcEndpoint) error {
	out, err := k.api(t.Cloud).DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{aws.ToString(e.VpcEndpointId)}})
	if err != nil {
		return fmt.Errorf("delete it: %w", err)
	}
	// EC2 answers well, with what it has not done.
	for _, u := range out.Unsuccessful {
		if u.Error != nil && !strings.HasSuffix(aws.ToString(u.Error.Code), ".NotFound") {
			return fmt.Errorf("delete it: %s: %s", aws.ToString(u.Error.Code), aws.ToString(u.Error.Message))
		}
	}
	return nil
}
