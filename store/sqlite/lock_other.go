//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlite

import (
	"errors"
	"os"
	"runtime"
)

// flock refuses: without a lock that dies with its process, nobody could know that the former owner of a lease is dead.
func flock(*os.File) (held bool, err error) {
	return false, errors.New("this engine needs flock, which " + runtime.GOOS + " does not have; use a database server")
}
