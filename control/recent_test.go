package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// unavailable is what a store says to who is cut off from it.
func unavailable(store.Transaction) error { return store.ErrUnavailable }

// attendant wants something of a subsystem for every note, on every node.
func attendant() setpoint.Controller {
	return notes.Controller("keeper", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		if n.Deleting() {
			return shop.Ensure(turn, turn.NaturalKey(), nil).Outcome()
		}
		return shop.Ensure(turn, turn.NaturalKey(), &n.Spec).Outcome()
	}, setpoint.Everywhere())
}

// TestANodeThatIsCutOffCallsNobody: not even for a controller that runs everywhere. What it wanted is withdrawn meanwhile, by others; a subsystem that was replaced, and remembers neither tokens nor intents, could
// not refuse it.
func TestANodeThatIsCutOffCallsNobody(t *testing.T) {
	var first, second log[command.Call]
	down := flag(true)
	calls := func(l *log[command.Call]) []control.AdapterConfig {
		return []control.AdapterConfig{{Name: "shop", Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
			if l.add(c); down.Load() {
				return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: "not yet"}
			}
			return command.Result{Outcome: command.OutcomeDone, Body: []byte(`{}`)}
		}), Policy: setpoint.Policy{Base: 100 * time.Millisecond, Cap: 500 * time.Millisecond}}}
	}
	config := control.Config{Controllers: []setpoint.Controller{attendant()}, Adapters: calls(&first)}
	runBench(t, config, func(b *bench) {
		wire := b.store
		b.run()
		b.store, b.config.Adapters = &disturbed{Store: wire.Store}, calls(&second)
		other := b.another("second")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- other.Run(ctx) }()
		b.create(nt, "n")
		b.advance(10 * time.Second)
		if first.len() < 10 || second.len() < 10 {
			t.Fatalf("%d and %d attempts, want both nodes to try", first.len(), second.len())
		}
		wire.refuseWith(unavailable)
		wire.stall(time.Hour)
		b.advance(4 * time.Second) // what it has seen is recent for three
		before := first.len()
		b.remove(nt, "n")
		b.advance(10 * time.Second)
		down.Store(false)
		b.advance(20 * time.Minute)
		if n := first.len() - before; n != 0 {
			t.Errorf("the node that is cut off made %d calls", n)
		}
		if all := second.list(); all[len(all)-1].Request != nil {
			t.Errorf("the other node has not withdrawn it: %+v", all[len(all)-1])
		}
		wire.refuseWith(nil)
		wire.stall(0)
		b.advance(time.Minute)
		for _, c := range first.list()[before:] {
			if c.Request != nil {
				t.Errorf("when it is back it asks for what was withdrawn: %+v", c)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the second ended with: %v", err)
		}
	})
}

// current is what package adapter/subsystem asks of a desk before it teaches.
type current interface{ Current(context.Context) error }

// TestWhatIsExpectedIsCurrentOrNotSaid: an observer that is about to teach a subsystem learns whether the list that it gets is as new as its question.
func TestWhatIsExpectedIsCurrentOrNotSaid(t *testing.T) {
	var desk command.Desk
	config := control.Config{
		Controllers: []setpoint.Controller{asker()},
		Adapters: []control.AdapterConfig{{Name: "shop", Adapter: watched{
			adapter: func(context.Context, command.Call) command.Result { return ok },
			observe: func(ctx context.Context, d command.Desk) error {
				desk = d
				<-ctx.Done()
				return nil
			},
		}}},
	}
	runBench(t, config, func(b *bench) {
		b.run()
		b.create(nt, "n")
		b.advance(10 * time.Second)
		if n := len(desk.Expected("")); n != 1 {
			t.Fatalf("%d expectations, want one", n)
		}
		ask := func() (took time.Duration, err error) {
			limited, cancel := context.WithTimeout(b.t.Context(), time.Minute)
			defer cancel()
			begun := time.Now()
			err = desk.(current).Current(limited)
			return time.Since(begun), err
		}
		if took, err := ask(); err != nil || took != 0 {
			t.Errorf("with nothing in the way: error %v after %s", err, took)
		}
		b.store.stall(20 * time.Second)
		b.label(nt, "n")
		took, err := ask()
		if o, _ := b.engine.View().Get(nt.Key("default", "n")); err != nil || took != 20*time.Second || o.Labels["touched"] != "yes" {
			t.Errorf("while the view is behind: error %v after %s, labels %v; want it to wait until the change is seen", err, took, o.Labels)
		}
		b.store.refuseWith(unavailable)
		if _, err := ask(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("cut off from the store: error %v", err)
		}
		b.store.refuseWith(nil)
	})
}

// remove asks for an object's deletion, as a client would.
func (b *bench) remove(def *setpoint.Definition, name resource.Name) {
	b.t.Helper()
	have, err := b.store.Object(b.t.Context(), def.Key("default", name))
	if err != nil {
		b.t.Fatal(err)
	}
	next := have.Clone()
	next.Deleted, next.Generation = time.Now().UTC(), next.Generation+1
	b.put(store.ObjectWrite{Expect: have.Revision, Object: next})
}
