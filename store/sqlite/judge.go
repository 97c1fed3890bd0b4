package sqlite

import (
	"slices"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// change is a transaction that was judged and may be written: what is to be done to which rows.
type change struct {
	p   *draft.Draft
	rev resource.Revision
	at  time.Time
	// batch is the feed's view of it, complete.
	batch store.Batch
	// heads are the stored objects that are written, in the order of batch.Objects; id 0 for a new one.
	heads []head
	// commandRows are the ids of the stored rows, 0 for a new one, in the order of the transaction's commands.
	commandRows []int64
	// removed are the UIDs of the objects that go.
	removed []resource.UID
	history []line
}

// line is one entry of the history, with what Entry has no field for.
type line struct {
	store.Entry
	severity string
}

// judge compares a transaction with what is stored. Members of a group are judged and written one after the other, so that each sees what those
// before it did. Nothing is written here.
func (w *writer) judge(p *draft.Draft, rev resource.Revision, at time.Time) (*change, *store.CommitError, error) {
	c := &change{p: p, rev: rev, at: at, batch: p.Batch}
	c.batch.Revision, c.batch.At = rev, at
	for _, part := range []func(*change) (*store.CommitError, error){
		w.judgeFences, w.judgeReads, w.judgeObjects, w.judgeCommands, w.judgeSignals, w.judgeTimers, w.addDependents,
	} {
		if refused, err := part(c); refused != nil || err != nil {
			return nil, refused, err
		}
	}
	c.events()
	return c, nil, nil
}

func (w *writer) judgeFences(c *change) (*store.CommitError, error) {
	for _, f := range c.p.Tx.Fences {
		have := w.leases[f.Scope]
		if have == nil {
			return draft.Fenced(f, nil), nil
		}
		if have.Epoch != f.Epoch {
			return draft.Fenced(f, &have.Lease), nil
		}
	}
	return nil, nil
}

func (w *writer) judgeReads(c *change) (*store.CommitError, error) {
	for _, r := range c.p.Tx.Reads {
		h, err := w.head(r.Key)
		if err != nil {
			return nil, err
		}
		if h.revision != r.Revision {
			return draft.Conflict(r.Key, r.Revision, h.revision), nil
		}
	}
	return nil, nil
}

// head returns the stored object's head, the zero one when there is none.
func (w *writer) head(key resource.Key) (head, error) {
	if h, ok := w.heads.get(key); ok {
		return h, nil
	}
	q := w.q.head
	var h head
	found, err := q.bindText(string(key.Kind)).bindText(string(key.Namespace)).bindText(string(key.Name)).one(func() error {
		h = head{q.int(0), resource.UID(q.text(1)), resource.Revision(q.int(2)), resource.Generation(q.int(3)), q.int(4), q.int(5), lifecycle.State(q.text(6))}
		return nil
	})
	if found && err == nil {
		w.heads.put(key, h)
	}
	return h, err
}

func (w *writer) judgeObjects(c *change) (*store.CommitError, error) {
	c.heads = make([]head, len(c.p.Tx.Objects))
	for i := range c.p.Tx.Objects {
		write := &c.p.Tx.Objects[i]
		key := draft.KeyOf(write)
		h, err := w.head(key)
		if err != nil {
			return nil, err
		}
		if h.revision != write.Expect {
			return draft.Conflict(key, write.Expect, h.revision), nil
		}
		c.heads[i] = h
		if write.Object == nil {
			if refused, err := w.takeLast(c, i, h); refused != nil || err != nil {
				return refused, err
			}
		}
		if refused := w.judgeObject(c, i, h); refused != nil {
			return refused, nil
		}
	}
	return nil, nil
}

// takeLast fills in the last form of an object that is removed by key.
func (w *writer) takeLast(c *change, i int, h head) (*store.CommitError, error) {
	o, err := objectByID(w.q.row, h.id)
	if err != nil {
		return nil, err
	}
	if len(o.Finalizers) > 0 {
		return draft.Held(o), nil
	}
	c.ownObjects()
	c.batch.Objects[i].Object = o
	return nil, nil
}

// ownObjects makes the batch's list of objects this attempt's own, so that the prepared one stays as it was.
func (c *change) ownObjects() { c.batch.Objects = slices.Clone(c.batch.Objects) }

func (w *writer) judgeObject(c *change, i int, h head) *store.CommitError {
	write, o := &c.p.Tx.Objects[i], c.batch.Objects[i].Object
	if h.id == 0 {
		if err := w.rules.create(o.Key, o.State); err != nil {
			return err
		}
		c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryCreated, To: o.State, Reason: write.Reason})
		return nil
	}
	if err := checkUpdate(o, h); err != nil {
		return err
	}
	if err := w.rules.move(o.Key, h.state, o.State); err != nil {
		return err
	}
	if h.state != o.State {
		c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryTransition, From: h.state, To: o.State, Reason: write.Reason})
	}
	if c.batch.Objects[i].Removed {
		return w.judgeGone(c, i)
	}
	return nil
}

// checkUpdate holds the new form to what never changes, or only rises.
func checkUpdate(o *resource.Object, h head) *store.CommitError {
	switch {
	case o.UID != h.uid:
		return draft.OtherUID(o, h.uid)
	case codec.Nanos(o.Created) != h.created:
		return draft.OtherCreation(o, codec.Time(h.created))
	case o.Generation < h.generation:
		return draft.LowerGeneration(o, h.generation)
	case h.deleted != 0 && codec.Nanos(o.Deleted) != h.deleted:
		return draft.DeletionTakenBack(o, codec.Time(h.deleted))
	}
	return nil
}

// judgeGone takes an object that nothing holds to its final state, and out.
func (w *writer) judgeGone(c *change, i int) *store.CommitError {
	o, write := c.batch.Objects[i].Object, &c.p.Tx.Objects[i]
	if write.Gone != "" && write.Gone != o.State {
		if err := w.rules.move(o.Key, o.State, write.Gone); err != nil {
			return err
		}
		c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryTransition, From: o.State, To: write.Gone, Reason: write.Reason})
		o = draft.Shallow(o)
		o.State, o.StateSince = write.Gone, draft.Plain(c.at)
		c.ownObjects()
		c.batch.Objects[i].Object = o
	}
	c.note(store.Entry{Key: o.Key, UID: o.UID, Type: store.EntryRemoved, From: o.State, Reason: write.Reason})
	c.removed = append(c.removed, o.UID)
	return nil
}

// note adds an entry to the history.
func (c *change) note(e store.Entry) {
	e.Revision, e.At, e.Writer, e.Cause = c.rev, c.at, c.p.Tx.Writer, c.p.Tx.Cause
	c.history = append(c.history, line{Entry: e})
}

func (c *change) events() {
	for _, e := range c.p.Tx.Events {
		c.note(store.Entry{Key: e.Object, UID: e.UID, Type: store.EntryEvent, Reason: e.Reason, Message: e.Message})
		c.history[len(c.history)-1].severity = e.Kind
	}
}
