package hcl2

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// dataFields are what a data source "amazon-ami" tells, with the words by which
// a template asks for the same of the image that a build starts from.
var dataFields = map[string]string{
	"id": "SourceAMI", "name": "SourceAMIName", "creation_date": "SourceAMICreationDate",
	"owner": "SourceAMIOwner", "owner_name": "SourceAMIOwnerName",
}

// parameterMark begins the stand-in of a parameter's value, which ends with the
// second of its marks.
const parameterMark = "\x00parameter "

// resolveSSM is EC2's own way to name the AMI that a parameter holds:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html
const resolveSSM = "resolve:ssm:"

// dataSources gives stand-ins for what would be looked up. A source that starts
// from an "amazon-ami" gets its filter, one that starts from what a parameter
// holds gets the parameter's name (standIns). "null" is what it says itself, and
// "http" what a server answers.
func (e *evaluation) dataSources(expr hclsyntax.Expression) cty.Value {
	byType := map[string]map[string]cty.Value{}
	for _, name := range keys(e.t.data) {
		b := e.t.data[name]
		if byType[b.Labels[0]] == nil {
			byType[b.Labels[0]] = map[string]cty.Value{}
		}
		byType[b.Labels[0]][b.Labels[1]] = e.dataSource(b, name, uses(expr, name))
	}
	all := map[string]cty.Value{}
	for kind, set := range byType {
		all[kind] = cty.ObjectVal(set)
	}
	return cty.ObjectVal(all)
}

// dataSource is what one data source tells, which is worked out only where it is
// used.
func (e *evaluation) dataSource(b *hclsyntax.Block, name string, used bool) cty.Value {
	if b.Labels[0] == "amazon-ami" {
		fields := map[string]cty.Value{}
		for field := range dataFields {
			text := "\x00" + name + " " + field + "\x00"
			e.lookups[text] = name
			fields[field] = cty.StringVal(text)
		}
		return cty.ObjectVal(fields)
	}
	if !used {
		return cty.DynamicVal
	}
	if e.looking[name] {
		e.problems.Addf(pos(b.TypeRange), "data source %q needs itself", name)
		return cty.DynamicVal
	}
	e.looking[name] = true
	defer delete(e.looking, name)
	switch b.Labels[0] {
	case "http":
		return e.httpSource(b)
	case "null":
		input := e.dataArgument(b, "input")
		return cty.ObjectVal(map[string]cty.Value{"input": input, "output": input})
	case "amazon-parameterstore":
		parameter := e.dataArgument(b, "name")
		if !parameter.IsKnown() || parameter.IsNull() || parameter.Type() != cty.String {
			return cty.DynamicVal
		}
		text := cty.StringVal(parameterMark + parameter.AsString() + "\x00")
		return cty.ObjectVal(map[string]cty.Value{"value": text, "insecure_value": text})
	}
	e.problems.AddHint(pos(b.TypeRange), "amazon-ami, amazon-parameterstore, http and null are; give anything else as a variable: --var", "data source %q is not looked up", b.Labels[0])
	return cty.DynamicVal
}

// dataArgument is an argument of a data source, which must be there.
func (e *evaluation) dataArgument(b *hclsyntax.Block, name string) cty.Value {
	a := b.Body.Attributes[name]
	if a == nil {
		e.problems.Addf(pos(b.TypeRange), "data source %q needs %s", b.Labels[0], name)
		return cty.DynamicVal
	}
	return e.value(a.Expr, nil)
}

// uses tells whether an expression names a data source.
func uses(expr hclsyntax.Expression, name string) bool {
	for _, used := range hclsyntax.Variables(expr) {
		if used.RootName() == "data" && strings.HasPrefix(traversal(used)+".", "data."+name+".") {
			return true
		}
	}
	return false
}

// traversal writes a name as the template has it: data.amazon-ami.base.id.
func traversal(t hcl.Traversal) string {
	var parts []string
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			parts = append(parts, s.Name)
		case hcl.TraverseAttr:
			parts = append(parts, s.Name)
		}
	}
	return strings.Join(parts, ".")
}
