package setpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

type (
	lampSpec struct {
		Watts int `json:"watts"`
	}
	lampStatus struct {
		Lit bool `json:"lit,omitempty"`
	}
	lamp = setpoint.Resource[lampSpec, lampStatus]
)

var (
	lampLife = setpoint.Lifecycle{
		{State: "Off", Stable: true, To: setpoint.To("On", "Leaving")},
		{State: "On", Healthy: true, Stable: true, To: setpoint.To("Off", "Leaving")},
		{State: "Leaving", Deleting: true, To: setpoint.To("Left")},
		{State: "Left", Final: true, Stable: true},
	}
	lampOptions = setpoint.KindOptions[lampSpec, lampStatus]{
		Group: "test.example", Version: "v1", Kind: "Lamp", Lifecycle: lampLife,
		Validate: func(_, l *lamp) error {
			if l.Spec.Watts > 100 {
				return setpoint.Refuse("spec.watts", "want at most 100, got %d", l.Spec.Watts)
			}
			return nil
		},
	}
	lamps  = setpoint.MustDefine(lampOptions)                                                                                                          // driven
	lights = setpoint.MustDefine(setpoint.KindOptions[lampSpec, lampStatus]{Group: "test.example", Version: "v1", Kind: "Light", Lifecycle: lampLife}) // driven by nobody
)

// writes runs a plane that drives lamps, for tests of what clients ask of it.
func writes(t *testing.T, f func(ctx context.Context, w *setpointtest.World)) {
	t.Helper()
	driver := lamps.Driver("lamp", func(turn *setpoint.Turn, l *lamp) setpoint.Outcome {
		l.Status.Lit = true
		if !l.Deleting() {
			turn.Transition("On", "Switched")
		}
		return setpoint.Done()
	})
	setpointtest.Run(t, setpointtest.Setup{
		Kinds: []*setpoint.Definition{lamps.Definition, lights.Definition}, Controllers: []setpoint.Controller{driver},
	}, func(w *setpointtest.World) { f(w.T.Context(), w) })
}

