package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// TestWhoHoldsAnObject: the driver always, a further controller while it has something to remove; each lets go when its own is gone.
func TestWhoHoldsAnObject(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	slow := flag(true)
	sub.Fault = func(c command.Call) setpointtest.Fault {
		if slow.Load() && c.Request == nil {
			return setpointtest.LostRequest
		}
		return setpointtest.NoFault
	}
	driver := boxes.Driver("box", done)
	audit := boxes.Controller("audit", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		if b.Spec.Value == "" {
			return setpoint.Done()
		}
		return shop.Ensure(turn, "audit", &spec{}).Outcome()
	})
	setpointtest.Run(t, setup(sub, driver, audit), func(w *setpointtest.World) {
		holders := func() []resource.Finalizer { return must(w, boxes.Definition, "b").Finalizers }
		w.Apply(boxes.Definition, "b", spec{})
		w.Settle()
		if got := holders(); !slices.Equal(got, []resource.Finalizer{"box"}) {
			t.Errorf("held by %v, want the driver alone", got)
		}
		w.Apply(boxes.Definition, "b", spec{Value: "x"})
		w.Converge(time.Minute)
		if got := holders(); !slices.Equal(got, []resource.Finalizer{"box", "audit"}) {
			t.Errorf("held by %v, want both", got)
		}
		w.Delete(boxes.Definition, "b")
		w.Advance(10 * time.Second)
		o := must(w, boxes.Definition, "b")
		if !slices.Equal(o.Finalizers, []resource.Finalizer{"audit"}) || o.State != "Leaving" {
			t.Errorf("in state %s held by %v, want Leaving, and the one whose effect is left", o.State, o.Finalizers)
		}
		wantText(t, "the wait", waits(o), "CommandRetrying", "shop/audit")
		slow.Store(false)
		w.Converge(time.Minute)
		if !gone(w, boxes.Definition, "b") || len(sub.Keys()) > 0 {
			t.Errorf("still there, or the shop has %v", sub.Keys())
		}
		var states []string
		entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.To != "" {
				states = append(states, string(e.To))
			}
		}
		if !slices.Equal(states, []string{"Making", "Leaving", "Left"}) {
			t.Errorf("went through %v", states)
		}
	})
}

// TestDeletionIsStuckOnlyForAReasonAndRetryWorks: the removal was refused or given up; the object says so, and goes when it is retried.
func TestDeletionIsStuckOnlyForAReasonAndRetryWorks(t *testing.T) {
	cases := []struct {
		name, reason string
		result       command.Result
		policy       setpoint.Policy
		mention      bool // whether the driver still mentions the effect
		want         string
	}{
		{"refused, mentioned", "Ensure sees the signal", command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "in use"}, setpoint.Policy{}, true, "Refused"},
		{"refused, not mentioned", "a withdrawn effect hears of the signal too", command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "in use"}, setpoint.Policy{}, false, "Refused"},
		{"exhausted, not mentioned", "the policy is used up", command.Result{Outcome: command.OutcomeFailed, Message: "in use"}, setpoint.Policy{Attempts: 2}, false, "Exhausted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			refuse := flag(true)
			shopkeeper := adapter(func(_ context.Context, call command.Call) command.Result {
				if call.Request == nil && refuse.Load() {
					return c.result
				}
				return ok
			})
			driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
				if b.Deleting() && !c.mention {
					return setpoint.Done()
				}
				return shop.Ensure(turn, "x", &spec{}).Outcome()
			})
			s := setup(shopkeeper, driver)
			s.Policy = c.policy
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				w.Apply(boxes.Definition, "b", spec{})
				w.Converge(time.Minute)
				w.Delete(boxes.Definition, "b")
				w.Advance(time.Hour)
				o := must(w, boxes.Definition, "b")
				wantText(t, c.reason, waits(o), c.want, "shop/x", "in use")
				x, _ := w.Plane.Explain(o.Key)
				if x.Hint != "setpoint signal box b Retry" {
					t.Errorf("%s: the hint is %q", c.reason, x.Hint)
				}
				signal(w, boxes.Definition, "b", "Retry")
				w.Advance(time.Hour)
				if o := must(w, boxes.Definition, "b"); len(signals(w, o)) != 0 {
					t.Errorf("%s: the signal was not consumed: %v", c.reason, signals(w, o))
				}
				refuse.Store(false)
				signal(w, boxes.Definition, "b", "Retry")
				w.Advance(time.Second)
				if !gone(w, boxes.Definition, "b") {
					t.Errorf("%s: still there: %s", c.reason, waits(must(w, boxes.Definition, "b")))
				}
			})
		})
	}
}

