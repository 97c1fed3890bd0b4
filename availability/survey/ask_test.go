package survey_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/availability/survey"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// figures are "objects: up/down/unknown minutes, outages with their lengths, ≥ for those whose beginning is not known".
func figures(a survey.Answer) string {
	var b strings.Builder
	for _, g := range a.Groups {
		fmt.Fprintf(&b, "%d: %s/%s/%s outages %d recovered %d longest %s", g.Objects, g.Up, g.Down, g.Unknown, g.Outages, g.Recovery.Count, g.Longest)
	}
	for _, r := range a.Reports {
		fmt.Fprintf(&b, "[%s %s/%s/%s", r.UID, r.Up, r.Down, r.Unknown)
		for _, o := range r.Outages {
			mark := ""
			if o.Truncated {
				mark = "≥"
			}
			fmt.Fprintf(&b, " %s%s", mark, o.Length)
		}
		b.WriteString("]")
	}
	if a.LeftOut > 0 {
		fmt.Fprintf(&b, " left out %d", a.LeftOut)
	}
	return b.String()
}

// shop is a plane with three objects in two namespaces: a is down 30–40 and 90–100, b is down from 50 to 110, c was removed at 70.
func shop() *plane {
	return newPlane().
		at(0, "shop", "a", "a", "Provisioning").at(0, "shop", "b", "b", "Provisioning").at(0, "web", "c", "c", "Provisioning").
		at(10, "shop", "a", "a", "Available").at(10, "shop", "b", "b", "Available").at(10, "web", "c", "c", "Available").
		at(30, "shop", "a", "a", "Unavailable").at(40, "shop", "a", "a", "Available").at(50, "shop", "b", "b", "Unavailable").
		at(60, "web", "c", "c", "Deleting").at(70, "web", "c", "c", "").
		at(90, "shop", "a", "a", "Unavailable").at(100, "shop", "a", "a", "Available").at(110, "shop", "b", "b", "Available")
}

func TestAsk(t *testing.T) {
	mustRegister(t)
	window := func(from, to int) availability.Window { return availability.Window{From: minute(from), To: minute(to)} }
	namesakes := func() *plane {
		return newPlane().at(0, "shop", "a", "old", "Available").at(20, "shop", "a", "old", "Deleting").at(20, "shop", "a", "old", "").
			at(40, "shop", "a", "new", "Available").at(50, "shop", "a", "new", "Unavailable")
	}
	for _, c := range []struct {
		reason  string
		plane   *plane
		q       survey.Question
		want    string
		queries int
	}{
		// a: up 10–30, 40–90, 100–120 = 90, down 20. b: up 10–50, 110–120 = 50, down 60. c: up 10–60.
		{"everything, from the beginning on", shop(), survey.Question{Window: window(0, 120)}, "3: 3h10m/1h20m/0s outages 3 recovered 3 longest 1h", 2},
		{"one namespace", shop(), survey.Question{Namespace: "web", Window: window(0, 120)}, "1: 50m/0s/0s outages 0 recovered 0 longest 0s", 2},
		// From 80: a is up 80–90 and 100–120, down 10; b is down 80–110 of 60, up 10. Where b was at 80 it takes one more question to know.
		{"from the middle of an outage on, which has its whole length", shop(), survey.Question{Window: window(80, 120)}, "2: 40m/40m/0s outages 2 recovered 2 longest 1h", 3},
		{"an object that has not moved within the window says itself where it is", shop(), survey.Question{Namespace: "shop", Window: window(111, 120)}, "2: 18m/0s/0s outages 0 recovered 0 longest 0s", 2},
		{"before everything", shop(), survey.Question{Window: window(-20, -10)}, "", 2},
		{"who came after the window is not in it, and its end is not the present", shop(), survey.Question{Window: window(0, 35)}, "3: 1h10m/5m/0s outages 1 recovered 0 longest 5m", 2},
		{"an object that was up all the time, between two transitions long before and after", shop(), survey.Question{Namespace: "shop", Name: "a", Window: window(45, 85)}, "[a 40m/0s/0s]", 2},
		{"one object", shop(), survey.Question{Namespace: "shop", Name: "b", Window: window(80, 120)}, "[b 10m/30m/0s 1h]", 2},
		{"one that is gone", shop(), survey.Question{Namespace: "web", Name: "c", Window: window(0, 120)}, "[c 50m/0s/0s]", 2},
		{"namesakes are told apart", namesakes(), survey.Question{Namespace: "shop", Name: "a", Window: window(0, 60)}, "[old 20m/0s/0s][new 10m/10m/0s 10m]", 2},
		{"and left out when they are not in the window", namesakes(), survey.Question{Namespace: "shop", Name: "a", Window: window(30, 60)}, "[new 10m/10m/0s 10m]", 2},
		// What is left begins with the transition of a at 90. From then on: a is down 10 and up 20; b is down 20, for at least that, and up 10.
		{"a history that was cut is known from its oldest line on, and no further", shop().forget(80), survey.Question{Namespace: "shop", Window: window(60, 120)},
			"2: 30m/30m/1h outages 2 recovered 2 longest 20m", 3},
		{"the same of one object", shop().forget(80), survey.Question{Namespace: "shop", Name: "b", Window: window(60, 120)}, "[b 10m/20m/30m ≥20m]", 2},
		{"a limit of objects", shop(), survey.Question{Window: window(0, 120), Limits: survey.Limits{Objects: 1}}, "1: 1h30m/20m/0s outages 2 recovered 2 longest 10m left out 2", 2},
		{"a limit of look-ups: the outage counts from the window's beginning", shop().at(120, "shop", "z", "z", "Available").at(121, "shop", "a", "a", "Unavailable"),
			survey.Question{Namespace: "shop", Window: window(95, 120), Limits: survey.Limits{Lookups: 1}}, "2: 30m/20m/0s outages 2 recovered 2 longest 15m", 3},
	} {
		q := c.q
		q.Kind = kind
		a, err := survey.Ask(t.Context(), c.plane, q)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if got := figures(a); got != c.want || len(c.plane.asked) != c.queries {
			t.Errorf("%s: %s by %d queries, want %s by %d", c.reason, got, len(c.plane.asked), c.want, c.queries)
		}
	}
}

