package emulator

import (
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) addInstanceAttributes() {
	on(s, "ModifyInstanceAttribute", "InstanceId Attribute Value BlockDeviceMappings.DeviceName BlockDeviceMappings.Ebs.* DisableApiStop.* DisableApiTermination.*"+
		" EbsOptimized.* EnaSupport.* Groups InstanceInitiatedShutdownBehavior.* InstanceType.* SourceDestCheck.* SriovNetSupport.* UserData.*", s.modifyInstanceAttribute)
	on(s, "DescribeInstanceAttribute", "InstanceId Attribute", s.describeInstanceAttribute)
	on(s, "ModifyInstanceMetadataOptions", "InstanceId HttpEndpoint HttpProtocolIpv6 HttpPutResponseHopLimit HttpTokens InstanceMetadataTags", s.modifyMetadataOptions)
	on(s, "DescribeInstanceCreditSpecifications", "InstanceIds Filters.* MaxResults NextToken", s.describeCredits)
}

// modifyInstanceAttribute changes one attribute, as EC2 has it. Each comes in a
// parameter of its own; some come as a name and a value too.
func (s *ec2Service) modifyInstanceAttribute(c apiCall, in *ec2.ModifyInstanceAttributeInput) (*ec2.ModifyInstanceAttributeOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if err := spellOut(in); err != nil {
		return nil, err
	}
	if (in.SourceDestCheck != nil || len(in.Groups) > 0) && len(s.nicsOf(c.w, row.ID)) > 0 {
		return nil, severalInterfaces(row.ID)
	}
	set := 0
	for _, change := range []struct {
		asked bool
		apply func(apiCall, *instanceRow, *ec2.ModifyInstanceAttributeInput) error
	}{
		{in.SourceDestCheck != nil, func(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
			r.SourceDestCheck = deref(in.SourceDestCheck.Value)
			return nil
		}},
		{in.DisableApiTermination != nil, func(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
			r.KeepAlive = deref(in.DisableApiTermination.Value)
			return nil
		}},
		{in.DisableApiStop != nil, func(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
			r.KeepRunning = deref(in.DisableApiStop.Value)
			return nil
		}},
		{in.InstanceInitiatedShutdownBehavior != nil, changeShutdown},
		{in.InstanceType != nil, changeType},
		{in.UserData != nil, changeUserData},
		{in.EbsOptimized != nil, changeEbsOptimized},
		{in.EnaSupport != nil || in.SriovNetSupport != nil, changeNetworking},
		{len(in.Groups) > 0, s.changeGroups},
		{len(in.BlockDeviceMappings) > 0, s.changeDevices},
	} {
		if !change.asked {
			continue
		}
		set++
		if err := change.apply(c, &row, in); err != nil {
			return nil, err
		}
	}
	if set != 1 {
		return nil, refuse("InvalidParameterCombination", "Fields for multiple attribute types specified: exactly one attribute has to be, not %d", set)
	}
	s.instances.put(c.w, row.ID, row)
	return &ec2.ModifyInstanceAttributeOutput{}, nil
}

// severalInterfaces: what is a matter of one network interface cannot be asked
// of an instance with several.
func severalInterfaces(id string) error {
	return refuse("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", id)
}

