package resource

import (
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Object is one resource with its spec and status as JSON, as the store keeps it and the view holds it. An Object
// that has been handed to the store, or came from it or from a view, is shared and must not be changed: [Object.Clone] first.
type Object struct {
	Meta
	// Spec is the desired configuration, a JSON object. Only clients and owners write it.
	Spec json.RawMessage
	// Status is what the kind's controllers report, a JSON object, without what Meta already says
	// (state, conditions, observed generation, waits).
	Status json.RawMessage

	// decoded is what View made of the object. It also lets go vet refuse to copy an Object by value.
	decoded atomic.Pointer[any]
}

// Meta is what every object has, whatever its kind.
type Meta struct {
	Key
	UID UID
	// Generation rises when Spec changes and when deletion is asked for.
	Generation Generation
	// Revision is the commit that changed the object last; 0 for one that is not stored yet.
	Revision Revision
	Created  time.Time
	// Deleted is when deletion was asked for; zero while it has not been. It is never taken back.
	Deleted time.Time

	// State is the place in the kind's lifecycle, entered at StateSince.
	State      lifecycle.State
	StateSince time.Time

	Attributes
}

// Attributes are the parts of Meta that grow: stored as one JSON object, and served in their places.
type Attributes struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owners      []Owner           `json:"owners,omitempty"`
	// Finalizers keep a deleted object until each holder has removed its own.
	Finalizers []Finalizer `json:"finalizers,omitempty"`
	// Needs names the siblings (by child name) that this child needs, and that are therefore deleted after it.
	Needs []string `json:"needs,omitempty"`
	// Conditions are observations about the object, at most one per type, sorted by type.
	Conditions []Condition `json:"conditions,omitempty"`
	// Observed is the generation that the kind's driver has last acted on.
	Observed Generation `json:"observedGeneration,omitempty"`
	// Waits says, per controller that is not at rest, what it waits for. Sorted by controller.
	Waits []Wait `json:"waits,omitempty"`
	// Action is the action under way, nil when there is none; Last is how the one before it ended.
	Action *Action    `json:"action,omitempty"`
	Last   *ActionEnd `json:"lastAction,omitempty"`
	// Signals are those that stand and have not been served yet, as the driver's last turn left them.
	Signals []StandingSignal `json:"signals,omitempty"`
}

// Owner is an object that this one belongs to. The owner is meant by UID; the key is for reading.
type Owner struct {
	Key
	UID UID `json:"uid"`
	// Child is the name under which the owner declared this object; "" when it was not declared by a controller.
	// Only the controlling owner may have one.
	Child string `json:"child,omitempty"`
	// Version is the version of the owner's API that the reference was written in, so that it is served as it was written.
	Version string `json:"version,omitempty"`
	// Controller marks the one owner that controls the object; an owner that declared it as a child always does.
	Controller bool `json:"controller,omitempty"`
	// Block keeps the owner, when it is deleted with its dependants first, until this object is gone.
	Block bool `json:"blockOwnerDeletion,omitempty"`
}

// Controls reports whether this owner controls the object.
func (o Owner) Controls() bool { return o.Controller || o.Child != "" }

// Finalizer names who holds a deleted object: "<controller>" for the engine's own.
type Finalizer string

// Status of a condition.
type Truth string

// The three values of a condition.
const (
	True    Truth = "True"
	False   Truth = "False"
	Unknown Truth = "Unknown"
)

// Well-known condition types.
const (
	// Ready: the object is at its setpoint.
	Ready = "Ready"
	// Late: it has been in an unstable or unhealthy state for longer than the budget of that state.
	Late = "Late"
	// Delayed: a step of the action under way takes so long that a human should know.
	Delayed = "Delayed"
)

