package project

import (
	"cmp"
	"encoding"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// substitute gives the node with its `${...}` and `{{user}}` replaced. A
// scalar that is wholly one name takes the name's value with its type. ok is
// false if a value is missing or not known yet.
func (d *decoder) substitute(n *yaml.Node) (_ *yaml.Node, ok bool) {
	if n.Kind != yaml.ScalarNode || (!strings.Contains(n.Value, "${") && !strings.Contains(n.Value, "{{")) {
		return n, true
	}
	if expr, whole := wholeExpression(n.Value); whole {
		m := d.scope.mean(expr)
		switch m.outcome {
		case found:
			return d.standIn(n, m.node), true
		case foreign:
			return n, true
		}
		d.report(n, "${"+expr+"}", 0, m)
		return nil, false
	}
	ok = true
	seen := map[string]int{}
	text := rewrite(n.Value, !d.scope.keepEscapes, func(expr string) (string, bool) {
		m := d.scope.mean(expr)
		nth := seen[expr]
		seen[expr]++
		switch m.outcome {
		case found:
			if v := follow(m.node); v.Kind == yaml.ScalarNode {
				return v.Value, true
			}
			d.problems.Addf(d.src.locate(d.src.at(n), "${"+expr+"}", nth), "${%s} is %s, which cannot stand within text", expr, describe(m.node))
			ok = false
		case unknown, wrong:
			d.report(n, "${"+expr+"}", nth, m)
			ok = false
		}
		return "", false
	})
	if d.scope.user != nil && ok {
		text, ok = d.scope.user.expand(d, n, text)
	}
	if !ok {
		return nil, false
	}
	result := *n
	result.Value = text
	if d.scope.user != nil && d.scope.user.shows(n.Value) {
		d.hidden[&result] = true
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && text != n.Value {
		result.Tag = "" // plain text has the type that it looks like
	}
	return &result, true
}

func (d *decoder) report(n *yaml.Node, needle string, nth int, m meaning) {
	if m.outcome == wrong {
		d.problems.AddHint(d.src.locate(d.src.at(n), needle, nth), m.hint, "%s", m.message)
	}
}

// standIn is a value in another node's place. Text that is a YAML list or
// mapping in brackets or braces becomes one.
func (d *decoder) standIn(place, value *yaml.Node) *yaml.Node {
	value = follow(value)
	if value.Kind == yaml.ScalarNode && value.Tag == "" && (strings.HasPrefix(value.Value, "[") || strings.HasPrefix(value.Value, "{")) {
		if docs, err := parseYAML([]byte(value.Value)); err == nil && len(docs) == 1 && docs[0].Content[0].Kind != yaml.ScalarNode {
			value = docs[0].Content[0]
			if (&source{}).expandable(value, &diag.List{}) {
				return moved(value, place)
			}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: scalarText(value), Line: place.Line, Column: place.Column}
	}
	result := *value
	result.Line, result.Column, result.Anchor = place.Line, place.Column, ""
	return &result
}

func scalarText(n *yaml.Node) string { return n.Value }

// moved is a copy of a node with all positions those of another.
func moved(n, place *yaml.Node) *yaml.Node {
	n = follow(n)
	c := *n
	c.Line, c.Column, c.Anchor = place.Line, place.Column, ""
	c.Content = make([]*yaml.Node, len(n.Content))
	for i := range n.Content {
		c.Content[i] = moved(n.Content[i], place)
	}
	return &c
}

func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer:
		return isScalar(t.Elem())
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Interface:
		return false
	}
	return true
}

