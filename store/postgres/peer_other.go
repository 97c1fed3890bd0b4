//go:build !linux

package postgres

import "syscall"

// giveUpDeadPeers is for Linux; elsewhere keep-alive has to do.
func giveUpDeadPeers(_, _ string, _ syscall.RawConn) error { return nil }
