package hcl2

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// use is one source that a build names, with what the build adds to it.
type use struct {
	source *hclsyntax.Block
	extra  *hclsyntax.Block // source "..." {} within the build; nil for a name in sources
	name   string
	at     hcl.Range
}

// images gives what each build makes of each of its sources.
func (e *evaluation) images() []Image {
	var all []Image
	if len(e.t.builds) == 0 {
		e.problems.AddHint(diag.Pos{File: e.t.file}, `build { sources = ["source.amazon-ebs.NAME"] }`, "the template has no build")
	}
	for _, b := range e.t.builds {
		e.checkBuild(b)
		title := ""
		if a := b.Body.Attributes["name"]; a != nil {
			if v := e.value(a.Expr, nil); v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
				title = v.AsString()
			}
		}
		for _, u := range e.uses(b) {
			all = append(all, e.image(b, title, u))
		}
	}
	named := map[string]int{}
	for i := range all {
		named[all[i].Name]++
		if n := named[all[i].Name]; n > 1 { // several builds use the source
			all[i].Name += "-" + strconv.Itoa(n)
		}
	}
	return all
}

var buildBlocks = []string{"provisioner", "post-processor", "post-processors", "source", "error-cleanup-provisioner", "hcp_packer_registry"}

func (e *evaluation) checkBuild(b *hclsyntax.Block) {
	known := []string{"name", "description", "sources"}
	for _, name := range inOrder(b.Body.Attributes) {
		if !slices.Contains(known, name) {
			unknown(e.problems, b.Body.Attributes[name].NameRange, name, append(known, buildBlocks...))
		}
	}
	for _, inner := range b.Body.Blocks {
		switch {
		case inner.Type == "hcp_packer_registry":
			e.t.note("hcp_packer_registry at %s: nothing is sent to HCP", pos(inner.TypeRange))
		case inner.Type == "error-cleanup-provisioner":
			e.problems.AddHint(pos(inner.TypeRange), "a failed bake removes its builder", "error-cleanup-provisioner is not supported")
		case !slices.Contains(buildBlocks, inner.Type) && inner.Type != "dynamic":
			unknown(e.problems, inner.TypeRange, inner.Type, append(known, buildBlocks...))
		}
	}
}

// uses are the sources of a build.
func (e *evaluation) uses(b *hclsyntax.Block) []use {
	var all []use
	if a := b.Body.Attributes["sources"]; a != nil {
		for _, named := range e.sourceNames(a.Expr) {
			if source := e.source(named.text, named.at); source != nil {
				all = append(all, use{source: source, name: source.Labels[1], at: named.at})
			}
		}
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "source" || !labels(inner, 1, e.problems) {
			continue
		}
		source := e.source(inner.Labels[0], inner.LabelRanges[0])
		if source == nil {
			continue
		}
		u := use{source: source, extra: inner, name: source.Labels[1], at: inner.TypeRange}
		if a := inner.Body.Attributes["name"]; a != nil {
			if v := e.value(a.Expr, nil); v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
				u.name = v.AsString()
			}
		}
		all = append(all, u)
	}
	if len(all) == 0 && len(*e.problems) == 0 {
		e.problems.AddHint(pos(b.TypeRange), `sources = ["source.amazon-ebs.NAME"]`, "the build has no source")
	}
	return all
}

type sourceName struct {
	text string
	at   hcl.Range
}

// sourceNames reads `sources`: texts, or names as such.
func (e *evaluation) sourceNames(expr hclsyntax.Expression) []sourceName {
	var names []sourceName
	if tuple, ok := expr.(*hclsyntax.TupleConsExpr); ok {
		for _, item := range tuple.Exprs {
			if t, found := hcl.AbsTraversalForExpr(item); !found.HasErrors() {
				if text := traversal(t); strings.HasPrefix(text, "source.") {
					names = append(names, sourceName{text, item.Range()})
					continue
				}
			}
			if v := e.value(item, nil); v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
				names = append(names, sourceName{v.AsString(), item.Range()})
			}
		}
		return names
	}
	v := e.value(expr, nil)
	if v.IsNull() || !v.IsKnown() || !v.CanIterateElements() {
		return nil
	}
	for it := v.ElementIterator(); it.Next(); {
		if _, item := it.Element(); item.Type() == cty.String && item.IsKnown() && !item.IsNull() {
			names = append(names, sourceName{item.AsString(), expr.Range()})
		}
	}
	return names
}

