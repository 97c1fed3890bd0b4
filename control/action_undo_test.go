package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

func TestAFailedStepIsFollowedByUndosInReverseOrder(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		answer       command.Result
		done, asked  string
		end          string
	}{
		{"refused", "what was refused at its first attempt was not done, and there is nothing to undo", no, "+one +two -two -one",
			"one two three -two -one", "Failed: step three: no, in Broken"},
		{"failed", "what failed half-way may have been done in part, and is undone first", broken, "+one +two -two -one",
			"one two three three -three -two -one", "Failed: step three: after 2 attempts: broken half-way, in Broken"},
		{"silent", "when nobody knows, it is undone too", silent, "+one +two -two -one",
			"one two three three -three -two -one", "Failed: step three: after 2 attempts: no answer, in Broken"},
		{"full", "a class that is final fails it at the first answer", full, "+one +two -two -one",
			"one two three -three -two -one", "Failed: step three: no capacity, in Broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			k.say("three", c.answer)
			three := setpoint.Call("three", shop, func(*engineRun) *spec { return &spec{} }).Absent().
				Retry(setpoint.Retry{Attempts: 2, Final: []command.Class{command.Throttled}})
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Converge(time.Minute)
				wantEnd(w, c.end)
				if k.done() != c.done || k.asked() != c.asked {
					t.Errorf("%s: it has done %q and was asked %q, want %q and %q", c.reason, k.done(), k.asked(), c.done, c.asked)
				}
				atRest(w)
				wantWay(w, "Building(Build)", "Running(BuildSucceeded)", "Tuning(Tune)", "Broken(TuneFailed)")
			}, ask("one"), ask("two"), three, ask("four"))
		})
	}
}

// TestARefusalAfterADoubtfulAttemptIsUndone: that the second attempt is refused does not say that the first was without effect.
func TestARefusalAfterADoubtfulAttemptIsUndone(t *testing.T) {
	for name, first := range map[string]command.Result{
		"silent": silent, "broken": broken,
		"accepted":  {Outcome: command.OutcomeAccepted, Handle: "h", RetryAfter: time.Second},
		"throttled": {Outcome: command.OutcomeFailed, Class: command.Throttled, Message: "half of it, then a limit"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			k.say("one", first)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				k.say("one", no)
				w.Converge(time.Minute)
				wantEnd(w, "Failed: step one: no, in Broken")
				if k.asked() != "one one -one" {
					t.Errorf("it was asked %q, want the undo", k.asked())
				}
				atRest(w)
			}, ask("one"))
		})
	}
}

// TestWhatHasNoUndoStays: and an undo may ask for something else than absence, with what the step was answered.
func TestWhatHasNoUndoStays(t *testing.T) {
	k := newKeeper()
	k.say("three", no)
	k.Answer = func(key string, request []byte, n int) ([]byte, error) {
		return []byte(`{"value":"answer of ` + stepOf(key) + `"}`), nil
	}
	two := setpoint.Call("two", shop, func(*engineRun) *spec { return &spec{Value: "up"} }).Undo(func(r *engineRun) *spec {
		var had spec
		if !r.Result("two", &had) {
			return &spec{Value: "no answer"}
		}
		return &spec{Value: "down after " + had.Value}
	})
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantEnd(w, "Failed: step three: no, in Broken")
		wantDone(w, k, "+one +two +two")
		if got := string(k.Effects()["default/e.Tune.two"]); !strings.Contains(got, "down after answer of two") {
			t.Errorf("the undo was %s", got)
		}
		atRest(w)
	}, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }), two, ask("three"))
}

// TestAStepMayRefuseItself: with a reason, before anything is sent; whatever kind of step it is.
func TestAStepMayRefuseItself(t *testing.T) {
	for name, step := range map[string]setpoint.Step[spec, status]{
		"call": setpoint.Call("two", shop, func(r *engineRun) *spec { r.Refuse("not on a %s", "Monday"); return &spec{} }),
		"set":  setpoint.Set("two", func(r *engineRun) { r.Refuse("not on a %s", "Monday") }),
		"wait": setpoint.Wait("two", func(r *engineRun) bool { r.Refuse("not on a %s", "Monday"); return true }),
		"choose": setpoint.Choose("two", func(r *engineRun) string { r.Refuse("not on a %s", "Monday"); return "a" },
			setpoint.Ways[spec, status]{"a": nil}),
		"ask": setpoint.Ask("two", func(r *engineRun) []setpoint.Key { r.Refuse("not on a %s", "Monday"); return nil }, needsTurn),
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				wantEnd(w, "Failed: step two: not on a Monday, in Broken")
				wantDone(w, k, "+one -one")
				if got := remarks(w, engine(w).Key, "StepFailed"); got != "Tune: step two: not on a Monday" {
					t.Errorf("the history says %q", got)
				}
				atRest(w)
			}, ask("one"), step, ask("three"))
		})
	}
}

