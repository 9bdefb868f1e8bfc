package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/spf13/cobra"
)

// program is one run of goldline: what it has of the world outside, the flags
// that every command takes, and what it has opened so far. Nothing is opened
// before a command asks for it, so that `goldline --help` costs nothing.
type program struct {
	args   []string
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	flags    flags
	vars     vars // of --var
	progress *progress
	left     *leftovers
	started  time.Time
	began    bool // the command line was right; a command runs
	report   report
	secrets  []string // values that the record of the run masks
	// onInterrupt is what the first interrupt is answered with.
	onInterrupt string

	folder   string // of a template without a project
	opened   *project.Project
	provider *cloud.Provider
	local    *emulator.Session
	lease    *lease.Keeper // of the run that changes something
	record   *ledger.Ledger
}

// flags are those that every command takes.
type flags struct {
	project      string
	local        bool
	localMachine string
	output       string
	yes          bool
	noColor      bool
	lockTimeout  time.Duration
}

const (
	outputText = "text"
	outputJSON = "json"
)

func newProgram(args, env []string, stdin io.Reader, stdout, stderr io.Writer) *program {
	p := &program{
		args:    args,
		getenv:  lookup(env),
		stdin:   stdin,
		stdout:  stdout,
		stderr:  stderr,
		started: time.Now(),
		vars:    vars{},
		left:    newLeftovers(),

		onInterrupt: "interrupted: putting back what was begun; interrupt again to stop at once",
	}
	p.progress = newProgress(stderr, func() bool { return p.colours(stderr) }, p.pasteable)
	if asksForJSON(args) {
		p.flags.output = outputJSON // so that a wrong command line is answered in JSON too
	}
	return p
}

// lookup reads an environment of KEY=value; the last of a key counts.
func lookup(env []string) func(string) string {
	return func(key string) string {
		for _, entry := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(entry, key+"="); ok {
				return value
			}
		}
		return ""
	}
}

// asksForJSON finds -o json before the flags are parsed.
func asksForJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == outputJSON {
				return true
			}
		}
	}
	return false
}

// report is what a command has to tell at its end: as text here, as JSON by its
// exported fields.
type report interface {
	text(t *text)
}

// action is what a command does once its command line is understood. A report
// may come with an error: what was done before it.
type action func(ctx context.Context, args []string) (report, error)

// does makes an action a cobra command's.
func (p *program) does(a action) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		p.began = true
		r, err := a(c.Context(), args)
		p.report = r
		return err
	}
}

// reads is does for an action that changes nothing: whatever goes wrong in it,
// nothing is left.
func (p *program) reads(a action) func(*cobra.Command, []string) error {
	return p.does(func(ctx context.Context, args []string) (report, error) {
		r, err := a(ctx, args)
		return r, fail.Unchanged(err)
	})
}

// usage makes what is wrong with a command line an error of input, with the way
// to the help.
func usage(c *cobra.Command, format string, args ...any) error {
	return fail.WithHint(fail.Inputf(format, args...), "%s --help shows how it is used", c.CommandPath())
}
