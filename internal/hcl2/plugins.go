package hcl2

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/goldline-dev/goldline/internal/diag"
)

// packer reads a packer block. The version of Packer that it asks for says
// nothing about Goldline; of its plugins those count whose provisioners are not
// built in.
func (t *Template) packer(b *hclsyntax.Block, problems *diag.List) {
	for _, inner := range b.Body.Blocks {
		if inner.Type != "required_plugins" {
			continue
		}
		for _, name := range keys(inner.Body.Attributes) {
			t.plugin(name, inner.Body.Attributes[name], problems)
		}
	}
	t.note("packer {} at %s: a required version of Packer has no effect; amazon and ansible are built in, and other plugins are taken where they are installed", pos(b.TypeRange))
}

// plugin reads one of required_plugins: { version = "...", source = "..." }, or
// the version alone. Nothing but plain text may stand there.
func (t *Template) plugin(name string, a *hclsyntax.Attribute, problems *diag.List) {
	p := Plugin{At: pos(a.NameRange)}
	text := func(expr hcl.Expression) string {
		v, found := expr.Value(nil)
		report(problems, found)
		if found.HasErrors() {
			return ""
		}
		if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
			problems.Addf(pos(expr.Range()), "required plugin %s: text is expected", name)
			return ""
		}
		return v.AsString()
	}
	pairs, notMapping := hcl.ExprMap(a.Expr)
	if notMapping.HasErrors() {
		p.Version = text(a.Expr)
	}
	for _, pair := range pairs {
		switch key := hcl.ExprAsKeyword(pair.Key); key {
		case "source":
			p.Source = text(pair.Value)
		case "version":
			p.Version = text(pair.Value)
		default:
			unknown(problems, pair.Key.Range(), key, []string{"source", "version"})
		}
	}
	t.Plugins[name] = p
}
