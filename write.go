package setpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ErrExists says that an object with the name exists already.
var ErrExists = errors.New("already exists")

// Part names what a write may change.
type Part uint8

// The parts of an object.
const (
	// Desired: spec, labels, annotations, owners and finalizers. What status says stays as it is.
	Desired Part = iota
	// Reported: the author's status and the conditions. All else stays as it is, the state as well: it is the driver's.
	Reported
)

// Preconditions narrow a deletion. Zero fields do not.
type Preconditions struct {
	UID      resource.UID
	Revision resource.Revision
}

// writeAttempts bounds how often a write that names no revision is repeated on a newer version.
const writeAttempts = 16

// Create stores a new object: defaulted, checked against the kind's rules, and held by its driver. by says who asks, "api:<user>" for a
// client. It fails with ErrExists, *resource.Invalid, or *store.CommitError. With dryRun nothing is stored.
func (p *Plane) Create(ctx context.Context, by string, o *Object, dryRun bool) (*Object, error) {
	def, err := p.kind(o.Key)
	if err != nil {
		return nil, err
	}
	o = o.Clone()
	o.Revision, o.Deleted, o.Status = 0, time.Time{}, nil
	o.Conditions, o.Waits, o.Observed, o.Needs = nil, nil, 0, nil
	birth := resource.Birth{Now: now(), UID: p.config.NewUID}
	if err := def.Prepare(o, birth); err != nil {
		return nil, err
	}
	for _, f := range p.engine.Holds(def) {
		if !o.Holds(f) {
			o.Finalizers = append(o.Finalizers, f)
		}
	}
	if err := def.Admit(nil, o); err != nil {
		return nil, err
	}
	if _, taken := p.View().Get(o.Key); taken {
		return nil, fmt.Errorf("create %s: %w", o.Key, ErrExists)
	}
	stored, err := p.put(ctx, by, "create", dryRun, store.ObjectWrite{Object: o, Reason: "Created"})
	if errors.Is(err, store.ErrConflict) {
		return nil, fmt.Errorf("create %s: %w", o.Key, ErrExists)
	}
	return stored, err
}

// Update changes one part of an object. o.Revision, when not 0, must be the stored one; otherwise the write is repeated on the latest
// version until it succeeds. A write that changes nothing keeps the revision. It fails with store.ErrNotFound, *resource.Invalid, or *store.CommitError.
func (p *Plane) Update(ctx context.Context, by string, o *Object, part Part, dryRun bool) (*Object, error) {
	return p.modify(ctx, by, o.Key, o.Revision, dryRun, func(have *Object) (*Object, error) {
		if o.UID != "" && o.UID != have.UID {
			return nil, &store.CommitError{Err: store.ErrConflict, Key: o.Key, Detail: "it was deleted and created again: its UID is " + string(have.UID)}
		}
		return merge(have, o, part), nil
	})
}

// Modify applies a change to the latest version of an object, and again if another writer came first. change gets a copy that it may
// alter, and may return an error to give up.
func (p *Plane) Modify(ctx context.Context, by string, key Key, change func(*Object) error) (*Object, error) {
	return p.modify(ctx, by, key, 0, false, func(have *Object) (*Object, error) {
		next := have.Clone()
		if err := change(next); err != nil {
			return nil, err
		}
		return merge(have, next, Desired), nil
	})
}

// Delete asks for deletion: at once for an object that nobody holds, otherwise when its last finalizer is removed. removed says which.
func (p *Plane) Delete(ctx context.Context, by string, key Key, pre Preconditions, dryRun bool) (o *Object, removed bool, err error) {
	o, err = p.modify(ctx, by, key, pre.Revision, dryRun, func(have *Object) (*Object, error) {
		if pre.UID != "" && pre.UID != have.UID {
			return nil, &store.CommitError{Err: store.ErrConflict, Key: key, Detail: "the UID is " + string(have.UID) + ", not " + string(pre.UID)}
		}
		if have.Deleting() {
			return have, nil
		}
		next := have.Clone()
		next.Deleted, next.Generation = now(), have.Generation+1
		return next, nil
	})
	return o, err == nil && len(o.Finalizers) == 0, err
}

