package bake

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// shellHere is a communicator whose builder is this machine's /bin/sh.
type shellHere struct{ packersdk.Communicator }

func (shellHere) Start(ctx context.Context, cmd *packersdk.RemoteCmd) error {
	sh := exec.CommandContext(ctx, "/bin/sh", "-c", cmd.Command)
	sh.Stdin, sh.Stdout, sh.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	err := sh.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	cmd.SetExited(sh.ProcessState.ExitCode())
	return nil
}

func TestScriptInOneSession(t *testing.T) {
	const run = "chmod +x {{}}; A=b {{}}"
	for _, c := range []struct {
		name, script, command string
		valid                 []int
		keep, close           bool
		want                  fedOutcome
		lines                 []string
	}{
		{name: "environment, name and empty input", script: "#!/bin/sh -e\necho $A; cat; basename $0\n", command: run, want: fedOutcome{begun: true}, lines: []string{"b", "script.sh"}},
		{name: "exit status", script: "#!/bin/sh\necho no end; printf x; exit 3", command: run, want: fedOutcome{code: 3, begun: true}, lines: []string{"no end", "x"}},
		{name: "a command that ends its shell", script: "echo in", command: "exec sh {{}}", want: fedOutcome{begun: true}, lines: []string{"in"}},
		{name: "kept", script: "echo in", command: "sh {{}}", keep: true, want: fedOutcome{begun: true}, lines: []string{"in"}},
		{name: "closed", script: "printf x; echo; echo; echo y", command: "sh {{}}", close: true, want: fedOutcome{begun: true, closed: true, closes: 4}, lines: []string{"x", "", "y"}},
		{name: "closed after another status of success", script: "exit 7", command: "sh {{}}", valid: []int{0, 7}, close: true, want: fedOutcome{code: 7, begun: true, closed: true, closes: 4}},
		{name: "not closed after a failure", script: "echo; exit 7", command: "sh {{}}", close: true, want: fedOutcome{code: 7, begun: true}, lines: []string{""}},
		{name: "not removed", script: "rm {{}}; mkdir {{}}", command: "sh {{}}", want: fedOutcome{begun: true, left: true}, lines: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "script.sh")
			named := func(s string) []byte { return []byte(strings.ReplaceAll(s, "{{}}", path)) }
			f := fed{path: path, content: named(c.script), command: string(named(c.command)), keep: c.keep, valid: c.valid}
			if c.close {
				f.closing = &closing{script: "echo listed; echo '" + sealingMark + "'; echo said; exit 4"}
			}
			var lines []string
			got, err := (&remote{comm: shellHere{}}).feed(t.Context(), f, func(line string) { lines = append(lines, line) })
			if got.left { // rm says why in words of its own
				lines = nil
			}
			if err != nil || got != c.want || !slices.Equal(lines, c.lines) {
				t.Errorf("got %+v %q %v, want %+v %q", got, lines, err, c.want, c.lines)
			}
			if _, err := os.Stat(path); (err == nil) != (c.keep || c.want.left) {
				t.Errorf("the script lies there: %v", err == nil)
			}
			if got.closed && (!slices.Equal(f.closing.listed, []string{"listed"}) || !slices.Equal(f.closing.said, []string{"said"})) {
				t.Errorf("the closing said %+v", f.closing)
			}
		})
	}
	t.Run("a path that cannot be written", func(t *testing.T) {
		f := fed{path: filepath.Join(t.TempDir(), "none", "script.sh"), command: "echo run"}
		got, err := (&remote{comm: shellHere{}}).feed(t.Context(), f, func(line string) { t.Errorf("said %q", line) })
		if !errors.Is(err, errNotFed) || got.begun {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
