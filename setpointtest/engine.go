package setpointtest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// Engine is a kind of database that worlds can run on. The zero Engine is SQLite, opened inside the bubble of virtual time: nothing is
// faster, and it is what [Run] and [Crashes] use.
//
// An engine with connections of its own cannot be inside: whoever waits for a socket is not at rest, and time would stand still for ever.
// So it runs outside, and a bridge stands between it and the plane. Virtual time stands still while the database answers. What the database
// dates by its own clock (commits, history, leases) the plane sees dated by virtual time. Inside, nothing tells the two apart:
//
//	postgres := setpointtest.Engine{Name: "postgres", Create: func(t testing.TB) setpointtest.Opener {
//		url := …a new, empty database, dropped by t.Cleanup
//		return func(ctx context.Context) (store.Store, error) { return …open it }
//	}}
//	postgres.Run(t, setup, func(w *setpointtest.World) { … })
//
// All commits of such a world must go through it: a feed that has nothing to deliver is not asked.
type Engine struct {
	// Name tells engines apart, in the names of tests and in messages.
	Name string
	// Create makes a new, empty database for one world, and returns what opens it. It is called on the goroutine of the test before the bubble
	// begins, and may fail the test or arrange a cleanup. [Engine.Crashes] makes a world for every run, with a t of its own. Nil is SQLite inside the bubble.
	Create func(t testing.TB) Opener
}

// Opener opens a database for a plane, and opens it again after every restart; the store before that has been closed. It is called outside of
// the bubble, by a goroutine that is not the test's. Its context lasts as long as the world.
type Opener func(ctx context.Context) (store.Store, error)

// Run calls f with a running plane on a new database of this engine; see the function [Run].
func (e Engine) Run(t *testing.T, setup Setup, f func(*World)) {
	t.Helper()
	g := e.ground(t)
	defer g.leave(t)
	synctest.Test(t, func(t *testing.T) {
		w := g.world(t, setup)
		w.Start()
		defer w.Stop()
		f(w)
	})
}

// ground is what a world stands on: made before its bubble, and there after it.
type ground struct {
	// path is the file of a database inside the bubble; not used when there is one outside.
	path string
	out  *outside
	open Opener
}

func (e Engine) ground(t *testing.T) ground {
	t.Helper()
	if e.Create == nil {
		return ground{path: blank(t)}
	}
	open := e.Create(t)
	return ground{out: newOutside(), open: open}
}

// world begins a world inside the bubble of t.
func (g ground) world(t *testing.T, setup Setup) *World {
	w := &World{T: t, setup: setup, tap: newTap()}
	if g.out == nil {
		w.open = func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, sqlite.Options{Path: g.path}) }
		return w
	}
	link := &link{out: g.out, past: newPast(), leases: newLeases()}
	w.open = func(ctx context.Context) (store.Store, error) { return link.open(ctx, g.open) }
	return w
}

// leave ends what is outside, after the bubble.
func (g ground) leave(t *testing.T) {
	t.Helper()
	if g.out == nil {
		return
	}
	if err := g.out.stop(); err != nil {
		t.Errorf("close the database: %v", err)
	}
}
