package project

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// field is what the tags of a struct's field say about a key of the language.
type field struct {
	key, doc, ref, fallback string
	enum, aliases           []string
	pattern                 *regexp.Regexp
	form                    string // what the pattern means, in words
	least, most             *int64
	required, sensitive     bool
	short                   bool // the field that a struct's short form fills
	shell                   bool // one string is a line for the shell
	tags                    bool // a tag set: Goldline's and AWS's keys are refused
	everywhere              bool // a tag set that every service gets
	late                    bool // the reference orders nothing
	null                    bool // null is a value
	file                    bool // the value is what the named file holds
	byArchitecture          bool // a mapping gives a text for each architecture
	attribute               string
	change                  string // what a change of the value does to a resource; in place when empty
	index                   []int
	typ                     reflect.Type
}

// fieldCache keeps the fields of each struct type: reading their tags again for every
// resource took a sixth of the time of a plan.
var fieldCache sync.Map // reflect.Type to []field

// fieldsOf lists the keys of a struct in the order of its fields, those of
// inlined structs among them. The list is shared: callers only read it.
func fieldsOf(t reflect.Type) []field {
	if all, ok := fieldCache.Load(t); ok {
		return all.([]field)
	}
	all, _ := fieldCache.LoadOrStore(t, slices.Clip(readFields(t)))
	return all.([]field)
}

func readFields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if inline := f.Type; strings.Contains(options, "inline") && inline.Kind() == reflect.Struct {
			for _, in := range fieldsOf(inline) {
				in.index = append([]int{i}, in.index...)
				all = append(all, in)
			}
			continue
		}
		if key == "" || key == "-" || !f.IsExported() {
			continue
		}
		all = append(all, field{
			key: key, doc: f.Tag.Get("doc"), ref: f.Tag.Get("ref"), fallback: f.Tag.Get("default"),
			enum: list(f.Tag.Get("enum")), aliases: list(f.Tag.Get("alias")), pattern: pattern(f.Tag.Get("pattern")), form: f.Tag.Get("form"),
			least: number(f.Tag.Get("min")), most: number(f.Tag.Get("max")),
			required: f.Tag.Get("required") == "true", sensitive: f.Tag.Get("sensitive") == "true",
			short: f.Tag.Get("short") == "true", shell: f.Tag.Get("shell") == "true",
			tags: f.Tag.Get("tags") != "", everywhere: f.Tag.Get("tags") == "everywhere", late: f.Tag.Get("late") == "true",
			null: f.Tag.Get("null") == "true", file: f.Tag.Get("file") == "true", byArchitecture: f.Tag.Get("architectures") == "true", attribute: f.Tag.Get("attribute"), change: f.Tag.Get("change"), index: []int{i}, typ: f.Type,
		})
	}
	return all
}

// called tells whether a key is the field's, by its name or an older one.
func (f field) called(key string) bool { return f.key == key || slices.Contains(f.aliases, key) }

// says is what a key is for, as a hint.
func (f field) says() string {
	if f.doc == "" {
		return ""
	}
	return f.key + ": " + f.doc
}

// Enum lists the values that a key of a kind's struct may have; nil for a key
// that takes any, or that there is none of.
func Enum(spec any, key string) []string {
	for _, f := range fieldsOf(reflect.TypeOf(spec).Elem()) {
		if f.key == key {
			return slices.Clone(f.enum)
		}
	}
	return nil
}

func list(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, ",")
}

func pattern(tag string) *regexp.Regexp {
	if tag == "" {
		return nil
	}
	return regexp.MustCompile(tag)
}

func number(tag string) *int64 {
	if tag == "" {
		return nil
	}
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil {
		panic("min or max in a struct's tag is no number: " + tag)
	}
	return &n
}

// shortField is the field that a scalar or a list in a struct's place fills.
func shortField(t reflect.Type) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.short {
			return f, true
		}
	}
	return field{}, false
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}
