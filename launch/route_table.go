package launch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type routeTableAPI interface {
	CreateRouteTable(context.Context, *ec2.CreateRouteTableInput, ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error)
	DeleteRouteTable(context.Context, *ec2.DeleteRouteTableInput, ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error)
	CreateRoute(context.Context, *ec2.CreateRouteInput, ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error)
	ReplaceRoute(context.Context, *ec2.ReplaceRouteInput, ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error)
	DeleteRoute(context.Context, *ec2.DeleteRouteInput, ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error)
	AssociateRouteTable(context.Context, *ec2.AssociateRouteTableInput, ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error)
	ReplaceRouteTableAssociation(context.Context, *ec2.ReplaceRouteTableAssociationInput, ...func(*ec2.Options)) (*ec2.ReplaceRouteTableAssociationOutput, error)
	DisassociateRouteTable(context.Context, *ec2.DisassociateRouteTableInput, ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error)
}

type routeTableSpec struct {
	VPC     string      `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that the table belongs to."`
	Routes  []routeSpec `yaml:"routes" doc:"Where traffic goes, beside the VPC's own block."`
	Subnets []string    `yaml:"subnets" ref:"subnet" doc:"Subnets whose traffic the table directs."`
}

type routeSpec struct {
	DestinationCIDRBlock string `yaml:"destination_cidr_block" required:"true" doc:"The addresses that the route is for: 0.0.0.0/0."`
	InternetGateway      string `yaml:"internet_gateway" ref:"internet_gateway" doc:"Internet gateway that they are reached through."`
	NATGateway           string `yaml:"nat_gateway" ref:"nat_gateway" doc:"NAT gateway that they are reached through."`
	VPCPeering           string `yaml:"vpc_peering" ref:"vpc_peering" doc:"Peering connection that they are reached through: a name, or the ID of one that another environment has."`
	Instance             string `yaml:"instance" ref:"instance" doc:"Instance that they are reached through."`
	NetworkInterface     string `yaml:"network_interface" ref:"network_interface" doc:"Network interface that they are reached through, whichever instance it is attached to."`
	NetworkInterfaceID   string `yaml:"network_interface_id" doc:"ID of the network interface that they are reached through, where no definition has it."`
}

// target is the ID that a route leads to.
func (r routeSpec) target() string {
	for _, id := range []string{r.InternetGateway, r.NATGateway, r.VPCPeering, r.Instance, r.NetworkInterface, r.NetworkInterfaceID} {
		if id != "" {
			return id
		}
	}
	return ""
}

// routes are those that lead somewhere: a connection that another environment
// makes may come later.
func (s *routeTableSpec) routes() []routeSpec {
	return slices.DeleteFunc(slices.Clone(s.Routes), func(r routeSpec) bool { return r.target() == "" })
}

// networkInterface is the ID of the interface that a route leads to.
func (r routeSpec) networkInterface() string {
	if r.NetworkInterface != "" {
		return r.NetworkInterface
	}
	return r.NetworkInterfaceID
}

type routeTables struct{}

func (routeTables) api(c *cloud.Cloud) routeTableAPI { return c.EC2 }

func (routeTables) about() project.Kind {
	return project.Kind{Name: "route_table", Doc: "Where the traffic of subnets goes.", Attributes: []string{"id"}, Traits: []string{"main"}, Owners: map[string]string{"subnet": "subnet", "vpc": "vpc"}}
}

func (routeTables) check(c *checker, d definition[routeTableSpec]) {
	seen := map[netip.Prefix]bool{}
	for i, r := range d.spec.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		targets := 0
		for _, id := range []string{r.InternetGateway, r.NATGateway, r.VPCPeering, r.Instance, r.NetworkInterface, r.NetworkInterfaceID} {
			if id != "" {
				targets++
			}
		}
		if targets != 1 {
			c.problems.AddHint(d.At(path), "give internet_gateway, nat_gateway, vpc_peering, instance or network_interface", "a route needs one target, not %d", targets)
		}
		if block, ok := c.block(d.Resource, path+".destination_cidr_block", r.DestinationCIDRBlock, 0, 32); ok {
			if seen[block] {
				c.problems.Addf(d.At(path+".destination_cidr_block"), "a second route to %s", block)
			}
			seen[block] = true
		}
	}
	for _, ref := range d.Refs {
		if ref.Kind != "subnet" {
			continue
		}
		for _, other := range c.before(d.Resource) {
			if slices.ContainsFunc(other.Refs, func(r project.Ref) bool { return r.Address == ref.Address }) {
				c.problems.Addf(ref.Pos, "%s is directed by %s already", ref.Address, other.Address)
			}
		}
	}
}

