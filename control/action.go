package control

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Decider is the code beside a kind's decision table: what its actions do, and how its guards are answered. Which action is for which signals, in which state, and
// where it leads, is data, and stands in the table ([resource.Options].Decisions).
type Decider[S, T any] struct {
	// Compare keeps what the object has besides its actions: children, effects, status. It runs in every turn in which no action is under way, and its outcome is
	// the object's. It may move the object among the states that the table lists as Moved. While it fails the table is not asked; for what should not keep an action from
	// beginning, it returns Await. Nil compares nothing and is always Done.
	Compare func(*Turn, *resource.Typed[S, T]) Outcome
	// Actions has an entry for each action of the table; the zero Action only moves the object.
	Actions map[decide.ActionName]Action[S, T]
	// Guards has an entry for each guard of the table. A guard is pure, and sees the object as Compare has left it.
	Guards map[decide.GuardName]func(*Turn, *resource.Typed[S, T]) bool
}

// Action is what an action does, step by step. Each step begins in the commit in which the one before it ends, and where it stands is stored with the object: whoever
// takes over goes on there. When all are done, the object goes to the state To of the table, and the signals that were read are consumed,
// by one commit. When a step fails, those that were begun are undone, the last one first, and the object goes to the state Else.
type Action[S, T any] struct {
	Steps []Step[S, T]
	// Within is how long the action may take before it is undone; 0 is as long as it takes.
	Within time.Duration
	// Finish, when set, is called for the commit that ends the action well: it may set the object's status. When it refuses, the action is undone instead.
	Finish func(*Run[S, T])
}

// Run is one run of an action, as the functions of its steps see it. They are pure, as turns are: what they compute is stored before it is sent, and never
// computed again.
type Run[S, T any] struct {
	// Object is a copy. [Set] and [Action].Finish may change its Status; nothing else should change anything.
	Object *resource.Typed[S, T]
	run    *run
}

// Turn is the turn that the step is computed in: for reading other objects, and for the time. [Set] and [Action].Finish may also declare children in it.
func (r *Run[S, T]) Turn() *Turn { return r.run.t }

// Result decodes the answer that a step of this run got, and reports whether there is one.
func (r *Run[S, T]) Result(step string, into any) bool {
	s := r.run.a.Step(step)
	if s == nil || s.Phase != resource.StepDone || len(s.Result) == 0 {
		return false
	}
	if err := json.Unmarshal(s.Result, into); err != nil {
		r.Refuse("the answer of step %s does not fit %T: %v", step, into, err)
		return false
	}
	return true
}

// Began reports whether a step of this run has begun: what it asks for may have been done, also when it failed.
func (r *Run[S, T]) Began(step string) bool { return r.run.a.Step(step) != nil }

// Signals are those that the action read when it began, oldest first, as far as they still stand.
func (r *Run[S, T]) Signals() []store.Signal { return r.run.signals() }

// Refuse makes the step fail, with a reason, instead of being sent: the action is undone. What a [Set] or Finish has changed of the status by then stays. An undo that
// refuses makes the action stuck: it is computed again when somebody raises Retry, or something changes that it has read.
func (r *Run[S, T]) Refuse(format string, args ...any) {
	if r.run.refusal == "" {
		r.run.refusal = clip(fmt.Sprintf(format, args...))
	}
}

// Retry is how long a step is tried, as data. The zero Retry leaves it to the policy of the adapter, which, when it is used up, makes the action stuck: paused, and
// visible, until an operator raises Retry, Cancel or Abandon. What an adapter refuses for good fails the step at once.
type Retry struct {
	// Attempts and For fail the step after so many attempts, and when it has been tried for so long; 0 has no limit.
	Attempts int
	For      time.Duration
	// Final lists further classes of answers after which repeating is not worth it: [command.Throttled] where there is no capacity, for example.
	Final []command.Class
	// Tell sets the object's condition Delayed, which people are alerted to, when the step has been tried for so long; 0 never does.
	Tell time.Duration
}

// Decider makes the driver of a kind that has a decision table. Faults in how code and table fit together are reported by [New].
func (k Kind[S, T]) Decider(name string, d Decider[S, T], opts ...ControllerOption) Controller {
	core := &decider{def: k.Definition, plans: map[decide.ActionName]*plan{}, guards: map[decide.GuardName]func(*run) bool{}}
	if d.Compare != nil {
		core.compare = func(r *run) Outcome { return d.Compare(r.t, typedOf[S, T](r)) }
	}
	for name, guard := range d.Guards {
		if guard != nil {
			core.guards[name] = func(r *run) bool { return guard(r.t, typedOf[S, T](r)) }
		}
	}
	for name, a := range d.Actions {
		core.plans[name] = planOf(name, a)
	}
	core.decode = func(t *Turn) (any, error) { return resource.Decode[S, T](t.next) }
	core.encode = func(object any) ([]byte, error) { return json.Marshal(&object.(*resource.Typed[S, T]).Status) }
	c := newController(name, k.Definition, true, core.turn, opts)
	c.err, c.adapters = core.check(), core.adapters()
	return c
}

func typedOf[S, T any](r *run) *resource.Typed[S, T] { return r.object.(*resource.Typed[S, T]) }

// runOf is a run as an author's function sees it.
func runOf[S, T any](r *run) *Run[S, T] { return &Run[S, T]{Object: typedOf[S, T](r), run: r} }

func planOf[S, T any](name decide.ActionName, a Action[S, T]) *plan {
	p := &plan{name: name, within: a.Within, byName: map[string]*step{}}
	p.steps = cores(a.Steps)
	if a.Finish != nil {
		p.finish = func(r *run) { a.Finish(runOf[S, T](r)) }
	}
	return p
}
