package managed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/test/internal/fleet"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// service is the demo, with the kinds of its API and the machine that its servers run on.
type service struct {
	*program.Demo
	*fleet.Fleet // once it is introduced
	t            *testing.T
}

// newService makes a place for a demo, and starts nothing.
func newService(t *testing.T) *service {
	t.Helper()
	t.TempDir() // is removed after what is cleaned up from here on
	s := &service{t: t}
	t.Cleanup(s.clear)
	s.Demo = program.NewDemo(t, "postgres")
	s.Diagnose = s.diagnosis
	return s
}

// clear removes the data of the servers, which are elsewhere when root runs the demo.
func (s *service) clear() {
	data, err := filepath.EvalSymlinks(s.Path("postgres-host", "data"))
	if err == nil {
		err = os.RemoveAll(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Error(err)
	}
}

// introduced waits for the first database to be available, as the program itself says.
func (s *service) introduced() {
	s.t.Helper()
	s.AwaitOutput("Database orders is Available")
	data, err := filepath.EvalSymlinks(s.Path("postgres-host", "data"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.Fleet = fleet.Find(s.t, s.Client, data)
}

type (
	database = fleet.Database
	server   = fleet.Server
)

// database is the one that the demo makes.
func (s *service) database(ctx context.Context) (database, error) { return s.Database(ctx, "orders") }

// members are its servers, by name.
func (s *service) members(ctx context.Context) (map[string]server, error) { return s.Of(ctx, "orders") }

// signal raises a signal on the database. A request whose answer was lost is repeated; while the first one stands, there is no second.
func (s *service) signal(ctx context.Context, name string, payload string) error {
	wish := client.Signal{Name: lifecycle.SignalName(name), Why: "the test wants it", Key: "test"}
	if payload != "" {
		wish.Payload = json.RawMessage(payload)
	}
	for {
		_, err := s.Client.Signal(ctx, s.Databases, fleet.Ref("orders"), wish)
		if !errors.Is(err, client.ErrUnknown) {
			return err
		}
	}
}

// diagnosis is what is known of everything that is not at rest.
func (s *service) diagnosis() string {
	var b strings.Builder
	for _, arguments := range [][]string{
		{"get", "databases"}, {"get", "servers"}, {"get", "endpoints"}, {"why", "database", "orders"}, {"actions", "database", "orders"}, {"signals", "list", "database", "orders"},
		{"history", "database", "orders"},
		{"why", "server", "orders.s1-0"}, {"why", "server", "orders.s1-1"}, {"why", "server", "orders.s1-2"},
		{"history", "server", "orders.s1-0"}, {"history", "server", "orders.s1-1"}, {"history", "server", "orders.s1-2"},
	} {
		output, err := exec.Command(program.Path(), append([]string{"--server", s.Read("server")}, arguments...)...).CombinedOutput()
		fmt.Fprintf(&b, "setpoint %s (%v):\n%s\n", strings.Join(arguments, " "), err, output)
	}
	logs, err := filepath.Glob(filepath.Join(s.Data, "servers", "*", "log"))
	for _, path := range logs {
		text, err := os.ReadFile(path)
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.Contains(line, "@") || strings.Contains(line, "Consistent recovery state") // what clients hear
		})
		fmt.Fprintf(&b, "%s (%v):\n%s\n", path, err, strings.Join(lines[max(0, len(lines)-200):], "\n"))
	}
	fmt.Fprintf(&b, "logs: %v\n", err)
	return b.String()
}
