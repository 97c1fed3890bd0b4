package queue

// A heap orders entries by time, and entries of the same time by the order in which they were given it. Each
// entry knows its position, so that it can be removed from the middle. Times are copied into the nodes: a
// comparison does not visit the entry.
type heap[K comparable] struct {
	nodes []node[K]
	slot  int // which of the entry's positions is ours
}

type node[K comparable] struct {
	at    instant
	seq   uint64
	entry *entry[K]
}

func (n *node[K]) before(o *node[K]) bool {
	return n.at < o.at || n.at == o.at && n.seq < o.seq
}

func (h *heap[K]) len() int { return len(h.nodes) }

// min returns the earliest entry, or nil.
func (h *heap[K]) min() *entry[K] {
	if len(h.nodes) == 0 {
		return nil
	}
	return h.nodes[0].entry
}

func (h *heap[K]) push(e *entry[K]) {
	h.nodes = append(h.nodes, node[K]{})
	h.up(len(h.nodes)-1, node[K]{e.at, e.seq, e})
}

func (h *heap[K]) remove(e *entry[K]) {
	i, last := int(e.pos[h.slot]), len(h.nodes)-1
	moved := h.nodes[last]
	h.nodes[last] = node[K]{}
	h.nodes = h.nodes[:last]
	switch {
	case i == last:
	case i > 0 && moved.before(&h.nodes[(i-1)/2]):
		h.up(i, moved)
	default:
		h.down(i, moved)
	}
	if c := cap(h.nodes); c > 1024 && last < c/4 {
		h.nodes = append(make([]node[K], 0, c/2), h.nodes...) // a burst's memory is given back
	}
}

// up places n at the hole i or above it.
func (h *heap[K]) up(i int, n node[K]) {
	for i > 0 {
		parent := (i - 1) / 2
		if !n.before(&h.nodes[parent]) {
			break
		}
		h.set(i, h.nodes[parent])
		i = parent
	}
	h.set(i, n)
}

// down places n at the hole i or below it.
func (h *heap[K]) down(i int, n node[K]) {
	for {
		child := 2*i + 1
		if child >= len(h.nodes) {
			break
		}
		if right := child + 1; right < len(h.nodes) && h.nodes[right].before(&h.nodes[child]) {
			child = right
		}
		if !h.nodes[child].before(&n) {
			break
		}
		h.set(i, h.nodes[child])
		i = child
	}
	h.set(i, n)
}

func (h *heap[K]) set(i int, n node[K]) {
	h.nodes[i] = n
	n.entry.pos[h.slot] = int32(i)
}
