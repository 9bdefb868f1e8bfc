package hcl2

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"
)

func nodeAt(kind yaml.Kind, r hcl.Range) *yaml.Node {
	return &yaml.Node{Kind: kind, Line: r.Start.Line, Column: r.Start.Column, HeadComment: r.Filename}
}

func textNode(text string, r hcl.Range) *yaml.Node {
	n := nodeAt(yaml.ScalarNode, r)
	n.Value, n.Tag, n.Style = text, "!!str", yaml.DoubleQuotedStyle
	return n
}

// put adds a key to a mapping. What has no value is left out, as Packer takes
// null for a key that is not given.
func put(n *yaml.Node, key string, at hcl.Range, value *yaml.Node) {
	if value != nil {
		n.Content = append(n.Content, textNode(key, at), value)
	}
}

// node is a value as the tree has it, with the positions of the expression that
// it comes from. It is nil for null, and for what is not known.
func (e *evaluation) node(expr hclsyntax.Expression, v cty.Value, more map[string]cty.Value) *yaml.Node {
	if v.IsNull() || !v.IsKnown() {
		return nil
	}
	if wrapped, ok := expr.(*hclsyntax.ParenthesesExpr); ok {
		expr = wrapped.Expression
	}
	kind := v.Type()
	switch {
	case kind == cty.String:
		return textNode(v.AsString(), expr.Range())
	case kind == cty.Number:
		n := nodeAt(yaml.ScalarNode, expr.Range())
		n.Value, n.Tag = v.AsBigFloat().Text('f', -1), "!!float"
		if v.AsBigFloat().IsInt() {
			n.Tag = "!!int"
		}
		return n
	case kind == cty.Bool:
		n := nodeAt(yaml.ScalarNode, expr.Range())
		n.Value, n.Tag = "false", "!!bool"
		if v.True() {
			n.Value = "true"
		}
		return n
	case kind.IsListType() || kind.IsTupleType() || kind.IsSetType():
		return e.listNode(expr, v, more)
	case kind.IsMapType() || kind.IsObjectType():
		return e.mapNode(expr, v, more)
	}
	return nil
}

func (e *evaluation) listNode(expr hclsyntax.Expression, v cty.Value, more map[string]cty.Value) *yaml.Node {
	n := nodeAt(yaml.SequenceNode, expr.Range())
	written, _ := expr.(*hclsyntax.TupleConsExpr)
	i := 0
	for it := v.ElementIterator(); it.Next(); i++ {
		_, item := it.Element()
		from := expr
		if written != nil && i < len(written.Exprs) {
			from = written.Exprs[i]
		}
		if child := e.node(from, item, more); child != nil {
			n.Content = append(n.Content, child)
		}
	}
	return n
}

func (e *evaluation) mapNode(expr hclsyntax.Expression, v cty.Value, more map[string]cty.Value) *yaml.Node {
	n := nodeAt(yaml.MappingNode, expr.Range())
	from := map[string]hclsyntax.ObjectConsItem{}
	if written, ok := expr.(*hclsyntax.ObjectConsExpr); ok {
		for _, item := range written.Items {
			if key, found := item.KeyExpr.Value(e.context(item.KeyExpr, more)); !found.HasErrors() && key.Type() == cty.String && key.IsKnown() && !key.IsNull() {
				from[key.AsString()] = item
			}
		}
	}
	for it := v.ElementIterator(); it.Next(); {
		key, item := it.Element()
		name := key.AsString()
		if written, ok := from[name]; ok {
			put(n, name, written.KeyExpr.Range(), e.node(written.ValueExpr, item, more))
		} else {
			put(n, name, expr.Range(), e.node(expr, item, more))
		}
	}
	return n
}

// body is what a block says: its attributes, and its blocks as mappings, those
// of one type as a list where there are several.
func (e *evaluation) body(b *hclsyntax.Body, at hcl.Range, more map[string]cty.Value) *yaml.Node {
	n := nodeAt(yaml.MappingNode, at)
	for _, name := range inOrder(b.Attributes) {
		a := b.Attributes[name]
		put(n, name, a.NameRange, e.node(a.Expr, e.value(a.Expr, more), more))
	}
	blocks := map[string][]*yaml.Node{}
	var order []*hclsyntax.Block
	for _, block := range b.Blocks {
		kind := block.Type
		var made []*yaml.Node
		if kind == "dynamic" && len(block.Labels) == 1 {
			kind = block.Labels[0]
			made = e.dynamic(block, more)
		} else {
			made = []*yaml.Node{e.body(block.Body, block.TypeRange, more)}
		}
		if _, seen := blocks[kind]; !seen {
			order = append(order, block)
		}
		blocks[kind] = append(blocks[kind], made...)
	}
	for _, block := range order {
		kind := block.Type
		if kind == "dynamic" && len(block.Labels) == 1 {
			kind = block.Labels[0]
		}
		e.putBlocks(n, kind, block.TypeRange, blocks[kind])
	}
	return n
}

func (e *evaluation) putBlocks(n *yaml.Node, kind string, at hcl.Range, made []*yaml.Node) {
	switch {
	case len(made) == 0:
	case pairs[kind] != "":
		into := lookup(n, pairs[kind])
		if into == nil {
			into = nodeAt(yaml.MappingNode, at)
			put(n, pairs[kind], at, into)
		}
		for _, m := range made {
			if key, value := lookup(m, "key"), lookup(m, "value"); key != nil && value != nil {
				into.Content = append(into.Content, key, value)
			}
		}
	case len(made) == 1:
		put(n, kind, at, made[0])
	default:
		all := nodeAt(yaml.SequenceNode, at)
		all.Content = made
		put(n, kind, at, all)
	}
}

// pairs are blocks of key and value, with the mapping that they are another
// way to write.
var pairs = map[string]string{
	"tag": "tags", "run_tag": "run_tags", "run_volume_tag": "run_volume_tags", "snapshot_tag": "snapshot_tags", "spot_tag": "spot_tags",
	"fleet_tag": "fleet_tags", "filter": "filters",
}

// dynamic gives the blocks that a dynamic one stands for.
func (e *evaluation) dynamic(block *hclsyntax.Block, more map[string]cty.Value) []*yaml.Node {
	over, content := block.Body.Attributes["for_each"], (*hclsyntax.Block)(nil)
	for _, inner := range block.Body.Blocks {
		if inner.Type == "content" {
			content = inner
		}
	}
	if over == nil || content == nil {
		e.problems.Addf(pos(block.TypeRange), "a dynamic block needs for_each and content")
		return nil
	}
	iterator := block.Labels[0]
	if a := block.Body.Attributes["iterator"]; a != nil {
		iterator = hcl.ExprAsKeyword(a.Expr)
	}
	all := e.value(over.Expr, more)
	if all.IsNull() || !all.IsKnown() {
		return nil
	}
	if !all.CanIterateElements() {
		e.problems.Addf(pos(over.Expr.Range()), "for_each goes over a list, a set or a map, found %s", all.Type().FriendlyName())
		return nil
	}
	var made []*yaml.Node
	for it := all.ElementIterator(); it.Next(); {
		key, value := it.Element()
		within := map[string]cty.Value{}
		for name, v := range more {
			within[name] = v
		}
		within[iterator] = cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})
		made = append(made, e.body(content.Body, content.TypeRange, within))
	}
	return made
}

// inOrder are the names of attributes as they are written.
func inOrder(set hclsyntax.Attributes) []string {
	names := keys(set)
	sortBy(names, func(name string) int { return set[name].NameRange.Start.Byte })
	return names
}

func lookup(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
