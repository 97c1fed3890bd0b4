package lifecycle_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/golden"
	. "github.com/setpointhq/setpoint/lifecycle"
	"pgregory.net/rapid"
)

// database is a table with everything that a table can have.
func database() Table {
	return Table{
		{State: "Provisioning", Budget: 10 * time.Minute, To: To("Available", "Failed", "Deleting")},
		{State: "Available", Parent: "Provisioned", Healthy: true, Stable: true, To: To("Promoting", "Unavailable", "Deleting")},
		{State: "Unavailable", Parent: "Provisioned", Budget: time.Minute, Late: "NeedsPromote", To: To("Available", "Promoting", "Failed", "Deleting")},
		{State: "Promoting", Healthy: true, Budget: 90 * time.Second, To: To("Available", "Unavailable", "Failed", "Deleting")},
		{State: "Failed", Stable: true, To: To("Deleting")},
		{State: "Deleting", Deleting: true, Budget: 2 * time.Hour, To: To("Deleted")},
		{State: "Deleted", Final: true},
	}
}

func TestDrawings(t *testing.T) {
	for name, draw := range map[string]func(Table) string{"database.txt": Text, "database.mmd": Mermaid, "database.dot": DOT} {
		golden.Check(t, name, draw(database()))
		if got := draw(nil); got != "" {
			t.Errorf("%s: a kind without states is drawn as %q, want nothing", name, got)
		}
	}
}

func TestMermaidKeepsItsWordsApart(t *testing.T) {
	got := Mermaid(Table{{State: "Note", To: To("End")}, {State: "End", Final: true}})
	for _, want := range []string{`state "Note" as Note_`, "Note_ --> End_", "End_ --> [*]"} {
		if !strings.Contains(got, want) {
			t.Errorf("a state named like a word of Mermaid must get another id: %q is not in\n%s", want, got)
		}
	}
}

func TestCheckAccepts(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		table        Table
	}{
		{"none", "a kind need not have states", nil},
		{"database", "everything a table can have is used as it is meant", database()},
		{"two", "deletion need not be a state", Table{{State: "On", To: To("Off")}, {State: "Off", Final: true}}},
		{"loop", "a kind whose objects never end by themselves needs no final state",
			Table{{State: "On", Healthy: true, Stable: true, To: To("Off")}, {State: "Off", Stable: true, To: To("On")}}},
	} {
		if err := Check(c.table); err != nil {
			t.Errorf("%s: %s, but: %v", c.name, c.reason, err)
		}
	}
}

