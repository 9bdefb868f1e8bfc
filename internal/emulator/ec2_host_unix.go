//go:build unix

package emulator

import (
	"io/fs"
	"os"
	"syscall"
)

// own gives a copy the owner of what it was copied from, where that may be done.
func own(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(name, int(stat.Uid), int(stat.Gid))
}
