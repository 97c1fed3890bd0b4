package sqlite

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// The runner is our own thirty lines: the tools for this want database/sql, which this engine does without, and
// PRAGMA user_version is a transactional place for the version already.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks the file as ours ("SETP"), so that another application's database is not mistaken for one.
const applicationID = 0x53455450

type migration struct {
	version int64
	name    string
	script  string
}

// migrations returns the embedded scripts in order; their numbers count from 1 without a hole.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	list := make([]migration, 0, len(names))
	for i, name := range names {
		script, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		list = append(list, migration{version, path.Base(name), string(script)})
	}
	return list, nil
}

// migrate brings a database to the newest version, each step in a transaction of its own, and fills in a new one.
func migrate(c *conn, file, databaseID string) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	have, err := version(c, file, int64(len(list)))
	if err != nil {
		return err
	}
	for _, m := range list[have:] {
		if err := m.apply(c); err != nil {
			return fmt.Errorf("migrate database %s with %s: %w", file, m.name, err)
		}
	}
	if have > 0 {
		return nil
	}
	s, err := c.prepare("INSERT OR IGNORE INTO meta (id, database, incarnation, revision, shards, created) VALUES (1, ?, 1, 0, ?, ?)")
	if err != nil {
		return err
	}
	return s.bindText(databaseID).bindInt(resource.Shards).bindInt(time.Now().UnixNano()).exec()
}

// version returns the schema's version, 0 for an empty file. It refuses what this program does not understand.
func version(c *conn, file string, newest int64) (int64, error) {
	have, err := c.number("PRAGMA user_version")
	if err != nil {
		return 0, fmt.Errorf("read the version of database %s: %w", file, err)
	}
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return 0, fmt.Errorf("read the application of database %s: %w", file, err)
	}
	tables, err := c.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return 0, fmt.Errorf("read the schema of database %s: %w", file, err)
	}
	switch {
	case id != applicationID && tables > 0:
		return 0, fmt.Errorf("database %s belongs to another application; give another path", file)
	case have > newest:
		return 0, fmt.Errorf("%w: database %s has schema version %d, this program knows up to %d; run a program at least as new as the one that wrote it",
			ErrNewerSchema, file, have, newest)
	}
	return have, nil
}

func (m migration) apply(c *conn) error {
	return transaction(c, func() error {
		return c.run(m.script + fmt.Sprintf("\nPRAGMA user_version = %d;\nPRAGMA application_id = %d;", m.version, applicationID))
	})
}

// transaction runs f between BEGIN IMMEDIATE and COMMIT, and rolls back when either fails.
func transaction(c *conn, f func() error) error {
	if err := c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.run("COMMIT")
	}
	if err != nil && !c.raw.AutocommitEnabled() {
		err = errors.Join(err, c.run("ROLLBACK"))
	}
	return err
}
