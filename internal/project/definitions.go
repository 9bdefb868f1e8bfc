package project

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/google/uuid"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/tags"
)

// commonKeys are what every resource of a topology may have beside its kind's
// own keys.
type commonKeys struct {
	Kind         string            `yaml:"kind" doc:"Kind of the resource; by default the name of the folder below topology/."`
	Name         string            `yaml:"name" doc:"Name of the resource; by default that of the file."`
	Environments []string          `yaml:"environments" doc:"The environments that have the resource; by default all."`
	UUID         string            `yaml:"uuid" doc:"Identity of the resource; by default derived from project, environment and address."`
	Tags         map[string]string `yaml:"tags" tags:"true" doc:"Tags of the resource, with the environment's and the project's."`
	Protect      bool              `yaml:"protect" doc:"Never deleted and never replaced: a plan that would do so is refused."`
	Adopt        map[string]any    `yaml:"adopt" doc:"Ties the definition to a resource that exists and that something else made, by its tags, its name or other values that tell it apart. It is changed where the definition says so, and never deleted."`
	Rollout      *Rollout          `yaml:"rollout" doc:"How the instances take up a new build, for kinds that run instances; by default the environment's."`
	Count        int               `yaml:"count" min:"0" doc:"Repeats the definition: NAME[0], NAME[1], ... with ${index}."`
	Each         any               `yaml:"each" doc:"Repeats the definition for every key of a mapping or item of a list: NAME[KEY], with ${each.key} and ${each.value}. {az: zones(2)} takes the region's first two zones, in ${each.az}."`
}

// definition is a resource as it stands in its file, before it is repeated and
// before variables have values.
type definition struct {
	src          *source
	node         *yaml.Node
	pos          diag.Pos
	kind         *Kind
	name         string
	environments []string // nil: all
	count, each  *yaml.Node
	common       []entry // uuid, tags, protect, adopt and rollout
	own          []entry // the kind's keys
}

// address of the definition, without index.
func (f *definition) address() string { return f.kind.Name + "." + f.name }

func (f *definition) repeated() bool { return f.count != nil || f.each != nil }

func (f *definition) isIn(environment string) bool {
	return f.environments == nil || slices.Contains(f.environments, environment)
}

func (p *Project) loadDefinitions() {
	for _, s := range p.readTree("topology") {
		folder := ""
		if parts := strings.Split(s.file, "/"); len(parts) > 2 {
			folder = parts[1]
		}
		if s.broken {
			if k := p.kindOfFolder(folder); k != nil {
				p.lostNames = append(p.lostNames, k.Name+"."+s.base())
			}
		}
		for _, n := range s.docs {
			if f := p.definition(s, follow(n), folder); f != nil {
				p.definitions = append(p.definitions, f)
			} else {
				p.lostNames = append(p.lostNames, "."+nameGiven(s, follow(n)))
			}
		}
	}
}

// nameGiven is the name of a definition that has a problem with its kind.
func nameGiven(s *source, n *yaml.Node) string {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "name" {
			return follow(n.Content[i+1]).Value
		}
	}
	return s.base()
}

// kindOfFolder is the kind that a folder's name is the singular or plural of.
func (p *Project) kindOfFolder(folder string) *Kind {
	folder = strings.ReplaceAll(folder, "-", "_")
	for i, k := range p.vocabulary.Resources {
		if folder == k.Name || folder == plural(k.Name) {
			return &p.vocabulary.Resources[i]
		}
	}
	return nil
}

func plural(word string) string {
	switch {
	case strings.HasSuffix(word, "s"):
		return word + "es"
	case strings.HasSuffix(word, "y") && !strings.HasSuffix(word, "ay") && !strings.HasSuffix(word, "ey"):
		return strings.TrimSuffix(word, "y") + "ies"
	}
	return word + "s"
}

func (p *Project) definition(s *source, n *yaml.Node, folder string) *definition {
	if n.Kind != yaml.MappingNode {
		p.problems.Addf(s.at(n), "expected a mapping, found %s", describe(n))
		return nil
	}
	d := p.decoder(s)
	f := &definition{src: s, node: n, pos: s.at(n)}
	entries := d.entries(n)
	own, common := split(entries, keysOf(fieldsOf(reflect.TypeFor[commonKeys]())))
	if f.kind = p.definitionKind(d, n, common, folder); f.kind == nil {
		return nil
	}
	if f.name = p.definitionName(d, n, common); f.name == "" {
		return nil
	}
	if at := lookup(common, "environments"); at != nil {
		f.environments = p.definitionEnvironments(d, at)
	}
	f.count, f.each = follow(lookup(common, "count")), follow(lookup(common, "each"))
	if f.count != nil && f.each != nil {
		p.problems.Addf(s.at(f.each), "count and each repeat the definition both: give one of them")
		f.count = nil
	}
	_, f.common = split(common, []string{"uuid", "tags", "protect", "adopt", "rollout"})
	// A kind may have a key of its own by the name of a common one.
	kinds := keysOf(fieldsOf(reflect.TypeOf(f.kind.New()).Elem()))
	for _, e := range common {
		if slices.Contains(kinds, follow(e.key).Value) {
			own = append(own, e)
		}
	}
	f.own = own
	return f
}