func (routeTables) list(ctx context.Context, q query) ([]types.RouteTable, error) {
	var all []types.RouteTable
	// EC2 gives at most 100 route tables a page.
	err := each(ctx, ec2.NewDescribeRouteTablesPaginator(q.cloud.EC2, &ec2.DescribeRouteTablesInput{Filters: q.filters, MaxResults: aws.Int32(100)}), func(page *ec2.DescribeRouteTablesOutput) {
		all = append(all, page.RouteTables...)
	})
	return all, err
}

// routesAsWanted are a table's routes in the words of a definition: EC2 shows of
// one to a network interface the instance, too, that it is attached to.
func (s *routeTableSpec) routesAsWanted(table types.RouteTable) map[string]string {
	routes := routesOf(table)
	for _, r := range s.routes() {
		block := canonical(r.DestinationCIDRBlock)
		for _, have := range table.Routes {
			if id := r.networkInterface(); id != "" && aws.ToString(have.DestinationCidrBlock) == block && aws.ToString(have.NetworkInterfaceId) == id && routes[block] != "" {
				routes[block] = id
			}
		}
	}
	return routes
}

// routesOf are a table's own routes, by destination: not the VPC's, and not
// those that a gateway spreads.
func routesOf(table types.RouteTable) map[string]string {
	routes := map[string]string{}
	for _, r := range table.Routes {
		if r.Origin != types.RouteOriginCreateRoute || r.DestinationCidrBlock == nil {
			continue
		}
		for _, id := range []*string{r.InstanceId, r.GatewayId, r.NatGatewayId, r.NetworkInterfaceId, r.TransitGatewayId, r.VpcPeeringConnectionId} {
			if aws.ToString(id) != "" {
				routes[*r.DestinationCidrBlock] = *id
				break
			}
		}
	}
	return routes
}

// isMain tells whether a table directs the subnets of its VPC that have no other.
func isMain(table types.RouteTable) bool {
	return slices.ContainsFunc(table.Associations, func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) })
}

// associationsOf are the table's associations, by subnet.
func associationsOf(table types.RouteTable) map[string]string {
	all := map[string]string{}
	for _, a := range table.Associations {
		if a.SubnetId != nil && (a.AssociationState == nil || a.AssociationState.State != types.RouteTableAssociationStateCodeDisassociated) {
			all[*a.SubnetId] = aws.ToString(a.RouteTableAssociationId)
		}
	}
	return all
}

func (routeTables) read(table types.RouteTable) state {
	s := state{id: aws.ToString(table.RouteTableId), tags: cloud.TagSet(table.Tags), uses: []string{aws.ToString(table.VpcId)}, attributes: map[string]string{"main": strconv.FormatBool(isMain(table))}}
	for _, target := range routesOf(table) {
		s.names = append(s.names, target)
	}
	for _, r := range table.Routes {
		if id := aws.ToString(r.NetworkInterfaceId); id != "" && !has(s.names, id) {
			s.names = append(s.names, id)
		}
	}
	// An associated table cannot be deleted, and a subnet takes its association
	// along: one that goes, too, goes first, and from others remove cuts it.
	for subnet := range associationsOf(table) {
		s.names, s.freedBy = append(s.names, subnet), append(s.freedBy, subnet)
	}
	sort.Strings(s.names)
	return s
}

func (routeTables) compare(w want[routeTableSpec], table types.RouteTable) (d differences) {
	d.fixed("vpc", aws.ToString(table.VpcId), w.spec.VPC, "")
	have, wanted := w.spec.routesAsWanted(table), map[string]string{}
	for _, r := range w.spec.routes() {
		wanted[canonical(r.DestinationCIDRBlock)] = r.target()
	}
	for _, block := range union(have, wanted) {
		d.set("routes["+block+"]", have[block], wanted[block])
	}
	associated, subnets := associationsOf(table), map[string]string{}
	for _, s := range w.spec.Subnets {
		subnets[s] = s
	}
	for _, s := range union(associated, subnets) {
		old := ""
		if _, ok := associated[s]; ok {
			old = s
		}
		if old != subnets[s] {
			d = append(d, difference{path: "subnets", old: old, new: subnets[s]})
		}
	}
	return d
}

func (k routeTables) create(ctx context.Context, t *task, w want[routeTableSpec]) (types.RouteTable, error) {
	out, err := k.api(t.Cloud).CreateRouteTable(ctx, &ec2.CreateRouteTableInput{
		VpcId: aws.String(w.spec.VPC), ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeRouteTable),
	})
	if err != nil {
		return types.RouteTable{}, err
	}
	return *out.RouteTable, nil
}

