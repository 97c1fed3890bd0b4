package view

import (
	"github.com/tidwall/btree"
)

// table holds the rows of one sort: by key in a map, in order in a tree, and in secondary indexes.
// Everything that changes it runs under the view's write lock.
type table[K comparable, V any] struct {
	key     func(*V) *K
	compare func(a, b *K) int
	clock   *clock
	rows    map[K]*entry[V]
	order   *btree.BTreeG[item[K, V]]
	indexes []*index[V]
	// live counts the rows that exist in the newest version.
	live int
}

// item is an entry in the ordered tree, or, with a key and no entry, a place in it to search from.
type item[K comparable, V any] struct {
	entry *entry[V]
	place *K
}

func newTable[K comparable, V any](c *clock, key func(*V) *K, compare func(a, b *K) int, indexes ...*index[V]) *table[K, V] {
	t := &table[K, V]{key: key, compare: compare, clock: c, rows: map[K]*entry[V]{}, indexes: indexes}
	t.order = btree.NewBTreeGOptions(func(a, b item[K, V]) bool {
		return t.compare(t.keyOf(a), t.keyOf(b)) < 0
	}, btree.Options{NoLocks: true})
	return t
}

func (t *table[K, V]) keyOf(i item[K, V]) *K {
	if i.entry != nil {
		return t.key(i.entry.value)
	}
	return i.place
}

// put makes value the newest version of its key. It returns the version it replaces, nil when there was none.
func (t *table[K, V]) put(value *V) (old *V) {
	k := *t.key(value)
	e := t.rows[k]
	if e == nil {
		e = &entry[V]{value: value, born: t.clock.writing}
		t.rows[k] = e
		t.order.Set(item[K, V]{entry: e})
		for _, ix := range t.indexes {
			ix.move(e, nil, value, false)
		}
		t.live++
		return nil
	}
	old = e.newest()
	if old == nil {
		t.live++
	}
	t.write(e, value, false)
	return old
}

// remove ends a row; last is the form it had, by which snapshots of later cuts know that it is gone. It returns the version
// that was removed, nil when there was none.
func (t *table[K, V]) remove(last *V) (old *V) {
	e := t.rows[*t.key(last)]
	if old = e.newest(); old == nil {
		return nil
	}
	t.live--
	t.write(e, last, true)
	if e.older == nil {
		t.forget(e)
	}
	return old
}

// write replaces the newest version, keeping it when a snapshot needs it.
func (t *table[K, V]) write(e *entry[V], value *V, removed bool) {
	was := e.newest()
	kept := t.keep(e)
	e.value, e.removed, e.born = value, removed, t.clock.writing
	now := e.newest()
	for _, ix := range t.indexes {
		ix.move(e, was, now, kept)
	}
}

// keep puts the newest version behind itself in the chain if an open snapshot sees it.
func (t *table[K, V]) keep(e *entry[V]) bool {
	if e.born == t.clock.writing {
		return false // written in this very step: nobody can have seen it
	}
	keeper := t.clock.keeper(e.born)
	if keeper == nil {
		return false
	}
	e.older = &version[V]{value: e.value, older: e.older, born: e.born, removed: e.removed, of: e, in: t}
	keeper.garbage = append(keeper.garbage, e.older)
	t.clock.kept++
	return true
}

// reclaim frees a version that no snapshot needs any more.
func (t *table[K, V]) reclaim(w *version[V]) {
	e := w.of
	e.unlink(w)
	t.clock.kept--
	if !w.removed {
		for _, ix := range t.indexes {
			ix.move(e, w.value, nil, false)
		}
	}
	if e.removed && e.older == nil {
		t.forget(e)
	}
}

// forget drops an entry of which nothing is left.
func (t *table[K, V]) forget(e *entry[V]) {
	t.order.Delete(item[K, V]{entry: e})
	delete(t.rows, *t.key(e.value))
}

// find returns a row as it was at a sequence, nil when it did not exist.
func (t *table[K, V]) find(k K, s sequence) *V {
	if e := t.rows[k]; e != nil {
		return e.at(s)
	}
	return nil
}

// newest returns the newest versions from a place on, for as long as inside says so. It is for the applier.
func (t *table[K, V]) newest(from *K, inside func(*K) bool) []*V {
	var found []*V
	t.order.Ascend(item[K, V]{place: from}, func(i item[K, V]) bool {
		if !inside(t.keyOf(i)) {
			return false
		}
		if v := i.entry.newest(); v != nil {
			found = append(found, v)
		}
		return true
	})
	return found
}
