package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// scanBatch is how many items a batch of a scan holds.
const scanBatch = 500

// Scan calls visit with everything that exists, in one read transaction.
func (s *Store) Scan(ctx context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	var rev resource.Revision
	err := s.readers.use(ctx, func(c *conn) error {
		n, err := c.number("SELECT revision FROM meta")
		if err != nil {
			return err
		}
		rev = resource.Revision(n)
		if rev > s.feed.Revision() {
			if err := s.catchUp(ctx, rev); err != nil {
				return err
			}
		}
		x := scanner{ctx: ctx, c: c, visit: visit, closed: s.readers.closed, rev: rev, names: names{}, batch: store.Batch{Revision: rev}}
		for _, part := range []func() error{x.objects, x.commands, x.signals, x.timers, x.flush} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("scan: %w", readError(err))
	}
	return rev, nil
}

// catchUp waits for the feed to have a revision that the table has already: a group is just being published, or another process wrote.
func (s *Store) catchUp(ctx context.Context, rev resource.Revision) error {
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	if have := s.feed.Revision(); have < rev {
		return fmt.Errorf("the database is at revision %d and the feed at %d: %w", rev, have, store.ErrUnavailable)
	}
	return nil
}

// readError sorts an error of a read.
func readError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return storeError(err)
}

type scanner struct {
	ctx   context.Context
	c     *conn
	visit func(store.Batch) error
	// closed ends the scan when the store is closed.
	closed <-chan struct{}
	rev    resource.Revision
	names  names
	batch  store.Batch
	items  int
}

// added counts an item, and passes a full batch on.
func (x *scanner) added() error {
	x.items++
	if x.items < scanBatch {
		return nil
	}
	return x.flush()
}

func (x *scanner) flush() error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	if isDone(x.closed) {
		return store.ErrClosed
	}
	if x.items == 0 {
		return nil
	}
	b := x.batch
	x.batch, x.items = store.Batch{Revision: x.rev}, 0
	if err := x.visit(b); err != nil {
		return visitError{err}
	}
	return nil
}

// visitError keeps an error of the visitor apart from those of the database.
type visitError struct{ error }

func (e visitError) Unwrap() error { return e.error }

func (x *scanner) objects() error {
	q, err := x.c.prepare(selectObject)
	if err != nil {
		return err
	}
	return q.each(func() error {
		o, err := scanObject(q, 0, x.names)
		if err != nil {
			return err
		}
		if x.batch.Objects == nil {
			x.batch.Objects = make([]store.ObjectChange, 0, scanBatch)
		}
		x.batch.Objects = append(x.batch.Objects, store.ObjectChange{Object: o})
		return x.added()
	})
}

func (x *scanner) commands() error {
	q, err := x.c.prepare("SELECT revision, body FROM command")
	if err != nil {
		return err
	}
	return q.each(func() error {
		c, err := codec.Command(q.bytes(1), resource.Revision(q.int(0)))
		if err != nil {
			return err
		}
		x.batch.Commands = append(x.batch.Commands, store.CommandChange{Command: c})
		return x.added()
	})
}

func (x *scanner) signals() error {
	q, err := x.c.prepare("SELECT id, kind, namespace, name, uid, signal, payload, by_whom, at, revision FROM signal")
	if err != nil {
		return err
	}
	return q.each(func() error {
		x.batch.Raised = append(x.batch.Raised, store.Signal{
			ID: store.SignalID(q.int(0)), Object: x.key(q, 1), UID: resource.UID(q.text(4)), Name: lifecycle.SignalName(q.text(5)),
			Payload: q.bytes(6), By: q.text(7), At: codec.Time(q.int(8)), Revision: resource.Revision(q.int(9)),
		})
		return x.added()
	})
}

func (x *scanner) timers() error {
	q, err := x.c.prepare("SELECT controller, kind, namespace, name, uid, due, code FROM timer")
	if err != nil {
		return err
	}
	return q.each(func() error {
		x.batch.Timers = append(x.batch.Timers, store.Timer{
			Controller: q.text(0), Object: x.key(q, 1), UID: resource.UID(q.text(4)), Due: codec.Time(q.int(5)), Code: q.text(6),
		})
		return x.added()
	})
}

func (x *scanner) key(q *stmt, i int) resource.Key {
	return resource.Key{Kind: resource.KindID(x.names.keep(q.text(i))), Namespace: resource.Namespace(x.names.keep(q.text(i + 1))), Name: resource.Name(q.text(i + 2))}
}
