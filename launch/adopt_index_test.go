package launch

import (
	"slices"
	"testing"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// TestAdoptIndex: what is looked up is what adopts holds for, one by one.
func TestAdoptIndex(t *testing.T) {
	some := []map[string]string{nil, {"name": ""}, {"name": "web"}, {"name": "db"}, {"name": "web", "zone": "a"}, {"zone": "a"}, {"zone": "1:a"}, {"name": "1:a", "zone": ""}}
	labels := []map[string]string{nil, {tags.Name: "web"}, {tags.Name: "web", "team": ""}, {"team": "shop"}, {"team": "shop", "cost": "x"}, {"team": "x", "cost": "shop"}}
	var list []*found
	for i, attributes := range some {
		for n, set := range labels {
			list = append(list, &found{state: state{attributes: attributes, tags: set, gone: (i+n)%7 == 6}})
		}
	}
	index, hits := newAdoptIndex(list), 0
	for range 2 { // sorted anew, and already
		for _, keys := range some {
			for _, set := range labels {
				a := &project.Adopt{Keys: keys, Tags: set}
				want := slices.DeleteFunc(slices.Clone(list), func(f *found) bool { return !adopts(a, f) })
				got := index.find(a)
				if hits += len(got); !slices.Equal(got, want) {
					t.Errorf("%v %v: %d found, %d are meant", keys, set, len(got), len(want))
				}
			}
		}
	}
	if hits == 0 {
		t.Error("nothing is ever meant")
	}
}
