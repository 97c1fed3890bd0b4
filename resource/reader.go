package resource

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// reader fills an object from nodes and collects what is wrong.
type reader struct {
	d       *Definition
	o       *Object
	wrong   causes
	unknown causes
}

// object hands every field to its function, nulls excepted: they stand for absence.
func (r *reader) object(path string, n *node, fields map[string]func(string, *node)) {
	if !r.is(path, n, jsonObject) {
		return
	}
	for i := range n.members {
		m := &n.members[i]
		at := pathField(path, m.key)
		if path == "" {
			at = strings.TrimPrefix(at, ".")
		}
		read, known := fields[m.key]
		switch {
		case !known:
			r.unknown.add(at, UnknownField, "unknown field%s", didYouMean(m.key, sortedKeys(fields)))
		case read != nil && m.val.kind != jsonNull:
			read(at, &m.val)
		}
	}
}

func (r *reader) is(path string, n *node, want jsonKind) bool {
	if n.kind != want {
		r.wrong.add(path, WrongType, "want %s, not %s", article(want), describe(n))
		return false
	}
	return true
}

func readText[T ~string](r *reader, into *T) func(string, *node) {
	return func(path string, n *node) {
		if r.is(path, n, jsonString) {
			*into = T(n.str)
		}
	}
}

func readCount[T ~uint64](r *reader, into *T) func(string, *node) {
	return func(path string, n *node) {
		if !r.is(path, n, jsonNumber) {
			return
		}
		v, err := strconv.ParseUint(string(n.raw), 10, 64)
		if err != nil {
			r.wrong.add(path, WrongValue, "want a whole number from 0, not %s", quoteNode(n))
			return
		}
		*into = T(v)
	}
}

func (r *reader) readTime(into *time.Time) func(string, *node) {
	return func(path string, n *node) {
		if !r.is(path, n, jsonString) {
			return
		}
		t, err := time.Parse(time.RFC3339, n.str)
		if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 { // a zone can lead out of what can be written
			r.wrong.add(path, WrongValue, "want a time like 2026-11-21T09:00:00Z, not %s", quoteNode(n))
			return
		}
		*into = t.UTC()
	}
}

func (r *reader) readFlag(into *bool) func(string, *node) {
	return func(path string, n *node) {
		if r.is(path, n, jsonBool) {
			*into = string(n.raw) == "true"
		}
	}
}

func (r *reader) readTexts(into *map[string]string) func(string, *node) {
	return func(path string, n *node) {
		if !r.is(path, n, jsonObject) || len(n.members) == 0 {
			return
		}
		*into = make(map[string]string, len(n.members))
		for i := range n.members {
			m := &n.members[i]
			if m.val.kind == jsonNull || r.is(path+"["+m.key+"]", &m.val, jsonString) {
				(*into)[m.key] = m.val.str
			}
		}
	}
}

// each calls read with every item of a list.
func (r *reader) each(read func(string, *node)) func(string, *node) {
	return func(path string, n *node) {
		if !r.is(path, n, jsonArray) {
			return
		}
		for i := range n.items {
			read(path+"["+strconv.Itoa(i)+"]", &n.items[i])
		}
	}
}
