package promote

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrevious(t *testing.T) {
	for _, test := range []struct{ history, want string }{
		{"", ""},
		{"a", ""},
		{"a a", ""},
		{"a b", "a"},
		{"a b a", "b"}, // promoted forward to a once more
		{"a b c <b", "a"},
		{"a b c <b <a", ""},
		{"a b <a c", "a"},
		{"a b <a c <a", ""},
		{"a b <a b", "a"},
		{"a b <a !b", "a"},  // taken back after its launch failed
		{"a x- b", "a"},     // x is gone
		{"x- b", ""},        // nothing left
		{"a b c <a d", "a"}, // rolled back two at once
	} {
		var entries []Entry
		for _, word := range strings.Fields(test.history) {
			e := Entry{Action: actionPromote, Exists: !strings.HasSuffix(word, "-")}
			switch word[0] {
			case '<':
				e.Action = actionRollback
			case '!':
				e.Action = actionRestore
			}
			e.AMI = strings.Trim(word, "<!-")
			entries = append(entries, e)
		}
		got, ok := previous(entries)
		if got.AMI != test.want || ok != (test.want != "") {
			t.Errorf("history %q: back to %q, want %q", test.history, got.AMI, test.want)
		}
	}
}

func TestNote(t *testing.T) {
	long := strings.Repeat("because é ", 400)
	text := note{Run: "r", Action: actionSkip, Reason: long, Version: "1"}.description()
	if n := utf8.RuneCountInString(text); n > longestDescription || n < longestDescription*8/10 {
		t.Errorf("a description of %d characters", n)
	}
	if n := noteOf(text); n.Action != actionSkip || n.Run != "r" || !strings.HasPrefix(long, n.Reason) {
		t.Errorf("note %+v", n)
	}
	for _, text := range []string{"", "Managed by Terraform", "{}", "[1]"} {
		if n := noteOf(text); n.Action != actionOther {
			t.Errorf("note of %q: %+v", text, n)
		}
	}
}
