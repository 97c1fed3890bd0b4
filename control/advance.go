package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint/command"
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

// advance brings the action as far as it goes now, and reports whether it has ended. Steps that are done are passed over by their records, so that walking from the
// beginning each time finds what is current.
func (r *run) advance() (ended bool) {
	a := r.a
	r.t.stepped = true
	if a.Phase == resource.ActionUnwinding && a.End == resource.OutcomeAbandoned {
		return r.end(a.End)
	}
	if r.plan == nil {
		return r.park("the program has no such action any more")
	}
	if difference := r.plan.fits(a); difference != "" && a.Phase == resource.ActionRunning {
		return r.park(difference)
	}
	if a.Phase == resource.ActionRunning && r.overdue(a.Deadline) {
		r.turnBack(resource.OutcomeFailed, "it was not done within %s", r.plan.within)
	}
	if a.Phase == resource.ActionRunning {
		r.yield = r.preempted()
		switch r.sequence(r.plan.steps) {
		case finished:
			return r.end(resource.OutcomeSucceeded)
		case failed:
			if a.Phase == resource.ActionRunning {
				r.turnBack(resource.OutcomeFailed, "%s", r.note)
			}
		case held:
			if r.yield == "" || r.busy {
				return false
			}
			r.turnBack(resource.OutcomePreempted, "it makes way for %s", r.yield)
		default:
			return false
		}
	}
	if r.unwind(a.Steps) != finished {
		return false
	}
	return r.end(a.End)
}

// park stops an action that this program does not know how to go on with.
func (r *run) park(why string) bool {
	r.a.Halt, r.a.Halted = resource.HaltParked, clip(why+"; go on with the program that began it, or raise Cancel or Abandon")
	return false
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

// idle reports whether nothing may be begun now.
func (r *run) idle() bool { return r.a.Halt == resource.HaltPaused || r.yield != "" }

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
	case record.Phase == resource.StepDone:
		if s.kind == stepChoose {
			return r.sequence(s.ways[r.text(record)])
		}
		return finished
	case record.Phase != resource.StepRunning:
		return failed
	}
	if s.within > 0 && r.overdue(stored(record.Since.Add(s.within))) {
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

// together brings several steps forward at the same time.
func (r *run) together(s *step) progress {
	worst := finished
	for _, c := range s.steps {
		switch p := r.forward(c); {
		case p == failed:
			return failed
		case p == waiting, p == held && worst == finished:
			worst = p
		}
	}
	return worst
}

// first brings several steps forward until one of them is done, and undoes the others.
func (r *run) first(s *step) progress {
	if record := r.a.Step(s.name); record != nil {
		return r.lose(s, record)
	}
	worst, down := held, 0
	for _, c := range s.steps {
		switch p := r.forward(c); p {
		case finished:
			record := r.record(resource.ActionStep{Name: s.name, Phase: resource.StepDone, Since: r.t.now, Result: quoted(c.name)})
			return r.lose(s, record)
		case failed:
			down++
		case waiting:
			worst = waiting
		}
	}
	if down == len(s.steps) {
		return failed
	}
	return worst
}

// lose undoes the steps of a First that another has won.
func (r *run) lose(s *step, winner *resource.ActionStep) progress {
	won := r.text(winner)
	var losers []string
	for _, c := range s.steps {
		if c.name != won {
			losers = append(losers, r.plan.family(c)...)
		}
	}
	for i := len(r.a.Steps) - 1; i >= 0; i-- {
		if !slices.Contains(losers, r.a.Steps[i].Name) {
			continue
		}
		if p := r.undo(&r.a.Steps[i]); p != finished {
			return p
		}
	}
	return finished
}

// record notes that a step has begun.
func (r *run) record(s resource.ActionStep) *resource.ActionStep {
	r.a.Steps = append(r.a.Steps, s)
	return &r.a.Steps[len(r.a.Steps)-1]
}

// start begins a step.
func (r *run) start(s *step) progress {
	record := resource.ActionStep{Name: s.name, Phase: resource.StepRunning, Since: r.t.now}
	switch s.kind {
	case stepCall:
		return r.call(s, record)
	case stepAsk:
		return r.ask(s, record)
	case stepSet:
		s.set(r)
		record.Phase = resource.StepDone
		return r.begun(&record)
	case stepChoose:
		way := s.choose(r)
		if _, known := s.ways[way]; !known && r.refusal == "" {
			r.refusal = fmt.Sprintf("there is no way %q", way)
		}
		record.Phase, record.Result = resource.StepDone, quoted(way)
		if p := r.begun(&record); p != finished {
			return p
		}
		return r.sequence(s.ways[way])
	}
	return r.hold(s, r.record(record))
}

// begun notes a step that is done by having begun, unless its author's function has refused it.
func (r *run) begun(record *resource.ActionStep) progress {
	if r.refusal != "" {
		record.Phase = resource.StepRefused
		return r.fail(r.record(*record), r.refusal)
	}
	r.record(*record)
	return finished
}

// hold looks at what a Wait waits for.
func (r *run) hold(s *step, record *resource.ActionStep) progress {
	done := s.until(r)
	switch {
	case r.refusal != "":
		record.Phase = resource.StepRefused
		return r.fail(record, r.refusal)
	case done:
		record.Phase = resource.StepDone
		return finished
	case r.idle():
		return held
	}
	if s.within > 0 {
		r.t.wakeAt(stored(record.Since.Add(s.within)))
	}
	if s.lookAgain > 0 {
		r.t.wakeAt(stored(r.t.now.Add(max(s.lookAgain, soonest))))
	}
	r.wait(s.name, "", resource.Ref{})
	return waiting
}

// call sends a command, for the first time.
func (r *run) call(s *step, record resource.ActionStep) progress {
	t := r.t
	record.Adapter, record.Key = string(s.adapter), t.NaturalKey()+"."+r.a.Name+"."+s.name
	if s.key != nil {
		record.Key = s.key(r)
	}
	if s.destination != nil {
		record.Destination = s.destination(r)
	}
	request, err := s.request(r)
	if err != nil {
		r.refusal = err.Error()
	}
	slot := r.slot(&record)
	if r.taken(slot) && r.refusal == "" {
		r.refusal = "its natural key " + slot.String() + " is that of another step or effect of the object"
	}
	if r.refusal != "" {
		record.Phase, record.Key, record.Adapter = resource.StepRefused, "", ""
		return r.fail(r.record(record), r.refusal)
	}
	t.effects.declared = append(t.effects.declared, slot)
	r.record(record)
	r.send(s, &record, request, r.deadline(s, &record))
	r.wait(s.name, "", resource.Ref{Command: slot.String()})
	r.busy = true
	return waiting
}

// taken reports whether a slot is in use by another step or effect. Steps that are over leave theirs to the next one.
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
	return !over && slices.Contains(r.t.effects.declared, slot)
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
	for _, at := range []time.Time{deadline, r.patience(s, record)} {
		r.t.wakeAt(at)
	}
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
		record.Phase, record.Result = resource.StepDone, nil
		if len(c.Result) > 0 && string(c.Result) != "{}" {
			record.Result = c.Result
		}
		r.clear(&c)
		return finished
	case command.Refused:
		if c.Attempt <= 1 && !c.Unknown {
			record.Phase = resource.StepRefused
			r.clear(&c)
			return r.fail(record, c.Message)
		}
		return r.fail(record, c.Message)
	case command.Exhausted:
		if r.t.retried(&c) {
			r.repeat(c)
			break
		}
		r.stick(record, "was tried for as long as the policy of adapter "+record.Adapter+" allows: "+c.Message)
		return waiting
	}
	if c.Phase == command.Lost {
		r.repeat(c)
	}
	if why := r.exhausted(s, record, &c); why != "" {
		return r.fail(record, why)
	}
	r.t.wakeAt(earliest(r.patience(s, record), r.deadline(s, record)))
	r.wait(s.name, c.Message, resource.Ref{Command: c.Slot.String()})
	r.class, r.busy = c.Class, true
	return waiting
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
	case p.For > 0 && taken >= p.For:
		return fmt.Sprintf("after %s: %s", p.For, c.Message)
	}
	return ""
}

