package control_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// asker drives a note by one effect: the key is its value, the request its count.
func asker(opts ...control.EffectOption) setpoint.Controller {
	return notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		e := shop.Ensure(turn, n.Spec.Value, &spec{Count: n.Spec.Count}, opts...)
		n.Status.Runs = e.Result.Count
		return e.Outcome()
	})
}

// TestEffectsThatAreNotDeclaredAreWithdrawn: the natural key changes, so the new effect is made, and then the old one removed; its row goes too.
func TestEffectsThatAreNotDeclaredAreWithdrawn(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, setup(sub, asker()), func(w *setpointtest.World) {
		for i := range 5 {
			w.Apply(notes.Definition, "n", spec{Value: fmt.Sprintf("key%d", i), Count: i})
			w.Converge(time.Minute)
			if got := sub.Keys(); !slices.Equal(got, []string{fmt.Sprintf("key%d", i)}) {
				t.Errorf("the shop has %v, want the new key alone", got)
			}
		}
		if got := commands(w, must(w, notes.Definition, "n")); len(got) != 1 {
			t.Errorf("%d rows of commands are kept, want the one that is wanted", len(got))
		}
		w.Apply(notes.Definition, "n", spec{Value: "key0"}) // back to one that was removed
		w.Converge(time.Minute)
		var kinds []string
		for _, e := range sub.Ledger() {
			kinds = append(kinds, map[bool]string{true: "-", false: "+"}[e.Request == nil]+e.Key)
		}
		want := []string{"+key0", "+key1", "-key0", "+key2", "-key1", "+key3", "-key2", "+key4", "-key3", "+key0", "-key4"}
		if !slices.Equal(kinds, want) {
			t.Errorf("the ledger is %v, want %v", kinds, want)
		}
	})
}

// TestAnEffectIsNotWithdrawnWhileTheTurnIsUndecided: neither Await nor a Rollup that waits for a child says that it is not wanted.
func TestAnEffectIsNotWithdrawnWhileTheTurnIsUndecided(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	broken := flag(false)
	driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		parts.Child(turn, "a", spec{})
		if b.Spec.Value == "await" {
			return setpoint.Await("Word", "waiting")
		}
		if o := turn.Rollup(); !o.AtRest() {
			return o
		}
		return shop.Ensure(turn, "x", &spec{}).Outcome()
	})
	part := parts.Driver("part", func(*setpoint.Turn, *thing) setpoint.Outcome {
		if broken.Load() {
			return setpoint.Await("Repair", "broken for a moment")
		}
		return setpoint.Done()
	})
	setpointtest.Run(t, setup(sub, driver, part), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{})
		w.Converge(time.Minute)
		broken.Store(true)
		touch(w, parts.Definition, "b.a", "x")
		if o := must(w, boxes.Definition, "b"); o.Ready() {
			t.Fatalf("the box does not follow its part")
		}
		broken.Store(false)
		touch(w, parts.Definition, "b.a", "y")
		w.Apply(boxes.Definition, "b", spec{Value: "await"})
		w.Settle()
		w.Apply(boxes.Definition, "b", spec{})
		w.Converge(time.Minute)
		if got := sub.Ledger(); len(got) != 1 {
			t.Errorf("%d effects, want the first one to have stayed: %+v", len(got), got)
		}
	})
}

// TestAChangedRequestReplacesTheOneUnderWay: its intent is higher, and the late answer of the old one changes nothing.
func TestAChangedRequestReplacesTheOneUnderWay(t *testing.T) {
	var calls log[command.Call]
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		calls.add(c)
		<-time.After(time.Second)
		return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{Value: "x", Count: 1})
		w.Advance(500 * time.Millisecond)
		w.Apply(notes.Definition, "n", spec{Value: "x", Count: 2})
		w.Advance(900 * time.Millisecond) // the first answer has come
		o := must(w, notes.Definition, "n")
		if o.Ready() || string(o.Status) != `{}` {
			t.Errorf("ready %t with status %s: the answer to the old wish was taken for the new", o.Ready(), o.Status)
		}
		w.Converge(time.Minute)
		if o := must(w, notes.Definition, "n"); string(o.Status) != `{"runs":2}` {
			t.Errorf("status %s, want the answer to the last wish", o.Status)
		}
		all := calls.list()
		if len(all) != 2 || all[1].Intent <= all[0].Intent || all[1].Token == all[0].Token {
			t.Errorf("calls %+v, want two, the second with another token and a higher intent", all)
		}
	})
}

// TestADestinationChangeIsANewWish: a change of it is a new wish; what is withdrawn is withdrawn where it was made.
func TestADestinationChangeIsANewWish(t *testing.T) {
	var calls log[string]
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		calls.add(c.Destination + map[bool]string{true: "-", false: "+"}[c.Request == nil])
		return ok
	})
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		return shop.Ensure(turn, "x", &spec{}, setpoint.At(n.Spec.Value)).Outcome()
	})
	setpointtest.Run(t, setup(shopkeeper, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{Value: "here"})
		w.Converge(time.Minute)
		w.Apply(notes.Definition, "n", spec{Value: "there"})
		w.Converge(time.Minute)
		touch(w, notes.Definition, "n", "x")
		w.Delete(notes.Definition, "n")
		w.Converge(time.Minute)
		if got := calls.list(); !slices.Equal(got, []string{"here+", "there+", "there-"}) {
			t.Errorf("calls %v, want one at each destination and the removal at the last", got)
		}
	})
}

