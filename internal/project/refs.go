package project

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
)

// checkReferences finds what the resources refer to, and reports what is not
// there and what goes round in a ring.
func (e *expansion) checkReferences(t *Topology, problems *diag.List) {
	for _, r := range t.Resources {
		e.references(r, problems)
		if r.Adopt == nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(r.Adopt.Owners)) {
			e.check(r.Adopt.Owners[key], problems)
		}
	}
	var addresses []string
	for _, r := range t.Resources {
		addresses = append(addresses, r.Address)
	}
	edges := func(address string) []string {
		var to []string
		for _, ref := range e.resources[address].Refs {
			if !ref.Late && e.resources[ref.Address] != nil {
				to = append(to, ref.Address)
			}
		}
		return to
	}
	for _, ring := range rings(addresses, edges) {
		from := e.resources[ring[0]]
		at := from.Pos
		for _, ref := range from.Refs {
			if ref.Address == ring[1] && !ref.Late {
				at = ref.Pos
				break
			}
		}
		problems.AddHint(at, "each of them needs the next before it can be made: take one of the references out", "references go round in a ring: %s", strings.Join(ring, " -> "))
	}
}

// references notes and checks what one resource refers to.
func (e *expansion) references(r *Resource, problems *diag.List) {
	src := e.definitions[r.Kind+"."+r.Name].src
	seen := map[Ref]bool{}
	note := func(ref Ref) {
		if !seen[ref] {
			seen[ref] = true
			e.check(ref, problems)
			r.Refs = append(r.Refs, ref)
		}
	}
	transform(reflect.ValueOf(r.Spec), field{}, "", func(text string, f field, path string) string {
		at := r.At(path)
		if f.ref != "" && !strings.Contains(text, "${") {
			if ref, literal := typedReference(f, text); !literal {
				ref.Path, ref.Late, ref.Pos = path, f.late, at
				note(ref)
			}
			return text
		}
		counts := map[string]int{}
		return rewrite(text, false, func(expr string) (string, bool) {
			ref, ok := textReference(expr)
			// With an index that was filled in, the text looks different in the file.
			needle := "${" + expr
			if cut := strings.Index(needle, "["); cut > 0 {
				needle = needle[:cut]
			}
			pos := src.locate(at, needle, counts[needle])
			counts[needle]++
			if e.lookUp(r, expr, pos, problems) {
				return "", false
			}
			if !ok {
				e.notReference(expr, pos, problems)
				return "", false
			}
			ref.Path, ref.Late, ref.Pos = path, f.late, pos
			note(ref)
			return "", false
		})
	})
	sort.SliceStable(r.Refs, func(i, j int) bool { return r.Refs[i].Path < r.Refs[j].Path })
}

const literalHint = "write $${ where ${ is meant as text"

func (e *expansion) notReference(expr string, at diag.Pos, problems *diag.List) {
	first, rest := root(expr)
	if k := findKind(e.project.vocabulary.Resources, first); k != nil && rest != "" {
		problems.AddHint(at, "write ${KIND.NAME.ATTRIBUTE}; "+attributesHint(k), "${%s} is no reference", expr)
		return
	}
	known := append(kindNames(e.project.vocabulary.Resources), "var", "environment", "project", lookupSSM, lookupStack, lookupEnvironment)
	hint := diag.DidYouMean(first, known)
	if hint == "" {
		hint = literalHint
	}
	problems.AddHint(at, hint, "${%s} names nothing: %q is no kind of resource", expr, first)
}

func attributesHint(k *Kind) string {
	return fmt.Sprintf("%s has %s", k.Name, strings.Join(attributes(k), ", "))
}

// attributes of a kind; every one has an ID.
func attributes(k *Kind) []string {
	all := slices.Clone(k.Attributes)
	if !slices.Contains(all, "id") {
		all = append([]string{"id"}, all...)
	}
	return all
}

func (e *expansion) check(ref Ref, problems *diag.List) {
	if ref.Kind == "image" {
		e.checkImage(ref, problems)
		return
	}
	kind := findKind(e.project.vocabulary.Resources, ref.Kind)
	if kind == nil {
		e.notReference(ref.Address, ref.Pos, problems)
		return
	}
	if !slices.Contains(attributes(kind), ref.Attribute) {
		hint := diag.DidYouMean(ref.Attribute, attributes(kind))
		if hint == "" {
			hint = attributesHint(kind)
		}
		problems.AddHint(ref.Pos, hint, "%s has no attribute %q", ref.Kind, ref.Attribute)
	}
	if e.resources[ref.Address] == nil {
		e.missing(ref, problems)
	}
}

func (e *expansion) checkImage(ref Ref, problems *diag.List) {
	if e.project.recipe(ref.Address) != nil || slices.Contains(e.project.lostImages, ref.Address) {
		return
	}
	hint := diag.DidYouMean(ref.Address, e.project.ImageNames())
	if strings.HasPrefix(ref.Address, "ami-") {
		hint = "an AMI is given with the key ami; image names a recipe"
	}
	problems.AddHint(ref.Pos, hint, "no image %q: there is no images/%s.yaml", ref.Address, ref.Address)
}

// missing says why there is no resource of an address.
func (e *expansion) missing(ref Ref, problems *diag.List) {
	base, index, indexed := strings.Cut(strings.TrimSuffix(ref.Address, "]"), "[")
	f := e.definitions[base]
	switch {
	case f == nil && e.project.lost(base), f != nil && e.unknown[base]:
		return // its own problem is reported
	case f == nil:
		problems.AddHint(ref.Pos, e.near(ref.Kind, base), "no resource %s", base)
	case !f.isIn(e.env.Name):
		problems.AddHint(ref.Pos, "it is defined for "+strings.Join(f.environments, ", ")+" only", "%s is not in environment %s", base, e.env.Name)
	case !indexed:
		hint := "it has no copies here"
		if all := e.indices[base]; len(all) > 0 {
			hint = fmt.Sprintf("name one of its copies: %s[%s]", f.name, all[0])
		}
		problems.AddHint(ref.Pos, hint, "%s is repeated", base)
	case !f.repeated():
		problems.AddHint(ref.Pos, "write "+f.name, "%s is not repeated, so it has no [%s]", base, index)
	default:
		hint := diag.DidYouMean(index, e.indices[base])
		if hint == "" && len(e.indices[base]) > 0 {
			hint = "there are " + span(e.indices[base])
		}
		problems.AddHint(ref.Pos, hint, "no resource %s", ref.Address)
	}
}

// lost tells whether a resource may be one whose definition could not be read,
// which has been reported.
func (p *Project) lost(address string) bool {
	return slices.Contains(p.lostNames, address) || slices.Contains(p.lostNames, address[strings.Index(address, "."):])
}

func span(indices []string) string {
	if len(indices) > 6 {
		return fmt.Sprintf("%s to %s", indices[0], indices[len(indices)-1])
	}
	return strings.Join(indices, ", ")
}

// near suggests a resource of the kind that was meant, or another kind that
// has one of that name.
func (e *expansion) near(kind, address string) string {
	var names []string
	wanted := strings.TrimPrefix(address, kind+".")
	for _, f := range e.project.definitions {
		if f.kind.Name == kind && f.isIn(e.env.Name) {
			names = append(names, f.name)
		}
	}
	if hint := diag.DidYouMean(wanted, names); hint != "" {
		return hint
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return fmt.Sprintf("there is no %s in environment %s", kind, e.env.Name)
	case len(names) <= 8:
		return "there are " + strings.Join(names, ", ")
	}
	return ""
}
