package resource

import (
	"bytes"
	"fmt"
	"strings"
)

// Admit judges a write of new over old (nil when the object is made) by all rules of the kind, and returns a *[Invalid] that lists all it
// breaks, or an error that wraps [ErrTooLarge]. It changes nothing.
//
// What has not changed is not judged again: an object made under older rules can still be driven and deleted under newer ones.
func (d *Definition) Admit(old, new *Object) error {
	if err := d.Check(); err != nil {
		return err
	}
	if n := size(new); n > MaxBytes {
		return fmt.Errorf("%s: %d bytes: %w", new.Key, n, ErrTooLarge)
	}
	a := admission{d: d, old: old, new: new, specNew: old == nil || !SameJSON(old.Spec, new.Spec)}
	a.identity()
	a.generation()
	a.lifecycle()
	a.deletion()
	a.attributes()
	a.parts()
	if len(a.wrong) == 0 {
		return nil
	}
	return &Invalid{Key: new.Key, Causes: a.wrong}
}

// size is about what the object takes in the store.
func size(o *Object) int {
	n := len(o.Spec) + len(o.Status)
	for k, v := range o.Labels {
		n += len(k) + len(v)
	}
	for k, v := range o.Annotations {
		n += len(k) + len(v)
	}
	for i := range o.Conditions {
		n += len(o.Conditions[i].Message)
	}
	for i := range o.Waits {
		n += len(o.Waits[i].Message)
	}
	if o.Action != nil {
		n += len(o.Action.Message)
		for i := range o.Action.Steps {
			n += len(o.Action.Steps[i].Result)
		}
	}
	for i := range o.Signals {
		n += len(o.Signals[i].Why) + len(o.Signals[i].Note)
	}
	return n
}

// admission is one judgement.
type admission struct {
	d        *Definition
	old, new *Object
	specNew  bool // the specification means something else than before
	wrong    causes
}

func (a *admission) identity() {
	o := a.new
	if o.Kind != a.d.ID() {
		a.wrong.add("kind", WrongValue, "is %s, want %s", o.Kind, a.d.ID())
	}
	if a.old != nil {
		a.unchanged("metadata.name", a.old.Name == o.Name)
		a.unchanged("metadata.namespace", a.old.Namespace == o.Namespace)
		a.unchanged("metadata.uid", a.old.UID == o.UID)
		a.unchanged("metadata.creationTimestamp", a.old.Created.Equal(o.Created))
		return
	}
	if o.Name == "" {
		a.wrong.add("metadata.name", Required, "is required")
	} else if err := CheckName(o.Name); err != nil {
		a.wrong.add("metadata.name", WrongValue, "%s", err.Error())
	}
	switch {
	case !a.d.Namespaced() && o.Namespace != "":
		a.wrong.add("metadata.namespace", Forbidden, "%s belongs to no namespace", a.d.Kind)
	case a.d.Namespaced() && o.Namespace == "":
		a.wrong.add("metadata.namespace", Required, "is required")
	case a.d.Namespaced():
		if err := CheckNamespace(o.Namespace); err != nil {
			a.wrong.add("metadata.namespace", WrongValue, "%s", err.Error())
		}
	}
	if o.UID == "" {
		a.wrong.add("metadata.uid", Required, "is required")
	}
	if o.Created.IsZero() {
		a.wrong.add("metadata.creationTimestamp", Required, "is required")
	}
}

func (a *admission) unchanged(field string, ok bool) {
	if !ok {
		a.wrong.add(field, Forbidden, "cannot be changed")
	}
}

func (a *admission) generation() {
	want := Generation(1)
	if a.old != nil {
		want = a.old.Generation
		if a.specNew || a.old.Deleting() != a.new.Deleting() {
			want++
		}
	}
	respelt := a.old != nil && !bytes.Equal(a.old.Spec, a.new.Spec) // may be counted as a change, or not
	if a.new.Generation != want && !(respelt && a.new.Generation == a.old.Generation+1) {
		a.wrong.add("metadata.generation", WrongValue, "is %d, want %d", a.new.Generation, want)
	}
	if a.new.Observed > a.new.Generation {
		a.wrong.add("status.observedGeneration", WrongValue, "is %d, above the generation %d", a.new.Observed, a.new.Generation)
	}
}

func (a *admission) lifecycle() {
	table, state := a.d.Lifecycle, a.new.State
	if a.old != nil && a.old.State == state {
		return
	}
	if _, known := table.Rule(state); !known && (len(table) > 0 || state != "") {
		var states []string
		for _, r := range table {
			states = append(states, string(r.State))
		}
		a.wrong.add("status.state", NotSupported, "%q is not a state of %s%s", state, a.d.Kind, didYouMean(string(state), states))
		return
	}
	if a.old == nil {
		if state != table.Initial() {
			a.wrong.add("status.state", Forbidden, "a new object begins in %s, not in %s", table.Initial(), state)
		}
		return
	}
	if _, known := table.Rule(a.old.State); known && !table.Allows(a.old.State, state) {
		a.wrong.add("status.state", Forbidden, "cannot go from %s to %s", a.old.State, state)
	}
	if a.new.StateSince.IsZero() {
		a.wrong.add("status.stateSince", Required, "is required when the state changes")
	}
}

func (a *admission) deletion() {
	if a.old == nil {
		if a.new.Deleting() {
			a.wrong.add("metadata.deletionTimestamp", Forbidden, "a new object cannot be deleted already")
		}
		return
	}
	if !a.old.Deleting() {
		return
	}
	if !a.old.Deleted.Equal(a.new.Deleted) {
		a.wrong.add("metadata.deletionTimestamp", Forbidden, "deletion is under way and cannot be taken back")
	}
	for i, f := range a.new.Finalizers {
		if !a.old.Holds(f) {
			a.wrong.add(fmt.Sprintf("metadata.finalizers[%d]", i), Forbidden, "%q cannot be added while the object is being deleted", f)
		}
	}
}

// parts judges the spec when it changed, the status when it changed, and lets the kind's function judge a new spec.
func (a *admission) parts() {
	specOK, before := true, len(a.wrong)
	if a.specNew {
		_, specOK = a.d.spec.judgePart("spec", a.new.Spec, &a.wrong)
	}
	statusNew := a.old == nil && len(a.new.Status) > 0 || a.old != nil && !SameJSON(a.old.Status, a.new.Status)
	if statusNew {
		status, _ := a.d.status.judgePart("status", a.new.Status, &a.wrong)
		for _, field := range engineStatus {
			if status.get(field) != nil {
				a.wrong.add("status."+field, Forbidden, "is the engine's field, and not one of the stored status")
			}
		}
	}
	if !specOK || len(a.wrong) > before || !a.specNew && !statusNew {
		return
	}
	if a.d.decodes != nil {
		if err := a.d.decodes(a.new); err != nil {
			a.wrong.add("", WrongValue, "%s", strings.TrimPrefix(err.Error(), a.new.Key.String()+": "))
			return
		}
	}
	if a.specNew && a.d.Validate != nil {
		if err := a.d.Validate(a.old, a.new); err != nil {
			a.wrong.addError("spec", err)
		}
	}
}
