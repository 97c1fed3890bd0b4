package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// The signals that every kind knows. [RetrySignal] is for what was given up; the others are for an action under way, and mean nothing without one.
const (
	// CancelSignal undoes the action; its signals are consumed.
	CancelSignal lifecycle.SignalName = "Cancel"
	// PauseSignal lets the steps under way finish, and begins no other until ResumeSignal.
	PauseSignal  lifecycle.SignalName = "Pause"
	ResumeSignal lifecycle.SignalName = "Resume"
	// AbandonSignal ends the action as it is: nothing is undone, and whoever raises it answers for what is left outside. It needs a reason.
	AbandonSignal lifecycle.SignalName = "Abandon"
	// AnswerSignal tells the object that asked for it how an action ended. The engine alone raises it.
	AnswerSignal lifecycle.SignalName = "Answer"
)

// ErrSignal says that a signal was refused when it was raised: the kind does not know it, or forbids it beside what stands, or it lacks something. Repeating does
// not help before that has changed.
var ErrSignal = errors.New("signal refused")

// Raise raises a signal on an object. It judges by the kind's decision table whether the signal may be raised beside those that stand, in the
// state the object is in, and the commit holds only if that is still so. A signal with a Dedupe that stands already is not raised again: its identity is returned,
// and fresh is false. ID, UID, At, Revision and Seen are filled in. It fails with [ErrSignal], store.ErrNotFound or *store.CommitError.
func (e *Engine) Raise(ctx context.Context, w store.Writer, s store.Signal) (id store.SignalID, fresh bool, err error) {
	for attempt := 1; ; attempt++ {
		seen := e.view.Revision()
		tx, have, err := e.raising(w, s)
		if err != nil || have != 0 {
			return have, false, err
		}
		r, err := e.store.Commit(ctx, tx)
		if err == nil {
			e.view.Announce(r.Revision)
			return r.Signals[0], true, e.view.WaitFor(ctx, r.Revision)
		}
		if attempt == raiseAttempts || !errors.Is(err, store.ErrConflict) {
			return 0, false, fmt.Errorf("signal %s on %s: %w", s.Name, s.Object, err)
		}
		if !e.catchUp(ctx, err, seen) {
			if err := e.view.WaitFor(ctx, seen+1); err != nil {
				return 0, false, fmt.Errorf("signal %s on %s: %w", s.Name, s.Object, err)
			}
		}
	}
}

// raiseAttempts is how often a signal is judged again because others were raised meanwhile.
const raiseAttempts = 64

// raising is the transaction that raises one signal on top of what the view shows, or the identity of the one that says the same.
func (e *Engine) raising(w store.Writer, s store.Signal) (store.Transaction, store.SignalID, error) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	o, ok := snapshot.Get(s.Object)
	if !ok || s.UID != "" && s.UID != o.UID {
		return store.Transaction{}, 0, fmt.Errorf("signal %s on %s: %w", s.Name, s.Object, store.ErrNotFound)
	}
	def, ok := e.registry.Kind(s.Object.Kind)
	if !ok {
		return store.Transaction{}, 0, fmt.Errorf("signal %s on %s: the kind is not registered", s.Name, s.Object)
	}
	if strings.HasPrefix(s.Dedupe, askPrefix) {
		return store.Transaction{}, 0, fmt.Errorf("%w: %s on %s: a Dedupe that begins with %q is for the steps of actions", ErrSignal, s.Name, s.Object, askPrefix)
	}
	s.UID, s.At, s.Seen = o.UID, e.now(), snapshot.Revision()
	j := judgeOf(def, o, snapshot.Signals(o.UID), s.At)
	switch have, err := j.judge(&s); {
	case err != nil:
		return store.Transaction{}, 0, err
	case have != 0:
		return store.Transaction{}, have, nil
	}
	tx := store.Transaction{Writer: w, Cause: store.Cause{Text: "signal"}, Raise: []store.Signal{s}}
	if j.stateful(s.Name) {
		tx.Reads = []store.Read{{Key: o.Key, Revision: o.Revision}}
	}
	return tx, 0, nil
}

// judge says whether a signal may be raised on an object.
type judge struct {
	def      *resource.Definition
	state    lifecycle.State
	standing []store.Signal
	// read are the signals that the action under way has read: what is raised after that is news to it, and stands beside them.
	read []uint64
	now  time.Time
}

// judgeOf is the judge of the signals of an object.
func judgeOf(def *resource.Definition, o *resource.Object, standing []store.Signal, now time.Time) judge {
	j := judge{def: def, state: o.State, standing: standing, now: now}
	if o.Action != nil {
		j.read = o.Action.Signals
	}
	return j
}

