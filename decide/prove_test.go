package decide_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"pgregory.net/rapid"
)

// TestAlwaysAgreesWithTryingEverything: a claim is proved when no case denies it, and a counterexample is a case that does.
func TestAlwaysAgreesWithTryingEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := tableGen().Draw(rt, "table")
		n := newNaive(small(), table, "A", "B")
		claim := Claim{Do: rapid.SampledFrom(actions).Draw(rt, "do").Name, Not: rapid.Bool().Draw(rt, "not"), When: rowGen().Draw(rt, "when").When,
			States: rapid.SampledFrom([][]lifecycle.State{nil, In("A"), In("P"), In("V")}).Draw(rt, "states")}
		covered := Row{In: claim.States, When: claim.When, Ignore: "what the claim speaks of"}
		cases, fewest := 0, map[lifecycle.State]int{}
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			if !n.matches(covered, s, signals, holding) {
				return
			}
			cases++
			if denies(claim, Fire(n.life, table, s, signals, oracle(holding))) {
				if least, ok := fewest[s]; !ok || len(signals) < least {
					fewest[s] = len(signals)
				}
			}
		})
		err := Always(n.life, table, claim)
		e, counter := errors.AsType[*Counterexample](err)
		switch {
		case cases == 0 && !errors.Is(err, ErrNoCase), cases > 0 && len(fewest) == 0 && err != nil, len(fewest) > 0 && !counter:
			rt.Fatalf("of %d cases these deny %q: %v (by state); got %v", cases, claim, fewest, err)
		case counter:
			if d := Fire(n.life, table, e.State, e.Signals, oracle(e.Guards)); !denies(claim, d) || !n.matches(covered, e.State, e.Signals, e.Guards) {
				rt.Errorf("%v: no such case", err)
			}
			if _, inA := fewest["A"]; inA && e.State != "A" || len(e.Signals) != fewest[e.State] {
				rt.Errorf("%v: not the first and smallest, which are %v", err, fewest)
			}
		}
	})
}

func denies(c Claim, d Decision) bool { return (d.Do == c.Do) == c.Not }

func TestClaimsMustMeanSomething(t *testing.T) {
	for _, c := range []struct {
		reason string
		claim  Claim
		want   string
	}{
		{"an action misspelt would make Never true", Never("Promot"), `"Promot" is no action of this table`},
		{"a signal misspelt would make every claim true", Leads("NeedPromote", "Promote"), `"NeedPromote" is no signal of this table`},
		{"and so would a state", Leads("NeedsPromote", "Promote").Within("Up"), `"Up" is no state`},
		{"the two are forbidden together: there is nothing to prove", Leads("NeedsFollow", "Follow").With("NeedsUnfollow"), "no case is left to prove"},
		{"the table is not asked while an action runs", Leads("NeedsPromote", "Promote").Within("Promoting"), "no case is left to prove"},
	} {
		err := Always(postgresLife(), postgres(), c.claim)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.reason, err, c.want)
		}
	}
}

// TestMutantsDiffer judges every mutant of a real table again, by trying every case: equivalent ones decide and refuse alike, others do not.
func TestMutantsDiffer(t *testing.T) {
	life, table := postgresLife(), postgres()
	mutants, err := Mutants(life, table)
	if err != nil {
		t.Fatal(err)
	}
	n := newNaive(life, table, "Provisioning", "Available", "Uncertain", "Unavailable")
	kinds := map[string]int{}
	for _, m := range mutants {
		if m.Row < 0 {
			kinds[differs(t, table, m)]++
			continue
		}
		same, u := true, n
		u.table = m.Table
		n.cases(func(s lifecycle.State, signals []SignalName, holding []GuardName) {
			if !same {
				return
			}
			a, b := Fire(life, table, s, signals, oracle(holding)), Fire(life, m.Table, s, signals, oracle(holding))
			slices.Sort(a.Read)
			slices.Sort(b.Read)
			same = a.Verb == b.Verb && a.Do == b.Do && slices.Equal(a.Read, b.Read)
		})
		for _, rule := range life {
			for _, signals := range n.subsets {
				for i := range signals {
					if n.can[key(rule.State, slices.Delete(slices.Clone(signals), i, i+1))] {
						same = same && n.refuses(rule.State, signals) == u.refuses(rule.State, signals)
					}
				}
			}
		}
		if same != m.Equivalent {
			t.Errorf("the mutant with %s: equivalent %v, want %v", m.What, m.Equivalent, same)
		}
		_, after, _ := strings.Cut(m.What, ") ")
		kinds[strings.Fields(after)[0]]++
	}
	for _, kind := range []string{"dropped", "doing", "ignoring", "deferring", "before", "behind", "not", "without", "yielding", "ending", "going", "listed"} {
		if kinds[kind] == 0 {
			t.Errorf("no mutant was made by the operator %q: %v", kind, kinds)
		}
	}
}

