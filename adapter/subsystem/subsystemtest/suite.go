// Package subsystemtest checks that a subsystem.Handler keeps its part of the contract, from the outside: through a server,
// over restarts, failures half-way, and amnesia.
//
//	func TestPools(t *testing.T) {
//		subsystemtest.Run(t, subsystemtest.Suite{
//			New:     func(t *testing.T) subsystem.Handler { return newPools() },
//			Request: []byte(`{"pool":"edge"}`),
//			Other:   []byte(`{"pool":"edge","address":"127.77.0.9"}`),
//		})
//	}
package subsystemtest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Suite says what to check.
type Suite struct {
	// New makes a handler that knows nothing. A second one on the same folder is a restart.
	New func(t *testing.T) subsystem.Handler
	// Request is a wish that can be granted for eight keys at once.
	Request []byte
	// Other is another wish that can be granted for one key, also as a change of the first.
	Other []byte
	// Volatile says that effects do not survive a restart of the handler (it must announce their loss instead).
	Volatile bool
}

// Run runs every check as a subtest.
func Run(t *testing.T, s Suite) {
	for _, check := range []struct {
		name string
		run  func(*testing.T, Suite)
	}{
		{"a wish that holds has no second effect", holds},
		{"change and deletion", changes},
		{"the same token finishes what failed half-way", halfway},
		{"keys are independent", independent},
		{"memory survives a restart", restarts},
		{"amnesia is repaired or announced", forgets},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, s) })
	}
}

// rig is a server on a folder.
type rig struct {
	*subsystem.Server
	t *testing.T
}

