package emulator

import (
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// furniture marks a world that has got what every account has in every region
// from the start.
type furniture struct{ Done bool }

// furnish gives a world its default VPC, on the first call that is about it:
// with a public subnet in each zone, an internet gateway and a route to it.
func (s *ec2Service) furnish(c apiCall) {
	if _, done := s.furnished.get(c.w, "default"); done {
		return
	}
	s.furnished.put(c.w, "default", furniture{Done: true})
	s.makeDefaultVPC(c, func(k idKind, part string) string { return k.stable(c.w.String(), "default", part) })
}

// makeDefaultVPC makes a default VPC; id gives the IDs of its parts.
func (s *ec2Service) makeDefaultVPC(c apiCall, id func(k idKind, part string) string) string {
	vpc := id(vpcID, "vpc")
	s.makeVPC(c, netip.MustParsePrefix("172.31.0.0/16"), types.TenancyDefault, vpcParts{
		vpc: vpc, table: id(routeTableID, "main"), association: id("rtbassoc", "main"),
		acl: id(aclID, "acl"), group: id(groupID, "group"), egress: id(ruleID, "egress"), ingress: id(ruleID, "ingress"),
	})
	row, _ := s.vpcs.get(c.w, vpc)
	row.Vpc.IsDefault, row.DNSHostnames = new(true), true
	s.vpcs.put(c.w, vpc, row)
	gateway := id(gatewayID, "gateway")
	s.gateways.put(c.w, gateway, gatewayRow{Gateway: types.InternetGateway{
		InternetGatewayId: new(gateway), OwnerId: new(c.Account),
		Attachments: []types.InternetGatewayAttachment{{State: "available", VpcId: new(vpc)}},
	}, Default: true})
	table, _ := s.routeTables.get(c.w, id(routeTableID, "main"))
	table.Table.Routes = append(copied(table.Table.Routes), types.Route{
		DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(gateway), Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive,
	})
	s.routeTables.put(c.w, *table.Table.RouteTableId, table)
	for i, z := range zones(c.Region) {
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(16 * i), 0}), 20)
		subnet := s.makeSubnet(c, id(subnetID, z.Name), vpc, z, block)
		subnet.Subnet.DefaultForAz, subnet.Subnet.MapPublicIpOnLaunch = new(true), new(true)
		s.subnets.put(c.w, *subnet.Subnet.SubnetId, subnet)
	}
	return vpc
}

// copied is a copy of a slice, for rows: what older copies share is never
// changed in place.
func copied[T any](list []T) []T { return append([]T(nil), list...) }
