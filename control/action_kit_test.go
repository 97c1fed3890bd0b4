package control_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// keeper is a shop whose answers a test can change, by the name of the step that asks.
type keeper struct {
	*setpointtest.Subsystem
	mu      sync.Mutex
	answers map[string]command.Result
	slow    map[string]time.Duration
	calls   []string
	// program is that of the world it is in; a plane that is started later has what it is then.
	program []setpoint.Controller
}

func newKeeper() *keeper {
	return &keeper{Subsystem: setpointtest.NewSubsystem(), answers: map[string]command.Result{}, slow: map[string]time.Duration{}}
}

// step is the name of the step that a key is for.
func stepOf(key string) string { return key[strings.LastIndex(key, ".")+1:] }

// Do answers as it was told to, and otherwise does it, after as long as it was told to take.
func (k *keeper) Do(ctx context.Context, c command.Call) command.Result {
	name := stepOf(c.Key)
	if c.Request == nil {
		name = "-" + name
	}
	k.mu.Lock()
	k.calls = append(k.calls, name)
	answer, told := k.answers[name]
	slow := k.slow[name]
	k.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return command.Result{Outcome: command.OutcomeUnknown, Message: "cut off"}
		}
	}
	if told {
		return answer
	}
	return k.Subsystem.Do(ctx, c)
}

// say makes it answer a step ("-step" for its removal) so; the zero result lets it do it again.
func (k *keeper) say(step string, r command.Result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answers[step] = r; r.Outcome == "" {
		delete(k.answers, step)
	}
}

func (k *keeper) take(step string, d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slow[step] = d
}

// asked are the calls that came, by step.
func (k *keeper) asked() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.calls, " ")
}

// done are the effects there were, by step: "+one -one".
func (k *keeper) done() string { return ledger(k.Subsystem) }

func ledger(s *setpointtest.Subsystem) string {
	var all []string
	for _, e := range s.Ledger() {
		sign := "+"
		if e.Request == nil {
			sign = "-"
		}
		all = append(all, sign+stepOf(e.Key))
	}
	return strings.Join(all, " ")
}

var (
	no     = command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "no"}
	broken = command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: "broken half-way"}
	full   = command.Result{Outcome: command.OutcomeRefused, Class: command.Throttled, Message: "no capacity"}
	silent = command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
)

// acts runs a world with an engine that is built, whose Tune has these steps.
func acts(t *testing.T, k *keeper, f func(*setpointtest.World), tune ...setpoint.Step[spec, status]) {
	t.Helper()
	s := engineSetup(k, tune...)
	s.Policy = setpoint.Policy{Attempts: 4, Cap: time.Second, Timeout: time.Hour}
	k.program = s.Controllers
	setpointtest.Run(t, s, func(w *setpointtest.World) { built(w); f(w) })
}

// tune asks for the engine to be tuned.
func tune(w *setpointtest.World) {
	w.T.Helper()
	signal(w, engineKind.Definition, "e", string(needsTuning))
}

// engine is the engine of the test.
func engine(w *setpointtest.World) *resource.Object {
	w.T.Helper()
	return must(w, engineKind.Definition, "e")
}

// order raises a signal on the engine, with a reason.
func order(w *setpointtest.World, name setpoint.SignalName, why string) {
	w.T.Helper()
	r := setpoint.SignalRequest{Name: name, Why: why}
	if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", engineKind.Key("default", "e"), r); err != nil {
		w.T.Fatal(err)
	}
	w.Settle()
}

// ended is how the last action of the engine ended: "Failed: why, in Broken"; "" while one is under way or before the first.
func ended(w *setpointtest.World) string {
	w.T.Helper()
	o := engine(w)
	if o.Action != nil || o.Last == nil {
		return ""
	}
	s := string(o.Last.Outcome)
	if o.Last.Message != "" {
		s += ": " + o.Last.Message
	}
	return s + ", in " + string(o.State)
}

// wantEnd fails the test when the last action has not ended so.
func wantEnd(w *setpointtest.World, want string) {
	w.T.Helper()
	if got := ended(w); got != want {
		o := engine(w)
		w.T.Errorf("it ended as %q, want %q; action %+v; waits %s", got, want, o.Action, waits(o))
	}
}

// wantDone fails the test when the shop has had other effects.
func wantDone(w *setpointtest.World, k *keeper, want string) {
	w.T.Helper()
	if got := k.done(); got != want {
		w.T.Errorf("the shop has had %q, want %q", got, want)
	}
}

// atRest fails the test when commands, signals or steps are left over from actions.
func atRest(w *setpointtest.World) {
	w.T.Helper()
	o := engine(w)
	if rows := commands(w, o); len(rows) != 0 {
		w.T.Errorf("%d rows of commands are left", len(rows))
	}
	if s := signals(w, o); len(s) != 0 {
		w.T.Errorf("signals %v are left", s)
	}
	if o.Action != nil || !o.Ready() {
		w.T.Errorf("it is not at rest: action %+v, waits %s", o.Action, waits(o))
	}
	turns, commits := w.Turns(), len(w.Commits())
	w.Advance(24 * time.Hour)
	if n := len(w.Commits()) - commits; n != 0 || w.Turns()-turns > 1 {
		w.T.Errorf("a day at rest took %d commits and %d turns", n, w.Turns()-turns)
	}
}

// remarks are the events of the engine of one reason, "message; message".
func remarks(w *setpointtest.World, key resource.Key, reason string) string {
	w.T.Helper()
	entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: key})
	if err != nil {
		w.T.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if e.Type == store.EntryEvent && e.Reason == reason {
			all = append(all, e.Message)
		}
	}
	return strings.Join(all, "; ")
}

// phases are the steps of the action under way: "one:Done two:Running".
func phases(w *setpointtest.World) string {
	w.T.Helper()
	a := engine(w).Action
	if a == nil {
		return ""
	}
	var all []string
	for _, s := range a.Steps {
		all = append(all, s.Name+":"+string(s.Phase))
	}
	return strings.Join(all, " ")
}

// oneTransitionEach fails the test when a commit made two transitions, or the engine went another way than the ones of its lifecycle.
func wantWay(w *setpointtest.World, want ...string) {
	w.T.Helper()
	if got := strings.Fields(transitions(w, engineKind.Definition, "e")); !slices.Equal(got, want) {
		w.T.Errorf("it went %v, want %v", got, want)
	}
}

// resultZero lets a keeper do a step again.
var resultZero = command.Result{}
