package machine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
)

// tree is a machine's file system as this process sees it. Paths are the
// machine's own, absolute; links are followed as the machine would follow them,
// an absolute one from the machine's root. Every operation ends in an os.Root,
// so a link that changes between the look and the use still cannot lead out.
type tree struct {
	mu     sync.RWMutex
	root   *os.Root
	mounts map[string]*os.Root // mount point to volume, where the kernel does not mount them
	// device tells the type of what stands for a device, where files have to.
	device  func(abs string) (fs.FileMode, bool)
	oneUser bool // every file belongs to the only user, and cannot be given away
	// forceful says that this process has to stand in for root without being it.
	forceful bool
}

func newTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, mounts: map[string]*os.Root{}, forceful: os.Geteuid() != 0}, nil
}

func (t *tree) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, root := range t.mounts {
		_ = root.Close() // only read-side state is left in it
		delete(t.mounts, at)
	}
	_ = t.root.Close()
}

// mount makes dir, a folder of the host, the contents of the machine's path at.
func (t *tree) mount(at, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.mounts[at]; busy {
		_ = root.Close()
		return &fs.PathError{Op: "mount", Path: at, Err: syscall.EBUSY}
	}
	t.mounts[at] = root
	return nil
}

func (t *tree) unmount(at string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	root, ok := t.mounts[at]
	if ok {
		_ = root.Close()
		delete(t.mounts, at)
	}
	return ok
}

func (t *tree) isMount(at string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.mounts[at]
	return ok
}

