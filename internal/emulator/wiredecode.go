package emulator

import (
	"encoding/base64"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// node is one step of the dotted names of a form: Filter.1.Value.2 is a leaf
// four nodes deep.
type node struct {
	value string
	leaf  bool
	kids  map[string]*node
}

// maxDepth bounds how deep a parameter's name may nest.
const maxDepth = 32

// notParameters are the keys of a form that belong to the protocol itself.
var notParameters = map[string]bool{
	"Action": true, "Version": true, "AWSAccessKeyId": true, "SignatureVersion": true,
	"SignatureMethod": true, "Signature": true, "Timestamp": true, "Expires": true, "SecurityToken": true,
}

func formTree(form url.Values) (*node, error) {
	root := &node{}
	for key, values := range form {
		if notParameters[key] || strings.HasPrefix(key, "X-Amz-") {
			continue
		}
		steps := strings.Split(key, ".")
		if len(values) != 1 || len(steps) > maxDepth {
			return nil, refuse("InvalidParameterValue", "The parameter %s is given more than once or nests too deep", key)
		}
		at := root
		for _, step := range steps {
			if at.kids == nil {
				at.kids = map[string]*node{}
			}
			if at.kids[step] == nil {
				at.kids[step] = &node{}
			}
			at = at.kids[step]
		}
		at.value, at.leaf = values[0], true
	}
	return root, nil
}

// decodeForm fills an input struct from the parameters of a query request.
func (w *wire) decodeForm(form url.Values, into reflect.Value) error {
	root, err := formTree(form)
	if err != nil {
		return err
	}
	return w.decodeNode(root, into, "")
}

func (w *wire) decodeStruct(n *node, into reflect.Value, path string) error {
	if n.leaf && n.value != "" {
		return refuse("InvalidParameterValue", "The parameter %s has parts and takes no value of its own", path)
	}
	fields := w.fields(into.Type())
	for _, name := range sortedKeys(n.kids) {
		i, ok := fields[name]
		if !ok {
			return refuse(w.unknownParameter(), "The parameter %s is not recognized", join(path, name))
		}
		if err := w.decodeNode(n.kids[name], into.Field(i), join(path, name)); err != nil {
			return err
		}
	}
	for _, name := range w.missing(into) {
		return w.missingParameter(join(path, name))
	}
	return nil
}

func (w *wire) decodeNode(n *node, into reflect.Value, path string) error {
	t := into.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		value := reflect.New(t.Elem())
		into.Set(value)
		return w.decodeNode(n, value.Elem(), path)
	case isList(t):
		return w.decodeList(n, into, path)
	case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return w.decodeStruct(n, into, path)
	}
	for _, name := range sortedKeys(n.kids) {
		return refuse(w.unknownParameter(), "The parameter %s is not recognized", join(path, name))
	}
	return w.decodeScalar(n.value, into, path)
}

func (w *wire) decodeList(n *node, into reflect.Value, path string) error {
	if w.protocol == protocolQuery && len(n.kids) == 1 && n.kids["member"] != nil {
		n = n.kids["member"]
	}
	if n.leaf && n.value != "" {
		return refuse(w.unknownParameter(), "The parameter %s is a list: its elements are %s.1 and so on", path, path)
	}
	type element struct {
		at int
		n  *node
	}
	var elements []element
	for key, kid := range n.kids {
		at, err := strconv.Atoi(key)
		if err != nil || at < 0 {
			return refuse(w.unknownParameter(), "The parameter %s is not recognized", join(path, key))
		}
		elements = append(elements, element{at, kid})
	}
	sort.Slice(elements, func(i, j int) bool { return elements[i].at < elements[j].at })
	list := reflect.MakeSlice(into.Type(), len(elements), len(elements))
	for i, e := range elements {
		if err := w.decodeNode(e.n, list.Index(i), join(path, strconv.Itoa(e.at))); err != nil {
			return err
		}
	}
	if len(elements) > 0 {
		into.Set(list)
	}
	return nil
}

func (w *wire) decodeScalar(text string, into reflect.Value, path string) error {
	malformed := func(kind string) error {
		return refuse(w.invalidValue(), "Invalid value '%s' for %s: not %s", text, path, kind)
	}
	switch t := into.Type(); {
	case t == reflect.TypeFor[time.Time]():
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return malformed("a time such as 2026-01-31T12:00:00Z")
		}
		into.Set(reflect.ValueOf(at.UTC()))
	case t.Kind() == reflect.String:
		if allowed := w.values(t); allowed != nil && !allowed[text] {
			return malformed("one of the values that it takes")
		}
		into.SetString(text)
	case t.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return malformed("true or false")
		}
		into.SetBool(text == "true")
	case t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		number, err := strconv.ParseInt(text, 10, t.Bits())
		if err != nil {
			return malformed("a whole number")
		}
		into.SetInt(number)
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		number, err := strconv.ParseFloat(text, t.Bits())
		if err != nil {
			return malformed("a number")
		}
		into.SetFloat(number)
	case t.Kind() == reflect.Slice:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return malformed("base64")
		}
		into.SetBytes(data)
	default:
		return refuse(w.unknownParameter(), "The parameter %s is not recognized", path)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
