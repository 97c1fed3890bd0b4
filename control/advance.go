package control

import (
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// progress is how far a step is.
type progress uint8

const (
	waiting  progress = iota // for something outside
	held                     // not begun, because the action is paused or makes way
	finished                 // done, or undone
	failed
)

// advance brings the action as far as it goes now, and reports whether it has ended.
func (r *run) advance() (ended bool) {
	a := r.a
	r.t.stepped = true
	switch {
	case a.Phase == resource.ActionUnwinding && a.End == resource.OutcomeAbandoned:
		return r.end(a.End)
	case r.plan == nil:
		r.park("the program has no such action any more")
		return false
	}
	if a.Phase == resource.ActionRunning {
		switch r.forwards() {
		case finished:
			return r.end(resource.OutcomeSucceeded)
		case failed: // it goes back
		default:
			return false
		}
	}
	if r.unwind() != finished {
		return false
	}
	return r.end(a.End)
}

// forwards walks a running action from its beginning. Steps that are done are passed over by their records, so that the walk finds what is current. It
// reports failed when it has turned the action back.
func (r *run) forwards() progress {
	a, paused := r.a, r.paused()
	if difference := r.plan.fits(a); difference != "" {
		r.park(difference)
		return waiting
	}
	if !paused {
		if r.overdue(a.Deadline) {
			r.turnBack(resource.OutcomeFailed, "it was not done within %s", r.plan.within)
			return failed
		}
		r.yield = r.preempted()
	}
	p := r.walk()
	switch {
	case p == finished:
		return finished
	case paused:
		return waiting
	case p == failed:
		r.turnBack(resource.OutcomeFailed, "%s", a.Message)
		return failed
	case p == held && r.yield != "":
		r.turnBack(resource.OutcomePreempted, "it makes way for %s", r.yield)
		return failed
	}
	return waiting
}

// walk brings the steps as far as they go. What a Wait waits for may be the answer of a step of another branch, which the walk comes to after it: then it
// walks again.
func (r *run) walk() progress {
	for {
		r.unmet, r.news, r.note, r.on = false, false, "", nil
		if p := r.sequence(r.plan.steps); p != waiting || !r.unmet || !r.news {
			return p
		}
	}
}

// done notes that a step is done.
func (r *run) done(record *resource.ActionStep) progress {
	record.Phase, r.news = resource.StepDone, true
	return finished
}

// park stops an action that this program does not know how to go on with.
func (r *run) park(why string) {
	r.halt(resource.HaltParked, clip(why+"; go on with the program that began it, or raise Cancel, which undoes it where the program knows how to, or Abandon"))
}

// halt notes why the action stands still. An operator's pause goes on; what else there is, is found again after it.
func (r *run) halt(h resource.ActionHalt, why string) {
	if !r.paused() {
		r.a.Halt, r.a.Halted = h, why
	}
}

// overdue reports whether a deadline has passed, and otherwise sees to it that it is not missed.
func (r *run) overdue(deadline time.Time) bool {
	if deadline.IsZero() {
		return false
	}
	if r.t.now.Before(deadline) {
		r.t.wakeAt(deadline)
		return false
	}
	return true
}

// paused reports whether an operator has paused the action. Then its deadlines wait, as it does.
func (r *run) paused() bool { return r.a.Halt == resource.HaltPaused }

// idle reports whether nothing may be begun now.
func (r *run) idle() bool { return r.paused() || r.yield != "" }

func (r *run) sequence(steps []*step) progress {
	for _, s := range steps {
		if p := r.forward(s); p != finished {
			return p
		}
	}
	return finished
}

// forward brings one step as far as it goes.
func (r *run) forward(s *step) progress {
	switch s.kind {
	case stepSequence:
		return r.sequence(s.steps)
	case stepTogether:
		return r.together(s)
	case stepFirst:
		return r.first(s)
	}
	record := r.a.Step(s.name)
	switch {
	case record == nil && r.idle():
		return held
	case record == nil:
		return r.start(s)
	case record.Phase == resource.StepDone && s.kind == stepChoose:
		return r.sequence(s.ways[r.text(record)])
	case record.Phase == resource.StepDone:
		return finished
	case record.Phase != resource.StepRunning:
		return failed
	case s.within > 0 && !r.paused() && r.overdue(stored(record.Since.Add(s.within))):
		return r.fail(record, fmt.Sprintf("it was not done within %s", s.within))
	}
	switch s.kind {
	case stepCall:
		return r.called(s, record)
	case stepAsk:
		return r.asking(s, record)
	}
	return r.hold(s, record)
}

// start begins a step.
func (r *run) start(s *step) progress {
	record := resource.ActionStep{Name: s.name, Phase: resource.StepRunning, Since: r.t.now}
	switch s.kind {
	case stepCall:
		return r.call(s, record)
	case stepAsk:
		return r.ask(s, record)
	case stepChoose:
		return r.way(s, record)
	case stepSet:
		r.touched = true
		if s.set(r); r.refusal != "" {
			return r.refused(record)
		}
		return r.done(r.record(record))
	}
	return r.hold(s, r.record(record))
}

// record notes that a step has begun. The record is good until the next one.
func (r *run) record(s resource.ActionStep) *resource.ActionStep {
	r.a.Steps = append(r.a.Steps, s)
	return &r.a.Steps[len(r.a.Steps)-1]
}

// hold looks at what a Wait waits for.
func (r *run) hold(s *step, record *resource.ActionStep) progress {
	done := s.until(r)
	switch {
	case r.refusal != "":
		record.Phase = resource.StepRefused
		return r.fail(record, r.refusal)
	case done:
		return r.done(record)
	case r.idle():
		return held
	}
	if s.within > 0 {
		r.t.wakeAt(stored(record.Since.Add(s.within)))
	}
	if s.lookAgain > 0 {
		r.t.wakeAt(stored(r.t.now.Add(max(s.lookAgain, soonest))))
	}
	r.unmet = true
	r.wait(s.name, "", resource.Ref{})
	return waiting
}

// refused notes a step that a function of the author's has refused: it never began.
func (r *run) refused(s resource.ActionStep) progress {
	s.Phase, s.Adapter, s.Key, s.Destination = resource.StepRefused, "", "", ""
	return r.fail(r.record(s), r.refusal)
}

// fail notes that a step has failed, and why. What of it may have been done is left to be undone.
func (r *run) fail(record *resource.ActionStep, why string) progress {
	if record.Phase == resource.StepRunning {
		record.Phase = resource.StepFailed
	}
	r.refusal = ""
	r.a.Message = clip("step " + record.Name + ": " + why)
	r.t.Event("StepFailed", "%s: %s", r.a.Name, r.a.Message)
	return failed
}

// stick notes that an action does not go on before an operator acts.
func (r *run) stick(record *resource.ActionStep, why string) {
	r.halt(resource.HaltStuck, clip("step "+record.Name+" "+why))
	if slot := r.slot(record); slot.Key != "" {
		r.on = []resource.Ref{{Command: slot.String()}}
	}
}

// waitsShown bounds how many objects and commands an object names that its action waits for.
const waitsShown = 16

// wait notes what the action waits for; of several steps, the first.
func (r *run) wait(step, message string, on resource.Ref) {
	if r.note == "" {
		r.note = "step " + step
		if message != "" {
			r.note += ": " + message
		}
	}
	if len(r.on) < waitsShown && (on.Command != "" || !on.Object.IsZero()) {
		r.on = append(r.on, on)
	}
}
