package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// TestAControllerIsNotWokenByItsOwnEcho: one turn per change of others, however much it writes.
func TestAControllerIsNotWokenByItsOwnEcho(t *testing.T) {
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs++
		return setpoint.Done()
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Advance(time.Hour)
		if w.Turns() != 1 {
			t.Errorf("%d turns for one creation, want 1", w.Turns())
		}
		touch(w, notes.Definition, "n", "x")
		w.Advance(time.Hour)
		if w.Turns() != 2 {
			t.Errorf("%d turns after one change more, want 2", w.Turns())
		}
		if o := must(w, notes.Definition, "n"); string(o.Status) != `{"runs":2}` {
			t.Errorf("status %s, want two runs", o.Status)
		}
	})
}

// TestTwoControllersOfAKindHearOfEachOther: the echo of one is news to the other.
func TestTwoControllersOfAKindHearOfEachOther(t *testing.T) {
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs = len(n.Status.Seen)
		return setpoint.Done()
	})
	other := notes.Controller("other", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Seen = n.Spec.Value
		return setpoint.Done()
	})
	setpointtest.Run(t, setup(nil, driver, other), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{Value: "four"})
		w.Settle()
		if o := must(w, notes.Definition, "n"); string(o.Status) != `{"seen":"four","runs":4}` {
			t.Errorf("status %s, want both parts", o.Status)
		}
		turns := w.Turns()
		w.Advance(time.Hour)
		if w.Turns() != turns {
			t.Errorf("they keep each other awake")
		}
	})
}

// TestWhatATurnReadWakesIt: objects by key, there or not yet; lists; what an outcome refers to; and no longer once it is not read any more.
func TestWhatATurnReadWakesIt(t *testing.T) {
	other := notes.Key("default", "other")
	cases := []struct {
		name, reason string
		read         func(*setpoint.Turn) setpoint.Outcome
		unrelated    int // turns that an unrelated object of the kind causes
	}{
		{"get", "a key is subscribed to, also while nothing is there",
			func(turn *setpoint.Turn) setpoint.Outcome {
				notes.Get(turn, other.Name)
				return setpoint.Done()
			}, 0},
		{"list", "a list changes with each of its kind",
			func(turn *setpoint.Turn) setpoint.Outcome {
				for range notes.List(turn, "") {
				}
				return setpoint.Done()
			}, 1},
		{"await", "what is named as waited for has to wake, though it was not read",
			func(turn *setpoint.Turn) setpoint.Outcome {
				return setpoint.Await("Other", "waiting for another", setpoint.Ref{Object: other})
			}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var turns log[string]
			driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
				turns.add(b.Spec.Value)
				if b.Spec.Value == "blind" {
					return setpoint.Done()
				}
				return c.read(turn)
			})
			setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
				expect := func(what string, want int, f func()) {
					t.Helper()
					before := turns.len()
					f()
					w.Settle()
					if got := turns.len() - before; got != want {
						t.Errorf("%s: %s: %d turns, want %d", c.reason, what, got, want)
					}
				}
				w.Apply(boxes.Definition, "b", spec{})
				w.Settle()
				expect("created", 1, func() { w.Apply(notes.Definition, "other", spec{}) })
				expect("changed", 1, func() { w.Apply(notes.Definition, "other", spec{Count: 1}) })
				expect("an unrelated one", c.unrelated, func() { w.Apply(notes.Definition, "unrelated", spec{}) })
				expect("removed", 1, func() { w.Delete(notes.Definition, "other") })
				expect("created again", 1, func() { w.Apply(notes.Definition, "other", spec{}) })
				expect("not read any more", 1, func() { w.Apply(boxes.Definition, "b", spec{Value: "blind"}) })
				expect("changed, unread", 0, func() { w.Apply(notes.Definition, "other", spec{Count: 2}) })
			})
		})
	}
}

// TestAChangeBetweenReadingAndSubscribingIsNotLost: it is made by the turn's own function after it has read, and heard of before the turn ends.
func TestAChangeBetweenReadingAndSubscribingIsNotLost(t *testing.T) {
	for name, read := range map[string]func(*setpoint.Turn) int{
		"get": func(turn *setpoint.Turn) int {
			if n, ok := notes.Get(turn, "other"); ok {
				return n.Spec.Count
			}
			return 0
		},
		"list": func(turn *setpoint.Turn) int {
			for n := range notes.List(turn, "default") {
				return n.Spec.Count
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w *setpointtest.World
			first := true
			driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
				b.Status.Runs = read(turn)
				if first {
					first = false
					w.Apply(notes.Definition, "other", spec{Count: 7})
					<-time.After(time.Millisecond) // until the news has been passed on
				}
				return setpoint.Done()
			})
			setpointtest.Run(t, setup(nil, driver), func(world *setpointtest.World) {
				w = world
				w.Apply(boxes.Definition, "b", spec{})
				w.Advance(time.Second)
				if o := must(w, boxes.Definition, "b"); string(o.Status) != `{"runs":7}` {
					t.Errorf("status %s: the change was lost", o.Status)
				}
			})
		})
	}
}

