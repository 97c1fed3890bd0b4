package sqlite

import (
	"slices"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// addDependents puts into the batch what goes with the objects that go: their commands, signals and timers, those that this very transaction writes
// included. A reader of the feed therefore needs no rule about removal.
func (w *writer) addDependents(c *change) (*store.CommitError, error) {
	if len(c.removed) == 0 {
		return nil, nil
	}
	c.batch.Commands = slices.Clone(c.batch.Commands)
	c.batch.Consumed = slices.Clone(c.batch.Consumed)
	for _, uid := range c.removed {
		c.dropOwn(uid)
		for _, add := range []func(*change, resource.UID) error{w.addCommands, w.addSignals, w.addTimers} {
			if err := add(c, uid); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// dropOwn marks what the transaction itself writes for an object that it removes: it is in the feed as coming and going at once.
func (c *change) dropOwn(uid resource.UID) {
	for i := range c.batch.Commands {
		if c.batch.Commands[i].Command.Owner == uid {
			c.batch.Commands[i].Removed = true
		}
	}
	for i := range c.batch.Raised {
		if c.batch.Raised[i].UID == uid {
			c.batch.Consumed = append(c.batch.Consumed, c.batch.Raised[i].ID)
		}
	}
	for i := range c.batch.Timers {
		if c.batch.Timers[i].UID == uid {
			c.batch.Timers[i].Due = codec.Time(0)
		}
	}
}

func (w *writer) addCommands(c *change, uid resource.UID) error {
	q := w.q.commandsOf
	return q.bindText(string(uid)).each(func() error {
		cmd, err := codec.Command(q.bytes(0), c.rev)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(c.batch.Commands, func(have store.CommandChange) bool { return have.Command.Slot == cmd.Slot }) {
			c.batch.Commands = append(c.batch.Commands, store.CommandChange{Command: cmd, Removed: true})
		}
		return nil
	})
}

func (w *writer) addSignals(c *change, uid resource.UID) error {
	q := w.q.signalsOf
	return q.bindText(string(uid)).each(func() error {
		if id := store.SignalID(q.int(0)); !slices.Contains(c.batch.Consumed, id) {
			c.batch.Consumed = append(c.batch.Consumed, id)
		}
		return nil
	})
}

func (w *writer) addTimers(c *change, uid resource.UID) error {
	q := w.q.timersOf
	return q.bindText(string(uid)).each(func() error {
		t := store.Timer{Controller: q.text(0), Object: resource.Key{Kind: resource.KindID(q.text(1)), Namespace: resource.Namespace(q.text(2)), Name: resource.Name(q.text(3))}, UID: uid}
		if !slices.ContainsFunc(c.batch.Timers, func(have store.Timer) bool { return have.UID == uid && have.Controller == t.Controller }) {
			c.batch.Timers = append(c.batch.Timers, t)
		}
		return nil
	})
}
