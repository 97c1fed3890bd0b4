package control

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/setpointhq/setpoint/resource"
)

// Kind is a kind of resource with the Go types of its spec and status: where authors declare children, read others, and
// make controllers.
type Kind[S, T any] struct {
	*resource.Definition
}

// Define checks a kind and derives what follows from its Go types. See [resource.Define].
func Define[S, T any](o resource.Options[S, T]) (Kind[S, T], error) {
	def, err := resource.Define(o)
	return Kind[S, T]{def}, err
}

// MustDefine is [Define] for package variables: a kind that is wrong is a bug of the program, so it panics.
func MustDefine[S, T any](o resource.Options[S, T]) Kind[S, T] {
	k, err := Define(o)
	if err != nil {
		panic(err)
	}
	return k
}

// Driver makes the controller that drives the kind: the only one that may move its objects between states, and whose outcome
// is their Ready condition. A kind has at most one.
func (k Kind[S, T]) Driver(name string, reconcile func(*Turn, *resource.Typed[S, T]) Outcome, opts ...ControllerOption) Controller {
	return newController(name, k.Definition, true, k.runner(reconcile), opts)
}

// Controller makes a further controller over the kind. It may declare children and effects of its own and set conditions; to
// move the object it raises signals.
func (k Kind[S, T]) Controller(name string, reconcile func(*Turn, *resource.Typed[S, T]) Outcome, opts ...ControllerOption) Controller {
	return newController(name, k.Definition, false, k.runner(reconcile), opts)
}

// runner decodes a private copy for the author, and takes the status back. Meta is a copy as well: what is changed in it is ignored.
func (k Kind[S, T]) runner(reconcile func(*Turn, *resource.Typed[S, T]) Outcome) func(*Turn) Outcome {
	return func(t *Turn) Outcome {
		typed, err := resource.Decode[S, T](t.next)
		if err != nil {
			return Fail(Terminal(fmt.Errorf("%s: %w", t.stored.Key, err)))
		}
		outcome := reconcile(t, typed)
		status, err := json.Marshal(&typed.Status)
		if err != nil {
			return Fail(Terminal(fmt.Errorf("%s: the status cannot be encoded: %w", t.stored.Key, err)))
		}
		t.next.Status = status
		return outcome
	}
}

// Child declares that the turn's object has a child of this kind, under a name unique among its children of the kind, with
// this spec. It is created or updated by the turn's commit. The answer is the child as it will then be, so that its Ready is false right after
// a change; for one that does not exist yet the status is zero. It is shared: read it only.
func (k Kind[S, T]) Child(t *Turn, name string, spec S, opts ...ChildOption) *resource.Typed[S, T] {
	encoded, err := k.EncodeSpec(&spec)
	if err != nil {
		t.fail("child %s %q: %w", k.ID(), name, err)
		return &resource.Typed[S, T]{Spec: spec}
	}
	return k.typed(t, t.declare(k.Definition, name, encoded, opts))
}

// Hold says that whether the child exists is undecided in this turn, because something needed for its spec is unknown: it is
// neither made, nor changed, nor pruned.
func (k Kind[S, T]) Hold(t *Turn, name string) { t.hold(k.Definition, name) }

// Get reads an object of the kind in the namespace of the turn's own. The turn is run again when that object changes.
func (k Kind[S, T]) Get(t *Turn, name resource.Name) (*resource.Typed[S, T], bool) {
	return k.GetIn(t, t.stored.Namespace, name)
}

// GetIn is [Kind.Get] in another namespace.
func (k Kind[S, T]) GetIn(t *Turn, ns resource.Namespace, name resource.Name) (*resource.Typed[S, T], bool) {
	o, ok := t.read(resource.Key{Kind: k.ID(), Namespace: ns, Name: name})
	if !ok {
		return nil, false
	}
	return k.typed(t, o), true
}

// List reads the objects of the kind in a namespace ("" is all), by namespace and name. The turn is run again when any of the kind changes.
func (k Kind[S, T]) List(t *Turn, ns resource.Namespace) iter.Seq[*resource.Typed[S, T]] {
	return func(yield func(*resource.Typed[S, T]) bool) {
		for o := range t.list(k.ID(), ns) {
			if !yield(k.typed(t, o)) {
				return
			}
		}
	}
}

// typed decodes once per version of an object; the result is shared by every reader.
func (k Kind[S, T]) typed(t *Turn, o *resource.Object) *resource.Typed[S, T] {
	typed, err := resource.View[S, T](o)
	if err != nil {
		t.fail("%s: %w", o.Key, err)
		return &resource.Typed[S, T]{Meta: o.Meta}
	}
	return typed
}
