package launch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// How networks are written down.

func (vpcs) express(_ *expression, v vpc) vpcSpec {
	s := vpcSpec{CIDRBlock: aws.ToString(v.CidrBlock), SecondaryCIDRBlocks: union(secondaryBlocks(v.Vpc)), EnableDNSSupport: &v.dnsSupport, EnableDNSHostnames: &v.dnsHostnames}
	if v.InstanceTenancy != types.TenancyDefault {
		s.InstanceTenancy = string(v.InstanceTenancy)
	}
	return s
}

func (vpcs) original(_ *importing, v vpc) string {
	if aws.ToBool(v.IsDefault) {
		return "the default VPC"
	}
	return ""
}

func (subnets) express(x *expression, s types.Subnet) subnetSpec {
	return subnetSpec{
		VPC: x.ref("vpc", s.VpcId), CIDRBlock: aws.ToString(s.CidrBlock), AvailabilityZone: x.zoneLetter(aws.ToString(s.AvailabilityZone)),
		MapPublicIPOnLaunch: aws.Bool(aws.ToBool(s.MapPublicIpOnLaunch)),
	}
}

func (subnets) original(_ *importing, s types.Subnet) string {
	if aws.ToBool(s.DefaultForAz) {
		return "a subnet of the default VPC"
	}
	return ""
}

func (internetGateways) express(x *expression, g types.InternetGateway) internetGatewaySpec {
	return internetGatewaySpec{VPC: x.ref("vpc", optional(attachedTo(g)))}
}

func (internetGateways) original(m *importing, g types.InternetGateway) string {
	return m.ofDefaultVPC(attachedTo(g))
}

// ofDefaultVPC tells whether something belongs to the default VPC.
func (m *importing) ofDefaultVPC(id string) string {
	for _, f := range m.byKind["vpc"] {
		if v, ok := f.raw.(vpc); ok && f.id == id && aws.ToBool(v.IsDefault) {
			return "the default VPC's"
		}
	}
	return ""
}

// express leaves an address that is at something else than an instance to what
// holds it.
func (elasticIPs) express(x *expression, a types.Address) elasticIPSpec {
	s := elasticIPSpec{Instance: x.ref("instance", a.InstanceId)}
	if f := x.byID[aws.ToString(a.InstanceId)]; f != nil && s.Instance != "" && f.attributes["private_ip"] != aws.ToString(a.PrivateIpAddress) {
		s.PrivateIP = aws.ToString(a.PrivateIpAddress)
	}
	return s
}

// with: an address belongs to the network of its instance.
func (elasticIPs) with(a types.Address) []string { return []string{aws.ToString(a.InstanceId)} }

func (natGateways) express(x *expression, g types.NatGateway) natGatewaySpec {
	s := natGatewaySpec{Subnet: x.ref("subnet", g.SubnetId), ConnectivityType: string(g.ConnectivityType)}
	if g.ConnectivityType == types.ConnectivityTypePublic {
		s.ElasticIP = x.ref("elastic_ip", natAddress(g).AllocationId)
	}
	if len(g.NatGatewayAddresses) > 1 {
		x.leave("addresses", "a nat_gateway states one, and it has %d", len(g.NatGatewayAddresses))
	}
	return s
}

func (vpcPeerings) express(x *expression, p types.VpcPeeringConnection) vpcPeeringSpec {
	s := vpcPeeringSpec{VPC: x.ref("vpc", optional(peeringVPC(p.RequesterVpcInfo)))}
	peer := peeringVPC(p.AccepterVpcInfo)
	if name, ok := x.named(peer); ok {
		s.PeerVPC = name
	} else {
		x.leave("peer_vpc", "no definition has %s; peer_vpc_id takes ${env.NAME.vpc.NAME.id}, another environment's", peer)
	}
	s.Requester, s.Accepter = peeringSide(p.RequesterVpcInfo), peeringSide(p.AccepterVpcInfo)
	return s
}

