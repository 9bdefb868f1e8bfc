package bake

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Deadlines of the waits, by the clock.
const (
	runningTime    = 10 * time.Minute
	stoppedTime    = 15 * time.Minute
	terminatedTime = 5 * time.Minute
	imageTime      = 2 * time.Hour
)

// builderStep launches the builder and waits until it runs.
type builderStep struct{}

func (builderStep) name() string { return "builder" }

func (builderStep) run(ctx context.Context, b *bake) error {
	for {
		in, err := b.builderInput()
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err = b.launchWithProfile(ctx, func() error { return b.launch(ctx, in, offersOf(b.image, b.architectureOf())) })
		if err == nil {
			break
		}
		if !b.lostBase(err) {
			return err
		}
	}
	b.aside(func() error { _, err := b.commitID(ctx); return err }) // which the AMI's provenance says
	if err := b.awaitRunning(ctx, builderStep{}.name()); err != nil {
		return err
	}
	return b.bootsUEFI()
}

// awaitRunning waits until the instance that was launched runs.
func (b *bake) awaitRunning(ctx context.Context, step string) error {
	began := time.Now()
	what := b.called() + " to run"
	var err error
	b.instance, err = b.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{
		ID: b.builder.id, For: what, Deadline: b.deadline(runningTime), Soon: true,
		Done: func(i types.Instance, found bool) (bool, error) {
			if !found || state(i) == types.InstanceStateNamePending {
				return false, nil
			}
			return true, mustBe(i, types.InstanceStateNameRunning)
		},
		Show:     func(i types.Instance) string { return string(state(i)) },
		Progress: func(shown string) { b.say(event.Waiting, "%s is %s", b.called(), shown) },
	})
	b.waitedFor(step, what, began)
	return err
}

// called is the instance in messages.
func (b *bake) called() string {
	if b.trial {
		return "test instance " + b.builder.id
	}
	return "builder " + b.builder.id
}

func (b *bake) builderInput() (*ec2.RunInstancesInput, error) {
	var err error
	if b.host, err = b.newHostKey(); err != nil {
		return nil, err
	}
	data, err := b.builderUserData()
	if err != nil {
		return nil, err
	}
	own, err := b.renderTags("run_tags", b.image.RunTags)
	if err != nil {
		return nil, err
	}
	volumes, err := b.renderTags("run_volume_tags", b.image.RunVolumeTags)
	if err != nil {
		return nil, err
	}
	set := b.temporary(own)
	in := &ec2.RunInstancesInput{
		ImageId:  b.base().ImageId,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		UserData:                          aws.String(base64.StdEncoding.EncodeToString(data)),
		InstanceInitiatedShutdownBehavior: b.shutdownBehavior(),
		MetadataOptions:                   metadataOptions(b.image.MetadataOptions),
		BlockDeviceMappings:               b.onBase(builderDevices(b.image, b.source)),
		TagSpecifications: []types.TagSpecification{
			cloud.TagSpec(types.ResourceTypeInstance, set),
			cloud.TagSpec(types.ResourceTypeVolume, b.temporary(volumes)),
			cloud.TagSpec(types.ResourceTypeNetworkInterface, set),
		},
	}
	if b.keyName != "" {
		in.KeyName = aws.String(b.keyName)
	}
	if b.image.EbsOptimized {
		in.EbsOptimized = aws.Bool(true)
	}
	if profile := orText(b.image.IAMInstanceProfile, b.profile.id); profile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(profile)}
	}
	if zone, tenancy := b.image.AvailabilityZone, b.image.Tenancy; zone != "" || tenancy != "" {
		in.Placement = &types.Placement{Tenancy: types.Tenancy(tenancy)}
		if zone != "" {
			in.Placement.AvailabilityZone = aws.String(zone)
		}
	}
	if b.image.UnlimitedCredits || b.image.UnlimitedT2 {
		in.CreditSpecification = &types.CreditSpecificationRequest{CpuCredits: aws.String("unlimited")}
	}
	b.attachTo(in)
	return in, nil
}

