package setpointtest

import (
	"testing"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestJudgingADecision: the engine asks the table itself, so that only a wrong engine decides otherwise; this is one.
func TestJudgingADecision(t *testing.T) {
	life := lifecycle.Table{{State: "A", Stable: true, To: lifecycle.To("B")}, {State: "B", Stable: true, To: lifecycle.To("A")}}
	table := decide.Table{
		Signals: []decide.Signal{{Name: "Go"}, {Name: "Noise"}}, Actions: []decide.Action{{Name: "Ride", To: "B"}, {Name: "Walk", To: "B"}},
		Rows: []decide.Row{{When: decide.All("Go"), Guard: "far", Do: "Ride"}, {When: decide.All("Go"), Do: "Walk"}, {When: decide.All("Noise"), Ignore: "noise", Priority: 1}},
	}
	for _, c := range []struct {
		reason   string
		stand    []lifecycle.SignalName
		began    string
		read     []uint64
		consumed []store.SignalID
		far      bool
		want     Judgement
	}{
		{"the action that the table says", []lifecycle.SignalName{"Go"}, "Walk", []uint64{1}, nil, false, ""},
		{"and if the guard holds", []lifecycle.SignalName{"Go"}, "Ride", []uint64{1}, nil, true, ""},
		{"the guard does not hold", []lifecycle.SignalName{"Go"}, "Ride", []uint64{1}, nil, false, JudgedDecision},
		{"nothing stands", nil, "Walk", nil, nil, false, JudgedDecision},
		{"it reads less than it should", []lifecycle.SignalName{"Go", "Go"}, "Walk", []uint64{1}, nil, false, JudgedSignals},
		{"noise is consumed on the way", []lifecycle.SignalName{"Go", "Noise"}, "Walk", []uint64{1}, []store.SignalID{2}, false, ""},
		{"noise goes first, and was left", []lifecycle.SignalName{"Go", "Noise"}, "Walk", []uint64{1}, nil, false, JudgedDecision},
		{"what is to be read is consumed by nobody", []lifecycle.SignalName{"Go"}, "", nil, []store.SignalID{1}, false, JudgedSignals},
	} {
		s := &subject{key: resource.Key{Name: "c000001"}, uid: "fuzz-000001", signals: map[store.SignalID]*seenSignal{}}
		for i, name := range c.stand {
			id := store.SignalID(i + 1)
			s.signals[id] = &seenSignal{Signal: store.Signal{ID: id, Name: name, Revision: 1}}
		}
		for _, id := range c.consumed {
			s.signals[id].consumed = 3
		}
		j := &judge{subject: s, life: life, table: table}
		was := &resource.Object{Meta: resource.Meta{State: "A"}}
		is := was.Clone()
		if c.began != "" {
			is.Action = &resource.Action{Name: c.began, Run: 2, Signals: c.read}
		}
		j.decision(was, is, stepOf(was, is), &sighting{revision: 3, seen: 2, object: is, consumed: c.consumed, guards: map[decide.GuardName]bool{"far": c.far}})
		got := Judgement("")
		if len(j.wrongs) > 0 {
			got = j.wrongs[0].Judgement
		}
		if got != c.want {
			t.Errorf("%s: judged %q, want %q: %v", c.reason, got, c.want, j.wrongs)
		}
	}
}