func peeringSide(i *types.VpcPeeringConnectionVpcInfo) *peeringSideSpec {
	if i == nil || i.PeeringOptions == nil || !aws.ToBool(i.PeeringOptions.AllowDnsResolutionFromRemoteVpc) {
		return nil
	}
	return &peeringSideSpec{AllowDNSResolutionFromRemoteVPC: aws.Bool(true)}
}

// everyoneEverything is the policy that EC2 gives an endpoint without one.
const everyoneEverything = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

func (vpcEndpoints) express(x *expression, e types.VpcEndpoint) vpcEndpointSpec {
	service := aws.ToString(e.ServiceName)
	s := vpcEndpointSpec{VPC: x.ref("vpc", e.VpcId), RouteTables: x.refs("route_tables", e.RouteTableIds)}
	if name, ok := strings.CutPrefix(service, "com.amazonaws."+x.region+"."); ok && (name == "s3" || name == "dynamodb") {
		s.ServiceName = name
	} else {
		x.leave("service_name", "%s has no gateway endpoint", service)
	}
	if policy := aws.ToString(e.PolicyDocument); policy != "" && !samePolicy(policy, everyoneEverything) {
		s.Policy = jsonValue(policy)
	}
	return s
}

// unsayable: interface endpoints are no kind of Goldline's.
func (vpcEndpoints) unsayable(e types.VpcEndpoint) string {
	if e.VpcEndpointType != "" && e.VpcEndpointType != types.VpcEndpointTypeGateway {
		return fmt.Sprintf("it is an endpoint of type %s: Goldline knows gateway endpoints", e.VpcEndpointType)
	}
	return ""
}

func (dhcpOptions) express(x *expression, o types.DhcpOptions) dhcpOptionsSpec {
	var s dhcpOptionsSpec
	for _, c := range o.DhcpConfigurations {
		var values []string
		for _, v := range c.Values {
			values = append(values, aws.ToString(v.Value))
		}
		if len(values) == 0 {
			continue
		}
		switch aws.ToString(c.Key) {
		case "domain-name":
			s.DomainName = values[0]
		case "domain-name-servers":
			s.DomainNameServers = values
		case "ntp-servers":
			s.NTPServers = values
		case "netbios-name-servers":
			s.NetBIOSNameServers = values
		case "netbios-node-type":
			s.NetBIOSNodeType = values[0]
		default:
			x.leave(aws.ToString(c.Key), "dhcp_options does not know it")
		}
	}
	// The VPCs of definitions are compared; those of others are left alone.
	for _, f := range x.byKind["vpc"] {
		if v, ok := f.raw.(vpc); ok && aws.ToString(v.DhcpOptionsId) == aws.ToString(o.DhcpOptionsId) {
			if name, ok := x.named(f.id); ok {
				s.VPCs = append(s.VPCs, name)
			}
		}
	}
	slices.Sort(s.VPCs)
	return s
}

func (dhcpOptions) original(_ *importing, o types.DhcpOptions) string {
	if len(userTags(&found{state: dhcpOptions{}.read(o)})) == 0 && len(o.DhcpConfigurations) <= 2 {
		for _, c := range o.DhcpConfigurations {
			if aws.ToString(c.Key) == "domain-name-servers" && len(c.Values) == 1 && aws.ToString(c.Values[0].Value) == "AmazonProvidedDNS" {
				return "the region's own options"
			}
		}
	}
	return ""
}

func (networkACLs) express(x *expression, a types.NetworkAcl) networkACLSpec {
	s := networkACLSpec{VPC: x.ref("vpc", a.VpcId)}
	if !aws.ToBool(a.IsDefault) { // which has whatever subnets have no other
		s.Subnets = x.refs("subnets", union(aclSubnets(a)))
	}
	entries := aclEntries(a)
	odd := map[bool]bool{}
	for _, key := range aclKeys(entries) {
		e := entries[key]
		spec, ok := aclEntry(e)
		if !ok {
			odd[key.egress] = true
			x.leave(key.path()[:strings.IndexByte(key.path(), '[')], "entry %d cannot be said: %s", key.number, aclText(e))
		}
		if key.egress {
			s.Egress = append(s.Egress, spec)
		} else {
			s.Ingress = append(s.Ingress, spec)
		}
	}
	if odd[false] {
		s.Ingress = nil
	}
	if odd[true] {
		s.Egress = nil
	}
	return s
}

