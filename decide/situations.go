package decide

import (
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Situation is a state in which the table is asked, with signals that are raised there one after the other.
type Situation struct {
	State lifecycle.State
	// Signals are those that stand. When Refused is set, the last of them does not: it was forbidden beside the others.
	Signals []SignalName
	Refused bool
}

// Situations lists what can be the case for an object that rests: every state with every combination of signals that can stand there and that its rows speak of, the fewest
// first, each signal that they do not speak of once, and every way to complete a forbidden combination. For tests that go through all of them. The table should have passed [Check].
func Situations(life lifecycle.Table, t Table) ([]Situation, error) {
	x, err := newSpace(life, t)
	if err != nil {
		return nil, err
	}
	var all []Situation
	for i, s := range x.states {
		if !resting(life, t, s) {
			continue
		}
		spoken := x.mentioned(i)
		x.each(i, spoken, func(m set) bool {
			all = append(all, Situation{State: s, Signals: x.signals(m)})
			return true
		})
		for b := range x.names {
			if one := set(1) << b; one&spoken == 0 && x.can(i, one) {
				all = append(all, Situation{State: s, Signals: x.signals(one)})
			}
		}
		x.each(i, x.low, func(m set) bool {
			for b := set(1); b&x.low != 0; b <<= 1 {
				if _, refused := x.refuses(i, m|b); refused && m&b == 0 {
					all = append(all, Situation{State: s, Signals: append(x.signals(m), x.signals(b)...), Refused: true})
				}
			}
			return true
		})
	}
	slices.SortStableFunc(all, func(a, b Situation) int { return len(a.Signals) - len(b.Signals) })
	return all, nil
}
