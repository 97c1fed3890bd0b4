package decide_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"pgregory.net/rapid"
)

// TestCheckFindsWhatANaiveSearchFinds compares the enumeration, which skips what cannot matter, with one that skips nothing.
func TestCheckFindsWhatANaiveSearchFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		clashes, gaps := map[[2]int]bool{}, map[string]bool{}
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			won := n.winners(s, signals, holding)
			for i, a := range won {
				for _, b := range won[:i] {
					if effect(table.Rows[a]) != effect(table.Rows[b]) {
						clashes[[2]int{b, a}] = true
					}
				}
			}
			if len(won) == 0 && len(signals) > 0 {
				gaps[key(s, signals)] = true
			}
		})
		found := Enumerate(t, small(), table)
		if !maps.Equal(found.Clashes, clashes) {
			rt.Errorf("ambiguous pairs %v, want %v", found.Clashes, clashes)
		}
		for gap := range found.Gaps {
			if !gaps[gap] {
				rt.Errorf("%s is said to be a gap, and is none", gap)
			}
		}
		if len(gaps) > 0 != (len(found.Gaps) > 0) {
			rt.Errorf("gaps %v, want the smallest of %v", found.Gaps, gaps)
		}
	})
}

// TestShadowedRowsNeverFire: in no case does a row fire that is said to be shadowed, and every other row fires in one.
func TestShadowedRowsNeverFire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		fired := map[int]bool{}
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			fired[Fire(n.life, table, s, signals, oracle(holding)).Row] = true
		})
		idle := Enumerate(t, small(), table).Idle
		for i, r := range table.Rows {
			if r.Forbid == "" && fired[i] == idle[i] {
				rt.Errorf("row %d: fires %v, is said to be shadowed %v", i+1, fired[i], idle[i])
			}
		}
	})
}

func oracle(holding []GuardName) func(GuardName) bool {
	return func(g GuardName) bool { return slices.Contains(holding, g) }
}

// TestFireFollowsTheHitPolicy: what fires is a winner of the naive model, whatever was drawn, checked or not.
func TestFireFollowsTheHitPolicy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		s := rapid.SampledFrom([]lifecycle.State{"A", "B", "V", "D", "E"}).Draw(rt, "state")
		signals := rapid.SampledFrom(n.subsets).Draw(rt, "signals")
		holding := rapid.SampledFrom(n.outcomes).Draw(rt, "guards")
		d, won := Fire(n.life, table, s, signals, oracle(holding)), n.winners(s, signals, holding)
		if len(won) == 0 && d.Row != -1 || len(won) > 0 && !slices.Contains(won, d.Row) {
			rt.Fatalf("row %d fires, want one of %v (indices)", d.Row, won)
		}
		var matching, barred []int
		for i, r := range table.Rows {
			switch {
			case r.Forbid != "" || i == d.Row:
			case n.matches(r, s, signals, holding):
				matching = append(matching, i)
			case n.matches(r, s, signals, guards):
				barred = append(barred, i)
			}
		}
		if !slices.Equal(d.Shadowed, matching) || !slices.Equal(d.Barred, barred) {
			rt.Errorf("shadowed %v and barred %v, want %v and %v", d.Shadowed, d.Barred, matching, barred)
		}
		if _, refused := Forbidden(n.life, table, s, signals); refused != n.refuses(s, signals) {
			rt.Errorf("forbidden %v, want %v", refused, !refused)
		}
	})
}

// TestTheOrderOfRowsMeansNothing: a shuffled table decides the same, and is as right or wrong.
func TestTheOrderOfRowsMeansNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		shuffled := table
		shuffled.Rows = rapid.Permutation(table.Rows).Draw(rt, "shuffled")
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			a, b := Fire(n.life, table, s, signals, oracle(holding)), Fire(n.life, shuffled, s, signals, oracle(holding))
			if (a.Row < 0) != (b.Row < 0) || a.Row >= 0 && fmt.Sprint(table.Rows[a.Row]) != fmt.Sprint(shuffled.Rows[b.Row]) &&
				effect(table.Rows[a.Row]) != effect(shuffled.Rows[b.Row]) {
				rt.Fatalf("in %s with %v the shuffled table fires another row: %+v, not %+v", s, signals, b, a)
			}
		})
		a, b := Enumerate(t, small(), table), Enumerate(t, small(), shuffled)
		if len(a.Clashes) != len(b.Clashes) || !maps.Equal(a.Gaps, b.Gaps) || len(a.Idle) != len(b.Idle) {
			rt.Errorf("the shuffled table is judged otherwise: %v, not %v", b, a)
		}
	})
}

// TestYieldingComesToAnotherChoice compares what Check says about actions that make way for a signal with trying every case: after the pre-emption, with what the
// action had read and the signal standing, some outcome of the guards chooses the action again, or none does.
func TestYieldingComesToAnotherChoice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		to := rapid.SampledFrom(letters).Draw(rt, "yields to")
		want := map[string]bool{}
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			if s != "B" || !slices.Contains(signals, to) || Fire(n.life, table, s, signals, oracle(holding)).Do != "Go" {
				return
			}
			for i, r := range table.Rows {
				if r.Do == "Go" && !slices.Contains(r.When.All, to) && !slices.ContainsFunc(r.When.All, func(a SignalName) bool { return !slices.Contains(signals, a) }) {
					want[fmt.Sprint(i)] = true
				}
			}
		})
		table.Actions = []Action{{Name: "Go", Via: "V", To: "A", Else: "B", Yield: []SignalName{to}}, {Name: "Stay"}}
		if got := ChosenAgain(t, small(), table, "Go", to); !maps.Equal(got, want) {
			rt.Errorf("yielding to %s: begun by rows %v (indices) it is chosen again, want %v", to, got, want)
		}
	})
}
