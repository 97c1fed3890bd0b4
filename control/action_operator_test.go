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

// TestAPauseLetsTheCallUnderWayFinish: its result is kept, nothing else is begun, also not by another plane, and deadlines wait.
func TestAPauseLetsTheCallUnderWayFinish(t *testing.T) {
	k := newKeeper()
	k.take("one", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Pause", "let me look")
		w.Advance(2 * time.Minute)
		if got := phases(w); got != "one:Done" {
			t.Fatalf("steps %s, want the one under way to be done, and no other", got)
		}
		wantText(t, "what it waits for", waits(engine(w)), "Paused: Tune is paused by api:test: let me look")
		commits := len(w.Commits())
		w.Restart()
		w.Advance(24 * time.Hour)
		if n := len(w.Commits()) - commits; w.Turns() > 3 || n > 1 {
			t.Errorf("a paused day took %d turns and %d commits, want those for the budget of the state", w.Turns(), n)
		}
		order(w, "Pause", "again")
		order(w, "Resume", "")
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one +two")
		atRest(w)
	}, ask("one"), setpoint.Call("two", shop, func(*engineRun) *spec { return &spec{} }).Within(time.Hour).Absent())
}

// TestAPauseBeyondTheTimeOfAStep: whose call is under way; it is kept waiting, and does not spin.
func TestAPauseBeyondTheTimeOfAStep(t *testing.T) {
	k := newKeeper()
	k.take("one", 30*time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Pause", "")
		turns := w.Turns()
		w.Advance(20 * time.Minute)
		if n := w.Turns() - turns; n > 2 || phases(w) != "one:Running" {
			t.Errorf("%d turns, steps %s", n, phases(w))
		}
		order(w, "Resume", "")
		w.Converge(time.Hour)
		wantEnd(w, "Failed: step one: it was not done within 10m0s, in Broken")
		wantDone(w, k, "+one -one")
		atRest(w)
	}, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Absent().Within(10*time.Minute))
}

// TestWhatFailsDuringAPauseIsUndoneAfterIt: and says then why.
func TestWhatFailsDuringAPauseIsUndoneAfterIt(t *testing.T) {
	for _, way := range []setpoint.SignalName{"Resume", "Cancel"} {
		t.Run(string(way), func(t *testing.T) {
			k := newKeeper()
			k.take("two", time.Minute)
			k.say("two", no)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				order(w, "Pause", "")
				w.Advance(2 * time.Minute)
				if got := phases(w); got != "one:Done two:Refused" || engine(w).Action.Phase != resource.ActionRunning {
					t.Fatalf("steps %s, action %+v", got, engine(w).Action)
				}
				wantDone(w, k, "+one")
				order(w, way, "")
				wantEnd(w, map[setpoint.SignalName]string{"Resume": "Failed: step two: no, in Broken", "Cancel": "Canceled: canceled by api:test, in Broken"}[way])
				wantDone(w, k, "+one -one")
				atRest(w)
			}, ask("one"), ask("two"))
		})
	}
}

// TestAPauseOnTheWayBack: no further undo is begun.
func TestAPauseOnTheWayBack(t *testing.T) {
	k := newKeeper()
	k.say("three", no)
	k.take("-two", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Pause", "")
		w.Advance(time.Hour)
		if got := phases(w); got != "one:Done two:Undone three:Refused" {
			t.Fatalf("steps %s", got)
		}
		order(w, "Resume", "")
		wantEnd(w, "Failed: step three: no, in Broken")
		wantDone(w, k, "+one +two -two -one")
	}, ask("one"), ask("two"), ask("three"))
}

