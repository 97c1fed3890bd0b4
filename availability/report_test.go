package availability

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
)

// story is the life that most cases look at. By hand, in minutes:
//
//	0 Provisioning (pending) 10 Available (up) 40 Unavailable (down) 44 Promoting (down) 50 Available (up)
//	80 Unavailable (down) 82 Available (up) 100 Unavailable (down) 130 Deleting (does not count) 140 Deleted, removed
var story = []at{{0, "Provisioning"}, {10, "Available"}, {40, "Unavailable"}, {44, "Promoting"}, {50, "Available"},
	{80, "Unavailable"}, {82, "Available"}, {100, "Unavailable"}, {130, "Deleting"}, {140, "Deleted"}, {140, ""}}

// figures are those of a report, in minutes. Outages are written as "start-end outcome length/down".
type figures struct {
	up, down, uncounted, unknown int
	availability                 string
	outages                      []outage
	longest                      int
	recovered, mean, p50, p99    int
	between                      int
}

type outage struct {
	start, end   int // end -1: none
	outcome      Outcome
	length, down int
}

func TestReportsByHand(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		window       Window
		want         figures
	}{
		// Up 10–40, 50–80, 82–100 = 30+30+18 = 78; down 40–50, 80–82, 100–130 = 10+2+30 = 42; the rest, 10+20, does not count.
		// 78/120 = 65%. Recovered: 10 and 2: mean 6; the 1st of 2 is the median, the 2nd p99; 78/2 = 39 between failures.
		{"whole", "from before the creation to after the removal", window(0, 150), figures{78, 42, 30, 0, "65%",
			[]outage{{40, 50, Recovered, 10, 10}, {80, 82, Recovered, 2, 2}, {100, 130, Gone, 30, 30}}, 30, 2, 6, 2, 10, 39}},
		// Not there before 0: 30 minutes more that do not count. Up 10–20.
		{"createdWithin", "an object created in mid-window is judged by the time it had", window(-30, 20), figures{10, 0, 40, 0, "100%",
			[]outage{}, 0, 0, 0, 0, 0, 0}},
		// Down 45–50 = 5, up 50–60 = 10: 10/15. The outage is 10 long, 5 of it in the window.
		{"intoRecovery", "an outage that began before the window has its whole length as time to recovery", window(45, 60), figures{10, 5, 0, 0, "66.6666%",
			[]outage{{40, 50, Recovered, 10, 5}}, 10, 1, 10, 10, 10, 10}},
		// Up 70–80 = 10 and 82–100 = 18, down 80–82 and 100–120 = 22: 28/50 = 56%.
		{"open", "an outage that goes on after the window is open, whatever comes of it", window(70, 120), figures{28, 22, 0, 0, "56%",
			[]outage{{80, 82, Recovered, 2, 2}, {100, -1, Open, 20, 20}}, 20, 1, 2, 2, 2, 28}},
		// Down 110–130, deleting 130–135.
		{"removedWithin", "who gives up in mid-outage has not recovered", window(110, 135), figures{0, 20, 5, 0, "0%",
			[]outage{{100, 130, Gone, 30, 20}}, 30, 0, 0, 0, 0, 0}},
		// The recovery at 50 is that of the window that ends there, not of the one that begins there.
		{"endsAtRecovery", "a recovery at the end of the window belongs to it", window(40, 50), figures{0, 10, 0, 0, "0%",
			[]outage{{40, 50, Recovered, 10, 10}}, 10, 1, 10, 10, 10, 0}},
		{"beginsAtRecovery", "and not to the next", window(50, 80), figures{30, 0, 0, 0, "100%", []outage{}, 0, 0, 0, 0, 0, 0}},
		{"empty", "no time, no data", window(45, 45), figures{0, 0, 0, 0, "no data", []outage{}, 0, 0, 0, 0, 0, 0}},
		{"inverted", "a window that ends before it begins is empty", window(50, 45), figures{0, 0, 0, 0, "no data", []outage{}, 0, 0, 0, 0, 0, 0}},
		{"before", "an object that was not there is neither up nor down", window(-20, -10), figures{0, 0, 10, 0, "no data", []outage{}, 0, 0, 0, 0, 0, 0}},
		{"after", "nor one that is gone", window(150, 160), figures{0, 0, 10, 0, "no data", []outage{}, 0, 0, 0, 0, 0, 0}},
	} {
		check(t, c.name, c.reason, life(t, story...).Report(c.window), c.want)
	}
}

