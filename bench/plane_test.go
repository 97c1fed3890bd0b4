package bench

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	zsqlite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

func open(tb testing.TB, o sqlite.Options) *sqlite.Store {
	tb.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(tb.TempDir(), "bench.db")
	}
	st, err := sqlite.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

func closeStore(tb testing.TB, st store.Store) {
	tb.Helper()
	if err := st.Close(); err != nil {
		tb.Error(err)
	}
}

// engine is a store that counts its statements.
type engine interface {
	store.Sharded
	Statements() uint64
}

// counted is a store that counts what is committed through it, and tells of it.
type counted struct {
	engine
	commits, objects, commands, others atomic.Int64
	// committed, when set, is told of every commit.
	committed func(store.Transaction, resource.Revision)
}

// Commit counts what was accepted.
func (c *counted) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	r, err := c.engine.Commit(ctx, tx)
	if err != nil {
		return r, err
	}
	c.commits.Add(1)
	c.objects.Add(int64(len(tx.Objects)))
	c.commands.Add(int64(len(tx.Commands)))
	c.others.Add(int64(len(tx.Timers) + len(tx.Raise) + len(tx.Consume)))
	if c.committed != nil {
		c.committed(tx, r.Revision)
	}
	return r, nil
}

// lines counts the rows of the history, in the file of a store that is closed.
func lines(tb testing.TB, path string) (n int64) {
	tb.Helper()
	c, err := zsqlite.OpenConn(path, zsqlite.OpenReadOnly)
	if err != nil {
		tb.Fatal(err)
	}
	err = sqlitex.ExecuteTransient(c, "SELECT count(*) FROM history", &sqlitex.ExecOptions{
		ResultFunc: func(s *zsqlite.Stmt) error { n = s.ColumnInt64(0); return nil },
	})
	if err != nil {
		tb.Error(err)
	}
	if err := c.Close(); err != nil {
		tb.Error(err)
	}
	return n
}

// running is a plane at work.
type running struct {
	*setpoint.Plane
	cancel context.CancelFunc
	ended  chan error
}

// runPlane assembles a plane and waits until it has loaded what exists, and works on all of it.
func runPlane(tb testing.TB, c setpoint.Config) *running {
	tb.Helper()
	r := runNode(tb, c)
	await(tb, "one plane has everything", func() bool { return r.shards() == resource.Shards })
	return r
}

// await waits until something holds that is not announced.
func await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-tb.Context().Done():
			tb.Fatalf("never: %s", what)
		}
	}
}

// shards counts those that a plane works on.
func (r *running) shards() int {
	switch m := r.Member(); {
	case m != nil:
		return len(m.Shards())
	case r.Standby() == "" && r.Ready() == nil:
		return resource.Shards
	}
	return 0
}

// runNode assembles a plane and waits until it has loaded what exists.
func runNode(tb testing.TB, c setpoint.Config) *running {
	tb.Helper()
	plane, err := setpoint.New(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	r := &running{plane, cancel, make(chan error, 1)}
	go func() { r.ended <- plane.Run(ctx) }()
	<-plane.Loaded()
	return r
}

func (r *running) stop(tb testing.TB) {
	tb.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		tb.Error(err)
	}
}

// turns counts the turns that were begun, and says whether all are over.
func (r *running) turns() (n uint64, idle bool) {
	idle = true
	for _, c := range r.Controllers() {
		n += c.Queue.Handed
		idle = idle && c.Queue.Ready+c.Queue.Working == 0
	}
	return n, idle
}
