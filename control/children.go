package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
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

// declare makes sure that a child exists with this spec, and returns it as it will be after the commit. While the
// parent is being deleted nothing is made or changed.
func (t *Turn) declare(def *resource.Definition, name string, spec json.RawMessage, opts []ChildOption) *resource.Object {
	id := childID{def.ID(), name}
	var o childOptions
	for _, opt := range opts {
		opt(&o)
	}
	slices.Sort(o.needs)
	if slices.ContainsFunc(t.children.declared, func(d declaration) bool { return d.childID == id }) {
		t.fail("child %s %q is declared twice in one turn", id.kind, name)
	}
	object := t.shape(def, id, spec, o)
	t.children.declared = append(t.children.declared, declaration{id, object})
	return object
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
		t.fail("child %s %q: the name %s is taken by an object that %s does not own; delete or rename it", id.kind, id.name, key, t.stored.Key)
		return have
	case t.stored.Deleting() || have.Deleting():
		return have // when it is gone, it is made anew
	case sameJSON(have.Spec, spec) && slices.Equal(have.Needs, o.needs) && (o.labels == nil || equalMaps(have.Labels, o.labels)):
		return have
	}
	return t.update(def, have, spec, o)
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

func (t *Turn) update(def *resource.Definition, have *resource.Object, spec json.RawMessage, o childOptions) *resource.Object {
	object := have.Clone()
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
	if err := def.Admit(old, object); err != nil {
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

// hold says that whether a child should exist is undecided: it is neither made nor pruned.
func (t *Turn) hold(def *resource.Definition, name string) {
	t.children.held = append(t.children.held, childID{def.ID(), name})
}

// Rollup ends a complete declaration. Children that exist and were neither declared nor held are deleted, those that others
// need after the others. The outcome folds the children: Done when all are ready and none is left over, otherwise a
// wait for those that are not.
func (t *Turn) Rollup() Outcome {
	t.children.complete = true
	if t.stored.Deleting() {
		if left := t.snapshot.Children(t.stored.UID); len(left) > 0 {
			return Await("DeletingChildren", "deleting "+names(left), refs(left)...)
		}
		return Done()
	}
	var waiting []*resource.Object
	var terminal string
	for _, d := range t.children.declared {
		if !d.object.Ready() || d.object.Deleting() {
			waiting = append(waiting, d.object)
			if m := refusal(d.object); m != "" && terminal == "" {
				terminal = fmt.Sprintf("%s: %s", d.object.Name, m)
			}
		}
	}
	switch surplus := t.surplus(); {
	case terminal != "":
		o := Await("ChildFailed", terminal, refs(waiting)...)
		o.class = command.Terminal
		return o
	case len(waiting) > 0:
		return Await("ChildrenNotReady", "waiting for "+names(waiting), refs(waiting)...)
	case len(t.children.held) > 0:
		return Await("Undecided", "not decided yet: "+heldNames(t.children.held))
	case len(surplus) > 0:
		return Await("Pruning", "deleting "+names(surplus), refs(surplus)...)
	}
	return Done()
}

// refusal is the message of a terminal wait of the current configuration, "" when there is none.
func refusal(o *resource.Object) string {
	for _, w := range o.Waits {
		if w.Class == string(command.Terminal) && o.Observed == o.Generation {
			return w.Message
		}
	}
	return ""
}

// surplus are the children that exist and were neither declared nor held.
func (t *Turn) surplus() []*resource.Object {
	var left []*resource.Object
	for _, c := range t.snapshot.Children(t.stored.UID) {
		if owner, ok := c.Owner(); !ok || owner.UID != t.stored.UID || owner.Child == "" || !t.wanted(c, owner.Child) {
			left = append(left, c)
		}
	}
	return left
}

func (t *Turn) wanted(c *resource.Object, name string) bool {
	if t.stored.Deleting() {
		return false
	}
	id := childID{c.Kind, name}
	return slices.Contains(t.children.held, id) ||
		slices.ContainsFunc(t.children.declared, func(d declaration) bool { return d.childID == id })
}

// prune stages the deletion of surplus children, once no sibling that needs them is left.
func (t *Turn) prune() {
	if !t.children.complete && !t.stored.Deleting() {
		return
	}
	siblings := t.snapshot.Children(t.stored.UID)
	for _, c := range t.surplus() {
		owner, _ := c.Owner()
		if c.Deleting() || needed(siblings, c, owner.Child) {
			continue
		}
		def, ok := t.engine.registry.Kind(c.Kind)
		if !ok {
			continue
		}
		object := c.Clone()
		object.Deleted, object.Generation = t.now, object.Generation+1
		t.stageObject(def, c, object, "Pruned")
	}
}

func needed(siblings []*resource.Object, c *resource.Object, name string) bool {
	return slices.ContainsFunc(siblings, func(s *resource.Object) bool {
		return s != c && slices.Contains(s.Needs, name)
	})
}

func refs(objects []*resource.Object) []resource.Ref {
	out := make([]resource.Ref, len(objects))
	for i, o := range objects {
		out[i] = resource.Ref{Object: o.Key}
	}
	return out
}

// names lists objects for a sentence, at most three of them.
func names(objects []*resource.Object) string {
	var words []string
	for i, o := range objects {
		if i == 3 {
			words = append(words, fmt.Sprintf("%d more", len(objects)-i))
			break
		}
		kind, _ := o.Kind.Split()
		words = append(words, kind+" "+string(o.Name))
	}
	return strings.Join(words, ", ")
}

func heldNames(ids []childID) string {
	var words []string
	for _, id := range ids {
		kind, _ := id.kind.Split()
		words = append(words, kind+" "+id.name)
	}
	return strings.Join(words, ", ")
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
