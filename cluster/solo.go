package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// SoloOptions configures a [Solo]. Store and Holder are required.
type SoloOptions struct {
	Store store.Store
	// Holder names this run of this process in the lease, to people and to the store. It must differ from that of every other process, and of every earlier run of this one, which the
	// store would take for the same.
	Holder string
	// TTL is how long the lease of a process that died keeps others from its work. It is renewed every 3/10 of it; when that has not succeeded for 9/10, no call to a subsystem is
	// begun. The default is [lease.DefaultTTL], the least [lease.LeastTTL].
	TTL    time.Duration
	Logger *slog.Logger
	// Seed starts the generator of jitter: a seam for simulation.
	Seed uint64
	// Grace bounds how long a stop waits for what is under way, and how long the end of the lease may take. It should be longer than the time in which who works ends by himself. The default is 12 s.
	Grace time.Duration
}

// Solo is the owner of everything, for as long as it has the one lease that there is. It is for a store on which one process works at a time; another one that runs beside it stands by.
//
// That nobody else is the owner is certain for a time to live from the moment at which the store took the last renewal, by the store's clock. That moment
// is not known here; the moment at which the renewal was sent is earlier, so that a time to live from then, by this process's
// monotonic clock, is on the safe side, less a margin for clocks that do not run alike and for the call that is begun just before the end. After it no call
// is begun. Commits need no trust: the store compares epochs. A machine that sleeps stops the clock as well; then, and for a call that is under way at the end,
// there is the epoch that every call carries, and a subsystem that refuses a lower one.
type Solo struct {
	store  store.Store
	log    *slog.Logger
	holder string
	ttl    time.Duration
	grace  time.Duration
	// random and said are used by one goroutine at a time: first that which acquires, then that which renews.
	random *rand.Rand
	said   error

	trust   *lease.Trust
	refused chan error // that a commit was refused

	mu      sync.Mutex
	lease   store.Lease // as it was given last
	sent    time.Time   // when the last attempt that succeeded began; zero before there is a lease
	trouble error       // why the last attempt failed, nil when it did not
	lost    bool
}

// NewSolo checks the options. It asks nothing of the store.
func NewSolo(o SoloOptions) (*Solo, error) {
	if o.Store == nil || o.Holder == "" {
		return nil, errors.New("cluster: a Solo needs a Store and a Holder")
	}
	if o.TTL == 0 {
		o.TTL = lease.DefaultTTL
	}
	if o.TTL < lease.LeastTTL {
		return nil, fmt.Errorf("cluster: the time to live of a lease is %s; the least is %s", o.TTL, lease.LeastTTL)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Grace <= 0 {
		o.Grace = 12 * time.Second
	}
	return &Solo{
		store: o.Store, log: o.Logger, holder: o.Holder, ttl: o.TTL, grace: o.Grace, random: rand.New(rand.NewPCG(o.Seed, 0x5010)),
		trust: lease.NewTrust("lease "+string(SoloScope), o.TTL), refused: make(chan error, 1),
	}, nil
}

// Run takes the lease, says that all shards are gained, and keeps it until ctx ends; then it waits until nothing is under way, and gives it up. It fails with store.ErrFenced when
// another process has the lease, or had it in between.
func (k *Solo) Run(ctx context.Context, work Work) error {
	got, err := k.acquire(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	all, shards := make([]store.Assignment, resource.Shards), make([]int, resource.Shards)
	for i := range all {
		all[i], shards[i] = store.Assignment{Shard: i, Node: store.NodeID(k.holder), Epoch: got.Epoch}, i
	}
	work.Gained(all, 0)
	err = k.until(ctx, work, shards, got)
	if errors.Is(err, store.ErrFenced) {
		k.mu.Lock()
		k.lost = true
		k.mu.Unlock()
		k.trust.Void(err)
		work.Lost(shards)
		return errors.Join(fmt.Errorf("another process has taken lease %s; this one stops: %w", SoloScope, err), k.release(ctx))
	}
	return errors.Join(err, k.release(ctx))
}

// until keeps the lease until ctx ends and nothing is under way any more, or the grace period is over. It fails with store.ErrFenced when the lease is lost before.
func (k *Solo) until(ctx context.Context, work Work, shards []int, got store.Lease) error {
	keeping, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case err := <-k.refused:
			stop(err)
		case <-keeping.Done():
		case <-ctx.Done():
			limited, cancel := context.WithTimeout(keeping, k.grace)
			defer cancel()
			if err := work.Release(limited, shards); err != nil {
				k.log.Warn("work does not end; the lease is given up all the same", "lease", string(SoloScope), "error", err)
			}
			stop(nil)
		}
	})
	err := k.keep(keeping, got)
	if cause := context.Cause(keeping); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	stop(nil)
	watching.Wait()
	return err
}

