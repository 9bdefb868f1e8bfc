package machine

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// copyLabels copies what a file carries beside its contents and mode: file
// capabilities and the user's own attributes, not an overlay's.
func copyLabels(from, to string) error {
	size, err := unix.Llistxattr(from, nil)
	if err != nil || size <= 0 {
		return nil // none, or a file system without them
	}
	names := make([]byte, size)
	if size, err = unix.Llistxattr(from, names); err != nil {
		return nil
	}
	for name := range strings.SplitSeq(strings.Trim(string(names[:size]), "\x00"), "\x00") {
		if name != "security.capability" && !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			continue // removed meanwhile
		}
		err = unix.Lsetxattr(to, name, value[:n], 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	return nil
}

// isOpaque says that an overlay's folder hides what is below it.
func isOpaque(dir string) bool {
	value := make([]byte, 8)
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if n, err := unix.Lgetxattr(dir, name, value); err == nil && string(value[:n]) == "y" {
			return true
		}
	}
	return false
}
