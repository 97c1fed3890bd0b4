package draft

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// Draft is a transaction with everything done that can be done without the database, on the goroutine of whoever commits: checked
// for form and size, copied where the engine fills something in, and encoded.
type Draft struct {
	// Tx is the transaction as the caller gave it. It is not changed.
	Tx store.Transaction
	// Batch is what the feed will say, except what only the commit knows. Its objects are copies; one that is removed by key is nil so far. Its signals are without
	// their conditions (Seen), which are in Tx.
	Batch store.Batch
	// Attributes holds each object's attributes as JSON, Commands each command as bytes, in the order of the transaction.
	Attributes [][]byte
	Commands   [][]byte
	// Body is the batch encoded; nil when the commit has something to add first.
	Body []byte
	// Bytes is about how much it is.
	Bytes int
	// places is where the objects are in the transaction, when there are many.
	places map[resource.Key]int
}

// Empty reports whether nothing would change.
func (p *Draft) Empty() bool {
	t := &p.Tx
	return len(t.Objects)+len(t.Commands)+len(t.Raise)+len(t.Consume)+len(t.Timers)+len(t.Events) == 0
}

// Of checks a transaction for form and size, copies what an engine fills in, and encodes it.
func Of(tx store.Transaction, caps store.Caps) (*Draft, *store.CommitError) {
	p := &Draft{Tx: tx, Batch: store.Batch{Writer: tx.Writer, Cause: tx.Cause, Consumed: slices.Clone(tx.Consume)}}
	late := false
	if err := p.texts(caps.Text, resource.Key{}, "writer and cause", tx.Writer.Name, tx.Cause.Text); err != nil {
		return nil, err
	}
	for _, part := range []func(store.Caps) (bool, *store.CommitError){p.objects, p.commandWrites, p.signals, p.timers, p.events} {
		needsCommit, err := part(caps)
		if err != nil {
			return nil, err
		}
		late = late || needsCommit
	}
	if p.Bytes > caps.Transaction {
		return nil, TooLarge(resource.Key{}, "the transaction", p.Bytes, caps.Transaction)
	}
	if late || p.Empty() {
		return p, nil
	}
	var err error
	if p.Body, err = codec.AppendBatch(make([]byte, 0, p.Bytes+256), &p.Batch, p.Attributes); err != nil {
		return nil, Invalid(resource.Key{}, "cannot encode: %v", err)
	}
	return p, nil
}

func (p *Draft) objects(caps store.Caps) (late bool, _ *store.CommitError) {
	p.Batch.Objects = make([]store.ObjectChange, len(p.Tx.Objects))
	p.Attributes = make([][]byte, len(p.Tx.Objects))
	if err := p.place(); err != nil {
		return false, err
	}
	for i := range p.Tx.Objects {
		w := &p.Tx.Objects[i]
		if w.Object == nil {
			if err := checkRemoval(w); err != nil {
				return false, err
			}
			p.Batch.Objects[i].Removed, late = true, true
			continue
		}
		if err := p.object(i, caps); err != nil {
			return false, err
		}
		late = late || p.Batch.Objects[i].Removed
	}
	return late, nil
}

// object checks the i'th object and makes the copy that the feed delivers.
func (p *Draft) object(i int, caps store.Caps) *store.CommitError {
	w := &p.Tx.Objects[i]
	if err := checkObject(w); err != nil {
		return err
	}
	o := Shallow(w.Object)
	attributes, err := codec.AppendAttributes(nil, &o.Attributes)
	if err != nil {
		return Invalid(o.Key, "attributes cannot be encoded: %v", err)
	}
	if err := p.texts(caps.Text, o.Key, "names, state and reason",
		string(o.Kind), string(o.Namespace), string(o.Name), string(o.UID), string(o.State), w.Reason, string(w.Gone)); err != nil {
		return err
	}
	size := len(o.Spec) + len(o.Status) + len(attributes)
	if size > caps.Object {
		return TooLarge(o.Key, "the object (spec, status and attributes)", size, caps.Object)
	}
	p.Bytes += size
	o.Created, o.Deleted, o.StateSince = Plain(o.Created), Plain(o.Deleted), Plain(o.StateSince)
	p.Attributes[i] = attributes
	p.Batch.Objects[i] = store.ObjectChange{Object: o, Created: w.Expect == 0, Removed: o.Deleting() && len(o.Finalizers) == 0}
	return nil
}

// Shallow is a copy whose own fields can be set; what they refer to is shared.
func Shallow(o *resource.Object) *resource.Object {
	return &resource.Object{Meta: o.Meta, Spec: o.Spec, Status: o.Status}
}

