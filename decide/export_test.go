package decide

import (
	"fmt"
	"testing"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Found is what enumeration finds, as data, so that it can be compared with a naive model.
type Found struct {
	Clashes map[[2]int]bool
	Gaps    map[string]bool // "state signals", the smallest combinations only
	Idle    map[int]bool
}

// Enumerate runs the enumeration of Check alone.
func Enumerate(t testing.TB, life lifecycle.Table, table Table) Found {
	t.Helper()
	x, err := newSpace(life, table)
	if err != nil {
		t.Fatal(err)
	}
	e := newEnumeration(&checker{life: life, table: table, marked: map[int]bool{}}, x)
	e.all()
	f := Found{map[[2]int]bool{}, map[string]bool{}, map[int]bool{}}
	for p := range e.clashes {
		f.Clashes[p] = true
	}
	for h, in := range e.holes {
		for _, s := range in {
			f.Gaps[fmt.Sprint(s, sorted(e.signals(h.signals)))] = true
		}
	}
	for i, fires := range e.fires {
		if !fires {
			f.Idle[i] = true
		}
	}
	return f
}
