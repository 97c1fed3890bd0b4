package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
)

// Options describe a kind whose spec is an S and whose status is a T. Only Group and Version must be set.
type Options[S, T any] struct {
	// Group is a DNS name that you own, "edge.example". Version is "v1" or the like.
	Group, Version string
	// Kind is the name of the Go type S without "Spec" when empty.
	Kind string
	// Singular is the lower-case Kind when empty, Plural that in the plural.
	Singular, Plural       string
	ShortNames, Categories []string
	// Scope is Namespaced when empty.
	Scope       Scope
	Description string
	// Refine adds what Go types cannot say: enums, bounds, patterns, defaults. It may be nil.
	Refine func(spec, status *jsonschema.Schema)
	// Lifecycle is nil for a kind without states.
	Lifecycle lifecycle.Table
	// Decisions is the kind's decision table; the zero Table decides nothing, and signals are read by the code of its controllers.
	Decisions decide.Table
	// Columns are found at a path; Computed ones, shown after them, are computed from the typed object.
	Columns  []Column
	Computed []ColumnOf[S, T]
	// Default fills in what a client left out of the spec, and must come to the same result when called again.
	Default func(*S)
	// Validate judges what a schema cannot, when an object is made (old is nil) and when its spec changes. Return [Refuse]
	// with the field's path, several of them joined by [errors.Join], or any other error.
	Validate func(old, new *Typed[S, T]) error
}

// ColumnOf is a [Column] whose value Of computes from the typed object; it is found at Path when Of is nil.
type ColumnOf[S, T any] struct {
	Column
	Of func(*Typed[S, T]) any
}

// Define makes a kind from Go types. Fields get their JSON names and are required unless they are marked omitempty or omitzero; a
// `jsonschema:"…"` tag is a field's description. The error lists all that is wrong, in words.
func Define[S, T any](o Options[S, T]) (*Definition, error) {
	var errs []error
	spec, err := partSchema[S]("spec")
	errs = append(errs, err)
	status, err := partSchema[T]("status")
	errs = append(errs, err)
	if o.Refine != nil && spec != nil && status != nil {
		o.Refine(spec, status)
	}
	if status != nil {
		// A new object has no status yet, so none of its fields can be required.
		status.Required = nil
	}
	d := &Definition{
		Group: o.Group, Version: o.Version, Kind: o.Kind, Singular: o.Singular, Plural: o.Plural,
		ShortNames: o.ShortNames, Categories: o.Categories, Scope: o.Scope, Description: o.Description,
		Spec: spec, Status: status, Lifecycle: o.Lifecycle, Decisions: o.Decisions,
		Default: typedDefault(o.Default), Validate: typedValidate(o.Validate),
	}
	d.decodes = func(o *Object) error { _, err := View[S, T](o); return err }
	nameByType(d, reflect.TypeFor[S]())
	d.Columns = slices.Clone(o.Columns)
	for _, c := range o.Computed {
		d.Columns = append(d.Columns, c.untyped())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(fmt.Errorf("kind %s: %w", d.ID(), err), d.Check())
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}

// MustDefine is [Define] for definitions in package variables: it panics on an error.
func MustDefine[S, T any](o Options[S, T]) *Definition {
	d, err := Define(o)
	if err != nil {
		panic(err)
	}
	return d
}

// nameByType fills in the names that follow from others.
func nameByType(d *Definition, spec reflect.Type) {
	if d.Kind == "" {
		d.Kind = strings.TrimSuffix(spec.Name(), "Spec")
	}
	if d.Singular == "" {
		d.Singular = strings.ToLower(d.Kind)
	}
	if d.Plural == "" {
		d.Plural = plural(d.Singular)
	}
	if d.Scope == "" {
		d.Scope = Namespaced
	}
}

// plural forms the regular English plural.
func plural(s string) string {
	switch {
	case s == "":
		return ""
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "z"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	case len(s) > 1 && strings.HasSuffix(s, "y") && !strings.ContainsRune("aeiou", rune(s[len(s)-2])):
		return s[:len(s)-1] + "ies"
	}
	return s + "s"
}

func (c ColumnOf[S, T]) untyped() Column {
	if c.Of != nil {
		of := c.Of
		c.Value = func(o *Object) any {
			typed, err := View[S, T](o)
			if err != nil {
				return nil
			}
			return of(typed)
		}
	}
	return c.Column
}

// typedDefault lets f change a decoded spec, and carries over to the JSON only what it changed: what the client wrote, and what
// it left out, stays to be judged.
func typedDefault[S any](f func(*S)) func(*Object) error {
	if f == nil {
		return nil
	}
	return func(o *Object) error {
		var spec S
		if err := decodePart(o.Spec, &spec); err != nil {
			return nil // the schema says what is wrong, with the field's path
		}
		before, err := encodePart(spec)
		if err != nil {
			return err
		}
		f(&spec)
		after, err := encodePart(spec)
		if err != nil {
			return err
		}
		o.Spec, err = carryOver(o.Spec, before, after)
		return err
	}
}

func typedValidate[S, T any](f func(old, new *Typed[S, T]) error) func(old, new *Object) error {
	if f == nil {
		return nil
	}
	return func(old, new *Object) error {
		var was *Typed[S, T]
		if old != nil {
			var err error
			if was, err = Decode[S, T](old); err != nil {
				return err
			}
		}
		is, err := Decode[S, T](new)
		if err != nil {
			return err
		}
		return f(was, is)
	}
}

// carryOver applies to original what changed from before to after.
func carryOver(original, before, after json.RawMessage) (json.RawMessage, error) {
	if SameJSON(before, after) {
		return original, nil
	}
	var nodes [3]node
	for i, text := range []json.RawMessage{original, before, after} {
		n, err := parseOptional(text)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	nodes[0].carryOver(&nodes[1], &nodes[2])
	return nodes[0].render(nil), nil
}

func (n *node) carryOver(before, after *node) {
	for i := range after.members {
		key, now := after.members[i].key, after.members[i].val
		was, here := before.get(key), n.get(key)
		switch {
		case was != nil && same(was, &now):
		case was != nil && here != nil && was.kind == jsonObject && now.kind == jsonObject && here.kind == jsonObject:
			here.carryOver(was, &now)
		default:
			n.set(key, now)
		}
	}
	for i := range before.members {
		if after.get(before.members[i].key) == nil {
			n.remove(before.members[i].key)
		}
	}
}
