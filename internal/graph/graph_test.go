package graph

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

var errBroken = errors.New("broken")

func TestWalk(t *testing.T) {
	for _, test := range []struct {
		name      string
		edges     map[string][]string
		order     []string
		broken    string
		keepGoing bool
		ran       []string
		skipped   []string
	}{
		{name: "chain", order: []string{"c", "b", "a"}, edges: map[string][]string{"c": {"b"}, "b": {"a"}}, ran: []string{"a", "b", "c"}},
		{name: "failure stops dependents", order: []string{"a", "b", "c"}, edges: map[string][]string{"b": {"a"}, "c": {"b"}}, broken: "a", keepGoing: true, ran: []string{"a"}, skipped: []string{"b", "c"}},
		{name: "failure lets others go on", order: []string{"a", "b", "x"}, edges: map[string][]string{"b": {"a"}, "x": nil}, broken: "a", keepGoing: true, ran: []string{"a", "x"}, skipped: []string{"b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			ran := map[string]bool{}
			var nodes []Node
			for _, n := range test.order {
				nodes = append(nodes, Node{Name: n, Needs: test.edges[n], Run: func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					for _, need := range test.edges[n] {
						if !ran[need] {
							t.Errorf("%s ran before %s", n, need)
						}
					}
					ran[n] = true
					if n == test.broken {
						return errBroken
					}
					return nil
				}})
			}
			results := Walk(context.Background(), nodes, Options{KeepGoing: test.keepGoing})
			var skipped []string
			for i, r := range results {
				if r.Name != test.order[i] {
					t.Errorf("result %d is %s, want the order of declaration", i, r.Name)
				}
				if r.Skipped {
					skipped = append(skipped, r.Name)
				}
			}
			if len(ran) != len(test.ran) {
				t.Errorf("ran %v, want %v", ran, test.ran)
			}
			if !reflect.DeepEqual(skipped, test.skipped) {
				t.Errorf("skipped %v, want %v", skipped, test.skipped)
			}
			if failed := slices.ContainsFunc(results, func(r Result) bool { return r.Err != nil && !r.Skipped }); failed != (test.broken != "") {
				t.Errorf("results %+v", results)
			}
		})
	}
}

func TestWalkStopsAtFirstFailure(t *testing.T) {
	failed := make(chan struct{})
	ran := false
	results := Walk(context.Background(), []Node{
		{Name: "bad", Run: func(context.Context) error { close(failed); return errBroken }},
		{Name: "late", Needs: []string{"slow"}, Run: func(context.Context) error { ran = true; return nil }},
		{Name: "slow", Run: func(context.Context) error { <-failed; return nil }},
	}, Options{Limit: 1})
	if ran && !results[1].Skipped {
		return // slow ended before bad was taken in: allowed, since work in flight finishes
	}
	if results[0].Err == nil || !results[1].Skipped {
		t.Errorf("results %+v", results)
	}
}

func TestWalkAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	results := Walk(ctx, []Node{
		{Name: "a", Run: func(context.Context) error { cancel(); return nil }},
		{Name: "b", Needs: []string{"a"}, Run: func(context.Context) error { t.Error("b ran"); return nil }},
	}, Options{})
	if !results[1].Skipped || results[1].Because != "interrupted" {
		t.Errorf("b: %+v", results[1])
	}
}

func TestPanicIsTheNodesError(t *testing.T) {
	results := Walk(context.Background(), []Node{{Name: "a", Run: func(context.Context) error { panic("oh") }}}, Options{})
	if results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "oh") {
		t.Errorf("error %v", results[0].Err)
	}
}

func TestEachKeepsOrder(t *testing.T) {
	err := Each(context.Background(), 2, 3, func(_ context.Context, i int) error {
		return errors.New(string(rune('a' + i)))
	})
	if err == nil || err.Error() != "a\nb\nc" {
		t.Errorf("error %q", err)
	}
}

func TestOrder(t *testing.T) {
	needs := map[string][]string{"web": {"base", "nowhere"}, "api": {"base"}, "x": {"y"}, "y": {"z"}, "z": {"x"}}
	of := func(n string) []string { return needs[n] }
	ordered, cycle := Order([]string{"web", "api", "base"}, of)
	if want := []string{"base", "web", "api"}; cycle != nil || !reflect.DeepEqual(ordered, want) {
		t.Errorf("ordered %v, cycle %v", ordered, cycle)
	}
	if _, cycle = Order([]string{"x", "y", "z"}, of); !reflect.DeepEqual(cycle, []string{"x", "y", "z"}) {
		t.Errorf("cycle %v", cycle)
	}
}
