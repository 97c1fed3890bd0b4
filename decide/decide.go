package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// SignalName names a signal that may be raised on an object.
type SignalName = lifecycle.SignalName

// ActionName names an action of a kind: "Promote".
type ActionName string

// GuardName names a question about the object that is answered when a row is asked: "isReplica". Letters and digits.
type GuardName string

// Signal is one that the kind knows. All others are refused when they are raised.
type Signal struct {
	Name SignalName `json:"name"`
	// About says in a sentence what it asks for, for those who may raise it.
	About string `json:"about,omitempty"`
}

// General lists the signals that every kind knows, whatever its table says: Retry takes up again what was given up, the others steer the action under
// way. A table cannot declare them.
func General() []SignalName {
	return []SignalName{"Retry", "Cancel", "Pause", "Resume", "Abandon", "Answer"}
}

// Combination is a condition on the signals that stand on an object: all of these, and none of those. Signals it does
// not name may stand or not. The zero Combination is met by every set of signals, the empty one included.
type Combination struct {
	All  []SignalName `json:"all,omitempty"`
	None []SignalName `json:"none,omitempty"`
}

// All is met when these signals stand, whatever stands beside them.
func All(signals ...SignalName) Combination { return Combination{All: signals} }

// Without narrows a combination to the cases in which none of these signals stands.
func (c Combination) Without(signals ...SignalName) Combination {
	return Combination{All: c.All, None: slices.Concat(c.None, signals)}
}

// In lists states, or parents that stand for the states in them, so that a table reads as a table.
func In(states ...lifecycle.State) []lifecycle.State { return states }

// Row is one rule: in these states, with these signals and under this guard, one thing. Exactly one of Do, Ignore, Defer
// and Forbid is set.
type Row struct {
	// In lists states; the name of a parent means all states in it. Empty means every state that is neither final nor deleting.
	In   []lifecycle.State `json:"in,omitempty"`
	When Combination       `json:"when,omitzero"`
	// Guard narrows the row to objects for which it holds; "" is no guard.
	Guard GuardName `json:"guard,omitempty"`
	// Priority decides between rows that match together: the highest fires. 0 is the usual one.
	Priority int `json:"priority,omitempty"`

	// Do starts an action, whose end consumes the signals in When.All.
	Do ActionName `json:"do,omitempty"`
	// Ignore consumes the signals in When.All and does nothing else. It holds the reason.
	Ignore string `json:"ignore,omitempty"`
	// Defer does nothing and leaves the signals for a state in which they can be served. It holds the reason.
	Defer string `json:"defer,omitempty"`
	// Forbid refuses a signal that would complete the combination, at the moment when it is raised. It holds the reason. Such a row
	// has neither guard nor priority, and never fires.
	Forbid string `json:"forbid,omitempty"`
}

// Action is what has to be known of an action in order to judge a table: the states it goes through.
type Action struct {
	Name ActionName `json:"name"`
	// Via is the state the object is in while the action runs; "" leaves it where it is.
	Via lifecycle.State `json:"via,omitempty"`
	// To is the state after success and Else the one after failure. "" is where the object was, and is allowed only without Via.
	To   lifecycle.State `json:"to,omitempty"`
	Else lifecycle.State `json:"else,omitempty"`
	// Yield lists signals that pre-empt the action: when one of them stands, and the action has not read it, the action is undone at the next boundary of a step, ends in
	// Else, and leaves its signals standing. There the table must not choose the same action again while that signal stands.
	Yield []SignalName `json:"yield,omitempty"`
}

// Table is what a kind decides, as data. The order of rows means nothing. The zero Table decides nothing and is right.
type Table struct {
	Signals []Signal `json:"signals,omitempty"`
	Actions []Action `json:"actions,omitempty"`
	Rows    []Row    `json:"rows,omitempty"`
	// Moved lists states that objects also come to without an action, moved by code of the kind's driver that follows
	// what it observes: "Uncertain", after a missed check-in. Parents are allowed.
	Moved []lifecycle.State `json:"moved,omitempty"`
}

// Action returns the action of a name, and whether there is one.
func (t Table) Action(name ActionName) (Action, bool) {
	for _, a := range t.Actions {
		if a.Name == name {
			return a, true
		}
	}
	return Action{}, false
}

// Signal returns the signal of a name, and whether the kind knows it.
func (t Table) Signal(name SignalName) (Signal, bool) {
	for _, s := range t.Signals {
		if s.Name == name {
			return s, true
		}
	}
	return Signal{}, false
}

// Guards lists the guards that rows name, sorted, each once: what the code beside the table must be able to answer.
func (t Table) Guards() (names []GuardName) {
	for _, r := range t.Rows {
		if r.Guard != "" {
			names = append(names, r.Guard)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Verb is what a row is for.
type Verb string

// The four verbs of a row.
const (
	Do     Verb = "do"
	Ignore Verb = "ignore"
	Defer  Verb = "defer"
	Forbid Verb = "forbid"
)

// Verb is what the row is for, "" when it is for nothing, which [Check] refuses.
func (r Row) Verb() Verb {
	switch {
	case r.Do != "":
		return Do
	case r.Ignore != "":
		return Ignore
	case r.Defer != "":
		return Defer
	case r.Forbid != "":
		return Forbid
	}
	return ""
}

// Reason is why the row ignores, defers or forbids, "" for a row that acts.
func (r Row) Reason() string {
	switch r.Verb() {
	case Ignore:
		return r.Ignore
	case Defer:
		return r.Defer
	case Forbid:
		return r.Forbid
	}
	return ""
}