// TestACancelUndoes: after the call under way, and in the middle of a wait.
func TestACancelUndoes(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Cancel", "changed my mind")
		wantEnd(w, "Canceled: canceled by api:test: changed my mind, in Broken")
		wantDone(w, k, "+one -one")
		atRest(w)
		wantWay(w, "Building(Build)", "Running(BuildSucceeded)", "Tuning(Tune)", "Broken(TuneCanceled)")
		if got := remarks(w, engine(w).Key, "ActionCanceled"); got != "Tune: canceled by api:test: changed my mind" {
			t.Errorf("the history says %q", got)
		}
	}, ask("one"), setpoint.Wait("two", func(*engineRun) bool { return false }))
}

// TestAnAbandonedActionEndsWhereItIs: nothing is undone; it needs a reason; a call under way is not waited for.
func TestAnAbandonedActionEndsWhereItIs(t *testing.T) {
	k := newKeeper()
	k.take("two", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		_, _, err := w.Plane.Signal(w.T.Context(), "api:test", engineKind.Key("default", "e"), setpoint.SignalRequest{Name: "Abandon"})
		if !errors.Is(err, setpoint.ErrSignal) || !strings.Contains(err.Error(), "say why") {
			t.Errorf("without a reason: %v", err)
		}
		order(w, "Abandon", "the machine is gone")
		wantEnd(w, "Abandoned: abandoned by api:test: the machine is gone, in Broken")
		if rows := commands(w, engine(w)); len(rows) != 0 {
			t.Errorf("%d rows are left", len(rows))
		}
		w.Advance(2 * time.Minute)
		wantDone(w, k, "+one +two")
		atRest(w)
	}, ask("one"), ask("two"), ask("three"))
}

// TestOrdersWithoutAnActionAreConsumed: they mean nothing then, and must not lie in wait for the next one.
func TestOrdersWithoutAnActionAreConsumed(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		for _, name := range []setpoint.SignalName{"Cancel", "Pause", "Resume", "Abandon", "Retry"} {
			order(w, name, "to see what happens")
			if o := engine(w); len(o.Signals) != 0 || len(signals(w, o)) != 0 {
				t.Errorf("after %s the object shows %+v, and %v stand", name, o.Signals, signals(w, o))
			}
		}
		tune(w)
		wantEnd(w, "Succeeded, in Running")
		want := "Cancel by api:test: no action is under way; Pause by api:test: no action is under way; Resume by api:test: no action is under way; Abandon by api:test: no action is under way"
		if got := remarks(w, engine(w).Key, "SignalIgnored"); got != want {
			t.Errorf("the history says %q", got)
		}
		atRest(w)
	}, ask("one"))
}

// TestAnActionMakesWay: it is undone at the next boundary, the signals stay, the table decides, and it runs again when it can.
func TestAnActionMakesWay(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		second       setpoint.Step[spec, status]
		prepare      func(*keeper)
		done         string
	}{
		{"after a call", "a call under way is waited for", ask("two"), func(k *keeper) { k.take("two", time.Minute) }, "+one +two -two -one"},
		{"in a wait", "a wait is a boundary", setpoint.Wait("two", func(*engineRun) bool { return false }), func(*keeper) {}, "+one -one"},
		{"stuck", "where nothing is under way nothing is waited for", ask("two"), func(k *keeper) { k.say("two", broken) }, "+one -one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			c.prepare(k)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Advance(10 * time.Second)
				signal(w, engineKind.Definition, "e", string(fire))
				w.Advance(2 * time.Minute)
				o := engine(w)
				if o.Action != nil || o.Last.Outcome != resource.OutcomePreempted || o.Last.Message != "it makes way for Fire" || o.State != "Broken" {
					t.Fatalf("%s: it is %s, ended as %+v, action %+v %s", c.reason, o.State, o.Last, o.Action, waits(o))
				}
				wantDone(w, k, c.done)
				if got := signals(w, o); len(got) != 1 || got[0] != string(needsTuning) {
					t.Errorf("signals %v, want the one it had read alone: in Broken Fire is ignored", got)
				}
				if len(o.Signals) != 1 || o.Signals[0].Note != "deferred: it is broken" {
					t.Errorf("the object shows %+v", o.Signals)
				}
				k.say("two", resultZero)
				k.take("two", 0)
				signal(w, engineKind.Definition, "e", string(needsRepair))
				w.Advance(time.Minute)
				if o := engine(w); o.Action == nil && (o.Last.Name != "Tune" || o.Last.Outcome != resource.OutcomeSucceeded) {
					t.Errorf("after the repair: %+v, %s", o.Last, waits(o))
				}
			}, ask("one"), c.second, ask("three"))
		})
	}
}

