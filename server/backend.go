package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// backend is a plane as the HTTP dialect wants it.
type backend struct{ *setpoint.Plane }

var _ api.Plane = backend{}

// user is the name under which a client's writes are recorded.
func user(ctx context.Context, by string) string {
	if store.Administrator(ctx) {
		return store.AdministratorPrefix + by
	}
	return store.ClientPrefix + by
}

func (b backend) Get(key resource.Key) (*resource.Object, bool) { return b.View().Get(key) }

func (b backend) List(kind resource.KindID, ns resource.Namespace) ([]*resource.Object, resource.Revision) {
	s := b.View().Snapshot()
	defer s.Close()
	var out []*resource.Object
	for o := range s.List(kind, ns) {
		out = append(out, o)
	}
	return out, s.Revision()
}

func (b backend) WaitFor(ctx context.Context, at resource.Revision) error {
	return b.View().WaitFor(ctx, at)
}

func (b backend) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	return b.Store().Watch(ctx, from)
}

func (b backend) Create(ctx context.Context, by string, o *resource.Object, w api.WriteOptions) (*resource.Object, error) {
	created, err := b.Plane.Create(ctx, user(ctx, by), o, w.DryRun)
	return created, translate(err)
}

func (b backend) Update(ctx context.Context, by string, key resource.Key, change api.Change, w api.WriteOptions) (*resource.Object, error) {
	return b.Plane.Update(ctx, user(ctx, by), key, setpoint.Change(change), w.DryRun)
}

func (b backend) Delete(ctx context.Context, by string, key resource.Key, d api.DeleteOptions) (*resource.Object, bool, error) {
	if d.Propagation == api.Orphan {
		return nil, false, &resource.Invalid{Key: key, Causes: []resource.Cause{{
			Field: "propagationPolicy", Type: resource.NotSupported, Message: "children are never orphaned here: an object is deleted after its children",
		}}}
	}
	o, removed, err := b.Plane.Delete(ctx, user(ctx, by), key, setpoint.Preconditions{UID: d.UID, Revision: d.Revision}, d.DryRun)
	return o, removed, translate(err)
}

func (b backend) Signal(ctx context.Context, by string, key resource.Key, s api.Signal) (id store.SignalID, fresh bool, err error) {
	id, fresh, err = b.Plane.Signal(ctx, user(ctx, by), key, setpoint.SignalRequest(s))
	return id, fresh, translate(err)
}

func (b backend) Signals(key resource.Key) (*resource.Object, []store.Signal, bool) {
	s := b.View().Snapshot()
	defer s.Close()
	o, ok := s.Get(key)
	if !ok {
		return nil, nil, false
	}
	return o, s.Signals(o.UID), true
}

func (b backend) Warn(ctx context.Context, by string, key resource.Key, reason, message string) error {
	return b.Plane.Warn(ctx, user(ctx, by), key, reason, message)
}

func (b backend) Explain(key resource.Key) (any, bool) { return b.Plane.Explain(key) }

// translate turns the plane's sentinels into the dialect's.
func translate(err error) error {
	switch {
	case errors.Is(err, setpoint.ErrExists):
		return fmt.Errorf("%w: %w", api.ErrExists, err)
	case errors.Is(err, setpoint.ErrPrecondition):
		return fmt.Errorf("%w: %w", api.ErrPrecondition, err)
	case errors.Is(err, setpoint.ErrSignal):
		return refusedSignal{err}
	}
	return err
}

// refusedSignal is the plane's refusal of a signal, which is also the dialect's. Its words are shown to clients.
type refusedSignal struct{ error }

func (r refusedSignal) Is(target error) bool { return target == api.ErrSignal }
func (r refusedSignal) Unwrap() error        { return r.error }
