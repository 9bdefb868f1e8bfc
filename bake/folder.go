package bake

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goldline-dev/goldline/internal/ledger"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// isOwn tells whether something in a folder is Goldline's. It holds keys and
// ledgers, and a socket while the local cloud is open: it is no part of an image,
// also where a template uploads the folder that it lies in.
func isOwn(entry fs.DirEntry) bool { return entry.IsDir() && entry.Name() == ledger.Folder }

// uploadFolder uploads a folder without what is Goldline's own in it. With a slash
// at its end it is the folder's contents that go to dst.
func uploadFolder(comm packersdk.Communicator, dst, src string, exclude []string) error {
	named, err := filepath.Abs(src)
	if err != nil {
		return err
	}
	folder, err := filepath.EvalSymlinks(named) // at the top links are followed
	if err != nil {
		return err
	}
	holdsOwn := false
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && isOwn(entry) {
			holdsOwn = true
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		return err
	}
	if !holdsOwn {
		return comm.UploadDir(dst, src, exclude)
	}
	// The communicators upload all of a folder, whatever they are told to exclude.
	temp, err := os.MkdirTemp("", "goldline-upload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	copied := filepath.Join(temp, filepath.Base(named))
	if err := copyFolder(copied, folder); err != nil {
		return fmt.Errorf("leave %s out of %s: %w", ledger.Folder, src, err)
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
			if err := os.Mkdir(to, 0o700); err != nil {
				return err
			}
			return os.Chmod(to, info.Mode().Perm()|0o700) // whatever the umask says
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