var wrongTables = []struct {
	name, reason string
	table        Table
	faults       []string
}{
	{"unreachable", "no object could ever be there, so the author has forgotten a way",
		Table{{State: "On", To: To("Off")}, {State: "Lost", To: To("Off")}, {State: "Off", Final: true}},
		[]string{"Lost cannot be reached from On, the first state"}},
	{"leavingFinal", "an object in a final state is gone",
		Table{{State: "On", To: To("Off")}, {State: "Off", Final: true, To: To("On")}},
		[]string{"Off is final, yet leads to On: nothing leaves a final state"}},
	{"implicitFinal", "an end must be said to be one",
		Table{{State: "On", To: To("Off")}, {State: "Off", Stable: true}},
		[]string{"Off has no way out and is not final: say Final, or where it leads to"}},
	{"caught", "a state one does not stay in must be left",
		Table{{State: "On", To: To("Off")}, {State: "Off"}},
		[]string{"Off has no way out and is neither final nor stable: an object would be caught in it"}},
	{"budgetWithoutWay", "whoever is told that it is late could do nothing",
		Table{{State: "On", To: To("Off")}, {State: "Off", Budget: time.Minute}},
		[]string{"Off has no way out and is neither final nor stable: an object would be caught in it",
			"Off has a budget (1m0s) but no way out: being late could not be mended"}},
	{"finalBudget", "nothing stays in a final state",
		Table{{State: "On", To: To("Off")}, {State: "Off", Final: true, Budget: time.Hour}},
		[]string{"Off is final, yet has a budget (1h0m0s): nothing stays in a final state"}},
	{"negative", "time does not run backwards",
		Table{{State: "On", Budget: -time.Second, To: To("Off")}, {State: "Off", Final: true}},
		[]string{"On has a budget below zero (-1s)"}},
	{"twoRows", "which of the two would hold?",
		Table{{State: "On", To: To("Off")}, {State: "On", To: To("Off")}, {State: "Off", Final: true}},
		[]string{"On has two rows"}},
	{"unknownTarget", "a transition must lead to a state",
		Table{{State: "On", To: To("Of", "Off")}, {State: "Off", Final: true}},
		[]string{`On leads to "Of", which is no state`}},
	{"parentTarget", "a transition leads to one state, and never to a parent that has several",
		Table{{State: "On", To: To("Running", "Off")}, {State: "Up", Parent: "Running", To: To("Off")}, {State: "Down", Parent: "Running", To: To("Off")}, {State: "Off", Final: true}},
		[]string{`On leads to "Running", which is no state but the parent of Up and Down: name those`}},
	{"twiceTarget", "a repeated target is a slip of the pen",
		Table{{State: "On", To: To("Off", "Off")}, {State: "Off", Final: true}},
		[]string{"On leads to Off twice"}},
	{"itself", "staying is no transition",
		Table{{State: "On", To: To("On", "Off")}, {State: "Off", Final: true}},
		[]string{"On leads to itself: staying is always allowed and is no transition"}},
	{"twoDeleting", "deletion must have one place to enter",
		Table{{State: "On", To: To("Going", "Leaving")}, {State: "Going", Deleting: true, To: To("Off")}, {State: "Leaving", Deleting: true, To: To("Off")}, {State: "Off", Final: true}},
		[]string{"Going and Leaving are all deleting: there can be one such state"}},
	{"deletingNowhere", "deletion must come to an end in one step",
		Table{{State: "On", To: To("Going")}, {State: "Going", Deleting: true, To: To("Almost")}, {State: "Almost", To: To("Off", "Going")}, {State: "Off", Final: true}},
		[]string{"Going is deleting, but does not lead to a final state directly"}},
	{"undeletable", "a user's wish to delete would never be granted",
		Table{{State: "On", To: To("Broken", "Worse", "Going")}, {State: "Broken", To: To("Off")}, {State: "Worse", To: To("Off")}, {State: "Going", Deleting: true, To: To("Off")}, {State: "Off", Final: true}},
		[]string{"Broken and Worse do not lead to Going: an object could not be deleted there, though that may be asked for at any time"}},
	{"deletingFinal", "deletion takes time",
		Table{{State: "On", To: To("Off")}, {State: "Off", Final: true, Deleting: true}},
		[]string{"Off is both deleting and final: deletion takes time, its end is another state"}},
	{"parentIsState", "an object is never in a parent",
		Table{{State: "On", To: To("Up")}, {State: "Up", Parent: "On", To: To("Off")}, {State: "Off", Final: true}},
		[]string{"Up has the parent On, which is a state: a parent is only a name, no object is ever in it"}},
	{"ownParent", "that would be a cycle",
		Table{{State: "On", Parent: "On", To: To("Off")}, {State: "Off", Final: true}},
		[]string{"On is its own parent"}},
	{"lateWithoutBudget", "nothing would ever raise the signal",
		Table{{State: "On", Late: "Hurry", To: To("Off")}, {State: "Off", Final: true}},
		[]string{"On raises Hurry when late, but has no budget that could run out"}},
	{"startsFinal", "every object would be gone at once",
		Table{{State: "Off", Final: true}},
		[]string{"Off is the first state and final: every object would be gone at once"}},
	{"names", "states are shown to people and used in URLs",
		Table{{State: "on", Parent: "big one", To: To("")}, {}},
		[]string{`"on" is no name for a state: it must be a capital letter followed by letters and digits`,
			`on leads to "", which is no state`, "row 2 has no state",
			`"big one", the parent of on, is no name: it must be a capital letter followed by letters and digits`}},
}

