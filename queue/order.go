package queue

import (
	"cmp"
	"container/heap"
	"container/list"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// What a pile goes by.
const (
	byTime = iota
	byRank
)

// A pile is a heap of entries. Each knows its position, so that it can be removed from the middle.
type pile[K comparable] struct {
	entries []*entry[K]
	by      int
}

// Len, Less, Swap, Push and Pop are for [container/heap].
func (p *pile[K]) Len() int { return len(p.entries) }

func (p *pile[K]) Less(i, j int) bool {
	a, b := p.entries[i], p.entries[j]
	if p.by == byRank && a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (p *pile[K]) Swap(i, j int) {
	p.entries[i], p.entries[j] = p.entries[j], p.entries[i]
	p.entries[i].pos[p.by], p.entries[j].pos[p.by] = int32(i), int32(j)
}

func (p *pile[K]) Push(x any) {
	e := x.(*entry[K])
	e.pos[p.by] = int32(len(p.entries))
	p.entries = append(p.entries, e)
}

func (p *pile[K]) Pop() any {
	last := len(p.entries) - 1
	e := p.entries[last]
	p.entries = slices.Delete(p.entries, last, last+1)
	return e
}

func (p *pile[K]) push(e *entry[K])   { heap.Push(p, e) }
func (p *pile[K]) remove(e *entry[K]) { heap.Remove(p, int(e.pos[p.by])) }

// first returns the earliest entry, or nil.
func (p *pile[K]) first() *entry[K] {
	if len(p.entries) == 0 {
		return nil
	}
	return p.entries[0]
}

// agedShare bounds what ageing may take: of so many consecutive hand-outs at most one goes past a higher
// priority. Without the bound an overloaded queue, in which everything is old, would forget priorities just
// when they matter.
const agedShare = 4

// spareRoom is for how many entries an empty line may have room.
const spareRoom = 64

// ready holds the entries that may be handed out now, and says which is next.
type ready[K comparable] struct {
	levels []*level[K] // one per priority ever used, highest first
	ranks  pile[K]     // all of them, by age and priority
	strict int         // hand-outs since ageing last went past a higher priority
	spare  *line[K]    // the last line that ended, to begin the next one with
	ageing time.Duration
}

// A level is one priority: a line for each tenant that has something waiting, in the order of their turns.
type level[K comparable] struct {
	priority Priority
	lines    map[resource.Namespace]*line[K]
	turns    list.List
}

// A line is what one tenant has waiting at one level.
type line[K comparable] struct {
	pile[K]
	level *level[K]
	turn  *list.Element
}

func (r *ready[K]) push(e *entry[K]) {
	lv := r.level(e.priority)
	e.line = lv.lines[e.tenant]
	if e.line == nil { // a tenant that had nothing waiting joins behind all others
		e.line = r.line()
		e.line.level = lv
		e.line.turn = lv.turns.PushBack(e.line)
		lv.lines[e.tenant] = e.line
	}
	e.line.push(e)
	// An entry counts as if it had come one ageing period earlier per step of priority, which orders two entries
	// alike at all times. The nanosecond lets the higher priority win a draw.
	e.rank = e.at - instant(e.priority)*instant(r.ageing+1)
	r.ranks.push(e)
}

func (r *ready[K]) remove(e *entry[K]) {
	r.ranks.remove(e)
	e.line.remove(e)
	if lv := e.line.level; e.line.Len() == 0 {
		lv.turns.Remove(e.line.turn)
		delete(lv.lines, e.tenant)
		r.spare = e.line
	}
	e.line = nil
}

// line returns an empty line.
func (r *ready[K]) line() *line[K] {
	l := r.spare
	r.spare = nil
	if l == nil || cap(l.entries) > spareRoom {
		return &line[K]{}
	}
	return l
}

// next takes the entry that is to be handed out, or returns nil: of the highest level, or of one whose oldest entry has
// aged past it.
func (r *ready[K]) next() *entry[K] {
	if r.ranks.Len() == 0 {
		return nil
	}
	i := slices.IndexFunc(r.levels, func(lv *level[K]) bool { return lv.turns.Len() > 0 })
	chosen, aged := r.levels[i], r.ranks.first().line.level
	if aged != chosen && r.strict >= agedShare-1 {
		chosen, r.strict = aged, 0
	} else {
		r.strict++
	}
	turn := chosen.turns.Front()
	chosen.turns.MoveToBack(turn)
	e := turn.Value.(*line[K]).first()
	r.remove(e)
	return e
}

// level returns the level of a priority and makes one if there is none.
func (r *ready[K]) level(p Priority) *level[K] {
	i, ok := slices.BinarySearchFunc(r.levels, p, func(lv *level[K], p Priority) int { return cmp.Compare(p, lv.priority) })
	if !ok {
		r.levels = slices.Insert(r.levels, i, &level[K]{priority: p, lines: map[resource.Namespace]*line[K]{}})
	}
	return r.levels[i]
}

// oldest returns the entry that has been ready longest, or nil.
func (r *ready[K]) oldest() (oldest *entry[K]) {
	for _, lv := range r.levels {
		for _, l := range lv.lines {
			if e := l.first(); oldest == nil || e.at < oldest.at {
				oldest = e
			}
		}
	}
	return oldest
}
