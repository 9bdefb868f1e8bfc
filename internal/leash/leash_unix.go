//go:build unix

package leash

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
)

// Run runs a command, made with exec.CommandContext and not started, in a
// process group of its own. Its errors are those of exec.Cmd.Run. When the
// context ends, the group is told to end, and killed once its leader has ended
// or Goodbye is over.
func Run(cmd *exec.Cmd) error {
	var cancelled atomic.Bool
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = Goodbye
	cmd.Cancel = func() error {
		cancelled.Store(true)
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	w, err := newWarden()
	if err != nil {
		return fmt.Errorf("guard the command: %w", err)
	}
	defer w.end()
	if err := cmd.Start(); err != nil {
		return err
	}
	w.guard(cmd.Process.Pid)
	err = cmd.Wait()
	if cancelled.Load() {
		// The group outlives its leader while a member of it lives; when none
		// does, this reaches nobody.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// warden is a shell that waits for the end of this process, which it sees by a
// pipe that closes, and then ends a process group. Linux's death signals would
// reach the command alone and not what it started, and would come when the
// thread that started it ends.
type warden struct {
	shell *exec.Cmd
	pipe  *os.File
}

// dash takes a group only after -s and --.
const wardenScript = `read -r group || exit 0
read -r end
kill -s TERM -- "-$group" 2>/dev/null || exit 0
sleep "$1"
kill -s KILL -- "-$group" 2>/dev/null`

func newWarden() (*warden, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	w := &warden{shell: exec.Command("/bin/sh", "-c", wardenScript, "sh", strconv.Itoa(int(Goodbye.Seconds()))), pipe: write}
	w.shell.Dir, w.shell.Env, w.shell.Stdin = "/", []string{"PATH=/usr/bin:/bin"}, read
	w.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is not for it
	if err := w.shell.Start(); err != nil {
		_ = write.Close() // the other end is gone
		return nil, err
	}
	return w, nil
}

// guard tells it which group to end.
func (w *warden) guard(group int) { fmt.Fprintln(w.pipe, group) }

// end lets it go before the pipe closes.
func (w *warden) end() {
	_ = w.shell.Process.Kill()
	_ = w.shell.Wait() // it was killed
	_ = w.pipe.Close()
}
