package project

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

// entries lists a mapping's keys, those that merge keys bring among them, and
// reports the ones that are given twice.
func (d *decoder) entries(n *yaml.Node) []entry {
	var all []entry
	first := map[string]*yaml.Node{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := follow(n.Content[i]), n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode:
			d.problems.Addf(d.src.at(n.Content[i]), "a key must be text, found %s", describe(k))
		case k.ShortTag() == "!!merge":
			merges = append(merges, v)
		case first[k.Value] != nil:
			d.problems.Addf(d.src.at(k), "key %q is given twice: first on line %d", k.Value, first[k.Value].Line)
		default:
			first[k.Value] = k
			all = append(all, entry{n.Content[i], v})
		}
	}
	for _, m := range merges {
		m = follow(m)
		sets := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			sets = m.Content
		}
		for _, set := range sets {
			set = follow(set)
			if set.Kind != yaml.MappingNode {
				d.problems.Addf(d.src.at(m), "<< merges mappings, found %s", describe(set))
				continue
			}
			for _, e := range d.entries(set) {
				if k := follow(e.key); first[k.Value] == nil {
					first[k.Value] = k
					all = append(all, e)
				}
			}
		}
	}
	return all
}

// firstOf is the value of the first of several keys that is given, or nil.
func firstOf(entries []entry, keys []string) *yaml.Node {
	for _, key := range keys {
		if n := lookup(entries, key); n != nil {
			return n
		}
	}
	return nil
}

// lookup is the value of a mapping's key, or nil.
func lookup(entries []entry, key string) *yaml.Node {
	for _, e := range entries {
		if follow(e.key).Value == key {
			return e.value
		}
	}
	return nil
}

// entriesOf are the entries of some keys.
func entriesOf(entries []entry, keys ...string) (some []entry) {
	for _, e := range entries {
		if slices.Contains(keys, follow(e.key).Value) {
			some = append(some, e)
		}
	}
	return some
}
