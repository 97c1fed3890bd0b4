package resource

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Parse reads an object in the shape of the Kubernetes API: the inverse of [AppendJSON]. Fields of metadata that Setpoint does not keep
// (managedFields, selfLink, generateName …) are passed over; any other that is not known, a wrong type and a duplicate are refused with a *[Malformed]
// that lists them. Fields inside of spec and status are judged by [Definition.Admit]. A body above [MaxBytes] fails with [ErrTooLarge].
func Parse(d *Definition, body []byte) (*Object, error) {
	o, unknown, err := parse(d, body)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, &Malformed{Key: o.Key, Causes: unknown}
	}
	return o, nil
}

// ParseLenient is [Parse] for clients that ask not to be refused for fields that are not known: it drops them, in spec and status
// too, and lists them.
func ParseLenient(d *Definition, body []byte) (*Object, []Cause, error) {
	o, unknown, err := parse(d, body)
	if err != nil {
		return nil, nil, err
	}
	more, err := d.Prune(o)
	return o, append(unknown, more...), err
}

// Prune drops the fields of spec and status that the kind's schema does not know, and lists them.
func (d *Definition) Prune(o *Object) ([]Cause, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	var dropped causes
	for _, part := range []struct {
		name string
		body *json.RawMessage
		rule *rule
	}{{"spec", &o.Spec, d.spec}, {"status", &o.Status, d.status}} {
		n, err := parseOptional(*part.body)
		if err != nil {
			return nil, &Malformed{Key: o.Key, Causes: []Cause{{Field: part.name, Type: WrongValue, Message: err.Error()}}}
		}
		mark := len(dropped)
		if part.rule.prune(&n, &dropped); len(dropped) > mark {
			dropped.within(mark, part.name)
			*part.body = n.render(nil)
		}
	}
	return dropped, nil
}

func parse(d *Definition, body []byte) (*Object, []Cause, error) {
	o := &Object{Meta: Meta{Key: Key{Kind: d.ID()}}}
	if len(body) > MaxBytes {
		return nil, nil, fmt.Errorf("%s: %d bytes: %w", d.Kind, len(body), ErrTooLarge)
	}
	root, err := parseJSON(body)
	if err != nil {
		e := err.(*jsonError)
		line, column := position(body, e.offset)
		return nil, nil, &Malformed{Key: o.Key, Causes: []Cause{{
			Field: e.path, Type: WrongValue, Message: fmt.Sprintf("%s (line %d, column %d)", e.reason, line, column),
		}}}
	}
	r := reader{d: d, o: o}
	r.root(&root)
	var wrong, unknown []Cause
	for _, c := range r.found {
		c.Field = strings.TrimPrefix(c.Field, ".")
		if c.Type == UnknownField {
			unknown = append(unknown, c)
		} else {
			wrong = append(wrong, c)
		}
	}
	if len(wrong) > 0 {
		return nil, nil, &Malformed{Key: o.Key, Causes: append(wrong, unknown...)}
	}
	return o, unknown, nil
}

// position counts lines and columns from 1.
func position(text []byte, offset int) (line, column int) {
	before := string(text[:min(offset, len(text))])
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// KeepPrecision gives an object that a client sent back what its wire form could not carry: where a time of old begins with the
// second that o has, o gets old's, and owners that old has too get their namespace back.
func (o *Object) KeepPrecision(old *Object) {
	keep := func(into *time.Time, exact time.Time) {
		if !into.IsZero() && into.Equal(exact.Truncate(time.Second)) {
			*into = exact
		}
	}
	keep(&o.Created, old.Created)
	keep(&o.Deleted, old.Deleted)
	for i := range o.Conditions {
		if was, ok := old.Condition(o.Conditions[i].Type); ok {
			keep(&o.Conditions[i].Since, was.Since)
		}
	}
	for i := range o.Owners {
		for _, was := range old.Owners {
			if o.Owners[i].UID == was.UID && o.Owners[i].Kind == was.Kind && o.Owners[i].Name == was.Name {
				o.Owners[i].Namespace = was.Namespace
			}
		}
	}
}
