package emulator

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

func (s *scalingService) addTags() {
	scalingOn(s, "CreateOrUpdateTags", "Tags.*", s.createOrUpdateTags)
	scalingOn(s, "DeleteTags", "Tags.*", s.deleteTags)
	scalingOn(s, "DescribeTags", "Filters.* MaxRecords NextToken", s.describeTags)
}

const scalingResource = "auto-scaling-group" // the only type of resource with tags

// setScalingTags adds tags to those of a group, in the order of keys.
func setScalingTags(old []types.TagDescription, group string, add []types.Tag) ([]types.TagDescription, error) {
	list := slices.Clone(old)
	for _, t := range add {
		key := deref(t.Key)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(deref(t.Value)) > 256 || strings.ContainsFunc(key+deref(t.Value), unicode.IsControl):
			return nil, refuse("ValidationError", "The tag key '%s' or its value is not valid", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, refuse("ValidationError", "Tag keys starting with 'aws:' are reserved for internal use")
		case t.ResourceType != nil && *t.ResourceType != scalingResource:
			return nil, refuse("ValidationError", "'%s' is not a type of resource that takes tags", *t.ResourceType)
		}
		list = slices.DeleteFunc(list, func(o types.TagDescription) bool { return *o.Key == key })
		list = append(list, types.TagDescription{Key: t.Key, Value: new(deref(t.Value)), PropagateAtLaunch: new(deref(t.PropagateAtLaunch)),
			ResourceId: &group, ResourceType: new(scalingResource)})
	}
	if len(list) > maxTags {
		return nil, refuse("LimitExceeded", "A group has at most %d tags", maxTags)
	}
	sort.Slice(list, func(i, j int) bool { return *list[i].Key < *list[j].Key })
	return list, nil
}

func (s *scalingService) createOrUpdateTags(c apiCall, in *autoscaling.CreateOrUpdateTagsInput) (*autoscaling.CreateOrUpdateTagsOutput, error) {
	for _, t := range in.Tags {
		row, err := s.group(c.w, t.ResourceId)
		if err != nil {
			return nil, err
		}
		if row.Group.Tags, err = setScalingTags(row.Group.Tags, row.name(), []types.Tag{t}); err != nil {
			return nil, err
		}
		s.groups.put(c.w, row.name(), row)
	}
	return &autoscaling.CreateOrUpdateTagsOutput{}, nil
}

func (s *scalingService) deleteTags(c apiCall, in *autoscaling.DeleteTagsInput) (*autoscaling.DeleteTagsOutput, error) {
	for _, t := range in.Tags {
		row, err := s.group(c.w, t.ResourceId)
		if err != nil {
			return nil, err
		}
		row.Group.Tags = slices.DeleteFunc(slices.Clone(row.Group.Tags), func(o types.TagDescription) bool {
			return *o.Key == *t.Key && (t.Value == nil || *o.Value == *t.Value)
		})
		s.groups.put(c.w, row.name(), row)
	}
	return &autoscaling.DeleteTagsOutput{}, nil
}

// scalingFilter reads what a filter of DescribeAutoScalingGroups compares.
func scalingFilter(name string) (func(types.TagDescription) (string, bool), error) {
	key, tagged := strings.CutPrefix(name, "tag:")
	switch {
	case name == "tag-key":
		return func(t types.TagDescription) (string, bool) { return *t.Key, true }, nil
	case name == "tag-value":
		return func(t types.TagDescription) (string, bool) { return *t.Value, true }, nil
	case tagged:
		return func(t types.TagDescription) (string, bool) { return *t.Value, *t.Key == key }, nil
	}
	return nil, refuse("ValidationError", "Filter type %s is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>", name)
}

func (s *scalingService) describeTags(c apiCall, in *autoscaling.DescribeTagsInput) (*autoscaling.DescribeTagsOutput, error) {
	var list []types.TagDescription
	for _, r := range s.groups.all(c.w) {
		list = append(list, r.Group.Tags...)
	}
	values := map[string]func(types.TagDescription) []string{
		scalingResource:       func(t types.TagDescription) []string { return opt(t.ResourceId) },
		"key":                 func(t types.TagDescription) []string { return opt(t.Key) },
		"value":               func(t types.TagDescription) []string { return opt(t.Value) },
		"propagate-at-launch": func(t types.TagDescription) []string { return flag(t.PropagateAtLaunch) },
	}
	for _, f := range in.Filters {
		value := values[deref(f.Name)]
		if value == nil {
			return nil, refuse("ValidationError", "Filter type %s is not correct. Allowed Filter types are: auto-scaling-group, key, value, propagate-at-launch", deref(f.Name))
		}
		list = keep(list, func(t types.TagDescription) bool { return slices.Contains(f.Values, value(t)[0]) })
	}
	key := func(t types.TagDescription) string { return *t.ResourceId + " " + *t.Key }
	sort.Slice(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
	list, next, err := page(list, key, scalingPages(in.MaxRecords, in.NextToken))
	return &autoscaling.DescribeTagsOutput{Tags: list, NextToken: next}, err
}
