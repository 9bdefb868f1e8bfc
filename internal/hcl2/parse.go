package hcl2

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"

	"github.com/goldline-dev/goldline/internal/diag"
)

// Parse reads a template's files: *.pkr.hcl, and *.auto.pkrvars.hcl or .json,
// which give its variables values.
func Parse(files []File) (*Template, diag.List) {
	t := &Template{
		variables: map[string]*variable{}, locals: map[string]*local{},
		sources: map[string]*hclsyntax.Block{}, data: map[string]*hclsyntax.Block{}, Plugins: map[string]Plugin{},
	}
	var problems diag.List
	if len(files) > 0 {
		t.file = files[0].Name
	}
	for _, f := range files {
		parsed, found := parseFile(f)
		report(&problems, found)
		if parsed == nil {
			continue
		}
		if isValues(f.Name) {
			t.defaults = append(t.defaults, parsed)
			continue
		}
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			continue
		}
		for _, name := range keys(body.Attributes) {
			problems.AddHint(pos(body.Attributes[name].NameRange), "known here: "+strings.Join(rootBlocks, ", "), "%q is no block of a template", name)
		}
		for _, b := range body.Blocks {
			t.block(b, &problems)
		}
	}
	return t, problems
}

// isValues tells files of values from those of the template.
func isValues(name string) bool {
	return strings.HasSuffix(name, ".pkrvars.hcl") || strings.HasSuffix(name, ".pkrvars.json")
}

func parseFile(f File) (*hcl.File, hcl.Diagnostics) {
	if strings.HasSuffix(f.Name, ".json") {
		return json.Parse(f.Text, f.Name)
	}
	return hclsyntax.ParseConfig(f.Text, f.Name, hcl.InitialPos)
}

var rootBlocks = []string{"build", "data", "local", "locals", "packer", "source", "variable", "variables"}

func (t *Template) block(b *hclsyntax.Block, problems *diag.List) {
	at := pos(b.TypeRange)
	switch b.Type {
	case "packer":
		t.packer(b, problems)
	case "hcp_packer_registry":
		t.note("hcp_packer_registry at %s: nothing is sent to HCP", at)
	case "variable":
		if labels(b, 1, problems) {
			t.declare(b, problems)
		}
	case "variables":
		for _, name := range keys(b.Body.Attributes) {
			a := b.Body.Attributes[name]
			t.add(name, &variable{attr: a, kind: cty.DynamicPseudoType, fallback: a.Expr, at: a.NameRange}, problems)
		}
	case "locals":
		for _, name := range keys(b.Body.Attributes) {
			a := b.Body.Attributes[name]
			t.addLocal(name, &local{expr: a.Expr, at: a.NameRange}, problems)
		}
	case "local":
		if labels(b, 1, problems) {
			t.oneLocal(b, problems)
		}
	case "source", "data":
		if !labels(b, 2, problems) {
			return
		}
		set, name := t.sources, b.Labels[0]+"."+b.Labels[1]
		if b.Type == "data" {
			set = t.data
		}
		if other := set[name]; other != nil {
			problems.Addf(at, "%s %q is defined twice: first at %s", b.Type, name, pos(other.TypeRange))
			return
		}
		set[name] = b
	case "build":
		t.builds = append(t.builds, b)
	default:
		hint := diag.DidYouMean(b.Type, rootBlocks)
		if hint == "" {
			hint = "known here: " + strings.Join(rootBlocks, ", ")
		}
		problems.AddHint(at, hint, "unknown block %q", b.Type)
	}
}

// labels tells whether a block has as many labels as it must.
func labels(b *hclsyntax.Block, n int, problems *diag.List) bool {
	if len(b.Labels) == n {
		return true
	}
	forms := []string{"", ` "NAME"`, ` "TYPE" "NAME"`}
	problems.AddHint(pos(b.TypeRange), b.Type+forms[n]+" {", "%s has %d labels, and needs %d", b.Type, len(b.Labels), n)
	return false
}

func (t *Template) declare(b *hclsyntax.Block, problems *diag.List) {
	v := &variable{block: b, kind: cty.DynamicPseudoType, at: b.TypeRange}
	known := []string{"default", "description", "sensitive", "type"}
	for _, name := range keys(b.Body.Attributes) {
		a := b.Body.Attributes[name]
		switch name {
		case "type":
			kind, _, found := typeexpr.TypeConstraintWithDefaults(a.Expr)
			if text, ok := literal(a.Expr); ok && found.HasErrors() { // type = "string", as older templates write it
				kind, found = typeNamed(text), nil
			}
			report(problems, found)
			v.kind, v.given = kind, true
		case "default":
			v.fallback = a.Expr
		case "sensitive":
			value, found := a.Expr.Value(nil)
			report(problems, found)
			v.sensitive = !found.HasErrors() && value.Type() == cty.Bool && value.IsKnown() && !value.IsNull() && value.True()
		case "description":
		default:
			unknown(problems, a.NameRange, name, append(known, "validation"))
		}
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "validation" {
			unknown(problems, inner.TypeRange, inner.Type, append(known, "validation"))
			continue
		}
		v.rules = append(v.rules, inner)
	}
	t.add(b.Labels[0], v, problems)
}

func typeNamed(text string) cty.Type {
	switch text {
	case "string":
		return cty.String
	case "number":
		return cty.Number
	case "bool":
		return cty.Bool
	case "list":
		return cty.List(cty.DynamicPseudoType)
	case "map":
		return cty.Map(cty.DynamicPseudoType)
	}
	return cty.DynamicPseudoType
}

func (t *Template) add(name string, v *variable, problems *diag.List) {
	if other := t.variables[name]; other != nil {
		problems.Addf(pos(v.at), "variable %q is defined twice: first at %s", name, pos(other.at))
		return
	}
	t.variables[name] = v
}

func (t *Template) oneLocal(b *hclsyntax.Block, problems *diag.List) {
	l := &local{at: b.TypeRange}
	for _, name := range keys(b.Body.Attributes) {
		a := b.Body.Attributes[name]
		switch name {
		case "expression":
			l.expr = a.Expr
		case "sensitive":
			value, found := a.Expr.Value(nil)
			report(problems, found)
			l.sensitive = !found.HasErrors() && value.RawEquals(cty.True)
		default:
			unknown(problems, a.NameRange, name, []string{"expression", "sensitive"})
		}
	}
	if l.expr == nil {
		problems.Addf(pos(b.TypeRange), "local %q has no expression", b.Labels[0])
		return
	}
	t.addLocal(b.Labels[0], l, problems)
}

func (t *Template) addLocal(name string, l *local, problems *diag.List) {
	if other := t.locals[name]; other != nil {
		problems.Addf(pos(l.at), "local %q is defined twice: first at %s", name, pos(other.at))
		return
	}
	t.locals[name] = l
}

// literal is a quoted text without anything to evaluate in it.
func literal(e hclsyntax.Expression) (string, bool) {
	v, found := e.Value(nil)
	if found.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return "", false
	}
	return v.AsString(), true
}

func keys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
