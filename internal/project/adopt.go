package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
)

// adoption reads what tells an existing resource apart. An ID is refused: a
// definition with one would hold for a single account.
func (d *decoder) adoption(r *Resource, k *Kind, given map[string]any) *Adopt {
	if given == nil {
		return nil
	}
	a := &Adopt{Tags: map[string]string{}, Keys: map[string]string{}, Owners: map[string]Ref{}}
	known := adoptKeys(k)
	for _, key := range slices.Sorted(maps.Keys(given)) {
		at := r.At(join("adopt", key))
		switch {
		case key == "id":
			d.problems.AddHint(at, "give tags, a name or other values: "+strings.Join(known, ", "), "adopt takes no ID: it would hold for one account and region only")
		case !slices.Contains(known, key):
			hint := diag.DidYouMean(key, known)
			if hint == "" {
				hint = "a " + k.Name + " is told apart by " + strings.Join(known, ", ")
			}
			d.problems.AddHint(at, hint, "adopt knows no key %q", key)
		case key == "tags":
			d.adoptTags(r, given[key], a.Tags)
		case k.Owners[key] != "":
			d.adoptOwner(r, k.Owners[key], key, given[key], a.Owners)
		default:
			if text, ok := d.adoptText(r, "adopt."+key, given[key]); ok {
				a.Keys[key] = text
			}
		}
	}
	if len(given) == 0 {
		d.problems.AddHint(r.At("adopt"), "give "+strings.Join(known, ", "), "adopt says nothing that tells the resource apart")
	}
	return a
}

// adoptKeys are the keys that adopt knows for a kind.
func adoptKeys(k *Kind) []string {
	known := append([]string{"tags", "name"}, slices.Sorted(maps.Keys(k.Owners))...)
	for _, key := range slices.Concat(k.Attributes, k.Traits) {
		if key != "id" && !slices.Contains(known, key) {
			known = append(known, key)
		}
	}
	return known
}

// adoptOwner reads the name of the definition that a resource belongs to.
func (d *decoder) adoptOwner(r *Resource, kind, key string, given any, into map[string]Ref) {
	path := "adopt." + key
	text, ok := d.adoptText(r, path, given)
	if !ok {
		return
	}
	ref, literal := typedReference(field{ref: kind}, text)
	if literal {
		d.problems.AddHint(r.At(path), "define the "+kind+", which may itself adopt what is there, and give its name", "%s takes no ID: it would hold for one account and region only", path)
		return
	}
	ref.Path, ref.Pos = path, r.At(path)
	into[key] = ref
}

func (d *decoder) adoptTags(r *Resource, given any, into map[string]string) {
	set, ok := given.(map[string]any)
	if !ok {
		d.problems.Addf(r.At("adopt.tags"), "expected a mapping of tags")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if text, ok := d.adoptText(r, "adopt.tags."+key, set[key]); ok {
			into[key] = text
		}
	}
}

func (d *decoder) adoptText(r *Resource, path string, given any) (string, bool) {
	switch given.(type) {
	case string, bool, int, int64, uint64, float64:
	default:
		d.problems.Addf(r.At(path), "expected text")
		return "", false
	}
	refers := false
	text := rewrite(fmt.Sprint(given), true, func(string) (string, bool) {
		refers = true
		return "", false
	})
	if refers {
		d.problems.AddHint(r.At(path), literalHint, "a reference cannot be used in adopt: only variables can")
		return "", false
	}
	return text, true
}
