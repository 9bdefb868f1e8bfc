package project

import (
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/hcl2"
)

// recipe is an image as it stands in its file, before variables have values.
type recipe struct {
	name    string
	src     *source
	body    *yaml.Node // the mapping with the image's keys
	steps   *yaml.Node // provisioners, or nil
	vars    *yaml.Node // variables, or nil
	secrets *yaml.Node // names of sensitive variables, or nil
	about   *yaml.Node // description, or nil
	// builders are the names of a Packer template's builders with those of
	// their images; nil for a recipe of Goldline's own form.
	builders map[string]string
	after    *yaml.Node // post-processors, or nil
	// buildName is what Packer calls the builder.
	buildName string
	// hcl is the HCL2 template that the recipe is the nth image of, and values
	// what that came to.
	hcl    *hclTemplate
	nth    int
	values *hcl2.Result
	// image is what is being decoded from it.
	image *Image
}

// foreignKeys are keys of a recipe that are decoded apart.
var foreignKeys = []string{"post-processors", "post_processors", "provisioners", "variables", "sensitive_variables", "sensitive-variables"}

func (p *Project) loadRecipes() {
	var all []*recipe
	for _, s := range p.readFolder("images") {
		p.named(s, "an image")
		n := p.single(s)
		if n == nil {
			p.lostImages = append(p.lostImages, s.base())
			continue
		}
		all = append(all, p.recipesIn(s, n)...)
	}
	first := map[string]*recipe{}
	for _, r := range append(all, p.loadHCL()...) {
		if other := first[r.name]; other != nil {
			p.problems.Addf(r.src.at(r.body), "image %q is defined twice: first at %s", r.name, other.src.at(other.body))
			continue
		}
		first[r.name] = r
		p.recipes = append(p.recipes, r)
	}
}

func (p *Project) recipesIn(s *source, n *yaml.Node) []*recipe {
	d := p.decoder(s)
	entries := d.entries(n)
	if lookup(entries, "builders") != nil {
		return p.template(d, n, entries)
	}
	r := &recipe{
		name: s.base(), src: s, body: n,
		steps: lookup(entries, "provisioners"), vars: lookup(entries, "variables"), secrets: lookup(entries, "sensitive_variables"),
		after: firstOf(entries, postKeys),
	}
	return []*recipe{r}
}

// ImageNames lists the images by name.
func (p *Project) ImageNames() []string {
	names := make([]string, len(p.recipes))
	for i, r := range p.recipes {
		names[i] = r.name
	}
	sort.Strings(names)
	return names
}

func (p *Project) recipe(name string) *recipe {
	for _, r := range p.recipes {
		if r.name == name {
			return r
		}
	}
	return nil
}

// Images decodes all recipes for an environment's values of variables and the
// given ones, which win. Without an environment it is the lowest rung of the
// ladder. An image comes after the one that it starts from.
func (p *Project) Images(environment string, vars map[string]string) ([]*Image, error) {
	env, err := p.environmentOrFirst(environment)
	if err != nil {
		return nil, err
	}
	var problems diag.List
	images := p.images(env, vars, false, &problems)
	return images, problems.Err()
}

func (p *Project) environmentOrFirst(name string) (*Environment, error) {
	if name == "" && len(p.Ladder) > 0 {
		name = p.Ladder[0]
	}
	return p.Environment(name)
}

