package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// The kind of these tests: an Engine is built by itself, and tuned when somebody asks for it.
var engineLife = setpoint.Lifecycle{
	{State: "New", To: setpoint.To("Building", "Scrapping")},
	{State: "Building", To: setpoint.To("Running", "Broken", "Scrapping")},
	{State: "Running", Healthy: true, Stable: true, To: setpoint.To("Tuning", "Broken", "Scrapping")},
	{State: "Tuning", Budget: time.Hour, To: setpoint.To("Running", "Broken", "Scrapping")},
	{State: "Broken", Stable: true, To: setpoint.To("Building", "Scrapping")},
	{State: "Scrapping", Deleting: true, To: setpoint.To("Scrapped")},
	{State: "Scrapped", Final: true, Stable: true},
}

const (
	needsTuning setpoint.SignalName = "NeedsTuning"
	needsRepair setpoint.SignalName = "NeedsRepair"
	fire        setpoint.SignalName = "Fire"
)

var engineTable = setpoint.Decisions{
	Signals: []setpoint.Signal{{Name: needsTuning, About: "tune it"}, {Name: needsRepair, About: "mend it"}, {Name: fire, About: "it burns"}},
	Actions: []setpoint.ActionStates{
		{Name: "Build", Via: "Building", To: "Running", Else: "Broken"},
		{Name: "Tune", Via: "Tuning", To: "Running", Else: "Broken", Yield: []setpoint.SignalName{fire}},
		{Name: "Break", To: "Broken"},
	},
	Rows: []setpoint.Row{
		{In: setpoint.In("New"), Do: "Build", Priority: 1},
		{In: setpoint.In("New", "Broken"), When: setpoint.All(fire), Ignore: "there is nothing to burn", Priority: 5},
		{In: setpoint.In("Running"), When: setpoint.All(needsTuning), Do: "Tune"},
		{In: setpoint.In("Running"), When: setpoint.All(fire), Do: "Break", Priority: 9},
		{In: setpoint.In("New", "Running"), When: setpoint.All(needsRepair), Ignore: "it runs", Priority: 5},
		{In: setpoint.In("Broken"), When: setpoint.All(needsRepair), Do: "Build", Priority: 1},
		{In: setpoint.In("Broken"), When: setpoint.All(needsTuning), Defer: "it is broken"},
	},
}

var engineKind = setpoint.MustDefine(setpoint.KindOptions[spec, status]{
	Group: group, Version: "v1", Kind: "Engine", Lifecycle: engineLife, Decisions: engineTable,
})

type engineRun = setpoint.Run[spec, status]

// ask is a step that asks the shop for something, and takes it back.
func ask(name string) setpoint.Step[spec, status] {
	return setpoint.Call(name, shop, func(r *engineRun) *spec { return &spec{Value: name} }).Absent()
}

// driver drives engines with these steps of Tune.
func driver(tune ...setpoint.Step[spec, status]) setpoint.Controller {
	return engineKind.Decider("engine", setpoint.Decider[spec, status]{
		Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{
			"Build": {}, "Break": {},
			"Tune": {Steps: tune, Finish: func(r *engineRun) { r.Object.Status.Runs++ }},
		},
	})
}

func engineSetup(s command.Adapter, tune ...setpoint.Step[spec, status]) setpointtest.Setup {
	return setpointtest.Setup{
		Kinds: []*setpoint.Definition{engineKind.Definition}, Controllers: []setpoint.Controller{driver(tune...)},
		Adapters: map[command.AdapterName]command.Adapter{"shop": s},
	}
}

// built makes an engine that runs.
func built(w *setpointtest.World) {
	w.T.Helper()
	w.Apply(engineKind.Definition, "e", spec{})
	w.Settle()
	if o := must(w, engineKind.Definition, "e"); o.State != "Running" || !o.Ready() {
		w.T.Fatalf("the engine is %s, ready %t: %s", o.State, o.Ready(), waits(o))
	}
}

// transitions lists the states that an object went through, and why.
func transitions(w *setpointtest.World, def *setpoint.Definition, name string) string {
	w.T.Helper()
	entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: def.Key("default", resource.Name(name))})
	if err != nil {
		w.T.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if e.Type == store.EntryTransition {
			all = append(all, string(e.To)+"("+e.Reason+")")
		}
	}
	return strings.Join(all, " ")
}

func TestAnActionGoesThroughItsStepsInOneCommitEach(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, engineSetup(sub, ask("one"), ask("two"), ask("three"), ask("four"), ask("five")), func(w *setpointtest.World) {
		built(w)
		before := len(w.Commits())
		signal(w, engineKind.Definition, "e", string(needsTuning))
		o := must(w, engineKind.Definition, "e")
		if o.State != "Running" || o.Action != nil || len(o.Signals) != 0 || !o.Ready() {
			t.Fatalf("afterwards: state %s, action %+v, signals %+v, %s", o.State, o.Action, o.Signals, waits(o))
		}
		if o.Last == nil || o.Last.Outcome != resource.OutcomeSucceeded {
			t.Errorf("the last action ended as %+v", o.Last)
		}
		if n := len(w.Commits()) - before; n != 1+1+5 {
			t.Errorf("an action of five steps took %d commits, want one for the signal, one to begin and one for each step:\n%s", n, commits(w, before))
		}
		var steps []string
		for _, e := range sub.Ledger() {
			steps = append(steps, e.Key)
		}
		if got, want := strings.Join(steps, " "), "default/e.Tune.one default/e.Tune.two default/e.Tune.three default/e.Tune.four default/e.Tune.five"; got != want {
			t.Errorf("the shop had %s", got)
		}
		if got, want := transitions(w, engineKind.Definition, "e"), "Building(Build) Running(BuildSucceeded) Tuning(Tune) Running(TuneSucceeded)"; got != want {
			t.Errorf("it went %s, want %s", got, want)
		}
	})
}

// commits describes what was committed since the n'th.
func commits(w *setpointtest.World, n int) string {
	var b strings.Builder
	for _, c := range w.Commits()[n:] {
		b.WriteString(c.Writer.Name + ": " + c.Cause.Text)
		for _, o := range c.Objects {
			b.WriteString(" object " + string(o.Object.State) + " " + waits(o.Object))
		}
		for _, x := range c.Commands {
			b.WriteString(" command " + x.Command.Key + " " + string(x.Command.Phase))
			if x.Delete {
				b.WriteString(" removed")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
