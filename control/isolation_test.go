package control_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

func TestAPanicFailsOneObjectOnly(t *testing.T) {
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		if n.Spec.Value == "bad" {
			panic("cannot stand it")
		}
		return setpoint.Done()
	}, setpoint.Workers(1))
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "a", spec{Value: "bad"})
		w.Settle()
		w.Apply(notes.Definition, "b", spec{})
		w.Settle()
		wantText(t, "the wait of the one that panics", waits(must(w, notes.Definition, "a")), "panic in controller note: cannot stand it")
		if !must(w, notes.Definition, "b").Ready() {
			t.Errorf("the other object is not driven")
		}
		w.Apply(notes.Definition, "a", spec{Value: "good"})
		w.Settle()
		if !must(w, notes.Definition, "a").Ready() {
			t.Errorf("the object does not recover when it is changed")
		}
	})
}

// TestAPanicInTheRulesOfAKindFailsOneObjectOnly: validation functions are author code too, and run outside the controller's function.
func TestAPanicInTheRulesOfAKindFailsOneObjectOnly(t *testing.T) {
	touchy := setpoint.MustDefine(setpoint.KindOptions[spec, status]{
		Group: group, Version: "v1", Kind: "Touchy",
		Validate: func(old, _ *thing) error {
			if old != nil {
				panic("do not touch")
			}
			return nil
		},
	})
	driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		touchy.Child(turn, "a", spec{Value: b.Spec.Value})
		return turn.Rollup()
	})
	s := setup(nil, driver, notes.Driver("note", done))
	s.Kinds = append(s.Kinds, touchy.Definition)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "1"})
		w.Settle()
		w.Apply(boxes.Definition, "b", spec{Value: "2"})
		w.Apply(notes.Definition, "n", spec{})
		w.Settle()
		wantText(t, "the wait", waits(must(w, boxes.Definition, "b")), "panic in the rules of Touchy", "do not touch")
		if !must(w, notes.Definition, "n").Ready() {
			t.Errorf("another object is not driven")
		}
	})
}

func TestAPanicInAnAdapterIsUnknown(t *testing.T) {
	var attempts log[int]
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		if attempts.add(c.Attempt); c.Attempt < 3 {
			panic("dropped it")
		}
		return ok
	})
	var said log[string]
	driver := notes.Driver("note", func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
		e := shop.Ensure(turn, "x", &spec{})
		said.add(e.Outcome().String())
		return e.Outcome()
	})
	setpointtest.Run(t, setup(shopkeeper, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Converge(time.Minute)
		wantText(t, "what was told", strings.Join(said.list(), "\n"), "panic in adapter shop: dropped it")
		if got := attempts.len(); got != 3 {
			t.Errorf("%d attempts, want 3", got)
		}
	})
}

// hanging is a controller that does not return for objects with the value "hang", until it is let go.
type hanging struct{ let chan struct{} }

func (h *hanging) drive(turn *setpoint.Turn, n *thing) setpoint.Outcome {
	if n.Spec.Value == "hang" {
		<-h.let
	}
	return setpoint.Done()
}

// TestATurnThatDoesNotReturn: it is reported, its worker replaced up to the bound, and health says so; when it returns all is as before.
func TestATurnThatDoesNotReturn(t *testing.T) {
	h := &hanging{}
	driver := notes.Driver("note", h.drive, setpoint.Workers(1), setpoint.TurnDeadline(time.Second))
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		h.let = make(chan struct{})
		w.Apply(notes.Definition, "a", spec{Value: "hang"})
		w.Apply(notes.Definition, "b", spec{})
		w.Advance(900 * time.Millisecond)
		if must(w, notes.Definition, "b").Ready() || w.Plane.Ready() != nil {
			t.Fatalf("the only worker was replaced before the deadline of the turn")
		}
		w.Advance(time.Second)
		if !must(w, notes.Definition, "b").Ready() {
			t.Errorf("the worker was not replaced")
		}
		wantText(t, "health", fmt.Sprint(w.Plane.Ready()), "controller note", "1 calls do not return", "default/a")
		if w.Plane.Live() != nil || w.Plane.Controllers()[0].Stuck != 1 {
			t.Errorf("one stuck turn of one worker: live %v, stuck %d", w.Plane.Live(), w.Plane.Controllers()[0].Stuck)
		}
		w.Apply(notes.Definition, "c", spec{Value: "hang"})
		w.Apply(notes.Definition, "d", spec{})
		w.Advance(5 * time.Second)
		if must(w, notes.Definition, "d").Ready() {
			t.Errorf("workers are replaced without bound")
		}
		wantText(t, "liveness", fmt.Sprint(w.Plane.Live()), "controller note", "more than can be replaced")

		close(h.let)
		w.Settle()
		for _, name := range []string{"a", "b", "c", "d"} {
			if !must(w, notes.Definition, name).Ready() {
				t.Errorf("%s is not ready after the turns returned", name)
			}
		}
		if w.Plane.Ready() != nil || w.Plane.Live() != nil {
			t.Errorf("health after the turns returned: %v, %v", w.Plane.Ready(), w.Plane.Live())
		}
		// The crew is of one again: two objects that hang do so one after the other.
		h.let = make(chan struct{})
		w.Apply(notes.Definition, "a", spec{Value: "hang", Count: 1})
		w.Apply(notes.Definition, "c", spec{Value: "hang", Count: 1})
		w.Settle()
		if got := w.Plane.Controllers()[0].Queue.Working; got != 1 {
			t.Errorf("%d workers after the replacement was dismissed, want 1", got)
		}
		close(h.let)
		w.Settle()
	})
}

