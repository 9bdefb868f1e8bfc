package emulator

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"gopkg.in/yaml.v3"
)

// template is a CloudFormation template as far as the local cloud goes: what it
// does not evaluate it refuses.
type template struct {
	parts      map[string]*yaml.Node
	parameters map[string]templateParameter
	order      []string // the names of the parameters as they are written
}

type templateParameter struct {
	Type           string
	Default        *string
	Description    string
	NoEcho         bool     `yaml:"NoEcho"`
	AllowedValues  []string `yaml:"AllowedValues"`
	AllowedPattern string   `yaml:"AllowedPattern"`
}

// templateParts are the sections of a template that are evaluated here, or mean
// nothing to a stack.
var templateParts = []string{"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Resources", "Outputs"}

func templateInvalid(format string, args ...any) error {
	return stackInvalid("Template format error: "+format, args...)
}

// readTemplate reads a template, of which JSON is a form, too.
func readTemplate(body string) (*template, error) {
	switch {
	case body == "":
		return nil, stackInvalid("Either Template URL or Template Body must be specified.")
	case len(body) > maxTemplate:
		return nil, stackInvalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxTemplate)
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(body), &document); err != nil {
		return nil, templateInvalid("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, templateInvalid("unsupported structure.")
	}
	t := &template{parts: entries(document.Content[0]), parameters: map[string]templateParameter{}}
	for _, part := range sortedKeys(t.parts) {
		if !slices.Contains(templateParts, part) {
			return nil, templateInvalid("the local cloud evaluates no section %s", part)
		}
	}
	if len(entries(t.parts["Resources"])) == 0 {
		return nil, templateInvalid("At least one Resources member must be defined.")
	}
	return t, t.readParameters()
}

// entries are those of a mapping; none of what is no mapping.
func entries(n *yaml.Node) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if n == nil || n.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		all[n.Content[i].Value] = value
	}
	return all
}

var parameterTypes = []string{"String", "Number", "CommaDelimitedList", "List<Number>"}

func (t *template) readParameters() error {
	for _, name := range sortedKeys(entries(t.parts["Parameters"])) {
		n := entries(t.parts["Parameters"])[name]
		for _, key := range sortedKeys(entries(n)) {
			if !slices.Contains([]string{"Type", "Default", "Description", "NoEcho", "AllowedValues", "AllowedPattern", "ConstraintDescription"}, key) {
				return templateInvalid("the local cloud knows no %s of a parameter (%s)", key, name)
			}
		}
		var p templateParameter
		if err := n.Decode(&p); err != nil {
			return templateInvalid("parameter %s is not valid", name)
		}
		keys := entries(n)
		p.Type = text(keys["Type"])
		if d := keys["Default"]; d != nil {
			p.Default = new(text(d))
		}
		if !slices.Contains(parameterTypes, p.Type) {
			return templateInvalid("Unrecognized parameter type: %s", cmp.Or(p.Type, "none"))
		}
		t.parameters[name], t.order = p, append(t.order, name)
	}
	return nil
}

// text is a scalar as it is written.
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

func (t *template) description() *string { return optionalText(text(t.parts["Description"])) }

// values are the parameters' values: what a call gives, what the stack has had,
// or the defaults.
func (t *template) values(given []types.Parameter, before map[string]string) (map[string]string, error) {
	values := map[string]string{}
	for _, p := range given {
		key := deref(p.ParameterKey)
		if _, known := t.parameters[key]; !known {
			return nil, stackInvalid("Parameters: [%s] do not exist in the template", key)
		}
		old, had := before[key]
		switch {
		case deref(p.UsePreviousValue) && !had:
			return nil, stackInvalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", key)
		case deref(p.UsePreviousValue):
			values[key] = old
		default:
			values[key] = deref(p.ParameterValue)
		}
	}
	var missing []string
	for _, name := range t.order {
		p := t.parameters[name]
		value, ok := values[name]
		switch {
		case !ok && p.Default == nil:
			missing = append(missing, name)
			continue
		case !ok:
			value = *p.Default
		}
		values[name] = value
		if err := p.check(name, value); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, stackInvalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return values, nil
}

var numberForm = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

func (p templateParameter) check(name, value string) error {
	if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, value) {
		return stackInvalid("Parameter '%s' must be one of AllowedValues", name)
	}
	if p.AllowedPattern != "" {
		pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
		if err != nil {
			return templateInvalid("AllowedPattern of parameter %s is not valid", name)
		}
		if !pattern.MatchString(value) {
			return stackInvalid("Parameter %s failed to satisfy constraint: must match pattern %s", name, p.AllowedPattern)
		}
	}
	if p.Type == "Number" && !numberForm.MatchString(value) {
		return stackInvalid("Parameter value for parameter name %s is not a number.", name)
	}
	return nil
}

// shown are the parameters as a description shows them.
func (t *template) shown(values map[string]string) []types.Parameter {
	var list []types.Parameter
	for _, name := range t.order {
		value := values[name]
		if t.parameters[name].NoEcho {
			value = "****"
		}
		list = append(list, types.Parameter{ParameterKey: &name, ParameterValue: &value})
	}
	return list
}
