package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

var errOdd = errors.New("odd")

// compared runs a world with an engine whose driver has this compare, and whose Tune has these steps.
func compared(t *testing.T, k *keeper, compare func(*setpoint.Turn, *thing) setpoint.Outcome, f func(*setpointtest.World), tune ...setpoint.Step[spec, status]) {
	t.Helper()
	s := engineSetup(k)
	s.Policy = setpoint.Policy{Timeout: time.Hour}
	s.Controllers = []setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
		Compare: compare, Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Break": {}, "Tune": {Steps: tune}},
	})}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(engineKind.Definition, "e", spec{})
		w.Settle()
		f(w)
	})
}

// TestEachCommitMakesOneTransition: whatever follows at once from what.
func TestEachCommitMakesOneTransition(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantWay(w, "Building(Build)", "Running(BuildSucceeded)", "Tuning(Tune)", "Running(TuneSucceeded)")
		signal(w, engineKind.Definition, "e", string(fire))
		wantWay(w, "Building(Build)", "Running(BuildSucceeded)", "Tuning(Tune)", "Running(TuneSucceeded)", "Broken(BreakSucceeded)")
		entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: engine(w).Key})
		if err != nil {
			t.Fatal(err)
		}
		at := map[resource.Revision]bool{}
		for _, e := range entries {
			if e.Type == store.EntryTransition {
				if at[e.Revision] {
					t.Errorf("revision %s has two transitions", e.Revision)
				}
				at[e.Revision] = true
			}
		}
		atRest(w)
	}) // Tune without steps, Break without a state on the way: both are over as soon as they begin
}

// TestASignalThatExpiresIsNotServed: it is consumed with a remark, unless an action has read it by then.
func TestASignalThatExpiresIsNotServed(t *testing.T) {
	k := newKeeper()
	k.take("one", 10*time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		raise := func() {
			r := setpoint.SignalRequest{Name: needsTuning, For: time.Minute}
			if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", engineKind.Key("default", "e"), r); err != nil {
				t.Fatal(err)
			}
			w.Settle()
		}
		raise()
		raise() // stands while the first is served
		w.Advance(2 * time.Minute)
		if got := signals(w, engine(w)); len(got) != 1 {
			t.Errorf("signals %v, want the one that is being served", got)
		}
		if got := remarks(w, engine(w).Key, "SignalExpired"); got != "NeedsTuning by api:test was not served in time" {
			t.Errorf("the history says %q", got)
		}
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one")
		atRest(w)
	}, ask("one"))
}

// TestEverySignalIsConsumedOnce: those that were raised during an action are for the next.
func TestEverySignalIsConsumedOnce(t *testing.T) {
	k := newKeeper()
	k.take("one", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		for range 3 {
			tune(w)
		}
		if o := engine(w); len(o.Signals) != 3 || o.Signals[0].Note != "read by Tune" || o.Signals[2].Note != "waits for Tune to end" {
			t.Errorf("the object shows %+v", o.Signals)
		}
		w.Converge(time.Hour)
		if got := string(engine(w).Status); got != `{"runs":2}` {
			t.Errorf("status %s, want one run for the first signal, and one for both that came meanwhile", got)
		}
		consumed := map[store.SignalID]int{}
		for _, c := range w.Commits() {
			for _, id := range c.Consume {
				consumed[id]++
			}
		}
		if len(consumed) != 3 {
			t.Errorf("consumed %v, want each of three once", consumed)
		}
		for id, n := range consumed {
			if n != 1 {
				t.Errorf("signal %d was consumed %d times", id, n)
			}
		}
		atRest(w)
	}, ask("one"))
}

// TestAFailingCompareLeavesSignalsStanding: the table is asked about an object that is understood, and not before.
func TestAFailingCompareLeavesSignalsStanding(t *testing.T) {
	k := newKeeper()
	compare := func(_ *setpoint.Turn, e *thing) setpoint.Outcome {
		if e.Spec.Value == "odd" {
			return setpoint.Fail(setpoint.Terminal(errOdd))
		}
		return setpoint.Done()
	}
	compared(t, k, compare, func(w *setpointtest.World) {
		w.Apply(engineKind.Definition, "e", spec{Value: "odd"})
		w.Settle()
		tune(w)
		o := engine(w)
		if got := signals(w, o); len(got) != 1 || o.Action != nil || k.asked() != "" {
			t.Errorf("signals %v, action %+v, calls %q", got, o.Action, k.asked())
		}
		wantText(t, "what it waits for", waits(o), "Error: odd")
		w.Apply(engineKind.Definition, "e", spec{})
		w.Settle()
		wantEnd(w, "Succeeded, in Running")
	}, ask("one"))
}

