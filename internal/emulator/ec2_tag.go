package emulator

import (
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// tagRow is one resource's tags, as the account whose world it's in sees them:
// tags of a shared image don't travel to the accounts that it's shared with.
type tagRow struct {
	Resource string // the ID
	Type     string
	Tags     map[string]string
}

const maxTags = 50

func (s *ec2Service) addTags() {
	on(s, "CreateTags", "Resources Tags.*", s.createTags)
	on(s, "DeleteTags", "Resources Tags.*", s.deleteTags)
	on(s, "DescribeTags", "Filters.* MaxResults NextToken", s.describeTags)
}

// tagList is a resource's tags, by key.
func (s *ec2Service) tagList(w world, id string) []types.Tag {
	row, _ := s.tags.get(w, id)
	var list []types.Tag
	for _, key := range sortedKeys(row.Tags) {
		list = append(list, types.Tag{Key: new(key), Value: new(row.Tags[key])})
	}
	return list
}

func (s *ec2Service) tagKeys(w world, id string) []string {
	row, _ := s.tags.get(w, id)
	return sortedKeys(row.Tags)
}

func (s *ec2Service) tagValue(w world, id, key string) []string {
	row, _ := s.tags.get(w, id)
	if value, ok := row.Tags[key]; ok {
		return []string{value}
	}
	return nil
}

// setTags adds tags to a resource; those that it has under the same keys give
// way. It refuses what EC2 refuses.
func (s *ec2Service) setTags(w world, id, kind string, add []types.Tag) error {
	if len(add) == 0 {
		return nil
	}
	old, _ := s.tags.get(w, id)
	row := tagRow{Resource: id, Type: kind, Tags: map[string]string{}}
	for key, value := range old.Tags {
		row.Tags[key] = value
	}
	for _, tag := range add {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "":
			return refuse("MissingParameter", "The request must contain the parameter key")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case len([]rune(key)) > 127:
			return refuse("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters")
		case len([]rune(value)) > 256:
			return refuse("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
		}
		row.Tags[key] = value
	}
	if len(row.Tags) > maxTags {
		return refuse("TagLimitExceeded", "More than %d tags specified for the resource %s", maxTags, id)
	}
	s.tags.put(w, id, row)
	return nil
}

// birthTags are the tags that a creating call has for each type of resource
// that it makes.
type birthTags map[string][]types.Tag

// readBirthTags reads a call's tag specifications; allowed are the resource
// types that the call makes.
func readBirthTags(specs []types.TagSpecification, allowed ...types.ResourceType) (birthTags, error) {
	tags := birthTags{}
	for _, spec := range specs {
		known := false
		for _, one := range allowed {
			known = known || spec.ResourceType == one
		}
		kind := string(spec.ResourceType)
		switch {
		case kind == "":
			return nil, refuse("InvalidParameterValue", "Tag specification resource type must have a value")
		case !known:
			return nil, refuse("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", kind)
		case tags[kind] != nil:
			return nil, refuse("InvalidParameterValue", "Duplicate resource type '%s' in tag specifications", kind)
		}
		seen := map[string]bool{}
		for _, tag := range spec.Tags {
			if key := aws.ToString(tag.Key); seen[key] {
				return nil, refuse("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
			}
			seen[aws.ToString(tag.Key)] = true
		}
		tags[kind] = append([]types.Tag{}, spec.Tags...)
	}
	return tags, nil
}

// born tags a new resource with what the call has for its type.
func (s *ec2Service) born(c apiCall, k idKind, id string, tags birthTags) error {
	kind := k.words().resource
	s.births[id] = c.now
	return s.setTags(c.w, id, kind, tags[kind])
}

// gone forgets a resource's tags.
func (s *ec2Service) gone(w world, id string) { s.tags.remove(w, id) }

// tagTarget says what type of resource an ID that is to be tagged has, or
// the error for one that doesn't exist.
func (s *ec2Service) tagTarget(c apiCall, id string) (string, error) {
	prefix, _, _ := strings.Cut(id, "-")
	k := idKind(prefix)
	exists := map[idKind]func() bool{
		vpcID:        func() bool { return has(s.vpcs, c.w, id) },
		subnetID:     func() bool { return has(s.subnets, c.w, id) },
		gatewayID:    func() bool { return has(s.gateways, c.w, id) },
		routeTableID: func() bool { return has(s.routeTables, c.w, id) },
		aclID:        func() bool { return has(s.acls, c.w, id) },
		groupID:      func() bool { return has(s.groups, c.w, id) },
		ruleID:       func() bool { return has(s.rules, c.w, id) },
		keyPairID:    func() bool { _, ok := s.keyByID(c.w, id); return ok },
		volumeID:     func() bool { return has(s.volumes, c.w, id) },
		snapshotID:   func() bool { _, err := s.visibleSnapshot(c, id); return err == nil },
		imageID:      func() bool { _, err := s.visibleImage(c, id); return err == nil },
		instanceID:   func() bool { _, ok := s.shownInstance(c, id); return ok },
		interfaceID:  func() bool { _, ok := s.instanceOfInterface(c.w, id); return ok || has(s.nics, c.w, id) },
		addressID:    func() bool { return has(s.addresses, c.w, id) },
		templateID:   func() bool { return has(s.templates, c.w, id) },
		natID:        func() bool { return has(s.nats, c.w, id) },
		peeringID:    func() bool { _, err := s.peer(c.w, &id); return err == nil },
		endpointID:   func() bool { return has(s.endpoints, c.w, id) },
		dhcpID:       func() bool { return has(s.dhcp, c.w, id) },
	}[k]
	if exists == nil {
		return "", refuse("InvalidID", "The ID '%s' is not valid", id)
	}
	if err := k.check(id); err != nil {
		return "", err
	}
	if !exists() {
		return "", k.missing(id)
	}
	return k.words().resource, nil
}

func has[T any](t *table[T], w world, id string) bool {
	_, ok := t.get(w, id)
	return ok
}

func (s *ec2Service) createTags(c apiCall, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	if len(in.Resources) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(in.Tags) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter tagSet")
	}
	for _, id := range in.Resources {
		kind, err := s.tagTarget(c, id)
		if err != nil {
			return nil, err
		}
		if err := s.setTags(c.w, id, kind, in.Tags); err != nil {
			return nil, err
		}
	}
	return &ec2.CreateTagsOutput{}, nil
}

func (s *ec2Service) deleteTags(c apiCall, in *ec2.DeleteTagsInput) (*ec2.DeleteTagsOutput, error) {
	if len(in.Resources) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	for _, id := range in.Resources {
		if _, err := s.tagTarget(c, id); err != nil {
			return nil, err
		}
		old, _ := s.tags.get(c.w, id)
		row := tagRow{Resource: id, Type: old.Type, Tags: map[string]string{}}
		for key, value := range old.Tags {
			if len(in.Tags) > 0 && !removes(in.Tags, key, value) {
				row.Tags[key] = value
			}
		}
		if len(row.Tags) == 0 {
			s.tags.remove(c.w, id)
		} else {
			s.tags.put(c.w, id, row)
		}
	}
	return &ec2.DeleteTagsOutput{}, nil
}

// removes says whether a list of tags to delete takes a tag: by its key alone
// if the list has no value for it, else only with that value.
func removes(list []types.Tag, key, value string) bool {
	for _, tag := range list {
		if aws.ToString(tag.Key) == key && (tag.Value == nil || *tag.Value == value) {
			return true
		}
	}
	return false
}

func (s *ec2Service) describeTags(c apiCall, in *ec2.DescribeTagsInput) (*ec2.DescribeTagsOutput, error) {
	var list []types.TagDescription
	for _, row := range s.tags.all(c.w) {
		for _, key := range sortedKeys(row.Tags) {
			list = append(list, types.TagDescription{
				Key: new(key), Value: new(row.Tags[key]), ResourceId: new(row.Resource), ResourceType: types.ResourceType(row.Type),
			})
		}
	}
	list, err := choose(s, c.w, list, nil, filters[types.TagDescription]{
		"key":           func(t types.TagDescription) []string { return opt(t.Key) },
		"value":         func(t types.TagDescription) []string { return opt(t.Value) },
		"resource-id":   func(t types.TagDescription) []string { return opt(t.ResourceId) },
		"resource-type": func(t types.TagDescription) []string { return one(t.ResourceType) },
	}, withoutTagFilters(in.Filters))
	if err != nil {
		return nil, err
	}
	for _, filter := range in.Filters {
		if key, ok := strings.CutPrefix(aws.ToString(filter.Name), "tag:"); ok {
			list = keep(list, func(t types.TagDescription) bool {
				return aws.ToString(t.Key) == key && matchesAny(opt(t.Value), filter.Values)
			})
		}
	}
	order := func(t types.TagDescription) string { return *t.ResourceId + " " + *t.Key }
	sort.Slice(list, func(i, j int) bool { return order(list[i]) < order(list[j]) })
	list, next, err := page(list, order, paging{in.MaxResults, in.NextToken, 5, 1000})
	return &ec2.DescribeTagsOutput{Tags: list, NextToken: next}, err
}

// withoutTagFilters leaves out tag:KEY, which DescribeTags reads in a way of
// its own: of the tag itself, not of the resource.
func withoutTagFilters(list []types.Filter) []types.Filter {
	return keep(list, func(f types.Filter) bool { return !strings.HasPrefix(aws.ToString(f.Name), "tag:") })
}
