package hcl2

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/goldline-dev/goldline/internal/diag"
)

// PackerVersion is what a template is told that asks for Packer's version: that
// of the one whose templates are read.
const PackerVersion = "1.11.2"

// evaluation is one template under way to its result.
type evaluation struct {
	t         *Template
	in        Input
	problems  *diag.List
	variables map[string]cty.Value
	locals    map[string]cty.Value
	open      []string // locals being evaluated, to notice a ring
	secrets   []string
	known     map[bool]map[string]function.Function
	lookups   map[string]string // stand-in text of a data source's field -> "type.name field"
	looking   map[string]bool   // data sources being evaluated, to notice a ring
}

// Evaluate gives what a template comes to. The result is of use only without
// problems.
func (t *Template) Evaluate(in Input) (Result, diag.List) {
	var problems diag.List
	e := &evaluation{
		t: t, in: in, problems: &problems, variables: map[string]cty.Value{}, locals: map[string]cty.Value{},
		known: map[bool]map[string]function.Function{}, lookups: map[string]string{}, looking: map[string]bool{},
	}
	e.setVariables()
	for _, name := range keys(t.locals) {
		e.local(name)
	}
	r := Result{Variables: map[string]string{}, Images: e.images()}
	for _, name := range keys(e.variables) {
		v := e.variables[name]
		if !v.IsWhollyKnown() || v.IsNull() || !v.Type().IsPrimitiveType() {
			continue
		}
		if text, err := convert.Convert(v, cty.String); err == nil {
			r.Variables[name] = text.AsString()
			if t.variables[name].sensitive {
				r.Sensitive = append(r.Sensitive, name)
			}
		}
	}
	r.Secrets = e.secrets
	return r, once(problems)
}

// once leaves out what is said again for another source.
func once(all diag.List) diag.List {
	seen := map[diag.Problem]bool{}
	return slices.DeleteFunc(all, func(p diag.Problem) bool {
		if seen[p] {
			return true
		}
		seen[p] = true
		return false
	})
}

// local gives a local's value, those that it needs first.
func (e *evaluation) local(name string) cty.Value {
	if v, ok := e.locals[name]; ok {
		return v
	}
	l := e.t.locals[name]
	if l == nil {
		return cty.DynamicVal
	}
	if slices.Contains(e.open, name) {
		ring := append(slices.Clone(e.open[slices.Index(e.open, name):]), name)
		e.problems.Addf(pos(l.at), "locals need each other in a ring: %s", strings.Join(ring, " -> "))
		return cty.DynamicVal
	}
	e.open = append(e.open, name)
	for _, used := range hclsyntax.Variables(l.expr) {
		if used.RootName() != "local" || len(used) < 2 {
			continue
		}
		if step, ok := used[1].(hcl.TraverseAttr); ok {
			e.local(step.Name)
		}
	}
	e.open = e.open[:len(e.open)-1]
	v := e.value(l.expr, nil)
	e.locals[name] = v
	if l.sensitive {
		e.secrets = append(e.secrets, textsIn(v)...)
	}
	return v
}

// value evaluates an expression; where it cannot, it says why and gives what is
// not known.
func (e *evaluation) value(expr hclsyntax.Expression, more map[string]cty.Value) cty.Value {
	v, found := expr.Value(e.context(expr, more))
	report(e.problems, found)
	if found.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

// context is what names stand for.
func (e *evaluation) context(expr hclsyntax.Expression, more map[string]cty.Value) *hcl.EvalContext {
	set := map[string]cty.Value{
		"var":    cty.ObjectVal(e.variables),
		"local":  cty.ObjectVal(e.locals),
		"data":   e.dataSources(expr),
		"path":   cty.ObjectVal(map[string]cty.Value{"root": cty.StringVal(e.in.Root), "cwd": cty.StringVal(".")}),
		"packer": cty.ObjectVal(map[string]cty.Value{"version": cty.StringVal(PackerVersion), "iterationID": cty.StringVal("")}),
	}
	for name, v := range more {
		set[name] = v
	}
	return &hcl.EvalContext{Variables: set, Functions: e.functions(false)}
}
