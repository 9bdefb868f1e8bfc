package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"time"
)

// decodeJSON fills an input struct from a JSON 1.1 request.
func (w *wire) decodeJSON(body []byte, into reflect.Value) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	return w.decodeMember(body, into, "")
}

func (w *wire) decodeMember(text json.RawMessage, into reflect.Value, path string) error {
	t := into.Type()
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		return nil
	}
	switch {
	case t.Kind() == reflect.Pointer:
		value := reflect.New(t.Elem())
		if err := w.decodeMember(text, value.Elem(), path); err != nil {
			return err
		}
		into.Set(value)
		return nil
	case isList(t):
		var elements []json.RawMessage
		if json.Unmarshal(text, &elements) != nil {
			return malformedJSON(path)
		}
		list := reflect.MakeSlice(t, len(elements), len(elements))
		for i, e := range elements {
			if err := w.decodeMember(e, list.Index(i), path); err != nil {
				return err
			}
		}
		into.Set(list)
		return nil
	case t == reflect.TypeFor[time.Time]():
		var seconds float64
		if json.Unmarshal(text, &seconds) != nil {
			return malformedJSON(path)
		}
		whole, part := math.Modf(seconds)
		into.Set(reflect.ValueOf(time.Unix(int64(whole), int64(part*1e9)).UTC()))
		return nil
	case t.Kind() == reflect.Struct:
		return w.decodeObject(text, into, path)
	}
	if json.Unmarshal(text, into.Addr().Interface()) != nil {
		return malformedJSON(path)
	}
	if allowed := w.values(t); allowed != nil && !allowed[into.String()] {
		return refuse(w.invalidValue(), "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set", into.String(), path)
	}
	return nil
}

func (w *wire) decodeObject(text json.RawMessage, into reflect.Value, path string) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return malformedJSON(path)
	}
	fields := w.fields(into.Type())
	for _, name := range sortedKeys(members) {
		i, ok := fields[name]
		if !ok {
			return refuse(w.unknownParameter(), "1 validation error detected: '%s' is not a member of the request", join(path, name))
		}
		if err := w.decodeMember(members[name], into.Field(i), join(path, name)); err != nil {
			return err
		}
	}
	for _, name := range w.missing(into) {
		return w.missingParameter(join(path, name))
	}
	return nil
}

func malformedJSON(path string) error {
	if path == "" {
		return refuse("SerializationException", "The request is no JSON object")
	}
	return refuse("SerializationException", "The value of %s is of the wrong type", path)
}

// encodeJSON writes the answer of an action. Its own lists are there even when
// they are empty.
func (w *wire) encodeJSON(output any) ([]byte, error) {
	return json.Marshal(w.object(reflect.Indirect(reflect.ValueOf(output)), true))
}

func (w *wire) object(v reflect.Value, emptyLists bool) map[string]any {
	members := map[string]any{}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !carried(f) {
			continue
		}
		if value, ok := w.member(v.Field(i), emptyLists); ok {
			members[w.outName(t, f)] = value
		}
	}
	return members
}

func (w *wire) member(v reflect.Value, emptyLists bool) (any, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return w.member(v.Elem(), false)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes()), !v.IsNil()
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i], _ = w.member(v.Index(i), false)
		}
		return list, emptyLists || !v.IsNil()
	case reflect.String:
		// An enum without a value is absent; text that is empty is behind a pointer.
		return v.String(), v.Len() > 0 || v.Type() == reflect.TypeFor[string]()
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return float64(at.UnixMilli()) / 1000, true
		}
		return w.object(v, false), true
	}
	return v.Interface(), true
}