// TestAnActionEndsThoughTheCompareStumbles: what is wrong with the rest of the object is told after it, and does not hold it up.
func TestAnActionEndsThoughTheCompareStumbles(t *testing.T) {
	for name, stumble := range map[string]func(*setpoint.Turn) setpoint.Outcome{
		"fails":   func(*setpoint.Turn) setpoint.Outcome { return setpoint.Fail(setpoint.Terminal(errOdd)) },
		"panics":  func(*setpoint.Turn) setpoint.Outcome { panic("odd") },
		"nothing": func(*setpoint.Turn) setpoint.Outcome { return setpoint.Outcome{} },
		"trespass": func(turn *setpoint.Turn) setpoint.Outcome {
			turn.Transition("Building", "Odd")
			return setpoint.Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			k.take("one", time.Minute)
			compare := func(turn *setpoint.Turn, e *thing) setpoint.Outcome {
				if e.Spec.Value == "odd" {
					return stumble(turn)
				}
				return setpoint.Done()
			}
			compared(t, k, compare, func(w *setpointtest.World) {
				tune(w)
				w.Apply(engineKind.Definition, "e", spec{Value: "odd"})
				w.Advance(2 * time.Minute)
				o := engine(w)
				wantEnd(w, "Succeeded, in Running")
				if o.Ready() || strings.HasPrefix(waits(o), "Comparing") || len(signals(w, o)) != 0 {
					t.Errorf("afterwards: ready %t, %s, signals %v", o.Ready(), waits(o), signals(w, o))
				}
				w.Apply(engineKind.Definition, "e", spec{})
				w.Converge(time.Hour)
				wantDone(w, k, "+one")
				atRest(w)
			}, ask("one"))
		})
	}
}

// TestOnlyActionsLeadWhereTheTableSays: a compare that goes there itself is refused, and so is who is not the driver; once in the history, however often it is tried.
func TestOnlyActionsLeadWhereTheTableSays(t *testing.T) {
	k := newKeeper()
	trespass := func(turn *setpoint.Turn, e *thing) setpoint.Outcome {
		if e.Spec.Value == "odd" {
			turn.Transition("Broken", "Odd")
		}
		return setpoint.Done()
	}
	for name, c := range map[string]struct {
		controllers []setpoint.Controller
		message     string
	}{
		"compare": {[]setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
			Compare: trespass, Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Break": {}, "Tune": {}},
		})}, "transition to Broken: only an action of Engine.test.example leads there; raise a signal, or list the state as Moved"},
		"another": {[]setpoint.Controller{driver(), engineKind.Controller("meddler", trespass)},
			"transition to Broken: controller meddler is not the driver of Engine.test.example; raise a signal instead"},
	} {
		t.Run(name, func(t *testing.T) {
			s := engineSetup(k)
			s.Controllers = c.controllers
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				built(w)
				w.Apply(engineKind.Definition, "e", spec{Value: "odd"})
				w.Settle()
				for _, label := range []string{"a", "b", "c"} {
					touch(w, engineKind.Definition, "e", label)
				}
				w.Advance(time.Hour)
				o := engine(w)
				if o.State != "Running" {
					t.Errorf("it is %s", o.State)
				}
				if got := remarks(w, o.Key, "TransitionRefused"); got != c.message {
					t.Errorf("the history says %q, want %q once", got, c.message)
				}
				wantText(t, "what it waits for", waits(o), "Error: "+c.message)
			})
		})
	}
}

