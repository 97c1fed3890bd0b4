package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/setpointtest"
)

func TestTogetherDoesStepsAtTheSameTime(t *testing.T) {
	k := newKeeper()
	k.take("one", 4*time.Minute)
	k.take("two", 2*time.Minute)
	k.take("three", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		if got := phases(w); got != "one:Running two:Running" {
			t.Errorf("at once: %s", got)
		}
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+two +three +one +four")
		atRest(w)
	}, setpoint.Together("all", ask("one"), setpoint.Sequence("row", ask("two"), ask("three"))), ask("four"))
}

// TestTogetherFailsWithTheFirstThatFails: the others are undone, also one whose call is under way: its undo comes after it.
func TestTogetherFailsWithTheFirstThatFails(t *testing.T) {
	k := newKeeper()
	k.take("one", time.Hour/2)
	k.take("two", time.Minute)
	k.say("two", no)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Advance(2 * time.Minute)
		wantText(t, "what it waits for", waits(engine(w)), "Unwinding: Tune: step undo of one (because step two: no)")
		w.Converge(time.Hour)
		wantEnd(w, "Failed: step two: no, in Broken")
		wantDone(w, k, "+zero +one -one -zero")
		atRest(w)
	}, ask("zero"), setpoint.Together("all", ask("one"), ask("two"), setpoint.Wait("three", func(*engineRun) bool { return false })))
}

// TestWhatWasNeverSentIsNotUndone: a step that refuses itself takes along those that began in the same turn, before they are sent.
func TestWhatWasNeverSentIsNotUndone(t *testing.T) {
	for name, one := range map[string]setpoint.Step[spec, status]{
		"with an undo": ask("one"), "without": setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }),
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				wantEnd(w, "Failed: step two: no, in Broken")
				if k.asked() != "" {
					t.Errorf("it was asked %q", k.asked())
				}
				atRest(w)
			}, setpoint.Together("all", one, setpoint.Set("two", func(r *engineRun) { r.Refuse("no") })))
		})
	}
}

func TestTheFirstThatIsDoneWins(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		prepare      func(*keeper)
		end, done    string
	}{
		{"the second", "the slow one is undone after its call, and what follows does not wait for the winner's time",
			func(k *keeper) { k.take("one", 10*time.Minute) }, "Succeeded, in Running", "+two +one -one +three"},
		{"the first", "of several that are done the one that is asked for first wins",
			func(k *keeper) { k.take("two", 10*time.Minute) }, "Succeeded, in Running", "+one +two -two +three"},
		{"one fails", "one that fails is no reason to fail, and what it may have done is undone when another has won",
			func(k *keeper) { k.say("one", broken); k.take("two", 10*time.Minute) }, "Succeeded, in Running", "+two +three"},
		{"all fail", "when all have failed, it has failed",
			func(k *keeper) { k.say("one", no); k.say("two", no); k.take("two", time.Second) }, "Failed: step two: no, in Broken", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			c.prepare(k)
			attempts := setpoint.Retry{Attempts: 2}
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Converge(time.Hour)
				wantEnd(w, c.end)
				if got := k.done(); got != c.done {
					t.Errorf("%s: the shop has had %q, want %q", c.reason, got, c.done)
				}
				atRest(w)
			}, setpoint.First("race",
				setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Absent().Retry(attempts),
				setpoint.Call("two", shop, func(*engineRun) *spec { return &spec{} }).Absent().Retry(attempts)), ask("three"))
		})
	}
}

// TestTheWinnerOfAFirstIsStored: that the others are undone does not begin it again, and later it is undone as a step that was done.
func TestTheWinnerOfAFirstIsStored(t *testing.T) {
	k := newKeeper()
	k.take("a", time.Minute)
	k.take("-b", time.Minute)
	k.say("last", no)
	acts(t, k, func(w *setpointtest.World) {
		k.take("b", 30*time.Second)
		tune(w)
		w.Advance(61 * time.Second) // c, in its sequence, has won after the first minute
		if got := phases(w); !strings.Contains(got, "race:Done") {
			t.Fatalf("%s, want a winner", got)
		}
		w.Restart()
		touch(w, engineKind.Definition, "e", "x")
		w.Converge(time.Hour)
		wantEnd(w, "Failed: step last: no, in Broken")
		if got := k.done(); got != "+b +a -b -a" {
			t.Errorf("the shop has had %q: the loser goes at once, the winner with the rest", got)
		}
		atRest(w)
	}, setpoint.First("race", setpoint.Sequence("left", ask("a")), setpoint.Sequence("right", ask("b"), setpoint.Wait("never", func(*engineRun) bool { return false }))), ask("last"))
}

