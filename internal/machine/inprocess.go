package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// inprocess is a machine whose programs are this package's own: an interpreted
// shell and small commands, all confined to the machine's folder. No program of
// the host ever runs.
type inprocess struct {
	m        *running
	files    *tree
	life     context.Context
	fifos    string // folder of the host where the interpreter makes its pipes
	commands map[string]builtin

	mu    sync.Mutex
	idle  *sync.Cond
	alive int // commands that run
	umask fs.FileMode
}

// stub begins the file that stands for a built-in command.
const stub = "#!built-in\n"

func newInProcess(m *running) (*inprocess, error) {
	root := filepath.Join(m.spec.Dir, rootFolder)
	if _, err := os.Stat(filepath.Join(m.spec.Dir, manifestFile)); err != nil {
		if err := materialise(m.spec, root, builtinRoot); err != nil {
			return nil, err
		}
	}
	if err := freshRun(root); err != nil {
		return nil, err
	}
	fifos := filepath.Join(m.spec.Dir, "pipes")
	if err := errors.Join(purge(fifos), os.MkdirAll(fifos, 0o700)); err != nil {
		return nil, err
	}
	files, err := newTree(root)
	if err != nil {
		return nil, err
	}
	g := &inprocess{m: m, files: files, life: m.life, fifos: fifos, commands: builtins(), umask: 0o022}
	g.idle = sync.NewCond(&g.mu)
	files.device = g.device
	return g, g.devices(nil)
}

