package project

import (
	"maps"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// Architectures are those that an image may be built for, in EC2's words.
func Architectures() []string {
	f, _ := reflect.TypeFor[Image]().FieldByName("Architectures")
	return list(f.Tag.Get("enum"))
}

// perArchitecture takes a mapping from architectures to texts.
func (d *decoder) perArchitecture(n *yaml.Node, path string) {
	texts := map[string]string{}
	d.decodeMap(n, reflect.ValueOf(&texts).Elem(), field{}, path)
	for _, e := range d.entries(n) {
		if !slices.Contains(Architectures(), follow(e.key).Value) {
			d.unknownKey(e.key, Architectures())
		}
	}
	d.byArchitecture[path] = texts
}

// architectureTexts is the schema of such a mapping.
func architectureTexts(text object) object {
	properties := object{}
	for _, a := range Architectures() {
		properties[a] = text
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// For is the image as it is for one of its architectures: what has a text for
// each of them has that one's.
func (i *Image) For(architecture string) *Image {
	one := *i
	one.Architecture = architecture
	if i.Tests != nil {
		tests := *i.Tests
		one.Tests = &tests
	}
	if f := i.SourceAMIFilter; f != nil {
		filter := *f
		filter.Filters = maps.Clone(f.Filters)
		one.SourceAMIFilter = &filter
	}
	for path, texts := range i.ByArchitecture {
		switch path {
		case "instance_type":
			one.InstanceType = texts[architecture]
		case "source_ami":
			one.SourceAMI = texts[architecture]
		case "tests.instance_type":
			one.Tests.InstanceType = texts[architecture]
		}
	}
	return &one
}
