package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How a migration waits for sessions that hold what a step changes. Behind it waits every commit that needs the same table; so it waits briefly, lets the others through, and tries again.
const (
	tableWait  = 500 * time.Millisecond
	tableTries = 60 // a minute and a half in all
)

// errTableHeld is a step that was given up because others held what it changes.
var errTableHeld = errors.New("other sessions hold a table that the step changes")

// up does what is missing. A step that does not get its locks is undone as a whole, and tried again after a pause.
func (m *migrator) up(ctx context.Context) error {
	if _, err := m.db.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", tableWait.Milliseconds())); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		_, err := m.provider.Up(ctx)
		e := serverError(err)
		if e == nil || e.Code != codeLock && e.Code != codeDeadlock {
			return err
		}
		if attempt == m.tries || !backoff(ctx, attempt) {
			return fmt.Errorf("%w, as they did at each of %d attempts; nothing of the step is done: end them, and run it again: %s: %w", errTableHeld, attempt, m.holders(ctx), err)
		}
	}
}

// holders names who has been in a transaction with a table of the schema for longest.
func (m *migrator) holders(ctx context.Context) string {
	var who *string
	err := m.db.QueryRowContext(ctx, `SELECT string_agg(format('session %s (%s, %s, for %s)', pid, application_name, state, age), '; ' ORDER BY age DESC) FROM (
		SELECT DISTINCT a.pid, a.application_name, a.state, date_trunc('second', clock_timestamp() - a.xact_start) AS age
		FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE c.relnamespace = 'setpoint'::regnamespace AND l.granted AND a.pid <> pg_backend_pid() ORDER BY age DESC LIMIT 3) x`).Scan(&who)
	switch {
	case err != nil:
		return "who it is cannot be read: " + err.Error()
	case who == nil:
		return "they have ended by now"
	}
	return *who
}
