package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	zsqlite "zombiezen.com/go/sqlite"

	"github.com/setpointhq/setpoint/internal/durable"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// Backup writes a copy of the database, as of one revision, to a file that does not exist yet, while commits go on. The copy has passed the integrity check
// and is on the disk when Backup returns. It becomes a database again by [Restore], not by copying it into place.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := refuseExisting(path); err != nil {
		return fmt.Errorf("back up %s to %s: %w", s.path, path, err)
	}
	partial := path + ".partial"
	err := s.readers.use(ctx, func(c *conn) error {
		// The read transaction must have begun before the copying, which then sees one moment however long it takes.
		if _, err := c.number("SELECT revision FROM meta"); err != nil {
			return err
		}
		return copyDatabase(c, partial, &s.statements)
	})
	if err == nil {
		err = finishFile(partial, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("back up %s to %s: %w", s.path, path, draft.Unavailable(err)), removeIfThere(partial))
	}
	return nil
}

func refuseExisting(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%w: nothing is overwritten; give another path", fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// copyDatabase copies what c sees into a single new file, and checks it.
func copyDatabase(c *conn, path string, count *atomic.Uint64) (err error) {
	if err := removeIfThere(path); err != nil {
		return err
	}
	raw, err := zsqlite.OpenConn(path, zsqlite.OpenReadWrite|zsqlite.OpenCreate)
	if err != nil {
		return err
	}
	to := &conn{raw: raw, count: count}
	defer func() { err = errors.Join(err, to.close()) }()
	b, err := zsqlite.NewBackup(raw, "main", c.raw, "main")
	if err != nil {
		return err
	}
	_, err = b.Step(-1)
	if err = errors.Join(err, b.Close()); err != nil {
		return err
	}
	// Out of WAL mode: one file, with nothing beside it.
	if err := to.run("PRAGMA journal_mode = DELETE"); err != nil {
		return err
	}
	return checkIntegrity(to, path)
}

// checkIntegrity asks SQLite to look at every page, and index.
func checkIntegrity(c *conn, path string) error {
	q, err := c.prepare("PRAGMA integrity_check(1)")
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	verdict := ""
	if _, err := q.one(func() error { verdict = q.text(0); return nil }); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, path, verdict)
	}
	return nil
}

// finishFile makes a file durable and gives it its name.
func finishFile(partial, path string) error {
	if err := durable.Sync(partial); err != nil {
		return err
	}
	return durable.Rename(partial, path)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
