package bake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		// The length keeps "ab","c" apart from "a","bc".
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// digestPath takes in a file, or a folder with everything in it but what is
// Goldline's own: names, permissions, contents, and where symbolic links lead.
// Links are followed at the top, as an upload does.
func digestPath(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return digestFile(path, info)
	}
	var lines []string
	root := os.DirFS(path)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isOwn(entry) {
			return fs.SkipDir
		}
		digest, err := digestEntry(filepath.Join(path, name), entry)
		lines = append(lines, name+"\x00"+digest)
		return err
	})
	sort.Strings(lines)
	return digestOf(lines...), err
}

func digestEntry(path string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	switch {
	case entry.IsDir():
		return digestOf("folder", info.Mode().Perm().String()), nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		behind, err := os.Stat(path)
		if err != nil || behind.IsDir() {
			return digestOf("link", target), nil
		}
		file, err := digestFile(path, behind) // an upload takes what it leads to
		return digestOf("link", target, file), err
	}
	return digestFile(path, info)
}

func digestFile(path string, info fs.FileInfo) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return digestOf("file", info.Mode().Perm().String(), hex.EncodeToString(h.Sum(nil))), nil
}
