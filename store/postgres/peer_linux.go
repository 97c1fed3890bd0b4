package postgres

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// giveUpDeadPeers bounds how long the kernel sends to a machine that does not answer.
func giveUpDeadPeers(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer.Milliseconds()))
	})
	return errors.Join(err, failed)
}
