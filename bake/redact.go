package bake

import (
	"encoding/base64"
	"encoding/json"
	"sort"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
)

// hidden stands where a sensitive value stood.
const hidden = "<sensitive>"

// redactor takes the values of sensitive variables out of text: as they are,
// line by line where they have several, escaped, and in base64.
type redactor struct{ values []string }

func newRedactor(image *project.Image) redactor {
	seen := map[string]bool{}
	var r redactor
	add := func(v string) {
		if v != "" && !seen[v] {
			seen[v] = true
			r.values = append(r.values, v)
		}
	}
	for _, value := range image.SecretValues() {
		add(value)
		add(strings.ReplaceAll(value, "'", `'"'"'`))      // as the shell gets it
		if text, err := json.Marshal(value); err == nil { // as it stands in options and user data
			add(strings.Trim(string(text), `"`))
		}
		add(base64.StdEncoding.EncodeToString([]byte(value)))
		add(base64.URLEncoding.EncodeToString([]byte(value)))
		for _, line := range strings.Split(value, "\n") {
			// A line of one or two letters would take half of all output with it.
			if line = strings.TrimSpace(line); len(line) > 2 {
				add(line)
			}
		}
	}
	// The longest first: one value may be part of another.
	sort.SliceStable(r.values, func(i, j int) bool { return len(r.values[i]) > len(r.values[j]) })
	return r
}

// text returns s without sensitive values.
func (r redactor) text(s string) string {
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, hidden)
	}
	return s
}

// holds tells whether there is a sensitive value in s.
func (r redactor) holds(s string) bool { return r.text(s) != s }