// shutdownBehavior is what becomes of a builder that is shut down from within.
// One that its provisioners shut down has to stay for its image to be made.
func (b *bake) shutdownBehavior() types.ShutdownBehavior {
	behavior := types.ShutdownBehaviorTerminate
	if b.image.DisableStopInstance {
		behavior = types.ShutdownBehaviorStop
	}
	return types.ShutdownBehavior(orText(b.image.ShutdownBehavior, string(behavior)))
}

func metadataOptions(o *project.MetadataOptions) *types.InstanceMetadataOptionsRequest {
	in := &types.InstanceMetadataOptionsRequest{
		HttpEndpoint:            types.InstanceMetadataEndpointStateEnabled,
		HttpTokens:              types.HttpTokensStateRequired,
		HttpPutResponseHopLimit: aws.Int32(1),
	}
	if o == nil {
		return in
	}
	in.HttpEndpoint = types.InstanceMetadataEndpointState(orText(o.HTTPEndpoint, string(in.HttpEndpoint)))
	in.HttpTokens = types.HttpTokensState(orText(o.HTTPTokens, string(in.HttpTokens)))
	in.InstanceMetadataTags = types.InstanceMetadataTagsState(o.InstanceTags)
	if o.HopLimit > 0 {
		in.HttpPutResponseHopLimit = aws.Int32(int32(o.HopLimit))
	}
	return in
}

// attachTo says where in the network the builder goes. Whether it gets a public
// address can only be said of a network interface.
func (b *bake) attachTo(in *ec2.RunInstancesInput) {
	var subnet *string
	if b.subnet != "" {
		subnet = aws.String(b.subnet)
	}
	if public := b.image.AssociatePublicIPAddress; public != nil {
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: public,
			DeleteOnTermination: aws.Bool(true), SubnetId: subnet, Groups: b.groups,
		}}
		return
	}
	in.SubnetId, in.SecurityGroupIds = subnet, b.groups
}

// builderDevices are the builder's volumes: an encrypted root, and what the
// recipe says. All go with the builder, whatever the AMI says of them later.
func builderDevices(image *project.Image, source types.Image) []types.BlockDeviceMapping {
	var devices []types.BlockDeviceMapping
	root := aws.ToString(source.RootDeviceName)
	encrypt := encrypts(image)
	rootGiven := false
	for _, d := range image.LaunchBlockDeviceMappings {
		m := device(d)
		if m.Ebs != nil {
			m.Ebs.DeleteOnTermination = aws.Bool(true)
		}
		if d.DeviceName == root {
			rootGiven = true
			if m.Ebs != nil && d.Encrypted == nil && encrypt {
				encryptWith(m.Ebs, image.KmsKeyID)
			}
		}
		devices = append(devices, m)
	}
	if !rootGiven && root != "" {
		ebs := &types.EbsBlockDevice{DeleteOnTermination: aws.Bool(true), VolumeSize: rootSize(source)}
		if encrypt {
			encryptWith(ebs, image.KmsKeyID)
		}
		devices = append(devices, types.BlockDeviceMapping{DeviceName: aws.String(root), Ebs: ebs})
	}
	if v := bakeVolume(image); v != nil {
		for _, m := range devices {
			if aws.ToString(m.DeviceName) == root && m.Ebs != nil {
				m.Ebs.VolumeType, m.Ebs.Iops, m.Ebs.Throughput = v.VolumeType, v.Iops, v.Throughput
			}
		}
	}
	return devices
}

// encrypts tells whether the root volume is encrypted: unless the recipe says
// otherwise it is, but for an AMI that is to be shared and has no key of its own,
// since AWS lets nobody share what its default key encrypts.
func encrypts(image *project.Image) bool {
	switch {
	case image.EncryptBoot != nil:
		return *image.EncryptBoot
	case image.KmsKeyID != "":
		return true
	}
	return !shares(image)
}

// rootSize is the size of the source's root volume. EC2 takes it from there by
// itself, others that speak its language do not.
func rootSize(source types.Image) *int32 {
	for _, m := range source.BlockDeviceMappings {
		if aws.ToString(m.DeviceName) == aws.ToString(source.RootDeviceName) && m.Ebs != nil {
			return m.Ebs.VolumeSize
		}
	}
	return nil
}

