package project

import (
	"slices"
	"strings"
)

// rings finds the rings that edges make among nodes, each once, written with
// the first node again at its end: a, b, a.
func rings(nodes []string, edges func(string) []string) [][]string {
	const (
		untouched = iota
		open
		done
	)
	state, seen := map[string]int{}, map[string]bool{}
	var path []string
	var all [][]string
	var visit func(string)
	visit = func(n string) {
		state[n] = open
		path = append(path, n)
		for _, next := range edges(n) {
			switch state[next] {
			case untouched:
				visit(next)
			case open:
				ring := rotated(path[slices.Index(path, next):])
				if key := strings.Join(ring, "\x00"); !seen[key] {
					seen[key] = true
					all = append(all, append(ring, ring[0]))
				}
			}
		}
		path = path[:len(path)-1]
		state[n] = done
	}
	for _, n := range nodes {
		if state[n] == untouched {
			visit(n)
		}
	}
	return all
}

// rotated starts a ring at its smallest node, so that a ring looks the same
// wherever it was entered.
func rotated(ring []string) []string {
	first := slices.Index(ring, slices.Min(ring))
	return append(slices.Clone(ring[first:]), ring[:first]...)
}

// dependencyOrder lists nodes after those that they have edges to, and
// otherwise in the order given.
func dependencyOrder(nodes []string, edges func(string) []string) []string {
	var ordered []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(n string) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, next := range edges(n) {
			visit(next)
		}
		ordered = append(ordered, n)
	}
	for _, n := range nodes {
		visit(n)
	}
	return ordered
}
