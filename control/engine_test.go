package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// TestACommitThatCanNeverSucceedIsTold: the store's refusal stands in the object's status, and is not repeated for ever.
func TestACommitThatCanNeverSucceedIsTold(t *testing.T) {
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Seen = "forbidden"
		return setpoint.Done()
	})
	runSlow(t, driver, func(b *bench) {
		b.store.refuseWith(func(tx store.Transaction) error {
			for _, w := range tx.Objects {
				if strings.Contains(string(w.Object.Status), "forbidden") {
					return &store.CommitError{Err: store.ErrRule, Key: w.Object.Key, Detail: "a trigger says no"}
				}
			}
			return nil
		})
		b.create(nt, "n")
		b.advance(time.Hour)
		o, _ := b.engine.View().Get(nt.Key("default", "n"))
		wantText(t, "the wait", waits(o), "rule violated", "a trigger says no")
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		if b.store.commits > 3 {
			t.Errorf("%d commits in an hour, want it told and left", b.store.commits)
		}
	})
}

// TestAGracefulStopFinishesWhatIsUnderWay: what is under way ends, is committed, and is not done again.
func TestAGracefulStopFinishesWhatIsUnderWay(t *testing.T) {
	var calls log[command.Token]
	shopkeeper := adapter(func(ctx context.Context, c command.Call) command.Result {
		calls.add(c.Token)
		select {
		case <-time.After(500 * time.Millisecond):
			return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
		case <-ctx.Done():
			return command.Result{Outcome: command.OutcomeUnknown, Message: "cut off"}
		}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x", Count: 4})
		w.Settle()
		stopped := time.Now()
		w.Stop()
		if took := time.Since(stopped); took != 500*time.Millisecond {
			t.Errorf("the stop took %s, want until the call was over", took)
		}
		w.Start()
		w.Converge(time.Minute)
		if o := must(w, nt, "n"); calls.len() != 1 || string(o.Status) != `{"runs":4}` {
			t.Errorf("%d calls, status %s: want the one that was under way", calls.len(), o.Status)
		}
	})
}

// TestACallThatOutlastsTheGraceIsSentAgain: it is cut off, no attempt is counted for it, and the next process sends the same token.
func TestACallThatOutlastsTheGraceIsSentAgain(t *testing.T) {
	var calls log[command.Call]
	slow := flag(true)
	shopkeeper := adapter(func(ctx context.Context, c command.Call) command.Result {
		if calls.add(c); !slow.Load() {
			return ok
		}
		<-ctx.Done()
		return command.Result{Outcome: command.OutcomeUnknown, Message: "cut off"}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Settle()
		w.Stop()
		slow.Store(false)
		w.Start()
		w.Converge(time.Minute)
		all := calls.list()
		if len(all) != 2 || all[0].Token != all[1].Token || all[1].Attempt != 1 {
			t.Errorf("calls %+v, want the same token twice, as the first attempt", all)
		}
	})
}

// TestAClosedStoreEndsTheEngine: the engine ends by itself, at once, with the reason.
func TestAClosedStoreEndsTheEngine(t *testing.T) {
	runSlow(t, notes.Driver("note", done), func(b *bench) {
		begun := time.Now()
		if err := b.store.Close(); err != nil {
			t.Fatal(err)
		}
		err := <-b.ended
		if b.ended <- nil; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the engine ended with %v, want that the store is closed", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %s, as if somebody had not been told to stop", took)
		}
	})
}

// TestPartsThatDoNotFitAreRefused: every problem is reported at once, before anything runs.
func TestPartsThatDoNotFitAreRefused(t *testing.T) {
	registry := &resource.Registry{}
	if err := registry.Register(notes.Definition); err != nil {
		t.Fatal(err)
	}
	nobody := adapter(nil)
	_, err := control.New(control.Config{
		Store: struct{ store.Store }{}, Owner: struct{ cluster.Owner }{}, Registry: registry, NewUID: func() resource.UID { return "u" },
		Controllers: []setpoint.Controller{
			notes.Driver("a", done), notes.Driver("a", done), notes.Driver("b", done), boxes.Driver("c", done), notes.Controller("", done),
		},
		Adapters: []setpoint.Adapter{{Name: "x", Adapter: nobody}, {Name: "x", Adapter: nobody}, {Name: "y"}, {Adapter: nobody}},
	})
	wantText(t, "the error", fmt.Sprint(err), "controller a: the name is used twice", "controller b", "has a driver already, a",
		"controller c: its kind Box.test.example is not registered", "a name is required", "adapter x: the name is used twice", "an Adapter")
	if _, err := control.New(control.Config{}); err == nil {
		t.Errorf("an engine without a store was made")
	}
}
