package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// lockFile is an exclusive lock that the kernel gives up when its process ends, however it ends. Whoever gets it knows
// that every former holder is dead.
type lockFile struct{ f *os.File }

// lockPath takes the lock of a database, or says which process has it.
func lockPath(database string) (*lockFile, error) {
	name := database + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database %s: %w", database, err)
	}
	if held, err := flock(f); err != nil {
		holder := readHolder(f)
		if held {
			err = fmt.Errorf("%w: %s is open in %s (lock file %s); one process writes at a time: stop that one, or go through its API", ErrInUse, database, holder, name)
		} else {
			err = fmt.Errorf("lock database %s: %w", database, err)
		}
		return nil, errors.Join(err, f.Close())
	}
	l := &lockFile{f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock database %s: write the process into %s: %w", database, name, err), l.release())
	}
	return l, nil
}

func (l *lockFile) sign() error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release gives the lock up. The file stays: removing it would let two processes lock two files of one name.
func (l *lockFile) release() error { return l.f.Close() }

func readHolder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return "another process"
	}
	return "process " + pid
}
