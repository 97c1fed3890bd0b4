package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// holding is a session in a transaction that has read a table, as a long dump does. The function ends the transaction.
func holding(t testing.TB, url, table string) (end func()) {
	t.Helper()
	ctx := context.Background()
	c, err := pgconn.Connect(ctx, url+"&application_name=dump")
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	exec("BEGIN; SELECT 1 FROM " + table + " LIMIT 1")
	return func() { exec("COMMIT") }
}

// TestAMigrationHoldsNobodyUp: a step that wants a table which a long transaction has read waits for that, and the commits do not wait for the step.
func TestAMigrationHoldsNobodyUp(t *testing.T) {
	url := newDatabase(t)
	s := open(t, func(o *Options) { o.URL = url })
	end := holding(t, url, "setpoint.object")
	type answer struct {
		status Status
		err    error
	}
	migrated := make(chan answer, 1)
	go func() {
		st, err := migrateTo(context.Background(), url, withStep(t, "ALTER TABLE setpoint.object ADD note text;"))
		migrated <- answer{st, err}
	}()
	waits := func() bool {
		return mustPSQL(t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'setpoint migrate%' AND wait_event_type = 'Lock'") == "1"
	}
	for i := range 4 {
		testkit.Wait(t, "the migration waits for the table", waits)
		putCrate(t, s, crate(fmt.Sprint(i)), 0)
	}
	select {
	case a := <-migrated:
		t.Errorf("while the table is held the migration ended with %+v, %v", a.status, a.err)
	default:
	}
	end()
	if a := <-migrated; a.err != nil || a.status.Version != 99 || !a.status.Guarded {
		t.Errorf("migrated to %+v, error %v", a.status, a.err)
	}
}

// TestAMigrationThatGivesUp says who is in the way, and has done nothing.
func TestAMigrationThatGivesUp(t *testing.T) {
	url := newDatabase(t)
	before := definitions(t, url)
	holding(t, url, "setpoint.command")
	m, err := begin(t.Context(), url, withStep(t, "CREATE TABLE setpoint.more (a int);\nALTER TABLE setpoint.command ADD weight int;"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.close(); err != nil {
			t.Error(err)
		}
	}()
	m.tries = 2
	err = m.up(t.Context())
	if !errors.Is(err, errTableHeld) || !strings.Contains(err.Error(), "(dump, idle in transaction, for ") || !strings.Contains(err.Error(), "at each of 2 attempts") {
		t.Errorf("it gives up with %v", err)
	}
	if now := definitions(t, url); now != before {
		t.Errorf("something was done:\n%s\nnow\n%s", before, now)
	}
}
