package pg

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// Option changes how a server is made.
type Option func(*options)

type options struct {
	settings map[string]string
	identity bool
}

// Setting sets one of PostgreSQL's settings, such as synchronous_commit, in the server's configuration file.
// The port, the addresses and the folders are the kit's.
func Setting(name, value string) Option {
	return func(o *options) { o.settings[name] = value }
}

// OwnIdentity makes the server a cluster of its own instead of a copy of the template. Copies share the system
// identifier, by which PostgreSQL knows whether two clusters were one once.
func OwnIdentity() Option {
	return func(o *options) { o.identity = true }
}

// defaults are the settings of every server: durable as in production, and quiet. Shared memory lies in files of the
// data folder, so that a killed server leaves none behind.
var defaults = map[string]string{
	"fsync":                      "on",
	"full_page_writes":           "on",
	"synchronous_commit":         "on",
	"max_connections":            "200",
	"dynamic_shared_memory_type": "mmap",
	"timezone":                   "UTC",
	"log_timezone":               "UTC",
	"log_line_prefix":            "%m [%p] %q%u@%d %a ",
}

// Configure changes settings of a server, running or not; some need a start to take effect. When it returns, new
// sessions have them and older ones have been told.
func (s *Server) Configure(t testing.TB, settings ...Option) {
	t.Helper()
	chosen := options{settings: s.settings}
	for _, set := range settings {
		set(&chosen)
	}
	s.reload(t)
}

// reload writes the configuration file, and has a running server read it.
func (s *Server) reload(t testing.TB) {
	t.Helper()
	if err := s.configure(); err != nil {
		t.Fatalf("configure PostgreSQL at port %d: %v", s.Port(), err)
	}
	process := s.current()
	if !process.running() {
		return
	}
	const loaded = "SELECT pg_conf_load_time()"
	before := s.Exec(t, "postgres", loaded)[0][0]
	if err := process.signal(syscall.SIGHUP); err != nil {
		t.Fatalf("configure PostgreSQL at port %d: %v", s.Port(), err)
	}
	testkit.Wait(t, fmt.Sprintf("PostgreSQL at port %d has read its configuration", s.Port()), func() bool {
		return s.Exec(t, "postgres", loaded)[0][0] != before
	})
}

// configure writes the server's whole configuration file.
func (s *Server) configure() error {
	settings := maps.Clone(defaults)
	if names := s.awaits(); len(names) > 0 {
		settings["synchronous_standby_names"] = fmt.Sprintf("FIRST %d (%s)", len(names), strings.Join(names, ", "))
	}
	maps.Copy(settings, s.settings)
	maps.Copy(settings, map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.folder.port),
		"unix_socket_directories": s.folder.sockets(),
	})
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(settings[name])
		fmt.Fprintf(&text, "%s = '%s'\n", name, value)
	}
	path := filepath.Join(s.folder.data(), "postgresql.conf")
	return errors.Join(os.WriteFile(path, []byte(text.String()), 0o600), s.account.own(path))
}
