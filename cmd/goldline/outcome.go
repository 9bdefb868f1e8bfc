package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/hashicorp/go-multierror"
)

// envelope is what stands in every JSON document, before the command's own keys.
type envelope struct {
	Outcome  string    `json:"outcome"`
	Error    *problem  `json:"error"`
	APICalls callCount `json:"api_calls"`
	Seconds  float64   `json:"seconds"`
}

type problem struct {
	Message  string         `json:"message"`
	Hint     string         `json:"hint"`
	Left     []fail.Left    `json:"left"`
	Problems []diag.Problem `json:"problems,omitempty"` // of definitions, with positions
}

type callCount struct {
	Total    int            `json:"total"`
	ByAction map[string]int `json:"by_action"`
}

// finish is the one door through which everything leaves: the report, the
// error, the exit code. halted tells that work may still be going on.
func (p *program) finish(err error) (code int, halted bool) {
	halted = errors.Is(err, errHalted)
	r := p.report
	if halted {
		r = nil // whoever writes it may still be at it
	}
	if err == nil && !p.began {
		return fail.CodeDone, false // help or the version, printed already
	}
	if p.flags.output == outputJSON {
		p.printError(p.stderr, err)
		if problem := p.printJSON(r, err); problem != nil {
			fmt.Fprintln(p.stderr, "error:", problem)
			return fail.CodeDirty, halted
		}
		return fail.ExitCode(err), halted
	}
	if r != nil {
		r.text(&text{out: p.stdout, paint: painter(p.colours(p.stdout))})
	}
	p.printError(p.stderr, err)
	return fail.ExitCode(err), halted
}

// printJSON prints one document: the common keys, then the command's.
func (p *program) printJSON(r report, err error) error {
	e := envelope{Outcome: fail.Outcome(err), APICalls: callCount{ByAction: map[string]int{}}, Seconds: p.seconds()}
	if p.provider != nil {
		calls := p.provider.Calls()
		e.APICalls = callCount{Total: calls.Total(), ByAction: calls.ByAction()}
	}
	if err != nil && !errors.Is(err, fail.ErrDifferences) {
		e.Error = &problem{Message: cloud.Plain(err.Error()), Hint: p.pasteable(strings.Join(fail.Hints(err), "\n")), Left: p.leftOf(err)}
		var wrong *diag.Error
		if errors.As(err, &wrong) {
			e.Error.Problems = wrong.Problems
		}
	}
	document, problem := encode(e)
	if problem != nil {
		return problem
	}
	if r != nil {
		body, problem := encode(r)
		if problem != nil {
			return problem
		}
		if inner := bytes.TrimSpace(body[1 : len(body)-1]); len(inner) > 0 {
			document = append(append(document[:len(document)-1], ','), append(inner, '}')...)
		}
	}
	var indented bytes.Buffer
	if problem := json.Indent(&indented, document, "", "  "); problem != nil {
		return problem
	}
	indented.WriteByte('\n')
	_, problem = indented.WriteTo(p.stdout)
	return problem
}

// encode writes a value without HTML escapes, which nobody reads here.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// leftOf is what an error says remains, with commands that can be pasted.
func (p *program) leftOf(err error) []fail.Left {
	left := []fail.Left{}
	for _, l := range fail.LeftOf(err) {
		left = append(left, fail.Left{What: l.What, Command: p.here(l.Command)})
	}
	return left
}

// printError says what went wrong, what to do next, and what is left.
func (p *program) printError(out io.Writer, err error) {
	if err == nil || errors.Is(err, fail.ErrDifferences) {
		return
	}
	paint := painter(p.colours(out))
	for _, e := range separate(err) {
		var wrong *diag.Error
		if errors.As(e, &wrong) {
			fmt.Fprintf(out, "%s\n", strings.TrimRight(wrong.Render(p.source), "\n"))
			if n := len(wrong.Problems); n > 1 {
				fmt.Fprintf(out, "%s %d problems\n", paint(red, "error:"), n)
			}
			continue
		}
		fmt.Fprintf(out, "%s %s\n", paint(red, "error:"), strings.ReplaceAll(strings.TrimRight(cloud.Plain(e.Error()), "\n"), "\n", "\n  "))
	}
	for _, hint := range fail.Hints(err) {
		fmt.Fprintf(out, "  hint: %s\n", strings.ReplaceAll(p.pasteable(hint), "\n", "\n        "))
	}
	if left := p.leftOf(err); len(left) > 0 {
		fmt.Fprintln(out, "This is left, and the command that finishes or removes it:")
		for _, l := range left {
			fmt.Fprintf(out, "  %s\n", l.What)
			if l.Command != "" {
				fmt.Fprintf(out, "    %s\n", l.Command)
			}
		}
	}
}

// separate takes apart an error that joins others and says nothing itself.
func separate(err error) []error {
	if joined, ok := err.(*multierror.Error); ok {
		return joined.Errors
	}
	return []error{err}
}

// source reads a file that a position names.
func (p *program) source(file string) ([]byte, error) {
	if p.opened != nil {
		return p.opened.Read(file)
	}
	return os.ReadFile(file)
}
