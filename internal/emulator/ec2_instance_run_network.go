package emulator

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// launchZone is the zone that a call asks for, by name or by subnet; empty if
// it leaves that open.
func (s *ec2Service) launchZone(c apiCall, in *ec2.RunInstancesInput) (string, error) {
	id := in.SubnetId
	if len(in.NetworkInterfaces) > 0 && in.NetworkInterfaces[0].SubnetId != nil {
		id = in.NetworkInterfaces[0].SubnetId
	}
	if deref(id) != "" {
		subnet, err := need(s.subnets, c.w, subnetID, id)
		return deref(subnet.Subnet.AvailabilityZone), err
	}
	if p := in.Placement; p != nil && deref(p.AvailabilityZone)+deref(p.AvailabilityZoneId) != "" {
		z, err := findZone(c.Region, p.AvailabilityZone, p.AvailabilityZoneId)
		return z.Name, err
	}
	return "", nil
}

func (s *ec2Service) launchNetwork(c apiCall, l *launch) error {
	in := l.in
	groups, names, subnet := in.SecurityGroupIds, in.SecurityGroups, in.SubnetId
	l.address = in.PrivateIpAddress
	var public *bool
	if len(in.NetworkInterfaces) > 1 {
		return refuse("UnsupportedOperation", "The local cloud gives an instance one network interface.")
	}
	if len(in.NetworkInterfaces) == 1 {
		nic := in.NetworkInterfaces[0]
		if len(groups)+len(names) > 0 || subnet != nil {
			return refuse("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		if deref(nic.DeviceIndex) != 0 {
			return refuse("InvalidParameterValue", "The first network interface must have the device index 0")
		}
		groups, subnet, public, l.text = nic.Groups, nic.SubnetId, nic.AssociatePublicIpAddress, deref(nic.Description)
		if err := l.addresses(nic); err != nil {
			return err
		}
	}
	if (l.address != nil || len(l.more) > 0) && *in.MaxCount > 1 {
		return refuse("InvalidParameterCombination", "A private IP address may not be given for several instances")
	}
	row, err := s.launchSubnet(c, in, subnet)
	if err != nil {
		return err
	}
	l.subnet, l.public = row, deref(row.MapPublicIpOnLaunch)
	if public != nil {
		l.public = *public
	}
	l.root.VPC, l.root.Subnet = *row.VpcId, *row.SubnetId
	l.root.Zone, l.root.ZoneID = *row.AvailabilityZone, *row.AvailabilityZoneId
	l.root.Groups, err = s.launchGroups(c, *row.VpcId, groups, names)
	return err
}

// addresses reads the private addresses that a call gives the interface.
func (l *launch) addresses(nic types.InstanceNetworkInterfaceSpecification) error {
	if nic.PrivateIpAddress != nil {
		l.address = nic.PrivateIpAddress
	}
	for _, a := range nic.PrivateIpAddresses {
		switch {
		case !deref(a.Primary):
			l.more = append(l.more, deref(a.PrivateIpAddress))
		case l.address != nil:
			return refuse("InvalidParameterCombination", "Only one primary private IP address can be specified.")
		default:
			l.address = a.PrivateIpAddress
		}
	}
	l.count = int(deref(nic.SecondaryPrivateIpAddressCount))
	return nil
}

// launchSubnet is the subnet that a call names or, if it names none, the
// default one of its zone.
func (s *ec2Service) launchSubnet(c apiCall, in *ec2.RunInstancesInput, id *string) (types.Subnet, error) {
	p := deref(in.Placement)
	if deref(id) != "" {
		row, err := need(s.subnets, c.w, subnetID, id)
		if err == nil && deref(p.AvailabilityZone) != "" && *p.AvailabilityZone != *row.Subnet.AvailabilityZone {
			err = refuse("InvalidParameterCombination", "The availability zone '%s' and the subnet '%s' do not match", *p.AvailabilityZone, *id)
		}
		return row.Subnet, err
	}
	wanted := zones(c.Region)
	if deref(p.AvailabilityZone)+deref(p.AvailabilityZoneId) != "" {
		z, err := findZone(c.Region, p.AvailabilityZone, p.AvailabilityZoneId)
		if err != nil {
			return types.Subnet{}, err
		}
		wanted = []zone{z}
	}
	for _, z := range wanted {
		for _, row := range s.subnets.all(c.w) {
			if deref(row.Subnet.DefaultForAz) && *row.Subnet.AvailabilityZone == z.Name {
				return row.Subnet, nil
			}
		}
	}
	if _, ok := s.defaultVPC(c.w); ok {
		return types.Subnet{}, refuse("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
	}
	return types.Subnet{}, refuse("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
}

func (s *ec2Service) launchGroups(c apiCall, vpc string, ids, names []string) ([]string, error) {
	var groups []string
	for _, id := range ids {
		group, err := need(s.groups, c.w, groupID, &id)
		if err != nil {
			return nil, err
		}
		if group.VPC != vpc {
			return nil, refuse("InvalidParameter", "Security group %s and subnet belong to different networks.", id)
		}
		groups = append(groups, id)
	}
	for _, name := range names {
		group, ok := s.groupNamed(c.w, vpc, name)
		if !ok {
			return nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, vpc)
		}
		groups = append(groups, group.ID)
	}
	if len(groups) == 0 {
		group, _ := s.groupNamed(c.w, vpc, "default")
		groups = append(groups, group.ID)
	}
	return groups, nil
}

func newMAC() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("02:%x:%x:%x:%x:%x", b[0:1], b[1:2], b[2:3], b[3:4], b[4:5])
}

// newLoopback is a loopback address of 127.64.0.0/10 that no other instance of
// this cloud has. It's drawn at random from four million, so that two clouds on
// one host hardly ever meet on one.
func (s *ec2Service) newLoopback() netip.Addr {
	taken := map[netip.Addr]bool{}
	for key := range s.instances.rows {
		for _, row := range s.instances.all(parseWorld(key)) {
			taken[row.Loopback] = row.State != stateTerminated
		}
	}
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(1<<22))
		if err != nil {
			return netip.Addr{} // never
		}
		bits := uint32(n.Int64())
		addr := netip.AddrFrom4([4]byte{127, 64 + byte(bits>>16), byte(bits >> 8), byte(bits)})
		if last := byte(bits); last != 0 && last != 255 && !taken[addr] {
			return addr
		}
	}
}