func (k routeTables) update(ctx context.Context, t *task, w want[routeTableSpec], table types.RouteTable, _ differences) error {
	if !w.leaves("routes") {
		if err := k.updateRoutes(ctx, t, w, table); err != nil {
			return err
		}
	}
	if w.leaves("subnets") {
		return nil
	}
	associated := associationsOf(table)
	for _, subnet := range w.spec.Subnets {
		if _, ok := associated[subnet]; !ok {
			if err := k.associate(ctx, t, aws.ToString(table.RouteTableId), subnet); err != nil {
				return fmt.Errorf("subnet %s: %w", subnet, err)
			}
		}
	}
	for _, subnet := range union(associated) {
		if !has(w.spec.Subnets, subnet) {
			if err := k.disassociate(ctx, t, associated[subnet]); err != nil {
				return fmt.Errorf("subnet %s: %w", subnet, err)
			}
		}
	}
	return nil
}

func (k routeTables) updateRoutes(ctx context.Context, t *task, w want[routeTableSpec], table types.RouteTable) error {
	have, wanted := w.spec.routesAsWanted(table), map[string]bool{}
	for _, r := range w.spec.routes() {
		block := canonical(r.DestinationCIDRBlock)
		wanted[block] = true
		old, exists := have[block]
		if old == r.target() {
			continue
		}
		if err := k.route(ctx, t, table.RouteTableId, block, r, exists); err != nil {
			return fmt.Errorf("route to %s: %w", block, err)
		}
	}
	for _, block := range union(have) {
		if wanted[block] {
			continue
		}
		_, err := k.api(t.Cloud).DeleteRoute(ctx, &ec2.DeleteRouteInput{RouteTableId: table.RouteTableId, DestinationCidrBlock: aws.String(block)})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("route to %s: %w", block, err)
		}
	}
	return nil
}

// route creates or replaces a route. Repeating it is harmless: a route that
// turns out to be there is replaced by the same one.
func (k routeTables) route(ctx context.Context, t *task, table *string, block string, r routeSpec, exists bool) error {
	replace := func() error {
		_, err := k.api(t.Cloud).ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
			RouteTableId: table, DestinationCidrBlock: aws.String(block),
			GatewayId: optional(r.InternetGateway), NatGatewayId: optional(r.NATGateway), VpcPeeringConnectionId: optional(r.VPCPeering), InstanceId: optional(r.Instance), NetworkInterfaceId: optional(r.networkInterface()),
		})
		return err
	}
	if exists {
		return replace()
	}
	return t.again(ctx, func() error {
		_, err := k.api(t.Cloud).CreateRoute(ctx, &ec2.CreateRouteInput{
			RouteTableId: table, DestinationCidrBlock: aws.String(block),
			GatewayId: optional(r.InternetGateway), NatGatewayId: optional(r.NATGateway), VpcPeeringConnectionId: optional(r.VPCPeering), InstanceId: optional(r.Instance), NetworkInterfaceId: optional(r.networkInterface()),
		})
		if cloud.AlreadyExists(err) {
			return replace()
		}
		return err
	}, nil)
}

// errBetween says that a subnet has just left the route table that it was in:
// the table's own definition gives it up at the same time.
var errBetween = errors.New("the subnet has just left its route table")

// associate gives a subnet to the table, taking it over from another one in
// one step, so that it is never without its routes.
func (k routeTables) associate(ctx context.Context, t *task, table, subnet string) error {
	passing := func(err error) bool { return errors.Is(err, errBetween) || cloud.Ambiguous(err) }
	return repeat(ctx, comingDeadline, func() error { return k.takeOver(ctx, t, table, subnet) }, passing)
}

func (k routeTables) takeOver(ctx context.Context, t *task, table, subnet string) error {
	_, err := k.api(t.Cloud).AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: aws.String(table), SubnetId: aws.String(subnet)})
	if !cloud.AlreadyExists(err) {
		return err
	}
	list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("association.subnet-id", subnet)}})
	if err != nil {
		return err
	}
	for _, other := range list {
		association, ok := associationsOf(other)[subnet]
		switch {
		case !ok:
			continue
		case aws.ToString(other.RouteTableId) == table:
			return nil
		}
		_, err := k.api(t.Cloud).ReplaceRouteTableAssociation(ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: aws.String(association), RouteTableId: aws.String(table)})
		if cloud.NotFound(err) {
			return errBetween
		}
		return err
	}
	return errBetween
}

func (k routeTables) disassociate(ctx context.Context, t *task, association string) error {
	_, err := k.api(t.Cloud).DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: aws.String(association)})
	if cloud.NotFound(err) {
		return nil // another table has taken the subnet over
	}
	return err
}

func (k routeTables) remove(ctx context.Context, t *task, table types.RouteTable) error {
	associated := associationsOf(table)
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: table.RouteTableId})
		if !cloud.InUse(err) {
			return err
		}
		// Subnets that go, too, have taken their associations along by now.
		for _, subnet := range union(associated) {
			if err := k.disassociate(ctx, t, associated[subnet]); err != nil {
				return err
			}
		}
		associated = nil
		return err
	})
}
