package emulator

import (
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// addressRow is an elastic IP address. Connections to it reach its instance's
// machine only through Dial, since the address isn't the machine's own.
type addressRow struct{ Address types.Address }

func (s *ec2Service) addAddresses() {
	on(s, "AllocateAddress", "Domain TagSpecifications.*", s.allocateAddress)
	on(s, "DescribeAddresses", "AllocationIds PublicIps Filters.*", s.describeAddresses)
	on(s, "AssociateAddress", "AllocationId PublicIp InstanceId NetworkInterfaceId PrivateIpAddress AllowReassociation", s.associateAddress)
	on(s, "DisassociateAddress", "AssociationId PublicIp", s.disassociateAddress)
	on(s, "ReleaseAddress", "AllocationId PublicIp", s.releaseAddress)
}

func (s *ec2Service) allocateAddress(c apiCall, in *ec2.AllocateAddressInput) (*ec2.AllocateAddressOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeElasticIp)
	if err != nil {
		return nil, err
	}
	id := addressID.make()
	row := addressRow{types.Address{
		AllocationId: new(id), PublicIp: new(s.newLoopback().String()), Domain: types.DomainTypeVpc, NetworkBorderGroup: new(c.Region), PublicIpv4Pool: new("amazon"),
	}}
	s.addresses.put(c.w, id, row)
	if err := s.born(c, addressID, id, tags); err != nil {
		return nil, err
	}
	a := row.Address
	return &ec2.AllocateAddressOutput{AllocationId: a.AllocationId, PublicIp: a.PublicIp, Domain: a.Domain, NetworkBorderGroup: a.NetworkBorderGroup, PublicIpv4Pool: a.PublicIpv4Pool}, nil
}

// addressBy finds an address by its allocation, its association, or itself.
func (s *ec2Service) addressBy(c apiCall, allocation, association, ip *string) (addressRow, error) {
	for _, row := range s.addresses.all(c.w) {
		a := row.Address
		if deref(allocation) != "" && *a.AllocationId == *allocation || deref(association) != "" && deref(a.AssociationId) == *association ||
			deref(ip) != "" && *a.PublicIp == *ip {
			return row, nil
		}
	}
	switch {
	case deref(allocation) != "":
		return addressRow{}, firstError(addressID.check(*allocation), addressID.missing(*allocation))
	case deref(association) != "":
		return addressRow{}, firstError(associationID.check(*association), associationID.missing(*association))
	case deref(ip) != "":
		return addressRow{}, refuse("InvalidAddress.NotFound", "Address '%s' not found.", *ip)
	}
	return addressRow{}, refuse("MissingParameter", "Either public IP or allocation ID must be specified")
}

