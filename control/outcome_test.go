package control_test

import (
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestOutcomes: what each outcome does to the object and to the queue, seen after the first turn and an hour later.
func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	cases := []struct {
		name    string
		reason  string
		outcome func(*setpoint.Turn) setpoint.Outcome
		ready   string
		waits   string
		class   string
		// turns in the hour after the first; -1: several
		turns int
	}{
		{"done", "an object at rest has no wait, no timer and no entry in the queue",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Done() }, "True AtSetpoint: ", "", "", 0},
		{"done, again later", "it is ready, and shows when it will be looked at again",
			func(t *setpoint.Turn) setpoint.Outcome {
				return setpoint.Done().Again(t.Now().Add(25*time.Minute), "Renewal")
			}, "True AtSetpoint: ", "Renewal: ", "", 2},
		{"done, again never", "the zero time changes nothing",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Done().Again(time.Time{}, "Renewal") }, "True AtSetpoint: ", "", "", 0},
		{"after", "only time will tell, so time wakes it",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.After(25*time.Minute, "Cooling", "too hot") }, "False Cooling: too hot", "Cooling: too hot", "", 2},
		{"await", "only a change wakes it",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Await("NoKey", "no key yet") }, "False NoKey: no key yet", "NoKey: no key yet", "", 0},
		{"await, with a time", "Again is for what is done; an outcome that is not says itself what it waits for",
			func(t *setpoint.Turn) setpoint.Outcome {
				return setpoint.Await("NoKey", "no key yet").Again(t.Now().Add(time.Minute), "Renewal")
			}, "False NoKey: no key yet", "NoKey: no key yet", "", 0},
		{"fail", "an error of no class is repeated with backoff",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Fail(boom) }, "False Error: boom", "Error: boom", "Retry", -1},
		{"fail without an error", "an author's slip is a failure all the same",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Fail(nil) }, "False Error: the controller failed without saying why", "Error: the controller failed without saying why", "Retry", -1},
		{"fail, terminal", "repeating cannot help, so it is not repeated",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Fail(setpoint.Terminal(boom)) }, "False Failed: boom", "Error: boom", "Terminal", 0},
		{"fail, throttled", "it is left alone until the moment that is known",
			func(t *setpoint.Turn) setpoint.Outcome {
				return setpoint.Fail(setpoint.Throttled(boom, t.Now().Add(25*time.Minute)))
			}, "False Error: boom", "Error: boom", "Throttled", 2},
		{"fail, throttled until the past", "a moment that has passed is no moment: backoff, not a spin",
			func(t *setpoint.Turn) setpoint.Outcome {
				return setpoint.Fail(setpoint.Throttled(boom, t.Now().Add(-time.Second)))
			}, "False Error: boom", "Error: boom", "Throttled", -1},
		{"fail, throttled without an end", "it must not be parked for ever",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Fail(setpoint.Throttled(boom, time.Time{})) }, "False Error: boom", "Error: boom", "Retry", -1},
		{"zero", "the zero Outcome is a bug of the author, told to people and not repeated",
			func(*setpoint.Turn) setpoint.Outcome { return setpoint.Outcome{} }, "False Failed: the controller returned the zero Outcome; return Done, After, Await or Fail",
			"Error: the controller returned the zero Outcome; return Done, After, Await or Fail", "Terminal", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			driver := notes.Driver("note", func(turn *setpoint.Turn, _ *thing) setpoint.Outcome { return c.outcome(turn) })
			setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
				w.Apply(notes.Definition, "n", spec{})
				w.Settle()
				o := must(w, notes.Definition, "n")
				if got := condition(o, resource.Ready); got != c.ready {
					t.Errorf("%s: Ready is %q, want %q", c.reason, got, c.ready)
				}
				if got := waits(o); got != c.waits {
					t.Errorf("%s: waits for %q, want %q", c.reason, got, c.waits)
				}
				if len(o.Waits) > 0 && o.Waits[0].Class != c.class {
					t.Errorf("%s: class %q, want %q", c.reason, o.Waits[0].Class, c.class)
				}
				if _, known := w.Plane.Explain(o.Key); !known {
					t.Errorf("%s: the object cannot be explained", c.reason)
				}
				if stats := w.Plane.Controllers()[0].Queue; c.turns == 0 && stats.Entries != 0 {
					t.Errorf("%s: %d entries in the queue, want none", c.reason, stats.Entries)
				}
				first := w.Turns()
				w.Advance(time.Hour)
				switch turns := int(w.Turns() - first); {
				case c.turns >= 0 && turns != c.turns:
					t.Errorf("%s: %d turns in the next hour, want %d", c.reason, turns, c.turns)
				case c.turns < 0 && (turns < 60 || turns > 1000):
					t.Errorf("%s: %d turns in the next hour, want it repeated, at most about once a minute in the end", c.reason, turns)
				}
				before := w.Turns()
				touch(w, notes.Definition, "n", "x")
				if w.Turns() == before {
					t.Errorf("%s: a change did not wake it", c.reason)
				}
			})
		})
	}
}

func TestAFailureBacksOffAndAChangeEndsTheWait(t *testing.T) {
	var at log[time.Time]
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		at.add(turn.Now())
		if n.Spec.Value == "good" {
			return setpoint.Done()
		}
		return setpoint.Fail(errors.New("bad"))
	}, setpoint.Backoff(100*time.Millisecond, 10*time.Second))
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{Value: "bad"})
		w.Advance(5 * time.Minute)
		all := at.list()
		window, longest := 100*time.Millisecond, time.Duration(0)
		for i := 1; i < len(all); i++ {
			gap := all[i].Sub(all[i-1])
			if gap > window+time.Millisecond {
				t.Errorf("pause %d is %s, more than its window of %s", i, gap, window)
			}
			longest, window = max(longest, gap), min(2*window, 10*time.Second)
		}
		if longest < 3*time.Second || len(all) < 30 {
			t.Errorf("%d turns, the longest pause %s: want the pauses to grow to the cap of 10s and no further", len(all), longest)
		}
		entry := w.Plane.Controllers()[0].Queue
		w.Apply(notes.Definition, "n", spec{Value: "good"})
		w.Settle()
		if o := must(w, notes.Definition, "n"); !o.Ready() {
			t.Errorf("the change did not end the backoff: %s", waits(o))
		}
		if entry.Delayed != 1 || w.Plane.Controllers()[0].Queue.Entries != 0 {
			t.Errorf("the queue had %+v and has %+v, want one delayed and then none", entry, w.Plane.Controllers()[0].Queue)
		}
	})
}

// TestTheSameWordsAgainAreNotWritten: the same failure, wait or status again is no news.
func TestTheSameWordsAgainAreNotWritten(t *testing.T) {
	for name, outcome := range map[string]setpoint.Outcome{
		"fail":  setpoint.Fail(errors.New("no luck")),
		"await": setpoint.Await("Luck", "no luck"),
		"done":  setpoint.Done(),
	} {
		t.Run(name, func(t *testing.T) {
			driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
				n.Status.Seen = n.Spec.Value
				return outcome
			})
			setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
				w.Apply(notes.Definition, "n", spec{Value: "v"})
				w.Settle()
				before := len(w.Commits())
				w.Advance(10 * time.Minute)
				for i := range 5 {
					touch(w, notes.Definition, "n", string(rune('a'+i)))
				}
				if own := len(w.Commits()) - before - 5; own != 0 {
					t.Errorf("%d commits beside the five of the client, want none", own)
				}
			})
		})
	}
}
