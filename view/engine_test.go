package view_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/view"
)

func open(t *testing.T) *sqlite.Store {
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "setpoint.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := st.Register(t.Context(), []store.Rules{{Kind: "Gateway.edge.example"}}); err != nil {
		t.Fatal(err)
	}
	return st
}

func commit(t *testing.T, st store.Store, tx store.Transaction) resource.Revision {
	t.Helper()
	tx.Writer.Name = "test"
	receipt, err := st.Commit(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Revision
}

func stored(name, uid string) *resource.Object {
	o := object(name, uid, 0)
	o.Generation, o.Spec, o.Status = 1, []byte(`{}`), []byte(`{}`)
	o.Created = time.Unix(1, 0).UTC()
	o.StateSince = o.Created
	return o
}

// create commits an object with a command, a signal and a timer.
func create(t *testing.T, st store.Store, name, uid string) resource.Revision {
	o := stored(name, uid)
	slot := command.Slot{Owner: o.UID, Adapter: "dns", Key: name}
	return commit(t, st, store.Transaction{
		Objects: []store.ObjectWrite{{Object: o}},
		Commands: []store.CommandWrite{{Command: command.Command{
			Slot: slot, Object: o.Key, Controller: "main", Intent: 1, Token: command.TokenOf(1, slot, 1), Unit: name,
			Request: []byte(`{}`), Phase: command.Done, Created: o.Created, Changed: o.Created,
		}}},
		Raise:  []store.Signal{{Object: o.Key, UID: o.UID, Name: "Go", By: "test", Why: "it is new", At: o.Created, Dedupe: name, Expires: time.Unix(200, 0).UTC()}},
		Timers: []store.Timer{{Controller: "main", Object: o.Key, UID: o.UID, Due: time.Unix(100, 0).UTC(), Code: "Later"}},
	})
}

// run feeds a view until the returned function is called.
func run(t *testing.T, v *view.View, st store.Store, observe func(view.Applied)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx, st, observe) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	}
}

func await(t *testing.T, v *view.View, r resource.Revision) {
	t.Helper()
	if err := v.WaitFor(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// same checks that a view that lived through everything shows what a fresh one loads.
func same(t *testing.T, st store.Store, v *view.View) {
	t.Helper()
	fresh := view.New()
	if err := fresh.Load(t.Context(), st.Scan, nil); err != nil {
		t.Fatal(err)
	}
	a, b := v.Snapshot(), fresh.Snapshot()
	defer a.Close()
	defer b.Close()
	if got, want := describe(a), describe(b); !slices.Equal(got, want) {
		t.Errorf("the view shows\n%q\nand a fresh one\n%q", got, want)
	}
}

func describe(s *view.Snapshot) (lines []string) {
	lines = append(lines, "revision "+s.Revision().String())
	for o := range s.List("Gateway.edge.example", "") {
		lines = append(lines, fmt.Sprintf("%s %s %d %s", o.Key, o.UID, o.Revision, o.Spec))
		for _, c := range s.Commands(o.UID) {
			lines = append(lines, fmt.Sprintf("command %s %s %s %d", c.Slot, c.Token, c.Phase, c.Revision))
		}
		for _, x := range s.Signals(o.UID) {
			lines = append(lines, fmt.Sprintf("signal %+v", x))
		}
	}
	for x := range s.Timers() {
		lines = append(lines, fmt.Sprintf("timer %s %s %s", x.Object, x.UID, x.Due.UTC()))
	}
	return lines
}

func TestEngineFeedsAView(t *testing.T) {
	st := open(t)
	create(t, st, "before", "before-1")
	v := view.New()
	var initial, commits int // touched by Run alone, until it has ended
	stop := run(t, v, st, func(a view.Applied) {
		if a.Origin == view.Initial {
			initial += len(a.Objects)
		} else {
			commits++
		}
	})
	<-v.Loaded()
	start := v.Revision()
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := range 25 {
				name := fmt.Sprintf("c%d-%d", c, i)
				r := create(t, st, name, name)
				await(t, v, r)
				o, ok := v.Get(key(name))
				if !ok || o.Revision != r {
					t.Errorf("%s: own write not read", name)
					continue
				}
				if i%2 == 0 {
					r = commit(t, st, store.Transaction{Objects: []store.ObjectWrite{{Expect: r, Key: o.Key}}})
					await(t, v, r)
					if _, ok := v.Get(key(name)); ok {
						t.Errorf("%s: own removal not read", name)
					}
				}
			}
		})
	}
	clients.Wait()
	same(t, st, v)
	stop()
	if initial != 1 || resource.Revision(commits) != v.Revision()-start {
		t.Errorf("observed %d objects of the load and %d commits, want 1 and %d", initial, commits, v.Revision()-start)
	}
	if got := len(v.Expected("dns", "")); got != 4*12+1 {
		t.Errorf("%d effects expected, want %d", got, 4*12+1)
	}
}

