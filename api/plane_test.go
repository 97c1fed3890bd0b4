package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/view"
)

// plane is a small plane over a real database and a real view, without controllers.
type plane struct {
	kinds resource.Registry
	store *sqlite.Store
	view  *view.View
	mu    sync.Mutex
	sick  error // what the probes report
}

// newPlane opens a database in a folder of the test's, and closes it when the test ends.
func newPlane(t testing.TB, kinds ...*resource.Definition) *plane {
	t.Helper()
	p, stop, err := openPlane(filepath.Join(t.TempDir(), "plane.db"), kinds...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func openPlane(path string, kinds ...*resource.Definition) (p *plane, stop func() error, err error) {
	p = &plane{view: view.New()}
	if err := p.kinds.Register(kinds...); err != nil {
		return nil, nil, err
	}
	if p.store, err = sqlite.Open(context.Background(), sqlite.Options{Path: path}); err != nil {
		return nil, nil, err
	}
	var rules []store.Rules
	for _, d := range kinds {
		rules = append(rules, store.Rules{Kind: d.ID(), Lifecycle: d.Lifecycle})
	}
	if err := p.store.Register(context.Background(), rules); err != nil {
		return nil, nil, errors.Join(err, p.store.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.view.Run(ctx, p.store, nil) }()
	<-p.view.Loaded()
	return p, func() error {
		cancel()
		return errors.Join(<-ended, p.store.Close())
	}, nil
}

func (p *plane) Registry() *resource.Registry                  { return &p.kinds }
func (p *plane) Get(key resource.Key) (*resource.Object, bool) { return p.view.Get(key) }
func (p *plane) WaitFor(ctx context.Context, r resource.Revision) error {
	return p.view.WaitFor(ctx, r)
}

func (p *plane) List(kind resource.KindID, ns resource.Namespace) (list []*resource.Object, at resource.Revision) {
	s := p.view.Snapshot()
	defer s.Close()
	for o := range s.List(kind, ns) {
		list = append(list, o)
	}
	return list, s.Revision()
}

func (p *plane) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	return p.store.Watch(ctx, from)
}

func (p *plane) commit(ctx context.Context, by string, w store.ObjectWrite) (*resource.Object, error) {
	receipt, err := p.store.Commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Objects: []store.ObjectWrite{w}})
	if err != nil {
		return nil, err
	}
	o := w.Object.Clone()
	o.Revision = receipt.Revision
	return o, p.view.WaitFor(ctx, receipt.Revision)
}

func (p *plane) Create(ctx context.Context, by string, o *resource.Object, w api.WriteOptions) (*resource.Object, error) {
	d, ok := p.kinds.Kind(o.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: %w", o.Kind, resource.ErrUnknownKind)
	}
	o = o.Clone()
	if err := d.Prepare(o, resource.Birth{Now: time.Now()}); err != nil {
		return nil, err
	}
	if err := d.Admit(nil, o); err != nil {
		return nil, err
	}
	if w.DryRun {
		if _, exists := p.view.Get(o.Key); exists {
			return nil, fmt.Errorf("%s: %w", o.Key, api.ErrExists)
		}
		return o, nil
	}
	made, err := p.commit(ctx, by, store.ObjectWrite{Object: o})
	if errors.Is(err, store.ErrConflict) {
		return nil, fmt.Errorf("%s: %w", o.Key, api.ErrExists)
	}
	return made, err
}

// attempts bounds how often a write meets another one.
const attempts = 100

