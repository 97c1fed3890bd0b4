package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// actions judges what each action does to the state, from every state in which a row starts it.
func (c *checker) actions() {
	for _, a := range c.table.Actions {
		rows := c.starting(a.Name)
		if len(rows) == 0 {
			c.refuse(nil, "no row starts the action %s", a.Name)
		}
		if a.Via == "" {
			continue
		}
		for _, end := range []struct {
			what, field string
			to          lifecycle.State
		}{{"when it succeeds", "To", a.To}, {"when it fails", "Else", a.Else}} {
			switch {
			case end.to == "":
				c.refuse(rows, "the action %s goes through %s, but not on %s: say %s", a.Name, a.Via, end.what, end.field)
			case !c.life.Allows(a.Via, end.to):
				c.refuse(rows, "the action %s goes to %s %s, but the lifecycle does not lead from %s to %s", a.Name, end.to, end.what, a.Via, end.to)
			}
		}
	}
	for i, r := range c.table.Rows {
		a, _ := c.table.Action(r.Do)
		if r.Do == "" {
			continue
		}
		next := []lifecycle.State{a.Via}
		if a.Via == "" {
			next = []lifecycle.State{a.To, a.Else}
		}
		for _, to := range next {
			if from := c.cannot(r, to); len(from) > 0 && to != "" {
				c.refuse([]int{i}, "%s leads to %s, but the lifecycle does not lead there from %s", title(c.table, i), to, places(from))
			}
		}
	}
}

// starting lists the rows that start an action.
func (c *checker) starting(name ActionName) (rows []int) {
	for i, r := range c.table.Rows {
		if r.Do == name {
			rows = append(rows, i)
		}
	}
	return rows
}

// cannot lists the states of a row from which the lifecycle does not lead to another.
func (c *checker) cannot(r Row, to lifecycle.State) []lifecycle.State {
	return slices.DeleteFunc(where(c.life, c.table, r), func(from lifecycle.State) bool { return c.life.Allows(from, to) })
}

// used refuses signals that nothing ever reads.
func (c *checker) used() {
	for _, s := range c.table.Signals {
		if !slices.ContainsFunc(c.table.Rows, func(r Row) bool { return r.Verb() != Forbid && slices.Contains(r.When.All, s.Name) }) {
			c.refuse(nil, "no row reads the signal %s", s.Name)
		}
	}
	for _, r := range c.life {
		if r.Late == "" {
			continue
		}
		if reason, refused := Forbidden(c.life, c.table, r.State, []SignalName{r.Late}); refused {
			c.refuse(nil, "%s raises %s when late, but that is forbidden there: %s", r.State, r.Late, reason)
		}
	}
}

// entered refuses states that no object can come to, because only actions and the driver's code move objects.
func (c *checker) entered() {
	if len(c.life) == 0 || len(c.table.Rows) == 0 {
		return
	}
	for _, s := range states(c.life) {
		if ending(c.life, s) || s == c.life.Initial() || lists(c.life, c.table.Moved, s) {
			continue
		}
		if !slices.ContainsFunc(c.table.Actions, func(a Action) bool { return s == a.Via || s == a.To || s == a.Else }) {
			c.refuse(nil, "no action leads to %s: no object would ever be in it (if the driver's own code moves objects there, list it in Moved)", s)
		}
	}
}

// loops refuses rows that fire without a signal and lead back to themselves: since they consume nothing, they would go round for ever.
func (c *checker) loops() {
	for i, r := range c.table.Rows {
		if r.Do == "" || len(r.When.All) > 0 {
			continue
		}
		for _, s := range where(c.life, c.table, r) {
			if c.returns(c.unasked(r, s), s) {
				c.refuse([]int{i}, "%s fires without a signal and leads back to %s, where it would fire again, for ever", title(c.table, i), place(s))
				break
			}
		}
	}
}

// unasked lists the states to which a row that needs no signal takes an object.
func (c *checker) unasked(r Row, from lifecycle.State) (to []lifecycle.State) {
	a, _ := c.table.Action(r.Do)
	for _, s := range []lifecycle.State{a.To, a.Else} {
		if s == "" {
			s = from
		}
		to = append(to, s)
	}
	return to
}

// returns follows rows that need no signal, and reports whether they lead to a state.
func (c *checker) returns(next []lifecycle.State, to lifecycle.State) bool {
	seen := map[lifecycle.State]bool{}
	for len(next) > 0 {
		s := next[0]
		next = next[1:]
		if s == to {
			return true
		}
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, r := range c.table.Rows {
			if r.Do != "" && len(r.When.All) == 0 && covers(c.life, c.table, r, s) {
				next = append(next, c.unasked(r, s)...)
			}
		}
	}
	return false
}
