package emulator

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addImageAttributes() {
	on(s, "DescribeImageAttribute", "ImageId Attribute", s.describeImageAttribute)
	on(s, "ModifyImageAttribute", "ImageId Attribute Description.* ImdsSupport.* LaunchPermission.Add.UserId LaunchPermission.Add.Group"+
		" LaunchPermission.Add.OrganizationArn LaunchPermission.Add.OrganizationalUnitArn LaunchPermission.Remove.OrganizationArn LaunchPermission.Remove.OrganizationalUnitArn"+
		" LaunchPermission.Remove.UserId LaunchPermission.Remove.Group OperationType UserIds UserGroups Value", s.modifyImageAttribute)
	on(s, "ResetImageAttribute", "ImageId Attribute", s.resetImageAttribute)
	on(s, "EnableImageDeprecation", "ImageId DeprecateAt", s.enableImageDeprecation)
	on(s, "DisableImageDeprecation", "ImageId", s.disableImageDeprecation)
	on(s, "DisableImage", "ImageId", s.disableImage)
	on(s, "EnableImage", "ImageId", s.enableImage)
	on(s, "EnableImageDeregistrationProtection", "ImageId", s.protectImage)
	on(s, "DisableImageDeregistrationProtection", "ImageId", s.unprotectImage)
}

