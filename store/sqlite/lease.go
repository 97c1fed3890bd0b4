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
			got = *have
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
func (w *writer) nextEpoch(have *store.Lease) resource.Epoch {
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
		free := *have
		free.Holder, free.Expires = "", time.Time{}
		return w.saveLease(free)
	})
}

// saveLease makes a lease durable, and then known.
func (w *writer) saveLease(l store.Lease) error {
	if err := w.begin(); err != nil {
		return draft.Unavailable(err)
	}
	q, err := w.c.prepare(`INSERT INTO lease (scope, holder, incarnation, counter, expires) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, incarnation = excluded.incarnation, counter = excluded.counter, expires = excluded.expires`)
	if err == nil {
		err = q.bindText(string(l.Scope)).bindText(l.Holder).bindInt(int64(l.Epoch.Incarnation)).bindInt(int64(l.Epoch.Counter)).bindInt(codec.Nanos(l.Expires)).exec()
	}
	if err != nil {
		return draft.Unavailable(errors.Join(err, w.rollback()))
	}
	if err := w.c.exec("COMMIT"); err != nil {
		w.suspect = true
		return fmt.Errorf("%w: %w", store.ErrUnknown, errors.Join(err, w.rollback()))
	}
	w.leases[l.Scope] = &l
	return nil
}

// loadLeases reads the leases. Of one that this process gave, and nobody has touched, the memory knows better when it ends.
func (w *writer) loadLeases() (map[store.Scope]*store.Lease, error) {
	q, err := w.c.prepare("SELECT scope, holder, incarnation, counter, expires FROM lease")
	if err != nil {
		return nil, err
	}
	leases := map[store.Scope]*store.Lease{}
	err = q.each(func() error {
		l := &store.Lease{Scope: store.Scope(q.text(0)), Holder: q.text(1),
			Epoch: resource.Epoch{Incarnation: uint64(q.int(2)), Counter: uint64(q.int(3))}, Expires: codec.Time(q.int(4))}
		if have := w.leases[l.Scope]; have != nil && have.Holder == l.Holder && have.Epoch == l.Epoch {
			l.Expires = have.Expires
		}
		leases[l.Scope] = l
		return nil
	})
	return leases, err
}
