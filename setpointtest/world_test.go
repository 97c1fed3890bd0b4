package setpointtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
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
	s := setup()
	maker := s.Adapters["maker"].(*setpointtest.Subsystem)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
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
}

// stride thins out the crash points, except in a soak.
func stride() int {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 1
	}
	return 4
}

func TestCrashes(t *testing.T) {
	apply := func(spec wholeSpec) func(*setpointtest.World) {
		return func(w *setpointtest.World) { w.Apply(wholes.Definition, "w", spec) }
	}
	runs := setpointtest.Crashes(t, setpointtest.Scenario{
		Setup: setup,
		Steps: []func(*setpointtest.World){
			apply(wholeSpec{Parts: 2, Size: 1}),
			apply(wholeSpec{Parts: 1, Size: 2}),
			func(w *setpointtest.World) { w.Converge(time.Hour) },
			func(w *setpointtest.World) { w.Apply(wholes.Definition, "other", wholeSpec{Parts: 1, Size: 1}) },
			func(w *setpointtest.World) { w.Delete(wholes.Definition, "w") },
		},
		Stride: stride(),
	})
	t.Logf("%d runs", runs)
}
