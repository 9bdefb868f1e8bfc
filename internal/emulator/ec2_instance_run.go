package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// runPaths are the parameters of RunInstances that are carried out.
const runPaths = "ImageId InstanceType MinCount MaxCount ClientToken KeyName UserData SubnetId SecurityGroupIds SecurityGroups PrivateIpAddress" +
	" Placement.AvailabilityZone Placement.AvailabilityZoneId Placement.Tenancy Monitoring.* EbsOptimized DisableApiTermination DisableApiStop" +
	" InstanceInitiatedShutdownBehavior IamInstanceProfile.* InstanceMarketOptions.* CreditSpecification.* TagSpecifications.* MetadataOptions.*" +
	" BlockDeviceMappings.DeviceName BlockDeviceMappings.NoDevice BlockDeviceMappings.VirtualName BlockDeviceMappings.Ebs.DeleteOnTermination" +
	" BlockDeviceMappings.Ebs.Encrypted BlockDeviceMappings.Ebs.Iops BlockDeviceMappings.Ebs.KmsKeyId BlockDeviceMappings.Ebs.SnapshotId" +
	" BlockDeviceMappings.Ebs.Throughput BlockDeviceMappings.Ebs.VolumeSize BlockDeviceMappings.Ebs.VolumeType" +
	" NetworkInterfaces.DeviceIndex NetworkInterfaces.SubnetId NetworkInterfaces.Groups NetworkInterfaces.AssociatePublicIpAddress" +
	" NetworkInterfaces.PrivateIpAddress NetworkInterfaces.DeleteOnTermination NetworkInterfaces.Description"

const maxUserData = 16 << 10

// runScope keeps client tokens of launches apart: EC2's are zonal where the
// call says which zone.
func runScope(zone string) string { return "RunInstances " + zone }

// launch is a RunInstances call, as far as it has been understood.
type launch struct {
	in      *ec2.RunInstancesInput
	image   imageRow
	subnet  types.Subnet
	groups  []string
	address *string
	public  bool
	text    string // the interface's description
	tags    birthTags
	root    instanceRow // what all instances of the call have in common
	volumes []plannedVolume
}

type plannedVolume struct {
	device string
	delete bool
	spec   volumeSpec
	root   bool
}

