package server

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/server/location"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
)

// examiner asks a PostgreSQL database what the doctor wants to know, on a session of its own for each question: when those of the engine all wait for somebody, this one still says for whom. One asks at a time.
type examiner struct {
	url  string
	turn chan struct{}
	// known is the newest schema that this program knows, 0 before it was looked up. Who has the turn has it.
	known int64
}

// newExaminer is nil for a database that cannot be asked.
func newExaminer(o Options, st store.Store) *examiner {
	at, err := location.Parse(o.Store)
	if _, ok := st.(*postgres.Store); !ok || err != nil || at.Engine != location.Postgres {
		return nil
	}
	return &examiner{url: at.URL, turn: make(chan struct{}, 1)}
}

// ask runs f on a session that reads, as who servers are, and ends it.
func (e *examiner) ask(ctx context.Context, f func(context.Context, *pgx.Conn) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, inquiry)
	defer cancel()
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return fmt.Errorf("ask the database: others ask already: %w", context.Cause(ctx))
	}
	config, err := pgx.ParseConfig(e.url)
	if err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	config.ConnectTimeout = inquiry
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	config.RuntimeParams["application_name"] = "setpoint doctor"
	config.RuntimeParams["statement_timeout"] = inquiry.String()
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	defer func() {
		ending, ended := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer ended()
		if closed := c.Close(ending); err == nil && closed != nil {
			err = fmt.Errorf("end the session that asked the database: %w", closed)
		}
	}()
	if _, err = c.Exec(ctx, "SET ROLE "+postgres.RoleApp+"; SET search_path = pg_catalog"); err == nil {
		err = f(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// examine asks everything that the doctor wants to know, and what time it is.
func (e *examiner) examine(ctx context.Context) (d *nodesapi.Database, now time.Time, err error) {
	d = &nodesapi.Database{}
	err = e.ask(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		if err := c.QueryRow(ctx, "SELECT clock_timestamp(), (SELECT max(version_id) FROM setpoint.schema_version)").Scan(&now, &d.Schema); err != nil {
			return err
		}
		if d.Blockers, err = readBlockers(ctx, c); err != nil {
			return err
		}
		if d.Cordons, err = rowsOf[nodesapi.Cordon](ctx, c, "SELECT name, since FROM setpoint.cordon ORDER BY name"); err != nil {
			return err
		}
		if d.Unowned, err = readUnowned(ctx, c); err != nil {
			return err
		}
		if e.known == 0 {
			status, err := postgres.ReadStatus(ctx, e.url)
			if err != nil {
				return err
			}
			e.known = status.Known
		}
		d.Known = e.known
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return d, now, nil
}

func rowsOf[T any](ctx context.Context, c *pgx.Conn, sql string) ([]T, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// readBlockers finds the sessions at the end of the queues in which those stand that work on the schema. It ends none of them.
func readBlockers(ctx context.Context, c *pgx.Conn) ([]nodesapi.Blocker, error) {
	return rowsOf[nodesapi.Blocker](ctx, c, `SELECT b.pid, b.role, b.application, b.address, b.state, b.waits, max(b.busy), count(*)
		FROM (SELECT DISTINCT l.pid FROM pg_locks l WHERE NOT l.granted AND EXISTS (
				SELECT 1 FROM pg_locks h JOIN pg_class r ON r.oid = h.relation JOIN pg_database d ON d.oid = h.database
					WHERE h.pid = l.pid AND d.datname = current_database() AND r.relnamespace = 'setpoint'::regnamespace)) w
			CROSS JOIN LATERAL setpoint.blockers_v1(w.pid, '1000 years') b
		WHERE b.waits NOT LIKE 'Lock/%'
		GROUP BY b.pid, b.role, b.application, b.address, b.state, b.waits ORDER BY max(b.busy) DESC`)
}

// readUnowned reads since when shards are nobody's.
func readUnowned(ctx context.Context, c *pgx.Conn) (map[int]time.Time, error) {
	type row struct {
		Shard int
		Since time.Time
	}
	rows, err := rowsOf[row](ctx, c, `SELECT substr(k.scope, 7)::int, k.since FROM setpoint.lease k
		WHERE k.scope ~ '^shard/[0-9]{1,5}$' AND k.holder = '' AND k.since > '-infinity'`)
	since := map[int]time.Time{}
	for _, r := range rows {
		since[r.Shard] = r.Since
	}
	return since, err
}

// leases reads those that authors have made, and the one that programs had which did not divide the work.
func (e *examiner) leases(ctx context.Context) (list []nodesapi.Lease, err error) {
	type row struct {
		Scope, Holder        string
		Incarnation, Counter int64
		Held                 bool
		Expires              *time.Time
	}
	err = e.ask(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := rowsOf[row](ctx, c, `SELECT k.scope, k.holder, k.incarnation, k.counter, k.holder <> '' AND k.expires > clock_timestamp(),
			CASE WHEN isfinite(k.expires) AND k.expires < clock_timestamp() + interval '10 years' THEN k.expires END
			FROM setpoint.lease k WHERE k.scope <> 'shards' AND k.scope !~ '^shard/' ORDER BY k.scope`)
		for _, r := range rows {
			l := nodesapi.Lease{
				Scope: store.Scope(r.Scope), Holder: r.Holder, Held: r.Held,
				Epoch: resource.Epoch{Incarnation: uint64(r.Incarnation), Counter: uint64(r.Counter)}.String(),
			}
			if r.Expires != nil {
				l.Expires = r.Expires.UTC()
			}
			list = append(list, l)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
