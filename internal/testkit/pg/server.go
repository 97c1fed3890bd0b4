package pg

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// superuser is the role that owns every server.
const superuser = "postgres"

// Server is a PostgreSQL server on loopback. Its methods that take a test fail it, and are for the test's goroutine.
type Server struct {
	installation installation
	account      account
	folder       folder
	settings     map[string]string
	shared       bool // of the whole test binary: it is never stopped by a test
	databases    atomic.Int64
	// filled are the databases that others are copied from.
	filling sync.Mutex
	filled  map[string]bool
	slots   atomic.Int64
	primary *Server // that a standby follows

	mu          sync.Mutex
	process     *process // the latest; nil before the first
	synchronous []string // names of the standbys that commits wait for
}

// Start starts a server of the test's own on a fresh cluster, and returns it when it accepts connections. It ends with
// the test, and its folder is removed.
func Start(t testing.TB, settings ...Option) *Server {
	t.Helper()
	s, err := create(settings...)
	if err != nil {
		t.Fatalf("make a PostgreSQL server: %v", err)
	}
	t.Cleanup(func() { s.remove(t) })
	s.Start(t)
	return s
}

// create makes a server that is not running yet.
func create(settings ...Option) (*Server, error) {
	s, chosen, err := prepare(settings...)
	if err != nil {
		return nil, err
	}
	if err := s.folder.initialize(s.account, s.installation, chosen.identity); err != nil {
		return nil, s.abandon(err)
	}
	if err := s.configure(); err != nil {
		return nil, s.abandon(err)
	}
	return s, nil
}

// prepare makes a server whose data folder is empty.
func prepare(settings ...Option) (*Server, options, error) {
	chosen := options{settings: map[string]string{}}
	for _, set := range settings {
		set(&chosen)
	}
	found, err := installed()
	if err != nil {
		return nil, chosen, err
	}
	account, err := serving()
	if err != nil {
		return nil, chosen, err
	}
	folder, err := newFolder(account)
	if err != nil {
		return nil, chosen, err
	}
	return &Server{installation: found, account: account, folder: folder, settings: chosen.settings}, chosen, nil
}

// abandon removes a server that has never run, because of an error.
func (s *Server) abandon(because error) error {
	if err := s.folder.remove(); err != nil {
		return fmt.Errorf("%w; then remove %s: %w", because, s.folder.path, err)
	}
	return because
}

// remove stops the server and removes its folder. If the test has failed, it shows the end of the server's log.
func (s *Server) remove(t testing.TB) {
	t.Helper()
	if t.Failed() {
		t.Logf("the end of the log of PostgreSQL at port %d:\n%s", s.Port(), s.logged())
	}
	if err := s.destroy(); err != nil {
		t.Errorf("remove PostgreSQL at port %d: %v", s.Port(), err)
	}
}

// logged is the end of the server's log.
func (s *Server) logged() string {
	text, err := os.ReadFile(s.folder.log())
	if err != nil {
		return err.Error()
	}
	const most = 40
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// Port is the server's TCP port on 127.0.0.1. It stays the same when the server is started again.
func (s *Server) Port() int { return s.folder.port }

// Address is the server's host and port.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.Port()) }

// URL is the address of a database, as the superuser.
func (s *Server) URL(database string) string { return s.URLAs(superuser, database) }

// URLAs is the address of a database, as a role. No role needs a password.
func (s *Server) URLAs(role, database string) string {
	address := url.URL{Scheme: "postgres", User: url.User(role), Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return address.String()
}

// Program is the path of one of the programs that came with the server: psql, pg_dump.
func (s *Server) Program(name string) string { return s.installation.program(name) }

// PID is the process identifier of the postmaster, of the last one if it has ended.
func (s *Server) PID() int { return s.current().pid }

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}
