package sqlite

import (
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// head is what judging a write needs of a stored object.
type head struct {
	id         int64
	uid        resource.UID
	revision   resource.Revision
	generation resource.Generation
	created    int64
	deleted    int64
	state      lifecycle.State
}

// heads remembers the heads of objects in use, so that most writes are judged without a query. It forgets in two generations: what was not
// used while the younger one filled up is gone. Only the writer touches it.
type heads struct {
	young, old map[resource.Key]head
}

// headsMax bounds each generation: about 16 MiB in all.
const headsMax = 32768

func newHeads() *heads {
	h := &heads{}
	h.clear()
	return h
}

func (h *heads) clear() {
	h.young, h.old = make(map[resource.Key]head), nil
}

func (h *heads) get(key resource.Key) (head, bool) {
	if v, ok := h.young[key]; ok {
		return v, true
	}
	v, ok := h.old[key]
	if ok {
		h.put(key, v)
	}
	return v, ok
}

func (h *heads) put(key resource.Key, v head) {
	if len(h.young) >= headsMax {
		h.young, h.old = make(map[resource.Key]head), h.young
	}
	h.young[key] = v
}

func (h *heads) remove(key resource.Key) {
	delete(h.young, key)
	delete(h.old, key)
}