func TestEngineCompactedWhileTheViewWasAway(t *testing.T) {
	st := open(t)
	kept := create(t, st, "kept", "kept-1")
	gone := create(t, st, "gone", "gone-1")
	reborn := create(t, st, "reborn", "reborn-1")
	v := view.New()
	stop := run(t, v, st, nil)
	<-v.Loaded()
	await(t, v, reborn)
	stop()

	old := v.Snapshot()
	defer old.Close()
	was := describe(old)
	commit(t, st, store.Transaction{Objects: []store.ObjectWrite{{Expect: gone, Key: key("gone")}}})
	commit(t, st, store.Transaction{Objects: []store.ObjectWrite{{Expect: reborn, Key: key("reborn")}}})
	create(t, st, "reborn", "reborn-2")
	changed := stored("kept", "kept-1")
	changed.Spec = []byte(`{"changed":true}`)
	last := commit(t, st, store.Transaction{Objects: []store.ObjectWrite{{Expect: kept, Object: changed}}})
	if err := st.Compact(t.Context(), last, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Watch(t.Context(), reborn); !errors.Is(err, store.ErrCompacted) {
		t.Fatalf("the feed is still there: %v", err)
	}

	var changes []string
	var removed, consumed, cleared int
	observed := make(chan struct{})
	stop = run(t, v, st, func(a view.Applied) {
		if a.Origin != view.Rescan {
			t.Errorf("observed a step of origin %s", a.Origin)
		}
		for _, c := range a.Objects {
			changes = append(changes, fmt.Sprintf("%s old=%v new=%v", c.Object().UID, c.Old != nil, c.New != nil))
		}
		for _, c := range a.Commands {
			if c.New == nil {
				removed++
			}
		}
		consumed += len(a.Consumed)
		for _, c := range a.Timers {
			if c.New == nil {
				cleared++
			}
		}
		if !a.More {
			close(observed)
		}
	})
	<-observed
	await(t, v, last)
	same(t, st, v)
	stop()
	slices.Sort(changes)
	want := []string{"gone-1 old=true new=false", "kept-1 old=true new=true", "reborn-1 old=true new=false", "reborn-2 old=false new=true"}
	if !slices.Equal(changes, want) {
		t.Errorf("observed %q, want %q", changes, want)
	}
	if removed != 2 || consumed != 2 || cleared != 2 {
		t.Errorf("with the objects went %d commands, %d signals and %d timers, want 2 of each", removed, consumed, cleared)
	}
	if now := describe(old); !slices.Equal(now, was) {
		t.Errorf("the snapshot from before has become\n%q\nand was\n%q", now, was)
	}
}

func TestEngineClosed(t *testing.T) {
	st := open(t)
	v := view.New()
	ended := make(chan error, 1)
	go func() { ended <- v.Run(t.Context(), st, nil) }()
	<-v.Loaded()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Run ended with %v", err)
	}
}
