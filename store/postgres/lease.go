package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Acquire takes a lease, or renews one that the same holder has. Leases live by the database's clock; Expires of the result is by this process's, counted
// from before the question, so that it is never later than the database's. The answer also tells the newest revision, which makes up for hints that got lost.
func (s *Store) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	what := fmt.Sprintf("acquire lease %s for %q", scope, holder)
	if scope == "" || holder == "" || ttl <= 0 {
		return store.Lease{}, fmt.Errorf("%s for %s: %w: a lease needs a scope, a holder and a time", what, ttl, store.ErrInvalid)
	}
	if bad := badText(string(scope), holder); bad != nil {
		return store.Lease{}, fmt.Errorf("%s: %w: %w", what, store.ErrInvalid, bad)
	}
	var mine bool
	var has string
	var incarnation, count, revision int64
	var expires time.Time
	var asked time.Time
	err := s.reading(ctx, func(ctx context.Context) error {
		return s.steady.use(ctx, func(ctx context.Context, c *pgx.Conn) error {
			asked = time.Now()
			return c.QueryRow(ctx, "SELECT mine, holder, incarnation, counter, expires, revision FROM setpoint.acquire_v1($1, $2, $3)", string(scope), holder, ttl).
				Scan(&mine, &has, &incarnation, &count, &expires, &revision)
		})
	})
	if err != nil {
		return store.Lease{}, fmt.Errorf("%s: %w", what, err)
	}
	s.follower.told(resource.Revision(revision))
	if !mine {
		return store.Lease{}, fmt.Errorf("%s: %w: %q has it until %s", what, store.ErrHeld, has, expires.UTC().Format(time.RFC3339Nano))
	}
	s.renewed.Store(asked.UnixNano())
	return store.Lease{Scope: scope, Holder: holder, Epoch: resource.Epoch{Incarnation: uint64(incarnation), Counter: uint64(count)}, Expires: asked.Add(ttl)}, nil
}

// Release gives a lease up before its time.
func (s *Store) Release(ctx context.Context, l store.Lease) error {
	err := s.reading(ctx, func(ctx context.Context) error {
		return s.steady.use(ctx, func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "SELECT setpoint.release_v1($1, $2, $3, $4)", string(l.Scope), l.Holder, int64(l.Epoch.Incarnation), int64(l.Epoch.Counter))
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("release lease %s of %q: %w", l.Scope, l.Holder, err)
	}
	return nil
}
