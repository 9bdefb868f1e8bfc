package userdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Decode reads a document. It refuses what Render would not write: another
// format, unknown top-level keys, values of the wrong type, a key given twice
// anywhere, anything behind the document, and more than Limit bytes. Numbers
// below extra come as json.Number, digit for digit.
func Decode(data []byte) (Document, error) {
	tree, err := parse(data)
	if err != nil {
		return Document{}, err
	}
	if err := checkFormat(tree); err != nil {
		return Document{}, err
	}
	var d Document
	known := map[string]bool{formatKey: true, extraKey: true}
	for _, f := range fields() {
		known[f.key] = true
		value, given := tree[f.key]
		text, isText := value.(string)
		switch {
		case given && !isText:
			return Document{}, fmt.Errorf("user data: %s is %s and must be text", f.key, kindOf(value))
		case f.required && text == "":
			return Document{}, fmt.Errorf("user data: %s is missing", f.key)
		}
		*f.value(&d) = text
	}
	for key := range tree {
		if !known[key] {
			return Document{}, fmt.Errorf("user data: unknown key %q: the keys are %s; values of your own go below extra", key, keyList())
		}
	}
	d.Extra = map[string]any{}
	if value, given := tree[extraKey]; given {
		extra, ok := value.(map[string]any)
		if !ok {
			return Document{}, fmt.Errorf("user data: extra is %s and must be an object", kindOf(value))
		}
		d.Extra = extra
	}
	return d, nil
}

// checkFormat comes first: in a document of another format the other keys may
// mean anything.
func checkFormat(tree map[string]any) error {
	value, given := tree[formatKey]
	if !given {
		return fmt.Errorf("user data: no key %q: this is not a document of goldline's", formatKey)
	}
	number, ok := value.(json.Number)
	if !ok {
		return fmt.Errorf("user data: %s is %s and must be the number of the format", formatKey, kindOf(value))
	}
	if number.String() != fmt.Sprint(Format) {
		return fmt.Errorf("user data: format %s is unknown: this goldline reads format %d", number, Format)
	}
	return nil
}

func keyList() string {
	keys := []string{formatKey}
	for _, f := range fields() {
		keys = append(keys, f.key)
	}
	return strings.Join(append(keys, extraKey), ", ")
}

// parser reads JSON strictly, token by token, which is how duplicate keys show.
type parser struct {
	data    []byte
	decoder *json.Decoder
}

func parse(data []byte) (map[string]any, error) {
	if len(data) > Limit {
		return nil, &TooLargeError{Size: len(data)}
	}
	if !utf8.Valid(data) {
		return nil, errors.New("user data: the document is not UTF-8")
	}
	p := &parser{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	value, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("user data: the document is %s and must be an object", kindOf(value))
	}
	if _, err := p.decoder.Token(); err != io.EOF {
		return nil, p.errorf("something stands behind the document")
	}
	return tree, nil
}

func (p *parser) errorf(format string, args ...any) error {
	line := 1 + bytes.Count(p.data[:p.decoder.InputOffset()], []byte("\n"))
	return fmt.Errorf("user data: line %d: %s", line, fmt.Sprintf(format, args...))
}

func (p *parser) token() (json.Token, error) {
	token, err := p.decoder.Token()
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, p.errorf("the document ends too early")
	}
	if err != nil {
		return nil, p.errorf("not JSON: %v", err)
	}
	return token, nil
}

func (p *parser) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.errorf("nested deeper than %d", maxDepth)
	}
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return p.object(path, depth)
	case json.Delim('['):
		return p.list(path, depth)
	}
	return token, nil
}

func (p *parser) object(path string, depth int) (any, error) {
	object := map[string]any{}
	for p.decoder.More() {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, p.errorf("a key must be text")
		}
		if _, twice := object[key]; twice {
			return nil, p.errorf("the key %q stands twice", join(path, key))
		}
		if object[key], err = p.value(join(path, key), depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.token()
	return object, err
}

func (p *parser) list(path string, depth int) (any, error) {
	list := []any{}
	for p.decoder.More() {
		value, err := p.value(path, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := p.token()
	return list, err
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("%T", value)
}
