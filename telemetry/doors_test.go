package telemetry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/availability/survey"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/telemetry"
)

// samples are the lines of the metrics that are listed, sorted.
func samples(t *testing.T, m *telemetry.Metrics, list []telemetry.Metric) (found []string) {
	t.Helper()
	for lines := scan(t, m); lines.Scan(); {
		name, _, _ := strings.Cut(strings.Fields(lines.Text())[0], "{")
		for _, d := range list {
			if d.Name == name {
				found = append(found, lines.Text())
			}
		}
	}
	slices.Sort(found)
	return found
}

func wantSamples(t *testing.T, reason string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", reason, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAlertsAreServed(t *testing.T) {
	refuse := httptest.NewServer(http.NotFoundHandler())
	defer refuse.Close()
	var senders []*alert.Sender
	for range 2 { // two of one name
		s, err := alert.NewWebhook(alert.WebhookOptions{URL: refuse.URL, Delivery: alert.Delivery{Name: "chat"}})
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, s)
	}
	n := alert.New(alert.Options{Senders: senders})
	for _, name := range []resource.Name{"a", "b"} {
		if err := n.Set(alert.Trouble{
			Object: resource.Key{Kind: "Device.test", Namespace: "x", Name: name}, Source: "Budget", Cause: "NoAddress", Severity: alert.Critical, Since: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	m := telemetry.New()
	m.WatchAlerts(n)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ended); err != nil { // it tells what there is, and ends
		t.Fatal(err)
	}
	wantSamples(t, "one group, which both receivers have refused", samples(t, m, telemetry.AlertDefinitions()),
		`setpoint_alert_groups{severity="critical"} 1`, `setpoint_alert_groups{severity="warning"} 0`, `setpoint_alert_groups{severity="info"} 0`,
		`setpoint_alert_objects 2`, `setpoint_alert_pending{receiver="chat"} 0`,
		`setpoint_alert_notices_total{receiver="chat",result="delivered"} 0`, `setpoint_alert_notices_total{receiver="chat",result="refused"} 2`,
		`setpoint_alert_notices_total{receiver="chat",result="failed"} 0`)
}

var databases = &resource.Definition{
	Group: "test", Version: "v1", Kind: "Database", Plural: "databases", Singular: "database",
	Lifecycle: lifecycle.Table{
		{State: "Available", Healthy: true, Stable: true, To: lifecycle.To("Unavailable")},
		{State: "Unavailable", To: lifecycle.To("Available")},
	},
}

// surveyed is a plane with one object, whose history the test writes.
type surveyed struct {
	registry    resource.Registry
	object      *resource.Object
	entries     []store.Entry
	reads       int
	incarnation uint64
	refuse      error
}

func (s *surveyed) Registry() *resource.Registry { return &s.registry }
func (s *surveyed) Position() (resource.Revision, uint64) {
	return resource.Revision(len(s.entries)), s.incarnation
}
func (s *surveyed) Get(resource.Key) (*resource.Object, bool) { return s.object, true }
func (s *surveyed) List(id resource.KindID, _ resource.Namespace) ([]*resource.Object, resource.Revision) {
	if s.object == nil || id != s.object.Kind {
		return nil, 1
	}
	return []*resource.Object{s.object}, 1
}

func (s *surveyed) History(_ context.Context, q store.HistoryQuery) (found []store.Entry, err error) {
	s.reads++
	for _, e := range s.entries {
		if e.Revision > q.After && !e.At.Before(q.Since) && (q.Key == e.Key || q.Kind == e.Key.Kind) {
			found = append(found, e)
		}
	}
	return found[:min(len(found), q.Limit)], s.refuse
}

// enter lets the object be in a state from a time on.
func (s *surveyed) enter(at time.Time, state lifecycle.State) {
	o, e := &resource.Object{}, store.Entry{Type: store.EntryCreated}
	if s.object != nil {
		o, e.Type, e.From = s.object.Clone(), store.EntryTransition, s.object.State
	} else {
		o.Key, o.UID, o.Created = databases.Key("shop", "a"), "a", at
	}
	o.State, o.StateSince = state, at
	e.Revision, e.At, e.Key, e.UID, e.To = resource.Revision(len(s.entries)+1), at, o.Key, o.UID, state
	s.object, s.entries = o, append(s.entries, e)
}

func TestAvailabilityIsServed(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := &surveyed{incarnation: 1}
	notes := &resource.Definition{Group: "test", Version: "v1", Kind: "Note", Plural: "notes", Singular: "note"}
	if err := p.registry.Register(databases, notes); err != nil {
		t.Fatal(err)
	}
	m := telemetry.New()
	m.WatchAvailability(p, telemetry.AvailabilityOptions{Window: 2 * time.Hour, Now: func() time.Time { return now }, Limits: survey.Limits{Changes: 5}})
	const kind = `kind="Database.test"`
	look := func(reason string, reads int, want ...string) {
		t.Helper()
		p.reads = 0
		got := samples(t, m, telemetry.AvailabilityDefinitions())
		wantSamples(t, reason, got, want...)
		if p.reads != reads {
			t.Errorf("%s: the history was read %d times, want %d", reason, p.reads, reads)
		}
	}
	ratio := func(v string) string { return `setpoint_availability_ratio{` + kind + `,namespace="shop"} ` + v }
	recovery := func(quantile, v string) string {
		return `setpoint_recovery_seconds{` + kind + `,quantile="` + quantile + `"} ` + v
	}
	leftOut := func(v string) string { return `setpoint_availability_left_out{` + kind + `} ` + v }

	look("nothing is loaded yet", 0)
	p.enter(now.Add(-time.Hour), "Available")
	look("an object that was never down", 2, leftOut("0"), ratio("1"))
	p.enter(now, "Unavailable")
	look("within a minute it is not asked again", 0, leftOut("0"), ratio("1"))
	now = now.Add(20 * time.Minute) // up 60, down 20
	look("what has been added is read", 1, leftOut("0"), ratio("0.75"))
	now = now.Add(40 * time.Minute) // up 60, down 60
	look("nothing has happened: nothing is read, and time goes on", 0, leftOut("0"), ratio("0.5"))
	p.enter(now, "Available")
	now = now.Add(30 * time.Minute) // the window begins 30 after the creation: up 30+30, down 60
	look("a recovery after an hour", 1, leftOut("0"), ratio("0.5"), recovery("0.5", "3600"), recovery("0.99", "3600"))
	p.enter(now, "Unavailable")
	p.refuse = errors.New("away")
	now = now.Add(time.Minute)
	look("a database that is away: no figures", 1, leftOut("1"))
	p.refuse = nil
	now = now.Add(59 * time.Minute) // of the last 120 minutes it was down for 30, up for 30, and down for 60
	look("and back", 1, leftOut("0"), ratio("0.25"), recovery("0.5", "3600"), recovery("0.99", "3600"))
	p.incarnation = 2
	now = now.Add(time.Minute)
	look("a restored database is read anew", 3, leftOut("0"), ratio("0.25"), recovery("0.5", "3600"), recovery("0.99", "3600"))
	for i := range 6 {
		p.enter(now, lifecycle.State([]string{"Available", "Unavailable"}[i%2]))
	}
	now = now.Add(time.Minute)
	look("more transitions than may be read", 1, leftOut("1"))
	now = now.Add(10 * time.Minute)
	look("for an hour nobody asks", 0, leftOut("1"))
}

// TestDefinitionsOfTheDoors: what is served of alerts and availability is described like the rest.
func TestDefinitionsOfTheDoors(t *testing.T) {
	for _, d := range slices.Concat(telemetry.AlertDefinitions(), telemetry.AvailabilityDefinitions()) {
		if d.Help == "" || d.Use == "" || !strings.HasPrefix(d.Name, "setpoint_") {
			t.Errorf("%+v: want a name, a help and a use", d)
		}
	}
}
