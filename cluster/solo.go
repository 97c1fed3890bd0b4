package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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
// The lease is kept as every lease is, by a [lease.Keeper]; package lease says what trust in it means. A machine that sleeps stops the clock by which trust ends; then, and for a call that is under way at the end,
// there is the epoch that every call carries, and a subsystem that refuses a lower one.
type Solo struct {
	brake  *brake
	store  store.Store
	log    *slog.Logger
	holder string
	grace  time.Duration

	keeper  *lease.Keeper
	refused chan error // that a commit was refused

	fence atomic.Pointer[store.Fence] // nil while the lease is not held
	lost  atomic.Bool
	other atomic.Pointer[string] // who has the lease, as the last answer said; nil when it did not
}

// NewSolo checks the options. It asks nothing of the store.
func NewSolo(o SoloOptions) (*Solo, error) {
	if o.Store == nil || o.Holder == "" {
		return nil, errors.New("cluster: a Solo needs a Store and a Holder")
	}
	orDefault(&o.TTL, lease.DefaultTTL)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Grace <= 0 {
		o.Grace = 12 * time.Second
	}
	k := &Solo{brake: newBrake(o.Logger), store: o.Store, log: o.Logger, holder: o.Holder, grace: o.Grace, refused: make(chan error, 1)}
	keeper, err := lease.NewKeeper(heard{o.Store, k}, SoloScope, lease.Options{
		Holder: o.Holder, TTL: o.TTL, Logger: o.Logger, Seed: cmp.Or(o.Seed, 0x5010), // 0 would be a random one
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	k.keeper = keeper
	return k, nil
}

// heard is the store's leases, and notes for a Solo which other process has its lease.
type heard struct {
	lease.Leases
	solo *Solo
}

func (h heard) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	got, err := h.Leases.Acquire(ctx, scope, holder, ttl)
	var other *string
	if errors.Is(err, store.ErrHeld) {
		said := err.Error()
		other = &said
	}
	h.solo.other.Store(other)
	return got, err
}

// Run takes the lease, says that all shards are gained, and keeps it until ctx ends; then it waits until nothing is under way, and gives it up. It fails with store.ErrFenced when
// another process has the lease, or had it in between.
func (k *Solo) Run(ctx context.Context, work Work) error {
	defer k.brake.follow(ctx, k.store)()
	epoch, err := k.keeper.Acquire(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("acquire lease %s: %w", SoloScope, err)
	}
	k.fence.Store(&store.Fence{Scope: SoloScope, Epoch: epoch})
	all, shards := make([]store.Assignment, resource.Shards), make([]int, resource.Shards)
	for i := range all {
		all[i], shards[i] = store.Assignment{Shard: i, Node: store.NodeID(k.holder), Epoch: epoch}, i
	}
	work.Gained(all, 0)
	err = k.until(ctx, work, shards)
	if errors.Is(err, store.ErrFenced) {
		k.lost.Store(true)
		k.fence.Store(nil)
		k.keeper.Trust().Void(err)
		work.Lost(shards)
		return errors.Join(fmt.Errorf("another process has taken lease %s; this one stops: %w", SoloScope, err), k.release(ctx))
	}
	return errors.Join(err, k.release(ctx))
}

// until keeps the lease until ctx ends and nothing is under way any more, or the grace period is over. It fails with store.ErrFenced when the lease is lost before.
func (k *Solo) until(ctx context.Context, work Work, shards []int) error {
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
	err := k.keeper.Keep(keeping)
	if errors.Is(err, store.ErrClosed) {
		err = nil // the end of the feed tells the engine
	}
	if cause := context.Cause(keeping); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	stop(nil)
	watching.Wait()
	return err
}

// release gives the lease up.
func (k *Solo) release(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.grace)
	defer cancel()
	return k.keeper.Release(limited)
}

// Fence is that of the lease, for every shard.
func (k *Solo) Fence(int) (store.Fence, bool) {
	if f := k.fence.Load(); f != nil {
		return *f, true
	}
	return store.Fence{Scope: SoloScope}, false
}

// Fenced notes that another process has the lease, which ends Run.
func (k *Solo) Fenced(_ store.Fence, why error) {
	select {
	case k.refused <- why:
	default: // told already
	}
}

// Trusted reports whether a call may be begun, and otherwise what is closed when that may have changed.
func (k *Solo) Trusted(int) (now bool, changed <-chan struct{}) { return k.keeper.Trust().Trusted() }

// TakeUpPaused says until when what was gained waits to be taken up: the store is asked for that when it has changed, if it knows of pauses.
func (k *Solo) TakeUpPaused() (until time.Time, changed <-chan struct{}) { return k.brake.holds() }

// Skew is nothing: one process alone is right.
func (k *Solo) Skew() time.Duration { return 0 }

// Standby says who has the lease, when that is another process.
func (k *Solo) Standby() string {
	if other := k.other.Load(); other != nil && k.fence.Load() == nil && !k.lost.Load() {
		return *other
	}
	return ""
}

// Problem describes what is wrong with the lease, nil when nothing is. To stand by is nothing.
func (k *Solo) Problem() error {
	switch {
	case k.lost.Load():
		return fmt.Errorf("another process has taken lease %s", SoloScope)
	case k.Standby() != "":
		return nil
	}
	return k.keeper.Trust().Problem()
}
