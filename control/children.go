package control

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// children is what a turn has declared about the parts of its object.
type children struct {
	declared []declaration
	held     []childID
	// complete is set by Rollup: everything not declared and not held by the end of the turn is pruned.
	complete bool
}

type childID struct {
	kind resource.KindID
	name string
}

// declaration is a child that should exist, and the form it will have after this commit.
type declaration struct {
	childID
	object *resource.Object
}

// ChildOption refines a child.
type ChildOption func(*childOptions)

type childOptions struct {
	needs  []string
	labels map[string]string
}

// Needs names the siblings that a child needs, by the names they were declared under: it is deleted before they are.
// The names are stored with the child, so that the order holds also when the parent no longer declares it.
func Needs(siblings ...string) ChildOption {
	return func(o *childOptions) { o.needs = append(o.needs, siblings...) }
}

// Labels sets the labels of a child.
func Labels(labels map[string]string) ChildOption {
	return func(o *childOptions) { o.labels = labels }
}

// childKey is where a child lives: beside its parent, under "<parent>.<child>".
func (t *Turn) childKey(id childID) resource.Key {
	return resource.Key{Kind: id.kind, Namespace: t.stored.Namespace, Name: t.stored.Name + "." + resource.Name(id.name)}
}

// childName is the name under which a child is kept. Those of a further controller begin with its name, so that each controller prunes its own
// children and no others.
func (t *Turn) childName(name string) string {
	if t.controller.driver {
		return name
	}
	return t.controller.name + "." + name
}

// answersFor reports whether a child of this name was declared by this turn's controller. The driver answers for those of
// controllers that are no more.
func (t *Turn) answersFor(child string) bool {
	for _, l := range t.engine.byKind[t.stored.Kind] {
		if !l.driver && strings.HasPrefix(child, l.name+".") {
			return l.Controller == t.controller
		}
	}
	return t.controller.driver
}

// declare makes sure that a child exists with this spec, and returns it as it will be after the commit. While the
// parent is being deleted nothing is made or changed.
func (t *Turn) declare(def *resource.Definition, name string, spec json.RawMessage, opts []ChildOption) *resource.Object {
	id := childID{def.ID(), t.childName(name)}
	var o childOptions
	for _, opt := range opts {
		opt(&o)
	}
	for i, need := range o.needs {
		o.needs[i] = t.childName(need)
	}
	slices.Sort(o.needs)
	if _, known := t.engine.registry.Kind(id.kind); !known {
		t.fail("child %s %q: the kind is not registered; give it to the plane with its other kinds", id.kind, name)
	}
	t.declareOnce(id)
	object := t.shape(def, id, spec, o)
	t.children.declared = append(t.children.declared, declaration{id, object})
	return object
}

// declareOnce refuses a second declaration of a child in a turn. One by a step of an action takes the place of that by the compare, and the other way round.
func (t *Turn) declareOnce(id childID) {
	at := slices.IndexFunc(t.children.declared, func(d declaration) bool { return d.childID == id })
	switch {
	case at < 0:
	case !t.stepped:
		t.fail("child %s %q is declared twice in one turn", id.kind, id.name)
	default:
		t.children.declared = slices.Delete(t.children.declared, at, at+1)
		key := t.childKey(id)
		t.objects = slices.DeleteFunc(t.objects, func(w store.ObjectWrite) bool { return w.Object.Key == key })
	}
}

// shape finds the child and stages what is missing.
func (t *Turn) shape(def *resource.Definition, id childID, spec json.RawMessage, o childOptions) *resource.Object {
	key := t.childKey(id)
	have, ok := t.snapshot.Get(key)
	switch {
	case !ok && t.stored.Deleting():
		return &resource.Object{Meta: resource.Meta{Key: key}, Spec: spec, Status: json.RawMessage(`{}`)}
	case !ok:
		return t.create(def, id, key, spec, o)
	case !t.owns(have):
		t.depends.key(key) // to go on when the name is free
		t.fail("child %s %q: the name %s is taken by an object that %s does not own; delete or rename it", id.kind, id.name, key, t.stored.Key)
		return have
	case t.stored.Deleting() || have.Deleting():
		return have // when it is gone, it is made anew
	case t.entry(have).Child == id.name && sameJSON(have.Spec, spec) && slices.Equal(have.Needs, o.needs) && (o.labels == nil || equalMaps(have.Labels, o.labels)):
		return have
	}
	return t.update(def, id, have, spec, o)
}

func (t *Turn) create(def *resource.Definition, id childID, key resource.Key, spec json.RawMessage, o childOptions) *resource.Object {
	object := &resource.Object{
		Meta: resource.Meta{
			Key: key, UID: t.engine.newUID(), Generation: 1, Created: t.now,
			State: def.Lifecycle.Initial(), StateSince: t.now,
			Attributes: resource.Attributes{
				Labels: o.labels, Needs: o.needs, Finalizers: t.engine.holds(def),
				Owners: []resource.Owner{{
					Key: t.stored.Key, Version: t.controller.kind.Version, UID: t.stored.UID, Child: id.name, Controller: true, Block: true,
				}},
			},
		},
		Spec: spec, Status: json.RawMessage(`{}`),
	}
	t.stageObject(def, nil, object, "Declared")
	return object
}

func (t *Turn) update(def *resource.Definition, id childID, have *resource.Object, spec json.RawMessage, o childOptions) *resource.Object {
	object := have.Clone()
	for i := range object.Owners {
		if owner := &object.Owners[i]; owner.UID == t.stored.UID {
			owner.Child, owner.Controller = id.name, true // also of one that a client made as ours, or took the mark from
		}
	}
	object.Needs = o.needs
	if o.labels != nil {
		object.Labels = o.labels
	}
	if !sameJSON(have.Spec, spec) {
		object.Spec = spec
		object.Generation++
	}
	t.stageObject(def, have, object, "Declared")
	return object
}

// stageObject stages a write of another object, after the rules of its kind have been asked.
func (t *Turn) stageObject(def *resource.Definition, old, object *resource.Object, reason string) {
	if err := admit(def, old, object); err != nil {
		t.fail("%w", err)
		return
	}
	w := store.ObjectWrite{Object: object, Reason: reason, Gone: gone(def, object)}
	if old != nil {
		w.Expect = old.Revision
	}
	t.objects = append(t.objects, w)
}

// gone is the final state that an object passes through if its commit removes it.
func gone(def *resource.Definition, o *resource.Object) lifecycle.State {
	if !o.Deleting() || len(o.Finalizers) > 0 {
		return ""
	}
	if final := def.Lifecycle.Deleted(); def.Lifecycle.Allows(o.State, final) {
		return final
	}
	return ""
}

func (t *Turn) owns(o *resource.Object) bool {
	owner, ok := o.Owner()
	return ok && owner.UID == t.stored.UID
}

// entry is the turn's object among the owners of another, the zero one when it is not there.
func (t *Turn) entry(o *resource.Object) resource.Owner {
	for _, owner := range o.Owners {
		if owner.UID == t.stored.UID {
			return owner
		}
	}
	return resource.Owner{}
}

// hold says that whether a child should exist is undecided: it is neither made nor pruned.
func (t *Turn) hold(def *resource.Definition, name string) {
	t.children.held = append(t.children.held, childID{def.ID(), t.childName(name)})
}

// sameJSON compares bytes first: what a turn declares is nearly always what it declared before.
func sameJSON(a, b json.RawMessage) bool { return bytes.Equal(a, b) || resource.SameJSON(a, b) }

func equalMaps(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}
