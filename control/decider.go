package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// decider is a decision table at work: the compare of a driver whose compare is data.
type decider struct {
	def     *resource.Definition
	compare func(*run) Outcome
	plans   map[decide.ActionName]*plan
	guards  map[decide.GuardName]func(*run) bool
	decode  func(*Turn) (any, error)
	encode  func(any) ([]byte, error)
}

// run is one turn of a decider, with the action that is under way, if one is.
type run struct {
	t       *Turn
	d       *decider
	compare func(*run) Outcome
	object  any // a *resource.Typed of the kind
	a       *resource.Action
	plan    *plan
	act     decide.Action

	// refusal is what a function of the author's has said against its own step, until that is noted.
	refusal string
	// yield is a standing signal that pre-empts the action, and deferred is why signals are left standing.
	yield    lifecycle.SignalName
	deferred decide.Decision
	// ended is set when an action has ended in this turn, and touched when a function was called that may change the status.
	ended, touched bool
	// tell is set when a human should know that a step takes long.
	tell string
	// unmet is set when a Wait has been asked in vain, and news when a step has been done.
	unmet, news bool
	// note is what the action waits for, in words, on what it does so, and by which class of error it is held up.
	note  string
	on    []resource.Ref
	class command.Class
}

// turn is what the driver's controller runs. When the compare stumbles in the turn in which an action ends, the action ends all the same: the turn
// is computed again without the compare, which comes with the next.
func (d *decider) turn(t *Turn) Outcome {
	outcome, ended := d.once(t, d.compare)
	if ended && !t.began && (unsound(outcome) || t.problem != nil) {
		t.forgive()
		outcome, _ = d.once(t, func(r *run) Outcome {
			r.t.again = true
			return Await("Comparing", "an action has ended, and what the object has besides is looked at next")
		})
	}
	return outcome
}

// unsound reports whether nothing can be built on an outcome.
func unsound(o Outcome) bool { return o.kind == outcomeFail || o.kind == outcomeInvalid }

// once computes the turn, and reports whether an action has ended in it.
func (d *decider) once(t *Turn, compare func(*run) Outcome) (outcome Outcome, ended bool) {
	object, err := d.decode(t)
	if err != nil {
		return Fail(Terminal(fmt.Errorf("%s: %w", t.stored.Key, err))), false
	}
	r := &run{t: t, d: d, compare: compare, object: object}
	outcome = r.outcome()
	if outcome.kind != outcomeFail && (r.touched || len(t.next.Status) == 0) {
		status, err := d.encode(object)
		if err != nil {
			return Fail(Terminal(fmt.Errorf("%s: the status cannot be encoded: %w", t.stored.Key, err))), r.ended
		}
		t.next.Status = status
	}
	t.show = r.showSignals
	return outcome, r.ended
}

// outcome is that of the action that is under way, and, when there is none, what the compare says and the table makes of it.
func (r *run) outcome() Outcome {
	r.resume()
	r.orders()
	if r.a != nil && !r.advance() {
		return r.acting()
	}
	outcome := r.compared()
	if unsound(outcome) || r.t.stored.Deleting() {
		return outcome
	}
	return r.decide(outcome)
}

// compared runs the compare. A panic in it must not cost an action its end either.
func (r *run) compared() (o Outcome) {
	if r.compare == nil {
		return Done()
	}
	r.touched = true
	if r.ended {
		defer func() {
			if p := recover(); p != nil {
				o = Fail(fmt.Errorf("panic in the compare: %v", p))
			}
		}()
	}
	return r.compare(r)
}

// resume takes up the action that is stored.
func (r *run) resume() {
	if r.t.next.Action == nil {
		return
	}
	r.take(r.t.next.Action)
	if !r.paused() {
		r.a.Halt, r.a.Halted = "", "" // found again, if it is still so
	}
	if r.t.stored.Deleting() && r.a.Phase == resource.ActionRunning {
		r.turnBack(resource.OutcomeCanceled, "the object is being deleted")
	}
}

// take makes an action the one that this turn is about. The slots of its commands are not to be withdrawn.
func (r *run) take(a *resource.Action) {
	r.a, r.plan = a, r.d.plans[decide.ActionName(a.Name)]
	act, known := r.d.def.Decisions.Action(decide.ActionName(a.Name))
	if !known && r.d.def.Lifecycle.Allows(r.t.stored.State, a.From) {
		act.Else = a.From // the table has forgotten it: back to where it came from
	}
	r.act = act
	for i := range a.Steps {
		if slot := r.slot(&a.Steps[i]); slot.Key != "" {
			r.t.effects.declared = append(r.t.effects.declared, slot)
		}
	}
}

func (r *run) slot(s *resource.ActionStep) command.Slot {
	return command.Slot{Owner: r.t.stored.UID, Adapter: command.AdapterName(s.Adapter), Key: s.Key}
}

// decide asks the table until it has nothing more to say, and begins what it says.
func (r *run) decide(outcome Outcome) Outcome {
	for {
		signals := r.standing()
		d := decide.Fire(r.d.def.Lifecycle, r.d.def.Decisions, r.t.next.State, signals, r.guard)
		switch d.Verb {
		case decide.Ignore:
			r.serve(r.read(d.Read), resource.OutcomeSucceeded, "ignored: "+d.Reason)
			r.t.Event("SignalIgnored", "%v: %s", d.Read, d.Reason)
			continue
		case decide.Defer:
			r.deferred = d
		case decide.Do:
			if r.t.next.State != r.t.stored.State || r.ended {
				r.t.again = true // one transition, and one end of an action, is enough for a commit
				return outcome
			}
			if r.rests(d) {
				return outcome
			}
			if !r.begin(d) {
				return r.acting()
			}
			r.t.again = true
		}
		return outcome
	}
}

