package main

import "github.com/setpointhq/setpoint"

// MoveSpec says whether what has been prepared may be finished.
type MoveSpec struct {
	Go bool `json:"go,omitempty"`
}

var moveSteps = []setpoint.Step[MoveSpec, RunStatus]{
	call[MoveSpec]("prepare"),
	setpoint.Wait("hold", func(r *setpoint.Run[MoveSpec, RunStatus]) bool { return r.Object.Spec.Go }),
	call[MoveSpec]("finish"),
}
