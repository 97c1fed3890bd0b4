package testkit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes a lock on a file, by which test processes take turns. The file is made if need be, and the kernel gives the lock back when the process dies.
// how is [syscall.LOCK_EX], which waits; with [syscall.LOCK_NB] it fails with [syscall.EWOULDBLOCK] instead.
func Lock(path string, how int) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file.Close, nil
}