func newLamp(t *testing.T, def *setpoint.Definition, name resource.Name, watts int) *setpoint.Object {
	t.Helper()
	o, err := def.New("default", name, lampSpec{watts}, resource.Birth{Now: time.Now(), UID: func() resource.UID { return "of the client" }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// settled creates an object and waits until its driver has had its turn.
func settled(t *testing.T, w *setpointtest.World, def *setpoint.Definition, name resource.Name) *setpoint.Object {
	t.Helper()
	if _, err := w.Plane.Create(w.T.Context(), "api:t", newLamp(t, def, name, 40), false); err != nil {
		t.Fatal(err)
	}
	w.Settle()
	o, _ := w.Plane.View().Get(def.Key("default", name))
	return o
}

// edit is a change by a function on a copy.
func edit(f func(*setpoint.Object)) setpoint.Change {
	return func(old *setpoint.Object) (*setpoint.Object, error) {
		next := old.Clone()
		f(next)
		return next, nil
	}
}

func TestCreate(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := newLamp(t, lamps.Definition, "a", 40)
		o.State, o.Generation, o.Revision, o.Deleted = "On", 7, 9, time.Now()
		o.Status, o.Observed = json.RawMessage(`{"lit":true}`), 3
		o.Conditions = []resource.Condition{{Type: resource.Ready, Status: resource.True, Reason: "Forged"}}
		o.Waits, o.Needs = []resource.Wait{{Controller: "x", Code: "Y"}}, []string{"z"}
		o.Action, o.Last, o.Signals = &resource.Action{Name: "Forged"}, &resource.ActionEnd{Name: "Forged"}, []resource.StandingSignal{{Name: "Forged"}}

		dry, err := w.Plane.Create(ctx, "api:t", o, true)
		if _, there := w.Plane.View().Get(o.Key); err != nil || there || dry.Revision != 0 {
			t.Errorf("a dry run gave %v, stored: %t", err, there)
		}
		got, err := w.Plane.Create(ctx, "api:t", o, false)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != "Off" || got.Generation != 1 || got.Revision == 0 || got.Revision == 9 || got.Deleting() || got.Ready() || got.Observed != 0 ||
			len(got.Status)+len(got.Conditions)+len(got.Waits)+len(got.Needs)+len(got.Signals) > 0 || got.Action != nil || got.Last != nil || got.UID == "of the client" {
			t.Errorf("created %+v status %s: what the engine says was taken from the client", got.Meta, got.Status)
		}
		if !slices.Equal(got.Finalizers, []resource.Finalizer{"lamp"}) {
			t.Errorf("held by %v, want the driver from the beginning", got.Finalizers)
		}
		for _, dryRun := range []bool{true, false} {
			if _, err := w.Plane.Create(ctx, "api:t", o, dryRun); !errors.Is(err, setpoint.ErrExists) {
				t.Errorf("a second creation (dry run %t) gave %v", dryRun, err)
			}
		}
		var invalid *resource.Invalid
		if _, err := w.Plane.Create(ctx, "api:t", newLamp(t, lamps.Definition, "b", 101), false); !errors.As(err, &invalid) {
			t.Errorf("a lamp of 101 W gave %v, want it refused", err)
		}
		stranger := newLamp(t, lamps.Definition, "c", 1)
		stranger.Kind = "Nothing.test.example"
		if _, err := w.Plane.Create(ctx, "api:t", stranger, false); err == nil {
			t.Errorf("an object of an unknown kind was created")
		}
	})
}

// TestUpdateTakesWhatIsTheWriters: each field that a client may send, and what becomes of it.
func TestUpdateTakesWhatIsTheWriters(t *testing.T) {
	cases := []struct {
		name, reason string
		def          *setpoint.Definition
		change       func(*setpoint.Object)
		written      bool
		check        func(before, after *setpoint.Object) bool
	}{
		{"spec", "a new wish is a new generation", lamps.Definition, func(o *setpoint.Object) { o.Spec = json.RawMessage(`{"watts":60}`) }, true,
			func(a, b *setpoint.Object) bool {
				return b.Generation == a.Generation+1 && string(b.Spec) == `{"watts":60}`
			}},
		{"the same spec, spelt otherwise", "it says the same", lamps.Definition, func(o *setpoint.Object) { o.Spec = json.RawMessage(`{ "watts" : 40 }`) }, false, nil},
		{"labels", "bookkeeping is no new wish", lamps.Definition, func(o *setpoint.Object) { o.Labels = map[string]string{"room": "hall"} }, true,
			func(a, b *setpoint.Object) bool { return b.Generation == a.Generation && b.Labels["room"] == "hall" }},
		{"nothing", "no write at all", lamps.Definition, func(*setpoint.Object) {}, false, nil},
		{"status", "sensors report through the same door", lamps.Definition, func(o *setpoint.Object) { o.Status = json.RawMessage(`{"lit":false}`) }, true,
			func(a, b *setpoint.Object) bool { return b.Generation == a.Generation }},
		{"what the engine says", "identity and reports are ignored", lamps.Definition, func(o *setpoint.Object) {
			o.UID, o.Generation, o.StateSince, o.Created = "forged", 99, time.Now(), time.Now()
			o.Deleted, o.Observed, o.Waits, o.Needs = time.Now(), 99, []resource.Wait{{Controller: "x", Code: "Y"}}, []string{"z"}
			o.Action, o.Last, o.Signals = &resource.Action{Name: "Forged", Phase: resource.ActionRunning}, &resource.ActionEnd{Name: "Forged"}, []resource.StandingSignal{{Name: "Forged"}}
		}, false, nil},
		{"Ready of a driven kind", "it follows from the driver's outcome", lamps.Definition, func(o *setpoint.Object) {
			o.Conditions = []resource.Condition{{Type: resource.Ready, Status: resource.False, Reason: "Forged"}}
		}, false, nil},
		{"the driver's conditions left out", "leaving them out does not remove them", lamps.Definition, func(o *setpoint.Object) { o.Conditions = nil }, false, nil},
		{"a condition of one's own", "sensors have something to say", lamps.Definition, func(o *setpoint.Object) {
			o.Conditions = []resource.Condition{{Type: "Dusty", Status: resource.True, Reason: "Seen"}}
		}, true, func(_, b *setpoint.Object) bool { return b.Is("Dusty") && b.Ready() }},
		{"Ready of a kind that nobody drives here", "its driver is elsewhere", lights.Definition, func(o *setpoint.Object) {
			o.Conditions = []resource.Condition{{Type: resource.Ready, Status: resource.True, Reason: "Elsewhere", Observed: 1}}
		}, true, func(_, b *setpoint.Object) bool { return b.Ready() }},
		{"the driver's finalizer", "it would be deleted without its driver", lamps.Definition, func(o *setpoint.Object) { o.Finalizers = nil }, false, nil},
		{"a finalizer of one's own", "clients may hold objects", lamps.Definition, func(o *setpoint.Object) { o.Finalizers = []resource.Finalizer{"mine.example/x"} }, true,
			func(_, b *setpoint.Object) bool { return b.Holds("mine.example/x") && b.Holds("lamp") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			writes(t, func(ctx context.Context, w *setpointtest.World) {
				before := settled(t, w, c.def, "a")
				dry, err := w.Plane.Update(ctx, "api:t", before.Key, edit(c.change), true)
				if now, _ := w.Plane.View().Get(before.Key); err != nil || now.Revision != before.Revision {
					t.Fatalf("%s: a dry run gave %v and wrote: %t", c.reason, err, now.Revision != before.Revision)
				}
				after, err := w.Plane.Update(ctx, "api:t", before.Key, edit(c.change), false)
				if err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
				if written := after.Revision != before.Revision; written != c.written {
					t.Errorf("%s: written %t, want %t: %+v", c.reason, written, c.written, after.Meta)
				}
				if after.UID != before.UID || after.State != before.State || !after.Created.Equal(before.Created) || after.Deleting() || after.Observed != before.Observed {
					t.Errorf("%s: what is the engine's was changed: %+v", c.reason, after.Meta)
				}
				if c.check != nil && (!c.check(before, after) || !c.check(before, dry)) {
					t.Errorf("%s: got %+v spec %s, dry %+v", c.reason, after.Meta, after.Spec, dry.Meta)
				}
			})
		})
	}
}

// TestOnlyTheDriverMovesAnObject: a write of the state by anybody else is refused in words, stays refused when only judged, and is on record when it was meant.
func TestOnlyTheDriverMovesAnObject(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lamps.Definition, "a")
		off := edit(func(o *setpoint.Object) { o.State, o.Labels = "Off", map[string]string{"room": "hall"} })
		for _, attempt := range []struct {
			reason string
			write  func() (*setpoint.Object, error)
			tried  int
		}{
			{"who asks what would happen has done nothing", func() (*setpoint.Object, error) { return w.Plane.Update(ctx, "api:ada", o.Key, off, true) }, 0},
			{"a write that also sets a label", func() (*setpoint.Object, error) { return w.Plane.Update(ctx, "api:ada", o.Key, off, false) }, 1},
			{"a write with a note", func() (*setpoint.Object, error) {
				return w.Plane.UpdateNoted(ctx, "api:ada", o.Key, off, setpoint.Note{Reason: "Forced", Message: "by hand"})
			}, 2},
		} {
			_, err := attempt.write()
			want := "Lamp.test.example/default/a is not valid: status.state: only the driver of the kind moves an object, and this one stays On, not Off: raise a signal"
			if err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %q", attempt.reason, err, want)
			}
			if now, _ := w.Plane.View().Get(o.Key); now.State != "On" || now.Revision != o.Revision {
				t.Errorf("%s: the object is %s at revision %d, want it as it was", attempt.reason, now.State, now.Revision)
			}
			entries, err := w.Plane.History(ctx, store.HistoryQuery{Key: o.Key})
			if err != nil {
				t.Fatal(err)
			}
			tried := 0
			for _, e := range entries {
				if e.Type == store.EntryEvent && e.Reason == setpoint.StateWriteRefused && e.Writer.Name == "api:ada" && e.Message == want {
					tried++
				}
			}
			if tried != attempt.tried {
				t.Errorf("%s: the history has %d refusals, want %d: %+v", attempt.reason, tried, attempt.tried, entries)
			}
		}
		if err := w.Plane.Warn(ctx, "api:ada", lamps.Key("default", "none"), "X", "y"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a warning about nothing gave %v", err)
		}
	})
}