// Condition is one observation, in the shape Kubernetes made common.
type Condition struct {
	Type    string `json:"type"`
	Status  Truth  `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// Observed is the generation this was true of.
	Observed Generation `json:"observedGeneration,omitempty"`
	// Since is when Status changed last.
	Since time.Time `json:"lastTransitionTime"`
}

// Wait is a structured reason for not being at rest: what [Wait.Code] it is, on whom, and until when.
type Wait struct {
	Controller string `json:"controller"`
	// Code is a CamelCase word for programs, Message a sentence for people.
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
	// On lists the objects and commands waited for.
	On []Ref `json:"on,omitempty"`
	// Until is when the controller looks again by itself, zero when only a change wakes it.
	Until time.Time `json:"until,omitzero"`
	// Class is set when the wait is for an error to pass.
	Class string `json:"class,omitempty"`
	// Since is when the controller began to wait for this code.
	Since time.Time `json:"since"`
}

// Ref points at an object, or at a command by its slot ("adapter/key").
type Ref struct {
	Object  Key    `json:"object,omitzero"`
	Command string `json:"command,omitempty"`
}

func (r Ref) String() string {
	if r.Command != "" {
		return "command " + r.Command
	}
	return r.Object.String()
}

// Deleting reports whether deletion has been asked for.
func (m *Meta) Deleting() bool { return !m.Deleted.IsZero() }

// Ready reports whether the object is at its setpoint, for the configuration it has now.
func (m *Meta) Ready() bool {
	c, ok := m.Condition(Ready)
	return ok && c.Status == True && c.Observed == m.Generation
}

// Owner returns the object's controlling owner, or else its first, and whether it has one.
func (m *Meta) Owner() (Owner, bool) {
	for _, o := range m.Owners {
		if o.Controls() {
			return o, true
		}
	}
	if len(m.Owners) == 0 {
		return Owner{}, false
	}
	return m.Owners[0], true
}

// Condition returns the condition of a type, and whether there is one.
func (a *Attributes) Condition(kind string) (Condition, bool) {
	for _, c := range a.Conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return Condition{}, false
}

// Is reports whether the condition of a type is true.
func (a *Attributes) Is(kind string) bool {
	c, ok := a.Condition(kind)
	return ok && c.Status == True
}

// SetCondition puts c in its place. Since is kept while Status does not change, and set to c.Since otherwise.
func (a *Attributes) SetCondition(c Condition) {
	at, found := slices.BinarySearchFunc(a.Conditions, c.Type, func(have Condition, kind string) int {
		switch {
		case have.Type < kind:
			return -1
		case have.Type > kind:
			return 1
		}
		return 0
	})
	if !found {
		a.Conditions = slices.Insert(slices.Clone(a.Conditions), at, c)
		return
	}
	if a.Conditions[at].Status == c.Status {
		c.Since = a.Conditions[at].Since
	}
	if a.Conditions[at] == c {
		return
	}
	a.Conditions = slices.Clone(a.Conditions)
	a.Conditions[at] = c
}

// Holds reports whether f is among the finalizers.
func (a *Attributes) Holds(f Finalizer) bool { return slices.Contains(a.Finalizers, f) }

// Clone returns a copy that shares nothing which [Object]'s fields or methods could change in place. Spec and
// Status are shared: they are replaced, never edited.
func (o *Object) Clone() *Object {
	c := &Object{Meta: o.Meta, Spec: o.Spec, Status: o.Status}
	c.Attributes = o.Attributes.clone()
	return c
}

func (a Attributes) clone() Attributes {
	a.Labels = maps.Clone(a.Labels)
	a.Annotations = maps.Clone(a.Annotations)
	a.Owners = slices.Clone(a.Owners)
	a.Finalizers = slices.Clone(a.Finalizers)
	a.Needs = slices.Clone(a.Needs)
	a.Conditions = slices.Clone(a.Conditions)
	a.Waits = slices.Clone(a.Waits)
	for i := range a.Waits {
		a.Waits[i].On = slices.Clone(a.Waits[i].On)
	}
	a.Action, a.Signals = a.Action.Clone(), slices.Clone(a.Signals)
	if a.Last != nil {
		last := *a.Last
		a.Last = &last
	}
	return a
}
