package sqlite

import (
	"context"
	"fmt"
	"runtime"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// writer owns the one connection that writes, and everything that is known about the database because nobody else writes: where it stands, the
// leases, the rules, the heads of objects in use. All of it is touched by the goroutine of run only.
type writer struct {
	store *Store
	c     *conn
	q     statements

	revision resource.Revision
	signals  uint64
	// compacted is the newest revision that is forgotten.
	compacted resource.Revision
	// seen is PRAGMA data_version as of the last look: it moves when another connection has committed.
	seen   int64
	rules  ruleBook
	leases map[store.Scope]*tenure
	// nodes are the runs of processes that divide the work, cordons the names of those that are to have none of it, division the version of assignments, cordons and the pause.
	nodes    map[store.NodeID]*store.Node
	cordons  map[string]bool
	pause    pause
	division uint64
	heads    *heads
	// suspect says that a COMMIT failed without an answer from the disk, and nothing has been committed since.
	suspect bool

	queue *group.Queue
	jobs  chan *job
}

// job is other work for the writer's connection.
type job struct {
	run  func(*writer) error
	done chan error
}

func newWriter(s *Store, c *conn) (*writer, error) {
	w := &writer{store: s, c: c, heads: newHeads(), nodes: map[store.NodeID]*store.Node{}, queue: group.NewQueue(s.options.GroupMax), jobs: make(chan *job)}
	var err error
	if w.q, err = prepareStatements(c); err != nil {
		return nil, err
	}
	if err := w.takeOver(); err != nil {
		return nil, err
	}
	s.feed.Start(w.revision, w.compacted)
	return w, nil
}

// run is the writer's life.
func (w *writer) run() {
	defer w.queue.End(nil)
	crowded := false
	for !w.queue.Stopping() {
		select {
		case <-w.queue.Stopped():
		case m := <-w.queue.Urgent:
			crowded = w.group(m, nil, crowded)
		case m := <-w.queue.Normal:
			crowded = w.group(nil, m, crowded)
		case j := <-w.jobs:
			j.done <- j.run(w)
		}
	}
}

// group commits a group. It reports whether there were several members: then, before
// the next group is drawn, those who were just answered get a chance to come back.
func (w *writer) group(urgent, normal *group.Member, crowded bool) bool {
	if crowded {
		runtime.Gosched()
	}
	members := w.queue.Draw(urgent, normal)
	if len(members) > 0 {
		w.commit(members)
	}
	return len(members) > 1
}

// close waits for the group under way.
func (w *writer) close() error {
	w.queue.Stop()
	w.queue.Wait()
	return w.c.close()
}

// Commit applies a transaction whole, or not at all.
func (s *Store) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	d, refused := draft.Of(tx, s.options.Caps)
	if refused != nil {
		return store.Receipt{}, refused
	}
	return s.writer.queue.Commit(ctx, d)
}

// do runs f on the writer's goroutine, between groups.
func (w *writer) do(ctx context.Context, what string, f func(*writer) error) error {
	j := &job{run: f, done: make(chan error, 1)}
	if w.queue.Stopping() {
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case <-w.queue.Stopped():
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	}
	if err := <-j.done; err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
