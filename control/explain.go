package control

import (
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/view"
)

// Explanation answers why an object is where it is: what it waits for, down to the root cause, and what acts on it. It is
// read from the view and the queues, never from the database.
type Explanation struct {
	Object             string               `json:"object"`
	UID                resource.UID         `json:"uid"`
	Generation         resource.Generation  `json:"generation"`
	ObservedGeneration resource.Generation  `json:"observedGeneration"`
	Revision           resource.Revision    `json:"revision"`
	State              lifecycle.State      `json:"state,omitempty"`
	StateSince         time.Time            `json:"stateSince,omitzero"`
	Budget             string               `json:"budget,omitempty"`
	Late               bool                 `json:"late,omitempty"`
	Ready              bool                 `json:"ready"`
	Conditions         []resource.Condition `json:"conditions,omitempty"`
	Waits              []resource.Wait      `json:"waits,omitempty"`
	// Action is the action under way, LastAction how the one before it ended, and Signals are those that stand.
	Action     *resource.Action          `json:"action,omitempty"`
	LastAction *resource.ActionEnd       `json:"lastAction,omitempty"`
	Signals    []resource.StandingSignal `json:"signals,omitempty"`
	Deleting   time.Time                 `json:"deleting,omitzero"`
	// Node is the name of the node that works on the object, "" where one process does everything, or when nobody does.
	Node string `json:"node,omitempty"`
	// Finalizers name who holds a deleted object.
	Finalizers []resource.Finalizer `json:"finalizers,omitempty"`
	Queue      []QueueEntry         `json:"queue,omitempty"`
	Commands   []CommandEntry       `json:"commands,omitempty"`
	Children   []ChildEntry         `json:"children,omitempty"`
	// Chain leads from this object to the root cause, one wait after the other.
	Chain []Link `json:"chain,omitempty"`
	// Hint is the command that shows or acts on the root cause.
	Hint string `json:"hint,omitempty"`
}

// QueueEntry is where an object stands in a controller's queue.
type QueueEntry struct {
	Controller string    `json:"controller"`
	InProgress bool      `json:"inProgress"`
	Attempts   int       `json:"attempts"`
	Due        time.Time `json:"due,omitzero"`
	Held       bool      `json:"held,omitempty"`
}

// CommandEntry is one of the object's commands.
type CommandEntry struct {
	Adapter     command.AdapterName `json:"adapter"`
	Key         string              `json:"key"`
	Destination string              `json:"destination,omitempty"`
	Phase       command.Phase       `json:"phase"`
	Wanted      bool                `json:"wanted"`
	Attempt     int                 `json:"attempt"`
	NotBefore   time.Time           `json:"notBefore,omitzero"`
	Class       command.Class       `json:"class,omitempty"`
	Message     string              `json:"message,omitempty"`
	Token       command.Token       `json:"token"`
	Intent      uint64              `json:"intent"`
	Unknown     bool                `json:"unknown,omitempty"`
	Losses      int                 `json:"losses,omitempty"`
}

// ChildEntry is one of the object's children.
type ChildEntry struct {
	Object string          `json:"object"`
	Ready  bool            `json:"ready"`
	State  lifecycle.State `json:"state,omitempty"`
}

// Link is one step of a chain of waits: an object, or, at the end, a command of the object before it.
type Link struct {
	Object  string `json:"object,omitempty"`
	Command string `json:"command,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`

	key resource.Key // of the object, or of the one that the command belongs to
}

// Explain explains an object of the view.
func (e *Engine) Explain(key resource.Key) (Explanation, bool) {
	s := e.view.Snapshot()
	defer s.Close()
	o, ok := s.Get(key)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{
		Object: key.String(), UID: o.UID, Generation: o.Generation, ObservedGeneration: o.Observed, Revision: o.Revision,
		State: o.State, Late: o.Is(resource.Late), Ready: o.Ready(), Conditions: o.Conditions, Waits: o.Waits,
		Deleting: o.Deleted, Action: o.Action, LastAction: o.Last, Signals: shown(s, o),
	}
	if o.State != "" {
		x.StateSince = o.StateSince
	}
	if o.Deleting() {
		x.Finalizers = o.Finalizers
	}
	if def, ok := e.registry.Kind(key.Kind); ok {
		if rule, ok := def.Lifecycle.Rule(o.State); ok && rule.Budget > 0 {
			x.Budget = rule.Budget.String()
		}
	}
	e.explainWork(&x, s, o)
	x.Chain = chain(s, o)
	if len(x.Chain) == 0 && o.Deleting() && len(o.Finalizers) > 0 {
		x.Chain = []Link{{Object: x.Object, Code: "Held", Message: e.heldBy(o), key: o.Key}}
	}
	x.Hint = hint(e, x.Chain)
	return x, true
}

