package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// The wheels of an engine are turned by asking them.
var wheelLife = setpoint.Lifecycle{
	{State: "Idle", Healthy: true, Stable: true, To: setpoint.To("Turning", "Locked", "Scrapping")},
	{State: "Turning", To: setpoint.To("Idle", "Locked", "Scrapping")},
	{State: "Locked", Stable: true, To: setpoint.To("Idle", "Scrapping")},
	{State: "Scrapping", Deleting: true, To: setpoint.To("Scrapped")},
	{State: "Scrapped", Final: true, Stable: true},
}

const (
	needsTurn   setpoint.SignalName = "NeedsTurn"
	needsLock   setpoint.SignalName = "NeedsLock"
	needsUnlock setpoint.SignalName = "NeedsUnlock"
)

var wheels = setpoint.MustDefine(setpoint.KindOptions[spec, status]{
	Group: group, Version: "v1", Kind: "Wheel", Lifecycle: wheelLife,
	Decisions: setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: needsTurn}, {Name: needsLock}, {Name: needsUnlock}},
		Actions: []setpoint.ActionStates{
			{Name: "Turn", Via: "Turning", To: "Idle", Else: "Locked"}, {Name: "Lock", To: "Locked"}, {Name: "Unlock", To: "Idle"},
		},
		Rows: []setpoint.Row{
			{When: setpoint.All(needsTurn, needsUnlock), Forbid: "it is to be unlocked first"},
			{In: setpoint.In("Idle"), When: setpoint.All(needsTurn), Do: "Turn"},
			{In: setpoint.In("Locked"), When: setpoint.All(needsTurn), Ignore: "it is locked"},
			{In: setpoint.In("Idle"), When: setpoint.All(needsLock), Do: "Lock", Priority: 1},
			{In: setpoint.In("Locked"), When: setpoint.All(needsLock), Ignore: "it is locked already", Priority: 1},
			{In: setpoint.In("Locked"), When: setpoint.All(needsUnlock), Do: "Unlock", Priority: 2},
			{In: setpoint.In("Idle"), When: setpoint.All(needsUnlock), Defer: "it is not locked yet", Priority: -1},
		},
	},
})

func wheelDriver(steps ...setpoint.Step[spec, status]) setpoint.Controller {
	return wheels.Decider("wheel", setpoint.Decider[spec, status]{Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
		"Turn": {Steps: steps}, "Lock": {}, "Unlock": {},
	}})
}

// turnWheel asks the shop to turn the wheel: its key ends in "left" or "right".
func turnWheel() setpoint.Step[spec, status] {
	return setpoint.Call("turn", shop, func(r *engineRun) *spec { return &spec{Value: "turned"} }).
		Key(func(r *engineRun) string { return string(r.Object.Name) }).Absent()
}

func wheelKey(name string) setpoint.Key { return wheels.Key("default", resource.Name("e."+name)) }

// askWheels asks both wheels of the engine to turn.
func askWheels() setpoint.Step[spec, status] {
	return setpoint.Ask("ask", func(r *engineRun) []setpoint.Key { return []setpoint.Key{wheelKey("left"), wheelKey("right")} }, needsTurn)
}

// rolling is a world with engines that have two wheels each, and whose Tune has these steps.
func rolling(a command.Adapter, tune ...setpoint.Step[spec, status]) setpointtest.Setup {
	s := engineSetup(a)
	s.Kinds = append(s.Kinds, wheels.Definition, notes.Definition)
	s.Policy = setpoint.Policy{Attempts: 4, Cap: time.Second, Timeout: time.Hour}
	s.Controllers = []setpoint.Controller{notes.Driver("note", done), wheelDriver(turnWheel()), engineKind.Decider("engine", setpoint.Decider[spec, status]{
		Compare: func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
			wheels.Child(turn, "left", spec{})
			wheels.Child(turn, "right", spec{})
			return turn.Rollup()
		},
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
			"Build": {}, "Break": {}, "Tune": {Steps: tune, Finish: func(r *engineRun) { r.Object.Status.Runs++ }},
		},
	})}
	return s
}

