package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// The colours, as ANSI codes.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

// painter colours text, or leaves it as it is.
func painter(colours bool) func(colour, s string) string {
	return func(colour, s string) string {
		if !colours || s == "" || colour == "" {
			return s
		}
		return "\x1b[" + colour + "m" + s + "\x1b[0m"
	}
}

// colours tells whether a stream takes colours: a terminal that was not told
// otherwise.
func (p *program) colours(stream any) bool {
	return !p.flags.noColor && p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb" && terminal(stream)
}

func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// text writes a command's final words.
type text struct {
	out   io.Writer
	paint func(colour, s string) string
	blank bool // the last line is
}

func (t *text) linef(format string, args ...any) {
	t.blank = format == ""
	fmt.Fprintf(t.out, format+"\n", args...)
}

// gap leaves a blank line before what comes next, where there is none yet.
func (t *text) gap() {
	if !t.blank {
		t.linef("")
	}
}

// table prints rows below a head, columns aligned. A cell is coloured by what it
// says. Without rows it prints what there is none of.
func (t *text) table(none string, head []string, rows [][]string) {
	if len(rows) == 0 {
		t.linef("%s", none)
		return
	}
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	t.row(head, widths, func(string) string { return bold })
	for _, row := range rows {
		t.row(row, widths, meaning)
	}
}

func (t *text) row(cells []string, widths []int, colour func(string) string) {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(t.paint(colour(cell), cell))
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
	}
	t.linef("%s", strings.TrimRight(b.String(), " "))
}

// meaning is the colour of a word that says how something is.
func meaning(cell string) string {
	switch cell {
	case "succeeded", "create", "running", "available", "current":
		return green
	case "failed", "delete", "terminated", "interrupted", "missing":
		return red
	case "skipped", "replace", "change", "pending", "stopped":
		return yellow
	}
	return ""
}
