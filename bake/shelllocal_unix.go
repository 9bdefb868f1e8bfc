//go:build unix

package bake

import (
	"os/exec"
	"syscall"
)

// ownGroup lets the end of a bake end what a local command started, too.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