// TestRetryIsConsumedOnce: one signal retries all that was given up, once; without anything to retry it does not lie in wait.
func TestRetryIsConsumedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		result command.Result
		policy setpoint.Policy
		event  string
		calls  int
	}{
		"refused":   {command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "no"}, setpoint.Policy{}, "CommandRefused", 1},
		"exhausted": {command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: "no"}, setpoint.Policy{Attempts: 3}, "CommandExhausted", 3},
		"too long":  {command.Result{Outcome: command.OutcomeUnknown, Message: "no"}, setpoint.Policy{For: time.Second, Cap: 300 * time.Millisecond}, "CommandExhausted", -1},
	} {
		t.Run(name, func(t *testing.T) {
			var calls log[command.Token]
			refuse := flag(true)
			shopkeeper := adapter(func(_ context.Context, call command.Call) command.Result {
				if calls.add(call.Token); refuse.Load() {
					return c.result
				}
				return ok
			})
			driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
				a := shop.Ensure(turn, "a", &spec{Count: n.Spec.Count})
				b := shop.Ensure(turn, "b", &spec{})
				if !a.Done() {
					return a.Outcome()
				}
				return b.Outcome()
			})
			s := setup(shopkeeper, driver)
			s.Policy = c.policy
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				w.Apply(notes.Definition, "n", spec{})
				w.Advance(time.Hour)
				o := must(w, notes.Definition, "n")
				given := calls.len()
				if c.calls > 0 && given != 2*c.calls || given > 50 {
					t.Errorf("%d calls, want %d for each of two", given, c.calls)
				}
				if got := events(w, o.Key); !slices.Equal(got, []string{c.event, c.event}) {
					t.Errorf("events %v, want one %s for each", got, c.event)
				}
				signal(w, notes.Definition, "n", "Retry")
				w.Advance(time.Hour)
				if got := signals(w, must(w, notes.Definition, "n")); len(got) > 0 {
					t.Errorf("signals %v are left", got)
				}
				again := calls.len() - given
				if c.calls > 0 && again != given {
					t.Errorf("%d calls after the signal, want %d again", again, given)
				}
				refuse.Store(false)
				signal(w, notes.Definition, "n", "Retry")
				w.Advance(time.Minute)
				if o := must(w, notes.Definition, "n"); !o.Ready() {
					t.Errorf("waits for %s", waits(o))
				}
				signal(w, notes.Definition, "n", "Retry") // with nothing to retry
				if got := signals(w, must(w, notes.Definition, "n")); len(got) > 0 {
					t.Errorf("signals %v lie in wait for the next refusal", got)
				}
				refuse.Store(true)
				before := calls.len()
				w.Apply(notes.Definition, "n", spec{Count: 1})
				w.Advance(time.Hour)
				if got := calls.len() - before; c.calls > 0 && got != c.calls {
					t.Errorf("%d calls for the next wish, want %d: nobody asked to retry it", got, c.calls)
				}
			})
		})
	}
}

// TestADeadlineEndsTheAttempts: no attempt is made after it, except to remove.
func TestADeadlineEndsTheAttempts(t *testing.T) {
	var calls log[string]
	deadline := time.Time{}
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		if c.Request == nil {
			calls.add("-")
			return ok
		}
		calls.add("+")
		return command.Result{Outcome: command.OutcomeFailed, Message: "not yet"}
	})
	driver := notes.Driver("note", func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
		return shop.Ensure(turn, "x", &spec{}, control.Until(deadline)).Outcome()
	})
	s := setup(shopkeeper, driver)
	s.Policy = setpoint.Policy{Cap: time.Second}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		deadline = time.Now().Add(time.Minute)
		w.Apply(notes.Definition, "n", spec{})
		w.Advance(2 * time.Minute)
		n := calls.len()
		w.Advance(time.Hour)
		if n < 10 || calls.len() != n {
			t.Errorf("%d calls before and %d after the deadline", n, calls.len()-n)
		}
		wantText(t, "the wait", waits(must(w, notes.Definition, "n")), "Refused", "deadline passed")
		w.Delete(notes.Definition, "n")
		w.Advance(time.Minute)
		if !gone(w, notes.Definition, "n") || calls.list()[calls.len()-1] != "-" {
			t.Errorf("the deadline of making it stands in the way of its removal")
		}
	})
}

// TestTwoControllersCannotAnswerForOneEffect: they would fight over it. One that took the other's name over may.
func TestTwoControllersCannotAnswerForOneEffect(t *testing.T) {
	ensure := func(turn *setpoint.Turn, _ *thing) setpoint.Outcome { return shop.Ensure(turn, "x", &spec{}).Outcome() }
	late := func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		if !n.Ready() {
			return setpoint.Done()
		}
		return ensure(turn, n)
	}
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, setup(sub, notes.Driver("note", ensure), notes.Controller("second", late)), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Advance(time.Minute)
		wantText(t, "the wait", waits(must(w, notes.Definition, "n")), "shop/x is ensured by controller note", "one controller alone")
		if got := len(sub.Ledger()); got != 1 {
			t.Errorf("%d effects, want 1", got)
		}
	})
}

// TestAnEffectOfAControllerThatIsNoMoreIsTakenOver: the one that ensures it now takes it over, without making it again.
func TestAnEffectOfAControllerThatIsNoMoreIsTakenOver(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	s := setup(sub, notes.Driver("old", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		return shop.Ensure(turn, "x", &spec{}).Outcome()
	}))
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Converge(time.Minute)
		s.Controllers[0] = asker()
		change(w, notes.Definition, "n", func(o *resource.Object) { o.Spec = []byte(`{"value":"x"}`) })
		w.Restart()
		w.Converge(time.Minute)
		sub.Lose("x", "it broke")
		w.Converge(time.Minute)
		if got := len(sub.Ledger()); got != 2 || commands(w, must(w, notes.Definition, "n"))[0].Controller != "note" {
			t.Errorf("%d effects, want it made once and repaired once, by the new controller", got)
		}
	})
}
