package setpointtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// link is what the bridges of one world have in common, one restart after the other.
type link struct {
	out    *outside
	past   *past
	leases *leases
	known  bool
}

// open opens the database outside, for one plane inside.
func (l *link) open(ctx context.Context, open Opener) (store.Store, error) {
	inner, err := l.out.open(ctx, open)
	if err != nil {
		return nil, err
	}
	b := &bridge{link: l, inner: inner, closed: make(chan struct{})}
	if !l.known {
		if err := b.learn(ctx); err != nil {
			return nil, errors.Join(err, b.Close())
		}
		l.known = true
	}
	return b, nil
}

// bridge is a store inside a bubble whose database is outside. A call is handed over and waited for; only who waits for a commit that nobody
// has made yet waits inside, at rest.
type bridge struct {
	*link
	inner store.Store

	once     sync.Once
	closed   chan struct{}
	closeErr error
}

var _ store.Store = (*bridge)(nil)

// learn finds out what the newest commit is.
func (b *bridge) learn(ctx context.Context) error {
	_, err := b.Scan(ctx, func(store.Batch) error { return nil })
	return err
}

// Info says which database this is.
func (b *bridge) Info() (info store.Info) {
	b.out.do(func() { info = b.inner.Info() })
	return info
}

// Register declares kinds.
func (b *bridge) Register(ctx context.Context, kinds []store.Rules) error {
	return tell(ctx, b.out, func(ctx context.Context) error { return b.inner.Register(ctx, kinds) })
}

// Commit applies a transaction, and wakes the streams inside. What the database would date, is dated here.
func (b *bridge) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	if ctx.Err() != nil {
		return store.Receipt{}, &store.CommitError{
			Err: fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx)), Detail: "the context ended before the commit began; nothing was written"}
	}
	tx.Raise = dated(tx.Raise)
	var begun time.Time
	r, err := ask(ctx, b.out, func(ctx context.Context) (store.Receipt, error) {
		begun = time.Now()
		return b.inner.Commit(ctx, tx)
	})
	switch {
	case err == nil:
		b.past.note(r.Revision, begun)
	case errors.Is(err, store.ErrUnknown):
		// It may have been made after all, and then the streams have something to deliver.
		if lost := b.learn(context.WithoutCancel(ctx)); lost != nil {
			err = errors.Join(err, lost)
		}
	}
	if _, ok := err.(*store.CommitError); err != nil && !ok {
		err = &store.CommitError{Err: err}
	}
	return r, err
}

// dated gives signals without a time the present one.
func dated(signals []store.Signal) []store.Signal {
	signals = slices.Clone(signals)
	for i := range signals {
		if signals[i].At.IsZero() {
			signals[i].At = time.Now()
		}
	}
	return signals
}

// Scan reads everything outside first, and visits it inside afterwards: what visit does belongs to the bubble.
func (b *bridge) Scan(ctx context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	var batches []store.Batch
	var begun time.Time
	rev, err := ask(ctx, b.out, func(ctx context.Context) (resource.Revision, error) {
		begun = time.Now()
		return b.inner.Scan(ctx, func(batch store.Batch) error {
			batches = append(batches, batch)
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	b.past.note(rev, begun)
	for _, batch := range batches {
		if err := visit(b.redate(batch)); err != nil {
			return 0, err
		}
	}
	return rev, nil
}

// redate dates a batch by virtual time, if it has a date.
func (b *bridge) redate(batch store.Batch) store.Batch {
	if !batch.At.IsZero() {
		batch.At = b.past.at(batch.Revision)
	}
	return batch
}

// Watch streams the commits after a revision.
func (b *bridge) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	inner, err := ask(ctx, b.out, func(context.Context) (store.Stream, error) { return b.inner.Watch(b.out.ctx, from) })
	if err != nil {
		return nil, err
	}
	return &bridgeStream{bridge: b, inner: inner, at: from, done: make(chan struct{})}, nil
}

// Object reads one object.
func (b *bridge) Object(ctx context.Context, key resource.Key) (*resource.Object, error) {
	return ask(ctx, b.out, func(ctx context.Context) (*resource.Object, error) { return b.inner.Object(ctx, key) })
}

// History returns what happened to an object, or to all of a kind, dated by virtual time. The database has real time: since when is asked for by revision.
func (b *bridge) History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error) {
	if !q.Since.IsZero() {
		q.After, q.Since = max(q.After, b.past.before(q.Since)), time.Time{}
	}
	entries, err := ask(ctx, b.out, func(ctx context.Context) ([]store.Entry, error) { return b.inner.History(ctx, q) })
	for i := range entries {
		entries[i].At = b.past.at(entries[i].Revision)
	}
	return entries, err
}

// Compact forgets. The database gets a moment of its own clock that lies between the same commits.
func (b *bridge) Compact(ctx context.Context, before resource.Revision, history time.Time) error {
	var begun time.Time
	if !history.IsZero() {
		begun = b.past.begun(history)
	}
	return tell(ctx, b.out, func(ctx context.Context) error {
		if !history.IsZero() && begun.IsZero() {
			begun = time.Now()
		}
		return b.inner.Compact(ctx, before, begun)
	})
}

// Close gives up the leases that were taken through this bridge, and closes the store outside.
func (b *bridge) Close() error {
	b.once.Do(func() {
		released := b.leases.releaseAll(b)
		b.out.do(func() { b.closeErr = errors.Join(released, b.inner.Close()) })
		close(b.closed)
	})
	return b.closeErr
}

// bridgeStream asks the stream outside only for what is there.
type bridgeStream struct {
	*bridge
	inner store.Stream
	at    resource.Revision
	once  sync.Once
	done  chan struct{}
}

// Next waits for the next commit: at rest, while nobody has made one.
func (s *bridgeStream) Next(ctx context.Context) (store.Batch, error) {
	for {
		newest, moved := s.past.newest()
		if s.at < newest || isClosed(s.done) || isClosed(s.closed) {
			batch, err := ask(ctx, s.out, s.inner.Next)
			if err != nil {
				return store.Batch{}, err
			}
			s.at = batch.Revision
			return s.redate(batch), nil
		}
		select {
		case <-moved:
		case <-s.done:
		case <-s.closed:
		case <-ctx.Done():
			return store.Batch{}, ctx.Err()
		}
	}
}

// Close ends the stream, also one that waits.
func (s *bridgeStream) Close() (err error) {
	s.out.do(func() { err = s.inner.Close() })
	s.once.Do(func() { close(s.done) })
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
