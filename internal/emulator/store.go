package emulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// world is one account in one region: the worlds of a cloud share nothing.
// Things that belong to an account as a whole live in the world with an empty
// region.
type world struct {
	Account string
	Region  string
}

func (w world) String() string { return w.Account + "/" + w.Region }

// parseWorld is the reverse of String, whose result is the key of tables.
func parseWorld(key string) world {
	account, region, _ := strings.Cut(key, "/")
	return world{Account: account, Region: region}
}

// store keeps every table in memory and each transaction as one line of an
// append-only journal. A process that dies at any instant loses at most the
// transaction that it was writing, which then never happened: a torn last line
// is dropped on load. The journal is rewritten as a snapshot on open,
// and when it has grown too far.
type store struct {
	mu      sync.Mutex
	dir     string
	tables  map[string]rows
	order   []string
	journal *os.File
	closed  bool
	size    int64    // of the journal, up to the last whole transaction
	limit   int64    // the size at which the journal is rewritten
	broken  error    // the journal could not be brought back to size
	done    []change // what the running transaction has changed, in order
	after   []func() // to run once the running transaction is kept
}

// journalLimit is the least size at which a journal is rewritten while it is
// in use.
const journalLimit = 8 << 20

// rows is a table as the store sees it: values as JSON.
type rows interface {
	load(world, id string, value []byte) error
	drop(world, id string)
	each(func(world, id string, value any) error) error
}

// change is one row written or removed. undo brings the row back.
type change struct {
	Table string          `json:"t"`
	World string          `json:"w"`
	ID    string          `json:"i"`
	Value json.RawMessage `json:"v,omitempty"` // absent: removed
	undo  func()
}

// openStore opens a store over dir, which the caller has locked. Tables are
// added before load is called. An empty dir keeps everything in memory alone.
func openStore(dir string) *store {
	return &store{dir: dir, tables: map[string]rows{}}
}

// table is one kind of row, keyed by world and ID. Rows are values: a row
// that was got and changed has to be put again, and a slice or map within it is
// replaced, never changed in place, since older copies share it.
type table[T any] struct {
	store *store
	name  string
	rows  map[string]map[string]T
}

func newTable[T any](s *store, name string) *table[T] {
	t := &table[T]{store: s, name: name, rows: map[string]map[string]T{}}
	s.tables[name] = t
	s.order = append(s.order, name)
	return t
}

// get returns the row with an ID.
func (t *table[T]) get(w world, id string) (T, bool) {
	row, ok := t.rows[w.String()][id]
	return row, ok
}

// all lists the rows of a world in the order of their IDs.
func (t *table[T]) all(w world) []T {
	in := t.rows[w.String()]
	list := make([]T, 0, len(in))
	for _, id := range sortedKeys(in) {
		list = append(list, in[id])
	}
	return list
}

// where lists the rows of a world that keep tells, in the order of their IDs:
// for a few of many, since only these are put in order.
func (t *table[T]) where(w world, keep func(T) bool) []T {
	kept := map[string]T{}
	for id, row := range t.rows[w.String()] {
		if keep(row) {
			kept[id] = row
		}
	}
	list := make([]T, 0, len(kept))
	for _, id := range sortedKeys(kept) {
		list = append(list, kept[id])
	}
	return list
}

// worlds lists the worlds that have had a row, in order.
func (t *table[T]) worlds() []world {
	var list []world
	for _, key := range sortedKeys(t.rows) {
		list = append(list, parseWorld(key))
	}
	return list
}

// put writes a row within the running transaction.
func (t *table[T]) put(w world, id string, row T) {
	value, err := json.Marshal(row)
	if err != nil {
		panic(fmt.Sprintf("emulator: a row of %s does not marshal: %v", t.name, err)) // a bug in this package
	}
	key := w.String()
	old, had := t.rows[key][id]
	t.set(key, id, row)
	t.store.done = append(t.store.done, change{Table: t.name, World: key, ID: id, Value: value, undo: func() {
		if had {
			t.set(key, id, old)
		} else {
			t.drop(key, id)
		}
	}})
}

// remove removes a row within the running transaction.
func (t *table[T]) remove(w world, id string) {
	key := w.String()
	old, had := t.rows[key][id]
	if !had {
		return
	}
	t.drop(key, id)
	t.store.done = append(t.store.done, change{Table: t.name, World: key, ID: id, undo: func() { t.set(key, id, old) }})
}

func (t *table[T]) set(world, id string, row T) {
	if t.rows[world] == nil {
		t.rows[world] = map[string]T{}
	}
	t.rows[world][id] = row
}

func (t *table[T]) drop(world, id string) { delete(t.rows[world], id) }

func (t *table[T]) load(world, id string, value []byte) error {
	var row T
	if err := json.Unmarshal(value, &row); err != nil {
		return err
	}
	t.set(world, id, row)
	return nil
}