// aclEntry is an entry as a definition gives it; ok is false for one that a
// definition cannot give.
func aclEntry(e types.NetworkAclEntry) (aclEntrySpec, bool) {
	s := aclEntrySpec{RuleNumber: int(aws.ToInt32(e.RuleNumber)), RuleAction: string(e.RuleAction), CIDRBlock: aws.ToString(e.CidrBlock)}
	for _, p := range aclProtocols {
		if p.number == aws.ToString(e.Protocol) {
			s.Protocol = p.name
		}
	}
	if i := e.IcmpTypeCode; i != nil && s.Protocol == "icmp" {
		kind, code := int(aws.ToInt32(i.Type)), int(aws.ToInt32(i.Code))
		s.ICMPType, s.ICMPCode = &kind, &code
	}
	if e.PortRange != nil && s.Protocol != "all" && s.Protocol != "icmp" {
		from, to := int(aws.ToInt32(e.PortRange.From)), int(aws.ToInt32(e.PortRange.To))
		s.FromPort, s.ToPort = &from, &to
	}
	return s, s.Protocol != "" && s.CIDRBlock != ""
}

// original: a default list with the entries that EC2 gives it.
func (networkACLs) original(m *importing, a types.NetworkAcl) string {
	if !aws.ToBool(a.IsDefault) || len(userTags(&found{state: networkACLs{}.read(a)})) > 0 {
		return ""
	}
	for key, e := range aclEntries(a) {
		if e.RuleAction != types.RuleActionAllow || aws.ToString(e.Protocol) != "-1" || key.number != 100 && key.number != 101 {
			return m.ofDefaultVPC(aws.ToString(a.VpcId))
		}
	}
	return "a VPC's default list"
}

func (networkInterfaces) express(x *expression, n types.NetworkInterface) networkInterfaceSpec {
	return networkInterfaceSpec{
		Subnet: x.ref("subnet", n.SubnetId), PrivateIP: aws.ToString(n.PrivateIpAddress), SecondaryIPs: secondary(n), SecurityGroups: x.refs("security_groups", groupsOf(n.Groups)),
		SourceDestCheck: aws.Bool(aws.ToBool(n.SourceDestCheck)), Description: aws.ToString(n.Description),
	}
}

// original: what a service made, and what comes and goes with an instance.
func (networkInterfaces) original(m *importing, n types.NetworkInterface) string {
	for _, f := range m.byKind["nat_gateway"] {
		gateway, _ := f.raw.(types.NatGateway)
		for _, a := range gateway.NatGatewayAddresses {
			if aws.ToString(a.NetworkInterfaceId) == aws.ToString(n.NetworkInterfaceId) {
				return "it is that of " + f.id
			}
		}
	}
	switch a := n.Attachment; {
	case aws.ToBool(n.RequesterManaged), n.InterfaceType != "" && n.InterfaceType != types.NetworkInterfaceTypeInterface:
		return "a service looks after it"
	case a != nil && (aws.ToInt32(a.DeviceIndex) == 0 || aws.ToBool(a.DeleteOnTermination)):
		return "it goes with " + aws.ToString(a.InstanceId)
	}
	return ""
}

func (routeTables) express(x *expression, table types.RouteTable) routeTableSpec {
	s := routeTableSpec{VPC: x.ref("vpc", table.VpcId), Subnets: x.refs("subnets", union(associationsOf(table)))}
	routes := routesOf(table)
	for _, block := range slices.Sorted(maps.Keys(routes)) {
		r, ok := x.route(block, routes[block])
		if !ok {
			x.leave("routes", "the one to %s leads to %s, which a definition cannot name", block, routes[block])
			s.Routes = nil
			break
		}
		s.Routes = append(s.Routes, r)
	}
	return s
}

