package control_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestAnActionWhoseFirstStepFailsTheTurnBeginsAllTheSame: otherwise nothing that the compare says would ever be committed again, and there would be nothing to cancel.
func TestAnActionWhoseFirstStepFailsTheTurnBeginsAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		step   setpoint.Step[spec, status]
		reason string
	}{
		"panic":     {setpoint.Set("first", func(*engineRun) { panic("odd") }), "odd"},
		"trespass":  {setpoint.Set("first", func(r *engineRun) { r.Turn().Transition("Broken", "Odd") }), "transition to Broken"},
		"nobody":    {setpoint.Set("first", func(r *engineRun) { r.Turn().Raise(engineKind.Key("default", "nobody"), fire, nil) }), "there is no such object"},
		"condition": {setpoint.Set("first", func(r *engineRun) { r.Turn().SetCondition("Ready", "True", "Odd", "") }), "set by the engine"},
		"request":   {setpoint.Call("first", shop, func(*engineRun) *spec { panic("odd") }), "odd"},
		"too large": {setpoint.Set("first", func(r *engineRun) { r.Turn().SetCondition("Big", "True", "Odd", strings.Repeat("x", 2<<20)) }), "large"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			compare := func(turn *setpoint.Turn, e *thing) setpoint.Outcome {
				turn.SetCondition("Compared", "True", "Looked", "at "+e.Spec.Value)
				return setpoint.Done()
			}
			compared(t, k, compare, func(w *setpointtest.World) {
				tune(w)
				w.Apply(engineKind.Definition, "e", spec{Value: "two"})
				w.Advance(time.Minute)
				o := engine(w)
				if o.Action == nil || o.State != "Tuning" || len(o.Action.Steps) != 0 {
					t.Fatalf("state %s, action %+v; want one that has begun, without steps", o.State, o.Action)
				}
				wantText(t, "what it waits for", waits(o), c.reason)
				if n := len(w.Commits()); n > 20 {
					t.Errorf("%d commits for a step that fails the turn", n)
				}
				order(w, "Cancel", "it is odd")
				w.Settle()
				wantText(t, "what the compare has said", condition(engine(w), "Compared"), "at two")
				wantEnd(w, "Canceled: canceled by api:test: it is odd, in Broken")
				wantDone(w, k, "")
			}, c.step)
		})
	}
}

// TestAPauseIsKeptThroughTrouble: what goes wrong meanwhile does not end it, and is found after it.
func TestAPauseIsKeptThroughTrouble(t *testing.T) {
	k := newKeeper()
	k.say("one", silent)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		order(w, "Pause", "hands off")
		w.Advance(24 * time.Hour) // the step is given up
		if a := engine(w).Action; a == nil || a.Halt != resource.HaltPaused || a.Halted != "by api:test: hands off" {
			t.Fatalf("the action is %+v, want it paused", a)
		}
		order(w, "Resume", "")
		if a := engine(w).Action; a == nil || a.Halt != resource.HaltStuck || !a.Paused.IsZero() {
			t.Fatalf("the action is %+v, want it stuck", a)
		}
		k.say("one", resultZero)
		order(w, "Retry", "")
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one")
		atRest(w)
	}, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Absent())
}

// TestALimitWaitsAsLongAsItsActionIsPaused: that of the action, and that of a step.
func TestALimitWaitsAsLongAsItsActionIsPaused(t *testing.T) {
	k := newKeeper()
	var opened atomic.Bool
	s := engineSetup(k)
	s.Controllers = []setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Break": {}, "Tune": {
			Within: time.Hour, Steps: []setpoint.Step[spec, status]{
				setpoint.Wait("opened", func(*engineRun) bool { return opened.Load() }).Within(30 * time.Minute).Every(time.Minute),
			},
		}},
	})}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		built(w)
		tune(w)
		w.Advance(20 * time.Minute)
		order(w, "Pause", "")
		w.Advance(12 * time.Hour)
		w.Restart()
		w.Advance(12 * time.Hour)
		order(w, "Resume", "")
		before := engine(w).Action
		w.Advance(5 * time.Minute)
		if a := engine(w).Action; a == nil || !a.Deadline.Equal(before.Deadline) {
			t.Fatalf("after a day's pause and five minutes the action is %+v", a)
		}
		if got := before.Deadline.Sub(before.Since); got != 25*time.Hour {
			t.Errorf("it is to end %s after it began, want an hour and the day that it was paused", got)
		}
		opened.Store(true)
		w.Advance(2 * time.Minute)
		wantEnd(w, "Succeeded, in Running")
		atRest(w)
	})
}

