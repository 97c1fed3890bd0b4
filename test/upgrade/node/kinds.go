package main

import (
	"encoding/json"

	"github.com/setpointhq/setpoint"
)

// Group is the API group of all kinds here.
const Group = "upgrade.example"

// request is what the machines are asked.
type request struct {
	Value string `json:"value"`
}

// machines is the subsystem.
var machines = setpoint.Endpoint[request, json.RawMessage]{Adapter: "machines"}

// RunStatus counts the runs of an action that have ended well.
type RunStatus struct {
	Runs int `json:"runs,omitempty"`
}

// The states of what runs an action when it is asked to.
const (
	Idle    setpoint.State = "Idle"
	Running setpoint.State = "Running"
	Broken  setpoint.State = "Broken"
	Closing setpoint.State = "Closing"
	Closed  setpoint.State = "Closed"
)

// NeedsRun asks for a run.
const NeedsRun setpoint.SignalName = "NeedsRun"

// runner makes a kind whose objects run an action of these steps when they are asked to, and its controller.
func runner[S any](name string, steps []setpoint.Step[S, RunStatus]) (*setpoint.Definition, setpoint.Controller) {
	kind := setpoint.MustDefine(setpoint.KindOptions[S, RunStatus]{
		Group: Group, Version: "v1", Kind: name,
		Lifecycle: setpoint.Lifecycle{
			{State: Idle, Healthy: true, Stable: true, To: setpoint.To(Running, Closing)},
			{State: Running, To: setpoint.To(Idle, Broken, Closing)},
			{State: Broken, Stable: true, To: setpoint.To(Running, Closing)},
			{State: Closing, Deleting: true, To: setpoint.To(Closed)},
			{State: Closed, Final: true, Stable: true},
		},
		Decisions: setpoint.Decisions{
			Signals: []setpoint.Signal{{Name: NeedsRun, About: "run it once"}},
			Actions: []setpoint.ActionStates{{Name: "Run", Via: Running, To: Idle, Else: Broken}},
			Rows:    []setpoint.Row{{In: setpoint.In(Idle, Broken), When: setpoint.All(NeedsRun), Do: "Run"}},
		},
	})
	return kind.Definition, kind.Decider(name, setpoint.Decider[S, RunStatus]{
		Actions: map[setpoint.ActionName]setpoint.Action[S, RunStatus]{
			"Run": {Steps: steps, Finish: func(r *setpoint.Run[S, RunStatus]) { r.Object.Status.Runs++ }},
		},
	}, setpoint.Workers(16))
}

// call is a step that the machines do.
func call[S any](name string) setpoint.Step[S, RunStatus] {
	return setpoint.Call(name, machines, func(*setpoint.Run[S, RunStatus]) *request { return &request{Value: name} })
}

// JobSpec is nothing: a job runs when it is asked to.
type JobSpec struct{}

// jobSteps are the same in both versions.
var jobSteps = []setpoint.Step[JobSpec, RunStatus]{call[JobSpec]("check"), call[JobSpec]("stop"), call[JobSpec]("copy"), call[JobSpec]("start"), call[JobSpec]("point")}

// RegisterSpec is a value that users write. Nobody drives registers.
type RegisterSpec struct {
	Value int `json:"value"`
}

// registers is the kind Register.
var registers = setpoint.MustDefine(setpoint.KindOptions[RegisterSpec, struct{}]{Group: Group, Version: "v1", Kind: "Register"})

// parts are the kinds and their controllers.
func parts() ([]*setpoint.Definition, []setpoint.Controller) {
	job, driveJob := runner("Job", jobSteps)
	move, driveMove := runner("Move", moveSteps)
	return []*setpoint.Definition{orders.Definition, registers.Definition, job, move}, []setpoint.Controller{driveOrders, driveJob, driveMove}
}
