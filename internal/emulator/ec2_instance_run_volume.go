package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// launchVolumes puts the call's block device mappings over the image's.
func (s *ec2Service) launchVolumes(c apiCall, l *launch) error {
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
