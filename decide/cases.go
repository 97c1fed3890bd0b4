package decide

import (
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// enumerate goes through every case that can be, and refuses those in which nothing or two things are said, and then the rows
// that no case was for.
func (c *checker) enumerate() {
	x, err := newSpace(c.life, c.table)
	if err != nil {
		c.refuse(nil, "%s", err)
		return
	}
	e := newEnumeration(c, x)
	e.all()
	e.ambiguous()
	e.gaps()
	e.shadowed()
	e.yields()
}

func newEnumeration(c *checker, x *space) *enumeration {
	rows := len(c.table.Rows)
	return &enumeration{checker: c, space: x, pairs: contradictions(x.life, x.table), fires: make([]bool, rows), losers: make([]loser, rows),
		holes: map[hole][]lifecycle.State{}, clashes: map[[2]int]clash{}}
}

// all goes through every state.
func (e *enumeration) all() {
	for i, s := range e.states {
		if resting(e.space.life, e.space.table, s) {
			e.state(i)
		}
		e.refusals(i)
	}
}

// enumeration is what is found on the way.
type enumeration struct {
	*checker
	*space
	pairs   []pair
	fires   []bool  // by row: it fires, or refuses, in some case
	losers  []loser // by row
	holes   map[hole][]lifecycle.State
	order   []hole // the keys of holes as they were found
	clashes map[[2]int]clash
}

// hole is a combination to which no row answers for certain; guarded, when rows answer under guards.
type hole struct {
	signals set
	guarded bool
}

// clash is a case in which two rows contradict each other.
type clash struct {
	state   int
	signals set
}

// state goes through the cases of one state.
func (e *enumeration) state(i int) {
	var matching []int
	var holes []set
	pairs := e.open(i)
	e.each(i, e.mentioned(i), func(s set) bool {
		matching = e.matching(matching, i, s)
		firing, always := e.firing(matching)
		e.note(matching, firing)
		if !always && s != 0 && !slices.ContainsFunc(holes, func(part set) bool { return part&^s == 0 }) {
			holes = append(holes, s)
			e.hole(i, s, len(matching) > 0)
		}
		pairs = slices.DeleteFunc(pairs, func(p pair) bool {
			found := e.both(p).met(s) && !slices.ContainsFunc(p.settlers, func(r int) bool { return slices.Contains(matching, r) })
			if found {
				e.clashes[p.rows] = clash{i, s}
			}
			return found
		})
		return true
	})
	// What no row mentions here is answered if the empty set is, and never otherwise.
	firing, always := e.firing(e.matching(matching, i, 0))
	for b := range e.space.names {
		if one := set(1) << b; one&e.mentioned(i) == 0 && !always && e.can(i, one) {
			e.hole(i, one, len(firing) > 0)
		}
	}
}

// note records which of the matching rows fire, and who goes before the others.
func (e *enumeration) note(matching, firing []int) {
	var free rowSet // those before without a guard
	for k, r := range matching {
		guard := e.space.table.Rows[r].Guard
		if slices.Contains(firing, r) {
			e.fires[r] = true
		} else if !e.fires[r] {
			before := free
			for _, q := range matching[:k] {
				if guard != "" && e.space.table.Rows[q].Guard == guard {
					before.add(q)
				}
			}
			e.losers[r].lose(before)
		}
		if guard == "" {
			free.add(r)
		}
	}
}

func (e *enumeration) hole(i int, s set, guarded bool) {
	h := hole{s, guarded}
	if _, known := e.holes[h]; !known {
		e.order = append(e.order, h)
	}
	e.holes[h] = append(e.holes[h], e.states[i])
}

// pair is two rows of one priority that differ in outcome and of which neither is more specific.
type pair struct {
	rows [2]int
	// settlers are rows that, where they match as well, go before one of the two and thereby settle which fires.
	settlers []int
}

// contradictions lists such pairs.
func contradictions(life lifecycle.Table, t Table) (pairs []pair) {
	p := newPrecedence(life, t)
	for a, r := range t.Rows {
		for b, q := range t.Rows[:a] {
			if r.Verb() != Forbid && q.Verb() != Forbid && r.Priority == q.Priority && !agree(r, q) && p.implies(a, b) == p.implies(b, a) {
				pairs = append(pairs, pair{[2]int{b, a}, p.settlers(b, a)})
			}
		}
	}
	return pairs
}

// settlers lists the rows that settle a pair. With only the guards of the pair holding, the fewest rows compete: what is settled then is
// settled always, and so rows under other guards settle nothing.
func (p *precedence) settlers(a, b int) (rows []int) {
	for i, r := range p.table.Rows {
		first := p.table.Rows[a]
		if i == a || i == b || r.Verb() == Forbid || r.Guard != "" && r.Guard != first.Guard && r.Guard != p.table.Rows[b].Guard {
			continue
		}
		if r.Priority > first.Priority || r.Priority == first.Priority && (p.before(i, a) || p.before(i, b)) {
			rows = append(rows, i)
		}
	}
	return rows
}

// open lists the pairs that may clash in a state: both rows speak of it, their conditions can be met together, and no settler is met
// whenever they are.
func (e *enumeration) open(state int) []pair {
	return slices.DeleteFunc(slices.Clone(e.pairs), func(p pair) bool {
		_, known := e.clashes[p.rows]
		here := func(r int) bool { return slices.Contains(e.rows[state], r) }
		both := e.both(p)
		return known || !here(p.rows[0]) || !here(p.rows[1]) || both.all&both.none != 0 || slices.ContainsFunc(p.settlers, func(r int) bool {
			return here(r) && e.masks[r].all&^both.all == 0 && e.masks[r].none&^both.none == 0
		})
	})
}

// both is the condition under which both rows of a pair match.
func (e *enumeration) both(p pair) mask {
	a, b := e.masks[p.rows[0]], e.masks[p.rows[1]]
	return mask{a.all | b.all, a.none | b.none}
}

// refusals finds the rows that refuse something in a state.
func (e *enumeration) refusals(i int) {
	e.each(i, e.low, func(s set) bool {
		for b := set(1); b&e.low != 0; b <<= 1 {
			if s&b != 0 {
				continue
			}
			var before rowSet
			for _, r := range e.forbids[i] {
				if !e.masks[r].met(s | b) {
					continue
				}
				if e.fires[r] = e.fires[r] || before == (rowSet{}); !e.fires[r] {
					e.losers[r].lose(before)
				}
				before.add(r)
			}
		}
		return true
	})
}

// ambiguous tells of pairs of rows that contradict each other.
func (e *enumeration) ambiguous() {
	for _, p := range e.pairs {
		at, ok := e.clashes[p.rows]
		if !ok {
			continue
		}
		t, a, b := e.space.table, p.rows[0], p.rows[1]
		var guards []GuardName
		for _, r := range p.rows {
			if g := t.Rows[r].Guard; g != "" && !slices.Contains(guards, g) {
				guards = append(guards, g)
			}
		}
		under := ""
		if len(guards) > 0 {
			under = ", if " + list(guards) + ","
		}
		e.refuse([]int{a, b}, "%s and %s are ambiguous: in %s with %s%s both match, with one priority (%d), and neither is more specific",
			title(t, a), title(t, b), place(e.states[at.state]), standing(e.signals(at.signals)), under, t.Rows[a].Priority)
	}
}

// gaps tells of cases for which the table has no answer.
func (e *enumeration) gaps() {
	const most = 12
	for n, h := range e.order {
		if n == most {
			e.refuse(nil, "and %d more combinations are without an answer", len(e.order)-most)
			return
		}
		signals, in := e.signals(h.signals), e.holes[h]
		text := fmt.Sprintf("nothing is said about %s in %s", standing(signals), places(in))
		var rows []int
		if h.guarded {
			rows = e.matching(nil, slices.Index(e.states, in[0]), h.signals)
			text = fmt.Sprintf("%s in %s is answered only under guards, by %s: add a row for when none holds", standing(signals), places(in), numbered(rows))
		}
		if row, refused := e.refuses(slices.Index(e.states, in[0]), h.signals); refused {
			rows = append(rows, row)
			text += fmt.Sprintf(" (%s forbids raising it there, but an object can bring it along from another state)", numbered([]int{row}))
		}
		e.refuse(rows, "%s", text)
	}
}

// shadowed tells of rows that no case is for.
func (e *enumeration) shadowed() {
	t := e.space.table
	for i, r := range t.Rows {
		if e.fires[i] {
			continue
		}
		does := "fire"
		if r.Verb() == Forbid {
			does = "refuse anything"
		}
		var forbidding []int
		always, before := e.losers[i].always.list(), e.losers[i].sometimes.list()
		for k, q := range t.Rows {
			if q.Verb() == Forbid && k != i && subset(q.When.All, r.When.All) {
				forbidding = append(forbidding, k)
			}
		}
		why := "what it asks for can never stand"
		switch {
		case len(always) > 0:
			why = numbered(always[:1]) + " always goes first"
		case len(before) > 0:
			why = "one of " + numbered(before) + " always goes first"
		case len(forbidding) == 1:
			why += ": " + numbered(forbidding) + " forbids it"
		case len(forbidding) > 1:
			why += ": " + numbered(forbidding) + " forbid it"
		case len(where(e.space.life, t, r)) == 0:
			why = "the table is not asked in " + places(r.In)
		}
		e.refuse([]int{i}, "%s can never %s: %s", title(t, i), does, why)
	}
}