func (s *ec2Service) describeImageAttribute(c apiCall, in *ec2.DescribeImageAttributeInput) (*ec2.DescribeImageAttributeOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeImageAttributeOutput{ImageId: row.Image.ImageId}
	switch in.Attribute {
	case types.ImageAttributeNameDescription:
		out.Description = &types.AttributeValue{Value: row.Image.Description}
	case types.ImageAttributeNameLaunchPermission:
		out.LaunchPermissions = []types.LaunchPermission{} // an empty list is said: clients show it
		if row.Public {
			out.LaunchPermissions = append(out.LaunchPermissions, types.LaunchPermission{Group: types.PermissionGroupAll})
		}
		for _, who := range row.Permissions {
			out.LaunchPermissions = append(out.LaunchPermissions, permissionOf(who))
		}
	case types.ImageAttributeNameBlockDeviceMapping:
		out.BlockDeviceMappings = row.Image.BlockDeviceMappings
	case types.ImageAttributeNameImdsSupport:
		out.ImdsSupport = &types.AttributeValue{Value: new(string(row.Image.ImdsSupport))}
	case types.ImageAttributeNameBootMode:
		out.BootMode = &types.AttributeValue{Value: new(string(row.Image.BootMode))}
	case types.ImageAttributeNameSriovNetSupport:
		out.SriovNetSupport = &types.AttributeValue{Value: row.Image.SriovNetSupport}
	case types.ImageAttributeNameDeregistrationProtection:
		out.DeregistrationProtection = &types.AttributeValue{Value: new(pick(row.Image.DeregistrationProtection == nil, "disabled", deref(row.Image.DeregistrationProtection)))}
	default:
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	return out, nil
}

func (s *ec2Service) modifyImageAttribute(c apiCall, in *ec2.ModifyImageAttributeInput) (*ec2.ModifyImageAttributeOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	set := 0
	if in.Description != nil {
		row.Image.Description = new(deref(in.Description.Value))
		set++
	}
	if in.ImdsSupport != nil {
		if deref(in.ImdsSupport.Value) != string(types.ImdsSupportValuesV20) {
			return nil, refuse("InvalidParameterValue", "Value (%s) for parameter imdsSupport is invalid.", deref(in.ImdsSupport.Value))
		}
		row.Image.ImdsSupport = types.ImdsSupportValuesV20
		set++
	}
	if deref(in.Attribute) == "description" && in.Value != nil {
		row.Image.Description = in.Value
		set++
	}
	add, remove := launchChanges(in)
	if len(add)+len(remove) > 0 {
		if row.Image.State == types.ImageStateDisabled {
			return nil, refuse("IncorrectState", "The image '%s' is disabled", row.id())
		}
		for _, p := range append(copied(add), remove...) {
			if err := checkLaunchPermission(p); err != nil {
				return nil, err
			}
		}
		if len(add) > 0 && s.hasDefaultKey(c, row) {
			return nil, refuse("InvalidParameterValue", "Image '%s' has snapshots encrypted with the AWS managed key, and cannot be shared", row.id())
		}
		row = row.permit(add, remove)
		set++
	}
	if set != 1 {
		return nil, refuse("InvalidParameterCombination", "Exactly one attribute has to be specified, not %d", set)
	}
	s.images.put(c.shared(), row.id(), row)
	return &ec2.ModifyImageAttributeOutput{}, nil
}

// hasDefaultKey tells whether a snapshot of an image is encrypted with the
// account's own key for EBS, which nobody else may use.
func (s *ec2Service) hasDefaultKey(c apiCall, row imageRow) bool {
	for _, id := range row.snapshots() {
		snapshot, ok := s.snapshots.get(c.shared(), id)
		if ok && deref(snapshot.Snapshot.Encrypted) && deref(snapshot.Snapshot.KmsKeyId) == keyARN(c.w, ebsKey) {
			return true
		}
	}
	return false
}

// launchChanges are the changes of launch permissions in either of the two
// forms that the call has for them.
func launchChanges(in *ec2.ModifyImageAttributeInput) (add, remove []types.LaunchPermission) {
	if p := in.LaunchPermission; p != nil {
		add, remove = p.Add, p.Remove
	}
	var plain []types.LaunchPermission
	for _, id := range in.UserIds {
		plain = append(plain, types.LaunchPermission{UserId: new(id)})
	}
	for _, group := range in.UserGroups {
		plain = append(plain, types.LaunchPermission{Group: types.PermissionGroup(group)})
	}
	if in.OperationType == types.OperationTypeRemove {
		return add, append(copied(remove), plain...)
	}
	return append(copied(add), plain...), remove
}

func checkLaunchPermission(p types.LaunchPermission) error {
	switch {
	case p.Group == types.PermissionGroupAll && p.UserId == nil:
		return nil
	case p.OrganizationArn != nil || p.OrganizationalUnitArn != nil:
		if who := granted(p); !strings.HasPrefix(who, organizations) {
			return refuse("InvalidParameterValue", "Invalid value '%s' for the ARN of an organization.", who)
		}
		return nil
	case p.Group != "":
		return refuse("InvalidParameterValue", "Value (%s) for parameter group is invalid.", p.Group)
	}
	return checkOwnerID(deref(p.UserId))
}

// organizations is how the ARNs of AWS Organizations begin. The local cloud's
// accounts are in none: such a permission is kept, and lets nobody in.
const organizations = "arn:aws:organizations::"

// granted is who a permission is for, or "" for everybody.
func granted(p types.LaunchPermission) string {
	return deref(p.UserId) + deref(p.OrganizationArn) + deref(p.OrganizationalUnitArn)
}

func permissionOf(who string) types.LaunchPermission {
	switch {
	case !strings.HasPrefix(who, organizations):
		return types.LaunchPermission{UserId: new(who)}
	case strings.Contains(who, ":ou/"):
		return types.LaunchPermission{OrganizationalUnitArn: new(who)}
	}
	return types.LaunchPermission{OrganizationArn: new(who)}
}

func checkOwnerID(id string) error {
	if err := checkOwners([]string{id}); err != nil || len(id) != 12 {
		return refuse("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%s\" for userId item type.", id)
	}
	return nil
}

// permit is the image with launch permissions added and removed.
func (r imageRow) permit(add, remove []types.LaunchPermission) imageRow {
	accounts := map[string]bool{}
	for _, id := range r.Permissions {
		accounts[id] = true
	}
	for _, p := range add {
		if who := granted(p); who == "" {
			r.Public = true
		} else {
			accounts[who] = true
		}
	}
	for _, p := range remove {
		if who := granted(p); who == "" {
			r.Public = false
		} else {
			delete(accounts, who)
		}
	}
	r.Permissions = sortedKeys(accounts)
	return r
}

func (s *ec2Service) resetImageAttribute(c apiCall, in *ec2.ResetImageAttributeInput) (*ec2.ResetImageAttributeOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	if in.Attribute != types.ResetImageAttributeNameLaunchPermission {
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	row.Public, row.Permissions = false, nil
	s.images.put(c.shared(), row.id(), row)
	return &ec2.ResetImageAttributeOutput{}, nil
}

func (s *ec2Service) enableImageDeprecation(c apiCall, in *ec2.EnableImageDeprecationInput) (*ec2.EnableImageDeprecationOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	if in.DeprecateAt == nil {
		return nil, require("DeprecateAt", nil)
	}
	if in.DeprecateAt.Before(c.now.Add(-60e9)) {
		return nil, refuse("InvalidParameterValue", "The deprecation time %s is in the past", in.DeprecateAt.UTC().Format(dateForm))
	}
	row.Image.DeprecationTime = new(in.DeprecateAt.UTC().Format(dateForm))
	s.images.put(c.shared(), row.id(), row)
	return &ec2.EnableImageDeprecationOutput{Return: new(true)}, nil
}

func (s *ec2Service) disableImageDeprecation(c apiCall, in *ec2.DisableImageDeprecationInput) (*ec2.DisableImageDeprecationOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	row.Image.DeprecationTime = nil
	s.images.put(c.shared(), row.id(), row)
	return &ec2.DisableImageDeprecationOutput{Return: new(true)}, nil
}

// disableImage takes an image out of use: nobody may launch it, and those that
// it was shared with lose it.
func (s *ec2Service) disableImage(c apiCall, in *ec2.DisableImageInput) (*ec2.DisableImageOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	if row.Image.State != types.ImageStateAvailable && row.Image.State != types.ImageStateDisabled {
		return nil, refuse("IncorrectState", "The image '%s' is in the state %s", row.id(), row.Image.State)
	}
	row.Image.State, row.Public, row.Permissions = types.ImageStateDisabled, false, nil
	s.images.put(c.shared(), row.id(), row)
	return &ec2.DisableImageOutput{Return: new(true)}, nil
}

func (s *ec2Service) enableImage(c apiCall, in *ec2.EnableImageInput) (*ec2.EnableImageOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	if row.Image.State != types.ImageStateDisabled {
		return nil, refuse("IncorrectState", "The image '%s' is in the state %s, not disabled", row.id(), row.Image.State)
	}
	row.Image.State = types.ImageStateAvailable
	s.images.put(c.shared(), row.id(), row)
	return &ec2.EnableImageOutput{Return: new(true)}, nil
}

func (s *ec2Service) protectImage(c apiCall, in *ec2.EnableImageDeregistrationProtectionInput) (*ec2.EnableImageDeregistrationProtectionOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	row.Image.DeregistrationProtection = new("enabled-without-cooldown")
	s.images.put(c.shared(), row.id(), row)
	return &ec2.EnableImageDeregistrationProtectionOutput{Return: new("true")}, nil
}

func (s *ec2Service) unprotectImage(c apiCall, in *ec2.DisableImageDeregistrationProtectionInput) (*ec2.DisableImageDeregistrationProtectionOutput, error) {
	row, err := s.ownImage(c, in.ImageId)
	if err != nil {
		return nil, err
	}
	row.Image.DeregistrationProtection = nil
	s.images.put(c.shared(), row.id(), row)
	return &ec2.DisableImageDeregistrationProtectionOutput{Return: new("true")}, nil
}
