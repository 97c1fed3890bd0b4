package decide

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// ErrNoCase says that a claim holds for want of any case in which it could fail: what it speaks of can never stand, or only in
// states in which the table is not asked. Such a proof would prove nothing. Widen the claim.
var ErrNoCase = errors.New("no case is left to prove")

// Claim is a property of a table: in these cases, this action fires; or, for the opposite, it never does.
type Claim struct {
	// States limits the claim to states, or parents; empty means wherever the table is asked.
	States []lifecycle.State
	// When limits it to these combinations.
	When Combination
	// Do is the action that must fire, or, with Not, must not.
	Do  ActionName
	Not bool
}

// Leads claims that whenever a signal stands, whatever stands beside it and whatever the guards say, an action fires.
func Leads(signal SignalName, action ActionName) Claim { return Claim{When: All(signal), Do: action} }

// Never claims that an action does not fire. With narrows the claim.
func Never(action ActionName) Claim { return Claim{Do: action, Not: true} }

// Unless excepts the cases in which one of these signals stands.
func (c Claim) Unless(signals ...SignalName) Claim {
	c.When = c.When.Without(signals...)
	return c
}

// With limits a claim to the cases in which all of these signals stand as well.
func (c Claim) With(signals ...SignalName) Claim {
	c.When.All = slices.Concat(c.When.All, signals)
	return c
}

// Within limits a claim to states.
func (c Claim) Within(states ...lifecycle.State) Claim {
	c.States = slices.Concat(c.States, states)
	return c
}

// String writes a claim as a sentence.
func (c Claim) String() string {
	subject, how, verb := "any case", " always ", "leads to "
	if len(c.When.All) > 0 {
		subject = list(c.When.All)
	}
	if len(c.When.All) > 1 {
		verb = "lead to "
	}
	if c.Not {
		how = " never "
	}
	text := subject + how + verb + string(c.Do)
	if len(c.States) > 0 {
		text += " in " + either(c.States)
	}
	if len(c.When.None) > 0 {
		text += " unless " + either(c.When.None) + " stands"
	}
	return text
}

// Counterexample is a case in which a claim does not hold.
type Counterexample struct {
	Claim   Claim
	State   lifecycle.State
	Signals []SignalName
	// Guards lists the guards that hold in this case; all others do not.
	Guards []GuardName
	// Decision is what the table says there.
	Decision Decision
	fires    string
}

func (e *Counterexample) Error() string {
	under := ""
	if len(e.Guards) > 0 {
		under = ", if " + list(e.Guards)
	}
	return fmt.Sprintf("it is not so that %s: in %s with %s%s %s", e.Claim, place(e.State), standing(e.Signals), under, e.fires)
}

// Always proves a claim by going through every state in which the table is asked, with every combination of signals that can stand there and every
// outcome of the guards. The error is a *[Counterexample]: of the first state that has one, that with the fewest signals; or
// [ErrNoCase]; or says what the claim names that the table does not know. The table should have passed [Check].
func Always(life lifecycle.Table, t Table, c Claim) error {
	if err := c.known(life, t); err != nil {
		return err
	}
	x, err := newSpace(life, t)
	if err != nil {
		return fmt.Errorf("%s cannot be proved: %w", c, err)
	}
	cond := mask{x.set(c.When.All), x.set(c.When.None)}
	cases := 0
	for i, s := range x.states {
		if !resting(life, t, s) || len(c.States) > 0 && !lists(life, c.States, s) {
			continue
		}
		within := x.mentioned(i) | cond.all | cond.none
		if n := bits.OnesCount64(uint64(within)); n > MaxTogether {
			return fmt.Errorf("%s cannot be proved: it and the rows of %s mention %d signals, and at most %d can be judged together", c, place(s), n, MaxTogether)
		}
		found, fewest := (*Counterexample)(nil), MaxSignals+1
		x.each(i, within, func(m set) bool {
			if !cond.met(m) {
				return true
			}
			cases++
			if n := bits.OnesCount64(uint64(m)); n < fewest {
				if e := x.counter(c, i, m); e != nil {
					found, fewest = e, n
				}
			}
			return true
		})
		if found != nil {
			return found
		}
	}
	if cases == 0 {
		return fmt.Errorf("%s: %w", c, ErrNoCase)
	}
	return nil
}

// counter looks among what can fire in one case for something that a claim denies.
func (x *space) counter(c Claim, state int, m set) *Counterexample {
	firing, always := x.firing(x.matching(nil, state, m))
	if !always {
		firing = append(firing, -1)
	}
	for _, r := range firing {
		does := r >= 0 && x.table.Rows[r].Do == c.Do
		if does != c.Not {
			continue
		}
		e := &Counterexample{Claim: c, State: x.states[state], Signals: x.signals(m), fires: "no row fires"}
		if r >= 0 {
			e.fires = title(x.table, r) + " fires"
			if g := x.table.Rows[r].Guard; g != "" {
				e.Guards = []GuardName{g}
			}
		}
		e.Decision = Fire(x.life, x.table, e.State, e.Signals, func(g GuardName) bool { return slices.Contains(e.Guards, g) })
		return e
	}
	return nil
}

// known reports words of a claim that mean nothing.
func (c Claim) known(life lifecycle.Table, t Table) error {
	var wrong []string
	if _, ok := t.Action(c.Do); !ok {
		wrong = append(wrong, fmt.Sprintf("%q is no action of this table", c.Do))
	}
	for _, s := range slices.Concat(c.When.All, c.When.None) {
		if _, ok := t.Signal(s); !ok {
			wrong = append(wrong, fmt.Sprintf("%q is no signal of this table", s))
		}
	}
	check := checker{life: life, table: t}
	for _, s := range c.States {
		if _, ok := life.Rule(s); !ok && !check.parent(s) {
			wrong = append(wrong, fmt.Sprintf("%q is no state", s))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s cannot be proved: %s", c, strings.Join(wrong, "; "))
	}
	return nil
}