// check compares a report with figures.
func check(t *testing.T, name, reason string, r Report, want figures) {
	t.Helper()
	got := figures{
		up: inMinutes(t, r.Up), down: inMinutes(t, r.Down), uncounted: inMinutes(t, r.Uncounted), unknown: inMinutes(t, r.Unknown),
		availability: r.Availability.String(), longest: inMinutes(t, r.Longest), recovered: r.Recovery.Count,
		mean: inMinutes(t, r.Recovery.Mean), p50: inMinutes(t, r.Recovery.P50), p99: inMinutes(t, r.Recovery.P99), between: inMinutes(t, r.Recovery.Between),
	}
	for _, o := range r.Outages {
		x := outage{int(o.Start.Sub(t0) / time.Minute), -1, o.Outcome, inMinutes(t, o.Length), inMinutes(t, o.Down)}
		if !o.End.IsZero() {
			x.end = int(o.End.Sub(t0) / time.Minute)
		}
		got.outages = append(got.outages, x)
	}
	same := slices.Equal(got.outages, want.outages)
	got.outages, want.outages = nil, nil
	if g, w := []any{got.up, got.down, got.uncounted, got.unknown, got.availability, got.longest, got.recovered, got.mean, got.p50, got.p99, got.between},
		[]any{want.up, want.down, want.uncounted, want.unknown, want.availability, want.longest, want.recovered, want.mean, want.p50, want.p99, want.between}; !slices.Equal(g, w) || !same {
		t.Errorf("%s: got\n%v\n%s\nwant %v, as %s", name, g, r, w, reason)
	}
}

func inMinutes(t *testing.T, s Span) int {
	t.Helper()
	if s.Duration()%time.Minute != 0 {
		t.Errorf("%s is no whole number of minutes", s)
	}
	return int(s.Duration() / time.Minute)
}

// TestOneInstant: a nanosecond is a window like any other.
func TestOneInstant(t *testing.T) {
	l := life(t, story...)
	for _, c := range []struct {
		reason     string
		from       time.Time
		up, down   time.Duration
		percentage string
	}{
		{"the instant before the outage is up", minute(40).Add(-1), 1, 0, "100%"},
		{"the instant in which it begins is down", minute(40), 0, 1, "0%"},
		{"the instant of the recovery is up", minute(50), 1, 0, "100%"},
	} {
		r := l.Report(Window{c.from, c.from.Add(1)})
		if r.Up != Of(c.up) || r.Down != Of(c.down) || r.Availability.String() != c.percentage {
			t.Errorf("%s: got %s", c.reason, r)
		}
	}
}

func TestOutagesThatPause(t *testing.T) {
	// Down 5–10, suspended 10–20, down 20–23, up from 23: one outage from 5 to 23, 8 minutes long. Up 0–5 and 23–30 = 12.
	h := script("one", at{0, "Available"}, at{5, "Unavailable"}, at{10, "Suspended"}, at{20, "Unavailable"}, at{23, "Available"})
	r := NewLife(h, rules(t, Policy{Ignore: lifecycle.To("Suspended")})).Report(window(0, 30))
	check(t, "suspended", "time that does not count is not part of an outage, and does not end it", r,
		figures{12, 8, 10, 0, "60%", []outage{{5, 23, Recovered, 8, 8}}, 8, 1, 8, 8, 8, 12})
	// Of 12–22 only 20–22 is down; the outage is 5+2 long so far.
	r = NewLife(h, rules(t, Policy{Ignore: lifecycle.To("Suspended")})).Report(window(12, 22))
	check(t, "pausedWindow", "a window may begin in the pause", r,
		figures{0, 2, 8, 0, "0%", []outage{{5, -1, Open, 7, 2}}, 7, 0, 0, 0, 0, 0})
	// Down 5–10, suspended 10–20, up 20–30: in 12–30 it recovers, after 5 minutes down, none of them in the window.
	h = script("one", at{0, "Available"}, at{5, "Unavailable"}, at{10, "Suspended"}, at{20, "Available"})
	r = NewLife(h, rules(t, Policy{Ignore: lifecycle.To("Suspended")})).Report(window(12, 30))
	check(t, "recoveredFromPause", "the recovery is in the window, though none of the time down is", r,
		figures{10, 0, 8, 0, "100%", []outage{{5, 20, Recovered, 5, 0}}, 5, 1, 5, 5, 5, 10})
	// Down 5–8 and 8–12: healthy for no time in between is no recovery.
	r = life(t, at{0, "Available"}, at{5, "Unavailable"}, at{8, "Available"}, at{8, "Unavailable"}, at{12, "Available"}).Report(window(0, 20))
	check(t, "noTimeUp", "what takes no time ends no outage", r, figures{13, 7, 0, 0, "65%", []outage{{5, 12, Recovered, 7, 7}}, 7, 1, 7, 7, 7, 13})
}

