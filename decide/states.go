package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// states lists the states of a lifecycle in its order. A kind without a lifecycle has one, without a name.
func states(life lifecycle.Table) []lifecycle.State {
	if len(life) == 0 {
		return []lifecycle.State{""}
	}
	all := make([]lifecycle.State, len(life))
	for i, r := range life {
		all[i] = r.State
	}
	return all
}

// ending reports whether a state belongs to deletion, in which the engine decides and not the table.
func ending(life lifecycle.Table, s lifecycle.State) bool {
	r, _ := life.Rule(s)
	return r.Final || r.Deleting
}

// lists reports whether a list of states and parents covers a state.
func lists(life lifecycle.Table, list []lifecycle.State, s lifecycle.State) bool {
	if slices.Contains(list, s) {
		return true
	}
	r, ok := life.Rule(s)
	return ok && r.Parent != "" && slices.Contains(list, r.Parent)
}

// busy reports whether an object is in a state only while an action runs: the state is the Via of one, and nothing ends, begins
// or is moved there. The table is not asked then, since one action runs at a time; signals wait.
func busy(life lifecycle.Table, t Table, s lifecycle.State) bool {
	via := false
	for _, a := range t.Actions {
		if s == a.To || s == a.Else {
			return false
		}
		via = via || s == a.Via
	}
	return via && s != "" && s != life.Initial() && !lists(life, t.Moved, s)
}

// resting reports whether the table is asked in a state.
func resting(life lifecycle.Table, t Table, s lifecycle.State) bool {
	return slices.Contains(states(life), s) && !ending(life, s) && !busy(life, t, s)
}

// covers reports whether a row speaks of a state. Rows that forbid also speak of busy states, and of the deleting state if they name it, since
// signals can be raised there; the others speak of resting states only.
func covers(life lifecycle.Table, t Table, r Row, s lifecycle.State) bool {
	if len(r.In) > 0 && !lists(life, r.In, s) {
		return false
	}
	if r.Verb() == Forbid {
		return len(r.In) > 0 || !ending(life, s)
	}
	return resting(life, t, s)
}

// where lists the states a row speaks of, in the order of the lifecycle.
func where(life lifecycle.Table, t Table, r Row) (in []lifecycle.State) {
	for _, s := range states(life) {
		if covers(life, t, r, s) {
			in = append(in, s)
		}
	}
	return in
}
