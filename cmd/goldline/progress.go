package main

import (
	"io"
	"strings"
	"sync"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
)

// progress prints events to standard error as they come, a line each, with
// what it is about before it: [bake web] ... Lines of concurrent work never mix.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	colours func() bool
	waiting map[string]string // what each item was last seen waiting for
	// pasteable completes commands that somebody is waited for to give.
	pasteable func(string) string
}

func newProgress(out io.Writer, colours func() bool, pasteable func(string) string) *progress {
	return &progress{out: out, colours: colours, pasteable: pasteable, waiting: map[string]string{}}
}

// prefix says what an event is about.
func prefix(e event.Event) string {
	about := strings.TrimSpace(e.Stage + " " + e.Item)
	if about == "" {
		return ""
	}
	return "[" + about + "] "
}

// Emit prints an event. A wait that says the same again is not repeated.
func (p *progress) Emit(e event.Event) {
	message := strings.TrimRight(e.Message, "\r\n")
	if e.Kind != event.Output {
		message = cloud.Plain(message)
	}
	if message == "" && e.Kind != event.Output {
		message = string(e.Kind)
	}
	if e.Kind == event.Waiting {
		message = p.pasteable(message)
	}
	message = sign(e.Kind) + message
	before := prefix(e)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == event.Waiting {
		if p.waiting[before] == message {
			return
		}
		p.waiting[before] = message
	} else {
		delete(p.waiting, before)
	}
	paint := painter(p.colours())
	var b strings.Builder
	for line := range strings.SplitSeq(message, "\n") {
		b.WriteString(paint(cyan, before))
		switch e.Kind {
		case event.Output:
			b.WriteString("| " + printable(line))
		case event.Failed:
			b.WriteString(paint(red, printable(line)))
		case event.Warning:
			b.WriteString(paint(yellow, "warning: "+printable(line)))
		case event.Succeeded:
			b.WriteString(paint(green, printable(line)))
		case event.Skipped, event.Waiting:
			b.WriteString(paint(dim, printable(line)))
		default:
			b.WriteString(printable(line))
		}
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(p.out, b.String()) // nobody is left to tell
}

// sign stands before what happened to a thing in the cloud.
func sign(kind event.Kind) string {
	switch kind {
	case event.Created:
		return "+ "
	case event.Changed:
		return "~ "
	case event.Removed:
		return "- "
	case event.Skipped:
		return "not begun: "
	}
	return ""
}

// line prints something that is about no item.
func (p *progress) line(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.out, message+"\n") // nobody is left to tell
}

// printable leaves out what would move the cursor or change the terminal: a
// script's output is not to be trusted with it. Of text that overwrites itself
// with carriage returns the last state stays.
func printable(line string) string {
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, line)
}