func TestUpdateFailsInWords(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lamps.Definition, "a")
		var invalid *resource.Invalid
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, edit(func(o *setpoint.Object) { o.Spec = json.RawMessage(`{"watts":101}`) }), false); !errors.As(err, &invalid) {
			t.Errorf("101 W gave %v", err)
		}
		own := errors.New("changed my mind")
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, func(*setpoint.Object) (*setpoint.Object, error) { return nil, own }, false); !errors.Is(err, own) {
			t.Errorf("the writer's own error came back as %v", err)
		}
		if _, err := w.Plane.Update(ctx, "api:t", lamps.Key("default", "none"), edit(func(*setpoint.Object) {}), false); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an object that is not there gave %v", err)
		}
	})
}

// TestManyWritersOfOneObject: each change is made on the latest version, and none is lost.
func TestManyWritersOfOneObject(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lamps.Definition, "a")
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 5 {
					_, err := w.Plane.Update(ctx, "api:t", o.Key, func(old *setpoint.Object) (*setpoint.Object, error) {
						var s lampSpec
						if err := json.Unmarshal(old.Spec, &s); err != nil {
							return nil, err
						}
						next := old.Clone()
						next.Spec = json.RawMessage(fmt.Sprintf(`{"watts":%d}`, s.Watts+1))
						return next, nil
					}, false)
					if err != nil {
						t.Errorf("an update among many: %v", err)
					}
				}
			})
		}
		group.Wait()
		w.Settle()
		if o, _ := w.Plane.View().Get(o.Key); string(o.Spec) != `{"watts":80}` || o.Generation != 41 {
			t.Errorf("spec %s at generation %d, want 40 W more in 40 changes", o.Spec, o.Generation)
		}
	})
}

