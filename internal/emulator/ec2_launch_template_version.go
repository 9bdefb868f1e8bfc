package emulator

import (
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Service) describeLaunchTemplateVersions(c apiCall, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	rows := s.templates.all(c.w)
	if deref(in.LaunchTemplateId) != "" || deref(in.LaunchTemplateName) != "" {
		row, err := s.template(c.w, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		rows = []templateRow{row}
	} else if !latestOrDefault(in.Versions) {
		return nil, refuse("MissingParameter", "Either the launch template ID or launch template name must be specified.")
	}
	rows = keep(rows, func(r templateRow) bool { return s.seen(r.ID) })
	var list []types.LaunchTemplateVersion
	for _, row := range rows {
		versions, err := row.asked(in)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			list = append(list, showVersion(row, v))
		}
	}
	list, err := choose(s, c.w, list, nil, filters[types.LaunchTemplateVersion]{
		"is-default-version": func(v types.LaunchTemplateVersion) []string { return flag(v.DefaultVersion) },
		"image-id":           func(v types.LaunchTemplateVersion) []string { return opt(v.LaunchTemplateData.ImageId) },
		"instance-type":      func(v types.LaunchTemplateVersion) []string { return one(v.LaunchTemplateData.InstanceType) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	key := func(v types.LaunchTemplateVersion) string {
		return *v.LaunchTemplateId + " " + strconv.FormatInt(1e12-*v.VersionNumber, 10) // the newest first
	}
	slices.SortFunc(list, func(a, b types.LaunchTemplateVersion) int {
		if key(a) < key(b) {
			return -1
		}
		return 1
	})
	list, next, err := page(list, key, paging{in.MaxResults, in.NextToken, 1, 200})
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: list, NextToken: next}, err
}

// latestOrDefault says whether versions are asked for that every launch
// template has: only those can be without its name.
func latestOrDefault(asked []string) bool {
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(v string) bool { return v != "$Latest" && v != "$Default" })
}

// asked are the versions that a call asks for, each once.
func (r templateRow) asked(in *ec2.DescribeLaunchTemplateVersionsInput) ([]templateVersion, error) {
	list := r.Versions
	if len(in.Versions) > 0 {
		byNumber := map[int64]templateVersion{}
		for _, text := range in.Versions {
			v, err := r.version(text)
			if err != nil {
				return nil, err
			}
			byNumber[v.Number] = v
		}
		list = slices.Collect(maps.Values(byNumber))
	}
	for _, bound := range []struct {
		text  *string
		keeps func(v, limit int64) bool
	}{
		{in.MinVersion, func(v, limit int64) bool { return v >= limit }},
		{in.MaxVersion, func(v, limit int64) bool { return v <= limit }},
	} {
		if bound.text == nil {
			continue
		}
		limit, err := strconv.ParseInt(*bound.text, 10, 64)
		if err != nil {
			return nil, refuse("InvalidParameterValue", "Invalid launch template version: %s", *bound.text)
		}
		list = keep(list, func(v templateVersion) bool { return bound.keeps(v.Number, limit) })
	}
	return list, nil
}

func (s *ec2Service) deleteLaunchTemplateVersions(c apiCall, in *ec2.DeleteLaunchTemplateVersionsInput) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
	row, err := s.template(c.w, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if len(in.Versions) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter LaunchTemplateVersion")
	}
	out := &ec2.DeleteLaunchTemplateVersionsOutput{}
	for _, text := range in.Versions {
		number, _ := strconv.ParseInt(text, 10, 64) // what is no number is no version either
		refused := func(code types.LaunchTemplateErrorCode, message string) {
			out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: new(row.ID), LaunchTemplateName: new(row.Name), VersionNumber: new(number),
				ResponseError: &types.ResponseError{Code: code, Message: new(message)},
			})
		}
		at := slices.IndexFunc(row.Versions, func(v templateVersion) bool { return v.Number == number })
		switch {
		case at < 0:
			refused(types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist, "The specified launch template version does not exist.")
		case number == row.Default:
			refused(types.LaunchTemplateErrorCodeUnexpectedError, "The default version of a launch template cannot be deleted.")
		default:
			row.Versions = slices.Delete(slices.Clone(row.Versions), at, at+1)
			out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseSuccessItem{
				LaunchTemplateId: new(row.ID), LaunchTemplateName: new(row.Name), VersionNumber: new(number),
			})
		}
	}
	s.templates.put(c.w, row.ID, row)
	return out, nil
}

