package view

import "slices"

// sequence is the view's own clock: it rises by one with every step that becomes visible. Versions are stamped with
// it and not with the database's revision, which goes back when a backup is restored.
type sequence uint64

// entry is one row of a table: its newest version, and behind it the older ones that open snapshots still need.
type entry[V any] struct {
	value   *V
	older   *version[V]
	born    sequence
	removed bool   // the row is gone since born; value is its last form
	mark    uint32 // the rescan that saw the row last; touched by the applier only
}

// version is a former state of an entry. It exists only while a snapshot needs it.
type version[V any] struct {
	value   *V
	older   *version[V]
	born    sequence
	removed bool
	of      *entry[V]
	in      reclaimer[V]
}

// reclaimer is the table a version belongs to.
type reclaimer[V any] interface{ reclaim(w *version[V]) }

// garbage is a version of any table.
type garbage interface {
	since() sequence
	reclaim()
}

func (w *version[V]) since() sequence { return w.born }
func (w *version[V]) reclaim()        { w.in.reclaim(w) }

// at returns the row as it was at a sequence, nil when it did not exist.
func (e *entry[V]) at(s sequence) *V {
	if e.born <= s {
		if e.removed {
			return nil
		}
		return e.value
	}
	for w := e.older; w != nil; w = w.older {
		if w.born <= s {
			if w.removed {
				return nil
			}
			return w.value
		}
	}
	return nil
}

// newest returns the row's newest version, visible or still being written; nil when it is removed.
func (e *entry[V]) newest() *V {
	if e == nil || e.removed {
		return nil
	}
	return e.value
}

// unlink takes w out of the chain.
func (e *entry[V]) unlink(w *version[V]) {
	at := &e.older
	for *at != w {
		at = &(*at).older
	}
	*at = w.older
}

// term is what a row is found under in a secondary index.
type term struct {
	a, b string
	n    uint64
}

// index keeps an entry under every term that any of its retained versions has. Whoever reads checks that
// the version it sees has the term, so an entry listed for the sake of an old version is never mistaken.
type index[V any] struct {
	terms func(dst []term, v *V) []term
	add   func(t term, e *entry[V])
	drop  func(t term, e *entry[V])

	before, after, other []term // scratch space of the applier
}

// move goes from the terms of one version to those of the next. kept says that the old version stays in the chain.
func (ix *index[V]) move(e *entry[V], was, now *V, kept bool) {
	ix.before, ix.after = ix.before[:0], ix.after[:0]
	if was != nil {
		ix.before = ix.terms(ix.before, was)
	}
	if now != nil {
		ix.after = ix.terms(ix.after, now)
	}
	if slices.Equal(ix.before, ix.after) {
		return
	}
	for _, t := range ix.after {
		if !slices.Contains(ix.before, t) {
			ix.add(t, e)
		}
	}
	if kept {
		return
	}
	for _, t := range ix.before {
		if !slices.Contains(ix.after, t) && !ix.holds(e, t) {
			ix.drop(t, e)
		}
	}
}

// holds reports whether any retained version of e has the term.
func (ix *index[V]) holds(e *entry[V], t term) bool {
	has := func(v *V, removed bool) bool {
		if removed {
			return false
		}
		ix.other = ix.terms(ix.other[:0], v)
		return slices.Contains(ix.other, t)
	}
	if has(e.value, e.removed) {
		return true
	}
	for w := e.older; w != nil; w = w.older {
		if has(w.value, w.removed) {
			return true
		}
	}
	return false
}
