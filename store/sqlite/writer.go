package sqlite

import (
	"context"

	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
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
	leases map[store.Scope]*store.Lease
	heads  *heads
	// suspect says that a COMMIT failed without an answer from the disk, and nothing has been committed since.
	suspect bool

	urgent, normal chan *member
	jobs           chan *job
	stop           chan struct{}
	stopped        chan struct{}
	once           sync.Once
}

// The life of a member: whoever moves it out of waiting decides whether it is written.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// member is one transaction in the queue.
type member struct {
	p      *draft.Draft
	state  atomic.Int32
	answer chan answer
}

type answer struct {
	receipt store.Receipt
	err     *store.CommitError
}

// job is other work for the writer's connection.
type job struct {
	run  func(*writer) error
	done chan error
}

// queueGroups is how many full groups may wait; more committers wait at the door.
const queueGroups = 4

func newWriter(s *Store, c *conn) (*writer, error) {
	size := s.options.GroupMax * queueGroups
	w := &writer{
		store: s, c: c, heads: newHeads(),
		urgent: make(chan *member, size), normal: make(chan *member, size), jobs: make(chan *job),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
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
	defer close(w.stopped)
	crowded := false
	for {
		if isDone(w.stop) {
			w.refuseQueued()
			return
		}
		select {
		case <-w.stop:
		case m := <-w.urgent:
			crowded = w.group(m, nil, crowded)
		case m := <-w.normal:
			crowded = w.group(nil, m, crowded)
		case j := <-w.jobs:
			j.done <- j.run(w)
		}
	}
}

// group drains what waits into one group, administrators first, and commits it. It reports whether there were several: then, before
// the next group is drawn, those who were just answered get a chance to come back.
func (w *writer) group(urgent, normal *member, crowded bool) bool {
	if crowded {
		runtime.Gosched()
	}
	limit := w.store.options.GroupMax
	group := make([]*member, 0, min(limit, 1+len(w.urgent)+len(w.normal)))
	group = take(group, urgent)
	group = drain(group, w.urgent, limit)
	group = take(group, normal)
	group = drain(group, w.normal, limit)
	if len(group) > 0 {
		w.commit(group)
	}
	return len(group) > 1
}

func take(group []*member, m *member) []*member {
	if m != nil && m.state.CompareAndSwap(waiting, taken) {
		group = append(group, m)
	}
	return group
}

func drain(group []*member, from chan *member, limit int) []*member {
	for len(group) < limit {
		select {
		case m := <-from:
			group = take(group, m)
		default:
			return group
		}
	}
	return group
}

func (w *writer) refuseQueued() {
	var rest []*member
	rest = drain(rest, w.urgent, cap(w.urgent))
	rest = drain(rest, w.normal, cap(w.normal)+len(rest))
	for _, m := range rest {
		m.answer <- answer{err: closedError()}
	}
}

func closedError() *store.CommitError { return &store.CommitError{Err: store.ErrClosed} }

// close waits for the group under way.
func (w *writer) close() error {
	w.once.Do(func() { close(w.stop) })
	<-w.stopped
	return w.c.close()
}

// Commit applies a transaction whole, or not at all.
func (s *Store) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	p, refused := draft.Of(tx, s.options.Caps)
	if refused != nil {
		return store.Receipt{}, refused
	}
	m := &member{p: p, answer: make(chan answer, 1)}
	w := s.writer
	lane := w.normal
	if strings.HasPrefix(tx.Writer.Name, "api:") {
		lane = w.urgent
	}
	if ctx.Err() != nil {
		return store.Receipt{}, withdrawnError(ctx)
	}
	if isDone(w.stop) {
		return store.Receipt{}, closedError()
	}
	select {
	case lane <- m:
	case <-ctx.Done():
		return store.Receipt{}, withdrawnError(ctx)
	case <-w.stop:
		return store.Receipt{}, closedError()
	}
	a := w.await(ctx, m)
	if a.err != nil {
		return store.Receipt{}, a.err
	}
	return a.receipt, nil
}

// await waits for the answer; a member that no group has taken yet can still be withdrawn.
func (w *writer) await(ctx context.Context, m *member) answer {
	select {
	case a := <-m.answer:
		return a
	case <-w.stopped:
	case <-ctx.Done():
		if m.state.CompareAndSwap(waiting, withdrawn) {
			return answer{err: withdrawnError(ctx)}
		}
		select {
		case a := <-m.answer:
			return a
		case <-w.stopped:
		}
	}
	select {
	case a := <-m.answer:
		return a
	default:
		return answer{err: closedError()}
	}
}

func withdrawnError(ctx context.Context) *store.CommitError {
	return &store.CommitError{Err: fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx)), Detail: "the context ended before the commit began; nothing was written"}
}

// do runs f on the writer's goroutine, between groups.
func (w *writer) do(ctx context.Context, what string, f func(*writer) error) error {
	j := &job{run: f, done: make(chan error, 1)}
	if isDone(w.stop) {
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case <-w.stop:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	}
	if err := <-j.done; err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