func (p *plane) Update(ctx context.Context, by string, key resource.Key, change api.Change, w api.WriteOptions) (*resource.Object, error) {
	d, ok := p.kinds.Kind(key.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: %w", key.Kind, resource.ErrUnknownKind)
	}
	for n := 0; ; n++ {
		old, ok := p.view.Get(key)
		if !ok {
			return nil, fmt.Errorf("%s: %w", key, store.ErrNotFound)
		}
		next, err := change(old)
		if err != nil || next == old {
			return next, err
		}
		next.Generation = resource.GenerationAfter(old, next)
		if err := d.Admit(old, next); err != nil || w.DryRun {
			return next, err
		}
		o, err := p.commit(ctx, by, store.ObjectWrite{Expect: old.Revision, Object: next, Gone: d.Lifecycle.Deleted()})
		if !errors.Is(err, store.ErrConflict) || n == attempts {
			return o, err
		}
		if err := p.caughtUp(ctx, err); err != nil {
			return nil, err
		}
	}
}

// caughtUp waits until the view shows what a write has met.
func (p *plane) caughtUp(ctx context.Context, conflict error) error {
	var c *store.CommitError
	if !errors.As(conflict, &c) {
		return conflict
	}
	if c.Actual == 0 { // gone: at some revision up to now
		return p.view.WaitFor(ctx, p.store.Revision())
	}
	return p.view.WaitFor(ctx, c.Actual)
}

func (p *plane) Delete(ctx context.Context, by string, key resource.Key, o api.DeleteOptions) (*resource.Object, bool, error) {
	d, ok := p.kinds.Kind(key.Kind)
	if !ok {
		return nil, false, fmt.Errorf("%s: %w", key.Kind, resource.ErrUnknownKind)
	}
	last, err := p.Update(ctx, by, key, func(old *resource.Object) (*resource.Object, error) {
		if o.UID != "" && o.UID != old.UID {
			return nil, fmt.Errorf("%w: the UID in the precondition (%s) does not match the UID in record (%s)", api.ErrPrecondition, o.UID, old.UID)
		}
		if o.Revision != 0 && o.Revision != old.Revision {
			return nil, fmt.Errorf("%w: the ResourceVersion in the precondition (%d) does not match the ResourceVersion in record (%d)",
				api.ErrPrecondition, o.Revision, old.Revision)
		}
		if old.Deleting() {
			return old, nil
		}
		next := old.Clone()
		next.Deleted = time.Now()
		if s := d.Lifecycle.Deleting(); s != "" {
			next.State, next.StateSince = s, next.Deleted
		}
		return next, nil
	}, api.WriteOptions{DryRun: o.DryRun})
	if err != nil {
		return nil, false, err
	}
	return last, len(last.Finalizers) == 0, nil
}

func (p *plane) Signal(ctx context.Context, by string, key resource.Key, s api.Signal) (store.SignalID, bool, error) {
	o, standing, ok := p.Signals(key)
	switch {
	case s.Name == "NeedsNothing":
		return 0, false, fmt.Errorf("%w: %s: %s knows no such signal", api.ErrSignal, s.Name, key.Kind)
	case !ok:
		return 0, false, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	for _, have := range standing {
		if s.Dedupe != "" && have.Name == s.Name && have.Dedupe == s.Dedupe {
			return have.ID, false, nil
		}
	}
	row := store.Signal{Object: key, UID: o.UID, Name: s.Name, Payload: s.Payload, By: by, Why: s.Why, Dedupe: s.Dedupe, At: time.Now()}
	if s.For > 0 {
		row.Expires = row.At.Add(s.For)
	}
	receipt, err := p.store.Commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Raise: []store.Signal{row}})
	if err != nil {
		return 0, false, err
	}
	return receipt.Signals[0], true, p.view.WaitFor(ctx, receipt.Revision)
}

func (p *plane) Signals(key resource.Key) (*resource.Object, []store.Signal, bool) {
	s := p.view.Snapshot()
	defer s.Close()
	o, ok := s.Get(key)
	if !ok {
		return nil, nil, false
	}
	return o, s.Signals(o.UID), true
}

