package lifecycle

import "time"

// State is one state of a kind's state machine: "Provisioning", "Active". Kinds without a lifecycle have the
// empty state only.
type State string

// SignalName names a signal that may be raised on an object.
type SignalName string

// Table is a kind's state machine as data: the states, and from each the only transitions allowed. The first
// state is the one every object is created in. A nil Table means that the kind has no states.
type Table []Rule

// Rule describes one state.
type Rule struct {
	State State
	// Parent nests this state in a larger one, for reading and drawing: "Provisioned" holds "Available" and "Uncertain".
	// A parent is a name only; no object is ever in it.
	Parent State
	// Healthy: a state one wants to be in. Stable: a state one expects to stay in.
	Healthy, Stable bool
	// Final: the object is gone once it is here; no transition leaves it.
	Final bool
	// Deleting: entered when deletion is asked for, and left for a final state when nothing holds the object.
	Deleting bool
	// Budget is how long an object may stay, 0 for ever. After it the object gets the condition
	// Late, an event is recorded, and the signal named by Late is raised, when there is one.
	Budget time.Duration
	Late   SignalName
	// To lists the states that may follow.
	To []State
}

// To lists states, so that a table reads as a table.
func To(states ...State) []State { return states }

// Initial is the state of a new object, "" for a nil table.
func (t Table) Initial() State {
	if len(t) == 0 {
		return ""
	}
	return t[0].State
}

// Rule returns the rule of a state, and whether there is one.
func (t Table) Rule(s State) (Rule, bool) {
	for _, r := range t {
		if r.State == s {
			return r, true
		}
	}
	return Rule{}, false
}

// Allows reports whether an object may go from one state to the other. Staying is not a transition, and is allowed.
func (t Table) Allows(from, to State) bool {
	if from == to {
		return true
	}
	r, ok := t.Rule(from)
	if !ok {
		return false
	}
	for _, s := range r.To {
		if s == to {
			return true
		}
	}
	return false
}

// Deleting is the state that stands for deletion under way, "" when the table has none.
func (t Table) Deleting() State { return t.first(func(r Rule) bool { return r.Deleting }) }

// Deleted is the final state reached from [Table.Deleting], "" when the table has none.
func (t Table) Deleted() State {
	r, ok := t.Rule(t.Deleting())
	if !ok {
		return ""
	}
	for _, s := range r.To {
		if f, ok := t.Rule(s); ok && f.Final {
			return s
		}
	}
	return ""
}

func (t Table) first(match func(Rule) bool) State {
	for _, r := range t {
		if match(r) {
			return r.State
		}
	}
	return ""
}
