package machine

import (
	"context"
	"io"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func pointer(p *uint32) unsafe.Pointer { return unsafe.Pointer(p) }

// openTerminal makes a pseudo-terminal of the machine's own, so that programs
// there find it by its name.
func (g *namespaced) openTerminal(user account) (master, slave *os.File, err error) {
	master, err = g.files.open("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	var fd uintptr
	controlErr := raw.Control(func(m uintptr) {
		if err = unix.IoctlSetPointerInt(int(m), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		var errno unix.Errno
		if fd, _, errno = unix.Syscall(unix.SYS_IOCTL, m, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC); errno != 0 {
			err = errno
		}
	})
	if controlErr != nil {
		err = controlErr
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	slave = os.NewFile(fd, "tty")
	if g.kind == Overlay {
		_ = slave.Chown(user.uid, 5) // group tty; without it only write(1) suffers
	}
	return master, slave, nil
}

func resize(master *os.File, columns, rows int) {
	raw, err := master.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
	})
}

func (g *namespaced) runTerminal(ctx context.Context, cmd *exec.Cmd, p process) (int, error) {
	master, slave, err := g.openTerminal(p.user)
	if err != nil {
		return 0, err
	}
	defer master.Close()
	resize(master, p.tty.width, p.tty.height)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	err = g.start(cmd)
	_ = slave.Close() // the command has its own
	if err != nil {
		return 0, err
	}
	go func() { _, _ = io.Copy(master, p.in) }() // ends with the client or the terminal
	go func() {
		for size := range p.tty.resized {
			resize(master, size[0], size[1])
		}
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(p.out, master) // ends in an error once no one has the terminal open
	}()
	defer g.control(ctx, cmd, p.signals)()
	exit, err := exitCode(cmd.Wait())
	select {
	case <-read:
	case <-time.After(drained): // something in the background has it open still
	}
	return exit, err
}
