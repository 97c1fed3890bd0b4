package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
)

// defaultTTL is how long the lease of a process that died keeps others waiting.
const defaultTTL = 10 * time.Second

// leastTTL keeps a lease from being renewed all the time.
const leastTTL = 100 * time.Millisecond

// keeper takes the engine's lease, keeps it, and knows how far it can be trusted.
//
// That nobody else is the owner is certain for a time to live from the moment at which the store took the last renewal, by the store's clock. That moment
// is not known here; the moment at which the renewal was sent is earlier, so that a time to live from then, by this process's
// monotonic clock, is on the safe side, less a margin for clocks that do not run alike and for the call that is begun just before the end. After it no call
// is begun. Commits need no trust: the store compares epochs. A machine that sleeps stops the clock as well; then, and for a call that is under way at the end,
// there is the epoch that every call carries, and a subsystem that refuses a lower one.
type keeper struct {
	store  store.Store
	log    *slog.Logger
	holder string
	ttl    time.Duration
	// random and said are used by one goroutine at a time: first that which acquires, then that which renews.
	random *rand.Rand
	said   error

	mu    sync.Mutex
	lease store.Lease // as it was given last
	sent  time.Time   // when the last attempt that succeeded began; zero before there is a lease
	// renewed is closed, and replaced, with every attempt that succeeds.
	renewed chan struct{}
	trouble error // why the last attempt failed, nil when it did not
}

func newKeeper(c *Config, random *rand.Rand) *keeper {
	return &keeper{store: c.Store, log: c.Logger, holder: c.Holder, ttl: c.LeaseTTL, random: random, renewed: make(chan struct{})}
}

// interval is the time from one renewal to the next, and how long one may take: two in a row may fail before calls have to wait.
func (k *keeper) interval() time.Duration { return k.ttl * 3 / 10 }

// margin is taken off the time to live.
func (k *keeper) margin() time.Duration { return k.ttl / 10 }

// backoff is the wait after the n'th failure in a row. A standby asks so often that it takes over within a second after the lease has run out.
func (k *keeper) backoff(failures int) time.Duration {
	limit := min(k.ttl/4, time.Second)
	return command.Backoff(limit/16, limit, failures, k.random)
}

// acquire waits until it has the lease. It fails when ctx ends, and with what no waiting can mend.
func (k *keeper) acquire(ctx context.Context) (store.Lease, error) {
	for failures := 1; ; failures++ {
		lease, err := k.ask(ctx)
		switch {
		case err == nil:
			return lease, nil
		case ctx.Err() != nil, !errors.Is(err, store.ErrHeld) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown):
			return store.Lease{}, err
		case !sleep(ctx, k.backoff(failures)):
			return store.Lease{}, fmt.Errorf("acquire lease %s: %w", Scope, context.Cause(ctx))
		}
	}
}

// keep renews the lease until ctx ends, and then returns nil. It fails with store.ErrFenced when another process has the lease, or had it in between.
func (k *keeper) keep(ctx context.Context, mine store.Lease) error {
	k.mu.Lock()
	wait := time.Until(k.sent.Add(k.interval()))
	k.mu.Unlock()
	for failures := 0; sleep(ctx, wait); {
		begun := time.Now()
		lease, err := k.ask(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, store.ErrClosed): // the end of the feed tells the engine
			return nil
		case errors.Is(err, store.ErrHeld):
			return fmt.Errorf("%w: %w", store.ErrFenced, err)
		case err == nil && lease.Epoch != mine.Epoch:
			return fmt.Errorf("%w: it was acquired at epoch %s, and when it was renewed it was at %s: somebody had it in between", store.ErrFenced, mine.Epoch, lease.Epoch)
		case err == nil:
			failures, wait = 0, time.Until(begun.Add(k.interval()))
		default:
			failures++
			wait = k.backoff(failures)
		}
	}
	return nil
}

// ask makes one attempt to take or to renew the lease, and notes how it went.
func (k *keeper) ask(ctx context.Context) (store.Lease, error) {
	limited, cancel := context.WithTimeout(ctx, k.interval())
	defer cancel()
	begun := time.Now()
	lease, err := k.store.Acquire(limited, Scope, k.holder, k.ttl)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: no answer within %s: %w", store.ErrUnavailable, k.interval(), err)
	}
	if ctx.Err() == nil {
		k.say(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble = err; err == nil {
		k.lease, k.sent = lease, begun
		close(k.renewed)
		k.renewed = make(chan struct{})
	}
	return lease, err
}

// say tells the log what has changed: not every attempt.
func (k *keeper) say(err error) {
	was, is := reason(k.said), reason(err)
	k.said = err
	switch {
	case was == is:
	case err == nil:
		k.log.Info("the lease is held", "lease", string(Scope), "holder", k.holder)
	case errors.Is(err, store.ErrHeld):
		k.log.Warn("the lease is held by another", "lease", string(Scope), "error", err)
	default:
		k.log.Error("the lease cannot be acquired or renewed; it is tried again", "lease", string(Scope), "error", err)
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

// trusted reports whether a call may be begun, and otherwise what is closed when that may have changed.
func (k *keeper) trusted() (now bool, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.certain(), k.renewed
}

func (k *keeper) certain() bool {
	return !k.sent.IsZero() && time.Since(k.sent) < k.ttl-k.margin()
}

// await returns true as soon as a call may be begun, and false when ctx ends or stop is closed before.
func (k *keeper) await(ctx context.Context, stop <-chan struct{}) bool {
	for ctx.Err() == nil {
		now, changed := k.trusted()
		if now {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		case <-ctx.Done():
		}
	}
	return false
}

// problem describes what is wrong with the lease, nil when nothing is.
func (k *keeper) problem() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.sent.IsZero() && k.trouble != nil:
		return fmt.Errorf("waiting for lease %s: %w", Scope, k.trouble)
	case k.sent.IsZero() || k.trouble == nil && k.certain():
		return nil
	}
	calls := "calls to subsystems go on for now"
	if !k.certain() {
		calls = "no call to a subsystem is begun until it is"
	}
	why := k.trouble
	if why == nil {
		why = errors.New("the renewal has not been answered yet")
	}
	return fmt.Errorf("lease %s has not been renewed since %s; %s: %w", Scope, k.sent.Format(time.RFC3339), calls, why)
}

// release gives the lease up, as it was given last: also one that came back at another epoch.
func (k *keeper) release(ctx context.Context) error {
	k.mu.Lock()
	lease := k.lease
	k.mu.Unlock()
	return k.store.Release(ctx, lease)
}

// sleep waits, and is false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
