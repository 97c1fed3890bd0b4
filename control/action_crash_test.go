package control_test

import (
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/internal/engines"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// everything are the steps of an action that goes one of three ways, by the engine's spec: through every kind of step; to a step that is refused, so
// that all is undone; and to a wait that holds when a note is there.
func everything() setpoint.Step[spec, status] {
	never := func(*engineRun) bool { return false }
	whom := func(*engineRun) []setpoint.Key { return []setpoint.Key{wheelKey("left"), wheelKey("right")} }
	return setpoint.Choose("case", func(r *engineRun) string { return r.Object.Spec.Value }, setpoint.Ways[spec, status]{
		"all": {
			setpoint.Set("note", func(r *engineRun) { r.Object.Status.Seen += "a" }),
			ask("one"),
			setpoint.Together("both", ask("two"), setpoint.Sequence("row", ask("three"), ask("four"))),
			setpoint.First("race",
				setpoint.Sequence("winner", setpoint.Wait("loserIsThere", func(r *engineRun) bool { return r.Result("six", &spec{}) }), ask("five")),
				setpoint.Sequence("loser", ask("six"), setpoint.Wait("never", never))),
			setpoint.Ask("wheels", whom, needsTurn),
			setpoint.Wait("turned", func(r *engineRun) bool {
				left, ok := wheels.Get(r.Turn(), "e.left")
				return ok && left.State == "Idle"
			}),
		},
		"undo": {
			ask("seven"),
			setpoint.Together("pair", ask("eight"), ask("nine")),
			setpoint.Call("refused", shop, func(*engineRun) *spec { return &spec{Value: "refused"} }).Absent(),
		},
		"wait": {
			ask("ten"),
			setpoint.Wait("go", func(r *engineRun) bool { _, ok := notes.Get(r.Turn(), "n"); return ok }),
			ask("eleven"),
		},
	})
}

// ends brings it about that the last action to end is Tune, and ended so, by raising a signal, once: as a client does who repeats a request.
func ends(name setpoint.SignalName, outcome resource.ActionOutcome, times string) func(*setpointtest.World) {
	return func(w *setpointtest.World) {
		raiseUnless(w, name, times, func(o *resource.Object) bool { return o.Last.Name == "Tune" && o.Last.Outcome == outcome })
	}
}

// raiseUnless raises a signal unless the engine is so already.
func raiseUnless(w *setpointtest.World, name setpoint.SignalName, times string, already func(*resource.Object) bool) {
	o, ok := w.Object(engineKind.Definition, "e")
	if !ok || already(o) {
		return
	}
	r := setpoint.SignalRequest{Name: name, Dedupe: times, Why: "the story says so"}
	_, _, err := w.Plane.Signal(w.T.Context(), "api:test", o.Key, r)
	if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrUnknown) {
		w.T.Errorf("raise %s: %v", name, err)
	}
}

func apply(value string) func(*setpointtest.World) {
	return func(w *setpointtest.World) { w.Apply(engineKind.Definition, "e", spec{Value: value}) }
}

// stale is longer than a view is kept old: what comes after it sees what was before.
const stale = 10 * time.Second

func converge(w *setpointtest.World) { w.Converge(time.Hour) }

// TestCrashes: an action that is killed, told nothing or shown an old view at any moment ends as it does when it is left alone, with as many effects. The story has every
// kind of step, undos, questions to others, an action that makes way, and one that is canceled.
func TestCrashes(t *testing.T) {
	short := 17
	if race {
		short = 101
	}
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		var sub *setpointtest.Subsystem
		effects := -1
		repair := func(times string) func(*setpointtest.World) {
			return func(w *setpointtest.World) {
				raiseUnless(w, needsRepair, times, func(o *resource.Object) bool { return o.State == "Running" || o.State == "Tuning" })
			}
		}
		runs := e.Crashes(t, setpointtest.Scenario{
			Setup: func() setpointtest.Setup {
				sub = setpointtest.NewSubsystem()
				sub.Answer = func(key string, request []byte, _ int) ([]byte, error) {
					if stepOf(key) == "refused" {
						return nil, errors.New("no")
					}
					return request, nil
				}
				return rolling(sub, everything())
			},
			Steps: []func(*setpointtest.World){
				apply("all"), converge,
				ends(needsTuning, resource.OutcomeSucceeded, "first"), converge,
				apply("undo"), converge,
				ends(needsTuning, resource.OutcomeFailed, "second"), converge,
				repair("second"), converge,
				apply("wait"), converge,
				func(w *setpointtest.World) {
					raiseUnless(w, needsTuning, "third", func(o *resource.Object) bool { return o.State != "Running" })
				},
				func(w *setpointtest.World) {
					w.Advance(stale)
					raiseUnless(w, fire, "third", func(o *resource.Object) bool { return o.State == "Broken" })
				}, converge,
				repair("third"),
				func(w *setpointtest.World) {
					w.Advance(stale)
					raiseUnless(w, "Cancel", "third", func(o *resource.Object) bool { return o.Action == nil })
				}, converge,
				repair("fourth"), converge,
				func(w *setpointtest.World) { w.Apply(notes.Definition, "n", spec{}) },
				ends(needsTuning, resource.OutcomeSucceeded, "fifth"), converge,
				func(w *setpointtest.World) {
					n := len(sub.Ledger())
					if effects < 0 {
						effects = n
						t.Logf("%d effects, %d commits", n, len(w.Commits()))
					}
					if n != effects {
						w.T.Errorf("%d effects, want %d: %s", n, effects, ledger(sub))
					}
					if o := must(w, engineKind.Definition, "e"); len(commands(w, o)) != 0 || len(signals(w, o)) != 0 {
						w.T.Errorf("left over: %d commands, signals %v", len(commands(w, o)), signals(w, o))
					}
				},
			},
			Stride: e.Stride(short),
		})
		t.Logf("%d runs", runs)
	})
}
