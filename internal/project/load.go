package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Project is a folder of definitions, read and parsed. Its methods may be
// called at the same time.
type Project struct {
	Dir    string // absolute
	Name   string
	Ladder []string // the environments that a build climbs, lowest first
	Tags   map[string]string

	vocabulary   Vocabulary
	environments map[string]*Environment
	recipes      []*recipe
	lostImages   []string // named by files that could not be parsed
	definitions  []*definition
	lostNames    []string // the same for resources: addresses, or .NAME where the kind is not known
	pipelines    map[string]*source
	sources      []*source
	problems     diag.List
	getenv       func(string) string
	// Of a template without a project: where its relative paths start, which of
	// its builders are wanted, and those that are passed over.
	workingDir string
	alone      bool // it is a template that belongs to no project
	choice     func(names []string) bool
	byName     bool              // builders are chosen by name, not left out
	given      map[string]string // values of variables, for the names of builders
	leftOut    []string          // warnings: which builders are passed over, which variables nobody gives
}

// rootFile is goldline.yaml.
type rootFile struct {
	Project string            `yaml:"project" required:"true" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" doc:"Name of the project: lower-case letters, digits and hyphens."`
	Ladder  []string          `yaml:"ladder" required:"true" doc:"The environments that a build climbs, lowest first."`
	Tags    map[string]string `yaml:"tags" tags:"everywhere" doc:"Tags on everything that is made."`
}

// name is what images, environments, pipelines and resources may be called:
// their names become parts of addresses, tags and parameter names.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// Load reads and parses the definitions in a folder. Everything that is wrong
// with them and can be told without the values of variables is returned at
// once as a *diag.Error; the project is returned beside it, so that Validate
// can find the rest. The project is nil only if the folder holds none.
func Load(dir string, v Vocabulary) (*Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fail.Inputf("project: %w", err)
	}
	if info, err := os.Stat(filepath.Join(abs, RootFile)); err != nil || info.IsDir() {
		return nil, fail.WithHint(fail.Inputf("no %s in %s", RootFile, abs), "go to a project's folder, or name it with --project DIR")
	}
	p := &Project{
		Dir: abs, vocabulary: v, environments: map[string]*Environment{}, pipelines: map[string]*source{}, getenv: os.Getenv,
	}
	root := p.readSource(RootFile)
	p.loadEnvironments()
	p.loadRoot(root)
	for _, env := range p.Environments() {
		p.checkKeyOfCopies(env)
	}
	p.fillTags(root)
	p.loadRecipes()
	p.loadDefinitions()
	p.loadPipelines()
	p.checkOpen()
	return p, p.problems.Err()
}

// decoder decodes a file outside recipes, topology and pipelines, where names
// stay as they are written.
func (p *Project) decoder(s *source) *decoder {
	return &decoder{src: s, problems: &p.problems, scope: &scope{project: p.Name, later: []string{"var", "environment", "project", "index", "each"}, keepEscapes: true}}
}

// single is the one mapping that a file holds, or nil with the problem
// reported.
func (p *Project) single(s *source) *yaml.Node {
	if s.broken {
		return nil
	}
	if len(s.docs) > 1 {
		p.problems.Addf(s.at(s.docs[1]), "the file holds several documents: only topology may")
	}
	n := follow(s.docs[0])
	if n.Kind != yaml.MappingNode {
		p.problems.Addf(s.at(n), "expected a mapping, found %s", describe(n))
		return nil
	}
	return n
}

func (p *Project) loadRoot(s *source) {
	n := p.single(s)
	if n == nil {
		return
	}
	d := p.decoder(s)
	d.positions = map[string]diag.Pos{}
	var root rootFile
	d.structure(s.at(n), d.entries(n), reflect.ValueOf(&root).Elem(), "")
	p.Name, p.Ladder, p.Tags = root.Project, root.Ladder, root.Tags
	at := func(i int) diag.Pos { return d.positions[fmt.Sprintf("ladder[%d]", i)] }
	if len(p.Ladder) == 0 && d.positions["ladder"] != (diag.Pos{}) {
		p.problems.Addf(d.positions["ladder"], "the ladder has no rung: name at least one environment")
	}
	for i, rung := range p.Ladder {
		if slices.Index(p.Ladder, rung) < i {
			p.problems.Addf(at(i), "environment %q stands on the ladder twice", rung)
		} else if p.environments[rung] == nil {
			p.problems.AddHint(at(i), p.suggestEnvironment(rung), "no environment %q: there is no environments/%s.yaml", rung, rung)
		}
	}
}

