package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/setpointhq/setpoint/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

//go:embed guard.sql
var guardScript string

// versionTable is where goose notes what it has done.
const versionTable = "setpoint.schema_version"

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	SQL     string
	// Applied is when, zero for one that is still to be done.
	Applied time.Time
}

// Status says where a database's schema stands.
type Status struct {
	// Database is the place, Version the newest step done (0: none), Known the newest that this program has.
	Database       string
	Version, Known int64
	Migrations     []Migration
	// Guarded says that the event trigger is there which keeps the owner from taking the guards away. Only a superuser can make it.
	Guarded bool
	// Superuser says that the user of the URL is one.
	Superuser bool
}

// migrator is a session that changes the schema.
type migrator struct {
	db       *sql.DB
	provider *goose.Provider
	files    fs.FS
	location string
	super    bool
	tries    int // of a step whose locks others have
}

// begin connects, and, when prepare is set, makes the roles and the empty schema: whoever migrates first needs the right to create roles and schemas.
func begin(ctx context.Context, url string, files fs.FS, prepare bool) (_ *migrator, err error) {
	config, err := parse(url, store.ProcessName(), "migrate")
	if err != nil {
		return nil, err
	}
	m := &migrator{db: stdlib.OpenDB(*config, stdlib.OptionAfterConnect(once())), files: files, location: locate(config), tries: tableTries}
	m.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("migrate database %s: %w", m.location, err), m.db.Close())
		}
	}()
	if err := m.db.QueryRowContext(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = session_user").Scan(&m.super); err != nil {
		return nil, err
	}
	if prepare {
		if err := errors.Join(m.lock(ctx), m.prepare(ctx)); err != nil {
			return nil, err
		}
	}
	store, err := database.NewStore(database.DialectPostgres, versionTable)
	if err != nil {
		return nil, err
	}
	m.provider, err = goose.NewProvider("", m.db, files, goose.WithStore(store))
	return m, err
}

// once lets one session through: its role, its locks and its settings are what a migration rests on.
func once() func(context.Context, *pgx.Conn) error {
	sessions := 0
	return func(context.Context, *pgx.Conn) error {
		if sessions++; sessions > 1 {
			return errors.New("the session ended; run it again")
		}
		return nil
	}
}

