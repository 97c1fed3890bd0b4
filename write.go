package setpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ErrExists says that an object with the name exists already.
var ErrExists = errors.New("already exists")

// ErrPrecondition says that the object is not the one, or not at the revision, that a deletion was to be about.
var ErrPrecondition = errors.New("precondition failed")

// Change computes a new form of an object from the present one, which it must not alter. Returning the argument itself writes
// nothing, an error gives up.
type Change func(old *Object) (*Object, error)

// Preconditions narrow a deletion. Zero fields do not.
type Preconditions struct {
	UID      resource.UID
	Revision resource.Revision
}

// writeAttempts bounds how often a write that names no revision is repeated on a newer version. Each attempt waits for the version it lost to; with eight
// writers of one object one in some thousands of writes uses them up.
const writeAttempts = 64

// Create stores a new object: defaulted, checked against the kind's rules, and held by its driver. by says who asks, "api:<user>" for a
// client. It fails with ErrExists, *resource.Invalid, or *store.CommitError. With dryRun nothing is stored.
func (p *Plane) Create(ctx context.Context, by string, o *Object, dryRun bool) (*Object, error) {
	def, err := p.begin(ctx, o.Key)
	if err != nil {
		return nil, err
	}
	o = o.Clone()
	o.Revision, o.Deleted, o.Status = 0, time.Time{}, nil
	o.Conditions, o.Waits, o.Observed, o.Needs = nil, nil, 0, nil
	birth := resource.Birth{Now: p.engine.Now(), UID: p.config.NewUID}
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
	stored, err := p.put(ctx, write{by: by, why: "create", dryRun: dryRun}, store.ObjectWrite{Object: o, Reason: "Created"})
	if errors.Is(err, store.ErrConflict) {
		return nil, fmt.Errorf("create %s: %w", o.Key, ErrExists)
	}
	return stored, err
}

// Update replaces an object by what change makes of its latest version, and again if another writer came first. To change the state is refused, and recorded
// in the object's history: only the driver moves an object. Identity, generation and what the engine reports are not the writer's: whatever change does to them is ignored. That includes the Ready and Late conditions of a kind with a
// driver, and, until deletion is asked for, the finalizers of this plane's controllers; on an object that is being deleted an operator may
// take them away, and answers for what is left outside. A write that changes nothing, or only the spelling of the JSON, keeps the
// revision. It fails with change's own error, store.ErrNotFound, *resource.Invalid, or *store.CommitError.
func (p *Plane) Update(ctx context.Context, by string, key Key, change Change, dryRun bool) (*Object, error) {
	return p.update(ctx, write{by: by, why: "write", dryRun: dryRun}, key, change)
}

// accepting is a change by a writer from outside, with what is not the writer's as it was.
func (p *Plane) accepting(change Change) func(*Definition, *Object) (*Object, error) {
	return func(def *Definition, have *Object) (*Object, error) {
		next, err := change(have)
		if err != nil || next == have {
			return have, err
		}
		if next.State != have.State {
			return nil, resource.StateRefused(have.Key, have.State, next.State)
		}
		return p.accept(def, have, next), nil
	}
}

// Delete asks for deletion: at once for an object that nobody holds, otherwise when its last finalizer is removed. removed says which.
// Asking again changes nothing. It fails with ErrPrecondition, store.ErrNotFound, or *store.CommitError.
func (p *Plane) Delete(ctx context.Context, by string, key Key, pre Preconditions, dryRun bool) (o *Object, removed bool, err error) {
	o, err = p.modify(ctx, write{by: by, why: "write", dryRun: dryRun}, key, func(def *Definition, have *Object) (*Object, error) {
		switch {
		case pre.UID != "" && pre.UID != have.UID:
			return nil, fmt.Errorf("delete %s: %w: its UID is %s, not %s", key, ErrPrecondition, have.UID, pre.UID)
		case pre.Revision != 0 && pre.Revision != have.Revision:
			return nil, fmt.Errorf("delete %s: %w: it is at revision %d, not %d", key, ErrPrecondition, have.Revision, pre.Revision)
		case have.Deleting():
			return have, nil
		}
		next := have.Clone()
		next.Deleted, next.Generation = p.engine.Now(), have.Generation+1
		if len(next.Finalizers) == 0 {
			enterDeletion(def, next)
		}
		return next, nil
	})
	return o, err == nil && len(o.Finalizers) == 0, err
}

// enterDeletion takes an object that is removed at once through its kind's deleting state, as its driver would.
func enterDeletion(def *Definition, o *Object) {
	if s := def.Lifecycle.Deleting(); s != "" && s != o.State && def.Lifecycle.Allows(o.State, s) {
		o.State, o.StateSince = s, o.Deleted
	}
}

// SignalRequest is a signal as somebody outside asks for it. Only Name is required.
type SignalRequest struct {
	Name lifecycle.SignalName
	// Payload is JSON or nil, Why a sentence for people.
	Payload []byte
	Why     string
	// Dedupe, when set, makes the request one that can be repeated: while a signal of this name and Dedupe stands, another is not raised.
	Dedupe string
	// For is how long it means something, 0 for ever.
	For time.Duration
}

// Signal raises a signal on an object: it is stored, and consumed by the turn that acts on it. It returns the identity of the signal, and whether it is
// a new one. It fails with [ErrSignal] when the kind does not know the signal or forbids it now, store.ErrNotFound or *store.CommitError.
func (p *Plane) Signal(ctx context.Context, by string, key Key, r SignalRequest) (id store.SignalID, fresh bool, err error) {
	if _, err := p.begin(ctx, key); err != nil {
		return 0, false, fmt.Errorf("signal %s: %w", r.Name, err)
	}
	s := store.Signal{Object: key, Name: r.Name, Payload: r.Payload, By: by, Why: r.Why, Dedupe: r.Dedupe}
	if r.For > 0 {
		s.Expires = p.engine.Now().Add(r.For)
	}
	return p.engine.Raise(ctx, store.Writer{Name: by}, s)
}