// TestAnAnswerThatDoesNotFitIsARefusal: a step that needs what another was answered cannot go on without it; Finish neither.
func TestAnAnswerThatDoesNotFitIsARefusal(t *testing.T) {
	k := newKeeper()
	k.Answer = func(string, []byte, int) ([]byte, error) { return []byte(`{"count":"many"}`), nil }
	read := func(r *engineRun) {
		var answer spec
		r.Object.Status.Seen = map[bool]string{true: "has", false: "has not"}[r.Result("one", &answer)]
	}
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		if got := ended(w); !strings.HasPrefix(got, "Failed: step two: the answer of step one does not fit") {
			t.Errorf("it ended as %q", got)
		}
		wantDone(w, k, "+one -one")
	}, ask("one"), setpoint.Set("two", read))

	finishing := engineKind.Decider("engine", setpoint.Decider[spec, status]{Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
		"Build": {}, "Break": {}, "Tune": {Steps: []setpoint.Step[spec, status]{ask("one")}, Finish: read},
	}})
	s := engineSetup(k)
	s.Controllers = []setpoint.Controller{finishing}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		built(w)
		tune(w)
		if got := ended(w); !strings.HasPrefix(got, "Failed: its end: the answer of step one does not fit") {
			t.Errorf("it ended as %q", got)
		}
		atRest(w)
	})
}

// TestAStepThatNobodyAnswersSticks: when the adapter's policy is used up, the action stands still, says so, and goes where an operator sends it.
func TestAStepThatNobodyAnswersSticks(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal setpoint.SignalName
		end    string
		done   string
	}{
		{"retry", "Retry", "Succeeded, in Running", "+one +two +three"},
		{"cancel", "Cancel", "Canceled: canceled by api:test: enough, in Broken", "+one -one"},
		{"abandon", "Abandon", "Abandoned: abandoned by api:test: enough, in Broken", "+one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			k.say("two", broken)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Advance(time.Hour)
				o := engine(w)
				if o.Action == nil || o.Action.Halt != resource.HaltStuck || o.State != "Tuning" {
					t.Fatalf("it is %s with action %+v, want it stuck", o.State, o.Action)
				}
				wantText(t, "what it waits for", waits(o), "Stuck: Tune: step two was tried for as long as the policy of adapter shop allows: broken half-way")
				wantText(t, "Ready", condition(o, resource.Ready), "False Failed")
				if got := signals(w, o); len(got) != 1 {
					t.Errorf("signals %v, want the one that it serves to stand", got)
				}
				turns, commits := w.Turns(), len(w.Commits())
				w.Advance(24 * time.Hour)
				if w.Turns() != turns || len(w.Commits()) != commits {
					t.Errorf("a day stuck took %d turns and %d commits, want none", w.Turns()-turns, len(w.Commits())-commits)
				}
				k.say("two", command.Result{})
				order(w, c.signal, "enough")
				w.Converge(time.Minute)
				wantEnd(w, c.end)
				wantDone(w, k, c.done)
				atRest(w)
			}, ask("one"), ask("two"), ask("three"))
		})
	}
}

// TestAnUndoThatIsRefusedSticks: it is never given up silently.
func TestAnUndoThatIsRefusedSticks(t *testing.T) {
	for name, answer := range map[string]command.Result{"refused": no, "exhausted": broken} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			k.say("-one", answer)
			k.say("two", no)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Advance(time.Hour)
				o := engine(w)
				if o.Action == nil || o.Action.Halt != resource.HaltStuck || o.Action.Phase != resource.ActionUnwinding {
					t.Fatalf("action %+v, want it stuck on the way back", o.Action)
				}
				wantText(t, "what it waits for", waits(o), "Stuck", "step one cannot be undone", answer.Message)
				order(w, "Cancel", "")
				if got := remarks(w, o.Key, "SignalIgnored"); got != "Cancel by api:test: Tune is being undone already" {
					t.Errorf("Cancel on the way back: the history says %q", got)
				}
				k.say("-one", command.Result{})
				order(w, "Retry", "")
				wantEnd(w, "Failed: step two: no, in Broken")
				wantDone(w, k, "+one -one")
				atRest(w)
			}, ask("one"), ask("two"))
		})
	}
}

