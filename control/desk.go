package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// observe runs an adapter's observer until ctx ends, as soon as there are shards to observe for. When more are gained it is started anew, because what it was told before, nobody here
// has recorded for them. One that panics or returns early is started again, with backoff.
func (d *dispatcher) observe(ctx context.Context, o command.Observer) {
	gains, ok := d.engine.shards.gained(ctx, 0)
	for failures := 1; ok; failures++ {
		begun := time.Now()
		limited, more := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() {
			defer more()
			gains, _ = d.engine.shards.gained(limited, gains)
		})
		err := d.observeOnce(limited, o)
		again := limited.Err() != nil
		more()
		watching.Wait()
		switch {
		case ctx.Err() != nil:
			return
		case again:
			failures = 0
			continue
		}
		if time.Since(begun) > d.policy.Cap {
			failures = 1 // it worked for a while: this is another trouble
		}
		d.mu.Lock()
		rest := command.Backoff(d.policy.Base, d.policy.Cap, failures, d.random)
		d.mu.Unlock()
		d.engine.log.Error("an observer ended and is started again", "adapter", d.name, "error", err, "in", rest)
		if !wait.For(ctx, rest) {
			return
		}
	}
}

func (d *dispatcher) observeOnce(ctx context.Context, o command.Observer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the observer of adapter %s: %v", d.name, p)
		}
	}()
	return o.Observe(ctx, desk{d})
}

// desk is a dispatcher as an observer sees it. Beside what every [command.Desk] does it says how things stand with the plane, to who teaches a subsystem that has lost its memory (package
// adapter/subsystem, Fenced and Current).
type desk struct{ d *dispatcher }

// Expected lists what is acknowledged and not withdrawn.
func (k desk) Expected(destination string) []command.Expectation {
	return k.d.engine.view.Expected(k.d.name, destination)
}

// Current returns when the view shows everything that was committed before it was called.
func (k desk) Current(ctx context.Context) error {
	return k.d.engine.current(ctx, "adapter/"+string(k.d.name), "what is expected of adapter "+string(k.d.name)+" now")
}

// Epoch is that under which the engine works on everything, zero when it has one for each shard.
func (k desk) Epoch() resource.Epoch {
	if f, mine := k.d.engine.owner.Fence(0); mine && f.Scope == cluster.SoloScope {
		return f.Epoch
	}
	return resource.Epoch{}
}

// lossBatch bounds how many losses one commit records.
const lossBatch = 64

// Lost records losses, so that the owners' turns decide what follows. Each commit takes along what it can: one that has
// changed meanwhile does not hold up the others.
func (k desk) Lost(ctx context.Context, losses []command.Loss) error {
	byToken := make(map[command.Token]string, len(losses))
	for _, l := range losses {
		byToken[l.Token] = l.Reason
	}
	lost := k.d.match(byToken)
	for len(lost) > 0 {
		n := min(lossBatch, len(lost))
		if err := k.d.recordLosses(ctx, lost[:n], byToken); err != nil {
			return err
		}
		lost = lost[n:]
	}
	return nil
}

// match finds the acknowledged commands of some tokens. The loss of one whose acknowledgement is not committed yet is kept until it is:
// [dispatcher.follow] then wakes its unit, and [dispatcher.recordEarly] records it.
func (d *dispatcher) match(byToken map[command.Token]string) []command.Command {
	d.mu.Lock()
	defer d.mu.Unlock()
	snapshot := d.engine.view.Snapshot()
	defer snapshot.Close()
	var lost []command.Command
	for c := range snapshot.Expected(d.name, "") {
		if _, ok := byToken[c.Token]; ok && d.mine(c) {
			lost = append(lost, *c)
		}
	}
	for slot := range d.unitOf {
		if c, ok := snapshot.Command(slot); ok && c.Phase.Open() && d.mine(c) {
			if reason, ok := byToken[c.Token]; ok {
				d.early[slot] = command.Loss{Key: c.Key, Token: c.Token, Reason: reason}
			}
		}
	}
	return lost
}

// recordEarly records the losses of a unit that came before their acknowledgements, which are committed by now.
func (d *dispatcher) recordEarly(ctx context.Context, unit string) error {
	reasons := map[command.Token]string{}
	var lost []command.Command
	d.mu.Lock()
	snapshot := d.engine.view.Snapshot()
	for slot, loss := range d.early {
		c, ok := snapshot.Command(slot)
		if !ok || !d.mine(c) {
			delete(d.early, slot) // who works on it now hears of it too
			continue
		}
		if c.Unit == unit && c.Token == loss.Token && c.Phase == command.Done {
			lost, reasons[c.Token] = append(lost, *c), loss.Reason
		}
	}
	snapshot.Close()
	d.mu.Unlock()
	if len(lost) == 0 {
		return nil
	}
	return d.recordLosses(ctx, lost, reasons)
}

func (d *dispatcher) recordLosses(ctx context.Context, lost []command.Command, reasons map[command.Token]string) error {
	tx := store.Transaction{
		Writer: store.Writer{Name: "adapter/" + string(d.name)},
		Cause:  store.Cause{Text: fmt.Sprintf("%d effects no longer hold", len(lost))},
	}
	now := d.engine.now()
	var about []resource.Key
	for _, c := range lost {
		about = append(about, d.about(&c)...)
		if now.Sub(c.Changed) > repairPause {
			c.Losses = 0
		}
		c.Phase, c.Losses, c.Message, c.Changed = command.Lost, c.Losses+1, clip(reasons[c.Token]), now
		tx.Commands = append(tx.Commands, store.CommandWrite{Expect: c.Revision, Command: c})
	}
	receipt, err := d.engine.commit(ctx, tx, about...)
	switch {
	case err == nil:
		return d.engine.view.WaitFor(ctx, receipt.Revision)
	case !errors.Is(err, store.ErrConflict):
		return fmt.Errorf("adapter %s: record %d losses: %w", d.name, len(lost), err)
	case len(lost) == 1:
		return d.retryLoss(ctx, lost[0], reasons, err)
	}
	for i := range lost {
		if err := d.recordLosses(ctx, lost[i:i+1], reasons); err != nil {
			return err
		}
	}
	return nil
}

// retryLoss looks again at a command that changed while its loss was being recorded, once the view shows how. One that is gone cannot be lost.
func (d *dispatcher) retryLoss(ctx context.Context, c command.Command, reasons map[command.Token]string, conflict error) error {
	var with *store.CommitError
	if !errors.As(conflict, &with) || with.Actual == 0 {
		return nil
	}
	if err := d.engine.view.WaitFor(ctx, with.Actual); err != nil {
		return err
	}
	again := d.match(map[command.Token]string{c.Token: reasons[c.Token]})
	if len(again) == 0 {
		return nil
	}
	return d.recordLosses(ctx, again, reasons)
}
