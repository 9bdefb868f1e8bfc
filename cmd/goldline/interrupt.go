package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// errHalted is the end after a second interrupt: work was cut off where it was.
var errHalted = errors.New("stopped at once")

// interruptible runs f. A first interrupt (or SIGTERM) ends its context, so that
// it puts back what it made; a second one returns errHalted without waiting.
func (p *program) interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Whoever reads the progress may go away (... 2>&1 | head). That ends the
	// reading, not the work: noticed here, a write says so in place of the signal
	// ending the process in the middle of it.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	defer signal.Stop(unread)

	ended := make(chan error, 1)
	graph.Background(func() error {
		ended <- graph.Guard(func() error { return f(ctx) })
		return nil
	})
	for interrupts := 0; ; {
		select {
		case err := <-ended:
			if interrupts > 0 {
				err = interrupted(err)
			}
			return err
		case <-signals:
			if interrupts++; interrupts > 1 {
				return fail.Dirty(errHalted, p.left.list(p)...)
			}
			p.progress.line(p.onInterrupt)
			cancel()
		}
	}
}

// interrupted gives a failure that left nothing behind the code of an
// interrupt: that is why it failed.
func interrupted(err error) error {
	if fail.ExitCode(err) == fail.CodeClean {
		return &interruptedError{err}
	}
	return err
}

type interruptedError struct{ err error }

func (e *interruptedError) Error() string { return e.err.Error() }
func (e *interruptedError) Unwrap() error { return e.err }
func (e *interruptedError) ExitCode() int { return fail.CodeInterrupted }

// leftovers keeps account of what a command has made and not removed again,
// for the case that it is stopped at once.
type leftovers struct {
	mu    sync.Mutex
	order []string
	made  map[string]event.Event // by ID
}

func newLeftovers() *leftovers { return &leftovers{made: map[string]event.Event{}} }

// Emit takes note of what is created and removed.
func (l *leftovers) Emit(e event.Event) {
	id := e.Fields["id"]
	if id == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Kind {
	case event.Created:
		if _, known := l.made[id]; !known {
			l.order = append(l.order, id)
		}
		l.made[id] = e
	case event.Removed:
		delete(l.made, id)
	}
}

// list is what is left, with the command that was stopped: run again it
// finishes or removes it.
func (l *leftovers) list(p *program) []fail.Left {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []fail.Left
	for _, id := range l.order {
		if e, ok := l.made[id]; ok {
			left = append(left, fail.Left{What: fmt.Sprintf("%s%s", prefix(e), id), Command: p.commandLine()})
		}
	}
	return left
}

// background runs f beside the caller, who does not wait for it.
func (p *program) background(f func()) {
	graph.Background(func() error { f(); return nil })
}