// Signal raises a signal on an object (P6): it is stored, and consumed by the turn that acts on it.
func (p *Plane) Signal(ctx context.Context, by string, key Key, name lifecycle.SignalName, payload []byte) (store.SignalID, error) {
	o, ok := p.View().Get(key)
	if !ok {
		return 0, fmt.Errorf("signal %s on %s: %w", name, key, store.ErrNotFound)
	}
	r, err := p.store.Commit(ctx, store.Transaction{
		Writer: store.Writer{Name: by}, Cause: store.Cause{Text: "signal"},
		Reads: []store.Read{{Key: key, Revision: o.Revision}},
		Raise: []store.Signal{{Object: key, UID: o.UID, Name: name, Payload: payload, By: by, At: now()}},
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		if waitErr := p.catchUp(ctx, err); waitErr != nil {
			return 0, waitErr
		}
		return p.Signal(ctx, by, key, name, payload)
	case err != nil:
		return 0, fmt.Errorf("signal %s on %s: %w", name, key, err)
	}
	return r.Signals[0], p.View().WaitFor(ctx, r.Revision)
}

func (p *Plane) kind(key Key) (*Definition, error) {
	def, ok := p.registry.Kind(key.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: the kind %s is not registered", key, key.Kind)
	}
	return def, nil
}

// modify is read, change, check, write, on the latest version until no other writer interferes.
func (p *Plane) modify(ctx context.Context, by string, key Key, at resource.Revision, dryRun bool, change func(*Object) (*Object, error)) (*Object, error) {
	def, err := p.kind(key)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		have, ok := p.View().Get(key)
		if !ok {
			return nil, fmt.Errorf("%s: %w", key, store.ErrNotFound)
		}
		if at != 0 && at != have.Revision {
			return nil, &store.CommitError{Err: store.ErrConflict, Key: key, Expected: at, Actual: have.Revision}
		}
		next, err := change(have)
		if err != nil {
			return nil, err
		}
		if same(have, next) {
			return have, nil
		}
		if err := def.ApplyDefaults(next); err != nil {
			return nil, err
		}
		if err := def.Admit(have, next); err != nil {
			return nil, err
		}
		stored, err := p.put(ctx, by, "write", dryRun, store.ObjectWrite{Expect: have.Revision, Object: next, Reason: "Requested", Gone: gone(def, next)})
		if err == nil || at != 0 || attempt == writeAttempts || !errors.Is(err, store.ErrConflict) {
			return stored, err
		}
		if err := p.catchUp(ctx, err); err != nil {
			return nil, err
		}
	}
}

// put commits one write, and returns the object as the view then shows it, or its last form.
func (p *Plane) put(ctx context.Context, by, why string, dryRun bool, w store.ObjectWrite) (*Object, error) {
	if dryRun {
		return w.Object, nil
	}
	r, err := p.store.Commit(ctx, store.Transaction{
		Writer: store.Writer{Name: by}, Cause: store.Cause{Text: why}, Objects: []store.ObjectWrite{w},
	})
	if err != nil {
		return nil, err
	}
	if err := p.View().WaitFor(ctx, r.Revision); err != nil {
		return nil, fmt.Errorf("%s of %s was committed at revision %d, but the view does not show it yet: %w", why, w.Object.Key, r.Revision, err)
	}
	stored := w.Object.Clone()
	stored.Revision = r.Revision
	return stored, nil
}

// catchUp waits until the view shows what a conflict was with.
func (p *Plane) catchUp(ctx context.Context, err error) error {
	var conflict *store.CommitError
	if errors.As(err, &conflict) && conflict.Actual > 0 {
		return p.View().WaitFor(ctx, conflict.Actual)
	}
	return p.View().WaitFor(ctx, p.View().Revision()+1)
}

// merge is have with one part taken from o. Generation rises when the spec changes.
func merge(have, o *Object, part Part) *Object {
	next := have.Clone()
	if part == Reported {
		next.Status, next.Conditions = o.Status, slices.Clone(o.Conditions)
		return next
	}
	next.Labels, next.Annotations = o.Labels, o.Annotations
	next.Owners, next.Finalizers = slices.Clone(o.Owners), slices.Clone(o.Finalizers)
	if !resource.SameJSON(have.Spec, o.Spec) {
		next.Spec = o.Spec
		next.Generation++
	}
	return next
}

func same(a, b *Object) bool {
	return a == b || a.Generation == b.Generation && a.Deleted.Equal(b.Deleted) && bytes.Equal(a.Status, b.Status) &&
		slices.Equal(a.Conditions, b.Conditions) && slices.Equal(a.Owners, b.Owners) && slices.Equal(a.Finalizers, b.Finalizers) &&
		equal(a.Labels, b.Labels) && equal(a.Annotations, b.Annotations)
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// gone is the final state that an object passes through when its commit removes it.
func gone(def *Definition, o *Object) State {
	final := def.Lifecycle.Deleted()
	if o.Deleting() && len(o.Finalizers) == 0 && def.Lifecycle.Allows(o.State, final) {
		return final
	}
	return ""
}

// now is the time as it is stored: UTC, microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