func (s *ec2Service) runInstances(c ec2Call, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	zone, err := s.launchZone(c, in)
	if err != nil {
		return nil, err
	}
	made, done, err := s.replayed(c, runScope(zone), in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	var rows []instanceRow
	if done {
		for _, id := range made {
			if row, ok := s.instances.get(c.w, id); ok {
				rows = append(rows, row)
			}
		}
	} else if rows, err = s.launch(c, in); err != nil {
		return nil, err
	}
	for _, row := range rows {
		made = append(made, row.ID)
	}
	if !done {
		s.remember(c, runScope(zone), in.ClientToken, in, made...)
	}
	out := &ec2.RunInstancesOutput{OwnerId: new(c.Account)}
	for _, r := range s.reservations(c, rows) {
		out.ReservationId, out.Instances = r.ReservationId, r.Instances
	}
	return out, nil
}

// launchZone is the zone that a call asks for, by name or by subnet; empty if
// it leaves that open.
func (s *ec2Service) launchZone(c ec2Call, in *ec2.RunInstancesInput) (string, error) {
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

func (s *ec2Service) launch(c ec2Call, in *ec2.RunInstancesInput) ([]instanceRow, error) {
	l := &launch{in: in}
	for _, part := range []func(ec2Call, *launch) error{s.launchBasics, s.launchImage, s.launchNetwork, s.launchOptions, s.launchVolumes} {
		if err := part(c, l); err != nil {
			return nil, err
		}
	}
	l.root.Reservation = idKind("r").make()
	rows := make([]instanceRow, *in.MaxCount)
	for i := range rows {
		row, err := s.launchOne(c, l, int32(i))
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

func (s *ec2Service) launchBasics(c ec2Call, l *launch) (err error) {
	in := l.in
	least, most := deref(in.MinCount), deref(in.MaxCount)
	switch {
	case in.MinCount == nil || in.MaxCount == nil:
		return refuse("MissingParameter", "The request must contain the parameters MinCount and MaxCount")
	case least < 1 || most < least:
		return refuse("InvalidParameterValue", "Value (%d) for parameter minCount or (%d) for maxCount is invalid.", least, most)
	case most > 1000:
		return refuse("InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of 1000 allows.", most)
	case in.InstanceType == "":
		return refuse("MissingParameter", "The request must contain the parameter InstanceType")
	}
	l.tags, err = readBirthTags(in.TagSpecifications, types.ResourceTypeInstance, types.ResourceTypeVolume,
		types.ResourceTypeNetworkInterface, types.ResourceTypeSpotInstancesRequest)
	if err != nil {
		return err
	}
	l.root = instanceRow{
		Token: deref(in.ClientToken), Type: in.InstanceType, State: statePending, Launched: c.now, Fresh: true,
		SourceDestCheck: true, Monitored: deref(deref(in.Monitoring).Enabled), EbsOptimized: deref(in.EbsOptimized),
		KeepAlive: deref(in.DisableApiTermination), KeepRunning: deref(in.DisableApiStop), Shutdown: in.InstanceInitiatedShutdownBehavior,
		Tenancy: types.TenancyDefault, Spot: deref(in.InstanceMarketOptions).MarketType == types.MarketTypeSpot,
	}
	if l.root.Shutdown == "" {
		l.root.Shutdown = types.ShutdownBehaviorStop
	}
	if t := deref(in.Placement).Tenancy; t != "" {
		l.root.Tenancy = t
	}
	if in.KeyName != nil {
		key, ok := s.keys.get(c.w, *in.KeyName)
		if !ok {
			return refuse("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", *in.KeyName)
		}
		l.root.KeyName, l.root.PublicKey = *in.KeyName, key.PublicKey
	}
	l.root.UserData, err = readUserData(in.UserData)
	return err
}

// readUserData checks user data as it comes: base64, at most 16 KB before it.
func readUserData(text *string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(deref(text)), ""))
	if err != nil {
		return "", refuse("InvalidParameterValue", "Invalid BASE64 encoding of user data")
	}
	if len(data) > maxUserData {
		return "", refuse("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

func (s *ec2Service) launchImage(c ec2Call, l *launch) error {
	if err := require("ImageId", l.in.ImageId); err != nil {
		return err
	}
	image, err := s.visibleImage(c, *l.in.ImageId)
	if err != nil {
		return err
	}
	id := image.id()
	if image.Image.State != types.ImageStateAvailable {
		return refuse("InvalidAMIID.Unavailable", "The image ID '[%s]' is not available: %s", id, image.Image.State)
	}
	kind, ok := instanceType(l.in.InstanceType)
	if !ok {
		return refuse("InvalidParameterValue", "Invalid value '%s' for InstanceType.", l.in.InstanceType)
	}
	if kind.arch != image.Image.Architecture {
		return refuse("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
			kind.arch, image.Image.Architecture)
	}
	l.image = image
	l.root.Image, l.root.Arch, l.root.RootDevice = id, image.Image.Architecture, *image.Image.RootDeviceName
	l.root.OS, l.root.User = image.OS, image.User
	return nil
}

func (s *ec2Service) launchNetwork(c ec2Call, l *launch) error {
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
		if nic.PrivateIpAddress != nil {
			l.address = nic.PrivateIpAddress
		}
	}
	if l.address != nil && *in.MaxCount > 1 {
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

// launchSubnet is the subnet that a call names or, if it names none, the
// default one of its zone.
func (s *ec2Service) launchSubnet(c ec2Call, in *ec2.RunInstancesInput, id *string) (types.Subnet, error) {
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

func (s *ec2Service) launchGroups(c ec2Call, vpc string, ids, names []string) ([]string, error) {
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

func (s *ec2Service) launchOptions(c ec2Call, l *launch) error {
	var err error
	l.root.Metadata, err = metadataOptions(types.InstanceMetadataOptionsResponse{
		State: types.InstanceMetadataOptionsStateApplied, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled,
		HttpTokens:              pick(l.image.Image.ImdsSupport == types.ImdsSupportValuesV20, types.HttpTokensStateRequired, types.HttpTokensStateOptional),
		HttpPutResponseHopLimit: new(int32(1)), HttpProtocolIpv6: types.InstanceMetadataProtocolStateDisabled,
		InstanceMetadataTags: types.InstanceMetadataTagsStateDisabled,
	}, deref(l.in.MetadataOptions))
	if err != nil {
		return err
	}
	if p := l.in.IamInstanceProfile; p != nil {
		arn, name := deref(p.Arn), deref(p.Name)
		if (arn == "") == (name == "") {
			return refuse("InvalidParameterCombination", "Exactly one of the name and the ARN of an instance profile has to be specified")
		}
		if arn == "" {
			arn = fmt.Sprintf("arn:aws:iam::%s:instance-profile/%s", c.Account, name)
		}
		if !strings.HasPrefix(arn, "arn:aws:iam::") || !strings.Contains(arn, ":instance-profile/") {
			return refuse("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
		}
		l.root.Profile = &types.IamInstanceProfile{Arn: new(arn), Id: new("AIPA" + strings.ToUpper(instanceID.stable(arn)[3:19]))}
	}
	l.root.Credits = deref(deref(l.in.CreditSpecification).CpuCredits)
	return nil
}

// metadataOptions are an instance's options of the metadata service after a
// request to change them.
func metadataOptions(now types.InstanceMetadataOptionsResponse, asked types.InstanceMetadataOptionsRequest) (types.InstanceMetadataOptionsResponse, error) {
	if asked.HttpEndpoint != "" {
		now.HttpEndpoint = asked.HttpEndpoint
	}
	if asked.HttpTokens != "" {
		now.HttpTokens = asked.HttpTokens
	}
	if asked.InstanceMetadataTags != "" {
		now.InstanceMetadataTags = asked.InstanceMetadataTags
	}
	if asked.HttpProtocolIpv6 != "" {
		now.HttpProtocolIpv6 = asked.HttpProtocolIpv6
	}
	if hops := asked.HttpPutResponseHopLimit; hops != nil {
		if *hops < 1 || *hops > 64 {
			return now, refuse("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. It must be between 1 and 64", *hops)
		}
		now.HttpPutResponseHopLimit = hops
	}
	return now, nil
}

// launchVolumes puts the call's block device mappings over the image's.
func (s *ec2Service) launchVolumes(c ec2Call, l *launch) error {
	mappings := copied(l.image.Image.BlockDeviceMappings)
	for _, asked := range l.in.BlockDeviceMappings {
		if err := require("deviceName", asked.DeviceName); err != nil {
			return err
		}
		if err := checkDevice(*asked.DeviceName); err != nil {
			return err
		}
		at := -1
		for i, m := range mappings {
			if sameDevice(*m.DeviceName, *asked.DeviceName) {
				at = i
			}
		}
		if at < 0 {
			mappings = append(mappings, asked)
			continue
		}
		mappings[at] = mergeMapping(mappings[at], asked)
	}
	for _, m := range mappings {
		if m.NoDevice != nil || m.Ebs == nil {
			continue // EC2 passes over instance stores that the type doesn't have
		}
		planned := plannedVolume{device: *m.DeviceName, delete: true, root: sameDevice(*m.DeviceName, l.root.RootDevice), spec: volumeSpec{
			kind: m.Ebs.VolumeType, size: m.Ebs.VolumeSize, iops: m.Ebs.Iops, throughput: m.Ebs.Throughput, encrypted: m.Ebs.Encrypted, kms: m.Ebs.KmsKeyId,
		}}
		if m.Ebs.DeleteOnTermination != nil {
			planned.delete = *m.Ebs.DeleteOnTermination
		}
		if id := deref(m.Ebs.SnapshotId); id != "" {
			from, ok := s.imageSnapshot(c, l.image, id)
			if !ok {
				var err error
				if from, err = s.visibleSnapshot(c, id); err != nil {
					return err
				}
			}
			if planned.root {
				l.root.Layers = from.Layers
			}
			planned.spec.from = &from
		}
		l.volumes = append(l.volumes, planned)
	}
	return nil
}

// mergeMapping is an image's mapping with what a launch says otherwise.
func mergeMapping(base, over types.BlockDeviceMapping) types.BlockDeviceMapping {
	if over.NoDevice != nil || over.Ebs == nil || base.Ebs == nil {
		return over
	}
	ebs := *base.Ebs
	if over.Ebs.VolumeType != "" && over.Ebs.VolumeType != ebs.VolumeType {
		ebs.VolumeType, ebs.Iops, ebs.Throughput = over.Ebs.VolumeType, nil, nil
	}
	replace(&ebs.VolumeSize, over.Ebs.VolumeSize)
	replace(&ebs.Iops, over.Ebs.Iops)
	replace(&ebs.Throughput, over.Ebs.Throughput)
	replace(&ebs.Encrypted, over.Ebs.Encrypted)
	replace(&ebs.KmsKeyId, over.Ebs.KmsKeyId)
	replace(&ebs.DeleteOnTermination, over.Ebs.DeleteOnTermination)
	replace(&ebs.SnapshotId, over.Ebs.SnapshotId)
	base.Ebs = &ebs
	return base
}

func replace[T any](field **T, with *T) {
	if with != nil {
		*field = with
	}
}

func (s *ec2Service) launchOne(c ec2Call, l *launch, index int32) (instanceRow, error) {
	row := l.root
	row.ID, row.LaunchIndex = instanceID.make(), index
	row.Interface, row.Attachment, row.MAC, row.InterfaceText = interfaceID.make(), idKind("eni-attach").make(), newMAC(), l.text
	row.Public, row.Loopback = l.public, s.newLoopback()
	var err error
	if row.Private, err = s.freeAddress(c.w, l.subnet, l.address); err != nil {
		return row, err
	}
	for _, planned := range l.volumes {
		volume, err := s.planVolume(c, zone{row.Zone, row.ZoneID}, planned.spec)
		if err != nil {
			return row, err
		}
		volume.Root, volume.Volume.State = planned.root, types.VolumeStateInUse
		volume.Attachment = &types.VolumeAttachment{
			VolumeId: volume.Volume.VolumeId, InstanceId: new(row.ID), Device: new(planned.device), AttachTime: new(c.now),
			DeleteOnTermination: new(planned.delete), State: types.VolumeAttachmentStateAttaching,
		}
		volume.Filled = planned.root || !s.hosts.on()
		if planned.root {
			volume.OS, volume.User = row.OS, row.User
		}
		s.volumes.put(c.w, volume.id(), volume)
		s.hosts.kick(c.w, volume.id())
		if err := s.born(c, volumeID, volume.id(), l.tags); err != nil {
			return row, err
		}
	}
	if err := firstError(s.born(c, instanceID, row.ID, l.tags), s.born(c, interfaceID, row.Interface, l.tags)); err != nil {
		return row, err
	}
	s.begin(c.w, row, statePending)
	row, _ = s.instances.get(c.w, row.ID)
	return row, nil
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