// spellOut moves an attribute that is given as a name and a value to the
// parameter of its own.
func spellOut(in *ec2.ModifyInstanceAttributeInput) error {
	if in.Attribute == "" || in.Value == nil && len(in.BlockDeviceMappings) > 0 {
		return nil
	}
	boolean := &types.AttributeBooleanValue{Value: new(deref(in.Value) == "true")}
	text := &types.AttributeValue{Value: in.Value}
	switch in.Attribute {
	case types.InstanceAttributeNameInstanceType:
		in.InstanceType = text
	case types.InstanceAttributeNameUserData:
		data, err := base64.StdEncoding.DecodeString(deref(in.Value))
		if err != nil {
			return refuse("InvalidParameterValue", "Invalid BASE64 encoding of user data")
		}
		in.UserData = &types.SecureBlobAttributeValue{Value: data}
	case types.InstanceAttributeNameDisableApiTermination:
		in.DisableApiTermination = boolean
	case types.InstanceAttributeNameDisableApiStop:
		in.DisableApiStop = boolean
	case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		in.InstanceInitiatedShutdownBehavior = text
	case types.InstanceAttributeNameSourceDestCheck:
		in.SourceDestCheck = boolean
	case types.InstanceAttributeNameEbsOptimized:
		in.EbsOptimized = boolean
	default:
		return refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	return nil
}

func needStopped(r *instanceRow, what string) error {
	if r.State != stateStopped {
		return refuse("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state, in which its %s may be changed.", r.ID, what)
	}
	return nil
}

func changeShutdown(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	to := types.ShutdownBehavior(deref(in.InstanceInitiatedShutdownBehavior.Value))
	if to != types.ShutdownBehaviorStop && to != types.ShutdownBehaviorTerminate {
		return refuse("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", to)
	}
	r.Shutdown = to
	return nil
}

func changeType(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	if err := needStopped(r, "type"); err != nil {
		return err
	}
	to := types.InstanceType(deref(in.InstanceType.Value))
	kind, ok := instanceType(to)
	if !ok {
		return refuse("InvalidInstanceAttributeValue", "Invalid value '%s' for InstanceType.", to)
	}
	if kind.arch != r.Arch {
		return refuse("InvalidInstanceAttributeValue", "The architecture '%s' of the instance type does not match the instance's '%s'.", kind.arch, r.Arch)
	}
	r.Type = to
	return nil
}

func changeUserData(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	if err := needStopped(r, "user data"); err != nil {
		return err
	}
	if len(in.UserData.Value) > maxUserData {
		return refuse("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	r.UserData = base64.StdEncoding.EncodeToString(in.UserData.Value)
	return nil
}

func changeEbsOptimized(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	r.EbsOptimized = deref(in.EbsOptimized.Value)
	return needStopped(r, "EBS optimisation")
}

// changeNetworking switches enhanced networking. EC2 does not know how to switch
// it off for SR-IOV.
func changeNetworking(_ apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	if in.SriovNetSupport != nil && deref(in.SriovNetSupport.Value) != "simple" {
		return refuse("InvalidParameterValue", "Value (%s) for parameter sriovNetSupport is invalid.", deref(in.SriovNetSupport.Value))
	}
	if err := needStopped(r, "enhanced networking"); err != nil {
		return err
	}
	if in.EnaSupport != nil {
		r.NoENA = !deref(in.EnaSupport.Value)
	}
	return nil
}

func (s *ec2Service) changeGroups(c apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) (err error) {
	if !r.holdsNetwork() {
		return refuse("IncorrectInstanceState", "The instance '%s' is terminated.", r.ID)
	}
	r.Groups, err = s.launchGroups(c, r.VPC, in.Groups, nil)
	return err
}

func (s *ec2Service) changeDevices(c apiCall, r *instanceRow, in *ec2.ModifyInstanceAttributeInput) error {
	for _, m := range in.BlockDeviceMappings {
		found := false
		for _, v := range s.volumesOf(c.w, r.ID) {
			if !sameDevice(*v.Attachment.Device, deref(m.DeviceName)) {
				continue
			}
			found = true
			attachment := *v.Attachment
			replace(&attachment.DeleteOnTermination, deref(m.Ebs).DeleteOnTermination)
			v.Attachment = &attachment
			s.volumes.put(c.w, v.id(), v)
		}
		if !found {
			return refuse("InvalidInstanceAttributeValue", "No device is currently mapped at %s", deref(m.DeviceName))
		}
	}
	return nil
}

func (s *ec2Service) describeInstanceAttribute(c apiCall, in *ec2.DescribeInstanceAttributeInput) (*ec2.DescribeInstanceAttributeOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	boolean := func(value bool) *types.AttributeBooleanValue { return &types.AttributeBooleanValue{Value: new(value)} }
	text := func(value string) *types.AttributeValue { return &types.AttributeValue{Value: new(value)} }
	out := &ec2.DescribeInstanceAttributeOutput{InstanceId: new(row.ID)}
	switch in.Attribute {
	case types.InstanceAttributeNameInstanceType:
		out.InstanceType = text(string(row.Type))
	case types.InstanceAttributeNameUserData:
		out.UserData = &types.AttributeValue{}
		if row.UserData != "" {
			out.UserData = text(row.UserData)
		}
	case types.InstanceAttributeNameDisableApiTermination:
		out.DisableApiTermination = boolean(row.KeepAlive)
	case types.InstanceAttributeNameDisableApiStop:
		out.DisableApiStop = boolean(row.KeepRunning)
	case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		out.InstanceInitiatedShutdownBehavior = text(string(row.Shutdown))
	case types.InstanceAttributeNameRootDeviceName:
		out.RootDeviceName = text(row.RootDevice)
	case types.InstanceAttributeNameSourceDestCheck:
		out.SourceDestCheck = boolean(row.SourceDestCheck)
	case types.InstanceAttributeNameGroupSet:
		out.Groups = s.groupNames(c.w, row.Groups)
	case types.InstanceAttributeNameEbsOptimized:
		out.EbsOptimized = boolean(row.EbsOptimized)
	case types.InstanceAttributeNameEnaSupport:
		out.EnaSupport = boolean(!row.NoENA)
	case types.InstanceAttributeNameSriovNetSupport:
		out.SriovNetSupport = text("simple")
	case types.InstanceAttributeNameBlockDeviceMapping:
		out.BlockDeviceMappings = s.showInstance(c.w, row).BlockDeviceMappings
	case types.InstanceAttributeNameEnclaveOptions:
		out.EnclaveOptions = &types.EnclaveOptions{Enabled: new(false)}
	case types.InstanceAttributeNameKernel, types.InstanceAttributeNameRamdisk, types.InstanceAttributeNameProductCodes:
	default:
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
	}
	return out, nil
}

func (s *ec2Service) modifyMetadataOptions(c apiCall, in *ec2.ModifyInstanceMetadataOptionsInput) (*ec2.ModifyInstanceMetadataOptionsOutput, error) {
	row, err := s.liveInstance(c, in.InstanceId)
	if err != nil {
		return nil, err
	}
	row.Metadata, err = metadataOptions(row.Metadata, types.InstanceMetadataOptionsRequest{
		HttpEndpoint: in.HttpEndpoint, HttpProtocolIpv6: in.HttpProtocolIpv6, HttpPutResponseHopLimit: in.HttpPutResponseHopLimit,
		HttpTokens: in.HttpTokens, InstanceMetadataTags: in.InstanceMetadataTags,
	})
	if err != nil {
		return nil, err
	}
	s.instances.put(c.w, row.ID, row)
	return &ec2.ModifyInstanceMetadataOptionsOutput{InstanceId: new(row.ID), InstanceMetadataOptions: new(row.Metadata)}, nil
}

func (s *ec2Service) describeCredits(c apiCall, in *ec2.DescribeInstanceCreditSpecificationsInput) (*ec2.DescribeInstanceCreditSpecificationsOutput, error) {
	rows, err := s.liveInstances(c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	rows = keep(rows, func(r instanceRow) bool { kind, _ := instanceType(r.Type); return kind.burstable() })
	rows, err = choose(s, c.w, rows, nil, filters[instanceRow]{"instance-id": func(r instanceRow) []string { return one(r.ID) }}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, instanceRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeInstanceCreditSpecificationsOutput{NextToken: next}
	for _, row := range rows {
		out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, types.InstanceCreditSpecification{
			InstanceId: new(row.ID), CpuCredits: new(pick(row.Credits == "", "unlimited", row.Credits)),
		})
	}
	return out, err
}
