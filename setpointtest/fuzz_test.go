package setpointtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// The kind of these tests: a Pump is built, moved when somebody asks for it, and mended.
type pumpSpec struct {
	Large bool `json:"large,omitempty"`
}

type pumpStatus struct {
	Moves int `json:"moves,omitempty"`
	// Shine is of a seal: it is left to chance.
	Shine bool `json:"shine,omitempty"`
}

type part struct {
	Is string `json:"is"`
}

type (
	pumpRun    = setpoint.Run[pumpSpec, pumpStatus]
	pumpStep   = setpoint.Step[pumpSpec, pumpStatus]
	pumpAction = setpoint.Action[pumpSpec, pumpStatus]
	decider    = setpoint.Decider[pumpSpec, pumpStatus]
	fuzzing    = setpointtest.Fuzzing[pumpSpec, pumpStatus]
)

var pumpLife = setpoint.Lifecycle{
	{State: "New", To: setpoint.To("Building", "Leaving")},
	{State: "Building", To: setpoint.To("Running", "Broken", "Leaving")},
	{State: "Running", Healthy: true, Stable: true, To: setpoint.To("Moving", "Broken", "Leaving")},
	{State: "Moving", To: setpoint.To("Running", "Broken", "Leaving")},
	{State: "Broken", Stable: true, To: setpoint.To("Mending", "Leaving")},
	{State: "Mending", To: setpoint.To("Running", "Broken", "Leaving")},
	{State: "Leaving", Deleting: true, To: setpoint.To("Left")},
	{State: "Left", Final: true, Stable: true},
}

const (
	needsMove setpoint.SignalName = "NeedsMove"
	needsMend setpoint.SignalName = "NeedsMend"
	leaks     setpoint.SignalName = "Leaks"
)

func pumpTable() setpoint.Decisions {
	return setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: needsMove, About: "move it"}, {Name: needsMend, About: "mend it"}, {Name: leaks, About: "it leaks"}},
		Actions: []setpoint.ActionStates{
			{Name: "Build", Via: "Building", To: "Running", Else: "Broken"},
			{Name: "Move", Via: "Moving", To: "Running", Else: "Broken", Yield: []setpoint.SignalName{leaks}},
			{Name: "Mend", Via: "Mending", To: "Running", Else: "Broken"},
			{Name: "Stop", To: "Broken"},
		},
		Rows: []setpoint.Row{
			{In: setpoint.In("New"), Do: "Build", Priority: 9},
			{In: setpoint.In("Running"), When: setpoint.All(leaks), Do: "Stop", Priority: 5},
			{In: setpoint.In("Running"), When: setpoint.All(needsMove), Guard: "mayMove", Do: "Move"},
			{In: setpoint.In("Running"), When: setpoint.All(needsMove), Defer: "it is too large to be moved"},
			{In: setpoint.In("Running"), When: setpoint.All(needsMend), Ignore: "it runs", Priority: 1},
			{In: setpoint.In("Broken"), When: setpoint.All(needsMend), Do: "Mend", Priority: 1},
			{In: setpoint.In("Broken"), When: setpoint.All(needsMove), Defer: "it is broken"},
			{In: setpoint.In("Broken"), When: setpoint.All(leaks), Ignore: "nothing flows", Priority: 3},
			{When: setpoint.All(needsMove, needsMend), Forbid: "it is moved or mended, not both"},
		},
	}
}

func definePump(table setpoint.Decisions) setpoint.Kind[pumpSpec, pumpStatus] {
	return setpoint.MustDefine(setpoint.KindOptions[pumpSpec, pumpStatus]{
		Group: "test.example", Version: "v1", Kind: "Pump", Lifecycle: pumpLife, Decisions: table,
	})
}

var yard = setpoint.Endpoint[part, part]{Adapter: "yard"}

// needs is a step that has something made, which is taken away when the action is not done.
func needs(name string) pumpStep {
	return setpoint.Call(name, yard, func(*pumpRun) *part { return &part{Is: name} }).Absent()
}

// pumpDecider is right.
func pumpDecider() decider {
	return decider{
		Guards: map[setpoint.GuardName]func(*setpoint.Turn, *setpoint.Resource[pumpSpec, pumpStatus]) bool{
			"mayMove": func(_ *setpoint.Turn, p *setpoint.Resource[pumpSpec, pumpStatus]) bool {
				return !p.Spec.Large || p.Status.Moves > 0
			},
		},
		Actions: map[setpoint.ActionName]pumpAction{
			"Build": {Steps: []pumpStep{setpoint.Together[pumpSpec, pumpStatus]("parts", needs("casing"), needs("rotor"))}},
			"Move": {
				Within: 30 * time.Minute,
				Steps: []pumpStep{
					needs("place"),
					setpoint.Choose("how", func(r *pumpRun) string {
						if r.Object.Spec.Large {
							return "slowly"
						}
						return "fast"
					}, setpoint.Ways[pumpSpec, pumpStatus]{"slowly": {needs("crane")}, "fast": {needs("cart")}}),
					needs("pipes"),
				},
				Finish: func(r *pumpRun) { r.Object.Status.Moves++ },
			},
			"Mend": {Steps: []pumpStep{
				setpoint.Call("seal", yard, func(*pumpRun) *part { return &part{Is: "seal"} }).Absent().Retry(setpoint.Retry{Attempts: 3}),
			}},
			"Stop": {},
		},
	}
}

// pumps are right, and come as small ones, large ones, and large ones that have been moved before.
func pumps() fuzzing {
	return fuzzing{
		Kind: definePump(pumpTable()), Decider: pumpDecider(), Variants: 3, Seed: 1,
		Setup: func() setpointtest.Setup {
			return setpointtest.Setup{Adapters: map[command.AdapterName]command.Adapter{"yard": setpointtest.NewSubsystem()}}
		},
		Object: func(c setpointtest.Case) (pumpSpec, pumpStatus) {
			return pumpSpec{Large: c.Variant > 0}, pumpStatus{Moves: max(0, c.Variant-1)}
		},
	}
}

// size is what everyday tests have, or the one for the soak.
func size[T any](short, long T) T {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return long
	}
	return short
}

func TestFuzzFindsNothingInWhatIsRight(t *testing.T) {
	f := pumps()
	f.Cases = size(250, 2000)
	r := setpointtest.Fuzz(t, f)
	t.Log(r)
	r.Require(t)
}
