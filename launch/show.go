package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// inOrder are the items so that each stands behind all that it refers to.
func (p *planner) inOrder() []*item {
	var addresses []string
	for _, it := range p.items {
		addresses = append(addresses, it.Address)
	}
	ordered, cycle := graph.Order(addresses, func(address string) []string {
		var needs []string
		for _, ref := range p.byAddress[address].Refs {
			if !ref.Late {
				needs = append(needs, ref.Address)
			}
		}
		return needs
	})
	if cycle != nil {
		return p.items
	}
	items := make([]*item, len(ordered))
	for i, address := range ordered {
		items[i] = p.byAddress[address]
	}
	return items
}

// goingOrder are resources so that each stands before all that it uses.
func goingOrder(list []*found) []*found {
	byID := map[string]*found{}
	users := map[string][]string{}
	var ids []string
	for _, f := range list {
		byID[f.id] = f
		ids = append(ids, f.id)
		for _, used := range f.uses {
			users[used] = append(users[used], f.id)
		}
	}
	ordered, cycle := graph.Order(ids, func(id string) []string { return users[id] })
	if cycle != nil || len(byID) != len(list) {
		return list
	}
	all := make([]*found, len(ordered))
	for i, id := range ordered {
		all[i] = byID[id]
	}
	return all
}

// definitions is the digest of what is going to be made, in full: a plan shows
// only the main of it.
func (p *planner) definitions() string {
	sum := sha256.New()
	for _, it := range p.items {
		if it.made() {
			// What Go's JSON cannot write, no definition can hold.
			text, _ := json.Marshal([]any{it.Address, it.spec, p.tagsOf(it.Resource, it.kind, it.spec)})
			sum.Write(text)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// stated are the fields that a definition states, with the names of what is
// going to be made in the places of IDs that nobody knows yet.
func (p *planner) stated(it *item) []FieldChange {
	spec, err := project.Fill(it.Spec, func(ref project.Ref) (string, bool) {
		if other := p.byAddress[ref.Address]; other == nil || other.have != nil && !other.made() || ref.Attribute != "id" && ref.Attribute != "versioned_id" {
			return p.lookup(ref)
		}
		return ref.Address, true
	})
	if err != nil {
		return nil // the plan has reported it
	}
	var fields []FieldChange
	v := reflect.Indirect(reflect.ValueOf(spec))
	for i := range v.NumField() {
		t := v.Type().Field(i)
		key, _, _ := strings.Cut(t.Tag.Get("yaml"), ",")
		if key == "" || key == "-" || !it.States(key) || t.Tag.Get("sensitive") == "true" {
			continue
		}
		fields = append(fields, FieldChange{Path: key, New: brief(v.Field(i))})
	}
	return fields
}

// brief is a value in few words: of user data only what it is called.
func brief(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return ""
		}
		return brief(v.Elem())
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, brief(v.Index(i)))
		}
		return strings.Join(items, ", ")
	case reflect.Map:
		var keys []string
		for _, k := range v.MapKeys() {
			keys = append(keys, k.String())
		}
		return strings.Join(union(set(keys)), ", ")
	case reflect.Struct:
		return briefStruct(v)
	}
	return fmt.Sprint(v.Interface())
}

func briefStruct(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		t := v.Type().Field(i)
		key, _, _ := strings.Cut(t.Tag.Get("yaml"), ",")
		if key == "" || key == "-" || v.Field(i).IsZero() || t.Tag.Get("sensitive") == "true" {
			continue
		}
		parts = append(parts, key+": "+brief(v.Field(i)))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func set(keys []string) map[string]bool {
	all := map[string]bool{}
	for _, k := range keys {
		all[k] = true
	}
	return all
}
