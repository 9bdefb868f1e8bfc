package emulator

import (
	"fmt"
	"reflect"
	"strings"
)

// honoured is the set of a call's parameters that its handler carries out: paths
// of field names, "NetworkInterfaces.SubnetId", where lists count as their
// elements and "Ebs.*" stands for all below Ebs. A parameter that is set and
// not in the set is refused, so that nothing a caller asks for is silently
// dropped. DryRun is the engine's and needs no mention.
type honoured map[string]bool

func parseHonoured(list string) honoured {
	h := honoured{"DryRun": true}
	for _, path := range strings.Fields(list) {
		h[path] = true
	}
	return h
}

// check refuses an input with a parameter that isn't honoured. Values that
// equal the absence of a parameter (false, 0, the empty text) pass.
func (h honoured) check(input any) error {
	return h.walk(reflect.ValueOf(input).Elem(), "")
}

func (h honoured) walk(v reflect.Value, path string) error {
	if path != "" && (v.IsZero() || h[path+".*"]) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return h.walk(v.Elem(), path)
	case reflect.Struct:
		if v.Type().PkgPath() == "time" {
			break
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			if err := h.walk(v.Field(i), joinPath(path, field.Name)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if h[path] {
			return nil
		}
		for i := range v.Len() {
			if err := h.walk(v.Index(i), path); err != nil {
				return err
			}
		}
		return nil
	}
	if h[path] {
		return nil
	}
	return refuse("UnsupportedOperation", "The local cloud does not carry out the parameter %s.", path)
}

// unknownTo lists the paths that an input type doesn't have: mistakes in a
// handler's list.
func (h honoured) unknownTo(input reflect.Type) []string {
	var unknown []string
	for _, path := range sortedKeys(h) {
		if path != "DryRun" && !hasPath(input, strings.Split(strings.TrimSuffix(path, ".*"), ".")) {
			unknown = append(unknown, fmt.Sprintf("%s.%s", input.Name(), path))
		}
	}
	return unknown
}

func hasPath(t reflect.Type, path []string) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if len(path) == 0 {
		return true
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	field, ok := t.FieldByName(path[0])
	return ok && hasPath(field.Type, path[1:])
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
