package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// bench is an engine by itself, on a store that can be disturbed.
type bench struct {
	t      *testing.T
	config control.Config // of every engine, less what is its own
	ttl    time.Duration  // of the lease, 0 for the default
	path   string
	store  *disturbed
	engine *control.Engine
	cancel context.CancelFunc
	ended  chan error
	uids   int
}

// disturbed is a store whose feed can stand still or break, and whose commits and leases can be counted or refused.
type disturbed struct {
	store.Store
	mu      sync.Mutex
	until   time.Time // no news before
	refuse  func(store.Transaction) error
	lose    func(store.Transaction) error
	lease   func(context.Context) error
	broken  []error // what the feed says next, instead of a commit or to who wants to watch
	commits int
}

// breakFeed makes the feed fail with these errors, one after the other, from the next commit on.
func (d *disturbed) breakFeed(errs ...error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = errs
}

// fault takes the next error of the feed.
func (d *disturbed) fault() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.broken) == 0 {
		return nil
	}
	err := d.broken[0]
	d.broken = d.broken[1:]
	return err
}

// loseWith lets commits be made, and then answered as f says.
func (d *disturbed) loseWith(f func(store.Transaction) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose = f
}

// leaseWith is asked before a lease is acquired or renewed.
func (d *disturbed) leaseWith(f func(context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lease = f
}

func (d *disturbed) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	d.mu.Lock()
	f := d.lease
	d.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return store.Lease{}, err
		}
	}
	return d.Store.Acquire(ctx, scope, holder, ttl)
}

// stall lets the feed stand still for a while: commits are made, and nobody hears of them.
func (d *disturbed) stall(for_ time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = time.Now().Add(for_)
}

func (d *disturbed) refuseWith(f func(store.Transaction) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = f
}

func (d *disturbed) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	d.mu.Lock()
	refuse, lose := d.refuse, d.lose
	d.commits++
	d.mu.Unlock()
	if refuse != nil {
		if err := refuse(tx); err != nil {
			return store.Receipt{}, err
		}
	}
	r, err := d.Store.Commit(ctx, tx)
	if err == nil && lose != nil {
		err = lose(tx)
	}
	return r, err
}

func (d *disturbed) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	if err := d.fault(); err != nil {
		return nil, err
	}
	s, err := d.Store.Watch(ctx, from)
	return &slow{s, d}, err
}

type slow struct {
	store.Stream
	d *disturbed
}

func (s *slow) Next(ctx context.Context) (store.Batch, error) {
	b, err := s.Stream.Next(ctx)
	if fault := s.d.fault(); err == nil && fault != nil {
		return store.Batch{}, fault
	}
	s.d.mu.Lock()
	wait := time.Until(s.d.until)
	s.d.mu.Unlock()
	if err == nil && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return store.Batch{}, ctx.Err()
		}
	}
	return b, err
}

// runSlow runs an engine with one controller and no adapters in virtual time.
func runSlow(t *testing.T, c setpoint.Controller, f func(*bench)) {
	t.Helper()
	runBench(t, control.Config{Controllers: []setpoint.Controller{c}}, func(b *bench) {
		b.run()
		f(b)
	})
}

// runBench makes an engine in virtual time, which f runs.
func runBench(t *testing.T, config control.Config, f func(*bench)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, path: path, config: config, store: &disturbed{Store: st}, ended: make(chan error, 1)}
		b.engine = b.another("first")
		f(b)
		if b.cancel != nil {
			b.cancel()
			if err := <-b.ended; err != nil && !errors.Is(err, store.ErrFenced) {
				t.Errorf("the engine ended with: %v", err)
			}
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

// run lets the engine work.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	engine, ended := b.engine, b.ended
	go func() { ended <- engine.Run(ctx) }()
	synctest.Wait()
}

// solo is an owner of everything, for one run.
func (b *bench) solo(holder string) cluster.Owner {
	owner, err := cluster.NewSolo(cluster.SoloOptions{Store: b.store, Holder: holder, TTL: b.ttl, Logger: b.config.Logger, Grace: b.config.Grace})
	if err != nil {
		b.t.Fatal(err)
	}
	return owner
}

// another makes a further engine on the same store.
func (b *bench) another(holder string) *control.Engine { return b.with(b.solo(holder)) }

// with makes an engine that works on what an owner has.
func (b *bench) with(owner cluster.Owner) *control.Engine {
	registry := &resource.Registry{}
	if err := registry.Register(boxes.Definition, parts.Definition, notes.Definition); err != nil {
		b.t.Fatal(err)
	}
	c := b.config
	c.Store, c.Registry, c.Owner = b.store, registry, owner
	c.NewUID = func() resource.UID { b.uids++; return resource.UID(fmt.Sprintf("uid-%d", b.uids)) }
	e, err := control.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// create stores an object as a client would, without waiting for anybody to see it.
func (b *bench) create(def *setpoint.Definition, name resource.Name) {
	b.t.Helper()
	b.createAs(def, name, func(*resource.Object) {})
}

func (b *bench) createAs(def *setpoint.Definition, name resource.Name, shape func(*resource.Object)) {
	b.t.Helper()
	b.uids++
	uid := resource.UID(fmt.Sprintf("uid-%d", b.uids))
	o, err := def.New("default", name, spec{Value: string(name)}, resource.Birth{Now: time.Now(), UID: func() resource.UID { return uid }})
	if err != nil {
		b.t.Fatal(err)
	}
	shape(o)
	b.put(store.ObjectWrite{Object: o})
}

// label changes an object in a way that means nothing, so that its controllers look at it.
func (b *bench) label(def *setpoint.Definition, name resource.Name) {
	b.t.Helper()
	have, err := b.store.Object(b.t.Context(), def.Key("default", name))
	if err != nil {
		b.t.Fatal(err)
	}
	next := have.Clone()
	next.Labels = map[string]string{"touched": "yes"}
	b.put(store.ObjectWrite{Expect: have.Revision, Object: next})
}

func (b *bench) put(w store.ObjectWrite) {
	b.t.Helper()
	if _, err := b.store.Store.Commit(b.t.Context(), store.Transaction{Writer: store.Writer{Name: "test"}, Objects: []store.ObjectWrite{w}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