func (t *table[T]) each(visit func(world, id string, value any) error) error {
	for _, w := range sortedKeys(t.rows) {
		for _, id := range sortedKeys(t.rows[w]) {
			if err := visit(w, id, t.rows[w][id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// transact runs f alone on the store. What f wrote is kept if it returns nil,
// and undone otherwise. f must not block on anything but the store, and must
// not begin another transaction.
func (s *store) transact(f func() error) error {
	after, err := s.attempt(f)
	for _, f := range after {
		f()
	}
	return err
}

// afterCommit arranges that f runs once the running transaction is kept, after
// the store is free again and before its caller goes on; never if it is undone.
func (s *store) afterCommit(f func()) { s.after = append(s.after, f) }

func (s *store) attempt(f func() error) ([]func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.done, s.after = nil, nil
	settled := false
	defer func() {
		if !settled {
			s.undo()
		}
	}()
	if err := f(); err != nil {
		return nil, err
	}
	if err := s.commit(); err != nil {
		return nil, err
	}
	settled = true
	return s.after, nil
}

func (s *store) undo() {
	for i := len(s.done) - 1; i >= 0; i-- {
		s.done[i].undo()
	}
	s.done = nil
}

func (s *store) commit() error {
	if len(s.done) == 0 || s.journal == nil {
		return nil
	}
	if s.broken != nil {
		return s.broken
	}
	line, err := json.Marshal(s.done)
	if err != nil {
		return err
	}
	n, err := s.journal.Write(append(line, '\n'))
	if err == nil {
		if s.size += int64(n); s.size > s.limit {
			s.renew()
		}
		return nil
	}
	err = fmt.Errorf("write the local cloud's journal: %w", err)
	// Half a line in the middle would spoil every later one: on a full disk
	// the transaction never happened.
	if back := s.journal.Truncate(s.size); back != nil {
		s.broken = err
	}
	return err
}

// load reads the journal and rewrites it as one transaction, so that it does
// not grow from one process to the next.
func (s *store) load() error {
	if s.dir == "" {
		return nil
	}
	if err := s.replay(s.path()); err != nil {
		return err
	}
	if err := s.compact(s.path()); err != nil {
		return err
	}
	return s.reopen()
}

func (s *store) path() string { return filepath.Join(s.dir, "journal") }

// reopen goes on with the journal that compact has written.
func (s *store) reopen() error {
	journal, err := os.OpenFile(s.path(), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := journal.Stat()
	if err != nil {
		return errors.Join(err, journal.Close())
	}
	s.journal, s.size = journal, info.Size()
	s.limit = max(journalLimit, 4*s.size)
	return nil
}

// renew rewrites a journal that has grown far beyond what it describes. What
// was just written is safe in the old one, so if there is no room for a new one
// the old one goes on.
func (s *store) renew() {
	old := s.journal
	if s.compact(s.path()) != nil {
		s.limit *= 2
		return
	}
	if err := s.reopen(); err != nil {
		s.broken = fmt.Errorf("reopen the local cloud's journal: %w", err)
		return
	}
	_ = old.Close() // all of it was written
}

func (s *store) replay(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without its end was being written when its process died
		}
		if err != nil {
			return err
		}
		var changes []change
		if err := json.Unmarshal(line, &changes); err != nil {
			return fmt.Errorf("the local cloud's journal %s is damaged at line %d: %w", path, number, err)
		}
		for _, c := range changes {
			t, ok := s.tables[c.Table]
			switch {
			case !ok:
				return fmt.Errorf("the local cloud in %s was written by another version of goldline (table %q)", s.dir, c.Table)
			case c.Value == nil:
				t.drop(c.World, c.ID)
			default:
				if err := t.load(c.World, c.ID, c.Value); err != nil {
					return fmt.Errorf("the local cloud's journal %s, line %d: %w", path, number, err)
				}
			}
		}
	}
}

// compact writes every row as one transaction and puts it in the journal's
// place, which is never half there: it is on the disk before it has the name.
func (s *store) compact(path string) error {
	var changes []change
	for _, name := range s.order {
		err := s.tables[name].each(func(w, id string, value any) error {
			text, err := json.Marshal(value)
			changes = append(changes, change{Table: name, World: w, ID: id, Value: text})
			return err
		})
		if err != nil {
			return err
		}
	}
	var text []byte
	if len(changes) > 0 {
		line, err := json.Marshal(changes)
		if err != nil {
			return err
		}
		text = append(line, '\n')
	}
	if err := writeSynced(path+".new", text); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// errClosed is the end of every transaction after close.
var errClosed = errors.New("the local cloud is closed")

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.journal == nil {
		return nil
	}
	err := s.journal.Close()
	s.journal = nil
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
