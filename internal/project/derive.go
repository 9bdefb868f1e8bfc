package project

import (
	"reflect"

	"github.com/goldline-dev/goldline/internal/diag"
)

// Derive gives a resource that follows from a field of another one, at path: a
// short form. Its own fields stand where that one does. refs are what spec refers
// to.
func Derive(project, environment string, from *Resource, path, kind, name string, spec any, refs []Ref) *Resource {
	r := &Resource{Kind: kind, Name: name, Address: kind + "." + name, Pos: from.At(path), Spec: spec, From: from.Address, positions: map[string]diag.Pos{}}
	r.UUID = Identity(project, environment, r.Address)
	v := reflect.Indirect(reflect.ValueOf(spec))
	for _, f := range fieldsOf(v.Type()) {
		if !v.FieldByIndex(f.index).IsZero() {
			r.positions[f.key] = r.Pos
		}
	}
	for _, ref := range refs {
		ref.Pos = r.Pos
		r.Refs = append(r.Refs, ref)
	}
	return r
}
