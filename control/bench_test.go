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
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// bench is an engine by itself, on a store that can be disturbed.
type bench struct {
	t      *testing.T
	path   string
	store  *disturbed
	engine *control.Engine
	cancel context.CancelFunc
	ended  chan error
	uids   int
}

// disturbed is a store whose feed can stand still, and whose commits can be counted or refused.
type disturbed struct {
	store.Store
	mu      sync.Mutex
	until   time.Time // no news before
	refuse  func(store.Transaction) error
	commits int
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
	refuse := d.refuse
	d.commits++
	d.mu.Unlock()
	if refuse != nil {
		if err := refuse(tx); err != nil {
			return store.Receipt{}, err
		}
	}
	return d.Store.Commit(ctx, tx)
}

func (d *disturbed) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	s, err := d.Store.Watch(ctx, from)
	return &slow{s, d}, err
}

type slow struct {
	store.Stream
	d *disturbed
}

func (s *slow) Next(ctx context.Context) (store.Batch, error) {
	b, err := s.Stream.Next(ctx)
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
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, path: path, store: &disturbed{Store: st}, ended: make(chan error, 1)}
		b.engine = b.another("first", c)
		ctx, cancel := context.WithCancel(context.Background())
		b.cancel = cancel
		go func() { b.ended <- b.engine.Run(ctx) }()
		synctest.Wait()
		f(b)
		cancel()
		if err := <-b.ended; err != nil && !errors.Is(err, store.ErrFenced) {
			t.Errorf("the engine ended with: %v", err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

// another makes a further engine on the same store.
func (b *bench) another(holder string, c setpoint.Controller) *control.Engine {
	registry := &resource.Registry{}
	if err := registry.Register(boxes.Definition, parts.Definition, notes.Definition); err != nil {
		b.t.Fatal(err)
	}
	e, err := control.New(control.Config{
		Store: b.store, Registry: registry, Controllers: []setpoint.Controller{c}, Holder: holder,
		NewUID: func() resource.UID { b.uids++; return resource.UID(fmt.Sprintf("uid-%d", b.uids)) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// create stores an object as a client would, without waiting for anybody to see it.
func (b *bench) create(def *setpoint.Definition, name resource.Name) {
	b.t.Helper()
	b.uids++
	uid := resource.UID(fmt.Sprintf("uid-%d", b.uids))
	o, err := def.New("default", name, spec{}, resource.Birth{Now: time.Now(), UID: func() resource.UID { return uid }})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.store.Store.Commit(b.t.Context(), store.Transaction{Writer: store.Writer{Name: "test"}, Objects: []store.ObjectWrite{{Object: o}}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