// materialise makes a root folder out of layers, over what base makes, and
// notes what it looks like. A root that was not finished is made again.
func materialise(spec Spec, root string, base func(Spec, string) error) error {
	if err := purge(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := base(spec, root); err != nil {
		return err
	}
	for i := len(spec.Layers) - 1; i >= 0; i-- {
		if err := apply(spec.Layers[i], root); err != nil {
			return fmt.Errorf("layer %s: %w", spec.Layers[i], err)
		}
	}
	found, err := survey(root)
	if err != nil {
		return err
	}
	return found.write(spec.Dir)
}

// builtinRoot makes the file system of an in-process machine.
func builtinRoot(spec Spec, root string) error {
	if err := makeDirs(root); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "sbin", "lib"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	for name, text := range standardFiles(spec.OS) {
		mode := fs.FileMode(0o644)
		if name == "etc/shadow" {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), mode); err != nil {
			return err
		}
	}
	for name := range builtins() {
		if err := os.WriteFile(filepath.Join(root, "usr/bin", name), []byte(stub), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(root, "usr/bin", name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// freshRun empties what a real machine keeps in memory.
func freshRun(root string) error {
	for _, dir := range []string{"run", "dev", "proc"} {
		p := filepath.Join(root, dir)
		if err := errors.Join(purge(p), os.MkdirAll(p, 0o755)); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"proc/cpuinfo": "processor\t: 0\nmodel name\t: emulated\n",
		"proc/meminfo": "MemTotal:        2000000 kB\nMemFree:         1500000 kB\nMemAvailable:    1800000 kB\n",
		"proc/version": "Linux version 6.1.0-goldline\n",
		"proc/cmdline": "BOOT_IMAGE=/boot/vmlinuz root=/dev/root console=ttyS0\n",
		"proc/uptime":  "1.00 1.00\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o444); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(root, "run/lock"), 0o755)
}

func (g *inprocess) tree() *tree                         { return g.files }
func (g *inprocess) as(_ account, do func() error) error { return do() }
func (g *inprocess) letBecome(account) error             { return nil } // its sudo looks at the name
func (g *inprocess) path() string                        { return systemPath }

func (g *inprocess) bind(_ context.Context, volume, target string) error {
	return g.files.mount(target, filepath.Join(g.m.volumes.dir, volume))
}

func (g *inprocess) unbind(_ context.Context, target string) error {
	g.files.unmount(target)
	return nil
}

func (g *inprocess) otherMount(_ context.Context, p process) int {
	what := ""
	if len(p.argv) > 1 {
		what = p.argv[len(p.argv)-1]
	}
	fmt.Fprintf(p.err, "%s: %s: only attached volumes can be mounted on an in-process machine\n", p.argv[0], what)
	return 32
}

// devices keeps /dev in step: a file stands there for each device.
func (g *inprocess) devices(volumes []string) error {
	dev := filepath.Join(g.m.spec.Dir, rootFolder, "dev")
	want := map[string]bool{}
	for name := range charDevices {
		want[name] = true
	}
	for _, name := range volumes {
		for _, alias := range aliases(name) {
			want[alias] = true
		}
	}
	for name := range want {
		file, err := os.OpenFile(filepath.Join(dev, name), os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dev)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !want[entry.Name()] && entry.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dev, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs a program as if it were started by a login.
func (g *inprocess) run(ctx context.Context, p process) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	defer close(done)
	go func() { // signals end a command; its children, being part of it, too
		for {
			select {
			case name := <-p.signals:
				if name == "TERM" || name == "INT" || name == "KILL" || name == "HUP" || name == "QUIT" {
					cancel()
				}
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	input, err := newInput(ctx, p.in)
	if err != nil {
		cancel()
		return 0, err
	}
	defer input.Close()
	c := &call{g: g, ctx: ctx, args: p.argv, dir: p.dir, env: p.env, in: input, out: &lockedWriter{w: p.out}, err: &lockedWriter{w: p.err}, user: p.user}
	if p.tty != nil {
		c.err, c.tty = c.out, true
		terminalInput, err := cook(ctx, input, c.out, cancel)
		if err != nil {
			cancel()
			return 0, err
		}
		defer terminalInput.Close()
		c.in = terminalInput
	}
	if info, err := g.files.stat(c.dir); err != nil || !info.IsDir() {
		c.dir = "/"
	}
	exit := g.exec(c)
	if ctx.Err() != nil {
		return exit, nil
	}
	// What the shell left running in the background runs on, until the machine
	// stops or the caller's context ends.
	context.AfterFunc(ctx, cancel)
	return exit, nil
}

// newInput gives the interpreter the file it wants for standard input.
func newInput(ctx context.Context, in io.Reader) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer write.Close()
		if in != nil {
			_, _ = io.Copy(write, in) // ends with the client or with the pipe
		}
	}()
	context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })
	return read, nil
}

// lockedWriter lets background commands share an output.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(data)
}

func (g *inprocess) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.life.Err() != nil {
		return false
	}
	g.alive++
	return true
}

func (g *inprocess) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive--
	if g.alive == 0 {
		g.idle.Broadcast()
	}
}

// end waits for the commands, all of which heed the machine's context.
func (g *inprocess) end(ctx context.Context) error {
	unhook := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.idle.Broadcast()
	})
	defer unhook()
	g.mu.Lock()
	for g.alive > 0 && ctx.Err() == nil {
		g.idle.Wait()
	}
	left := g.alive
	g.mu.Unlock()
	if left > 0 {
		return fmt.Errorf("%d commands still run: %w", left, ctx.Err())
	}
	g.files.close()
	return nil
}

// cook is the terminal's line discipline: echo, erase, end of file, interrupt.
func cook(ctx context.Context, raw io.Reader, echo io.Writer, interrupt func()) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer write.Close()
		var line []byte
		key := make([]byte, 256)
		for {
			n, err := raw.Read(key)
			for _, b := range key[:n] {
				switch b {
				case '\r', '\n':
					_, _ = echo.Write([]byte("\n"))
					if _, err := write.Write(append(line, '\n')); err != nil {
						return
					}
					line = line[:0]
				case 0x7f, '\b':
					if len(line) > 0 {
						line = line[:len(line)-1]
						_, _ = echo.Write([]byte("\b \b"))
					}
				case 0x03:
					_, _ = echo.Write([]byte("^C\n"))
					interrupt()
					return
				case 0x04:
					if len(line) == 0 {
						return
					}
				default:
					line = append(line, b)
					_, _ = echo.Write([]byte{b})
				}
			}
			if err != nil || ctx.Err() != nil {
				return
			}
		}
	}()
	context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })
	return read, nil
}