// TestAnUndoThatRefusesItselfSticks: until it does not any more, or somebody abandons the action.
func TestAnUndoThatRefusesItselfSticks(t *testing.T) {
	for _, way := range []setpoint.SignalName{"Retry", "Abandon"} {
		t.Run(string(way), func(t *testing.T) {
			k, may := newKeeper(), flag(false)
			k.say("two", no)
			one := setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Undo(func(r *engineRun) *spec {
				if !may.Load() {
					r.Refuse("somebody has to look at it")
				}
				return nil
			})
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				wantText(t, "what it waits for", waits(engine(w)), "Stuck: Tune: step one cannot be undone: somebody has to look at it")
				may.Store(way == "Retry")
				order(w, way, "it has been looked at")
				wantEnd(w, map[setpoint.SignalName]string{
					"Retry": "Failed: step two: no, in Broken", "Abandon": "Abandoned: abandoned by api:test: it has been looked at, in Broken",
				}[way])
				atRest(w)
			}, one, ask("two"))
		})
	}
}

// TestSomebodyIsToldOfAStepThatTakesLong: by a condition that comes once, stays while it is so, and goes.
func TestSomebodyIsToldOfAStepThatTakesLong(t *testing.T) {
	k := newKeeper()
	k.say("one", command.Result{Outcome: command.OutcomeAccepted, Handle: "h", RetryAfter: 10 * time.Minute})
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Advance(59 * time.Minute)
		if got := condition(engine(w), resource.Delayed); got != "" {
			t.Errorf("before its time Delayed is %q", got)
		}
		w.Advance(2 * time.Minute)
		wantText(t, "Delayed", condition(engine(w), resource.Delayed), "True StepDelayed: step one of Tune has been tried for 1h0m0s")
		commits := len(w.Commits())
		touch(w, engineKind.Definition, "e", "x")
		if n := len(w.Commits()) - commits; n > 2 {
			t.Errorf("another look made %d commits", n)
		}
		order(w, "Pause", "")
		wantText(t, "Delayed while paused", condition(engine(w), resource.Delayed), "True")
		order(w, "Resume", "")
		k.say("one", command.Result{})
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantText(t, "Delayed", condition(engine(w), resource.Delayed), "False OnTime")
	}, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Retry(setpoint.Retry{Tell: time.Hour}))
}

// TestRetryFor: a step is given so long, by the clock, and then undone, whoever sleeps meanwhile.
func TestRetryFor(t *testing.T) {
	k := newKeeper()
	k.say("one", command.Result{Outcome: command.OutcomeAccepted, Handle: "h", RetryAfter: 24 * time.Hour})
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Advance(29 * time.Minute)
		w.Restart()
		if got := phases(w); got != "one:Running" {
			t.Fatalf("after 29 minutes: %s", got)
		}
		w.Advance(2 * time.Minute)
		wantEnd(w, "Failed: step one: after 30m0s: , in Broken")
		if k.asked() != "one -one" && k.asked() != "one one -one" {
			t.Errorf("it was asked %q", k.asked())
		}
		atRest(w)
	}, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Absent().Retry(setpoint.Retry{For: 30 * time.Minute}))
}

func TestWhatWasSetIsTakenBack(t *testing.T) {
	k := newKeeper()
	k.say("two", no)
	kept := setpoint.Set("kept", func(r *engineRun) { r.Object.Status.Seen += "kept " })
	taken := setpoint.Set("taken", func(r *engineRun) { r.Object.Status.Seen += "taken" }).Undo(func(r *engineRun) {
		r.Object.Status.Seen = strings.TrimSuffix(r.Object.Status.Seen, "taken")
	})
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Converge(time.Minute)
		wantEnd(w, "Failed: step two: no, in Broken")
		if o := must(w, engineKind.Definition, "e"); !strings.Contains(string(o.Status), `"seen":"kept "`) {
			t.Errorf("the status is %s: want what has an undo taken back, once, and the rest kept", o.Status)
		}
	}, ask("one"), kept, taken, ask("two"))
}
