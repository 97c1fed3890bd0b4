package setpointtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// program is what is fuzzed, without its types.
type program struct {
	def        *resource.Definition
	controller func(*witness) control.Controller
	writer     string // of the driver
	holder     resource.Finalizer
	undoes     map[decide.ActionName][]string
	resting    []lifecycle.State // in which the table is asked
	setup      func() Setup
	object     func(Case) (spec, status any)
	beside     func(Case, *resource.Object) []*resource.Object
	found      func(Case, *resource.Object, map[command.AdapterName]Outside)
	payload    func(Case, lifecycle.SignalName) []byte
	check      func(Case, End) error
	claims     []decide.Claim
	mayFail    bool
	mayRepeat  bool
	horizon    time.Duration
	seed       uint64
}

// told is a case that was told.
type told struct {
	Case
	End
	wrongs []wrong
	// boundaries are how often the driver wrote the object while something might go wrong, and stuck are those after which it waited for an operator.
	boundaries int
	stuck      []int
}

// The course of a trial in virtual time: by troubled all faults are over, and operators end pauses. What is left of the horizon after its quarters must be calm.
const (
	troubled = 90 * time.Minute
	// afterwards is for the last plane, which finds everything done.
	afterwards = time.Minute
	// callsAtOnce is more than the cases of a world make.
	callsAtOnce = 4 * inOneWorld
	// perTransaction bounds the objects that are put there by one transaction.
	perTransaction = 64
)

// try tells cases, many at a time in one world. The error says why the plane could not be assembled, or is errSpins.
func (p *program) try(t *testing.T, cases []Case) (all []told, err error) {
	t.Helper()
	g := Engine{}.ground(t)
	defer g.leave(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWitness(p)
		var world *World
		if world, err = w.world(t, g); err != nil {
			return
		}
		defer world.Stop()
		w.begin(world, cases)
		w.pass(world, troubled)
		w.resume(world)
		w.pass(world, p.horizon-troubled)
		if w.spin.found() {
			err = errSpins
			return
		}
		world.Kill()
		w.mu.Lock()
		w.closing = w.newest() + 1
		w.mu.Unlock()
		w.start(world)
		w.pass(world, afterwards)
		if w.spin.found() {
			err = errSpins
			return
		}
		all = w.told()
	})
	return all, err
}

// world starts a plane with the witness around it.
func (w *witness) world(t *testing.T, g ground) (*World, error) {
	setup := w.program.setup()
	setup.Kinds = append(slices.Clone(setup.Kinds), w.program.def)
	setup.Controllers = append(slices.Clone(setup.Controllers), w.program.controller(w))
	setup.Seed = w.program.seed
	adapters := map[command.AdapterName]command.Adapter{}
	for name, a := range setup.Adapters {
		adapters[name] = w.inject(name, a)
		if o, ok := a.(Outside); ok {
			w.outside[name] = o
		}
	}
	setup.Adapters = adapters
	if setup.Policy == (command.Policy{}) {
		setup.Policy = command.Policy{Base: time.Second, Cap: 10 * time.Minute}
	}
	setup.Policy.Concurrency = max(setup.Policy.Concurrency, callsAtOnce) // nobody waits for another case
	world := g.world(t, setup)
	open := world.open
	world.open = func(ctx context.Context) (store.Store, error) {
		st, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return witnessed{st, w}, nil
	}
	w.tap = world.tap
	return world, w.assemble(world)
}

// assemble is World.Start for a plane that may be refused.
func (w *witness) assemble(world *World) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	if world.store, err = world.open(ctx); err != nil {
		cancel()
		return fmt.Errorf("open the database: %w", err)
	}
	world.cancel = cancel
	world.tap.wrap(world.store)
	config := world.config()
	config.Meter = w.spin
	if world.Plane, err = setpoint.New(ctx, config); err != nil {
		cancel()
		return errors.Join(err, world.store.Close())
	}
	ended := make(chan error, 1)
	world.ended = ended
	go func() { ended <- world.Plane.Run(ctx) }()
	synctest.Wait()
	return nil
}

// start starts another plane.
func (w *witness) start(world *World) {
	world.T.Helper()
	if err := w.assemble(world); err != nil {
		world.T.Fatalf("start another plane: %v", err)
	}
}

