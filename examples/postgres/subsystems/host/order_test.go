package host

import (
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
)

// TestALateOperationDoesNotTurnAServerBack: what was decided before a follow, and comes after it, finds the server turned already; by whatever key it comes.
func TestALateOperationDoesNotTurnAServerBack(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	b := l.done(t, "b", standbyWish(a))
	late := map[Verb]subsystem.ApplyRequest{}
	for _, do := range []Verb{Unfollow, Promote, Fence} {
		late[do] = l.call(t, "late "+string(do), Operation{Server: "b", Do: do})
	}
	inspect := l.call(t, "late inspect", Operation{Server: "b", Do: Inspect})
	l.done(t, "later", Operation{Server: "b", Do: Follow, Upstream: a.Address})
	for do, request := range late {
		answer, err := l.Kit().Apply(request)
		if err != nil || answer.Outcome != command.OutcomeRefused || answer.Class != command.Stale || !strings.Contains(answer.Message, "later operation") {
			t.Errorf("a %s from before the follow gave %+v, %v: want it refused as stale", do, answer, err)
		}
	}
	if answer, err := l.Kit().Apply(inspect); err != nil || answer.Outcome != command.OutcomeDone {
		t.Errorf("an inspection, which turns nothing, gave %+v, %v", answer, err)
	}
	if s := l.server("b"); s.fenced() || !s.standby() {
		t.Errorf("b is fenced: %v, a standby: %v; want a standby that is free", s.fenced(), s.standby())
	}
	l.health(t, "b", "streams", streaming)
	options := l.options
	l.end()
	again := begin(t, options)
	again.health(t, "b", "streams", streaming)
	if err := again.server("b").overtaken(order{Intent: late[Unfollow].Intent}); err == nil {
		t.Error("another life of the host does not remember what has turned the server")
	}
	if b = again.done(t, "last", Operation{Server: "b", Do: Promote}); b.Role != Primary {
		t.Errorf("a promotion from after the follow gave %+v", b)
	}
}

func TestOrder(t *testing.T) {
	at := func(incarnation, intent uint64) order { return order{incarnation, intent} }
	for _, c := range []struct {
		reason  string
		o, than order
		want    int
	}{
		{"a later intent is higher", at(1, 8), at(1, 7), 1},
		{"an earlier intent is lower", at(1, 6), at(1, 7), -1},
		{"a repetition is as high as the call it repeats", at(1, 7), at(1, 7), 0},
		{"a restored database is above what it has seen before, whatever the intent", at(2, 1), at(1, 7), 1},
		{"where nothing is known of an incarnation, intents tell", at(0, 8), at(1, 7), 1},
	} {
		if got := c.o.compare(c.than); got != c.want {
			t.Errorf("%s: got %d, want %d", c.reason, got, c.want)
		}
	}
}
