package control

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/store"
)

// resultPatience is how often the commit of a result is repeated although other commits succeed.
const resultPatience = 8

// settle commits what an attempt came to, in one commit with the owner's next turn where nobody else is at work on it. While the database is away it does
// not give up: what was done outside is known here only, and a worker that waits begins nothing new, so that there are never more such results
// than workers.
func (d *dispatcher) settle(ctx context.Context, c command.Command, r command.Result) error {
	next, event := d.after(c, r)
	patience := d.engine.patience(resultPatience, math.MaxInt)
	l := d.engine.loops[c.Controller]
	if l != nil && event == nil {
		d.turn(ctx, l, next)
	}
	for {
		err := d.record(ctx, next, event)
		if err == nil || !away(err) && !errors.Is(err, store.ErrConflict) || !patience.wait(ctx, nil) {
			return err
		}
	}
}

// turnPause is how long a result waits for a turn of its owner that is under way: they call nothing, and most end with a commit.
const turnPause = time.Second

// turn runs the owner's next turn with a result, so that both are one commit, unless the turn before it takes too long.
func (d *dispatcher) turn(ctx context.Context, l *loop, c command.Command) {
	limited, cancel := context.WithTimeout(ctx, turnPause)
	defer cancel()
	if item, free := l.queue.Acquire(limited, c.Object); free {
		l.queue.Done(item.Key, l.turn(ctx, job{key: item.Key, result: &c, crew: d.crew}))
	}
}

// record commits a result by itself, unless a turn has taken it along or a newer wish has replaced the command.
func (d *dispatcher) record(ctx context.Context, c command.Command, event *store.Event) error {
	for range conflictLimit {
		if err := d.engine.settle(ctx); err != nil {
			return err
		}
		snapshot := d.engine.view.Snapshot()
		read, pending := snapshot.Revision(), current(snapshot, &c)
		snapshot.Close()
		if !pending {
			return nil
		}
		tx := store.Transaction{
			Writer:   store.Writer{Name: "adapter/" + string(d.name)},
			Cause:    store.Cause{Text: "result of " + c.Slot.String()},
			Commands: []store.CommandWrite{{Expect: c.Revision, Command: c}},
		}
		if event != nil {
			tx.Events = []store.Event{*event}
		}
		receipt, err := d.engine.commit(ctx, tx, d.about(&c)...)
		switch {
		case err == nil:
			return d.engine.view.WaitFor(ctx, receipt.Revision)
		case errors.Is(err, store.ErrTooLarge) && len(c.Result) > 0:
			c, event = d.oversized(c)
		case !errors.Is(err, store.ErrConflict) || !d.engine.catchUp(ctx, err, read):
			return err
		}
	}
	return store.ErrConflict
}

// oversized is a command whose answer the store does not take: it is paused, since sending it again would bring the same answer.
func (d *dispatcher) oversized(c command.Command) (command.Command, *store.Event) {
	c.Message = fmt.Sprintf("its answer of %d bytes is more than the store takes; make the adapter answer less", len(c.Result))
	c.Phase, c.Class, c.Result, c.Unknown = command.Refused, command.Terminal, nil, true // it has been done
	return c, d.event(c, "CommandRefused")
}

// current reports whether the row that a result is for is still the one in the snapshot: the same intent, not yet settled
// since the attempt began.
func current(s snapshotReader, c *command.Command) bool {
	row, ok := s.Command(c.Slot)
	return ok && row.Token == c.Token && row.Revision == c.Revision
}

type snapshotReader interface {
	Command(command.Slot) (*command.Command, bool)
}
