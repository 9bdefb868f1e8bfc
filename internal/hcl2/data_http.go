package hcl2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

var (
	httpArguments = []string{"method", "request_body", "request_headers", "url"}
	httpMethods   = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
)

// httpSource is what data "http" tells. With variables that have no value yet
// nothing is fetched, and it is not known.
func (e *evaluation) httpSource(b *hclsyntax.Block) cty.Value {
	e.httpKeys(b)
	address := e.httpArgument(b, "url", cty.String)
	method := e.httpArgument(b, "method", cty.String)
	headers := e.httpArgument(b, "request_headers", cty.Map(cty.String))
	body := e.httpArgument(b, "request_body", cty.String)
	at := pos(b.TypeRange)
	if a := b.Body.Attributes["url"]; a != nil {
		at = pos(a.Expr.Range())
	}
	for _, v := range []cty.Value{address, method, headers, body} {
		if !v.IsWhollyKnown() {
			return cty.DynamicVal
		}
	}
	r := request{method: "GET", headers: map[string]string{}}
	if address.IsNull() || address.AsString() == "" {
		e.problems.Addf(at, "data source %q needs url", b.Labels[0])
		return cty.DynamicVal
	}
	r.url = address.AsString()
	if !method.IsNull() && method.AsString() != "" {
		r.method = method.AsString()
	}
	if !slices.Contains(httpMethods, r.method) {
		e.problems.AddHint(pos(b.Body.Attributes["method"].Expr.Range()), "one of "+strings.Join(httpMethods, ", "), "no HTTP method %q", r.method)
		return cty.DynamicVal
	}
	if !headers.IsNull() {
		for name, v := range headers.AsValueMap() {
			if !v.IsNull() {
				r.headers[name] = v.AsString()
			}
		}
	}
	if !body.IsNull() {
		r.body = body.AsString()
	}
	if e.in.Open || e.in.HTTP == nil {
		return cty.DynamicVal
	}
	answer, err := e.in.HTTP.fetch(r)
	if err != nil {
		e.problems.AddHint(at, answer.hint, "data source %q: %v", strings.Join(b.Labels, "."), err)
		return cty.DynamicVal
	}
	return httpValue(r, answer)
}

// httpValue is an answer as a template asks for it. Packer has the answer's
// headers as request_headers.
func httpValue(r request, answer response) cty.Value {
	headers := cty.MapValEmpty(cty.String)
	if len(answer.headers) > 0 {
		set := map[string]cty.Value{}
		for name, value := range answer.headers {
			set[name] = cty.StringVal(value)
		}
		headers = cty.MapVal(set)
	}
	body := cty.StringVal(answer.body)
	return cty.ObjectVal(map[string]cty.Value{
		"url": cty.StringVal(r.url), "body": body, "response_body": body, "request_headers": headers, "response_headers": headers,
	})
}

// httpArgument is an argument of data "http"; it is null where it is not given.
func (e *evaluation) httpArgument(b *hclsyntax.Block, name string, kind cty.Type) cty.Value {
	a := b.Body.Attributes[name]
	if a == nil {
		return cty.NullVal(kind)
	}
	v := e.value(a.Expr, nil)
	if !v.IsWhollyKnown() {
		return cty.DynamicVal
	}
	converted, err := convert.Convert(v, kind)
	if err != nil {
		e.problems.Addf(pos(a.Expr.Range()), "%s: %v", name, err)
		return cty.DynamicVal
	}
	return converted
}

func (e *evaluation) httpKeys(b *hclsyntax.Block) {
	for _, name := range inOrder(b.Body.Attributes) {
		if !slices.Contains(httpArguments, name) {
			unknown(e.problems, b.Body.Attributes[name].NameRange, name, slices.Clone(httpArguments))
		}
	}
	for _, inner := range b.Body.Blocks {
		hint := fmt.Sprintf("write %s = {...}", inner.Type)
		if !slices.Contains(httpArguments, inner.Type) {
			hint = "known here: " + strings.Join(httpArguments, ", ")
		}
		e.problems.AddHint(pos(inner.TypeRange), hint, "data source %q has no block %s", b.Labels[0], inner.Type)
	}
}