// prepare makes what comes before the first step.
func (m *migrator) prepare(ctx context.Context) error {
	for _, p := range preparation {
		_, err := m.db.ExecContext(ctx, p.sql)
		if e := serverError(err); e != nil && e.Code == codeNoRight {
			return fmt.Errorf("%w: %s: %w", ErrPrivilege, p.right, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lock keeps other migrations out. It ends with the session.
func (m *migrator) lock(ctx context.Context) error {
	_, err := m.db.ExecContext(ctx, "SELECT pg_advisory_lock(5360845200123)")
	return err
}

func (m *migrator) close() error { return m.db.Close() }

// Migrate brings the schema of a database to the newest version that this program knows, one step after another, each in a transaction. The user of the URL owns the
// schema, or may create roles and schemas when there is none yet; a superuser also sets the guard over the triggers. A schema that is newer is left alone, and
// is an error (ErrSchema) only if this program cannot work with it.
func Migrate(ctx context.Context, url string) (Status, error) {
	return migrateTo(ctx, url, migrations())
}

func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

func migrateTo(ctx context.Context, url string, files fs.FS) (st Status, err error) {
	m, err := begin(ctx, url, files, true)
	if err != nil {
		return Status{}, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.up(ctx); err != nil {
		if e := serverError(err); e != nil && (e.Code == codeGuard || e.Code == codeNoRight) {
			err = fmt.Errorf("%w: a superuser guards what this step changes; migrate as a superuser: %w", ErrPrivilege, err)
		}
		return Status{}, fmt.Errorf("migrate database %s: %w", m.location, err)
	}
	st, err = m.status(ctx)
	if err != nil {
		return Status{}, err
	}
	if st.mayGuard() {
		if _, err := m.db.ExecContext(ctx, guarding); err != nil {
			return Status{}, fmt.Errorf("guard database %s: %w", m.location, err)
		}
	}
	return m.status(ctx)
}

// ReadStatus says where a schema stands. It changes nothing.
func ReadStatus(ctx context.Context, url string) (st Status, err error) {
	m, err := begin(ctx, url, migrations(), false)
	if err != nil {
		return Status{}, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	return m.status(ctx)
}

func (m *migrator) status(ctx context.Context) (Status, error) {
	st := Status{Database: m.location, Superuser: m.super}
	applied, err := m.applied(ctx)
	if err != nil {
		return st, fmt.Errorf("read the schema of database %s: %w", m.location, err)
	}
	for _, source := range m.provider.ListSources() {
		text, err := fs.ReadFile(m.files, source.Path)
		if err != nil {
			return st, err
		}
		st.Known = max(st.Known, source.Version)
		st.Migrations = append(st.Migrations, Migration{Version: source.Version, Name: strings.TrimSuffix(source.Path, ".sql"), SQL: string(text), Applied: applied[source.Version]})
	}
	for version := range applied {
		st.Version = max(st.Version, version)
	}
	err = m.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_event_trigger WHERE evtname = 'setpoint_guard' AND evtenabled <> 'D')").Scan(&st.Guarded)
	return st, err
}

// applied reads which steps were done, and when.
func (m *migrator) applied(ctx context.Context) (map[int64]time.Time, error) {
	var exists bool
	err := m.db.QueryRowContext(ctx, "SELECT to_regclass('"+versionTable+"') IS NOT NULL").Scan(&exists)
	if err != nil {
		return nil, m.explain(err)
	}
	if !exists {
		return nil, nil
	}
	rows, err := m.db.QueryContext(ctx, "SELECT version_id, tstamp FROM "+versionTable+" WHERE is_applied AND version_id > 0")
	if err != nil {
		return nil, m.explain(err)
	}
	done := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		done[version] = at
	}
	return done, errors.Join(rows.Err(), rows.Close())
}

// explain says what to do about a missing right.
func (m *migrator) explain(err error) error {
	if e := serverError(err); e != nil && e.Code == codeNoRight {
		return fmt.Errorf("%w: the user must be a member of role %s, or of one that it contains (GRANT %s TO …): %w", ErrPrivilege, RoleRead, RoleRead, err)
	}
	return err
}

// schemaVersion is the newest step that this program knows.
func schemaVersion(files fs.FS) (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// checkSchema refuses a database whose schema this program cannot work with: one that lacks a step, and one that a newer program has changed so that this one
// would not understand it. A newer one that still understands this program is fine: a rolling upgrade goes through it.
func checkSchema(ctx context.Context, tx pgx.Tx) error {
	known, err := schemaVersion(migrations())
	if err != nil {
		return err
	}
	return checkVersion(ctx, tx, known)
}

func checkVersion(ctx context.Context, tx pgx.Tx, known int64) error {
	var have, understood int64
	err := tx.QueryRow(ctx, "SELECT (SELECT max(version_id) FROM "+versionTable+"), (SELECT understood FROM setpoint.meta)").Scan(&have, &understood)
	if e := serverError(err); e != nil && (e.Code == codeNoTable || e.Code == codeNoSchema) {
		return fmt.Errorf("%w: the database has no schema of Setpoint; run `setpoint migrate up`", ErrSchema)
	} else if e != nil && e.Code == codeNoRight {
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	}
	switch {
	case err != nil:
		return err
	case have < known:
		return fmt.Errorf("%w: the database has version %d, this program needs %d; run `setpoint migrate up`", ErrSchema, have, known)
	case understood > known:
		return fmt.Errorf("%w: the database has version %d, which programs that know less than version %d do not understand; this one knows %d: run a newer one", ErrSchema, have, understood, known)
	}
	return checkGuards(ctx, tx)
}

// checkGuards refuses to work without the triggers: somebody has taken them away. Where a superuser has set the guard, it knows of every other change too.
func checkGuards(ctx context.Context, tx pgx.Tx) error {
	var asleep *string
	var guarded bool
	err := tx.QueryRow(ctx, `SELECT string_agg(c.relname || '.' || t.tgname, ', '), to_regnamespace('setpoint_guard') IS NOT NULL FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'setpoint'::regnamespace AND t.tgname LIKE 'guard\_%' AND t.tgenabled <> 'A'`).Scan(&asleep, &guarded)
	if err != nil {
		return err
	}
	if asleep != nil {
		return fmt.Errorf("%w: triggers are disabled that hold every writer to the rules: %s; enable them again (ALTER TABLE … ENABLE ALWAYS TRIGGER …)", ErrSchema, *asleep)
	}
	if !guarded {
		return nil
	}
	var changed *string
	if err := tx.QueryRow(ctx, "SELECT string_agg(c, ', ' ORDER BY c) FROM setpoint_guard.changed() c").Scan(&changed); err != nil || changed == nil {
		return err
	}
	return fmt.Errorf("%w: definitions that the rules rest on are not what they were: %s; put them back, or, if it is meant, run `setpoint migrate up` as a superuser", ErrSchema, *changed)
}
