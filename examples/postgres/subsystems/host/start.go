package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// starter runs PostgreSQL as a process that is nobody's child, so that it outlives the host, and says its number.
const starter = `"$0" -D "$1" >>"$2" 2>&1 </dev/null & echo $!`

// start makes sure that the server runs and accepts connections. A fenced one does not start.
func (s *server) start(ctx context.Context) error {
	if s.fenced() {
		return errFenced
	}
	ctx, cancel := context.WithTimeout(ctx, s.host.options.ReadyIn)
	defer cancel()
	pid, _ := s.postmaster()
	if pid == 0 {
		if err := errors.Join(s.clear(), s.configure(s.data())); err != nil {
			return err
		}
		var err error
		if pid, err = s.launch(ctx); err != nil {
			return err
		}
	}
	err := s.awaitReady(ctx, pid)
	if err == nil && s.fenced() {
		err = errFenced // it was fenced meanwhile
	}
	if err != nil && (errors.Is(err, errFenced) || errors.Is(context.Cause(ctx), errCut)) {
		return errors.Join(err, s.kill())
	}
	if err == nil && !s.state.Started {
		s.state.Started = true
		err = s.save()
	}
	return err
}

// launch starts a process.
func (s *server) launch(ctx context.Context) (pid int, err error) {
	if err := s.host.account.write(s.log()+".begins", fmt.Appendf(nil, "%d", sizeOf(s.log()))); err != nil {
		return 0, err
	}
	output, err := s.tool(ctx, nil, "/bin/sh", "-c", starter, s.host.program("postgres"), s.data(), s.log())
	if err != nil {
		return 0, fmt.Errorf("start server %q: %w", s.name, err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(output)); err != nil {
		return 0, fmt.Errorf("start server %q: the shell names no process: %w", s.name, err)
	}
	s.starts.Add(1)
	return pid, nil
}

// awaitReady waits until the server answers, or has ended.
func (s *server) awaitReady(ctx context.Context, pid int) error {
	var last error
	err := until(ctx, readyEvery, func() (bool, error) {
		if last = s.answers(ctx); last == nil {
			return true, nil
		}
		if ended(pid) {
			return false, fmt.Errorf("it has ended: %s", s.complaint())
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("server %q does not start: %w (%v)", s.name, err, last)
	}
	return nil
}

// answers says whether a connection can be made and used.
func (s *server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := s.query(ctx, "SELECT 1")
	return err
}

// complaint is what the server has last complained of in its log since it was started.
func (s *server) complaint() string {
	began, err := os.ReadFile(s.log() + ".begins")
	if err != nil {
		return err.Error()
	}
	from, err := strconv.ParseInt(string(began), 10, 64)
	if err != nil {
		return err.Error()
	}
	return complaintIn(s.logSince(from))
}

// logSince is the log from a position on, at most its last 64 KiB.
func (s *server) logSince(from int64) string {
	const most = 64 << 10
	size := sizeOf(s.log())
	if from > size {
		from = 0 // it was cut meanwhile
	}
	from = max(from, size-most)
	file, err := os.Open(s.log())
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(file, from, most))
	if err = errors.Join(err, file.Close()); err != nil {
		return err.Error()
	}
	return string(text)
}

// complaintIn is the line of a program's output that says best what is wrong: the last of the gravest, or the last.
func complaintIn(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, mark := range []string{
		"invalid value for parameter", "unrecognized configuration parameter", "is outside the valid range", "PANIC:", "FATAL:", "fatal:", "ERROR:", "error:",
	} {
		for _, line := range slices.Backward(lines) {
			if strings.Contains(line, mark) && !strings.Contains(line, "the database system is") {
				return strings.TrimSpace(line)
			}
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
