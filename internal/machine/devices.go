package machine

import (
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// charDevices are the devices that an in-process machine has beside volumes.
var charDevices = map[string]bool{
	"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true,
	"console": true, "ttyS0": true, "stdin": true, "stdout": true, "stderr": true,
}

// device tells the type of what stands at a path of /dev.
func (g *inprocess) device(abs string) (fs.FileMode, bool) {
	name, ok := strings.CutPrefix(abs, "/dev/")
	if !ok || strings.Contains(name, "/") {
		return 0, false
	}
	if charDevices[name] {
		return fs.ModeDevice | fs.ModeCharDevice, true
	}
	return fs.ModeDevice, true
}

// deviceInfo shows a file that stands for a device as that device.
type deviceInfo struct {
	fs.FileInfo
	kind fs.FileMode
}

func (i deviceInfo) Mode() fs.FileMode { return i.FileInfo.Mode().Perm() | i.kind }

// stream is an open file or device.
type stream struct {
	read  func([]byte) (int, error)
	write func([]byte) (int, error)
}

func (s stream) Read(data []byte) (int, error) {
	if s.read == nil {
		return 0, syscall.EBADF
	}
	return s.read(data)
}

func (s stream) Write(data []byte) (int, error) {
	if s.write == nil {
		return 0, syscall.EBADF
	}
	return s.write(data)
}

func (stream) Close() error { return nil }

func readZeros(data []byte) (int, error) { clear(data); return len(data), nil }
func writeAll(data []byte) (int, error)  { return len(data), nil }
func readNone([]byte) (int, error)       { return 0, io.EOF }
func writeFull([]byte) (int, error)      { return 0, syscall.ENOSPC }

// openDevice opens a file of /dev.
func (c *call) openDevice(name string) (io.ReadWriteCloser, error) {
	switch name {
	case "null":
		return stream{readNone, writeAll}, nil
	case "zero":
		return stream{readZeros, writeAll}, nil
	case "full":
		return stream{readZeros, writeFull}, nil
	case "random", "urandom":
		return stream{rand.Read, writeAll}, nil
	case "console", "ttyS0":
		return stream{readNone, c.g.m.console.Write}, nil
	case "tty":
		if c.tty {
			return stream{c.in.Read, c.out.Write}, nil
		}
		return nil, &fs.PathError{Op: "open", Path: "/dev/tty", Err: syscall.ENXIO}
	case "stdin", "fd/0":
		return stream{read: c.in.Read}, nil
	case "stdout", "fd/1":
		return stream{write: c.out.Write}, nil
	case "stderr", "fd/2":
		return stream{write: c.err.Write}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: "/dev/" + name, Err: syscall.EBUSY}
}

// open opens a machine's file for a command.
func (c *call) open(p string, flag int, perm fs.FileMode) (io.ReadWriteCloser, error) {
	if dir, name := path.Split(p); path.Clean(dir) == c.g.fifos && strings.HasPrefix(name, "sh-interp-") {
		return os.OpenFile(p, flag&^(os.O_CREATE|os.O_TRUNC), 0) // a pipe of <(...), made by the interpreter
	}
	full := c.abs(p)
	if name, ok := strings.CutPrefix(full, "/dev/"); ok {
		if _, err := c.g.files.stat(full); err == nil || strings.HasPrefix(name, "fd/") {
			return c.openDevice(name)
		}
	}
	at, err := c.g.files.resolve(full, true)
	if err != nil {
		return nil, err
	}
	if name, ok := strings.CutPrefix(at.abs, "/dev/"); ok && at.abs != full {
		if _, err := c.g.files.stat(at.abs); err == nil {
			return c.openDevice(name)
		}
	}
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		if info, err := c.g.files.stat(full); err == nil && info.IsDir() {
			return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.EISDIR}
		}
	}
	file, err := c.g.files.open(full, flag, perm&^c.g.mask())
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p, Err: cause(err)}
	}
	return file, nil
}

func (g *inprocess) mask() fs.FileMode {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.umask
}
