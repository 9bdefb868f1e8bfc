package bake

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/goldline-dev/goldline/internal/project"
)

// hidden stands where a sensitive value stood.
const hidden = "<sensitive>"

// redactor takes the values of sensitive variables out of text: as they are,
// line by line where they have several, escaped, in base64 and in hexadecimal.
type redactor struct{ values []string }

func newRedactor(image *project.Image) redactor { return redactor{}.and(image.SecretValues()...) }

// and is a redactor that takes out more values.
func (r redactor) and(values ...string) redactor {
	seen := map[string]bool{}
	all := slices.Clone(r.values)
	add := func(v string) {
		if v != "" && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	for _, value := range values {
		if value == "" {
			continue
		}
		add(value)
		add(strings.ReplaceAll(value, "'", `'"'"'`))      // as the shell gets it
		if text, err := json.Marshal(value); err == nil { // as it stands in options and user data
			add(strings.Trim(string(text), `"`))
		}
		add(url.QueryEscape(value))
		add(hex.EncodeToString([]byte(value)))
		for _, form := range inBase64(value) {
			add(form)
		}
		for _, line := range strings.Split(value, "\n") {
			// A line of one or two letters would take half of all output with it.
			if line = strings.TrimSpace(line); len(line) > 2 {
				add(line)
			}
		}
	}
	// The longest first: one value may be part of another.
	sort.SliceStable(all, func(i, j int) bool { return len(all[i]) > len(all[j]) })
	return redactor{values: all}
}

// leastInBase64 is the length in bytes from which a value is looked for within
// the base64 form of a longer text: what is left of a shorter one could be
// anything.
const leastInBase64 = 6

// inBase64 are the base64 forms of a value: by itself, within a text that starts
// one or two bytes earlier (a user's name and a colon), and line by line, as
// programs wrap it.
func inBase64(value string) []string {
	forms := []string{base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value))}
	if len(value) < leastInBase64 {
		return forms
	}
	for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		whole := coding.EncodeToString([]byte(value))
		forms = append(forms, whole, whole[:len(value)/3*4])
		for _, width := range []int{64, 76} {
			for rest := whole; len(rest) > width; rest = rest[width:] {
				forms = append(forms, rest[:width])
			}
			if tail := whole[len(whole)/width*width:]; len(whole) > width && len(tail) >= 8 {
				forms = append(forms, tail)
			}
		}
		for before := 1; before <= 2; before++ {
			shifted := coding.EncodeToString([]byte("xx"[:before] + value))
			// The first four characters hold what stands before; the last ones, unless
			// they end a group, what comes behind.
			end := (before + len(value)) / 3 * 4
			forms = append(forms, shifted[4:end])
		}
	}
	return forms
}

// secrets is a redactor that learns of values while others use it: a bake makes
// keys and passwords of its own.
type secrets struct {
	mu    sync.RWMutex
	known redactor
}

func (s *secrets) learn(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = s.known.and(values...)
}

// redactor takes out what is known by now.
func (s *secrets) redactor() redactor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known
}

func (s *secrets) text(text string) string { return s.redactor().text(text) }

// text returns s without sensitive values.
func (r redactor) text(s string) string {
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, hidden)
	}
	return s
}

// holds tells whether there is a sensitive value in s.
func (r redactor) holds(s string) bool { return r.text(s) != s }
