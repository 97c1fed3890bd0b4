package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// errOutdated says that a server takes writes, but lives in a past that was left: it was the primary, another server was promoted, and nobody told it.
var errOutdated = errors.New("the server was left behind by a promotion")

// lineage remembers on which timeline the database was seen last. PostgreSQL begins a new one with every promotion, so of two servers that both take
// writes the one with the higher number is the primary, and the other one its former primary.
//
// Only what this process has seen counts: a process that starts beside two primaries takes the first of its URL. Then the former primary's commits must be
// kept from succeeding by its own setting, synchronous_standby_names.
type lineage struct {
	mu sync.Mutex
	// system identifies the cluster, timeline is the highest number seen there.
	system   string
	timeline uint64
}

// timelineKey is where a session keeps the timeline it was opened on.
const timelineKey = "setpoint.timeline"

// whereami asks a server whether it takes writes, which cluster it is, and its timeline, as the eight digits that names of log files begin with.
const whereami = `SELECT current_setting('transaction_read_only'), (SELECT system_identifier FROM pg_control_system()),
	CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END`

// guard refuses servers that were left behind, besides those that the URL does not want. Where a server does not tell its timeline, it is taken as it is.
func (l *lineage) guard(c *pgconn.Config) {
	wanted := c.ValidateConnect
	c.ValidateConnect = func(ctx context.Context, p *pgconn.PgConn) error {
		if err := wanted(ctx, p); err != nil {
			return err
		}
		results, err := p.Exec(ctx, whereami).ReadAll()
		if e := serverError(err); e != nil && e.Code == codeNoRight || e != nil && e.Code[:2] == "0A" {
			return nil
		}
		if err != nil {
			return err
		}
		row := results[0].Rows[0]
		if len(row[2]) == 0 {
			return nil
		}
		timeline, err := strconv.ParseUint(string(row[2]), 16, 64)
		if err != nil {
			return fmt.Errorf("the timeline of the server is %q: %w", row[2], err)
		}
		p.CustomData()[timelineKey] = timeline
		return l.saw(string(row[1]), timeline)
	}
}

// saw takes note of a server that takes writes, or refuses it.
func (l *lineage) saw(system string, timeline uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if system == l.system && timeline < l.timeline {
		return fmt.Errorf("%w: it is on timeline %d, and the database was seen on timeline %d; make it a standby of the new primary, or, if it was restored on purpose, restart this process",
			errOutdated, timeline, l.timeline)
	}
	l.system, l.timeline = system, timeline
	return nil
}

// outdated reports whether a session leads to a server that was left behind after it was opened.
func (l *lineage) outdated(p *pgconn.PgConn) bool {
	timeline, known := p.CustomData()[timelineKey].(uint64)
	l.mu.Lock()
	defer l.mu.Unlock()
	return known && timeline < l.timeline
}
