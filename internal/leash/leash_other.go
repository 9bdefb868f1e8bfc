//go:build !unix

package leash

import "os/exec"

// Run runs a command. Where there are no process groups, the command alone ends
// with its context, and nothing with this process.
func Run(cmd *exec.Cmd) error {
	cmd.WaitDelay = Goodbye
	return cmd.Run()
}
