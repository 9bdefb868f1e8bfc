package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/tags"
)

// Draft is a definition that is to be written to a file of its own.
type Draft struct {
	// Comment stands above the definition, a line each.
	Comment []string
	// Environments that have the resource; nil for all.
	Environments []string
	Adopt        *Adopt
	// Spec is a pointer to the kind's struct. Its text means itself, but for what
	// TextReference gave.
	Spec any
}

// Encode writes a definition such that the decoder reads the same from it. What
// the spec does not state is left out; a pointer states what it points to.
func Encode(d Draft) ([]byte, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if d.Environments != nil {
		put(n, "environments", encodeList(reflect.ValueOf(d.Environments)))
	}
	if d.Adopt != nil {
		put(n, "adopt", encodeAdopt(d.Adopt))
	}
	fields := encodeStruct(reflect.ValueOf(d.Spec).Elem())
	n.Content = append(n.Content, fields.Content...)
	var b bytes.Buffer
	for _, line := range d.Comment {
		b.WriteString("# " + oneLine(line) + "\n")
	}
	if len(n.Content) == 0 {
		b.WriteString("{}\n")
		return b.Bytes(), nil
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("write a definition: %w", err)
	}
	return b.Bytes(), e.Close()
}

// referenceMark stands for the $ of a reference until text is written, in which
// every other ${ is taken to mean itself.
const referenceMark = "\x00"

// TextReference is a reference to an attribute of a resource for a Draft's
// text, as `${kind.name.attribute}` in a definition.
func TextReference(kind, name, attribute string) string {
	return referenceMark + "{" + kind + "." + name + "." + attribute + "}"
}

// ValidName tells whether a resource may be called that.
func ValidName(s string) bool { return name.MatchString(s) }

// Folder is the folder below topology/ that a kind's definitions lie in.
func Folder(kind string) string { return plural(kind) }

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, textNode(key), value)
}

// textNode is text such that YAML reads the same from it: what it would take
// for the end of a line, or for indentation, stands in quotation marks.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && breaks(r) }) || strings.HasPrefix(s, "\n") || strings.HasPrefix(s, " ") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// oneLine is text that cannot leave its line of a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if breaks(r) {
			return ' '
		}
		return r
	}, s)
}

// breaks tells whether YAML may take a character for the end of a line, or for
// none that a text holds.
func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// literalText is text as a definition gives it.
func literalText(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "${", "$${"), referenceMark, "$")
}

func encodeAdopt(a *Adopt) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, key := range slices.Sorted(maps.Keys(a.Owners)) {
		ref := a.Owners[key]
		put(n, key, textNode(strings.TrimPrefix(ref.Address, ref.Kind+".")))
	}
	for _, key := range slices.Sorted(maps.Keys(a.Keys)) {
		put(n, key, textNode(literalText(a.Keys[key])))
	}
	if len(a.Tags) > 0 {
		set := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, key := range tags.Keys(a.Tags) {
			put(set, key, textNode(literalText(a.Tags[key])))
		}
		put(n, "tags", set)
	}
	return n
}

func encodeStruct(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		field := v.FieldByIndex(f.index)
		if !field.IsZero() {
			put(n, f.key, encodeValue(field))
		}
	}
	return n
}

func encodeValue(v reflect.Value) *yaml.Node {
	switch v.Kind() {
	case reflect.Pointer:
		return encodeValue(v.Elem())
	case reflect.Struct:
		return encodeStruct(v)
	case reflect.Slice:
		return encodeList(v)
	case reflect.String:
		return textNode(literalText(v.String()))
	case reflect.Map, reflect.Interface:
		return encodeAny(v.Interface())
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
}

// encodeList is a list; one of scalars stands on a line.
func encodeList(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 || isScalar(v.Type().Elem()) {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		n.Content = append(n.Content, encodeValue(v.Index(i)))
	}
	return n
}

// encodeAny is a value as JSON knows them.
func encodeAny(x any) *yaml.Node {
	switch x := x.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case string:
		return textNode(literalText(x))
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			put(n, key, encodeAny(x[key]))
		}
		return n
	case map[string]string:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			put(n, key, textNode(literalText(x[key])))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range x {
			n.Content = append(n.Content, encodeAny(item))
		}
		return n
	}
	text, err := json.Marshal(x)
	if err != nil {
		return textNode(fmt.Sprint(x))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(text)}
}
