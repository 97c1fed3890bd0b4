package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/store"
)

// Pause has the take-up stand still on all nodes, by the database's clock, or ends that. An answer that gets lost is asked for again, which makes the pause longer by as much.
func (s *Store) Pause(ctx context.Context, by string, length time.Duration) (store.Pause, error) {
	what := fmt.Sprintf("pause the take-up for %s", length)
	bad := store.CheckPause(by, length)
	if text := badText(by); bad == nil && text != nil {
		bad = fmt.Errorf("%w: %w", store.ErrInvalid, text)
	}
	if bad != nil {
		return store.Pause{}, fmt.Errorf("%s: %w", what, bad)
	}
	if length > 0 {
		length = max(length, time.Microsecond) // what the database counts in
	}
	var p store.Pause
	err := s.keeping(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		if _, err := c.Exec(ctx, "SELECT setpoint.pause_v1($1, $2)", by, length); err != nil {
			return err
		}
		p, err = readPause(ctx, c)
		return err
	})
	if err != nil {
		return store.Pause{}, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// Paused returns the pause, zero when there is none.
func (s *Store) Paused(ctx context.Context) (p store.Pause, err error) {
	err = s.retrying(ctx, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			p, err = readPause(ctx, tx)
			return err
		})
	})
	if err != nil {
		return store.Pause{}, fmt.Errorf("read the pause of the take-up: %w", err)
	}
	return p, nil
}

func readPause(ctx context.Context, q interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}) (store.Pause, error) {
	rows, err := q.Query(ctx, "SELECT by_whom, since, until, remaining FROM setpoint.paused_v1(0)")
	if err != nil {
		return store.Pause{}, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Pause, error) {
		var p pauseRow
		err := row.Scan(&p.by, &p.since, &p.until, &p.left)
		return p.pause(), err
	})
	if err != nil || len(found) == 0 {
		return store.Pause{}, err
	}
	return found[0], nil
}

// pauseRow is a row of paused_v1, or of nothing.
type pauseRow struct {
	by           *string
	since, until *time.Time
	left         *time.Duration
}

func (r pauseRow) pause() store.Pause {
	if r.by == nil || r.since == nil || r.until == nil || r.left == nil {
		return store.Pause{}
	}
	return store.Pause{By: *r.by, Since: r.since.UTC(), Until: r.until.UTC(), Left: *r.left}
}