func encryptWith(ebs *types.EbsBlockDevice, key string) {
	ebs.Encrypted = aws.Bool(true)
	if key != "" {
		ebs.KmsKeyId = aws.String(key)
	}
}

// device is one of the recipe's block devices as EC2 takes it.
func device(d project.BlockDevice) types.BlockDeviceMapping {
	m := types.BlockDeviceMapping{DeviceName: aws.String(d.DeviceName)}
	switch {
	case d.NoDevice:
		m.NoDevice = aws.String("")
		return m
	case d.VirtualName != "":
		m.VirtualName = aws.String(d.VirtualName)
		return m
	}
	ebs := &types.EbsBlockDevice{DeleteOnTermination: aws.Bool(d.DeleteOnTermination), Encrypted: d.Encrypted, VolumeType: types.VolumeType(d.VolumeType)}
	if d.VolumeSize > 0 {
		ebs.VolumeSize = aws.Int32(int32(d.VolumeSize))
	}
	if d.IOPS > 0 {
		ebs.Iops = aws.Int32(int32(d.IOPS))
	}
	if d.Throughput > 0 {
		ebs.Throughput = aws.Int32(int32(d.Throughput))
	}
	if d.KmsKeyID != "" {
		ebs.KmsKeyId = aws.String(d.KmsKeyID)
	}
	if d.SnapshotID != "" {
		ebs.SnapshotId = aws.String(d.SnapshotID)
	}
	m.Ebs = ebs
	return m
}

func (builderStep) undo(ctx context.Context, b *bake) error {
	if !b.builder.tried {
		return nil
	}
	ids := []string{b.builder.id}
	if b.builder.id == "" { // the answer to its launch was lost
		live, err := describeLive(ctx, b.cloud, b.mine()...)
		if err != nil {
			return b.stays(err, "perhaps an instance tagged "+tags.Run+"="+b.options.Run, "describe-instances --filters Name=tag:%s,Values=%s", tags.Run, b.options.Run)
		}
		if len(live) == 0 {
			b.builder = made{}
			return nil
		}
		ids = nil
		for _, i := range live {
			ids = append(ids, aws.ToString(i.InstanceId))
		}
		b.builder.id = ids[0]
		b.useGroup(ids[0], false)
	}
	// Several are there only where the same call was carried out more than once.
	err := graph.Each(ctx, 0, len(ids), func(ctx context.Context, i int) error { return b.terminate.do(ctx, ids[i], b.cloud, b.alone()) })
	if err != nil && !cloud.NotFound(err) {
		return b.stays(fmt.Errorf("terminate %s: %w", b.called(), err), "instance "+ids[0], "terminate-instances --instance-ids %s", ids[0])
	}
	b.tell(event.Removed, ids[0], "%s", b.called())
	b.builder.tried, b.ending = false, true // its ID stays: the security group waits for its end
	b.useGroup(ids[0], true)
	return nil
}

// awaitTerminated waits until an instance is gone, and its network interface
// with it.
func (b *bake) awaitTerminated(ctx context.Context, step, id string) error {
	began := time.Now()
	what := "instance " + id + " to be terminated"
	defer func() { b.waitedFor(step, what, began) }()
	_, err := b.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{
		ID: id, For: what, Deadline: terminatedTime,
		Done: func(i types.Instance, found bool) (bool, error) {
			return !found || state(i) == types.InstanceStateNameTerminated, nil
		},
		Show: func(i types.Instance) string { return string(state(i)) },
	})
	return err
}

func state(i types.Instance) types.InstanceStateName {
	if i.State == nil {
		return ""
	}
	return i.State.Name
}

// mustBe is an error, with AWS's reason, for an instance in another state.
func mustBe(i types.Instance, want types.InstanceStateName) error {
	if state(i) == want {
		return nil
	}
	text := fmt.Sprintf("instance %s is %s", aws.ToString(i.InstanceId), state(i))
	if r := i.StateReason; r != nil {
		text += ": " + aws.ToString(r.Message)
	}
	return fmt.Errorf("%s", text)
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
