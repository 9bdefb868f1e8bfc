package launch

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// name gives what is chosen names and what tells it apart. What nothing tells
// apart cannot be adopted, and is left out.
func (m *importing) name() {
	taken := map[string]bool{}
	for _, r := range m.resources() {
		taken[r.Kind+"."+r.Name] = true
	}
	for _, address := range m.options.Taken {
		taken[address] = true
	}
	var told []*imported
	for _, i := range m.all {
		var rivals []*found
		if i.adopt, rivals = m.tell(i.found); i.adopt == nil {
			m.leave(i.found, "%s", m.alike(i.found, rivals))
			continue
		}
		told = append(told, i)
	}
	order := map[string]int{}
	for n, k := range kinds() {
		order[k.definition().Name] = n
	}
	slices.SortStableFunc(told, func(a, b *imported) int {
		if a.kindName() != b.kindName() {
			return order[a.kindName()] - order[b.kindName()]
		}
		if la, lb := definitionName(a.found), definitionName(b.found); la != lb {
			return strings.Compare(la, lb)
		}
		if c := strings.Compare(a.attributes["cidr_block"]+a.attributes["availability_zone"], b.attributes["cidr_block"]+b.attributes["availability_zone"]); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	for _, i := range told {
		base := definitionName(i.found)
		i.name = base
		for n := 2; taken[i.kindName()+"."+i.name]; n++ {
			i.name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[i.kindName()+"."+i.name] = true
		m.byID[i.id] = i
	}
	m.all = told
}

// label is what people call a resource: its own name, or its tag's.
func label(f *found) string {
	for _, key := range naturalNames() {
		if v := f.attributes[key]; v != "" {
			return v
		}
	}
	return f.tags[tags.Name]
}

// naturalNames are attributes that hold a resource's own name.
func naturalNames() []string { return []string{"name", "group_name", "key_name"} }

var notInDefinitionNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// maxDefinitionName keeps names readable; they become files.
const maxDefinitionName = 60

// definitionName is a valid name near to what people call a resource.
func definitionName(f *found) string {
	called := f.kind.called(f)
	if called == "" {
		called = f.tags[tags.Name]
	}
	if called == "" {
		called = label(f)
	}
	if called == "" {
		called = f.attributes["cidr_block"]
	}
	if called == "" {
		called = f.attributes["public_ip"]
	}
	if called == "" {
		called = f.attributes["private_ip"]
	}
	plain := strings.Trim(notInDefinitionNames.ReplaceAllString(called, "-"), "-_")
	if len(plain) > maxDefinitionName {
		plain = strings.TrimRight(plain[:maxDefinitionName], "-_")
	}
	if plain == "" || !project.ValidName(plain) {
		return strings.ReplaceAll(f.kindName(), "_", "-")
	}
	return plain
}

// tell finds the least that tells a resource apart from all others of its kind:
// its own name, its Name tag, then what else it has. rivals are those that all
// of it is true of.
func (m *importing) tell(f *found) (*project.Adopt, []*found) {
	keys, own := natural(f), userTags(f)
	var tries []*project.Adopt
	try := func(keyNames []string, set map[string]string) {
		a := &project.Adopt{Keys: map[string]string{}, Tags: set}
		for _, k := range keyNames {
			a.Keys[k] = keys[k]
		}
		if len(a.Keys)+len(a.Tags) > 0 {
			tries = append(tries, a)
		}
	}
	var firsts, rest []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if has(naturalNames(), k) {
			firsts = append(firsts, k)
		} else {
			rest = append(rest, k)
		}
	}
	try(slices.DeleteFunc(f.kind.key(), func(k string) bool { return keys[k] == "" }), nil)
	try(firsts, nil)
	for _, k := range rest {
		try(append(slices.Clone(firsts), k), nil)
	}
	try(append(slices.Clone(firsts), rest...), nil)
	try(nil, own)
	try(firsts, own)
	try(append(slices.Clone(firsts), rest...), own)
	var rivals []*found
	for _, a := range tries {
		rivals = nil
		for _, other := range m.byKind[f.kindName()] {
			if other.id != f.id && adopts(a, other) {
				rivals = append(rivals, other)
			}
		}
		if len(rivals) == 0 && adopts(a, f) {
			return a, nil
		}
	}
	return nil, rivals
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
	for _, k := range f.kind.definition().Attributes {
		v := f.attributes[k]
		switch {
		case has(changing, k) || v == "":
		case k == "public_ip" && f.kindName() != "elastic_ip", k == "size" && f.kindName() != "snapshot":
		case holdsID.MatchString(v) || strings.Contains(v, "${"):
		default:
			keys[k] = v
		}
	}
	if name := f.tags[tags.Name]; keys["name"] == "" && name != "" && !strings.Contains(name, "${") {
		keys["name"] = name
	}
	return keys
}

// userTags are the tags that people or their tools gave.
func userTags(f *found) map[string]string {
	set := map[string]string{}
	for k, v := range f.tags {
		if !tags.Reserved(k) && !strings.Contains(k+v, "${") {
			set[k] = v
		}
	}
	return set
}
