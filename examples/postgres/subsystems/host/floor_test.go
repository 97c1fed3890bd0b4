package host

import (
	"maps"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// TestAFollowerKeepsWhatItsUpstreamHas: a parameter is lowered, and everybody restarts at the worst moment: the follower first, which would not start with less than
// the server has that it follows.
func TestAFollowerKeepsWhatItsUpstreamHas(t *testing.T) {
	l := first(t, patient)
	wish := primaryWish()
	wish.Parameters = maps.Clone(small)
	wish.Parameters["max_connections"] = "40"
	a := l.done(t, "a", wish)
	follow := standbyWish(a)
	follow.Parameters = wish.Parameters
	b := l.done(t, "b", follow)

	less := maps.Clone(wish.Parameters)
	less["max_connections"] = "35"
	wish.Parameters, follow.Parameters = less, less
	l.done(t, "b", follow)
	l.do(t, Operation{Server: "b", Do: Restart})
	if got := exec1(t, b, "SHOW max_connections"); got != "40" {
		t.Errorf("restarted before its upstream the follower has %s, want 40, as its upstream has", got)
	}
	l.done(t, "a", wish)
	l.do(t, Operation{Server: "a", Do: Restart})
	if got := exec1(t, a, "SHOW max_connections"); got != "35" {
		t.Errorf("the upstream has %s, want 35", got)
	}
	l.health(t, "b", "it streams again", streaming)
	testkit.Wait(t, "the follower knows that its upstream has less, and takes what it was told", func() bool {
		l.do(t, Operation{Server: "b", Do: Restart})
		return exec1(t, b, "SHOW max_connections") == "35"
	})
}