func (p *plane) Warn(ctx context.Context, by string, key resource.Key, reason, message string) error {
	o, ok := p.view.Get(key)
	if !ok {
		return fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	receipt, err := p.store.Commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Events: []store.Event{{
		Object: key, UID: o.UID, Kind: "Warning", Reason: reason, Message: message,
	}}})
	if err != nil {
		return err
	}
	return p.view.WaitFor(ctx, receipt.Revision)
}

func (p *plane) Explain(key resource.Key) (any, bool) {
	o, ok := p.view.Get(key)
	if !ok {
		return nil, false
	}
	return struct {
		Object resource.Key
		Ready  bool
		Waits  []resource.Wait
	}{key, o.Ready(), o.Waits}, true
}

func (p *plane) History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error) {
	return p.store.History(ctx, q)
}

func (p *plane) Live() error  { p.mu.Lock(); defer p.mu.Unlock(); return p.sick }
func (p *plane) Ready() error { return p.Live() }

func (p *plane) fall(sick error) { p.mu.Lock(); defer p.mu.Unlock(); p.sick = sick }

type gatewaySpec struct {
	Host  string   `json:"host" jsonschema:"where it is reached"`
	Size  int      `json:"size,omitempty" jsonschema:"how many instances"`
	Ports []int    `json:"ports,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

type gatewayStatus struct {
	Address string `json:"address,omitempty" jsonschema:"what was assigned"`
}

// gateways is a kind with a lifecycle and columns.
func gateways() *resource.Definition {
	return resource.MustDefine(resource.Options[gatewaySpec, gatewayStatus]{
		Group: "edge.example", Version: "v1", Kind: "Gateway", ShortNames: []string{"gw"}, Categories: []string{"all"},
		Description: "Gateway is a way in.",
		Refine: func(spec, _ *jsonschema.Schema) {
			spec.Properties["size"].Default = []byte("2")
			most := 9.0
			spec.Properties["size"].Maximum = &most
		},
		Lifecycle: lifecycle.Table{
			{State: "Pending", To: lifecycle.To("Active", "Leaving")},
			{State: "Active", Healthy: true, Stable: true, To: lifecycle.To("Leaving")},
			{State: "Leaving", Deleting: true, To: lifecycle.To("Gone")},
			{State: "Gone", Final: true},
		},
		Columns: []resource.Column{
			{Name: "Host", Path: ".spec.host"},
			{Name: "State", Path: ".status.state"},
			{Name: "Size", Type: "integer", Path: ".spec.size", Priority: 1},
		},
	})
}

type zoneSpec struct {
	Domain string `json:"domain"`
}

// zones is a cluster-scoped kind without lifecycle and columns.
func zones() *resource.Definition {
	return resource.MustDefine(resource.Options[zoneSpec, struct{}]{Group: "dns.example", Version: "v1beta1", Kind: "Zone", Scope: resource.Cluster})
}

// served is a handler behind a real port.
type served struct {
	*plane
	*httptest.Server
	handler *api.Handler
}

func serve(t testing.TB, change ...func(*api.Options)) *served {
	t.Helper()
	p := newPlane(t, gateways(), zones())
	o := api.Options{Plane: p, Version: "1.2.3"}
	for _, c := range change {
		c(&o)
	}
	h := api.New(o)
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Drain()
		s.Close()
	})
	return &served{p, s, h}
}

// gateway is the text of one.
func gateway(name, host string) string {
	return fmt.Sprintf(`{"apiVersion":"edge.example/v1","kind":"Gateway","metadata":{"name":%q},"spec":{"host":%q}}`, name, host)
}

// log gathers text from several goroutines.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// make stores a gateway without going through HTTP.
func (s *served) make(t testing.TB, name resource.Name, ns resource.Namespace, labels map[string]string) *resource.Object {
	t.Helper()
	o := &resource.Object{Meta: resource.Meta{Key: resource.Key{Kind: "Gateway.edge.example", Namespace: ns, Name: name}}}
	o.Spec, o.Labels = []byte(`{"host":"x.example"}`), labels
	made, err := s.Create(t.Context(), "test", o, api.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}
