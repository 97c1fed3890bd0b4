package setpointtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Scenario is a story of what customers and subsystems do, to be told again and again with something going wrong each time.
type Scenario struct {
	// Setup makes the plane under test, with fresh subsystems: it is called once per run, inside the bubble.
	Setup func() Setup
	// Steps are the story. A step during which the plane dies is repeated after the restart, as a client would: it must ask
	// for a state, not for a change ([World.Apply], [World.Delete]). After each step everything that can happen at once has happened.
	Steps []func(*World)
	// Limit is how long, in virtual time, the story may take to come to rest. The default is an hour.
	Limit time.Duration
	// Stride runs only every so many moments, from Offset on, for a short form; 0 runs all.
	Stride, Offset int
}

// fate is what goes wrong in one run.
type fate struct {
	moment int
	action Action
}

func (f fate) String() string {
	return fmt.Sprintf("%s at moment %d", [...]string{"nothing", "crash", "lost acknowledgement", "stale view"}[f.action], f.moment)
}

// staleFor is how long the feed stands still when the view is to be stale.
const staleFor = 5 * time.Second

// Crashes tells the scenario once undisturbed, and then once for everything that can go wrong at each moment of that run: before and
// after every commit and every call the process dies and another takes over; after each, the acknowledgement is lost; at each, the view grows
// stale. Every run must end as the undisturbed one did, with at most one effect per token. It returns the number of runs. The database is SQLite; on
// another one, use [Engine.Crashes].
func Crashes(t *testing.T, s Scenario) int {
	t.Helper()
	return Engine{}.Crashes(t, s)
}

// Crashes tells the scenario on databases of this engine, a new one for every run; see the function [Crashes]. Every disturbed run is a subtest, and can
// be repeated alone: `go test -run 'TestX/crash_at_moment_17$'`. The first that fails is the last.
func (e Engine) Crashes(t *testing.T, s Scenario) int {
	t.Helper()
	if s.Limit == 0 {
		s.Limit = time.Hour
	}
	want, moments := s.tell(t, e, fate{})
	runs := 1
	if t.Failed() {
		return runs
	}
	for n, m := range moments {
		if s.Stride > 1 && n%s.Stride != s.Offset%s.Stride {
			continue
		}
		actions := []Action{Crash, StaleView}
		if m.After {
			actions = append(actions, LoseAcknowledgement)
		}
		for _, a := range actions {
			f := fate{n, a}
			well := t.Run(f.String(), func(t *testing.T) {
				runs++
				if got, _ := s.tell(t, e, f); got != want {
					t.Errorf("%s: the end differs from that of the undisturbed run\n%s", m, difference(want, got))
				}
			})
			if !well {
				return runs
			}
		}
	}
	return runs
}

// tell runs the story with one thing going wrong, and returns a digest of its end and the moments it passed.
func (s Scenario) tell(t *testing.T, e Engine, f fate) (digest string, moments []Moment) {
	t.Helper()
	g := e.ground(t)
	defer g.leave(t)
	synctest.Test(t, func(t *testing.T) {
		w := g.world(t, s.Setup())
		if f.action != GoOn {
			w.tap.plan = func(n int, _ Moment) Action {
				if n != f.moment {
					return GoOn
				}
				if f.action == StaleView {
					time.AfterFunc(staleFor, w.tap.resume)
				}
				return f.action
			}
		}
		w.Start()
		defer w.Stop()
		for _, step := range s.Steps {
			w.survive(func() { step(w); w.Settle() })
		}
		w.survive(func() { w.Converge(s.Limit) })
		digest, moments = w.digest(), slices.Clone(w.tap.moments)
	})
	return digest, moments
}

// survive does something, and again on a new plane when the old one died of it.
func (w *World) survive(f func()) {
	for f(); w.tap.killed(); f() {
		w.Stop()
		w.Start()
	}
}

// digest describes everything that should not depend on what went wrong: the objects without their identities and times, and what
// is outside.
func (w *World) digest() string {
	var b strings.Builder
	for _, def := range w.setup.Kinds {
		for o := range w.Plane.View().List(def.ID(), "") {
			fmt.Fprintf(&b, "%s generation %d state %q ready %t spec %s status %s\n", o.Key, o.Generation, o.State, o.Ready(), o.Spec, o.Status)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.setup.Adapters)) {
		s, ok := w.setup.Adapters[name].(*Subsystem)
		if !ok {
			continue
		}
		effects := s.Effects()
		for _, key := range slices.Sorted(maps.Keys(effects)) {
			fmt.Fprintf(&b, "%s has %s: %s\n", name, key, effects[key])
		}
		for _, e := range s.Redundant() {
			w.T.Errorf("%s: %s was asked for again under token %s, though it was there", name, e.Key, e.Token)
		}
		count := map[command.Token]int{}
		for _, e := range s.Ledger() {
			if count[e.Token]++; count[e.Token] > 1 {
				w.T.Errorf("%s: token %s of %s had %d effects", name, e.Token, e.Key, count[e.Token])
			}
		}
	}
	return b.String()
}

// difference shows the lines in which two digests differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for _, line := range a {
		if !slices.Contains(b, line) {
			fmt.Fprintf(&out, "- %s\n", line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			fmt.Fprintf(&out, "+ %s\n", line)
		}
	}
	return out.String()
}
