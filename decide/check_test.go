package decide_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/lifecycle"
)

// signalled makes a table with the signals S and T, both actions, and rows, for the lifecycle of small.
func signalled(rows ...Row) Table {
	return Table{Signals: []Signal{{"S", "a signal"}, {"T", "another"}}, Actions: actions, Rows: rows}
}

// yielding makes such a table in which Go makes way for signals, with a signal U more when a row speaks of it.
func yielding(to []SignalName, rows ...Row) Table {
	table := signalled(rows...)
	table.Actions = []Action{{Name: "Go", Via: "V", To: "A", Else: "B", Yield: to}}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Do == "Stay" }) {
		table.Actions = append(table.Actions, Action{Name: "Stay"})
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return slices.Contains(r.When.All, "U") }) {
		table.Signals = append(table.Signals, Signal{"U", "a third"})
	}
	return table
}

// serving are rows that leave nothing open; cases add one row that is wrong.
func serving(more ...Row) []Row {
	return append([]Row{
		{When: All("S"), Priority: 2, Do: "Go"},
		{When: All("T"), Priority: 1, Do: "Stay"},
	}, more...)
}

var wrongTables = []struct {
	name, reason string
	table        Table
	faults       []string
}{
	{"gap", "a signal would stand for ever, and nobody had said so",
		signalled(Row{In: In("A"), When: All("S"), Do: "Go"}, Row{When: All("T"), Priority: 1, Do: "Stay"}),
		[]string{"nothing is said about S in B"}},
	{"gapOfACombination", "each signal alone is served, the two together are not",
		signalled(Row{When: All("S").Without("T"), Do: "Go"}, Row{When: All("T").Without("S"), Do: "Stay"}),
		[]string{"nothing is said about S and T in A or B"}},
	{"gapUnderGuards", "all guards may say no",
		signalled(serving(Row{When: All("T"), Priority: 1, Do: "Stay"})[0], Row{When: All("T"), Guard: "ready", Do: "Stay"}),
		[]string{"T in A or B is answered only under guards, by row 2: add a row for when none holds"}},
	{"gapBroughtAlong", "what is forbidden in B can be raised in A, which leads there",
		signalled(Row{When: All("S").Without("T"), Do: "Go"}, Row{When: All("T").Without("S"), Do: "Stay"},
			Row{In: In("A"), When: All("S", "T"), Ignore: "both"}, Row{In: In("B"), When: All("S", "T"), Forbid: "not both"}),
		[]string{"nothing is said about S and T in B (row 4 forbids raising it there, but an object can bring it along from another state)"}},
	{"shadowed", "its author believes that it does something",
		signalled(serving(Row{In: In("A"), When: All("S"), Do: "Stay"})...),
		[]string{"row 3 (in A, when S: do Stay) can never fire: row 1 always goes first"}},
	{"shadowedByTwo", "neither alone goes before it everywhere, both together do",
		signalled(Row{In: In("A"), When: All("S"), Priority: 2, Do: "Go"}, Row{In: In("B"), When: All("S"), Priority: 2, Do: "Go"},
			Row{When: All("T"), Priority: 1, Do: "Stay"}, Row{When: All("S"), Priority: -1, Do: "Stay"}),
		[]string{"row 4 (in any state, when S: do Stay) can never fire: one of rows 1, 2 and 3 always goes first"}},
	{"twice", "a repeated row is a slip of the pen",
		signalled(serving(Row{When: All("T"), Priority: 1, Do: "Stay"})...),
		[]string{"row 3 (in any state, when T: do Stay) can never fire: row 2 always goes first"}},
	{"waitsForTheForbidden", "what it asks for is refused when it is raised",
		signalled(serving(Row{When: All("S", "T"), Priority: 9, Do: "Stay"}, Row{When: All("S", "T"), Forbid: "not both"})...),
		[]string{"row 3 (in any state, when S and T: do Stay) can never fire: what it asks for can never stand: row 4 forbids it"}},
	{"forbiddenAlready", "two reasons for one refusal: which is told?",
		signalled(serving(Row{When: All("S", "T"), Forbid: "not both"}, Row{When: All("T", "S"), Forbid: "surely not both"})...),
		[]string{"row 4 (in any state, when T and S: forbid) can never refuse anything: row 3 always goes first"}},
	{"ambiguous", "nobody could say which of the two would run",
		signalled(Row{When: All("S"), Do: "Go"}, Row{When: All("T"), Do: "Stay"}),
		[]string{"row 1 (in any state, when S: do Go) and row 2 (in any state, when T: do Stay) are ambiguous: in A with S and T both match, with one priority (0), and neither is more specific"}},
	{"ambiguousUnderGuards", "both guards may say yes",
		signalled(serving(Row{When: All("S"), Guard: "old", Priority: 2, Do: "Stay"}, Row{When: All("S"), Guard: "big", Priority: 2, Ignore: "too big"})...),
		[]string{"row 3 (in any state, when S, if old: do Stay) and row 4 (in any state, when S, if big: ignore) are ambiguous: in A with S, if old and big, both match, with one priority (2), and neither is more specific"}},
	{"ambiguousInWhatIsRead", "the same action, but it is not clear which signals its end consumes",
		signalled(Row{When: All("S"), Do: "Stay"}, Row{When: All("T"), Do: "Stay"}, Row{In: In("A"), When: All("S"), Priority: 1, Do: "Go"}),
		[]string{"row 1 (in any state, when S: do Stay) and row 2 (in any state, when T: do Stay) are ambiguous: in B with S and T both match, with one priority (0), and neither is more specific"}},
	{"wrongTarget", "the database would refuse the transition, at night",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}, {Name: "Back", To: "A", Else: "B"}},
			Rows: []Row{{In: In("A"), When: All("S"), Do: "Go"}, {In: In("B"), When: All("S"), Do: "Back"}}},
		[]string{"row 2 (in B, when S: do Back) leads to A, but the lifecycle does not lead there from B"}},
	{"wrongEnd", "an action that stays where it is must be allowed to fail as well",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}, {Name: "Back", To: "B", Else: "A"}},
			Rows: []Row{{In: In("A"), When: All("S"), Do: "Go"}, {In: In("B"), When: All("S"), Do: "Back"}}},
		[]string{"row 2 (in B, when S: do Back) leads to A, but the lifecycle does not lead there from B"}},
	{"wrongWay", "an action cannot begin where the lifecycle does not lead to its state",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}, {Name: "Fall", Via: "B", To: "V", Else: "A"}},
			Rows: []Row{{In: In("A"), When: All("S"), Do: "Go"}, {In: In("V", "B"), When: All("S"), Do: "Fall"}}},
		[]string{"the action Fall goes to A when it fails, but the lifecycle does not lead from B to A"}},
	{"noEnd", "when its action fails, the object would stay in a state in which nothing is asked",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "B"}}, Rows: []Row{{When: All("S"), Do: "Go"}}},
		[]string{"the action Go goes through V, but not on when it fails: say Else"}},
	{"deletes", "only a request to delete ends an object",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "D", Else: "E"}}, Rows: []Row{{When: All("S"), Do: "Go"}}, Moved: In("B")},
		[]string{"the action Go names D: only a request to delete leads there", "the action Go names E, which is final: only deletion leads there"}},
	{"noStates", "an action goes to states, not to parents or misspelt ones",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "P", To: "a"}}, Rows: []Row{{When: All("S"), Do: "Go"}}, Moved: In("Q")},
		[]string{"the action Go names P, which is a parent: name a state in it", `the action Go names "a", which is no state`,
			`the list of states that code moves objects to names "Q", which is no state`}},
	{"unentered", "an author who drew the state has forgotten what leads there",
		Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "A"}}, Rows: []Row{{When: All("S"), Do: "Go"}}},
		[]string{"no action leads to B: no object would ever be in it (if the driver's own code moves objects there, list it in Moved)"}},
	{"yieldsToItself", "it would be undone and begun again for as long as T stands",
		yielding([]SignalName{"T"}, Row{When: All("S"), Priority: 2, Do: "Go"}, Row{When: All("T"), Priority: 1, Do: "Stay"}),
		[]string{"the action Go yields to T, but is chosen again: begun by row 1 and undone, it leaves the object in B with S and T, where row 1 (in any state, when S: do Go) can fire, for ever"}},
	{"yieldsUnderGuards", "the guard of the row that serves T may say no",
		yielding([]SignalName{"T"}, Row{When: All("S"), Priority: 2, Do: "Go"}, Row{When: All("T"), Guard: "ready", Priority: 3, Do: "Stay"}, Row{When: All("T"), Defer: "not yet"}),
		[]string{"the action Go yields to T, but is chosen again: begun by row 1 and undone, it leaves the object in B with S and T, where row 1 (in any state, when S: do Go) can fire, for ever"}},
	{"yieldsBeside", "only with U beside the two is it chosen again",
		yielding([]SignalName{"T"}, Row{When: All("S").Without("T"), Do: "Go"}, Row{When: All("T").Without("U"), Do: "Stay"},
			Row{When: All("U").Without("S"), Priority: 1, Ignore: "alone"}, Row{When: All("S", "U"), Priority: 2, Do: "Go"}),
		[]string{"the action Go yields to T, but is chosen again: begun by row 1 and undone, it leaves the object in B with S, T and U, where row 4 (in any state, when S and U: do Go) can fire, for ever",
			"the action Go yields to T, but is chosen again: begun by row 4 and undone, it leaves the object in B with S, T and U, where row 4 (in any state, when S and U: do Go) can fire, for ever"}},
	{"yieldsToWhatItServes", "an action does not make way for a signal that it has read",
		yielding([]SignalName{"S"}, serving()...),
		[]string{"the action Go yields to S, which it has read whenever it runs: it would never make way for what it serves"}},
	{"yieldsInVain", "T is refused while the action runs, and beside S wherever it could be brought along from",
		yielding([]SignalName{"T"}, serving(Row{When: All("S", "T"), Forbid: "not both"})...),
		[]string{"the action Go yields to T, which can never stand beside what it has read while it runs"}},
	{"yieldsToNothing", "a misspelt signal would never pre-empt anything", yielding([]SignalName{"X", "T", "T"}, serving()...),
		[]string{`the action Go yields to "X", which is no signal of this table`, "the action Go yields to T twice"}},
	{"general", "an operator's Cancel must mean the same for every kind",
		Table{Signals: []Signal{{"Cancel", "something else"}}, Rows: []Row{{When: All("Cancel"), Ignore: "no"}}, Moved: In("B", "V")},
		[]string{"the signal Cancel is every kind's, and means the same everywhere: it is not for a table to declare"}},
	{"unused", "what nothing starts and nothing reads was forgotten, or is left over",
		Table{Signals: []Signal{{"S", ""}, {"T", ""}}, Actions: actions, Rows: []Row{{When: All("S"), Do: "Go"}, {When: All("T"), Forbid: "never"}}},
		[]string{"no row starts the action Stay", "no row reads the signal T"}},
	{"loop", "nothing is consumed, so nothing would stop it",
		signalled(serving(Row{In: In("A"), Guard: "broken", Do: "Stay"})...),
		[]string{"row 3 (in A, if broken: do Stay) fires without a signal and leads back to A, where it would fire again, for ever"}},
	{"longLoop", "from A to B by one row and back by another, without a signal",
		Table{Actions: []Action{{Name: "Over", To: "B", Else: "B"}, {Name: "Back", Via: "V", To: "A", Else: "A"}},
			Rows: []Row{{In: In("A"), Do: "Over"}, {In: In("B"), Do: "Back"}}},
		[]string{"row 1 (in A: do Over) fires without a signal and leads back to A, where it would fire again, for ever",
			"row 2 (in B: do Back) fires without a signal and leads back to B, where it would fire again, for ever"}},
	{"outcomes", "a row says one thing, and why",
		signalled(serving(Row{When: All("S")}, Row{When: All("S"), Do: "Go", Ignore: "no"}, Row{When: All("S"), Defer: " "}, Row{When: All("S"), Do: "Fly"})...),
		[]string{"row 3 (in any state, when S: nothing) says nothing: set one of Do, Ignore, Defer and Forbid",
			"row 4 (in any state, when S: do Go) sets Do and Ignore: one row has one outcome",
			"row 5 (in any state, when S: defer) gives no reason",
			`row 6 (in any state, when S: do Fly) starts "Fly", which is no action of this table`}},
	{"conditions", "a condition that cannot be or that says a thing twice is not what was meant",
		signalled(serving(Row{When: All("S").Without("S"), Do: "Go"}, Row{When: All("T", "T"), Do: "Go"}, Row{When: All("X"), Do: "Go"},
			Row{When: All("S"), Guard: "a b", Do: "Go"}, Row{Ignore: "nothing"}, Row{Forbid: "everything"})...),
		[]string{"row 3 (in any state, when S and no S: do Go) asks for S and for none of it: that can never be",
			"row 4 (in any state, when T and T: do Go) names T 2 times",
			`row 5 (in any state, when X: do Go) names "X", which is no signal of this table`,
			`row 6 (in any state, when S, if a b: do Go) has the guard "a b": a guard's name is a letter followed by letters and digits`,
			"row 7 (in any state: ignore) names no signal that must stand: there is nothing to ignore",
			"row 8 (in any state: forbid) names no signal that must stand: there is nothing to forbid"}},
	{"forbidding", "what may be raised is decided before there is anything to compare or to ask",
		signalled(serving(Row{When: All("S", "T"), Guard: "old", Forbid: "no"}, Row{When: All("S", "T"), Priority: 4, Forbid: "no"})...),
		[]string{"row 3 (in any state, when S and T, if old: forbid) forbids under a guard: what may be raised must be the same for everybody who reads the table",
			"row 4 (in any state, when S and T: forbid) forbids and has a priority: it is judged when a signal is raised, and competes with nothing"}},
	{"places", "the table is asked only while an object rests",
		signalled(serving(Row{In: In("C"), When: All("S"), Do: "Go"}, Row{In: In("E"), When: All("S"), Do: "Go"}, Row{In: In("D"), When: All("S"), Do: "Go"},
			Row{In: In("V"), When: All("S"), Do: "Go"}, Row{In: In("A", "A"), When: All("S"), Do: "Go"}, Row{In: In("V", "D"), When: All("S"), Forbid: "allowed"})...),
		[]string{`row 3 (in C, when S: do Go) holds in "C", which is no state`,
			"row 4 (in E, when S: do Go) holds in E, which is final: an object there is gone",
			"row 5 (in D, when S: do Go) holds in D: deletion is the engine's, and a table can only forbid signals there",
			"row 6 (in V, when S: do Go) holds in V, where an object is only while an action runs: the table is not asked there, and signals wait",
			"row 7 (in A or A, when S: do Go) names A twice"}},
	{"names", "signals and actions are shown to people and used in URLs",
		Table{Signals: []Signal{{"s", ""}, {"S", ""}, {"S", ""}}, Actions: []Action{{Name: ""}, {Name: "Go"}, {Name: "Go"}}},
		[]string{`"s" is no name for a signal: it must be a capital letter followed by letters and digits`, "the signal S is listed twice",
			`"" is no name for an action: it must be a capital letter followed by letters and digits`, "the action Go is listed twice"}},
}

