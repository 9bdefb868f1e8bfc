//go:build unix

package emulator

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file's lock without waiting. The system drops it with the
// process, however that ends.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closing := f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(ErrOwned, closing)
		}
		return nil, errors.Join(err, closing)
	}
	return func() error {
		// Closing alone would leave the lock with a child that this process is just
		// about to start: until it executes, it has a copy of the file.
		return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
	}, nil
}
