package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Reference gives the pages about the kinds of resources, by their names below
// docs/reference/: one for each kind, and README.md, which lists them. They come
// from the structs that the decoder fills, as the schemas do.
func Reference(v Vocabulary) map[string][]byte {
	pages := map[string][]byte{"README.md": referenceIndex(v)}
	for _, k := range v.Resources {
		pages[k.Name+".md"] = referencePage(k)
	}
	return pages
}

func referenceIndex(v Vocabulary) []byte {
	var b strings.Builder
	b.WriteString("# Reference: the kinds of resources\n\n" +
		"Made from the definitions that Goldline decodes topologies with; `make golden` writes these pages anew.\n\n" +
		"| kind | what it is |\n|---|---|\n")
	for _, k := range v.Resources {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", k.Name, k.Name, cell(k.Doc))
	}
	b.WriteString("\n## Keys of every kind\n\n")
	fieldTable(&b, rowsOf(reflect.TypeFor[commonKeys](), "", "", nil), false)
	return []byte(b.String())
}

func referencePage(k Kind) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", k.Name, k.Doc)
	fmt.Fprintf(&b, "Its definitions lie in `topology/%s/`, or anywhere below `topology/` with `kind: %s`.\n\n", plural(k.Name), k.Name)
	fmt.Fprintf(&b, "## Example\n\n```yaml\n%s\n```\n\n", strings.TrimSpace(k.Example))
	b.WriteString("## Fields\n\nBeside these it has the [keys of every kind](README.md#keys-of-every-kind).\n\n")
	fieldTable(&b, rowsOf(reflect.TypeOf(k.New()).Elem(), "", "", nil), true)
	b.WriteString("\nA change *in place* keeps the resource; one that *replaces* makes a new one, and the plan says so with the reason.\n\n")
	b.WriteString("## Attributes\n\nOther definitions may ask for these:\n\n")
	for _, attribute := range attributes(&k) {
		fmt.Fprintf(&b, "- `${%s.NAME.%s}`\n", k.Name, attribute)
	}
	fmt.Fprintf(&b, "\n## Adopting one that exists\n\n`adopt` knows these keys, of which all that are given must hold: `%s`.\n", strings.Join(adoptKeys(&k), "`, `"))
	for _, key := range slices.Sorted(maps.Keys(k.Owners)) {
		fmt.Fprintf(&b, "`%s` names the definition of the %s that it belongs to.\n", key, k.Owners[key])
	}
	return []byte(b.String())
}

// referenceRow is a line of a table of fields.
type referenceRow struct{ path, typ, fallback, change, doc string }

// rowsOf lists the fields of a struct, and those of structs within it below
// their own. What changes with a field holds for what is below it. within are the
// structs around it: one that holds itself is listed once.
func rowsOf(t reflect.Type, prefix, change string, within []reflect.Type) []referenceRow {
	var rows []referenceRow
	for _, f := range fieldsOf(t) {
		row := referenceRow{path: prefix + f.key, typ: typeWords(f), fallback: fallbackWords(f), change: f.change, doc: f.doc}
		if row.change == "" {
			row.change = change
		}
		if len(f.aliases) > 0 {
			row.doc += " Also `" + strings.Join(f.aliases, "`, `") + "`."
		}
		rows = append(rows, row)
		inner, many := elementOf(f.typ)
		if inner.Kind() != reflect.Struct || isScalar(inner) || slices.Contains(within, inner) {
			continue
		}
		below := row.path + "."
		if many {
			below = row.path + "[]."
		}
		rows = append(rows, rowsOf(inner, below, row.change, append(within, inner))...)
	}
	return rows
}

// elementOf is what a field holds, without pointers and lists around it.
func elementOf(t reflect.Type) (inner reflect.Type, many bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t != reflect.TypeFor[json.RawMessage]() {
		many = many || t.Kind() == reflect.Slice
		t = t.Elem()
	}
	return t, many
}

func fieldTable(b *strings.Builder, rows []referenceRow, changes bool) {
	if !changes {
		b.WriteString("| field | type | default | meaning |\n|---|---|---|---|\n")
	} else {
		b.WriteString("| field | type | default | change | meaning |\n|---|---|---|---|---|\n")
	}
	for _, r := range rows {
		fmt.Fprintf(b, "| `%s` | %s | %s | ", r.path, cell(r.typ), cell(r.fallback))
		if changes {
			if r.change == "" {
				r.change = "in place"
			}
			b.WriteString(cell(r.change) + " | ")
		}
		b.WriteString(cell(r.doc) + " |\n")
	}
}

// cell is text within a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

func fallbackWords(f field) string {
	switch {
	case f.required:
		return "**required**"
	case f.fallback != "":
		return f.fallback
	}
	return "–"
}

// typeWords says what a field takes.
func typeWords(f field) string {
	t, many := elementOf(f.typ)
	words := ""
	switch {
	case f.ref != "":
		words = "name of " + article(f.ref)
		if f.late {
			words += ", which may name this one too"
		}
	case len(f.enum) > 0:
		words = "`" + strings.Join(f.enum, "`, `") + "`"
	case t == reflect.TypeFor[Duration]() || t == reflect.TypeFor[time.Duration]():
		words = "duration"
	case t.Kind() == reflect.Map:
		words = "mapping"
	case t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]():
		words = "any value"
	case t.Kind() == reflect.Struct && !isScalar(t):
		words = "mapping"
	case t.Kind() == reflect.Bool:
		words = "true or false"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		words = "number"
	case t.Kind() == reflect.String || t.Kind() == reflect.Struct:
		words = "text"
	default:
		words = "whole number" + bounds(f)
	}
	if many {
		return "list: " + words
	}
	return words
}

func bounds(f field) string {
	switch {
	case f.least != nil && f.most != nil:
		return fmt.Sprintf(", %d to %d", *f.least, *f.most)
	case f.least != nil:
		return fmt.Sprintf(", at least %d", *f.least)
	case f.most != nil:
		return fmt.Sprintf(", at most %d", *f.most)
	}
	return ""
}

func article(kind string) string {
	if strings.ContainsRune("aeio", rune(kind[0])) {
		return "an " + kind
	}
	return "a " + kind
}