// TestOneRefusalInAFirstIsNotThatOfTheNext: each says for itself why it does not go.
func TestOneRefusalInAFirstIsNotThatOfTheNext(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+two")
	}, setpoint.First("race", setpoint.Call("one", shop, func(r *engineRun) *spec { r.Refuse("not I"); return nil }), ask("two")))
}

// TestAWaitMayBeForAnotherBranch: also for one that the walk comes to after it.
func TestAWaitMayBeForAnotherBranch(t *testing.T) {
	k := newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+one +two")
		atRest(w)
	}, setpoint.Together("both", setpoint.Sequence("second", setpoint.Wait("first", func(r *engineRun) bool { return r.Result("one", &spec{}) }), ask("two")), ask("one")))
}

// TestAChoiceIsStored: it is decided once, whatever the world is like later; and undone is what was done on that way.
func TestAChoiceIsStored(t *testing.T) {
	for _, c := range []struct{ way, end, done string }{
		{"high", "Succeeded, in Running", "+up +after"},
		{"low", "Failed: step down: no, in Broken", ""},
		{"none", "Succeeded, in Running", "+after"},
		{"odd", `Failed: step way: there is no way "odd", in Broken`, ""},
	} {
		t.Run(c.way, func(t *testing.T) {
			k, asked := newKeeper(), 0
			k.take("up", time.Minute)
			k.say("down", no)
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				w.Restart()
				w.Converge(time.Hour)
				wantEnd(w, c.end)
				wantDone(w, k, c.done)
				if asked != 1 {
					t.Errorf("the choice was made %d times", asked)
				}
				atRest(w)
			}, setpoint.Choose("way", func(*engineRun) string { asked++; return c.way },
				setpoint.Ways[spec, status]{"high": {ask("up")}, "low": {ask("down")}, "none": nil}), ask("after"))
		})
	}
}

// TestStepsMayShareANaturalKey: one after the other, each over the one before it; not at the same time.
func TestStepsMayShareANaturalKey(t *testing.T) {
	on := func(name string) setpoint.Step[spec, status] {
		return setpoint.Call(name, shop, func(*engineRun) *spec { return &spec{Value: name} }).Key(func(*engineRun) string { return "shared" }).
			Undo(func(*engineRun) *spec { return &spec{Value: "before " + name} })
	}
	k := newKeeper()
	k.say("three", no)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantEnd(w, "Failed: step three: no, in Broken")
		var requests []string
		for _, e := range k.Ledger() {
			requests = append(requests, string(e.Request))
		}
		if !slices.Equal(requests, []string{`{"value":"one"}`, `{"value":"two"}`, `{"value":"before two"}`, `{"value":"before one"}`}) {
			t.Errorf("the shop has had %v", requests)
		}
		atRest(w)
	}, on("one"), on("two"), ask("three"))

	k = newKeeper()
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		wantEnd(w, "Failed: step two: its natural key shop/shared is that of another step or effect of the object, in Broken")
	}, setpoint.Together("all", on("one"), on("two")))
}

// TestAStepDoesNotTakeTheKeyOfAnEffect: not in the turn that ensures it, and not later, when no compare runs.
func TestAStepDoesNotTakeTheKeyOfAnEffect(t *testing.T) {
	for name, tune := range map[string][]setpoint.Step[spec, status]{
		"at once": {setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Key(func(*engineRun) string { return "kept" })},
		"later":   {ask("zero"), setpoint.Call("one", shop, func(*engineRun) *spec { return &spec{} }).Key(func(*engineRun) string { return "kept" })},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			s := engineSetup(k)
			s.Controllers = []setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
				Compare: func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
					return shop.Ensure(turn, "kept", &spec{Value: "mine"}).Outcome()
				},
				Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Break": {}, "Tune": {Steps: tune}},
			})}
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				built(w)
				signal(w, engineKind.Definition, "e", string(needsTuning))
				wantEnd(w, "Failed: step one: its natural key shop/kept is that of another step or effect of the object, in Broken")
				if got := string(k.Effects()["kept"]); got != `{"value":"mine"}` {
					t.Errorf("the effect is %s", got)
				}
			})
		})
	}
}
