package emulator

import (
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type routeTableRow struct{ Table types.RouteTable }

func (r routeTableRow) isMain() bool {
	for _, a := range r.Table.Associations {
		if deref(a.Main) {
			return true
		}
	}
	return false
}

func (s *ec2Service) addRouteTables() {
	on(s, "CreateRouteTable", "VpcId ClientToken TagSpecifications.*", s.createRouteTable)
	on(s, "DescribeRouteTables", "RouteTableIds Filters.* MaxResults NextToken", s.describeRouteTables)
	on(s, "DeleteRouteTable", "RouteTableId", s.deleteRouteTable)
	on(s, "CreateRoute", "RouteTableId DestinationCidrBlock GatewayId InstanceId NetworkInterfaceId NatGatewayId VpcPeeringConnectionId", s.createRoute)
	on(s, "ReplaceRoute", "RouteTableId DestinationCidrBlock GatewayId InstanceId NetworkInterfaceId NatGatewayId VpcPeeringConnectionId", s.replaceRoute)
	on(s, "DeleteRoute", "RouteTableId DestinationCidrBlock", s.deleteRoute)
	on(s, "AssociateRouteTable", "RouteTableId SubnetId", s.associateRouteTable)
	on(s, "DisassociateRouteTable", "AssociationId", s.disassociateRouteTable)
	on(s, "ReplaceRouteTableAssociation", "AssociationId RouteTableId", s.replaceRouteTableAssociation)
}

func localRoute(block netip.Prefix) types.Route {
	return types.Route{
		DestinationCidrBlock: new(block.String()), GatewayId: new("local"),
		Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
	}
}

func associated() *types.RouteTableAssociationState {
	return &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}
}

func (s *ec2Service) createRouteTable(c apiCall, in *ec2.CreateRouteTableInput) (*ec2.CreateRouteTableOutput, error) {
	made, done, err := s.replayed(c, "CreateRouteTable", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.routeTables, c.w, routeTableID, &made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateRouteTableOutput{RouteTable: new(s.showRouteTable(c, row)), ClientToken: in.ClientToken}, nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeRouteTable)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	id := routeTableID.make()
	row := routeTableRow{types.RouteTable{RouteTableId: new(id), VpcId: vpc.Vpc.VpcId, OwnerId: new(c.Account)}}
	for _, a := range vpc.Vpc.CidrBlockAssociationSet {
		row.Table.Routes = append(row.Table.Routes, localRoute(netip.MustParsePrefix(*a.CidrBlock)))
	}
	s.routeTables.put(c.w, id, row)
	s.remember(c, "CreateRouteTable", in.ClientToken, in, id)
	if err := s.born(c, routeTableID, id, tags); err != nil {
		return nil, err
	}
	return &ec2.CreateRouteTableOutput{RouteTable: new(s.showRouteTable(c, row)), ClientToken: in.ClientToken}, nil
}

func (s *ec2Service) showRouteTable(c apiCall, row routeTableRow) types.RouteTable {
	table := row.Table
	table.Routes = copied(table.Routes)
	for i, route := range table.Routes {
		if nic, ok := s.nics.get(c.w, deref(route.NetworkInterfaceId)); ok && nic.Instance != "" {
			table.Routes[i].InstanceId, table.Routes[i].InstanceOwnerId = new(nic.Instance), new(c.Account)
		}
		if s.leadsNowhere(c.w, route) {
			table.Routes[i].State = types.RouteStateBlackhole
		}
	}
	table.Tags = s.tagList(c.w, *table.RouteTableId)
	return table
}

