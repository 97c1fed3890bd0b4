package control_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// sends is an adapter's config whose calls are noted.
func sends(calls *log[time.Time]) control.AdapterConfig {
	return control.AdapterConfig{Name: "shop", Adapter: adapter(func(context.Context, command.Call) command.Result {
		calls.add(time.Now())
		return ok
	})}
}

// TestNoCallIsBegunWithoutTrust: while the lease cannot be renewed, calls go on until it may be another's, then wait, and go on when it is renewed. The epoch
// is the same, as nobody had the lease, and all that was committed meanwhile stands.
func TestNoCallIsBegunWithoutTrust(t *testing.T) {
	var calls log[time.Time]
	config := control.Config{Controllers: []setpoint.Controller{asker()}, Adapters: []control.AdapterConfig{sends(&calls)}}
	runBench(t, config, func(b *bench) {
		b.run()
		b.store.leaseWith(func(context.Context) error { return store.ErrUnavailable })
		b.advance(8 * time.Second)
		wantText(t, "health", fmt.Sprint(b.engine.Working()), "lease plane has not been renewed since", "calls to subsystems go on for now", "unavailable")
		b.create(nt, "soon")
		b.advance(time.Second / 2)
		if !b.ready("soon") {
			t.Errorf("calls wait before they have to")
		}
		b.advance(time.Second)
		for i := range 40 { // more than there are workers
			b.create(nt, resource.Name(fmt.Sprint("late", i)))
		}
		before := calls.len()
		b.advance(time.Minute)
		if n := calls.len() - before; n != 0 {
			t.Errorf("%d calls without trust in the lease", n)
		}
		wantText(t, "health", fmt.Sprint(b.engine.Working()), "no call to a subsystem is begun until it is")
		if o, _ := b.engine.View().Get(nt.Key("default", "late0")); len(o.Waits) == 0 {
			t.Errorf("commits need no trust, but the turn's has not been made")
		}
		b.store.leaseWith(nil)
		b.advance(time.Second)
		for i := range 40 {
			if name := fmt.Sprint("late", i); !b.ready(resource.Name(name)) {
				t.Fatalf("%s is not ready after the lease was renewed", name)
			}
		}
		if err := b.engine.Working(); err != nil || calls.len() != 41 {
			t.Errorf("%d calls, want 41; health %v", calls.len(), err)
		}
	})
}

// hesitant is a subsystem that takes its time to be asked, and did not get the first request.
type hesitant struct {
	calls *log[time.Time]
	asked *log[time.Time]
}

func (h hesitant) Do(context.Context, command.Call) command.Result {
	if h.calls.add(time.Now()); h.calls.len() == 1 {
		return command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
	}
	return ok
}

func (h hesitant) LookUp(ctx context.Context, _ command.Call) (command.Result, bool, error) {
	h.asked.add(time.Now())
	select {
	case <-time.After(15 * time.Second):
		return command.Result{}, false, nil
	case <-ctx.Done():
		return command.Result{}, false, ctx.Err()
	}
}

// TestTrustIsAskedForAfterALookUp: it may have ended meanwhile, and what follows the look-up is a call of its own.
func TestTrustIsAskedForAfterALookUp(t *testing.T) {
	h := hesitant{&log[time.Time]{}, &log[time.Time]{}}
	config := control.Config{
		Controllers: []setpoint.Controller{asker()},
		Adapters:    []control.AdapterConfig{{Name: "shop", Adapter: h, Policy: setpoint.Policy{Timeout: time.Minute}}},
	}
	runBench(t, config, func(b *bench) {
		b.run()
		b.create(nt, "n")
		b.advance(2 * time.Second)
		b.store.leaseWith(func(context.Context) error { return store.ErrUnavailable })
		b.advance(2 * time.Minute)
		if h.asked.len() != 1 || h.calls.len() != 1 {
			t.Errorf("%d look-ups and %d calls, want the look-up that was under way and no call after it", h.asked.len(), h.calls.len())
		}
		b.store.leaseWith(nil)
		b.advance(time.Minute)
		if h.calls.len() != 2 || !b.ready("n") {
			t.Errorf("%d calls afterwards, want the repetition", h.calls.len())
		}
	})
}

// TestTheLeaseIsKeptUntilTheEnd: while a stop waits for what is under way, nobody else gets the lease, and the result is committed.
func TestTheLeaseIsKeptUntilTheEnd(t *testing.T) {
	config := control.Config{
		Controllers: []setpoint.Controller{asker()},
		Adapters: []control.AdapterConfig{{Name: "shop", Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
			<-time.After(5 * time.Second)
			return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
		})}},
	}
	runBench(t, config, func(b *bench) {
		b.ttl = time.Second
		b.engine = b.another("first")
		b.run()
		b.create(nt, "n")
		b.advance(time.Second)
		b.cancel()
		for range 35 {
			b.advance(100 * time.Millisecond)
			if _, err := b.store.Store.Acquire(b.t.Context(), cluster.SoloScope, "second", time.Hour); !errors.Is(err, store.ErrHeld) {
				t.Fatalf("another asks for the lease and gets error %v, want ErrHeld", err)
			}
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
		s := b.engine.View().Snapshot()
		defer s.Close()
		o, _ := s.Get(nt.Key("default", "n"))
		if all := s.Commands(o.UID); len(all) != 1 || all[0].Phase != command.Done {
			t.Errorf("the result of the call that was under way is not committed: %+v", all)
		}
		if _, err := b.store.Store.Acquire(b.t.Context(), cluster.SoloScope, "second", time.Hour); err != nil {
			t.Errorf("after the stop the lease is not free: %v", err)
		}
	})
}
