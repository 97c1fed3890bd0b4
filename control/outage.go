package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// The waits between the repetitions of a commit while the database is away. They grow with the outage, which all workers share: one that comes upon it late does
// not begin with short waits again.
const (
	outageBase = 100 * time.Millisecond
	outageCap  = 5 * time.Second
)

// outage is what all workers share while the database is away.
type outage struct {
	// answers counts the commits that the database has answered. One that fails while it moves has a trouble of its own.
	answers atomic.Uint64
	mu      sync.Mutex
	random  *rand.Rand
}

// backoff is the wait after so many failures of one worker, when all have been failing for a time.
func (o *outage) backoff(failures int, since time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	window := min(max(outageBase, since), outageCap)
	return max(command.Backoff(window, window, 1, o.random), command.Backoff(outageBase, outageCap, failures, o.random))
}

// away reports whether a commit failed because the database is away, or may be.
func away(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown)
}

// told reports whether an error is everybody's and has been told once, so that each worker need not.
func told(err error) bool {
	return away(err) || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrClosed) || errors.Is(err, view.ErrStopped)
}

// patience is one worker's wait for the database. Workers keep what they are at for a while when all commits fail: so the load on a database that is away is
// bounded by the number of workers and not by that of objects, and when it is back everything is taken up again within the greatest wait.
type patience struct {
	engine   *Engine
	answers  uint64
	failures int
	// least is how often a commit is repeated although others succeed, most how often when none does.
	least, most int
}

// wait returns true after a while, when the commit that failed is worth another attempt by the same worker. It is false when others succeed or the attempts
// are used up, and when ctx ends or stop is closed.
func (p *patience) wait(ctx context.Context, stop <-chan struct{}) bool {
	p.failures++
	answers := p.engine.outage.answers.Load()
	alone := answers != p.answers
	p.answers = answers
	if alone && p.failures > p.least || p.failures > p.most {
		return false
	}
	timer := time.NewTimer(p.engine.outage.backoff(p.failures, p.engine.health.failingFor()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	}
}

// patience begins to wait with what has been answered so far.
func (e *Engine) patience(least, most int) *patience {
	return &patience{engine: e, answers: e.outage.answers.Load(), least: least, most: most}
}

// doubt counts the commits of which nobody knows whether they were made.
type doubt struct {
	raised, settled atomic.Uint64
	asking          chan struct{} // held by who finds out
}

// settle returns when the view shows what became of the commits whose end is unknown: nothing may be decided before, because what does not depend on a
// version (a signal raised, a remark recorded) would be done twice. It asks the store with a commit that writes nothing, which comes after all others and
// says which commit is the last.
func (e *Engine) settle(ctx context.Context) error {
	d := &e.doubt
	if d.raised.Load() == d.settled.Load() {
		return nil
	}
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		return fmt.Errorf("settle a commit whose end is unknown: %w", context.Cause(ctx))
	}
	raised := d.raised.Load()
	if raised == d.settled.Load() {
		return nil
	}
	if err := e.current(ctx, "engine", "what became of the last commit"); err != nil {
		return fmt.Errorf("settle a commit whose end is unknown: %w", err)
	}
	d.settled.Store(raised)
	return nil
}
