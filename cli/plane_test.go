package cli_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint/api"
	"github.com/setpointhq/setpoint/api/backupapi"
	"github.com/setpointhq/setpoint/api/kindsapi"
	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/view"
)

// plane is a server without controllers: the real handlers over a real database and a real view. Tests play the engine.
type plane struct {
	kinds    resource.Registry
	database *sqlite.Store
	view     *view.View
	explain  func(*resource.Object) client.Explanation
	cluster  *cluster
}

// server is a plane behind a port.
type server struct {
	*plane
	*httptest.Server
}

// startServer serves kinds from a database in a folder, until stop is called.
func startServer(folder string, kinds ...*resource.Definition) (s *server, stop func() error, err error) {
	p := &plane{view: view.New(), explain: explain, cluster: newCluster()}
	if err := p.kinds.Register(kinds...); err != nil {
		return nil, nil, err
	}
	if p.database, err = sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(folder, "plane.db")}); err != nil {
		return nil, nil, err
	}
	var rules []store.Rules
	for _, d := range kinds {
		rules = append(rules, store.Rules{Kind: d.ID(), Lifecycle: d.Lifecycle})
	}
	if err := p.database.Register(context.Background(), rules); err != nil {
		return nil, nil, errors.Join(err, p.database.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.view.Run(ctx, p.database, nil) }()
	<-p.view.Loaded()
	h := api.New(api.Options{Plane: p, Version: "1.2.3"})
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.Handle(kindsapi.Path, kindsapi.Handler(&p.kinds))
	mux.Handle(kindsapi.Path[:len(kindsapi.Path)-1], kindsapi.Handler(&p.kinds))
	for _, path := range nodesapi.Paths {
		mux.Handle(path, nodesapi.Handler(p.cluster))
	}
	mux.Handle(backupapi.Path, backupapi.Handler(p.database.Backup))
	s = &server{p, httptest.NewServer(mux)}
	return s, func() error {
		h.Drain()
		s.CloseClientConnections()
		s.Close()
		cancel()
		return errors.Join(<-ended, p.database.Close())
	}, nil
}

func (p *plane) Registry() *resource.Registry                  { return &p.kinds }
func (p *plane) Get(key resource.Key) (*resource.Object, bool) { return p.view.Get(key) }

func (p *plane) WaitFor(ctx context.Context, r resource.Revision) error {
	return p.view.WaitFor(ctx, r)
}

func (p *plane) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	return p.database.Watch(ctx, from)
}

func (p *plane) List(kind resource.KindID, ns resource.Namespace) (list []*resource.Object, at resource.Revision) {
	s := p.view.Snapshot()
	defer s.Close()
	for o := range s.List(kind, ns) {
		list = append(list, o)
	}
	return list, s.Revision()
}

func (p *plane) commit(ctx context.Context, tx store.Transaction) (resource.Revision, error) {
	receipt, err := p.database.Commit(ctx, tx)
	if err != nil {
		return 0, err
	}
	return receipt.Revision, p.view.WaitFor(ctx, receipt.Revision)
}

func (p *plane) Create(ctx context.Context, by string, o *resource.Object, w api.WriteOptions) (*resource.Object, error) {
	d, _ := p.kinds.Kind(o.Kind)
	o = o.Clone()
	if err := errors.Join(d.Prepare(o, resource.Birth{Now: time.Now()}), d.Admit(nil, o)); err != nil {
		return nil, err
	}
	if _, exists := p.view.Get(o.Key); exists {
		return nil, fmt.Errorf("%s: %w", o.Key, api.ErrExists)
	}
	if w.DryRun {
		return o, nil
	}
	made := o.Clone()
	var err error
	made.Revision, err = p.commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Objects: []store.ObjectWrite{{Object: o}}})
	return made, err
}