func TestCheckRefuses(t *testing.T) {
	var all strings.Builder
	for _, c := range wrongTables {
		err := Check(c.table)
		p, ok := errors.AsType[*Problem](err)
		if !ok {
			t.Errorf("%s: accepted, though %s", c.name, c.reason)
			continue
		}
		if !slices.Equal(p.Faults, c.faults) {
			t.Errorf("%s (%s):\ngot  %q\nwant %q", c.name, c.reason, p.Faults, c.faults)
		}
		all.WriteString("# " + c.name + ": " + c.reason + "\n" + err.Error() + "\n\n")
	}
	golden.Check(t, "faults.txt", all.String())
}

func TestAdvise(t *testing.T) {
	got := Advise(Table{
		{State: "Starting", To: To("Running", "Broken")},
		{State: "Running", Healthy: true, To: To("Off")},
		{State: "Broken", Stable: true, To: To("Off")},
		{State: "Patient", Budget: time.Hour, To: To("Off")},
		{State: "Off", Final: true},
	})
	want := []string{
		"Starting is unhealthy and unstable and has no budget: an object may stay in it for ever, and nobody is told",
		"Running is unstable and has no budget: an object may stay in it for ever, and nobody is told",
		"Broken is unhealthy and has no budget: an object may stay in it for ever, and nobody is told",
		"no state is deleting: objects go from any state at once, without a final state on record",
		"no state is healthy and stable: objects are never at rest",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := Advise(database()[1:]); len(got) != 1 || !strings.HasPrefix(got[0], "Failed is unhealthy") {
		t.Errorf("a table that is nearly right gets one piece of advice, got %q", got)
	}
	if got := Advise(nil); got != nil {
		t.Errorf("no states, no advice; got %q", got)
	}
}

// tables draws tables at random, mostly wrong ones.
func tables() *rapid.Generator[Table] {
	return rapid.Custom(func(t *rapid.T) Table {
		state := rapid.SampledFrom([]State{"A", "B", "C", "D", "E"})
		n := rapid.IntRange(1, 5).Draw(t, "rows")
		table := make(Table, n)
		for i := range table {
			table[i] = Rule{
				State: State('A' + rune(i)), Stable: rapid.Bool().Draw(t, "stable"), Healthy: rapid.Bool().Draw(t, "healthy"),
				Final: rapid.IntRange(0, 3).Draw(t, "final") == 0, Deleting: rapid.IntRange(0, 3).Draw(t, "deleting") == 0,
				Budget: time.Duration(rapid.IntRange(0, 2).Draw(t, "budget")) * time.Minute,
			}
			if !table[i].Final {
				table[i].To = rapid.SliceOfNDistinct(state.Filter(func(s State) bool { return s != table[i].State }), 0, 3, rapid.ID[State]).Draw(t, "to")
			}
		}
		return table
	})
}

// TestCheckedTablesAreSafe walks every table that Check accepts: whatever way an object takes, it stays in the table and can be
// deleted from wherever it is, when the table knows deletion.
func TestCheckedTablesAreSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := tables().Draw(t, "table")
		if Check(table) != nil {
			return
		}
		at := table.Initial()
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			r, ok := table.Rule(at)
			if !ok {
				t.Fatalf("an object came to %q, which is no state", at)
			}
			if r.Final {
				return
			}
			if len(r.To) == 0 {
				t.Fatalf("an object is caught in %s", at)
			}
			at = rapid.SampledFrom(r.To).Draw(t, "next")
		}
		if table.Deleting() != "" && !final(table, at) && shortest(table, at, table.Deleting()) < 0 {
			t.Fatalf("an object in %s cannot be deleted", at)
		}
	})
}

func final(table Table, s State) bool { r, _ := table.Rule(s); return r.Final }

// shortest counts the steps between two states, independently of the code under test: by relaxing all edges; -1 when there is no way.
func shortest(table Table, from, to State) int {
	steps := map[State]int{from: 0}
	for range table {
		for _, r := range table {
			for _, next := range r.To {
				d, known := steps[r.State]
				if old, seen := steps[next]; known && (!seen || old > d+1) {
					steps[next] = d + 1
				}
			}
		}
	}
	if d, ok := steps[to]; ok {
		return d
	}
	return -1
}
