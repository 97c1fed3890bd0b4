package resource

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// reader fills an object from nodes and collects what is wrong. Fields are named as seen from the node that is read (see causes.within).
type reader struct {
	d     *Definition
	o     *Object
	found causes
}

// object hands every field that is known to read, nulls excepted: they stand for absence.
func (r *reader) object(n *node, fields []string, read func(field string, v *node)) {
	if !r.is(n, jsonObject) {
		return
	}
	for i := range n.members {
		m, mark := &n.members[i], len(r.found)
		switch {
		case !slices.Contains(fields, m.key):
			r.found.add("", UnknownField, "unknown field%s", didYouMean(m.key, fields))
		case m.val.kind != jsonNull:
			read(m.key, &m.val)
		}
		r.found.inField(mark, m.key)
	}
}

// list hands every item of a list to read.
func (r *reader) list(n *node, read func(*node)) {
	if !r.is(n, jsonArray) {
		return
	}
	for i := range n.items {
		mark := len(r.found)
		read(&n.items[i])
		r.found.inItem(mark, i)
	}
}

func (r *reader) is(n *node, want jsonKind) bool {
	if n.kind != want {
		r.found.add("", WrongType, "want %s, not %s", article(want), describe(n))
		return false
	}
	return true
}

func readText[T ~string](r *reader, n *node, into *T) {
	if r.is(n, jsonString) {
		*into = T(n.str)
	}
}

func readCount[T ~uint64](r *reader, n *node, into *T) {
	if !r.is(n, jsonNumber) {
		return
	}
	v, err := strconv.ParseUint(string(n.raw), 10, 64)
	if err != nil {
		r.found.add("", WrongValue, "want a whole number from 0, not %s", quoteNode(n))
		return
	}
	*into = T(v)
}

func (r *reader) time(n *node, into *time.Time) {
	if !r.is(n, jsonString) {
		return
	}
	t, err := time.Parse(time.RFC3339, n.str)
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 { // a zone can lead out of what can be written
		r.found.add("", WrongValue, "want a time like 2026-11-21T09:00:00Z, not %s", quoteNode(n))
		return
	}
	*into = t
}

func (r *reader) flag(n *node, into *bool) {
	if r.is(n, jsonBool) {
		*into = string(n.raw) == "true"
	}
}

func (r *reader) texts(n *node, into *map[string]string) {
	if !r.is(n, jsonObject) || len(n.members) == 0 {
		return
	}
	*into = make(map[string]string, len(n.members))
	for i := range n.members {
		m, mark := &n.members[i], len(r.found)
		if m.val.kind == jsonNull || r.is(&m.val, jsonString) {
			(*into)[m.key] = m.val.str
		}
		if mark < len(r.found) {
			r.found.within(mark, "["+m.key+"]")
		}
	}
}