// begin finds a kind, and waits until the view is loaded: before, what exists would seem not to.
func (p *Plane) begin(ctx context.Context, key Key) (*Definition, error) {
	def, ok := p.registry.Kind(key.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: the kind %s is not registered", key, key.Kind)
	}
	select {
	case <-p.Loaded():
		return def, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: the plane has not loaded what exists yet: %w", key, ctx.Err())
	}
}

// modify is read, change, check, write, on the latest version until no other writer interferes.
func (p *Plane) modify(ctx context.Context, w write, key Key, change func(*Definition, *Object) (*Object, error)) (*Object, error) {
	def, err := p.begin(ctx, key)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		seen := p.View().Revision()
		have, ok := p.View().Get(key)
		if !ok {
			return nil, fmt.Errorf("%s: %w", key, store.ErrNotFound)
		}
		next, err := change(def, have)
		if err != nil {
			return nil, err
		}
		if same(have, next) {
			return have, nil
		}
		if err := p.prepare(def, have, next); err != nil {
			return nil, err
		}
		if same(have, next) {
			return have, nil
		}
		stored, err := p.put(ctx, w, store.ObjectWrite{Expect: have.Revision, Object: next, Reason: "Requested", Gone: gone(def, next)})
		if err == nil || attempt == writeAttempts || !errors.Is(err, store.ErrConflict) {
			return stored, err
		}
		if err := p.catchUp(ctx, err, seen); err != nil {
			return nil, err
		}
	}
}

// prepare fills in the defaults of a changed spec, and asks the kind's rules.
func (p *Plane) prepare(def *Definition, have, next *Object) error {
	if next.Generation != have.Generation && !next.Deleting() {
		if err := def.ApplyDefaults(next); err != nil {
			return err
		}
		next.Generation = resource.GenerationAfter(have, next)
	}
	return def.Admit(have, next)
}

// write is who writes an object, why, and what is noted of it.
type write struct {
	by, why string
	note    Note
	dryRun  bool
}

// put commits one write, and returns the object as the view then shows it, or its last form.
func (p *Plane) put(ctx context.Context, who write, w store.ObjectWrite) (*Object, error) {
	if who.dryRun {
		return w.Object, nil
	}
	tx := store.Transaction{Writer: store.Writer{Name: who.by}, Cause: store.Cause{Text: who.why}, Objects: []store.ObjectWrite{w}}
	if who.note.Reason != "" {
		tx.Events = []store.Event{{Object: w.Object.Key, UID: w.Object.UID, Kind: "Normal", Reason: who.note.Reason, Message: who.note.Message}}
	}
	r, err := p.store.Commit(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := p.View().WaitFor(ctx, r.Revision); err != nil {
		return nil, fmt.Errorf("%s of %s was committed at revision %d, but the view does not show it yet: %w", who.why, w.Object.Key, r.Revision, err)
	}
	stored := w.Object.Clone()
	stored.Revision = r.Revision
	return stored, nil
}

// catchUp waits until the view shows what a conflict was with. seen is a revision of the view from before the loser read. What is gone does not say
// when it went, except that it was later.
func (p *Plane) catchUp(ctx context.Context, err error, seen Revision) error {
	var conflict *store.CommitError
	if errors.As(err, &conflict) && conflict.Actual > 0 {
		return p.View().WaitFor(ctx, conflict.Actual)
	}
	return p.View().WaitFor(ctx, seen+1)
}

// accept is have with what a writer may change taken from o.
func (p *Plane) accept(def *Definition, have, o *Object) *Object {
	next := have.Clone()
	next.Spec, next.Status = o.Spec, o.Status
	next.Labels, next.Annotations = o.Labels, o.Annotations
	next.Owners, next.Finalizers = slices.Clone(o.Owners), p.finalizers(have, o)
	next.Conditions = slices.Clone(o.Conditions)
	if len(p.engine.Holds(def)) > 0 {
		next.Conditions = driversOwn(have.Conditions, o.Conditions)
	}
	next.Generation = resource.GenerationAfter(have, next)
	return next
}

// finalizers are those that a writer names, and before deletion those of this plane's controllers that the object has.
func (p *Plane) finalizers(have, o *Object) []resource.Finalizer {
	next := slices.Clone(o.Finalizers)
	for _, f := range have.Finalizers {
		if !have.Deleting() && p.engine.Holder(f) && !slices.Contains(next, f) {
			next = append(next, f)
		}
	}
	return next
}

// driversOwn are the conditions that a writer names, with those that only the driver sets as they were.
func driversOwn(have, named []resource.Condition) []resource.Condition {
	engines := func(c resource.Condition) bool { return c.Type == resource.Ready || c.Type == resource.Late }
	next := slices.DeleteFunc(slices.Clone(named), engines)
	for _, c := range have {
		if engines(c) {
			next = append(next, c)
		}
	}
	slices.SortStableFunc(next, func(a, b resource.Condition) int { return strings.Compare(a.Type, b.Type) })
	return next
}

func same(a, b *Object) bool {
	return a == b || a.Generation == b.Generation && a.Deleted.Equal(b.Deleted) && resource.SameJSON(a.Spec, b.Spec) && resource.SameJSON(a.Status, b.Status) &&
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
