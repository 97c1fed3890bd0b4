package decide

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// The bounds of what is enumerated. A table beyond them is refused: nobody could read it either. The largest that is not takes about
// a second, once, when its kind is registered.
const (
	// MaxTogether bounds the signals that the rows of one state mention, and those that rows which forbid mention: enumeration
	// doubles with each.
	MaxTogether = 14
	// MaxSignals bounds the signals of a kind, MaxRows the rows of its table.
	MaxSignals = 64
	MaxRows    = 200
)

// set is a set of signals, one bit for each.
type set uint64

// mask is a combination as bits.
type mask struct{ all, none set }

func (m mask) met(s set) bool { return m.all&^s == 0 && m.none&s == 0 }

// space is everything that can be the case for an object of a kind: its states, and in each the sets of signals that can stand.
type space struct {
	life   lifecycle.Table
	table  Table
	names  []SignalName // by bit; those that rows which forbid mention come first
	low    set          // the bits of those
	masks  []mask       // by row
	states []lifecycle.State
	// rows lists by state what can fire there and forbids what can refuse there, by precedence.
	rows, forbids [][]int
	// stands tells by state which sets of the low signals can stand. All other signals can always stand, beside any.
	stands [][]bool
}

// newSpace enumerates a table.
func newSpace(life lifecycle.Table, t Table) (*space, error) {
	x := &space{life: life, table: t, states: states(life)}
	var low, high []SignalName
	for _, r := range t.Rows {
		if r.Verb() == Forbid {
			low = append(append(low, r.When.All...), r.When.None...)
		}
		high = append(append(high, r.When.All...), r.When.None...)
	}
	for _, s := range t.Signals {
		high = append(high, s.Name)
	}
	low = x.inOrder(low)
	high = slices.DeleteFunc(x.inOrder(high), func(s SignalName) bool { return slices.Contains(low, s) })
	x.names = append(low, high...)
	switch {
	case len(x.names) > MaxSignals:
		return nil, fmt.Errorf("there are %d signals, and at most %d can be judged: make two kinds of this one", len(x.names), MaxSignals)
	case len(t.Rows) > MaxRows:
		return nil, fmt.Errorf("there are %d rows, and at most %d can be judged: make two kinds of this one, or say more with fewer states", len(t.Rows), MaxRows)
	case len(low) > MaxTogether:
		return nil, fmt.Errorf("%d signals are forbidden in combinations, and at most %d can be judged: forbid fewer", len(low), MaxTogether)
	}
	x.low = 1<<len(low) - 1
	if err := x.index(); err != nil {
		return nil, err
	}
	x.spread()
	return x, nil
}

// like gives another table the same states and signals, bit by bit, so that the two can be compared. What can stand is not worked out anew.
func (x *space) like(t Table) (*space, error) {
	y := &space{life: x.life, table: t, states: x.states, names: x.names, low: x.low}
	return y, y.index()
}

// inOrder sorts signals as the table lists them, each once, and after them those it does not list, by name.
func (x *space) inOrder(signals []SignalName) (ordered []SignalName) {
	for _, s := range x.table.Signals {
		if slices.Contains(signals, s.Name) && !slices.Contains(ordered, s.Name) {
			ordered = append(ordered, s.Name)
		}
	}
	for _, s := range sorted(signals) {
		if !slices.Contains(ordered, SignalName(s)) {
			ordered = append(ordered, SignalName(s))
		}
	}
	return ordered
}

