package setpoint_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/internal/testkit/golden"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// door is a lifecycle with a state in which an action runs.
func door() lifecycle.Table {
	return lifecycle.Table{
		{State: "Closed", Healthy: true, Stable: true, To: lifecycle.To("Turning", "Leaving")},
		{State: "Open", Healthy: true, Stable: true, To: lifecycle.To("Turning", "Leaving")},
		{State: "Turning", To: lifecycle.To("Closed", "Open", "Leaving")},
		{State: "Leaving", Deleting: true, To: lifecycle.To("Left")},
		{State: "Left", Final: true},
	}
}

// porter decides for it.
func porter() decide.Table {
	return decide.Table{
		Signals: []decide.Signal{{Name: "Knock", About: "let somebody in"}, {Name: "Alarm", About: "nobody is to come in"}},
		Actions: []decide.Action{
			{Name: "Unlock", Via: "Turning", To: "Open", Else: "Closed", Yield: []decide.SignalName{"Alarm"}}, {Name: "Lock", Via: "Turning", To: "Closed", Else: "Open"},
		},
		Rows: []decide.Row{
			{In: decide.In("Closed"), When: decide.All("Knock"), Do: "Unlock"},
			{In: decide.In("Open"), When: decide.All("Knock"), Ignore: "it is open"},
			{In: decide.In("Open"), When: decide.All("Alarm"), Priority: 9, Do: "Lock"},
			{In: decide.In("Closed"), When: decide.All("Alarm"), Priority: 9, Ignore: "it is closed"},
		},
	}
}

// TestAWrongTableIsRefusedAtRegistration: by the kind's definition and by the plane alike, with the row named and the table drawn.
func TestAWrongTableIsRefusedAtRegistration(t *testing.T) {
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "plane.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	var all strings.Builder
	for _, c := range []struct {
		name, reason string
		wrong        func(lifecycle.Table, *decide.Table)
	}{
		{"shadowed row", "its author believes that it does something", func(_ lifecycle.Table, d *decide.Table) {
			d.Rows = append(d.Rows, decide.Row{In: decide.In("Open"), When: decide.All("Alarm", "Knock"), Do: "Unlock"})
		}},
		{"gap", "an alarm would stand for ever", func(_ lifecycle.Table, d *decide.Table) { d.Rows = d.Rows[:3] }},
		{"state that no action leads to", "no door would ever be open", func(_ lifecycle.Table, d *decide.Table) { d.Actions[0].To, d.Actions[1].Else = "Closed", "Closed" }},
		{"state that the lifecycle does not lead to", "nothing could ever be open", func(l lifecycle.Table, _ *decide.Table) { l[2].To = lifecycle.To("Closed", "Leaving") }},
		{"wrong target", "the database would refuse the transition, at night", func(l lifecycle.Table, _ *decide.Table) {
			l[0].To, l[1].To = lifecycle.To("Open", "Leaving"), lifecycle.To("Turning", "Leaving")
		}},
		{"undeletable", "deletion is asked for at any time", func(l lifecycle.Table, _ *decide.Table) { l[2].To = lifecycle.To("Closed", "Open") }},
		{"chosen again", "it would be unlocked and locked for as long as the alarm stands", func(_ lifecycle.Table, d *decide.Table) { d.Rows[3].Priority, d.Rows[0].Priority = 0, 5 }},
		{"general signal", "Cancel means the same for every kind", func(_ lifecycle.Table, d *decide.Table) { d.Signals[1].Name = "Cancel" }},
	} {
		life, table := door(), porter()
		c.wrong(life, &table)
		_, defined := resource.Define(resource.Options[struct{}, struct{}]{Group: "test.example", Version: "v1", Kind: "Door", Lifecycle: life, Decisions: table})
		kind := &setpoint.Definition{Group: "test.example", Version: "v1", Kind: "Door", Singular: "door", Plural: "doors", Lifecycle: life, Decisions: table}
		_, assembled := setpoint.New(t.Context(), setpoint.Config{Store: store, Kinds: []*setpoint.Definition{kind}})
		if defined == nil || assembled == nil {
			t.Errorf("%s: accepted, though %s: by the kind %v, by the plane %v", c.name, c.reason, defined, assembled)
			continue
		}
		if !strings.HasSuffix(assembled.Error(), defined.Error()) {
			t.Errorf("%s: the plane says %q, and not what the kind says, %q", c.name, assembled, defined)
		}
		all.WriteString("# " + c.name + ": " + c.reason + "\n" + assembled.Error() + "\n\n")
	}
	if _, err := resource.Define(resource.Options[struct{}, struct{}]{Group: "test.example", Version: "v1", Kind: "Door", Lifecycle: door(), Decisions: porter()}); err != nil {
		t.Errorf("the table that the wrong ones are made of is right, but: %v", err)
	}
	golden.Check(t, "decisions_refused.txt", all.String())
}
