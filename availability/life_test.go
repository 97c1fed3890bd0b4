package availability

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

func TestStandings(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		policy       Policy
		lines        []at
		want         standings
	}{
		{"whole", "the customer has it from the first healthy state to the wish to have it gone", Policy{},
			[]at{{0, "Provisioning"}, {5, "Available"}, {9, "Unavailable"}, {12, "Available"}, {20, "Deleting"}, {22, "Deleted"}, {22, ""}},
			standings{0: Pending, 5: Up, 9: Down, 12: Up, 20: Ending, 22: Absent}},
		{"neverHealthy", "what the customer never had is not an outage", Policy{},
			[]at{{0, "Provisioning"}, {5, "Failed"}}, standings{0: Pending, 5: Pending}},
		{"fromCreation", "a kind may promise to be there at once", Policy{FromCreation: true},
			[]at{{0, "Provisioning"}, {5, "Available"}}, standings{0: Down, 5: Up}},
		{"ignored", "the customer asked for it to be suspended", Policy{Ignore: lifecycle.To("Suspended")},
			[]at{{0, "Provisioning"}, {5, "Available"}, {6, "Suspended"}, {9, "Available"}}, standings{0: Pending, 5: Up, 6: Ignored, 9: Up}},
		{"notIgnored", "without a policy an unhealthy state is down", Policy{},
			[]at{{0, "Provisioning"}, {5, "Available"}, {6, "Suspended"}}, standings{0: Pending, 5: Up, 6: Down}},
		{"ignoredHealthy", "an ignored healthy state does not count and yet ends the waiting", Policy{Ignore: lifecycle.To("Available")},
			[]at{{0, "Provisioning"}, {5, "Available"}, {6, "Unavailable"}}, standings{0: Pending, 5: Ignored, 6: Down}},
		{"strange", "a state of an older version of the kind has no meaning any more", Policy{},
			[]at{{0, "Provisioning"}, {5, "Available"}, {6, "Wobbly"}, {8, "Unavailable"}}, standings{0: Pending, 5: Up, 6: Unknown, 8: Down}},
	} {
		l := NewLife(script("one", c.lines...), rules(t, c.policy))
		if got := standingsOf(l); !maps.Equal(got, c.want) || l.Before != Absent {
			t.Errorf("%s: got %v after %s, want %v, as %s", c.name, got, l.Before, c.want, c.reason)
		}
	}
}