// TestFreshIsACondition: a decision on what has changed meanwhile is not committed, but made again.
func TestFreshIsACondition(t *testing.T) {
	cases := []struct {
		name, reason string
		before       func(*setpointtest.World)
		meanwhile    func(*setpointtest.World)
		want         string
	}{
		{"changed", "the object is at another revision", func(w *setpointtest.World) { w.Apply(notes.Definition, "other", spec{Count: 1}) },
			func(w *setpointtest.World) { w.Apply(notes.Definition, "other", spec{Count: 2}) }, `{"seen":"2"}`},
		{"created", "it was absent", func(*setpointtest.World) {},
			func(w *setpointtest.World) { w.Apply(notes.Definition, "other", spec{Count: 3}) }, `{"seen":"3"}`},
		{"removed", "it is absent now, so that the conflict has no revision to wait for", func(w *setpointtest.World) { w.Apply(notes.Definition, "other", spec{Count: 1}) },
			func(w *setpointtest.World) { w.Delete(notes.Definition, "other") }, `{"seen":"none"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var w *setpointtest.World
			var runs log[int]
			driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
				b.Status.Seen = "none"
				if n, ok := notes.Get(turn, "other"); ok {
					b.Status.Seen = string(rune('0' + n.Spec.Count))
				}
				turn.Fresh(notes.Key("default", "other"))
				turn.Fresh(turn.Meta().Key) // of its own object it goes without saying
				if runs.add(1); runs.len() == 1 {
					c.meanwhile(w)
				}
				return setpoint.Done()
			})
			setpointtest.Run(t, setup(nil, driver), func(world *setpointtest.World) {
				w = world
				c.before(w)
				w.Apply(boxes.Definition, "b", spec{})
				w.Advance(time.Minute)
				for _, tx := range w.Commits() {
					for _, o := range tx.Objects {
						if o.Object != nil && tx.Writer.Name == "controller/box" && string(o.Object.Status) != c.want {
							t.Errorf("%s: %s was committed, want %s only", c.reason, o.Object.Status, c.want)
						}
					}
				}
				if o := must(w, boxes.Definition, "b"); string(o.Status) != c.want {
					t.Errorf("%s: status %s, want %s", c.reason, o.Status, c.want)
				}
			})
		})
	}
}

// TestAConflictRunsTheTurnAgain: another writer came first; the turn sees what it wrote, and nothing of either is lost.
func TestAConflictRunsTheTurnAgain(t *testing.T) {
	var w *setpointtest.World
	first := true
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		if first {
			first = false
			w.Apply(notes.Definition, "n", spec{Value: "new"})
		}
		n.Status.Seen = n.Spec.Value
		return setpoint.Done()
	})
	s := setup(nil, driver)
	setpointtest.Run(t, s, func(world *setpointtest.World) {
		w = world
		w.Apply(notes.Definition, "n", spec{Value: "old"})
		w.Advance(time.Second)
		o := must(w, notes.Definition, "n")
		if string(o.Status) != `{"seen":"new"}` || !o.Ready() || o.Generation != 2 {
			t.Errorf("status %s, ready %t at generation %d", o.Status, o.Ready(), o.Generation)
		}
		if failures := w.Plane.Controllers()[0].Queue.Failures; failures != 0 {
			t.Errorf("a conflict counts as a failure: %d", failures)
		}
	})
}

// TestAConflictOnAStaleViewWaitsForTheNews: until the view shows what the turn lost to, running it again would lose again.
func TestAConflictOnAStaleViewWaitsForTheNews(t *testing.T) {
	var runs log[int]
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		runs.add(n.Spec.Count)
		n.Status.Runs++
		return setpoint.After(time.Hour, "Hourly", "")
	})
	runSlow(t, driver, func(b *bench) {
		b.create(nt, "n")
		b.advance(time.Minute)
		have, _ := b.engine.View().Get(nt.Key("default", "n"))
		b.store.stall(2 * time.Hour)
		next := have.Clone()
		next.Spec, next.Generation = []byte(`{"count":5}`), have.Generation+1
		if _, err := b.store.Store.Commit(context.Background(), store.Transaction{
			Writer: store.Writer{Name: "test"}, Objects: []store.ObjectWrite{{Expect: have.Revision, Object: next}},
		}); err != nil {
			t.Fatal(err)
		}
		b.advance(90 * time.Minute)
		if got := runs.list(); !slices.Equal(got, []int{0, 0}) {
			t.Errorf("runs on %v while the view is stale, want the first, and one that lost and waits", got)
		}
		b.advance(time.Hour)
		if got := runs.list(); len(got) < 3 || got[2] != 5 {
			t.Errorf("runs on %v afterwards, want one on the news", got)
		}
		if failures := b.engine.Controllers()[0].Queue.Failures; failures != 0 {
			t.Errorf("it counts as %d failures", failures)
		}
	})
}

// TestWhatATurnHasDeclaredItReads: a step that declares a child and one that waits for it are often computed in one turn; the second must not take the former form for
// the new one.
func TestWhatATurnHasDeclaredItReads(t *testing.T) {
	var seen log[string]
	driver := boxes.Driver("box", func(t *setpoint.Turn, b *thing) setpoint.Outcome {
		parts.Child(t, "p", spec{Value: b.Spec.Value})
		if p, ok := parts.Get(t, "b.p"); ok && p.Spec.Value == b.Spec.Value {
			seen.add(p.Spec.Value)
		} else {
			seen.add("stale")
		}
		return setpoint.Done()
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "one"})
		w.Settle()
		w.Apply(boxes.Definition, "b", spec{Value: "two"})
		w.Settle()
		if all := seen.list(); slices.Contains(all, "stale") || !slices.Contains(all, "two") {
			t.Errorf("turns read %v of what they had declared", all)
		}
	})
}
