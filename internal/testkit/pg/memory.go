package pg

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// freeMemory frees the shared memory segment that a killed server leaves behind: the kernel keeps it, and its number is
// in the lock file of the data folder, which a server that ends in order removes.
func freeMemory(lockFile string) error {
	text, err := os.ReadFile(lockFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	const line = 6 // key and identifier of the segment
	if len(lines) <= line {
		return nil // it died before it had one
	}
	var key, id int
	if _, err := fmt.Sscan(lines[line], &key, &id); err != nil {
		return nil // the same
	}
	_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("remove shared memory segment %d of %s: %w", id, lockFile, err)
	}
	return nil
}