func TestIncompleteHistories(t *testing.T) {
	whole := script("one", at{0, "Provisioning"}, at{5, "Available"}, at{9, "Unavailable"}, at{12, "Available"}).Changes
	for _, c := range []struct {
		name, reason string
		history      History
		before       Standing
		want         standings
		caveats      Caveats
	}{
		{"cut", "before the first change that is left nothing is known", History{Changes: whole[2:]},
			Unknown, standings{9: Down, 12: Up}, Caveats{Cut: 1}},
		{"cutYoung", "Provisioning is before any health, also when it is the first that is known", History{Changes: []Change{
			{Type: Transition, At: minute(3), From: "New", To: "Provisioning"}, {Type: Transition, At: minute(4), From: "Provisioning", To: "Failed"}}},
			Unknown, standings{3: Pending, 4: Pending}, Caveats{Cut: 1}},
		{"cutWithBirth", "the object says when it was created: before that it was not there",
			History{Changes: whole[2:], Now: Present{Created: minute(0), State: "Available", Since: minute(12)}},
			Absent, standings{0: Unknown, 9: Down, 12: Up}, Caveats{Cut: 1}},
		{"cutWithHole", "a hole stays where it is", History{Changes: []Change{whole[2], {Type: Transition, At: minute(12), From: "Suspended", To: "Available"}},
			Now: Present{Created: minute(0), State: "Available", Since: minute(12)}}, Absent, standings{0: Unknown, 9: Unknown, 12: Up}, Caveats{Cut: 1, Missing: 1}},
		{"kept", "no change since the retention's edge: it was in the state that the first change left", History{Changes: whole[2:], Kept: minute(6)},
			Unknown, standings{6: Up, 9: Down, 12: Up}, Caveats{Cut: 1}},
		{"keptWhole", "retention does not matter to a history that reaches back", History{Changes: whole, Kept: minute(-9)},
			Absent, standings{0: Pending, 5: Up, 9: Down, 12: Up}, Caveats{}},
		{"forgotten", "nothing is left of the history, but the object says since when it is well",
			History{Now: Present{Created: minute(0), State: "Available", Since: minute(12)}}, Absent, standings{0: Unknown, 12: Up}, Caveats{Cut: 1}},
		{"neverMoved", "an object in its first state has its whole history in itself",
			History{Now: Present{Created: minute(2), State: "Available", Since: minute(2)}}, Absent, standings{2: Up}, Caveats{}},
		{"hole", "between Unavailable and the change that does not begin there anything may have happened",
			History{Changes: []Change{whole[0], whole[1], whole[3]}}, Absent, standings{0: Pending, 5: Unknown, 12: Up}, Caveats{Missing: 1}},
		{"holeBeforeHealth", "in the hole it may have become healthy, so what follows counts", History{Changes: []Change{whole[0], whole[2], whole[3]}},
			Absent, standings{0: Unknown, 9: Down, 12: Up}, Caveats{Missing: 1}},
		{"healthyAtHole", "it had been healthy before the hole, so what follows counts, even in the state that all begin in", History{Changes: []Change{whole[0], whole[1],
			{Type: Transition, At: minute(8), From: "Failed", To: "Provisioning"}}}, Absent, standings{0: Pending, 5: Unknown, 8: Down}, Caveats{Missing: 1}},
		{"strangeBeforeHealth", "a state without a meaning may have been healthy", History{Changes: []Change{whole[0],
			{Type: Transition, At: minute(3), From: "Provisioning", To: "Wobbly"}, {Type: Transition, At: minute(6), From: "Wobbly", To: "Unavailable"}}},
			Absent, standings{0: Pending, 3: Unknown, 6: Down}, Caveats{Strange: 1}},
		{"newerObject", "the history was read before the object's last transition", History{Changes: whole[:2], Now: Present{Created: minute(0), State: "Unavailable", Since: minute(9)}},
			Absent, standings{0: Pending, 5: Up, 9: Down}, Caveats{}},
		{"goneMeanwhile", "the object was read before it was removed", History{Changes: script("one", at{0, "Available"}, at{5, "Deleting"}, at{6, "Deleted"}, at{6, ""}).Changes,
			Now: Present{Created: minute(0), State: "Deleting", Since: minute(7)}}, Absent, standings{0: Up, 5: Ending, 6: Absent}, Caveats{}},
		{"newerHistory", "the object was read before its last change", History{Changes: whole, Now: Present{Created: minute(0), State: "Unavailable", Since: minute(9)}},
			Absent, standings{0: Pending, 5: Up, 9: Down, 12: Up}, Caveats{}},
		{"nothing", "nothing is known, and nothing said", History{}, Absent, standings{}, Caveats{}},
		{"otherEntries", "events and signals are no changes", History{Changes: []Change{whole[0], {Type: "Event", At: minute(2)}, whole[1], {Type: "Signal", At: minute(7)}}},
			Absent, standings{0: Pending, 5: Up}, Caveats{}},
	} {
		l := NewLife(c.history, rules(t, Policy{}))
		if got := standingsOf(l); !maps.Equal(got, c.want) || l.Before != c.before || l.Caveats != c.caveats {
			t.Errorf("%s: got %v after %s with %+v, want %v after %s with %+v, as %s",
				c.name, got, l.Before, l.Caveats, c.want, c.before, c.caveats, c.reason)
		}
	}
}

