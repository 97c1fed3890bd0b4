package control

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Rollup ends a complete declaration of children. Those that this controller declared before, and neither declared nor held in this turn, are
// deleted, those that others need after the others. The outcome folds the children: Done when all are ready (a child whose kind nobody
// drives is always), none is undecided and none is left over; otherwise a wait for those that are not.
func (t *Turn) Rollup() Outcome {
	t.children.complete = true
	if t.stored.Deleting() {
		if left := t.parts(); len(left) > 0 {
			return Await("DeletingChildren", t.pruning(left), refs(left)...)
		}
		return Done()
	}
	var waiting []*resource.Object
	var terminal string
	for _, d := range t.children.declared {
		if t.engine.atSetpoint(d.object) {
			continue
		}
		waiting = append(waiting, d.object)
		if m := refusal(d.object); m != "" && terminal == "" {
			terminal = fmt.Sprintf("%s: %s", d.object.Name, m)
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
		return Await("Pruning", t.pruning(surplus), refs(surplus)...)
	}
	return Done()
}

// atSetpoint reports whether a child is at its setpoint. One whose kind has no driver has no setpoint but its spec.
func (e *Engine) atSetpoint(o *resource.Object) bool {
	return !o.Deleting() && (o.Ready() || e.driver(o.Kind) == nil)
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

// surplus are the parts that were neither declared nor held.
func (t *Turn) surplus() []*resource.Object {
	return slices.DeleteFunc(t.parts(), func(c *resource.Object) bool { return t.wanted(c, t.entry(c).Child) })
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
	for _, c := range t.prunable(t.surplus()) {
		def, ok := t.engine.registry.Kind(c.Kind)
		if !ok {
			continue // pruning says so
		}
		object := c.Clone()
		object.Deleted, object.Generation = t.now, object.Generation+1
		t.stageObject(def, c, object, "Pruned")
	}
}

// prunable picks those of the surplus that can be deleted now: the ones that no sibling needs. Children that need each other in a ring are deleted
// together, since there is no order that would be right.
func (t *Turn) prunable(surplus []*resource.Object) []*resource.Object {
	var free []*resource.Object
	ring := true
	for _, c := range surplus {
		needy := t.needy(c)
		if len(needy) == 0 && !c.Deleting() {
			free = append(free, c)
		}
		outside := slices.ContainsFunc(needy, func(s *resource.Object) bool { return !slices.Contains(surplus, s) })
		ring = ring && !outside && !c.Deleting()
	}
	if ring && len(free) == 0 {
		return surplus
	}
	return free
}

// needy are the siblings of a child that need it.
func (t *Turn) needy(c *resource.Object) []*resource.Object {
	name := t.entry(c).Child
	if name == "" {
		return nil
	}
	return slices.DeleteFunc(t.snapshot.Children(t.stored.UID), func(s *resource.Object) bool {
		return s == c || !slices.Contains(s.Needs, name)
	})
}

// pruning says what becomes of the surplus, and what keeps it.
func (t *Turn) pruning(surplus []*resource.Object) string {
	for _, c := range surplus {
		if _, known := t.engine.registry.Kind(c.Kind); !known {
			return "deleting " + names(surplus) + "; the kind of " + string(c.Name) + " is not registered, so that nobody can delete it"
		}
		if needy := t.needy(c); !c.Deleting() && len(needy) > 0 {
			return "deleting " + names(surplus) + "; " + string(c.Name) + " is needed by " + names(needy)
		}
	}
	return "deleting " + names(surplus)
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

// parts are the objects that this turn's controller answers for: the children it has declared, and, for the driver of an object that is being
// deleted, what else belongs to the object and to nobody else.
func (t *Turn) parts() []*resource.Object {
	var out []*resource.Object
	for _, c := range t.snapshot.Children(t.stored.UID) {
		switch name := t.entry(c).Child; {
		case name != "":
			if t.answersFor(name) {
				out = append(out, c)
			}
		case t.controller.driver && t.stored.Deleting() && !t.shared(c):
			out = append(out, c)
		}
	}
	return out
}

// shared reports whether an object has another owner that exists.
func (t *Turn) shared(o *resource.Object) bool {
	return slices.ContainsFunc(o.Owners, func(owner resource.Owner) bool { return owner.UID != t.stored.UID && t.alive(owner) })
}
