package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// A layer is a folder of changed files as they would stand below /, and a list
// of what was deleted from the layers below it. The list is kept as a file and
// not as whiteouts of an overlay, so that every kind of machine, with or
// without privileges, reads the layers that any other has made.
const deletedFile = ".deleted"

// deletions are paths without a leading slash; one with a slash at its end is a
// folder whose contents below this layer are gone.
func readDeletions(layer string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(layer, deletedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var deleted []string
	for entry := range bytes.SplitSeq(data, []byte{0}) {
		if p := string(entry); filepath.IsLocal(strings.TrimSuffix(p, "/")) {
			deleted = append(deleted, p)
		}
	}
	return deleted, nil
}

func writeDeletions(layer string, deleted []string) error {
	if len(deleted) == 0 {
		return nil
	}
	sort.Strings(deleted)
	return os.WriteFile(filepath.Join(layer, deletedFile), []byte(strings.Join(deleted, "\x00")+"\x00"), 0o600)
}

// apply puts a layer's files over a folder.
func apply(layer, root string) error {
	deleted, err := readDeletions(layer)
	if err != nil {
		return err
	}
	for _, p := range deleted {
		whole := filepath.Join(root, p)
		if !within(root, whole) {
			continue
		}
		if !strings.HasSuffix(p, "/") {
			err = purge(whole)
		} else {
			err = empty(whole)
		}
		if err != nil {
			return err
		}
	}
	c := newCopier()
	return filepath.WalkDir(layer, func(from string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(layer, from)
		if err != nil || rel == "." || rel == deletedFile {
			return err
		}
		return c.copy(from, filepath.Join(root, rel), root)
	})
}

// within says that no link on the way to p leads out of its parents: layers
// hold real folders, so a link there means the folder was replaced by one.
func within(root, p string) bool {
	for dir := filepath.Dir(p); len(dir) > len(root); dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // not there or no folder: nothing to empty
	}
	for _, entry := range entries {
		if err := purge(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// purge removes a file or folder whatever the modes of the folders in it.
func purge(p string) error {
	err := os.RemoveAll(p)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(p, func(name string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(name, 0o700) // what stays closed shows in the second try
		}
		return nil
	})
	// a closed folder is walked only once it is open, so once more from the top
	_ = filepath.WalkDir(p, func(name string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(p)
}

// Purge removes the folder of a stopped machine with everything in it.
func Purge(machineDir string) error {
	if err := purge(machineDir); err != nil {
		return fmt.Errorf("purge machine: %w", err)
	}
	return nil
}

// copier copies files one by one with modes, times, owners where it may, and
// hard links among them.
type copier struct {
	links map[[2]uint64]string // device and inode to the first copy
}

func newCopier() *copier { return &copier{links: map[[2]uint64]string{}} }

// copy copies one file, link or folder, not what is in it. What is at the
// destination goes first, unless both are folders.
func (c *copier) copy(from, to, root string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !within(root, to) {
		return fmt.Errorf("%s: its folder is not a folder", to)
	}
	old, err := os.Lstat(to)
	if err == nil && !(old.IsDir() && info.IsDir()) {
		if err := purge(to); err != nil {
			return err
		}
		old = nil
	} else if err != nil {
		old = nil
	}
	switch kind := info.Mode().Type(); kind {
	case fs.ModeDir:
		if old == nil {
			if err := os.Mkdir(to, 0o700); err != nil {
				return err
			}
		}
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
	case 0:
		linked, err := c.contents(from, to, info)
		if err != nil || linked {
			return err
		}
	default:
		return nil // sockets, pipes and devices belong to a running machine
	}
	return attributes(from, to, info)
}

func (c *copier) contents(from, to string, info fs.FileInfo) (linked bool, err error) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		key := [2]uint64{uint64(stat.Dev), stat.Ino}
		if first, ok := c.links[key]; ok && os.Link(first, to) == nil {
			return true, nil
		}
		c.links[key] = to
	}
	in, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(out, in)
	return false, errors.Join(err, out.Close())
}

// attributes gives a copy the original's owner, mode, labels and times.
func attributes(from, to string, info fs.FileInfo) error {
	if os.Geteuid() == 0 {
		uid, gid := owner(info)
		if err := os.Lchown(to, uid, gid); err != nil {
			return err
		}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	if err := os.Chmod(to, info.Mode()); err != nil {
		return err
	}
	if err := copyLabels(from, to); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