func TestCheckRefuses(t *testing.T) {
	var all strings.Builder
	for _, c := range wrongTables {
		err := Check(small(), c.table)
		p, ok := errors.AsType[*Problem](err)
		if !ok {
			t.Errorf("%s: not refused as a Problem, though %s: %v", c.name, c.reason, err)
			continue
		}
		if !slices.Equal(p.Faults, c.faults) {
			t.Errorf("%s (%s):\ngot  %q\nwant %q", c.name, c.reason, p.Faults, c.faults)
		}
		all.WriteString("# " + c.name + ": " + c.reason + "\n" + err.Error() + "\n\n")
	}
	golden.Check(t, "faults.txt", all.String())
}

func TestCheckAccepts(t *testing.T) {
	for _, c := range []struct {
		reason string
		life   lifecycle.Table
		table  Table
	}{
		{"a kind need not decide anything", small(), Table{}},
		{"nor have states", nil, Table{}},
		{"without a table, code reads the signals of budgets", postgresLife(), Table{}},
		{"the worked example is right", postgresLife(), postgres()},
		{"priorities put in order what could be ambiguous", small(), signalled(serving()...)},
		{"an exception beside its rule needs no priority", small(), signalled(serving(Row{In: In("A"), When: All("S"), Priority: 2, Guard: "old", Ignore: "too old"})...)},
		{"a row for both settles which of two goes first", small(),
			signalled(Row{When: All("S"), Do: "Go"}, Row{When: All("T"), Do: "Stay"}, Row{When: All("S", "T"), Ignore: "both"})},
		{"signals can be refused while an object is being deleted, and while an action runs", small(),
			signalled(serving(Row{In: In("D", "V"), When: All("S"), Forbid: "too late"})...)},
		{"two rows that ignore come to the same, in whatever order", small(),
			Table{Signals: []Signal{{"S", ""}, {"T", ""}}, Rows: []Row{{When: All("S"), Ignore: "one"}, {When: All("T"), Ignore: "two"}}, Moved: In("B", "V")}},
		{"an action may make way for a signal for which the table then does another thing", small(),
			yielding([]SignalName{"T"}, Row{When: All("S"), Do: "Go"}, Row{When: All("T"), Priority: 1, Do: "Stay"})},
		{"or waits, with what the action had read", small(),
			yielding([]SignalName{"T"}, Row{When: All("S"), Do: "Go"}, Row{When: All("T"), Priority: 1, Defer: "until it has passed"})},
		{"a run that has read the signal does not make way for it", small(),
			yielding([]SignalName{"T"}, Row{In: In("A"), When: All("S"), Do: "Go"}, Row{In: In("A"), When: All("S", "T"), Do: "Go"},
				Row{In: In("B"), When: All("S"), Ignore: "done"}, Row{In: In("B"), When: All("T"), Priority: 1, Ignore: "done"}, Row{In: In("A"), When: All("T").Without("S"), Ignore: "alone"})},
		{"without states, actions change none", nil, Table{Signals: []Signal{{"S", ""}}, Actions: []Action{{Name: "Stay"}}, Rows: []Row{{When: All("S"), Do: "Stay"}}}},
	} {
		if err := Check(c.life, c.table); err != nil {
			t.Errorf("%s, but: %v", c.reason, err)
		}
	}
}

