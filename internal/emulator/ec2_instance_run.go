package emulator

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// runPaths are the parameters of RunInstances that are carried out.
const runPaths = "LaunchTemplate.* ImageId InstanceType MinCount MaxCount ClientToken KeyName UserData SubnetId SecurityGroupIds SecurityGroups PrivateIpAddress" +
	" Placement.AvailabilityZone Placement.AvailabilityZoneId Placement.Tenancy Monitoring.* EbsOptimized DisableApiTermination DisableApiStop" +
	" InstanceInitiatedShutdownBehavior IamInstanceProfile.* InstanceMarketOptions.* CreditSpecification.* TagSpecifications.* MetadataOptions.*" +
	" BlockDeviceMappings.DeviceName BlockDeviceMappings.NoDevice BlockDeviceMappings.VirtualName BlockDeviceMappings.Ebs.DeleteOnTermination" +
	" BlockDeviceMappings.Ebs.Encrypted BlockDeviceMappings.Ebs.Iops BlockDeviceMappings.Ebs.KmsKeyId BlockDeviceMappings.Ebs.SnapshotId" +
	" BlockDeviceMappings.Ebs.Throughput BlockDeviceMappings.Ebs.VolumeSize BlockDeviceMappings.Ebs.VolumeType" +
	" NetworkInterfaces.DeviceIndex NetworkInterfaces.SubnetId NetworkInterfaces.Groups NetworkInterfaces.AssociatePublicIpAddress" +
	" NetworkInterfaces.PrivateIpAddress NetworkInterfaces.PrivateIpAddresses.* NetworkInterfaces.SecondaryPrivateIpAddressCount" +
	" NetworkInterfaces.DeleteOnTermination NetworkInterfaces.Description"

const maxUserData = 16 << 10

// runScope keeps client tokens of launches apart: EC2's are zonal where the
// call says which zone.
func runScope(zone string) string { return "RunInstances " + zone }

// launch is a RunInstances call, as far as it has been understood.
type launch struct {
	in      *ec2.RunInstancesInput
	image   imageRow
	subnet  types.Subnet
	address *string
	more    []string // secondary private addresses, or how many
	count   int
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

func (s *ec2Service) runInstances(c apiCall, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	whole, from, err := s.fromTemplate(c, in)
	if err != nil {
		return nil, err
	}
	zone, err := s.launchZone(c, whole)
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
	} else if rows, err = s.launch(c, whole); err != nil {
		return nil, err
	}
	for _, row := range rows {
		made = append(made, row.ID)
	}
	if !done {
		for _, row := range rows {
			s.stamp(c.w, row.ID, from)
		}
		s.remember(c, runScope(zone), in.ClientToken, in, made...)
	}
	out := &ec2.RunInstancesOutput{OwnerId: new(c.Account)}
	for _, r := range s.reservations(c, rows) {
		out.ReservationId, out.Instances = r.ReservationId, r.Instances
	}
	return out, nil
}

func (s *ec2Service) launch(c apiCall, in *ec2.RunInstancesInput) ([]instanceRow, error) {
	l := &launch{in: in}
	for _, part := range []func(apiCall, *launch) error{s.launchBasics, s.launchImage, s.launchNetwork, s.launchOptions, s.launchVolumes} {
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

func (s *ec2Service) launchBasics(c apiCall, l *launch) (err error) {
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

func (s *ec2Service) launchImage(c apiCall, l *launch) error {
	if err := require("ImageId", l.in.ImageId); err != nil {
		return err
	}
	image, err := s.namedImage(c, *l.in.ImageId)
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
	l.root.OS, l.root.User, l.root.BootMode = image.OS, image.User, image.Image.BootMode
	return s.mayRun(image.OS, l.root.PublicKey)
}

func (s *ec2Service) launchOptions(c apiCall, l *launch) error {
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
	// Clients that always send the parameter, as older ones do, mean none by an empty name.
	if p := deref(l.in.IamInstanceProfile); deref(p.Arn) != "" || deref(p.Name) != "" {
		if l.root.Profile, err = s.profileFor(c, p); err != nil {
			return err
		}
		l.root.ProfileSince = c.now
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

func (s *ec2Service) launchOne(c apiCall, l *launch, index int32) (instanceRow, error) {
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
	if slices.ContainsFunc(l.volumes, func(v plannedVolume) bool { return v.spec.from != nil && v.spec.from.locked(s, c.w) }) {
		row.Reason = &types.StateReason{Code: new("Client.InternalError"), Message: new("Client.InternalError: Client error on launch")}
		s.begin(c.w, row, stateShuttingDown)
	} else {
		s.begin(c.w, row, statePending)
	}
	row, _ = s.instances.get(c.w, row.ID)
	all, err := s.assign(c, s.ofInstance(row), l.more, l.count, false)
	row.More = all.more
	return row, err
}