func (x *expression) route(block, target string) (routeSpec, bool) {
	r := routeSpec{DestinationCIDRBlock: block}
	name, ok := x.named(target)
	if !ok {
		return r, false
	}
	switch x.byID[target].kindName() {
	case "internet_gateway":
		r.InternetGateway = name
	case "nat_gateway":
		r.NATGateway = name
	case "vpc_peering":
		r.VPCPeering = name
	case "instance":
		r.Instance = name
	case "network_interface":
		r.NetworkInterface = name
	default:
		return r, false
	}
	return r, true
}

// original: a main table without routes and subnets of its own.
func (routeTables) original(m *importing, table types.RouteTable) string {
	switch {
	case !isMain(table) || len(userTags(&found{state: state{tags: cloud.TagSet(table.Tags)}})) > 0:
		return ""
	case len(routesOf(table))+len(associationsOf(table)) > 0:
		return m.ofDefaultVPC(aws.ToString(table.VpcId))
	}
	return "a VPC's main table"
}

// express merges rules that differ in their peer alone.
func (securityGroups) express(x *expression, g types.SecurityGroup) securityGroupSpec {
	s := securityGroupSpec{VPC: x.ref("vpc", g.VpcId), Description: aws.ToString(g.Description)}
	s.Ingress, _ = x.rules(g, false)
	if egress, ok := x.rules(g, true); ok {
		s.Egress = &egress
	}
	return s
}

// rules are a group's rules in one direction; ok is false where one of them
// cannot be said, since the others alone would take it away.
func (x *expression) rules(g types.SecurityGroup, egress bool) (list []ruleSpec, ok bool) {
	list = []ruleSpec{}
	at := map[rule]int{}
	for _, r := range rulesOf(g) {
		if r.egress != egress {
			continue
		}
		peer := r.peer
		r.peer = ""
		n, known := at[r]
		if !known {
			n = len(list)
			at[r] = n
			list = append(list, ruleText(r))
		}
		name, named := x.named(peer)
		switch {
		case strings.ContainsAny(peer, ".:"):
			list[n].CIDRBlocks = append(list[n].CIDRBlocks, peer)
		case peer == aws.ToString(g.GroupId):
			list[n].Self = true
		case named:
			list[n].SecurityGroups = append(list[n].SecurityGroups, name)
		default:
			x.leave(r.direction(), "no definition has %s, which a rule names", peer)
			return nil, false
		}
	}
	return list, true
}

// ruleText is a rule without its peers as a definition gives it.
func ruleText(r rule) ruleSpec {
	s := ruleSpec{Protocol: r.protocol, Description: r.description}
	switch {
	case r.protocol == "-1":
		s.Protocol = "all"
	case r.from == -1 && r.to == -1, r.from == 0 && r.to == 65535 && (r.protocol == "tcp" || r.protocol == "udp"):
	case r.from == r.to && r.from >= 0:
		s.Port = &r.from
	default:
		s.FromPort, s.ToPort = &r.from, &r.to
	}
	return s
}

// original: a default group with the rules that EC2 gives it.
func (securityGroups) original(m *importing, g types.SecurityGroup) string {
	if aws.ToString(g.GroupName) != "default" || len(userTags(&found{state: state{tags: cloud.TagSet(g.Tags)}})) > 0 {
		return ""
	}
	ways := map[bool]int{}
	for _, r := range rulesOf(g) {
		ways[r.egress]++
		if r.protocol != "-1" || r.egress && r.peer != "0.0.0.0/0" && r.peer != "::/0" || !r.egress && r.peer != aws.ToString(g.GroupId) {
			return m.ofDefaultVPC(aws.ToString(g.VpcId))
		}
	}
	if ways[true] == 0 || ways[false] == 0 {
		return m.ofDefaultVPC(aws.ToString(g.VpcId))
	}
	return "a VPC's default group"
}
