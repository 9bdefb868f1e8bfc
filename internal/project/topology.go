package project

import (
	"reflect"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// Topology gives the resources of an environment for its values of variables
// and the given ones, which win: repeated definitions expanded, references
// checked. Without an environment it is the lowest rung of the ladder.
func (p *Project) Topology(environment string, vars map[string]string) (*Topology, error) {
	env, err := p.environmentOrFirst(environment)
	if err != nil {
		return nil, err
	}
	var problems diag.List
	t := p.topology(env, vars, &problems)
	return t, problems.Err()
}

func (p *Project) topology(env *Environment, vars map[string]string, problems *diag.List) *Topology {
	t := &Topology{Environment: env}
	e := &expansion{project: p, env: env, resources: map[string]*Resource{}, indices: map[string][]string{}, definitions: map[string]*definition{}}
	for _, f := range p.definitions {
		if first := e.definitions[f.address()]; f.isIn(env.Name) {
			if first != nil && first.isIn(env.Name) {
				problems.Addf(f.pos, "%s is defined twice: first at %s", f.address(), first.pos)
				continue
			}
			e.definitions[f.address()] = f
			t.Resources = append(t.Resources, e.expand(f, vars, problems)...)
		} else if first == nil {
			e.definitions[f.address()] = f
		}
	}
	e.checkIdentities(t, problems)
	e.checkReferences(t, problems)
	if len(*problems) == 0 && p.vocabulary.CheckTopology != nil {
		*problems = append(*problems, p.vocabulary.CheckTopology(t)...)
	}
	return t
}

// expansion is a topology in the making.
type expansion struct {
	project     *Project
	env         *Environment
	definitions map[string]*definition // by address without index, also those of other environments
	resources   map[string]*Resource   // by address
	indices     map[string][]string    // of repeated definitions, by address
	unknown     map[string]bool        // definitions whose indices are not known because of a problem
}

func (p *Project) topologyScope(env *Environment, vars map[string]string) *scope {
	return &scope{
		project: p.Name, env: env, given: vars, layers: []map[string]string{env.Vars}, strict: true, keepEscapes: true, set: p.environmentsWithout,
	}
}

// expand gives the copies of a definition.
func (e *expansion) expand(f *definition, vars map[string]string, problems *diag.List) []*Resource {
	sc := e.project.topologyScope(e.env, vars)
	if !f.repeated() {
		r := e.project.resource(f, "", sc, problems)
		e.resources[r.Address] = r
		return []*Resource{r}
	}
	d := &decoder{src: f.src, problems: problems, scope: sc}
	before := len(*problems)
	copies := d.copies(f)
	if len(*problems) > before {
		if e.unknown == nil {
			e.unknown = map[string]bool{}
		}
		e.unknown[f.address()] = true
	}
	e.indices[f.address()] = []string{}
	var all []*Resource
	for _, c := range copies {
		own := *sc
		own.locals = c.locals
		r := e.project.resource(f, c.index, &own, problems)
		r.zones = c.zones
		e.indices[f.address()] = append(e.indices[f.address()], c.index)
		e.resources[r.Address] = r
		all = append(all, r)
	}
	return all
}

// repetition is one copy of a repeated definition.
type repetition struct {
	index  string
	locals map[string]*yaml.Node
	zones  int // how many of the region's zones the repetition takes
}

// maxCopies bounds count, so that a slip of the finger does not fill the memory.
const maxCopies = 10_000

func (d *decoder) copies(f *definition) []repetition {
	if f.count != nil {
		count := 0
		d.decode(f.count, reflect.ValueOf(&count).Elem(), countField(), "count")
		if count > maxCopies {
			d.problems.Addf(d.src.at(f.count), "%d is too large: at most %d", count, maxCopies)
			return nil
		}
		var all []repetition
		for i := range max(count, 0) {
			text := strconv.Itoa(i)
			all = append(all, repetition{index: text, locals: map[string]*yaml.Node{"index": scalarNode(text)}})
		}
		return all
	}
	n, ok := d.substitute(f.each)
	if !ok {
		return nil
	}
	if all, ok := d.zones(n); ok {
		return all
	}
	var all []repetition
	add := func(key, value *yaml.Node) {
		if !name.MatchString(key.Value) {
			d.problems.Addf(d.src.at(key), "%s cannot stand in an address: letters, digits, - and _ can", quote(key))
			return
		}
		all = append(all, repetition{index: key.Value, locals: map[string]*yaml.Node{"each.key": scalarNode(key.Value), "each.value": value}})
	}
	switch n.Kind {
	case yaml.MappingNode:
		for _, entry := range d.entries(n) {
			if v, ok := d.settled(entry.value); ok {
				add(follow(entry.key), v)
			}
		}
	case yaml.SequenceNode:
		seen := map[string]bool{}
		for _, c := range n.Content {
			item, ok := d.substitute(follow(c))
			switch {
			case !ok:
			case item.Kind != yaml.ScalarNode:
				d.mismatch(item, "text: a list for each names its copies, a mapping gives them values")
			case seen[item.Value]:
				d.problems.Addf(d.src.at(item), "%q stands in the list twice", item.Value)
			default:
				seen[item.Value] = true
				add(item, item)
			}
		}
	default:
		d.mismatch(n, "a mapping or a list")
	}
	return all
}

// settled is a value with all names in it replaced.
func (d *decoder) settled(n *yaml.Node) (*yaml.Node, bool) {
	n, ok := d.substitute(follow(n))
	if !ok || len(n.Content) == 0 {
		return n, ok
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i := range n.Content {
		part, good := d.settled(n.Content[i])
		c.Content[i], ok = part, ok && good
	}
	return &c, ok
}

func countField() field {
	for _, f := range fieldsOf(reflect.TypeFor[commonKeys]()) {
		if f.key == "count" {
			return f
		}
	}
	return field{}
}

func (e *expansion) checkIdentities(t *Topology, problems *diag.List) {
	first := map[string]*Resource{}
	for _, r := range t.Resources {
		other := first[r.UUID]
		if other == nil {
			first[r.UUID] = r
			continue
		}
		at := r.Pos
		for _, path := range []string{"uuid", "tags.UUID"} {
			if p, ok := r.positions[path]; ok {
				at = p
				break
			}
		}
		hint := ""
		if r.Pos == other.Pos {
			hint = "each copy of a repeated definition needs a UUID of its own: leave it out, or use ${index} or ${each.value}"
		}
		problems.AddHint(at, hint, "%s and %s have the same UUID: the first stands at %s", other.Address, r.Address, other.Pos)
	}
}
