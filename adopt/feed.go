package adopt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
)

// idle is how long a source that says nothing without having waited is left alone.
const idle = time.Second

// position is how far a controller has followed its source.
type position struct {
	at      Cursor
	scanned bool // false: at means nothing, scan first
}

// follow scans, then follows the changes, until ctx ends. Whatever fails is tried again, with backoff.
func (c *Controller[ID, Row]) follow(ctx context.Context) {
	random := rand.New(rand.NewPCG(c.options.Seed, 2))
	var p position
	for failed := 0; ctx.Err() == nil; {
		scanning := !p.scanned
		pause, err := c.advance(ctx, &p)
		if ctx.Err() != nil {
			return
		}
		c.healthy(err)
		switch {
		case err != nil:
			failed++
			pause = command.Backoff(c.options.Base, min(c.options.Cap, sourceCap), failed, random)
		case !scanning:
			failed = 0 // not after a scan: a source that forgets as fast as it is scanned is not scanned without end
		}
		c.pause(ctx, pause, err == nil)
	}
}

// advance takes one step, and says how long to wait before the next.
func (c *Controller[ID, Row]) advance(ctx context.Context, p *position) (pause time.Duration, err error) {
	if !p.scanned {
		p.at, err = c.scan(ctx)
		p.scanned = err == nil
		return 0, err
	}
	next, pause, err := c.changes(ctx, p.at)
	p.at, p.scanned = next, !errors.Is(err, ErrGap)
	return pause, err
}

// pause waits, and not for long if told to look.
func (c *Controller[ID, Row]) pause(ctx context.Context, d time.Duration, look bool) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	hint := c.look
	if !look {
		hint = nil
	}
	select {
	case <-timer.C:
	case <-hint:
	case <-ctx.Done():
	}
}

// scan queues every row. What is already reported as changed goes first.
func (c *Controller[ID, Row]) scan(ctx context.Context) (at Cursor, err error) {
	defer contain(&err)
	c.counts.scans.Add(1)
	at, err = c.options.Source.Scan(ctx, func(id ID) { c.queue.Add(id, queue.Wake{Priority: queue.Background}) })
	if err != nil {
		return "", fmt.Errorf("scan the source: %w", err)
	}
	select {
	case <-c.loaded:
	default:
		close(c.loaded)
	}
	return at, nil
}

// changes asks once, wakes the rows that somebody else has changed, and says how long to wait before asking again.
func (c *Controller[ID, Row]) changes(ctx context.Context, after Cursor) (at Cursor, pause time.Duration, err error) {
	at = after
	defer contain(&err)
	batch, err := c.options.Source.Changes(ctx, after)
	if err != nil {
		return after, 0, fmt.Errorf("ask the source for changes after %q: %w", after, err)
	}
	c.wake(batch.Changes)
	switch {
	case len(batch.Changes) > 0 && batch.Next == after:
		return after, 0, fmt.Errorf("the source reports %d changes after %q and names no later position to go on from; set Batch.Next", len(batch.Changes), after)
	case c.options.Interval > 0:
		return batch.Next, c.options.Interval, nil
	case len(batch.Changes) == 0:
		return batch.Next, idle, nil
	}
	return batch.Next, 0, nil
}

// wake queues the rows whose change no turn has seen.
func (c *Controller[ID, Row]) wake(changes []Change[ID]) {
	wakes := make([]queue.Request[ID], 0, len(changes))
	for _, change := range changes {
		if c.memory.reported(change) {
			wakes = append(wakes, queue.Request[ID]{Key: change.ID, Wake: queue.Wake{Change: true}})
		} else {
			c.counts.echoes.Add(1)
		}
	}
	c.queue.AddMany(wakes)
}

// contain turns a panic of a source into an error.
func contain(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic in the source: %v", p)
	}
}
