package emulator

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"gopkg.in/yaml.v3"
)

// The types of resources that stacks make here.
const (
	resourceHandle    = "AWS::CloudFormation::WaitConditionHandle"
	resourceParameter = "AWS::SSM::Parameter"
)

// stackResource is a resource of a stack.
type stackResource struct {
	Logical, Kind string
	Name          string // what Ref gives: a parameter's name, a handle's URL
	Type, Value   string // of a parameter
	Description   string
}

// stackScope is what the values of a template are made of.
type stackScope struct {
	caller   caller
	template *template
	name, id string
	given    map[string]string
	made     map[string]stackResource
}

// resources are what the template wants, in the order of their names.
func (s *stackScope) resources() ([]stackResource, error) {
	s.made = map[string]stackResource{}
	all := entries(s.template.parts["Resources"])
	var unknown []string
	for _, logical := range sortedKeys(all) {
		kind := text(entries(all[logical])["Type"])
		switch kind {
		case resourceHandle:
			s.made[logical] = stackResource{Logical: logical, Kind: kind, Name: "https://cloudformation-waitcondition-" + s.caller.Region + ".s3.amazonaws.com/" + s.id + "/" + logical}
		case resourceParameter:
			s.made[logical] = stackResource{Logical: logical, Kind: kind, Name: "CFN-" + logical + "-" + s.id[len(s.id)-12:]}
		default:
			unknown = append(unknown, kind)
		}
		for _, key := range sortedKeys(entries(all[logical])) {
			if !slices.Contains([]string{"Type", "Properties", "Metadata"}, key) {
				return nil, templateInvalid("the local cloud knows no %s of a resource (%s)", key, logical)
			}
		}
	}
	if len(unknown) > 0 {
		return nil, templateInvalid("Unrecognized resource types: [%s]. The stacks of the local cloud make %s and %s", strings.Join(slices.Compact(unknown), ", "), resourceParameter, resourceHandle)
	}
	var list []stackResource
	for _, logical := range sortedKeys(all) {
		r := s.made[logical]
		if err := s.properties(&r, entries(entries(all[logical])["Properties"])); err != nil {
			return nil, err
		}
		s.made[logical] = r
		list = append(list, r)
	}
	return list, nil
}

// properties fills in what a resource's definition says.
func (s *stackScope) properties(r *stackResource, given map[string]*yaml.Node) error {
	fields := map[string]*string{}
	if r.Kind == resourceParameter {
		fields = map[string]*string{"Name": &r.Name, "Type": &r.Type, "Value": &r.Value, "Description": &r.Description}
	}
	for _, key := range sortedKeys(given) {
		field := fields[key]
		if field == nil {
			return stackInvalid("Template error: the local cloud knows no property %s of %s (%s)", key, r.Kind, r.Logical)
		}
		value, err := s.value(given[key])
		if err != nil {
			return err
		}
		*field = value
	}
	if r.Kind == resourceParameter && (r.Type == "" || r.Value == "") {
		return stackInvalid("Properties validation failed for resource %s: Type and Value are required", r.Logical)
	}
	return nil
}

func (s *stackScope) outputs() ([]types.Output, error) {
	var list []types.Output
	all := entries(s.template.parts["Outputs"])
	for _, key := range sortedKeys(all) {
		fields := entries(all[key])
		if fields["Value"] == nil {
			return nil, templateInvalid("Every Outputs member must contain a Value object")
		}
		for _, field := range sortedKeys(fields) {
			if !slices.Contains([]string{"Value", "Description", "Export"}, field) {
				return nil, templateInvalid("the local cloud knows no %s of an output (%s)", field, key)
			}
		}
		value, err := s.value(fields["Value"])
		if err != nil {
			return nil, err
		}
		o := types.Output{OutputKey: &key, OutputValue: &value, Description: optionalText(text(fields["Description"]))}
		if export := entries(fields["Export"])["Name"]; export != nil {
			name, err := s.value(export)
			if err != nil {
				return nil, err
			}
			o.ExportName = &name
		}
		list = append(list, o)
	}
	return list, nil
}