// TestAPausedActionDoesNotMakeWay: an operator has said that nothing is to be begun, and an undo is something.
func TestAPausedActionDoesNotMakeWay(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Pause", "")
		signal(w, engineKind.Definition, "e", string(fire))
		if got := phases(w); got != "one:Done two:Running" || engine(w).Action.Halt != resource.HaltPaused {
			t.Fatalf("steps %s of %+v", got, engine(w).Action)
		}
		order(w, "Resume", "")
		if o := engine(w); o.Last == nil || o.Last.Outcome != resource.OutcomePreempted {
			t.Errorf("afterwards: %+v", o.Last)
		}
	}, ask("one"), setpoint.Wait("two", func(*engineRun) bool { return false }))
}

// TestDeletionUndoesTheActionFirst: then what the object has besides goes, and then the object.
func TestDeletionUndoesTheActionFirst(t *testing.T) {
	for name, halt := range map[string]setpoint.SignalName{"running": "", "paused": "Pause"} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			k.take("two", time.Minute)
			s := engineSetup(k)
			s.Policy = setpoint.Policy{Timeout: time.Hour}
			two := setpoint.Call("two", shop, func(*engineRun) *spec { return &spec{} }).Undo(func(*engineRun) *spec { return &spec{Value: "back"} })
			s.Controllers = []setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
				Compare: func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
					return shop.Ensure(turn, "x.kept", &spec{Value: "mine"}).Outcome()
				},
				Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
					"Build": {}, "Break": {}, "Tune": {Steps: []setpoint.Step[spec, status]{ask("one"), two, ask("three")}},
				},
			})}
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				built(w)
				tune(w)
				if halt != "" {
					order(w, halt, "")
				}
				w.Delete(engineKind.Definition, "e")
				w.Settle()
				o := engine(w)
				wantText(t, "what it waits for", waits(o), "Unwinding: Tune: step undo of two (because the object is being deleted)")
				if o.State != "Scrapping" {
					t.Errorf("it is %s", o.State)
				}
				w.Advance(2 * time.Minute)
				if !gone(w, engineKind.Definition, "e") {
					t.Fatalf("it is still there: %s", waits(engine(w)))
				}
				wantDone(w, k, "+kept +one +two +two -one -kept")
			})
		})
	}
}

// redefine kills the plane and starts another version of the program, with these steps of Tune.
func redefine(w *setpointtest.World, k *keeper, tune ...setpoint.Step[spec, status]) {
	w.T.Helper()
	k.program[0] = driver(tune...)
	w.Restart()
}

