package pg

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// Null stands for NULL in results, as it does in COPY's text format.
const Null = `\N`

// Database creates an empty database for the test, and returns its address as the superuser. On the shared server it is
// dropped, whoever is connected to it, when the test ends; on a test's own server it goes with the server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.create(t, "")
}

// DatabaseLike creates a database as Database does, but one that begins as fill leaves it. The work of fill, which is known by its name, is done once for
// the server; for later tests its result is copied. No session of fill may be left.
func (s *Server) DatabaseLike(t testing.TB, name string, fill func(address string) error) string {
	t.Helper()
	template := "like_" + name
	s.filling.Lock()
	defer s.filling.Unlock()
	if !s.filled[name] {
		s.Exec(t, "postgres", "DROP DATABASE IF EXISTS "+template+" WITH (FORCE)", "CREATE DATABASE "+template)
		if err := fill(s.URL(template)); err != nil {
			t.Fatalf("fill database %s of PostgreSQL at port %d: %v", template, s.Port(), err)
		}
		if s.filled == nil {
			s.filled = map[string]bool{}
		}
		s.filled[name] = true
	}
	return s.create(t, " TEMPLATE "+template)
}

func (s *Server) create(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name+how)
	if s.shared {
		t.Cleanup(func() { s.Exec(t, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	}
	return s.URL(name)
}

// Exec runs SQL in a database as the superuser, and returns the rows of the last statement as text; see [Query].
func (s *Server) Exec(t testing.TB, database string, sql ...string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	rows, err := Query(ctx, s.URL(database), sql...)
	if err != nil {
		t.Fatalf("database %s of PostgreSQL at port %d: %v", database, s.Port(), err)
	}
	return rows
}

// Query runs SQL in one session of its own at an address: each string by itself, its statements, if several, as one
// transaction. It returns the rows of the last statement, values as text, NULL as [Null]. The first error ends it, and
// holds a *pgconn.PgError where the server has sent one.
func Query(ctx context.Context, address string, sql ...string) (rows [][]string, err error) {
	connection, err := pgconn.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	for _, text := range sql {
		results, err := connection.Exec(ctx, text).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		rows = nil
		if len(results) > 0 {
			rows = texts(results[len(results)-1].Rows)
		}
	}
	return rows, nil
}

func texts(rows [][][]byte) [][]string {
	made := make([][]string, len(rows))
	for i, row := range rows {
		made[i] = make([]string, len(row))
		for j, value := range row {
			made[i][j] = string(value)
			if value == nil {
				made[i][j] = Null
			}
		}
	}
	return made
}

// Terminate ends the connections of clients that match a condition on pg_stat_activity, and returns how many. It does
// not wait until they have ended.
func (s *Server) Terminate(t testing.TB, where string) int {
	t.Helper()
	// Materialized, because the planner may otherwise call the function before it has looked at the condition.
	rows := s.Exec(t, "postgres", `WITH chosen AS MATERIALIZED (SELECT pid FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND (`+where+`))
		SELECT pid FROM chosen WHERE pg_terminate_backend(pid)`)
	return len(rows)
}
