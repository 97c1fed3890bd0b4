package queue

import (
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// agedShare bounds what ageing may take: of so many consecutive hand-outs at most one goes past a higher
// priority. Without the bound an overloaded queue, in which everything is old, would forget priorities just
// when they matter.
const agedShare = 4

// ready holds the entries that may be handed out now, and says which is next.
type ready[K comparable] struct {
	levels  []*level[K] // one per priority ever used, highest first
	count   int
	strict  int // hand-outs since ageing last went past a higher priority
	ageing  time.Duration
	retired *line[K] // an empty line to use again
}

// A level is one priority: its entries by age, and the same entries in one line per tenant.
type level[K comparable] struct {
	priority Priority
	all      heap[K] // slot 0
	lines    map[resource.Namespace]*line[K]
	turn     *line[K] // whose turn it is; the lines form a ring
}

// A line is what one tenant has waiting at one level.
type line[K comparable] struct {
	tenant     resource.Namespace
	level      *level[K]
	entries    heap[K] // slot 1
	prev, next *line[K]
}

func (r *ready[K]) push(e *entry[K]) {
	l := r.line(r.level(e.priority), e.tenant)
	l.level.all.push(e)
	l.entries.push(e)
	e.line = l
	r.count++
}

func (r *ready[K]) remove(e *entry[K]) {
	l := e.line
	l.level.all.remove(e)
	l.entries.remove(e)
	e.line = nil
	r.count--
	if l.entries.len() == 0 {
		l.leave()
		r.retired = l
	}
}

// next takes the entry that is to be handed out, or returns nil.
func (r *ready[K]) next() *entry[K] {
	if r.count == 0 {
		return nil
	}
	l := r.pick()
	e := l.turn.entries.min()
	l.turn = l.turn.next
	r.remove(e)
	return e
}

// pick chooses the level: the highest, or one whose oldest entry has aged past it. An entry counts as if it
// had come one ageing period earlier per step of priority, which orders two entries alike at all times.
func (r *ready[K]) pick() *level[K] {
	var highest, aged *level[K]
	var rank time.Duration
	for _, l := range r.levels {
		if l.all.len() == 0 {
			continue
		}
		at := time.Duration(l.all.min().at) - time.Duration(l.priority)*r.ageing
		if highest == nil {
			highest, aged, rank = l, l, at
		} else if at < rank {
			aged, rank = l, at
		}
	}
	if aged != highest && r.strict >= agedShare-1 {
		r.strict = 0
		return aged
	}
	r.strict++
	return highest
}

// oldest returns the entry that has been ready longest, or nil.
func (r *ready[K]) oldest() *entry[K] {
	var oldest *entry[K]
	for _, l := range r.levels {
		if e := l.all.min(); e != nil && (oldest == nil || e.at < oldest.at) {
			oldest = e
		}
	}
	return oldest
}

func (r *ready[K]) level(p Priority) *level[K] {
	for i, l := range r.levels {
		if l.priority == p {
			return l
		}
		if l.priority < p {
			return r.newLevel(i, p)
		}
	}
	return r.newLevel(len(r.levels), p)
}

func (r *ready[K]) newLevel(i int, p Priority) *level[K] {
	l := &level[K]{priority: p, lines: map[resource.Namespace]*line[K]{}}
	r.levels = slices.Insert(r.levels, i, l)
	return l
}

// line returns the tenant's line. A tenant that had nothing waiting joins behind all others.
func (r *ready[K]) line(lv *level[K], tenant resource.Namespace) *line[K] {
	if l := lv.lines[tenant]; l != nil {
		return l
	}
	l := r.retired
	if l == nil {
		l = &line[K]{entries: heap[K]{slot: 1}}
	}
	r.retired = nil
	l.tenant, l.level = tenant, lv
	lv.lines[tenant] = l
	if lv.turn == nil {
		lv.turn, l.prev, l.next = l, l, l
		return l
	}
	l.prev, l.next = lv.turn.prev, lv.turn
	l.prev.next, l.next.prev = l, l
	return l
}

// leave takes an empty line out of the ring.
func (l *line[K]) leave() {
	lv := l.level
	delete(lv.lines, l.tenant)
	if lv.turn == l {
		lv.turn = l.next
	}
	if l.next == l {
		lv.turn = nil
	}
	l.prev.next, l.next.prev = l.next, l.prev
	l.prev, l.next, l.level = nil, nil, nil
}
