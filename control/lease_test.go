package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// lines is a log handler that keeps the messages.
type lines struct {
	slog.Handler
	log[string]
}

func newLines() *lines { return &lines{Handler: slog.DiscardHandler} }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	text := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.add(text)
	return nil
}

// count is how many messages have a text in them.
func (l *lines) count(text string) (n int) {
	for _, line := range l.list() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// take gives the lease of an engine to another holder, as if the first had been believed dead.
func take(b *bench, from, to string, ttl time.Duration) store.Lease {
	b.t.Helper()
	have, err := b.store.Store.Acquire(b.t.Context(), cluster.SoloScope, from, time.Minute)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Release(b.t.Context(), have); err != nil {
		b.t.Fatal(err)
	}
	lease, err := b.store.Store.Acquire(b.t.Context(), cluster.SoloScope, to, ttl)
	if err != nil || lease.Epoch.Compare(have.Epoch) <= 0 {
		b.t.Fatalf("%s got %+v after %+v, error %v", to, lease, have, err)
	}
	return lease
}

// end returns how the engine has ended, and leaves it to be read again.
func (b *bench) end() error {
	err := <-b.ended
	b.ended <- err
	return err
}

func (b *bench) ready(name resource.Name) bool {
	o, found := b.engine.View().Get(nt.Key("default", name))
	return found && o.Ready()
}

// TestTheFenceStopsTheFormerOwner: when another process takes the lease, nothing of this one's is committed any more; it says so and ends.
func TestTheFenceStopsTheFormerOwner(t *testing.T) {
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs++
		return setpoint.Done()
	})
	runSlow(t, driver, func(b *bench) {
		b.create(nt, "before")
		b.advance(time.Second)
		if !b.ready("before") {
			t.Fatalf("the first engine does not work")
		}
		take(b, "first", "second", time.Hour)
		b.create(nt, "after")
		b.advance(time.Second)
		o, err := b.store.Object(context.Background(), nt.Key("default", "after"))
		if err != nil || len(o.Status) > 2 || o.Ready() {
			t.Errorf("the former owner wrote %s (%v)", o.Status, err)
		}
		wantText(t, "liveness", fmt.Sprint(b.engine.Alive()), "another process has taken lease plane")
		ended := b.end()
		if !errors.Is(ended, store.ErrFenced) {
			t.Errorf("the engine ended with %v, want fenced", ended)
		}
		wantText(t, "the error", ended.Error(), "another process has taken lease plane", "epoch 1.1", `held by "second"`)
	})
}

// TestARenewalFindsOutThatTheLeaseIsLost: an engine that commits nothing learns it too, within one interval, and ends.
func TestARenewalFindsOutThatTheLeaseIsLost(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		give         bool
		want         string
	}{
		{"held", "another has it", false, `"second" has it until`},
		{"in between", "another had it, and what it did is not known here", true, "somebody had it in between"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runSlow(t, notes.Driver("note", done), func(b *bench) {
				second := take(b, "first", "second", time.Hour)
				if c.give {
					if err := b.store.Release(b.t.Context(), second); err != nil {
						t.Fatal(err)
					}
				}
				b.advance(4 * time.Second)
				ended := b.end()
				if !errors.Is(ended, store.ErrFenced) {
					t.Errorf("%s: the engine ended with %v, want fenced", c.reason, ended)
				}
				wantText(t, c.reason, ended.Error(), "another process has taken lease plane", c.want)
				wantText(t, "liveness", fmt.Sprint(b.engine.Alive()), "another process has taken lease plane")
				if _, err := b.store.Store.Acquire(b.t.Context(), cluster.SoloScope, "third", time.Hour); errors.Is(err, store.ErrHeld) == c.give {
					t.Errorf("%s: a third asks and gets error %v; what the engine got when it renewed has to be given up", c.reason, err)
				}
			})
		})
	}
}

