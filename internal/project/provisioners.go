package project

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/hcl2"
)

// stepKeys are what every provisioner may have beside its kind's own keys.
type stepKeys struct {
	Type        string   `yaml:"type" required:"true" doc:"The kind of provisioner."`
	PauseBefore Duration `yaml:"pause_before" doc:"Time to wait before it starts."`
	MaxRetries  int      `yaml:"max_retries" min:"0" doc:"How often it is tried again after a failure."`
	Timeout     Duration `yaml:"timeout" doc:"Time that it may take."`
	Only        []string `yaml:"only" doc:"Images that it is for; by default all of the file."`
	Except      []string `yaml:"except" doc:"Images of the file that it is not for."`
	Cache       *bool    `yaml:"cache" doc:"Whether an image is kept after it, in a recipe with cache: steps; by default where it took as long as cache_after says."`
}

// provisioners decodes the steps that are for this image.
func (p *Project) provisioners(d *decoder, r *recipe) []*Provisioner {
	if r.steps == nil {
		return nil
	}
	n := follow(r.steps)
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, "a list")
		return nil
	}
	var steps []*Provisioner
	for i, c := range n.Content {
		at := fmt.Sprintf("provisioners[%d]", i)
		c = follow(c)
		d.note(at, d.src.at(c))
		if c.Kind != yaml.MappingNode {
			d.mismatch(c, "a mapping")
			continue
		}
		if step := p.provisioner(d, r, c); step != nil && step.isFor(r.name) {
			for path, pos := range step.positions {
				d.positions[at+"."+path] = pos
			}
			steps = append(steps, step)
		}
	}
	return steps
}

func (p *Provisioner) isFor(image string) bool {
	if len(p.Only) > 0 && !slices.Contains(p.Only, image) {
		return false
	}
	return !slices.Contains(p.Except, image)
}

func (p *Project) provisioner(d *decoder, r *recipe, n *yaml.Node) *Provisioner {
	return p.step(d, r, n, d.entries(n), p.vocabulary.Provisioners, provisionerStep)
}

// provisionerStep is what a provisioner is called in messages.
const provisionerStep = "provisioner"

// Foreign is a provisioner of a type that Provisioners does not list.
type Foreign struct {
	Type string
	// Options are as they were written, with variables resolved.
	Options map[string]any
	// Image is the recipe, of which keys and variables are known.
	Image *Image
	// Required are the plugins that an HCL2 template requires, by its names for
	// them.
	Required map[string]RequiredPlugin
}

// RequiredPlugin is one of a template's required_plugins.
type RequiredPlugin = hcl2.Plugin

// foreign decodes a step of another type than those that are known.
func (d *decoder) foreign(p *Project, r *recipe, step *Provisioner, own []entry) bool {
	f := Foreign{Type: step.Type, Options: map[string]any{}, Image: r.image}
	for _, e := range own {
		key := follow(e.key).Value
		d.note(key, d.where(e))
		var value any
		d.decode(e.value, reflect.ValueOf(&value).Elem(), field{}, key)
		f.Options[key] = value
	}
	if r.hcl != nil {
		f.Required = r.hcl.parsed.Plugins
	}
	options, err := p.vocabulary.Foreign(f)
	if err != nil {
		if hint := diag.DidYouMean(step.Type, kindNames(p.vocabulary.Provisioners)); hint != "" {
			d.problems.AddHint(step.At("type"), hint, "no provisioner %q", step.Type) // a slip, not a plugin
			return false
		}
		d.problems.AddHint(step.At("type"), strings.Join(fail.Hints(err), "; "), "no provisioner %q: %v", step.Type, err)
		return false
	}
	step.Options = options
	return true
}