// heldBy says who keeps a deleted object that waits for nothing else.
func (e *Engine) heldBy(o *resource.Object) string {
	var strangers []string
	for _, f := range o.Finalizers {
		if !e.Holder(f) {
			strangers = append(strangers, string(f))
		}
	}
	if len(strangers) == 0 {
		return "its controllers have not finished with it yet"
	}
	return "held by " + strings.Join(strangers, ", ") + ", not a controller of this plane; whoever put the finalizer there has to take it away"
}

func (e *Engine) explainWork(x *Explanation, s *view.Snapshot, o *resource.Object) {
	for _, l := range e.byKind[o.Kind] {
		if q, ok := l.queue.Inspect(o.Key); ok {
			x.Queue = append(x.Queue, QueueEntry{
				Controller: l.name, InProgress: q.State == queue.Working, Attempts: q.Attempts, Due: q.Due, Held: q.Held,
			})
		}
	}
	for _, c := range s.Commands(o.UID) {
		x.Commands = append(x.Commands, CommandEntry{
			Adapter: c.Adapter, Key: c.Key, Destination: c.Destination, Phase: c.Phase, Wanted: c.Request != nil, Attempt: c.Attempt,
			NotBefore: c.NotBefore, Class: c.Class, Message: c.Message, Token: c.Token, Intent: c.Intent, Unknown: c.Unknown, Losses: c.Losses,
		})
	}
	for _, c := range s.Children(o.UID) {
		x.Children = append(x.Children, ChildEntry{Object: c.Key.String(), Ready: c.Ready(), State: c.State})
	}
}

// chainLimit bounds a chain of waits; a cycle ends it as well.
const chainLimit = 16

// chain follows the first wait of each object to what it waits for.
func chain(s *view.Snapshot, o *resource.Object) []Link {
	var links []Link
	seen := map[resource.Key]bool{}
	for o != nil && !seen[o.Key] && len(links) < chainLimit {
		seen[o.Key] = true
		w, ok := firstWait(o)
		if !ok {
			if !o.Ready() && len(links) > 0 {
				links = append(links, Link{Object: o.Key.String(), Code: "NotReadyYet", Message: "its controller has not acted on it yet", key: o.Key})
			}
			break
		}
		links = append(links, Link{Object: o.Key.String(), Code: w.Code, Message: w.Message, key: o.Key})
		at := o.Key
		o = nil
		for _, ref := range w.On {
			if ref.Command != "" {
				links = append(links, Link{Command: ref.Command, Code: w.Code, Message: w.Message, key: at})
				return links
			}
			if next, ok := s.Get(ref.Object); ok && (o == nil || o.Ready() && !next.Ready()) {
				o = next
			}
		}
	}
	return links
}

// firstWait is the wait that keeps an object from its setpoint; a timer of one that is ready does not.
func firstWait(o *resource.Object) (resource.Wait, bool) {
	if o.Ready() && !o.Deleting() || len(o.Waits) == 0 {
		return resource.Wait{}, false
	}
	return o.Waits[0], true
}

// hint names the command that shows or acts on the end of a chain.
func hint(e *Engine, links []Link) string {
	if len(links) == 0 {
		return ""
	}
	last := links[len(links)-1]
	def, ok := e.registry.Kind(last.key.Kind)
	if !ok {
		return ""
	}
	what := def.Singular + " " + string(last.key.Name)
	if ns := last.key.Namespace; ns != "" && ns != "default" {
		what += " -n " + string(ns)
	}
	switch last.Code {
	case "Refused", "Exhausted", string(resource.HaltStuck):
		return "setpoint signal " + what + " " + string(RetrySignal)
	case string(resource.HaltPaused):
		return "setpoint signal " + what + " " + string(ResumeSignal)
	case string(resource.HaltParked):
		return "setpoint signal " + what + " " + string(CancelSignal)
	}
	return "setpoint describe " + what
}

// shown are the signals that stand on an object now, with what its driver has noted of them.
func shown(s *view.Snapshot, o *resource.Object) (all []resource.StandingSignal) {
	for _, x := range s.Signals(o.UID) {
		signal := resource.StandingSignal{Name: x.Name, By: x.By, At: x.At, Why: x.Why}
		for _, have := range o.Signals {
			if have.Name == x.Name && have.By == x.By && have.At.Equal(x.At) {
				signal.Note = have.Note
			}
		}
		all = append(all, signal)
	}
	return all
}
