package launch

import (
	"fmt"
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
		taken[takenKey(r.Kind, r.Name)] = true
	}
	for _, address := range m.options.Taken {
		taken[strings.ToLower(address)] = true
	}
	byKind := map[string][]*imported{}
	for _, i := range m.all {
		byKind[i.kindName()] = append(byKind[i.kindName()], i)
	}
	m.all = nil
	for _, kind := range ownersFirst(union(byKind)) {
		m.nameKind(byKind[kind], taken)
	}
	order := map[string]int{}
	for n, k := range kinds() {
		order[k.definition().Name] = n
	}
	slices.SortStableFunc(m.all, func(a, b *imported) int { return order[a.kindName()] - order[b.kindName()] })
}

// nameKind names what is chosen of one kind, what owns it being named already.
func (m *importing) nameKind(list []*imported, taken map[string]bool) {
	var told []*imported
	for _, i := range list {
		if i.kindName() == "record" && len(m.owners(i.found)) == 0 {
			m.leave(i.found, "no definition has its zone")
			continue
		}
		var rivals []*found
		if i.adopt, rivals = m.tell(i.found); i.adopt == nil {
			m.leave(i.found, "%s", m.alike(i.found, rivals))
			continue
		}
		told = append(told, i)
	}
	slices.SortStableFunc(told, func(a, b *imported) int {
		if la, lb := definitionName(a.found), definitionName(b.found); la != lb {
			return strings.Compare(la, lb)
		}
		if c := strings.Compare(a.attributes["cidr_block"]+a.attributes["availability_zone"], b.attributes["cidr_block"]+b.attributes["availability_zone"]); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	for _, i := range told {
		base := m.baseName(i)
		i.name = base
		for n := 2; taken[takenKey(i.kindName(), i.name)]; n++ {
			i.name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[takenKey(i.kindName(), i.name)] = true
		m.refer(i, i.name)
	}
	m.all = append(m.all, told...)
}

// takenKey makes names that differ in case alone one: they become files.
func takenKey(kind, name string) string { return strings.ToLower(kind + "." + name) }

// baseName is what a resource is called, or what it belongs to.
func (m *importing) baseName(i *imported) string {
	name := definitionName(i.found)
	if name != nameless(i.found) && !goesAlong(i.found) {
		return name
	}
	for _, key := range union(i.adopt.Owners) {
		ref := i.adopt.Owners[key]
		owner := strings.TrimPrefix(ref.Address, ref.Kind+".")
		switch {
		case !project.ValidName(owner):
		case i.attributes["main"] == "true":
			return owner + "-main"
		case goesAlong(i.found):
			return owner + "-default"
		default:
			return owner
		}
	}
	return name
}

// nameless is the name of what nobody has named.
func nameless(f *found) string { return strings.ReplaceAll(f.kindName(), "_", "-") }

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
		return nameless(f)
	}
	return plain
}