// TestAHeldLeaseIsAwaited: a second engine waits, says for whom, does nothing, and takes over as soon as the first has stopped.
func TestAHeldLeaseIsAwaited(t *testing.T) {
	var turns log[string]
	said := newLines()
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		turns.add(string(turn.Meta().Name))
		return setpoint.Done()
	})
	runBench(t, control.Config{Controllers: []setpoint.Controller{driver}, Logger: slog.New(said)}, func(b *bench) {
		b.run()
		first, end := b.engine, b.cancel
		b.engine = b.another("second")
		ended := b.ended
		b.ended = make(chan error, 1)
		b.run()
		b.advance(time.Hour)
		b.create(nt, "n")
		b.advance(time.Second)
		if got := turns.len(); got != 1 || first.Working() != nil {
			t.Errorf("%d turns, want one, by the first engine, which says %v", got, first.Working())
		}
		wantText(t, "the second, which stands by", b.engine.Standby(), `"first" has it`)
		if got, found := b.engine.View().Get(nt.Key("default", "n")); !found || !got.Ready() || b.engine.Working() != nil {
			t.Errorf("the second does not follow: %v", b.engine.Working())
		}
		if err := b.engine.Alive(); err != nil {
			t.Errorf("a restart would not help, but liveness says %v", err)
		}
		if got := said.count("the lease is held by another"); got != 1 {
			t.Errorf("it was logged %d times in an hour, want once", got)
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("the first ended with %v", err)
		}
		b.create(nt, "m")
		b.advance(time.Second)
		if !b.ready("m") || b.engine.Working() != nil {
			t.Errorf("a second after the first has stopped, the second has not taken over: %v", b.engine.Working())
		}
	})
}

// TestTheLeaseOfTheDeadRunsOut: its successor has it within a second after that, and not before.
func TestTheLeaseOfTheDeadRunsOut(t *testing.T) {
	runBench(t, control.Config{Controllers: []setpoint.Controller{notes.Driver("note", done)}}, func(b *bench) {
		if _, err := b.store.Acquire(b.t.Context(), cluster.SoloScope, "dead", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		b.create(nt, "n")
		b.run()
		b.advance(9900 * time.Millisecond)
		wantText(t, "the standby", b.engine.Standby(), `"dead" has it`)
		b.advance(1100 * time.Millisecond)
		if !b.ready("n") {
			t.Errorf("11 s after the death the work is not taken over: %v", b.engine.Working())
		}
	})
}

// TestAnEngineWaitsForItsStore: whatever keeps the lease from being asked for, the engine waits for it to end.
func TestAnEngineWaitsForItsStore(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		fault        func(context.Context) error
		want         string
	}{
		{"unavailable", "the database is away", func(context.Context) error { return store.ErrUnavailable }, "unavailable"},
		{"unknown", "the answer was lost; who asks again gets the same lease", func(context.Context) error { return store.ErrUnknown }, "outcome unknown"},
		{"hanging", "there is no answer, and nobody may wait for it for ever", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "no answer within 3s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked log[time.Time]
			said := newLines()
			config := control.Config{Controllers: []setpoint.Controller{notes.Driver("note", done)}, Logger: slog.New(said)}
			runBench(t, config, func(b *bench) {
				b.store.leaseWith(func(ctx context.Context) error { asked.add(time.Now()); return c.fault(ctx) })
				b.create(nt, "n")
				b.run()
				b.advance(time.Minute)
				wantText(t, c.reason, fmt.Sprint(b.engine.Working()), "waiting for lease plane", c.want)
				if n := asked.len(); n < 10 || n > 300 {
					t.Errorf("%s: asked %d times in a minute", c.reason, n)
				}
				if n := said.len(); n != 1 || b.engine.Alive() != nil {
					t.Errorf("%s: %d lines in the log, want one; liveness %v", c.reason, n, b.engine.Alive())
				}
				b.store.leaseWith(nil)
				b.advance(5 * time.Second)
				if !b.ready("n") || b.engine.Working() != nil {
					t.Errorf("%s: it does not work afterwards: %v", c.reason, b.engine.Working())
				}
			})
		})
	}
}

