package control

import (
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// Turn is one execution of a controller for one object: the view at one revision to read from, and a
// transaction to stage into. A turn never calls anything; it may be run again on a newer view, and only the last run
// counts. It is used by one goroutine, and is over when the controller returns.
type Turn struct {
	engine     *Engine
	controller *Controller
	snapshot   *view.Snapshot
	now        time.Time

	// stored is the object as the view has it; next is what the turn makes of it.
	stored *resource.Object
	next   *resource.Object
	// result is the command whose result this turn is run with before it is committed (the fast path).
	result *command.Command

	children children
	effects  effects

	objects []store.ObjectWrite
	reads   []store.Read
	raised  []store.Signal
	consume []store.SignalID
	events  []store.Event
	depends dependencies

	transition string        // the reason of a staged transition
	because    string        // what the turn acted on, when it says so itself
	wake       time.Time     // when to be run again though nothing may have changed
	retrying   bool          // an operator has asked for another attempt
	stepped    bool          // steps of an action have been computed
	again      bool          // to be run again at once, after the commit
	began      bool          // an action has begun
	bare       bool          // an action that begins does so without its first steps
	acting     bool          // an action is under way: the configuration has not been looked at
	show       func()        // puts onto the object which signals will stand, when all that is consumed is known
	problem    error         // a mistake in what was staged; fails the turn
	trespass   []store.Event // what the turn tried that is not its business: recorded although it fails
}

func newTurn(e *Engine, c *Controller, s *view.Snapshot, stored *resource.Object, result *command.Command) *Turn {
	return &Turn{
		engine: e, controller: c, snapshot: s, now: e.now(),
		stored: stored, next: stored.Clone(), result: result,
	}
}

// Now is the time of the turn. It does not move while the turn runs.
func (t *Turn) Now() time.Time { return t.now }

// Revision is the revision of the view that the turn reads.
func (t *Turn) Revision() resource.Revision { return t.snapshot.Revision() }

// Meta is the object's metadata as stored. It must not be changed.
func (t *Turn) Meta() *resource.Meta { return &t.stored.Meta }

// NaturalKey is "<namespace>/<name>" of the object: a key for subsystems that take any text. Names can be used
// again by another object; the order of intents keeps the two apart.
func (t *Turn) NaturalKey() string { return string(t.stored.Namespace) + "/" + string(t.stored.Name) }

// Logger logs with the object, the controller and the revision attached.
func (t *Turn) Logger() *slog.Logger {
	return t.engine.log.With("controller", t.controller.name, "object", t.stored.Key.String(), "revision", uint64(t.Revision()))
}

// Ref points at an object, for [Await].
func Ref(key resource.Key) resource.Ref { return resource.Ref{Object: key} }

// read returns an object of the view, or as this turn has declared it, and remembers that this turn depends on it.
func (t *Turn) read(key resource.Key) (*resource.Object, bool) {
	if key == t.stored.Key {
		return t.stored, true
	}
	t.depends.key(key)
	for i := range t.objects {
		if o := t.objects[i].Object; o.Key == key {
			return o, true
		}
	}
	return t.snapshot.Get(key)
}

// list yields the objects of a kind in the turn's own namespace, or in all, and remembers that this turn depends on them.
func (t *Turn) list(kind resource.KindID, ns resource.Namespace) iter.Seq[*resource.Object] {
	t.depends.kind(kind)
	return t.snapshot.List(kind, ns)
}

// Fresh makes the commit conditional on an object still being as this turn read it (or still absent): for decisions that a
// stale read would make dangerous. The turn is run again if it is not.
func (t *Turn) Fresh(key resource.Key) {
	var at resource.Revision
	if o, ok := t.read(key); ok {
		at = o.Revision
	}
	t.reads = append(t.reads, store.Read{Key: key, Revision: at})
}

// Transition moves the object to another state of its lifecycle. Staying is not a transition: repeating it costs nothing.
// Only the kind's driver may do it, and only along its table; otherwise the turn fails, and says why. An object whose deletion was asked for is
// brought into its table's deleting state by the engine, and stays there. In a kind with a decision table the states to come to are those that it lists as Moved; the others
// are for actions.
func (t *Turn) Transition(to lifecycle.State, reason string) {
	decisions := &t.controller.kind.Decisions
	switch {
	case !t.controller.driver:
		t.refused("transition to %s: controller %s is not the driver of %s; raise a signal instead", to, t.controller.name, t.stored.Kind)
	case t.next.State == to:
	case decides(decisions) && !isMoved(decisions, t.controller.kind.Lifecycle, to):
		t.refused("transition to %s: only an action of %s leads there; raise a signal, or list the state as Moved", to, t.stored.Kind)
	case t.transition != "" && decides(decisions):
		t.again = true // the commit has a transition already; this one is for the next
	default:
		t.move(to, reason)
	}
}

// refused notes an attempt to do what is not the controller's business in the history, and fails the turn.
func (t *Turn) refused(format string, args ...any) {
	t.fail(format, args...)
	t.trespass = append(t.trespass, store.Event{
		Object: t.stored.Key, UID: t.stored.UID, Kind: "Warning", Reason: "TransitionRefused", Message: clip(fmt.Sprintf(format, args...)),
	})
}

// move stages a transition, which the lifecycle has to allow.
func (t *Turn) move(to lifecycle.State, reason string) {
	table := t.controller.kind.Lifecycle
	switch {
	case t.next.State == to:
	case t.stored.Deleting() && table.Deleting() != "":
		t.fail("transition to %s: %s is being deleted, and stays %s until it is gone", to, t.stored.Key, table.Deleting())
	case !table.Allows(t.stored.State, to):
		rule, _ := table.Rule(t.stored.State)
		t.fail("transition from %s to %s is not in the lifecycle of %s, which allows %v", t.stored.State, to, t.stored.Kind, rule.To)
	case t.stored.State == to:
		t.next.State, t.next.StateSince, t.transition = to, t.stored.StateSince, ""
	default:
		t.next.State, t.next.StateSince, t.transition = to, t.now, reason
	}
}

// SetCondition reports an observation about the object. Ready and Late are the engine's.
func (t *Turn) SetCondition(kind string, status resource.Truth, reason, message string) {
	if kind == resource.Ready || kind == resource.Late {
		t.fail("condition %s is set by the engine, from the outcome of the turn and the budget of the state", kind)
		return
	}
	t.condition(kind, status, reason, message)
}

func (t *Turn) condition(kind string, status resource.Truth, reason, message string) {
	t.next.SetCondition(resource.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, Observed: t.next.Generation, Since: t.now,
	})
}

// Signals returns the signals raised on the object, neither consumed nor expired, oldest first.
func (t *Turn) Signals() []store.Signal {
	return slices.DeleteFunc(t.snapshot.Signals(t.stored.UID), func(s store.Signal) bool {
		return !s.Live(t.now) || slices.Contains(t.consume, s.ID)
	})
}

// Consume removes a signal with this turn's commit.
func (t *Turn) Consume(s store.Signal) {
	if !slices.Contains(t.consume, s.ID) {
		t.consume = append(t.consume, s.ID)
	}
}

// Event records a remark in the object's history.
func (t *Turn) Event(reason, format string, args ...any) {
	t.event("Normal", reason, fmt.Sprintf(format, args...))
}

func (t *Turn) event(kind, reason, message string) {
	t.events = append(t.events, store.Event{Object: t.stored.Key, UID: t.stored.UID, Kind: kind, Reason: reason, Message: message})
}

// fail remembers the first mistake in what the author staged; it fails the turn, terminally, when it ends.
func (t *Turn) fail(format string, args ...any) {
	if t.problem == nil {
		t.problem = Terminal(fmt.Errorf(format, args...))
	}
}
