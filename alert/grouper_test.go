package alert_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/resource"
)

func TestAThousandForOneCauseAreOneAlert(t *testing.T) {
	g := alert.NewGrouper(alert.Rules{})
	now := epoch.Add(time.Hour)
	for i := 999; i >= 0; i-- {
		fill(t, g.Set, i, i+1)
	}
	first := one(t, g.Changes(now))
	if first.Event != alert.Raised || first.Group.Count != 1000 || !first.Group.Since.Equal(epoch) || first.Group.Severity != alert.Warning {
		t.Errorf("raised as %+v", first)
	}
	if got := len(first.Group.Examples); got != alert.MaxExamples {
		t.Fatalf("%d examples", got)
	}
	for i, e := range first.Group.Examples {
		if e.Object != device(i) {
			t.Errorf("example %d is %s, want the oldest first", i, e.Object)
		}
	}
	if again := g.Changes(now); again != nil {
		t.Errorf("told twice: %v", again)
	}

	for i := range 999 {
		g.Remove(device(i), "Budget")
	}
	if c := one(t, g.Changes(now)); c.Event != alert.Changed || c.Group.Count != 1 || c.Group.Examples[0].Object != device(999) || !c.Group.Since.Equal(epoch) {
		t.Errorf("999 recover: %+v", c)
	}
	g.Forget(device(999))
	if c := one(t, g.Changes(now)); c.Event != alert.Cleared || c.Group.Count != 0 || c.Group.Fingerprint != first.Group.Fingerprint {
		t.Errorf("all recover: %+v", c)
	}
	if again := g.Changes(now.Add(24 * time.Hour)); again != nil || g.Len() != 0 || len(g.Groups()) != 0 {
		t.Errorf("something is left: %v, %d objects, %v", again, g.Len(), g.Groups())
	}
}

func TestAThousandThatRecoverOneByOneAreToldOfTenTimes(t *testing.T) {
	g := alert.NewGrouper(alert.Rules{})
	fill(t, g.Set, 0, 1000)
	one(t, g.Changes(epoch))
	var counts []int
	for i := range 1000 {
		g.Remove(device(i), "Budget")
		for _, c := range g.Changes(epoch) {
			counts = append(counts, c.Group.Count)
		}
	}
	if want := []int{500, 250, 125, 62, 31, 15, 7, 3, 1, 0}; !slices.Equal(counts, want) {
		t.Errorf("told the counts %v, want %v", counts, want)
	}
}

