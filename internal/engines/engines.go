package engines

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// Engine is an engine that tests run on.
type Engine struct {
	setpointtest.Engine
	// Thin is how many times fewer of the moments at which a plane can crash the short form of a test visits on this engine.
	Thin int
}

// all is the list. To add an engine is to add a line.
var all = []Engine{
	{Engine: setpointtest.Engine{Name: "sqlite"}, Thin: 1},
	{Engine: setpointtest.Engine{Name: "sqlite-outside", Create: sqliteOutside}, Thin: 6},
	{Engine: setpointtest.Engine{Name: "postgres", Create: onPostgres}, Thin: 12},
}

// Each runs a test on every engine.
func Each(t *testing.T, test func(t *testing.T, e Engine)) {
	t.Helper()
	for _, e := range all {
		t.Run(e.Name, func(t *testing.T) { test(t, e) })
	}
}

// Stride is the Stride of a scenario: 1 in a soak, and otherwise that of the short form, wider where the engine is slow.
func (e Engine) Stride(short int) int {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 1
	}
	return short * e.Thin
}

// server is SQLite as if it were a server: outside of virtual time, with goroutines of its own, and indifferent to planes that come and go. It
// tests the bridge wherever there is no server.
type server struct{ store.Store }

// Close ends nothing: the leases stay, as do those of a process that was killed.
func (server) Close() error { return nil }

// Statements counts the statements since the database was made.
func (s server) Statements() uint64 { return s.Store.(*sqlite.Store).Statements() }

func sqliteOutside(t testing.TB) setpointtest.Opener {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "setpoint.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return func(context.Context) (store.Store, error) { return server{st}, nil }
}

// onPostgres is a database on the shared PostgreSQL server; the tests' TestMain is pg.Main.
func onPostgres(t testing.TB) setpointtest.Opener {
	t.Helper()
	url := pg.Shared(t).DatabaseLike(t, "plane", func(url string) error {
		if _, err := postgres.Migrate(t.Context(), url); err != nil {
			return err
		}
		st, err := postgres.Open(t.Context(), postgres.Options{URL: url}) // which makes the first partitions
		if err != nil {
			return err
		}
		return st.Close()
	})
	return func(ctx context.Context) (store.Store, error) {
		// A heartbeat is in real time: it would fall anywhere in a world's.
		return postgres.Open(ctx, postgres.Options{URL: url, Heartbeat: time.Hour})
	}
}
