package ledger

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
)

// holder is who holds a project's lock.
type holder struct {
	Run     string    `json:"run"`
	Command string    `json:"command"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
}

// Lock makes sure that no other command changes what this project holds while
// this one does, as far as this machine is concerned. It does not wait: where
// another holds the lock, or the folder cannot be written, the error is one of
// input, and nothing was called; its hint names the run that holds the lock. The
// kernel takes the lock back when the process ends, however it ends.
func Lock(dir, run, command string) (release func(), err error) {
	if err := os.MkdirAll(runsDir(dir), 0o755); err != nil {
		return nil, fail.Inputf("lock of the project: %w", err)
	}
	path := filepath.Join(runsDir(dir), "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fail.Inputf("lock of the project: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, held(path)
		}
		return nil, fail.Inputf("lock of the project: %w", err)
	}
	text, err := json.Marshal(holder{Run: run, Command: command, PID: os.Getpid(), Since: time.Now().UTC()})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		f.Close()
		return nil, fail.Inputf("lock of the project: %w", err)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			// Closing alone would leave the lock with a child that this process is
			// just about to start: until it executes, it has a copy of the file.
			_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // the file is open: it works
			f.Close()
		})
	}, nil
}

// held says who holds the lock. Who has only just taken it may not have
// written its name yet.
func held(path string) error {
	err := fail.Inputf("another goldline command is changing this project")
	var h holder
	text, readErr := os.ReadFile(path)
	if readErr != nil || json.Unmarshal(text, &h) != nil {
		return fail.WithHint(err, "wait until it has ended, then run this command again")
	}
	return fail.WithHint(err, "run %s (%s, process %d) holds it since %s: wait until that has ended, or interrupt it, then run this command again",
		h.Run, h.Command, h.PID, h.Since.Local().Format("2006-01-02 15:04:05"))
}