// TestClocksOfTwoNodes: the node that committed the recovery is two minutes behind.
func TestClocksOfTwoNodes(t *testing.T) {
	l := life(t, at{0, "Available"}, at{10, "Unavailable"}, at{8, "Available"}, at{20, "Unavailable"}, at{25, "Available"})
	if l.Caveats != (Caveats{Clamped: 1}) {
		t.Errorf("caveats %+v, want one clamped change", l.Caveats)
	}
	// The first outage begins and ends at 10, so it takes no time and is none. Up 0–20 and 25–30, down 20–25.
	r := l.Report(window(0, 30))
	if r.Up != minutes(25) || r.Down != minutes(5) || len(r.Outages) != 1 {
		t.Errorf("got %s", r)
	}
}

func TestNamesakes(t *testing.T) {
	first := script("one", at{0, "Available"}, at{4, "Deleting"}, at{5, "Deleted"}, at{5, ""})
	second := script("one", at{7, "Available"}, at{9, "Unavailable"})
	h := History{Key: key("one"), UID: "second", Now: Present{Created: minute(7), State: "Unavailable", Since: minute(9)}}
	h.Changes = append(h.Changes, first.Changes...)
	for _, c := range second.Changes {
		c.UID = "second"
		h.Changes = append(h.Changes, c)
	}
	var got []resource.UID
	lives := Lives(h, rules(t, Policy{}))
	for _, l := range lives {
		got = append(got, l.UID)
	}
	if !slices.Equal(got, []resource.UID{"uid-one", "second"}) {
		t.Fatalf("lives of %v", got)
	}
	if want := (standings{0: Up, 4: Ending, 5: Absent}); !maps.Equal(standingsOf(lives[0]), want) {
		t.Errorf("the first is %v, want %v: it knows nothing of its namesake", standingsOf(lives[0]), want)
	}
	if want := (standings{7: Up, 9: Down}); !maps.Equal(standingsOf(lives[1]), want) {
		t.Errorf("the second is %v, want %v", standingsOf(lives[1]), want)
	}
	h.Changes = nil
	if lives = Lives(h, rules(t, Policy{})); len(lives) != 1 || lives[0].UID != "second" || lives[0].Before != Absent {
		t.Errorf("without any history left there is the one that exists, got %+v", lives)
	}
}

func TestKindsWithoutStates(t *testing.T) {
	r, err := NewRules(nil, Policy{})
	if err != nil {
		t.Fatal(err)
	}
	l := NewLife(script("one", at{0, ""}), r)
	if got := l.Report(window(0, 10)); got.Uncounted != minutes(10) || !got.Unknown.IsZero() || got.Availability != (Ratio{}) {
		t.Errorf("nothing counts of a kind without states, got %s", got)
	}
}

func TestErrors(t *testing.T) {
	_, policy := NewRules(database, Policy{Ignore: lifecycle.To("Suspnded")})
	_, before := Between(minute(1), minute(0))
	_, long := Between(time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	_, by := GroupBy(nil, "colour", 1)
	for _, c := range []struct {
		reason    string
		got, want error
		names     string
	}{
		{"a policy for a state that does not exist is a mistyped one", policy, ErrPolicy, `"Suspnded"`},
		{"a window cannot end before it begins", before, ErrWindow, "2026-03-01T12:01:00Z"},
		{"differences of times end at 292 years", long, ErrWindow, "292 years"},
		{"only what keys contain can be grouped by", by, ErrGrouping, "[all kind namespace]"},
	} {
		if !errors.Is(c.got, c.want) || !strings.Contains(c.got.Error(), c.names) {
			t.Errorf("got %v, want %v that names %s: %s", c.got, c.want, c.names, c.reason)
		}
	}
	if w, err := Between(t0.In(time.FixedZone("east", 3600)), minute(3)); err != nil || w != window(0, 3) {
		t.Errorf("a window is in universal time, got %v, %v", w, err)
	}
}
