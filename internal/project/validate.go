package project

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// checkOpen finds what is wrong whatever values the variables have.
func (p *Project) checkOpen() {
	p.images(nil, nil, true, &p.problems)
	for _, f := range p.definitions {
		sc := &scope{project: p.Name, open: true, strict: true, keepEscapes: true}
		p.resource(f, "", sc, &p.problems)
		d := &decoder{src: f.src, problems: &p.problems, scope: sc}
		if f.count != nil {
			count := 0
			d.decode(f.count, reflect.ValueOf(&count).Elem(), countField(), "count")
		}
		if f.each != nil {
			d.copies(f)
		}
	}
	var pipelines []*Pipeline
	for _, name := range p.PipelineNames() {
		pipelines = append(pipelines, p.pipeline(name, p.pipelines[name], nil, true, &p.problems))
	}
	for _, env := range p.Environments() {
		p.checkRequires(env, pipelines)
	}
}

// Validate reports everything that is wrong with the project for the given
// values of variables: what Load found, all images as they are baked, the
// topology of each environment, all pipelines. Each problem is reported once, also where several
// environments have it.
func (p *Project) Validate(vars map[string]string) error {
	all := append(diag.List(nil), p.problems...)
	if env, err := p.environmentOrFirst(""); err == nil {
		var images diag.List
		p.images(env, vars, false, &images)
		all = append(all, images...)
	}
	for _, env := range p.Environments() {
		var topology diag.List
		p.topology(env, vars, &topology)
		all = append(all, topology...)
	}
	for _, name := range p.PipelineNames() {
		p.pipeline(name, p.pipelines[name], vars, false, &all)
	}
	return once(all).Err()
}

// once leaves out problems that say the same of the same place, though with
// another hint.
func once(all diag.List) diag.List {
	type key struct {
		at      diag.Pos
		message string
	}
	seen := map[key]bool{}
	var unique diag.List
	for _, p := range all {
		k := key{p.Pos, p.Message}
		if !seen[k] {
			seen[k] = true
			unique = append(unique, p)
		}
	}
	return unique
}

// CheckVars refuses given variables that nothing in the project knows: a value
// for a mistyped name would be without effect, and nobody would see it. It is an
// error of the user's input.
func (p *Project) CheckVars(vars map[string]string) error {
	known := p.variables()
	var errs []error
	for _, name := range tags.Keys(vars) {
		if slices.Contains(known, name) {
			continue
		}
		err := fail.Inputf("no definition uses a variable %q", name)
		if hint := diag.DidYouMean(name, known); hint != "" {
			err = fail.WithHint(err, "%s", hint)
		}
		errs = append(errs, err)
	}
	return fail.Join(errs...)
}

var variableUse = regexp.MustCompile("\\$\\{var\\.([A-Za-z0-9_-]+)|\\buser\\s+\\\\?[`\"]([^`\"\\\\]+)")

// variables lists the names of variables that the project gives a value or
// uses, sorted.
func (p *Project) variables() []string {
	names := map[string]bool{}
	note := func(set map[string]string) {
		for k := range set {
			names[k] = true
		}
	}
	for _, env := range p.environments {
		note(env.Vars)
	}
	for _, s := range p.sources {
		for _, m := range variableUse.FindAllStringSubmatch(strings.Join(s.lines, "\n"), -1) {
			names[m[1]+m[2]] = true
		}
	}
	for _, r := range p.recipes {
		if r.hcl != nil {
			for _, name := range r.hcl.parsed.Names() {
				names[name] = true
			}
		}
		if n := follow(r.vars); n != nil {
			for i := 0; i+1 < len(n.Content); i += 2 {
				names[follow(n.Content[i]).Value] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
