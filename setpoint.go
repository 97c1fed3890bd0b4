package setpoint

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
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

	// Decisions is a kind's decision table: which action follows which signals, in which state.
	Decisions = decide.Table
	// Signal is one that a kind knows.
	Signal = decide.Signal
	// Row is one rule of a decision table.
	Row = decide.Row
	// ActionStates are the states that an action goes through, for the decision table.
	ActionStates = decide.Action
	// SignalName, ActionName and GuardName are what the table's words are.
	SignalName = lifecycle.SignalName
	ActionName = decide.ActionName
	GuardName  = decide.GuardName
	// Decider is the code beside a decision table.
	Decider[S, T any] = control.Decider[S, T]
	// Action is what an action does, step by step.
	Action[S, T any] = control.Action[S, T]
	// Run is one run of an action, as its steps see it.
	Run[S, T any] = control.Run[S, T]
	// Step is one step of an action.
	Step[S, T any] = control.Step[S, T]
	// Ways are the branches of a [Choose].
	Ways[S, T any] = control.Ways[S, T]
	// Retry is how long a step is tried.
	Retry = control.Retry

	// Key addresses an object; Name and Namespace are parts of it.
	Key       = resource.Key
	Name      = resource.Name
	Namespace = resource.Namespace
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
	// On points at an object, for Await.
	On = control.Ref
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

	// Because, About and For refine a signal that a turn raises: why, what about, and for how long.
	Because = control.Because
	About   = control.About
	For     = control.For

	// Workers, TurnDeadline, Backoff and Everywhere tune a controller.
	Workers      = control.Workers
	Everywhere   = control.Everywhere
	TurnDeadline = control.TurnDeadline
	Backoff      = control.Backoff

	// Refuse names a field that a validation function does not accept, and why.
	Refuse = resource.Refuse
)

// Call asks a subsystem for something, as a step of an action.
func Call[S, T, Q, R any](name string, e Endpoint[Q, R], request func(*Run[S, T]) *Q) control.CallStep[S, T, Q, R] {
	return control.Call(name, e, request)
}

// Wait is a step that waits until something holds.
func Wait[S, T any](name string, holds func(*Run[S, T]) bool) control.WaitStep[S, T] {
	return control.Wait(name, holds)
}

// Ask is a step that raises a signal on other objects, and waits until each has served it.
func Ask[S, T any](name string, whom func(*Run[S, T]) []Key, signal SignalName) control.AskStep[S, T] {
	return control.Ask(name, whom, signal)
}

// Set is a step that changes the object's status, or declares children.
func Set[S, T any](name string, change func(*Run[S, T])) control.SetStep[S, T] {
	return control.Set(name, change)
}

// Sequence does steps one after the other.
func Sequence[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return control.Sequence(name, steps...)
}

// Together does steps at the same time, and is done when all are.
func Together[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return control.Together(name, steps...)
}

// First does steps at the same time, and is done when one of them is and the others are undone.
func First[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return control.First(name, steps...)
}

// Choose takes one of several ways.
func Choose[S, T any](name string, choose func(*Run[S, T]) string, ways Ways[S, T]) Step[S, T] {
	return control.Choose(name, choose, ways)
}

// In lists states, All is met when these signals stand: the words of a row.
func In(states ...State) []State                   { return decide.In(states...) }
func All(signals ...SignalName) decide.Combination { return decide.All(signals...) }