// call is a function of a template with its argument, in the long form or in
// the short one: Fn::Sub, !Sub. name is "" for a plain value.
func call(n *yaml.Node) (name string, argument *yaml.Node) {
	if tag := n.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		return strings.TrimPrefix(tag, "!"), n
	}
	if all := entries(n); len(all) == 1 {
		for key, value := range all {
			if key == "Ref" || strings.HasPrefix(key, "Fn::") {
				return strings.TrimPrefix(key, "Fn::"), value
			}
		}
	}
	return "", n
}

// value is a value as text.
func (s *stackScope) value(n *yaml.Node) (string, error) {
	name, argument := call(n)
	switch name {
	case "":
		if n.Kind != yaml.ScalarNode {
			return "", stackInvalid("Template error: a value must be a string")
		}
		return n.Value, nil
	case "Ref":
		return s.ref(text(argument))
	case "GetAtt":
		return s.attribute(argument)
	case "Sub":
		return s.sub(argument)
	case "Join":
		return s.join(argument)
	}
	return "", stackInvalid("Template error: the local cloud knows no function %s", name)
}

func (s *stackScope) ref(name string) (string, error) {
	if value, ok := s.given[name]; ok {
		return value, nil
	}
	if r, ok := s.made[name]; ok {
		return r.Name, nil
	}
	pseudo := map[string]string{
		"AWS::Region": s.caller.Region, "AWS::AccountId": s.caller.Account, "AWS::StackName": s.name, "AWS::StackId": s.id,
		"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
	}
	if value, ok := pseudo[name]; ok {
		return value, nil
	}
	return "", templateInvalid("Unresolved resource dependencies [%s] in the template", name)
}

func (s *stackScope) attribute(n *yaml.Node) (string, error) {
	logical, attribute, _ := strings.Cut(text(n), ".")
	if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		logical, attribute = text(n.Content[0]), text(n.Content[1])
	}
	r, ok := s.made[logical]
	switch {
	case ok && r.Kind == resourceParameter && attribute == "Value":
		return r.Value, nil
	case ok && r.Kind == resourceParameter && attribute == "Type":
		return r.Type, nil
	}
	return "", templateInvalid("Unresolved resource dependencies [%s.%s] in the template", logical, attribute)
}

var substitution = regexp.MustCompile(`\$\{([^}]*)\}`)

func (s *stackScope) sub(n *yaml.Node) (string, error) {
	pattern, own := n, map[string]*yaml.Node{}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		pattern, own = n.Content[0], entries(n.Content[1])
	}
	if pattern.Kind != yaml.ScalarNode {
		return "", stackInvalid("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments")
	}
	var failure error
	result := substitution.ReplaceAllStringFunc(pattern.Value, func(found string) string {
		name := strings.TrimSpace(found[2 : len(found)-1])
		var value string
		var err error
		switch {
		case strings.HasPrefix(name, "!"):
			return "${" + name[1:] + "}"
		case own[name] != nil:
			value, err = s.value(own[name])
		case strings.Contains(name, "."):
			value, err = s.attribute(&yaml.Node{Kind: yaml.ScalarNode, Value: name})
		default:
			value, err = s.ref(name)
		}
		if err != nil && failure == nil {
			failure = err
		}
		return value
	})
	return result, failure
}

func (s *stackScope) join(n *yaml.Node) (string, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != 2 {
		return "", stackInvalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings")
	}
	var parts []string
	if name, argument := call(n.Content[1]); name == "Ref" && strings.Contains(s.template.parameters[text(argument)].Type, "List") {
		parts = strings.Split(s.given[text(argument)], ",")
	} else if n.Content[1].Kind != yaml.SequenceNode {
		return "", stackInvalid("Template error: Fn::Join joins a list")
	} else {
		for _, c := range n.Content[1].Content {
			part, err := s.value(c)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, text(n.Content[0])), nil
}
