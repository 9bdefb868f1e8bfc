package ledger

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
)

// Summary is a run that this machine knows of.
type Summary struct {
	Header
	Alive   bool        `json:"alive"`
	Outcome string      `json:"outcome,omitempty"` // empty: it goes on, or its process was killed
	Error   string      `json:"error,omitempty"`
	Left    []fail.Left `json:"left,omitempty"`
	Ended   time.Time   `json:"ended,omitzero"`
}

// Runs lists the runs of the project in dir, the oldest first. A project
// without any has an empty list.
func Runs(dir string) ([]Summary, error) {
	entries, err := os.ReadDir(runsDir(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []Summary
	for _, e := range entries { // in the order of names, which is that of time
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		s, err := read(filepath.Join(runsDir(dir), e.Name(), recordFile))
		if err != nil {
			return nil, err
		}
		s.Run = e.Name()
		s.Alive = alive(dir, e.Name())
		runs = append(runs, s)
	}
	return runs, nil
}

// read gathers a summary from a record. A last line that a killed process did
// not finish is passed over.
func read(path string) (Summary, error) {
	var s Summary
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return s, err
		}
		var l struct {
			Header *Header `json:"header"`
			End    *End    `json:"end"`
		}
		if json.Unmarshal(text, &l) != nil {
			continue
		}
		if l.Header != nil {
			s.Header = *l.Header
		}
		if l.End != nil {
			s.Outcome, s.Error, s.Left, s.Ended = l.End.Outcome, l.End.Error, l.End.Left, l.End.Time
		}
	}
}

// Dead tells whether a run that was begun in this project, on this machine, has
// certainly stopped: it ended, or its process is gone. What such a run left is
// nobody's. A run that is not known here is not called dead: it may go on
// elsewhere.
func Dead(dir, run string) bool {
	if run == "" || run != filepath.Base(run) {
		return false
	}
	if _, err := os.Stat(filepath.Join(Dir(dir, run), aliveFile)); err != nil {
		return false
	}
	return !alive(dir, run)
}

// Alive tells whether a run that was begun in this project, on this machine,
// goes on. Of a run that is not known here it says no.
func Alive(dir, run string) bool {
	return run != "" && run == filepath.Base(run) && alive(dir, run)
}

// alive asks the kernel who holds the lock rather than looking for a process
// ID, which may by now be another process's.
func alive(dir, run string) bool {
	f, err := os.Open(filepath.Join(Dir(dir, run), aliveFile))
	if err != nil {
		return false
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return err != nil // held, or nobody can tell: then it counts as alive
}
