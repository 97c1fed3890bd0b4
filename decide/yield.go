package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// yields judges the signals that actions make way for: that they are signals of the table, that each can come to stand while the action runs
// without being one that the action has read, and that what follows is not the same action again.
func (e *enumeration) yields() {
	for _, a := range e.space.table.Actions {
		for _, y := range a.Yield {
			e.yield(a, y)
		}
	}
}

// yield judges one signal of one action, by every row that starts the action.
func (e *enumeration) yield(a Action, y SignalName) {
	rows := e.starting(a.Name)
	reading := slices.DeleteFunc(slices.Clone(rows), func(r int) bool { return !slices.Contains(e.space.table.Rows[r].When.All, y) })
	if len(reading) == len(rows) {
		e.refuse(rows, "the action %s yields to %s, which it has read whenever it runs: it would never make way for what it serves", a.Name, y)
		return
	}
	possible := false
	for _, r := range rows {
		if slices.Contains(reading, r) {
			continue
		}
		possible = possible || e.meets(a, r, y)
		if state, signals, again := e.again(a, r, y); again >= 0 {
			named := []int{r}
			if again != r {
				named = append(named, again)
			}
			e.refuse(named, "the action %s yields to %s, but is chosen again: begun by row %d and undone, it leaves the object in %s with %s, where %s can fire, for ever",
				a.Name, y, r+1, place(state), standing(signals), title(e.space.table, again))
		}
	}
	if !possible {
		e.refuse(rows, "the action %s yields to %s, which can never stand beside what it has read while it runs", a.Name, y)
	}
}

// meets reports whether a signal can stand beside what a row asks for while the row's action runs.
func (e *enumeration) meets(a Action, row int, y SignalName) bool {
	during := []lifecycle.State{a.Via}
	if a.Via == "" {
		during = where(e.space.life, e.space.table, e.space.table.Rows[row])
	}
	both := e.set(append(slices.Clone(e.space.table.Rows[row].When.All), y))
	return slices.ContainsFunc(during, func(s lifecycle.State) bool { return e.can(slices.Index(e.states, s), both) })
}

// again looks for a case in which an action that a row began and a signal pre-empted would be chosen again: in the state that the action leaves the object in, with the
// signals it had read and the one it made way for, whatever stands beside them and whatever the guards say. again is the row that would choose it, -1 for none.
func (e *enumeration) again(a Action, row int, y SignalName) (state lifecycle.State, signals []SignalName, again int) {
	after := []lifecycle.State{a.Else}
	if a.Else == "" {
		after = where(e.space.life, e.space.table, e.space.table.Rows[row])
	}
	left := e.set(append(slices.Clone(e.space.table.Rows[row].When.All), y))
	again = -1
	for _, s := range after {
		i := slices.Index(e.states, s)
		e.each(i, e.mentioned(i)&^left, func(m set) bool {
			if m |= left; !e.can(i, m) {
				return true
			}
			firing, _ := e.firing(e.matching(nil, i, m))
			for _, q := range firing {
				if e.space.table.Rows[q].Do == a.Name {
					state, signals, again = s, e.signals(m), q
					return false
				}
			}
			return true
		})
		if again >= 0 {
			return state, signals, again
		}
	}
	return "", nil, -1
}