func TestDelete(t *testing.T) {
	cases := []struct {
		name, reason string
		def          *setpoint.Definition
		pre          func(*setpoint.Object) setpoint.Preconditions
		dryRun       bool
		fails        error
		removed      bool // by the call itself
		gone         bool // in the end
	}{
		{"held", "its driver takes it through its last states", lamps.Definition, nil, false, nil, false, true},
		{"not held", "nobody has to be waited for", lights.Definition, nil, false, nil, true, true},
		{"dry run", "nothing is written", lights.Definition, nil, true, nil, true, false},
		{"the right one", "preconditions that hold do not hinder", lamps.Definition, func(o *setpoint.Object) setpoint.Preconditions {
			return setpoint.Preconditions{UID: o.UID, Revision: o.Revision}
		}, false, nil, false, true},
		{"another UID", "a namesake is not meant", lamps.Definition, func(*setpoint.Object) setpoint.Preconditions { return setpoint.Preconditions{UID: "former"} }, false, setpoint.ErrPrecondition, false, false},
		{"another revision", "what was seen is not what is there", lamps.Definition, func(o *setpoint.Object) setpoint.Preconditions {
			return setpoint.Preconditions{Revision: o.Revision - 1}
		}, false, setpoint.ErrPrecondition, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			writes(t, func(ctx context.Context, w *setpointtest.World) {
				o := settled(t, w, c.def, "a")
				var pre setpoint.Preconditions
				if c.pre != nil {
					pre = c.pre(o)
				}
				last, removed, err := w.Plane.Delete(ctx, "api:t", o.Key, pre, c.dryRun)
				if !errors.Is(err, c.fails) || removed != c.removed {
					t.Fatalf("%s: removed %t, %v", c.reason, removed, err)
				}
				if err == nil && (!last.Deleting() || last.Generation != o.Generation+1) {
					t.Errorf("%s: the answer is %+v, want a deletion, which is a new generation", c.reason, last.Meta)
				}
				w.Settle()
				if _, there := w.Plane.View().Get(o.Key); there == c.gone {
					t.Errorf("%s: there afterwards: %t", c.reason, there)
				}
				if !c.gone {
					return
				}
				var states []string
				entries, err := w.Plane.History(ctx, store.HistoryQuery{Key: o.Key})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if e.Type == store.EntryTransition {
						states = append(states, string(e.To))
					}
				}
				if n := len(states); n < 1 || states[n-1] != "Left" {
					t.Errorf("%s: went through %v, want the final state at the end", c.reason, states)
				}
				if _, _, err := w.Plane.Delete(ctx, "api:t", o.Key, setpoint.Preconditions{}, false); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: deleting it again gave %v", c.reason, err)
				}
			})
		})
	}
}

