package emulator

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// ec2Service holds the tables of EC2 and carries out its actions. Rows whose
// world has an account are that account's alone; images and snapshots, which
// accounts share, live in their region's world with an empty account and carry
// their owner.
type ec2Service struct {
	cloud *Cloud
	hosts *hosts

	// births are when this process made things, for the window in which reads
	// don't see them yet. Like the tables, it's used within transactions alone.
	births map[string]time.Time

	furnished     *table[furniture]
	tags          *table[tagRow]
	tokens        *table[tokenRow]
	vpcs          *table[vpcRow]
	subnets       *table[subnetRow]
	gateways      *table[gatewayRow]
	routeTables   *table[routeTableRow]
	acls          *table[aclRow]
	groups        *table[groupRow]
	rules         *table[ruleRow]
	keys          *table[keyRow]
	volumes       *table[volumeRow]
	modifications *table[modificationRow]
	snapshots     *table[snapshotRow]
	images        *table[imageRow]
	instances     *table[instanceRow]
	addresses     *table[addressRow]
	templates     *table[templateRow]
	nats          *table[natRow]
	rootTasks     *table[rootTaskRow]
	peerings      *table[peeringRow]
	endpoints     *table[endpointRow]
	dhcp          *table[dhcpRow]
	nics          *table[nicRow]
}

// newEC2 adds EC2's tables to the store, its actions to the registry and its
// settlers to the cloud. It is called before the store is loaded.
func newEC2(c *Cloud) *ec2Service {
	s := &ec2Service{
		cloud:         c,
		births:        map[string]time.Time{},
		furnished:     newTable[furniture](c.store, "ec2-furnished"),
		tags:          newTable[tagRow](c.store, "ec2-tags"),
		tokens:        newTable[tokenRow](c.store, "ec2-tokens"),
		vpcs:          newTable[vpcRow](c.store, "ec2-vpcs"),
		subnets:       newTable[subnetRow](c.store, "ec2-subnets"),
		gateways:      newTable[gatewayRow](c.store, "ec2-internet-gateways"),
		routeTables:   newTable[routeTableRow](c.store, "ec2-route-tables"),
		acls:          newTable[aclRow](c.store, "ec2-network-acls"),
		groups:        newTable[groupRow](c.store, "ec2-security-groups"),
		rules:         newTable[ruleRow](c.store, "ec2-security-group-rules"),
		keys:          newTable[keyRow](c.store, "ec2-key-pairs"),
		volumes:       newTable[volumeRow](c.store, "ec2-volumes"),
		modifications: newTable[modificationRow](c.store, "ec2-volume-modifications"),
		snapshots:     newTable[snapshotRow](c.store, "ec2-snapshots"),
		images:        newTable[imageRow](c.store, "ec2-images"),
		instances:     newTable[instanceRow](c.store, "ec2-instances"),
		addresses:     newTable[addressRow](c.store, "ec2-addresses"),
		templates:     newTable[templateRow](c.store, "ec2-launch-templates"),
		nats:          newTable[natRow](c.store, "ec2-nat-gateways"),
		rootTasks:     newTable[rootTaskRow](c.store, "ec2-root-volume-tasks"),
		peerings:      newTable[peeringRow](c.store, "ec2-vpc-peerings"),
		endpoints:     newTable[endpointRow](c.store, "ec2-vpc-endpoints"),
		dhcp:          newTable[dhcpRow](c.store, "ec2-dhcp-options"),
		nics:          newTable[nicRow](c.store, "ec2-network-interfaces"),
	}
	s.hosts = newHosts(s)
	s.addPlaces()
	s.addTags()
	s.addVPCs()
	s.addSubnets()
	s.addGateways()
	s.addRouteTables()
	s.addSecurityGroups()
	s.addSecurityGroupRules()
	s.addKeyPairs()
	s.addVolumes()
	s.addVolumeChanges()
	s.addSnapshots()
	s.addImages()
	s.addImageAttributes()
	s.addInstances()
	s.addInstanceStates()
	s.addRootVolumes()
	s.addInterfaces()
	s.addInstanceAttributes()
	s.addProfiles()
	s.addInstanceTypes()
	s.addAddresses()
	s.addLaunchTemplates()
	s.addNatGateways()
	s.addPeerings()
	s.addEndpoints()
	s.addDHCP()
	s.addNetworkAcls()
	s.addInventory()
	return s
}

// shared is the world of what a region's accounts share: images, snapshots.
func (c apiCall) shared() world { return world{Region: c.Region} }

