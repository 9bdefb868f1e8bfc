package hcl2

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/goldline-dev/goldline/internal/diag"
)

// envPrefix is how the environment gives a variable a value.
const envPrefix = "PKR_VAR_"

// setVariables gives every variable its value. The last of these counts: the
// default, the environment, *.auto.pkrvars, files of values, given text.
func (e *evaluation) setVariables() {
	given := e.givenValues()
	for _, name := range keys(e.t.variables) {
		v := e.t.variables[name]
		value, ok := given[name]
		if !ok && v.fallback != nil {
			var found hcl.Diagnostics
			value, found = v.fallback.Value(&hcl.EvalContext{Functions: e.functions(true)})
			report(e.problems, found)
			ok = true
			if found.HasErrors() {
				e.variables[name] = cty.DynamicVal
				continue
			}
		}
		if !ok && e.in.Open {
			e.variables[name] = cty.DynamicVal
			continue
		}
		if !ok {
			e.problems.AddHint(pos(v.at), fmt.Sprintf("give --var %s=VALUE", name), "no value for the variable %q, which has no default", name)
			e.variables[name] = cty.DynamicVal
			continue
		}
		converted, err := convert.Convert(value, v.kind)
		if err != nil {
			e.problems.Addf(pos(v.at), "the value of the variable %q does not fit: %v", name, err)
			converted = cty.DynamicVal
		}
		e.variables[name] = converted
		if v.sensitive {
			e.secrets = append(e.secrets, textsIn(converted)...)
		}
	}
	for _, name := range keys(e.t.variables) {
		e.validate(name, e.t.variables[name])
	}
}

func (e *evaluation) givenValues() map[string]cty.Value {
	given := map[string]cty.Value{}
	for _, entry := range e.in.Environ {
		name, text, _ := strings.Cut(entry, "=")
		if name, ok := strings.CutPrefix(name, envPrefix); ok && e.t.variables[name] != nil {
			given[name] = e.parseValue(name, text, envPrefix+name)
		}
	}
	for _, f := range e.t.defaults {
		e.fileValues(f, given, false)
	}
	for _, f := range e.in.VarFiles {
		parsed, found := parseFile(f)
		report(e.problems, found)
		if parsed != nil {
			e.fileValues(parsed, given, true)
		}
	}
	for _, name := range keys(e.in.Vars) {
		if e.t.variables[name] != nil {
			given[name] = e.parseValue(name, e.in.Vars[name], "--var "+name)
		}
	}
	return given
}

// fileValues reads a file of values. A name that the template does not declare
// is wrong in a file that was asked for, and another template's in one that lies
// beside this.
func (e *evaluation) fileValues(f *hcl.File, given map[string]cty.Value, strict bool) {
	attributes, found := f.Body.JustAttributes()
	report(e.problems, found)
	for _, name := range keys(attributes) {
		a := attributes[name]
		if e.t.variables[name] == nil {
			if strict {
				e.problems.AddHint(pos(a.NameRange), diag.DidYouMean(name, e.t.Names()), "the template has no variable %q", name)
			}
			continue
		}
		value, found := a.Expr.Value(nil)
		report(e.problems, found)
		if !found.HasErrors() {
			given[name] = value
		}
	}
}

// parseValue reads a value that is given as text: as it is for a variable that
// holds text, and as an expression for any other.
func (e *evaluation) parseValue(name, text, from string) cty.Value {
	v := e.t.variables[name]
	kind := v.kind
	if !v.given && v.fallback != nil {
		if value, found := v.fallback.Value(&hcl.EvalContext{Functions: e.functions(true)}); !found.HasErrors() && !value.IsNull() {
			kind = value.Type()
		}
	}
	if kind == cty.String || kind == cty.DynamicPseudoType {
		return cty.StringVal(text)
	}
	expr, found := hclsyntax.ParseExpression([]byte(text), from, hcl.InitialPos)
	if !found.HasErrors() {
		var value cty.Value
		if value, found = expr.Value(nil); !found.HasErrors() {
			return value
		}
	}
	if kind.IsPrimitiveType() {
		return cty.StringVal(text) // for the conversion to refuse or take
	}
	shown := fmt.Sprintf(": %q", text)
	if v.sensitive {
		shown = ""
	}
	e.problems.Addf(pos(v.at), "%s is no %s%s", from, kind.FriendlyName(), shown)
	return cty.DynamicVal
}

// validate holds a variable's value against its own rules.
func (e *evaluation) validate(name string, v *variable) {
	value := e.variables[name]
	if !value.IsWhollyKnown() {
		return
	}
	ctx := &hcl.EvalContext{
		Functions: e.functions(false),
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{name: value})},
	}
	for _, rule := range v.rules {
		condition, message := rule.Body.Attributes["condition"], rule.Body.Attributes["error_message"]
		if condition == nil || message == nil {
			e.problems.Addf(pos(rule.TypeRange), "a validation needs condition and error_message")
			continue
		}
		holds, found := condition.Expr.Value(ctx)
		report(e.problems, found)
		if found.HasErrors() || !holds.IsKnown() || holds.IsNull() {
			continue
		}
		holds, err := convert.Convert(holds, cty.Bool)
		if err != nil {
			e.problems.Addf(pos(condition.Expr.Range()), "the condition is neither true nor false")
			continue
		}
		if holds.True() {
			continue
		}
		text, found := message.Expr.Value(ctx)
		report(e.problems, found)
		said := "its validation fails"
		if !found.HasErrors() && text.Type() == cty.String && text.IsKnown() && !text.IsNull() {
			said = text.AsString()
		}
		e.problems.Addf(pos(v.at), "variable %q: %s", name, strings.TrimSuffix(said, "."))
	}
}

// textsIn are the texts and numbers that a value holds, at any depth.
func textsIn(v cty.Value) []string {
	var texts []string
	_ = cty.Walk(v, func(_ cty.Path, inner cty.Value) (bool, error) { // it has no error of its own
		if inner.IsKnown() && !inner.IsNull() && (inner.Type() == cty.String || inner.Type() == cty.Number) {
			if text, err := convert.Convert(inner, cty.String); err == nil && text.AsString() != "" {
				texts = append(texts, text.AsString())
			}
		}
		return true, nil
	})
	return texts
}