func (p *Project) definitionKind(d *decoder, n *yaml.Node, common []entry, folder string) *Kind {
	given := follow(lookup(common, "kind"))
	if given == nil {
		k := p.kindOfFolder(folder)
		if k == nil && folder == "" {
			p.problems.AddHint(d.src.at(n), "add the key, or put the file into a folder of the kind's name: topology/subnets/", "missing key %q", "kind")
		} else if k == nil {
			p.problems.AddHint(d.src.at(n), suggestKind(folder, p.vocabulary.Resources), "the folder %q names no kind of resource, and there is no key kind", folder)
		}
		return k
	}
	if given.Kind == yaml.ScalarNode {
		if k := findKind(p.vocabulary.Resources, given.Value); k != nil {
			return k
		}
	}
	p.problems.AddHint(d.src.at(given), suggestKind(given.Value, p.vocabulary.Resources), "no kind of resource is called %s", quote(given))
	return nil
}

func (p *Project) definitionName(d *decoder, n *yaml.Node, common []entry) string {
	given := follow(lookup(common, "name"))
	if given == nil {
		if len(d.src.docs) > 1 {
			p.problems.AddHint(d.src.at(n), "only a file of one document names its resource", "missing key %q", "name")
			return ""
		}
		if !p.named(d.src, "a resource") {
			return ""
		}
		return d.src.base()
	}
	if given.Kind != yaml.ScalarNode || !name.MatchString(given.Value) {
		p.problems.Addf(d.src.at(given), "%s is no name for a resource: letters, digits, - and _ are", quote(given))
		return ""
	}
	return given.Value
}

func (p *Project) definitionEnvironments(d *decoder, n *yaml.Node) []string {
	names := []string{}
	d.positions = map[string]diag.Pos{}
	d.decode(n, reflect.ValueOf(&names).Elem(), field{}, "environments")
	for i, name := range names {
		if p.environments[name] == nil {
			at, ok := d.positions[fmt.Sprintf("environments[%d]", i)]
			if !ok {
				at = d.src.at(n)
			}
			p.problems.AddHint(at, p.suggestEnvironment(name), "no environment %q", name)
		}
	}
	d.positions = nil
	return names
}

// resource decodes one copy of a definition. Its address holds even if the
// rest has problems, so that what refers to it is not reported as well.
func (p *Project) resource(f *definition, index string, sc *scope, problems *diag.List) *Resource {
	r := &Resource{Kind: f.kind.Name, Name: f.name, Index: index, Address: f.address(), Pos: f.pos, positions: map[string]diag.Pos{}}
	if index != "" {
		r.Address += "[" + index + "]"
		r.Counted, r.varying = f.count != nil, f.varying()
	}
	d := &decoder{src: f.src, problems: problems, scope: sc, positions: r.positions}
	r.Spec = f.kind.New()
	d.partial = lookup(f.common, "adopt") != nil
	d.structure(f.pos, f.own, reflect.ValueOf(r.Spec).Elem(), "")

	final := *sc
	final.keepEscapes = false
	d.scope, d.partial = &final, false
	var common commonKeys
	d.structure(f.pos, f.common, reflect.ValueOf(&common).Elem(), "", "adopt", "tags")
	d.scope = sc // in these it still has to be told what is a reference and what is text
	d.structure(f.pos, entriesOf(f.common, "adopt", "tags"), reflect.ValueOf(&common).Elem(), "")
	d.scope = &final
	d.literalTags(common.Tags)
	d.refuseRollout(f, p.vocabulary.Resources)
	d.checkRollout(common.Rollout, r.At("rollout"), "rollout")
	r.Rollout, r.Rolls = common.Rollout, f.kind.Rolls
	var outer map[string]string
	environment := ""
	if sc.env != nil {
		outer, environment = sc.env.Tags, sc.env.Name
	}
	r.Tags = tags.Merge(p.Tags, outer, common.Tags)
	r.UUID = p.identity(d, r, common, environment)
	r.Protect, r.Adopt = common.Protect, d.adoption(r, f.kind, common.Adopt)
	if r.Adopt != nil {
		r.Tags = common.Tags
	}
	return r
}

// literalTags makes tags the text that they stand for, and reports references in
// them: tags are given in the call that makes a resource, and identify it before
// anything else exists.
func (d *decoder) literalTags(set map[string]string) {
	for _, key := range tags.Keys(set) {
		set[key] = rewrite(set[key], true, func(expr string) (string, bool) {
			d.problems.Addf(d.positions[join("tags", key)], "${%s} cannot be used in a tag: only variables can", expr)
			return "", false
		})
	}
}

// identity is the definition's own UUID, or one that follows from where the
// resource stands.
func (p *Project) identity(d *decoder, r *Resource, common commonKeys, environment string) string {
	own, path := common.UUID, "uuid"
	if own == "" {
		own, path = common.Tags["UUID"], "tags.UUID"
	}
	if own == "" {
		return Identity(p.Name, environment, r.Address)
	}
	id, err := uuid.Parse(own)
	if err != nil {
		d.problems.Addf(r.At(path), "%q is no UUID", own)
		return own
	}
	return id.String()
}

// Identity is the UUID of a resource whose definition gives none: version 5, of
// project, environment and address.
func Identity(project, environment, address string) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("goldline:"+project))
	return uuid.NewSHA1(space, []byte(environment+"/"+address)).String()
}

// varying are the keys of a definition that are written with ${index}.
func (f *definition) varying() map[string]bool {
	keys := map[string]bool{}
	for _, e := range f.own {
		if mentions(e.value, "${index}") {
			keys[follow(e.key).Value] = true
		}
	}
	return keys
}

func mentions(n *yaml.Node, text string) bool {
	if n = follow(n); n == nil {
		return false
	}
	if n.Kind == yaml.ScalarNode {
		return strings.Contains(n.Value, text)
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return mentions(c, text) })
}
