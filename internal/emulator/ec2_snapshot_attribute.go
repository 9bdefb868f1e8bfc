package emulator

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) modifySnapshotAttribute(c apiCall, in *ec2.ModifySnapshotAttributeInput) (*ec2.ModifySnapshotAttributeOutput, error) {
	row, err := s.ownSnapshot(c, in.SnapshotId)
	if err != nil {
		return nil, err
	}
	if in.Attribute != "" && in.Attribute != types.SnapshotAttributeNameCreateVolumePermission {
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	var add, remove []types.LaunchPermission
	same := func(list []types.CreateVolumePermission) (out []types.LaunchPermission) {
		for _, p := range list {
			out = append(out, types.LaunchPermission{UserId: p.UserId, Group: p.Group})
		}
		return out
	}
	if p := in.CreateVolumePermission; p != nil {
		add, remove = same(p.Add), same(p.Remove)
	}
	plainAdd, plainRemove := launchChanges(&ec2.ModifyImageAttributeInput{OperationType: in.OperationType, UserIds: in.UserIds, UserGroups: in.GroupNames})
	add, remove = append(add, plainAdd...), append(remove, plainRemove...)
	for _, p := range append(copied(add), remove...) {
		if err := checkLaunchPermission(p); err != nil {
			return nil, err
		}
	}
	if deref(row.Snapshot.Encrypted) && len(add) > 0 && row.Snapshot.KmsKeyId != nil && *row.Snapshot.KmsKeyId == keyARN(c.w, ebsKey) {
		return nil, refuse("InvalidParameterValue", "Encrypted snapshots with the default key may not be shared: %s", row.id())
	}
	changed := imageRow{Public: row.Public, Permissions: row.Permissions}.permit(add, remove)
	row.Public, row.Permissions = changed.Public, changed.Permissions
	s.snapshots.put(c.shared(), row.id(), row)
	return &ec2.ModifySnapshotAttributeOutput{}, nil
}

func (s *ec2Service) describeSnapshotAttribute(c apiCall, in *ec2.DescribeSnapshotAttributeInput) (*ec2.DescribeSnapshotAttributeOutput, error) {
	row, err := s.ownSnapshot(c, in.SnapshotId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSnapshotAttributeOutput{SnapshotId: row.Snapshot.SnapshotId}
	if in.Attribute != types.SnapshotAttributeNameCreateVolumePermission {
		return out, nil
	}
	out.CreateVolumePermissions = []types.CreateVolumePermission{} // an empty list is said: clients show it
	if row.Public {
		out.CreateVolumePermissions = append(out.CreateVolumePermissions, types.CreateVolumePermission{Group: types.PermissionGroupAll})
	}
	for _, account := range row.Permissions {
		out.CreateVolumePermissions = append(out.CreateVolumePermissions, types.CreateVolumePermission{UserId: new(account)})
	}
	return out, nil
}
