package subsystem

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/setpointhq/setpoint/internal/durable"
)

// ErrInUse is returned for a file that another process, or another part of this one, keeps open as its journal.
var ErrInUse = errors.New("another server uses it: two must not share a folder")

// Journal is an append-only file of JSON lines that survives kill -9 at any moment and, after [Journal.Sync], the loss
// of power. Append and Rewrite must not be called concurrently; Sync may.
type Journal struct {
	path    string
	file    *os.File
	written atomic.Uint64

	syncing sync.Mutex // held by the one who syncs; those who wait behind usually find their line synced
	synced  uint64
}

// OpenJournal opens or creates the file at path and calls line for every whole line in it. What follows the last
// newline is a line torn by a crash and is cut off. An error of line ends the reading and is returned.
func OpenJournal(path string, line func([]byte) error) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	var end int64
	if err = lock(file); err == nil {
		end, err = readLines(file, line)
	}
	if err == nil {
		err = file.Truncate(end)
	}
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read journal %s: %w", path, err), file.Close())
	}
	return &Journal{path: path, file: file}, nil
}

// lock is released when the file is closed, also by a crash.
func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// readLines returns the offset just behind the last whole line.
func readLines(file io.Reader, line func([]byte) error) (end int64, err error) {
	reader := bufio.NewReaderSize(file, 1<<16)
	for n := 1; ; n++ {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		if err := line(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
			return end, fmt.Errorf("line %d: %w", n, err)
		}
		end += int64(len(text))
	}
}

// Append writes values as one line each, in one write, and returns the position to give to [Journal.Sync].
func (j *Journal) Append(values ...any) (position uint64, err error) {
	var buffer bytes.Buffer
	for _, value := range values {
		if err := json.NewEncoder(&buffer).Encode(value); err != nil {
			return 0, fmt.Errorf("encode a line for %s: %w", j.path, err)
		}
	}
	if _, err := j.file.Write(buffer.Bytes()); err != nil {
		return 0, fmt.Errorf("append to %s: %w", j.path, err)
	}
	return j.written.Add(1), nil
}

// Written is the position of the last line.
func (j *Journal) Written() uint64 { return j.written.Load() }

// Sync returns when everything up to position is on the disk. Concurrent callers share one fsync.
func (j *Journal) Sync(position uint64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= position {
		return nil
	}
	covered := j.written.Load()
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", j.path, err)
	}
	j.synced = covered
	return nil
}

// Rewrite replaces the whole file by values, atomically and durably.
func (j *Journal) Rewrite(values func(emit func(any) error) error) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	fresh, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("rewrite journal: %w", err)
	}
	if err := errors.Join(lock(fresh), fill(fresh, values)); err != nil {
		return errors.Join(fmt.Errorf("rewrite journal %s: %w", j.path, err), fresh.Close())
	}
	if err := durable.Rename(fresh.Name(), j.path); err != nil {
		return errors.Join(fmt.Errorf("rewrite journal %s: %w", j.path, err), fresh.Close())
	}
	old := j.file
	j.file, j.synced = fresh, j.written.Load()
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old journal %s: %w", j.path, err)
	}
	return nil
}

func fill(file *os.File, values func(emit func(any) error) error) error {
	writer := bufio.NewWriterSize(file, 1<<16)
	encoder := json.NewEncoder(writer)
	return errors.Join(values(encoder.Encode), writer.Flush(), file.Sync())
}

// Close syncs and closes the file.
func (j *Journal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	return errors.Join(j.file.Sync(), j.file.Close())
}
