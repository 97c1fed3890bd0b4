package setpointtest_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/engines"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

type partSpec struct {
	Size int `json:"size"`
}

type partStatus struct {
	Made int `json:"made,omitempty"`
}

type wholeSpec struct {
	Parts int `json:"parts"`
	Size  int `json:"size"`
}

type wholeStatus struct {
	Made int `json:"made"`
}

var life = setpoint.Lifecycle{
	{State: "Making", Budget: time.Minute, To: setpoint.To("Made", "Removing")},
	{State: "Made", Healthy: true, Stable: true, To: setpoint.To("Making", "Removing")},
	{State: "Removing", Deleting: true, To: setpoint.To("Removed")},
	{State: "Removed", Final: true, Stable: true},
}

var (
	parts  = setpoint.MustDefine(setpoint.KindOptions[partSpec, partStatus]{Group: "test.example", Version: "v1", Kind: "Part"})
	wholes = setpoint.MustDefine(setpoint.KindOptions[wholeSpec, wholeStatus]{Group: "test.example", Version: "v1", Kind: "Whole", Lifecycle: life})
	maker  = setpoint.Endpoint[partSpec, partSpec]{Adapter: "maker"}
)

func drivePart(t *setpoint.Turn, p *setpoint.Resource[partSpec, partStatus]) setpoint.Outcome {
	made := maker.Ensure(t, t.NaturalKey(), &p.Spec)
	if made.Done() {
		p.Status.Made = made.Result.Size
	}
	return made.Outcome()
}

func driveWhole(t *setpoint.Turn, w *setpoint.Resource[wholeSpec, wholeStatus]) setpoint.Outcome {
	w.Status.Made = 0
	for i := range w.Spec.Parts {
		if part := parts.Child(t, string(rune('a'+i)), partSpec{Size: w.Spec.Size}); part.Ready() {
			w.Status.Made++
		}
	}
	o := t.Rollup()
	switch {
	case w.Deleting():
	case o.AtRest():
		t.Transition("Made", "AllParts")
	default:
		t.Transition("Making", "PartsMissing")
	}
	return o
}

func strict() *setpointtest.Subsystem {
	s := setpointtest.NewSubsystem()
	s.Strict = true
	return s
}

func setup() setpointtest.Setup {
	return setpointtest.Setup{
		Kinds:       []*setpoint.Definition{wholes.Definition, parts.Definition},
		Controllers: []setpoint.Controller{wholes.Driver("whole", driveWhole), parts.Driver("part", drivePart)},
		Adapters:    map[command.AdapterName]command.Adapter{"maker": strict()},
	}
}

func TestAWholeIsMadeChangedAndRemoved(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		s := setup()
		maker := s.Adapters["maker"].(*setpointtest.Subsystem)
		e.Run(t, s, func(w *setpointtest.World) {
			w.Apply(wholes.Definition, "w", wholeSpec{Parts: 3, Size: 1})
			w.Converge(time.Minute)
			if got := len(maker.Keys()); got != 3 {
				t.Fatalf("the maker has %v, want 3 parts", maker.Keys())
			}
			w.Apply(wholes.Definition, "w", wholeSpec{Parts: 1, Size: 2})
			w.Converge(time.Minute)
			o, _ := w.Object(wholes.Definition, "w")
			if got := maker.Keys(); len(got) != 1 || o.State != "Made" || string(o.Status) != `{"made":1}` {
				t.Fatalf("the maker has %v, the whole is %s %s", got, o.State, o.Status)
			}
			statements, turns := w.Statements(), w.Turns()
			w.Advance(time.Hour)
			if s, n := w.Statements()-statements, w.Turns()-turns; s != 0 || n != 0 {
				t.Errorf("at rest for an hour: %d statements, %d turns, want none", s, n)
			}
			maker.Lose("default/w.a", "it broke")
			w.Converge(time.Minute)
			if got := len(maker.Ledger()); got != 3+1+2+1 {
				t.Errorf("%d effects, want 3 made, 1 changed, 2 removed, 1 repaired: %+v", got, maker.Ledger())
			}
			w.Delete(wholes.Definition, "w")
			w.Converge(time.Minute)
			if _, there := w.Object(wholes.Definition, "w"); there || len(maker.Keys()) != 0 {
				t.Errorf("after deletion: the whole is there: %t, the maker has %v", there, maker.Keys())
			}
			t.Logf("%d commits", len(w.Commits()))
		})
	})
}

func TestAKilledPlaneIsFollowedByAnother(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		s := setup()
		maker := s.Adapters["maker"].(*setpointtest.Subsystem)
		e.Run(t, s, func(w *setpointtest.World) {
			begun := time.Now()
			for size := range 3 {
				w.Apply(wholes.Definition, "w", wholeSpec{Parts: 2, Size: size + 1})
				w.Restart()
			}
			w.Settle()
			if passed := time.Since(begun); passed > time.Second {
				t.Errorf("three kills took %s: a plane waited for the lease of a dead one", passed)
			}
			w.Kill()
			w.Advance(24 * time.Hour)
			w.Start()
			w.Converge(time.Minute)
			want := map[string]json.RawMessage{"default/w.a": []byte(`{"size":3}`), "default/w.b": []byte(`{"size":3}`)}
			if got := maker.Effects(); !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
				t.Errorf("the maker has %s, want %s", got, want)
			}
			epochs := map[resource.Epoch]bool{}
			for _, tx := range w.Commits() {
				for _, f := range tx.Fences {
					epochs[f.Epoch] = true
				}
			}
			if len(epochs) < 2 {
				t.Errorf("all commits are of epochs %v; every plane has one of its own", epochs)
			}
		})
	})
}

func TestCrashes(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		apply := func(spec wholeSpec) func(*setpointtest.World) {
			return func(w *setpointtest.World) { w.Apply(wholes.Definition, "w", spec) }
		}
		runs := e.Crashes(t, setpointtest.Scenario{
			Setup: setup,
			Steps: []func(*setpointtest.World){
				apply(wholeSpec{Parts: 2, Size: 1}),
				apply(wholeSpec{Parts: 1, Size: 2}),
				func(w *setpointtest.World) { w.Converge(time.Hour) },
				func(w *setpointtest.World) { w.Apply(wholes.Definition, "other", wholeSpec{Parts: 1, Size: 1}) },
				func(w *setpointtest.World) { w.Delete(wholes.Definition, "w") },
			},
			Stride: e.Stride(4),
		})
		t.Logf("%d runs", runs)
	})
}
