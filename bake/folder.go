package bake

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// ownFolder is where Goldline keeps its records beside a project or a template.
// It holds keys and ledgers, and a socket while the local cloud is open: it is no
// part of an image, also where a template uploads the folder that it lies in.
const ownFolder = ".goldline"

func isOwn(entry fs.DirEntry) bool { return entry.IsDir() && entry.Name() == ownFolder }

// uploadFolder uploads a folder without what is Goldline's own in it. With a slash
// at its end it is the folder's contents that go to dst.
func uploadFolder(comm packersdk.Communicator, dst, src string, exclude []string) error {
	whole, err := filepath.EvalSymlinks(src) // at the top links are followed
	if err != nil {
		return err
	}
	own := errors.New("own")
	err = filepath.WalkDir(whole, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && isOwn(entry) {
			return own
		}
		return err
	})
	if err == nil {
		return comm.UploadDir(dst, src, exclude)
	}
	if err != own {
		return err
	}
	// The communicators upload all of a folder, whatever they are told to exclude.
	temp, err := os.MkdirTemp("", "goldline-upload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	named, err := filepath.Abs(src)
	if err == nil {
		whole, err = filepath.Abs(whole)
	}
	if err != nil {
		return err
	}
	copied := filepath.Join(temp, filepath.Base(named))
	if err := copyFolder(copied, whole); err != nil {
		return fmt.Errorf("leave %s out of %s: %w", ownFolder, src, err)
	}
	if strings.HasSuffix(src, "/") || filepath.Base(src) == "." {
		copied += "/"
	}
	return comm.UploadDir(dst, copied, exclude)
}

// copyFolder copies a folder without what is Goldline's own. Links lead where they
// led.
func copyFolder(dst, src string) error {
	return filepath.WalkDir(src, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, name)
		info, err := entry.Info()
		switch {
		case err != nil:
			return err
		case isOwn(entry):
			return fs.SkipDir
		case entry.IsDir():
			return os.Mkdir(to, info.Mode().Perm()|0o700)
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			return os.Symlink(target, to)
		}
		return copyFile(to, path, info.Mode().Perm())
	})
}

func copyFile(dst, src string, mode fs.FileMode) error {
	from, err := os.Open(src)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(to, from); err != nil {
		to.Close()
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	return os.Chmod(dst, mode)
}
