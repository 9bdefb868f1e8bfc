package project

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/hcl2"
)

// TemplateOptions say how a template is read that belongs to no project.
type TemplateOptions struct {
	VarFiles []string // paths of files of values; later ones win
	// Only and Except are names of builders, or patterns for them; with Only all
	// others are left out.
	Only, Except []string
	// Vars are values of variables, which win over those of VarFiles: here they
	// count for the names of builders, and Images is given them again.
	Vars map[string]string
	// WorkingDir is where the template's relative paths start, absolute.
	WorkingDir string
}

// Template reads one of Packer's templates, a JSON file, an HCL2 file or a folder
// of them, as a project that holds nothing else: its one environment, named
// template, has neither account nor region. Its problems are a *diag.Error, as
// Load's are; Images gives its recipes.
func Template(file string, v Vocabulary, o TemplateOptions) (*Project, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fail.Inputf("--template %s: %w", file, pathless(err))
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fail.Inputf("--template %s: %w", file, err)
	}
	folder := abs
	if !info.IsDir() {
		folder = filepath.Dir(abs)
	}
	env := &Environment{Name: "template", Vars: map[string]string{}, Pos: diag.Pos{File: filepath.Base(abs)}}
	p := &Project{
		Dir: folder, Name: nameOf(abs), Ladder: []string{env.Name}, vocabulary: v, environments: map[string]*Environment{env.Name: env},
		pipelines: map[string]*source{}, getenv: os.Getenv, workingDir: o.WorkingDir, choice: choose(o.Only, o.Except), alone: true, byName: len(o.Only) > 0, given: o.Vars,
	}
	switch {
	case info.IsDir(), strings.HasSuffix(abs, hclSuffix):
		err = p.loadTemplateHCL(abs, info.IsDir(), o)
	case strings.HasSuffix(abs, ".pkr.json"):
		err = fail.WithHint(fail.Inputf("--template %s: HCL2 in its JSON form is not read", file), "give *.pkr.hcl, or a template in Packer's older JSON form")
	default:
		err = p.loadTemplateJSON(filepath.Base(abs), env, o)
	}
	if err != nil {
		return nil, err
	}
	if len(p.recipes) == 0 && len(p.problems) == 0 {
		p.problems.AddHint(diag.Pos{File: filepath.Base(abs)}, "--only and --except choose among the template's builders", "no builder is chosen")
	}
	return p, p.problems.Err()
}

// Notes say what stands in templates and has no effect, builders that are passed
// over first.
func (p *Project) Notes() []string {
	notes := slices.Clone(p.leftOut)
	seen := map[*hcl2.Template]bool{}
	for _, r := range p.recipes {
		if r.hcl != nil && !seen[r.hcl.parsed] {
			seen[r.hcl.parsed] = true
			notes = append(notes, r.hcl.parsed.Notes...)
		}
	}
	return notes
}

var notInProject = regexp.MustCompile(`[^a-z0-9]+`)

// nameOf is the name that a template's builds are found by.
func nameOf(file string) string {
	base := filepath.Base(file)
	for _, suffix := range []string{hclSuffix, filepath.Ext(base)} {
		base = strings.TrimSuffix(base, suffix)
	}
	if name := strings.Trim(notInProject.ReplaceAllString(strings.ToLower(base), "-"), "-"); name != "" {
		return name
	}
	return "template"
}

// choose tells which builders are wanted, each by any of its names.
func choose(only, except []string) func(names []string) bool {
	matches := func(patterns, names []string) bool {
		for _, pattern := range patterns {
			for _, name := range names {
				if ok, err := path.Match(pattern, name); name == pattern || err == nil && ok {
					return true
				}
			}
		}
		return false
	}
	return func(names []string) bool {
		return (len(only) == 0 || matches(only, names)) && !matches(except, names)
	}
}

func (p *Project) loadTemplateHCL(abs string, folder bool, o TemplateOptions) error {
	files := []string{filepath.Base(abs)}
	if folder {
		if files = p.filesIn("."); len(files) == 0 || !strings.HasSuffix(files[0], hclSuffix) {
			return fail.Inputf("--template %s: the folder holds no *%s", abs, hclSuffix)
		}
	}
	root := "."
	if o.WorkingDir != "" {
		if relative, err := filepath.Rel(o.WorkingDir, p.Dir); err == nil {
			root = filepath.ToSlash(relative)
		}
	}
	t := p.readHCL(files, ".", root)
	for _, name := range o.VarFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			return fail.Inputf("--var-file %s: %w", name, pathless(err))
		}
		t.varFiles = append(t.varFiles, hcl2.File{Name: name, Text: text})
	}
	p.recipes = p.hclRecipes(t, p.choice)
	return nil
}

func (p *Project) loadTemplateJSON(name string, env *Environment, o TemplateOptions) error {
	for _, file := range o.VarFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return fail.Inputf("--var-file %s: %w", file, pathless(err))
		}
		values := map[string]any{}
		if err := json.Unmarshal(text, &values); err != nil {
			return fail.WithHint(fail.Inputf("--var-file %s: %w", file, err), `such as {"region": "eu-central-1"}`)
		}
		for key, value := range values {
			env.Vars[key] = fmt.Sprint(value)
		}
	}
	s := p.readSource(name)
	if n := p.single(s); n != nil {
		p.recipes = p.recipesIn(s, n)
		if len(p.recipes) > 0 {
			p.noteUndeclared(s, n, p.recipes[0].vars, env)
		}
		if len(p.recipes) > 0 && p.recipes[0].builders == nil {
			p.recipes = nil
			p.problems.AddHint(s.at(n), "a recipe of a project is baked by its name: goldline bake NAME", "no template: it has no builders")
		}
	}
	return nil
}
