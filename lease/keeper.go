package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Keeper is the loop of a lease of any scope, in two halves: [Keeper.Acquire] takes it and [Keeper.Keep] renews it. Who runs them decides in which goroutine, and what a loss means; a [Held] is one that runs by itself, and what an
// author needs. The halves are called once each, one after the other; the rest may be called concurrently.
type Keeper struct {
	store  Leases
	scope  store.Scope
	o      Options
	random *rand.Rand
	said   error          // the reason that the log knows
	mine   resource.Epoch // at which it was acquired
	sent   time.Time      // when the last attempt began that succeeded
	trust  *Trust

	mu   sync.Mutex
	last store.Lease // as it was given last: also one that came back at another epoch
}

// NewKeeper checks the options, and asks nothing of the store. Its error is store.ErrInvalid.
func NewKeeper(st Leases, scope store.Scope, o Options) (*Keeper, error) {
	o, err := o.withDefaults(scope)
	if err != nil {
		return nil, err
	}
	return &Keeper{
		store: st, scope: scope, o: o, random: rand.New(rand.NewPCG(o.Seed, 0x1ea5e)), trust: NewTrust("lease "+string(scope), o.TTL),
		said: ErrReleased, // as before it was held
	}, nil
}

// Trust is how far the lease can be relied on. Who learns of a loss ends it.
func (k *Keeper) Trust() *Trust { return k.trust }

// Acquire waits until the lease is this process's, and returns the epoch. It fails when ctx ends, and with what no waiting can mend: store.ErrInvalid, store.ErrClosed, a lack of permission.
func (k *Keeper) Acquire(ctx context.Context) (resource.Epoch, error) {
	for failures := 1; ; failures++ {
		sent := time.Now()
		lease, err := k.ask(ctx)
		switch {
		case err == nil:
			k.mine, k.sent = lease.Epoch, sent
			k.trust.Note(sent)
			return k.mine, nil
		case ctx.Err() != nil:
			return resource.Epoch{}, errors.Join(context.Cause(ctx), err)
		case !errors.Is(err, store.ErrHeld) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown):
			return resource.Epoch{}, err
		case !wait.For(ctx, Backoff(k.o.TTL, failures, k.random)):
			return resource.Epoch{}, errors.Join(context.Cause(ctx), err)
		}
	}
}

// Keep renews the lease until ctx ends, and then returns nil. It fails with store.ErrFenced when another has the lease or had it in between, and with store.ErrClosed.
func (k *Keeper) Keep(ctx context.Context) error {
	rest := time.Until(k.sent.Add(Interval(k.o.TTL)))
	for failures := 0; wait.For(ctx, rest); {
		sent := time.Now()
		lease, err := k.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrClosed):
			return err
		case errors.Is(err, store.ErrHeld):
			return fmt.Errorf("%w: %w", store.ErrFenced, err)
		case err == nil && lease.Epoch != k.mine:
			return fmt.Errorf("%w: it was acquired at epoch %s, and when it was renewed it was at %s: somebody had it in between", store.ErrFenced, k.mine, lease.Epoch)
		case err == nil:
			k.trust.Note(sent)
			failures, rest = 0, time.Until(sent.Add(Interval(k.o.TTL)))
		default:
			failures++
			rest = Backoff(k.o.TTL, failures, k.random)
		}
	}
	return nil
}

// Release gives the lease up, as it was given last: others may take it at once. It is no error when it is lost already.
func (k *Keeper) Release(ctx context.Context) error {
	k.mu.Lock()
	last := k.last
	k.mu.Unlock()
	return k.store.Release(ctx, last)
}

// ask makes one attempt to take or to renew the lease, no longer than an interval.
func (k *Keeper) ask(ctx context.Context) (store.Lease, error) {
	lease, err := Bounded(ctx, Interval(k.o.TTL), func(ctx context.Context) (store.Lease, error) {
		return k.store.Acquire(ctx, k.scope, k.o.Holder, k.o.TTL)
	})
	if ctx.Err() == nil {
		k.say(err)
	}
	if err != nil {
		k.trust.Fail(err)
		return lease, err
	}
	k.mu.Lock()
	k.last = lease
	k.mu.Unlock()
	return lease, nil
}

// Bounded calls f for at most a time. When that has passed, and not ctx ended, the error is store.ErrUnavailable, too: who asked must ask again, whatever became of it.
func Bounded[T any](ctx context.Context, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := f(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: no answer within %s: %w", store.ErrUnavailable, limit, err)
	}
	return v, err
}

// say tells the log what has changed: not every attempt.
func (k *Keeper) say(err error) {
	was, is := k.said, reason(err)
	k.said = is
	log := k.o.Logger.With(slog.String("lease", string(k.scope)), slog.String("holder", k.o.Holder))
	switch {
	case was == is:
	case is == nil:
		log.Info("the lease is held")
	case is == store.ErrHeld:
		log.Info("the lease is held by another; it is waited for", "error", err)
	default:
		log.Error("the lease cannot be acquired or renewed; it is tried again", "error", err)
	}
}

// reason is what kind of trouble an error is: nil, store.ErrHeld, or any other.
func reason(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrHeld):
		return store.ErrHeld
	}
	return store.ErrUnavailable
}