// differs judges a mutant in which something else than a row was changed, which no case of the table shows, and returns the word for what was.
func differs(t *testing.T, table Table, m Mutant) string {
	t.Helper()
	if m.Equivalent {
		t.Errorf("the mutant with %s is said to be equivalent", m.What)
	}
	if len(m.Table.Moved) != len(table.Moved) {
		return "listed"
	}
	for i, was := range table.Actions {
		switch is := m.Table.Actions[i]; {
		case len(is.Yield) != len(was.Yield):
			return "yielding"
		case is.To == was.Else && is.Else == was.To && is.To != is.Else:
			return "ending"
		case is.Via != was.Via:
			if is.Via != "" {
				t.Errorf("the mutant with %s: the action goes through %s", m.What, is.Via)
			}
			return "going"
		}
	}
	t.Errorf("the mutant with %s: nothing was changed", m.What)
	return ""
}

// TestMutantsOfEveryShape: small tables made for what the large one lacks.
func TestMutantsOfEveryShape(t *testing.T) {
	life := small()
	table := Table{
		Signals: []Signal{{Name: "S"}, {Name: "T"}}, Actions: actions,
		Rows: []Row{
			{When: All("S").Without("T"), Do: "Go"},
			{When: All("S", "T"), Ignore: "together they cancel"},
			{In: In("A"), When: All("T").Without("S"), Guard: "g", Do: "Stay"},
			{When: All("T").Without("S"), Ignore: "of no use"},
			{In: In("D"), When: All("S"), Forbid: "it is leaving"},
		},
	}
	mutants, err := Mutants(life, table)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range mutants {
		_, what, _ := strings.Cut(m.What, "row ")
		got[what] = m.Equivalent
	}
	for what, equivalent := range map[string]bool{
		"1 (in any state, when S and no T: do Go) not minding T":        true, // row 2 is the more specific
		"1 (in any state, when S and no T: do Go) without asking for S": false,
		"2 (in any state, when S and T: ignore) deferring instead":      false,
		"3 (in A, when T and no S, if g: do Stay) without its guard":    false,
		"4 (in any state, when T and no S: ignore) not minding S":       true, // row 2 asks for more
		"5 (in D, when S: forbid) dropped":                              false,
		"2 (in any state, when S and T: ignore) before all others":      true,
		"4 (in any state, when T and no S: ignore) before all others":   false,
		"4 (in any state, when T and no S: ignore) doing Stay instead":  false,
		"4 (in any state, when T and no S: ignore) not in A":            false,
		"1 (in any state, when S and no T: do Go) doing Stay instead":   false,
		"3 (in A, when T and no S, if g: do Stay) behind all others":    false,
		"3 (in A, when T and no S, if g: do Stay) not minding S":        false, // g and the state make it as narrow as row 2
		"2 (in any state, when S and T: ignore) without asking for T":   false,
	} {
		if is, made := got[what]; !made || is != equivalent {
			t.Errorf("%s: made %v, equivalent %v, want %v", what, made, is, equivalent)
		}
	}
	if _, err := Mutants(life, Table{Signals: []Signal{{Name: "S"}}}); err == nil {
		t.Error("a wrong table was mutated: what would its mutants tell?")
	}
}