// origin is the launch template that an instance comes from. EC2 says so on
// tags of its own.
type origin struct{ template, version string }

const (
	templateTag        = "aws:ec2launchtemplate:id"
	templateVersionTag = "aws:ec2launchtemplate:version"
)

// fromTemplate is a launch with what its launch template says, where the call
// itself says nothing: parameter by parameter, but tags key by key.
func (s *ec2Service) fromTemplate(c apiCall, in *ec2.RunInstancesInput) (*ec2.RunInstancesInput, origin, error) {
	asked := in.LaunchTemplate
	if asked == nil {
		return in, origin{}, nil
	}
	row, err := s.template(c.w, asked.LaunchTemplateId, asked.LaunchTemplateName)
	if err != nil {
		return nil, origin{}, err
	}
	v, err := row.version(deref(asked.Version))
	if err != nil {
		return nil, origin{}, err
	}
	merged := &ec2.RunInstancesInput{}
	overlay(merged, v.Data)
	given := *in
	given.LaunchTemplate, given.TagSpecifications = nil, nil
	if len(given.NetworkInterfaces) > 0 || given.SubnetId != nil || len(given.SecurityGroupIds) > 0 || len(given.SecurityGroups) > 0 {
		merged = s.withNetwork(merged, &given)
	}
	overlay(merged, given)
	merged.TagSpecifications = mergeTags(merged.TagSpecifications, in.TagSpecifications)
	return merged, origin{row.ID, strconv.FormatInt(v.Number, 10)}, nil
}

// withNetwork makes room for what the call says of the network. EC2 takes that
// either of an interface or of the instance: what a call says of the instance
// goes to the template's interface, if it has one.
func (s *ec2Service) withNetwork(merged, given *ec2.RunInstancesInput) *ec2.RunInstancesInput {
	if len(given.NetworkInterfaces) > 0 {
		merged.SecurityGroupIds, merged.SecurityGroups, merged.SubnetId = nil, nil, nil
		return merged
	}
	if len(merged.NetworkInterfaces) == 0 {
		return merged
	}
	first := merged.NetworkInterfaces[0]
	if given.SubnetId != nil {
		first.SubnetId, given.SubnetId = given.SubnetId, nil
	}
	if len(given.SecurityGroupIds) > 0 {
		first.Groups, given.SecurityGroupIds = given.SecurityGroupIds, nil
	}
	merged.NetworkInterfaces = append([]types.InstanceNetworkInterfaceSpecification{first}, merged.NetworkInterfaces[1:]...)
	return merged
}

// mergeTags adds tags to those of a template, by resource type; the later win.
func mergeTags(old, add []types.TagSpecification) []types.TagSpecification {
	list := slices.Clone(old)
	for _, spec := range add {
		at := slices.IndexFunc(list, func(o types.TagSpecification) bool { return o.ResourceType == spec.ResourceType })
		if at < 0 {
			list = append(list, spec)
			continue
		}
		kept := keep(list[at].Tags, func(t types.Tag) bool { return !hasKey(spec.Tags, t.Key) })
		list[at].Tags = append(kept, spec.Tags...)
	}
	return list
}

func hasKey(tags []types.Tag, key *string) bool {
	return slices.ContainsFunc(tags, func(t types.Tag) bool { return deref(t.Key) == deref(key) })
}

// stamp puts the template that an instance comes from on its tags.
func (s *ec2Service) stamp(w world, instance string, from origin) {
	if from.template == "" {
		return
	}
	s.systemTags(w, instance, map[string]string{templateTag: from.template, templateVersionTag: from.version})
}

// systemTags adds tags that only AWS itself may set.
func (s *ec2Service) systemTags(w world, instance string, add map[string]string) {
	old, _ := s.tags.get(w, instance)
	row := tagRow{Resource: instance, Type: "instance", Tags: map[string]string{}}
	maps.Copy(row.Tags, old.Tags)
	maps.Copy(row.Tags, add)
	s.tags.put(w, instance, row)
}