// fail notes that a step has failed, and why. What of it may have been done is left to be undone.
func (r *run) fail(record *resource.ActionStep, why string) progress {
	if record.Phase == resource.StepRunning {
		record.Phase = resource.StepFailed
	}
	r.note = clip("step " + record.Name + ": " + why)
	r.t.Event("StepFailed", "%s: %s", r.a.Name, r.note)
	return failed
}

// stick notes that an action does not go on before an operator acts.
func (r *run) stick(record *resource.ActionStep, why string) {
	r.a.Halt, r.a.Halted = resource.HaltStuck, clip("step "+record.Name+" "+why)
	if slot := r.slot(record); slot.Key != "" {
		r.on = []resource.Ref{{Command: slot.String()}}
	}
}

// wait notes what the action waits for; of several steps, the first.
func (r *run) wait(step, message string, on resource.Ref) {
	if r.note == "" {
		r.note = "step " + step
		if message != "" {
			r.note += ": " + message
		}
	}
	if on.Command != "" || !on.Object.IsZero() {
		r.on = append(r.on, on)
	}
}

// clear removes the row of a command that is settled; what it answered is kept with the step.
func (r *run) clear(c *command.Command) {
	r.t.stageCommand(*c)
	last := len(r.t.effects.writes) - 1
	r.t.effects.writes[last].Delete = true
}

func quoted(s string) json.RawMessage { return json.RawMessage(strconv.Quote(s)) }

// text is the answer of a step that answers with a word.
func (r *run) text(record *resource.ActionStep) (s string) {
	if err := json.Unmarshal(record.Result, &s); err != nil {
		r.t.fail("step %s of %s: what it has stored is no text: %w", record.Name, r.a.Name, err)
	}
	return s
}
