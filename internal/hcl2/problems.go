package hcl2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/goldline-dev/goldline/internal/diag"
)

func (t *Template) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(t.Notes, text) {
		t.Notes = append(t.Notes, text)
	}
}

func unknown(problems *diag.List, at hcl.Range, word string, known []string) {
	hint := diag.DidYouMean(word, known)
	if hint == "" {
		slices.Sort(known)
		hint = "known here: " + strings.Join(known, ", ")
	}
	problems.AddHint(pos(at), hint, "unknown key %q", word)
}

// report takes over what the language's own parser says. Its summary is a
// title, its detail a sentence or two, which often ends with advice.
func report(problems *diag.List, found hcl.Diagnostics) {
	for _, d := range found {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := diag.Pos{}
		if d.Subject != nil {
			at = pos(*d.Subject)
		}
		problems.Addf(at, "%s: %s", lowerFirst(d.Summary), strings.TrimSuffix(strings.ReplaceAll(d.Detail, "\n", " "), "."))
	}
}

func lowerFirst(s string) string {
	if s == "" || len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