func TestWhatIsWorthTelling(t *testing.T) {
	rules := alert.Rules{Refresh: time.Minute, Repeat: time.Hour, Settle: 10 * time.Second}
	severe := noAddress(0)
	severe.Severity = alert.Critical
	moved := noAddress(0)
	moved.Cause = "NoRoute"
	fresh := noAddress(0)
	fresh.Message, fresh.Since = "still", epoch
	for _, c := range []struct {
		reason string
		do     func(*alert.Grouper) error
		after  time.Duration
		want   string
	}{
		{"nothing has changed", nothing, 59 * time.Minute, ""},
		{"people forget", nothing, time.Hour, "repeated NoAddress 10"},
		{"one more of ten is no news", add(10, 11), 59 * time.Second, ""},
		{"a count must not stay wrong for long", add(10, 11), time.Minute, "changed NoAddress 11"},
		{"twice as many is news at once", add(10, 20), 0, "changed NoAddress 20"},
		{"not quite twice as many", add(10, 19), 0, ""},
		{"half as many is news at once", drop(0, 5), 0, "changed NoAddress 5"},
		{"not quite half as many", drop(0, 4), 0, ""},
		{"one that is critical makes the group so", func(g *alert.Grouper) error { return g.Set(severe) }, 0, "changed NoAddress 10"},
		{"an object that says the same again is no news", func(g *alert.Grouper) error { return g.Set(fresh) }, 0, ""},
		{"an object that moves is in one group only", func(g *alert.Grouper) error { return g.Set(moved) }, time.Minute, "changed NoAddress 9, raised NoRoute 1"},
		{"an empty group has to settle", drop(0, 10), 0, ""},
		{"a source that never said anything has nothing to take back", func(g *alert.Grouper) error { g.Remove(device(0), "Other"); return nil }, 0, ""},
		{"an object nobody knows", func(g *alert.Grouper) error { g.Forget(device(99)); return nil }, 0, ""},
	} {
		g := alert.NewGrouper(rules)
		fill(t, g.Set, 0, 10)
		one(t, g.Changes(epoch))
		if err := c.do(g); err != nil {
			t.Fatal(err)
		}
		if got := text(g.Changes(epoch.Add(c.after))); got != c.want {
			t.Errorf("%s: told %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestAGroupThatFlapsIsNotToldOf(t *testing.T) {
	g := alert.NewGrouper(alert.Rules{Settle: time.Minute})
	fill(t, g.Set, 0, 1)
	one(t, g.Changes(epoch))
	for i := range 100 {
		at := epoch.Add(time.Duration(i) * 20 * time.Second)
		g.Forget(device(0))
		if c := g.Changes(at); c != nil {
			t.Fatalf("round %d: %s", i, text(c))
		}
		later := noAddress(0)
		later.Since = at
		if err := g.Set(later); err != nil {
			t.Fatal(err)
		}
		if c := g.Changes(at.Add(10 * time.Second)); c != nil {
			t.Fatalf("round %d: %s", i, text(c))
		}
	}
	if since := g.Groups()[0].Since; !since.Equal(epoch) {
		t.Errorf("since %v, want the beginning of what was told", since)
	}
	g.Forget(device(0))
	end := epoch.Add(40 * time.Minute)
	if got := text(g.Changes(end)) + text(g.Changes(end.Add(59*time.Second))); got != "" {
		t.Errorf("told before it settled: %s", got)
	}
	if got := text(g.Changes(end.Add(time.Minute))); got != "cleared NoAddress 0" {
		t.Errorf("told %q", got)
	}
	fill(t, g.Set, 5, 6)
	if again := one(t, g.Changes(end.Add(2*time.Minute))); again.Event != alert.Raised || !again.Group.Since.Equal(noAddress(5).Since) {
		t.Errorf("raised again as %+v, want a beginning of its own", again)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	g := alert.NewGrouper(alert.Rules{MaxGroups: 3})
	for i := range 10 {
		trouble := noAddress(i)
		trouble.Cause = alert.Cause(fmt.Sprintf("Cause%d", i))
		for range 2 { // the second time it is in its place already
			if err := g.Set(trouble); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := text(g.Changes(epoch)); got != "raised TooManyGroups 7, raised Cause0 1, raised Cause1 1, raised Cause2 1" {
		t.Errorf("told %q", got)
	}
	for i := range 10 {
		g.Forget(device(i))
	}
	if got := text(g.Changes(epoch)); strings.Count(got, "cleared") != 4 {
		t.Errorf("told %q, want everything cleared", got)
	}
}

func TestMalformedTroublesAreNotTaken(t *testing.T) {
	for _, c := range []struct {
		reason string
		spoil  func(*alert.Trouble)
		says   string
	}{
		{"nobody is in trouble", func(t *alert.Trouble) { t.Object = resource.Key{} }, "a kind and a name"},
		{"a sentence is not a source", func(t *alert.Trouble) { t.Source = "the budget" }, "source"},
		{"there must be a cause", func(t *alert.Trouble) { t.Cause = "" }, "cause"},
		{"a cause that holds a name makes a group per object", func(t *alert.Trouble) { t.Cause = "NoAddressFor:d1" }, "belongs into the message"},
		{"a cause is a label", func(t *alert.Trouble) { t.Cause = alert.Cause("A" + strings.Repeat("a", 100)) }, "at most 100"},
		{"severities are known", func(t *alert.Trouble) { t.Severity = "dire" }, `"dire"`},
		{"an alert has a beginning", func(t *alert.Trouble) { t.Since = time.Time{} }, "since when"},
		{"a beginning can be written down", func(t *alert.Trouble) { t.Since = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "since when"},
	} {
		g := alert.NewGrouper(alert.Rules{})
		trouble := noAddress(1)
		c.spoil(&trouble)
		if err := g.Set(trouble); !errors.Is(err, alert.ErrTrouble) || !strings.Contains(err.Error(), c.says) || g.Len() != 0 {
			t.Errorf("%s: %v, %d objects", c.reason, err, g.Len())
		}
	}
}

func TestMessagesAreCutBetweenCharacters(t *testing.T) {
	g := alert.NewGrouper(alert.Rules{})
	trouble := noAddress(1)
	trouble.Message = "\xff" + strings.Repeat("ä", 1000)
	if err := g.Set(trouble); err != nil {
		t.Fatal(err)
	}
	got := g.Groups()[0].Examples[0].Message
	if len(got) > 1024 || len(got) < 1020 || !strings.HasPrefix(got, "\uFFFDä") || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestFingerprintsStayTheSame(t *testing.T) {
	k := alert.Key{Kind: "Device.edge.example", State: "Provisioning", Cause: "NoAddress"}
	if got := k.Fingerprint(); got != "aa9a1e1e67185237" {
		t.Errorf("%s: receivers have stored the old one", got)
	}
	if shifted := (alert.Key{Kind: "Device.edge.exampleP", State: "rovisioning", Cause: "NoAddress"}); shifted.Fingerprint() == k.Fingerprint() {
		t.Error("two groups have one fingerprint")
	}
}

func nothing(*alert.Grouper) error { return nil }

func add(from, to int) func(*alert.Grouper) error {
	return func(g *alert.Grouper) error {
		for i := from; i < to; i++ {
			if err := g.Set(noAddress(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

func drop(from, to int) func(*alert.Grouper) error {
	return func(g *alert.Grouper) error {
		for i := from; i < to; i++ {
			g.Remove(device(i), "Budget")
		}
		return nil
	}
}

func one(t *testing.T, changes []alert.Change) alert.Change {
	t.Helper()
	if len(changes) != 1 {
		t.Fatalf("told %q, want one change", text(changes))
	}
	return changes[0]
}

// text lists changes as "event cause count".
func text(changes []alert.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, fmt.Sprintf("%s %s %d", c.Event, c.Group.Key.Cause, c.Group.Count))
	}
	return strings.Join(all, ", ")
}
