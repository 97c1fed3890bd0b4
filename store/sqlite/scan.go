package sqlite

import (
	"context"
	"fmt"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/scan"
)

// Scan calls visit with everything that exists, in one read transaction.
func (s *Store) Scan(ctx context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	var rev resource.Revision
	var found *scan.Collector
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
		found = scan.New(rev, func() error { return s.mayRead(ctx) }, visit)
		x := scanner{c: c, found: found, names: names{}}
		for _, part := range []func() error{x.objects, x.commands, x.signals, x.timers, found.Flush} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case found != nil && found.Refused != nil:
		return 0, fmt.Errorf("scan: %w", found.Refused)
	case err != nil:
		return 0, fmt.Errorf("scan: %w", draft.Unavailable(err))
	}
	return rev, nil
}

// mayRead fails when whoever reads has gone, or the store is closed.
func (s *Store) mayRead(ctx context.Context) error {
	select {
	case <-s.readers.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
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

// scanner reads all tables on one connection.
type scanner struct {
	c     *conn
	found *scan.Collector
	names names
}

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
		return x.found.Object(o)
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
		return x.found.Command(c)
	})
}

func (x *scanner) signals() error {
	q, err := x.c.prepare("SELECT id, kind, namespace, name, uid, signal, payload, by_whom, why, at, dedupe, expires, revision FROM signal")
	if err != nil {
		return err
	}
	return q.each(func() error {
		return x.found.Signal(store.Signal{
			ID: store.SignalID(q.int(0)), Object: x.key(q, 1), UID: resource.UID(q.text(4)), Name: lifecycle.SignalName(q.text(5)),
			Payload: q.bytes(6), By: q.text(7), Why: q.text(8), At: codec.Time(q.int(9)), Dedupe: q.text(10), Expires: codec.Time(q.int(11)), Revision: resource.Revision(q.int(12)),
		})
	})
}

func (x *scanner) timers() error {
	q, err := x.c.prepare("SELECT controller, kind, namespace, name, uid, due, code FROM timer")
	if err != nil {
		return err
	}
	return q.each(func() error {
		return x.found.Timer(store.Timer{
			Controller: q.text(0), Object: x.key(q, 1), UID: resource.UID(q.text(4)), Due: codec.Time(q.int(5)), Code: q.text(6),
		})
	})
}

func (x *scanner) key(q *stmt, i int) resource.Key {
	return resource.Key{Kind: resource.KindID(x.names.keep(q.text(i))), Namespace: resource.Namespace(x.names.keep(q.text(i + 1))), Name: resource.Name(q.text(i + 2))}
}