func (p *plane) Update(ctx context.Context, by string, key resource.Key, change api.Change, w api.WriteOptions) (*resource.Object, error) {
	d, _ := p.kinds.Kind(key.Kind)
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
	stored := next.Clone()
	stored.Revision, err = p.commit(ctx, store.Transaction{
		Writer:  store.Writer{Name: "api:" + by},
		Objects: []store.ObjectWrite{{Expect: old.Revision, Object: next, Gone: d.Lifecycle.Deleted()}},
	})
	return stored, err
}

func (p *plane) Delete(ctx context.Context, by string, key resource.Key, o api.DeleteOptions) (*resource.Object, bool, error) {
	d, _ := p.kinds.Kind(key.Kind)
	last, err := p.Update(ctx, by, key, func(old *resource.Object) (*resource.Object, error) {
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
	return last, err == nil && len(last.Finalizers) == 0, err
}

func (p *plane) Signal(ctx context.Context, by string, key resource.Key, s api.Signal) (store.SignalID, bool, error) {
	o, standing, ok := p.Signals(key)
	switch {
	case !ok:
		return 0, false, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	case s.Name == "dance":
		return 0, false, fmt.Errorf("%w: %s: %s knows no such signal", api.ErrSignal, s.Name, key.Kind)
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
	_, err := p.commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Raise: []store.Signal{row}})
	return 0, true, err
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
	_, err := p.commit(ctx, store.Transaction{Writer: store.Writer{Name: "api:" + by}, Events: []store.Event{{
		Object: key, UID: o.UID, Kind: "Warning", Reason: reason, Message: message,
	}}})
	return err
}

func (p *plane) Explain(key resource.Key) (any, bool) {
	o, ok := p.view.Get(key)
	if !ok {
		return nil, false
	}
	return p.explain(o), true
}

func (p *plane) History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error) {
	return p.database.History(ctx, q)
}

func (p *plane) Live() error  { return nil }
func (p *plane) Ready() error { return nil }

// act changes an object as a controller would.
func (p *plane) act(key resource.Key, change func(*resource.Object)) error {
	d, _ := p.kinds.Kind(key.Kind)
	old, ok := p.view.Get(key)
	if !ok {
		return fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	next := old.Clone()
	change(next)
	_, err := p.commit(context.Background(), store.Transaction{
		Writer:  store.Writer{Name: "controller/gateway", Object: key},
		Cause:   store.Cause{Revision: old.Revision, Text: "spec changed"},
		Objects: []store.ObjectWrite{{Expect: old.Revision, Object: next, Reason: "Tested", Gone: d.Lifecycle.Deleted()}},
	})
	return err
}

// explain is an explanation of every kind of line there is.
func explain(o *resource.Object) client.Explanation {
	now := time.Now()
	x := client.Explanation{
		Object: o.Key.String(), UID: o.UID, Generation: o.Generation, ObservedGeneration: o.Observed, Revision: o.Revision, State: o.State,
		StateSince: now.Add(-3 * time.Minute), Budget: "10m0s", Ready: o.Ready(), Conditions: o.Conditions, Waits: o.Waits,
		Deleting: o.Deleted, Finalizers: o.Finalizers, Action: o.Action, LastAction: o.Last, Signals: o.Signals,
	}
	if o.Ready() {
		return x
	}
	record := "DNSRecord.edge.example/default/" + string(o.Name) + ".dns"
	x.Commands = []client.ExplainedCommand{{
		Adapter: "dns", Key: "shop.example", Phase: "Pending", Wanted: true, Attempt: 4, NotBefore: now.Add(25 * time.Second),
		Class: "transient", Message: "connection refused", Losses: 2,
	}}
	x.Queue = []client.ExplainedQueue{{Controller: "gateway", Attempts: 2, Due: now.Add(5 * time.Minute), Held: true}}
	x.Children = []client.ExplainedChild{{Object: record}}
	x.Chain = []client.ExplainedLink{
		{Object: o.Key.String(), Code: "ChildNotReady", Message: "dns is not ready"},
		{Object: record, Code: "Retrying", Message: "connection refused"},
		{Command: "dns/shop.example", Code: "Retrying"},
	}
	x.Hint = "setpoint describe dnsrecord " + string(o.Name) + ".dns"
	return x
}