// step decodes one provisioner or post-processor from the entries of its node.
func (p *Project) step(outer *decoder, r *recipe, n *yaml.Node, entries []entry, kinds []Kind, what string) *Provisioner {
	d := *outer
	d.positions = map[string]diag.Pos{}
	step := &Provisioner{Pos: d.src.at(n), positions: d.positions}

	common := reflect.TypeFor[stepKeys]()
	var keys stepKeys
	own, shared := split(entries, keysOf(fieldsOf(common)))
	own = d.override(r, own, &shared)
	d.structure(step.Pos, shared, reflect.ValueOf(&keys).Elem(), "")
	step.Type, step.PauseBefore, step.MaxRetries, step.Timeout = keys.Type, keys.PauseBefore, keys.MaxRetries, keys.Timeout
	step.Cache = keys.Cache
	step.Only = d.imagesOf(r, keys.Only, "only")
	step.Except = d.imagesOf(r, keys.Except, "except")

	kind := findKind(kinds, keys.Type)
	switch {
	case kind == nil && keys.Type == "":
		return nil
	case kind == nil && !step.isFor(r.name): // another builder's, for which it is looked at again
		return nil
	case kind == nil && what == provisionerStep && p.vocabulary.Foreign != nil:
		if !d.foreign(p, r, step, own) {
			return nil
		}
		return step
	case kind == nil:
		d.problems.AddHint(step.At("type"), suggestKind(keys.Type, kinds), "no %s %q", what, keys.Type)
		return nil
	}
	step.Options = kind.New()
	d.structure(step.Pos, own, reflect.ValueOf(step.Options).Elem(), "")
	return step
}

// split divides entries into those with one of the keys and the others.
func split(entries []entry, keys []string) (others, with []entry) {
	for _, e := range entries {
		if slices.Contains(keys, follow(e.key).Value) {
			with = append(with, e)
		} else {
			others = append(others, e)
		}
	}
	return others, with
}

// override takes the key of that name out of a provisioner's own keys and puts
// what it says for this image in their places.
func (d *decoder) override(r *recipe, own []entry, shared *[]entry) []entry {
	var kept []entry
	var overrides *yaml.Node
	for _, e := range own {
		if follow(e.key).Value == "override" {
			overrides = follow(e.value)
		} else {
			kept = append(kept, e)
		}
	}
	if overrides == nil {
		return kept
	}
	if overrides.Kind != yaml.MappingNode {
		d.mismatch(overrides, "a mapping from names of images to options")
		return kept
	}
	for _, e := range d.entries(overrides) {
		d.note("override", d.src.at(e.key))
		names := d.imagesOf(r, []string{follow(e.key).Value}, "override")
		options := follow(e.value)
		if options.Kind != yaml.MappingNode {
			d.mismatch(options, "a mapping")
			continue
		}
		if !slices.Contains(names, r.name) {
			continue
		}
		common := keysOf(fieldsOf(reflect.TypeFor[stepKeys]()))
		for _, o := range d.entries(options) {
			key := follow(o.key).Value
			into := &kept
			if slices.Contains(common, key) {
				into = shared
			}
			*into = slices.DeleteFunc(*into, func(e entry) bool { return follow(e.key).Value == key })
			*into = append(*into, o)
		}
	}
	return kept
}

// imagesOf gives the images that a file's own names stand for: those of a
// template's builders, or the recipe's.
func (d *decoder) imagesOf(r *recipe, names []string, key string) []string {
	known := map[string]string{r.name: r.name}
	for builder, image := range r.builders {
		known[builder] = image
	}
	var images []string
	for i, n := range names {
		image, ok := known[n]
		if !ok {
			at, ok := d.positions[fmt.Sprintf("%s[%d]", key, i)]
			if !ok {
				at = d.positions[key]
			}
			if at == (diag.Pos{}) {
				at = d.src.at(r.steps)
			}
			all := make([]string, 0, len(known))
			for k := range known {
				all = append(all, k)
			}
			slices.Sort(all)
			hint := diag.DidYouMean(n, all)
			if hint == "" {
				hint = "the file defines " + oneOf(all)
			}
			d.problems.AddHint(at, hint, "no image %q in this file", n)
			continue
		}
		images = append(images, image)
	}
	return images
}

func findKind(kinds []Kind, name string) *Kind {
	for i := range kinds {
		if kinds[i].Name == name {
			return &kinds[i]
		}
	}
	return nil
}

// suggestKind says what a word that names no kind may mean.
func suggestKind(word string, kinds []Kind) string {
	if hint := diag.DidYouMean(word, kindNames(kinds)); hint != "" || len(kinds) == 0 {
		return hint
	}
	return "known: " + oneOf(kindNames(kinds))
}

func kindNames(kinds []Kind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	slices.Sort(names)
	return names
}