// TestATurnThatHangsInAnAdaptersWorker: the turn that takes a result along runs in the adapter's worker, which is the one to be replaced.
func TestATurnThatHangsInAnAdaptersWorker(t *testing.T) {
	let := make(chan struct{})
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		e := shop.Ensure(turn, n.Spec.Value, &spec{})
		if e.Done() && n.Spec.Value == "hang" {
			<-let
		}
		return e.Outcome()
	}, setpoint.Workers(1), setpoint.TurnDeadline(time.Second))
	shopkeeper := adapter(func(context.Context, command.Call) command.Result {
		<-time.After(10 * time.Millisecond) // so that the turn that asked is over
		return ok
	})
	s := setup(shopkeeper, driver)
	s.Policy = setpoint.Policy{Concurrency: 1}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		let = make(chan struct{})
		w.Apply(notes.Definition, "a", spec{Value: "hang"})
		w.Advance(20 * time.Millisecond)
		w.Apply(notes.Definition, "b", spec{Value: "fine"})
		w.Advance(2 * time.Second)
		if !must(w, notes.Definition, "b").Ready() {
			t.Errorf("nobody delivers the other command: %s", waits(must(w, notes.Definition, "b")))
		}
		wantText(t, "health", fmt.Sprint(w.Plane.Ready()), "adapter shop", "a turn of controller note")
		close(let)
		w.Settle()
		if w.Plane.Ready() != nil || !must(w, notes.Definition, "a").Ready() {
			t.Errorf("after it returned: %v, %s", w.Plane.Ready(), waits(must(w, notes.Definition, "a")))
		}
	})
}

// TestAnAdapterThatIgnoresItsDeadline: its unit waits, in order; the others go on.
func TestAnAdapterThatIgnoresItsDeadline(t *testing.T) {
	var let chan struct{}
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		if c.Key == "hang" {
			<-let
		}
		return ok
	})
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		return shop.Ensure(turn, n.Spec.Value, &spec{}).Outcome()
	})
	s := setup(shopkeeper, driver)
	s.Policy = setpoint.Policy{Concurrency: 1, Timeout: time.Second}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		let = make(chan struct{})
		w.Apply(notes.Definition, "a", spec{Value: "hang"})
		w.Settle()
		w.Apply(notes.Definition, "b", spec{Value: "fine"})
		w.Advance(time.Minute)
		if !must(w, notes.Definition, "b").Ready() {
			t.Errorf("the others are not delivered")
		}
		wantText(t, "health", fmt.Sprint(w.Plane.Ready()), "adapter shop", "key hang", "default/a")
		if got := w.Plane.Adapters()[0].Stuck; got != 1 {
			t.Errorf("%d stuck calls, want 1", got)
		}
		close(let)
		w.Settle()
		if w.Plane.Ready() != nil || !must(w, notes.Definition, "a").Ready() {
			t.Errorf("after it returned: %v", w.Plane.Ready())
		}
	})
}

// TestWaitingForTheDatabaseIsNotBeingStuck: a slow commit is no fault of the turn; its worker must not be replaced, nor the process restarted.
func TestWaitingForTheDatabaseIsNotBeingStuck(t *testing.T) {
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs++
		return setpoint.Done()
	}, setpoint.Workers(1), setpoint.TurnDeadline(time.Second))
	runSlow(t, driver, func(e *bench) {
		var once sync.Once
		e.store.refuseWith(func(store.Transaction) error {
			once.Do(func() { e.store.stall(time.Minute) })
			return nil
		})
		for _, name := range []resource.Name{"a", "b", "c"} {
			e.create(notes.Definition, name)
		}
		e.advance(30 * time.Second)
		if err := e.engine.Alive(); err != nil {
			t.Errorf("alive while the database is slow: %v", err)
		}
		if got := e.engine.Controllers()[0].Stuck; got != 0 {
			t.Errorf("%d turns count as stuck while the database is slow", got)
		}
		wantText(t, "health", fmt.Sprint(e.engine.Working()), "the feed is 30s behind")
		e.advance(10 * time.Minute)
		if err := e.engine.Working(); err != nil {
			t.Errorf("health when the database is well again: %v", err)
		}
	})
}
