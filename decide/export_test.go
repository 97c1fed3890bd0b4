package decide

import (
	"fmt"
	"slices"
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

// ChosenAgain lists the rows that begin an action which, pre-empted by a signal it has not read, would be chosen again.
func ChosenAgain(t testing.TB, life lifecycle.Table, table Table, action ActionName, to SignalName) map[string]bool {
	t.Helper()
	x, err := newSpace(life, table)
	if err != nil {
		t.Fatal(err)
	}
	e := newEnumeration(&checker{life: life, table: table, marked: map[int]bool{}}, x)
	found := map[string]bool{}
	a, _ := table.Action(action)
	for _, row := range e.starting(action) {
		if slices.Contains(table.Rows[row].When.All, to) {
			continue
		}
		if _, _, again := e.again(a, row, to); again >= 0 {
			found[fmt.Sprint(row)] = true
		}
	}
	return found
}
