package resource

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Birth is what a new object gets from outside: time and chance.
type Birth struct {
	// Now is when it comes into being; the zero time stands for the present, as the store keeps it.
	Now time.Time
	// UID makes an identifier that was never used; nil stands for [NewUID].
	UID func() UID
}

// NewUID returns a random identifier in the form of a UUID, version 4 (RFC 9562).
func NewUID() UID {
	var b [16]byte
	rand.Read(b[:]) // never fails: the program ends if the system has no randomness
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return UID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

// New makes an object that can be stored: spec is a Go value, or its JSON. It is not yet admitted; see [Definition.Admit].
func (d *Definition) New(ns Namespace, name Name, spec any, b Birth) (*Object, error) {
	body, err := encodePart(spec)
	if err != nil {
		return nil, fmt.Errorf("new %s: encoding the spec: %w", d.Key(ns, name), err)
	}
	o := &Object{Meta: Meta{Key: d.Key(ns, name)}, Spec: body}
	if err := d.Prepare(o, b); err != nil {
		return nil, err
	}
	return o, nil
}

// EncodeSpec writes a specification as JSON and fills in defaults, so that it can be compared with one that is stored. Equal
// values give equal bytes.
func (d *Definition) EncodeSpec(spec any) (json.RawMessage, error) {
	body, err := encodePart(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: encoding a spec: %w", d.ID(), err)
	}
	o := &Object{Meta: Meta{Key: Key{Kind: d.ID()}}, Spec: body}
	if err := d.ApplyDefaults(o); err != nil {
		return nil, err
	}
	return o.Spec, nil
}

// Prepare makes an object that came from a client ready to be created: it gives it its identity, the first generation and the
// initial state, drops what a client cannot say about a new object, and fills in defaults.
func (d *Definition) Prepare(o *Object, b Birth) error {
	if b.UID == nil {
		b.UID = NewUID
	}
	if b.Now.IsZero() {
		b.Now = time.Now().UTC().Truncate(time.Microsecond)
	}
	o.UID, o.Generation, o.Revision = b.UID(), 1, 0
	o.Created, o.Deleted = b.Now, time.Time{}
	o.State, o.StateSince = d.Lifecycle.Initial(), b.Now
	o.Conditions, o.Waits, o.Observed, o.Status = nil, nil, 0, nil
	o.Action, o.Last, o.Signals = nil, nil, nil
	return d.ApplyDefaults(o)
}

// ApplyDefaults fills in the defaults of the schema, then those of the kind's function.
func (d *Definition) ApplyDefaults(o *Object) error {
	if err := d.Check(); err != nil {
		return err
	}
	if d.spec.hasDefaults {
		n, err := parseOptional(o.Spec)
		if err != nil {
			return &Malformed{Key: o.Key, Causes: []Cause{{Field: "spec", Type: WrongValue, Message: err.Error()}}}
		}
		if d.spec.applyDefaults(&n) {
			o.Spec = n.render(nil)
		}
	}
	if d.Default == nil {
		return nil
	}
	if err := d.Default(o); err != nil {
		return fmt.Errorf("%s: filling in defaults: %w", o.Key, err)
	}
	return nil
}

// GenerationAfter is the generation that new must have when it replaces old: one more when the specification changes or
// deletion is asked for, the same otherwise.
func GenerationAfter(old, new *Object) Generation {
	if old.Deleting() != new.Deleting() || !SameJSON(old.Spec, new.Spec) {
		return old.Generation + 1
	}
	return old.Generation
}