// rolls runs a world with an engine that has two wheels, whose Tune has these steps.
func rolls(t *testing.T, k *keeper, f func(*setpointtest.World), tune ...setpoint.Step[spec, status]) {
	t.Helper()
	setpointtest.Run(t, rolling(k, tune...), func(w *setpointtest.World) { built(w); f(w) })
}

// wheel raises a signal on a wheel.
func wheel(w *setpointtest.World, name string, s lifecycle.SignalName) {
	w.T.Helper()
	signal(w, wheels.Definition, "e."+name, string(s))
}

func TestAnAskIsDoneWhenAllHaveServedIt(t *testing.T) {
	k := newKeeper()
	k.take("left", time.Minute)
	rolls(t, k, func(w *setpointtest.World) {
		tune(w)
		wantText(t, "what it waits for", waits(engine(w)), "Acting: Tune: step ask")
		if on := engine(w).Waits[0].On; len(on) != 1 || on[0].Object != wheelKey("left") {
			t.Errorf("it waits for %v, want the wheel that has not answered", on)
		}
		wantDone(w, k, "+right")
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+right +left +after")
		atRest(w)
	}, askWheels(), ask("after"))
}

// TestAnAskThatIsNotServedFails: with the reason that the other had; and what nobody has begun to serve is taken back.
func TestAnAskThatIsNotServedFails(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		prepare      func(*setpointtest.World, *keeper)
		meanwhile    func(*setpointtest.World, *keeper)
		end          string
	}{
		{"ignored", "what a table ignores is served: there was nothing to do",
			func(w *setpointtest.World, _ *keeper) { wheel(w, "left", needsLock) }, nil, "Succeeded, in Running"},
		{"failed", "an action that fails has not served it",
			func(_ *setpointtest.World, k *keeper) { k.say("left", no) }, nil,
			"Failed: step ask: NeedsTurn on Wheel.test.example/default/e.left: Failed: step turn: no, in Broken"},
		{"canceled", "nor has one that an operator ended",
			func(_ *setpointtest.World, k *keeper) { k.take("left", time.Minute) },
			func(w *setpointtest.World, _ *keeper) { wheel(w, "left", "Cancel"); w.Advance(3 * time.Minute) },
			"Failed: step ask: NeedsTurn on Wheel.test.example/default/e.left: Canceled: canceled by api:test, in Broken"},
		{"deleted", "deletion ends an action, too",
			func(_ *setpointtest.World, k *keeper) { k.take("left", time.Minute) },
			func(w *setpointtest.World, _ *keeper) {
				w.Delete(wheels.Definition, "e.left")
				w.Advance(3 * time.Minute)
			},
			"Failed: step ask: NeedsTurn on Wheel.test.example/default/e.left: Canceled: the object is being deleted, in Broken"},
		{"gone", "what does not exist any more will not answer",
			func(w *setpointtest.World, k *keeper) { k.take("left", time.Minute); wheel(w, "left", needsTurn) },
			func(w *setpointtest.World, _ *keeper) {
				w.Delete(wheels.Definition, "e.left")
				w.Advance(3 * time.Minute)
			},
			"Failed: step ask: NeedsTurn on Wheel.test.example/default/e.left: Failed: it is gone, in Broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			rolls(t, k, func(w *setpointtest.World) {
				c.prepare(w, k)
				tune(w)
				if c.meanwhile != nil {
					c.meanwhile(w, k)
				}
				w.Settle()
				wantEnd(w, c.end)
				if t.Failed() {
					t.Error(c.reason)
				}
				if s := signals(w, engine(w)); len(s) != 0 {
					t.Errorf("signals %v are left", s)
				}
			}, askWheels())
		})
	}
}

