package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// Launch starts the server on its folder and port, and returns at once: it may still be recovering.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	if err := s.launch(); err != nil {
		t.Fatalf("start PostgreSQL at port %d: %v", s.Port(), err)
	}
}

// Start starts the server on its folder and port, and returns when it accepts connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.Launch(t)
	s.WaitReady(t)
}

// WaitReady returns when the server accepts connections.
func (s *Server) WaitReady(t testing.TB) {
	t.Helper()
	process := s.current()
	testkit.Wait(t, fmt.Sprintf("PostgreSQL at port %d accepts connections", s.Port()), func() bool {
		if !process.running() {
			t.Fatalf("PostgreSQL at port %d has ended: %v\n%s", s.Port(), process.err, s.logged())
		}
		return s.accepts()
	})
}

// accepts says whether a connection can be made.
func (s *Server) accepts() bool {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	connection, err := pgconn.Connect(ctx, s.URL("postgres"))
	return err == nil && connection.Close(ctx) == nil
}

func (s *Server) launch() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.running() {
		return errors.New("it is running")
	}
	log, err := os.OpenFile(s.folder.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	command := s.account.command(s.folder.path, s.installation.program("postgres"), "-D", s.folder.data())
	command.Stdout, command.Stderr = log, log
	s.process, err = launch(command)
	return err
}

// StopImmediate stops the server as "pg_ctl stop -m immediate" does: no checkpoint, all connections lost, recovery at
// the next start. It returns when every process of the server has ended.
func (s *Server) StopImmediate(t testing.TB) {
	t.Helper()
	s.stopped(t, "immediately", s.stopImmediate)
}

// StopFast stops the server in order: transactions are rolled back, connections closed, a checkpoint made, standbys
// brought up to date. It returns when every process of the server has ended.
func (s *Server) StopFast(t testing.TB) {
	t.Helper()
	s.stopped(t, "fast", func() error { return s.stop(syscall.SIGINT) })
}

func (s *Server) stopped(t testing.TB, how string, stop func() error) {
	t.Helper()
	if s.shared {
		t.Fatal("other tests use the shared server: a test that stops one uses pg.Start")
	}
	if err := stop(); err != nil {
		t.Fatalf("stop PostgreSQL at port %d %s: %v\n%s", s.Port(), how, err, s.logged())
	}
}

func (s *Server) stopImmediate() error { return s.stop(syscall.SIGQUIT) }

// stop signals the postmaster and waits until it has ended. A postmaster ends after its children.
func (s *Server) stop(signal os.Signal) error {
	process := s.current()
	if !process.running() {
		return nil
	}
	if err := process.signal(signal); err != nil {
		return err
	}
	limit := time.NewTimer(testkit.Patience)
	defer limit.Stop()
	select {
	case <-process.ended:
		return nil
	case <-limit.C:
		return fmt.Errorf("still running %v after %v", testkit.Patience, signal)
	}
}

// destroy stops the server, by force if it must, and removes its folder.
func (s *Server) destroy() error {
	err := s.stopImmediate()
	if err != nil {
		err = errors.Join(err, s.kill())
	}
	return errors.Join(err, s.folder.remove())
}
