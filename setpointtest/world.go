package setpointtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Setup describes the plane under test.
type Setup struct {
	Kinds       []*setpoint.Definition
	Controllers []setpoint.Controller
	// Adapters are the subsystems by adapter name. They outlive a restart of the plane.
	Adapters map[command.AdapterName]command.Adapter
	Policy   command.Policy
	Seed     uint64
}

// World is a plane in virtual time, on a real database, with subsystems that survive it. It is used inside [Run].
type World struct {
	T     *testing.T
	Plane *setpoint.Plane

	setup  Setup
	open   func(context.Context) (store.Store, error)
	store  store.Store
	tap    *tap
	uids   atomic.Int64
	cancel context.CancelFunc
	ended  chan error // nil while no plane runs
}

// Run calls f with a running plane, in a bubble of virtual time: an hour of waiting takes no time, and everything that could
// happen at one moment has happened before the next begins. When f returns, the plane is stopped. The database is SQLite; on
// another one, use [Engine.Run].
func Run(t *testing.T, setup Setup, f func(*World)) {
	t.Helper()
	Engine{}.Run(t, setup, f)
}

// Start opens the database and runs a plane on it.
func (w *World) Start() {
	w.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	st, err := w.open(ctx)
	if err != nil {
		cancel()
		w.T.Fatalf("open the database: %v", err)
	}
	w.store, w.cancel = st, cancel
	w.tap.wrap(st)
	if w.Plane, err = setpoint.New(ctx, w.config()); err != nil {
		cancel()
		w.T.Fatalf("assemble the plane: %v", errors.Join(err, st.Close()))
	}
	ended := make(chan error, 1)
	w.ended = ended
	go func() { ended <- w.Plane.Run(ctx) }()
	synctest.Wait()
}

// config assembles a plane with the tap between it and everything else.
func (w *World) config() setpoint.Config {
	c := setpoint.Config{
		Store: w.tap, Kinds: w.setup.Kinds, Controllers: w.setup.Controllers, Seed: w.setup.Seed + 1, Grace: time.Second, Name: "world", LeaseTTL: time.Hour,
		NewUID: func() resource.UID { return resource.UID(fmt.Sprintf("uid-%06d", w.uids.Add(1))) },
	}
	for name, a := range w.setup.Adapters {
		c.Adapters = append(c.Adapters, setpoint.Adapter{Name: name, Adapter: w.tap.adapter(name, a), Policy: w.setup.Policy})
	}
	return c
}

// Stop stops the plane gracefully and closes the database. When no plane runs, there is nothing to do.
func (w *World) Stop() {
	w.T.Helper()
	if w.ended == nil {
		return
	}
	w.cancel()
	if err := <-w.ended; err != nil && !w.tap.killed() {
		w.T.Errorf("the plane ended with: %v", err)
	}
	w.ended = nil
	if err := w.store.Close(); err != nil {
		w.T.Errorf("close the database: %v", err)
	}
}

// Kill ends the plane as kill -9 does: from now on nothing it does has an effect, on the database or outside. Then it is gone. The next
// plane gets the lease at once, at a higher epoch: that the dead one's would have to run out first, is not part of the simulation.
func (w *World) Kill() {
	w.T.Helper()
	w.tap.kill()
	w.Stop()
}

// Restart kills the plane and starts another on the same database.
func (w *World) Restart() {
	w.T.Helper()
	w.Kill()
	w.Start()
}

// Apply creates an object or updates its spec: what a customer wants. A plane that dies meanwhile makes it return false.
func (w *World) Apply(def *setpoint.Definition, name string, spec any) bool {
	w.T.Helper()
	o, err := def.New("default", resource.Name(name), spec, resource.Birth{Now: time.Now(), UID: func() resource.UID { return "" }})
	if err != nil {
		w.T.Fatalf("apply %s %s: %v", def.Kind, name, err)
	}
	_, err = w.Plane.Create(context.Background(), "api:test", o, false)
	if errors.Is(err, setpoint.ErrExists) {
		_, err = w.Plane.Update(context.Background(), "api:test", o.Key, func(have *resource.Object) (*resource.Object, error) {
			next := have.Clone()
			next.Spec = o.Spec
			return next, nil
		}, false)
	}
	return w.survived(err)
}

// Delete asks for the deletion of an object; one that is gone is fine.
func (w *World) Delete(def *setpoint.Definition, name string) bool {
	w.T.Helper()
	_, _, err := w.Plane.Delete(context.Background(), "api:test", def.Key("default", resource.Name(name)), setpoint.Preconditions{}, false)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return w.survived(err)
}

func (w *World) survived(err error) bool {
	w.T.Helper()
	if err != nil && !w.tap.killed() && !errors.Is(err, store.ErrUnknown) {
		w.T.Fatalf("a client's request failed: %v", err)
	}
	return err == nil
}

// Object returns an object of the view.
func (w *World) Object(def *setpoint.Definition, name string) (*resource.Object, bool) {
	return w.Plane.View().Get(def.Key("default", resource.Name(name)))
}

// Settle waits until nothing can happen any more without time passing.
func (w *World) Settle() { synctest.Wait() }

// Advance lets virtual time pass.
func (w *World) Advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Converge lets time pass until everything is at rest, and fails the test, saying why it is not, when that takes longer than limit.
func (w *World) Converge(limit time.Duration) {
	w.T.Helper()
	for begun := time.Now(); ; w.Advance(100 * time.Millisecond) {
		w.Settle()
		restless := w.restless()
		if len(restless) == 0 || w.tap.killed() {
			return
		}
		if time.Since(begun) > limit {
			w.T.Fatalf("not at rest after %s:\n%s", limit, strings.Join(restless, "\n"))
		}
	}
}

// restless says what is not at rest, and why.
func (w *World) restless() []string {
	var out []string
	for _, def := range w.setup.Kinds {
		for o := range w.Plane.View().List(def.ID(), "") {
			if o.Ready() && !o.Deleting() {
				continue
			}
			x, _ := w.Plane.Explain(o.Key)
			if !terminal(x) {
				out = append(out, fmt.Sprintf("%s: state %q, waits %+v", o.Key, o.State, o.Waits))
			}
		}
	}
	for c := range w.Plane.View().OpenCommands() {
		out = append(out, fmt.Sprintf("command %s of %s is %s: %s", c.Slot, c.Object, c.Phase, c.Message))
	}
	for _, c := range w.Plane.Controllers() {
		if c.Queue.Ready+c.Queue.Working > 0 {
			out = append(out, fmt.Sprintf("controller %s has work", c.Controller))
		}
	}
	return out
}

func terminal(x control.Explanation) bool {
	for _, wait := range x.Waits {
		if wait.Class == string(command.Terminal) {
			return true
		}
	}
	return false
}

// Statements counts the statements that the database has executed; what matters is the difference of two calls. The engine counts, by a method
// Statements() uint64 of its store; without one the test fails.
func (w *World) Statements() uint64 {
	w.T.Helper()
	st := w.store
	if b, ok := st.(*bridge); ok {
		st = b.inner
	}
	c, ok := st.(interface{ Statements() uint64 })
	if !ok {
		w.T.Fatalf("count statements: %T has no method Statements() uint64", st)
	}
	return c.Statements()
}

// Turns counts the turns that were handed to workers.
func (w *World) Turns() uint64 {
	var n uint64
	for _, c := range w.Plane.Controllers() {
		n += c.Queue.Handed
	}
	return n
}

// Commits returns the transactions that were committed since the world began, in order: side effects as values.
func (w *World) Commits() []store.Transaction { return w.tap.committed() }
