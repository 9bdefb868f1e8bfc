package launch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
)

// importer is a kind whose resources can be written down: express is the
// inverse of compare. In the result stand names where others are referred to.
type importer[S, R any] interface {
	express(x *expression, have R) S
}

// original is a kind of which AWS makes resources by itself; it says which, or
// "". An import passes them over.
type original[R any] interface {
	original(m *importing, have R) string
}

// unsayable is a kind some of whose resources a definition cannot describe; it
// says why, or "". An import leaves them out and says so.
type unsayable[R any] interface {
	unsayable(have R) string
}

// keyed is a kind whose resources adopt tells apart by several attributes
// together.
type keyed interface {
	key() []string
}

// called is a kind whose resources have no names; it says what to call one.
type called[R any] interface {
	called(have R) string
}

func (a adapter[S, R]) key() []string {
	if h, ok := a.h.(keyed); ok {
		return h.key()
	}
	return nil
}

func (a adapter[S, R]) called(f *found) string {
	if h, ok := a.h.(called[R]); ok {
		return h.called(f.raw.(R))
	}
	return ""
}

func (a adapter[S, R]) unsayable(f *found) string {
	if h, ok := a.h.(unsayable[R]); ok {
		return h.unsayable(f.raw.(R))
	}
	return ""
}

func (a adapter[S, R]) imports() bool {
	_, ok := a.h.(importer[S, R])
	return ok
}

func (a adapter[S, R]) express(x *expression, f *found) any {
	s := a.h.(importer[S, R]).express(x, f.raw.(R))
	return &s
}

func (a adapter[S, R]) madeByAWS(m *importing, f *found) string {
	if h, ok := a.h.(original[R]); ok {
		return h.original(m, f.raw.(R))
	}
	return ""
}

// needs are the IDs of what a resource stands on or refers to: a superset of
// what its definition names.
func (a adapter[S, R]) needs(f *found) []string {
	ids := slices.Concat(f.uses, f.names)
	if h, ok := a.h.(interface{ with(R) []string }); ok {
		ids = append(ids, h.with(f.raw.(R))...)
	}
	return ids
}

// expression is the definition of one resource in the making.
type expression struct {
	*importing
	*imported
}

// leave notes what the definition does not say, and why.
func (x *expression) leave(path, format string, args ...any) {
	note := path + ": " + fmt.Sprintf(format, args...)
	if !has(x.unsaid, note) {
		x.unsaid = append(x.unsaid, note)
	}
}

// ref is the name of the definition that has a resource, or "" with a note.
func (x *expression) ref(path string, id *string) string {
	if id == nil || *id == "" {
		return ""
	}
	name, ok := x.named(*id)
	if !ok {
		x.leave(path, "no definition has %s", *id)
	}
	return name
}

// named is how references name a resource. ok is false where no definition has
// it.
func (x *expression) named(id string) (string, bool) {
	if i := x.byID[id]; i != nil {
		return i.name, true
	}
	return "", false
}

// refs are the names of several, or nil with a note where one has none: a list
// with a gap would take the missing one away.
func (x *expression) refs(path string, ids []string) []string {
	var names []string
	for _, id := range ids {
		name, ok := x.named(id)
		if !ok {
			x.leave(path, "no definition has %s", id)
			return nil
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// attribute is a reference to an attribute of a resource within text; fallback
// where no definition has it.
func (x *expression) attribute(kind, attribute, value string) string {
	for _, i := range x.byID {
		if i.kindName() == kind && i.attributes[attribute] == value {
			return project.TextReference(kind, i.name, attribute)
		}
	}
	return value
}

// ami is the AMI that something runs, where it is still there.
func (x *expression) ami(id *string) string {
	if id == nil || *id == "" {
		return ""
	}
	if _, ok := x.amis[*id]; !ok && x.unseen {
		x.leave("ami", "the credentials may not look whether %s is there", *id)
		return ""
	} else if !ok {
		x.leave("ami", "%s is not there any more", *id)
		return ""
	}
	return *id
}

// zoneLetter is a zone as a definition gives it for every region.
func (x *expression) zoneLetter(zone string) string {
	if letter, ok := strings.CutPrefix(zone, x.region); ok && len(letter) == 1 {
		return letter
	}
	return zone
}

// jsonValue is text in JSON as definitions give it; nil where it is none.
func jsonValue(text string) map[string]any {
	var v map[string]any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil
	}
	return v
}