// Fence is that of the lease, for every shard.
func (k *Solo) Fence(int) (store.Fence, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return store.Fence{Scope: SoloScope, Epoch: k.lease.Epoch}, !k.sent.IsZero() && !k.lost
}

// Fenced notes that another process has the lease, which ends Run.
func (k *Solo) Fenced(_ store.Fence, why error) {
	select {
	case k.refused <- why:
	default: // told already
	}
}

// Skew is nothing: one process alone is right.
func (k *Solo) Skew() time.Duration { return 0 }

// Standby says who has the lease, when that is another process.
func (k *Solo) Standby() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sent.IsZero() && errors.Is(k.trouble, store.ErrHeld) {
		return k.trouble.Error()
	}
	return ""
}

// acquire waits until it has the lease. It fails when ctx ends, and with what no waiting can mend.
func (k *Solo) acquire(ctx context.Context) (store.Lease, error) {
	for failures := 1; ; failures++ {
		got, err := k.ask(ctx)
		switch {
		case err == nil:
			return got, nil
		case ctx.Err() != nil, !errors.Is(err, store.ErrHeld) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown):
			return store.Lease{}, err
		case !wait.For(ctx, lease.Backoff(k.ttl, failures, k.random)):
			return store.Lease{}, fmt.Errorf("acquire lease %s: %w", SoloScope, context.Cause(ctx))
		}
	}
}

// keep renews the lease until ctx ends, and then returns nil. It fails with store.ErrFenced when another process has the lease, or had it in between.
func (k *Solo) keep(ctx context.Context, mine store.Lease) error {
	k.mu.Lock()
	rest := time.Until(k.sent.Add(lease.Interval(k.ttl)))
	k.mu.Unlock()
	for failures := 0; wait.For(ctx, rest); {
		begun := time.Now()
		got, err := k.ask(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, store.ErrClosed): // the end of the feed tells the engine
			return nil
		case errors.Is(err, store.ErrHeld):
			return fmt.Errorf("%w: %w", store.ErrFenced, err)
		case err == nil && got.Epoch != mine.Epoch:
			return fmt.Errorf("%w: it was acquired at epoch %s, and when it was renewed it was at %s: somebody had it in between", store.ErrFenced, mine.Epoch, got.Epoch)
		case err == nil:
			failures, rest = 0, time.Until(begun.Add(lease.Interval(k.ttl)))
		default:
			failures++
			rest = lease.Backoff(k.ttl, failures, k.random)
		}
	}
	return nil
}

// ask makes one attempt to take or to renew the lease, and notes how it went.
func (k *Solo) ask(ctx context.Context) (store.Lease, error) {
	begun := time.Now()
	got, err := lease.Bounded(ctx, lease.Interval(k.ttl), func(ctx context.Context) (store.Lease, error) {
		return k.store.Acquire(ctx, SoloScope, k.holder, k.ttl)
	})
	if ctx.Err() == nil {
		k.say(err)
	}
	k.mu.Lock()
	if k.trouble = err; err == nil {
		k.lease, k.sent = got, begun
	}
	k.mu.Unlock()
	if err == nil {
		k.trust.Note(begun)
	} else {
		k.trust.Fail(err)
	}
	return got, err
}

// say tells the log what has changed: not every attempt.
func (k *Solo) say(err error) {
	was, is := reason(k.said), reason(err)
	k.said = err
	switch {
	case was == is:
	case err == nil:
		k.log.Info("the lease is held", "lease", string(SoloScope), "holder", k.holder)
	case errors.Is(err, store.ErrHeld):
		k.log.Warn("the lease is held by another", "lease", string(SoloScope), "error", err)
	default:
		k.log.Error("the lease cannot be acquired or renewed; it is tried again", "lease", string(SoloScope), "error", err)
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

// Trusted reports whether a call may be begun, and otherwise what is closed when that may have changed.
func (k *Solo) Trusted(int) (now bool, changed <-chan struct{}) { return k.trust.Trusted() }

// Problem describes what is wrong with the lease, nil when nothing is. To stand by is nothing.
func (k *Solo) Problem() error {
	k.mu.Lock()
	lost := k.lost
	k.mu.Unlock()
	switch {
	case lost:
		return fmt.Errorf("another process has taken lease %s", SoloScope)
	case k.Standby() != "":
		return nil
	}
	return k.trust.Problem()
}

// release gives the lease up, as it was given last: also one that came back at another epoch.
func (k *Solo) release(ctx context.Context) error {
	k.mu.Lock()
	mine := k.lease
	k.mu.Unlock()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.grace)
	defer cancel()
	return k.store.Release(limited, mine)
}
