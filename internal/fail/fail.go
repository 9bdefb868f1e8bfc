// Package fail gives errors their meaning for whoever has to act on them: an
// exit code, a hint, and what was left behind. It decides nothing about what
// went wrong and prints nothing.
package fail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// The exit codes of the goldline command.
const (
	CodeDone        = 0
	CodeDirty       = 1   // failed, and something is left (listed)
	CodeInput       = 2   // the input is wrong and nothing was called
	CodeClean       = 3   // failed, and everything was put back
	CodeDifferences = 4   // differences found (plan --exit-code, audit)
	CodeWaiting     = 5   // stopped where somebody has to agree; nothing went wrong
	CodeInterrupted = 130 // interrupted, after putting back what could be
)

// Outcomes, as they stand in JSON results.
const (
	Succeeded   = "succeeded"
	FailedClean = "failed_clean"
	FailedDirty = "failed_dirty"
)

// ErrDifferences says that what runs is not what is written.
var ErrDifferences error = &coded{err: errors.New("differences found"), code: CodeDifferences}

// Left is one thing that remains after a failure, with the command that
// finishes or removes it.
type Left struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

type coded struct {
	err  error
	code int
	left []Left
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }
func (c *coded) ExitCode() int { return c.code }

// Left lists what remains.
func (c *coded) Left() []Left { return c.left }

// Input marks an error as one of the user's input: nothing was called.
func Input(err error) error { return withCode(err, CodeInput) }

// Inputf is Input of a new error.
func Inputf(format string, args ...any) error { return Input(fmt.Errorf(format, args...)) }

// Clean marks a failure after which everything was put back.
func Clean(err error) error { return withCode(err, CodeClean) }

// Unchanged gives an error its meaning where it has none of its own, and nothing
// was changed before it: there is nothing to put back.
func Unchanged(err error) error {
	for _, p := range parts(err) {
		var exit interface{ ExitCode() int }
		if errors.As(p, &exit) && exit.ExitCode() == CodeDirty {
			return err
		}
	}
	if ExitCode(err) != CodeDirty {
		return err
	}
	return Clean(err)
}

func withCode(err error, code int) error {
	if err == nil {
		return nil
	}
	return &coded{err: err, code: code}
}

// Waiting marks the end of what stopped where somebody has to agree.
func Waiting(err error) error { return withCode(err, CodeWaiting) }

// Dirty marks a failure that leaves something behind.
func Dirty(err error, left ...Left) error {
	if err == nil {
		return nil
	}
	return &coded{err: err, code: CodeDirty, left: left}
}

type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// Hint says what to do next.
func (h *hinted) Hint() string { return h.hint }

// WithHint adds what to do next to an error.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err: err, hint: fmt.Sprintf(format, args...)}
}

// parts are the errors that err joins, itself if it joins none. Marks above a
// join hold for all of it, so they end the search.
func parts(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, marked := e.(interface{ ExitCode() int }); marked {
			return []error{e}
		}
		if joined, ok := e.(*multierror.Error); ok {
			return partsOf(joined)
		}
	}
	var joined *multierror.Error
	if errors.As(err, &joined) { // in one of several that err wraps
		return partsOf(joined)
	}
	return []error{err}
}

func partsOf(joined *multierror.Error) []error {
	var all []error
	for _, e := range joined.Errors {
		all = append(all, parts(e)...)
	}
	return all
}

// ExitCode maps an error to the exit code of the command. Of several joined
// errors the worst counts: left behind, then interrupted, put back, wrong
// input, waiting, differences. An error that carries no meaning of its own counts as
// one that may have left something.
func ExitCode(err error) int {
	if err == nil {
		return CodeDone
	}
	rank := map[int]int{CodeDirty: 6, CodeInterrupted: 5, CodeClean: 4, CodeInput: 3, CodeWaiting: 2, CodeDifferences: 1}
	worst := 0
	for _, p := range parts(err) {
		code := CodeDirty
		var exit interface{ ExitCode() int }
		switch {
		case errors.As(p, &exit):
			code = exit.ExitCode()
		case errors.Is(p, context.Canceled):
			code = CodeInterrupted
		}
		if rank[code] > rank[worst] {
			worst = code
		}
	}
	return worst
}

// Outcome is the named end state that goes with an error.
func Outcome(err error) string {
	switch ExitCode(err) {
	case CodeDone, CodeDifferences:
		return Succeeded
	case CodeDirty:
		return FailedDirty
	}
	return FailedClean
}

// Hints lists what to do next, in order, each once.
func Hints(err error) []string {
	var hints []string
	seen := map[string]bool{}
	walk(err, func(e error) {
		if h, ok := e.(interface{ Hint() string }); ok && !seen[h.Hint()] {
			seen[h.Hint()] = true
			hints = append(hints, h.Hint())
		}
	})
	return hints
}

// LeftOf lists everything that an error says remains.
func LeftOf(err error) []Left {
	var left []Left
	walk(err, func(e error) {
		if l, ok := e.(interface{ Left() []Left }); ok {
			left = append(left, l.Left()...)
		}
	})
	return left
}

func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	if joined, ok := err.(*multierror.Error); ok {
		for _, e := range joined.Errors {
			walk(e, visit)
		}
		return
	}
	visit(err)
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			walk(e, visit)
		}
	}
}

// Join joins errors in the order given. nil ones are dropped, and so are
// cancellations where another error stands beside them: a sibling that was
// told to stop has not failed.
func Join(errs ...error) error {
	var real, cancelled []error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			cancelled = append(cancelled, err)
		default:
			real = append(real, err)
		}
	}
	if len(real) == 0 && len(cancelled) > 0 {
		real = cancelled[:1]
	}
	switch len(real) {
	case 0:
		return nil
	case 1:
		return real[0]
	}
	return &multierror.Error{Errors: real, ErrorFormat: lines}
}

func lines(errs []error) string {
	text := make([]string, len(errs))
	for i, err := range errs {
		text[i] = err.Error()
	}
	return strings.Join(text, "\n")
}
