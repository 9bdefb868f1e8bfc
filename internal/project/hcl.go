package project

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/hcl2"
)

// hclTemplate is one of Packer's HCL2 templates: a file or a folder.
type hclTemplate struct {
	parsed   *hcl2.Template
	src      *source
	dir      string // absolute: where its files lie
	root     string // what path.root says
	varFiles []hcl2.File
	http     hcl2.HTTP // one for all evaluations, so that they agree
}

// hclSuffix is the end of the name of a template's file.
const hclSuffix = ".pkr.hcl"

// isHCL tells whether a file belongs to a template of a folder.
func isHCL(name string) bool {
	return strings.HasSuffix(name, hclSuffix) || strings.HasSuffix(name, ".auto.pkrvars.hcl") || strings.HasSuffix(name, ".auto.pkrvars.json")
}

// readHCL reads a template's files, whose names are relative to the project's
// folder.
func (p *Project) readHCL(files []string, folder, root string) *hclTemplate {
	t := &hclTemplate{dir: filepath.Join(p.Dir, filepath.FromSlash(folder)), root: root, src: &source{dir: p.Dir, file: files[0], hcl: true}}
	var read []hcl2.File
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(name)))
		if err != nil {
			p.problems.Addf(diag.Pos{File: name}, "cannot be read: %v", pathless(err))
			continue
		}
		read = append(read, hcl2.File{Name: name, Text: text})
	}
	parsed, problems := hcl2.Parse(read)
	p.problems = append(p.problems, problems...)
	t.src.broken = len(problems) > 0
	t.parsed = parsed
	return t
}

// filesIn lists the files of the template that a folder holds.
func (p *Project) filesIn(folder string) []string {
	entries, err := os.ReadDir(filepath.Join(p.Dir, filepath.FromSlash(folder)))
	if err != nil {
		return nil
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && isHCL(e.Name()) {
			files = append(files, path.Join(folder, e.Name()))
		}
	}
	// What gives values comes last, so that the first file is the template's.
	slices.SortStableFunc(files, func(a, b string) int {
		switch av, bv := strings.Contains(a, ".auto.pkrvars."), strings.Contains(b, ".auto.pkrvars."); {
		case av == bv:
			return strings.Compare(a, b)
		case av:
			return 1
		}
		return -1
	})
	return files
}

// loadHCL reads the templates among the project's recipes: files of images/, and
// folders of it.
func (p *Project) loadHCL() []*recipe {
	entries, err := os.ReadDir(filepath.Join(p.Dir, "images"))
	if err != nil {
		return nil // readFolder has reported it
	}
	var all []*recipe
	for _, e := range entries {
		switch name := "images/" + e.Name(); {
		case e.IsDir():
			if files := p.filesIn(name); len(files) > 0 && strings.HasSuffix(files[0], hclSuffix) {
				all = append(all, p.hclRecipes(p.readHCL(files, name, "."), nil)...)
			}
		case strings.HasSuffix(name, hclSuffix):
			all = append(all, p.hclRecipes(p.readHCL([]string{name}, "images", "."), nil)...)
		}
	}
	return all
}

// hclRecipes gives the recipes of a template: one for each source of a build.
// Sources of another kind than amazon-ebs are passed over, or refused where they
// are chosen.
func (p *Project) hclRecipes(t *hclTemplate, choice func(names []string) bool) []*recipe {
	if t.src.broken {
		return nil
	}
	found, problems := t.evaluate(hcl2.Input{Open: true}, time.Now())
	if len(problems) > 0 {
		p.problems = append(p.problems, problems...)
		return nil
	}
	names := map[string]string{}
	var kinds []string
	for _, img := range found.Images {
		if choice == nil || choice(img.Names) {
			kinds = append(kinds, img.Type)
		}
		for _, n := range img.Names {
			if _, taken := names[n]; !taken {
				names[n] = img.Name
			}
		}
	}
	var all []*recipe
	for i, img := range found.Images {
		switch {
		case choice != nil && !choice(img.Names):
			continue
		case p.passesOver(img.Type, kinds):
			p.leaveOut(img.At, img.Build, img.Type)
			continue
		case img.Type != ebs:
			p.problems.AddHint(img.At, onlyEBS(choice != nil), "no builder %q", img.Type)
			continue
		}
		all = append(all, &recipe{name: img.Name, src: t.src, body: img.Body, builders: names, hcl: t, nth: i, buildName: img.Build})
	}
	return all
}

// evaluate evaluates the template as if the time were now.
func (t *hclTemplate) evaluate(in hcl2.Input, now time.Time) (hcl2.Result, diag.List) {
	in.VarFiles, in.Dir, in.Root, in.Now, in.HTTP = t.varFiles, t.dir, t.root, now, &t.http
	if in.Getenv == nil {
		in.Getenv = os.Getenv
	}
	if in.UUID == nil {
		in.UUID = uuid.NewString
	}
	in.Environ = os.Environ()
	return t.parsed.Evaluate(in)
}

// hclValues evaluates each template once for all recipes in it.
type hclValues struct {
	done map[*hclTemplate]*hclOutcome
}

type hclOutcome struct {
	now, lasting hcl2.Result
	right        bool
}

// fill gives a recipe what its template comes to for the values of variables,
// and the same with the time standing still, for what must not follow it. Without
// values, or with problems, which are reported once, it is not ready.
func (h *hclValues) fill(r *recipe, sc *scope, problems *diag.List) (now, lasting *recipe, ready bool) {
	if r.hcl == nil {
		return r, nil, true
	}
	outcome := h.done[r.hcl]
	if outcome == nil {
		outcome = &hclOutcome{}
		h.done[r.hcl] = outcome
		in := hcl2.Input{Vars: map[string]string{}, Open: sc.open}
		for _, name := range r.hcl.parsed.Names() {
			if m := sc.variable(name, nil); m.outcome == found {
				in.Vars[name] = m.node.Value
			}
		}
		var wrong diag.List
		outcome.now, wrong = r.hcl.evaluate(in, time.Now())
		*problems = append(*problems, wrong...)
		in.UUID = func() string { return uuid.Nil.String() }
		outcome.lasting, _ = r.hcl.evaluate(in, time.Unix(0, 0))
		outcome.right = len(wrong) == 0 && !sc.open && len(outcome.now.Images) == len(outcome.lasting.Images)
	}
	if !outcome.right || r.nth >= len(outcome.now.Images) {
		return r, nil, false
	}
	return r.with(outcome.now), r.with(outcome.lasting), true
}

// with is the recipe with the nodes of a result.
func (r *recipe) with(result hcl2.Result) *recipe {
	c, img := *r, result.Images[r.nth]
	c.body, c.steps, c.after, c.values = img.Body, img.Steps, img.After, &result
	return &c
}