// images decodes all recipes. An open scope leaves unknown what has no value.
func (p *Project) images(env *Environment, vars map[string]string, open bool, problems *diag.List) []*Image {
	byName := map[string]*Image{}
	templates := hclValues{done: map[*hclTemplate]*hclOutcome{}}
	for _, r := range p.recipes {
		var own diag.List
		now, lasting, ready := templates.fill(r, p.recipeScope(r, env, vars, open), &own)
		if !ready {
			byName[r.name] = p.bareImage(r)
			*problems = append(*problems, own...)
			continue
		}
		img := p.image(now, p.recipeScope(r, env, vars, open), &own)
		if lasting != nil {
			var said diag.List // the same as before
			img.Lasting = p.image(lasting, p.recipeScope(r, env, vars, open), &said)
		}
		if len(own) == 0 && !open && p.vocabulary.CheckImage != nil {
			own = append(own, p.vocabulary.CheckImage(img)...)
		}
		*problems = append(*problems, own...)
		byName[r.name] = img
	}
	names := p.ImageNames()
	sources := func(name string) []string {
		if img := byName[name]; img != nil && byName[img.SourceImage] != nil {
			return []string{img.SourceImage}
		}
		return nil
	}
	for _, ring := range rings(names, sources) {
		img := byName[ring[0]]
		problems.Addf(img.At("source_image"), "images start from each other in a ring: %s", strings.Join(ring, " -> "))
	}
	var ordered []*Image
	for _, name := range dependencyOrder(names, sources) {
		ordered = append(ordered, byName[name])
	}
	return ordered
}

// bareImage is an image of which only its file is known.
func (p *Project) bareImage(r *recipe) *Image {
	dir := p.workingDir
	if dir == "" {
		dir = filepath.Dir(filepath.Join(p.Dir, filepath.FromSlash(r.src.file)))
	}
	return &Image{Name: r.name, Pos: r.src.at(r.body), File: r.src.file, Dir: dir, positions: map[string]diag.Pos{}, ByArchitecture: map[string]map[string]string{}}
}

// recipeScope is what names stand for in a recipe.
func (p *Project) recipeScope(r *recipe, env *Environment, vars map[string]string, open bool) *scope {
	sc := &scope{project: p.Name, env: env, given: vars, open: open}
	if env != nil {
		sc.layers = []map[string]string{env.Vars}
		sc.set = func(string) []string { return []string{env.Pos.File} }
	}
	sc.text = r.builders != nil // a template is Packer's: ${...} is text there
	sc.keepEscapes = sc.text
	return sc
}

func (p *Project) image(r *recipe, sc *scope, problems *diag.List) *Image {
	img := p.bareImage(r)
	d := &decoder{src: r.src, problems: problems, scope: sc, weak: true, positions: img.positions, byArchitecture: img.ByArchitecture, hidden: map[*yaml.Node]bool{}}
	sc.user = p.userVariables(d, r)
	img.Variables, img.SensitiveVariables = sc.user.resolved()
	if r.values != nil {
		img.Secrets = r.values.Secrets
	}
	d.refused = d.packerKey
	entries := d.entries(r.body)
	skip := foreignKeys
	if r.builders != nil {
		skip = append([]string{"type", "name"}, skip...)
		for _, e := range entries {
			if slices.Contains(foreignKeys, follow(e.key).Value) {
				d.problems.AddHint(d.src.at(e.key), "it belongs beside builders", "unknown key %q", follow(e.key).Value)
			}
		}
	}
	var access []entry
	if p.alone {
		entries, access = split(entries, keysOf(fieldsOf(reflect.TypeFor[Access]())))
	}
	d.commas = r.builders != nil
	d.structure(img.Pos, entries, reflect.ValueOf(img).Elem(), "", skip...)
	d.refused = nil
	img.Access = d.access(img, access)
	d.commas = false
	if r.about != nil {
		d.decode(r.about, reflect.ValueOf(&img.Description).Elem(), field{}, "description")
	}
	r.image = img
	img.Provisioners = p.provisioners(d, r)
	img.PostProcessors = p.postProcessors(d, r)
	img.BuildName = r.buildName
	p.checkSource(img, problems)
	return img
}

func (p *Project) checkSource(img *Image, problems *diag.List) {
	name := img.SourceImage
	if name == "" || p.recipe(name) != nil || slices.Contains(p.lostImages, name) {
		return
	}
	hint := diag.DidYouMean(name, p.ImageNames())
	if strings.HasPrefix(name, "ami-") {
		hint = "an AMI is given with source_ami; source_image names a recipe"
	}
	problems.AddHint(img.At("source_image"), hint, "no image %q: there is no images/%s.yaml", name, name)
}
