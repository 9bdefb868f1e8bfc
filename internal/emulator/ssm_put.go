package emulator

import (
	"context"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Quotas of Parameter Store:
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
const (
	maxVersions      = 100
	maxStandardValue = 4096
	maxAdvancedValue = 8192
	maxParameterTags = 50
)

const (
	dataTypeText  = "text"
	dataTypeImage = "aws:ec2:image"
)

// settleImageParameter is the transition that ends the validation of a write
// with data type aws:ec2:image.
const settleImageParameter = "ssm-image-parameter"

// pendingImage is a write that was answered and is not validated yet.
type pendingImage struct {
	ID   string
	Name string
	Type types.ParameterType
	Tags map[string]string
	New  parameterVersion
}

var amiID = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

func (s *ssmService) putParameter(ctx context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	who := callerOf(ctx)
	if err := checkNewName(*in.Name); err != nil {
		return nil, err
	}
	if in.Policies != nil && *in.Policies != "" {
		return nil, refuse("InvalidPolicyTypeException", "The local cloud has no parameter policies")
	}
	old, exists := s.parameters.get(who.world(), *in.Name)
	if err := checkPut(in, old, exists); err != nil {
		return nil, err
	}
	kind := in.Type
	if exists {
		kind = old.Type
	}
	v, err := newVersion(in, old, exists, kind)
	if err != nil {
		return nil, err
	}
	v.Modified, v.By = s.cloud.clock.Now().UTC(), who.ARN
	tags, err := tagMap(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if v.DataType == dataTypeImage {
		n := s.awaitValidation(who.world(), pendingImage{Name: *in.Name, Type: kind, Tags: tags, New: v})
		return &ssm.PutParameterOutput{Tier: v.Tier, Version: old.next() + n}, nil
	}
	p, err := old.with(*in.Name, kind, tags, v)
	if err != nil {
		return nil, err
	}
	s.put(who.world(), p)
	return &ssm.PutParameterOutput{Tier: v.Tier, Version: p.latest().Version}, nil
}

func checkPut(in *ssm.PutParameterInput, old parameter, exists bool) error {
	overwrite := in.Overwrite != nil && *in.Overwrite
	switch {
	case overwrite && len(in.Tags) > 0:
		return ssmInvalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case exists && !overwrite:
		return refuse("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case !exists && in.Type == "":
		return ssmInvalid("A parameter type is required when you create a parameter.")
	case exists && in.Type != "" && in.Type != old.Type:
		return refuse("HierarchyTypeMismatchException", "Parameter Store does not support changing a parameter type in a hierarchy. For example, you can't change a parameter from a String type to a SecureString type. You must create a new, unique parameter.")
	case *in.Value == "":
		return ssmInvalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case in.Description != nil && len(*in.Description) > 1024:
		return ssmInvalid("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1024")
	}
	return nil
}

// next is the version that the next write gets.
func (p parameter) next() int64 {
	if len(p.Versions) == 0 {
		return 1
	}
	return p.latest().Version + 1
}

// newVersion is what a write asks for, checked, without its number.
func newVersion(in *ssm.PutParameterInput, old parameter, exists bool, kind types.ParameterType) (parameterVersion, error) {
	v := parameterVersion{
		Value: *in.Value, DataType: dataTypeText, Description: in.Description,
		AllowedPattern: in.AllowedPattern, KeyID: in.KeyId, Tier: in.Tier,
	}
	if exists {
		v.DataType = old.latest().DataType
	}
	if in.DataType != nil {
		v.DataType = *in.DataType
	}
	if kind == types.ParameterTypeSecureString && v.KeyID == nil {
		key := "alias/aws/ssm"
		v.KeyID = &key
	}
	if kind != types.ParameterTypeSecureString && v.KeyID != nil {
		return v, ssmInvalid("KeyId is required for SecureString type parameter only.")
	}
	if err := checkDataType(v, kind); err != nil {
		return v, err
	}
	if err := checkPattern(v); err != nil {
		return v, err
	}
	return v, checkTier(&v, old, exists)
}

func checkDataType(v parameterVersion, kind types.ParameterType) error {
	switch {
	case v.DataType != dataTypeText && v.DataType != dataTypeImage:
		return ssmInvalid("The following data type is not supported: %s (The data type names are all lower case.)", v.DataType)
	case v.DataType == dataTypeImage && kind != types.ParameterTypeString:
		return ssmInvalid("The data type %s is for parameters of type String only", dataTypeImage)
	case v.DataType == dataTypeImage && !amiID.MatchString(v.Value):
		return ssmInvalid("The parameter value is not valid for data type %s: it must be an AMI ID such as ami-0123456789abcdef0", dataTypeImage)
	}
	return nil
}

func checkPattern(v parameterVersion) error {
	if v.AllowedPattern == nil || *v.AllowedPattern == "" {
		return nil
	}
	pattern, err := regexp.Compile(`^(?:` + *v.AllowedPattern + `)$`)
	if err != nil {
		return refuse("InvalidAllowedPatternException", "The request does not meet the regular expression requirement: %v", err)
	}
	if !pattern.MatchString(v.Value) {
		return refuse("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", *v.AllowedPattern)
	}
	return nil
}

// checkTier settles the tier: a parameter that is Advanced stays it.
func checkTier(v *parameterVersion, old parameter, exists bool) error {
	if v.Tier == types.ParameterTierIntelligentTiering || v.Tier == "" {
		asked := v.Tier
		v.Tier = types.ParameterTierStandard
		if exists && old.latest().Tier == types.ParameterTierAdvanced || asked != "" && len(v.Value) > maxStandardValue {
			v.Tier = types.ParameterTierAdvanced
		}
	}
	switch {
	case exists && old.latest().Tier == types.ParameterTierAdvanced && v.Tier == types.ParameterTierStandard:
		return ssmInvalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	case v.Tier == types.ParameterTierStandard && len(v.Value) > maxStandardValue:
		return ssmInvalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.", maxStandardValue)
	case len(v.Value) > maxAdvancedValue:
		return ssmInvalid("Advanced tier parameters support a maximum parameter value of %d characters.", maxAdvancedValue)
	}
	return nil
}

// with is a parameter with one more version. The oldest makes room for the
// hundred and first, unless it has a label.
func (p parameter) with(name string, kind types.ParameterType, tags map[string]string, v parameterVersion) (parameter, error) {
	v.Version = p.next()
	p = p.copied()
	if len(p.Versions) == 0 {
		p = parameter{Name: name, Type: kind, Tags: tags}
	}
	if len(p.Versions) >= maxVersions {
		if oldest := p.Versions[0]; len(oldest.Labels) > 0 {
			return p, refuse("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", name, oldest.Version)
		}
		p.Versions = p.Versions[1:]
	}
	p.Versions = append(p.Versions, v)
	return p, nil
}

// awaitValidation keeps a write until it is validated, and says how many of
// the same parameter wait before it.
func (s *ssmService) awaitValidation(w world, p pendingImage) int64 {
	var before int64
	for _, other := range s.pending.all(w) {
		if other.Name == p.Name {
			before++
		}
	}
	p.ID = fmt.Sprintf("%020d %04d %s", s.cloud.clock.Now().UnixNano(), before, p.Name)
	s.pending.put(w, p.ID, p)
	s.cloud.schedule(w, s.cloud.options.Transition, settleImageParameter, p.ID)
	return before
}

// settleImage ends a validation: a write whose AMI is not there never happened.
func (s *ssmService) settleImage(w world, id string) {
	p, ok := s.pending.get(w, id)
	if !ok {
		return
	}
	s.pending.remove(w, id)
	if s.cloud.hooks.imageExists == nil || !s.cloud.hooks.imageExists(w, p.New.Value) {
		return
	}
	old, _ := s.parameters.get(w, p.Name)
	if changed, err := old.with(p.Name, p.Type, p.Tags, p.New); err == nil {
		s.put(w, changed)
	}
}
