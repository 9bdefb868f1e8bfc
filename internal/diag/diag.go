// Package diag holds what is wrong with files that a user wrote: each problem
// has a position, says what is wrong and what would be right, and all of them
// are reported at once. It never prints and never stops at the first problem.
package diag

import (
	"fmt"
	"sort"
	"strings"
)

// Pos is a place in a file. File is relative to the project's folder where
// the file lies below it. Line and Col count from 1; a Line of 0 means the
// file as a whole.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

// String gives the position as compilers do: file:line:col.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problem is one thing that is wrong. Hint, where there is one, says what
// would be right.
type Problem struct {
	Pos     Pos    `json:"pos"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String is the problem on one line, without the source it points at.
func (p Problem) String() string {
	s := p.Message
	if at := p.Pos.String(); at != "" {
		s = at + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// List gathers problems. The zero value is ready for use.
type List []Problem

// Addf adds a problem without a hint.
func (l *List) Addf(at Pos, format string, args ...any) {
	*l = append(*l, Problem{Pos: at, Message: fmt.Sprintf(format, args...)})
}

// AddHint adds a problem and what would be right; an empty hint is none.
func (l *List) AddHint(at Pos, hint, format string, args ...any) {
	*l = append(*l, Problem{Pos: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Err is nil for an empty list, and otherwise an *Error with the problems in
// the order of file and line, each once.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	sorted := append(List(nil), l...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i].Pos, sorted[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
	seen := map[Problem]bool{}
	unique := sorted[:0]
	for _, p := range sorted {
		if !seen[p] {
			seen[p] = true
			unique = append(unique, p)
		}
	}
	return &Error{Problems: unique}
}

// Error is everything that is wrong with the input. Its exit code is 2: the
// input is wrong and nothing was called.
type Error struct {
	Problems List
}

// Error gives one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// ExitCode is 2.
func (e *Error) ExitCode() int { return 2 }

// Render gives the problems with the line each points at and a caret below
// it. read returns the contents of a file named in a position; where it
// fails, the problem is given without its line.
func (e *Error) Render(read func(file string) ([]byte, error)) string {
	var b strings.Builder
	files := map[string][]string{}
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Pos.String())
		if p.Pos.File != "" {
			b.WriteString(": ")
		}
		b.WriteString(p.Message)
		b.WriteByte('\n')
		lines, ok := files[p.Pos.File]
		if !ok && p.Pos.File != "" {
			if text, err := read(p.Pos.File); err == nil {
				lines = strings.Split(string(text), "\n")
			}
			files[p.Pos.File] = lines
		}
		if p.Pos.Line > 0 && p.Pos.Line <= len(lines) {
			snippet(&b, lines[p.Pos.Line-1], p.Pos)
		}
		if p.Hint != "" {
			b.WriteString("  = " + p.Hint + "\n")
		}
	}
	return b.String()
}

// snippet writes the source line and a caret. Tabs are kept in the caret's
// indentation so that it stands under its column however wide a tab is shown.
func snippet(b *strings.Builder, line string, at Pos) {
	line = strings.TrimRight(line, "\r")
	number := fmt.Sprintf("%5d", at.Line)
	fmt.Fprintf(b, "%s | %s\n", number, line)
	indent := make([]rune, 0, at.Col)
	for i, r := range []rune(line) {
		if i >= at.Col-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		indent = append(indent, r)
	}
	fmt.Fprintf(b, "%s | %s^\n", strings.Repeat(" ", len(number)), string(indent))
}