// leadsNowhere says that a route's target doesn't exist any more, or isn't
// attached.
func (s *ec2Service) leadsNowhere(w world, route types.Route) bool {
	if id := deref(route.VpcPeeringConnectionId); id != "" {
		peering, ok := s.peerings.get(world{}, id)
		return !ok || peering.status() != types.VpcPeeringConnectionStateReasonCodeActive
	}
	if id := deref(route.GatewayId); id != "" && id != "local" && !strings.HasPrefix(id, string(endpointID)) {
		gateway, ok := s.gateways.get(w, id)
		return !ok || gateway.attachedTo() == ""
	}
	if id := deref(route.NatGatewayId); id != "" {
		nat, ok := s.nats.get(w, id)
		return !ok || !nat.holdsNetwork()
	}
	if id := deref(route.InstanceId); id != "" {
		instance, ok := s.instances.get(w, id)
		return !ok || !instance.holdsNetwork()
	}
	if id := deref(route.NetworkInterfaceId); id != "" {
		nic, ok := s.nics.get(w, id)
		return !ok || nic.Instance == ""
	}
	return false
}

func (s *ec2Service) describeRouteTables(c apiCall, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	if err := noPagesOfIDs(in.RouteTableIds, "routeTableIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.routeTables, c.w, routeTableID, in.RouteTableIds)
	if err != nil {
		return nil, err
	}
	list := make([]types.RouteTable, len(rows))
	for i, row := range rows {
		list[i] = s.showRouteTable(c, row)
	}
	id := func(t types.RouteTable) string { return *t.RouteTableId }
	list, err = choose(s, c.w, list, id, routeTableFilters(), in.Filters)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, id, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeRouteTablesOutput{RouteTables: list, NextToken: next}, err
}

func routeTableFilters() filters[types.RouteTable] {
	association := func(pick func(types.RouteTableAssociation) []string) func(types.RouteTable) []string {
		return func(t types.RouteTable) (all []string) {
			for _, a := range t.Associations {
				all = append(all, pick(a)...)
			}
			return all
		}
	}
	route := func(pick func(types.Route) []string) func(types.RouteTable) []string {
		return func(t types.RouteTable) (all []string) {
			for _, r := range t.Routes {
				all = append(all, pick(r)...)
			}
			return all
		}
	}
	return filters[types.RouteTable]{
		"route-table-id":                         func(t types.RouteTable) []string { return opt(t.RouteTableId) },
		"vpc-id":                                 func(t types.RouteTable) []string { return opt(t.VpcId) },
		"owner-id":                               func(t types.RouteTable) []string { return opt(t.OwnerId) },
		"association.main":                       association(func(a types.RouteTableAssociation) []string { return flag(a.Main) }),
		"association.subnet-id":                  association(func(a types.RouteTableAssociation) []string { return opt(a.SubnetId) }),
		"association.route-table-id":             association(func(a types.RouteTableAssociation) []string { return opt(a.RouteTableId) }),
		"association.route-table-association-id": association(func(a types.RouteTableAssociation) []string { return opt(a.RouteTableAssociationId) }),
		"route.destination-cidr-block":           route(func(r types.Route) []string { return opt(r.DestinationCidrBlock) }),
		"route.gateway-id":                       route(func(r types.Route) []string { return opt(r.GatewayId) }),
		"route.nat-gateway-id":                   route(func(r types.Route) []string { return opt(r.NatGatewayId) }),
		"route.vpc-peering-connection-id":        route(func(r types.Route) []string { return opt(r.VpcPeeringConnectionId) }),
		"route.instance-id":                      route(func(r types.Route) []string { return opt(r.InstanceId) }),
		"route.origin":                           route(func(r types.Route) []string { return one(r.Origin) }),
		"route.state":                            route(func(r types.Route) []string { return one(r.State) }),
	}
}

func (s *ec2Service) deleteRouteTable(c apiCall, in *ec2.DeleteRouteTableInput) (*ec2.DeleteRouteTableOutput, error) {
	row, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	id := *row.Table.RouteTableId
	if len(row.Table.Associations) > 0 {
		return nil, refuse("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted.", id)
	}
	s.routeTables.remove(c.w, id)
	s.gone(c.w, id)
	return &ec2.DeleteRouteTableOutput{}, nil
}

// routeTarget reads where a route is to lead: one of the IDs of wanted. The
// rules of EC2: exactly one target, and within reach of the table's VPC.
func (s *ec2Service) routeTarget(c apiCall, vpc string, wanted types.Route) (types.Route, error) {
	route := types.Route{Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive}
	set := 0
	for _, id := range []*string{wanted.GatewayId, wanted.InstanceId, wanted.NetworkInterfaceId, wanted.NatGatewayId, wanted.VpcPeeringConnectionId} {
		if deref(id) != "" {
			set++
		}
	}
	if set != 1 {
		return route, refuse("InvalidParameterCombination", "Exactly one target has to be specified for a route, not %d", set)
	}
	switch {
	case deref(wanted.GatewayId) != "":
		row, err := need(s.gateways, c.w, gatewayID, wanted.GatewayId)
		if err == nil && row.attachedTo() != vpc {
			err = refuse("InvalidParameterValue", "route table and network gateway %s belong to different networks", *wanted.GatewayId)
		}
		route.GatewayId = wanted.GatewayId
		return route, err
	case deref(wanted.NatGatewayId) != "":
		row, err := need(s.nats, c.w, natID, wanted.NatGatewayId)
		switch {
		case err != nil:
		case *row.Gateway.VpcId != vpc:
			err = refuse("InvalidParameterValue", "route table and NAT gateway %s belong to different networks", row.id())
		case row.Gateway.State != types.NatGatewayStateAvailable && row.Gateway.State != types.NatGatewayStatePending:
			err = refuse("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", row.id())
		}
		route.NatGatewayId = wanted.NatGatewayId
		return route, err
	case deref(wanted.VpcPeeringConnectionId) != "":
		row, err := s.peer(c.w, wanted.VpcPeeringConnectionId)
		switch {
		case err != nil:
		case !row.between(vpc):
			err = refuse("InvalidParameterValue", "route table and VPC peering connection %s belong to different networks", row.id())
		case row.status() != types.VpcPeeringConnectionStateReasonCodeActive:
			err = peeringID.missing(row.id())
		}
		route.VpcPeeringConnectionId = wanted.VpcPeeringConnectionId
		return route, err
	}
	return s.interfaceTarget(c, vpc, wanted, route)
}

// interfaceTarget reads a route to an instance or a network interface.
func (s *ec2Service) interfaceTarget(c apiCall, vpc string, wanted, route types.Route) (types.Route, error) {
	row, ok := s.instanceOfInterface(c.w, deref(wanted.NetworkInterfaceId))
	if deref(wanted.InstanceId) != "" {
		var err error
		if row, err = s.liveInstance(c, wanted.InstanceId); err != nil {
			return route, err
		}
	} else if nic, free := s.nics.get(c.w, deref(wanted.NetworkInterfaceId)); free {
		if nic.VPC != vpc {
			return route, refuse("InvalidParameterValue", "route table and network interface %s belong to different networks", nic.ID)
		}
		route.NetworkInterfaceId = new(nic.ID) // whatever it is attached to
		return route, nil
	} else if !ok {
		return route, interfaceID.missing(*wanted.NetworkInterfaceId)
	}
	if row.VPC != vpc {
		return route, refuse("InvalidParameterValue", "route table and network interface %s belong to different networks", row.Interface)
	}
	route.InstanceId, route.InstanceOwnerId, route.NetworkInterfaceId = new(row.ID), new(c.Account), new(row.Interface)
	return route, nil
}

func (s *ec2Service) createRoute(c apiCall, in *ec2.CreateRouteInput) (*ec2.CreateRouteOutput, error) {
	row, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	block, err := readBlock(in.DestinationCidrBlock, "destinationCidrBlock")
	if err != nil {
		return nil, err
	}
	route, err := s.routeTarget(c, *row.Table.VpcId, types.Route{
		GatewayId: in.GatewayId, InstanceId: in.InstanceId, NetworkInterfaceId: in.NetworkInterfaceId, NatGatewayId: in.NatGatewayId,
		VpcPeeringConnectionId: in.VpcPeeringConnectionId,
	})
	if err != nil {
		return nil, err
	}
	route.DestinationCidrBlock = new(block.String())
	if i := routeTo(row, block); i >= 0 {
		if same(row.Table.Routes[i], route) {
			return &ec2.CreateRouteOutput{Return: new(true)}, nil
		}
		return nil, refuse("RouteAlreadyExists", "The route identified by %s already exists.", block)
	}
	row.Table.Routes = append(copied(row.Table.Routes), route)
	s.routeTables.put(c.w, *row.Table.RouteTableId, row)
	return &ec2.CreateRouteOutput{Return: new(true)}, nil
}

// same says that two routes lead to the same target.
func same(a, b types.Route) bool {
	return deref(a.GatewayId) == deref(b.GatewayId) && deref(a.NetworkInterfaceId) == deref(b.NetworkInterfaceId) &&
		deref(a.NatGatewayId) == deref(b.NatGatewayId) && deref(a.VpcPeeringConnectionId) == deref(b.VpcPeeringConnectionId)
}

// routeTo is the index of the route to a block, -1 if there is none.
func routeTo(row routeTableRow, block netip.Prefix) int {
	for i, route := range row.Table.Routes {
		if deref(route.DestinationCidrBlock) == block.String() {
			return i
		}
	}
	return -1
}

// ownRoute finds a route that may be changed: the local ones may not.
func ownRoute(row routeTableRow, destination *string) (int, error) {
	block, err := readBlock(destination, "destinationCidrBlock")
	if err != nil {
		return 0, err
	}
	i := routeTo(row, block)
	if i < 0 {
		return 0, refuse("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", block, *row.Table.RouteTableId)
	}
	if deref(row.Table.Routes[i].GatewayId) == "local" {
		return 0, refuse("InvalidParameterValue", "cannot remove or replace local route %s in route table %s", block, *row.Table.RouteTableId)
	}
	return i, nil
}

func (s *ec2Service) replaceRoute(c apiCall, in *ec2.ReplaceRouteInput) (*ec2.ReplaceRouteOutput, error) {
	row, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	i, err := ownRoute(row, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	route, err := s.routeTarget(c, *row.Table.VpcId, types.Route{
		GatewayId: in.GatewayId, InstanceId: in.InstanceId, NetworkInterfaceId: in.NetworkInterfaceId, NatGatewayId: in.NatGatewayId,
		VpcPeeringConnectionId: in.VpcPeeringConnectionId,
	})
	if err != nil {
		return nil, err
	}
	route.DestinationCidrBlock = row.Table.Routes[i].DestinationCidrBlock
	row.Table.Routes = copied(row.Table.Routes)
	row.Table.Routes[i] = route
	s.routeTables.put(c.w, *row.Table.RouteTableId, row)
	return &ec2.ReplaceRouteOutput{}, nil
}

func (s *ec2Service) deleteRoute(c apiCall, in *ec2.DeleteRouteInput) (*ec2.DeleteRouteOutput, error) {
	row, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	i, err := ownRoute(row, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	row.Table.Routes = append(copied(row.Table.Routes[:i]), row.Table.Routes[i+1:]...)
	s.routeTables.put(c.w, *row.Table.RouteTableId, row)
	return &ec2.DeleteRouteOutput{}, nil
}

// dropRoutes removes the routes that match from every table.
func (s *ec2Service) dropRoutes(w world, match func(routeTableRow, types.Route) bool) {
	for _, row := range s.routeTables.all(w) {
		rest := keep(row.Table.Routes, func(r types.Route) bool { return !match(row, r) })
		if len(rest) < len(row.Table.Routes) {
			row.Table.Routes = rest
			s.routeTables.put(w, *row.Table.RouteTableId, row)
		}
	}
}

func (s *ec2Service) associateRouteTable(c apiCall, in *ec2.AssociateRouteTableInput) (*ec2.AssociateRouteTableOutput, error) {
	row, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	subnet, err := need(s.subnets, c.w, subnetID, in.SubnetId)
	if err != nil {
		return nil, err
	}
	if *subnet.Subnet.VpcId != *row.Table.VpcId {
		return nil, refuse("InvalidParameterValue", "Route table %s and subnet %s belong to different networks", *row.Table.RouteTableId, *in.SubnetId)
	}
	for _, other := range s.routeTables.all(c.w) {
		for _, a := range other.Table.Associations {
			if deref(a.SubnetId) != *in.SubnetId {
				continue
			}
			if *other.Table.RouteTableId == *row.Table.RouteTableId {
				return &ec2.AssociateRouteTableOutput{AssociationId: a.RouteTableAssociationId, AssociationState: associated()}, nil
			}
			return nil, refuse("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", *in.RouteTableId)
		}
	}
	id := idKind("rtbassoc").make()
	row.Table.Associations = append(copied(row.Table.Associations), types.RouteTableAssociation{
		Main: new(false), RouteTableAssociationId: new(id), RouteTableId: row.Table.RouteTableId, SubnetId: in.SubnetId, AssociationState: associated(),
	})
	s.routeTables.put(c.w, *row.Table.RouteTableId, row)
	return &ec2.AssociateRouteTableOutput{AssociationId: new(id), AssociationState: associated()}, nil
}

// association takes an association out of its table: the table as it stands
// without it, and the association.
func (s *ec2Service) association(w world, id *string) (routeTableRow, types.RouteTableAssociation, error) {
	if err := require("associationId", id); err != nil {
		return routeTableRow{}, types.RouteTableAssociation{}, err
	}
	for _, row := range s.routeTables.all(w) {
		for i, a := range row.Table.Associations {
			if *a.RouteTableAssociationId == *id {
				row.Table.Associations = append(copied(row.Table.Associations[:i]), row.Table.Associations[i+1:]...)
				return row, a, nil
			}
		}
	}
	return routeTableRow{}, types.RouteTableAssociation{}, refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", *id)
}

func (s *ec2Service) disassociateRouteTable(c apiCall, in *ec2.DisassociateRouteTableInput) (*ec2.DisassociateRouteTableOutput, error) {
	row, a, err := s.association(c.w, in.AssociationId)
	if err != nil {
		return nil, err
	}
	if deref(a.Main) {
		return nil, refuse("InvalidParameterValue", "cannot disassociate the main route table association %s", *in.AssociationId)
	}
	s.routeTables.put(c.w, *row.Table.RouteTableId, row)
	return &ec2.DisassociateRouteTableOutput{}, nil
}

func (s *ec2Service) replaceRouteTableAssociation(c apiCall, in *ec2.ReplaceRouteTableAssociationInput) (*ec2.ReplaceRouteTableAssociationOutput, error) {
	from, a, err := s.association(c.w, in.AssociationId)
	if err != nil {
		return nil, err
	}
	to, err := need(s.routeTables, c.w, routeTableID, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if *to.Table.VpcId != *from.Table.VpcId {
		return nil, refuse("InvalidParameterValue", "Route tables %s and %s belong to different networks", *from.Table.RouteTableId, *to.Table.RouteTableId)
	}
	s.routeTables.put(c.w, *from.Table.RouteTableId, from)
	to, _ = s.routeTables.get(c.w, *to.Table.RouteTableId)
	a.RouteTableAssociationId, a.RouteTableId = new(idKind("rtbassoc").make()), to.Table.RouteTableId
	to.Table.Associations = append(copied(to.Table.Associations), a)
	s.routeTables.put(c.w, *to.Table.RouteTableId, to)
	return &ec2.ReplaceRouteTableAssociationOutput{NewAssociationId: a.RouteTableAssociationId, AssociationState: associated()}, nil
}