// Plain is a time as it will be when it is read back: in UTC, without the reading of the monotonic clock.
func Plain(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

// KeyOf is the key that a write is about.
func KeyOf(w *store.ObjectWrite) resource.Key {
	if w.Object != nil {
		return w.Object.Key
	}
	return w.Key
}

func checkRemoval(w *store.ObjectWrite) *store.CommitError {
	switch {
	case w.Key.Kind == "" || w.Key.Name == "":
		return Invalid(w.Key, "a removal needs Key, with a kind and a name")
	case w.Expect == 0:
		return Invalid(w.Key, "a removal needs Expect: the revision of what is to be removed")
	}
	return nil
}

func checkObject(w *store.ObjectWrite) *store.CommitError {
	o := w.Object
	switch {
	case o.Kind == "" || o.Name == "":
		return Invalid(o.Key, "an object needs a kind and a name")
	case !w.Key.IsZero() && w.Key != o.Key:
		return Invalid(o.Key, "Key says %s", w.Key)
	case o.UID == "":
		return Invalid(o.Key, "an object needs a UID")
	case o.Created.IsZero():
		return Invalid(o.Key, "an object needs its time of creation")
	case o.Spec != nil && !json.Valid(o.Spec):
		return Invalid(o.Key, "the spec is not JSON")
	case o.Status != nil && !json.Valid(o.Status):
		return Invalid(o.Key, "the status is not JSON")
	case w.Expect == 0 && o.Deleting():
		return Invalid(o.Key, "an object cannot be created deleted")
	}
	return nil
}

func (p *Draft) commandWrites(caps store.Caps) (bool, *store.CommitError) {
	p.Batch.Commands = make([]store.CommandChange, len(p.Tx.Commands))
	p.Commands = make([][]byte, len(p.Tx.Commands))
	seen := seenBefore[command.Slot]{}
	for i := range p.Tx.Commands {
		w := &p.Tx.Commands[i]
		c := &w.Command
		switch {
		case c.Owner == "" || c.Adapter == "" || c.Key == "":
			return false, Invalid(c.Object, "a command needs its slot: owner, adapter and key (have %q, %q, %q)", c.Owner, c.Adapter, c.Key)
		case w.Delete && w.Expect == 0:
			return false, Invalid(c.Object, "command %s: a removal needs Expect", c.Slot)
		case seen.again(c.Slot):
			return false, Invalid(c.Object, "command %s is written twice", c.Slot)
		}
		if err := p.texts(caps.Text, c.Object, "the names in command "+c.Slot.String(),
			c.Key, string(c.Adapter), string(c.Owner), c.Controller, c.Destination, c.Unit, c.Handle, c.Message); err != nil {
			return false, err
		}
		if size := len(c.Request) + len(c.Result); size > caps.Command {
			return false, TooLarge(c.Object, "command "+c.Slot.String(), size, caps.Command)
		}
		p.Batch.Commands[i] = store.CommandChange{Command: plainCommand(*c), Removed: w.Delete}
		p.Commands[i] = codec.AppendCommand(nil, c)
		p.Bytes += len(p.Commands[i])
	}
	return false, nil
}

func plainCommand(c command.Command) command.Command {
	c.Deadline, c.NotBefore, c.Created, c.Changed = Plain(c.Deadline), Plain(c.NotBefore), Plain(c.Created), Plain(c.Changed)
	return c
}

func (p *Draft) signals(caps store.Caps) (late bool, _ *store.CommitError) {
	p.Batch.Raised = slices.Clone(p.Tx.Raise)
	for i := range p.Batch.Raised {
		s := &p.Batch.Raised[i]
		switch {
		case s.Object.Kind == "" || s.Object.Name == "" || s.Name == "":
			return false, Invalid(s.Object, "a signal needs an object and a name")
		case len(s.Payload) > caps.Signal:
			return false, TooLarge(s.Object, "the payload of signal "+string(s.Name), len(s.Payload), caps.Signal)
		case s.Payload != nil && !json.Valid(s.Payload):
			return false, Invalid(s.Object, "the payload of signal %s is not JSON", s.Name)
		}
		if err := p.texts(caps.Text, s.Object, "signal "+string(s.Name), string(s.Name), s.By, s.Why, s.Dedupe); err != nil {
			return false, err
		}
		if s.At.IsZero() {
			s.At = time.Now()
		}
		s.At, s.Expires, s.Seen = Plain(s.At), Plain(s.Expires), 0
		late = late || s.UID == ""
		p.Bytes += len(s.Payload)
	}
	seen := seenBefore[store.SignalID]{}
	for _, id := range p.Tx.Consume {
		if seen.again(id) {
			return false, Invalid(resource.Key{}, "signal %d is consumed twice", id)
		}
	}
	return late, nil
}

func (p *Draft) timers(caps store.Caps) (late bool, _ *store.CommitError) {
	p.Batch.Timers = slices.Clone(p.Tx.Timers)
	for i := range p.Batch.Timers {
		t := &p.Batch.Timers[i]
		if t.Controller == "" || t.Object.Kind == "" || t.Object.Name == "" {
			return false, Invalid(t.Object, "a timer needs a controller and an object")
		}
		if err := p.texts(caps.Text, t.Object, "timer of "+t.Controller, t.Controller, t.Code); err != nil {
			return false, err
		}
		t.Due = Plain(t.Due)
		late = late || t.UID == ""
	}
	return late, nil
}

func (p *Draft) events(caps store.Caps) (bool, *store.CommitError) {
	for i := range p.Tx.Events {
		e := &p.Tx.Events[i]
		if e.Object.Kind == "" || e.Object.Name == "" || e.Reason == "" {
			return false, Invalid(e.Object, "an event needs an object and a reason")
		}
		if err := p.texts(caps.Text, e.Object, "event "+e.Reason, e.Kind, e.Reason, e.Message); err != nil {
			return false, err
		}
	}
	return false, nil
}

// texts holds short texts to their cap.
func (p *Draft) texts(limit int, key resource.Key, what string, texts ...string) *store.CommitError {
	for _, t := range texts {
		if len(t) > limit {
			return TooLarge(key, "a text of "+what, len(t), limit)
		}
		p.Bytes += len(t)
	}
	return nil
}
