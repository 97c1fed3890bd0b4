package main

import (
	"encoding/json"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
)

// Group is the API group of the node's own kinds.
const Group = "test.example"

// OrderSpec asks for one effect. Mode says what goes wrong with it in the controller: "" nothing, "panic", "hang". The value "drop" makes the adapter panic, and "malformed" is
// refused by the subsystem. Via is the adapter, by default "machines".
type OrderSpec struct {
	Value string `json:"value"`
	Mode  string `json:"mode,omitempty"`
	Via   string `json:"via,omitempty"`
}

// OrderStatus says what the subsystem has.
type OrderStatus struct {
	Seen string `json:"seen,omitempty"`
}

// OldStatus is what an earlier version of the program wrote: the current one cannot read it.
type OldStatus struct {
	Seen []string `json:"seen,omitempty"`
}

// request is what a machine is asked.
type request struct {
	Value string `json:"value"`
}

var machines = setpoint.Endpoint[request, json.RawMessage]{Adapter: "machines"}

// orders is the kind Order, in the current version of the program or in the earlier one.
func orders(old bool, m *mishaps) (*setpoint.Definition, setpoint.Controller) {
	if old {
		return ordersWith(m, func(s *OldStatus, value string) { s.Seen = []string{value} })
	}
	return ordersWith(m, func(s *OrderStatus, value string) { s.Seen = value })
}

func ordersWith[T any](m *mishaps, note func(*T, string)) (*setpoint.Definition, setpoint.Controller) {
	kind := setpoint.MustDefine(setpoint.KindOptions[OrderSpec, T]{Group: Group, Version: "v1", Kind: "Order"})
	return kind.Definition, kind.Driver("order", func(t *setpoint.Turn, o *setpoint.Resource[OrderSpec, T]) setpoint.Outcome {
		m.wait()
		switch o.Spec.Mode {
		case "panic":
			panic("an order that cannot be stood")
		case "hang":
			select {}
		}
		to := machines
		if o.Spec.Via != "" {
			to.Adapter = command.AdapterName(o.Spec.Via)
		}
		effect := to.Ensure(t, t.NaturalKey(), &request{Value: o.Spec.Value})
		if effect.Done() {
			note(&o.Status, o.Spec.Value)
		}
		return effect.Outcome()
	}, setpoint.Workers(8), setpoint.TurnDeadline(500*time.Millisecond), setpoint.Backoff(100*time.Millisecond, 2*time.Second))
}

// RegisterSpec is a value that users write. Nobody drives registers.
type RegisterSpec struct {
	Value string `json:"value"`
}

// registers is the kind Register.
var registers = setpoint.MustDefine(setpoint.KindOptions[RegisterSpec, struct{}]{Group: Group, Version: "v1", Kind: "Register"})

// The states of a job.
const (
	Idle    setpoint.State = "Idle"
	Working setpoint.State = "Working"
	Broken  setpoint.State = "Broken"
	Closing setpoint.State = "Closing"
	Closed  setpoint.State = "Closed"
)

// NeedsWork asks a job for a run of its action, whose steps are calls.
const NeedsWork setpoint.SignalName = "NeedsWork"

// JobSteps are the steps of a run, in order.
var JobSteps = []string{"check", "stop", "copy", "start", "point"}

// JobSpec is nothing: jobs run when they are asked to.
type JobSpec struct{}

// JobStatus counts the runs.
type JobStatus struct {
	Runs int `json:"runs,omitempty"`
}

type jobRun = setpoint.Run[JobSpec, JobStatus]

// jobs is the kind Job: what a managed database is to the plane, without a database.
func jobs(m *mishaps) (*setpoint.Definition, setpoint.Controller) {
	kind := setpoint.MustDefine(setpoint.KindOptions[JobSpec, JobStatus]{
		Group: Group, Version: "v1", Kind: "Job",
		Lifecycle: setpoint.Lifecycle{
			{State: Idle, Healthy: true, Stable: true, To: setpoint.To(Working, Closing)},
			{State: Working, To: setpoint.To(Idle, Broken, Closing)},
			{State: Broken, Stable: true, To: setpoint.To(Working, Closing)},
			{State: Closing, Deleting: true, To: setpoint.To(Closed)},
			{State: Closed, Final: true, Stable: true},
		},
		Decisions: setpoint.Decisions{
			Signals: []setpoint.Signal{{Name: NeedsWork, About: "run it once"}},
			Actions: []setpoint.ActionStates{{Name: "Work", Via: Working, To: Idle, Else: Broken}},
			Rows:    []setpoint.Row{{In: setpoint.In(Idle, Broken), When: setpoint.All(NeedsWork), Do: "Work"}},
		},
	})
	var steps []setpoint.Step[JobSpec, JobStatus]
	for _, name := range JobSteps {
		steps = append(steps, setpoint.Call(name, machines, func(r *jobRun) *request {
			m.wait()
			return &request{Value: name}
		}))
	}
	return kind.Definition, kind.Decider("job", setpoint.Decider[JobSpec, JobStatus]{
		Actions: map[setpoint.ActionName]setpoint.Action[JobSpec, JobStatus]{
			"Work": {Steps: steps, Finish: func(r *jobRun) { r.Object.Status.Runs++ }},
		},
	}, setpoint.Workers(16), setpoint.TurnDeadline(500*time.Millisecond))
}
