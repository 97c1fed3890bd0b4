package decide

import (
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Mutant is a table with one slip of the pen in it. Tests that prove claims about a table are good when no mutant passes them all,
// those refused by [Check] and the equivalent ones apart.
type Mutant struct {
	Table Table
	// Row is the index, in the original, of the row that was changed; -1 when it was an action, or the list of states that objects are moved to.
	Row int
	// What says what was done to it.
	What string
	// Equivalent: in no case that can be does this table decide or refuse other than the original.
	Equivalent bool
}

// Mutants makes every table that differs from a table by one slip: a row lost, another action, a priority above or below all others, a state
// or signal dropped from a condition, a guard dropped, an outcome exchanged, an action that does not make way for a signal, that ends the other way round, or
// that goes through no state, a state not listed as Moved. Each is compared with the original in every case
// that can be. The table must pass [Check]: otherwise that is the error.
func Mutants(life lifecycle.Table, t Table) ([]Mutant, error) {
	if err := Check(life, t); err != nil {
		return nil, fmt.Errorf("only a table that is right can be mutated: %w", err)
	}
	m := &mutator{life: life, table: t}
	for i := range t.Rows {
		m.row = i
		m.add("dropped", slices.Delete(slices.Clone(t.Rows), i, i+1))
		m.outcomes()
		m.priorities()
		m.conditions()
	}
	for i := range t.Actions {
		m.yields(i)
		m.targets(i)
	}
	for i, s := range t.Moved {
		moved := t
		moved.Moved = without(t.Moved, i)
		m.mutants = append(m.mutants, Mutant{Table: moved, Row: -1, What: "the state " + string(s) + " not listed as Moved"})
	}
	for i := range m.mutants {
		same, err := equivalent(life, t, m.mutants[i].Table)
		if err != nil {
			return nil, fmt.Errorf("the mutant with %s cannot be judged: %w", m.mutants[i].What, err)
		}
		m.mutants[i].Equivalent = same
	}
	return m.mutants, nil
}

type mutator struct {
	life    lifecycle.Table
	table   Table
	row     int
	mutants []Mutant
}

func (m *mutator) add(what string, rows []Row) {
	mutant := Mutant{Table: m.table, Row: m.row, What: title(m.table, m.row) + " " + what}
	mutant.Table.Rows = rows
	m.mutants = append(m.mutants, mutant)
}

// change adds a mutant whose row is another.
func (m *mutator) change(what string, change func(*Row)) {
	rows := slices.Clone(m.table.Rows)
	change(&rows[m.row])
	m.add(what, rows)
}

// yields lets an action run on while a signal stands that it makes way for.
func (m *mutator) yields(action int) {
	was := m.table.Actions[action]
	for i, s := range was.Yield {
		mutant := Mutant{Table: m.table, Row: -1, What: "the action " + string(was.Name) + " not yielding to " + string(s)}
		mutant.Table.Actions = slices.Clone(m.table.Actions)
		mutant.Table.Actions[action].Yield = without(was.Yield, i)
		m.mutants = append(m.mutants, mutant)
	}
}

// targets sends an action to other states.
func (m *mutator) targets(action int) {
	was := m.table.Actions[action]
	change := func(what string, change func(*Action)) {
		mutant := Mutant{Table: m.table, Row: -1, What: "the action " + string(was.Name) + " " + what}
		mutant.Table.Actions = slices.Clone(m.table.Actions)
		change(&mutant.Table.Actions[action])
		m.mutants = append(m.mutants, mutant)
	}
	if was.To != was.Else {
		change("ending the other way round", func(a *Action) { a.To, a.Else = a.Else, a.To })
	}
	if was.Via != "" {
		change("not going through "+string(was.Via), func(a *Action) { a.Via = "" })
	}
}

// outcomes exchanges what the row is for.
func (m *mutator) outcomes() {
	was := m.table.Rows[m.row]
	if was.Verb() == Forbid {
		return
	}
	for _, a := range m.table.Actions {
		if a.Name != was.Do {
			m.change("doing "+string(a.Name)+" instead", func(r *Row) { r.Do, r.Ignore, r.Defer = a.Name, "", "" })
		}
	}
	if len(was.When.All) == 0 {
		return
	}
	if was.Verb() != Ignore {
		m.change("ignoring instead", func(r *Row) { r.Do, r.Ignore, r.Defer = "", "mutated", "" })
	}
	if was.Verb() != Defer {
		m.change("deferring instead", func(r *Row) { r.Do, r.Ignore, r.Defer = "", "", "mutated" })
	}
}

// priorities puts the row before and behind all others.
func (m *mutator) priorities() {
	if m.table.Rows[m.row].Verb() == Forbid {
		return
	}
	highest, lowest := 0, 0
	for _, r := range m.table.Rows {
		highest, lowest = max(highest, r.Priority), min(lowest, r.Priority)
	}
	m.change("before all others", func(r *Row) { r.Priority = highest + 1 })
	m.change("behind all others", func(r *Row) { r.Priority = lowest - 1 })
}

// conditions widens or narrows where and when the row matches.
func (m *mutator) conditions() {
	was := m.table.Rows[m.row]
	if in := where(m.life, m.table, was); len(in) > 1 {
		for i, s := range in {
			m.change("not in "+place(s), func(r *Row) { r.In = without(in, i) })
		}
	}
	for i, s := range was.When.All {
		if was.Verb() == Do || len(was.When.All) > 1 {
			m.change("without asking for "+string(s), func(r *Row) { r.When.All = without(was.When.All, i) })
		}
	}
	for i, s := range was.When.None {
		m.change("not minding "+string(s), func(r *Row) { r.When.None = without(was.When.None, i) })
	}
	if was.Guard != "" {
		m.change("without its guard", func(r *Row) { r.Guard = "" })
	}
}

func without[S any](list []S, i int) []S { return slices.Delete(slices.Clone(list), i, i+1) }

// equivalent compares two tables with the same signals, actions and states in every case that can be under the first: what may be raised, what
// fires under every outcome of the guards, where actions lead and what they make way for, which Check has found to be possible. If both refuse the same, the same can stand under both.
func equivalent(life lifecycle.Table, t, u Table) (bool, error) {
	if !slices.Equal(t.Moved, u.Moved) {
		return false, nil
	}
	for i, a := range t.Actions {
		if b := u.Actions[i]; !slices.Equal(a.Yield, b.Yield) || a.Via != b.Via || a.To != b.To || a.Else != b.Else {
			return false, nil
		}
	}
	x, err := newSpace(life, t)
	if err != nil {
		return false, err
	}
	y, err := x.like(u)
	if err != nil {
		return false, err
	}
	same := true
	for i, s := range x.states {
		x.each(i, x.low, func(m set) bool {
			same = same && x.sameRefusals(y, i, m)
			return same
		})
		if same && resting(life, t, s) {
			x.each(i, x.mentioned(i)|y.mentioned(i), func(m set) bool {
				same = same && x.sameFiring(y, i, m)
				return same
			})
		}
	}
	return same, nil
}

func (x *space) sameRefusals(y *space, state int, m set) bool {
	for b := range x.names {
		_, now := x.refuses(state, m|1<<b)
		_, then := y.refuses(state, m|1<<b)
		if m&(1<<b) == 0 && now != then {
			return false
		}
	}
	return true
}

// sameFiring compares what fires in one case under every outcome of the guards that matter in it.
func (x *space) sameFiring(y *space, state int, m set) bool {
	a, b := x.matching(nil, state, m), y.matching(nil, state, m)
	var guards []GuardName
	for _, r := range a {
		guards = append(guards, x.table.Rows[r].Guard)
	}
	for _, r := range b {
		guards = append(guards, y.table.Rows[r].Guard)
	}
	slices.Sort(guards)
	guards = slices.DeleteFunc(slices.Compact(guards), func(g GuardName) bool { return g == "" })
	for outcome := range 1 << len(guards) {
		holds := func(g GuardName) bool { return g == "" || outcome&(1<<slices.Index(guards, g)) != 0 }
		if x.first(a, holds) != y.first(b, holds) {
			return false
		}
	}
	return true
}

// effectOf is what a firing row makes happen, so that two can be compared.
type effectOf struct {
	verb Verb
	do   ActionName
	read set
}

// first is the effect of the first row whose guard holds.
func (x *space) first(matching []int, holds func(GuardName) bool) (e effectOf) {
	for _, i := range matching {
		if r := x.table.Rows[i]; holds(r.Guard) {
			e = effectOf{verb: r.Verb(), do: r.Do}
			if e.verb != Defer {
				e.read = x.masks[i].all
			}
			return e
		}
	}
	return e
}
