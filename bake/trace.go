package bake

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/ledger"
)

// A trace is a file that says: a bake of this project, on this machine, has
// begun to make things. It goes when all of them are put back, so that one which
// stays tells of a bake that may have left something, and nothing is asked of EC2
// where there is none. The cloud is the truth all the same: what other machines
// left is found by its tags, by a bake that makes something or by a sweep.

// traceTime is how long the trace of a dead bake is kept at least: what it made
// last may not be seen by its tags at once.
const traceTime = 15 * time.Minute

func (b *Baker) tracesDir() string { return filepath.Join(b.options.Dir, ledger.Folder, "bakes") }

// traceFile has the run in its name, and in its content until when what the bake
// made may be somebody's.
func (b *bake) traceFile() string {
	return filepath.Join(b.tracesDir(), b.options.Run+"."+short(digestOf(b.nonce, b.label())))
}

// leaveTrace is done before anything is made.
func (b *bake) leaveTrace() {
	err := os.MkdirAll(b.tracesDir(), 0o755)
	if err == nil {
		err = os.WriteFile(b.traceFile(), []byte(b.expiry().Format(time.RFC3339)), 0o644)
	}
	if err != nil {
		b.say(event.Warning, "that a bake goes on could not be noted: %v", err)
	}
}

// dropTrace is done when the bake has ended, unless something is left.
func (b *bake) dropTrace() {
	if b.cleanUpError() == nil {
		os.Remove(b.traceFile())
	}
}

// traced tells whether an earlier bake may have left something.
func (b *bake) traced() bool {
	entries, _ := os.ReadDir(b.tracesDir()) // no folder: nothing was ever baked here
	for _, e := range entries {
		if run, _, _ := strings.Cut(e.Name(), "."); run != b.options.Run {
			return true
		}
	}
	return false
}

// forgetTraces is done when a sweep has worked: it removes the traces of bakes of
// which nothing can be there any more.
func (b *bake) forgetTraces() {
	entries, _ := os.ReadDir(b.tracesDir())
	for _, e := range entries {
		path := filepath.Join(b.tracesDir(), e.Name())
		run, _, _ := strings.Cut(e.Name(), ".")
		info, err := e.Info()
		if err != nil || run == b.options.Run || time.Since(info.ModTime()) < traceTime {
			continue
		}
		text, _ := os.ReadFile(path)
		expires, err := time.Parse(time.RFC3339, string(text))
		if b.options.DeadRun != nil && b.options.DeadRun(run) || err == nil && time.Now().After(expires) {
			os.Remove(path)
		}
	}
}
