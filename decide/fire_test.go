package decide_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/lifecycle"
)

func TestBecause(t *testing.T) {
	table := signalled(serving(
		Row{In: In("A"), When: All("S"), Priority: 2, Guard: "old", Defer: "let it rest"},
		Row{In: In("A"), When: All("U"), Guard: "old", Ignore: "too old"})...)
	table.Signals = append(table.Signals, Signal{Name: "U"}, Signal{Name: "W"})
	for _, c := range []struct {
		reason  string
		state   lifecycle.State
		signals []SignalName
		holding []GuardName
		row     int
		because string
	}{
		{"the only one", "B", []SignalName{"S"}, nil, 0, "no other row matches"},
		{"the number decides", "B", []SignalName{"T", "S"}, nil, 0, "row 2 has a lower priority (1, not 2)"},
		{"the exception goes before the rule", "A", []SignalName{"S"}, []GuardName{"old"}, 2, "row 1 is less specific than row 3"},
		{"the exception does not apply", "A", []SignalName{"S"}, nil, 0, "no other row matches"},
		{"only a guard could have helped", "A", []SignalName{"U"}, nil, -1, "only a guard kept row 4 from matching"},
		{"nothing stands", "A", nil, nil, -1, "no signal stands that this table knows, and no row fires without one"},
		{"signals of others are passed over", "A", []SignalName{"Retry"}, nil, -1, "no signal stands that this table knows, and no row fires without one"},
		{"a table that was not checked may have gaps", "B", []SignalName{"W", "Retry"}, nil, -1, "no row is for W in B"},
		{"an action runs", "V", []SignalName{"S"}, nil, -1, "in V an action runs, and signals wait until it ends"},
		{"the engine decides", "D", []SignalName{"S"}, nil, -1, "D is for deletion, which is the engine's"},
		{"nobody decides", "E", []SignalName{"S"}, nil, -1, "E is final: the object is gone"},
		{"a slip of the pen", "a", []SignalName{"S"}, nil, -1, `"a" is no state of this kind`},
	} {
		if d := Fire(small(), table, c.state, c.signals, oracle(c.holding)); d.Row != c.row || d.Because != c.because {
			t.Errorf("%s: row %d because %q, want %d because %q", c.reason, d.Row, d.Because, c.row, c.because)
		}
	}
}

func TestADecisionSaysWhatIsConsumed(t *testing.T) {
	table := signalled(Row{In: In("A"), When: All("S", "T"), Do: "Go"}, Row{In: In("A"), When: All("S"), Ignore: "alone it is nothing"},
		Row{In: In("B"), When: All("S"), Defer: "not here"})
	for _, c := range []struct {
		reason  string
		state   lifecycle.State
		signals []SignalName
		want    Decision
	}{
		{"an action consumes what its row asked for, and no other signal", "A", []SignalName{"S", "T", "U"}, Decision{Verb: Do, Do: "Go", Read: []SignalName{"S", "T"}}},
		{"what is ignored is consumed too", "A", []SignalName{"S"}, Decision{Verb: Ignore, Reason: "alone it is nothing", Read: []SignalName{"S"}}},
		{"what is deferred stays", "B", []SignalName{"S", "T"}, Decision{Verb: Defer, Reason: "not here"}},
	} {
		d := Fire(small(), table, c.state, c.signals, nil)
		if d.Verb != c.want.Verb || d.Do != c.want.Do || d.Reason != c.want.Reason || !slices.Equal(d.Read, c.want.Read) {
			t.Errorf("%s: got %+v", c.reason, d)
		}
	}
}

func TestWhereTheTableIsAsked(t *testing.T) {
	rows := []Row{{When: All("S"), Do: "Go"}}
	for _, c := range []struct {
		reason string
		table  Table
		asked  []lifecycle.State
	}{
		{"in V an action runs", Table{Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}}, Rows: rows}, In("A", "B")},
		{"an action that fails leaves its object in V", Table{Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "V"}}, Rows: rows}, In("A", "B", "V")},
		{"an action ends in V", Table{Actions: []Action{{Name: "Go", Via: "V", To: "V", Else: "A"}}, Rows: rows}, In("A", "B", "V")},
		{"the driver's code moves objects to V", Table{Actions: []Action{{Name: "Go", Via: "V", To: "A", Else: "B"}}, Rows: rows, Moved: In("V")}, In("A", "B", "V")},
		{"objects begin in A, though an action goes through it", Table{Actions: []Action{{Name: "Go", Via: "A", To: "B", Else: "B"}}, Rows: rows}, In("A", "B", "V")},
		{"but in B an action runs", Table{Actions: []Action{{Name: "Go", Via: "B", To: "V", Else: "V"}}, Rows: rows}, In("A", "V")},
	} {
		for _, rule := range small() {
			fires := Fire(small(), c.table, rule.State, []SignalName{"S"}, nil).Row == 0
			if fires != slices.Contains(c.asked, rule.State) {
				t.Errorf("%s: in %s the row fires: %v", c.reason, rule.State, fires)
			}
		}
	}
}

