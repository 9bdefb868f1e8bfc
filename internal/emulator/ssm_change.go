package emulator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// historyKey is a version as a key that sorts by number.
func historyKey(version int64) string { return fmt.Sprintf("%020d", version) }

func (s *ssmService) deleteParameter(ctx context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	w := callerOf(ctx).world()
	name, _ := splitSelector(w, *in.Name)
	if _, ok := s.parameters.get(w, name); !ok {
		return nil, parameterNotFound(name)
	}
	s.parameters.remove(w, name)
	return &ssm.DeleteParameterOutput{}, nil
}

func (s *ssmService) deleteParameters(ctx context.Context, in *ssm.DeleteParametersInput) (*ssm.DeleteParametersOutput, error) {
	w := callerOf(ctx).world()
	names, err := tenNames(in.Names)
	if err != nil {
		return nil, err
	}
	out := &ssm.DeleteParametersOutput{}
	for _, given := range names {
		name, _ := splitSelector(w, given)
		if _, ok := s.parameters.get(w, name); !ok {
			out.InvalidParameters = append(out.InvalidParameters, given)
			continue
		}
		s.parameters.remove(w, name)
		out.DeletedParameters = append(out.DeletedParameters, given)
	}
	return out, nil
}

// maxLabels is how many labels a version can have.
const maxLabels = 10

func (s *ssmService) labelParameterVersion(ctx context.Context, in *ssm.LabelParameterVersionInput) (*ssm.LabelParameterVersionOutput, error) {
	w := callerOf(ctx).world()
	p, at, err := s.labelled(w, *in.Name, in.ParameterVersion, in.Labels)
	if err != nil {
		return nil, err
	}
	out := &ssm.LabelParameterVersionOutput{ParameterVersion: p.Versions[at].Version}
	for _, label := range in.Labels {
		if !validLabel(label) {
			out.InvalidLabels = append(out.InvalidLabels, label)
			continue
		}
		for i := range p.Versions {
			p.Versions[i].Labels = slices.DeleteFunc(p.Versions[i].Labels, func(l string) bool { return l == label })
		}
		p.Versions[at].Labels = append(p.Versions[at].Labels, label)
	}
	if len(p.Versions[at].Labels) > maxLabels {
		return nil, refuse("ParameterVersionLabelLimitExceeded", "A parameter version can have maximum %d labels. Move one or more labels to another version and try again.", maxLabels)
	}
	s.put(w, p)
	return out, nil
}

func validLabel(label string) bool {
	low := strings.ToLower(label)
	return parameterLabel.MatchString(label) && !strings.HasPrefix(low, "aws") && !strings.HasPrefix(low, "ssm")
}

// labelled finds the version that labels are put on or taken from, in a copy
// of its parameter.
func (s *ssmService) labelled(w world, given string, version *int64, labels []string) (parameter, int, error) {
	name, _ := splitSelector(w, given)
	p, ok := s.parameters.get(w, name)
	switch {
	case len(labels) == 0 || len(labels) > maxLabels:
		return p, 0, ssmInvalid("1 validation error detected: Value at 'labels' failed to satisfy constraint: Member must have length between 1 and %d", maxLabels)
	case !ok:
		return p, 0, parameterNotFound(name)
	}
	p = p.copied()
	if version == nil {
		return p, len(p.Versions) - 1, nil
	}
	at := slices.IndexFunc(p.Versions, func(v parameterVersion) bool { return v.Version == *version })
	if at < 0 {
		return p, 0, versionNotFound(name, fmt.Sprint(*version))
	}
	return p, at, nil
}

func (s *ssmService) unlabelParameterVersion(ctx context.Context, in *ssm.UnlabelParameterVersionInput) (*ssm.UnlabelParameterVersionOutput, error) {
	w := callerOf(ctx).world()
	p, at, err := s.labelled(w, *in.Name, in.ParameterVersion, in.Labels)
	if err != nil {
		return nil, err
	}
	out := &ssm.UnlabelParameterVersionOutput{}
	v := &p.Versions[at]
	for _, label := range in.Labels {
		i := slices.Index(v.Labels, label)
		if i < 0 {
			out.InvalidLabels = append(out.InvalidLabels, label)
			continue
		}
		v.Labels = slices.Delete(v.Labels, i, i+1)
		out.RemovedLabels = append(out.RemovedLabels, label)
	}
	s.put(w, p)
	return out, nil
}

// tagged finds the parameter that tags are about, as a copy.
func (s *ssmService) tagged(w world, kind types.ResourceTypeForTagging, id string) (parameter, error) {
	if kind != types.ResourceTypeForTaggingParameter {
		return parameter{}, refuse("InvalidResourceType", "The local cloud has no resources of type %s", kind)
	}
	name, _ := splitSelector(w, id)
	p, ok := s.parameters.get(w, name)
	if !ok {
		return p, refuse("InvalidResourceId", "The resource ID %q is not valid. Verify that you entered the correct ID and try again.", id)
	}
	return p.copied(), nil
}

// tagMap adds tags to those that are there.
func tagMap(to map[string]string, tags []types.Tag) (map[string]string, error) {
	given := map[string]bool{}
	for _, t := range tags {
		switch key := *t.Key; {
		case given[key]:
			return nil, ssmInvalid("Duplicate keys are not supported.")
		case outOfForm(key, *t.Value) != "":
			return nil, ssmInvalid("%s", outOfForm(key, *t.Value))
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, ssmInvalid("Tag key '%s' is invalid: aws: is a reserved prefix", key)
		default:
			given[key] = true
			if to == nil {
				to = map[string]string{}
			}
			to[key] = *t.Value
		}
	}
	if len(to) > maxParameterTags {
		return nil, refuse("TooManyTagsError", "The number of tags exceeds the limit of %d", maxParameterTags)
	}
	return to, nil
}

func (s *ssmService) addTagsToResource(ctx context.Context, in *ssm.AddTagsToResourceInput) (*ssm.AddTagsToResourceOutput, error) {
	w := callerOf(ctx).world()
	p, err := s.tagged(w, in.ResourceType, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	if p.Tags, err = tagMap(p.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.put(w, p)
	return &ssm.AddTagsToResourceOutput{}, nil
}

func (s *ssmService) removeTagsFromResource(ctx context.Context, in *ssm.RemoveTagsFromResourceInput) (*ssm.RemoveTagsFromResourceOutput, error) {
	w := callerOf(ctx).world()
	p, err := s.tagged(w, in.ResourceType, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(p.Tags, key)
	}
	s.put(w, p)
	return &ssm.RemoveTagsFromResourceOutput{}, nil
}

func (s *ssmService) listTagsForResource(ctx context.Context, in *ssm.ListTagsForResourceInput) (*ssm.ListTagsForResourceOutput, error) {
	p, err := s.tagged(callerOf(ctx).world(), in.ResourceType, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListTagsForResourceOutput{}
	for _, key := range sortedKeys(p.Tags) {
		value := p.Tags[key]
		out.TagList = append(out.TagList, types.Tag{Key: &key, Value: &value})
	}
	return out, nil
}
