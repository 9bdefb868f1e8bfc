package emulator

import (
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// addressed is a network interface as far as its private addresses go, whether
// it is an instance's own or was made by itself.
type addressed struct {
	nic, vpc, subnet string
	instance         string // whose own it is; "" for one that was made by itself
	primary          netip.Addr
	more             []netip.Addr
	most             int // how many addresses it takes
}

// mostAddresses is how many private addresses EC2 gives an interface of the
// largest types.
const mostAddresses = 50

func (s *ec2Service) ofInstance(row instanceRow) addressed {
	kind, _ := instanceType(row.Type)
	_, most := kind.network()
	return addressed{nic: row.Interface, vpc: row.VPC, subnet: row.Subnet, instance: row.ID, primary: row.Private, more: row.More, most: int(most)}
}

func ofInterface(row nicRow) addressed {
	return addressed{nic: row.ID, vpc: row.VPC, subnet: row.Subnet, primary: row.Private, more: row.More, most: mostAddresses}
}

// addressed finds the interface with an ID.
func (s *ec2Service) addressed(c apiCall, id *string) (addressed, error) {
	if instance, ok := s.instanceOfInterface(c.w, deref(id)); ok {
		return s.ofInstance(instance), nil
	}
	row, err := need(s.nics, c.w, interfaceID, id)
	return ofInterface(row), err
}

// readdress keeps an interface's secondary addresses.
func (s *ec2Service) readdress(w world, a addressed) {
	if row, ok := s.instances.get(w, a.instance); ok {
		row.More = a.more
		s.instances.put(w, row.ID, row)
		return
	}
	if row, ok := s.nics.get(w, a.nic); ok {
		row.More = a.more
		s.nics.put(w, row.ID, row)
	}
}

// assign gives an interface more private addresses: those that are named, which
// move gives leave to take from another one, or a number of free ones. What it
// has already it keeps.
func (s *ec2Service) assign(c apiCall, a addressed, named []string, count int, move bool) (addressed, error) {
	if len(named) > 0 && count > 0 {
		return a, refuse("InvalidParameterCombination", "You can't specify both secondary private IP addresses and their number.")
	}
	subnet, err := need(s.subnets, c.w, subnetID, &a.subnet)
	if err != nil {
		return a, err
	}
	a.more = slices.Clone(a.more)
	wanted := make([]*string, count)
	for _, text := range named {
		if addr, err := netip.ParseAddr(text); err == nil && slices.Contains(a.more, addr) {
			continue
		}
		wanted = append(wanted, &text)
	}
	if len(a.more)+len(wanted) >= a.most {
		return a, refuse("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
	}
	for _, text := range wanted {
		addr, err := s.assignable(c, subnet.Subnet, text, a, move)
		if err != nil {
			return a, err
		}
		a.more = append(a.more, addr)
		s.readdress(c.w, a)
	}
	return a, nil
}

// assignable is an address that an interface can have: a free one, or one that it
// takes from another interface, with the elastic IP address that is at it.
func (s *ec2Service) assignable(c apiCall, subnet types.Subnet, text *string, to addressed, move bool) (netip.Addr, error) {
	if text == nil {
		return s.freeAddress(c.w, subnet, nil)
	}
	addr, err := netip.ParseAddr(*text)
	if err != nil || !s.addressesIn(c.w, to.subnet)[addr] {
		return s.freeAddress(c.w, subnet, text)
	}
	from, found := s.secondaryAt(c.w, to.subnet, addr)
	switch {
	case !found: // a primary one stays where it is
		return addr, refuse("InvalidParameterValue", "Some of [%s] are assigned as primary private IP addresses", addr)
	case !move:
		return addr, refuse("InvalidParameterValue", "[%s] is already assigned to another interface but move is not allowed", addr)
	}
	from.more = without(from.more, addr)
	s.readdress(c.w, from)
	for _, row := range s.addresses.all(c.w) {
		if deref(row.Address.NetworkInterfaceId) == from.nic && deref(row.Address.PrivateIpAddress) == addr.String() {
			row.Address.NetworkInterfaceId, row.Address.InstanceId = &to.nic, nil
			if to.instance != "" {
				row.Address.InstanceId = &to.instance
			}
			s.addresses.put(c.w, *row.Address.AllocationId, row)
		}
	}
	return addr, nil
}

// secondaryAt is the interface that has an address as a secondary one.
func (s *ec2Service) secondaryAt(w world, subnet string, addr netip.Addr) (addressed, bool) {
	for _, row := range s.instances.all(w) {
		if row.holdsNetwork() && row.Subnet == subnet && slices.Contains(row.More, addr) {
			return s.ofInstance(row), true
		}
	}
	for _, row := range s.nics.all(w) {
		if row.Subnet == subnet && slices.Contains(row.More, addr) {
			return ofInterface(row), true
		}
	}
	return addressed{}, false
}

func (s *ec2Service) assignPrivateAddresses(c apiCall, in *ec2.AssignPrivateIpAddressesInput) (*ec2.AssignPrivateIpAddressesOutput, error) {
	a, err := s.addressed(c, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if len(in.PrivateIpAddresses) == 0 && deref(in.SecondaryPrivateIpAddressCount) < 1 {
		return nil, refuse("MissingParameter", "Either secondary private IP addresses or their number must be specified")
	}
	before := len(a.more)
	if a, err = s.assign(c, a, in.PrivateIpAddresses, int(deref(in.SecondaryPrivateIpAddressCount)), deref(in.AllowReassignment)); err != nil {
		return nil, err
	}
	out := &ec2.AssignPrivateIpAddressesOutput{NetworkInterfaceId: &a.nic}
	for _, addr := range a.more[before:] {
		out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, types.AssignedPrivateIpAddress{PrivateIpAddress: new(addr.String())})
	}
	return out, nil
}

// unassignPrivateAddresses takes secondary addresses away; an elastic IP address
// that is at one is at nothing then.
func (s *ec2Service) unassignPrivateAddresses(c apiCall, in *ec2.UnassignPrivateIpAddressesInput) (*ec2.UnassignPrivateIpAddressesOutput, error) {
	a, err := s.addressed(c, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	for _, text := range in.PrivateIpAddresses {
		addr, err := netip.ParseAddr(text)
		if err != nil || !slices.Contains(a.more, addr) {
			return nil, refuse("InvalidParameterValue", "Some of the specified addresses are not assigned to interface %s", a.nic)
		}
		a.more = without(a.more, addr)
		for _, row := range s.addresses.all(c.w) {
			if deref(row.Address.NetworkInterfaceId) == a.nic && deref(row.Address.PrivateIpAddress) == text {
				s.detachAddress(c.w, row)
			}
		}
	}
	s.readdress(c.w, a)
	return &ec2.UnassignPrivateIpAddressesOutput{}, nil
}

// elasticAt is the elastic IP address at a private address of an interface.
func (s *ec2Service) elasticAt(w world, nic string, private netip.Addr) (types.Address, bool) {
	for _, row := range s.addresses.all(w) {
		if deref(row.Address.NetworkInterfaceId) == nic && deref(row.Address.PrivateIpAddress) == private.String() {
			return row.Address, true
		}
	}
	return types.Address{}, false
}

// secondaryShown are an interface's secondary addresses as they are described.
func (s *ec2Service) secondaryShown(w world, nic string, more []netip.Addr) []types.NetworkInterfacePrivateIpAddress {
	var all []types.NetworkInterfacePrivateIpAddress
	for _, addr := range more {
		shown := types.NetworkInterfacePrivateIpAddress{Primary: new(false), PrivateIpAddress: new(addr.String()), PrivateDnsName: new(privateName(w.Region, addr))}
		if a, ok := s.elasticAt(w, nic, addr); ok {
			shown.Association = &types.NetworkInterfaceAssociation{AllocationId: a.AllocationId, AssociationId: a.AssociationId, PublicIp: a.PublicIp, IpOwnerId: new(w.Account)}
		}
		all = append(all, shown)
	}
	return all
}

// withInstance is how addresses are described with their instance.
func withInstance(list []types.NetworkInterfacePrivateIpAddress) []types.InstancePrivateIpAddress {
	var all []types.InstancePrivateIpAddress
	for _, a := range list {
		shown := types.InstancePrivateIpAddress{Primary: a.Primary, PrivateIpAddress: a.PrivateIpAddress, PrivateDnsName: a.PrivateDnsName}
		if a.Association != nil {
			shown.Association = &types.InstanceNetworkInterfaceAssociation{PublicIp: a.Association.PublicIp, IpOwnerId: a.Association.IpOwnerId}
		}
		all = append(all, shown)
	}
	return all
}