func TestAskRefuses(t *testing.T) {
	mustRegister(t)
	w := availability.Window{From: minute(0), To: minute(120)}
	down := errors.New("the database is away")
	away := shop()
	away.refuse = down
	for _, c := range []struct {
		reason string
		plane  *plane
		q      survey.Question
		want   error
	}{
		{"nobody ever had the name", shop(), survey.Question{Kind: kind, Namespace: "shop", Name: "nobody", Window: w}, store.ErrNotFound},
		{"a kind without states", shop(), survey.Question{Kind: &resource.Definition{Kind: "Note"}, Window: w}, survey.ErrNoLifecycle},
		{"a grouping that there is not", shop(), survey.Question{Kind: kind, Window: w, By: "colour"}, availability.ErrGrouping},
		{"more transitions than may be read", shop(), survey.Question{Kind: kind, Window: w, Limits: survey.Limits{Changes: 5}}, survey.ErrTooMuch},
		{"a database that does not answer", away, survey.Question{Kind: kind, Window: w}, down},
	} {
		if _, err := survey.Ask(t.Context(), c.plane, c.q); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.reason, err, c.want)
		}
	}
}

func TestPeriods(t *testing.T) {
	now := minute(100)
	for _, c := range []struct {
		reason string
		p      survey.Period
		want   string // "from to" in minutes, or what the error says
	}{
		{"nothing is named", survey.Period{}, "-43100 100"},
		{"a length", survey.Period{Length: time.Hour}, "40 100"},
		{"a beginning", survey.Period{From: minute(30)}, "30 100"},
		{"an end", survey.Period{To: minute(90)}, "-43110 90"},
		{"a beginning and a length", survey.Period{From: minute(30), Length: time.Hour}, "30 90"},
		{"an end and a length", survey.Period{To: minute(90), Length: time.Hour}, "30 90"},
		{"both ends", survey.Period{From: minute(10), To: minute(20)}, "10 20"},
		{"too much", survey.Period{From: minute(10), To: minute(20), Length: time.Minute}, "both ends and a length"},
		{"the future", survey.Period{To: minute(101)}, "leave the end out"},
		{"the future, by its length", survey.Period{From: minute(50), Length: time.Hour}, "would end at"},
		{"backwards", survey.Period{From: minute(20), To: minute(10)}, "exchange them"},
		{"a length below zero", survey.Period{Length: -1}, "want more than 0"},
	} {
		w, err := c.p.Window(now)
		got := fmt.Sprint(int(w.From.Sub(t0)/time.Minute), " ", int(w.To.Sub(t0)/time.Minute))
		if err != nil {
			got = err.Error()
			if !errors.Is(err, survey.ErrPeriod) && !errors.Is(err, availability.ErrWindow) {
				t.Errorf("%s: %v is no sentinel", c.reason, err)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.reason, got, c.want)
		}
	}
}

func TestLengths(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "2w": 336 * time.Hour, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "10s": 10 * time.Second,
		"": 0, "d": 0, "-1d": 0, "0d": 0, "1.5d": 0, "soon": 0, "-1h": 0, "0s": 0, "999999999999d": 0, "1 year": 0,
	} {
		d, err := survey.ParseLength(text)
		if d != want || (err == nil) != (want > 0) || err != nil && !errors.Is(err, survey.ErrLength) {
			t.Errorf("%q: %v %v, want %v", text, d, err, want)
		}
	}
}
