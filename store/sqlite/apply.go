package sqlite

import (
	"slices"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// statements are the writer's prepared ones.
type statements struct {
	head, row, objectInsert, objectUpdate, objectDelete              *stmt
	feed, meta, history                                              *stmt
	commandHead, commandInsert, commandUpdate, commandDelete         *stmt
	signal, signalNewest, signalInsert, signalDelete                 *stmt
	timerSet, timerClear                                             *stmt
	commandsOf, signalsOf, timersOf, noCommands, noSignals, noTimers *stmt
}

func prepareStatements(c *conn) (q statements, err error) {
	for _, s := range []struct {
		at    **stmt
		query string
	}{
		{&q.head, "SELECT id, uid, revision, generation, created, deleted, state FROM object WHERE kind = ? AND namespace = ? AND name = ?"},
		{&q.row, selectObject + " WHERE id = ?"},
		{&q.objectInsert, "INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created, deleted, state, state_since, attributes, spec, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&q.objectUpdate, "UPDATE object SET generation = ?, revision = ?, deleted = ?, state = ?, state_since = ?, attributes = ?, spec = ?, status = ? WHERE id = ?"},
		{&q.objectDelete, "DELETE FROM object WHERE id = ?"},
		{&q.feed, "INSERT INTO feed (revision, at, first_signal, body) VALUES (?, ?, ?, ?)"},
		{&q.meta, "UPDATE meta SET revision = ?, signals = ?"},
		{&q.history, "INSERT INTO history (hash, kind, namespace, name, uid, revision, at, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&q.commandHead, "SELECT id, revision, phase, intent FROM command WHERE owner = ? AND adapter = ? AND key = ?"},
		{&q.commandInsert, "INSERT INTO command (owner, adapter, key, kind, namespace, name, revision, phase, intent, token, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&q.commandUpdate, "UPDATE command SET revision = ?, phase = ?, intent = ?, token = ?, body = ? WHERE id = ?"},
		{&q.commandDelete, "DELETE FROM command WHERE id = ?"},
		{&q.signal, "SELECT 1 FROM signal WHERE id = ?"},
		{&q.signalNewest, "SELECT max(revision) FROM signal WHERE uid = ?"},
		{&q.signalInsert, "INSERT INTO signal (id, kind, namespace, name, uid, signal, payload, by_whom, why, at, dedupe, expires, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&q.signalDelete, "DELETE FROM signal WHERE id = ?"},
		{&q.timerSet, "INSERT INTO timer (uid, controller, kind, namespace, name, due, code, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid, controller) DO UPDATE SET due = excluded.due, code = excluded.code, revision = excluded.revision"},
		{&q.timerClear, "DELETE FROM timer WHERE uid = ? AND controller = ?"},
		{&q.commandsOf, "SELECT body FROM command WHERE owner = ?"},
		{&q.signalsOf, "SELECT id FROM signal WHERE uid = ?"},
		{&q.timersOf, "SELECT controller, kind, namespace, name FROM timer WHERE uid = ?"},
		{&q.noCommands, "DELETE FROM command WHERE owner = ?"},
		{&q.noSignals, "DELETE FROM signal WHERE uid = ?"},
		{&q.noTimers, "DELETE FROM timer WHERE uid = ?"},
	} {
		if *s.at, err = c.prepare(s.query); err != nil {
			return q, err
		}
	}
	return q, nil
}

// apply writes a change: the feed first (which opens the triggers), then the rows.
func (w *writer) apply(c *change) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	c.p.Bytes = max(c.p.Bytes, len(body))
	if err := w.q.feed.bindInt(int64(c.rev)).bindInt(c.at.UnixNano()).bindInt(int64(w.signals + 1)).bindBlob(body).exec(); err != nil {
		return err
	}
	for _, part := range []func(*change) error{w.applyObjects, w.applyCommands, w.applySignals, w.applyTimers, w.applyRemovals, w.applyHistory} {
		if err := part(c); err != nil {
			return err
		}
	}
	w.signals += uint64(len(c.batch.Raised))
	return nil
}

func (c *change) body() ([]byte, error) {
	if c.p.Body != nil && len(c.removed) == 0 {
		return c.p.Body, nil
	}
	return codec.AppendBatch(nil, &c.batch, nil)
}

func (w *writer) applyObjects(c *change) error {
	for i := range c.batch.Objects {
		o, h := c.batch.Objects[i].Object, c.heads[i]
		o.Revision = c.rev
		if c.batch.Objects[i].Removed {
			continue
		}
		if h.id == 0 {
			if err := w.insertObject(o, c.p.Attributes[i]); err != nil {
				return err
			}
			h = head{id: w.c.raw.LastInsertRowID(), uid: o.UID, created: codec.Nanos(o.Created)}
		} else if err := w.q.objectUpdate.bindInt(int64(o.Generation)).bindInt(int64(c.rev)).bindInt(codec.Nanos(o.Deleted)).
			bindText(string(o.State)).bindInt(codec.Nanos(o.StateSince)).bindJSON(c.p.Attributes[i]).bindJSON(o.Spec).bindJSON(o.Status).bindInt(h.id).exec(); err != nil {
			return err
		}
		h.revision, h.generation, h.deleted, h.state = c.rev, o.Generation, codec.Nanos(o.Deleted), o.State
		w.heads.put(o.Key, h)
	}
	return nil
}

func (w *writer) insertObject(o *resource.Object, attributes []byte) error {
	return w.q.objectInsert.bindText(string(o.Kind)).bindText(string(o.Namespace)).bindText(string(o.Name)).bindText(string(o.UID)).
		bindInt(int64(resource.Shard(o.Namespace, o.Name))).bindInt(int64(o.Generation)).bindInt(int64(o.Revision)).
		bindInt(codec.Nanos(o.Created)).bindInt(codec.Nanos(o.Deleted)).bindText(string(o.State)).bindInt(codec.Nanos(o.StateSince)).
		bindJSON(attributes).bindJSON(o.Spec).bindJSON(o.Status).exec()
}

func (w *writer) applyCommands(c *change) error {
	for i := range c.p.Tx.Commands {
		cmd, row := &c.batch.Commands[i].Command, c.commandRows[i]
		cmd.Revision = c.rev
		var err error
		switch {
		case c.batch.Commands[i].Removed && row == 0: // new, and its owner goes with this very commit
		case c.batch.Commands[i].Removed:
			err = w.q.commandDelete.bindInt(row).exec()
		case row == 0:
			err = w.q.commandInsert.bindText(string(cmd.Owner)).bindText(string(cmd.Adapter)).bindText(cmd.Key).
				bindText(string(cmd.Object.Kind)).bindText(string(cmd.Object.Namespace)).bindText(string(cmd.Object.Name)).
				bindInt(int64(c.rev)).bindText(string(cmd.Phase)).bindInt(int64(cmd.Intent)).bindText(string(cmd.Token)).bindBlob(c.p.Commands[i]).exec()
		default:
			err = w.q.commandUpdate.bindInt(int64(c.rev)).bindText(string(cmd.Phase)).bindInt(int64(cmd.Intent)).bindText(string(cmd.Token)).
				bindBlob(c.p.Commands[i]).bindInt(row).exec()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) applySignals(c *change) error {
	for _, id := range c.p.Tx.Consume {
		if err := w.q.signalDelete.bindInt(int64(id)).exec(); err != nil {
			return err
		}
	}
	for i := range c.batch.Raised {
		s := &c.batch.Raised[i]
		if slices.Contains(c.removed, s.UID) {
			continue
		}
		if err := w.q.signalInsert.bindInt(int64(s.ID)).bindText(string(s.Object.Kind)).bindText(string(s.Object.Namespace)).bindText(string(s.Object.Name)).
			bindText(string(s.UID)).bindText(string(s.Name)).bindJSON(s.Payload).bindText(s.By).bindText(s.Why).
			bindInt(codec.Nanos(s.At)).bindText(s.Dedupe).bindInt(codec.Nanos(s.Expires)).bindInt(int64(c.rev)).exec(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) applyTimers(c *change) error {
	for i := range c.p.Tx.Timers {
		t := &c.batch.Timers[i]
		var err error
		if t.Due.IsZero() {
			err = w.q.timerClear.bindText(string(t.UID)).bindText(t.Controller).exec()
		} else {
			err = w.q.timerSet.bindText(string(t.UID)).bindText(t.Controller).
				bindText(string(t.Object.Kind)).bindText(string(t.Object.Namespace)).bindText(string(t.Object.Name)).
				bindInt(codec.Nanos(t.Due)).bindText(t.Code).bindInt(int64(c.rev)).exec()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// applyRemovals deletes objects and what hangs on them.
func (w *writer) applyRemovals(c *change) error {
	for i := range c.batch.Objects {
		if !c.batch.Objects[i].Removed {
			continue
		}
		o := c.batch.Objects[i].Object
		w.heads.remove(o.Key)
		for _, q := range []*stmt{w.q.noCommands, w.q.noSignals, w.q.noTimers} {
			if err := q.bindText(string(o.UID)).exec(); err != nil {
				return err
			}
		}
		if err := w.q.objectDelete.bindInt(c.heads[i].id).exec(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) applyHistory(c *change) error {
	for i := range c.history {
		if err := w.writeLine(&c.history[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) writeLine(l *line) error {
	return w.q.history.bindInt(codec.HashKey(l.Key)).bindText(string(l.Key.Kind)).bindText(string(l.Key.Namespace)).bindText(string(l.Key.Name)).
		bindText(string(l.UID)).bindInt(int64(l.Revision)).bindInt(codec.Nanos(l.At)).bindText(string(l.Type)).
		bindText(string(l.From)).bindText(string(l.To)).bindText(l.severity).bindText(l.Reason).bindText(l.Message).
		bindText(l.Writer.Name).bindText(codec.Slashed(l.Writer.Object)).bindInt(int64(l.Cause.Revision)).bindText(l.Cause.Text).exec()
}
