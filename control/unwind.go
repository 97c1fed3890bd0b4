package control

import (
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// unwind undoes what has begun, the last step first, one at a time.
func (r *run) unwind() progress {
	for i := len(r.a.Steps) - 1; i >= 0; i-- {
		if p := r.undo(&r.a.Steps[i]); p != finished {
			return p
		}
	}
	return finished
}

// undo makes good one step. What has an undo is sent it; of what has none, nothing is asked any more.
func (r *run) undo(record *resource.ActionStep) progress {
	s := r.plan.byName[record.Name]
	switch {
	case record.Phase == resource.StepUndone, record.Phase == resource.StepRefused:
		return finished
	case record.Phase == resource.StepUndoing:
		return r.undoing(record)
	case r.paused():
		return held
	case s == nil, string(s.adapter) != record.Adapter:
		r.park("step " + record.Name + " has begun, and the program does not know any more how to undo it")
		return waiting
	case s.kind == stepAsk:
		r.unask(record)
	case s.unset != nil:
		r.touched = true
		if s.unset(r); r.refusal != "" {
			return r.cannot(record)
		}
	case record.Key != "":
		c, exists := r.t.command(r.slot(record))
		sent := !exists || c.Revision != 0
		if s.undo != nil && sent {
			return r.sendUndo(s, record)
		}
		if exists {
			r.t.remove(c)
		}
	}
	record.Phase = resource.StepUndone
	return finished
}

func (r *run) sendUndo(s *step, record *resource.ActionStep) progress {
	request, err := s.undo(r)
	if err != nil {
		r.refusal = err.Error()
	}
	if r.refusal != "" {
		return r.cannot(record)
	}
	r.send(s, record, request, time.Time{})
	record.Phase, record.Since = resource.StepUndoing, r.t.now
	r.wait("undo of "+record.Name, "", resource.Ref{Command: r.slot(record).String()})
	return waiting
}

// cannot notes that the author's function has refused to undo a step.
func (r *run) cannot(record *resource.ActionStep) progress {
	r.stick(record, "cannot be undone: "+r.refusal)
	r.refusal = ""
	return waiting
}

// undoing looks at the command that undoes a step.
func (r *run) undoing(record *resource.ActionStep) progress {
	c, exists := r.t.command(r.slot(record))
	switch {
	case exists && c.Phase == command.Done:
		r.t.remove(c)
		record.Phase, record.Result = resource.StepUndone, nil
		return finished
	case !exists:
		r.stick(record, "was being undone by a command that is gone")
		return waiting
	case c.Phase == command.Lost, r.t.retried(&c):
		r.repeat(c)
	case givenUp(&c):
		r.stick(record, "cannot be undone: "+c.Message)
		return waiting
	}
	r.wait("undo of "+record.Name, c.Message, resource.Ref{Command: c.Slot.String()})
	r.class = c.Class
	return waiting
}

// end ends the action: transition, signals and cursor, in one commit. It reports false when that has to wait for the next one, because this
// commit makes a transition already, and when Finish has refused.
func (r *run) end(outcome resource.ActionOutcome) bool {
	t, a := r.t, r.a
	to := r.leads(outcome)
	if to != t.next.State && t.next.State != t.stored.State {
		t.again = true
		r.wait("the end of it", "", resource.Ref{})
		return false
	}
	if outcome == resource.OutcomeSucceeded {
		if r.finish(); a.Phase == resource.ActionUnwinding {
			return r.advance()
		}
	}
	for i := range a.Steps {
		slot := r.slot(&a.Steps[i])
		if c, exists := t.command(slot); exists && slot.Key != "" && !t.removes(slot) {
			t.remove(c)
		}
	}
	if to != t.next.State {
		t.move(to, a.Name+string(outcome))
	}
	if outcome != resource.OutcomePreempted {
		r.serve(r.signals(), outcome, a.Message)
	}
	if outcome != resource.OutcomeSucceeded {
		t.event("Warning", "Action"+string(outcome), clip(a.Name+": "+a.Message))
	}
	if t.stored.Is(resource.Delayed) {
		t.condition(resource.Delayed, resource.False, "OnTime", "")
	}
	t.next.Last = &resource.ActionEnd{Name: a.Name, Run: a.Run, Outcome: outcome, Message: a.Message, At: t.now, Failures: r.failures(outcome)}
	t.because = "end of action " + a.Name
	t.next.Action, r.a, r.ended = nil, nil, true
	return true
}

// leads is the state that the action leads to when it ends so.
func (r *run) leads(outcome resource.ActionOutcome) lifecycle.State {
	to := r.act.Else
	if outcome == resource.OutcomeSucceeded {
		to = r.act.To
	}
	if to == "" || r.t.stored.Deleting() {
		return r.t.next.State
	}
	return to
}

// finish calls the author's Finish. When that refuses, the action goes back.
func (r *run) finish() {
	r.a.Message = "" // of a step that failed, and was made up for
	if r.plan.finish == nil {
		return
	}
	r.touched = true
	if r.plan.finish(r); r.refusal != "" {
		r.turnBack(resource.OutcomeFailed, "its end: %s", r.refusal)
		r.refusal = ""
	}
}

// signals are those that the action has read and that still stand.
func (r *run) signals() []store.Signal {
	return slices.DeleteFunc(r.t.snapshot.Signals(r.t.stored.UID), func(s store.Signal) bool { return !slices.Contains(r.a.Signals, uint64(s.ID)) })
}
