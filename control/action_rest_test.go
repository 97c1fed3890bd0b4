package control_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// A Lamp asks itself to be mended whenever it looks at itself.
var lamps = setpoint.MustDefine(setpoint.KindOptions[spec, status]{
	Group: group, Version: "v1", Kind: "Lamp",
	Lifecycle: setpoint.Lifecycle{
		{State: "Dark", Stable: true, To: setpoint.To("Mending", "Going")},
		{State: "Mending", To: setpoint.To("Dark", "Going")},
		{State: "Going", Deleting: true, To: setpoint.To("Gone")},
		{State: "Gone", Final: true, Stable: true},
	},
	Decisions: setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: "NeedsMend", About: "mend it"}},
		Actions: []setpoint.ActionStates{{Name: "Mend", Via: "Mending", To: "Dark", Else: "Dark"}},
		Rows:    []setpoint.Row{{In: setpoint.In("Dark"), When: setpoint.All("NeedsMend"), Do: "Mend"}},
	},
})

// TestWhatNobodyAskedForIsTriedEverLater: an action that fails, and that the object's own controller asks for again each time, must not go round as fast as it can.
func TestWhatNobodyAskedForIsTriedEverLater(t *testing.T) {
	var calls atomic.Int64
	refusing := adapter(func(context.Context, command.Call) command.Result {
		calls.Add(1)
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "never"}
	})
	driver := lamps.Decider("lamp", setpoint.Decider[spec, status]{
		Compare: func(t *setpoint.Turn, l *thing) setpoint.Outcome {
			t.Raise(l.Key, "NeedsMend", nil)
			return setpoint.Done()
		},
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
			"Mend": {Steps: []setpoint.Step[spec, status]{setpoint.Call("mend", shop, func(*setpoint.Run[spec, status]) *spec { return &spec{} })}},
		},
	})
	setpointtest.Run(t, setpointtest.Setup{
		Kinds: []*setpoint.Definition{lamps.Definition}, Controllers: []setpoint.Controller{driver},
		Adapters: map[command.AdapterName]command.Adapter{"shop": refusing},
	}, func(w *setpointtest.World) {
		w.Apply(lamps.Definition, "l", spec{})
		time.Sleep(time.Hour)
		w.Settle()
		// 1, 2, 4 … 256 s, then every 300 s: 9 waits in 511 s, and 10 more in what is left of the hour, with the first attempt before them.
		if n := calls.Load(); n < 15 || n > 22 {
			t.Errorf("it was tried %d times within an hour, want about 20", n)
		}
		if o := must(w, lamps.Definition, "l"); o.Last == nil || o.Last.Failures < 15 {
			t.Errorf("the last action is %+v, want its failures counted", o.Last)
		}
		before := calls.Load()
		signal(w, lamps.Definition, "l", "NeedsMend")
		if n := calls.Load(); n != before+1 {
			t.Errorf("an operator's wish made %d calls, want one at once", n-before)
		}
	})
}
