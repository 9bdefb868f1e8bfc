package project

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// special gives the way to decode types that have their own form.
func (d *decoder) special(n *yaml.Node, v reflect.Value, path string) (func(), bool) {
	if !v.CanAddr() {
		return nil, false
	}
	switch target := v.Addr().Interface().(type) {
	case *Names:
		return func() { d.names(n, target) }, true
	case *RegionKeys:
		return func() { d.regionKeys(n, target, path) }, true
	case *Duration:
		return func() { *target = Duration(d.duration(n)) }, true
	case *time.Duration:
		return func() { *target = d.duration(n) }, true
	case *json.RawMessage:
		return func() {
			if b, err := json.Marshal(d.settledAny(n, "")); err == nil {
				*target = b
			} else {
				d.problems.Addf(d.src.at(n), "cannot be written as JSON: %v", err)
			}
		}, true
	case yaml.Unmarshaler:
		return func() {
			if err := target.UnmarshalYAML(n); err != nil {
				d.unfit(n, err)
			}
		}, true
	case encoding.TextUnmarshaler:
		return func() {
			if n.Kind != yaml.ScalarNode {
				d.mismatch(n, "text")
			} else if err := target.UnmarshalText([]byte(n.Value)); err != nil {
				d.unfit(n, err)
			}
		}, true
	}
	return nil, false
}

// unfit reports what a type of its own says of a value.
func (d *decoder) unfit(n *yaml.Node, err error) {
	if d.secret(n) {
		d.problems.Addf(d.src.at(n), "the sensitive value does not fit")
		return
	}
	d.problems.Addf(d.src.at(n), "%v", err)
}

func (d *decoder) duration(n *yaml.Node) time.Duration {
	if n.Kind != yaml.ScalarNode {
		d.mismatch(n, "a duration")
		return 0
	}
	span, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		d.problems.AddHint(d.src.at(n), "write it with units: 90s, 5m, 1h30m", "expected a duration, found %s", d.describe(n))
	case span < 0:
		d.problems.Addf(d.src.at(n), "a duration cannot be negative, found %s", n.Value)
	}
	return span
}

func (d *decoder) names(n *yaml.Node, target *Names) {
	target.Pos = d.src.at(n)
	var names []string
	switch n.Kind {
	case yaml.ScalarNode:
		names = []string{n.Value}
	case yaml.SequenceNode:
		d.decodeSlice(n, reflect.ValueOf(&names).Elem(), field{}, "")
	default:
		d.mismatch(n, "a list of names, one name, or all")
	}
	if slices.Contains(names, "all") {
		target.All = true
		if len(names) > 1 {
			d.problems.Addf(d.src.at(n), "all stands alone: it names every image already")
		}
		return
	}
	target.Names = names
}
