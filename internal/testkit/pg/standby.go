package pg

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// Standby makes a streaming replica from a base backup of the server, at a port of its own and with the same settings,
// and returns it when it streams. With sync the primary's commits wait for it from then on, and go on waiting when it
// is stopped, as in production; they stop waiting when the standby's test ends.
func (s *Server) Standby(t testing.TB, sync bool) *Server {
	t.Helper()
	if s.shared {
		t.Fatal("the shared server has no standby: use pg.Start")
	}
	standby, _, err := prepare()
	if err != nil {
		t.Fatalf("make a standby: %v", err)
	}
	standby.settings = maps.Clone(s.settings)
	t.Cleanup(func() { standby.remove(t) })
	t.Cleanup(func() { standby.leave(t) })
	standby.follow(t, s, sync)
	return standby
}

// Promote makes a standby a primary, whether its own is there or not, and returns when it takes writes. It waits for no
// standby until it is given one.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	rows := s.Exec(t, "postgres", "SELECT pg_promote(wait => true, wait_seconds => 600)", "SELECT pg_is_in_recovery()")
	if rows[0][0] != "f" {
		t.Fatalf("PostgreSQL at port %d is still a standby after its promotion\n%s", s.Port(), s.logged())
	}
	s.primary = nil
}

// RejoinAs makes a server, stopped or running, a standby of another, such as a former primary of its promoted standby.
// What it held is replaced by a base backup of the new primary; [Server.Start] alone would bring the former primary
// back as a second primary with what it held. The server must not be one that the new primary's commits wait for.
func (s *Server) RejoinAs(t testing.TB, primary *Server, sync bool) {
	t.Helper()
	s.StopImmediate(t)
	s.mu.Lock()
	s.synchronous = nil
	s.mu.Unlock()
	t.Cleanup(func() { s.leave(t) })
	s.follow(t, primary, sync)
}

// name is what a standby is called by its primary.
func (s *Server) name() string { return fmt.Sprintf("standby_%d", s.Port()) }

// follow makes a stopped server a standby, starts it, and waits until it streams.
func (s *Server) follow(t testing.TB, primary *Server, sync bool) {
	t.Helper()
	if err := s.copyFrom(primary); err != nil {
		t.Fatalf("make a standby of PostgreSQL at port %d: %v", primary.Port(), err)
	}
	s.primary = primary
	s.Start(t)
	if sync {
		primary.awaited(t, func(names []string) []string { return append(names, s.name()) })
		// The checkpointer is who tells sessions to wait. Having made a checkpoint it has read the configuration.
		primary.Exec(t, "postgres", "CHECKPOINT")
	}
	state := map[bool]string{false: "async", true: "sync"}[sync]
	query := fmt.Sprintf("SELECT 1 FROM pg_stat_replication WHERE application_name = '%s' AND state = 'streaming' AND sync_state = '%s'", s.name(), state)
	testkit.Wait(t, fmt.Sprintf("PostgreSQL at port %d streams to port %d, %s", primary.Port(), s.Port(), state), func() bool {
		return len(primary.Exec(t, "postgres", query)) == 1
	})
}

// copyFrom replaces a stopped server's data by a base backup that follows the primary through a slot of its own.
func (s *Server) copyFrom(primary *Server) error {
	data := s.folder.data()
	if err := errors.Join(os.RemoveAll(data), os.Mkdir(data, 0o700), s.account.own(data)); err != nil {
		return err
	}
	slot := fmt.Sprintf("%s_%d", s.name(), primary.slots.Add(1))
	source := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s", primary.Port(), superuser, s.name())
	_, err := s.account.run(s.folder.path, s.installation.program("pg_basebackup"), "--pgdata="+data, "--dbname="+source,
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--create-slot", "--slot="+slot)
	if err != nil {
		return err
	}
	return s.configure()
}

// awaited changes the names of the standbys that commits wait for.
func (s *Server) awaited(t testing.TB, change func(names []string) []string) {
	t.Helper()
	s.mu.Lock()
	s.synchronous = change(s.synchronous)
	s.mu.Unlock()
	s.reload(t)
}

// leave ends the waiting of the primary's commits for this standby, for what the primary does after the standby's test.
func (s *Server) leave(t testing.TB) {
	t.Helper()
	primary := s.primary
	if primary == nil || !slices.Contains(primary.awaits(), s.name()) {
		return
	}
	primary.awaited(t, func(names []string) []string {
		return slices.DeleteFunc(names, func(name string) bool { return name == s.name() })
	})
}

// awaits are the names of the standbys that commits wait for.
func (s *Server) awaits() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.synchronous)
}
