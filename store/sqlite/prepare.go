package sqlite

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// prepared is a transaction with everything done that can be done without the database, on the goroutine of whoever commits: checked
// for form and size, copied where the engine fills something in, and encoded.
type prepared struct {
	tx store.Transaction
	// batch is what the feed will say, except what only the commit knows. Its objects are copies; one that is removed by key is nil so far.
	batch store.Batch
	// attributes holds each object's attributes as JSON, commands each command as bytes, in the order of the transaction.
	attributes [][]byte
	commands   [][]byte
	// body is the batch encoded; nil when the commit has something to add first.
	body  []byte
	bytes int
}

// empty reports whether nothing would change.
func (p *prepared) empty() bool {
	t := &p.tx
	return len(t.Objects)+len(t.Commands)+len(t.Raise)+len(t.Consume)+len(t.Timers)+len(t.Events) == 0
}

func prepare(tx store.Transaction, caps Caps) (*prepared, *store.CommitError) {
	p := &prepared{tx: tx, batch: store.Batch{Writer: tx.Writer, Cause: tx.Cause, Consumed: slices.Clone(tx.Consume)}}
	late := false
	if err := p.texts(caps.Text, resource.Key{}, "writer and cause", tx.Writer.Name, tx.Cause.Text); err != nil {
		return nil, err
	}
	for _, part := range []func(Caps) (bool, *store.CommitError){p.objects, p.commandWrites, p.signals, p.timers, p.events} {
		needsCommit, err := part(caps)
		if err != nil {
			return nil, err
		}
		late = late || needsCommit
	}
	if p.bytes > caps.Transaction {
		return nil, tooLarge(resource.Key{}, "the transaction", p.bytes, caps.Transaction)
	}
	if late || p.empty() {
		return p, nil
	}
	var err error
	if p.body, err = codec.AppendBatch(make([]byte, 0, p.bytes+256), &p.batch, p.attributes); err != nil {
		return nil, invalid(resource.Key{}, "cannot encode: %v", err)
	}
	return p, nil
}

func (p *prepared) objects(caps Caps) (late bool, _ *store.CommitError) {
	p.batch.Objects = make([]store.ObjectChange, len(p.tx.Objects))
	p.attributes = make([][]byte, len(p.tx.Objects))
	seen := seenBefore[resource.Key]{}
	for i := range p.tx.Objects {
		w := &p.tx.Objects[i]
		if seen.again(keyOf(w)) {
			return false, invalid(keyOf(w), "the key is written twice")
		}
		if w.Object == nil {
			if err := checkRemoval(w); err != nil {
				return false, err
			}
			p.batch.Objects[i].Removed, late = true, true
			continue
		}
		if err := p.object(i, caps); err != nil {
			return false, err
		}
		late = late || p.batch.Objects[i].Removed
	}
	return late, nil
}

// object checks the i'th object and makes the copy that the feed delivers.
func (p *prepared) object(i int, caps Caps) *store.CommitError {
	w := &p.tx.Objects[i]
	if err := checkObject(w); err != nil {
		return err
	}
	o := shallow(w.Object)
	attributes, err := codec.AppendAttributes(nil, &o.Attributes)
	if err != nil {
		return invalid(o.Key, "attributes cannot be encoded: %v", err)
	}
	if err := p.texts(caps.Text, o.Key, "names, state and reason",
		string(o.Kind), string(o.Namespace), string(o.Name), string(o.UID), string(o.State), w.Reason, string(w.Gone)); err != nil {
		return err
	}
	size := len(o.Spec) + len(o.Status) + len(attributes)
	if size > caps.Object {
		return tooLarge(o.Key, "the object (spec, status and attributes)", size, caps.Object)
	}
	p.bytes += size
	o.Created, o.Deleted, o.StateSince = plain(o.Created), plain(o.Deleted), plain(o.StateSince)
	p.attributes[i] = attributes
	p.batch.Objects[i] = store.ObjectChange{Object: o, Created: w.Expect == 0, Removed: o.Deleting() && len(o.Finalizers) == 0}
	return nil
}

// shallow is a copy whose own fields can be set; what they refer to is shared.
func shallow(o *resource.Object) *resource.Object {
	return &resource.Object{Meta: o.Meta, Spec: o.Spec, Status: o.Status}
}

