package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// commit writes on behalf of this engine about some objects: fenced with the epochs of their shards.
func (e *Engine) commit(ctx context.Context, tx store.Transaction, about ...resource.Key) (store.Receipt, error) {
	for _, key := range about {
		fence, mine := e.owner.Fence(shardOf(key))
		switch {
		case !mine:
			return store.Receipt{}, fmt.Errorf("commit about %s: %w: shard %d is not this process's any more", key, store.ErrFenced, shardOf(key))
		case !slices.Contains(tx.Fences, fence):
			tx.Fences = append(tx.Fences, fence)
		}
	}
	r, err := e.store.Commit(ctx, tx)
	e.meter.Commit(err)
	if err == nil || ctx.Err() == nil {
		e.note(err)
	}
	switch {
	case err == nil:
		e.view.Announce(r.Revision)
	case errors.Is(err, store.ErrUnknown):
		e.doubt.raised.Add(1)
	case errors.Is(err, store.ErrFenced):
		for _, f := range tx.Fences {
			e.owner.Fenced(f, err)
		}
	}
	return r, err
}

// note remembers how commits go, and tells the log when that changes: one line for an outage, and not one for each object.
func (e *Engine) note(err error) {
	if err == nil || errors.Is(err, store.ErrConflict) {
		e.outage.answers.Add(1)
	}
	began, ended := e.health.committed(err)
	switch {
	case began:
		e.log.Error("commits fail; they are repeated until they succeed", "error", err)
	case ended > 0:
		e.log.Info("commits succeed again", "after", ended.Round(time.Millisecond))
	}
}

// catchUp waits until the view has applied what a conflict was with, and reports whether it is worth trying again at once. read is the revision that
// the loser had read. A conflict with something that is gone does not say when it went: then it is worth trying if the view has moved on.
func (e *Engine) catchUp(ctx context.Context, err error, read resource.Revision) bool {
	var conflict *store.CommitError
	if !errors.As(err, &conflict) || conflict.Actual == 0 {
		return e.view.Revision() > read
	}
	return e.view.WaitFor(ctx, conflict.Actual) == nil
}

// policy returns how an adapter's commands are repeated.
func (e *Engine) policy(a command.AdapterName) command.Policy {
	if d := e.dispatchers[a]; d != nil {
		return d.policy
	}
	return command.Policy{}.WithDefaults()
}

// now is the time as it is stored: UTC, microseconds, no monotonic reading, so that it survives being written and read. Where several processes share a store it is the store's, as
// far as it is known: what one of them means to do in a second must not wait until the clock of the next one has caught up with its own.
func (e *Engine) now() time.Time {
	return time.Now().Add(-e.owner.Skew()).UTC().Truncate(time.Microsecond)
}

// Now is the time by which moments are stored.
func (e *Engine) Now() time.Time { return e.now() }

// here is a stored moment by this process's clock, by which queues wait. The zero moment stays what it is.
func (e *Engine) here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(e.owner.Skew())
}

// stored rounds a moment in the future up to what the store keeps, so that it is never waited for in vain: a time that is due by the
// clock is due by [Engine.now] as well.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Microsecond - 1).UTC().Truncate(time.Microsecond)
}
