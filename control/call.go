package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// call sends the command of a step.
func (r *run) call(s *step, record resource.ActionStep) progress {
	record.Adapter, record.Key = string(s.adapter), r.t.NaturalKey()+"."+r.a.Name+"."+s.name
	if s.key != nil {
		record.Key = s.key(r)
	}
	if s.destination != nil {
		record.Destination = s.destination(r)
	}
	request, err := s.request(r)
	slot := r.slot(&record)
	switch {
	case r.refusal != "":
	case err != nil:
		r.refusal = err.Error()
	case record.Key == "":
		r.refusal = "its natural key is empty"
	case r.taken(slot):
		r.refusal = "its natural key " + slot.String() + " is that of another step or effect of the object"
	}
	if r.refusal != "" {
		return r.refused(record)
	}
	r.t.effects.declared = append(r.t.effects.declared, slot)
	r.record(record)
	r.send(s, &record, request, r.deadline(s, &record))
	r.wait(s.name, "", resource.Ref{Command: slot.String()})
	return waiting
}

// taken reports whether a slot is in use by another step or effect of the object. Steps that are over leave theirs to the next one.
func (r *run) taken(slot command.Slot) bool {
	over := false
	for i := range r.a.Steps {
		if s := &r.a.Steps[i]; r.slot(s) == slot {
			if s.Phase == resource.StepRunning || s.Phase == resource.StepUndoing {
				return true
			}
			over = true
		}
	}
	if over {
		return false
	}
	c, exists := r.t.command(slot)
	absent := c.Request == nil && c.Phase == command.Done
	return slices.Contains(r.t.effects.declared, slot) || exists && !absent && !r.t.removes(slot)
}

// deadline is after when no attempt of a step is begun.
func (r *run) deadline(s *step, record *resource.ActionStep) time.Time {
	end := r.a.Deadline
	if s.within > 0 {
		end = earliest(end, stored(record.Since.Add(s.within)))
	}
	return end
}

// send stages a command in the slot of a step, over the one that is there.
func (r *run) send(s *step, record *resource.ActionStep, request []byte, deadline time.Time) {
	slot := r.slot(record)
	c, exists := r.t.command(slot)
	if !exists {
		c = command.Command{Slot: slot, Result: record.Result}
	}
	unit := record.Key
	if s.unit != nil {
		unit = s.unit(record.Key)
	}
	r.t.wish(c, unit, request, effectOptions{destination: record.Destination, deadline: deadline})
	if request == nil {
		r.t.redirect(slot, record.Destination, deadline)
	}
	r.t.wakeAt(deadline)
	r.t.wakeAt(r.patience(s, record))
}

// repeat asks anew, under a higher intent: the subsystem has answered that something newer had been there, or an operator wants another attempt.
func (r *run) repeat(c command.Command) {
	r.t.wish(c, c.Unit, c.Request, effectOptions{destination: c.Destination, deadline: c.Deadline})
	r.t.redirect(c.Slot, c.Destination, c.Deadline)
}

// patience is when the next thing happens to a step that is not answered: it fails, or somebody is told.
func (r *run) patience(s *step, record *resource.ActionStep) (at time.Time) {
	for _, d := range []time.Duration{s.retry.For, s.retry.Tell} {
		if end := stored(record.Since.Add(d)); d > 0 && end.After(r.t.now) {
			at = earliest(at, end)
		}
	}
	return at
}

// called looks at the command of a step.
func (r *run) called(s *step, record *resource.ActionStep) progress {
	c, exists := r.t.command(r.slot(record))
	if !exists {
		return r.fail(record, "its command is gone, and nobody knows what became of it")
	}
	switch c.Phase {
	case command.Done:
		return r.answeredBy(record, c)
	case command.Refused:
		if !c.Unknown {
			record.Phase = resource.StepRefused // at the first attempt: nothing was done
			r.t.remove(c)
		}
		return r.fail(record, c.Message)
	}
	if why := r.exhausted(s, record, &c); why != "" {
		return r.fail(record, why)
	}
	switch {
	case c.Phase == command.Lost, r.t.retried(&c):
		r.repeat(c)
	case c.Phase == command.Exhausted && r.yield != "":
		return held // nothing is under way: it can make way
	case c.Phase == command.Exhausted:
		r.stick(record, "was tried for as long as the policy of adapter "+record.Adapter+" allows: "+c.Message)
		r.t.wakeAt(r.patience(s, record))
		return waiting
	}
	r.t.wakeAt(r.patience(s, record))
	r.t.wakeAt(r.deadline(s, record))
	r.wait(s.name, c.Message, resource.Ref{Command: c.Slot.String()})
	r.class = c.Class
	return waiting
}

// resultLimit bounds, in bytes, the answer that a step may have, and resultsLimit those of all steps of an action together: they are kept with the object until the action ends.
const (
	resultLimit  = 128 << 10
	resultsLimit = 4 * resultLimit
)

// answeredBy ends a step with what its command has answered. The row is removed; the answer is kept with the step.
func (r *run) answeredBy(record *resource.ActionStep, c command.Command) progress {
	if len(c.Result) > resultLimit {
		return r.fail(record, fmt.Sprintf("its answer of %d bytes is more than the %d that an action keeps; make the adapter answer less", len(c.Result), resultLimit))
	}
	if sum := r.keeps() + len(c.Result); sum > resultsLimit {
		return r.fail(record, fmt.Sprintf("the answers of the steps are %d bytes together, more than the %d that an action keeps; make the adapters answer less", sum, resultsLimit))
	}
	record.Result = nil
	if len(c.Result) > 0 && string(c.Result) != "{}" {
		record.Result = c.Result
	}
	r.t.remove(c)
	return r.done(record)
}

// keeps is how many bytes the action keeps of what its steps were answered.
func (r *run) keeps() (sum int) {
	for i := range r.a.Steps {
		sum += len(r.a.Steps[i].Result)
	}
	return sum
}

// exhausted says why a step is not tried any more, "" when it is.
func (r *run) exhausted(s *step, record *resource.ActionStep, c *command.Command) string {
	p, taken := s.retry, r.t.now.Sub(record.Since)
	if p.Tell > 0 && taken >= p.Tell {
		r.tell = fmt.Sprintf("step %s of %s has been tried for %s: %s", s.name, r.a.Name, p.Tell, c.Message)
	}
	switch {
	case c.Message != "" && slices.Contains(p.Final, c.Class):
		return c.Message
	case p.Attempts > 0 && c.Attempt >= p.Attempts:
		return fmt.Sprintf("after %d attempts: %s", c.Attempt, c.Message)
	case p.For > 0 && taken >= p.For && !r.paused():
		return fmt.Sprintf("after %s: %s", p.For, c.Message)
	}
	return ""
}
