package setpointtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/store"
)

// leases makes the leases of a database outside live by virtual time. The database counts real time, of which a world in which a year passes
// needs a minute, and one that computes much in a moment needs a minute too. So the database is asked for more time than any test takes, and
// it is here that a lease ends: before somebody else asks for it after that, it is given up. A renewal asks the database nothing, which still
// counts the time it gave: a year has ten million of them.
type leases struct {
	mu   sync.Mutex // held while the database is asked: leases change one at a time
	held map[store.Scope]*heldLease
}

// heldLease is a lease as the database gave it, but for the end of it.
type heldLease struct {
	store.Lease
	by *bridge
}

// realTerm is longer than any test, in real time.
const realTerm = 24 * time.Hour

func newLeases() *leases { return &leases{held: map[store.Scope]*heldLease{}} }

// Acquire takes a lease, or renews it, for a span of virtual time.
func (b *bridge) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	l := b.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	have, now := l.held[scope], time.Now()
	if have != nil && have.Holder != holder && !now.Before(have.Expires) {
		if err := l.release(ctx, b, have.Lease); err != nil {
			return store.Lease{}, err
		}
	}
	if have != nil && have.Holder == holder && have.by == b && ttl > 0 && ctx.Err() == nil && !isClosed(b.closed) {
		have.Expires = now.Add(ttl)
		return have.Lease, nil
	}
	got, err := ask(ctx, b.out, func(ctx context.Context) (store.Lease, error) {
		if ttl > 0 {
			return b.inner.Acquire(ctx, scope, holder, max(ttl, realTerm))
		}
		return b.inner.Acquire(ctx, scope, holder, ttl) // to be refused
	})
	if err != nil {
		return store.Lease{}, err
	}
	got.Expires = now.Add(ttl)
	l.held[scope] = &heldLease{got, b}
	return got, nil
}

// Release gives a lease up before its time.
func (b *bridge) Release(ctx context.Context, lease store.Lease) error {
	b.leases.mu.Lock()
	defer b.leases.mu.Unlock()
	return b.leases.release(ctx, b, lease)
}

// release gives a lease up through a bridge; mu is held.
func (l *leases) release(ctx context.Context, b *bridge, lease store.Lease) error {
	err := tell(ctx, b.out, func(ctx context.Context) error { return b.inner.Release(ctx, lease) })
	if have, ok := l.held[lease.Scope]; ok && err == nil && have.Holder == lease.Holder && have.Epoch == lease.Epoch {
		delete(l.held, lease.Scope)
	}
	return err
}

// releaseAll gives up what was taken through a bridge. A process that is killed leaves its lease to run out; in real time, that would be
// after the test. To give it up is the same for whoever comes next: nothing the dead one does has an effect any more, and the epoch rises.
func (l *leases) releaseAll(b *bridge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, have := range l.held {
		if have.by == b {
			errs = append(errs, l.release(context.Background(), b, have.Lease))
		}
	}
	return errors.Join(errs...)
}
