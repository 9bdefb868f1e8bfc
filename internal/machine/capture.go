package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The parts of a machine's folder.
const (
	rootFolder   = "root"      // the whole file system, where the kind has no overlay
	upperFolder  = "upper"     // the changed files of each overlay, where it has
	manifestFile = "base.json" // what the root folder was made as
)

// fleeting are the folders whose files no image keeps.
var fleeting = []string{"dev", "proc", "sys", "run"}

// Capture copies the machine's changed files into layerDir, a new folder, and
// works on running machines too. The folder is complete once it is there.
// Volumes are not part of it.
func Capture(ctx context.Context, machineDir, layerDir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("capture: %w", err)
		}
	}()
	if _, err := os.Lstat(layerDir); err == nil {
		return fmt.Errorf("%s: %w", layerDir, fs.ErrExist)
	}
	if err := os.MkdirAll(filepath.Dir(layerDir), 0o755); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(filepath.Dir(layerDir), ".capture-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, purge(draft)) }()
	if err := os.Chmod(draft, 0o755); err != nil {
		return err
	}
	t := &taking{ctx: ctx, layer: draft, copier: newCopier()}
	if _, statErr := os.Stat(filepath.Join(machineDir, manifestFile)); statErr == nil {
		err = t.compare(machineDir)
	} else {
		err = t.uppers(filepath.Join(machineDir, upperFolder))
	}
	if err != nil {
		return err
	}
	if err := writeDeletions(draft, t.deleted); err != nil {
		return err
	}
	return os.Rename(draft, layerDir)
}

// taking is a capture under way.
type taking struct {
	ctx     context.Context
	layer   string
	copier  *copier
	deleted []string
}

// take copies a file and the folders above it, whose modes count too.
func (t *taking) take(root, rel string) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if parent := filepath.Dir(rel); parent != "." {
		if _, err := os.Lstat(filepath.Join(t.layer, parent)); err != nil {
			if err := t.take(root, parent); err != nil {
				return err
			}
		}
	}
	err := t.copier.copy(filepath.Join(root, rel), filepath.Join(t.layer, rel), t.layer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile, as on any disk that is read while in use
	}
	return err
}

// uppers reads the changed files of each overlay, whose folder is named after
// the path that the overlay is mounted at.
func (t *taking) uppers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		at := overlayPath(entry.Name())
		upper := filepath.Join(dir, entry.Name())
		err := filepath.WalkDir(upper, func(p string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || p == upper {
				return err
			}
			return t.upperEntry(upper, at, p, entry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) upperEntry(upper, at, p string, entry fs.DirEntry) error {
	below, err := filepath.Rel(upper, p)
	if err != nil {
		return err
	}
	rel := filepath.Join(at, below)
	if slices.Contains(fleeting, rel) {
		return filepath.SkipDir
	}
	info, err := entry.Info()
	if err != nil {
		return nil // gone meanwhile
	}
	if isWhiteout(info) {
		t.deleted = append(t.deleted, rel)
		return nil
	}
	if entry.IsDir() && isOpaque(p) {
		t.deleted = append(t.deleted, rel+"/")
	}
	if at != "" { // the folders that lead to the overlay's mount point
		if err := os.MkdirAll(filepath.Join(t.layer, at), 0o755); err != nil {
			return err
		}
	}
	err = t.copier.copy(p, filepath.Join(t.layer, rel), t.layer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func isWhiteout(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && stat.Rdev == 0
}

// overlayName and overlayPath turn a mount point into a folder's name and back.
func overlayName(at string) string {
	if at == "" {
		return "@"
	}
	return strings.ReplaceAll(at, "/", "+")
}

func overlayPath(name string) string {
	if name == "@" {
		return ""
	}
	return strings.ReplaceAll(name, "+", "/")
}

// manifest is what a root folder looked like when it was made, by path.
type manifest map[string]manifestEntry

type manifestEntry struct {
	Mode   fs.FileMode `json:"m"`
	Size   int64       `json:"s,omitempty"`
	Time   int64       `json:"t,omitempty"` // nanoseconds
	Inode  uint64      `json:"i,omitempty"`
	Target string      `json:"l,omitempty"`
	UID    int         `json:"u,omitempty"`
	GID    int         `json:"g,omitempty"`
}

// survey writes down a root folder. Folders count by mode and owner only:
// their times change with what is in them.
func survey(root string) (manifest, error) {
	found := manifest{}
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if slices.Contains(fleeting, rel) {
			return filepath.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		one := manifestEntry{Mode: info.Mode()}
		one.UID, one.GID = owner(info)
		switch {
		case info.Mode().IsRegular():
			one.Size, one.Time = info.Size(), info.ModTime().UnixNano()
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				one.Inode = stat.Ino
			}
		case info.Mode()&fs.ModeSymlink != 0:
			if one.Target, err = os.Readlink(p); err != nil {
				return nil // replaced meanwhile
			}
		}
		found[rel] = one
		return nil
	})
	return found, err
}

func (m manifest) write(machineDir string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	draft := filepath.Join(machineDir, manifestFile+".new")
	if err := os.WriteFile(draft, data, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, filepath.Join(machineDir, manifestFile))
}

// compare takes what a root folder has that its manifest has not, and the other
// way round.
func (t *taking) compare(machineDir string) error {
	data, err := os.ReadFile(filepath.Join(machineDir, manifestFile))
	if err != nil {
		return err
	}
	var was manifest
	if err := json.Unmarshal(data, &was); err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	root := filepath.Join(machineDir, rootFolder)
	is, err := survey(root)
	if err != nil {
		return err
	}
	changed := make([]string, 0, len(is))
	for rel, entry := range is {
		if was[rel] != entry {
			changed = append(changed, rel)
		}
	}
	slices.Sort(changed)
	for _, rel := range changed {
		if err := t.take(root, rel); err != nil {
			return err
		}
	}
	for rel := range was {
		_, there := is[rel]
		_, parentThere := is[filepath.Dir(rel)]
		if !there && (parentThere || filepath.Dir(rel) == ".") {
			t.deleted = append(t.deleted, rel)
		}
	}
	return nil
}