// TestAnOperatorMayTakeTheHoldOfADeletedObjectAway: of an object that is being deleted, and no other.
func TestAnOperatorMayTakeTheHoldOfADeletedObjectAway(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lights.Definition, "a")
		hold := edit(func(o *setpoint.Object) { o.Finalizers = []resource.Finalizer{"lamp", "other.example/x"} })
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, hold, false); err != nil {
			t.Fatal(err)
		}
		for range 2 { // asking twice changes nothing
			if _, removed, err := w.Plane.Delete(ctx, "api:t", o.Key, setpoint.Preconditions{}, false); err != nil || removed {
				t.Fatalf("deletion of a held object: removed %t, %v", removed, err)
			}
		}
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, edit(func(o *setpoint.Object) { o.Finalizers = append(o.Finalizers, "new.example/x") }), false); err == nil {
			t.Errorf("a hold was added to an object that is being deleted")
		}
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, edit(func(o *setpoint.Object) { o.Finalizers = nil }), false); err != nil {
			t.Fatal(err)
		}
		if _, there := w.Plane.View().Get(o.Key); there {
			t.Errorf("it is still there")
		}
	})
}

func TestSignal(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lights.Definition, "a")
		id, _, err := w.Plane.Signal(ctx, "api:ada", o.Key, setpoint.SignalRequest{Name: "Flicker", Payload: []byte(`{"times":2}`)})
		if err != nil {
			t.Fatal(err)
		}
		s := w.Plane.View().Snapshot()
		defer s.Close()
		got := s.Signals(o.UID)
		if len(got) != 1 || got[0].ID != id || got[0].Name != "Flicker" || got[0].By != "api:ada" || string(got[0].Payload) != `{"times":2}` {
			t.Errorf("signals %+v, want the one that was raised, visible at once", got)
		}
		if now, _ := s.Get(o.Key); now.Revision != o.Revision {
			t.Errorf("a signal changed the object")
		}
		if _, _, err := w.Plane.Signal(ctx, "api:ada", lights.Key("default", "none"), setpoint.SignalRequest{Name: "Flicker"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a signal to nobody gave %v", err)
		}
		if _, _, err := w.Plane.Signal(ctx, "api:ada", o.Key, setpoint.SignalRequest{Name: "Flicker", Payload: make([]byte, 1<<20)}); err == nil {
			t.Errorf("a signal of a megabyte was accepted")
		}
	})
}

// TestSignalsOfABusyObjectGetThrough: a signal is a row of its own; no change of the object gets in its way.
func TestSignalsOfABusyObjectGetThrough(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lights.Definition, "a")
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				for j := range 25 {
					label := edit(func(o *setpoint.Object) { o.Labels = map[string]string{"n": fmt.Sprint(i, "-", j)[:1]} })
					if _, err := w.Plane.Update(ctx, "api:t", o.Key, label, false); err != nil && !errors.Is(err, store.ErrConflict) {
						t.Error(err)
					}
					if _, _, err := w.Plane.Signal(ctx, "api:t", o.Key, setpoint.SignalRequest{Name: "Flicker"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		s := w.Plane.View().Snapshot()
		defer s.Close()
		if got := len(s.Signals(o.UID)); got != 100 {
			t.Errorf("%d signals wait, want 100", got)
		}
	})
}

