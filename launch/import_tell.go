package launch

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// tell finds the least that tells a resource apart from all others of its kind:
// its own name, its Name tag, what else it has, then what it belongs to. rivals
// are those that all of it is true of.
func (m *importing) tell(f *found) (*project.Adopt, []*found) {
	var rivals []*found
	for _, a := range m.tries(f) {
		if !adopts(a, f) {
			continue
		}
		if rivals = m.rivals(a, f); len(rivals) == 0 {
			return a, nil
		}
	}
	return nil, rivals
}

// rivals are the others of a resource's kind that are told the same way.
func (m *importing) rivals(a *project.Adopt, f *found) (list []*found) {
	kind := f.kindName()
	if m.indexes[kind] == nil {
		m.indexes[kind] = newAdoptIndex(m.byKind[kind])
	}
	owners := map[string]*found{}
	for key, ref := range a.Owners {
		if owners[key] = m.owner(ref); owners[key] == nil {
			return nil
		}
	}
	for _, other := range m.indexes[kind].find(a) {
		if other.id != f.id && belongsTo(other, owners) {
			list = append(list, other)
		}
	}
	return list
}

// owner is the resource of a definition.
func (m *importing) owner(ref project.Ref) *found {
	if i := m.byAddress[ref.Address]; i != nil {
		return i.found
	}
	return nil
}

// owners are what a resource belongs to, as far as there are definitions of it.
func (m *importing) owners(f *found) map[string]project.Ref {
	all := map[string]project.Ref{}
	kinds := f.kind.definition().Owners
	for _, key := range union(kinds) {
		for _, i := range m.ofKind[kinds[key]] {
			if ref := (project.Ref{Kind: kinds[key], Address: kinds[key] + "." + i.name}); f.kind.belongs(f, key, i.found) && (all[key].Address == "" || ref.Address < all[key].Address) {
				all[key] = ref
			}
		}
	}
	return all
}

// weak are attributes that many resources share, and that tell one apart only
// by chance.
var weak = []string{"availability_zone", "size"}

// tries are the ways to tell a resource, the best first: its name, what else is
// its own, what it belongs to, its tags, and last what others may share.
func (m *importing) tries(f *found) []*project.Adopt {
	t := telling{keys: natural(f), owners: m.owners(f)}
	if key := slices.DeleteFunc(f.kind.key(), func(k string) bool { return t.keys[k] == "" }); len(key) > 0 {
		t.try(key, nil, t.owners)
		return t.tries
	}
	var names, strong, traits, all []string
	for _, k := range union(t.keys) {
		all = append(all, k)
		switch {
		case has(naturalNames(), k):
			names = append(names, k)
		case has(f.kind.definition().Traits, k):
			traits = append(traits, k)
		case !has(weak, k):
			strong = append(strong, k)
		}
	}
	ways := t.ways()
	for _, by := range ways {
		if len(traits) > 0 && len(by) > 0 {
			t.try(slices.Concat(names, traits), nil, by)
		}
		t.try(names, nil, by)
		for _, k := range strong {
			t.try(append(slices.Clone(names), k), nil, by)
		}
		t.try(slices.Concat(names, strong), nil, by)
	}
	own := userTags(f)
	for _, by := range ways {
		t.try(nil, own, by)
		t.try(slices.Concat(names, strong, traits), own, by)
	}
	for _, by := range ways {
		for _, k := range all {
			t.try(append(slices.Clone(names), k), nil, by)
		}
		t.try(all, nil, by)
		t.try(all, own, by)
	}
	return t.tries
}

// telling collects ways to tell a resource.
type telling struct {
	keys   map[string]string
	owners map[string]project.Ref
	tries  []*project.Adopt
}

func (t *telling) try(names []string, tags map[string]string, owners map[string]project.Ref) {
	a := &project.Adopt{Keys: map[string]string{}, Tags: tags, Owners: owners}
	for _, k := range names {
		a.Keys[k] = t.keys[k]
	}
	if len(a.Keys)+len(a.Tags)+len(a.Owners) > 0 {
		t.tries = append(t.tries, a)
	}
}

// ways are what a resource may be said to belong to: nothing, one thing, all of
// them. What EC2 made with a VPC belongs to that before anything else.
func (t *telling) ways() []map[string]project.Ref {
	ways := []map[string]project.Ref{nil}
	keys := union(t.owners)
	if t.keys["main"] != "" || t.keys["default"] != "" {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		ways = append(ways, map[string]project.Ref{key: t.owners[key]})
	}
	if len(keys) > 1 {
		ways = append(ways, t.owners)
	}
	return ways
}

func (m *importing) alike(f *found, rivals []*found) string {
	if len(rivals) == 0 {
		return "nothing tells it apart but its ID: give it a Name tag"
	}
	return "nothing but its ID tells it apart from " + listed(rivals) + ": give it a Name tag of its own"
}

// changing are attributes that hold for one account, or change by themselves.
var changing = []string{"id", "arn", "default_version", "latest_version", "versioned_id", "fingerprint", "mac_address", "name_servers"}

var holdsID = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8,17}$`)

// natural are the attributes that a definition may tell a resource by: not
// those that hold IDs or an account, and not those that change by themselves.
func natural(f *found) map[string]string {
	keys := map[string]string{}
	about := f.kind.definition()
	for _, k := range slices.Concat(about.Attributes, about.Traits) {
		v := f.attributes[k]
		switch {
		case has(about.Traits, k) && v == "false":
		case has(changing, k) || v == "":
		case k == "public_ip" && f.kindName() != "elastic_ip", k == "size" && f.kindName() != "snapshot":
		case holdsID.MatchString(v):
		default:
			keys[k] = v
		}
	}
	if name := f.tags[tags.Name]; keys["name"] == "" && name != "" {
		keys["name"] = name
	}
	return keys
}

// userTags are the tags that people or their tools gave.
func userTags(f *found) map[string]string {
	set := map[string]string{}
	for k, v := range f.tags {
		if !tags.Reserved(k) && !strings.Contains(k, "${") {
			set[k] = v
		}
	}
	return set
}
