package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// orders serves the signals that are for every kind: those of operators about the action under way, and answers. It also drops what has expired.
func (r *run) orders() {
	r.expire()
	for _, s := range r.t.Signals() {
		switch s.Name {
		case AnswerSignal:
			r.answered(s)
		case PauseSignal, ResumeSignal, CancelSignal, AbandonSignal:
			r.t.Consume(s)
			if said := r.order(s); said != "" {
				r.t.Event("SignalIgnored", "%s by %s: %s", s.Name, s.By, said)
			}
		}
	}
}

// order does what an operator asks for. It says why when there is nothing to do.
func (r *run) order(s store.Signal) (ignored string) {
	who := s.By
	if s.Why != "" {
		who += ": " + s.Why
	}
	switch a := r.a; {
	case a == nil:
		return "no action is under way"
	case s.Name == PauseSignal:
		r.pause(who)
	case s.Name == ResumeSignal && a.Halt != resource.HaltPaused:
		return a.Name + " is not paused"
	case s.Name == ResumeSignal:
		r.unpause()
	case s.Name == AbandonSignal:
		r.turnBack(resource.OutcomeAbandoned, "abandoned by %s", who)
	case a.Phase == resource.ActionUnwinding:
		return a.Name + " is being undone already"
	default:
		r.turnBack(resource.OutcomeCanceled, "canceled by %s", who)
	}
	return ""
}

// pause makes the action begin no other step.
func (r *run) pause(who string) {
	if !r.paused() {
		r.a.Paused = r.t.now
	}
	r.a.Halt, r.a.Halted = resource.HaltPaused, clip("by "+who)
}

// unpause lets the action go on. What limits it, and the steps that have begun, is put off by as long as it was paused.
func (r *run) unpause() {
	a := r.a
	a.Halt, a.Halted = "", ""
	if a.Paused.IsZero() {
		return
	}
	rest := r.t.now.Sub(a.Paused)
	a.Paused = time.Time{}
	if !a.Deadline.IsZero() {
		a.Deadline = stored(a.Deadline.Add(rest))
	}
	for i := range a.Steps {
		if s := &a.Steps[i]; s.Phase == resource.StepRunning || s.Phase == resource.StepUndoing {
			s.Since = stored(s.Since.Add(rest))
			r.putOff(r.slot(s), rest)
		}
	}
}

// putOff moves the deadline of a command that is open.
func (r *run) putOff(slot command.Slot, rest time.Duration) {
	c, exists := r.t.command(slot)
	if slot.Key == "" || !exists || !c.Phase.Open() || c.Deadline.IsZero() {
		return
	}
	c.Deadline = stored(c.Deadline.Add(rest))
	r.t.stageCommand(c)
}

// expire consumes the signals whose time is over and that no action has read, and sees to it that the next one is not forgotten.
func (r *run) expire() {
	for _, s := range r.t.snapshot.Signals(r.t.stored.UID) {
		switch {
		case s.Expires.IsZero() || r.a != nil && slices.Contains(r.a.Signals, uint64(s.ID)):
		case s.Live(r.t.now):
			r.t.wakeAt(s.Expires)
		default:
			r.t.Event("SignalExpired", "%s by %s was not served in time", s.Name, s.By)
			r.serve([]store.Signal{s}, resource.OutcomeFailed, "it expired")
		}
	}
}

// serve consumes signals, and answers those who asked for one by a step.
func (r *run) serve(signals []store.Signal, outcome resource.ActionOutcome, message string) {
	for _, s := range signals {
		r.t.Consume(s)
		r.answer(s, outcome, message)
	}
}

// turnBack makes the action go back the way it came, or, when it is abandoned, end where it is.
func (r *run) turnBack(end resource.ActionOutcome, format string, args ...any) {
	if r.paused() {
		r.unpause()
	}
	r.a.Message = clip(fmt.Sprintf(format, args...))
	r.a.Phase, r.a.End, r.a.Halt, r.a.Halted = resource.ActionUnwinding, end, "", ""
	r.note, r.on, r.class = "", nil, ""
}

// preempted is a standing signal that the action makes way for, "" when there is none.
func (r *run) preempted() lifecycle.SignalName {
	for _, s := range r.t.Signals() {
		if slices.Contains(r.act.Yield, s.Name) && !slices.Contains(r.a.Signals, uint64(s.ID)) {
			return s.Name
		}
	}
	return ""
}
