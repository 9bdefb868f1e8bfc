package emulator

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Where a REST message holds what is not in its body, in the tables' words.
const (
	inPath   = "uri"
	inQuery  = "querystring"
	inHeader = "header"
)

// place is one of these, with the name there.
type place struct{ kind, name string }

// route is the method and path of a REST action. A part of the path in braces
// is a label: it holds a member of the request.
type route struct {
	action, method string
	parts          []string
	status         int // of a success
}

// newRoute reads a line of a table: the action, the method, and
// 201:/2013-04-01/hostedzone.
func newRoute(action, method, text string) (route, error) {
	code, path, _ := strings.Cut(text, ":")
	status, err := strconv.Atoi(code)
	if err != nil {
		return route{}, fmt.Errorf("table of wire names: %q has no status", text)
	}
	return route{action, method, strings.Split(strings.Trim(path, "/"), "/"), status}, nil
}

// label is the name between a part's braces; ok is false for a fixed part.
func label(part string) (name string, ok bool) {
	if !strings.HasPrefix(part, "{") {
		return "", false
	}
	return strings.TrimRight(part[1:], "+}"), true
}

// match gives the labels of a path that the route takes.
func (r route) match(method string, parts []string) (url.Values, bool) {
	if r.method != method || len(r.parts) != len(parts) {
		return nil, false
	}
	labels := url.Values{}
	for i, part := range r.parts {
		name, ok := label(part)
		if !ok && part != parts[i] {
			return nil, false
		}
		if ok {
			text, err := url.PathUnescape(parts[i])
			if err != nil || text == "" {
				return nil, false
			}
			labels.Set(name, text)
		}
	}
	return labels, true
}

// route finds the action of a request. Of two that match, the one with fewer
// labels is meant.
func (w *wire) route(method string, at *url.URL) (action string, labels url.Values, err error) {
	parts := strings.Split(strings.Trim(at.EscapedPath(), "/"), "/")
	for _, r := range w.routes {
		if found, ok := r.match(method, parts); ok && (action == "" || len(found) < len(labels)) {
			action, labels = r.action, found
		}
	}
	if action == "" {
		return "", nil, &apiError{Status: http.StatusNotFound, Code: "InvalidAction", Message: fmt.Sprintf("No action is known as %s %s", method, at.Path)}
	}
	return action, labels, nil
}

func (w *wire) statusOf(action string) int {
	for _, r := range w.routes {
		if r.action == action {
			return r.status
		}
	}
	return http.StatusOK
}

// decodeREST fills an input struct from the path, the query, the headers that
// belong to it, and the body.
func (w *wire) decodeREST(r *request, into reflect.Value) error {
	t := into.Type()
	query := map[string]int{}
	for i := range t.NumField() {
		switch at := w.places[t.Name()+"."+t.Field(i).Name]; at.kind {
		case inPath:
			if err := w.decodeText(r.labels.Get(at.name), into.Field(i), at.name); err != nil {
				return err
			}
		case inQuery:
			query[at.name] = i
		}
	}
	for _, name := range sortedKeys(r.form) {
		i, ok := query[name]
		switch {
		case !ok && strings.HasPrefix(name, "X-Amz-"):
		case !ok || len(r.form[name]) != 1:
			return refuse(w.unknownParameter(), "The parameter %s is not recognized", name)
		default:
			if err := w.decodeText(r.form.Get(name), into.Field(i), name); err != nil {
				return err
			}
		}
	}
	if len(bytes.TrimSpace(r.body)) > 0 {
		root, err := parseXML(r.body)
		if err != nil || root.name != r.action+"Request" {
			return refuse("MalformedInput", "Unexpected complex element termination")
		}
		return w.decodeElement(root, into, "")
	}
	for _, name := range w.missing(into) {
		return w.missingParameter(name)
	}
	return nil
}

// decodeText fills a member that is one value.
func (w *wire) decodeText(text string, into reflect.Value, path string) error {
	if into.Kind() == reflect.Pointer {
		value := reflect.New(into.Type().Elem())
		into.Set(value)
		into = value.Elem()
	}
	return w.decodeScalar(text, into, path)
}

// element is a node of an XML body.
type element struct {
	name string
	text string
	kids []*element
}

func parseXML(body []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var stack []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			if len(stack) >= maxDepth {
				return nil, errors.New("nests too deep")
			}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.kids = append(top.kids, e)
			}
			stack = append(stack, e)
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			}
		case xml.EndElement:
			if len(stack) == 1 {
				return stack[0], nil
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func (w *wire) decodeElement(e *element, into reflect.Value, path string) error {
	t := into.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		value := reflect.New(t.Elem())
		into.Set(value)
		return w.decodeElement(e, value.Elem(), path)
	case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return w.decodeElements(e, into, path)
	case len(e.kids) > 0:
		return refuse(w.unknownParameter(), "Invalid XML ; the element %s holds a value, not %s", path, e.kids[0].name)
	}
	return w.decodeScalar(e.text, into, path)
}

func (w *wire) decodeElements(e *element, into reflect.Value, path string) error {
	t, fields := into.Type(), w.fields(into.Type())
	seen := map[string]bool{}
	for _, kid := range e.kids {
		i, ok := fields[kid.name]
		if !ok || seen[kid.name] {
			return refuse(w.unknownParameter(), "Invalid XML ; the element %s is not expected here", join(path, kid.name))
		}
		seen[kid.name] = true
		f, at := t.Field(i), join(path, kid.name)
		if !isList(f.Type) {
			if err := w.decodeElement(kid, into.Field(i), at); err != nil {
				return err
			}
			continue
		}
		list, item := reflect.MakeSlice(f.Type, len(kid.kids), len(kid.kids)), w.itemName(t, f)
		for n, one := range kid.kids {
			if one.name != item {
				return refuse(w.unknownParameter(), "Invalid XML ; the element %s is not expected here: %s is", join(at, one.name), item)
			}
			if err := w.decodeElement(one, list.Index(n), join(at, item)); err != nil {
				return err
			}
		}
		into.Field(i).Set(list)
	}
	for _, name := range w.missing(into) {
		if !seen[name] { // false and 0 are values
			return w.missingParameter(join(path, name))
		}
	}
	return nil
}

// encodeHeaders writes the members of an answer that are headers.
func (w *wire) encodeHeaders(header http.Header, output any) {
	v := reflect.Indirect(reflect.ValueOf(output))
	t := v.Type()
	for i := range t.NumField() {
		if at := w.places[t.Name()+"."+t.Field(i).Name]; at.kind == inHeader && !v.Field(i).IsZero() {
			header.Set(at.name, scalar(reflect.Indirect(v.Field(i))))
		}
	}
}