// TestNewsOfWhatAnActionHasReadAlreadyStands: with the same Dedupe, it says that it has happened again.
func TestNewsOfWhatAnActionHasReadAlreadyStands(t *testing.T) {
	k := newKeeper()
	k.take("one", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		raise := func() (fresh bool) {
			r := setpoint.SignalRequest{Name: needsTuning, Dedupe: "it"}
			_, fresh, err := w.Plane.Signal(w.T.Context(), "api:test", engineKind.Key("default", "e"), r)
			if err != nil {
				t.Fatal(err)
			}
			w.Settle()
			return fresh
		}
		for i, want := range []bool{true, true, false} { // read at once; news; no more than the second says
			if got := raise(); got != want {
				t.Errorf("signal %d is fresh: %t, want %t", i, got, want)
			}
		}
		w.Converge(time.Hour)
		if got := string(engine(w).Status); got != `{"runs":2}` {
			t.Errorf("status %s, want one run for each of the two", got)
		}
		atRest(w)
	}, ask("one"))
}

// TestTheAnswersOfAllStepsAreBounded: each of them fits, and together they would be more than an object holds.
func TestTheAnswersOfAllStepsAreBounded(t *testing.T) {
	k := newKeeper()
	var steps []setpoint.Step[spec, status]
	for _, name := range []string{"one", "two", "three", "four", "five", "six"} {
		k.say(name, command.Result{Outcome: command.OutcomeDone, Body: []byte(`{"value":"` + strings.Repeat("x", 100<<10) + `"}`)})
		steps = append(steps, ask(name))
	}
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Converge(time.Hour)
		if got := ended(w); !strings.HasPrefix(got, "Failed: step six: the answers of the steps are ") {
			t.Errorf("it ended as %q", got)
		}
	}, steps...)
}

// TestALateSignalThatWasRefusedIsRaisedWhenItMayBe: what forbade it does not stand for ever.
func TestALateSignalThatWasRefusedIsRaisedWhenItMayBe(t *testing.T) {
	const hold, hurry setpoint.SignalName = "Hold", "Hurry"
	kind := setpoint.MustDefine(setpoint.KindOptions[spec, status]{
		Group: group, Version: "v1", Kind: "Order",
		Lifecycle: setpoint.Lifecycle{
			{State: "Waiting", Budget: time.Minute, Late: hurry, To: setpoint.To("Going")},
			{State: "Going", Stable: true, Healthy: true, To: setpoint.To("Waiting")},
		},
		Decisions: setpoint.Decisions{
			Signals: []setpoint.Signal{{Name: hold, About: "wait"}, {Name: hurry, About: "go"}},
			Actions: []setpoint.ActionStates{{Name: "Go", To: "Going"}},
			Rows: []setpoint.Row{
				{When: setpoint.All(hold, hurry), Forbid: "it is held"},
				{In: setpoint.In("Waiting"), When: setpoint.All(hold), Defer: "it is held"},
				{In: setpoint.In("Waiting"), When: setpoint.All(hurry), Do: "Go"},
				{In: setpoint.In("Going"), When: setpoint.All(hold), Ignore: "it goes"},
				{In: setpoint.In("Going"), When: setpoint.All(hurry), Ignore: "it goes"},
			},
		},
	})
	s := setpointtest.Setup{Kinds: []*setpoint.Definition{kind.Definition}, Controllers: []setpoint.Controller{
		kind.Decider("order", setpoint.Decider[spec, status]{Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Go": {}}}),
	}}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(kind.Definition, "o", spec{})
		key := kind.Key("default", "o")
		if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", key, setpoint.SignalRequest{Name: hold, For: 10 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		w.Advance(2 * time.Minute)
		touch(w, kind.Definition, "o", "x")
		o := must(w, kind.Definition, "o")
		wantText(t, "Late", condition(o, resource.Late), "True SignalRefused", "1m0s", "it is held")
		if got := remarks(w, key, "SignalRefused"); strings.Count(got, "refused") != 1 {
			t.Errorf("the history says %q, want it once", got)
		}
		w.Advance(10 * time.Minute)
		if o := must(w, kind.Definition, "o"); o.State != "Going" {
			t.Errorf("state %s: %s, Late %s", o.State, waits(o), condition(o, resource.Late))
		}
	})
}

// TestAPausePutsOffTheEndOfACallThatIsRepeated: nothing is refused for its deadline meanwhile, and afterwards there is as much time as there was.
func TestAPausePutsOffTheEndOfACallThatIsRepeated(t *testing.T) {
	k := newKeeper()
	k.say("one", full)
	s := engineSetup(k, setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Within(10*time.Minute).Absent())
	s.Policy = setpoint.Policy{Cap: time.Minute, Timeout: time.Hour}
	k.program = s.Controllers
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		built(w)
		tune(w)
		w.Advance(5 * time.Minute)
		order(w, "Pause", "")
		w.Advance(20 * time.Minute)
		if got := phases(w); got != "one:Running" {
			t.Fatalf("after a pause beyond its end the steps are %s", got)
		}
		order(w, "Resume", "")
		w.Advance(2 * time.Minute)
		k.say("one", resultZero)
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one")
		atRest(w)
	})
}