// TestAnAskThatCannotBeRaisedAsksNobody: not even those on which it could be.
func TestAnAskThatCannotBeRaisedAsksNobody(t *testing.T) {
	stranger := notes.Key("default", "n")
	for _, c := range []struct {
		name   string
		whom   []setpoint.Key
		locked bool
		end    string
	}{
		{"nobody there", []setpoint.Key{wheelKey("left"), wheelKey("third")}, false, "Failed: step ask: there is no Wheel.test.example/default/e.third to ask, in Broken"},
		{"no table", []setpoint.Key{wheelKey("left"), stranger}, false, "Failed: step ask: Note.test.example/default/n is of a kind without a decision table, so that nobody would answer, in Broken"},
		{"itself", []setpoint.Key{wheelKey("left"), engineKind.Key("default", "e")}, false, "Failed: step ask: it asks its own object, which does nothing else before the action has ended, in Broken"},
		{"forbidden", []setpoint.Key{wheelKey("left"), wheelKey("right")}, true,
			`Failed: step ask: signal refused: NeedsTurn on Wheel.test.example/default/e.right: forbidden in state "Idle" beside [NeedsUnlock]: it is to be unlocked first, in Broken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			rolls(t, k, func(w *setpointtest.World) {
				w.Apply(notes.Definition, "n", spec{})
				if c.locked {
					wheel(w, "right", needsUnlock) // which is deferred, and stands
				}
				tune(w)
				wantEnd(w, c.end)
				wantDone(w, k, "")
			}, setpoint.Ask("ask", func(*engineRun) []setpoint.Key { return c.whom }, needsTurn))
		})
	}
}

// TestEachIsAskedOnce: also by a plane that takes over in the middle.
func TestEachIsAskedOnce(t *testing.T) {
	k := newKeeper()
	k.take("left", time.Minute)
	rolls(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Restart()
		touch(w, engineKind.Definition, "e", "x")
		touch(w, wheels.Definition, "e.left", "x")
		w.Converge(time.Hour)
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+right +left")
		raised := 0
		for _, c := range w.Commits() {
			for _, s := range c.Raise {
				if s.Name == needsTurn {
					raised++
					if !strings.Contains(s.Why, "step ask of Tune of Engine.test.example/default/e") {
						t.Errorf("the signal says %q", s.Why)
					}
				}
			}
		}
		if raised != 2 {
			t.Errorf("%d signals were raised, want one for each wheel", raised)
		}
		atRest(w)
	}, askWheels())
}

// TestWhatNobodyServesYetIsTakenBack: when the action goes back, or its time is over; what is being served goes on, and its answer is for nobody.
func TestWhatNobodyServesYetIsTakenBack(t *testing.T) {
	k := newKeeper()
	k.take("left", 30*time.Minute)
	k.take("right", 50*time.Minute)
	rolls(t, k, func(w *setpointtest.World) {
		wheel(w, "right", needsTurn) // it turns for somebody else, so that it does not begin to serve the next one
		tune(w)
		w.Advance(11 * time.Minute)
		wantEnd(w, "Failed: step ask: it was not done within 10m0s, in Broken")
		if got := signals(w, must(w, wheels.Definition, "e.left")); len(got) != 1 {
			t.Errorf("left has %v, want what it serves", got)
		}
		if got := signals(w, must(w, wheels.Definition, "e.right")); len(got) != 1 {
			t.Errorf("right has %v, want what it served before alone", got)
		}
		w.Converge(4 * time.Hour)
		wantDone(w, k, "+left +right")
		for _, name := range []string{"e.left", "e.right"} {
			if o := must(w, wheels.Definition, name); o.State != "Idle" || len(signals(w, o)) != 0 {
				t.Errorf("%s is %s with %v", name, o.State, signals(w, o))
			}
		}
		atRest(w)
	}, setpoint.Ask("ask", func(r *engineRun) []setpoint.Key { return []setpoint.Key{wheelKey("left"), wheelKey("right")} }, needsTurn).Within(10*time.Minute))
}

// TestAnAskCarriesWhatItIsAbout: each is told its own.
func TestAnAskCarriesWhatItIsAbout(t *testing.T) {
	k := newKeeper()
	rolls(t, k, func(w *setpointtest.World) {
		tune(w)
		var about []string
		for _, c := range w.Commits() {
			for _, s := range c.Raise {
				if s.Name == needsTurn {
					about = append(about, string(s.Payload))
				}
			}
		}
		if got := strings.Join(about, " "); got != `{"value":"e.left"} {"value":"e.right"}` {
			t.Errorf("they were told %s", got)
		}
		wantEnd(w, "Succeeded, in Running")
	}, setpoint.Ask("ask", func(r *engineRun) []setpoint.Key { return []setpoint.Key{wheelKey("left"), wheelKey("right")} }, needsTurn).
		About(func(_ *engineRun, key setpoint.Key) any { return spec{Value: string(key.Name)} }))
}
