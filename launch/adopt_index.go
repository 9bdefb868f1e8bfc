package launch

import (
	"strconv"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// adoptIndex finds those of many resources that are what an adopt says of keys
// and tags. For each set of keys and tags that is asked about it sorts them by
// their values once: definitions of one kind mostly ask about the same ones, and
// looking at every resource for every definition takes the square of their
// number.
type adoptIndex struct {
	list   []*found
	sorted map[string]map[string][]*found // by what is asked about, then by the values
}

func newAdoptIndex(list []*found) *adoptIndex {
	return &adoptIndex{list: list, sorted: map[string]map[string][]*found{}}
}

// find are the resources that adopts holds for, in the order of the list.
func (x *adoptIndex) find(a *project.Adopt) []*found {
	keys, names := union(a.Keys), tags.Keys(a.Tags)
	about := joined(keys) + "/" + joined(names)
	byValues := x.sorted[about]
	if byValues == nil {
		byValues = map[string][]*found{}
		for _, f := range x.list {
			if values, ok := adoptValues(f, keys, names); ok {
				byValues[values] = append(byValues[values], f)
			}
		}
		x.sorted[about] = byValues
	}
	var wanted []string
	for _, key := range keys {
		wanted = append(wanted, a.Keys[key])
	}
	for _, name := range names {
		wanted = append(wanted, a.Tags[name])
	}
	return byValues[joined(wanted)]
}

// adoptValues are a resource's values of keys and tags; not ok for one that is gone
// or lacks a tag.
func adoptValues(f *found, keys, names []string) (values string, ok bool) {
	if f.gone {
		return "", false
	}
	all := make([]string, 0, len(keys)+len(names))
	for _, key := range keys {
		all = append(all, adoptValue(f, key))
	}
	for _, name := range names {
		value, ok := f.tags[name]
		if !ok {
			return "", false
		}
		all = append(all, value)
	}
	return joined(all), true
}

// joined is a list as one text, and another one for every other list.
func joined(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}

// adopts tells whether a resource is what a definition means.
func adopts(a *project.Adopt, f *found) bool {
	if f.gone || !carries(f.tags, a) {
		return false
	}
	for key, want := range a.Keys {
		if adoptValue(f, key) != want {
			return false
		}
	}
	return true
}

// adoptValue is what a resource has of a key of adopt: a name is that of its Name
// tag where it has none of its own.
func adoptValue(f *found, key string) string {
	have, ok := f.attributes[key]
	if key == "name" && !ok {
		return f.tags[tags.Name]
	}
	return have
}

// carries tells whether tags are those of what is adopted.
func carries(set map[string]string, a *project.Adopt) bool {
	for key, want := range a.Tags {
		if have, ok := set[key]; !ok || have != want {
			return false
		}
	}
	return true
}
