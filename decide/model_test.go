package decide_test

import (
	"fmt"
	"slices"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"pgregory.net/rapid"
)

// small has every sort of state: A begins, A and B share a parent, V is busy, D is deleting and E final.
func small() lifecycle.Table {
	return lifecycle.Table{
		{State: "A", Parent: "P", Stable: true, To: lifecycle.To("B", "V", "D")},
		{State: "B", Parent: "P", Stable: true, To: lifecycle.To("V", "D")},
		{State: "V", To: lifecycle.To("A", "B", "D")},
		{State: "D", Deleting: true, To: lifecycle.To("E")},
		{State: "E", Final: true},
	}
}

var (
	letters = []SignalName{"S", "T", "U"}
	guards  = []GuardName{"g", "h"}
	actions = []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}, {Name: "Stay"}}
)

// rowGen draws rows that Check finds nothing wrong with one by one.
func rowGen() *rapid.Generator[Row] {
	return rapid.Custom(func(t *rapid.T) Row {
		var r Row
		for _, s := range letters {
			switch rapid.IntRange(0, 3).Draw(t, string(s)) {
			case 0:
				r.When.All = append(r.When.All, s)
			case 1:
				r.When.None = append(r.When.None, s)
			}
		}
		if len(r.When.All) == 0 {
			r.When = All(rapid.SampledFrom(letters).Draw(t, "all"))
		}
		r.In = rapid.SampledFrom([][]lifecycle.State{nil, In("A"), In("B"), In("P"), In("B", "A")}).Draw(t, "in")
		verb := rapid.SampledFrom([]Verb{Do, Do, Ignore, Defer, Forbid}).Draw(t, "verb")
		if verb != Forbid {
			r.Guard = rapid.SampledFrom([]GuardName{"", "", "g", "h"}).Draw(t, "guard")
			r.Priority = rapid.IntRange(0, 1).Draw(t, "priority")
		}
		switch verb {
		case Do:
			r.Do = rapid.SampledFrom(actions).Draw(t, "do").Name
		case Ignore:
			r.Ignore = "so"
		case Defer:
			r.Defer = "so"
		case Forbid:
			r.Forbid = "so"
			r.In = rapid.SampledFrom([][]lifecycle.State{r.In, In("A", "V"), In("D")}).Draw(t, "forbidden in")
		}
		return r
	})
}

func tableGen() *rapid.Generator[Table] {
	return rapid.Custom(func(t *rapid.T) Table {
		table := Table{Actions: actions, Rows: rapid.SliceOfN(rowGen(), 1, 7).Draw(t, "rows")}
		for _, s := range letters {
			table.Signals = append(table.Signals, Signal{Name: s, About: "a letter"})
		}
		return table
	})
}

// naive knows only the words of the documentation, and tries everything.
type naive struct {
	life     lifecycle.Table
	table    Table
	resting  []lifecycle.State
	subsets  [][]SignalName
	outcomes [][]GuardName
	can      map[string]bool // what can stand, by key
}

func newNaive(life lifecycle.Table, table Table, resting ...lifecycle.State) naive {
	n := naive{life: life, table: table, resting: resting}
	var names []SignalName
	for _, s := range table.Signals {
		names = append(names, s.Name)
	}
	n.subsets, n.outcomes = powerset(names), powerset(table.Guards())
	n.can = n.standing()
	return n
}

func powerset[S any](list []S) (sets [][]S) {
	for bits := range 1 << len(list) {
		set := []S{}
		for i, s := range list {
			if bits>>i&1 == 1 {
				set = append(set, s)
			}
		}
		sets = append(sets, set)
	}
	return sets
}

func (n naive) in(r Row, s lifecycle.State) bool {
	rule, _ := n.life.Rule(s)
	named := slices.Contains(r.In, s) || slices.Contains(r.In, rule.Parent)
	if r.Forbid != "" {
		return named || len(r.In) == 0 && !rule.Final && !rule.Deleting
	}
	return (named || len(r.In) == 0) && slices.Contains(n.resting, s)
}

func (n naive) matches(r Row, s lifecycle.State, signals []SignalName, holding []GuardName) bool {
	for _, a := range r.When.All {
		if !slices.Contains(signals, a) {
			return false
		}
	}
	for _, a := range r.When.None {
		if slices.Contains(signals, a) {
			return false
		}
	}
	return n.in(r, s) && (r.Guard == "" || slices.Contains(holding, r.Guard))
}

// implies tries whether all that one row matches the other matches too.
func (n naive) implies(r, q Row) bool {
	for _, s := range n.resting {
		for _, signals := range n.subsets {
			for _, holding := range n.outcomes {
				if n.matches(r, s, signals, holding) && !n.matches(q, s, signals, holding) {
					return false
				}
			}
		}
	}
	return true
}

// winners are the rows that match with the highest priority and with nothing more specific beside them.
func (n naive) winners(s lifecycle.State, signals []SignalName, holding []GuardName) (rows []int) {
	for i, r := range n.table.Rows {
		if r.Forbid != "" || !n.matches(r, s, signals, holding) {
			continue
		}
		beaten := slices.ContainsFunc(n.table.Rows, func(q Row) bool {
			return q.Forbid == "" && n.matches(q, s, signals, holding) &&
				(q.Priority > r.Priority || q.Priority == r.Priority && n.implies(q, r) && !n.implies(r, q))
		})
		if !beaten {
			rows = append(rows, i)
		}
	}
	return rows
}

func (n naive) refuses(s lifecycle.State, signals []SignalName) bool {
	return slices.ContainsFunc(n.table.Rows, func(r Row) bool { return r.Forbid != "" && n.matches(r, s, signals, nil) })
}

// key names a state with a set of signals.
func key(s lifecycle.State, signals []SignalName) string {
	return fmt.Sprint(s, slices.Sorted(slices.Values(signals)))
}

// standing tries what can stand where, until nothing new comes of it.
func (n naive) standing() map[string]bool {
	can := map[string]bool{key(n.life.Initial(), nil): true}
	for before := -1; before != len(can); {
		before = len(can)
		for _, rule := range n.life {
			for _, signals := range n.subsets {
				if rule.Final || !can[key(rule.State, signals)] {
					continue
				}
				for i := range signals {
					can[key(rule.State, slices.Delete(slices.Clone(signals), i, i+1))] = true
				}
				for _, s := range n.table.Signals {
					if more := append(slices.Clone(signals), s.Name); !slices.Contains(signals, s.Name) && !n.refuses(rule.State, more) {
						can[key(rule.State, more)] = true
					}
				}
				for _, to := range rule.To {
					if next, _ := n.life.Rule(to); !next.Final {
						can[key(to, signals)] = true
					}
				}
			}
		}
	}
	return can
}

// effect is what a row comes to.
func effect(r Row) string {
	if r.Defer != "" {
		return "defer"
	}
	if r.Ignore != "" {
		return "ignore"
	}
	return fmt.Sprint(r.Do, slices.Sorted(slices.Values(r.When.All)))
}

// cases visits every case that can be.
func (n naive) cases(visit func(s lifecycle.State, signals []SignalName, holding []GuardName)) {
	for _, s := range n.resting {
		for _, signals := range n.subsets {
			if !n.can[key(s, signals)] {
				continue
			}
			for _, holding := range n.outcomes {
				visit(s, signals, holding)
			}
		}
	}
}