// on adds an action; see handleHonouring for what honours means.
func on[I, O any](s *ec2Service, action, honours string, f func(apiCall, *I) (*O, error)) {
	offer(s, "ec2", action, honours, f)
}

// offer adds an action of a service whose worlds are EC2's.
func offer[I, O any](s *ec2Service, service, action, honours string, f func(apiCall, *I) (*O, error)) {
	handleCall(s.cloud.registry, service, action, honours, func(who caller) apiCall {
		c := apiCall{who, who.world(), s.cloud.clock.Now()}
		s.furnish(c)
		return c
	}, f)
}

// addInventory lists what a user makes and has to remove again. What comes with
// an account, a VPC or an instance is left out.
func (s *ec2Service) addInventory() {
	c := s.cloud
	inventory(c, "vpc", s.vpcs, func(r vpcRow) (string, bool) { return *r.Vpc.VpcId + " " + *r.Vpc.CidrBlock, !deref(r.Vpc.IsDefault) })
	inventory(c, "subnet", s.subnets, func(r subnetRow) (string, bool) {
		return *r.Subnet.SubnetId + " " + *r.Subnet.CidrBlock, !deref(r.Subnet.DefaultForAz)
	})
	inventory(c, "internet-gateway", s.gateways, func(r gatewayRow) (string, bool) {
		return *r.Gateway.InternetGatewayId + " " + r.attachedTo(), !r.Default
	})
	inventory(c, "route-table", s.routeTables, func(r routeTableRow) (string, bool) { return *r.Table.RouteTableId, !r.isMain() })
	inventory(c, "security-group", s.groups, func(r groupRow) (string, bool) { return r.ID + " " + r.Name, r.Name != "default" })
	inventory(c, "key-pair", s.keys, func(r keyRow) (string, bool) { return *r.Key.KeyName, true })
	inventory(c, "volume", s.volumes, func(r volumeRow) (string, bool) { return r.id() + " " + string(r.Volume.State), true })
	inventory(c, "snapshot", s.snapshots, func(r snapshotRow) (string, bool) { return r.id() + " " + string(r.Snapshot.State), true })
	inventory(c, "image", s.images, func(r imageRow) (string, bool) {
		return r.id() + " " + *r.Image.Name + " " + string(r.Image.State), true
	})
	inventory(c, "instance", s.instances, func(r instanceRow) (string, bool) {
		line := r.ID + " " + string(r.State)
		for _, addr := range slices.SortedFunc(slices.Values(r.More), netip.Addr.Compare) {
			line += " " + addr.String()
		}
		return line, r.State != stateTerminated
	})
	inventory(c, "launch-template", s.templates, func(r templateRow) (string, bool) { return r.ID + " " + r.Name, true })
	inventory(c, "address", s.addresses, func(r addressRow) (string, bool) { return *r.Address.AllocationId, true })
	inventory(c, "nat-gateway", s.nats, func(r natRow) (string, bool) { return r.id() + " " + string(r.Gateway.State), r.holdsNetwork() })
	inventory(c, "vpc-peering-connection", s.peerings, func(r peeringRow) (string, bool) { return r.id() + " " + string(r.status()), r.lives() })
	inventory(c, "vpc-endpoint", s.endpoints, func(r endpointRow) (string, bool) { return r.id() + " " + *r.Endpoint.ServiceName, true })
	inventory(c, "network-acl", s.acls, func(r aclRow) (string, bool) { return *r.Acl.NetworkAclId, !deref(r.Acl.IsDefault) })
	inventory(c, "network-interface", s.nics, func(r nicRow) (string, bool) {
		return fmt.Sprintf("%s %d more, at %s %d", r.ID, len(r.More), r.Instance, r.Device), true
	})
	inventory(c, "dhcp-options", s.dhcp, func(r dhcpRow) (string, bool) { return r.id(), true })
}

// settler adds a function that schedule can name.
func (s *ec2Service) settler(kind string, f settler) {
	if s.cloud.settlers == nil {
		s.cloud.settlers = map[string]settler{}
	}
	s.cloud.settlers[kind] = f
}

// later is how long a change of state takes here.
func (s *ec2Service) later() time.Duration { return s.cloud.options.Transition }

// until is the time that is left to a moment, none if it has passed.
func (s *ec2Service) until(at time.Time) time.Duration {
	return max(0, at.Sub(s.cloud.clock.Now()))
}

// seen says whether reads see a thing: what's new may stay invisible for a while.
func (s *ec2Service) seen(id string) bool {
	born, known := s.births[id]
	return !known || s.cloud.visible(born)
}
