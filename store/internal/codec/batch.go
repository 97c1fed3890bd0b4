package codec

import (
	"encoding/json"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// The first byte of a stored commit. Version 2 has Why, Dedupe and Expires in signals. It is written only where one of them is set: everything else can be read by
// programs that know version 1, which may still run beside this one.
const (
	batchVersion1 = 1
	batchVersion2 = 2
)

// versionOf is the lowest version that can say all that a batch says.
func versionOf(b *store.Batch) byte {
	for i := range b.Raised {
		if s := &b.Raised[i]; s.Why != "" || s.Dedupe != "" || !s.Expires.IsZero() {
			return batchVersion2
		}
	}
	return batchVersion1
}

// Head is what a reader of the feed knows about a commit from its columns.
type Head struct {
	Revision resource.Revision
	At       time.Time
	// FirstSignal is the ID of the first signal raised; the others follow it.
	FirstSignal store.SignalID
}

// AppendBatch appends the stored form of b, without revision, time and signal IDs. attributes holds the JSON of
// each object's attributes, in the order of b.Objects; nil makes it here.
func AppendBatch(dst []byte, b *store.Batch, attributes [][]byte) ([]byte, error) {
	w := writer{dst}
	version := versionOf(b)
	w.byte(version)
	w.text(b.Writer.Name)
	w.key(b.Writer.Object)
	w.uint(uint64(b.Cause.Revision))
	w.text(b.Cause.Text)
	w.uint(uint64(len(b.Objects)))
	for i := range b.Objects {
		var attrs []byte
		if attributes != nil {
			attrs = attributes[i]
		} else {
			var err error
			if attrs, err = AppendAttributes(nil, &b.Objects[i].Object.Attributes); err != nil {
				return nil, err
			}
		}
		w.object(&b.Objects[i], attrs)
	}
	w.uint(uint64(len(b.Commands)))
	for i := range b.Commands {
		w.bool(b.Commands[i].Removed)
		w.command(&b.Commands[i].Command)
	}
	w.uint(uint64(len(b.Raised)))
	for i := range b.Raised {
		w.signal(&b.Raised[i], version)
	}
	w.uint(uint64(len(b.Consumed)))
	for _, id := range b.Consumed {
		w.uint(uint64(id))
	}
	w.uint(uint64(len(b.Timers)))
	for i := range b.Timers {
		w.timer(&b.Timers[i])
	}
	return w.b, nil
}

// Batch reads what [AppendBatch] wrote. The result refers to body, which must not change afterwards.
func Batch(body []byte, h Head) (store.Batch, error) {
	r := reader{b: body}
	version := r.byte()
	if version != batchVersion1 && version != batchVersion2 {
		r.fail("unknown version of a commit")
	}
	b := store.Batch{Revision: h.Revision, At: h.At}
	b.Writer = store.Writer{Name: r.text(), Object: r.key()}
	b.Cause = store.Cause{Revision: resource.Revision(r.uint()), Text: r.text()}
	b.Objects = list(&r, func() store.ObjectChange { return r.object(h.Revision) })
	b.Commands = list(&r, func() store.CommandChange {
		c := store.CommandChange{Removed: r.bool(), Command: r.command()}
		c.Command.Revision = h.Revision
		return c
	})
	next := h.FirstSignal
	b.Raised = list(&r, func() store.Signal {
		s := r.signal(version)
		s.ID, s.Revision = next, h.Revision
		next++
		return s
	})
	b.Consumed = list(&r, func() store.SignalID { return store.SignalID(r.uint()) })
	b.Timers = list(&r, r.timer)
	return b, r.end()
}

func list[T any](r *reader, item func() T) []T {
	n := r.count()
	if n == 0 {
		return nil
	}
	items := make([]T, 0, min(n, 1024))
	for range n {
		if r.err != nil {
			return nil
		}
		items = append(items, item())
	}
	return items
}

func (w *writer) object(c *store.ObjectChange, attributes []byte) {
	o := c.Object
	w.bool(c.Created)
	w.bool(c.Removed)
	w.key(o.Key)
	w.text(string(o.UID))
	w.uint(uint64(o.Generation))
	w.time(o.Created)
	w.time(o.Deleted)
	w.text(string(o.State))
	w.time(o.StateSince)
	w.bytes(attributes)
	w.bytes(o.Spec)
	w.bytes(o.Status)
}

func (r *reader) object(rev resource.Revision) store.ObjectChange {
	c := store.ObjectChange{Created: r.bool(), Removed: r.bool()}
	o := &resource.Object{Meta: resource.Meta{
		Key:        r.key(),
		UID:        resource.UID(r.text()),
		Generation: resource.Generation(r.uint()),
		Revision:   rev,
		Created:    r.time(),
		Deleted:    r.time(),
		State:      lifecycle.State(r.text()),
		StateSince: r.time(),
	}}
	if err := ParseAttributes(r.bytes(), &o.Attributes); err != nil {
		r.fail(err.Error())
	}
	o.Spec = json.RawMessage(r.bytes())
	o.Status = json.RawMessage(r.bytes())
	c.Object = o
	return c
}

func (w *writer) signal(s *store.Signal, version byte) {
	w.key(s.Object)
	w.text(string(s.UID))
	w.text(string(s.Name))
	w.bytes(s.Payload)
	w.text(s.By)
	w.time(s.At)
	if version >= batchVersion2 {
		w.text(s.Why)
		w.text(s.Dedupe)
		w.time(s.Expires)
	}
}

func (r *reader) signal(version byte) store.Signal {
	s := store.Signal{
		Object:  r.key(),
		UID:     resource.UID(r.text()),
		Name:    lifecycle.SignalName(r.text()),
		Payload: r.bytes(),
		By:      r.text(),
		At:      r.time(),
	}
	if version >= batchVersion2 {
		s.Why, s.Dedupe, s.Expires = r.text(), r.text(), r.time()
	}
	return s
}

func (w *writer) timer(t *store.Timer) {
	w.text(t.Controller)
	w.key(t.Object)
	w.text(string(t.UID))
	w.time(t.Due)
	w.text(t.Code)
}

func (r *reader) timer() store.Timer {
	return store.Timer{
		Controller: r.text(),
		Object:     r.key(),
		UID:        resource.UID(r.text()),
		Due:        r.time(),
		Code:       r.text(),
	}
}
