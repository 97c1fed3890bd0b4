package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	zsqlite "zombiezen.com/go/sqlite"
)

// conn is the seam to the driver: one connection, used by one goroutine at a time, whose executions are counted.
type conn struct {
	raw   *zsqlite.Conn
	count *atomic.Uint64
}

// busyTimeout bounds the wait for another process that holds the write lock, such as a person's shell in a transaction.
const busyTimeout = 5 * time.Second

// openConn opens a connection to a database in WAL mode. Readers refuse to write.
func openConn(path string, readOnly bool, count *atomic.Uint64) (*conn, error) {
	flags := zsqlite.OpenReadWrite | zsqlite.OpenCreate | zsqlite.OpenWAL
	pragmas := []string{
		"PRAGMA synchronous = FULL",
		"PRAGMA cache_size = -65536",
		"PRAGMA journal_size_limit = 67108864",
		"PRAGMA wal_autocheckpoint = 4000",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA trusted_schema = OFF",
	}
	if readOnly {
		flags = zsqlite.OpenReadWrite | zsqlite.OpenWAL // a reader of a WAL takes part in its shared memory
		pragmas = []string{"PRAGMA query_only = ON", "PRAGMA cache_size = -16384", "PRAGMA trusted_schema = OFF"}
	}
	raw, err := zsqlite.OpenConn(path, flags)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	raw.SetBusyTimeout(busyTimeout)
	c := &conn{raw: raw, count: count}
	for _, p := range pragmas {
		if err := c.run(p); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %s: %s: %w", path, p, err), c.close())
		}
	}
	return c, nil
}

func (c *conn) close() error { return c.raw.Close() }

// run executes statements that return nothing of interest, one after the other.
func (c *conn) run(script string) error {
	for script = strings.TrimSpace(script); script != ""; script = strings.TrimSpace(script) {
		s, rest, err := c.raw.PrepareTransient(script)
		if err != nil {
			return err
		}
		script = script[len(script)-rest:]
		c.count.Add(1)
		for more := true; more && err == nil; {
			more, err = s.Step()
		}
		if err = errors.Join(err, s.Finalize()); err != nil {
			return err
		}
	}
	return nil
}

// exec executes one statement without parameters or results, prepared once.
func (c *conn) exec(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	return s.exec()
}

// number runs a query that returns one whole number. It is 0 when there is no row, or NULL.
func (c *conn) number(query string) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	var n int64
	_, err = s.one(func() error { n = s.int(0); return nil })
	return n, err
}

// prepare returns the statement for a query, from the connection's cache if it was prepared before.
func (c *conn) prepare(query string) (*stmt, error) {
	raw, err := c.raw.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	return &stmt{raw: raw, count: c.count}, nil
}

// stmt is a prepared statement. Parameters are bound in order by the bind methods, each execution from the first; columns count from 0.
type stmt struct {
	raw   *zsqlite.Stmt
	count *atomic.Uint64
	param int
}

func (s *stmt) bindInt(n int64) *stmt {
	s.param++
	s.raw.BindInt64(s.param, n)
	return s
}

func (s *stmt) bindText(t string) *stmt {
	s.param++
	s.raw.BindText(s.param, t)
	return s
}

// bindJSON binds bytes as text, nil as NULL. The driver copies them before it returns, so that seeing them as a string is safe.
func (s *stmt) bindJSON(p []byte) *stmt {
	s.param++
	if p == nil {
		s.raw.BindNull(s.param)
		return s
	}
	s.raw.BindText(s.param, unsafe.String(unsafe.SliceData(p), len(p)))
	return s
}

func (s *stmt) bindBlob(p []byte) *stmt {
	s.param++
	s.raw.BindBytes(s.param, p)
	return s
}

// exec runs a statement that returns no rows.
func (s *stmt) exec() error {
	s.param = 0
	s.count.Add(1)
	if _, err := s.raw.Step(); err != nil {
		return err
	}
	return s.raw.Reset()
}

// each calls row for every row, until it fails.
func (s *stmt) each(row func() error) error {
	s.param = 0
	s.count.Add(1)
	for {
		more, err := s.raw.Step()
		if err != nil {
			return err
		}
		if !more {
			return s.raw.Reset()
		}
		if err := row(); err != nil {
			return errors.Join(err, s.raw.Reset())
		}
	}
}

// one reads the first row, and reports whether there was one.
func (s *stmt) one(row func() error) (bool, error) {
	s.param = 0
	s.count.Add(1)
	more, err := s.raw.Step()
	if err == nil && more {
		err = row()
	}
	return more, errors.Join(err, s.raw.Reset())
}

func (s *stmt) int(col int) int64   { return s.raw.ColumnInt64(col) }
func (s *stmt) text(col int) string { return s.raw.ColumnText(col) }

// bytes returns a copy, nil for NULL. It is made as a string, because the driver copies bytes twice; nobody changes it afterwards.
func (s *stmt) bytes(col int) []byte {
	t := s.raw.ColumnText(col)
	if t == "" {
		if s.raw.ColumnIsNull(col) {
			return nil
		}
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(t), len(t))
}
