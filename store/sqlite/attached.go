package sqlite

import (
	"slices"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// owner returns the UID of the object of a key as this transaction leaves it, "" when there is none. A removed object counts: what hangs on it goes with it.
func (w *writer) owner(c *change, key resource.Key) (resource.UID, error) {
	if i := c.p.Place(key); i >= 0 {
		return c.batch.Objects[i].Object.UID, nil
	}
	h, err := w.head(key)
	return h.uid, err
}

// hangsOn checks that a command, signal or timer belongs to an object that exists; uid "" means whichever has the key.
func (w *writer) hangsOn(c *change, key resource.Key, uid resource.UID, what string) (resource.UID, *store.CommitError, error) {
	have, err := w.owner(c, key)
	if err != nil {
		return "", nil, err
	}
	return have, draft.HangsOn(key, uid, have, what), nil
}

func (w *writer) judgeCommands(c *change) (*store.CommitError, error) {
	c.commandRows = make([]int64, len(c.p.Tx.Commands))
	for i := range c.p.Tx.Commands {
		write := &c.p.Tx.Commands[i]
		cmd := &write.Command
		var rev resource.Revision
		var phase command.Phase
		var intent uint64
		q := w.q.commandHead
		if _, err := q.bindText(string(cmd.Owner)).bindText(string(cmd.Adapter)).bindText(cmd.Key).one(func() error {
			c.commandRows[i], rev, phase, intent = q.int(0), resource.Revision(q.int(1)), command.Phase(q.text(2)), uint64(q.int(3))
			return nil
		}); err != nil {
			return nil, err
		}
		if rev != write.Expect {
			return draft.CommandConflict(cmd, write.Expect, rev), nil
		}
		if rev == 0 {
			if _, refused, err := w.hangsOn(c, cmd.Object, cmd.Owner, "command "+cmd.Slot.String()); refused != nil || err != nil {
				return refused, err
			}
		}
		if !write.Delete && !cmd.Phase.Open() && (phase != cmd.Phase || intent != cmd.Intent) {
			c.note(store.Entry{Key: cmd.Object, UID: cmd.Owner, Type: store.EntryCommand, Reason: string(cmd.Phase), Message: draft.Sentence(cmd)})
		}
	}
	return nil, nil
}

func (w *writer) judgeSignals(c *change) (*store.CommitError, error) {
	for _, id := range c.p.Tx.Consume {
		found, err := w.q.signal.bindInt(int64(id)).one(func() error { return nil })
		if err != nil {
			return nil, err
		}
		if !found {
			return draft.SignalGone(id), nil
		}
	}
	c.batch.Raised = slices.Clone(c.batch.Raised)
	for i := range c.batch.Raised {
		s := &c.batch.Raised[i]
		uid, refused, err := w.hangsOn(c, s.Object, s.UID, "signal "+string(s.Name))
		if refused != nil || err != nil {
			return refused, err
		}
		if refused, err := w.judgeSeen(uid, &c.p.Tx.Raise[i]); refused != nil || err != nil {
			return refused, err
		}
		s.UID, s.Revision = uid, c.rev
		s.ID = store.SignalID(w.signals + uint64(i) + 1)
		c.note(store.Entry{Key: s.Object, UID: uid, Type: store.EntrySignal, Reason: string(s.Name), Message: draft.Raised(s)})
	}
	return nil, nil
}

// judgeSeen judges a raiser's condition. What earlier members of the group have raised is in the table already.
func (w *writer) judgeSeen(uid resource.UID, g *store.Signal) (*store.CommitError, error) {
	if g.Seen == 0 {
		return nil, nil
	}
	var newest resource.Revision
	if _, err := w.q.signalNewest.bindText(string(uid)).one(func() error { newest = resource.Revision(w.q.signalNewest.int(0)); return nil }); err != nil || newest <= g.Seen {
		return nil, err
	}
	return draft.SignalSince(g, newest), nil
}

func (w *writer) judgeTimers(c *change) (*store.CommitError, error) {
	c.batch.Timers = slices.Clone(c.batch.Timers)
	for i := range c.batch.Timers {
		t := &c.batch.Timers[i]
		if t.Due.IsZero() && t.UID != "" {
			continue
		}
		uid, refused, err := w.hangsOn(c, t.Object, t.UID, "timer of "+t.Controller)
		if refused != nil || err != nil {
			return refused, err
		}
		t.UID = uid
	}
	return nil, nil
}
