package cluster

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/store"
)

// untold is after which time somebody who waits for a first word of the database asks again whether it has come, if he is not told. Without that word nothing can be committed either.
const untold = 10 * time.Second

// brake is what a process knows of the pause of the take-up. The database tells how long one lasts still, and from then on this process's monotonic clock counts: so a pause ends
// in time also while the database is away. Its methods may be called concurrently.
type brake struct {
	log *slog.Logger

	mu      sync.Mutex
	told    bool
	pause   store.Pause
	until   time.Time     // by this process's clock; in the past when there is no pause
	changed chan struct{} // closed, and replaced, when there is news
}

func newBrake(log *slog.Logger) *brake { return &brake{log: log, changed: make(chan struct{})} }

// learn notes what the database has just said.
func (b *brake) learn(p store.Pause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, until := b.pause, time.Now().Add(p.Left)
	shift := until.Sub(b.until).Abs() > time.Second && p.On()
	news := !b.told || shift || p.On() != was.On() || p.By != was.By || !p.Until.Equal(was.Until)
	b.told, b.pause, b.until = true, p, until
	if !news {
		return
	}
	close(b.changed)
	b.changed = make(chan struct{})
	switch {
	case p.On():
		b.log.Warn("the take-up is paused; what changes is worked on", "by", p.By, "until", p.Until)
	case was.On():
		b.log.Info("the pause of the take-up is over", "by", was.By, "since", was.Since)
	}
}

// holds says until when the taking up of what was gained has to wait, and what is closed when that may have changed. See [Owner].
func (b *brake) holds() (until time.Time, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.told {
		return time.Now().Add(untold), b.changed
	}
	return b.until, b.changed
}

// follow begins to learn from a store, which is asked when it says that something has changed, and at the end of a pause. One that knows of no pauses has none. The caller ends it, which waits until it has ended.
func (b *brake) follow(ctx context.Context, st store.Store) (end func()) {
	s, ok := st.(store.Sharded)
	if !ok {
		b.learn(store.Pause{})
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	moves := s.Moves()
	var following sync.WaitGroup
	following.Go(func() {
		for b.ask(ctx, s) && b.await(ctx, moves) {
		}
	})
	return func() {
		cancel()
		following.Wait()
	}
}

// ask learns once. It is false when ctx ends before, and when the store is closed.
func (b *brake) ask(ctx context.Context, s store.Sharded) bool {
	random := rand.New(rand.NewPCG(0xb4a6e, 0))
	for failures := 1; ; failures++ {
		p, err := lease.Bounded(ctx, lease.Interval(lease.DefaultTTL), s.Paused)
		switch {
		case err == nil:
			b.learn(p)
			return true
		case ctx.Err() != nil, errors.Is(err, store.ErrClosed):
			return false
		case failures == 1:
			b.log.Warn("whether the take-up is paused cannot be read; it is tried again", "error", err)
		}
		if !wait.For(ctx, lease.Backoff(lease.DefaultTTL, failures, random)) {
			return false
		}
	}
}

// await returns true when it is to be asked again.
func (b *brake) await(ctx context.Context, moves <-chan struct{}) bool {
	b.mu.Lock()
	rest, paused := time.Until(b.until), b.pause.On()
	b.mu.Unlock()
	var over <-chan time.Time
	if paused {
		timer := time.NewTimer(max(rest, time.Millisecond))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-moves:
	case <-over:
	case <-ctx.Done():
		return false
	}
	return true
}