// TestAChangedProgramParksWhatItCannotGoOnWith: and with the old one it goes on.
func TestAChangedProgramParksWhatItCannotGoOnWith(t *testing.T) {
	k := newKeeper()
	until := flag(false)
	wait := setpoint.Wait("two", func(*engineRun) bool { return until.Load() })
	for _, c := range []struct {
		name, reason string
		tune         []setpoint.Step[spec, status]
		halted       string
	}{
		{"another", "what is left to do is another step", []setpoint.Step[spec, status]{ask("one"), wait, ask("four")},
			`it began with "three:call:shop" where the program has "four:call:shop" now`},
		{"fewer", "a step is gone", []setpoint.Step[spec, status]{ask("one"), wait}, `it began with "three:call:shop", which the program does not have any more`},
		{"more", "there is one more", []setpoint.Step[spec, status]{ask("one"), wait, ask("three"), ask("four")}, `the program has "four:call:shop" now, which it did not begin with`},
		{"another kind", "what is under way is another kind of step", []setpoint.Step[spec, status]{ask("one"), ask("two"), ask("three")},
			`it began with "two:wait:" where the program has "two:call:shop" now`},
	} {
		t.Run(c.name, func(t *testing.T) {
			until.Store(false)
			k = newKeeper()
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				redefine(w, k, c.tune...)
				o := engine(w)
				if o.Action == nil || o.Action.Halt != resource.HaltParked {
					t.Fatalf("%s: action %+v", c.reason, o.Action)
				}
				wantText(t, "what it waits for", waits(o), "Parked: Tune: "+c.halted)
				until.Store(true)
				touch(w, engineKind.Definition, "e", "x")
				wantDone(w, k, "+one")
				redefine(w, k, ask("one"), wait, ask("three"))
				wantEnd(w, "Succeeded, in Running")
				wantDone(w, k, "+one +three")
				atRest(w)
			}, ask("one"), wait, ask("three"))
		})
	}
}

// TestAChangedPastIsNoReasonToPark: what is done is done.
func TestAChangedPastIsNoReasonToPark(t *testing.T) {
	k, until := newKeeper(), flag(false)
	wait := setpoint.Wait("two", func(*engineRun) bool { return until.Load() })
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		redefine(w, k, wait, ask("three"))
		until.Store(true)
		touch(w, engineKind.Definition, "e", "x")
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one +three")
	}, ask("one"), wait, ask("three"))
}

// TestAParkedActionIsCanceledOrAbandoned: as far as the program knows how to undo it.
func TestAParkedActionIsCanceledOrAbandoned(t *testing.T) {
	wait := setpoint.Wait("two", func(*engineRun) bool { return false })
	for _, c := range []struct {
		name string
		tune []setpoint.Step[spec, status]
		park string
		end  string
		done string
	}{
		{"knows", []setpoint.Step[spec, status]{ask("one"), wait, ask("four")}, "", "Canceled: canceled by api:test, in Broken", "+one -one"},
		{"knows not", []setpoint.Step[spec, status]{ask("four")}, "step two has begun, and the program does not know any more how to undo it",
			"Abandoned: abandoned by api:test: by hand, in Broken", "+one"},
		{"another kind", []setpoint.Step[spec, status]{wait, setpoint.Set("one", func(*engineRun) {}), ask("four")},
			"step one has begun, and the program does not know any more how to undo it", "Abandoned: abandoned by api:test: by hand, in Broken", "+one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				redefine(w, k, c.tune...)
				order(w, "Cancel", "")
				if c.park != "" {
					wantText(t, "what it waits for", waits(engine(w)), "Parked: Tune: "+c.park)
					order(w, "Abandon", "by hand")
				}
				wantEnd(w, c.end)
				wantDone(w, k, c.done)
				atRest(w)
			}, ask("one"), wait, ask("three"))
		})
	}
}

// TestANamesakeInheritsNothing: not the action, not its steps, not the answers of its commands.
func TestANamesakeInheritsNothing(t *testing.T) {
	k := newKeeper()
	k.take("one", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Delete(engineKind.Definition, "e")
		w.Advance(2 * time.Minute)
		if !gone(w, engineKind.Definition, "e") {
			t.Fatalf("it is still there: %s", waits(engine(w)))
		}
		k.take("one", 0)
		built(w)
		if o := engine(w); o.Action != nil || len(o.Signals) != 0 || o.Last == nil || o.Last.Name != "Build" {
			t.Errorf("the namesake has %+v, %+v, %v", o.Action, o.Last, o.Signals)
		}
		tune(w)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one -one +one")
		entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: engine(w).Key})
		if err != nil || len(entries) == 0 {
			t.Errorf("history: %d entries, %v", len(entries), err)
		}
		atRest(w)
	}, ask("one"))
}
