package emulator

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// publicSince is when the public parameters were last modified.
var publicSince = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

func (s *ssmService) getParameter(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	shown, err := s.read(callerOf(ctx).world(), *in.Name, in.WithDecryption)
	if err != nil {
		return nil, err
	}
	return &ssm.GetParameterOutput{Parameter: &shown}, nil
}

func (s *ssmService) read(w world, name string, decrypt *bool) (types.Parameter, error) {
	plain, selector := splitSelector(w, name)
	p, ok := s.find(w, plain)
	if !ok {
		return types.Parameter{}, parameterNotFound(plain)
	}
	v, ok := p.version(selector)
	if !ok {
		return types.Parameter{}, versionNotFound(plain, selector)
	}
	return p.shown(w, v, selector, decrypt), nil
}

func versionNotFound(name, selector string) error {
	return refuse("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)
}

func (s *ssmService) getParameters(ctx context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	names, err := tenNames(in.Names)
	if err != nil {
		return nil, err
	}
	out := &ssm.GetParametersOutput{}
	for _, name := range names {
		shown, err := s.read(callerOf(ctx).world(), name, in.WithDecryption)
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, shown)
	}
	return out, nil
}

// tenNames checks a list of names and drops repetitions.
func tenNames(names []string) ([]string, error) {
	if len(names) == 0 || len(names) > 10 {
		return nil, ssmInvalid("1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	var once []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			once = append(once, name)
		}
		seen[name] = true
	}
	return once, nil
}

func (s *ssmService) getParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	w := callerOf(ctx).world()
	if !strings.HasPrefix(*in.Path, "/") || strings.Contains(*in.Path, "//") || !parameterName.MatchString(*in.Path) {
		return nil, ssmInvalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\".")
	}
	filters, err := parameterFilters(in.ParameterFilters, "Type", "KeyId", "Label", "DataType")
	if err != nil {
		return nil, err
	}
	var found []parameter
	for _, p := range s.under(w, *in.Path, in.Recursive != nil && *in.Recursive) {
		if filters.match(p) {
			found = append(found, p)
		}
	}
	size, err := pageSize(in.MaxResults, 10, 10)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(found, func(p parameter) string { return p.Name }, size, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.GetParametersByPathOutput{NextToken: next}
	for _, p := range page {
		v, selector := p.latest(), ""
		if label, ok := filters.label(); ok {
			v, _ = p.version(label)
			selector = label
		}
		out.Parameters = append(out.Parameters, p.shown(w, v, selector, in.WithDecryption))
	}
	return out, nil
}

func (s *ssmService) getParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	w := callerOf(ctx).world()
	name, _ := splitSelector(w, *in.Name)
	p, ok := s.parameters.get(w, name)
	if !ok {
		return nil, parameterNotFound(name)
	}
	size, err := pageSize(in.MaxResults, 50, 50)
	if err != nil {
		return nil, err
	}
	number := func(v parameterVersion) string { return historyKey(v.Version) }
	page, next, err := pageOf(p.Versions, number, size, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.GetParameterHistoryOutput{NextToken: next}
	for _, v := range page {
		value := p.value(v, in.WithDecryption)
		labels := v.Labels
		if labels == nil {
			labels = []string{}
		}
		out.Parameters = append(out.Parameters, types.ParameterHistory{
			AllowedPattern: v.AllowedPattern, DataType: &v.DataType, Description: v.Description, KeyId: v.KeyID,
			Labels: labels, LastModifiedDate: &v.Modified, LastModifiedUser: &v.By, Name: &p.Name,
			Policies: []types.ParameterInlinePolicy{}, Tier: v.Tier, Type: p.Type, Value: &value, Version: v.Version,
		})
	}
	return out, nil
}

func (s *ssmService) describeParameters(ctx context.Context, in *ssm.DescribeParametersInput) (*ssm.DescribeParametersOutput, error) {
	w := callerOf(ctx).world()
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, ssmInvalid("You can use either Filters or ParameterFilters in a single request.")
	}
	asked := in.ParameterFilters
	for _, f := range in.Filters {
		asked = append(asked, legacyFilter(f))
	}
	filters, err := parameterFilters(asked, "Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag:")
	if err != nil {
		return nil, err
	}
	var found []parameter
	if in.Shared == nil || !*in.Shared {
		for _, p := range s.parameters.all(w) {
			if filters.match(p) {
				found = append(found, p)
			}
		}
	}
	size, err := pageSize(in.MaxResults, 10, 50)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(found, func(p parameter) string { return p.Name }, size, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.DescribeParametersOutput{NextToken: next}
	for _, p := range page {
		out.Parameters = append(out.Parameters, p.described(w))
	}
	return out, nil
}

func (p parameter) described(w world) types.ParameterMetadata {
	v, arn := p.latest(), parameterARN(w, p.Name)
	return types.ParameterMetadata{
		ARN: &arn, AllowedPattern: v.AllowedPattern, DataType: &v.DataType, Description: v.Description, KeyId: v.KeyID,
		LastModifiedDate: &v.Modified, LastModifiedUser: &v.By, Name: &p.Name,
		Policies: []types.ParameterInlinePolicy{}, Tier: v.Tier, Type: p.Type, Version: v.Version,
	}
}

// pageSize is how many results to answer with.
func pageSize(asked *int32, usual, most int) (int, error) {
	if asked == nil {
		return usual, nil
	}
	if *asked < 1 || int(*asked) > most {
		return 0, ssmInvalid("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must be from 1 to %d", *asked, most)
	}
	return int(*asked), nil
}

// pageOf cuts a page out of a list that is in the order of its keys. The token
// is the last key that was answered, so that pages stay right while things
// come and go.
func pageOf[T any](list []T, key func(T) string, size int, token *string) ([]T, *string, error) {
	if token != nil && *token != "" {
		after, err := base64.URLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, refuse("InvalidNextToken", "The specified token isn't valid.")
		}
		for len(list) > 0 && key(list[0]) <= string(after) {
			list = list[1:]
		}
	}
	if len(list) <= size {
		return list, nil, nil
	}
	next := base64.URLEncoding.EncodeToString([]byte(key(list[size-1])))
	return list[:size], &next, nil
}