// guard asks the author about the object as it will be.
func (r *run) guard(name decide.GuardName) bool {
	g := r.d.guards[name]
	return g != nil && g(r)
}

// standing lists the signals that the table is asked about, each name once.
func (r *run) standing() (names []lifecycle.SignalName) {
	for _, s := range r.t.Signals() {
		if !generalSignal(s.Name) && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// read returns the standing signals of some names.
func (r *run) read(names []lifecycle.SignalName) []store.Signal {
	return slices.DeleteFunc(r.t.Signals(), func(s store.Signal) bool { return !slices.Contains(names, s.Name) })
}

// The waits before an action that nobody outside has asked for is begun again after failures: they double from the first to the last.
const (
	restBase = time.Second
	restCap  = 5 * time.Minute
)

// failures counts how often in a row actions have failed, when one ends. One that only moves the object says nothing about that.
func (r *run) failures(outcome resource.ActionOutcome) uint64 {
	before := uint64(0)
	if last := r.t.stored.Last; last != nil {
		before = last.Failures
	}
	switch {
	case outcome == resource.OutcomeFailed:
		return before + 1
	case outcome == resource.OutcomeSucceeded && r.plan != nil && len(r.plan.steps) > 0:
		return 0
	}
	return before
}

// rests reports whether an action has to wait, because the ones before it have failed: what an object's own controller, its clock or a sensor asks for would otherwise be tried
// without end and without pause. What anybody else asks for begins at once.
func (r *run) rests(d decide.Decision) bool {
	last, p := r.t.stored.Last, r.d.plans[d.Do]
	if last == nil || last.Failures == 0 || p == nil || len(p.steps) == 0 {
		return false
	}
	for _, s := range r.read(d.Read) {
		own := s.By == "engine" || s.By == r.t.controller.writer || strings.HasPrefix(s.By, "adapter/")
		if !own || strings.HasPrefix(s.Dedupe, askPrefix) {
			return false
		}
	}
	if until := stored(last.At.Add(pause(restBase, restCap, int(min(last.Failures, 64))))); r.t.now.Before(until) {
		r.t.wakeAt(until)
		d.Verb, d.Reason = decide.Defer, fmt.Sprintf("%d actions have failed in a row; %s is tried at %s", last.Failures, d.Do, until.Format(time.RFC3339))
		r.deferred = d
		return true
	}
	return false
}

// begin starts an action, and reports whether it has also ended.
func (r *run) begin(d decide.Decision) (ended bool) {
	t := r.t
	a := &resource.Action{
		Name: string(d.Do), Run: t.snapshot.Revision(), From: t.stored.State, Since: t.now, Phase: resource.ActionRunning,
	}
	for _, s := range r.read(d.Read) {
		a.Signals = append(a.Signals, uint64(s.ID))
	}
	t.next.Action = a
	r.take(a)
	a.Plan = r.plan.signature
	if r.plan.within > 0 {
		a.Deadline = stored(t.now.Add(r.plan.within))
	}
	if r.act.Via != "" {
		t.move(r.act.Via, a.Name)
	}
	t.because, t.began = "action "+a.Name, true
	if t.bare {
		r.note, t.again = "its first step", true
		return false
	}
	return r.advance()
}

// acting is the outcome while an action is under way.
func (r *run) acting() (o Outcome) {
	r.t.acting = true
	r.delayed()
	switch a := r.a; {
	case r.paused():
		return Await("Paused", a.Name+" is paused "+a.Halted)
	case a.Halt != "":
		o = Await(string(a.Halt), a.Name+": "+a.Halted, r.on...)
		o.class = command.Terminal
		return o
	case a.Phase == resource.ActionUnwinding:
		o = Await("Unwinding", a.Name+": "+r.note+" (because "+a.Message+")", r.on...)
	default:
		o = Await("Acting", a.Name+": "+r.note, r.on...)
	}
	o.class = r.class
	return o
}

// delayed reports, in a condition, that a step takes so long that a human should know. It stays while the action stands still.
func (r *run) delayed() {
	switch {
	case r.tell != "":
		r.t.condition(resource.Delayed, resource.True, "StepDelayed", clip(r.tell))
	case r.a.Halt == "" && r.t.stored.Is(resource.Delayed):
		r.t.condition(resource.Delayed, resource.False, "OnTime", "")
	}
}

// signalsShown bounds how many signals an object shows; they all stand, and can all be listed.
const signalsShown = 16

// showSignals puts onto the object what stands and is not served by this turn, and what becomes of it.
func (r *run) showSignals() {
	var shown []resource.StandingSignal
	for _, s := range r.t.Signals() {
		if len(shown) == signalsShown {
			break
		}
		note := ""
		switch a := r.t.next.Action; {
		case a != nil && slices.Contains(a.Signals, uint64(s.ID)):
			note = "read by " + a.Name
		case a != nil:
			note = "waits for " + a.Name + " to end"
		case r.deferred.Verb == decide.Defer:
			note = "deferred: " + r.deferred.Reason
		}
		shown = append(shown, resource.StandingSignal{Name: s.Name, By: s.By, At: s.At, Why: s.Why, Note: note})
	}
	r.t.next.Signals = shown
}

// isMoved reports whether a table lists a state among those that objects come to without an action.
func isMoved(t *decide.Table, life lifecycle.Table, s lifecycle.State) bool {
	rule, known := life.Rule(s)
	return slices.Contains(t.Moved, s) || known && rule.Parent != "" && slices.Contains(t.Moved, rule.Parent)
}

// wakeAt makes the turn be run again at a time, if nothing else does before. A time that has passed is over: this turn has seen it.
func (t *Turn) wakeAt(at time.Time) {
	if at.After(t.now) {
		t.wake = earliest(t.wake, at)
	}
}
