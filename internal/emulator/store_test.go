package emulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type note struct{ Text string }

func openNotes(t *testing.T, dir string) (*store, *table[note]) {
	t.Helper()
	s := openStore(dir)
	notes := newTable[note](s, "notes")
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	return s, notes
}

// A journal that ends anywhere holds exactly the transactions that were whole.
func TestStoreSurvivesATornJournal(t *testing.T) {
	here, dir := world{"1", "r"}, t.TempDir()
	s, notes := openNotes(t, dir)
	path := filepath.Join(dir, "journal")
	var ends []int64 // of each transaction
	for i := range 6 {
		err := s.transact(func() error {
			notes.put(here, "a", note{fmt.Sprint("a", i)})
			notes.put(here, "b", note{fmt.Sprint("b\n", i)})
			if i == 3 {
				notes.remove(here, "b")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := t.TempDir()
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(filepath.Join(torn, "journal"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, notes := openNotes(t, torn)
		kept := -1
		for i, end := range ends {
			if int64(cut) >= end {
				kept = i
			}
		}
		a, hasA := notes.get(here, "a")
		_, hasB := notes.get(here, "b")
		if hasA != (kept >= 0) || hasB != (kept >= 0 && kept != 3) || hasA && a.Text != fmt.Sprint("a", kept) {
			t.Errorf("cut at %d: a is %v (%v), b %v, want the state of transaction %d", cut, a, hasA, hasB, kept)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreUndoes(t *testing.T) {
	here := world{"1", "r"}
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no") },
		"panic": func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			s, notes := openNotes(t, t.TempDir())
			defer s.close()
			ran := 0
			if err := s.transact(func() error {
				notes.put(here, "kept", note{"before"})
				s.afterCommit(func() { ran++ })
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			before := s.size
			func() {
				defer func() { _ = recover() }()
				if s.transact(func() error {
					notes.put(here, "kept", note{"after"})
					notes.put(here, "new", note{"after"})
					notes.remove(here, "kept")
					s.afterCommit(func() { ran++ })
					return fail()
				}) == nil {
					t.Error("the transaction was kept")
				}
			}()
			if got := notes.all(here); !reflect.DeepEqual(got, []note{{"before"}}) {
				t.Errorf("rows are %v", got)
			}
			if ran != 1 || s.size != before {
				t.Errorf("%d functions ran after a commit, journal grew by %d", ran, s.size-before)
			}
		})
	}
}

func TestStoreRefusesADamagedJournal(t *testing.T) {
	for name, c := range map[string]struct{ journal, want string }{
		"garbage":       {"[{\"t\":\"notes\"\n", "damaged at line 1"},
		"unknown table": {`[{"t":"elsewhere","w":"1/r","i":"a","v":{}}]` + "\n", "another version"},
		"wrong row":     {`[{"t":"notes","w":"1/r","i":"a","v":[]}]` + "\n", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "journal"), []byte(c.journal), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openStore(dir)
			newTable[note](s, "notes")
			if err := s.load(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestStoreIsClosed(t *testing.T) {
	s, notes := openNotes(t, "")
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	err := s.transact(func() error { notes.put(world{}, "a", note{}); return nil })
	if !errors.Is(err, errClosed) {
		t.Errorf("error is %v", err)
	}
}

// A journal in use does not grow without end, and nothing is lost as it is
// rewritten.
func TestStoreRenewsItsJournal(t *testing.T) {
	here, dir := world{"1", "r"}, t.TempDir()
	s, notes := openNotes(t, dir)
	s.limit = 1000
	for i := range 200 {
		if err := s.transact(func() error {
			notes.put(here, "same", note{strings.Repeat("x", i)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.limit = 1000
	}
	info, err := os.Stat(filepath.Join(dir, "journal"))
	if err != nil || info.Size() != s.size || s.size > 1500 {
		t.Errorf("the journal has %v bytes, its store thinks %d (%v)", info, s.size, err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s, notes = openNotes(t, dir)
	defer s.close()
	if row, _ := notes.get(here, "same"); len(row.Text) != 199 {
		t.Errorf("the row is %q", row.Text)
	}
}
