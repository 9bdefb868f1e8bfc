package project

import (
	"encoding/json"
	"reflect"
	"slices"
	"time"
)

// Schemas gives the JSON Schemas (draft 2020-12) of the five kinds of file, by
// their names below docs/schema/. They come from the structs that the decoder
// fills, so an editor accepts what Load accepts; what only the project as a
// whole can tell, such as whether a name exists, is left to Validate.
func Schemas(v Vocabulary) map[string][]byte {
	b := &schemas{}
	return map[string][]byte{
		"goldline.schema.json":    b.file("Goldline project", b.structure(reflect.TypeFor[rootFile]())),
		"environment.schema.json": b.file("Goldline environment", b.structure(reflect.TypeFor[Environment]())),
		"pipeline.schema.json":    b.file("Goldline pipeline", b.structure(reflect.TypeFor[Pipeline]())),
		"image.schema.json":       b.file("Goldline image", b.image(v)),
		"topology.schema.json":    b.file("Goldline topology", b.topology(v)),
	}
}

type object = map[string]any

// schemas builds JSON Schemas from types.
type schemas struct {
	weak bool // within recipes, as decoder.weak
}

const schemaBase = "https://json-schema.org/draft/2020-12/schema"

func (b *schemas) file(title string, schema object) []byte {
	schema["$schema"] = schemaBase
	schema["title"] = title
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic("a schema cannot be written as JSON: " + err.Error()) // made of strings, numbers and maps alone
	}
	return append(text, '\n')
}

// structure is the schema of a mapping with a struct's keys. Keys in skip are
// left to the caller.
func (b *schemas) structure(t reflect.Type, skip ...string) object {
	properties := object{}
	var required []string
	var exclusive []object
	for _, f := range fieldsOf(t) {
		if slices.Contains(skip, f.key) {
			continue
		}
		properties[f.key] = b.property(f)
		for _, alias := range f.aliases {
			properties[alias] = b.alias(f)
			exclusive = append(exclusive, object{"not": object{"required": []string{f.key, alias}}})
		}
		switch {
		case f.required && len(f.aliases) > 0:
			exclusive = append(exclusive, object{"anyOf": eitherOf(append([]string{f.key}, f.aliases...))})
		case f.required:
			required = append(required, f.key)
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(exclusive) > 0 {
		schema["allOf"] = exclusive
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// alias is the schema of a field's older name.
func (b *schemas) alias(f field) object {
	schema := b.property(f)
	schema["description"] = "Another name of " + f.key + "."
	return schema
}

func eitherOf(keys []string) []object {
	var forms []object
	for _, key := range keys {
		forms = append(forms, object{"required": []string{key}})
	}
	return forms
}

func (b *schemas) property(f field) object {
	schema := b.value(f.typ, f)
	if f.doc != "" {
		schema["description"] = f.doc
	}
	if f.fallback != "" {
		schema["default"] = f.fallback
	}
	return schema
}

// reference is what a variable in a value's place looks like.
const referencePattern = `\$\{`

func text() object { return object{"type": []string{"string", "number", "boolean"}} }

// value is the schema of a type's values. A text with ${...} may stand for any
// of them.
func (b *schemas) value(t reflect.Type, f field) object {
	switch t {
	case reflect.TypeFor[Names]():
		return object{"anyOf": []object{text(), {"type": "array", "items": text()}}}
	case reflect.TypeFor[RegionKeys]():
		return object{"anyOf": []object{text(), {"type": "object", "additionalProperties": text()}}}
	case reflect.TypeFor[Duration](), reflect.TypeFor[time.Duration]():
		return object{"type": []string{"string", "integer"}, "pattern": `^[+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|` + b.references(), "maximum": 0, "minimum": 0}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if t.Kind() != reflect.Pointer && isScalar(t) && t.Kind() == reflect.Struct {
		return text()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.value(t.Elem(), f)
	case reflect.Struct:
		return b.short(t)
	case reflect.Map:
		values := b.value(t.Elem(), field{})
		if f.null {
			values = object{"anyOf": []object{values, {"type": "null"}}}
		}
		schema := object{"type": "object", "additionalProperties": values}
		if f.tags {
			schema["propertyNames"] = object{"not": object{"pattern": "^(goldline:|[aA][wW][sS]:)"}}
		}
		return b.orReference(schema)
	case reflect.Slice:
		return b.list(t, f)
	case reflect.Interface:
		return object{}
	case reflect.String:
		if f.byArchitecture {
			return object{"anyOf": []object{b.text(f), architectureTexts(b.text(f))}}
		}
		return b.text(f)
	case reflect.Bool:
		if b.weak {
			return object{"type": []string{"boolean", "string", "integer"}, "pattern": `^(|1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$|` + b.references(), "minimum": 0, "maximum": 1}
		}
		return object{"type": []string{"boolean", "string"}, "pattern": referencePattern}
	case reflect.Float32, reflect.Float64:
		if b.weak {
			return object{"type": []string{"number", "string"}, "pattern": `^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$|` + b.references()}
		}
		return object{"type": []string{"number", "string"}, "pattern": referencePattern}
	}
	return b.integer(t, f)
}

// references are the texts whose value is not known before they are filled in.
func (b *schemas) references() string {
	if b.weak {
		return referencePattern + `|\{\{`
	}
	return referencePattern
}

func (b *schemas) integer(t reflect.Type, f field) object {
	schema := object{"type": []string{"integer", "string"}, "pattern": b.references()}
	if b.weak {
		schema["pattern"] = `^[-+]?[0-9]+$|` + b.references()
	}
	if f.least != nil {
		schema["minimum"] = *f.least
	} else if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
		schema["minimum"] = 0
	}
	if f.most != nil {
		schema["maximum"] = *f.most
	}
	return schema
}

func (b *schemas) text(f field) object {
	schema := text()
	switch {
	case len(f.enum) > 0:
		values := slices.Clone(f.enum)
		if b.weak {
			values = append(values, "")
		}
		schema = object{"anyOf": []object{{"enum": values}, {"type": "string", "pattern": b.references()}}}
	case f.pattern != nil:
		// Numbers too: YAML reads an account's digits as one.
		schema["pattern"] = f.pattern.String() + "|" + b.references()
	case f.required:
		schema["minLength"] = 1
	}
	return schema
}

func (b *schemas) list(t reflect.Type, f field) object {
	item := f
	item.shell = false
	items := b.value(t.Elem(), item)
	array := object{"type": "array", "items": items}
	switch {
	case f.shell:
		return object{"anyOf": []object{array, {"type": "string"}, text()}}
	case isScalar(t.Elem()) || b.weak:
		return object{"anyOf": []object{array, items, {"type": "string", "pattern": referencePattern}}}
	}
	return b.orReference(array)
}

// orReference lets a whole list or mapping come from a variable.
func (b *schemas) orReference(schema object) object {
	return object{"anyOf": []object{schema, {"type": "string", "pattern": `^\$\{[^{}]*\}$`}}}
}

// short is the schema of a struct in full and, where it has one, in its short
// form. A short form must leave nothing out that is required.
func (b *schemas) short(t reflect.Type) object {
	full := b.structure(t)
	if t == reflect.TypeFor[Stage]() {
		full["oneOf"] = stageActions()
	}
	forms := []object{full}
	if f, ok := shortField(t); ok {
		complete := true
		for _, other := range fieldsOf(t) {
			complete = complete && (!other.required || other.key == f.key)
		}
		if complete {
			forms = append(forms, b.value(f.typ, f))
		}
	}
	if len(forms) == 1 {
		return b.orReference(full)
	}
	return object{"anyOf": forms}
}
