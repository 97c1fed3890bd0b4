package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// Acquire takes a lease, or renews the one that the same holder was the last to have. Leases live by this process's clock: nobody else can hold
// one. A renewal executes no statement, because what it says dies with the process, as the lease does; a change of holder is durable before it
// is told.
func (s *Store) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	what := fmt.Sprintf("acquire lease %s for %q", scope, holder)
	if scope == "" || holder == "" || ttl <= 0 {
		return store.Lease{}, fmt.Errorf("%s for %s: %w: a lease needs a scope, a holder and a time", what, ttl, store.ErrInvalid)
	}
	var got store.Lease
	err := s.writer.do(ctx, what, func(w *writer) error {
		now := time.Now()
		have := w.leases[scope]
		switch {
		case have != nil && have.Holder == holder:
			have.Expires = now.Add(ttl)
			got = have.Lease
			return nil
		case have != nil && have.Holder != "" && now.Before(have.Expires):
			return fmt.Errorf("%w: %q has it until %s", store.ErrHeld, have.Holder, have.Expires.Format(time.RFC3339Nano))
		}
		next := store.Lease{Scope: scope, Holder: holder, Epoch: w.nextEpoch(have), Expires: now.Add(ttl)}
		if err := w.saveLease(next); err != nil {
			return err
		}
		got = next
		return nil
	})
	return got, err
}

// nextEpoch is above every epoch that the scope has had, also before a restore.
func (w *writer) nextEpoch(have *tenure) resource.Epoch {
	e := resource.Epoch{Incarnation: w.store.incarnation, Counter: 1}
	if have != nil && have.Epoch.Incarnation == e.Incarnation {
		e.Counter = have.Epoch.Counter + 1
	}
	return e
}

// Release gives a lease up before its time.
func (s *Store) Release(ctx context.Context, lease store.Lease) error {
	return s.writer.do(ctx, fmt.Sprintf("release lease %s of %q", lease.Scope, lease.Holder), func(w *writer) error {
		have := w.leases[lease.Scope]
		if have == nil || have.Holder != lease.Holder || have.Epoch != lease.Epoch {
			return nil
		}
		free := have.Lease
		free.Holder, free.Expires = "", time.Time{}
		return w.saveLease(free)
	})
}

// tenure is a lease as the writer knows it.
type tenure struct {
	store.Lease
	// since is when the holder changed.
	since time.Time
}

// saveLease makes a lease durable, and then known.
func (w *writer) saveLease(l store.Lease) error {
	return w.change(func() (func(), error) {
		t := &tenure{Lease: l, since: draft.Plain(time.Now())}
		return func() { w.leases[l.Scope] = t }, w.writeLease(t)
	})
}

// change runs f as a transaction of its own. What f wrote is durable before it is known: f returns what to do then, nil when it wrote nothing.
func (w *writer) change(f func() (known func(), err error)) error {
	if err := w.begin(); err != nil {
		return draft.Unavailable(err)
	}
	known, err := f()
	if err != nil || known == nil {
		return draft.Unavailable(errors.Join(err, w.rollback()))
	}
	version, err := w.c.number(divisionVersion)
	if err != nil {
		return draft.Unavailable(errors.Join(err, w.rollback()))
	}
	if err := w.c.exec("COMMIT"); err != nil {
		w.suspect = true
		return fmt.Errorf("%w: %w", store.ErrUnknown, errors.Join(err, w.rollback()))
	}
	known()
	w.divided(uint64(version))
	return nil
}

func (w *writer) writeLease(t *tenure) error {
	q, err := w.c.prepare(`INSERT INTO lease (scope, holder, incarnation, counter, expires, since) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, incarnation = excluded.incarnation, counter = excluded.counter, expires = excluded.expires, since = excluded.since`)
	if err != nil {
		return err
	}
	return q.bindText(string(t.Scope)).bindText(t.Holder).bindInt(int64(t.Epoch.Incarnation)).bindInt(int64(t.Epoch.Counter)).
		bindInt(codec.Nanos(t.Expires)).bindInt(codec.Nanos(t.since)).exec()
}

// loadLeases reads the leases. Of one that this process gave, and nobody has touched, the memory knows better when it ends.
func (w *writer) loadLeases() (map[store.Scope]*tenure, error) {
	q, err := w.c.prepare("SELECT scope, holder, incarnation, counter, expires, since FROM lease")
	if err != nil {
		return nil, err
	}
	leases := map[store.Scope]*tenure{}
	err = q.each(func() error {
		l := &tenure{since: codec.Time(q.int(5)), Lease: store.Lease{Scope: store.Scope(q.text(0)), Holder: q.text(1),
			Epoch: resource.Epoch{Incarnation: uint64(q.int(2)), Counter: uint64(q.int(3))}, Expires: codec.Time(q.int(4))}}
		if have := w.leases[l.Scope]; have != nil && have.Holder == l.Holder && have.Epoch == l.Epoch {
			l.Expires = have.Expires
		}
		leases[l.Scope] = l
		return nil
	})
	return leases, err
}