// plain is a time as it will be when it is read back: in UTC, without the reading of the monotonic clock.
func plain(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

// keyOf is the key that a write is about.
func keyOf(w *store.ObjectWrite) resource.Key {
	if w.Object != nil {
		return w.Object.Key
	}
	return w.Key
}

func checkRemoval(w *store.ObjectWrite) *store.CommitError {
	switch {
	case w.Key.Kind == "" || w.Key.Name == "":
		return invalid(w.Key, "a removal needs Key, with a kind and a name")
	case w.Expect == 0:
		return invalid(w.Key, "a removal needs Expect: the revision of what is to be removed")
	}
	return nil
}

func checkObject(w *store.ObjectWrite) *store.CommitError {
	o := w.Object
	switch {
	case o.Kind == "" || o.Name == "":
		return invalid(o.Key, "an object needs a kind and a name")
	case !w.Key.IsZero() && w.Key != o.Key:
		return invalid(o.Key, "Key says %s", w.Key)
	case o.UID == "":
		return invalid(o.Key, "an object needs a UID")
	case o.Created.IsZero():
		return invalid(o.Key, "an object needs its time of creation")
	case o.Spec != nil && !json.Valid(o.Spec):
		return invalid(o.Key, "the spec is not JSON")
	case o.Status != nil && !json.Valid(o.Status):
		return invalid(o.Key, "the status is not JSON")
	case w.Expect == 0 && o.Deleting():
		return invalid(o.Key, "an object cannot be created deleted")
	}
	return nil
}

func (p *prepared) commandWrites(caps Caps) (bool, *store.CommitError) {
	p.batch.Commands = make([]store.CommandChange, len(p.tx.Commands))
	p.commands = make([][]byte, len(p.tx.Commands))
	seen := seenBefore[command.Slot]{}
	for i := range p.tx.Commands {
		w := &p.tx.Commands[i]
		c := &w.Command
		switch {
		case c.Owner == "" || c.Adapter == "" || c.Key == "":
			return false, invalid(c.Object, "a command needs its slot: owner, adapter and key (have %q, %q, %q)", c.Owner, c.Adapter, c.Key)
		case w.Delete && w.Expect == 0:
			return false, invalid(c.Object, "command %s: a removal needs Expect", c.Slot)
		case seen.again(c.Slot):
			return false, invalid(c.Object, "command %s is written twice", c.Slot)
		}
		if err := p.texts(caps.Text, c.Object, "the names in command "+c.Slot.String(),
			c.Key, string(c.Adapter), string(c.Owner), c.Controller, c.Destination, c.Unit, c.Handle, c.Message); err != nil {
			return false, err
		}
		if size := len(c.Request) + len(c.Result); size > caps.Command {
			return false, tooLarge(c.Object, "command "+c.Slot.String(), size, caps.Command)
		}
		p.batch.Commands[i] = store.CommandChange{Command: plainCommand(*c), Removed: w.Delete}
		p.commands[i] = codec.AppendCommand(nil, c)
		p.bytes += len(p.commands[i])
	}
	return false, nil
}

func plainCommand(c command.Command) command.Command {
	c.Deadline, c.NotBefore, c.Created, c.Changed = plain(c.Deadline), plain(c.NotBefore), plain(c.Created), plain(c.Changed)
	return c
}

func (p *prepared) signals(caps Caps) (late bool, _ *store.CommitError) {
	p.batch.Raised = slices.Clone(p.tx.Raise)
	for i := range p.batch.Raised {
		s := &p.batch.Raised[i]
		switch {
		case s.Object.Kind == "" || s.Object.Name == "" || s.Name == "":
			return false, invalid(s.Object, "a signal needs an object and a name")
		case len(s.Payload) > caps.Signal:
			return false, tooLarge(s.Object, "the payload of signal "+string(s.Name), len(s.Payload), caps.Signal)
		case s.Payload != nil && !json.Valid(s.Payload):
			return false, invalid(s.Object, "the payload of signal %s is not JSON", s.Name)
		}
		if err := p.texts(caps.Text, s.Object, "signal "+string(s.Name), string(s.Name), s.By); err != nil {
			return false, err
		}
		if s.At.IsZero() {
			s.At = time.Now()
		}
		s.At = plain(s.At)
		late = late || s.UID == ""
		p.bytes += len(s.Payload)
	}
	seen := seenBefore[store.SignalID]{}
	for _, id := range p.tx.Consume {
		if seen.again(id) {
			return false, invalid(resource.Key{}, "signal %d is consumed twice", id)
		}
	}
	return late, nil
}

func (p *prepared) timers(caps Caps) (late bool, _ *store.CommitError) {
	p.batch.Timers = slices.Clone(p.tx.Timers)
	for i := range p.batch.Timers {
		t := &p.batch.Timers[i]
		if t.Controller == "" || t.Object.Kind == "" || t.Object.Name == "" {
			return false, invalid(t.Object, "a timer needs a controller and an object")
		}
		if err := p.texts(caps.Text, t.Object, "timer of "+t.Controller, t.Controller, t.Code); err != nil {
			return false, err
		}
		t.Due = plain(t.Due)
		late = late || t.UID == ""
	}
	return late, nil
}

func (p *prepared) events(caps Caps) (bool, *store.CommitError) {
	for i := range p.tx.Events {
		e := &p.tx.Events[i]
		if e.Object.Kind == "" || e.Object.Name == "" || e.Reason == "" {
			return false, invalid(e.Object, "an event needs an object and a reason")
		}
		if err := p.texts(caps.Text, e.Object, "event "+e.Reason, e.Kind, e.Reason, e.Message); err != nil {
			return false, err
		}
	}
	return false, nil
}

// texts holds short texts to their cap.
func (p *prepared) texts(limit int, key resource.Key, what string, texts ...string) *store.CommitError {
	for _, t := range texts {
		if len(t) > limit {
			return tooLarge(key, "a text of "+what, len(t), limit)
		}
		p.bytes += len(t)
	}
	return nil
}

// seenBefore finds what comes twice. Most transactions are so small that looking through a list is faster than a map.
type seenBefore[T comparable] struct {
	few  []T
	many map[T]bool
}

func (s *seenBefore[T]) again(v T) bool {
	if s.many[v] || slices.Contains(s.few, v) {
		return true
	}
	if len(s.few) < 16 {
		s.few = append(s.few, v)
		return false
	}
	if s.many == nil {
		s.many = map[T]bool{}
	}
	s.many[v] = true
	return false
}

func invalid(key resource.Key, format string, args ...any) *store.CommitError {
	return &store.CommitError{Err: store.ErrInvalid, Key: key, Detail: fmt.Sprintf(format, args...)}
}

func tooLarge(key resource.Key, what string, size, limit int) *store.CommitError {
	return &store.CommitError{Err: store.ErrTooLarge, Key: key, Detail: fmt.Sprintf("%s has %d bytes, the limit is %d", what, size, limit)}
}
