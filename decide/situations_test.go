package decide_test

import (
	"slices"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
)

// TestSituations compares what is listed with the cases of the naive model.
func TestSituations(t *testing.T) {
	life, table := postgresLife(), postgres()
	all, err := Situations(life, table)
	if err != nil {
		t.Fatal(err)
	}
	n := newNaive(life, table, "Provisioning", "Available", "Uncertain", "Unavailable")
	listed, last := map[string]bool{}, 0
	for _, s := range all {
		stands := s.Signals
		if s.Refused {
			stands = stands[:len(stands)-1]
			if _, refused := Forbidden(life, table, s.State, s.Signals); !refused {
				t.Errorf("%s with %v is said to be refused, and is not", s.State, s.Signals)
			}
		}
		if !slices.Contains(n.resting, s.State) || !n.can[key(s.State, stands)] {
			t.Errorf("%s with %v can not be", s.State, stands)
		}
		if len(s.Signals) < last {
			t.Errorf("%s with %v comes after %d signals", s.State, s.Signals, last)
		}
		if last = len(s.Signals); !s.Refused {
			listed[key(s.State, s.Signals)] = true
		}
	}
	for _, s := range n.resting {
		for _, signals := range n.subsets {
			if len(signals) <= 1 && n.can[key(s, signals)] && !listed[key(s, signals)] {
				t.Errorf("%s with %v is missing", s, signals)
			}
		}
	}
	if !slices.ContainsFunc(all, func(s Situation) bool { return s.Refused }) {
		t.Error("no forbidden combination is listed")
	}
	if _, err := Situations(life, Table{Rows: make([]Row, MaxRows+1)}); err == nil {
		t.Error("a table with too many rows was gone through")
	}
}
