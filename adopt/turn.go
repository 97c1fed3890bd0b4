package adopt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
)

// work takes rows until the queue is closed, or another worker has taken this one's place.
func (c *Controller[ID, Row]) work(ctx context.Context) {
	for {
		item, ok := c.queue.Next(ctx)
		if !ok {
			return
		}
		replaced := c.guard(ctx, item.Key)
		c.queue.Done(item.Key, c.turn(ctx, item))
		if replaced() {
			return
		}
	}
}

// guard watches a turn that may not return though its context has ended: another worker then takes over the rest of the rows, so
// that a service which hangs stops nobody else's row. Stand-ins are as many as workers, at most. The function
// it returns ends the watch, and tells whether the worker was replaced.
func (c *Controller[ID, Row]) guard(ctx context.Context, id ID) (replaced func() bool) {
	var spare atomic.Bool
	watched := make(chan struct{})
	watch := time.AfterFunc(2*c.options.Timeout, func() {
		defer close(watched)
		c.options.Logger.Error("a turn does not return though its context has ended; make its calls end with the context",
			"controller", c.options.Name, "row", id, "timeout", c.options.Timeout)
		select {
		case c.spares <- struct{}{}:
			spare.Store(true)
			c.workers.Go(func() { c.work(ctx) })
		default:
		}
	})
	return func() bool {
		if watch.Stop() {
			return false
		}
		<-watched
		if spare.Load() {
			<-c.spares
		}
		return spare.Load()
	}
}

// turn works on one row until its outcome is known.
func (c *Controller[ID, Row]) turn(ctx context.Context, item queue.Item[ID]) queue.Verdict {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.memory.begin(item.Key)
	o := c.settle(ctx, item)
	c.record(item, o, time.Since(begun))
	verdict := c.verdict(o, c.memory.stands(item.Key, o, time.Now()))
	if c.memory.end(item.Key) {
		c.queue.Add(item.Key, queue.Wake{Change: true})
	}
	return verdict
}

// conflictLimit is how often a row is compared again at once after a conflict, before it has to queue again.
const conflictLimit = 8

var errContended = errors.New("the row was changed during each of several steps in a row")

func (c *Controller[ID, Row]) settle(ctx context.Context, item queue.Item[ID]) Outcome {
	for range conflictLimit {
		o, again := c.once(ctx, item)
		if !again {
			return o
		}
		c.counts.conflicts.Add(1)
		c.options.Meter.Conflict(c.options.Name)
	}
	return Fail(fmt.Errorf("controller %s: row %v: %w", c.options.Name, item.Key, errContended))
}

// once loads the row and runs the author's function. A panic fails this row only.
func (c *Controller[ID, Row]) once(ctx context.Context, item queue.Item[ID]) (o Outcome, again bool) {
	defer func() {
		if p := recover(); p != nil {
			c.options.Logger.Error("panic in a controller", "controller", c.options.Name, "row", item.Key, "panic", p, "stack", string(debug.Stack()))
			o, again = Fail(fmt.Errorf("panic in controller %s: %v", c.options.Name, p)), false
		}
	}()
	row, version, err := c.options.Source.Load(ctx, item.Key)
	switch {
	case errors.Is(err, ErrGone):
		return Done(), false
	case err != nil:
		return Fail(fmt.Errorf("controller %s: load row %v: %w", c.options.Name, item.Key, err)), false
	}
	c.memory.loaded(item.Key, version)
	step := &Step[ID, Row]{Row: row, id: item.Key, attempts: item.Attempts, stored: row, version: version, controller: c}
	return step.finish(c.options.Reconcile(ctx, step))
}

func (c *Controller[ID, Row]) record(item queue.Item[ID], o Outcome, took time.Duration) {
	c.counts.turns.Add(1)
	c.options.Meter.Turn(c.options.Name, o.Kind(), string(o.Class()), took)
	if o.Kind() == "fail" {
		c.counts.failures.Add(1)
		c.options.Logger.Warn("a turn failed", "controller", c.options.Name, "row", item.Key, "attempts", item.Attempts+1, "class", o.Class(), "error", o.Message())
	}
}

// verdict tells the queue how the turn ended and when to look again.
func (c *Controller[ID, Row]) verdict(o Outcome, due time.Time) queue.Verdict {
	v := queue.Verdict{End: queue.Waiting, Due: due}
	switch {
	case o.AtRest():
		v.End = queue.Succeeded
	case o.Class() == command.Throttled && !due.IsZero():
		v.End = queue.Throttled
	case o.Kind() == "fail" && !o.Terminal():
		v.End = queue.Failed
	}
	return v
}