// TestAWriteWaitsForTheView: before the view is loaded, an object that exists must not be said to be missing.
func TestAWriteWaitsForTheView(t *testing.T) {
	kind := setpoint.MustDefine(setpoint.KindOptions[lampSpec, lampStatus]{Group: "test.example", Version: "v1", Kind: "Bulb"})
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "setpoint.db")})
	if err != nil {
		t.Fatal(err)
	}
	run := func(use func(*setpoint.Plane, func())) {
		p, err := setpoint.New(t.Context(), setpoint.Config{Store: st, Kinds: []*setpoint.Definition{kind.Definition}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		use(p, func() { go func() { ended <- p.Run(ctx) }() })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	bulb, err := kind.New("default", "b", lampSpec{Watts: 1}, resource.Birth{})
	if err != nil {
		t.Fatal(err)
	}
	run(func(p *setpoint.Plane, start func()) {
		start()
		if _, err := p.Create(t.Context(), "api:test", bulb, false); err != nil {
			t.Error(err)
		}
	})
	brighter := func(old *setpoint.Object) (*setpoint.Object, error) {
		next := old.Clone()
		next.Spec = []byte(`{"watts":2}`)
		return next, nil
	}
	run(func(p *setpoint.Plane, start func()) {
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Update(impatient, "api:test", bulb.Key, brighter, false); !errors.Is(err, context.Canceled) {
			t.Errorf("before the view is loaded: %v, want that it says so", err)
		}
		start()
		if o, err := p.Update(t.Context(), "api:test", bulb.Key, brighter, false); err != nil || o.Generation != 2 {
			t.Errorf("afterwards: %v %v, want the second generation", o, err)
		}
	})
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestANoteIsCommittedWithItsWrite(t *testing.T) {
	writes(t, func(ctx context.Context, w *setpointtest.World) {
		o := settled(t, w, lamps.Definition, "a")
		n := setpoint.Note{Reason: "Proposed", Message: "proposal 17 by ada"}
		notes := func() (at []setpoint.Revision) {
			entries, err := w.Plane.History(ctx, store.HistoryQuery{Key: o.Key})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Type == store.EntryEvent && e.Reason == n.Reason && e.Message == n.Message && e.Writer.Name == "sql:ada" && e.Cause.Text == n.Message && e.UID == o.UID {
					at = append(at, e.Revision)
				}
			}
			return at
		}
		watts := func(n int) setpoint.Change {
			return edit(func(o *setpoint.Object) { o.Spec = fmt.Appendf(nil, `{"watts":%d}`, n) })
		}
		if _, err := w.Plane.UpdateNoted(ctx, "sql:ada", o.Key, watts(1000), n); err == nil || len(notes()) != 0 {
			t.Errorf("a write that is refused: %v, notes at %v", err, notes())
		}
		if same, err := w.Plane.UpdateNoted(ctx, "sql:ada", o.Key, watts(40), n); err != nil || same.Revision != o.Revision || len(notes()) != 0 {
			t.Errorf("a write that changes nothing: %v, notes at %v", err, notes())
		}
		changed, err := w.Plane.UpdateNoted(ctx, "sql:ada", o.Key, watts(60), n)
		if err != nil || !slices.Equal(notes(), []setpoint.Revision{changed.Revision}) {
			t.Errorf("a write: %v; notes at %v, want one at its revision", err, notes())
		}
		if _, err := w.Plane.Update(ctx, "api:t", o.Key, watts(50), false); err != nil || len(notes()) != 1 {
			t.Errorf("a write without a note: %v, notes at %v", err, notes())
		}
	})
}
