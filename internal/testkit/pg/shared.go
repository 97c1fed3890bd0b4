package pg

import (
	"log"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// shared is the test binary's common server.
var shared struct {
	attended bool // by Main, which stops it
	once     sync.Once
	server   *Server
}

// Shared returns the test binary's common server, which is started at the first call; its tests have databases of
// their own, by [Server.Database]. The package's TestMain calls [Main], which stops it.
func Shared(t testing.TB) *Server {
	t.Helper()
	if !shared.attended {
		t.Fatal("nobody would stop the shared server: func TestMain(m *testing.M) { pg.Main(m) } is missing")
	}
	shared.once.Do(func() {
		server, err := create()
		if err != nil {
			t.Fatalf("make the shared PostgreSQL server: %v", err)
		}
		server.shared, shared.server = true, server
		server.Start(t)
	})
	if shared.server == nil {
		t.Fatal("the shared PostgreSQL server could not be made: see the first test that wanted it")
	}
	return shared.server
}

// Main runs the tests of a package, stops the shared server, and fails if goroutines are left, which goleak's options
// may ignore. It ends the process.
func Main(m *testing.M, options ...goleak.Option) {
	shared.attended = true
	goleak.VerifyTestMain(attended{m}, options...)
}

// attended are tests after which the shared server is stopped.
type attended struct{ tests *testing.M }

// Run runs the tests, and returns the process's exit status.
func (a attended) Run() int {
	status := a.tests.Run()
	if shared.server == nil {
		return status
	}
	if err := shared.server.destroy(); err != nil {
		log.Println("stop the shared PostgreSQL server:", err)
		return max(status, 1)
	}
	return status
}