func (s *ec2Service) describeAddresses(c apiCall, in *ec2.DescribeAddressesInput) (*ec2.DescribeAddressesOutput, error) {
	rows := s.addresses.all(c.w)
	shown := func(row addressRow) addressRow {
		if nic, ok := s.nics.get(c.w, deref(row.Address.NetworkInterfaceId)); ok && nic.Instance != "" {
			row.Address.InstanceId = new(nic.Instance)
		}
		return row
	}
	if len(in.AllocationIds)+len(in.PublicIps) > 0 {
		rows = nil
	}
	for _, id := range in.AllocationIds {
		row, err := s.addressBy(c, &id, nil, nil)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	for _, ip := range in.PublicIps {
		row, err := s.addressBy(c, nil, nil, &ip)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	for i := range rows {
		rows[i] = shown(rows[i])
	}
	id := func(r addressRow) string { return *r.Address.AllocationId }
	rows, err := choose(s, c.w, rows, id, filters[addressRow]{
		"allocation-id":        func(r addressRow) []string { return opt(r.Address.AllocationId) },
		"association-id":       func(r addressRow) []string { return opt(r.Address.AssociationId) },
		"domain":               func(r addressRow) []string { return one(r.Address.Domain) },
		"instance-id":          func(r addressRow) []string { return opt(r.Address.InstanceId) },
		"network-interface-id": func(r addressRow) []string { return opt(r.Address.NetworkInterfaceId) },
		"network-border-group": func(r addressRow) []string { return opt(r.Address.NetworkBorderGroup) },
		"private-ip-address":   func(r addressRow) []string { return opt(r.Address.PrivateIpAddress) },
		"public-ip":            func(r addressRow) []string { return opt(r.Address.PublicIp) },
	}, in.Filters)
	out := &ec2.DescribeAddressesOutput{}
	for _, row := range rows {
		address := row.Address
		address.Tags = s.tagList(c.w, id(row))
		out.Addresses = append(out.Addresses, address)
	}
	return out, err
}

func (s *ec2Service) associateAddress(c apiCall, in *ec2.AssociateAddressInput) (*ec2.AssociateAddressOutput, error) {
	row, err := s.addressBy(c, in.AllocationId, nil, in.PublicIp)
	if err != nil {
		return nil, err
	}
	to, err := s.associable(c, in)
	if err != nil {
		return nil, err
	}
	private := to.primary
	if text := deref(in.PrivateIpAddress); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr != to.primary && !slices.Contains(to.more, addr) {
			return nil, refuse("InvalidParameterValue", "The private IP address %s is not assigned to the interface %s", text, to.nic)
		}
		private = addr
	}
	done := &ec2.AssociateAddressOutput{AssociationId: row.Address.AssociationId}
	at := deref(row.Address.NetworkInterfaceId)
	if at == to.nic && deref(row.Address.PrivateIpAddress) == private.String() {
		return done, nil
	}
	if !s.hasGateway(c.w, to.vpc) {
		return nil, refuse("Gateway.NotAttached", "Network %s is not attached to any internet gateway", to.vpc)
	}
	if _, ok := s.natOf(c.w, at); ok || at != "" && !deref(in.AllowReassociation) {
		return nil, refuse("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", *row.Address.AllocationId, *row.Address.AssociationId)
	}
	s.detachAddress(c.w, row)
	if other, ok := s.elasticAt(c.w, to.nic, private); ok {
		s.detachAddress(c.w, addressRow{other})
	}
	done.AssociationId = new(associationID.make())
	row.Address.AssociationId, row.Address.NetworkInterfaceId, row.Address.InstanceId = done.AssociationId, &to.nic, nil
	row.Address.PrivateIpAddress, row.Address.NetworkInterfaceOwnerId = new(private.String()), new(c.Account)
	if instance, ok := s.instances.get(c.w, to.instance); ok {
		row.Address.InstanceId = &instance.ID
		if private == to.primary {
			instance.Elastic = netip.MustParseAddr(*row.Address.PublicIp)
			s.instances.put(c.w, instance.ID, instance)
		}
	}
	s.addresses.put(c.w, *row.Address.AllocationId, row)
	return done, nil
}

// associable is the interface that a call means: one that was made by itself,
// attached or not, or the only one of an instance.
func (s *ec2Service) associable(c apiCall, in *ec2.AssociateAddressInput) (addressed, error) {
	if nic, ok := s.nics.get(c.w, deref(in.NetworkInterfaceId)); ok {
		return ofInterface(nic), nil
	}
	instance, ok := s.instanceOfInterface(c.w, deref(in.NetworkInterfaceId))
	if !ok {
		if deref(in.NetworkInterfaceId) != "" {
			return addressed{}, interfaceID.missing(*in.NetworkInterfaceId)
		}
		var err error
		if instance, err = s.liveInstance(c, in.InstanceId); err != nil {
			return addressed{}, err
		}
		if len(s.nicsOf(c.w, instance.ID)) > 0 {
			return addressed{}, severalInterfaces(instance.ID)
		}
	}
	if instance.State != stateRunning && instance.State != stateStopped && instance.State != statePending {
		return addressed{}, refuse("InvalidInstanceID", "The instance '%s' is not in a valid state for this operation.", instance.ID)
	}
	return s.ofInstance(instance), nil
}

// detachAddress takes an address from what has it.
func (s *ec2Service) detachAddress(w world, row addressRow) {
	if instance, ok := s.instances.get(w, deref(row.Address.InstanceId)); ok && deref(row.Address.PrivateIpAddress) == instance.Private.String() {
		instance.Elastic = netip.Addr{}
		s.instances.put(w, instance.ID, instance)
	}
	a := row.Address
	row.Address = types.Address{AllocationId: a.AllocationId, PublicIp: a.PublicIp, Domain: a.Domain, NetworkBorderGroup: a.NetworkBorderGroup, PublicIpv4Pool: a.PublicIpv4Pool}
	s.addresses.put(w, *a.AllocationId, row)
}

func (s *ec2Service) disassociateAddress(c apiCall, in *ec2.DisassociateAddressInput) (*ec2.DisassociateAddressOutput, error) {
	row, err := s.addressBy(c, nil, in.AssociationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	if _, ok := s.natOf(c.w, deref(row.Address.NetworkInterfaceId)); ok {
		return nil, refuse("AuthFailure", "You do not have permission to access the specified resource.")
	}
	if row.Address.AssociationId != nil {
		s.detachAddress(c.w, row)
	}
	return &ec2.DisassociateAddressOutput{}, nil
}

func (s *ec2Service) releaseAddress(c apiCall, in *ec2.ReleaseAddressInput) (*ec2.ReleaseAddressOutput, error) {
	row, err := s.addressBy(c, in.AllocationId, nil, in.PublicIp)
	if err != nil {
		return nil, err
	}
	if row.Address.AssociationId != nil {
		return nil, refuse("InvalidIPAddress.InUse", "Address %s is in use.", *row.Address.PublicIp)
	}
	s.addresses.remove(c.w, *row.Address.AllocationId)
	s.gone(c.w, *row.Address.AllocationId)
	return &ec2.ReleaseAddressOutput{}, nil
}
