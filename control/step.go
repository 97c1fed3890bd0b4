package control

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Step is one step of an action over objects of a kind: a [Call], a wait ([Wait]), a request to other objects ([Ask]), a change of status ([Set]), or several steps
// joined by [Sequence], [Together], [First] and [Choose].
type Step[S, T any] interface {
	core() *step
	of(S, T) // names the types, so that the functions that join steps can infer them
}

// stepKind tells the kinds of steps apart. The text is part of an action's signature.
type stepKind string

const (
	stepCall     stepKind = "call"
	stepWait     stepKind = "wait"
	stepAsk      stepKind = "ask"
	stepSet      stepKind = "set"
	stepSequence stepKind = "sequence"
	stepTogether stepKind = "together"
	stepFirst    stepKind = "first"
	stepChoose   stepKind = "choose"
)

// step is a step without its types.
type step struct {
	name string
	kind stepKind

	adapter           command.AdapterName
	unit              func(key string) string
	request, undo     func(*run) ([]byte, error)
	key, destination  func(*run) string
	retry             Retry
	within, lookAgain time.Duration

	until  func(*run) bool
	set    func(*run)
	unset  func(*run)
	choose func(*run) string
	ways   map[string][]*step
	asked  func(*run) []resource.Key
	signal lifecycle.SignalName
	about  func(*run, resource.Key) any

	steps []*step
}

// cores strips steps of their types.
func cores[S, T any](steps []Step[S, T]) []*step {
	out := make([]*step, len(steps))
	for i, s := range steps {
		if s != nil {
			out[i] = s.core()
		}
	}
	return out
}

// CallStep is a command to a subsystem. Make one with [Call].
type CallStep[S, T, Q, R any] struct{ s step }

func (c CallStep[S, T, Q, R]) core() *step { return &c.s }
func (CallStep[S, T, Q, R]) of(S, T)       {}

// Call asks a subsystem for something, and is done when it has answered that it is done. The request is computed once, in the turn that makes the step current, and stored;
// nil asks for absence. Its natural key is "<namespace>/<name>.<action>.<step>" unless [CallStep.Key] names another.
func Call[S, T, Q, R any](name string, e Endpoint[Q, R], request func(*Run[S, T]) *Q) CallStep[S, T, Q, R] {
	return CallStep[S, T, Q, R]{step{name: name, kind: stepCall, adapter: e.Adapter, unit: e.Unit, request: encoding(request)}}
}

func encoding[S, T, Q any](request func(*Run[S, T]) *Q) func(*run) ([]byte, error) {
	if request == nil {
		return nil
	}
	return func(r *run) ([]byte, error) {
		q := request(runOf[S, T](r))
		if q == nil || r.refusal != "" {
			return nil, nil
		}
		b, err := json.Marshal(q)
		if err != nil {
			return nil, fmt.Errorf("the request cannot be encoded: %w", err)
		}
		return b, nil
	}
}

// Undo makes good what the step did: it is sent, under the same natural key and a higher intent, when the action fails at a later step, is canceled or makes way. It is
// sent also when nobody knows whether the step had an effect, and is repeated until it is done. Nil asks for absence.
func (c CallStep[S, T, Q, R]) Undo(request func(*Run[S, T]) *Q) CallStep[S, T, Q, R] {
	c.s.undo = encoding(request)
	return c
}

// Absent is an Undo that asks for absence.
func (c CallStep[S, T, Q, R]) Absent() CallStep[S, T, Q, R] {
	c.s.undo = func(*run) ([]byte, error) { return nil, nil }
	return c
}

// Key sets the natural key of the effect. It is computed with the request.
func (c CallStep[S, T, Q, R]) Key(key func(*Run[S, T]) string) CallStep[S, T, Q, R] {
	c.s.key = func(r *run) string { return key(runOf[S, T](r)) }
	return c
}

// At sets the destination behind the adapter. It is computed with the request.
func (c CallStep[S, T, Q, R]) At(destination func(*Run[S, T]) string) CallStep[S, T, Q, R] {
	c.s.destination = func(r *run) string { return destination(runOf[S, T](r)) }
	return c
}

// Within fails the step when it takes longer.
func (c CallStep[S, T, Q, R]) Within(d time.Duration) CallStep[S, T, Q, R] {
	c.s.within = d
	return c
}

// Retry says how long the step is tried.
func (c CallStep[S, T, Q, R]) Retry(retry Retry) CallStep[S, T, Q, R] {
	c.s.retry = retry
	return c
}

