package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/setpointhq/setpoint/api/backupapi"
	"github.com/setpointhq/setpoint/server/location"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/telemetry"
)

// This file is all that a server knows of engines: how each is opened, and what one of them can do besides.

// open opens the database that the options name.
func (o *Options) open(ctx context.Context, metrics *telemetry.Metrics) (store.Store, error) {
	at, err := location.Parse(o.Store)
	if err != nil {
		return nil, err
	}
	if at.Engine == location.SQLite {
		return sqlite.Open(ctx, sqlite.Options{Path: at.File, Logger: o.Logger, Observe: func(g sqlite.GroupStats) {
			metrics.Group(g.Members, g.Duration)
		}})
	}
	if o.Migrate {
		if _, err := postgres.Migrate(ctx, at.URL); err != nil {
			return nil, err
		}
	}
	p := o.Postgres
	p.URL, p.Logger = at.URL, o.Logger
	p.Observe = func(g store.GroupStats) { metrics.Group(g.Members, g.Duration) }
	st, err := postgres.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	metrics.WatchPostgres(st)
	return st, nil
}

// inboxOf is the inbox of an engine for what people propose at an SQL prompt, nil when it has none.
func inboxOf(st store.Store) inbox {
	if s, ok := st.(*postgres.Store); ok {
		return s.Proposals()
	}
	return nil
}

// errOwnTools is what a server answers that is asked for a backup of a database with tools of its own.
var errOwnTools = errors.New("a PostgreSQL database is backed up by its own tools: pg_basebackup and archived WAL for the whole server, pg_dump for this database")

// backups answers requests for backups, as the engine allows: nil when it has no way.
func backups(st store.Store) http.Handler {
	if b, ok := st.(interface {
		Backup(ctx context.Context, path string) error
	}); ok {
		return backupapi.Handler(b.Backup)
	}
	if st.Info().Engine == "postgres" {
		return backupapi.Refuse(fmt.Errorf("%w; see docs/how-to/run-on-postgresql.md", errOwnTools))
	}
	return nil
}
