package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// TestFaultsAreFoundWhenAPlaneIsMade: in words that say what to do.
func TestFaultsAreFoundWhenAPlaneIsMade(t *testing.T) {
	type (
		action = setpoint.Action[spec, status]
		table  = map[setpoint.ActionName]action
	)
	all := func(a action) setpoint.Decider[spec, status] {
		return setpoint.Decider[spec, status]{Actions: table{"Build": {}, "Break": {}, "Tune": a}}
	}
	of := func(s ...setpoint.Step[spec, status]) setpoint.Decider[spec, status] { return all(action{Steps: s}) }
	guard := func(*setpoint.Turn, *thing) bool { return true }
	for _, c := range []struct {
		name, reason string
		decider      setpoint.Decider[spec, status]
		want         string
	}{
		{"no entry", "an action that the table starts has to be there", setpoint.Decider[spec, status]{Actions: table{"Build": {}, "Tune": {}}},
			"controller engine: action Break of the table has no entry in Decider.Actions; one that only moves the object has the zero Action"},
		{"unknown action", "an action that nothing starts is a slip of the pen", setpoint.Decider[spec, status]{Actions: table{"Build": {}, "Break": {}, "Tune": {}, "Tuna": {}}},
			"controller engine: action Tuna is not in the decision table of Engine.test.example, so that nothing could start it"},
		{"unknown guard", "so is a guard that is not asked", setpoint.Decider[spec, status]{
			Actions: table{"Build": {}, "Break": {}, "Tune": {}}, Guards: map[setpoint.GuardName]func(*setpoint.Turn, *thing) bool{"fit": guard}},
			"controller engine: guard fit is not asked by any row of the decision table of Engine.test.example"},
		{"two steps of a name", "steps are told apart by their names", of(ask("one"), setpoint.Sequence("row", ask("one"))), `controller engine: action Tune: two steps have the name "one"`},
		{"no name", "and need one", of(ask("")), `controller engine: action Tune: the step name "" must be a word of letters, digits and hyphens: it is stored, and part of keys`},
		{"odd name", "it is part of keys and signatures", of(ask("one:two")), `controller engine: action Tune: the step name "one:two" must be a word of letters, digits and hyphens: it is stored, and part of keys`},
		{"nil", "a step that is not there cannot be done", of(nil), "controller engine: action Tune: a step is nil"},
		{"no adapter of that name", "a call goes somewhere", of(setpoint.Call("one", setpoint.Endpoint[spec, spec]{Adapter: "shed"}, func(*engineRun) *spec { return nil })),
			`controller engine: a step of an action calls adapter "shed", which there is none of; give it to the plane`},
		{"no adapter", "a call goes somewhere", of(setpoint.Call("one", setpoint.Endpoint[spec, spec]{}, func(*engineRun) *spec { return nil })),
			"controller engine: action Tune: step one (call) needs an endpoint with an adapter, and a function that makes the request"},
		{"no request", "and asks for something", of(setpoint.Call[spec, status]("one", shop, nil)),
			"controller engine: action Tune: step one (call) needs an endpoint with an adapter, and a function that makes the request"},
		{"no wait", "a nil function would panic when it is too late", of(setpoint.Wait[spec, status]("one", nil)),
			"controller engine: action Tune: step one (wait) needs a function that says whether what it waits for holds"},
		{"no set", "the same", of(setpoint.Set[spec, status]("one", nil)), "controller engine: action Tune: step one (set) needs a function that changes the status"},
		{"no ask", "the same", of(setpoint.Ask[spec, status]("one", nil, needsTurn)), "controller engine: action Tune: step one (ask) needs the name of a signal, and a function that says whom to ask"},
		{"no choice", "the same", of(setpoint.Choose("one", nil, setpoint.Ways[spec, status]{"a": nil})), "controller engine: action Tune: step one (choose) needs ways, and a function that chooses one"},
		{"odd way", "ways are stored", of(setpoint.Choose("one", func(*engineRun) string { return "" }, setpoint.Ways[spec, status]{"": nil})),
			`controller engine: action Tune: step one has a way "", which must be a word of letters, digits and hyphens: it is stored`},
		{"nothing together", "a First of none would never be done", of(setpoint.First[spec, status]("one")), "controller engine: action Tune: step one (first) needs steps to join"},
		{"limit below zero", "it would be over before it began", of(setpoint.Wait("one", func(*engineRun) bool { return true }).Within(-time.Second)), "controller engine: action Tune: step one has a limit below zero"},
		{"action below zero", "the same", all(action{Within: -time.Second}), "controller engine: action Tune: it has a limit below zero"},
		{"several", "all faults are told at once", of(nil, ask("")), "a step is nil\naction Tune: the step name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := sqlite.Open(t.Context(), sqlite.Options{Path: t.TempDir() + "/setpoint.db"})
			if err != nil {
				t.Fatal(err)
			}
			s := engineSetup(newKeeper())
			_, err = setpoint.New(t.Context(), setpoint.Config{
				Store: st, Kinds: s.Kinds, Controllers: []setpoint.Controller{engineKind.Decider("engine", c.decider)},
				Adapters: []setpoint.Adapter{{Name: "shop", Adapter: s.Adapters["shop"]}},
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.reason, err, c.want)
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestADeciderNeedsATable: a kind without one has nothing to decide.
func TestADeciderNeedsATable(t *testing.T) {
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: t.TempDir() + "/setpoint.db"})
	if err != nil {
		t.Fatal(err)
	}
	d := boxes.Decider("box", setpoint.Decider[spec, status]{})
	_, err = setpoint.New(t.Context(), setpoint.Config{Store: st, Kinds: []*setpoint.Definition{boxes.Definition}, Controllers: []setpoint.Controller{d}})
	if want := "controller box: the kind Box.test.example has no decision table; give it one, or use a Driver"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
