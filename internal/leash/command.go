package leash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/goldline-dev/goldline/internal/fail"
)

// longestLine is where a line of output is cut in two.
const longestLine = 64 << 10

// Command is a local command whose output is read line by line.
type Command struct {
	Argv []string
	Dir  string
	Env  []string // beside this process's own
	Line func(string)
}

// Run runs the command and gives its output to Line, line by line. What
// it started ends with it when ctx does, or this process.
func (c Command) Run(ctx context.Context) error {
	if len(c.Argv) == 0 {
		return fail.Inputf("the command is empty")
	}
	out := &lines{emit: c.Line}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	err := Run(cmd)
	out.flush()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c.Argv[0], ctx.Err())
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well and left something that holds its output
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %s", c, exit)
	}
	return err
}

// String is the command as it would be typed, cut to a readable length.
func (c Command) String() string {
	text := strings.Join(c.Argv, " ")
	if len(c.Argv) == 3 && c.Argv[0] == "sh" && c.Argv[1] == "-c" {
		text = c.Argv[2]
	}
	text, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(text); len(runes) > 60 {
		text, more = string(runes[:60]), true
	}
	if more {
		text += " ..."
	}
	return text
}

// lines cuts what is written to it into lines.
type lines struct {
	emit func(string)
	mu   sync.Mutex
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 && len(l.rest) >= longestLine {
			l.emit(string(l.rest[:longestLine]))
			l.rest = l.rest[longestLine:]
			continue
		}
		if end < 0 {
			return len(p), nil
		}
		l.emit(strings.TrimSuffix(string(l.rest[:end]), "\r"))
		l.rest = l.rest[end+1:]
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
		l.rest = nil
	}
}
