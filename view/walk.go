package view

import (
	"iter"
	"sync"

	"github.com/tidwall/btree"
)

// walk reads a range of a tree in pages: the lock is held while a page is filled, and never while the reader looks at it.
type walk[T, V any] struct {
	mu   *sync.RWMutex
	tree *btree.BTreeG[T]
	from T
	// at says to start at from, and not at the beginning of the tree.
	at bool
	// see returns what is visible of an item, nil for nothing, and whether the item is still inside the range.
	see func(T) (value *V, inside bool)
}

// Pages begin small, for those who look at few rows, and grow to pageSize items, visible or not.
const firstPage, pageSize = 16, 256

// all yields what is visible, in order.
func (w walk[T, V]) all() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		var (
			page []*V
			size = firstPage
			skip = false
			more = true
		)
		for more {
			page, more = w.page(page[:0], size, skip)
			for _, value := range page {
				if !yield(value) {
					return
				}
			}
			w.at, skip = true, true
			size = min(size*4, pageSize)
		}
	}
}

// page appends what is visible among the next size items, moves from to the last of them, and reports whether there may be more.
func (w *walk[T, V]) page(dst []*V, size int, skip bool) (page []*V, more bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var last T
	seen := 0
	visit := func(i T) bool {
		if skip && !w.tree.Less(w.from, i) {
			return true // the last one of the page before
		}
		value, inside := w.see(i)
		if !inside {
			return false
		}
		if value != nil {
			dst = append(dst, value)
		}
		last = i
		seen++
		more = seen == size
		return !more
	}
	if w.at {
		w.tree.Ascend(w.from, visit)
	} else {
		w.tree.Scan(visit)
	}
	if seen > 0 {
		w.from = last
	}
	return dst, more
}
