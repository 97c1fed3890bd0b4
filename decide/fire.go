package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Decision is what a table says about one object at one moment.
type Decision struct {
	// Row is the index of the row that fires, -1 when none does.
	Row int
	// Verb is that row's, "" when none fires; Do is its action and Reason its reason.
	Verb   Verb
	Do     ActionName
	Reason string
	// Read lists the signals that are consumed: exactly those of the row's All for an action (at its end) and for a row
	// that ignores, none for one that defers.
	Read []SignalName
	// Shadowed lists the rows that matched as well and lost, ascending; Barred those that only a guard kept from matching.
	Shadowed, Barred []int
	// Because says in a sentence why this row and no other.
	Because string
}

// Fire asks the table about an object in a state on which signals stand: the one row that fires, by the hit policy. It is a
// pure function of its arguments and does not depend on the order of rows. Signals that the table does not know are passed over. A guard is asked
// at most once, and only if a row that otherwise matches names it; a nil function says no to all. In a state in which the table is
// not asked (an action runs, or deletion) no row fires, and Because says so.
func Fire(life lifecycle.Table, t Table, state lifecycle.State, signals []SignalName, guard func(GuardName) bool) Decision {
	answers := map[GuardName]bool{}
	holds := func(name GuardName) bool {
		answer, known := answers[name]
		if !known {
			answer = guard != nil && guard(name)
			answers[name] = answer
		}
		return answer
	}
	d := Decision{Row: -1}
	var matching []int
	rests := resting(life, t, state)
	for i, r := range t.Rows {
		switch {
		case !rests || r.Verb() == Forbid || !r.When.met(signals) || len(r.In) > 0 && !lists(life, r.In, state):
		case r.Guard == "" || holds(r.Guard):
			matching = append(matching, i)
		default:
			d.Barred = append(d.Barred, i)
		}
	}
	p := newPrecedence(life, t)
	if len(matching) > 0 {
		d.Row = slices.MinFunc(matching, p.compare)
		r := t.Rows[d.Row]
		d.Verb, d.Do, d.Reason = r.Verb(), r.Do, r.Reason()
		if d.Verb != Defer {
			d.Read = slices.Clone(r.When.All)
		}
		d.Shadowed = slices.DeleteFunc(matching, func(i int) bool { return i == d.Row })
	}
	d.Because = because(p, state, signals, d)
	return d
}

// Forbidden reports whether a signal is refused because of the signals it would stand beside, and why. Signals are those
// that would stand, the new one included. When several rows forbid, the reason is that of the most specific.
func Forbidden(life lifecycle.Table, t Table, state lifecycle.State, signals []SignalName) (reason string, refused bool) {
	var rows []int
	for i, r := range t.Rows {
		if r.Verb() == Forbid && r.When.met(signals) && covers(life, t, r, state) {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		return "", false
	}
	return t.Rows[slices.MinFunc(rows, newPrecedence(life, t).compare)].Forbid, true
}

// met reports whether a set of standing signals meets the combination.
func (c Combination) met(signals []SignalName) bool {
	return subset(c.All, signals) && !slices.ContainsFunc(c.None, func(s SignalName) bool { return slices.Contains(signals, s) })
}