func (e *evaluation) source(name string, at hcl.Range) *hclsyntax.Block {
	short := strings.TrimPrefix(name, "source.")
	if b := e.t.sources[short]; b != nil {
		return b
	}
	hint := diag.DidYouMean(short, keys(e.t.sources))
	if hint == "" && len(e.t.sources) > 0 {
		hint = "the template has " + strings.Join(keys(e.t.sources), ", ")
	}
	e.problems.AddHint(pos(at), hint, "no source %q", name)
	return nil
}

// notInName is what may not stand in the name of an image.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

func (e *evaluation) image(b *hclsyntax.Block, title string, u use) Image {
	kind := u.source.Labels[0]
	img := Image{Type: kind, Build: u.name, Name: notInName.ReplaceAllString(u.name, "-"), At: pos(u.at)}
	for _, name := range []string{u.name, u.source.Labels[1]} {
		for _, form := range []string{name, kind + "." + name, title + "." + kind + "." + name} {
			if !strings.HasPrefix(form, ".") && !slices.Contains(img.Names, form) {
				img.Names = append(img.Names, form)
			}
		}
	}
	if kind != "amazon-ebs" {
		return img // its keys are another language
	}
	more := map[string]cty.Value{
		"source": cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(u.name), "type": cty.StringVal(kind)}),
	}
	img.Body = e.body(u.source.Body, u.source.TypeRange, more)
	if u.extra != nil {
		override(img.Body, e.body(u.extra.Body, u.extra.TypeRange, more))
	}
	e.standIns(img.Body, img.Body)
	more["build"] = buildValues(title, u.name, kind)
	img.Steps, img.After = nodeAt(yaml.SequenceNode, b.TypeRange), nodeAt(yaml.SequenceNode, b.TypeRange)
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case "provisioner":
			img.Steps.Content = append(img.Steps.Content, e.typed(inner, more)...)
		case "dynamic":
			e.dynamicSteps(inner, more, &img)
		case "post-processor":
			img.After.Content = append(img.After.Content, e.typed(inner, more)...)
		case "post-processors":
			chain := nodeAt(yaml.SequenceNode, inner.TypeRange)
			for _, one := range inner.Body.Blocks {
				chain.Content = append(chain.Content, e.typed(one, more)...)
			}
			img.After.Content = append(img.After.Content, chain)
		}
	}
	e.standIns(img.Body, img.Steps)
	e.standIns(img.Body, img.After)
	return img
}

// typed is a block whose label is its type.
func (e *evaluation) typed(b *hclsyntax.Block, more map[string]cty.Value) []*yaml.Node {
	if !labels(b, 1, e.problems) {
		return nil
	}
	n := e.body(b.Body, b.TypeRange, more)
	n.Content = append([]*yaml.Node{textNode("type", b.LabelRanges[0]), textNode(b.Labels[0], b.LabelRanges[0])}, n.Content...)
	return []*yaml.Node{n}
}

// dynamicSteps carries out dynamic "provisioner": its content's label is the
// type.
func (e *evaluation) dynamicSteps(b *hclsyntax.Block, more map[string]cty.Value, img *Image) {
	if len(b.Labels) != 1 || b.Labels[0] != "provisioner" {
		e.problems.Addf(pos(b.TypeRange), "only provisioners of a build can be dynamic")
		return
	}
	made := e.dynamic(b, more)
	kind := ""
	if a := b.Body.Attributes["labels"]; a != nil {
		if v := e.value(a.Expr, more); v.IsKnown() && v.CanIterateElements() && v.LengthInt() == 1 {
			kind = v.AsValueSlice()[0].AsString()
		}
	}
	for _, n := range made {
		n.Content = append([]*yaml.Node{textNode("type", b.TypeRange), textNode(kind, b.TypeRange)}, n.Content...)
	}
	img.Steps.Content = append(img.Steps.Content, made...)
}

