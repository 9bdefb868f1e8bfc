package project

import (
	"reflect"

	"github.com/goldline-dev/goldline/internal/diag"
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
	for _, name := range p.PipelineNames() {
		p.pipeline(name, p.pipelines[name], nil, true, &p.problems)
	}
}

// Validate reports everything that is wrong with the project for the given
// values of variables: what Load found, all images and the topology of each
// environment, all pipelines. Each problem is reported once, also where several
// environments have it.
func (p *Project) Validate(vars map[string]string) error {
	all := append(diag.List(nil), p.problems...)
	for _, env := range p.Environments() {
		var images, topology diag.List
		p.images(env, vars, false, &images)
		p.topology(env, vars, &topology)
		all = append(append(all, images...), topology...)
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