func TestCheckReadsTheLifecycle(t *testing.T) {
	var p *lifecycle.Problem
	if err := Check(lifecycle.Table{{State: "On"}}, Table{}); !errors.As(err, &p) {
		t.Errorf("a wrong lifecycle must be told as one, got %v", err)
	}
	late := small()
	late[1].Budget, late[1].Late = time.Minute, "Hurry"
	if err := Check(late, signalled(serving()...)); err == nil || !strings.Contains(err.Error(), "B raises Hurry when late, which is no signal of this table") {
		t.Errorf("the signal of a budget must be known, got %v", err)
	}
	late[1].Late = "S"
	err := Check(late, signalled(serving(Row{In: In("B"), When: All("S"), Forbid: "rest"})...))
	if err == nil || !strings.Contains(err.Error(), "B raises S when late, but that is forbidden there: rest") {
		t.Errorf("the signal of a budget must be allowed, got %v", err)
	}
}

func TestCheckNamesPlaces(t *testing.T) {
	grouped := small()
	grouped[2].Parent = "Acting"
	many := Table{Moved: In("B", "V")}
	for i := range 14 {
		many.Signals = append(many.Signals, Signal{Name: SignalName(fmt.Sprintf("S%d", i))})
		many.Rows = append(many.Rows, Row{In: In("A"), When: All(many.Signals[i].Name), Ignore: "it is only counted"})
	}
	for _, c := range []struct {
		reason string
		life   lifecycle.Table
		table  Table
		want   string
	}{
		{"a kind without states has one state, without a name", nil,
			Table{Signals: []Signal{{"S", ""}}, Rows: []Row{{When: All("S"), Guard: "old", Ignore: "too old"}}},
			"S in the only state is answered only under guards, by row 1: add a row for when none holds"},
		{"a parent may hold only states in which actions run", grouped, signalled(serving(Row{In: In("Acting"), When: All("S"), Ignore: "busy"})...),
			"row 3 (in Acting, when S: ignore) can never fire: the table is not asked in Acting"},
		{"where nothing is asked, a row for every state holds nowhere", lifecycle.Table{{State: "D", Deleting: true, To: lifecycle.To("E")}, {State: "E", Final: true}},
			Table{Signals: []Signal{{"S", ""}}, Rows: []Row{{When: All("S"), Ignore: "gone"}}},
			"row 1 (in any state, when S: ignore) holds nowhere: the table is asked in no state"},
		{"a long list of gaps is cut", small(), many, "and 2 more combinations are without an answer"},
	} {
		p, ok := errors.AsType[*Problem](Check(c.life, c.table))
		if !ok || !slices.Contains(p.Faults, c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, p, c.want)
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	for _, c := range []struct {
		reason, want         string
		signals, rows, pairs int
	}{
		{"14 signals in one state are still gone through", "", MaxTogether, 0, 0},
		{"15 would take twice as long", "the rows of A mention 15 signals, and at most 14 can be judged together", MaxTogether + 1, 0, 0},
		{"as it would for those forbidden together", "18 signals are forbidden in combinations, and at most 14 can be judged", 18, 0, 9},
		{"nobody reads so many signals", "there are 65 signals, and at most 64 can be judged", MaxSignals + 1, 0, 0},
		{"nobody reads so many rows", "there are 201 rows, and at most 200 can be judged", 1, MaxRows, 0},
	} {
		table := Table{Moved: In("B", "V")}
		for i := range c.signals {
			name := SignalName(fmt.Sprintf("S%d", i))
			table.Signals = append(table.Signals, Signal{Name: name})
			table.Rows = append(table.Rows, Row{When: All(name), Priority: i, Ignore: "it is only counted"})
		}
		for i := range c.rows {
			table.Rows = append(table.Rows, Row{When: All("S0"), Guard: GuardName(fmt.Sprintf("g%d", i)), Ignore: "it is only counted"})
		}
		for i := range c.pairs {
			table.Rows = append(table.Rows, Row{When: All(table.Signals[2*i].Name, table.Signals[2*i+1].Name), Forbid: "it is only counted"})
		}
		err := Check(small(), table)
		if p, ok := errors.AsType[*Problem](err); c.want == "" && err != nil || c.want != "" && (!ok || !strings.Contains(p.Faults[len(p.Faults)-1], c.want)) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestAdvise(t *testing.T) {
	life := small()
	life[3].Budget, life[3].Late = time.Hour, "S"
	got := Advise(life, Table{
		Signals: []Signal{{Name: "S"}, {Name: "T", About: "another"}}, Actions: actions,
		Rows: []Row{{In: In("A"), When: All("S"), Priority: 3, Defer: "not now"}, {In: In("B"), When: All("S"), Priority: 3, Do: "Go"}, {When: All("T"), Do: "Stay"}},
	})
	want := []string{
		"the signal S does not say what it is about: whoever may raise it has to guess",
		"D raises S when late, but nothing is decided there: nobody would read it",
		"row 1 (in A, when S: defer) goes before row 3, which could act without it: while it waits, so do they",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	exception := signalled(serving(Row{In: In("A"), When: All("S"), Priority: 3, Defer: "not now"}, Row{When: All("S", "T"), Priority: 2, Do: "Stay"})...)
	if got, want := Advise(small(), exception), "row 3 (in A, when S: defer) goes before row 2, which could act without it: while it waits, so do they"; !slices.Equal(got, []string{want}) {
		t.Errorf("rows that need what is deferred do not wait in vain:\ngot  %q\nwant %q", got, want)
	}
	late := small()
	late[0].Budget, late[0].Late = time.Minute, "S"
	table := signalled(serving(Row{In: In("A"), When: All("S", "T"), Forbid: "not both"})...)
	if got, want := Advise(late, table), "A raises S when late, but it is refused while T stands, by row 3: nobody would hear of it"; !slices.Equal(got, []string{want}) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := Advise(postgresLife(), postgres()); got != nil {
		t.Errorf("the worked example needs no advice, got %q", got)
	}
}