// expected names what a type is written as.
func expected(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration](), reflect.TypeFor[time.Duration]():
		return "a duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Struct, reflect.Map:
		return "a mapping"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "text"
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		d.mismatch(n, expected(v.Type()))
		return
	}
	text, tag := n.Value, n.ShortTag()
	if d.weak && tag == "!!str" {
		tag = "" // any text that reads as the type will do
	}
	good := true
	switch v.Kind() {
	case reflect.String:
		if f.file {
			text = d.contents(n)
		}
		v.SetString(text)
		d.constrain(n, f)
	case reflect.Bool:
		good = d.boolean(n, v, tag)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(digits(text), 0, v.Type().Bits())
		good = err == nil && (tag == "!!int" || tag == "")
		if good {
			v.SetInt(i)
			d.bounds(n, i, f)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(digits(text), 0, v.Type().Bits())
		good = err == nil && (tag == "!!int" || tag == "")
		if good {
			v.SetUint(u)
			d.bounds(n, int64(min(u, math.MaxInt64)), f)
		}
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		good = err == nil && tag != "!!str" && !math.IsInf(x, 0) && !math.IsNaN(x)
		if good {
			v.SetFloat(x)
		}
	}
	if !good {
		d.mismatch(n, expected(v.Type()))
	}
}

// digits takes leading zeros away, which would make a number octal: nobody who
// writes 010 in a definition means eight.
func digits(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		sign, text = text[:1], text[1:]
	}
	if len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
		text = strings.TrimLeft(text, "0")
		if text == "" {
			text = "0"
		}
	}
	return sign + text
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value, tag string) bool {
	if tag == "!!bool" || tag == "" {
		if b, err := strconv.ParseBool(n.Value); err == nil {
			v.SetBool(b)
			return true
		}
	}
	if d.weak && n.Value == "" {
		return true
	}
	switch strings.ToLower(n.Value) {
	case "yes", "on", "y":
		d.problems.AddHint(d.src.at(n), "write true", "expected true or false, found %s", d.describe(n))
		return true
	case "no", "off", "n":
		d.problems.AddHint(d.src.at(n), "write false", "expected true or false, found %s", d.describe(n))
		return true
	}
	return false
}

// constrain checks text against what its field allows.
func (d *decoder) constrain(n *yaml.Node, f field) {
	if len(f.enum) > 0 && !slices.Contains(f.enum, n.Value) && !(d.weak && n.Value == "") {
		hint := cmp.Or(instead[f.key+"="+n.Value], diag.DidYouMean(n.Value, f.enum))
		d.problems.AddHint(d.src.at(n), hint, "expected %s, found %s", oneOf(f.enum), d.describe(n))
	}
	if f.pattern != nil && !f.pattern.MatchString(n.Value) {
		form := cmp.Or(f.form, "text of the form "+f.pattern.String())
		d.problems.AddHint(d.src.at(n), f.says(), "expected %s, found %s", form, d.describe(n))
	}
	if f.required && n.Value == "" {
		d.problems.Addf(d.src.at(n), "%q must not be empty", f.key)
	}
}

func oneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

func (d *decoder) bounds(n *yaml.Node, i int64, f field) {
	if f.least != nil && i < *f.least {
		d.problems.Addf(d.src.at(n), "%d is too small: at least %d", i, *f.least)
	}
	if f.most != nil && i > *f.most {
		d.problems.Addf(d.src.at(n), "%d is too large: at most %d", i, *f.most)
	}
}

// leadingZero is a number that would lose something if it were read as one:
// an account 000000000000, a code 0123.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// plain is a scalar as a value of JSON. What JSON has no form for (dates,
// infinities) stays text.
func plain(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var x any
		if leadingZero.MatchString(n.Value) || n.Decode(&x) != nil {
			return n.Value
		}
		switch f := x.(type) {
		case float64:
			if math.IsInf(f, 0) || math.IsNaN(f) {
				return n.Value
			}
		case int, bool, int64, uint64:
		default:
			return fmt.Sprint(x)
		}
		return x
	}
	return n.Value
}

// maxContents bounds a file that a definition names, so that a wrong path is
// noticed before it fills the memory.
const maxContents = 1 << 20

// contents is what a file holds that a definition names.
func (d *decoder) contents(n *yaml.Node) string {
	path := filepath.FromSlash(n.Value)
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.src.dir, filepath.Dir(filepath.FromSlash(d.src.file)), path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxContents {
		d.problems.Addf(d.src.at(n), "%s is larger than 1 MiB", n.Value)
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		d.problems.AddHint(d.src.at(n), "paths start in the definition's folder", "cannot read %s: %v", n.Value, pathless(err))
		return ""
	}
	return strings.TrimSpace(string(text))
}
