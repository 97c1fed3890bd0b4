package control

import (
	"bytes"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// finish turns what a controller staged and said into the transaction to commit. It returns the outcome that holds: a mistake
// in what was staged makes it a failure.
func (t *Turn) finish(o Outcome) (store.Transaction, Outcome) {
	if o.kind == outcomeInvalid {
		o = Fail(Terminal(errNoOutcome))
	}
	if o.kind != outcomeFail && t.problem == nil {
		o = t.settle(o)
		if t.show != nil {
			t.show()
		}
	}
	if t.problem != nil && o.kind != outcomeFail {
		o = Fail(t.problem)
	}
	if o.kind == outcomeFail {
		t.discard()
	}
	o.message = clip(o.message)
	t.follow(o)
	t.report(o)
	t.budget()
	return t.transaction(), o
}

// follow subscribes the object to what its outcome waits for. Of its own children and commands it hears anyway.
func (t *Turn) follow(o Outcome) {
	for _, ref := range o.on {
		if ref.Command != "" || ref.Object == t.stored.Key {
			continue
		}
		if have, ok := t.snapshot.Get(ref.Object); !ok || !t.owns(have) {
			t.depends.key(ref.Object)
		}
	}
}

// discard drops everything staged, so that a failed turn leaves nothing but the news of its failure.
func (t *Turn) discard() {
	deletion := t.next.State == t.controller.kind.Lifecycle.Deleting() && t.stored.Deleting()
	state, since, reason := t.next.State, t.next.StateSince, t.transition
	t.next, t.transition = t.stored.Clone(), ""
	if deletion {
		t.next.State, t.next.StateSince, t.transition = state, since, reason
	}
	t.children, t.effects = children{}, effects{}
	t.objects, t.raised, t.consume, t.events = nil, nil, nil, nil
	if !t.toldBefore() {
		t.events = t.trespass
	}
	t.wake, t.again, t.acting, t.retrying, t.because = time.Time{}, false, false, false, ""
	if a := t.stored.Action; a != nil {
		t.wakeAt(a.Deadline) // though the turn has failed, the action is given up in time
	}
}

// forgive drops what a turn has staged and what was wrong with it, so that it can be computed again.
func (t *Turn) forgive() {
	t.problem, t.trespass = nil, nil
	t.discard()
	t.reads, t.events, t.show, t.began = nil, nil, nil, false
}

// toldBefore reports whether the object says already what this turn fails for, so that a turn that is repeated records it once.
func (t *Turn) toldBefore() bool {
	return t.problem != nil && slices.ContainsFunc(t.stored.Waits, func(w resource.Wait) bool {
		return w.Controller == t.controller.name && w.Message == clip(t.problem.Error())
	})
}

// settle completes a declaration: prunes, withdraws, and takes or gives up the hold on the object. A declaration of children is complete when the
// turn is Done or has asked for a Rollup, one of effects when it is Done: an effect that depends on a child which is not ready for a
// moment is not withdrawn for it. On an object that is being deleted nothing is wanted but what is said to be, once no child is left and no action is under way.
func (t *Turn) settle(o Outcome) Outcome {
	t.prune()
	parts := t.parts()
	switch deleting := t.stored.Deleting(); {
	case t.acting: // what is to be there besides the action, has not been said
	case deleting && len(parts) == 0, !deleting && o.kind == outcomeDone:
		t.withdraw()
	}
	t.dropRetry()
	mine := resource.Finalizer(t.controller.name)
	outstanding := t.outstanding()
	switch {
	case !t.stored.Deleting():
		if (len(t.children.declared) > 0 || len(outstanding) > 0) && !t.next.Holds(mine) {
			t.next.Finalizers = append(t.next.Finalizers, mine)
		}
	case o.kind != outcomeDone:
	case len(parts) > 0:
		return Await("DeletingChildren", t.pruning(parts), refs(parts)...)
	case len(outstanding) > 0:
		return standing(&outstanding[0])
	default:
		t.next.Finalizers = slices.DeleteFunc(t.next.Finalizers, func(f resource.Finalizer) bool { return f == mine })
	}
	return o
}

// report writes the outcome where a person and a program can read it: the wait, and for the driver the Ready condition.
func (t *Turn) report(o Outcome) {
	t.reportWait(o)
	if !t.controller.driver {
		return
	}
	if o.kind != outcomeFail && !t.acting {
		t.next.Observed = t.next.Generation
	}
	switch {
	case o.AtRest():
		t.condition(resource.Ready, resource.True, "AtSetpoint", "")
	case o.Terminal():
		t.condition(resource.Ready, resource.False, "Failed", o.message)
		if !t.acting {
			t.next.Observed = t.next.Generation
		}
	default:
		t.condition(resource.Ready, resource.False, o.code, o.message)
	}
}

func (t *Turn) reportWait(o Outcome) {
	name := t.controller.name
	at := slices.IndexFunc(t.next.Waits, func(w resource.Wait) bool { return w.Controller == name })
	if o.AtRest() && o.until.IsZero() {
		if at >= 0 {
			t.next.Waits = slices.Delete(t.next.Waits, at, at+1)
		}
		return
	}
	w := resource.Wait{
		Controller: name, Code: o.code, Message: o.message, On: o.on, Class: string(o.class), Since: t.now, Until: t.due(o),
	}
	if at < 0 {
		t.next.Waits = append(t.next.Waits, w)
		slices.SortFunc(t.next.Waits, func(a, b resource.Wait) int { return bytes.Compare([]byte(a.Controller), []byte(b.Controller)) })
		return
	}
	if have := t.next.Waits[at]; have.Code == w.Code {
		w.Since = have.Since
	}
	t.next.Waits[at] = w
}

// due is when the outcome asks to look again, to be stored: zero when only a change or a backoff does.
func (t *Turn) due(o Outcome) time.Time {
	switch o.kind {
	case outcomeAfter:
		if armed, ok := t.snapshot.Timer(t.controller.name, t.stored.Key); ok && armed.Code == o.code && armed.Due.After(t.now) {
			return armed.Due
		}
		return stored(t.now.Add(max(o.delay, soonest)))
	case outcomeDone:
		return stored(o.until)
	case outcomeFail:
		if o.class == command.Throttled {
			return stored(o.until)
		}
	}
	return time.Time{}
}

// budget watches the time in the state: too long in it sets Late, records an event and raises the state's signal, once.
func (t *Turn) budget() {
	if !t.controller.driver {
		return
	}
	rule, end := t.budgetEnd()
	late := !end.IsZero() && !t.now.Before(end)
	c, _ := t.stored.Condition(resource.Late)
	switch was := c.Status == resource.True; {
	case late && (!was || c.Reason == lateUnheard):
		t.late(rule, was)
	case !late && was:
		t.condition(resource.Late, resource.False, "WithinBudget", "")
	}
}

// lateUnheard is why an object is Late whose state asks for a signal that was refused. It is asked for again with every turn: what stands in its way is on the
// object itself, so that a turn comes when that changes.
const lateUnheard = "SignalRefused"

// late says that the object is late, and raises the signal that its state asks for then. What is not new is not recorded again.
func (t *Turn) late(rule lifecycle.Rule, again bool) {
	reason, message := "BudgetExceeded", "in state "+string(rule.State)+" for longer than its budget of "+rule.Budget.String()
	if !again {
		t.event("Warning", reason, message)
	}
	if rule.Late != "" {
		refused := t.raise(t.stored, store.Signal{
			Object: t.stored.Key, UID: t.stored.UID, Name: rule.Late, By: "engine", At: t.now, Why: message, Dedupe: "engine",
		})
		if refused != "" {
			reason, message = lateUnheard, clip(message+"; "+refused)
		}
		if refused != "" && !again {
			t.signalRefused(t.stored, refused)
		}
	}
	t.condition(resource.Late, resource.True, reason, message)
}

// budgetEnd is when the budget of the state that the object will be in runs out, zero when it has none.
func (t *Turn) budgetEnd() (lifecycle.Rule, time.Time) {
	rule, _ := t.controller.kind.Lifecycle.Rule(t.next.State)
	if rule.Budget <= 0 {
		return rule, time.Time{}
	}
	return rule, stored(t.next.StateSince.Add(rule.Budget))
}

// budgetDue is when to look at the budget again, zero when there is nothing to see: no budget, or late already.
func (t *Turn) budgetDue() time.Time {
	if !t.controller.driver || t.next.Is(resource.Late) {
		return time.Time{}
	}
	_, end := t.budgetEnd()
	return end
}

// transaction collects what has to be committed; it is empty when the turn changed nothing.
func (t *Turn) transaction() store.Transaction {
	tx := store.Transaction{
		Writer:   store.Writer{Name: t.controller.writer, Object: t.stored.Key},
		Objects:  t.objects,
		Commands: t.effects.writes,
		Raise:    t.raised,
		Consume:  t.consume,
		Events:   t.events,
	}
	t.stageTimer(&tx)
	t.stageResult(&tx)
	changed := t.changed()
	if changed {
		tx.Objects = append(tx.Objects, store.ObjectWrite{
			Expect: t.stored.Revision, Object: t.next, Reason: t.transition, Gone: gone(t.controller.kind, t.next),
		})
	}
	if empty(&tx) {
		return tx
	}
	if !changed {
		tx.Reads = append(tx.Reads, store.Read{Key: t.stored.Key, Revision: t.stored.Revision})
	}
	tx.Reads = append(tx.Reads, t.reads...)
	tx.Cause = store.Cause{Revision: t.snapshot.Revision(), Text: t.cause()}
	return tx
}

// cause says in a few words what the turn acted on.
func (t *Turn) cause() string {
	switch {
	case t.result != nil:
		return "result of " + t.result.Slot.String()
	case t.because != "":
		return t.because
	case t.stored.Deleting():
		return "deletion"
	case t.stored.Observed < t.stored.Generation:
		return "generation " + resource.Revision(t.stored.Generation).String()
	}
	return "observation"
}

// stageResult adds the result the turn was run with, unless the turn has already made something newer of it.
func (t *Turn) stageResult(tx *store.Transaction) {
	if t.result == nil {
		return
	}
	for _, w := range tx.Commands {
		if w.Command.Slot == t.result.Slot {
			return
		}
	}
	tx.Commands = append(tx.Commands, store.CommandWrite{Expect: t.result.Revision, Command: *t.result})
}

// stageTimer stores the timer the outcome asked for, when it differs from the one that is armed.
func (t *Turn) stageTimer(tx *store.Transaction) {
	var due time.Time
	var code string
	for _, w := range t.next.Waits {
		if w.Controller == t.controller.name {
			due, code = w.Until, w.Code
		}
	}
	armed, ok := t.snapshot.Timer(t.controller.name, t.stored.Key)
	if ok && armed.UID == t.stored.UID && armed.Due.Equal(due) && armed.Code == code || !ok && due.IsZero() {
		return
	}
	tx.Timers = append(tx.Timers, store.Timer{
		Controller: t.controller.name, Object: t.stored.Key, UID: t.stored.UID, Due: due, Code: code,
	})
}

func empty(tx *store.Transaction) bool {
	return len(tx.Objects)+len(tx.Commands)+len(tx.Raise)+len(tx.Consume)+len(tx.Timers)+len(tx.Events) == 0
}

// changed reports whether the turn made anything else of its object.
func (t *Turn) changed() bool {
	a, b := t.stored, t.next
	return a.State != b.State || a.Observed != b.Observed || a.Generation != b.Generation || a.Deleted != b.Deleted ||
		!bytes.Equal(a.Status, b.Status) ||
		!slices.Equal(a.Conditions, b.Conditions) ||
		!slices.Equal(a.Finalizers, b.Finalizers) ||
		!slices.EqualFunc(a.Waits, b.Waits, equalWaits) ||
		!a.Action.Equal(b.Action) || a.Last != b.Last && (a.Last == nil || b.Last == nil || *a.Last != *b.Last) ||
		!slices.EqualFunc(a.Signals, b.Signals, equalSignals)
}

func equalSignals(a, b resource.StandingSignal) bool {
	return a.Name == b.Name && a.By == b.By && a.At.Equal(b.At) && a.Why == b.Why && a.Note == b.Note
}

func equalWaits(a, b resource.Wait) bool {
	return a.Controller == b.Controller && a.Code == b.Code && a.Message == b.Message && a.Class == b.Class &&
		a.Until.Equal(b.Until) && a.Since.Equal(b.Since) && slices.Equal(a.On, b.On)
}