// WaitStep is a wait. Make one with [Wait].
type WaitStep[S, T any] struct{ s step }

func (w WaitStep[S, T]) core() *step { return &w.s }
func (WaitStep[S, T]) of(S, T)       {}

// Wait waits until something holds. It is asked again when something changes that it read.
func Wait[S, T any](name string, holds func(*Run[S, T]) bool) WaitStep[S, T] {
	s := step{name: name, kind: stepWait}
	if holds != nil {
		s.until = func(r *run) bool { return holds(runOf[S, T](r)) }
	}
	return WaitStep[S, T]{s}
}

// Within fails the step when it takes longer.
func (w WaitStep[S, T]) Within(d time.Duration) WaitStep[S, T] {
	w.s.within = d
	return w
}

// Every asks also when so much time has passed: for what time alone brings about.
func (w WaitStep[S, T]) Every(d time.Duration) WaitStep[S, T] {
	w.s.lookAgain = d
	return w
}

// AskStep is a request to other objects. Make one with [Ask].
type AskStep[S, T any] struct{ s step }

func (a AskStep[S, T]) core() *step { return &a.s }
func (AskStep[S, T]) of(S, T)       {}

// Ask raises a signal on other objects, usually children, and is done when each of them has served it: when the action that it led to has succeeded, or their tables
// have ignored it. It fails when one of these actions does not succeed, when a signal is refused or expires, and when an object is gone.
func Ask[S, T any](name string, whom func(*Run[S, T]) []resource.Key, signal lifecycle.SignalName) AskStep[S, T] {
	s := step{name: name, kind: stepAsk, signal: signal}
	if whom != nil {
		s.asked = func(r *run) []resource.Key { return whom(runOf[S, T](r)) }
	}
	return AskStep[S, T]{s}
}

// About is the payload of the signal to each of the objects: it is encoded as JSON.
func (a AskStep[S, T]) About(payload func(*Run[S, T], resource.Key) any) AskStep[S, T] {
	a.s.about = func(r *run, key resource.Key) any { return payload(runOf[S, T](r), key) }
	return a
}

// Within fails the step when it takes longer.
func (a AskStep[S, T]) Within(d time.Duration) AskStep[S, T] {
	a.s.within = d
	return a
}

// joint is a step of steps.
type joint[S, T any] struct{ s step }

func (j joint[S, T]) core() *step { return &j.s }
func (joint[S, T]) of(S, T)       {}

// SetStep is a change of what is declared. Make one with [Set].
type SetStep[S, T any] struct{ s step }

func (s SetStep[S, T]) core() *step { return &s.s }
func (SetStep[S, T]) of(S, T)       {}

// Set changes the object's status, or declares children, once, in the commit that comes by.
func Set[S, T any](name string, change func(*Run[S, T])) SetStep[S, T] {
	s := step{name: name, kind: stepSet}
	if change != nil {
		s.set = func(r *run) { change(runOf[S, T](r)) }
	}
	return SetStep[S, T]{s}
}

// Undo takes the change back when the action is undone. Without it what was set stays.
func (s SetStep[S, T]) Undo(change func(*Run[S, T])) SetStep[S, T] {
	s.s.unset = func(r *run) { change(runOf[S, T](r)) }
	return s
}

// Sequence does steps one after the other: for the branches of [Together] and [First].
func Sequence[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return joint[S, T]{step{name: name, kind: stepSequence, steps: cores(steps)}}
}

// Together does steps at the same time, and is done when all are. It fails with the first that fails.
func Together[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return joint[S, T]{step{name: name, kind: stepTogether, steps: cores(steps)}}
}

// First does steps at the same time, and is done when one of them is and the others are undone. It fails when all have failed.
func First[S, T any](name string, steps ...Step[S, T]) Step[S, T] {
	return joint[S, T]{step{name: name, kind: stepFirst, steps: cores(steps)}}
}

// Ways are the branches of a [Choose], by name. A branch may be empty.
type Ways[S, T any] map[string][]Step[S, T]

// Choose takes one of several ways. Which one is decided when the step is reached, and stored: it is not decided again.
func Choose[S, T any](name string, choose func(*Run[S, T]) string, ways Ways[S, T]) Step[S, T] {
	s := step{name: name, kind: stepChoose, ways: map[string][]*step{}}
	if choose != nil {
		s.choose = func(r *run) string { return choose(runOf[S, T](r)) }
	}
	for way, steps := range ways {
		s.ways[way] = cores(steps)
	}
	return joint[S, T]{s}
}