func TestForbiddenTellsTheMostSpecificReason(t *testing.T) {
	table := signalled(Row{When: All("S"), Forbid: "never"}, Row{In: In("A"), When: All("T", "S"), Forbid: "not with T"}, Row{In: In("B"), When: All("S"), Forbid: "not in B"})
	for _, c := range []struct {
		state   lifecycle.State
		signals []SignalName
		reason  string
	}{
		{"A", []SignalName{"S"}, "never"},
		{"A", []SignalName{"S", "T"}, "not with T"},
		{"B", []SignalName{"T", "S"}, "not in B"},
		{"V", []SignalName{"S"}, "never"},
		{"D", []SignalName{"S"}, ""},
		{"A", []SignalName{"T"}, ""},
	} {
		if reason, refused := Forbidden(small(), table, c.state, c.signals); reason != c.reason || refused != (c.reason != "") {
			t.Errorf("%v in %s: refused %v because %q, want %q", c.signals, c.state, refused, reason, c.reason)
		}
	}
}

func TestAGuardIsAskedOnceAndOnlyWhenItMatters(t *testing.T) {
	table := signalled(serving(Row{When: All("S"), Priority: 4, Guard: "old", Defer: "rest"}, Row{When: All("S"), Priority: 3, Guard: "old", Do: "Stay"},
		Row{When: All("T"), Priority: 3, Guard: "big", Do: "Stay"})...)
	var askedFor []GuardName
	Fire(small(), table, "A", []SignalName{"S"}, func(g GuardName) bool {
		askedFor = append(askedFor, g)
		return false
	})
	if !slices.Equal(askedFor, []GuardName{"old"}) {
		t.Errorf("asked %v, want old alone and once", askedFor)
	}
	if got := table.Guards(); !slices.Equal(got, []GuardName{"big", "old"}) {
		t.Errorf("the guards of the table are %v", got)
	}
}

func TestExplain(t *testing.T) {
	var all strings.Builder
	for _, c := range []struct {
		reason  string
		state   lifecycle.State
		signals []SignalName
		holding []GuardName
	}{
		{"a new object", "Provisioning", nil, nil},
		{"a signal raised too early waits", "Provisioning", []SignalName{"NeedsRestart"}, nil},
		{"a replica is promoted, and need not leave first", "Available", []SignalName{"NeedsUnfollow", "NeedsPromote"}, []GuardName{"isReplica"}},
		{"a leader is not", "Available", []SignalName{"NeedsPromote"}, nil},
		{"what it cannot be asked for now is kept", "Uncertain", []SignalName{"NeedsFollow", "NeedsParameters"}, nil},
		{"a reload changes no state", "Available", []SignalName{"NeedsParameters"}, nil},
		{"nothing to do", "Available", nil, nil},
		{"it leaves", "Deprovisioning", []SignalName{"NeedsRestart"}, nil},
	} {
		d := Fire(postgresLife(), postgres(), c.state, c.signals, oracle(c.holding))
		all.WriteString("# " + c.reason + "\n" + Explain(postgresLife(), postgres(), c.state, c.signals, d) + "\n")
	}
	golden.Check(t, "explain.txt", all.String())
}

func TestExplainWithoutStates(t *testing.T) {
	table := Table{Signals: []Signal{{Name: "S"}}, Rows: []Row{{When: All("S"), Guard: "old", Ignore: "too old"}}}
	signals := []SignalName{"S"}
	got := Explain(nil, table, "", signals, Fire(nil, table, "", signals, nil))
	want := "in the only state with S: no row fires, since only a guard kept row 1 from matching\n" +
		"  row 1 (in any state, when S, if old: ignore) does not match, because its guard does not hold\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