// TestEffectsWhileDeleting: WhileDeleting keeps it; a controller that does not hold the object may make nothing new.
func TestEffectsWhileDeleting(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	stranger := boxes.Controller("late", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		if !b.Deleting() {
			return setpoint.Done()
		}
		return shop.Ensure(turn, "toolate", &spec{}, setpoint.WhileDeleting()).Outcome()
	})
	draining := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		service := shop.Ensure(turn, "service", &spec{})
		if b.Deleting() && turn.Now().Before(b.Deleted.Add(time.Minute)) {
			shop.Ensure(turn, "drain", &spec{Value: "on"}, setpoint.WhileDeleting())
			return setpoint.After(time.Minute, "Draining", "until nobody is left")
		}
		return service.Outcome()
	})
	setpointtest.Run(t, setup(sub, draining, stranger), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{})
		w.Converge(time.Minute)
		w.Delete(boxes.Definition, "b")
		w.Advance(30 * time.Second)
		if got := sub.Keys(); !slices.Equal(got, []string{"drain"}) {
			t.Errorf("the shop has %v while draining, want the drain alone", got)
		}
		wantText(t, "the wait of the one that holds nothing", waits(must(w, boxes.Definition, "b")), "shop/toolate", "does not hold it")
		w.Advance(time.Minute)
		if got := sub.Keys(); len(got) > 0 || !gone(w, boxes.Definition, "b") {
			t.Errorf("the shop has %v at the end", got)
		}
	})
}

// TestOrphansAreCollected: an object whose owners are all gone is deleted, whichever way they went, and even if nothing else wakes it.
func TestOrphansAreCollected(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, setup(sub, parts.Driver("part", drivePart)), func(w *setpointtest.World) {
		for _, name := range []string{"one", "two"} {
			w.Apply(notes.Definition, name, spec{})
		}
		w.Apply(parts.Definition, "p", spec{})
		w.Advance(time.Second)
		one, two := must(w, notes.Definition, "one"), must(w, notes.Definition, "two")
		change(w, parts.Definition, "p", func(o *resource.Object) {
			o.Owners = []resource.Owner{{Key: one.Key, UID: one.UID, Version: "v1"}, {Key: two.Key, UID: two.UID, Version: "v1"}}
		})
		w.Delete(notes.Definition, "one")
		w.Advance(time.Minute)
		if o := must(w, parts.Definition, "p"); o.Deleting() {
			t.Fatalf("deleted while an owner is left")
		}
		w.Delete(notes.Definition, "two")
		w.Apply(notes.Definition, "two", spec{}) // a namesake is not the owner
		w.Advance(time.Minute)
		if !gone(w, parts.Definition, "p") || len(sub.Keys()) > 0 {
			t.Errorf("the orphan is still there, or its effect: %v", sub.Keys())
		}
	})
}

// TestAHolderFromElsewhereIsNamed: a finalizer of nobody here keeps the object, and the explanation says whose it is.
func TestAHolderFromElsewhereIsNamed(t *testing.T) {
	setpointtest.Run(t, setup(nil, notes.Driver("note", done)), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Settle()
		change(w, notes.Definition, "n", func(o *resource.Object) { o.Finalizers = append(o.Finalizers, "backup.example/wait") })
		w.Delete(notes.Definition, "n")
		w.Settle()
		x, _ := w.Plane.Explain(must(w, notes.Definition, "n").Key)
		if len(x.Chain) != 1 || x.Chain[0].Code != "Held" {
			t.Fatalf("the chain is %+v, want who holds it", x.Chain)
		}
		wantText(t, "the explanation", x.Chain[0].Message, "backup.example/wait", "not a controller of this plane")
		change(w, notes.Definition, "n", func(o *resource.Object) { o.Finalizers = nil })
		if !gone(w, notes.Definition, "n") {
			t.Errorf("still there after the holder let go")
		}
	})
}

// TestADriverCannotLeaveTheDeletingState: a careless transition is refused in words, rather than taking the object back among the living.
func TestADriverCannotLeaveTheDeletingState(t *testing.T) {
	driver := boxes.Driver("box", func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
		turn.Transition("Made", "Always")
		return setpoint.Done()
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{})
		w.Settle()
		w.Delete(boxes.Definition, "b")
		w.Settle()
		o := must(w, boxes.Definition, "b")
		wantText(t, "the wait", waits(o), "transition to Made", "being deleted", "stays Leaving")
		if o.State != "Leaving" {
			t.Errorf("state %s, want Leaving", o.State)
		}
	})
}
