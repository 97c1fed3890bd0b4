package setpoint

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// What authors name most, under one import. Each is documented where it is defined.
type (
	// Turn is one execution of a controller for one object.
	Turn = control.Turn
	// Outcome is what a turn says about its object.
	Outcome = control.Outcome
	// Controller is a function over objects of a kind, with how it is run.
	Controller = control.Controller
	// Kind is a kind of resource with its Go types.
	Kind[S, T any] = control.Kind[S, T]
	// Resource is an object of a kind, with spec and status decoded.
	Resource[S, T any] = resource.Typed[S, T]
	// KindOptions describe a kind to [MustDefine].
	KindOptions[S, T any] = resource.Options[S, T]
	// Definition is a kind as data.
	Definition = resource.Definition
	// Column is a column of the kind's table.
	Column = resource.Column
	// Endpoint is a typed handle on an adapter.
	Endpoint[Q, R any] = control.Endpoint[Q, R]
	// Effect is where an effect stands.
	Effect[R any] = control.Effect[R]

	// Key addresses an object.
	Key = resource.Key
	// Object is a resource with spec and status as JSON.
	Object = resource.Object
	// Ref points at an object or a command, in a wait.
	Ref = resource.Ref

	// Lifecycle is a kind's state machine.
	Lifecycle = lifecycle.Table
	// State is one of its states.
	State = lifecycle.State

	// Adapter registers an adapter under a name, with its policy.
	Adapter = control.AdapterConfig
	// Policy says how commands are repeated and how many run at once.
	Policy = command.Policy
	// Revision is a position in the one global order of commits.
	Revision = resource.Revision
	// Epoch is a fencing token.
	Epoch = resource.Epoch
	// Entry is a line of an object's history.
	Entry = store.Entry
)

// ErrSignal says that a signal was refused when it was raised.
var ErrSignal = control.ErrSignal

// Define checks a kind and derives its schema from Go types.
func Define[S, T any](o KindOptions[S, T]) (Kind[S, T], error) { return control.Define(o) }

// MustDefine is [Define] for package variables; it panics on an error.
func MustDefine[S, T any](o KindOptions[S, T]) Kind[S, T] { return control.MustDefine(o) }

// To lists the states that may follow, in a [Lifecycle].
func To(states ...State) []State { return lifecycle.To(states...) }

// The outcomes of a turn, and the classes of errors.
var (
	// Done: at the setpoint.
	Done = control.Done
	// After: look again later.
	After = control.After
	// Await: parked until something changes.
	Await = control.Await
	// Fail: the turn failed; the error's class says what follows.
	Fail = control.Fail
	// Terminal marks an error that repeating cannot mend.
	Terminal = control.Terminal
	// Throttled marks an error that lasts until a known moment.
	Throttled = control.Throttled

	// Needs names the siblings that a child needs.
	Needs = control.Needs
	// Labels sets a child's labels.
	Labels = control.Labels
	// At names the destination of an effect.
	At = control.At
	// WhileDeleting keeps an effect while its owner is being deleted.
	WhileDeleting = control.WhileDeleting

	// Workers, TurnDeadline and Backoff tune a controller.
	Workers      = control.Workers
	TurnDeadline = control.TurnDeadline
	Backoff      = control.Backoff

	// Refuse names a field that a validation function does not accept, and why.
	Refuse = resource.Refuse
)
