package pg

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// Kill9 kills every process of the server at once, as the loss of its machine would, except that what it had written
// without fsync is kept by the kernel. It returns when all have ended.
func (s *Server) Kill9(t testing.TB) {
	t.Helper()
	s.stopped(t, "by kill -9", s.kill)
}

func (s *Server) kill() error {
	process := s.current()
	if !process.running() {
		return nil
	}
	// A stopped postmaster neither forks nor reaps: its children are those of the list.
	if err := process.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	children, err := children(process.pid)
	if err != nil {
		return errors.Join(err, process.signal(syscall.SIGKILL))
	}
	for _, child := range children {
		if failed := syscall.Kill(child.pid, syscall.SIGKILL); failed != nil && !errors.Is(failed, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("kill process %d of PostgreSQL: %w", child.pid, failed))
		}
	}
	err = errors.Join(err, process.signal(syscall.SIGKILL))
	<-process.ended
	return errors.Join(err, awaitGone(children))
}

// awaitGone waits until processes have ended. They are nobody's children any more, so this is by looking.
func awaitGone(processes []stat) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(testkit.Patience)
	defer limit.Stop()
	for _, one := range processes {
		for one.alive() {
			select {
			case <-ticker.C:
			case <-limit.C:
				return fmt.Errorf("process %d of PostgreSQL is still there %v after it was killed", one.pid, testkit.Patience)
			}
		}
	}
	return nil
}
