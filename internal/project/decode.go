package project

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/tags"
)

// decoder fills Go values from YAML by the tags that Kind documents. It goes on
// after a problem, so that all of them are reported, and notes where every
// value came from.
type decoder struct {
	src      *source
	problems *diag.List
	scope    *scope
	// weak takes "8" for 8 and one item for a list of one, as Packer does.
	weak bool
	// commas part the items of a list that is written as one text; not in lists
	// of commands and options, which may hold commas of their own.
	commas bool
	// positions of the values by their paths; nil where nobody asks.
	positions map[string]diag.Pos
	// refused, where set, explains a key that no field has. It returns whether
	// it did.
	refused func(e entry) bool
	// partial leaves out what must be given otherwise: for what is adopted.
	partial bool
	// byArchitecture takes the texts of fields that have one for each architecture,
	// by the field's path; nil where there is none.
	byArchitecture map[string]map[string]string
	// hidden are values that came from sensitive variables: no problem shows them.
	hidden map[*yaml.Node]bool
}

func (d *decoder) note(path string, at diag.Pos) {
	if d.positions != nil && path != "" {
		d.positions[path] = at
	}
}

// where is the position of an entry: its value's, or the key's where the value
// starts on a line below it.
func (d *decoder) where(e entry) diag.Pos {
	if e.value.Line != e.key.Line && follow(e.value).Kind != yaml.ScalarNode {
		return d.src.at(e.key)
	}
	return d.src.at(e.value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// structure fills a struct from a mapping's entries. Keys in skip belong to
// someone else.
func (d *decoder) structure(at diag.Pos, entries []entry, v reflect.Value, path string, skip ...string) {
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	for _, e := range entries {
		key := follow(e.key).Value
		i := slices.IndexFunc(fields, func(f field) bool { return f.called(key) })
		switch {
		case slices.Contains(skip, key):
			given[key] = true
		case i >= 0 && given[fields[i].key]:
			d.problems.Addf(d.src.at(e.key), "%s is given twice: %s is another name of it", fields[i].key, strings.Join(fields[i].aliases, " or "))
		case i >= 0:
			key = fields[i].key
			given[key] = true
			d.note(join(path, key), d.where(e))
			d.decode(e.value, v.FieldByIndex(fields[i].index), fields[i], join(path, key))
		case d.refused == nil || path != "" || !d.refused(e):
			d.unknownKey(e.key, append(keysOf(fields), skip...))
		}
	}
	for _, f := range fields {
		if f.required && !given[f.key] && (!d.partial || path != "") {
			d.problems.AddHint(at, f.says(), "missing key %q", f.key)
		}
	}
	if p := v.FieldByName("Pos"); p.IsValid() && p.CanSet() && p.Type() == reflect.TypeFor[diag.Pos]() {
		p.Set(reflect.ValueOf(at))
	}
}

func (d *decoder) unknownKey(key *yaml.Node, known []string) {
	word := follow(key).Value
	hint := diag.DidYouMean(word, known)
	if hint == "" && len(known) > 0 && len(known) <= 12 {
		known = slices.Clone(known)
		slices.Sort(known)
		hint = "known here: " + strings.Join(known, ", ")
	}
	d.problems.AddHint(d.src.at(key), hint, "unknown key %q", word)
}

func (d *decoder) mismatch(n *yaml.Node, expected string) {
	d.problems.Addf(d.src.at(n), "expected %s, found %s", expected, d.describe(n))
}

// describe says what a value is, but not what a sensitive one is.
func (d *decoder) describe(n *yaml.Node) string {
	if d.secret(n) {
		return "a sensitive value"
	}
	return describe(n)
}

// secret tells whether a value came from a sensitive variable.
func (d *decoder) secret(n *yaml.Node) bool {
	return d.hidden[n] || d.scope != nil && d.scope.user.holds(follow(n).Value)
}

// describe says what a value is, for "found ...".
func describe(n *yaml.Node) string {
	n = follow(n)
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	text := n.Value
	if r := []rune(text); len(r) > 40 {
		text = string(r[:40]) + "..."
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + text
	case "!!bool":
		return text
	}
	return fmt.Sprintf("text %q", text)
}

// quote gives a scalar as it is named in a message, anything else described.
func quote(n *yaml.Node) string {
	if n = follow(n); n.Kind == yaml.ScalarNode {
		return strconv.Quote(n.Value)
	}
	return describe(n)
}

// decode fills one value of any type.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, f field, path string) {
	if n, ok := d.substitute(follow(n)); ok {
		d.settle(n, v, f, path)
	}
}

// settle fills a value from a node whose own names are replaced already.
func (d *decoder) settle(n *yaml.Node, v reflect.Value, f field, path string) {
	if isNull(n) {
		if v.Kind() == reflect.Interface || f.null {
			return
		}
		d.problems.AddHint(d.src.at(n), "leave the key out, or give it a value", "expected %s, found nothing", expected(v.Type()))
		return
	}
	if special, ok := d.special(n, v, path); ok {
		special()
		return
	}
	if f.byArchitecture && d.byArchitecture != nil && n.Kind == yaml.MappingNode {
		d.perArchitecture(n, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.settle(n, v.Elem(), f, path)
	case reflect.Struct:
		d.decodeStruct(n, v, path)
	case reflect.Slice:
		d.decodeSlice(n, v, f, path)
	case reflect.Map:
		d.decodeMap(n, v, f, path)
	case reflect.Interface:
		if x := d.settledAny(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v, f)
	}
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.MappingNode {
		inner := *d
		if v.Type() == reflect.TypeFor[Stage]() {
			inner.scope = stageScope(&inner, n)
		}
		inner.structure(d.src.at(n), inner.entries(n), v, path)
	} else if short, ok := shortField(v.Type()); ok {
		d.note(join(path, short.key), d.src.at(n))
		d.settle(n, v.FieldByIndex(short.index), short, join(path, short.key))
		full := d.src.at(n)
		if p := v.FieldByName("Pos"); p.IsValid() && p.CanSet() && p.Type() == reflect.TypeFor[diag.Pos]() {
			p.Set(reflect.ValueOf(full))
		}
		d.missingBeside(n, v.Type(), short.key)
	} else {
		d.mismatch(n, "a mapping")
	}
}

// missingBeside reports what a short form leaves out although it must be given.
func (d *decoder) missingBeside(n *yaml.Node, t reflect.Type, given string) {
	for _, f := range fieldsOf(t) {
		if f.required && f.key != given {
			d.problems.AddHint(d.src.at(n), f.says(), "missing key %q", f.key)
		}
	}
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, f field, path string) {
	switch {
	case n.Kind == yaml.SequenceNode:
	case d.isTextList(n, v, f):
		d.textList(n, v, f, path)
		return
	case n.Kind == yaml.ScalarNode && f.shell:
		if strings.TrimSpace(n.Value) == "" {
			d.problems.AddHint(d.src.at(n), "leave the key out, or give a command", "%s is empty", f.key)
		}
		v.Set(reflect.ValueOf([]string{"sh", "-c", n.Value}))
		return
	case n.Kind == yaml.ScalarNode && isScalar(v.Type().Elem()), d.weak && n.Kind == yaml.MappingNode && !isScalar(v.Type().Elem()):
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.note(path+"[0]", d.src.at(n))
		d.settle(n, v.Index(0), f, path+"[0]")
		return
	default:
		d.mismatch(n, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	item := f
	item.shell = false
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.note(at, d.src.at(c))
		d.decode(c, v.Index(i), item, at)
	}
}

// isTextList tells whether a value is a list written as one text, as Packer's
// templates may have it, since their variables hold nothing else: no text is an
// empty list, and commas part the items.
func (d *decoder) isTextList(n *yaml.Node, v reflect.Value, f field) bool {
	if !d.weak || n.Kind != yaml.ScalarNode || f.shell || v.Type().Elem().Kind() != reflect.String {
		return false
	}
	return n.Value == "" && !f.required || d.commas && strings.Contains(n.Value, ",")
}

func (d *decoder) textList(n *yaml.Node, v reflect.Value, f field, path string) {
	var items []string
	if n.Value != "" {
		items = strings.Split(n.Value, ",")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, text := range items {
		item := *n
		item.Value = strings.TrimSpace(text)
		d.note(fmt.Sprintf("%s[%d]", path, i), d.src.at(n))
		d.settle(&item, v.Index(i), f, path)
	}
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, f field, path string) {
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, "a mapping")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(n) {
		key := follow(e.key).Value
		if f.tags && tags.Reserved(key) {
			d.problems.AddHint(d.src.at(e.key), "keys that start with goldline: or aws: are set by Goldline and AWS", "tag %q is reserved", key)
		}
		at := join(path, key)
		d.note(at, d.where(e))
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, elem, field{null: f.null}, at)
		if f.everywhere && !(tags.IsPlain(key) && tags.IsPlain(elem.String())) && !strings.Contains(elem.String(), "${") {
			d.problems.AddHint(d.where(e), tags.PlainHint, "not every service takes the tag %s: %q, and this one is put on everything", key, elem.String())
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), elem)
	}
}

// any gives a value whose type nobody prescribes, as JSON has them: nil, bool,
// int, float64, string, []any, map[string]any.
func (d *decoder) any(n *yaml.Node, path string) any {
	if n, ok := d.substitute(follow(n)); ok {
		return d.settledAny(n, path)
	}
	return nil
}

func (d *decoder) settledAny(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, e := range d.entries(n) {
			key := follow(e.key).Value
			d.note(join(path, key), d.where(e))
			m[key] = d.any(e.value, join(path, key))
		}
		return m
	case yaml.SequenceNode:
		items := make([]any, len(n.Content))
		for i, c := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.note(at, d.src.at(c))
			items[i] = d.any(c, at)
		}
		return items
	}
	return plain(n)
}
