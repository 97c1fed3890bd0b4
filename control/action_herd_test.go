package control_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/engines"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// herd is how many actions are under way when everything is killed: 1,000 in a soak.
func herd() int {
	if os.Getenv("SETPOINT_SOAK") != "" {
		return 1000
	}
	return 60
}

// TestKilledWithManyActionsUnderWay: the plane is killed again and again while the actions go through their steps; the last one finishes all, and each effect is had once.
func TestKilledWithManyActionsUnderWay(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		n, k := herd(), newKeeper()
		for i := range 5 {
			k.take(fmt.Sprintf("step%d", i), time.Second)
		}
		var steps []setpoint.Step[spec, status]
		for i := range 5 {
			steps = append(steps, ask(fmt.Sprintf("step%d", i)))
		}
		s := engineSetup(k, steps...)
		s.Policy = setpoint.Policy{Concurrency: 200, Cap: time.Second, Timeout: time.Minute}
		e.Run(t, s, func(w *setpointtest.World) {
			for i := range n {
				w.Apply(engineKind.Definition, fmt.Sprintf("e%d", i), spec{})
			}
			w.Converge(time.Hour)
			for i := range n {
				key := engineKind.Key("default", resource.Name(fmt.Sprintf("e%d", i)))
				if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", key, setpoint.SignalRequest{Name: needsTuning}); err != nil {
					t.Fatal(err)
				}
			}
			w.Settle()
			kills := 0
			for ; underWay(w) > 0 && kills < 8; kills++ {
				w.Advance(time.Duration(700+150*kills) * time.Millisecond)
				t.Logf("kill %d: %d actions under way, %d effects", kills+1, underWay(w), len(k.Ledger()))
				w.Restart()
			}
			w.Converge(time.Hour)
			if kills < 3 {
				t.Errorf("all was over after %d kills", kills)
			}
			wantEachOnce(t, w, k, n)
		})
	})
}

// underWay counts the actions that have not ended.
func underWay(w *setpointtest.World) (n int) {
	for o := range w.Plane.View().List(engineKind.ID(), "") {
		if o.Action != nil {
			n++
		}
	}
	return n
}

// wantEachOnce fails the test unless each of n actions has succeeded once, with its five effects, under a token each.
func wantEachOnce(t *testing.T, w *setpointtest.World, k *keeper, n int) {
	t.Helper()
	tokens, keys := map[command.Token]int{}, map[string]int{}
	for _, entry := range k.Ledger() {
		tokens[entry.Token]++
		keys[entry.Key]++
	}
	if len(tokens) != 5*n || len(keys) != 5*n || len(k.Ledger()) != 5*n {
		t.Errorf("%d effects on %d keys under %d tokens, want %d of each", len(k.Ledger()), len(keys), len(tokens), 5*n)
	}
	for o := range w.Plane.View().List(engineKind.ID(), "") {
		if o.Last == nil || o.Last.Name != "Tune" || o.Last.Outcome != resource.OutcomeSucceeded || string(o.Status) != `{"runs":1}` {
			t.Errorf("%s ended as %+v with status %s", o.Key, o.Last, o.Status)
		}
	}
}
