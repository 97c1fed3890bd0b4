package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/feed"
)

// ForeignWriter is the writer's name of commits that another process made in the database, past the engine.
const ForeignWriter = "sql"

// takeOver learns where a database stands that was just opened. Every earlier holder of a lease is dead, as the lock proves.
func (w *writer) takeOver() error {
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := w.readMeta()
	if err == nil {
		err = w.c.exec("UPDATE lease SET holder = '', expires = 0 WHERE holder <> '' OR expires <> 0")
	}
	if err == nil {
		err = w.takeIn()
	}
	if err != nil {
		return errors.Join(err, w.rollback())
	}
	_, err = w.touched()
	return err
}

// readMeta reads the identity, and finds the last commit that the feed has.
func (w *writer) readMeta() error {
	q, err := w.c.prepare("SELECT database, incarnation, compacted, max(compacted, coalesce((SELECT max(revision) FROM feed WHERE revision <= meta.revision), 0)) FROM meta")
	if err != nil {
		return err
	}
	found, err := q.one(func() error {
		w.store.database, w.store.incarnation = q.text(0), uint64(q.int(1))
		w.compacted, w.revision = resource.Revision(q.int(2)), resource.Revision(q.int(3))
		return nil
	})
	if err == nil && !found {
		err = errors.New("the row of meta is missing")
	}
	return err
}

// takeIn brings the writer up to date with what others committed: it gives their commits a place in the feed and the history, reads leases and rules again, and
// commits. It runs inside the writer's transaction, and publishes.
func (w *writer) takeIn() error {
	revision, err := w.c.number("SELECT revision FROM meta")
	if err != nil {
		return err
	}
	signals, err := w.c.number("SELECT signals FROM meta")
	if err != nil {
		return err
	}
	if err := w.c.run(fmt.Sprintf("DELETE FROM feed WHERE revision > %d", revision)); err != nil {
		return err
	}
	var batches []feed.Item
	for r := w.revision + 1; r <= resource.Revision(revision); r++ {
		b, err := w.takeCommit(r)
		if err != nil {
			return err
		}
		batches = append(batches, b)
	}
	if err := w.c.exec("DELETE FROM foreign_change"); err != nil {
		return err
	}
	rules, err := loadRules(w.c)
	if err != nil {
		return err
	}
	leases, err := w.loadLeases()
	if err != nil {
		return err
	}
	division, err := w.loadDivision()
	if err != nil {
		return err
	}
	if err := w.c.exec("COMMIT"); err != nil {
		w.suspect = true
		return err
	}
	w.heads.clear()
	w.signals, w.revision, w.rules, w.leases = uint64(signals), resource.Revision(revision), rules, leases
	w.learn(division)
	w.store.feed.Publish(batches)
	if len(batches) > 0 {
		w.store.options.Logger.Warn("another process wrote to the database", "path", w.store.path, "commits", len(batches), "revision", revision)
	}
	return nil
}

// takeCommit returns the commit of a revision: from the feed when it is there, else made from what the triggers noted.
func (w *writer) takeCommit(rev resource.Revision) (feed.Item, error) {
	q, err := w.c.prepare("SELECT at, first_signal, body FROM feed WHERE revision = ?")
	if err != nil {
		return feed.Item{}, err
	}
	var b store.Batch
	size := 0
	found, err := q.bindInt(int64(rev)).one(func() error {
		body := q.bytes(2)
		size = len(body)
		b, err = codec.Batch(body, codec.Head{Revision: rev, At: codec.Time(q.int(0)), FirstSignal: store.SignalID(q.int(1))})
		return err
	})
	if err != nil || found {
		return feed.Item{Batch: b, Bytes: size + batchOverhead}, err
	}
	return w.takeForeign(rev)
}

func (w *writer) takeForeign(rev resource.Revision) (feed.Item, error) {
	c, err := w.foreignChange(rev)
	if err != nil {
		return feed.Item{}, err
	}
	body, err := codec.AppendBatch(nil, &c.batch, nil)
	if err != nil {
		return feed.Item{}, err
	}
	if err := w.q.feed.bindInt(int64(rev)).bindInt(codec.Nanos(c.at)).bindInt(0).bindBlob(body).exec(); err != nil {
		return feed.Item{}, err
	}
	return feed.Item{Batch: c.batch, Bytes: len(body) + batchOverhead}, w.applyHistory(c)
}

// foreignChange makes a change from the rows that the triggers noted for a revision.
func (w *writer) foreignChange(rev resource.Revision) (*change, error) {
	who := store.Writer{Name: ForeignWriter}
	c := &change{p: &draft.Draft{Tx: store.Transaction{Writer: who}}, rev: rev, at: draft.Plain(time.Now())}
	c.batch = store.Batch{Revision: rev, Writer: who}
	q, err := w.c.prepare(`SELECT f.at, f.created, f.from_state,
		o.kind, o.namespace, o.name, o.uid, f.generation, f.revision, o.created, f.deleted, f.state, f.state_since, f.attributes, f.spec, f.status
		FROM foreign_change f JOIN object o ON o.id = f.object WHERE f.revision = ? ORDER BY f.id`)
	if err != nil {
		return nil, err
	}
	err = q.bindInt(int64(rev)).each(func() error {
		c.at = codec.Time(q.int(0))
		created, from := q.int(1) != 0, lifecycle.State(q.text(2))
		o, err := scanObject(q, 3, nil)
		if err != nil {
			return err
		}
		c.batch.Objects = append(c.batch.Objects, store.ObjectChange{Object: o, Created: created})
		switch {
		case created:
			c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryCreated, To: o.State})
		case from != o.State:
			c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryTransition, From: from, To: o.State})
		}
		return nil
	})
	c.batch.At = c.at
	return c, err
}

// Refresh makes the engine look for commits of other processes now, instead of with the next group.
func (s *Store) Refresh(ctx context.Context) error {
	return s.writer.do(ctx, "refresh", func(w *writer) error {
		if err := w.begin(); err != nil {
			return draft.Unavailable(err)
		}
		return w.rollback()
	})
}
