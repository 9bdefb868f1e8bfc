package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// endpointRow is a gateway endpoint: a route to a service's addresses in each of
// its route tables.
type endpointRow struct{ Endpoint types.VpcEndpoint }

func (r endpointRow) id() string { return *r.Endpoint.VpcEndpointId }

func (s *ec2Service) addEndpoints() {
	on(s, "CreateVpcEndpoint", "VpcId ServiceName VpcEndpointType RouteTableIds PolicyDocument ClientToken TagSpecifications.*", s.createEndpoint)
	on(s, "DescribeVpcEndpoints", "VpcEndpointIds Filters.* MaxResults NextToken", s.describeEndpoints)
	on(s, "ModifyVpcEndpoint", "VpcEndpointId AddRouteTableIds RemoveRouteTableIds PolicyDocument ResetPolicy", s.modifyEndpoint)
	on(s, "DeleteVpcEndpoints", "VpcEndpointIds", s.deleteEndpoints)
}

// openPolicy is the policy of an endpoint that is given none.
const openPolicy = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

func (s *ec2Service) createEndpoint(c apiCall, in *ec2.CreateVpcEndpointInput) (*ec2.CreateVpcEndpointOutput, error) {
	made, done, err := s.replayed(c, "CreateVpcEndpoint", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, err := need(s.endpoints, c.w, endpointID, &made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateVpcEndpointOutput{VpcEndpoint: new(s.showEndpoint(c.w, row)), ClientToken: in.ClientToken}, nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeVpcEndpoint)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	if in.VpcEndpointType != "" && in.VpcEndpointType != types.VpcEndpointTypeGateway {
		return nil, refuse("UnsupportedOperation", "The local cloud has VPC endpoints of type Gateway alone.")
	}
	name := deref(in.ServiceName)
	if name != "com.amazonaws."+c.Region+".s3" && name != "com.amazonaws."+c.Region+".dynamodb" {
		return nil, refuse("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
	}
	row := endpointRow{types.VpcEndpoint{
		VpcEndpointId: new(endpointID.make()), VpcId: vpc.Vpc.VpcId, OwnerId: new(c.Account), ServiceName: in.ServiceName, VpcEndpointType: types.VpcEndpointTypeGateway,
		State: "available", CreationTimestamp: new(c.now), PolicyDocument: new(openPolicy), PrivateDnsEnabled: new(false), RequesterManaged: new(false),
	}}
	if err := setPolicy(&row, in.PolicyDocument); err != nil {
		return nil, err
	}
	for _, id := range in.RouteTableIds {
		if err := s.leadThrough(c, &row, id); err != nil {
			return nil, err
		}
	}
	s.endpoints.put(c.w, row.id(), row)
	s.remember(c, "CreateVpcEndpoint", in.ClientToken, in, row.id())
	if err := s.born(c, endpointID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateVpcEndpointOutput{VpcEndpoint: new(s.showEndpoint(c.w, row)), ClientToken: in.ClientToken}, nil
}

func setPolicy(row *endpointRow, policy *string) error {
	if deref(policy) == "" {
		return nil
	}
	if !json.Valid([]byte(*policy)) {
		return refuse("MalformedPolicyDocument", "This policy contains invalid Json")
	}
	row.Endpoint.PolicyDocument = policy
	return nil
}

// leadThrough adds the endpoint's route to a table.
func (s *ec2Service) leadThrough(c apiCall, row *endpointRow, table string) error {
	t, err := need(s.routeTables, c.w, routeTableID, &table)
	if err != nil {
		return err
	}
	if *t.Table.VpcId != *row.Endpoint.VpcId {
		return refuse("InvalidParameter", "Route table %s belongs to another network than the endpoint", table)
	}
	list := "pl-" + strings.TrimPrefix(idKind("pl").stable(*row.Endpoint.ServiceName), "pl-")[:8]
	for _, r := range t.Table.Routes {
		if deref(r.DestinationPrefixListId) == list && deref(r.GatewayId) != row.id() {
			return refuse("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", table, list)
		}
	}
	if slices.Contains(row.Endpoint.RouteTableIds, table) {
		return nil
	}
	t.Table.Routes = append(copied(t.Table.Routes), types.Route{
		DestinationPrefixListId: new(list), GatewayId: new(row.id()), Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive,
	})
	s.routeTables.put(c.w, table, t)
	row.Endpoint.RouteTableIds = append(copied(row.Endpoint.RouteTableIds), table)
	return nil
}

func (s *ec2Service) showEndpoint(w world, row endpointRow) types.VpcEndpoint {
	e := row.Endpoint
	e.RouteTableIds = keep(e.RouteTableIds, func(id string) bool { return has(s.routeTables, w, id) })
	e.Tags = s.tagList(w, row.id())
	return e
}

func (s *ec2Service) describeEndpoints(c apiCall, in *ec2.DescribeVpcEndpointsInput) (*ec2.DescribeVpcEndpointsOutput, error) {
	if err := noPagesOfIDs(in.VpcEndpointIds, "vpcEndpointIds", in.MaxResults); err != nil {
		return nil, err
	}
	rows, err := needAll(s, s.endpoints, c.w, endpointID, in.VpcEndpointIds)
	if err != nil {
		return nil, err
	}
	rows, err = choose(s, c.w, rows, endpointRow.id, filters[endpointRow]{
		"vpc-endpoint-id":    func(r endpointRow) []string { return one(r.id()) },
		"vpc-id":             func(r endpointRow) []string { return opt(r.Endpoint.VpcId) },
		"service-name":       func(r endpointRow) []string { return opt(r.Endpoint.ServiceName) },
		"vpc-endpoint-state": func(r endpointRow) []string { return one(r.Endpoint.State) },
		"vpc-endpoint-type":  func(r endpointRow) []string { return one(r.Endpoint.VpcEndpointType) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, endpointRow.id, paging{in.MaxResults, in.NextToken, 1, 1000})
	out := &ec2.DescribeVpcEndpointsOutput{NextToken: next}
	for _, row := range rows {
		out.VpcEndpoints = append(out.VpcEndpoints, s.showEndpoint(c.w, row))
	}
	return out, err
}

func (s *ec2Service) modifyEndpoint(c apiCall, in *ec2.ModifyVpcEndpointInput) (*ec2.ModifyVpcEndpointOutput, error) {
	row, err := need(s.endpoints, c.w, endpointID, in.VpcEndpointId)
	if err != nil {
		return nil, err
	}
	if deref(in.ResetPolicy) {
		row.Endpoint.PolicyDocument = new(openPolicy)
	}
	if err := setPolicy(&row, in.PolicyDocument); err != nil {
		return nil, err
	}
	for _, id := range in.AddRouteTableIds {
		if err := s.leadThrough(c, &row, id); err != nil {
			return nil, err
		}
	}
	for _, id := range in.RemoveRouteTableIds {
		if !slices.Contains(row.Endpoint.RouteTableIds, id) {
			return nil, refuse("InvalidParameter", "Route table %s is not associated with endpoint %s", id, row.id())
		}
		row.Endpoint.RouteTableIds = keep(row.Endpoint.RouteTableIds, func(other string) bool { return other != id })
		s.dropRoutes(c.w, func(t routeTableRow, r types.Route) bool {
			return *t.Table.RouteTableId == id && deref(r.GatewayId) == row.id()
		})
	}
	s.endpoints.put(c.w, row.id(), row)
	return &ec2.ModifyVpcEndpointOutput{Return: new(true)}, nil
}

func (s *ec2Service) deleteEndpoints(c apiCall, in *ec2.DeleteVpcEndpointsInput) (*ec2.DeleteVpcEndpointsOutput, error) {
	out := &ec2.DeleteVpcEndpointsOutput{}
	if len(in.VpcEndpointIds) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter VpcEndpointId")
	}
	for _, id := range in.VpcEndpointIds {
		if _, ok := s.endpoints.get(c.w, id); !ok {
			out.Unsuccessful = append(out.Unsuccessful, types.UnsuccessfulItem{ResourceId: new(id), Error: &types.UnsuccessfulItemError{
				Code: new("InvalidVpcEndpoint.NotFound"), Message: new(fmt.Sprintf("The Vpc Endpoint Id '%s' does not exist", id)),
			}})
			continue
		}
		s.dropRoutes(c.w, func(_ routeTableRow, r types.Route) bool { return deref(r.GatewayId) == id })
		s.endpoints.remove(c.w, id)
		s.gone(c.w, id)
	}
	return out, nil
}
