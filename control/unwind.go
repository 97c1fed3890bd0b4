package control

import (
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// unwind undoes steps, the last one first, one at a time.
func (r *run) unwind(steps []resource.ActionStep) progress {
	for i := len(steps) - 1; i >= 0; i-- {
		if p := r.undo(&steps[i]); p != finished {
			return p
		}
	}
	return finished
}

// undo makes good one step. What has an undo is sent it; of what has none, nothing is asked any more.
func (r *run) undo(record *resource.ActionStep) progress {
	switch record.Phase {
	case resource.StepUndone, resource.StepRefused:
		return finished
	case resource.StepUndoing:
		return r.undoing(record)
	}
	s := r.plan.byName[record.Name]
	switch {
	case s == nil:
		r.park("step " + record.Name + " has been done, and the program does not know any more how to undo it")
		return waiting
	case r.a.Halt == resource.HaltPaused:
		return held
	case s.kind == stepAsk:
		r.unask(s)
	case s.undo != nil && record.Key != "":
		return r.sendUndo(s, record)
	case record.Key != "":
		if c, exists := r.t.command(r.slot(record)); exists {
			r.clear(&c)
		}
	}
	record.Phase = resource.StepUndone
	return finished
}

func (r *run) sendUndo(s *step, record *resource.ActionStep) progress {
	r.refusal = ""
	request, err := s.undo(r)
	if err != nil {
		r.refusal = err.Error()
	}
	if r.refusal != "" {
		r.stick(record, "cannot be undone: "+r.refusal)
		return waiting
	}
	r.send(s, record, request, time.Time{})
	record.Phase, record.Since = resource.StepUndoing, r.t.now
	r.wait("undo of "+record.Name, "", resource.Ref{Command: r.slot(record).String()})
	r.busy = true
	return waiting
}

// undoing looks at the command that undoes a step.
func (r *run) undoing(record *resource.ActionStep) progress {
	c, exists := r.t.command(r.slot(record))
	switch {
	case exists && c.Phase == command.Done:
		r.clear(&c)
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
	r.class, r.busy = c.Class, true
	return waiting
}

// end ends the action: transition, signals and cursor, in one commit. It reports false when the transition has to wait for the next one, because this
// commit makes another already.
func (r *run) end(outcome resource.ActionOutcome) bool {
	t, a := r.t, r.a
	to := r.act.Else
	if outcome == resource.OutcomeSucceeded {
		to = r.act.To
	}
	if t.stored.Deleting() {
		to = ""
	}
	if to != "" && to != t.next.State && t.next.State != t.stored.State {
		t.again = true
		r.wait("the end of it", "", resource.Ref{})
		return false
	}
	for i := range a.Steps {
		if c, exists := t.command(r.slot(&a.Steps[i])); exists && a.Steps[i].Key != "" && !r.cleared(&c) {
			r.clear(&c)
		}
	}
	if outcome == resource.OutcomeSucceeded && r.plan.finish != nil {
		r.plan.finish(r)
	}
	if to != "" && to != t.next.State {
		t.move(to, a.Name+string(outcome))
	}
	if outcome != resource.OutcomePreempted {
		r.serve(r.signals(), outcome, a.Message)
	}
	if outcome != resource.OutcomeSucceeded {
		t.event("Warning", "Action"+string(outcome), a.Name+": "+a.Message)
	}
	if t.stored.Is(resource.Delayed) {
		t.condition(resource.Delayed, resource.False, "OnTime", "")
	}
	t.next.Last = &resource.ActionEnd{Name: a.Name, Run: a.Run, Outcome: outcome, Message: a.Message, At: t.now}
	t.because = "end of action " + a.Name
	t.next.Action, r.a, r.ended = nil, nil, true
	return true
}

// cleared reports whether this turn removes the row of a command.
func (r *run) cleared(c *command.Command) bool {
	return slices.ContainsFunc(r.t.effects.writes, func(w store.CommandWrite) bool { return w.Command.Slot == c.Slot && w.Delete })
}

// signals are those that the action has read and that still stand.
func (r *run) signals() []store.Signal {
	return slices.DeleteFunc(r.t.snapshot.Signals(r.t.stored.UID), func(s store.Signal) bool { return !slices.Contains(r.a.Signals, uint64(s.ID)) })
}
