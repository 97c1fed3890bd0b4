package alert_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

func TestAThousandObjectsAreOneNoticeAtEveryReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, pager := &receiver{}, &receiver{}
		n := alert.New(alert.Options{Senders: []*alert.Sender{webhook(t, chat, nil), alertmanager(t, pager)}})
		end := run(n)
		var devices sync.WaitGroup
		for i := range 10 {
			devices.Go(func() { fill(t, n.Set, i*100, i*100+100) })
		}
		devices.Wait()
		// Between two looks, which are 5 s apart: at a look's own instant it is open what it sees of what is done there.
		time.Sleep(time.Minute + 2*time.Second)
		wantEvents(t, chat, "raised NoAddress 1000")
		for i := range 999 {
			n.Forget(device(i))
		}
		time.Sleep(time.Minute)
		n.Remove(device(999), "Budget")
		time.Sleep(time.Minute)
		wantEvents(t, chat, "raised NoAddress 1000", "changed NoAddress 1", "cleared NoAddress 0")
		if len(n.Groups()) != 0 {
			t.Errorf("left: %v", n.Groups())
		}
		ended := 0
		for _, q := range pager.requests() {
			for _, p := range decode[[]posted](t, q.body) {
				if p.EndsAt != nil {
					ended++
				}
			}
		}
		if ended == 0 {
			t.Error("the Alertmanager was not told that it cleared")
		}
		wantEnd(t, end, nil)
	})
}

// TestOneOfTwoTells: the other sees the same, says nothing, and tells all that is so when the first is gone.
func TestOneOfTwoTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		silent.Store(true)
		chat := &receiver{}
		n := alert.New(alert.Options{Senders: []*alert.Sender{webhook(t, chat, nil)}, Silent: silent.Load})
		end := run(n)
		fill(t, n.Set, 0, 3)
		time.Sleep(time.Hour)
		wantEvents(t, chat)
		silent.Store(false)
		time.Sleep(time.Minute)
		wantEvents(t, chat, "raised NoAddress 3")
		silent.Store(true)
		n.Forget(device(0))
		n.Forget(device(1))
		time.Sleep(time.Hour)
		wantEvents(t, chat, "raised NoAddress 3")
		silent.Store(false)
		time.Sleep(time.Minute)
		wantEvents(t, chat, "raised NoAddress 3", "raised NoAddress 1")
		wantEnd(t, end, nil)
	})
}

func TestWhatHappenedJustBeforeTheEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, gone := &receiver{}, &receiver{answer: down}
		n := alert.New(alert.Options{Every: time.Hour, Senders: []*alert.Sender{
			webhook(t, chat, nil), webhook(t, gone, func(o *alert.WebhookOptions) { o.Name = "pager" }),
		}})
		end := run(n)
		fill(t, n.Set, 0, 3)
		if err := end(); !errors.Is(err, alert.ErrUnsent) || err.Error() != "sender to pager: not everything was delivered: 1 groups" {
			t.Errorf("Run says %v", err)
		}
		wantEvents(t, chat, "raised NoAddress 3")
	})
}

func TestAGroupIsRepeatedForAsLongAsItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := &receiver{}
		n := alert.New(alert.Options{Rules: alert.Rules{Repeat: time.Hour}, Senders: []*alert.Sender{webhook(t, chat, nil)}})
		end := run(n)
		fill(t, n.Set, 0, 3)
		time.Sleep(150 * time.Minute)
		wantEvents(t, chat, "raised NoAddress 3", "repeated NoAddress 3", "repeated NoAddress 3")
		wantEnd(t, end, nil)
	})
}

var life = lifecycle.Table{
	{State: "Provisioning", Budget: time.Minute, To: lifecycle.To("Available")},
	{State: "Available", Healthy: true, Stable: true, To: lifecycle.To("Draining")},
	{State: "Draining", Healthy: true, Budget: time.Hour, To: lifecycle.To("Available")},
}

// object makes one in a state, with conditions of that status and reason.
func object(state lifecycle.State, adjust func(*resource.Object)) *resource.Object {
	o := &resource.Object{}
	o.Key, o.State = device(1), state
	if adjust != nil {
		adjust(o)
	}
	return o
}

func condition(o *resource.Object, kind string, status resource.Truth, reason, message string) {
	o.SetCondition(resource.Condition{Type: kind, Status: status, Reason: reason, Message: message, Since: epoch})
}

