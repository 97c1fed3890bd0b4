package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	zsqlite "zombiezen.com/go/sqlite"

	"github.com/setpointhq/setpoint/internal/durable"
)

// Restored says what [Restore] made.
type Restored struct {
	// Incarnation of the new database.
	Incarnation uint64
	// Kept is where the database is that was at the target before, "" when there was none.
	Kept string
}

// Restore makes a database at target from a backup, in a new incarnation. A database that is at target is kept beside it, never deleted. Nobody may have
// the target open.
//
// The new incarnation is above the backup's, above that of the database at target, above that of every earlier restore to target (a file
// ".incarnation" beside it remembers), and at least the time in milliseconds since 1970. The first three hold whatever the clock says; the time separates
// restores of one backup to different places, where nothing else could.
//
// The feed of the new incarnation begins empty, so that nobody resumes a watch on revisions that are counted again; history is kept. Leases are free.
func Restore(ctx context.Context, backup, target string) (Restored, error) {
	r, err := restore(ctx, backup, target)
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s to %s: %w", backup, target, err)
	}
	return r, nil
}

func restore(ctx context.Context, backup, target string) (r Restored, err error) {
	lock, err := lockPath(target)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	partial := target + ".partial"
	if err := copyBackup(backup, partial); err != nil {
		return r, errors.Join(err, removeIfThere(partial))
	}
	past, err := pastIncarnations(target)
	if err != nil {
		return r, errors.Join(err, removeIfThere(partial))
	}
	if r.Incarnation, err = beginIncarnation(partial, past); err != nil {
		return r, errors.Join(err, removeIfThere(partial))
	}
	if err := ctx.Err(); err != nil {
		return r, errors.Join(err, removeIfThere(partial))
	}
	if err := remember(target, r.Incarnation); err != nil {
		return r, errors.Join(err, removeIfThere(partial))
	}
	if r.Kept, err = setAside(target); err != nil {
		return r, err
	}
	return r, finishFile(partial, target)
}

// copyBackup copies and checks a backup. The file may also be a database that was closed properly.
func copyBackup(backup, to string) (err error) {
	if _, err := os.Stat(backup); err != nil {
		return err
	}
	var count atomic.Uint64
	raw, err := zsqlite.OpenConn(backup, zsqlite.OpenReadOnly)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	from := &conn{raw: raw, count: &count}
	defer func() { err = errors.Join(err, from.close()) }()
	if err := checkIntegrity(from, backup); err != nil {
		return err
	}
	list, err := migrations()
	if err != nil {
		return err
	}
	if have, err := version(from, backup, int64(len(list))); err != nil {
		return err
	} else if have == 0 {
		return fmt.Errorf("%s holds no database of ours", backup)
	}
	return copyDatabase(from, to, &count)
}

// pastIncarnations is the highest incarnation that is known to have been at a path, 0 for none.
func pastIncarnations(target string) (uint64, error) {
	var highest uint64
	text, err := os.ReadFile(target + incarnationSuffix)
	switch {
	case err == nil:
		if highest, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return 0, fmt.Errorf("file %s%s should hold a number: %w", target, incarnationSuffix, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		return highest, nil
	}
	var count atomic.Uint64
	c, err := openConn(target, true, &count)
	if err != nil {
		return highest, nil // it is damaged, which may be why there is a restore; the remembered number and the time decide
	}
	n, err := c.number("SELECT incarnation FROM meta")
	if err != nil {
		n = 0 // the same
	}
	return max(highest, uint64(n)), c.close()
}

const incarnationSuffix = ".incarnation"

// beginIncarnation turns the copy of a backup into the beginning of a new incarnation above past.
func beginIncarnation(path string, past uint64) (incarnation uint64, err error) {
	var count atomic.Uint64
	raw, err := zsqlite.OpenConn(path, zsqlite.OpenReadWrite)
	if err != nil {
		return 0, err
	}
	c := &conn{raw: raw, count: &count}
	defer func() { err = errors.Join(err, c.close()) }()
	old, err := c.number("SELECT incarnation FROM meta")
	if err != nil {
		return 0, err
	}
	incarnation = max(uint64(old)+1, past+1, uint64(max(0, time.Now().UnixMilli())))
	return incarnation, transaction(c, func() error {
		return c.run(fmt.Sprintf(`UPDATE meta SET incarnation = %d, compacted = revision;
			DELETE FROM feed;
			UPDATE lease SET holder = '', expires = 0`, incarnation))
	})
}

// remember writes the number down before the database that has it appears.
func remember(target string, incarnation uint64) error {
	partial := target + incarnationSuffix + ".partial"
	if err := os.WriteFile(partial, []byte(strconv.FormatUint(incarnation, 10)+"\n"), 0o600); err != nil {
		return err
	}
	return finishFile(partial, target+incarnationSuffix)
}

// setAside renames the database at target, with its log, so that it can be opened under the new name.
func setAside(target string) (string, error) {
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	kept := ""
	for n := 1; ; n++ {
		kept = fmt.Sprintf("%s.before-restore-%d", target, n)
		if err := refuseExisting(kept); err == nil {
			break
		} else if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(target+suffix, kept+suffix); err != nil && !(suffix != "" && errors.Is(err, fs.ErrNotExist)) {
			return "", err
		}
	}
	return kept, durable.Sync(filepath.Dir(target))
}