// TestWhatNoWaitingMendsEndsTheEngine: and a stop that was asked for while it waits is no error.
func TestWhatNoWaitingMendsEndsTheEngine(t *testing.T) {
	runBench(t, control.Config{}, func(b *bench) {
		for _, fault := range []error{store.ErrClosed, store.ErrInvalid, errors.New("no permission")} {
			b.store.leaseWith(func(context.Context) error { return fault })
			if err := b.another("first").Run(b.t.Context()); !errors.Is(err, fault) {
				t.Errorf("the engine ended with %v, want %v", err, fault)
			}
		}
		b.store.leaseWith(func(context.Context) error { return store.ErrHeld })
		b.run()
		b.advance(time.Minute)
		b.cancel()
		if err := b.end(); err != nil {
			t.Errorf("an engine that was stopped while it waited ended with %v", err)
		}
	})
}

// TestAControllerThatRunsEverywhere: it works while another process has the lease, and its calls say so; the others do not.
func TestAControllerThatRunsEverywhere(t *testing.T) {
	var calls log[command.Call]
	config := control.Config{
		Controllers: []setpoint.Controller{
			notes.Driver("note", done),
			notes.Controller("keeper", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
				return shop.Ensure(turn, turn.NaturalKey(), &n.Spec).Outcome()
			}, setpoint.Everywhere()),
		},
		Adapters: []control.AdapterConfig{{Name: "shop", Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
			calls.add(c)
			return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
		})}},
	}
	runBench(t, config, func(b *bench) {
		if _, err := b.store.Acquire(b.t.Context(), cluster.SoloScope, "another", time.Hour); err != nil {
			t.Fatal(err)
		}
		b.create(nt, "before")
		b.run()
		b.create(nt, "after")
		b.advance(time.Minute)
		for _, name := range []resource.Name{"before", "after"} {
			o, found := b.engine.View().Get(nt.Key("default", name))
			if !found || o.Observed != 0 || !o.Holds("keeper") {
				t.Errorf("%s: found %t, driven to generation %d, held by %v", name, found, o.Observed, o.Finalizers)
			}
		}
		got := calls.list()
		if len(got) != 2 || got[0].Scope != "everywhere" || got[0].Epoch != (resource.Epoch{Incarnation: 1}) {
			t.Errorf("calls %+v, want one for each, under an epoch that is the same for all", got)
		}
		if why := b.engine.Standby(); why == "" {
			t.Error("it does not stand by")
		}
	})
}

// ahead is an owner on a machine whose clock is wrong.
type ahead struct {
	cluster.Owner
	by time.Duration
}

func (a ahead) Skew() time.Duration { return a.by }

// TestMomentsAreStoredByTheClockOfTheStore: a node whose clock is hours wrong repeats a call when it should, and so does whoever takes over from it.
func TestMomentsAreStoredByTheClockOfTheStore(t *testing.T) {
	for _, by := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		var calls log[command.Call]
		config := control.Config{
			Controllers: []setpoint.Controller{asker()},
			Adapters: []control.AdapterConfig{{Name: "shop", Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
				if calls.add(c); calls.len() < 4 {
					return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: "not yet", RetryAfter: time.Minute}
				}
				return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
			})}},
		}
		runBench(t, config, func(b *bench) {
			b.config.Owner = ahead{b.solo("first"), by}
			b.engine = b.with(b.config.Owner)
			b.run()
			b.create(nt, "n")
			b.advance(90 * time.Second)
			if calls.len() != 2 {
				t.Errorf("%s: %d calls in a minute and a half, want two", by, calls.len())
			}
			open := b.engine.View().Snapshot()
			for c := range open.OpenCommands() {
				if wait := c.NotBefore.Sub(time.Now().Add(-by)); wait <= 0 || wait > time.Minute {
					t.Errorf("%s: it is to be repeated in %s by the clock of the store", by, wait)
				}
			}
			open.Close()
			b.advance(2 * time.Minute)
			if calls.len() != 4 || !b.ready("n") {
				t.Errorf("%s: %d calls, ready %t", by, calls.len(), b.ready("n"))
			}
		})
	}
}