func TestJudge(t *testing.T) {
	late := func(o *resource.Object) { condition(o, resource.Late, resource.True, "BudgetExceeded", "too long") }
	waits := func(class string) func(*resource.Object) {
		return func(o *resource.Object) {
			late(o)
			o.Waits = []resource.Wait{{Controller: "other", Code: "Busy", Class: "Retry"}, {Controller: "devices", Code: "NoCapacity", Message: "none left", Class: class, Since: epoch}}
		}
	}
	halts := func(halt resource.ActionHalt) func(*resource.Object) {
		return func(o *resource.Object) {
			waits("Terminal")(o)
			o.Action = &resource.Action{Name: "promote", Halt: halt, Halted: "the fence was refused", Message: "no time", Since: epoch.Add(-time.Minute),
				Steps: []resource.ActionStep{{Name: "fence", Since: epoch}, {Name: "switch", Since: epoch.Add(-time.Second)}}}
		}
	}
	because := func(reason string) func(*resource.Object) {
		return func(o *resource.Object) {
			late(o)
			condition(o, resource.Ready, resource.False, reason, "the pool is empty")
		}
	}
	for _, c := range []struct {
		reason string
		object *resource.Object
		want   string // source cause severity message, "" for no trouble
	}{
		{"an object that is well", object("Available", nil), ""},
		{"one that is not ready is not in trouble yet", object("Provisioning", func(o *resource.Object) { condition(o, resource.Ready, resource.False, "NoAddress", "") }), ""},
		{"one that has caught up", object("Available", func(o *resource.Object) { condition(o, resource.Late, resource.False, "WithinBudget", "") }), ""},
		{"late in an unhealthy state", object("Provisioning", late), "Budget BudgetExceeded critical too long"},
		{"late in a healthy state that should not last", object("Draining", late), "Budget BudgetExceeded warning too long"},
		{"a state that the table does not know", object("Lost", late), "Budget BudgetExceeded warning too long"},
		{"it is known what it waits for", object("Provisioning", because("NoAddress")), "Budget NoAddress critical too long: the pool is empty"},
		{"a reason that is no code makes no group", object("Provisioning", because("no address for d1")), "Budget BudgetExceeded critical too long: the pool is empty"},
		{"a controller has given up", object("Provisioning", waits("Terminal")), "Failure NoCapacity critical devices: none left"},
		{"a command whose repetitions are over", object("Provisioning", func(o *resource.Object) {
			o.Waits = []resource.Wait{{Controller: "devices", Code: "Exhausted", Message: "no answer", Class: "Ambiguous", Since: epoch}}
		}), "Failure Exhausted critical devices: no answer"},
		{"an action that cannot go on goes before everything", object("Draining", halts(resource.HaltStuck)), "Halt ActionStuck critical promote: the fence was refused"},
		{"one whose steps have changed too", object("Draining", halts(resource.HaltParked)), "Halt ActionParked critical promote: the fence was refused"},
		{"a pause is an operator's own", object("Provisioning", halts(resource.HaltPaused)), "Failure NoCapacity critical devices: none left"},
		{"and one that moves is none", object("Draining", halts("")), "Failure NoCapacity warning devices: none left"},
		{"a step that people want to know of", object("Draining", func(o *resource.Object) { condition(o, resource.Delayed, resource.True, "StepDelayed", "step copy") }), "Delay StepDelayed warning step copy"},
		{"a controller that tries again has not", object("Provisioning", waits("Retry")), "Budget BudgetExceeded critical too long"},
	} {
		got := ""
		if trouble, troubled := alert.Judge(c.object, life); troubled {
			got = string(trouble.Source) + " " + string(trouble.Cause) + " " + string(trouble.Severity) + " " + trouble.Message
			if trouble.Object != device(1) || trouble.State != c.object.State || !trouble.Since.Equal(epoch) {
				t.Errorf("%s: %+v", c.reason, trouble)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestObserveReplacesWhatWasFound(t *testing.T) {
	n := alert.New(alert.Options{})
	late := object("Provisioning", func(o *resource.Object) { condition(o, resource.Late, resource.True, "BudgetExceeded", "") })
	failed := object("Provisioning", func(o *resource.Object) {
		condition(o, resource.Late, resource.True, "BudgetExceeded", "")
		o.Waits = []resource.Wait{{Controller: "devices", Code: "NoCapacity", Class: "Terminal", Since: epoch}}
	})
	other := noAddress(1)
	other.Source = "Sensor"
	if err := n.Set(other); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason string
		object *resource.Object
		want   []alert.Cause
	}{
		{"late", late, []alert.Cause{"BudgetExceeded", "NoAddress"}},
		{"failed, and so no longer counted as late", failed, []alert.Cause{"NoAddress", "NoCapacity"}},
		{"late again", late, []alert.Cause{"BudgetExceeded", "NoAddress"}},
		{"well; what others say of it stays", object("Available", nil), []alert.Cause{"NoAddress"}},
	} {
		if err := n.Observe(c.object, life); err != nil {
			t.Fatal(err)
		}
		var causes []alert.Cause
		for _, g := range n.Groups() {
			causes = append(causes, g.Key.Cause)
		}
		if !slices.Equal(causes, c.want) {
			t.Errorf("%s: %v, want %v", c.reason, causes, c.want)
		}
	}
}
