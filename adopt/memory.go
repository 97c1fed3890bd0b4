package adopt

import (
	"slices"
	"sync"
	"time"
)

// memory is what a controller knows about rows beyond its queue: which changes its turns have seen already, and where the
// rows stand that are not at rest. All of it may be lost; that costs a turn too many and no more.
type memory[ID comparable] struct {
	mu        sync.Mutex
	flights   map[ID]*flight
	echoes    generations[ID] // versions saved, whose change has not been reported yet
	standings map[ID]standing
}

// flight is a turn in progress. Changes reported during it are judged at its end, for a change may be reported before the save
// that made it has returned.
type flight struct {
	seen    []Version // loaded or saved by the turn
	saved   []Version
	heard   []Version // reported, and not seen so far
	foreign bool      // somebody else has changed the row during the turn
}

// standing is how a row's last turn ended, if not at rest.
type standing struct {
	outcome Outcome
	since   time.Time // when it got this kind and code
	due     time.Time // when After ends
}

// heardLimit bounds what is kept of the changes of one row during one turn. More of them are somebody else's.
const heardLimit = 32

func newMemory[ID comparable]() *memory[ID] {
	return &memory[ID]{flights: map[ID]*flight{}, standings: map[ID]standing{}, echoes: generations[ID]{young: map[ID][]Version{}}}
}

func (m *memory[ID]) begin(id ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flights[id] = &flight{}
}

func (m *memory[ID]) loaded(id ID, v Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights[id]
	f.seen = append(f.seen, v)
}

func (m *memory[ID]) saved(id ID, v Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights[id]
	f.seen, f.saved = append(f.seen, v), append(f.saved, v)
}

// reported takes note of a change, and tells whether the row needs a turn for it.
func (m *memory[ID]) reported(c Change[ID]) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights[c.ID]
	switch {
	case f == nil:
		return !m.echoes.take(c.ID, c.Version)
	case len(f.heard) == heardLimit || c.Version == "":
		f.foreign = true
	default:
		f.heard = append(f.heard, c.Version)
	}
	return false
}

// end tells whether a change was reported during the turn that it has not seen.
func (m *memory[ID]) end(id ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights[id]
	delete(m.flights, id)
	for _, v := range f.saved {
		if !slices.Contains(f.heard, v) {
			m.echoes.put(id, v)
		}
	}
	return f.foreign || slices.ContainsFunc(f.heard, func(v Version) bool {
		return !slices.Contains(f.seen, v) && !m.echoes.take(id, v)
	})
}

// stands records how a turn ended, and returns when to look again.
func (m *memory[ID]) stands(id ID, o Outcome, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	due := o.Due(now)
	if o.AtRest() {
		delete(m.standings, id)
		return due
	}
	s := standing{outcome: o, since: now, due: due}
	if was, ok := m.standings[id]; ok && was.outcome.Kind() == o.Kind() && was.outcome.Code() == o.Code() {
		s.since = was.since
		if o.Kind() == "after" && was.due.After(now) {
			s.due = was.due
		}
	}
	m.standings[id] = s
	return s.due
}

func (m *memory[ID]) standing(id ID) (standing, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.standings[id]
	return s, ok
}

// generations is a bounded set of versions: when the young are too many, the old ones are dropped.
type generations[ID comparable] struct {
	young, old map[ID][]Version
}

// echoLimit is for how many rows versions are kept at least.
const echoLimit = 1 << 14

func (g *generations[ID]) put(id ID, v Version) {
	if len(g.young) >= echoLimit {
		g.young, g.old = map[ID][]Version{}, g.young
	}
	list := append(g.young[id], v)
	g.young[id] = list[max(0, len(list)-heardLimit):]
}

// take removes a version and tells whether it was there. A source that reports no versions gets no use out of what is kept of the
// row, so that is dropped.
func (g *generations[ID]) take(id ID, v Version) bool {
	for _, set := range []map[ID][]Version{g.young, g.old} {
		list, ok := set[id]
		if !ok {
			continue
		}
		at := slices.Index(list, v)
		if at >= 0 {
			list = slices.Delete(list, at, at+1)
		}
		if set[id] = list; len(list) == 0 || v == "" {
			delete(set, id)
		}
		if at >= 0 {
			return true
		}
	}
	return false
}