// index sorts the rows into states.
func (x *space) index() error {
	for _, r := range x.table.Rows {
		x.masks = append(x.masks, mask{x.set(r.When.All), x.set(r.When.None)})
	}
	order := make([]int, len(x.table.Rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, newPrecedence(x.life, x.table).compare)
	x.rows, x.forbids = make([][]int, len(x.states)), make([][]int, len(x.states))
	for i, s := range x.states {
		for _, r := range order {
			switch {
			case !covers(x.life, x.table, x.table.Rows[r], s):
			case x.table.Rows[r].Verb() == Forbid:
				x.forbids[i] = append(x.forbids[i], r)
			default:
				x.rows[i] = append(x.rows[i], r)
			}
		}
		if n := bits.OnesCount64(uint64(x.mentioned(i))); n > MaxTogether {
			return fmt.Errorf("the rows of %s mention %d signals, and at most %d can be judged together: give those that are served alike one name", place(s), n, MaxTogether)
		}
	}
	return nil
}

// spread finds what can stand: beginning with a new object on which nothing stands, a signal can be raised unless that is
// forbidden, consumed or withdrawn, and taken along wherever the lifecycle leads. What stands is therefore closed under taking away.
func (x *space) spread() {
	x.stands = make([][]bool, len(x.states))
	for i := range x.stands {
		x.stands[i] = make([]bool, int(x.low)+1)
	}
	type point struct {
		state int
		set   set
	}
	var todo []point
	visit := func(state int, s set) {
		if !x.stands[state][s] {
			x.stands[state][s] = true
			todo = append(todo, point{state, s})
		}
	}
	visit(0, 0)
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for b := set(1); b&x.low != 0; b <<= 1 {
			if p.set&b != 0 {
				visit(p.state, p.set&^b)
			} else if _, refused := x.refuses(p.state, p.set|b); !refused {
				visit(p.state, p.set|b)
			}
		}
		for _, to := range x.ways(p.state) {
			visit(to, p.set)
		}
	}
}

// ways lists where the lifecycle leads from a state, final states apart: nothing stands on an object that is gone.
func (x *space) ways(state int) (to []int) {
	rule, _ := x.life.Rule(x.states[state])
	for i, s := range x.states {
		if r, _ := x.life.Rule(s); slices.Contains(rule.To, s) && !r.Final {
			to = append(to, i)
		}
	}
	return to
}

// refuses returns the row that forbids a set in a state, if there is one.
func (x *space) refuses(state int, s set) (row int, refused bool) {
	for _, r := range x.forbids[state] {
		if x.masks[r].met(s) {
			return r, true
		}
	}
	return -1, false
}

// can reports whether a set of signals can stand in a state.
func (x *space) can(state int, s set) bool { return x.stands[state][s&x.low] }

// mentioned is the set of signals that matter to what fires in a state.
func (x *space) mentioned(state int) (s set) {
	for _, r := range x.rows[state] {
		s |= x.masks[r].all | x.masks[r].none
	}
	return s
}

// each visits the sets within a bound that can stand in a state, parts before the whole, until visit says false.
func (x *space) each(state int, within set, visit func(set) bool) {
	for s := set(0); ; s = (s - within) & within {
		if x.can(state, s) && !visit(s) {
			return
		}
		if s == within {
			return
		}
	}
}

// matching lists the rows that match a set in a state whatever their guards say, by precedence.
func (x *space) matching(into []int, state int, s set) []int {
	into = into[:0]
	for _, r := range x.rows[state] {
		if x.masks[r].met(s) {
			into = append(into, r)
		}
	}
	return into
}

// firing narrows matching rows to those that fire for some outcome of the guards, and reports whether some row fires for every outcome. A row fires
// when no row before it holds, which can be unless one has no guard or has the same.
func (x *space) firing(matching []int) (rows []int, always bool) {
	for i, r := range matching {
		guard := x.table.Rows[r].Guard
		if slices.ContainsFunc(matching[:i], func(q int) bool { return x.table.Rows[q].Guard == guard }) {
			continue
		}
		rows = append(rows, r)
		if guard == "" {
			return rows, true
		}
	}
	return rows, false
}

func (x *space) set(signals []SignalName) (s set) {
	for _, name := range signals {
		s |= 1 << slices.Index(x.names, name)
	}
	return s
}

// signals lists a set in the order of the table.
func (x *space) signals(s set) (names []SignalName) {
	for i, name := range x.names {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return x.inOrder(names)
}
