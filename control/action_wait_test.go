package control_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestSetChangesTheStatusOnce: however often the turn is run again, and in the commit that comes by.
func TestSetChangesTheStatusOnce(t *testing.T) {
	k := newKeeper()
	k.take("two", time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		before := len(w.Commits())
		tune(w)
		if got := string(engine(w).Status); got != `{"runs":1}` {
			t.Errorf("status %s", got)
		}
		if n := len(w.Commits()) - before; n != 2 {
			t.Errorf("%d commits, want the signal and the beginning:\n%s", n, commits(w, before))
		}
		w.Restart()
		touch(w, engineKind.Definition, "e", "x")
		w.Converge(time.Hour)
		if got := string(engine(w).Status); got != `{"seen":"done","runs":2}` {
			t.Errorf("status %s at the end, want what Set and Finish made of it", got)
		}
		atRest(w)
	}, setpoint.Set("one", func(r *engineRun) { r.Object.Status.Runs++ }), ask("two"), setpoint.Set("three", func(r *engineRun) { r.Object.Status.Seen = "done" }))
}

// TestAWaitIsAskedWhenSomethingChangesThatItRead: and only then.
func TestAWaitIsAskedWhenSomethingChangesThatItRead(t *testing.T) {
	k := newKeeper()
	s := engineSetup(k, setpoint.Wait("note", func(r *engineRun) bool {
		n, ok := notes.Get(r.Turn(), "n")
		return ok && n.Spec.Value == "go"
	}), ask("after"))
	s.Kinds = append(s.Kinds, notes.Definition)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		built(w)
		tune(w)
		wantText(t, "what it waits for", waits(engine(w)), "Acting: Tune: step note")
		turns := w.Turns()
		w.Advance(24 * time.Hour)
		if w.Turns()-turns > 1 {
			t.Errorf("%d turns while nothing changed, want one, for the budget of the state", w.Turns()-turns)
		}
		w.Apply(notes.Definition, "n", spec{Value: "wait"})
		w.Settle()
		w.Restart()
		w.Apply(notes.Definition, "n", spec{Value: "go"})
		w.Settle()
		wantEnd(w, "Succeeded, in Running")
		wantDone(w, k, "+after")
	})
}

// TestAWaitForTime: Every asks again as time passes, at most ten times a second; Within ends it.
func TestAWaitForTime(t *testing.T) {
	for _, c := range []struct {
		every, within time.Duration
		after         time.Duration // when it holds
		end           string
		least, most   int // times it is asked
	}{
		{time.Minute, time.Hour, 10 * time.Minute, "Succeeded, in Running", 10, 13},
		{time.Minute, 5 * time.Minute, 10 * time.Minute, "Failed: step wait: it was not done within 5m0s, in Broken", 4, 7},
		{0, 5 * time.Minute, 10 * time.Minute, "Failed: step wait: it was not done within 5m0s, in Broken", 1, 3},
		{time.Nanosecond, time.Hour, time.Second, "Succeeded, in Running", 8, 13},
	} {
		t.Run(fmt.Sprintf("every %s within %s", c.every, c.within), func(t *testing.T) {
			k, asked := newKeeper(), 0
			var since time.Time
			acts(t, k, func(w *setpointtest.World) {
				tune(w)
				for range 4 {
					w.Advance(c.after / 4)
				}
				w.Advance(time.Minute)
				wantEnd(w, c.end)
				if asked < c.least || asked > c.most {
					t.Errorf("it was asked %d times, want %d to %d", asked, c.least, c.most)
				}
				atRest(w)
			}, setpoint.Wait("wait", func(r *engineRun) bool {
				if asked++; since.IsZero() {
					since = r.Turn().Now()
				}
				return r.Turn().Now().Sub(since) >= c.after
			}).Every(c.every).Within(c.within))
		})
	}
}

// TestAStepThatTakesTooLongIsUndone: its call may be under way, and done in the end: the undo comes after it, in the same unit of order.
func TestAStepThatTakesTooLongIsUndone(t *testing.T) {
	k := newKeeper()
	k.take("two", 30*time.Minute)
	acts(t, k, func(w *setpointtest.World) {
		tune(w)
		w.Advance(11 * time.Minute)
		wantText(t, "what it waits for", waits(engine(w)), "Unwinding", "because step two: it was not done within 10m0s")
		wantDone(w, k, "+one")
		w.Converge(time.Hour)
		wantEnd(w, "Failed: step two: it was not done within 10m0s, in Broken")
		wantDone(w, k, "+one +two -two -one")
		atRest(w)
	}, ask("one"), setpoint.Call("two", shop, func(*engineRun) *spec { return &spec{} }).Absent().Within(10*time.Minute))
}

// TestAnActionThatTakesTooLongIsUndone: also when nobody was there as its time ran out.
func TestAnActionThatTakesTooLongIsUndone(t *testing.T) {
	for _, asleep := range []bool{false, true} {
		t.Run(fmt.Sprintf("asleep=%t", asleep), func(t *testing.T) {
			k := newKeeper()
			s := engineSetup(k)
			s.Controllers = []setpoint.Controller{engineKind.Decider("engine", setpoint.Decider[spec, status]{
				Actions: map[setpoint.ActionName]setpoint.Action[spec, status]{"Build": {}, "Break": {}, "Tune": {
					Within: time.Hour, Steps: []setpoint.Step[spec, status]{ask("one"), setpoint.Wait("two", func(*engineRun) bool { return false })},
				}},
			})}
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				built(w)
				tune(w)
				w.Advance(59 * time.Minute)
				if got := phases(w); got != "one:Done two:Running" {
					t.Fatalf("before its time: %s", got)
				}
				if asleep {
					w.Kill()
					time.Sleep(2 * time.Minute)
					w.Start()
				}
				w.Advance(2 * time.Minute)
				wantEnd(w, "Failed: it was not done within 1h0m0s, in Broken")
				wantDone(w, k, "+one -one")
				atRest(w)
			})
		})
	}
}
