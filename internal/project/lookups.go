package project

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
)

// The first words of values that others hold.
const (
	lookupSSM         = "ssm"
	lookupStack       = "cloudformation"
	lookupEnvironment = "env"
)

// Lookup is a value that someone else holds, so that it is looked up where the
// definitions are launched: `${ssm.NAME}`, `${cloudformation.STACK.OUTPUT}`,
// `${env.NAME.KIND.NAME.ATTRIBUTE}`. One of the first three fields is given.
type Lookup struct {
	Expr        string // between the braces
	Parameter   string // of SSM, by its name
	Stack       string // of CloudFormation
	Output      string // of the stack
	Environment string // of this project
	Ref         Ref    // the resource there
	Pos         diag.Pos
}

// lookupOf reads a lookup. ok is false for what is none; without a message it
// is well formed.
func lookupOf(expr string) (l Lookup, message string, ok bool) {
	first, rest := root(expr)
	l.Expr = expr
	switch first {
	case lookupSSM:
		if rest == "" {
			return l, "write ${ssm.NAME}", true
		}
		l.Parameter = rest
	case lookupStack:
		stack, output, found := strings.Cut(rest, ".")
		if !found || strings.Contains(output, ".") {
			return l, "write ${cloudformation.STACK.OUTPUT}", true
		}
		l.Stack, l.Output = stack, output
	case lookupEnvironment:
		name, address, _ := strings.Cut(rest, ".")
		ref, found := textReference(address)
		if !found {
			return l, "write ${env.ENVIRONMENT.KIND.NAME.ATTRIBUTE}", true
		}
		l.Environment, l.Ref = name, ref
	default:
		return l, "", false
	}
	return l, "", true
}

// lookUp notes a value that others hold. ok is false for another expression.
func (e *expansion) lookUp(r *Resource, expr string, at diag.Pos, problems *diag.List) (ok bool) {
	l, message, ok := lookupOf(expr)
	if !ok {
		return false
	}
	l.Pos = at
	if message != "" {
		problems.AddHint(at, message, "${%s} is incomplete", expr)
		return true
	}
	if l.Environment != "" {
		e.checkElsewhere(l, problems)
	}
	if !slices.ContainsFunc(r.Lookups, func(o Lookup) bool { return o.Expr == expr }) {
		r.Lookups = append(r.Lookups, l)
	}
	return true
}

// checkElsewhere checks a reference to another environment's resource as far
// as the definitions tell.
func (e *expansion) checkElsewhere(l Lookup, problems *diag.List) {
	base, _, _ := strings.Cut(l.Ref.Address, "[")
	kind := findKind(e.project.vocabulary.Resources, l.Ref.Kind)
	switch {
	case e.project.environments[l.Environment] == nil:
		problems.AddHint(l.Pos, e.project.suggestEnvironment(l.Environment), "no environment %q", l.Environment)
	case l.Environment == e.env.Name:
		problems.AddHint(l.Pos, "write ${"+strings.TrimPrefix(l.Expr, "env."+l.Environment+".")+"}", "%s is this environment itself", l.Environment)
	case kind == nil:
		problems.Addf(l.Pos, "%q is no kind of resource", l.Ref.Kind)
	case !slices.Contains(attributes(kind), l.Ref.Attribute):
		problems.AddHint(l.Pos, attributesHint(kind), "%s has no attribute %q", l.Ref.Kind, l.Ref.Attribute)
	case !slices.ContainsFunc(e.project.definitions, func(f *definition) bool { return f.address() == base && f.isIn(l.Environment) }) && !e.project.lost(base):
		problems.Addf(l.Pos, "environment %s has no resource %s", l.Environment, base)
	}
}

// Lookups are all of a topology, each once.
func (t *Topology) Lookups() []Lookup {
	seen := map[string]bool{}
	var all []Lookup
	for _, r := range t.Resources {
		for _, l := range r.Lookups {
			if !seen[l.Expr] {
				seen[l.Expr] = true
				all = append(all, l)
			}
		}
	}
	return all
}

// zonePlace finds what Zone gives, also within text.
var zonePlace = regexp.MustCompile(`\bzones\[(\d+)\]`)

// Zones is how many of the region's zones the topology takes by number.
func (t *Topology) Zones() int {
	most := 0
	for _, r := range t.Resources {
		most = max(most, r.zones)
	}
	return most
}

// Resolve gives a copy of the topology with values in the places of its
// Lookups, by what stands between their braces, and names in the places of the
// region's zones. What is not given stays as it is.
func (t *Topology) Resolve(values map[string]string, zones []string) *Topology {
	c := *t
	c.Resources = make([]*Resource, len(t.Resources))
	inZones := func(text string) string {
		if len(zones) == 0 || !strings.Contains(text, "zones[") {
			return text
		}
		return zonePlace.ReplaceAllStringFunc(text, func(place string) string {
			if n, err := strconv.Atoi(place[len("zones[") : len(place)-1]); err == nil && n < len(zones) {
				return zones[n]
			}
			return place
		})
	}
	for i, r := range t.Resources {
		if len(r.Lookups) == 0 && r.zones == 0 {
			c.Resources[i] = r
			continue
		}
		resolved := *r
		resolved.Tags = maps.Clone(r.Tags)
		for key, text := range resolved.Tags {
			resolved.Tags[key] = inZones(text)
		}
		resolved.Spec = transform(reflect.ValueOf(r.Spec), field{}, "", func(text string, _ field, _ string) string {
			return rewrite(inZones(text), false, func(expr string) (string, bool) {
				value, ok := values[expr]
				return strings.ReplaceAll(value, "${", "$${"), ok // a value is text
			})
		}).Interface()
		c.Resources[i] = &resolved
	}
	return &c
}

// String is the lookup as it is written.
func (l Lookup) String() string { return fmt.Sprintf("${%s}", l.Expr) }
