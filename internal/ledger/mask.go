package ledger

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"strings"
)

// shortest is the length below which a value is not masked: hiding every "a"
// makes a record unreadable and the secret guessable.
const shortest = 4

// masked stands where a secret stood.
const masked = "***"

// Mask hides secret values in text: as they are, line by line, and as JSON,
// URLs, shells and base64 write them. It is the second line of defence; the
// first is that an event holds no secret.
type Mask struct {
	replacer *strings.Replacer
}

// NewMask returns a mask for the values given. Those shorter than four bytes
// are left alone.
func NewMask(secrets ...string) *Mask {
	forms := map[string]bool{}
	for _, secret := range secrets {
		addForms(forms, secret)
		// What prints a secret of several lines often prints it line by line.
		if lines := strings.Split(secret, "\n"); len(lines) > 1 {
			for _, l := range lines {
				addForms(forms, strings.TrimSpace(l))
			}
		}
	}
	list := make([]string, 0, len(forms))
	for f := range forms {
		list = append(list, f)
	}
	// The longest first: a secret that holds another is hidden whole.
	sort.Slice(list, func(i, j int) bool {
		if len(list[i]) != len(list[j]) {
			return len(list[i]) > len(list[j])
		}
		return list[i] < list[j]
	})
	pairs := make([]string, 0, 2*len(list))
	for _, f := range list {
		pairs = append(pairs, f, masked)
	}
	return &Mask{replacer: strings.NewReplacer(pairs...)}
}

func addForms(forms map[string]bool, secret string) {
	if len(secret) < shortest {
		return
	}
	add := func(form string) {
		if len(form) >= shortest {
			forms[form] = true
		}
	}
	add(secret)
	add(strings.TrimSpace(secret))
	add(strings.ReplaceAll(secret, "\n", "\r\n"))
	add(url.QueryEscape(secret))
	add(url.PathEscape(secret))
	add(strings.ReplaceAll(secret, "'", `'\''`))
	for _, html := range []bool{true, false} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(html)
		if encoder.Encode(secret) == nil {
			add(strings.Trim(strings.TrimSpace(b.String()), `"`))
		}
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			add(base64Core(encoding, secret, offset))
		}
	}
}

// base64Core is what the encoding of a text that holds the secret after
// offset (mod 3) other bytes has in common whatever stands around it, such as
// the password in "user:password".
func base64Core(encoding *base64.Encoding, secret string, offset int) string {
	encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + secret))
	first := (offset*8 + 5) / 6            // digits that also hold bits of what stands before
	last := (offset + len(secret)) * 8 / 6 // digits that hold none of what stands behind
	if last-first < 2*shortest {
		return "" // too little of it is certain; chance would match it
	}
	return encoded[first:last]
}

// Text is text with every secret masked.
func (m *Mask) Text(text string) string {
	if m == nil || text == "" {
		return text
	}
	return m.replacer.Replace(text)
}

// value masks every string in a decoded JSON value.
func (m *Mask) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.Text(v)
	case []any:
		for i := range v {
			v[i] = m.value(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = m.value(v[k])
		}
	}
	return v
}