// begin puts the objects of the cases there.
func (w *witness) begin(world *World, cases []Case) {
	world.T.Helper()
	for chunk := range slices.Chunk(cases, perTransaction) {
		tx := store.Transaction{Writer: store.Writer{Name: "api:fuzz"}, Cause: store.Cause{Text: "the case says so"}}
		var crash []func()
		for _, c := range chunk {
			crash = append(crash, w.put(world, c, &tx)...)
		}
		if _, err := world.store.Commit(context.Background(), tx); err != nil {
			world.T.Fatalf("put the objects of %d cases there: %v", len(chunk), err)
		}
		world.Settle() // what the first turns see does not depend on how fast they are
		for _, f := range crash {
			f()
		}
	}
}

// put makes the object of a case.
func (w *witness) put(world *World, c Case, tx *store.Transaction) (crashes []func()) {
	world.T.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.subjects) + 1
	spec, status := w.program.object(c)
	object, err := w.program.def.New("default", resource.Name(fmt.Sprintf("c%06d", n)), spec, resource.Birth{
		Now: now(), UID: func() resource.UID { return resource.UID(fmt.Sprintf("fuzz-%06d", n)) },
	})
	if err == nil {
		object.Status, err = json.Marshal(status)
	}
	if err != nil {
		world.T.Fatalf("the object of the case %q: %v", c, err)
	}
	object.State, object.StateSince, object.Finalizers = c.State, now(), []resource.Finalizer{w.program.holder}
	s := &subject{
		Case: c, key: object.Key, uid: object.UID, made: map[command.Slot]int{}, away: map[command.Slot]time.Time{}, tokens: map[command.Token]bool{},
		signals: map[store.SignalID]*seenSignal{}, guards: map[decide.GuardName]bool{}, crashed: map[int]bool{}, parts: map[resource.Key]*resource.Object{},
		commits: map[string]int{}, later: time.Duration(n) * later,
	}
	w.subjects[s.key], w.byName[object.Name] = s, s
	at := len(tx.Objects)
	tx.Objects = append(tx.Objects, store.ObjectWrite{Object: object, Reason: "Created"})
	for _, name := range c.Signals {
		if signal, ok := w.signal(s, name, object, tx); ok {
			tx.Raise = append(tx.Raise, signal)
		}
	}
	for i, o := range c.Orders {
		switch {
		case o.After != 0:
		case o.What == OrderDelete:
			world.T.Fatalf("the case %q: nothing is created deleted; delete it after 1", c)
		case o.What == OrderCrash:
			s.crashed[i] = true
			crashes = append(crashes, func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.kill()
			})
		default:
			w.order(s, o, tx, at)
		}
	}
	if w.program.found != nil {
		w.program.found(c, tx.Objects[at].Object, w.outside)
	}
	if w.program.beside != nil {
		for _, other := range w.program.beside(c, tx.Objects[at].Object) {
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: other, Reason: "Created"})
		}
	}
	return crashes
}

// pass lets time pass, and puts another plane in the place of one that dies meanwhile.
func (w *witness) pass(world *World, d time.Duration) {
	world.T.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !w.spin.found() {
		select {
		case <-w.died:
			world.Stop()
			if !w.spin.found() {
				w.start(world)
			}
		case <-timer.C:
			synctest.Wait()
			if !world.tap.killed() {
				return
			}
			timer.Reset(0)
		}
	}
}

// resume ends the pauses that cases have ordered.
func (w *witness) resume(world *World) {
	world.T.Helper()
	if w.spin.found() {
		return
	}
	for _, s := range w.all() {
		o, there := world.Plane.View().Get(s.key)
		if !there || o.Action == nil || o.Action.Halt != resource.HaltPaused {
			continue
		}
		if _, _, err := world.Plane.Signal(context.Background(), "api:fuzz", s.key, setpoint.SignalRequest{Name: control.ResumeSignal}); err != nil {
			world.T.Errorf("resume the case %q: %v", s.Case, err)
		}
	}
}

// all lists the subjects, in the order of their cases.
func (w *witness) all() []*subject {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*subject, 0, len(w.subjects))
	for _, s := range w.subjects {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *subject) int { return a.key.Compare(b.key) })
	return all
}

// newest is the last commit about any subject; w.mu is held.
func (w *witness) newest() (newest resource.Revision) {
	for _, s := range w.subjects {
		for i := range s.entries {
			newest = max(newest, s.entries[i].revision)
		}
	}
	return newest
}

// content is what there is outside for a key, "" for nothing.
func (w *witness) content(adapter command.AdapterName, key string) string {
	switch o := w.outside[adapter].(type) {
	case nil:
		return ""
	case interface{ Effect(string) json.RawMessage }: // as Subsystem has it, and what embeds one
		return string(o.Effect(key))
	default:
		return string(o.Effects()[key])
	}
}