func TestWhatBeganAnOutage(t *testing.T) {
	h := script("one", story...)
	h.Changes[2].Cause = "host-7 does not answer"
	o := NewLife(h, rules(t, Policy{})).Report(window(0, 60)).Outages[0]
	if !slices.Equal(o.Path, lifecycle.To("Unavailable", "Promoting")) || o.Reason != "ToUnavailable" || o.Cause != "host-7 does not answer" || o.Revision != 3 || o.Truncated {
		t.Errorf("got %+v", o)
	}
	if o := NewLife(h, rules(t, Policy{})).Report(window(0, 44)).Outages[0]; !slices.Equal(o.Path, lifecycle.To("Unavailable")) {
		t.Errorf("a state that is entered at the window's end is not in it, got %v", o.Path)
	}
	cut := NewLife(History{Changes: h.Changes[3:]}, rules(t, Policy{})).Report(window(0, 60))
	// Known from 44 on: unknown 0–44, down 44–50, up 50–60.
	check(t, "cut", "what is before the first change left is unknown", cut,
		figures{10, 6, 44, 44, "62.5%", []outage{{44, 50, Recovered, 6, 6}}, 6, 1, 6, 6, 6, 10})
	if !cut.Outages[0].Truncated || cut.Caveats.Cut != 1 {
		t.Errorf("the outage had begun before 44, and nobody is told: %+v", cut)
	}
}

// TestPercentiles: a hundred outages of 1 to 100 minutes. By nearest rank the 50th is 50 minutes long, the 99th 99.
func TestPercentiles(t *testing.T) {
	lines, now := []at{{0, "Available"}}, 0
	for i := range 100 {
		now += 10
		lines = append(lines, at{now, "Unavailable"})
		now += (i*37)%100 + 1 // each length once, mixed
		lines = append(lines, at{now, "Available"})
	}
	// 5,050 minutes of outages, 10 minutes up before each.
	r := life(t, lines...).Report(window(0, now)).Recovery
	want := Recovery{Count: 100, Mean: Of(50*time.Minute + 30*time.Second), P50: minutes(50), P99: minutes(99), Longest: minutes(100), Between: minutes(10)}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func TestReportJSON(t *testing.T) {
	data, err := json.Marshal(life(t, story...).Report(window(45, 60)))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"object":{"kind":"Database.test","namespace":"shop","name":"one"},"uid":"uid-one",` +
		`"window":{"from":"2026-03-01T12:45:00Z","to":"2026-03-01T13:00:00Z"},"availability":0.6666666666666666,"up":600,"down":300,"uncounted":0,"unknown":0,` +
		`"outages":[{"start":"2026-03-01T12:40:00Z","end":"2026-03-01T12:50:00Z","outcome":"recovered","length":600,"down":300,` +
		`"path":["Unavailable","Promoting"],"reason":"ToUnavailable","revision":3}],"longest":600,` +
		`"recovery":{"count":1,"mean":600,"p50":600,"p99":600,"longest":600,"between":600}}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != want {
		t.Errorf("read and written again: %s, %v", again, err)
	}
}

func TestReportText(t *testing.T) {
	const want = `Database.test/shop/one: 56% from 2026-03-01T13:10:00Z to 2026-03-01T14:00:00Z (up 28m, down 22m, uncounted 0s, unknown 0s of it)
recovered 1×: MTTR 2m, p50 2m, p99 2m, MTBF 28m
START                 LENGTH  OUTCOME    PATH         REASON         CAUSE
2026-03-01T13:20:00Z  2m      recovered  Unavailable  ToUnavailable  -
2026-03-01T13:40:00Z  20m     open       Unavailable  ToUnavailable  -
note: changes with an earlier time than the one before; taken as simultaneous: 1
`
	r := life(t, story...).Report(window(70, 120))
	r.Caveats.Clamped = 1
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
