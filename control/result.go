package control

import (
	"cmp"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/store"
)

// after is the command as an attempt leaves it, with the event to record when it is given up.
func (d *dispatcher) after(c command.Command, r command.Result) (command.Command, *store.Event) {
	now := d.engine.now()
	// What an earlier attempt may have done, a refusal does not take back.
	doubtful := c.Unknown || c.Message != "" || c.Phase == command.Accepted
	c.Changed, c.Unknown, c.Class, c.Message = now, false, r.Class, clip(r.Message)
	switch r.Outcome {
	case command.OutcomeDone:
		c.Phase, c.Result, c.Handle, c.Class, c.Message, c.Attempt = command.Done, r.Body, "", "", "", c.Attempt+1
		return c, nil
	case command.OutcomeAccepted:
		c.Phase, c.Handle, c.Class = command.Accepted, r.Handle, ""
		c.NotBefore = stored(now.Add(max(r.RetryAfter, d.poll(now.Sub(c.Created)))))
		return c, nil
	case command.OutcomeRefused:
		switch r.Class {
		case command.Terminal:
			c.Phase, c.Attempt, c.Unknown = command.Refused, c.Attempt+1, doubtful
			return c, d.event(c, "CommandRefused")
		case command.Stale:
			// Something newer has been there. If we are still the owner, the owner's turn asks anew, under a higher intent.
			c.Phase, c.Losses = command.Lost, c.Losses+1
			return c, nil
		}
	case command.OutcomeFailed:
	default:
		c.Unknown, c.Class = true, command.Ambiguous
	}
	return d.again(c, r, now)
}

// poll is the wait before what is still going on is asked about again when the subsystem gave no hint: an eighth of the time it has taken so far.
func (d *dispatcher) poll(taken time.Duration) time.Duration {
	return min(max(taken/8, d.policy.Base), d.policy.Cap)
}

// again schedules the next attempt, or gives up when the policy is used up.
func (d *dispatcher) again(c command.Command, r command.Result, now time.Time) (command.Command, *store.Event) {
	c.Phase = command.Pending
	if c.Class == "" {
		c.Class = command.Retry
	}
	if c.Message == "" {
		c.Message = "the attempt ended as " + cmp.Or(string(r.Outcome), "unknown") + ", without a message"
	}
	if c.Class != command.Throttled {
		c.Attempt++
	}
	if d.policy.Exhausted(c.Attempt, c.Created, now) {
		c.Phase = command.Exhausted
		return c, d.event(c, "CommandExhausted")
	}
	d.mu.Lock()
	backoff := d.policy.Backoff(max(1, c.Attempt), d.random)
	d.mu.Unlock()
	if c.Class == command.Throttled { // costs no attempt, so that the attempts say nothing of how long it has been going on
		backoff = max(backoff, d.poll(now.Sub(c.Created)))
	}
	c.NotBefore = stored(now.Add(max(backoff, r.RetryAfter)))
	return c, nil
}

func (d *dispatcher) event(c command.Command, reason string) *store.Event {
	return &store.Event{
		Object: c.Object, UID: c.Owner, Kind: "Warning", Reason: reason,
		Message: clip(fmt.Sprintf("%s after %d attempts: %s", c.Slot, c.Attempt, c.Message)),
	}
}

// messageLimit bounds, in bytes, what others say in one message: it is stored with every version of an object and shown on a screen.
const messageLimit = 2048

// clip shortens a message that is too long, between two characters, and makes it text.
func clip(s string) string { return legible.Clip(s, messageLimit) }