// TestAPanicInAFunctionOfAnActionHarmsNobodyElse: the object says so, and goes on when it does not panic any more; an operator can undo the action meanwhile.
func TestAPanicInAFunctionOfAnActionHarmsNobodyElse(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		k, bad := newKeeper(), flag(true)
		two := setpoint.Call("two", shop, func(r *engineRun) *spec {
			if r.Object.Name == "e" && bad.Load() {
				panic("odd")
			}
			return &spec{}
		})
		acts(t, k, func(w *setpointtest.World) {
			tune(w)
			w.Advance(time.Minute)
			wantText(t, "what it waits for", waits(engine(w)), "Error: panic in controller engine: odd")
			w.Apply(engineKind.Definition, "f", spec{})
			w.Settle()
			signal(w, engineKind.Definition, "f", string(needsTuning))
			if o := must(w, engineKind.Definition, "f"); o.Last == nil || o.Last.Name != "Tune" || !o.Ready() {
				t.Errorf("another engine: %+v, %s", o.Last, waits(o))
			}
			end := "Succeeded, in Running"
			if cancel {
				order(w, "Cancel", "")
				end = "Canceled: canceled by api:test, in Broken"
			} else {
				bad.Store(false)
				w.Advance(2 * time.Minute)
			}
			w.Converge(time.Hour)
			wantEnd(w, end)
			atRest(w)
		}, ask("one"), two)
	}
}

// TestAPanicInAGuard: the object says so; nothing is decided.
func TestAPanicInAGuard(t *testing.T) {
	bad := flag(true)
	guarded := setpoint.MustDefine(setpoint.KindOptions[spec, status]{
		Group: group, Version: "v1", Kind: "Guarded", Lifecycle: engineLife,
		Decisions: setpoint.Decisions{
			Signals: []setpoint.Signal{{Name: needsTuning}}, Actions: []setpoint.ActionStates{
				{Name: "Build", Via: "Building", To: "Running", Else: "Broken"}, {Name: "Mend", Via: "Building", To: "Running", Else: "Broken"},
				{Name: "Tune", Via: "Tuning", To: "Running", Else: "Broken"},
			},
			Rows: []setpoint.Row{
				{In: setpoint.In("New"), Do: "Build"}, {In: setpoint.In("Broken"), When: setpoint.All(needsTuning), Do: "Mend"},
				{In: setpoint.In("Running"), When: setpoint.All(needsTuning), Guard: "fit", Do: "Tune"},
				{In: setpoint.In("Running"), When: setpoint.All(needsTuning), Ignore: "it is not fit"},
			},
		},
	})
	d := guarded.Decider("guarded", setpoint.Decider[spec, status]{
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Mend": {}, "Tune": {}},
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *thing) bool{"fit": func(*setpoint.Turn, *thing) bool {
			if bad.Load() {
				panic("odd")
			}
			return true
		}},
	})
	setpointtest.Run(t, setpointtest.Setup{Kinds: []*setpoint.Definition{guarded.Definition}, Controllers: []setpoint.Controller{d}}, func(w *setpointtest.World) {
		w.Apply(guarded.Definition, "g", spec{})
		w.Settle()
		signal(w, guarded.Definition, "g", string(needsTuning))
		o := must(w, guarded.Definition, "g")
		wantText(t, "what it waits for", waits(o), "Error: panic in controller guarded: odd")
		if got := signals(w, o); len(got) != 1 || o.Action != nil {
			t.Errorf("signals %v, action %+v", got, o.Action)
		}
		bad.Store(false)
		w.Advance(2 * time.Minute)
		if o := must(w, guarded.Definition, "g"); o.Last == nil || o.Last.Name != "Tune" || !o.Ready() {
			t.Errorf("afterwards: %+v, %s", o.Last, waits(o))
		}
	})
}

// TestAnAnswerThatIsTooLargeFailsTheStep: and what was done is undone, whether the action or the store cannot keep it.
func TestAnAnswerThatIsTooLargeFailsTheStep(t *testing.T) {
	for name, size := range map[string]int{"for an action": 200 << 10, "for the store": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			k.Answer = func(key string, request []byte, _ int) ([]byte, error) {
				if stepOf(key) == "two" {
					return []byte(`{"value":"` + strings.Repeat("x", size) + `"}`), nil
				}
				return request, nil
			}
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Converge(time.Hour)
				wantText(t, "the end", ended(w), "Failed: step two: its answer of", "make the adapter answer less, in Broken")
				wantDone(w, k, "+one +two -two -one")
				atRest(w)
			}, ask("one"), ask("two"))
		})
	}
}
