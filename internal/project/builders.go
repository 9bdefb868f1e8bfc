package project

import (
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

const ebs = "amazon-ebs"

// builder is one of a JSON template's builders.
type builder struct {
	body    *yaml.Node
	entries []entry
	// kind is its type, and title what Packer calls it: its name, by default its
	// type.
	kind, title string
	wanted      bool
}

// builders reads a template's builders, and tells which of them are wanted.
func (p *Project) builders(d *decoder, list *yaml.Node, entries []entry) []builder {
	titles := p.titles(d, entries)
	var all []builder
	var kinds []string
	for _, c := range list.Content {
		body := follow(c)
		if body.Kind != yaml.MappingNode {
			d.mismatch(body, "a mapping")
			continue
		}
		b := builder{body: body, entries: d.entries(body)}
		if kind := follow(lookup(b.entries, "type")); kind != nil {
			b.kind, b.title = kind.Value, kind.Value
		}
		if named := follow(lookup(b.entries, "name")); named != nil && !asksForNothing(named) {
			title, ok := titles.text(d, named)
			if !ok {
				continue
			}
			b.title = title
		}
		if b.wanted = p.choice == nil || p.choice([]string{b.title}); b.wanted {
			kinds = append(kinds, b.kind)
		}
		all = append(all, b)
	}
	for i, b := range all {
		if b.wanted && p.passesOver(b.kind, kinds) {
			all[i].wanted = false
			p.leaveOut(d.src.at(b.body), b.title, b.kind)
		}
	}
	return all
}

// passesOver tells whether a builder is left out that Goldline has none for. In
// a template without a project it is, where there is something else to bake and
// nobody asked for it by name.
func (p *Project) passesOver(kind string, wanted []string) bool {
	if !p.alone || p.byName || kind == "" || kind == ebs {
		return false
	}
	for _, other := range wanted {
		if other == ebs {
			return true
		}
	}
	return false
}

// leaveOut notes that a builder is passed over.
func (p *Project) leaveOut(at diag.Pos, title, kind string) {
	text := fmt.Sprintf("warning: %s: builder %q is left out: it is of %s, and only %s is supported", at, title, kind, ebs)
	if title == kind {
		text = fmt.Sprintf("warning: %s: builder %q is left out: only %s is supported", at, kind, ebs)
	}
	p.leftOut = append(p.leftOut, text)
}

// refused tells whether a builder is of a kind that Goldline has none for, and
// reports it.
func (p *Project) refused(d *decoder, b builder) bool {
	kind := follow(lookup(b.entries, "type"))
	switch {
	case kind == nil:
		p.problems.AddHint(d.src.at(b.body), "type: "+ebs, "missing key %q", "type")
	case kind.Kind != yaml.ScalarNode || kind.Value != ebs:
		p.problems.AddHint(d.src.at(kind), onlyEBS(p.choice != nil), "no builder %s", quote(kind))
	default:
		return false
	}
	return true
}

// onlyEBS is the hint for a builder of another kind; builders of a template
// without a project can be left out.
func onlyEBS(choice bool) string {
	if choice {
		return "only amazon-ebs is supported; --only NAME or --except NAME leaves it out"
	}
	return "only amazon-ebs is supported"
}

// titles gives the names of builders, in which Packer allows user variables.
// They name images, which are the same in all environments: besides the
// defaults, only a template without a project has values at that time.
type titles struct {
	user  *userVariables
	scope *scope
}

func (p *Project) titles(d *decoder, entries []entry) titles {
	var env *Environment
	if p.alone {
		env = p.environments[p.Ladder[0]]
	}
	r := &recipe{src: d.src, builders: map[string]string{}, vars: lookup(entries, "variables"), secrets: lookup(entries, "sensitive-variables")}
	t := titles{scope: p.recipeScope(r, env, p.given, true)}
	var said diag.List // it is said again where the recipes are decoded
	own := decoder{src: d.src, problems: &said, scope: t.scope, weak: true, positions: map[string]diag.Pos{}, hidden: map[*yaml.Node]bool{}}
	t.user = p.userVariables(&own, r)
	return t
}

// text is a name with the values of variables in it.
func (t titles) text(d *decoder, n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.mismatch(n, "text")
		return "", false
	}
	if t.user.shows(n.Value) {
		d.problems.Addf(d.src.at(n), "a builder's name is shown everywhere, and holds a sensitive variable")
		return "", false
	}
	before := len(*d.problems)
	own := *d
	own.scope = t.scope
	text, ok := t.user.expand(&own, n, n.Value)
	if !ok && len(*d.problems) == before {
		d.problems.AddHint(d.src.at(n), "give the variable a default in the template, or a value by --var or --var-file with --template",
			"a variable in the builder's name %s has no value", quote(n))
	}
	return text, ok
}

// notInImage is what may not stand in the name of an image.
var notInImage = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// imageName is the name of the image that a builder makes.
func (p *Project) imageName(d *decoder, b builder) (string, bool) {
	image := notInImage.ReplaceAllString(b.title, "-")
	if !name.MatchString(image) {
		at := follow(lookup(b.entries, "name"))
		p.problems.Addf(d.src.at(at), "%s is no name for an image: it begins with a letter or a digit", quote(at))
		return "", false
	}
	return image, true
}