// mountsBelow says whether something is mounted at p or deeper.
func (t *tree) mountsBelow(p string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for at := range t.mounts {
		if at == p || strings.HasPrefix(at, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// spot is a resolved path: which root holds it, its name there, its name here.
type spot struct {
	root *os.Root
	rel  string
	abs  string
}

// locate finds the root that holds an already resolved path.
func (t *tree) locate(abs string) spot {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for at := abs; at != "/"; at = path.Dir(at) {
		if root, ok := t.mounts[at]; ok {
			return spot{root, relative(strings.TrimPrefix(abs, at)), abs}
		}
	}
	return spot{t.root, relative(abs), abs}
}

func relative(p string) string {
	if p = strings.TrimPrefix(p, "/"); p == "" {
		return "."
	}
	return p
}

const maxLinks = 40 // as Linux has it

// resolve follows the links of p, the last component's only if follow is set.
// The last component need not exist.
func (t *tree) resolve(p string, follow bool) (spot, error) {
	todo := strings.Split(p, "/")
	abs, links := "/", 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			abs = path.Dir(abs)
			continue
		}
		next := t.locate(path.Join(abs, name))
		last := !hasName(todo)
		if last && !follow {
			abs = next.abs
			continue
		}
		info, err := next.root.Lstat(next.rel)
		if err != nil {
			if last && errors.Is(err, fs.ErrNotExist) {
				abs = next.abs
				continue
			}
			return spot{}, &fs.PathError{Op: "open", Path: p, Err: cause(err)}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			abs = next.abs
			continue
		}
		if links++; links > maxLinks {
			return spot{}, &fs.PathError{Op: "open", Path: p, Err: syscall.ELOOP}
		}
		target, err := next.root.Readlink(next.rel)
		if err != nil {
			return spot{}, &fs.PathError{Op: "readlink", Path: p, Err: cause(err)}
		}
		if strings.HasPrefix(target, "/") {
			abs = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return t.locate(abs), nil
}

func hasName(parts []string) bool {
	for _, part := range parts {
		if part != "" && part != "." {
			return true
		}
	}
	return false
}

// cause strips the host's names from an error.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}

func renamed(op, p string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: p, Err: cause(err)}
}

func (t *tree) open(p string, flag int, perm fs.FileMode) (*os.File, error) {
	at, err := t.resolve(p, true)
	if err != nil {
		return nil, err
	}
	file, err := at.root.OpenFile(at.rel, flag|syscall.O_NONBLOCK, perm.Perm())
	if t.forceful && errors.Is(err, fs.ErrPermission) {
		file, err = force(at, flag|syscall.O_NONBLOCK)
	}
	return file, renamed("open", p, err)
}

// force opens a file whose mode keeps its owner out, as root could.
func force(at spot, flag int) (*os.File, error) {
	info, err := at.root.Stat(at.rel)
	if err != nil {
		return nil, err
	}
	if err := at.root.Chmod(at.rel, info.Mode()|0o600); err != nil {
		return nil, err
	}
	file, err := at.root.OpenFile(at.rel, flag, 0)
	return file, errors.Join(err, at.root.Chmod(at.rel, info.Mode()))
}

func (t *tree) stat(p string) (fs.FileInfo, error) {
	at, err := t.resolve(p, true)
	if err != nil {
		return nil, err
	}
	info, err := at.root.Lstat(at.rel)
	return t.shown(at, info), renamed("stat", p, err)
}

func (t *tree) lstat(p string) (fs.FileInfo, error) {
	at, err := t.resolve(p, false)
	if err != nil {
		return nil, err
	}
	info, err := at.root.Lstat(at.rel)
	return t.shown(at, info), renamed("lstat", p, err)
}

// shown is a file as the machine sees it.
func (t *tree) shown(at spot, info fs.FileInfo) fs.FileInfo {
	if info != nil && t.device != nil {
		if kind, ok := t.device(at.abs); ok {
			return deviceInfo{info, kind}
		}
	}
	return info
}

func (t *tree) readFile(p string) ([]byte, error) {
	file, err := t.open(p, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	return data, renamed("read", p, err)
}

// writeFile replaces p's contents and gives it exactly perm.
func (t *tree) writeFile(p string, data []byte, perm fs.FileMode) error {
	file, err := t.open(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(perm)
	}
	return renamed("write", p, errors.Join(err, file.Close()))
}

func (t *tree) readDir(p string) ([]fs.FileInfo, error) {
	at, err := t.resolve(p, true)
	if err != nil {
		return nil, err
	}
	dir, err := at.root.OpenFile(at.rel, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, renamed("open", p, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, renamed("readdir", p, err)
	}
	sort.Strings(names)
	infos := make([]fs.FileInfo, 0, len(names))
	for _, name := range names {
		info, err := t.lstat(path.Join(at.abs, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the names were read
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, renamedInfo{info, name})
	}
	return infos, nil
}

// renamedInfo gives a mount point its own name in place of the volume's ".".
type renamedInfo struct {
	fs.FileInfo
	name string
}

func (i renamedInfo) Name() string { return i.name }

func (t *tree) mkdir(p string, perm fs.FileMode) error {
	at, err := t.resolve(p, false)
	if err != nil {
		return err
	}
	return renamed("mkdir", p, at.root.Mkdir(at.rel, perm.Perm()))
}

func (t *tree) mkdirAll(p string, perm fs.FileMode) error {
	if info, err := t.stat(p); err == nil {
		if info.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: p, Err: syscall.ENOTDIR}
	}
	if parent := path.Dir(path.Clean(p)); parent != "/" {
		if err := t.mkdirAll(parent, perm); err != nil {
			return err
		}
	}
	at, err := t.resolve(p, true)
	if err != nil {
		return err
	}
	err = at.root.Mkdir(at.rel, perm.Perm())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return renamed("mkdir", p, err)
}

func (t *tree) remove(p string) error {
	at, err := t.resolve(p, false)
	if err != nil {
		return err
	}
	if t.isMount(at.abs) {
		return &fs.PathError{Op: "remove", Path: p, Err: syscall.EBUSY}
	}
	return renamed("remove", p, at.root.Remove(at.rel))
}

// removeAll empties what is mounted below p too, but leaves the mount points,
// as the kernel would.
func (t *tree) removeAll(p string) error {
	at, err := t.resolve(p, false)
	if err != nil {
		return err
	}
	if at.abs != "/" && !t.mountsBelow(at.abs) {
		return renamed("remove", p, at.root.RemoveAll(at.rel))
	}
	infos, err := t.readDir(at.abs)
	if err != nil {
		return err
	}
	var all error
	for _, info := range infos {
		all = errors.Join(all, t.removeAll(path.Join(at.abs, info.Name())))
	}
	return errors.Join(all, t.remove(at.abs))
}

func (t *tree) rename(from, to string) error {
	a, err := t.resolve(from, false)
	if err != nil {
		return err
	}
	b, err := t.resolve(to, false)
	if err != nil {
		return err
	}
	if t.mountsBelow(a.abs) || t.isMount(b.abs) {
		return &fs.PathError{Op: "rename", Path: from, Err: syscall.EBUSY}
	}
	if a.root != b.root {
		return &fs.PathError{Op: "rename", Path: from, Err: syscall.EXDEV}
	}
	return renamed("rename", from, a.root.Rename(a.rel, b.rel))
}

func (t *tree) symlink(target, p string) error {
	at, err := t.resolve(p, false)
	if err != nil {
		return err
	}
	return renamed("symlink", p, at.root.Symlink(target, at.rel))
}

func (t *tree) link(from, to string) error {
	a, err := t.resolve(from, false)
	if err != nil {
		return err
	}
	b, err := t.resolve(to, false)
	if err != nil {
		return err
	}
	if a.root != b.root {
		return &fs.PathError{Op: "link", Path: to, Err: syscall.EXDEV}
	}
	return renamed("link", to, a.root.Link(a.rel, b.rel))
}

func (t *tree) readlink(p string) (string, error) {
	at, err := t.resolve(p, false)
	if err != nil {
		return "", err
	}
	target, err := at.root.Readlink(at.rel)
	return target, renamed("readlink", p, err)
}

func (t *tree) chmod(p string, mode fs.FileMode) error {
	at, err := t.resolve(p, true)
	if err != nil {
		return err
	}
	return renamed("chmod", p, at.root.Chmod(at.rel, mode))
}

func (t *tree) chown(p string, uid, gid int) error {
	if t.oneUser {
		return nil
	}
	at, err := t.resolve(p, false)
	if err != nil {
		return err
	}
	return renamed("chown", p, at.root.Lchown(at.rel, uid, gid))
}
