package control_test

import (
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestATimerKeepsItsTime: neither a restart nor other wake-ups postpone what After armed; another code is another timer.
func TestATimerKeepsItsTime(t *testing.T) {
	var at log[time.Time]
	begin := time.Time{}
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		at.add(turn.Now())
		if n.Spec.Value == "other" {
			return setpoint.After(time.Hour, "Drying", "wet")
		}
		if !turn.Now().Before(begin.Add(time.Hour)) {
			return setpoint.Done()
		}
		return setpoint.After(time.Hour, "Cooling", "hot")
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		begin = time.Now()
		w.Apply(notes.Definition, "n", spec{})
		w.Settle()
		w.Advance(20 * time.Minute)
		touch(w, notes.Definition, "n", "x")
		w.Advance(20 * time.Minute)
		w.Restart()
		w.Advance(20*time.Minute - time.Second)
		if o := must(w, notes.Definition, "n"); o.Ready() {
			t.Fatalf("it was done before its time")
		}
		w.Advance(2 * time.Second)
		if o := must(w, notes.Definition, "n"); !o.Ready() {
			t.Errorf("it was postponed: waits %+v, turns at %v", o.Waits, at.list())
		}
		begin = time.Now()
		w.Apply(notes.Definition, "n", spec{Value: "cool"})
		w.Advance(30 * time.Minute)
		w.Apply(notes.Definition, "n", spec{Value: "other"})
		w.Settle()
		if o := must(w, notes.Definition, "n"); !o.Waits[0].Until.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("another code is due at %s, want an hour from now, %s", o.Waits[0].Until, time.Now())
		}
	})
}

// TestTimesThatCannotBeWaitedForDoNotSpin: the past, nothing, and less than the clock's grain.
func TestTimesThatCannotBeWaitedForDoNotSpin(t *testing.T) {
	cases := []struct {
		name, reason string
		outcome      func(*setpoint.Turn) setpoint.Outcome
		commits      int
	}{
		{"again in the past", "a moment that was forgotten is not a reason to spin, nor to write",
			func(turn *setpoint.Turn) setpoint.Outcome {
				return setpoint.Done().Again(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), "Renewal")
			}, 0},
		{"after nothing", "each look arms the next", func(*setpoint.Turn) setpoint.Outcome { return setpoint.After(0, "Soon", "") }, 101},
		{"after a negative time", "as nothing", func(*setpoint.Turn) setpoint.Outcome { return setpoint.After(-time.Hour, "Soon", "") }, 101},
		{"after a nanosecond", "less than what is stored", func(*setpoint.Turn) setpoint.Outcome { return setpoint.After(1, "Soon", "") }, 101},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			driver := notes.Driver("note", func(turn *setpoint.Turn, _ *thing) setpoint.Outcome { return c.outcome(turn) })
			setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
				w.Apply(notes.Definition, "n", spec{})
				w.Settle()
				turns, commits := w.Turns(), len(w.Commits())
				w.Advance(10 * time.Second)
				if n := w.Turns() - turns; n > 101 || n == 0 {
					t.Errorf("%s: %d turns in ten seconds, want at most one each 100 ms", c.reason, n)
				}
				if n := len(w.Commits()) - commits; n > c.commits {
					t.Errorf("%s: %d commits in ten seconds, want at most %d", c.reason, n, c.commits)
				}
			})
		})
	}
}

// TestALateStateIsToldOnce: condition, event and signal, once each, across restarts; cleared when the state is left.
func TestALateStateIsToldOnce(t *testing.T) {
	driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		switch {
		case b.Spec.Value == "go" && b.State == "Making":
			turn.Transition("Made", "Told")
		case b.Spec.Value == "back" && b.State == "Made":
			turn.Transition("Making", "Told")
		}
		return setpoint.Await("Word", "waiting for the word")
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{})
		w.Advance(time.Minute - time.Millisecond)
		if o := must(w, boxes.Definition, "b"); o.Is(resource.Late) {
			t.Fatalf("late before its budget was over")
		}
		w.Advance(2 * time.Millisecond)
		for _, what := range []func(){func() {}, func() { touch(w, boxes.Definition, "b", "x") }, w.Restart, func() { w.Advance(time.Hour) }} {
			what()
			o := must(w, boxes.Definition, "b")
			wantText(t, "Late", condition(o, resource.Late), "True BudgetExceeded", "1m0s")
			if got := events(w, o.Key); len(got) != 1 || got[0] != "BudgetExceeded" {
				t.Errorf("events %v, want one", got)
			}
			if got := signals(w, o); len(got) != 1 || got[0] != "Hurry" {
				t.Errorf("signals %v, want one", got)
			}
		}
		w.Apply(boxes.Definition, "b", spec{Value: "go"})
		w.Settle()
		o := must(w, boxes.Definition, "b")
		if got := condition(o, resource.Late); got != "False WithinBudget: " {
			t.Errorf("Late is %q after the state was left", got)
		}
		w.Apply(boxes.Definition, "b", spec{Value: "back"})
		w.Advance(2 * time.Minute)
		if got := events(w, o.Key); len(got) != 2 {
			t.Errorf("events %v, want another one for another stay", got)
		}
	})
}

// TestABudgetFinerThanTheClockDoesNotSpin: the end of the budget is rounded up to what can be seen.
func TestABudgetFinerThanTheClockDoesNotSpin(t *testing.T) {
	life := setpoint.Lifecycle{
		{State: "Making", Budget: time.Second + 1, To: lifecycle.To("Leaving")},
		{State: "Leaving", Deleting: true, To: lifecycle.To("Left")},
		{State: "Left", Final: true},
	}
	kind := setpoint.MustDefine(setpoint.KindOptions[spec, status]{Group: group, Version: "v1", Kind: "Hasty", Lifecycle: life})
	s := setup(nil, kind.Driver("hasty", func(*setpoint.Turn, *thing) setpoint.Outcome { return setpoint.Await("X", "x") }))
	s.Kinds = append(s.Kinds, kind.Definition)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(kind.Definition, "h", spec{})
		w.Advance(time.Hour)
		if o := must(w, kind.Definition, "h"); !o.Is(resource.Late) || w.Turns() != 2 {
			t.Errorf("late: %t after %d turns, want two: the first, and the one that sees it", o.Is(resource.Late), w.Turns())
		}
	})
}