// judge returns the identity of a standing signal that says the same, or why the signal is refused, or neither.
func (j *judge) judge(s *store.Signal) (have store.SignalID, err error) {
	names := []lifecycle.SignalName{s.Name}
	for i := range j.standing {
		other := &j.standing[i]
		switch {
		case !other.Live(j.now):
		case s.Dedupe != "" && other.Name == s.Name && other.Dedupe == s.Dedupe && !slices.Contains(j.read, uint64(other.ID)):
			return other.ID, nil
		case !slices.Contains(names, other.Name):
			names = append(names, other.Name)
		}
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s on %s: %s", ErrSignal, s.Name, s.Object, fmt.Sprintf(format, args...))
	}
	table := &j.def.Decisions
	switch {
	case s.Name == AnswerSignal:
		return 0, refuse("the engine alone raises it")
	case s.Name == AbandonSignal && strings.TrimSpace(s.Why) == "":
		return 0, refuse("say why: what is left outside stays there, and whoever finds it will want to know")
	case !decides(table) || generalSignal(s.Name):
		return 0, nil
	}
	if _, known := table.Signal(s.Name); !known {
		return 0, refuse("%s knows no such signal; it has %s", j.def.ID(), signalNames(table))
	}
	if reason, forbidden := decide.Forbidden(j.def.Lifecycle, *table, j.state, names); forbidden {
		others := slices.DeleteFunc(names, func(n lifecycle.SignalName) bool { return n == s.Name })
		return 0, refuse("forbidden in state %q beside %v: %s", j.state, others, reason)
	}
	return 0, nil
}

// stateful reports whether the object's state has a say in whether a signal may be raised.
func (j *judge) stateful(name lifecycle.SignalName) bool {
	return slices.ContainsFunc(j.def.Decisions.Rows, func(r decide.Row) bool {
		return r.Forbid != "" && len(r.In) > 0 && slices.Contains(r.When.All, name)
	})
}

// decides reports whether a kind has a decision table.
func decides(t *decide.Table) bool { return len(t.Signals)+len(t.Rows) > 0 }

// generalSignal reports whether every kind knows a signal.
func generalSignal(name lifecycle.SignalName) bool { return slices.Contains(decide.General(), name) }

func signalNames(t *decide.Table) string {
	names := make([]string, len(t.Signals))
	for i, s := range t.Signals {
		names[i] = string(s.Name)
	}
	return strings.Join(names, ", ")
}

// RaiseOption refines a signal that a turn raises.
type RaiseOption func(*store.Signal)

// Because says why, in a sentence for people.
func Because(format string, args ...any) RaiseOption {
	return func(s *store.Signal) { s.Why = clip(fmt.Sprintf(format, args...)) }
}

// About names what a signal is about: while one with the same name and the same About stands, another says nothing new. Without it that is the
// controller's name, so that a turn that is run again does not raise a signal twice.
func About(what string) RaiseOption { return func(s *store.Signal) { s.Dedupe = what } }

// For lets a signal expire when it has not been served for so long.
func For(d time.Duration) RaiseOption {
	return func(s *store.Signal) { s.Expires = stored(s.At.Add(d)) }
}

// Raise raises a signal on an object of the view, and reports whether it will stand. One that the object's kind forbids is not raised, and noted in its history;
// one that stands already is not raised again.
func (t *Turn) Raise(key resource.Key, name lifecycle.SignalName, payload []byte, opts ...RaiseOption) bool {
	o, ok := t.read(key)
	if !ok {
		t.fail("raise %s on %s: there is no such object", name, key)
		return false
	}
	s := store.Signal{Object: key, UID: o.UID, Name: name, Payload: payload, By: t.controller.writer, At: t.now, Dedupe: t.controller.name}
	for _, opt := range opts {
		opt(&s)
	}
	refused := t.raise(o, s)
	if refused != "" {
		t.signalRefused(o, refused)
	}
	return refused == ""
}

// signalRefused records, with the object that it was for, that a signal was refused.
func (t *Turn) signalRefused(o *resource.Object, why string) {
	t.events = append(t.events, store.Event{Object: o.Key, UID: o.UID, Kind: "Warning", Reason: "SignalRefused", Message: clip(why)})
}

// raise stages a signal, if it may be raised beside those that stand and those that this turn raises, and otherwise says why not.
func (t *Turn) raise(o *resource.Object, s store.Signal) (refused string) {
	def, ok := t.engine.registry.Kind(o.Kind)
	if !ok {
		t.fail("raise %s on %s: the kind is not registered", s.Name, o.Key)
		return t.problem.Error()
	}
	standing := slices.DeleteFunc(slices.Clone(t.snapshot.Signals(o.UID)), func(x store.Signal) bool { return slices.Contains(t.consume, x.ID) })
	for _, r := range t.raised {
		if r.UID == o.UID {
			r.ID = 1 // it stands, as far as this judgement goes; its identity is not known yet
			standing = append(standing, r)
		}
	}
	j := judgeOf(def, o, standing, t.now)
	have, err := j.judge(&s)
	switch {
	case err != nil:
		return err.Error()
	case have != 0:
		return ""
	}
	s.Seen = t.snapshot.Revision()
	if j.stateful(s.Name) && o.Key != t.stored.Key {
		t.reads = append(t.reads, store.Read{Key: o.Key, Revision: o.Revision})
	}
	t.raised = append(t.raised, s)
	return ""
}
