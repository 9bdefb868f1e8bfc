package project

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
)

// Fill gives a deep copy of a Resource's Spec with every reference replaced by
// its value: a field that is typed as a reference asks lookup for the
// attribute "id"; `${kind.name.attribute}` is replaced within any text, also in
// maps and values of no prescribed type. Where lookup does not know, the text
// stays as it is. `$${` becomes `${`, so a copy is filled from the Spec anew,
// never from another copy.
func Fill(spec any, lookup func(Ref) (value string, ok bool)) (any, error) {
	v := reflect.ValueOf(spec)
	if !v.IsValid() {
		return nil, nil
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return spec, nil
	}
	var bad error
	filled := transform(v, field{}, "", func(text string, f field, path string) string {
		if f.ref != "" && !strings.Contains(text, "${") {
			ref, literal := typedReference(f, text)
			if literal {
				return text
			}
			ref.Path, ref.Late = path, f.late
			if value, ok := lookup(ref); ok {
				return value
			}
			return text
		}
		return rewrite(text, true, func(expr string) (string, bool) {
			ref, ok := textReference(expr)
			if !ok {
				if bad == nil {
					bad = fmt.Errorf("%s: ${%s} is no reference", path, expr)
				}
				return "", false
			}
			ref.Path, ref.Late = path, f.late
			return lookup(ref)
		})
	})
	if bad != nil {
		return nil, bad
	}
	return filled.Interface(), nil
}

// transform copies a value with every string in it rewritten. f is the field
// that holds it, path its place.
func transform(v reflect.Value, f field, path string, rewrite func(text string, f field, path string) string) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		c := reflect.New(v.Type()).Elem()
		c.SetString(rewrite(v.String(), f, path))
		return c
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(transform(v.Elem(), f, path, rewrite))
		return c
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type()).Elem()
		c.Set(transform(v.Elem(), f, path, rewrite))
		return c
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		for _, f := range fieldsOf(v.Type()) {
			c.FieldByIndex(f.index).Set(transform(v.FieldByIndex(f.index), f, join(path, f.key), rewrite))
		}
		return c
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return v
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			c.Index(i).Set(transform(v.Index(i), f, fmt.Sprintf("%s[%d]", path, i), rewrite))
		}
		return c
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			c.SetMapIndex(key, transform(v.MapIndex(key), field{}, join(path, key.String()), rewrite))
		}
		return c
	}
	return v
}

// idForm is how EC2 writes its IDs; prefixes gives the first part for the kinds
// where it is not the kind's own name.
var (
	idForm   = regexp.MustCompile(`^([a-z]+)-([0-9a-f]{8}|[0-9a-f]{17})$`)
	zoneID   = regexp.MustCompile(`^Z[0-9A-Z]{8,31}$`) // of Route 53
	prefixes = map[string]string{
		"security_group": "sg", "volume": "vol", "instance": "i", "internet_gateway": "igw", "route_table": "rtb", "nat_gateway": "nat",
		"elastic_ip": "eipalloc", "network_interface": "eni", "vpc_peering": "pcx", "vpc_endpoint": "vpce", "network_acl": "acl",
		"dhcp_options": "dopt", "snapshot": "snap", "launch_template": "lt", "key_pair": "key",
	}
)

// typedReference reads the value of a field of type reference: a name, with its
// kind before it or without. literal is true for an ID or an ARN of AWS's own,
// and for an address in the place of an elastic_ip.
func typedReference(f field, text string) (_ Ref, literal bool) {
	kind, attribute := f.ref, f.attribute
	if text == "" || strings.HasPrefix(text, "arn:") || kind == "zone" && zoneID.MatchString(text) {
		return Ref{}, true
	}
	if attribute == "" {
		attribute = "id"
	}
	if kind == "image" {
		return Ref{Kind: kind, Address: text, Attribute: "id"}, false
	}
	if _, err := netip.ParseAddr(text); err == nil && kind == "elastic_ip" {
		return Ref{}, true // one that the account holds
	}
	if m := idForm.FindStringSubmatch(text); m != nil {
		prefix, known := prefixes[kind]
		if m[1] == prefix || !known && m[1] == kind {
			return Ref{}, true
		}
	}
	return Ref{Kind: kind, Address: kind + "." + strings.TrimPrefix(text, kind+"."), Attribute: attribute}, false
}

var addressed = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+(?:\[[^\[\]]+\])?)\.([A-Za-z0-9_-]+)$`)

// textReference reads what stands between the braces of a reference in text:
// kind.name.attribute.
func textReference(expr string) (Ref, bool) {
	m := addressed.FindStringSubmatch(expr)
	if m == nil {
		return Ref{}, false
	}
	if m[1] == "image" {
		return Ref{Kind: m[1], Address: m[2], Attribute: m[3]}, true
	}
	return Ref{Kind: m[1], Address: m[1] + "." + m[2], Attribute: m[3]}, true
}
