//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// TestInterruptOnce: the work is told to stop and may put back what it made.
func TestInterruptOnce(t *testing.T) {
	var stderr bytes.Buffer
	p := newProgram([]string{"bake"}, nil, nil, &bytes.Buffer{}, &stderr)
	err := p.interruptible(t.Context(), func(ctx context.Context) error {
		interrupt(t)
		<-ctx.Done()
		return fail.Clean(errors.New("bake web: put back"))
	})
	if fail.ExitCode(err) != fail.CodeInterrupted || fail.Outcome(err) != fail.FailedClean || !strings.Contains(stderr.String(), "interrupt again to stop at once") {
		t.Errorf("code %d, %v\n%s", fail.ExitCode(err), err, stderr.String())
	}
}

// TestInterruptTwice: work that does not stop is left where it is, and what it
// made is told.
func TestInterruptTwice(t *testing.T) {
	p := newProgram([]string{"bake"}, nil, nil, &bytes.Buffer{}, &bytes.Buffer{})
	stuck := make(chan struct{})
	defer close(stuck)
	err := p.interruptible(t.Context(), func(ctx context.Context) error {
		p.left.Emit(event.Event{Stage: "bake", Item: "web", Kind: event.Created, Fields: map[string]string{"id": "i-1"}})
		interrupt(t)
		<-ctx.Done()
		interrupt(t)
		<-stuck
		return nil
	})
	left := fail.LeftOf(err)
	if !errors.Is(err, errHalted) || fail.ExitCode(err) != fail.CodeDirty || len(left) != 1 || left[0].Command != "goldline bake" {
		t.Errorf("code %d, %v, left %v", fail.ExitCode(err), err, left)
	}
}

func interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Error(err)
	}
}
