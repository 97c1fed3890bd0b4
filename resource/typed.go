package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Typed is an object whose spec and status have Go types.
type Typed[S, T any] struct {
	Meta
	Spec   S
	Status T
}

// Decode returns a private copy of an object: nothing in it is shared with o.
func Decode[S, T any](o *Object) (*Typed[S, T], error) {
	t := &Typed[S, T]{Meta: o.Meta}
	t.Attributes = o.Attributes.clone()
	if err := decodeParts(o, &t.Spec, &t.Status); err != nil {
		return nil, err
	}
	return t, nil
}

// View returns the object decoded for reading. It is decoded once, and everyone who asks gets the same: nobody may change it.
func View[S, T any](o *Object) (*Typed[S, T], error) {
	if have := o.decoded.Load(); have != nil {
		if t, ok := (*have).(*Typed[S, T]); ok {
			return t, nil
		}
	}
	t := &Typed[S, T]{Meta: o.Meta}
	if err := decodeParts(o, &t.Spec, &t.Status); err != nil {
		return nil, err
	}
	var shared any = t
	o.decoded.Store(&shared)
	return t, nil
}

// Encode is the inverse of [Decode]. Equal values give equal bytes: fields stand in the order of the struct, maps are sorted, and
// nothing depends on the clock. Keep times in a status in UTC, since one moment is written differently in every zone.
func Encode[S, T any](t *Typed[S, T]) (*Object, error) {
	o := &Object{Meta: t.Meta}
	o.Attributes = t.Attributes.clone()
	var err error
	if o.Spec, err = encodePart(t.Spec); err != nil {
		return nil, fmt.Errorf("%s: encoding the spec: %w", t.Key, err)
	}
	if o.Status, err = encodePart(t.Status); err != nil {
		return nil, fmt.Errorf("%s: encoding the status: %w", t.Key, err)
	}
	return o, nil
}

func decodeParts(o *Object, spec, status any) error {
	if err := decodePart(o.Spec, spec); err != nil {
		return fmt.Errorf("%s: decoding the spec: %w", o.Key, err)
	}
	if err := decodePart(o.Status, status); err != nil {
		return fmt.Errorf("%s: decoding the status: %w", o.Key, err)
	}
	return nil
}

func decodePart(body json.RawMessage, into any) error {
	if len(body) == 0 || bytes.Equal(body, emptyObject) {
		return nil
	}
	return json.Unmarshal(body, into)
}

// encodePart writes a value as JSON without escaping what only HTML must escape.
func encodePart(v any) (json.RawMessage, error) {
	switch raw := v.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return raw, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes()[: b.Len()-1 : b.Len()-1], nil
}