func (p *Project) suggestEnvironment(word string) string {
	return diag.DidYouMean(word, p.environmentNames())
}

func (p *Project) environmentNames() []string {
	var names []string
	for _, e := range p.Environments() {
		names = append(names, e.Name)
	}
	return names
}

// environmentsWithout lists the files of the environments that give a variable
// no value: all of them, so that they can be mended at once.
func (p *Project) environmentsWithout(variable string) []string {
	var files []string
	for _, e := range p.Environments() {
		if _, ok := e.Vars[variable]; !ok {
			files = append(files, e.Pos.File)
		}
	}
	return files
}

// named checks the name that a file gives to what it defines.
func (p *Project) named(s *source, what string) bool {
	if name.MatchString(s.base()) {
		return true
	}
	p.problems.Addf(s.whole(), "%q is no name for %s: letters, digits, - and _ are, starting with a letter or digit", s.base(), what)
	return false
}

func (p *Project) loadEnvironments() {
	files := map[string]*source{}
	for _, s := range p.readFolder("environments") {
		env := &Environment{Name: s.base(), Pos: s.whole()}
		if first := files[env.Name]; first != nil {
			p.problems.Addf(s.whole(), "environment %q is defined twice: first in %s", env.Name, first.file)
			continue
		}
		files[env.Name] = s
		p.named(s, "an environment")
		p.environments[env.Name] = env
		n := p.single(s)
		if n == nil {
			continue
		}
		d := p.decoder(s)
		d.positions = map[string]diag.Pos{}
		d.structure(s.at(n), d.entries(n), reflect.ValueOf(env).Elem(), "")
		d.checkRollout(env.Rollout, env.Pos, "rollout")
		env.positions = d.positions
		env.src = s
		p.checkRegions(env)
	}
}

// fillTags replaces the names in the tags of the project and the environments.
// They hold for whatever is made, so they cannot follow a variable.
func (p *Project) fillTags(root *source) {
	fill := func(s *source, set map[string]string, sc *scope) {
		for _, key := range tags.Keys(set) {
			set[key] = rewrite(set[key], true, func(expr string) (string, bool) {
				m := sc.mean(expr)
				if m.outcome == found {
					return m.node.Value, true
				}
				at := s.locate(diag.Pos{File: s.file, Line: 1, Col: 1}, "${"+expr+"}", 0)
				p.problems.AddHint(at, m.hint, "${%s} cannot be used in tags of everything", expr)
				return "", false
			})
		}
	}
	fill(root, p.Tags, &scope{project: p.Name, later: []string{"var", "environment"}})
	for _, env := range p.Environments() {
		if env.src != nil {
			fill(env.src, env.Tags, &scope{project: p.Name, env: env, later: []string{"var"}})
		}
	}
}

// Environments lists the environments: those on the ladder in its order, then
// the others by name.
func (p *Project) Environments() []*Environment {
	var all []*Environment
	for i, rung := range p.Ladder {
		if env := p.environments[rung]; env != nil && slices.Index(p.Ladder, rung) == i {
			all = append(all, env)
		}
	}
	var others []*Environment
	for _, env := range p.environments {
		if !slices.Contains(p.Ladder, env.Name) {
			others = append(others, env)
		}
	}
	sort.Slice(others, func(i, j int) bool { return others[i].Name < others[j].Name })
	return append(all, others...)
}

// Environment is the environment of a name. One that does not exist is an
// error of the user's input.
func (p *Project) Environment(name string) (*Environment, error) {
	if env := p.environments[name]; env != nil {
		return env, nil
	}
	err := fail.Inputf("no environment %q in project %s", name, p.Name)
	if hint := p.suggestEnvironment(name); hint != "" {
		return nil, fail.WithHint(err, "%s", hint)
	}
	return nil, fail.WithHint(err, "add environments/%s.yaml", name)
}

// Read gives the contents of a file that a position names, for
// diag.Error.Render.
func (p *Project) Read(file string) ([]byte, error) {
	path := filepath.FromSlash(file)
	if !filepath.IsLocal(path) {
		return nil, errors.New("the file is not the project's")
	}
	return os.ReadFile(filepath.Join(p.Dir, path))
}