// override puts what a build says of a source in the place of what the source
// says itself.
func override(n, by *yaml.Node) {
	for i := 0; i+1 < len(by.Content); i += 2 {
		key := by.Content[i].Value
		if key == "name" {
			continue
		}
		for j := 0; j+1 < len(n.Content); j += 2 {
			if n.Content[j].Value == key {
				n.Content = append(n.Content[:j], n.Content[j+2:]...)
				break
			}
		}
		n.Content = append(n.Content, by.Content[i], by.Content[i+1])
	}
}

// buildFields are what a provisioner may ask of the build; the bake puts their
// values in.
var buildFields = []string{"ID", "Host", "Port", "User", "Password", "ConnType", "PackerRunUUID", "PackerHTTPAddr", "SSHPublicKey", "SSHPrivateKey", "WinRMPassword", "SourceAMI", "SourceAMIName"}

func buildValues(title, name, kind string) cty.Value {
	set := map[string]cty.Value{"name": cty.StringVal(title), "type": cty.StringVal(kind)}
	for _, field := range buildFields {
		set[field] = cty.StringVal("{{ build `" + field + "` }}")
	}
	return cty.ObjectVal(set)
}

// standIns replaces what stands for a data source: source_ami by the filter that
// it would have looked up, and what is asked of that same image by the bake's
// own words for it.
func (e *evaluation) standIns(body, n *yaml.Node) {
	from := e.startsFrom(body)
	if n == body && from != "" {
		data := e.t.data[from]
		found := e.body(data.Body, data.TypeRange, nil)
		filter := nodeAt(yaml.MappingNode, data.TypeRange)
		for i := 0; i+1 < len(found.Content); i += 2 {
			if !slices.Contains(lookupAccess, found.Content[i].Value) {
				filter.Content = append(filter.Content, found.Content[i], found.Content[i+1])
			}
		}
		for i := 0; i+1 < len(body.Content); i += 2 {
			if body.Content[i].Value == "source_ami" {
				body.Content[i].Value, body.Content[i+1] = "source_ami_filter", filter
				body.LineComment = from
			}
		}
	}
	if held := lookup(body, "source_ami"); n == body && held != nil {
		if name, ok := strings.CutPrefix(held.Value, parameterMark); ok && strings.Index(name, "\x00") == len(name)-1 {
			held.Value = resolveSSM + strings.TrimSuffix(name, "\x00")
		}
	}
	e.replace(n, from)
}

// lookupAccess are the keys of a data source that say where it looks, and as who:
// a bake looks where, and as who, it bakes.
var lookupAccess = []string{
	"region", "access_key", "secret_key", "token", "profile", "shared_credentials_file", "assume_role", "mfa_code",
	"custom_endpoint_ec2", "insecure_skip_tls_verify", "max_retries", "decode_authorization_messages",
	"skip_credential_validation", "skip_metadata_api_check",
}

// startsFrom is the data source whose image the body starts from.
func (e *evaluation) startsFrom(body *yaml.Node) string {
	if body.LineComment != "" {
		return body.LineComment
	}
	if n := lookup(body, "source_ami"); n != nil && strings.HasSuffix(n.Value, " id\x00") {
		return e.lookups[n.Value]
	}
	return ""
}

func (e *evaluation) replace(n *yaml.Node, from string) {
	for _, c := range n.Content {
		e.replace(c, from)
	}
	if !strings.Contains(n.Value, "\x00") {
		return
	}
	for field, word := range dataFields {
		n.Value = strings.ReplaceAll(n.Value, "\x00"+from+" "+field+"\x00", "{{ .SourceAMI"+strings.TrimPrefix(word, "SourceAMI")+" }}")
	}
	if strings.Contains(n.Value, parameterMark) {
		at := diag.Pos{File: n.HeadComment, Line: n.Line, Col: n.Column}
		e.problems.AddHint(at, "give it as a variable: --var", "what a parameter holds can be used only as source_ami")
		n.Value = ""
	}
	if strings.Contains(n.Value, "\x00") {
		at := diag.Pos{File: n.HeadComment, Line: n.Line, Col: n.Column}
		e.problems.AddHint(at, "start from it: source_ami = data.amazon-ami.NAME.id", "a data source can be used only where the source starts from it")
		n.Value = ""
	}
}

func sortBy(names []string, by func(string) int) {
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(by(a), by(b)) })
}
