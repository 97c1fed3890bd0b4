package availability

import (
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// t0 is when every scripted history begins; minute is a time by minutes after it.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }

func minutes(n int) Span { return Of(time.Duration(n) * time.Minute) }

func window(from, to int) Window { return Window{minute(from), minute(to)} }

// database is the lifecycle of the tests. Nothing that was ever healthy comes back to Provisioning.
var database = lifecycle.Table{
	{State: "Provisioning", To: lifecycle.To("Available", "Failed", "Deleting")},
	{State: "Available", Healthy: true, Stable: true, To: lifecycle.To("Unavailable", "Suspended", "Deleting")},
	{State: "Unavailable", To: lifecycle.To("Available", "Promoting", "Suspended", "Failed", "Deleting")},
	{State: "Promoting", To: lifecycle.To("Available", "Unavailable", "Deleting")},
	{State: "Suspended", Stable: true, To: lifecycle.To("Available", "Unavailable", "Deleting")},
	{State: "Failed", Stable: true, To: lifecycle.To("Deleting")},
	{State: "Deleting", Deleting: true, To: lifecycle.To("Deleted")},
	{State: "Deleted", Final: true},
}

func rules(t interface{ Fatal(...any) }, p Policy) Rules {
	r, err := NewRules(database, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func key(name string) resource.Key {
	return resource.Key{Kind: "Database.test", Namespace: "shop", Name: resource.Name(name)}
}

// at is one line of a script: from this minute on the object is in the state; "" is its removal.
type at struct {
	minute int
	state  lifecycle.State
}

// script is a history from the object's creation on.
func script(name string, lines ...at) History {
	h := History{Key: key(name), UID: resource.UID("uid-" + name)}
	var from lifecycle.State
	for i, l := range lines {
		c := Change{Type: Transition, At: minute(l.minute), UID: h.UID, From: from, To: l.state, Reason: "To" + string(l.state), Revision: resource.Revision(i + 1)}
		switch {
		case i == 0:
			c.Type = Created
		case l.state == "":
			c.Type = Removed
		}
		h.Changes, from = append(h.Changes, c), l.state
	}
	return h
}

func life(t *testing.T, lines ...at) Life {
	t.Helper()
	return NewLife(script("one", lines...), rules(t, Policy{}))
}

// standings lists the moments of a life as minute and standing.
type standings map[int]Standing

func standingsOf(l Life) standings {
	s := standings{}
	for _, m := range l.Moments {
		s[int(m.At.Sub(t0)/time.Minute)] = m.Standing
	}
	return s
}
