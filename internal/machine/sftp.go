package machine

import (
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"

	"github.com/gliderlabs/ssh"
	"github.com/pkg/sftp"
)

// sftp serves the machine's files to the login user with that user's rights.
func (m *running) sftp(s ssh.Session) {
	user, ok := lookup(m.guest.tree(), s.User())
	if !ok {
		_ = s.Exit(255)
		return
	}
	files := &userFiles{guest: m.guest, user: user}
	server := sftp.NewRequestServer(s, sftp.Handlers{FileGet: files, FilePut: files, FileCmd: files, FileList: files},
		sftp.WithStartDirectory(user.home))
	defer server.Close()
	_ = server.Serve() // it ends with the session
	_ = s.Exit(0)
}

// userFiles answers sftp requests on the machine's tree.
type userFiles struct {
	guest guest
	user  account
}

func (f *userFiles) open(p string, flag int) (file *os.File, err error) {
	err = f.guest.as(f.user, func() error {
		file, err = f.guest.tree().open(p, flag, 0o644)
		return err
	})
	return file, err
}

func (f *userFiles) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	return f.open(r.Filepath, os.O_RDONLY)
}

func (f *userFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) { return f.OpenFile(r) }

// OpenFile opens for reading and writing.
func (f *userFiles) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	want, flag := r.Pflags(), os.O_WRONLY
	if want.Read && want.Write {
		flag = os.O_RDWR
	}
	if want.Creat {
		flag |= os.O_CREATE
	}
	if want.Trunc {
		flag |= os.O_TRUNC
	}
	if want.Excl {
		flag |= os.O_EXCL
	}
	return f.open(r.Filepath, flag)
}

// Filecmd does everything that neither reads nor writes contents.
func (f *userFiles) Filecmd(r *sftp.Request) error {
	t := f.guest.tree()
	return f.guest.as(f.user, func() error {
		switch r.Method {
		case "Setstat":
			return f.setstat(r)
		case "Rename":
			if _, err := t.lstat(r.Target); err == nil {
				return fs.ErrExist // version 3 of the protocol does not replace
			}
			return t.rename(r.Filepath, r.Target)
		case "Rmdir", "Remove":
			info, err := t.lstat(r.Filepath)
			if err != nil {
				return err
			}
			if info.IsDir() != (r.Method == "Rmdir") {
				return sftp.ErrSSHFxFailure
			}
			return t.remove(r.Filepath)
		case "Mkdir":
			return t.mkdir(r.Filepath, 0o755)
		case "Link":
			return t.link(r.Filepath, r.Target)
		case "Symlink":
			return t.symlink(r.Filepath, r.Target)
		}
		return sftp.ErrSSHFxOpUnsupported
	})
}

// PosixRename replaces what is there.
func (f *userFiles) PosixRename(r *sftp.Request) error {
	return f.guest.as(f.user, func() error { return f.guest.tree().rename(r.Filepath, r.Target) })
}

func (f *userFiles) setstat(r *sftp.Request) error {
	t, flags, want := f.guest.tree(), r.AttrFlags(), r.Attributes()
	if flags.Size {
		file, err := t.open(r.Filepath, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := file.Truncate(int64(want.Size)); err != nil {
			return renamed("truncate", r.Filepath, err)
		}
	}
	if flags.Permissions {
		if err := t.chmod(r.Filepath, fileMode(want.Mode&0o7777)); err != nil {
			return err
		}
	}
	if flags.UidGid {
		if err := t.chown(r.Filepath, int(want.UID), int(want.GID)); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return t.chtimes(r.Filepath, time.Unix(int64(want.Atime), 0), time.Unix(int64(want.Mtime), 0))
	}
	return nil
}

type listing []fs.FileInfo

func (l listing) ListAt(into []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// Filelist lists a folder or tells of one file.
func (f *userFiles) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	t := f.guest.tree()
	var found listing
	err := f.guest.as(f.user, func() error {
		switch r.Method {
		case "List":
			infos, err := t.readDir(r.Filepath)
			found = infos
			return err
		case "Stat":
			info, err := t.stat(r.Filepath)
			found = listing{info}
			return err
		}
		return sftp.ErrSSHFxOpUnsupported
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Lstat tells of a link itself.
func (f *userFiles) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	var info fs.FileInfo
	err := f.guest.as(f.user, func() (err error) {
		info, err = f.guest.tree().lstat(r.Filepath)
		return err
	})
	return listing{info}, err
}

// Readlink reads a link.
func (f *userFiles) Readlink(p string) (target string, err error) {
	err = f.guest.as(f.user, func() error {
		target, err = f.guest.tree().readlink(p)
		return err
	})
	return target, err
}

// RealPath makes a client's path absolute.
func (f *userFiles) RealPath(p string) (string, error) {
	if !path.IsAbs(p) {
		p = path.Join(f.user.home, p)
	}
	if at, err := f.guest.tree().resolve(p, true); err == nil {
		return at.abs, nil
	}
	return path.Clean(p), nil
}

// LookupUserName and LookupGroupName fill the long listing.
func (f *userFiles) LookupUserName(uid string) string {
	if number, err := strconv.Atoi(uid); err == nil {
		return userName(f.guest.tree(), number)
	}
	return uid
}

func (f *userFiles) LookupGroupName(gid string) string {
	if number, err := strconv.Atoi(gid); err == nil {
		return groupName(f.guest.tree(), number)
	}
	return gid
}

// chtimes sets a file's times.
func (t *tree) chtimes(p string, access, change time.Time) error {
	at, err := t.resolve(p, true)
	if err != nil {
		return err
	}
	return renamed("chtimes", p, at.root.Chtimes(at.rel, access, change))
}

// owner is the number of a file's user and group.
func owner(info fs.FileInfo) (uid, gid int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return 0, 0
}