func open(t *testing.T, s Suite, dir string) *rig {
	t.Helper()
	server, err := subsystem.Open(subsystem.Options{
		Dir: dir, Handler: s.New(t), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &rig{server, t}
}

func fresh(t *testing.T, s Suite) *rig {
	t.Helper()
	r := open(t, s, t.TempDir())
	r.restore()
	return r
}

func (r *rig) restore(items ...subsystem.RestoreItem) subsystem.RestoreAnswer {
	r.t.Helper()
	answer, err := r.Restore(subsystem.RestoreRequest{Memory: r.Memory(), Items: items})
	if err != nil {
		r.t.Fatalf("restore: %v", err)
	}
	return answer
}

func token(key string, intent uint64) command.Token {
	return command.Token(fmt.Sprintf("%s-%d", key, intent))
}

func (r *rig) apply(key string, intent uint64, request []byte) subsystem.ApplyAnswer {
	r.t.Helper()
	answer, err := r.Apply(subsystem.ApplyRequest{
		Token: token(key, intent), Epoch: resource.Epoch{Incarnation: 1, Counter: 1}, Intent: intent, Key: key, Request: request,
	})
	if err != nil {
		r.t.Errorf("apply %s intent %d: %v", key, intent, err)
	}
	return answer
}

// done insists on the outcome.
func (r *rig) done(key string, intent uint64, request []byte) subsystem.ApplyAnswer {
	r.t.Helper()
	answer := r.apply(key, intent, request)
	if answer.Outcome != command.OutcomeDone {
		r.t.Errorf("apply %s intent %d: %s %s (%s): want done", key, intent, answer.Outcome, answer.Class, answer.Message)
	}
	return answer
}

// effects lists the finished effects so far, and fails the test when a token has two.
func (r *rig) effects() (effects []subsystem.Effect) {
	r.t.Helper()
	lines, err := r.Ledger()
	if err != nil {
		r.t.Fatalf("ledger: %v", err)
	}
	for id, n := range subsystem.EffectsPerToken(lines) {
		if n > 1 {
			r.t.Errorf("%s has %d effects: want at most one", id, n)
		}
	}
	for _, line := range lines {
		switch line.Effect {
		case subsystem.Create, subsystem.Update, subsystem.Delete:
			effects = append(effects, line.Effect)
		}
	}
	return effects
}

func (r *rig) expect(want ...subsystem.Effect) {
	r.t.Helper()
	if got := r.effects(); fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("effects %v: want %v", got, want)
	}
}

func holds(t *testing.T, s Suite) {
	r := fresh(t, s)
	first := r.done("k", 1, s.Request)
	if again := r.done("k", 1, s.Request); !again.Repeated || !bytes.Equal(again.Result, first.Result) {
		t.Errorf("a repeated token got %s: want %s again", again.Result, first.Result)
	}
	if again := r.done("k", 2, s.Request); !bytes.Equal(again.Result, first.Result) {
		t.Errorf("a new intent for the same got %s: want %s", again.Result, first.Result)
	}
	r.expect(subsystem.Create)
}

func changes(t *testing.T, s Suite) {
	r := fresh(t, s)
	r.done("k", 1, s.Request)
	r.done("k", 2, s.Other)
	r.done("k", 3, nil)
	r.done("k", 4, nil)
	r.expect(subsystem.Create, subsystem.Update, subsystem.Delete)
	r.done("k", 5, s.Request)
	r.expect(subsystem.Create, subsystem.Update, subsystem.Delete, subsystem.Create)
}

func halfway(t *testing.T, s Suite) {
	r := fresh(t, s)
	for _, probability := range []float64{1, 1, 0} {
		if err := r.SetFaults(subsystem.Faults{Halfway: probability}); err != nil {
			t.Fatal(err)
		}
		if answer := r.apply("k", 1, s.Request); (answer.Outcome == command.OutcomeFailed) != (probability == 1) {
			t.Errorf("told to fail with probability %v: got %s (%s)", probability, answer.Outcome, answer.Message)
		}
	}
	r.expect(subsystem.Create)
	r.done("k", 2, nil)
	r.expect(subsystem.Create, subsystem.Delete)
}

func independent(t *testing.T, s Suite) {
	r := fresh(t, s)
	var calls sync.WaitGroup
	for i := range 8 {
		for range 2 {
			calls.Go(func() { r.done(fmt.Sprint("k", i), 1, s.Request) })
		}
	}
	calls.Wait()
	if n := len(r.effects()); n != 8 {
		t.Errorf("%d effects for 8 keys", n)
	}
}

func restarts(t *testing.T, s Suite) {
	dir := t.TempDir()
	r := open(t, s, dir)
	r.restore()
	first := r.done("k", 1, s.Request)
	r.done("gone", 1, s.Request)
	r.done("gone", 2, nil)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, s, dir)
	if again := r.done("k", 1, s.Request); !again.Repeated {
		t.Error("the token was forgotten over a restart")
	}
	if s.Volatile {
		if items := r.Inventory("").Items; len(items) != 1 || items[0].Lost == "" {
			t.Errorf("inventory %+v: want the loss to be announced", items)
		}
		return
	}
	if again := r.done("k", 2, s.Request); !bytes.Equal(again.Result, first.Result) {
		t.Errorf("after a restart got %s: want %s", again.Result, first.Result)
	}
	r.expect(subsystem.Create, subsystem.Create, subsystem.Delete)
}

func forgets(t *testing.T, s Suite) {
	r := fresh(t, s)
	first := r.done("k", 1, s.Request)
	if err := r.Forget(); err != nil {
		t.Fatalf("forget: %v", err)
	}
	if answer := r.apply("k", 1, s.Request); answer.Class != command.Throttled {
		t.Errorf("a blank server answered %s %s: want Throttled", answer.Outcome, answer.Class)
	}
	item := subsystem.RestoreItem{Key: "k", Token: token("k", 1), Intent: 1, Request: s.Request, Result: first.Result}
	answer := r.restore(item)
	r.restore(item) // may be repeated
	if answer.Restored+len(answer.Lost) != 1 {
		t.Errorf("restoring one item: %+v", answer)
	}
	again := r.done("k", 2, s.Request)
	if answer.Restored == 1 && !bytes.Equal(again.Result, first.Result) {
		t.Errorf("it was restored as %s and is %s", first.Result, again.Result)
	}
	r.effects()
}
