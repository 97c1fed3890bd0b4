package decide

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Advise lists what is allowed and yet worth a second look: sentences for the author of a table, which should have passed [Check].
func Advise(life lifecycle.Table, t Table) (advice []string) {
	say := func(format string, args ...any) { advice = append(advice, fmt.Sprintf(format, args...)) }
	for _, s := range t.Signals {
		if strings.TrimSpace(s.About) == "" {
			say("the signal %s does not say what it is about: whoever may raise it has to guess", s.Name)
		}
	}
	for _, r := range life {
		if r.Deleting && r.Late != "" {
			say("%s raises %s when late, but nothing is decided there: nobody would read it", r.State, r.Late)
		}
	}
	x, err := newSpace(life, t)
	if err != nil {
		return append(advice, err.Error())
	}
	for i, s := range x.states {
		if rule, _ := life.Rule(s); rule.Late != "" && !rule.Deleting {
			if beside, row := x.late(i, rule.Late); row >= 0 {
				say("%s raises %s when late, but it is refused while %s stands, by row %d: nobody would hear of it", s, rule.Late, list(beside), row+1)
			}
		}
	}
	for i, waiting := range x.blocking() {
		if len(waiting) > 0 {
			say("%s goes before %s, which could act without it: while it waits, so do they", title(t, i), numbered(waiting))
		}
	}
	return advice
}

// late finds the smallest set of signals beside which the signal of a budget is refused, and the row that refuses it; -1 for none.
func (x *space) late(state int, signal SignalName) (beside []SignalName, row int) {
	late, row := x.set([]SignalName{signal}), -1
	fewest := MaxSignals + 1
	x.each(state, x.low&^late, func(m set) bool {
		if r, refused := x.refuses(state, m|late); refused && bits.OnesCount64(uint64(m)) < fewest {
			beside, row, fewest = x.signals(m), r, bits.OnesCount64(uint64(m))
		}
		return true
	})
	return beside, row
}

// blocking lists for each row that defers the rows with actions that do not need its signals and that it keeps from firing.
func (x *space) blocking() [][]int {
	blocked := make([][]int, len(x.table.Rows))
	for i := range x.states {
		x.each(i, x.mentioned(i), func(m set) bool {
			matching := x.matching(nil, i, m)
			firing, _ := x.firing(matching)
			if len(firing) == 0 || x.table.Rows[firing[0]].Verb() != Defer {
				return true
			}
			for _, q := range matching[1:] {
				if r := firing[0]; x.table.Rows[q].Verb() == Do && x.masks[q].all&x.masks[r].all == 0 && !slices.Contains(blocked[r], q) {
					blocked[r] = append(blocked[r], q)
				}
			}
			return true
		})
	}
	for _, rows := range blocked {
		slices.Sort(rows)
	}
	return blocked
}
