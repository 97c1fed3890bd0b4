package availability

import (
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/lifecycle"
)

// ErrPolicy says that a policy does not fit the lifecycle: it names a state that the table does not have. Correct the name, or leave it out.
var ErrPolicy = errors.New("the policy does not fit the lifecycle")

// Standing is what a stretch of an object's life means for its availability. Only [Up] and [Down] count.
type Standing string

const (
	// Up: in a healthy state.
	Up Standing = "up"
	// Down: the customer has the object, and it is in a state that is not healthy.
	Down Standing = "down"
	// Pending: it has not been healthy yet; the customer is waiting for it.
	Pending Standing = "pending"
	// Ending: in a deleting or final state; the customer wants it gone.
	Ending Standing = "ending"
	// Ignored: in a state that the kind says does not count, or of a kind without states.
	Ignored Standing = "ignored"
	// Unknown: it existed, and the history does not tell in what state, or tells a state that the lifecycle does not have.
	Unknown Standing = "unknown"
	// Absent: there was no such object.
	Absent Standing = "absent"
)

// Policy is what a kind may decide about which of its states count. The zero value is the default for everyone.
type Policy struct {
	// FromCreation counts the time before an object is healthy for the first time as down. By default it does not count: a promise of
	// availability begins when the customer has the thing, and how long that takes is another figure, against the state's budget.
	FromCreation bool
	// Ignore lists states that do not count, for example one that the customer asked for: Suspended, Stopped, Resizing.
	Ignore []lifecycle.State
}

// Rules says what each state of one kind means. It is made once per kind, by [NewRules], and shared by the lives of its objects.
type Rules struct {
	standing map[lifecycle.State]Standing // Up, Down, Ending or Ignored
	healthy  map[lifecycle.State]bool
	// after holds the states that a healthy one leads to, so that an object in one of them may have been healthy before.
	after        map[lifecycle.State]bool
	fromCreation bool
}

// NewRules derives from a kind's lifecycle what its states mean:
//
//   - Deleting and final states do not count, whatever else they are.
//   - States that the policy ignores do not count.
//   - Healthy states are up.
//   - All others are down, from the first healthy state on; before it they do not count, unless [Policy].FromCreation says so.
//
// A nil table stands for a kind without states, of which nothing counts. It fails with [ErrPolicy].
func NewRules(table lifecycle.Table, p Policy) (Rules, error) {
	r := Rules{
		standing: map[lifecycle.State]Standing{}, healthy: map[lifecycle.State]bool{}, after: map[lifecycle.State]bool{},
		fromCreation: p.FromCreation,
	}
	for _, row := range table {
		switch {
		case row.Final || row.Deleting:
			r.standing[row.State] = Ending
		case row.Healthy:
			r.standing[row.State], r.healthy[row.State] = Up, true
			r.follow(table, row)
		default:
			r.standing[row.State] = Down
		}
	}
	if table == nil {
		r.standing[""] = Ignored
	}
	for _, s := range p.Ignore {
		if _, ok := r.standing[s]; !ok {
			return Rules{}, fmt.Errorf("ignore the state %q: %w: no row of the table has it, take it out or correct its name", s, ErrPolicy)
		}
		r.standing[s] = Ignored
	}
	return r, nil
}

// follow marks every state to which a row leads, by one step or many.
func (r Rules) follow(table lifecycle.Table, row lifecycle.Rule) {
	for _, next := range row.To {
		if rule, ok := table.Rule(next); ok && !r.after[next] {
			r.after[next] = true
			r.follow(table, rule)
		}
	}
}
