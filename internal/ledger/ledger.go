// Package ledger is the record of runs on this machine: what each intended,
// what it did, how it ended. A record lies in the project's folder under
// .goldline/runs/<run>/ and is only ever appended to. It also tells whether a
// run still goes on here, and lets only one command at a time change things.
//
// The ledger is for people and for clean-up. It is never the truth about the
// cloud: any run can do without it, and no secret is written to it.
package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// Files of a run's folder.
const (
	recordFile = "ledger.jsonl"
	ResultFile = "result.json" // what became of it so far, with the keys of the command
	aliveFile  = "alive"       // locked by the run's process for as long as it lives
)

// NewRun makes up the ID of a run. IDs sort by the time that they were made at.
func NewRun(now time.Time) string {
	var b [3]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program where there is no randomness
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
}

// Header says what a run is.
type Header struct {
	Run     string    `json:"run"`
	Command string    `json:"command"` // as typed: goldline run release
	PID     int       `json:"pid"`
	Start   time.Time `json:"start"`
	// Secrets are values that are masked wherever they turn up in the record.
	Secrets []string `json:"-"`
}

// End is how a run ended.
type End struct {
	Outcome string      `json:"outcome"` // as in package fail
	Error   string      `json:"error,omitempty"`
	Left    []fail.Left `json:"left,omitempty"`
	Time    time.Time   `json:"time"`
}

// line is one line of the record: exactly one field is set.
type line struct {
	Header *Header      `json:"header,omitempty"`
	Intent *Intent      `json:"intent,omitempty"`
	Event  *event.Event `json:"event,omitempty"`
	End    *End         `json:"end,omitempty"`
}

// Intent is something that a run is about to do, written before it does it.
type Intent struct {
	Time  time.Time `json:"time"`
	Stage string    `json:"stage,omitempty"`
	Item  string    `json:"item,omitempty"`
	What  string    `json:"what"`
}

// Ledger is the record of a run that goes on. It is safe for concurrent use.
type Ledger struct {
	run  string
	path string
	mask *Mask

	mu     sync.Mutex
	record *os.File
	alive  *os.File
	err    error // the first that kept a line from being written
	result any
}

// Folder is where Goldline keeps what is its own beside a project or a template:
// records, keys, and the local cloud.
const Folder = ".goldline"

// runsDir is where the runs of a project are kept.
func runsDir(dir string) string { return filepath.Join(dir, Folder, "runs") }

// Dir is the folder of a run.
func Dir(dir, run string) string { return filepath.Join(runsDir(dir), run) }

// Open begins the record of a run in the project's folder dir. What the header
// leaves out is filled in.
func Open(dir, run string, h Header) (*Ledger, error) {
	h.Run = run
	if h.PID == 0 {
		h.PID = os.Getpid()
	}
	if h.Start.IsZero() {
		h.Start = time.Now().UTC()
	}
	l := &Ledger{run: run, path: Dir(dir, run), mask: NewMask(h.Secrets...)}
	h.Command = l.mask.Text(h.Command)
	if err := l.create(dir); err != nil {
		return nil, fmt.Errorf("ledger of run %s: %w", run, err)
	}
	l.write(line{Header: &h})
	return l, l.err
}

// create makes the folder under another name and gives it its own only when
// the lock is held, so that nobody ever sees a run that lives without it.
func (l *Ledger) create(dir string) error {
	if err := os.MkdirAll(runsDir(dir), 0o755); err != nil {
		return err
	}
	begun, err := os.MkdirTemp(runsDir(dir), ".begin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(begun) // nothing once it is renamed
	if err := os.Chmod(begun, 0o755); err != nil {
		return err
	}
	if l.alive, err = os.Create(filepath.Join(begun, aliveFile)); err != nil {
		return err
	}
	if err := syscall.Flock(int(l.alive.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.alive.Close()
		return err
	}
	if l.record, err = os.OpenFile(filepath.Join(begun, recordFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		l.alive.Close()
		return err
	}
	if err := os.Rename(begun, l.path); err != nil {
		l.record.Close()
		l.alive.Close()
		return err
	}
	return nil
}

// Emit keeps an event. That it cannot be written is told by Close: a full
// disk is no reason to leave a cloud half made.
func (l *Ledger) Emit(e event.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Message = l.mask.Text(e.Message)
	if len(e.Fields) > 0 {
		fields := make(map[string]string, len(e.Fields))
		for k, v := range e.Fields {
			fields[k] = l.mask.Text(v)
		}
		e.Fields = fields
	}
	l.write(line{Event: &e})
}

// Intend keeps what is about to be done.
func (l *Ledger) Intend(stage, item, what string) {
	l.write(line{Intent: &Intent{Time: time.Now().UTC(), Stage: stage, Item: item, What: l.mask.Text(what)}})
}

// SetResult gives what Close writes to result.json beside the outcome: any
// value that marshals to a JSON object.
func (l *Ledger) SetResult(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result = v
}

// Keep writes the result so far, as a run that is killed leaves it: without an
// outcome. That it cannot be written is told by Close.
func (l *Ledger) Keep(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result = v
	if err := l.writeResult(End{}); err != nil && l.err == nil {
		l.err = fmt.Errorf("ledger of run %s: %w", l.run, err)
	}
}

// Path is the run's folder.
func (l *Ledger) Path() string { return l.path }

func (l *Ledger) write(of line) {
	text, err := json.Marshal(of)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.record == nil {
		err = os.ErrClosed
	}
	if err == nil {
		_, err = l.record.Write(append(text, '\n'))
	}
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("ledger of run %s: %w", l.run, err)
	}
}

// Close writes how the run ended and lets go of it. runErr may be nil. Its own
// error says that the record is not whole. A second Close does nothing.
func (l *Ledger) Close(outcome string, runErr error) error {
	end := End{Outcome: outcome, Time: time.Now().UTC()}
	if runErr != nil {
		end.Error = l.mask.Text(runErr.Error())
		for _, left := range fail.LeftOf(runErr) {
			end.Left = append(end.Left, fail.Left{What: l.mask.Text(left.What), Command: l.mask.Text(left.Command)})
		}
	}
	l.mu.Lock()
	closed := l.record == nil
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.write(line{End: &end})
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.writeResult(end)
	if syncErr := l.record.Sync(); err == nil {
		err = syncErr
	}
	l.record.Close()
	l.record = nil
	l.alive.Close() // lets go of the lock
	if l.err != nil {
		return l.err
	}
	if err != nil {
		return fmt.Errorf("ledger of run %s: %w", l.run, err)
	}
	return nil
}

// writeResult writes result.json whole or not at all. A run that goes on has no
// outcome.
func (l *Ledger) writeResult(end End) error {
	document := map[string]any{}
	if l.result != nil {
		text, err := json.Marshal(l.result)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &document); err != nil {
			return err
		}
	}
	document["run"] = l.run
	if end.Outcome != "" {
		document["outcome"], document["ended"] = end.Outcome, end.Time
	}
	if _, given := document["error"]; !given && end.Error != "" {
		document["error"] = map[string]any{"message": end.Error, "left": end.Left}
	}
	text, err := json.MarshalIndent(l.mask.value(document), "", "  ")
	if err != nil {
		return err
	}
	temporary := filepath.Join(l.path, "."+ResultFile)
	if err := os.WriteFile(temporary, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(l.path, ResultFile))
}
