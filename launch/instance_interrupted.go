package launch

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A run may be killed while it replaces an instance: the old one is left stopped,
// or without its volumes, addresses and target groups. The next run goes on from
// there, and where that fails, what it found is nothing to go back to. What the
// old one had before nobody knows any more then, but its definition says it.

// cutOff tells whether an earlier run has begun to replace an instance, and was
// stopped in the middle of it.
func cutOff(t *task, i instance, s *instanceSpec) bool {
	if !t.replacing && t.swapped == nil {
		return false
	}
	state := stateOf(i.Instance)
	return t.resumed || state == types.InstanceStateNameStopping || state == types.InstanceStateNameStopped || len(i.groups) == 0 && len(s.TargetGroups) > 0
}

// asServed is an instance as it served before it was to be replaced, with its
// elastic IP address: as it is, or as its definition wants it where an earlier run
// was cut off.
func (k instances) asServed(t *task, i instance) (was instance, elastic string) {
	elastic = elasticOn(i.Instance)
	s, ok := t.wanted.(*instanceSpec)
	if !ok || !cutOff(t, i, s) {
		return i, elastic
	}
	if elastic == "" {
		elastic = t.publicIP(s.ElasticIP)
	}
	i.State = &types.InstanceState{Name: types.InstanceStateNameRunning}
	i.groups = slices.Compact(slices.Sorted(slices.Values(slices.Concat(i.groups, s.TargetGroups, k.listing(t)))))
	i.BlockDeviceMappings = slices.Clone(i.BlockDeviceMappings)
	there := attachmentsOf(i.Instance)
	for _, a := range s.Volumes {
		if there[a.Device] == "" {
			i.BlockDeviceMappings = append(i.BlockDeviceMappings, types.InstanceBlockDeviceMapping{
				DeviceName: aws.String(a.Device), Ebs: &types.EbsInstanceBlockDevice{VolumeId: aws.String(a.Volume)}})
		}
	}
	i.NetworkInterfaces = slices.Clone(i.NetworkInterfaces)
	interfaces := interfacesOn(i.Instance)
	for _, n := range s.NetworkInterfaces {
		if interfaces[strconv.Itoa(n.DeviceIndex)] == "" {
			i.NetworkInterfaces = append(i.NetworkInterfaces, types.InstanceNetworkInterface{
				NetworkInterfaceId: aws.String(n.Interface), Attachment: &types.InstanceNetworkInterfaceAttachment{DeviceIndex: aws.Int32(int32(n.DeviceIndex))}})
		}
	}
	return i, elastic
}

// rootLeft refuses to go back to the root that an instance was seen with where
// that is the new build's: its tags still say the one before, whose root an
// earlier run has replaced.
func (k instances) rootLeft(t *task, i instance) error {
	s, ok := t.wanted.(*instanceSpec)
	version := cloud.TagSet(i.Tags)[tags.Version]
	if !ok || version == "" || t.build(s).version == version || t.ami(s) != aws.ToString(i.ImageId) {
		return nil
	}
	err := fmt.Errorf("an earlier run, which was cut off, has replaced its root: it runs the new build, not %s any more", version)
	return fail.WithHint(err, "make the build before current again, and launch: goldline rollback %s --env %s", s.Image, t.environment)
}
