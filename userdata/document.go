// Package userdata is the JSON document that an instance is launched with, and
// how it is read back there. Its bytes are canonical: equal documents render to
// equal bytes, one value a line, so that sed can read it where nothing better is
// installed. It is never wider than EC2 takes, decoding never accepts what
// rendering would not write, and it needs the standard library alone, so that
// programs on instances may import it.
package userdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limit is the number of bytes that EC2 takes as user data, counted before the
// base64 encoding.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
const Limit = 16384

// Format is the version of the document's form: the value of its first key.
const Format = 1

// maxDepth is how deep values may nest. It keeps a hostile document from
// costing a deep stack; nothing that a person writes comes near it.
const maxDepth = 64

// Document is what an instance is told about itself.
type Document struct {
	Project     string
	Environment string
	Region      string
	Image       string         // empty where the instance names an AMI and no image
	Version     string         // of the build; empty without an image
	Address     string         // instance.web[0]; that of the definition, instance.web, where instances share a document
	UUID        string         // empty where instances share a document
	Extra       map[string]any // any JSON: the definition's own values
}

// field is a top-level key with a text value, in the order of the document.
type field struct {
	key      string
	value    func(*Document) *string
	required bool
}

func fields() []field {
	return []field{
		{"project", func(d *Document) *string { return &d.Project }, true},
		{"environment", func(d *Document) *string { return &d.Environment }, true},
		{"region", func(d *Document) *string { return &d.Region }, false},
		{"image", func(d *Document) *string { return &d.Image }, false},
		{"version", func(d *Document) *string { return &d.Version }, false},
		{"address", func(d *Document) *string { return &d.Address }, true},
		{"uuid", func(d *Document) *string { return &d.UUID }, false},
	}
}

const (
	formatKey = "goldline"
	extraKey  = "extra"
)

// Render gives the document's canonical bytes: a fixed order of keys, those
// below extra sorted, no HTML escapes, a newline at the end. Equal documents
// give equal bytes. The error says what a value cannot be, which key is
// missing, or by how much the document is over Limit.
func (d Document) Render() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  %q: %d", formatKey, Format)
	for _, f := range fields() {
		value := *f.value(&d)
		if f.required && value == "" {
			return nil, fmt.Errorf("user data: %s is empty", f.key)
		}
		if err := renderField(&b, f.key, value); err != nil {
			return nil, err
		}
	}
	extra := d.Extra
	if extra == nil {
		extra = map[string]any{}
	}
	if err := renderField(&b, extraKey, extra); err != nil {
		return nil, err
	}
	b.WriteString("\n}\n")
	if over := b.Len() - Limit; over > 0 {
		return nil, &TooLargeError{Size: b.Len()}
	}
	// cloud-init looks for this in the first 4096 bytes; refusing it everywhere
	// keeps the answer from depending on where a value happens to stand.
	if bytes.Contains(bytes.ToLower(b.Bytes()), []byte("mime-version:")) {
		return nil, errors.New(`user data: cloud-init takes a document that holds "MIME-Version:" for a mail message: leave that text out`)
	}
	// What rendering writes, decoding takes: nesting and keys are checked there.
	if _, err := Decode(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// TooLargeError says that a document does not fit.
type TooLargeError struct {
	Size int // bytes
}

// Error says by how much it is over.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("user data: %d bytes are %d more than the %d that EC2 takes", e.Size, e.Size-Limit, Limit)
}

func renderField(b *bytes.Buffer, key string, value any) error {
	if err := checkText(value, key, 0); err != nil {
		return err
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("  ", "  ")
	if err := encoder.Encode(value); err != nil {
		var unsupported *json.UnsupportedValueError
		if errors.As(err, &unsupported) {
			return fmt.Errorf("user data: %s: JSON has no way to write %s", key, unsupported.Str)
		}
		return fmt.Errorf("user data: %s: %w", key, err)
	}
	fmt.Fprintf(b, ",\n  %q: %s", key, bytes.TrimRight(encoded.Bytes(), "\n"))
	return nil
}

// checkText refuses text that is no UTF-8: JSON would quietly write another.
func checkText(value any, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("user data: %s: nested deeper than %d", path, maxDepth)
	}
	switch value := value.(type) {
	case string:
		if !utf8.ValidString(value) {
			return fmt.Errorf("user data: %s: the text is not UTF-8", path)
		}
	case map[string]any:
		for key, v := range value {
			if !utf8.ValidString(key) {
				return fmt.Errorf("user data: %s: the key %q is not UTF-8", path, key)
			}
			if err := checkText(v, path+"."+key, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for i, v := range value {
			if err := checkText(v, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
