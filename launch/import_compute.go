package launch

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// How what runs, and what it keeps, is written down.

func (keyPairs) express(_ *expression, p types.KeyPairInfo) keyPairSpec {
	return keyPairSpec{KeyName: aws.ToString(p.KeyName), PublicKey: strings.TrimSpace(aws.ToString(p.PublicKey))}
}

func (volumes) express(x *expression, v types.Volume) volumeSpec {
	s := volumeSpec{
		AvailabilityZone: x.zoneLetter(aws.ToString(v.AvailabilityZone)), Size: int(aws.ToInt32(v.Size)), VolumeType: string(v.VolumeType),
		Encrypted: aws.Bool(aws.ToBool(v.Encrypted)),
	}
	if v.KmsKeyId != nil {
		x.leave("kms_key_id", "%s holds for this account and region only", *v.KmsKeyId)
	}
	if _, _, least, most := volumeLimits(string(v.VolumeType)); most != 0 && int(aws.ToInt32(v.Iops)) >= least {
		s.IOPS = int(aws.ToInt32(v.Iops))
	}
	if v.VolumeType == types.VolumeTypeGp3 {
		s.Throughput = int(aws.ToInt32(v.Throughput))
	}
	return s
}

// original: what comes and goes with an instance is the instance's.
func (volumes) original(_ *importing, v types.Volume) string {
	for _, a := range v.Attachments {
		if aws.ToBool(a.DeleteOnTermination) {
			return "it goes with " + aws.ToString(a.InstanceId)
		}
	}
	return ""
}

func (snapshots) express(x *expression, s types.Snapshot) snapshotSpec {
	return snapshotSpec{Volume: x.ref("volume", s.VolumeId), Description: aws.ToString(s.Description)}
}

// original: the snapshots of AMIs are their AMIs'.
func (snapshots) original(_ *importing, s types.Snapshot) string {
	if text := aws.ToString(s.Description); strings.HasPrefix(text, "Created by CreateImage(") || strings.HasPrefix(text, "Copied for DestinationAmi ") {
		return "an AMI's"
	}
	return ""
}

// express leaves the user data out: EC2 gives it back, but it may hold secrets,
// and what adopts is never launched.
func (instances) express(x *expression, i instance) instanceSpec {
	s := instanceSpec{
		AMI: x.ami(i.ImageId), InstanceType: string(i.InstanceType), Subnet: x.ref("subnet", i.SubnetId), SecurityGroups: x.refs("security_groups", groupsOf(i.SecurityGroups)),
		SourceDestCheck: i.SourceDestCheck, DisableAPITermination: aws.Bool(i.protected), ShutdownBehavior: i.shutdown,
		Monitoring: aws.Bool(i.Monitoring != nil && (i.Monitoring.State == types.MonitoringStateEnabled || i.Monitoring.State == types.MonitoringStatePending)),
	}
	if i.EbsOptimized != nil {
		s.EBSOptimized = i.EbsOptimized
	}
	if i.Placement != nil && i.Placement.Tenancy != types.TenancyDefault {
		s.Tenancy = string(i.Placement.Tenancy)
	}
	if name := profileOf(i.Instance); name != "" {
		s.IAMInstanceProfile = x.attribute("instance_profile", "name", name)
	}
	s.KeyPair, s.KeyName = x.key(i.KeyName)
	s.MetadataOptions = metadataOf(i.MetadataOptions)
	attached := attachmentsOf(i.Instance)
	for _, device := range union(attached) {
		name, ok := x.named(attached[device])
		if !ok {
			x.leave("volumes", "no definition has %s, which is on it as %s", attached[device], device)
			s.Volumes = nil
			break
		}
		s.Volumes = append(s.Volumes, attachmentSpec{Volume: name, Device: device})
	}
	s.NetworkInterfaces, s.SecondaryIPs = x.interfaces(i.Instance), secondaryOf(i.Instance)
	return s
}

// interfaces are those that an instance has beside its own, or nil with a note
// where one of them came with it.
func (x *expression) interfaces(i types.Instance) (list []interfaceSpec) {
	on := interfacesOn(i)
	for _, place := range union(on) {
		index, _ := strconv.Atoi(place) // as it was written
		name, ok := x.named(on[place])
		if !ok {
			x.leave("network_interfaces", "no definition has %s, which is its interface %s", on[place], place)
			return nil
		}
		list = append(list, interfaceSpec{Interface: name, DeviceIndex: index})
	}
	return list
}

// key is the key pair that a definition has, or the name of another.
func (x *expression) key(name *string) (pair, keyName string) {
	for _, i := range x.byID {
		if i.kindName() == "key_pair" && i.attributes["key_name"] == aws.ToString(name) {
			return i.name, ""
		}
	}
	return "", aws.ToString(name)
}

func metadataOf(o *types.InstanceMetadataOptionsResponse) *metadataSpec {
	if o == nil {
		return nil
	}
	return &metadataSpec{HTTPTokens: string(o.HttpTokens), HTTPPutResponseHopLimit: int(aws.ToInt32(o.HttpPutResponseHopLimit)), InstanceMetadataTags: string(o.InstanceMetadataTags)}
}

// with are the instance's profile and what is attached to it.
func (instances) with(i instance) []string {
	on := interfacesOn(i.Instance)
	ids := slices.Clone(volumesWith(i.Instance))
	for _, place := range union(on) {
		ids = append(ids, on[place])
	}
	if i.IamInstanceProfile != nil {
		ids = append(ids, aws.ToString(i.IamInstanceProfile.Arn))
	}
	return ids
}

func (launchTemplates) express(x *expression, t launchTemplate) launchTemplateSpec {
	d := t.data
	s := launchTemplateSpec{
		InstanceType: string(d.InstanceType), SecurityGroups: x.refs("security_groups", templateGroups(d)), KeyName: aws.ToString(d.KeyName),
		EBSOptimized: d.EbsOptimized, DisableAPITermination: d.DisableApiTermination, ShutdownBehavior: string(d.InstanceInitiatedShutdownBehavior),
	}
	if ami := aws.ToString(d.ImageId); strings.HasPrefix(ami, "ami-") {
		s.AMI = x.ami(d.ImageId)
	} else if ami != "" {
		x.leave("ami", "%s is no AMI's ID", ami)
	}
	if d.IamInstanceProfile != nil && d.IamInstanceProfile.Name != nil {
		s.IAMInstanceProfile = x.attribute("instance_profile", "name", *d.IamInstanceProfile.Name)
	} else if d.IamInstanceProfile != nil {
		x.leave("iam_instance_profile", "the template names it by its ARN")
	}
	if d.Monitoring != nil {
		s.Monitoring = d.Monitoring.Enabled
	}
	if d.Placement != nil {
		s.Tenancy = string(d.Placement.Tenancy)
	}
	if len(d.NetworkInterfaces) > 0 {
		s.AssociatePublicIPAddress = d.NetworkInterfaces[0].AssociatePublicIpAddress
	}
	if m := d.MetadataOptions; m != nil {
		s.MetadataOptions = &metadataSpec{HTTPTokens: string(m.HttpTokens), HTTPPutResponseHopLimit: int(aws.ToInt32(m.HttpPutResponseHopLimit)), InstanceMetadataTags: string(m.InstanceMetadataTags)}
	}
	if len(d.BlockDeviceMappings) > 0 {
		x.leave("root_block_device", "the template's block devices are left as they are")
	}
	return s
}
