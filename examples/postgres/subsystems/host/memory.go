package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// freeMemory frees the small segment of shared memory that a killed server has left, and that only its next start would free. The
// file is its postmaster.pid, the seventh line of which says which segment it is.
func freeMemory(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return nil // it was killed before it had one
	}
	var key, id int
	if n, err := fmt.Sscan(lines[6], &key, &id); err != nil || n != 2 {
		return nil // none
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("free the shared memory of %s: %w", file, err)
	}
	return nil
}
